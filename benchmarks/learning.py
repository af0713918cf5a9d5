"""Measures what agents learn: trains several seeds by the command line and compares them with random and scripted play.

    python -m benchmarks.learning                                    # every experiment: hours
    python -m benchmarks.learning --games cleanup                    # the experiments of some games
    python -m benchmarks.learning overcooked gems --seeds 3          # some experiments, by name
    python -m benchmarks.learning cleanup_individual cleanup_common cleanup_inequity_averse --picture cleanup
    python -m benchmarks.learning --table-only                       # the table of docs/results.md, from the rows

Settings are chosen on seeds below 100 and reported on seeds from 100 on. The seeds of an experiment are trained
together in one run under `--runs-dir`. An interrupted run is resumed; a finished run is not trained again. Each
experiment adds a row of JSON to benchmarks/results/learning.jsonl as soon as it is measured. At the end the last row of
every experiment is written into the table of docs/results.md. If `--picture` names a picture, the curves are drawn.
"""

import argparse
import dataclasses
import functools
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines import ippo
from baselines.analysis.intervals import estimate_mean
from baselines.core.players import episode_outcome, play_episode, play_many, scripted_player, trained_player
from baselines.presets import FIRST_REPORTED_SEED
from baselines.runs.directory import RunDirectory, RunRecord
from baselines.runs.options import new_options, parse, parse_env_kwargs
from baselines.runs.table import read_metrics
from baselines.runs.terminal import as_command
from baselines.trained.load import Run, load_run
from benchmarks.learning_cases import EXPERIMENTS
from benchmarks.learning_report import draw, write_table
from benchmarks.reporting import RESULTS, count_from, print_header, report, rounded
from jaxdilemmas.environment import require
from jaxdilemmas.policies import scripted_policies

COOPERATIVE = ("cooperative", "cautious", "tit_for_tat", "win_stay_lose_shift", "grim", "reciprocal")
"""Scripted policies that hold back for the good of the group, some if others do. All others but random are selfish."""

IMAGES = RESULTS.parents[1] / "docs" / "images"
PAGE = RESULTS.parents[1] / "docs" / "results.md"
COLUMNS = ("game", "random", "selfish", "cooperative", "before", "collective_return", "low", "high", "seconds")


def options_of(experiment: str) -> list[str]:
    """The options of `python -m baselines.ippo`."""
    return EXPERIMENTS[experiment].options.split()


def game_of(experiment: str) -> str:
    """The id of the experiment's game."""
    options = options_of(experiment)
    return options[options.index("--env") + 1]


def train(experiment: str, seeds: range, runs_dir: Path) -> RunDirectory:
    """Trains all seeds together in one process, or resumes this run. A finished run is not trained again.

    Raises:
      ValueError: there is a run of that name with other settings.
      CalledProcessError: training failed; its output is in a log file next to the run directory.
    """
    directory = RunDirectory(runs_dir / f"{experiment}_{seeds[0]}_to_{seeds[-1]}")
    options = ["--name", directory.path.name, "--runs-dir", str(runs_dir)]
    is_there = directory.path.exists()
    if is_there:
        check_settings(directory.read_record(), experiment, directory)
    if directory.parameters(seeds[-1]).exists():
        return directory
    which = ["--seed", str(seeds[0]), "--num-seeds", str(len(seeds))]
    options += ["--resume"] if is_there else [*options_of(experiment), *which]
    runs_dir.mkdir(parents=True, exist_ok=True)
    with (runs_dir / f"{directory.path.name}.log").open("a") as log:
        command = [sys.executable, "-m", "baselines.ippo", *options]
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return directory


def check_settings(record: RunRecord, experiment: str, directory: RunDirectory) -> None:
    """Raises a ValueError if the settings or rules of a run differ from those of the experiment now."""
    run, config = parse("ippo", *new_options("ippo", ippo.Config, game_of(experiment)), options_of(experiment))
    env_kwargs = parse_env_kwargs(run.env_kwargs)
    version = jaxdilemmas.make(run.env, **env_kwargs).version
    expected = (run.env, env_kwargs, version, dataclasses.asdict(config))
    is_same = (record.env_id, record.env_kwargs, record.env_version, record.config) == expected
    require(is_same, "runs_dir", str(directory.path), "another directory, because this run has other settings or rules")


def measure(experiment: str, directory: RunDirectory, num_episodes: int) -> dict[str, Any]:
    """Plays `num_episodes` episodes of every seed before and after training, and of each scripted policy.

    Returns:
      Means per seed, and over seeds with the 95 % interval of the collective return.
    """
    record, table = directory.read_record(), read_metrics(directory.metrics)
    env_id = game_of(experiment)
    runs = [load_run(directory.path, i, env_id) for i in range(record.num_seeds)]
    play = make_play(runs[0], num_episodes)
    init = jax.jit(ippo.make_trainer(runs[0].config, runs[0].env).init)
    params = runs[0].env.default_params
    before = [play(init(jax.random.key(seed), params).network_params) for seed in record.seeds]
    outcomes = [play(run.network_params) for run in runs]
    each = {name: [rounded(outcome[name]) for outcome in outcomes] for name in outcomes[0]}
    returns = [round(outcome["collective_return"], 4) for outcome in outcomes]
    interval = {} if len(runs) == 1 else estimate_mean(np.array(returns))._asdict()
    scripted = play_scripted(env_id, tuple(record.env_kwargs.items()), num_episodes)
    return {
        "env_id": env_id,
        "env_kwargs": record.env_kwargs,
        "env_version": record.env_version,
        "num_agents": runs[0].env.num_agents,
        "reward": runs[0].config.reward,
        "seeds": list(record.seeds),
        "episodes": num_episodes,
        "env_steps": int(table["env_steps"][-1]),
        "seconds": round(float(table["wall_seconds"][-1]), 3),
        "before": round(float(np.mean([outcome["collective_return"] for outcome in before])), 4),
        "each": each,
        "low": round(interval["low"], 4) if interval else None,
        "high": round(interval["high"], 4) if interval else None,
        "lowest": min(returns),
        **best_scripted(scripted),
        "scripted": scripted,
    } | {name: mean_of_defined(values) for name, values in each.items()}


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are no such values."""
    defined = [value for value in values if value is not None]
    return rounded(float(np.mean(defined))) if defined else None


def make_play(run: Run, num_episodes: int) -> Callable[[Any], dict[str, float]]:
    """Builds a function of network parameters: mean outcomes over episodes and agents; see `players.episode_outcome`.

    An episode in which an outcome is not defined does not count for this outcome.
    """
    policy = run.algorithm.make_policy(run.config, run.env)
    keys = jax.random.split(jax.random.key(0), num_episodes)

    @jax.jit
    def play(network_params: Any) -> dict[str, jax.Array]:
        player = trained_player(run.env, policy, network_params)
        outcomes = jax.vmap(lambda key: episode_outcome(play_episode(player, key)))(keys)
        return jax.tree.map(jnp.nanmean, outcomes)

    return lambda network_params: {name: float(value) for name, value in play(network_params).items()}


@functools.cache
def play_scripted(env_id: str, env_kwargs: tuple[tuple[str, Any], ...], num_episodes: int) -> dict[str, float]:
    """The mean collective return of each scripted policy in self-play, and of random play."""
    env = jaxdilemmas.make(env_id, **dict(env_kwargs))
    returns = {}
    for name, maker in scripted_policies(env).items():
        outcomes = play_many(scripted_player(env, maker(env)), jax.random.key(0), num_episodes)
        returns[name] = round(float(outcomes["collective_return"].mean()), 4)
    return returns


def best_scripted(returns: dict[str, float]) -> dict[str, float | None]:
    """The returns of random play, of the best selfish policy and of the best cooperative one; None if there is none."""
    selfish = [value for name, value in returns.items() if name not in ("random", *COOPERATIVE)]
    cooperative = [value for name, value in returns.items() if name in COOPERATIVE]
    return {
        "random": returns["random"],
        "selfish": max(selfish, default=None),
        "cooperative": max(cooperative, default=None),
    }


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.learning`."""
    options = make_parser().parse_args(argv)
    for name in options.experiments:
        require(name in EXPERIMENTS, "experiment", name, f"one of {', '.join(EXPERIMENTS)}")
    names = [name for name in options.experiments or EXPERIMENTS if game_of(name) in (options.games or [game_of(name)])]
    trained: dict[str, RunDirectory] = {}
    if not options.table_only:
        print_header(COLUMNS)
        for experiment in names:
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            trained[experiment] = train(experiment, seeds, options.runs_dir)
            row = {"game": experiment, "command": f"python -m baselines.ippo {EXPERIMENTS[experiment].options}"}
            report(row | measure(experiment, trained[experiment], options.episodes), options.output, COLUMNS)
    write_table(options.output, options.page)
    if options.picture and trained:
        draw(trained, IMAGES / f"{options.picture}.png")


def make_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    games = sorted({game_of(name) for name in EXPERIMENTS})
    parser.add_argument("experiments", nargs="*", help=f"all by default: {', '.join(EXPERIMENTS)}")
    parser.add_argument("--games", nargs="+", choices=games, help="only the experiments of these games")
    parser.add_argument("--seeds", type=count_from(1), default=5, help="number of seeds to train")
    parser.add_argument(
        "--first-seed",
        type=count_from(0),
        default=FIRST_REPORTED_SEED,
        help="first seed; below 100 for trials, not for results",
    )
    parser.add_argument("--episodes", type=count_from(2), default=100, help="episodes of each seed's final parameters")
    parser.add_argument("--picture", help="name of a picture of these experiments in docs/images; bands are over seeds")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RESULTS / "learning.jsonl", help="rows are added to this file")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose table is written")
    parser.add_argument("--table-only", action="store_true", help="only writes the table, without measuring")
    return parser


if __name__ == "__main__":
    main()
