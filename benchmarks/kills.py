"""Checks that training survives SIGKILL: a run that is killed many times must end bitwise as an undisturbed run.

    python -m benchmarks.kills
    python -m benchmarks.kills --algorithms ippo --kills 5

First a run is trained without interruption. Then the same run is started in its own process, killed at a random moment,
resumed, killed, and so on. When it ends, it is compared with the first run, and the next run begins. This repeats until
the requested number of kills is reached. A kill must never reduce the number of rows in metrics.csv.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from baselines.runs.directory import RunDirectory
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from baselines.runs.terminal import as_command
from benchmarks.reporting import make_parser, print_header, report

COLUMNS = ("algorithm", "kills", "kills_before_first_row", "runs", "rows_lost", "runs_that_differ")
SMALL = ("--hidden-size", "8", "--num-envs", "4", "--rollout-steps", "8", "--checkpoint-every", "7")
OPTIONS: dict[str, tuple[str, ...]] = {
    "ippo": (*SMALL, "--env", "gathering", "--num-minibatches", "4", "--total-env-steps", "19200"),
    "networked": (
        "--env",
        "common_pool",
        "--hidden-size",
        "8",
        "--checkpoint-every",
        "7",
        "--total-env-steps",
        "40000",
    ),
    "mamql": ("--env", "gems", "--hidden-size", "8", "--checkpoint-every", "7", "--gradient-steps", "30000"),
}
"""Options of runs that take some seconds."""


def start(algorithm: str, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Starts the command in its own process."""
    command = [sys.executable, "-m", f"baselines.{algorithm}", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(algorithm: str, options: Sequence[str]) -> None:
    """Runs the command to its end.

    Raises:
      ValueError: the command failed.
    """
    if start(algorithm, options).wait():
        raise ValueError(f"python -m baselines.{algorithm} {' '.join(options)} failed")


def num_rows(run: RunDirectory) -> int:
    """The number of complete rows of metrics.csv."""
    return run.metrics.read_bytes().count(b"\n") if run.metrics.is_file() else 0


def kill_somewhere(algorithm: str, run: RunDirectory, options: Sequence[str], rng: random.Random) -> bool:
    """Starts or resumes a run and kills it at a random moment; returns whether it was killed before it ended.

    One kill in five happens while the program starts, the others after it has written rows.
    """
    process = start(algorithm, options)
    before, is_early = num_rows(run), rng.random() < 0.2
    deadline = time.monotonic() + (rng.uniform(0, 10) if is_early else 600)
    while process.poll() is None and time.monotonic() < deadline and (is_early or num_rows(run) <= before):
        time.sleep(0.01)
    if not is_early:
        time.sleep(rng.uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def is_same(first: RunDirectory, second: RunDirectory) -> bool:
    """Whether rows (without the timing) and parameters are bitwise the same."""
    tables = [read_metrics(run.metrics) for run in (first, second)]
    are_rows = all(
        (tables[0][name].tobytes() == tables[1][name].tobytes()) for name in tables[0] if name not in TIMING_COLUMNS
    )
    return are_rows and first.parameters(100).read_bytes() == second.parameters(100).read_bytes()


def measure(algorithm: str, num_kills: int, folder: Path) -> dict[str, Any]:
    """Kills and resumes runs until there were `num_kills` kills."""
    rng = random.Random(0)
    row = dict.fromkeys(COLUMNS[1:], 0)
    options = [*OPTIONS[algorithm], "--seed", "100", "--runs-dir", str(folder)]
    if algorithm == "mamql":
        path = str(folder / "gems.demos")
        finish("demonstrate", ["--env", "gems", "--policy", "greedy", "--transitions", "500", "--output", path])
        options += ["--demonstrations", path]
    finish(algorithm, [*options, "--name", f"{algorithm}-whole"])
    while row["kills"] < num_kills:
        run = RunDirectory(folder / f"{algorithm}-{row['runs']}")
        where = ["--runs-dir", str(folder), "--name", run.path.name]
        while not run.parameters(100).is_file():
            rows = num_rows(run)
            arguments = [*where, "--resume"] if run.path.exists() else [*options, "--name", run.path.name]
            if row["kills"] == num_kills:
                finish(algorithm, arguments)
            elif kill_somewhere(algorithm, run, arguments, rng):
                row["kills"] += 1
                row["kills_before_first_row"] += not num_rows(run)
            row["rows_lost"] += max(0, rows - num_rows(run))
        row["runs"] += 1
        row["runs_that_differ"] += not is_same(RunDirectory(folder / f"{algorithm}-whole"), run)
    return {"algorithm": algorithm} | row


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.kills`."""
    parser: argparse.ArgumentParser = make_parser("kills", __doc__)
    parser.add_argument("--algorithms", nargs="+", choices=list(OPTIONS), default=list(OPTIONS))
    parser.add_argument("--kills", type=int, default=30, help="number of kills of each algorithm")
    options = parser.parse_args(argv)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    print_header(COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for algorithm in options.algorithms:
            report(measure(algorithm, options.kills, Path(folder)), options.output, COLUMNS)


if __name__ == "__main__":
    main()
