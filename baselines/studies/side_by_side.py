"""The runner that all studies share. A study is a list of stages, and a stage is one object.

A stage divides its work into pieces. The runner does every piece that is not on disk yet, several pieces at a time, and
prints how long the rest will take. So the same command continues a study that was interrupted, and adds the pieces that
other options ask for. Then the runner writes the tables and pictures of every stage, and a page that shows them all.
"""

import dataclasses
import datetime
import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from baselines.analysis.tables import Row, markdown_table, write_csv
from baselines.disk.schema import Count, Lines, NumSeeds, Plain, Seed, as_tuples, check_fields, load_json, save_json
from baselines.disk.writing import check_links, hold, save_figure, write_file
from baselines.presets import FIRST_REPORTED_SEED
from baselines.runs.directory import describe_machine
from baselines.runs.options import parse_env_kwargs
from baselines.sweeping.engine import run_side_by_side
from jaxdilemmas.arguments import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "study.json"
PAGE = "results.md"


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
    """The function of a stage that has no pieces, no tables or no pictures."""
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """The options of every study, checked before anything is compiled. A subclass has `output`, the directory.

    Attributes:
      seeds: trainings of each kind.
      first_seed: the other seeds follow it; settings were chosen on seeds below 100.
      settings: of what is trained, as name=value; for trials.
      jobs: processes at work at a time.
    """

    seeds: NumSeeds = 5
    first_seed: Seed = FIRST_REPORTED_SEED
    settings: tuple[str, ...] = ()
    jobs: Count = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        check_fields(self)
        require(self.first_seed < 2**31 - self.seeds, "first_seed", self.first_seed, "seeds are below 2^31")

    @property
    def all_seeds(self) -> range:
        """The seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def chosen_settings(self, known: Collection[str]) -> dict[str, Any]:
        """The settings by name; raises a ValueError if one is not among the known ones."""
        chosen = parse_env_kwargs(self.settings)
        unknown = sorted(chosen.keys() - known)
        require(not unknown, "settings", unknown, f"of {', '.join(sorted(known))}")
        return chosen


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a study. One without pieces only makes tables, one without `find` only does work.

    Attributes:
      name: of the stage.
      pieces: options -> the pieces of work, in the order in which they begin, or None. A piece can be pickled, and
        its text (`str`) differs from those of the other pieces.
      is_done: (options, piece) -> whether the piece is on disk.
      work: (options, piece) -> None: does the piece and writes it. It can be pickled.
      find: options -> what the pieces left on disk; None if there is nothing, and then there are no tables.
      tables: by the name of the file.
      figures: (options, what `find` returns) -> pictures by the name of the file, or None.
    """

    name: str
    pieces: Callable[[Any], Sequence[Any] | None] = nothing
    is_done: Callable[[Any, Any], bool] = nothing
    work: Callable[[Any, Any], None] = nothing
    find: Callable[[Any], Any] = nothing
    tables: Mapping[str, Table] = dataclasses.field(default_factory=dict)
    figures: "Callable[[Any, Any], dict[str, Figure] | None]" = nothing


def conduct(stages: Sequence[Stage], options: Any, console: Console, growing: Sequence[str] = ()) -> None:
    """Makes a study, or continues it.

    Args:
      stages: of the study; a stage begins when the one before it is done.
      options: `StudyOptions` with `summary`, a sentence for the page, and `training()`, what all results in the
        directory have in common: a dict for JSON, None for what these options leave open.
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
    """The content of study.json: what all results share, and options, device and versions of the last command."""

    training: Plain
    options: Plain = dataclasses.field(default_factory=dict)
    about: Lines = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)


def begin(options: Any, growing: Sequence[str] = ()) -> None:
    """Makes the directory of a study with its study.json, or checks that the study in it is of the same kind.

    The study may gain parts of those entries of `options.training()` that are `growing`; a part never changes.

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
            for part in filter(old.__contains__, value):
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
      ValueError: the directory holds no study, a damaged one, or a symbolic link that leads out of the directory.
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
    """Does every piece of every stage that is not done yet, and prints after each how long the rest will take."""
    found = [(stage, stage.pieces(options) or ()) for stage in stages]
    todo = [(stage, [piece for piece in pieces if not stage.is_done(options, piece)]) for stage, pieces in found]
    total = sum(len(pieces) for _, pieces in found)
    num_before = num_done = total - sum(len(pieces) for _, pieces in todo)
    console.print(f"{num_done}/{total} pieces of work are done")
    start_time = time.monotonic()
    for stage, pieces in todo:
        for piece in run_side_by_side(partial(stage.work, options), pieces, options.jobs):
            num_done += 1
            seconds = (time.monotonic() - start_time) / (num_done - num_before) * (total - num_done)
            left = datetime.timedelta(seconds=round(seconds))
            console.print(f"{num_done}/{total} pieces, time left about {left}; done: {stage.name} {piece}")


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
