"""A picture of how a run went."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.core.reported import EVENTS
from baselines.disk.writing import save_figure
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from jaxdilemmas.metrics import SOCIAL_METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (*SOCIAL_METRICS, "tagged_steps")
"""The small ones; what the metrics do not hold has none."""

RATES = {name: event.label for name, event in EVENTS.items() if event.label}
"""Titles of the rates that pictures of several runs show; they are sums over agents."""

COUNTS = ("seed", "update", "env_steps", *TIMING_COLUMNS)
"""Columns of progress and time, which are not drawn."""

Curve = dict[str, np.ndarray]
"""Columns of one seed by name, each `[T]` float64."""


def plot_learning_curve(metrics_path: Path, path: Path, title: str) -> None:
    """Writes the picture of a metrics.csv; see `draw_learning_curve`, and `table.read_metrics` for the errors."""
    save_figure(path, draw_learning_curve(read_metrics(metrics_path), title))


def draw_learning_curve(columns: dict[str, np.ndarray], title: str) -> "Figure":
    """Draws the collective return over env steps, and in small panels the social metrics and the tagged steps.

    Every seed is a thin line, their mean a bold one. Per-agent columns are means over agents. Updates without a value,
    as where no episode ended, have no point. If no episode ended in the whole run, the panels show what else was
    reported, such as losses. Runs that play nothing are drawn over updates.

    Args:
      columns: by name; see `table`.
      title: stands above.
    """
    x_name = "env_steps" if columns["env_steps"].any() else "update"
    columns = over_agents(columns)
    main, panels = choose_panels(columns)
    figure, axes = make_panels(main, panels)
    for name, panel in axes.items():
        _plot_seeds(panel, columns, x_name, name)
        panel.set_xlim(left=0)
    is_without = main != "return_collective" and x_name == "env_steps"
    axes[main].set_title(f"{title}: no episode ended" if is_without else title)
    axes[main].set_ylabel(title_of(main))
    axes[main].set_xlabel(x_name.replace("_", " "))
    return figure


def make_panels(main: str, panels: Sequence[str]) -> tuple["Figure", dict[str, "Axes"]]:
    """A figure with a large panel above small ones; the titles of the panels are those of their columns."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(2 * max(len(panels), 3), 6), layout="constrained")
    mosaic: list[Any] = [[main] * max(len(panels), 1), list(panels) or [main]]
    axes = figure.subplot_mosaic(mosaic, height_ratios=[2, 1])
    for name, panel in axes.items():
        panel.set_title(title_of(name), fontsize="medium")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.locator_params(axis="x", nbins=8 if name == main else 3)
    return figure, axes


def title_of(name: str) -> str:
    """A column in words."""
    return RATES.get(name, name.replace("return_collective", "collective_return").replace("_", " "))


def over_agents(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns without those of single agents, which become one, by the name without the number.

    It is their mean, but for `RATES` their sum.
    """
    groups: dict[str, list[np.ndarray]] = {}
    for name, column in columns.items():
        groups.setdefault(re.sub(r"_\d+$", "", name), []).append(column)
    return {name: (np.sum if name in RATES else np.mean)(group, axis=0) for name, group in groups.items()}


def choose_panels(columns: dict[str, np.ndarray]) -> tuple[str, list[str]]:
    """The large panel and the small ones, of the columns that have a value anywhere; see `over_agents`."""
    names = [name for name, column in columns.items() if not np.isnan(column).all()]
    if "return_collective" in names:
        return "return_collective", [name for name in PANELS if name in names]
    main, *panels = [name for name in names if name not in COUNTS] or ["update"]
    return main, panels[: len(PANELS)]


def curves_of_seeds(columns: dict[str, np.ndarray]) -> list[Curve]:
    """The curve of each seed, with a point for each update in which episodes ended.

    The value of a point is the mean over the updates since the point before it, as far as they have a value; counts
    such as `env_steps` are those of the update itself. If no episode ended, every update is a point.

    Args:
      columns: by name; see `table.read_metrics`.
    """
    columns = over_agents(columns)
    seeds = [columns["seed"] == seed for seed in np.unique(columns["seed"])]
    return [_curve({name: column[is_own] for name, column in columns.items()}) for is_own in seeds]


def _curve(columns: dict[str, np.ndarray]) -> Curve:
    """The points of one seed's columns."""
    is_end = np.isfinite(columns["return_collective"])
    ends = np.flatnonzero(is_end if is_end.any() else np.ones_like(is_end))
    starts = np.array([0, *(ends[:-1] + 1)])
    curve = {}
    for name, column in columns.items():
        is_value = np.isfinite(column[: ends[-1] + 1])
        sums = np.add.reduceat(np.where(is_value, column[: ends[-1] + 1], 0.0), starts)
        numbers = np.add.reduceat(is_value.astype(np.float64), starts)
        means = np.divide(sums, numbers, out=np.full(len(ends), np.nan), where=numbers > 0)
        curve[name] = column[ends] if name in COUNTS else means
    return curve


def _plot_seeds(panel: "Axes", columns: dict[str, np.ndarray], x_name: str, name: str) -> None:
    x, values = columns[x_name], columns[name]
    is_point = ~np.isnan(values)
    for seed in np.unique(columns["seed"]):
        chosen = is_point & (columns["seed"] == seed)
        panel.plot(x[chosen], values[chosen], color="tab:blue", linewidth=0.8, marker=".", markersize=2, alpha=0.4)
    steps = np.unique(x[is_point])
    means = [values[is_point & (x == step)].mean() for step in steps]
    panel.plot(steps, means, color="tab:blue", linewidth=2, marker="." if len(steps) == 1 else "")
