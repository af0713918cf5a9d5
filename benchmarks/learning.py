"""What agents learn: trains several seeds with the command line, plays what was learnt, and draws the curves.

    python -m benchmarks.learning gathering --seeds 5
    python -m benchmarks.learning large_common large_individual --seeds 3 --jobs 2

Each seed is a run of its own under `--runs-dir`, one after the other unless `--jobs` says how many run side by side; a
seed that was interrupted is resumed. Each experiment adds a row of JSON to benchmarks/results/learning.jsonl
and a picture to docs/images.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from baselines.playing import load_player, play_many
from baselines.training.curves import plot_learning_curve
from baselines.training.runs import RunDirectory
from baselines.training.table import read_metrics
from benchmarks.reporting import RESULTS, print_header, report

LARGE = "--env gathering_gallego --env-kwargs map=large num_agents=10"

EXPERIMENTS = {
    "gathering": "--env gathering --total-env-steps 2000000",
    "gathering_no_beam": "--env gathering --env-kwargs beam_enabled=False --total-env-steps 1000000",
    "large_individual": f"{LARGE} --total-env-steps 800000",
    "large_common": f"{LARGE} --reward common --reward-scale 0.3 --gae-lambda 0.8 --total-env-steps 800000",
}
"""Options of `python -m baselines.ippo`; all else comes from `baselines.presets` and `baselines.ippo.Config`."""

IMAGES = RESULTS.parents[1] / "docs" / "images"
COLUMNS = ("game", "seeds", "env_steps", "collective_return", "lowest", "efficiency", "peace", "seconds")


def train(experiment: str, seed: int, runs_dir: Path) -> RunDirectory:
    """Trains one seed in a process of its own, or goes on with it.

    Raises:
      CalledProcessError: training failed; what it said is in a log beside the run directory.
    """
    directory = RunDirectory(runs_dir / f"{experiment}_{seed}")
    options = ["--name", directory.path.name, "--runs-dir", str(runs_dir)]
    is_there = directory.path.exists()
    options += ["--resume"] if is_there else [*EXPERIMENTS[experiment].split(), "--seed", str(seed)]
    runs_dir.mkdir(parents=True, exist_ok=True)
    with (runs_dir / f"{directory.path.name}.log").open("a") as log:
        command = [sys.executable, "-m", "baselines.ippo", *options]
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return directory


def measure(directories: Sequence[RunDirectory], num_episodes: int) -> dict[str, Any]:
    """Plays `num_episodes` episodes of every seed: means per seed, and over seeds with the standard deviation."""
    outcomes = []
    for directory in directories:
        episodes = play_many(load_player(directory.path), jax.random.key(0), num_episodes)
        outcomes.append({name: float(values.mean()) for name, values in episodes.items()})
    each = {name: [round(outcome[name], 4) for outcome in outcomes] for name in outcomes[0]}
    tables = [read_metrics(directory.metrics) for directory in directories]
    return {
        "seeds": len(directories),
        "episodes": num_episodes,
        "env_steps": int(tables[0]["env_steps"][-1]),
        "seconds": [round(float(table["wall_seconds"][-1]), 1) for table in tables],
        "each": each,
        "lowest": min(each["collective_return"]),
    } | {name: round(float(np.mean(values)), 4) for name, values in each.items()}


def draw(experiment: str, directories: Sequence[RunDirectory]) -> None:
    """Draws the learning curves of all seeds into docs/images."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    header, *_ = directories[0].metrics.read_text().splitlines()
    rows = [row for directory in directories for row in directory.metrics.read_text().splitlines()[1:]]
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "metrics.csv"
        merged.write_text("\n".join([header, *rows]) + "\n")
        plot_learning_curve(merged, IMAGES / f"{experiment}.png", experiment.replace("_", " "))


def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.learning`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("experiments", nargs="+", choices=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, default=3, help="trained from 0 on")
    parser.add_argument("--episodes", type=int, default=100, help="played with each seed's final parameters")
    parser.add_argument("--jobs", type=int, default=1, help="seeds trained side by side")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RESULTS / "learning.jsonl", help="rows are added to this file")
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    for experiment in options.experiments:
        with ThreadPoolExecutor(options.jobs) as pool:
            runs = [pool.submit(train, experiment, seed, options.runs_dir) for seed in range(options.seeds)]
            directories = [run.result() for run in runs]
        draw(experiment, directories)
        row = {"game": experiment, "command": f"python -m baselines.ippo {EXPERIMENTS[experiment]}"}
        report(row | measure(directories, options.episodes), options.output, COLUMNS)


if __name__ == "__main__":
    main()
