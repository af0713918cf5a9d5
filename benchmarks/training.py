"""Measures joint actions per second of a whole training run of independent PPO; compiling is timed apart.

    python -m benchmarks.training --games gathering --num-updates 20

The settings are those of `python -m baselines.ippo` for the game, with fewer updates.

    python -m benchmarks.training --games gathering cleanup_meltingpot --devices 1 2 --turns 5

measures the environment alone (1,024 of them, as `benchmarks.throughput`) and training on one device and on two. What
is compared: one device in a process that may use one core alone, and two devices in a process that may use two.
Without this limit XLA divides large operations of one device among all cores. Processes take turns, since a shared
machine is faster in one minute than in the next. The last lines have the ratios to the first number of devices, in the
median of the turns.
"""

import dataclasses
import json
import operator
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

import jaxdilemmas
from baselines import ippo
from baselines.core import devices
from baselines.presets import preset
from baselines.runs.terminal import as_command
from benchmarks.reporting import count_from, make_parser, measure_program, name_of, print_header, report
from benchmarks.rollout import measure as measure_environment
from benchmarks.rollout import own_game
from jaxdilemmas.arguments import require
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

ENVIRONMENTS, ENVIRONMENT_STEPS = 1024, 128
"""Of the environment alone: environments side by side, and steps of a timed call."""

COLUMNS = (
    "game",
    "network",
    "num_envs",
    "num_epochs",
    "num_devices",
    "env_steps_per_second",
    "compile_seconds",
    "peak_memory_mb",
)


def short_config(env_id: str, num_updates: int, **settings: Any) -> ippo.Config:
    """The settings of the game for `num_updates` updates; `settings` replace some of them."""
    config = ippo.Config(**(preset("ippo", env_id) | settings))
    return dataclasses.replace(config, total_env_steps=num_updates * config.env_steps_per_update)


def measure(config: ippo.Config, env: Environment, repeats: int, num_devices: int = 1) -> dict[str, Any]:
    """Speed (env steps per second), compile time and peak memory of a run, including networks and resets."""
    keys = jax.random.split(jax.random.key(0), repeats + 1)
    amount, inputs = config.num_updates * config.env_steps_per_update, [(key, env.default_params) for key in keys]
    devices.check_split(config, num_devices)
    with devices.on_mesh(devices.make_mesh(jax.devices()[:num_devices])):
        speed = measure_program("env_steps_per_second", amount, ippo.make_train(config, env), inputs)
    return speed | {"num_devices": num_devices}


def measure_on_cores(argv: Sequence[str], numbers: Sequence[int], turns: int, output: Path) -> None:
    """Measures each number of devices in processes with as many cores, by turns, and prints how the medians grow."""
    first = len(output.read_text().splitlines()) if output.exists() else 0
    cores = sorted(os.sched_getaffinity(0))
    most = f"at most the cores of this machine, {len(cores)}"
    require(max(numbers) <= len(cores), "devices", max(numbers), most)
    for number in [*numbers] * turns:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={number}"
        variables = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
        command = [sys.executable, "-m", "benchmarks.training", *argv, "--devices", str(number)]
        pin = ["taskset", "-c", ",".join(map(str, cores[:number]))]
        subprocess.run([*pin, *command], env=variables, check=True)
    medians: dict[tuple[str, ...], dict[int, list[float]]] = {}
    for row in map(json.loads, output.read_text().splitlines()[first:]):
        by_number = medians.setdefault((row["measured"], row["game"], row["network"]), {})
        by_number.setdefault(row["num_devices"], []).append(row["env_steps_per_second"]["median"])
    for measured, by_number in medians.items():
        for number, speeds in by_number.items():
            ratio = statistics.median(map(operator.truediv, speeds, by_number[numbers[0]]))
            print(f"{' '.join(measured)}, {number} devices: {ratio:.2f} times in the median of {turns} turns")


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.training`."""
    parser = make_parser("training", __doc__)
    parser.add_argument("--games", nargs="+", choices=list(GAMES), default=["gathering"])
    parser.add_argument("--networks", nargs="+", default=["mlp"], help="mlp, conv, gru")
    parser.add_argument("--num-updates", type=count_from(1), default=20, help="updates of each timed run")
    parser.add_argument("--devices", nargs="+", type=count_from(1), default=[], help="how many share the work")
    parser.add_argument("--turns", type=count_from(1), default=3, help="processes of each number of devices")
    options = parser.parse_args(argv)
    if len(options.devices) > 1:
        same = ["--games", *options.games, "--networks", *options.networks, "--output", str(options.output)]
        same += ["--num-updates", str(options.num_updates), "--repeats", str(options.repeats)]
        return measure_on_cores(same, options.devices, options.turns, options.output)
    print_header(COLUMNS)
    for game in options.games:
        env_id, kwargs = GAMES[game]
        env = jaxdilemmas.make(env_id, **kwargs)
        about = {"game": name_of(env_id, kwargs), "env_kwargs": kwargs, "num_agents": env.num_agents}
        if options.devices:
            row = about | {"measured": "environment", "network": "none", "num_epochs": 0}
            speed = measure_environment(own_game(env), ENVIRONMENTS, ENVIRONMENT_STEPS, options.repeats)
            report(row | speed, options.output, COLUMNS)
        for network in options.networks:
            config = short_config(env_id, options.num_updates, network=network)
            row = about | {"measured": "training"} | dataclasses.asdict(config)
            report(row | measure(config, env, options.repeats, *options.devices), options.output, COLUMNS)


if __name__ == "__main__":
    main()
