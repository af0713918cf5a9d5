"""A picture of how a run went."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.disk.writing import save_figure
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from jaxdilemmas.metrics import SOCIAL_METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (*SOCIAL_METRICS, "tagged_steps")
"""The small ones; what the metrics do not hold has none."""

COUNTS = ("seed", "update", "env_steps", *TIMING_COLUMNS)
"""Columns of progress and time, which are not drawn."""


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
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    x_name = "env_steps" if columns["env_steps"].any() else "update"
    columns = _means_over_agents(columns)
    main, panels = _choose_panels(columns)
    figure = Figure(figsize=(2 * max(len(panels), 3), 6), layout="constrained")
    mosaic: list[Any] = [[main] * max(len(panels), 1), panels or [main]]
    axes = figure.subplot_mosaic(mosaic, height_ratios=[2, 1])
    for name, panel in axes.items():
        _plot_seeds(panel, columns, x_name, name)
        panel.set_title(name.replace("_", " "), fontsize="medium")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
        panel.set_xlim(left=0)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.locator_params(axis="x", nbins=8 if name == main else 3)
    is_without = main != "return_collective" and x_name == "env_steps"
    axes[main].set_title(f"{title}: no episode ended" if is_without else title)
    axes[main].set_ylabel(main.replace("return_collective", "collective_return").replace("_", " "))
    axes[main].set_xlabel(x_name.replace("_", " "))
    return figure


def _means_over_agents(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns without those of single agents, which become one, by the name without the number."""
    groups: dict[str, list[np.ndarray]] = {}
    for name, column in columns.items():
        groups.setdefault(re.sub(r"_\d+$", "", name), []).append(column)
    return {name: np.mean(group, axis=0) for name, group in groups.items()}


def _choose_panels(columns: dict[str, np.ndarray]) -> tuple[str, list[str]]:
    """The large panel and the small ones, of the columns that have a value anywhere."""
    names = [name for name, column in columns.items() if not np.isnan(column).all()]
    if "return_collective" in names:
        return "return_collective", [name for name in PANELS if name in names]
    main, *panels = [name for name in names if name not in COUNTS] or ["update"]
    return main, panels[: len(PANELS)]


def _plot_seeds(panel: "Axes", columns: dict[str, np.ndarray], x_name: str, name: str) -> None:
    x, values = columns[x_name], columns[name]
    is_point = ~np.isnan(values)
    for seed in np.unique(columns["seed"]):
        chosen = is_point & (columns["seed"] == seed)
        panel.plot(x[chosen], values[chosen], color="tab:blue", linewidth=0.8, marker=".", markersize=2, alpha=0.4)
    steps = np.unique(x[is_point])
    means = [values[is_point & (x == step)].mean() for step in steps]
    panel.plot(steps, means, color="tab:blue", linewidth=2, marker="." if len(steps) == 1 else "")
