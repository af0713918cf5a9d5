"""Measures joint actions per second of a whole training run of independent PPO; compiling is timed apart.

    python -m benchmarks.training --games gathering --num-updates 20

The settings are those of `python -m baselines.ippo` for the game, with fewer updates.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax

import jaxdilemmas
from baselines import ippo
from baselines.presets import preset
from baselines.runs.terminal import as_command
from benchmarks.reporting import count_from, make_parser, measure_program, name_of, print_header, report
from jaxdilemmas.environment import Environment

GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "gathering": ("gathering", {}),
    "gathering_gallego": ("gathering_gallego", {"map": "large", "num_agents": 10}),
    "commons": ("commons", {}),
    "cleanup": ("cleanup", {}),
    "cleanup_meltingpot": ("cleanup_meltingpot", {}),
    "harvest": ("harvest", {}),
}
"""The games that may be measured: id of the game and its keyword arguments."""

COLUMNS = ("game", "network", "num_envs", "num_epochs", "env_steps_per_second", "compile_seconds", "peak_memory_mb")


def short_config(env_id: str, num_updates: int, **settings: Any) -> ippo.Config:
    """The settings of the game for `num_updates` updates; `settings` replace some of them."""
    config = ippo.Config(**(preset("ippo", env_id) | settings))
    return dataclasses.replace(config, total_env_steps=num_updates * config.env_steps_per_update)


def measure(config: ippo.Config, env: Environment, repeats: int) -> dict[str, Any]:
    """Speed (env steps per second), compile time and peak memory of a run, including networks and resets."""
    keys = jax.random.split(jax.random.key(0), repeats + 1)
    amount, inputs = config.num_updates * config.env_steps_per_update, [(key, env.default_params) for key in keys]
    return measure_program("env_steps_per_second", amount, ippo.make_train(config, env), inputs)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.training`."""
    parser = make_parser("training", __doc__)
    parser.add_argument("--games", nargs="+", choices=list(GAMES), default=["gathering"])
    parser.add_argument("--networks", nargs="+", default=["mlp"], help="mlp, conv, gru")
    parser.add_argument("--num-updates", type=count_from(1), default=20, help="updates of each timed run")
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    for game in options.games:
        env_id, kwargs = GAMES[game]
        env = jaxdilemmas.make(env_id, **kwargs)
        for network in options.networks:
            config = short_config(env_id, options.num_updates, network=network)
            row = {"game": name_of(env_id, kwargs), "env_kwargs": kwargs, "num_agents": env.num_agents}
            row |= dataclasses.asdict(config)
            report(row | measure(config, env, options.repeats), options.output, COLUMNS)


if __name__ == "__main__":
    main()
