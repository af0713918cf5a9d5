"""The runner that all studies share. A study is a list of stages, and a stage is one object.

A stage divides its work into pieces. The runner does every piece that is not on disk yet, several pieces at a time, and
prints how long the rest will take. So the same command continues a study that was interrupted, and adds the pieces that
other options ask for. Then the runner writes the tables and pictures of every stage, and a page that shows them all.
"""

import dataclasses
import datetime
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from baselines.analysis.tables import Row, markdown_table, write_csv
from baselines.disk.schema import Lines, Plain, as_tuples, check_fields, load_json, save_json
from baselines.disk.writing import check_links, hold, save_figure, write_file
from baselines.runs.directory import describe_machine
from jaxdilemmas.arguments import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "study.json"
PAGE = "results.md"

SHOWN = 4
"""The largest number of pieces at work that a line about the progress names."""

PLAIN_SECONDS = 10
"""Seconds from one line about the progress to the next."""

ONE_CORE = "--xla_cpu_multi_thread_eigen=false"
"""A flag of XLA. Small networks are faster on one core than on several, so each process uses one core."""


class Table(NamedTuple):
    """A table of a stage.

    Attributes:
      make: (options, what `Stage.find` returns) -> rows.
      text: a sentence about the table, for the page; a table without a text is a CSV file alone.
      show: rows of the file -> rows of the page.
    """

    make: Callable[[Any, Any], list[Row]]
    text: str = ""
    show: Callable[[list[Row]], list[Row]] = list


def nothing(*_: Any) -> Any:
    """The function of a stage that has no pieces, no tables or no pictures; see `Stage`."""
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a study. One without pieces only makes tables, one without `find` only does work.

    Attributes:
      name: of the stage.
      pieces: options -> the pieces of work, in the order in which they begin, or None. A piece can be pickled, and its
        `label` differs from those of the other pieces.
      is_done: (options, piece) -> whether the piece is on disk.
      work: (options, piece) -> None: does the piece and writes it. It can be pickled, and it calls `report` at the
        start of each phase.
      num_phases: (options, piece) -> the largest number of phases that the piece reports.
      find: options -> what the pieces left on disk; None if there is nothing, and then there are no tables.
      tables: by the name of the file.
      figures: (options, what `find` returns) -> pictures by the name of the file, or None.
    """

    name: str
    pieces: Callable[[Any], Sequence[Any] | None] = nothing
    is_done: Callable[[Any, Any], bool] = nothing
    work: Callable[[Any, Any], None] = nothing
    num_phases: Callable[[Any, Any], int] = lambda options, piece: 1
    find: Callable[[Any], Any] = nothing
    tables: Mapping[str, Table] = dataclasses.field(default_factory=dict)
    figures: "Callable[[Any, Any], dict[str, Figure] | None]" = nothing


def conduct(stages: Sequence[Stage], options: Any, console: Console, growing: Sequence[str] = ()) -> None:
    """Makes a study, or continues it.

    Args:
      stages: of the study; a stage begins when the one before it is done.
      options: of the command, a frozen dataclass. `output` is the directory, `jobs` the number of pieces at work at a
        time, `summary` a sentence for the page, and `training()` what all results in the directory have in common:
        a dict for JSON, None for what these options leave open.
      console: where the progress is printed.
      growing: see `begin`.

    Raises:
      ValueError: as `begin`, or a stage refuses what it finds on disk.
    """
    start_time = time.monotonic()
    begin(options, growing)
    with hold(options.output):
        work(stages, options, console)
        conclude(stages, options)
    seconds = time.monotonic() - start_time
    console.print(f"{PAGE}, tables and pictures are in {options.output}, after {seconds:.0f} s")


# The record of a study


@dataclasses.dataclass(frozen=True)
class StudyRecord:
    """The content of study.json, by which a study is recognised when it is continued.

    Attributes:
      training: what all results in the directory have in common.
      options: of the last command.
      about: the device and the versions of the last command.
    """

    training: Plain
    options: Plain = dataclasses.field(default_factory=dict)
    about: Lines = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)


def begin(options: Any, growing: Sequence[str] = ()) -> None:
    """Makes the directory of a study with its study.json, or checks that the study in it is of the same kind.

    Args:
      options: of the command.
      growing: entries of `options.training()` that hold parts by name. The study may gain parts; a part never changes.

    Raises:
      ValueError: the directory holds something else, or results under other options or settings.
    """
    training: dict[str, Any] = as_tuples(json.loads(json.dumps(options.training())))
    stored = read_training(options.output)
    for name, value in training.items() if stored else ():
        require(name in stored, "output", str(options.output), f"a study of this version; its study.json lacks {name}")
        old = stored[name]
        if name in growing:
            require(isinstance(old, dict), f"{options.output / FILE}: {name}", old, "an object of parts by name")
            for part in value.keys() & old.keys():
                _require_same(options.output, f"{name}: {part}", old[part], value[part])
            training[name] = old | value
        elif old is None or value is None:
            training[name] = old if value is None else value
        else:
            _require_same(options.output, name, old, value)
    plain = json.loads(json.dumps(dataclasses.asdict(options), default=str))
    save_json(options.output / FILE, StudyRecord(training, plain, describe_machine()))


def read_training(output: Path) -> dict[str, Any]:
    """The entry `training` of study.json; empty if there is no such directory.

    Raises:
      ValueError: the directory holds no study, study.json was altered, or a symbolic link leads out of the directory.
    """
    if not output.exists():
        return {}
    require((output / FILE).is_file(), "output", str(output), "a new directory, or one with a study")
    check_links(output)
    return load_json(output / FILE, StudyRecord).training


def _require_same(output: Path, name: str, old: Any, new: Any) -> None:
    """Raises a ValueError that names the first entry that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for part in old | new:
            _require_same(output, f"{name}, {part}", old.get(part), new.get(part))
    require(new == old, name, new, f"the study in {output} has {old!r}")


# The work


def work(stages: Sequence[Stage], options: Any, console: Console) -> None:
    """Does every piece of every stage that is not done yet, and prints the progress."""
    found = [(stage, stage.pieces(options) or ()) for stage in stages]
    todo = [(stage, [piece for piece in pieces if not stage.is_done(options, piece)]) for stage, pieces in found]
    total = sum(len(pieces) for _, pieces in found)
    num_done = total - sum(len(pieces) for _, pieces in todo)
    console.print(f"{num_done}/{total} pieces of work are done")
    board = Board({f"{stage.name} {p.label}": stage.num_phases(options, p) for stage, some in todo for p in some})
    last_time = time.monotonic()

    def show(board: Board) -> None:
        nonlocal last_time
        if time.monotonic() - last_time > PLAIN_SECONDS:
            last_time = time.monotonic()
            console.print(f"{num_done + board.num_done}/{total} pieces, {board.describe()}")

    for stage, pieces in todo:
        named = {f"{stage.name} {piece.label}": piece for piece in pieces}
        run_side_by_side(partial(stage.work, options), named, options.jobs, board, show)


_send: Callable[[str], None] | None = None
"""Where `report` goes in this process."""


def report(phase: str) -> None:
    """Reports, from within a piece of work, which phase of it begins."""
    if _send is not None:
        _send(phase)


def _send_reports_to(send: Callable[[str], None] | None) -> None:
    global _send
    _send = send


class Board:
    """How far the work is.

    Args:
      num_phases: how many phases each piece has, by the name of the piece.
    """

    def __init__(self, num_phases: Mapping[str, int]) -> None:
        self._num_phases = num_phases
        self._start_time = time.monotonic()
        self._at_work: dict[str, tuple[float, list[str]]] = {}  # when a piece began, and the phases that it reported
        self._seconds: list[float] = []  # that each piece took

    def begin(self, name: str) -> None:
        """A piece begins."""
        self._at_work[name] = time.monotonic(), []

    def enter(self, name: str, phase: str) -> None:
        """A piece at work enters a phase."""
        self._at_work[name][1].append(phase)

    def end(self, name: str) -> None:
        """A piece is done."""
        self._seconds.append(time.monotonic() - self._at_work.pop(name)[0])

    @property
    def num_done(self) -> int:
        """How many pieces are done."""
        return len(self._seconds)

    @property
    def share_done(self) -> float:
        """The share of the work that is done: pieces that are done, and parts of pieces at work.

        The part of a piece at work is its time over the mean time of a piece. Before any piece is done, it is the
        number of phases behind it and half of its phase, over the number of its phases.
        """
        return (self.num_done + sum(map(self._part_done, self._at_work))) / max(1, len(self._num_phases))

    def _part_done(self, name: str) -> float:
        start_time, phases = self._at_work[name]
        if not self._seconds:
            return (len(phases) - 0.5) / self._num_phases[name] if phases else 0.0
        mean = sum(self._seconds) / len(self._seconds)
        return min(0.95, (time.monotonic() - start_time) / max(mean, 1e-9))

    def describe(self) -> str:
        """The time left, by the mean speed so far, and the pieces at work."""
        now, share = time.monotonic(), self.share_done
        left = datetime.timedelta(seconds=round((now - self._start_time) / share * (1 - share))) if share else None
        words = ["time left -" if left is None else f"time left about {left}"]
        for name, (start_time, phases) in list(self._at_work.items())[:SHOWN]:
            words.append(f"{name}: {phases[-1] if phases else 'starting'}, {now - start_time:.0f} s")
        rest = len(self._at_work) - SHOWN
        return "; ".join([*words, f"and {rest} more"] if rest > 0 else words)


Work = Callable[[Any], None]
Hear = Callable[[Board], None]


def run_side_by_side(
    work: Work, pieces: Mapping[str, Any], jobs: int, board: Board, hear: Hear, poll_seconds: float = 1.0
) -> None:
    """Does pieces of work in their order.

    With one job the work is done in this process, else in processes of their own.

    Args:
      work: does a piece; it and the pieces can be pickled.
      pieces: by their names on the board.
      jobs: the number of pieces at work at a time.
      board: of these pieces; there may be others on it.
      hear: is called with the board every `poll_seconds`; with one job at every report and at the end of every piece.
      poll_seconds: see `hear`.

    Raises:
      Exception: what stopped a process; the other processes are stopped too.
    """
    if jobs == 1 or not pieces:
        _run_here(work, pieces, board, hear)
        return
    context = multiprocessing.get_context("spawn")
    reports = context.SimpleQueue()
    with ProcessPoolExecutor(min(jobs, len(pieces)), context, _start_process, (reports,)) as pool:
        futures = [pool.submit(_run_piece, work, name, piece) for name, piece in pieces.items()]
        try:
            _watch(futures, reports, board, hear, poll_seconds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _run_here(work: Work, pieces: Mapping[str, Any], board: Board, hear: Hear) -> None:
    for name, piece in pieces.items():

        def enter(phase: str, name: str = name) -> None:
            board.enter(name, phase)
            hear(board)

        _send_reports_to(enter)
        board.begin(name)
        try:
            work(piece)
        finally:
            _send_reports_to(None)
        board.end(name)
        hear(board)


def _watch(futures: list[Future[None]], reports: Any, board: Board, hear: Hear, poll_seconds: float) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, poll_seconds, FIRST_EXCEPTION)
        while not reports.empty():
            action, *arguments = reports.get()
            getattr(board, action)(*arguments)
        for future in done:
            future.result()
        hear(board)


_reports: Any = None
"""In a process of a pool, the queue of calls of methods of `Board`."""


def _start_process(reports: Any) -> None:
    """The first call in a process of a pool."""
    global _reports
    _reports = reports
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}"


def _run_piece(work: Work, name: str, piece: Any) -> None:
    """Does a piece of work in a process of a pool."""
    _send_reports_to(lambda phase: _reports.put(("enter", name, phase)))
    _reports.put(("begin", name))
    work(piece)
    _reports.put(("end", name))


# The results


def conclude(stages: Sequence[Stage], options: Any) -> None:
    """Writes the tables, the pictures and the page."""
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    parts = [f"# Results\n\n{options.summary}\n\n{machine}\n"]
    for stage in stages:
        found = stage.find(options)
        if found is None:
            continue
        for name, figure in (stage.figures(options, found) or {}).items():
            save_figure(options.output / f"{name}.png", figure)
            parts.append(f"![{as_title(name)}]({name}.png)\n")
        for name, table in stage.tables.items():
            rows = table.make(options, found)
            write_csv(options.output / f"{name}.csv", rows)
            if table.text:
                parts.append(f"### {as_title(name)}\n\n{table.text}\n\n{markdown_table(table.show(rows))}")
    write_file(options.output / PAGE, "\n".join(parts))


def as_title(name: str) -> str:
    """The name of a file as words."""
    return name.replace("_", " ").capitalize()
