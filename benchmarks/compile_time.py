"""Measures the first compile of the default training run, and of a batched step of every game.

    python -m benchmarks.compile_time

Each program is traced, lowered and compiled once, without a cache on disk. The training run comes first in the process,
as for a user who types the command. The import of Python modules is not counted.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

import jaxdilemmas
from baselines import ippo
from baselines.presets import preset
from baselines.runs.loop import Compiled, TrainingStream
from baselines.runs.terminal import as_command
from benchmarks.reporting import compile_program, count_from, make_parser, print_header, report

COLUMNS = ("game", "program", "compile_seconds")


def compile_training(env_id: str) -> float:
    """Seconds that `python -m baselines.ippo` needs before its first update; this includes networks and resets."""
    env = jaxdilemmas.make(env_id)
    config = ippo.Config(**preset("ippo", env_id))

    def make_train_states() -> Any:
        keys = jax.random.split(jax.random.key(0), 1)
        return jax.jit(jax.vmap(trainer.init, in_axes=(0, None)))(keys, env.default_params)

    trainer = ippo.make_trainer(config, env)
    with TrainingStream(trainer, env.default_params, config.num_updates, checkpoint_every=config.num_updates) as stream:
        stream.start(make_train_states)
        compiled = next(event for event in stream if isinstance(event, Compiled))
    return round(compiled.seconds, 3)


def compile_step(env_id: str, num_envs: int) -> float:
    """Seconds to compile a step of `num_envs` environments that reset themselves."""
    env = jaxdilemmas.AutoReset(jaxdilemmas.make(env_id))
    keys = jax.random.split(jax.random.key(0), num_envs)
    actions = jnp.zeros((num_envs, env.num_agents), jnp.int32)
    _, state = jax.eval_shape(jax.vmap(env.reset), keys)
    return compile_program(jax.vmap(env.step), keys, state, actions).compile_seconds


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.compile_time`."""
    parser = make_parser("compile_time", __doc__)
    parser.add_argument("--games", nargs="+", default=jaxdilemmas.registered_envs(), help="ids of games")
    parser.add_argument("--num-envs", type=count_from(1), default=1024, help="environments in a step")
    options = parser.parse_args(argv)
    jax.config.update("jax_enable_compilation_cache", False)
    print_header(COLUMNS)
    training = {"game": "gathering", "program": "training", "compile_seconds": compile_training("gathering")}
    report(training, options.output, COLUMNS)
    for env_id in options.games:
        step = {"game": env_id, "program": "step", "compile_seconds": compile_step(env_id, options.num_envs)}
        report(step, options.output, COLUMNS)


if __name__ == "__main__":
    main()
