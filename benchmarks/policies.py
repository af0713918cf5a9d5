"""Measures self-play of scripted policies, in JAX and in the plain Python of `tests/reference/policies.py`.

The default is the game of the published numbers: `gathering_gallego`, the large map, 10 agents, 1,000 steps. A row
contains the four metrics at the end of an episode: the mean over episodes and its standard error.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import jaxdilemmas
from baselines.core.players import episode_outcome, play_episode, scripted_player, summarize
from baselines.runs.terminal import as_command
from benchmarks.reporting import (
    compile_program,
    count_from,
    make_parser,
    name_of,
    print_header,
    rates,
    report,
    rounded,
    time_calls,
)
from jaxdilemmas import metrics
from jaxdilemmas.arguments import require
from jaxdilemmas.policies import scripted, scripted_policies
from tests.reference.self_play import play_reference

GAMES: dict[str, dict[str, Any]] = {
    "gathering_gallego": {"map": "large", "num_agents": 10},
    "gathering": {"num_agents": 2},
    "cleanup": {"num_agents": 5},
    "cleanup_meltingpot": {"num_agents": 7},
    "cleanup_gallego": {"map": "full", "num_agents": 10},
    "harvest": {"num_agents": 7},
}
"""The games that policies may play: id of the game and its keyword arguments."""

METRICS = ("efficiency", "equality", "sustainability", "peace")
COLUMNS = ("game", "policy", "written_in", "episodes", *METRICS)


def flatten(summary: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Turns the metrics of `players.summarize` and their standard errors into columns of a row."""
    means = {metric: rounded(summary[metric]["mean"]) for metric in METRICS}
    return means | {f"{metric}_standard_error": rounded(summary[metric]["standard_error"]) for metric in METRICS}


def measure(env: Any, name: str, keys: jax.Array, repeats: int) -> dict[str, Any]:
    """Plays the JAX policy in self-play: the four metrics and the speed."""
    player = scripted_player(env, scripted(env, name))
    program = compile_program(jax.vmap(lambda key: episode_outcome(play_episode(player, key))), keys)
    seconds = time_calls(program.call, [(keys,)] * repeats)
    speed = rates(len(keys) * env.default_params.max_steps, seconds)
    outcomes = jax.device_get(program.call(keys))
    return flatten(summarize(outcomes)) | {"env_steps_per_second": speed, "compile_seconds": program.compile_seconds}


def measure_reference(env: Any, name: str, keys: jax.Array) -> dict[str, Any]:
    """Plays the Python policy in self-play on the same map, with starts and luck of the same distribution.

    Returns the four metrics and the speed.
    """
    shape = (env.default_params.max_steps, env.num_agents)
    seconds, episodes = [], []
    for key in keys:
        key_start, key_luck = jax.random.split(key)
        start = jax.device_get(env.initial_state(key_start, env.default_params))
        draws = np.asarray(jax.random.randint(key_luck, shape, 0, env.num_actions))
        began = time.perf_counter()
        sums = play_reference(env, name, start, draws)
        seconds.append(time.perf_counter() - began)
        episodes.append(metrics.social_metrics({sum_: values[-1] for sum_, values in sums.items()}))
    outcomes = {metric: np.array([float(episode[metric]) for episode in episodes]) for metric in METRICS}
    return flatten(summarize(outcomes)) | {"env_steps_per_second": rates(shape[0], seconds), "compile_seconds": 0.0}


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.policies`."""
    parser = make_parser("policies", __doc__)
    parser.add_argument("--num-keys", type=count_from(2), default=200, help="episodes in JAX, at least 2")
    parser.add_argument(
        "--python-episodes",
        type=count_from(0),
        default=0,
        help="episodes in Python; 0 or at least 2",
    )
    parser.add_argument("--policies", nargs="+", help="names of policies; all by default")
    parser.add_argument(
        "--game", choices=list(GAMES), default="gathering_gallego", help="Python plays the default only"
    )
    parser.add_argument("--max-steps", type=count_from(1), default=1000, help="length of an episode")
    arguments = parser.parse_args(argv)
    is_fit = arguments.python_episodes != 1
    require(is_fit, "python_episodes", arguments.python_episodes, "0, or at least 2 for a standard error")
    env_kwargs = GAMES[arguments.game] | {"max_steps": arguments.max_steps}
    env: Any = jaxdilemmas.make(arguments.game, **env_kwargs)
    keys = jax.random.split(jax.random.key(0), arguments.num_keys)
    game = {"game": name_of(arguments.game, GAMES[arguments.game]), "env_kwargs": env_kwargs}
    game["num_agents"] = env.num_agents
    print_header(COLUMNS)
    for name in arguments.policies or scripted_policies(env):
        row = game | {"policy": name, "written_in": "jax", "episodes": len(keys)}
        report(row | measure(env, name, keys, arguments.repeats), arguments.output, COLUMNS)
        if arguments.python_episodes:
            row |= {"written_in": "python", "episodes": arguments.python_episodes}
            result = measure_reference(env, name, keys[: arguments.python_episodes])
            report(row | result, arguments.output, COLUMNS)


if __name__ == "__main__":
    main()
