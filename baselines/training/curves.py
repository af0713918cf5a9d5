"""A picture of how a run went."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.training.files import written_beside
from baselines.training.table import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = ("efficiency", "equality", "sustainability", "peace", "tagged_steps")
"""The small ones; what the metrics do not hold has none."""


def plot_learning_curve(metrics_path: Path, path: Path, title: str) -> None:
    """Draws the collective return over env steps, and in small panels the four social metrics and the tagged steps.

    Tagged steps are means over agents. Every seed is a thin line, their mean a bold one. Updates in which no episode
    ended have no point.

    Args:
      metrics_path: a metrics.csv.
      path: the picture to write.
      title: stands above it.

    Raises:
      ValueError: there are no metrics.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    columns = read_metrics(metrics_path)
    tagged_steps = [column for name, column in columns.items() if name.startswith("tagged_steps_")]
    if tagged_steps:
        columns["tagged_steps"] = np.mean(tagged_steps, axis=0)
    panels = [name for name in PANELS if name in columns]
    figure = Figure(figsize=(2 * len(panels), 6), layout="constrained")
    axes = figure.subplot_mosaic([["return_collective"] * len(panels), [*panels]], height_ratios=[2, 1])
    for name, panel in axes.items():
        _plot_seeds(panel, columns, name)
        panel.set_title(name.replace("_", " "), fontsize="medium")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
        panel.set_xlim(left=0)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.locator_params(axis="x", nbins=8 if name == "return_collective" else 3)
    axes["return_collective"].set_title(title)
    axes["return_collective"].set_ylabel("collective return")
    axes["return_collective"].set_xlabel("env steps")
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=120)


def _plot_seeds(panel: "Axes", columns: dict[str, np.ndarray], name: str) -> None:
    env_steps, values = columns["env_steps"], columns[name]
    is_point = ~np.isnan(values)
    for seed in np.unique(columns["seed"]):
        chosen = is_point & (columns["seed"] == seed)
        panel.plot(
            env_steps[chosen], values[chosen], color="tab:blue", linewidth=0.8, marker=".", markersize=2, alpha=0.4
        )
    steps = np.unique(env_steps[is_point])
    means = [values[is_point & (env_steps == step)].mean() for step in steps]
    panel.plot(steps, means, color="tab:blue", linewidth=2)
