"""What agents learn: trains several seeds with the command line, plays what was learnt, and draws the curves.

    python -m benchmarks.learning gathering --seeds 5
    python -m benchmarks.learning large_common large_individual --seeds 3 --jobs 2
    python -m benchmarks.learning cleanup_individual cleanup_common cleanup_inequity_averse --seeds 5 --picture cleanup

Each seed is a run of its own under `--runs-dir`, one after the other unless `--jobs` says how many run side by side; a
seed that was interrupted is resumed. Each experiment adds a row of JSON to benchmarks/results/learning.jsonl
and a picture to docs/images, or all together one picture with bands over seeds, if `--picture` names it.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from baselines.playing import load_player, play_many
from baselines.training.curves import plot_learning_curve
from baselines.training.runs import RunDirectory
from baselines.training.table import read_metrics
from baselines.training.terminal import as_command
from benchmarks.reporting import RESULTS, print_header, report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGE = "--env gathering_gallego --env-kwargs map=large num_agents=10"

EXPERIMENTS = {
    "gathering": "--env gathering --total-env-steps 2000000",
    "gathering_no_beam": "--env gathering --env-kwargs beam_enabled=False --total-env-steps 1000000",
    "large_individual": f"{LARGE} --total-env-steps 800000",
    "large_common": f"{LARGE} --reward common --reward-scale 0.3 --gae-lambda 0.8 --total-env-steps 800000",
    "cleanup_common": "--env cleanup --reward common --total-env-steps 1600000",
    "cleanup_individual": "--env cleanup --reward individual --total-env-steps 1600000",
    "cleanup_inequity_averse": "--env cleanup --reward inequity_averse --total-env-steps 1600000",
    "harvest_common": "--env harvest --reward common --reward-scale 0.2 --total-env-steps 192000",
    "harvest_individual": "--env harvest --reward individual --total-env-steps 192000",
    "harvest_inequity_averse": "--env harvest --reward inequity_averse --reward-scale 0.2 --total-env-steps 192000",
}
"""Options of `python -m baselines.ippo`; all else comes from `baselines.presets` and `baselines.ippo.Config`."""

PANELS = {
    "collected": "apples per step",
    "cleaned": "cells cleaned per step",
    "fined": "hits per step",
    "efficiency": "efficiency",
    "equality": "equality",
    "sustainability": "sustainability",
    "peace": "peace",
}
"""What the picture of several experiments shows, with titles: sums over agents of rates, and the four metrics."""

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


def compare(experiments: dict[str, Sequence[RunDirectory]], path: Path) -> None:
    """Draws the curves of several experiments into one picture: means over seeds with 95 % confidence bands."""
    from matplotlib.figure import Figure

    curves = {
        experiment: [read_curves(directory.metrics) for directory in directories]
        for experiment, directories in experiments.items()
    }
    names = [name for name in PANELS if all(name in curve for seeds in curves.values() for curve in seeds)]
    figure = Figure(figsize=(12, 6), layout="constrained")
    grid = figure.subplots(2, -(-len(names) // 2)).flat
    for name, panel in zip(names, grid, strict=False):
        for experiment, seeds in curves.items():
            draw_band(panel, seeds[0]["env_steps"] / 1e6, np.array([curve[name] for curve in seeds]), experiment)
        panel.set_title(PANELS[name], fontsize="medium")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
    for panel in list(grid):
        panel.axis("off")
    figure.supxlabel("million env steps")
    figure.axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def read_curves(metrics_path: Path) -> dict[str, np.ndarray]:
    """The panels of one seed and `env_steps`, a number for each round of episodes, which all environments end together.

    Rates are sums over agents, means over the updates of the round; the metrics are those of the round's last update.
    """
    table = read_metrics(metrics_path)
    is_end = ~np.isnan(table["efficiency"])
    updates = int(is_end.argmax()) + 1
    rounds = len(is_end) // updates
    curves = {}
    for name in ("env_steps", *PANELS):
        agents = [column for key, column in table.items() if key.rpartition("_")[0] == name]
        if agents or name in table:
            values = np.sum(agents, axis=0) if agents else table[name]
            values = values[: rounds * updates].reshape(rounds, updates)
            curves[name] = values.mean(1) if agents else values[:, -1]
    return curves


def draw_band(panel: "Axes", env_steps: np.ndarray, values: np.ndarray, label: str) -> None:
    """The mean over seeds of `values` `[S, T]` and, of several seeds, its 95 % confidence interval by Student's t."""
    from scipy.stats import t

    mean, seeds = values.mean(0), len(values)
    (line,) = panel.plot(env_steps, mean, label=label)
    if seeds > 1:
        half = t.ppf(0.975, seeds - 1) * values.std(0, ddof=1) / np.sqrt(seeds)
        panel.fill_between(env_steps, mean - half, mean + half, color=line.get_color(), alpha=0.2, linewidth=0)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.learning`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("experiments", nargs="+", choices=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, default=3, help="trained from 0 on")
    parser.add_argument("--episodes", type=int, default=100, help="played with each seed's final parameters")
    parser.add_argument("--jobs", type=int, default=1, help="seeds trained side by side")
    parser.add_argument("--picture", help="name of one picture of all these experiments in docs/images")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RESULTS / "learning.jsonl", help="rows are added to this file")
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    trained: dict[str, Sequence[RunDirectory]] = {}
    for experiment in options.experiments:
        with ThreadPoolExecutor(options.jobs) as pool:
            runs = [pool.submit(train, experiment, seed, options.runs_dir) for seed in range(options.seeds)]
            directories = [run.result() for run in runs]
        trained[experiment] = directories
        if not options.picture:
            draw(experiment, directories)
        row = {"game": experiment, "command": f"python -m baselines.ippo {EXPERIMENTS[experiment]}"}
        report(row | measure(directories, options.episodes), options.output, COLUMNS)
    if options.picture:
        compare(trained, IMAGES / f"{options.picture}.png")


if __name__ == "__main__":
    main()
