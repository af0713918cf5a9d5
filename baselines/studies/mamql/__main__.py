"""The command that studies MAMQL: `python -m baselines.studies.mamql --recording gems_expert.npz --output runs/study`.

Imitators learn from demonstrations of Gems and other games, play, and say what rewards they recovered. A row is on disk
as soon as it is done: the same command goes on where it was interrupted and adds what more stages, methods, sizes or
seeds ask for. In the end, and with all done already, it writes tables, pictures and results.md. With --quick it makes
a part of the study in about ten minutes, on a scripted expert; other options are then changes to that part.
"""

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import tyro
from rich.console import Console

from baselines.analysis.tables import Row, write_csv
from baselines.disk.writing import hold, save_figure, write_file
from baselines.runs.directory import describe_machine
from baselines.runs.terminal import as_command
from baselines.studies.mamql import mamql_findings, mamql_pictures
from baselines.studies.mamql.budgets import budget_rows
from baselines.studies.mamql.mamql_report import Tables, fill_page, make_tables, write_results
from baselines.studies.mamql.options import Options, quick_options
from baselines.studies.mamql.stages import NUM_PHASES, prepare, run_piece
from baselines.studies.processes import run_side_by_side
from baselines.studies.progress import Board
from baselines.studies.record import as_stored, read_training, write_record
from jaxdilemmas.environment import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUICK = "--quick"
"""Stands for other defaults, so that it is no option of `Options`."""

PLAIN_SECONDS = 10
"""From one line about the progress to the next."""

CURVES: dict[str, tuple[str, tuple[str, ...]]] = {
    "returns": ("play", ("return", "success", "length")),
    "behaviour": ("behaviour", ("cross_entropy", "joint_disagreement")),
    "recovery": ("recovery", ("raw_pearson_alone", "raw_pearson", "raw_pearson_running")),
    "fitted": ("fitted", ("fitted_pearson_alone", "fitted_pearson_other_alone", "fitted_pearson")),
}
"""Pictures of each expert on Gems: the table that they show, and what of it."""


def begin(options: Options) -> None:
    """Makes the directory, or checks that the rows in it are of the same kind.

    Raises:
      ValueError: the directory holds something else, or rows under other options or settings.
    """
    training, stored = as_stored(options.training()), read_training(options.output)
    write_record(options.output, add_training(options, stored, training) if stored else training, options)


def add_training(options: Options, stored: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """What is stored with what is new, experts and configs by name.

    Raises:
      ValueError: they differ; or the study is older than its settings, which then cannot be compared, and asks for more
        rows than it has.
    """
    if "configs" not in stored:
        missing = sum(not options.row_file(piece).is_file() for piece in options.pieces)
        require(not missing, "output", str(options.output), f"no settings are stored for the rows, and {missing} lack")
        return stored
    both = dict(stored)
    for name, value in training.items():
        if name in ("experts", "configs"):
            for part, new in value.items():
                _check_same(options, f"{name}: {part}", stored[name].get(part, new), new)
            both[name] = stored[name] | value
        elif value is not None:
            _check_same(options, name, value if stored[name] is None else stored[name], value)
            both[name] = value
    return both


def _check_same(options: Options, name: str, stored: Any, new: Any) -> None:
    """Raises a ValueError that says what differs."""
    if isinstance(stored, dict) and isinstance(new, dict):
        for part in stored | new:
            _check_same(options, f"{name}, {part}", stored.get(part), new.get(part))
    require(new == stored, name, new, f"the study in {options.output} has {stored!r}")


def work(options: Options, console: Console) -> None:
    """Does what is not done yet, and says how far it is.

    Raises:
      ValueError: demonstrations cannot be made.
    """
    pieces = options.pieces
    todo = [piece for piece in pieces if not options.row_file(piece).is_file()]
    console.print(f"{len(pieces) - len(todo)}/{len(pieces)} rows are there")
    for reason in options.left_out:
        console.print(f"left out: {reason}")
    prepare(options)
    last_time = time.monotonic()

    def show(board: Board) -> None:
        nonlocal last_time
        if time.monotonic() - last_time > PLAIN_SECONDS:
            last_time = time.monotonic()
            num_done = sum(options.row_file(piece).is_file() for piece in pieces)
            console.print(f"{num_done}/{len(pieces)} rows, {board.describe()}")

    board = Board([f"{piece.stage} {piece.model}" for piece in todo], [NUM_PHASES[piece.stage] for piece in todo])
    run_side_by_side(partial(run_piece, options), todo, min(options.jobs, max(1, len(todo))), board, show)


def conclude(options: Options) -> None:
    """Writes the tables, the pictures and the results, and the page if one is named.

    Raises:
      ValueError: the page has no place for results.
    """
    rows = mamql_findings.read_rows(options)
    training = read_training(options.output)
    budgets = budget_rows(training.get("configs", {}), options.explored)
    tables = ({"budgets": budgets} if budgets else {}) | make_tables(rows)
    for name, table in tables.items():
        write_csv(options.output / f"{name}.csv", table)
    figures = draw(tables, rows)
    for name, figure in figures.items():
        save_figure(options.output / f"{name}.png", figure)
    here = {name: f"{name}.png" for name in figures}
    results = write_results(options, tables, here, describe_machine())
    write_file(options.output / "results.md", results)
    if options.page is not None:
        folder = options.page.parent / "images"
        for name in figures:
            write_file(folder / f"mamql_{name}.png", (options.output / f"{name}.png").read_bytes())
        there = {name: f"images/mamql_{name}.png" for name in figures}
        text = write_results(options, tables, there, describe_machine())
        page = options.page.read_text(encoding="utf-8")
        write_file(options.page, fill_page(page, text))


def draw(tables: Tables, rows: list[Row]) -> "dict[str, Figure]":
    """Curves of stage table, an expert a figure."""
    figures = {}
    levels = {row["expert"]: row["expert_return"] for row in mamql_findings.of_stage(rows, "table")}
    for expert, level in levels.items():
        for name, (table, columns) in CURVES.items():
            own = [row for row in tables.get(table, []) if row["expert"] == expert]
            if own:
                figure = mamql_pictures.curves(own, columns, f"Gems, expert: {expert}")
                figures[f"{name}_{expert}"] = figure
        mamql_pictures.add_level(figures[f"returns_{expert}"], level, "expert")
    return figures


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.studies.mamql`."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    start_time = time.monotonic()
    arguments = sys.argv[1:] if argv is None else list(argv)
    options = read_options(arguments)
    begin(options)
    with hold(options.output):
        work(options, console)
        conclude(options)
    seconds = time.monotonic() - start_time
    console.print(f"results.md, tables and pictures are in {options.output}, after {seconds:.0f} s")


def read_options(arguments: Sequence[str]) -> Options:
    """The options of the command line; where it says nothing the default ones, or with --quick those of that."""
    return tyro.cli(
        Options,
        prog="python -m baselines.studies.mamql",
        description=__doc__,
        args=[argument for argument in arguments if argument != QUICK],
        default=quick_options() if QUICK in arguments else tyro.MISSING_NONPROP,
    )


if __name__ == "__main__":
    main()
