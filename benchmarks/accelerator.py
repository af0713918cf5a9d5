"""Measures an accelerator: all that there is to measure, most important first, within some minutes.

    python -m benchmarks.accelerator
    python -m benchmarks.accelerator --minutes 8 --games cleanup_meltingpot harvest
    python -m benchmarks.accelerator --quick

Each measurement is a command of this folder in a process of its own, since a device counts the memory of a process, and
since a measurement that fails, or for which the time ends, then leaves the others alone. Every row is written when it
is measured, and so is the table of the rows so far, beside the file of rows. `benchmarks.roofline` has bounds on paper.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from baselines.analysis.tables import markdown_table
from baselines.runs.terminal import as_command
from benchmarks.reporting import count_from, make_parser
from benchmarks.training import GAMES as TRAINED
from jaxdilemmas import registration
from jaxdilemmas.arguments import require

FIRST = ("cleanup_meltingpot", "harvest", "gathering", "gems", "overcooked", "commons_gallego", "cleanup_gallego")
GAMES = (*FIRST, *(name for name in registration.registered_envs() if name not in FIRST))
"""In the order in which they are measured; the first one is measured in every way."""

MOST_OF_TIME = 0.25
"""Part of the time that one measurement may take: compiling cannot be interrupted, so its process is ended."""


class Sizes(NamedTuple):
    """How much is measured: environments side by side, most important first, and options of the commands."""

    num_envs: tuple[int, ...]
    most_envs: int
    play: tuple[str, ...]
    train: tuple[str, ...]


FULL = Sizes((16_384, 1_024, 65_536), 262_144, ("--num-steps", "256"), ("--num-updates", "20"))
QUICK = Sizes((4,), 8, ("--num-steps", "4"), ("--num-updates", "1"))


def commands(games: Sequence[str], sizes: Sizes) -> list[tuple[str, ...]]:
    """Benchmarks and their options, most important first."""
    first, *others = games

    def play(game: str, num_envs: int, *keep: str) -> tuple[str, ...]:
        return (
            "throughput",
            "--games",
            game,
            "--observations",
            "tiles",
            "--num-envs",
            str(num_envs),
            *sizes.play,
            *keep,
        )

    def train(games: Sequence[str]) -> list[tuple[str, ...]]:
        return [("training", "--games", game, *sizes.train) for game in games if game in TRAINED]

    usual = sizes.num_envs[0]
    return [
        *(play(first, num_envs) for num_envs in sizes.num_envs),
        *train([first]),
        *(play(first, usual, "--keep", kept) for kept in ("branches", "calls")),
        ("floor", "--game", first, "--num-envs", str(usual), *sizes.play),
        *(play(game, usual) for game in others),
        ("memory", "--game", first, "--num-envs", str(sizes.most_envs)),
        *train(others),
    ]


def measure(command: Sequence[str], output: Path, seconds: float) -> list[dict[str, Any]]:
    """Runs one command for at most some seconds; the rows that it wrote, and a line if it did not end well."""
    before = len(_lines(output))
    whole = [sys.executable, "-m", f"benchmarks.{command[0]}", *command[1:], "--output", str(output)]
    try:
        code = subprocess.run(whole, stdout=subprocess.DEVNULL, timeout=seconds).returncode
        end = f"exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        end = f"not finished in {seconds:.0f} seconds"
    rows = [json.loads(line) for line in _lines(output)[before:]]
    print(f"{' '.join(command)}: {end or f'{len(rows)} rows'}", flush=True)
    return rows


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def table_row(command: Sequence[str], row: dict[str, Any]) -> dict[str, Any]:
    """A row of results as a row of the table."""
    speed = row.get("env_steps_per_second")
    return {
        "measured": " ".join([command[0], *row.get("keep", [])]),
        "game": row["game"],
        "observation": row.get("observation", ""),
        "environments": row["num_envs"],
        "env steps/s, median": f"{speed['median']:,}" if speed else "",
        "seconds to compile": row.get("compile_seconds", ""),
        "megabytes at the peak of the process": round(row["peak_memory_mb"]),
    }


def write_table(path: Path, device: str, rows: Sequence[dict[str, Any]]) -> str:
    """Writes and returns the table, under a line with the name of the device."""
    text = f"Device: {device}\n\n{markdown_table(rows)}"
    path.write_text(text, encoding="utf-8")
    return text


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.accelerator`; this process itself leaves the device alone."""
    start = time.monotonic()
    parser = make_parser("accelerator", __doc__)
    parser.add_argument("--minutes", type=count_from(1), default=8, help="time for everything; 8 by default")
    parser.add_argument("--games", nargs="+", default=GAMES, help="ids of games; the first is measured in every way")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    options = parser.parse_args(argv)
    require(options.output.suffix != ".md", "output", str(options.output), "a file of rows; the table beside it is .md")
    for game in options.games:
        registration.registered_class(game)
    budget, found, text = 60 * options.minutes, [], ""
    for case in commands(options.games, QUICK if options.quick else FULL):
        left = budget - (time.monotonic() - start)
        if left <= 0:
            break
        command = (*case, "--repeats", str(options.repeats))
        for row in measure(command, options.output, min(left, MOST_OF_TIME * budget)):
            found.append(table_row(command, row))
            text = write_table(options.output.with_suffix(".md"), row["device"], found)
    if not found:
        sys.exit("error: nothing was measured")
    print(f"\n{text}", end="")


if __name__ == "__main__":
    main()
