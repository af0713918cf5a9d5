"""The command that compares runs: `python -m baselines.compare runs/a runs/b`.

It draws returns and metrics of all runs into one picture, with 95 % intervals over seeds, and prints their final
values. Runs whose seeds are in separate directories are one: `python -m baselines.compare ppo=runs/a,runs/b runs/c`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from baselines.analysis.figures import draw_band
from baselines.analysis.intervals import Estimate, mean_over_seeds
from baselines.analysis.tables import format_value
from baselines.disk.schema import FilePath, Line, OnceEach, check_fields
from baselines.disk.writing import save_figure
from baselines.runs.curves import COUNTS, RATES, Curve, choose_panels, curves_of_seeds, make_panels, title_of
from baselines.runs.directory import RunDirectory, RunRecord
from baselines.runs.table import read_metrics, read_rows
from baselines.runs.terminal import as_command
from jaxdilemmas.arguments import require, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FINAL_SHARE = 0.1
"""Final values are means over this share of a run, at its end."""

FORMATS = (".png", ".pdf", ".svg")
"""Of the picture."""

GAME = ("env_id", "env_kwargs", "env_version")
"""Fields of a `RunRecord` that decide on which scale returns are."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare.

    Attributes:
      runs: run directories; label=runs/a,runs/b is one run whose seeds are in several directories.
      output: the picture, a file that ends in .png, .pdf or .svg; by default compare.png beside the first run.
      metrics: columns of metrics.csv to compare beside the collective return, such as entropy or tagged_steps; by
        default the social metrics and the rates of events.

    Raises:
      ValueError: a value is not allowed.
    """

    runs: tyro.conf.Positional[OnceEach[Line]]
    output: FilePath | None = None
    metrics: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        is_picture = self.output is None or self.output.suffix in FORMATS
        require(is_picture, "output", str(self.output), f"a file that ends in {', '.join(FORMATS)}")


class Group(NamedTuple):
    """A run to compare, from one directory or from several with different seeds.

    Attributes:
      label: its name in the picture and in the table.
      records: of its directories.
      seeds: S.
      curves: of the seeds; see `curves_of_seeds`.
      env_steps: of the seeds at their end.
    """

    label: str
    records: list[RunRecord]
    seeds: list[int]
    curves: list[Curve]
    env_steps: list[int]


def parse_runs(texts: Sequence[str]) -> dict[str, list[Path]]:
    """The directories of each run by label; a text that is itself a directory is a run, whatever its characters.

    Raises:
      ValueError: a text is of another form, or two runs have the same label.
    """
    found: dict[str, list[Path]] = {}
    for text in texts:
        label, equals, names = text.partition("=")
        is_directory = Path(text).is_dir()
        paths = [Path(text)] if is_directory else [Path(name) for name in (names or text).split(",")]
        if is_directory or not equals:
            label = ",".join(path.name for path in paths)
        is_labelled = bool(label) and (is_directory or bool(names) == bool(equals))
        require(is_labelled, "runs", text, "runs/a, or label=runs/a,runs/b")
        require(label not in found, "runs", text, f"another run has the label {label}; label=runs/a gives another one")
        found[label] = paths
    return found


def read_group(label: str, paths: Sequence[Path], metrics: Sequence[str]) -> Group:
    """Reads config.json and metrics.csv of each directory.

    Raises:
      ValueError: a file is missing or not as it should be, a metric is no column of it, a seed is there twice, or the
        directories are of different algorithms or games.
    """
    directories = [RunDirectory(path) for path in paths]
    records = [directory.read_record() for directory in directories]
    for field in differing(records, ("algorithm", *GAME)):
        values = " and ".join(sorted({show(getattr(record, field)) for record in records}))
        require(False, "runs", label, f"directories with the same {field}, but theirs are {values}")
    seeds: dict[int, Curve] = {}
    env_steps = []
    for directory, record in zip(directories, records, strict=True):
        columns = read_columns(directory, record)
        own = dict(zip(np.unique(columns["seed"]).astype(int).tolist(), curves_of_seeds(columns), strict=True))
        names = [name for name in next(iter(own.values())) if name not in COUNTS]
        for name in metrics:
            require(name in names, "metrics", name, f"a column of {directory.metrics}: {', '.join(names)}")
        for seed in own:
            require(seed not in seeds, "runs", label, f"each seed once, but {directory.path} has seed {seed} again")
            env_steps.append(int(columns["env_steps"][columns["seed"] == seed][-1]))
        seeds |= own
    return Group(label, records, list(seeds), list(seeds.values()), env_steps)


def read_columns(directory: RunDirectory, record: RunRecord) -> dict[str, np.ndarray]:
    """The columns of metrics.csv; see `table.read_metrics`.

    Raises:
      ValueError: the file is missing, holds no rows, or a row is not as it should be; the message names it.
    """
    read_rows(directory.metrics, record.seeds)  # each row is of the update and the seed that are due
    columns = read_metrics(directory.metrics)
    is_finite = bool(np.isfinite(columns["env_steps"]).all())
    require(is_finite, f"{directory.metrics}: env_steps", None, "a number in every row")
    return columns


def differing(records: Sequence[RunRecord], fields: Sequence[str]) -> list[str]:
    """The fields in which records differ."""
    return [name for name in fields if any(getattr(record, name) != getattr(records[0], name) for record in records)]


def choose_columns(curves: Sequence[Curve], metrics: Sequence[str] = ()) -> list[str]:
    """The columns to compare that have a value: the collective return, and `metrics` or, without any, the usual ones.

    Where a run has no return, these are the columns that its learning curve shows.

    Args:
      curves: of all seeds of all runs.
      metrics: names of columns, or none.

    Raises:
      ValueError: no column has a value.
    """
    usual = [name for curve in curves for name in (choose_panels(curve)[0], *choose_panels(curve)[1])]
    names = dict.fromkeys(["return_collective", *(metrics or [*usual, *RATES])])
    found = [name for name in names if any(name in curve and np.isfinite(curve[name]).any() for curve in curves)]
    found = [name for name in found if name not in COUNTS]
    if not found:
        raise ValueError("the metrics.csv of the runs have no value in a column that can be compared")
    return found


def align(curves: Sequence[Curve], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The values of a column of several seeds at the same points, as far as all seeds have come.

    Returns:
      Env steps `[T]`, or updates of runs that play nothing, and values `[S, T]`, linear between the points of a seed
      where another seed has points. T is 0 if a seed has no value.
    """
    x_name = "env_steps" if any(curve["env_steps"].any() for curve in curves) else "update"
    seeds = []
    for curve in curves:
        values = curve.get(name, np.full_like(curve[x_name], np.nan))
        seeds.append((curve[x_name][np.isfinite(values)], values[np.isfinite(values)]))
    if not all(len(points) for points, _ in seeds):
        return np.zeros(0), np.zeros((len(seeds), 0))
    points = np.unique(np.concatenate([points for points, _ in seeds]))
    is_common = (points >= max(own[0] for own, _ in seeds)) & (points <= min(own[-1] for own, _ in seeds))
    points = points[is_common]
    return points, np.array([np.interp(points, *seed) for seed in seeds])


def final_value(curves: Sequence[Curve], name: str) -> Estimate:
    """The mean over seeds of a column at the end of a run, over `FINAL_SHARE` of it."""
    points, values = align(curves, name)
    if not len(points):
        return Estimate(*[float("nan")] * 3)
    return mean_over_seeds(values[:, points >= (1 - FINAL_SHARE) * points[-1]].mean(1))


def draw_comparison(curves: Mapping[str, Sequence[Curve]], names: Sequence[str]) -> "Figure":
    """Draws columns of several runs: means over seeds with 95 % confidence bands.

    Args:
      curves: of the seeds of each run, by label.
      names: of the columns; the first one has the large panel.
    """
    figure, axes = make_panels(names[0], names[1:])
    for name, panel in axes.items():
        for label, seeds in curves.items():
            draw_band(panel, *align(seeds, name), label)
        panel.set_xlim(left=0)
    plays = {bool(curve["env_steps"].any()) for seeds in curves.values() for curve in seeds}
    axes[names[0]].set_xlabel(" or ".join("env steps" if is_playing else "updates" for is_playing in sorted(plays)))
    axes[names[0]].legend(frameon=False)
    return figure


def list_notes(groups: Sequence[Group]) -> list[str]:
    """What a reader of the comparison should know: games, lengths, settings, seeds."""
    found = []
    games = differing([group.records[0] for group in groups], GAME)
    if games:
        found.append(f"the runs differ in {', '.join(games)}: their returns may be on different scales")
    lengths = {group.label: min(group.env_steps) for group in groups}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{label} {length:,}" for label, length in lengths.items())
        found.append(f"the runs differ in env steps ({each}): final values are those at the end of each run")
    for group in groups:
        configs = [record.config for record in group.records]
        others = sorted({name for config in configs for name in config if config[name] != configs[0].get(name)})
        if others:
            found.append(f"{group.label}: its directories differ in {', '.join(others)}")
        if len(set(group.env_steps)) > 1:
            found.append(f"{group.label}: its seeds differ in env steps: it is shown up to {min(group.env_steps):,}")
        if len(group.seeds) == 1:
            found.append(f"{group.label}: one seed has no interval")
        if not any(np.isfinite(curve["return_collective"]).any() for curve in group.curves):
            found.append(f"{group.label}: no episode ended, so there is no return")
    return found


def make_table(groups: Sequence[Group], names: Sequence[str]) -> Table:
    """What the runs are, and their final values with half of the 95 % interval."""
    title = f"means over seeds and 95 % intervals of the last {FINAL_SHARE:.0%} of the env steps"
    table = Table("run", *(group.label for group in groups), title=title)
    table.add_row("algorithm", *(group.records[0].algorithm for group in groups))
    table.add_row("game", *(group.records[0].env_id for group in groups))
    table.add_row("seeds", *(_format_seeds(sorted(group.seeds)) for group in groups))
    table.add_row("env steps", *(f"{min(group.env_steps):,}" for group in groups))
    for name in names:
        table.add_row(title_of(name), *(format_value(final_value(group.curves, name)) or "-" for group in groups))
    return table


def _format_seeds(seeds: list[int]) -> str:
    is_range = len(seeds) > 1 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if is_range else ", ".join(map(str, seeds))


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.compare`."""
    options = tyro.cli(Options, prog="python -m baselines.compare", description=__doc__, args=argv)
    console = Console(highlight=False, markup=False)
    runs = parse_runs(options.runs)
    groups = [read_group(label, paths, options.metrics) for label, paths in runs.items()]
    names = choose_columns([curve for group in groups for curve in group.curves], options.metrics)
    output = options.output or next(iter(runs.values()))[0].parent / "compare.png"
    save_figure(output, draw_comparison({group.label: group.curves for group in groups}, names))
    console.print(make_table(groups, names))
    for note in list_notes(groups):
        console.print(note, soft_wrap=True)
    console.print(f"the picture is {output}", soft_wrap=True)


if __name__ == "__main__":
    main()
