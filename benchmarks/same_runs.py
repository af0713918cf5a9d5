"""Checks that two checkouts train alike: the same commands must write bitwise the same rows and parameters.

    python -m benchmarks.same_runs ../other_checkout

Use it for a change that must keep all results. Every case is trained by the command line in this checkout and in the
other one, with this Python. The other checkout records the demonstrations, so that old files are read as well. Rows are
compared without their timing, parameters array by array.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from baselines.runs.directory import RunDirectory
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from baselines.runs.terminal import as_command
from benchmarks.reporting import make_parser, print_header, report

COLUMNS = ("algorithm", "env_id", "rows", "arrays", "rows_that_differ", "arrays_that_differ")
HERE = Path(__file__).parents[1]
SMALL = ("--hidden-size", "16", "--seed", "100", "--num-seeds", "2")
PLAY = ("--num-envs", "8", "--rollout-steps", "25", "--num-minibatches", "4", "--total-env-steps", "4000")
IMITATE = ("--gradient-steps", "200", "--steps-per-update", "10")
CASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("ippo", "gathering", PLAY),
    ("ippo", "intersection", (*PLAY, "--network", "gru")),
    ("networked", "common_pool", ("--total-env-steps", "4000")),
    ("networked", "common_pool_network", ("--total-env-steps", "4000", "--protocol", "neurcomm")),
    ("mamql", "gems", IMITATE),
    ("mamql", "intersection", (*IMITATE, "--capacity", "1024")),
    ("iq_learn", "gems", (*IMITATE, "--critic", "joint")),
    ("cloning", "gems", IMITATE),
    ("cloning", "overcooked", IMITATE),
    ("adversarial", "gems", ("--total-env-steps", "5760", "--gradient-steps", "40")),
)
"""Algorithm, id of the game, options."""
POLICIES = {"gems": "greedy", "intersection": "cautious", "overcooked": "greedy"}
"""Scripted policies that are recorded for imitators."""


def call(checkout: Path, module: str, options: Sequence[str]) -> None:
    """Runs a command of a checkout.

    Raises:
      ValueError: the command failed; the message ends with its last line.
    """
    command = [sys.executable, "-m", f"baselines.{module}", *options]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"checkout={checkout}: {module} {' '.join(options)} failed: {last}")


def compare(algorithm: str, env_id: str, options: Sequence[str], other: Path, folder: Path) -> dict[str, Any]:
    """Trains one case in both checkouts; counts the columns of rows and the arrays of parameters that differ."""
    options = ["--env", env_id, *SMALL, *options]
    demonstrations = folder / f"{env_id}.demos"
    if env_id in POLICIES and algorithm not in ("ippo", "networked"):
        if not demonstrations.exists():
            what = ["--policy", POLICIES[env_id], "--transitions", "500", "--output", str(demonstrations)]
            call(other, "demonstrate", ["--env", env_id, *what])
        options += ["--demonstrations", str(demonstrations)]
    runs = []
    for name, checkout in (("here", HERE), ("other", other)):
        runs.append(RunDirectory(folder / f"{algorithm}-{env_id}-{name}"))
        call(checkout, algorithm, [*options, "--runs-dir", str(folder), "--name", runs[-1].path.name])
    tables = [read_metrics(run.metrics) for run in runs]
    columns = {name for table in tables for name in table} - {*TIMING_COLUMNS}
    empty = np.zeros(0)
    differing = [n for n in columns if tables[0].get(n, empty).tobytes() != tables[1].get(n, empty).tobytes()]
    here, there = (
        {f"{seed} {k}": v for seed in (100, 101) for k, v in load_file(run.parameters(seed)).items()} for run in runs
    )
    arrays = [name for name in here.keys() | there.keys() if not is_same(here.get(name), there.get(name))]
    return {
        "algorithm": algorithm,
        "env_id": env_id,
        "options": options,
        "rows": len(tables[0]["update"]),
        "arrays": len(here),
        "rows_that_differ": len(differing),
        "columns_that_differ": sorted(differing),
        "arrays_that_differ": len(arrays),
    }


def is_same(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    """Whether both arrays exist and have the same bytes."""
    return first is not None and second is not None and first.tobytes() == second.tobytes()


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.same_runs`."""
    parser: argparse.ArgumentParser = make_parser("same_runs", __doc__)
    parser.add_argument("checkout", type=Path, help="the other checkout")
    parser.add_argument("--algorithms", nargs="+", help="only the cases of these algorithms")
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for algorithm, env_id, settings in CASES:
            if algorithm in (options.algorithms or [algorithm]):
                rows.append(compare(algorithm, env_id, settings, options.checkout.resolve(), Path(folder)))
                report(rows[-1], options.output, COLUMNS)
    if any(row["rows_that_differ"] or row["arrays_that_differ"] for row in rows):
        sys.exit("the checkouts do not train alike")


if __name__ == "__main__":
    main()
