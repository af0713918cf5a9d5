"""How many joint actions a second the games play, with resets on and everything that comes out used.

    python -m benchmarks.throughput
    python -m benchmarks.throughput --games gathering commons --observations tiles rgb --num-envs 64 1024

Per game, size and kind of observation: `num_envs` environments with `AutoReset` play `num_steps` steps of random
actions, drawn inside, as one compiled loop. Observations, rewards and info are added up, so that none can be left out.
Episodes start at random times on the clock, so that in every step some end. Compiling is timed apart.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdilemmas
from benchmarks.reporting import compile_program, make_parser, name_of, print_header, rates, report, time_calls
from jaxdilemmas.environment import Environment
from jaxdilemmas.grid_environment import OBSERVATION_KINDS

COLUMNS = ("game", "observation", "num_agents", "num_envs", "env_steps_per_second", "compile_seconds", "peak_memory_mb")


class Case(NamedTuple):
    """What is measured of a game unless the command line says otherwise.

    Attributes:
      env_kwargs: keyword arguments of the game.
      num_envs: environments side by side.
      observations: kinds of observation.
    """

    env_kwargs: dict[str, Any]
    num_envs: int = 1024
    observations: tuple[str, ...] = ("tiles",)


CASES: dict[str, list[Case]] = {
    "gathering": [Case({"num_agents": 2}, observations=OBSERVATION_KINDS), Case({"num_agents": 10})],
    "gathering_gallego": [
        Case({"map": "small", "num_agents": 2}),
        Case({"map": "default", "num_agents": 4}),
        Case({"map": "large", "num_agents": 10}),
    ],
    "commons": [Case({"num_agents": 12}, num_envs=256)],
    "commons_gallego": [Case({"num_agents": 12}, num_envs=256)],
}
"""By id of the game; one that is not here is measured as `make` builds it."""


class Carry(NamedTuple):
    """Between two steps.

    Attributes:
      state: of the B environments.
      seen: `[]` uint32, sum of all observations so far, modulo 2^32.
      earned: `[]` float32, sum of all rewards and info so far.
      key: a JAX PRNG key.
    """

    state: Any
    seen: jax.Array
    earned: jax.Array
    key: jax.Array


def make_rollout(env: Environment, num_envs: int, num_steps: int) -> tuple[Callable[[jax.Array], Carry], Any]:
    """The two programs that are measured.

    Args:
      env: a game as `make` builds it.
      num_envs: B.
      num_steps: steps in each of them.

    Returns:
      start: key -> `Carry`, and rollout: `Carry` -> `Carry` after `num_steps` steps.

    Raises:
      ValueError: the actions of `env` are not discrete.
    """
    actions_of_one = env.action_space
    if not isinstance(actions_of_one, jaxdilemmas.Discrete):
        raise ValueError(f"env={type(env).__name__} is not allowed: its actions must be Discrete, not {actions_of_one}")
    num_actions = actions_of_one.n
    env = jaxdilemmas.AutoReset(env)

    def start(key: jax.Array) -> Carry:
        key, key_reset, key_clock = jax.random.split(key, 3)
        _, state = jax.vmap(env.reset)(jax.random.split(key_reset, num_envs))
        clock = jax.random.randint(key_clock, (num_envs,), 0, env.default_params.max_steps, jnp.int32)
        return Carry(state.replace(step_count=clock), jnp.uint32(0), jnp.float32(0), key)

    def step(carry: Carry, _: None) -> tuple[Carry, None]:
        key, key_actions, key_step = jax.random.split(carry.key, 3)
        actions = jax.random.randint(key_actions, (num_envs, env.num_agents), 0, num_actions, jnp.int32)
        obs, state, rewards, terminated, truncated, info = jax.vmap(env.step)(
            jax.random.split(key_step, num_envs), carry.state, actions
        )
        outcomes = [rewards, terminated, truncated, *info.values()]
        earned = carry.earned + sum(outcome.sum(dtype=jnp.float32) for outcome in outcomes)
        return Carry(state, carry.seen + obs.sum(dtype=jnp.uint32), earned, key), None

    return start, lambda carry: jax.lax.scan(step, carry, length=num_steps)[0]


def measure(env: Environment, num_envs: int, num_steps: int, repeats: int) -> dict[str, Any]:
    """Speed (env steps per second), compile time and peak memory of `make_rollout`."""
    start, rollout = make_rollout(env, num_envs, num_steps)
    carries = [jax.jit(start)(key) for key in jax.random.split(jax.random.key(0), repeats + 1)]
    program = compile_program(rollout, carries[0])
    jax.block_until_ready(program.call(carries[0]))
    seconds = time_calls(program.call, [(carry,) for carry in carries[1:]])
    return {
        "env_steps_per_second": rates(num_envs * num_steps, seconds),
        "compile_seconds": program.compile_seconds,
        "peak_memory_mb": program.peak_memory_mb(),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.throughput`."""
    parser = make_parser("throughput", __doc__)
    parser.add_argument("--games", nargs="+", default=jaxdilemmas.registered_envs(), help="ids of games")
    parser.add_argument("--observations", nargs="+", help="of tiles, one_hot, rgb; by default what CASES has")
    parser.add_argument("--num-envs", type=int, nargs="+", help="environments side by side; by default what CASES has")
    parser.add_argument("--num-steps", type=int, default=256, help="steps of each environment in one timed call")
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    cases = [(game, case) for game in options.games for case in CASES.get(game, [Case({})])]
    for game, case in cases:
        for observation in options.observations or case.observations:
            env = jaxdilemmas.make(game, observation=observation, **case.env_kwargs)
            for num_envs in options.num_envs or [case.num_envs]:
                row = {
                    "game": name_of(game, case.env_kwargs),
                    "env_kwargs": case.env_kwargs,
                    "observation": observation,
                    "num_agents": env.num_agents,
                    "num_envs": num_envs,
                    "num_steps": options.num_steps,
                }
                row |= measure(env, num_envs, options.num_steps, options.repeats)
                report(row, options.output, COLUMNS)


if __name__ == "__main__":
    main()
