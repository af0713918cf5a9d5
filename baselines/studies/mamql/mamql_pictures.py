"""The pictures of the study of MAMQL, as figures of Matplotlib: curves over the number of demonstrations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from baselines.analysis.dilemmas import Estimate
from baselines.analysis.tables import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(rows: Sequence[Row], names: Sequence[str], title: str) -> "Figure":
    """A panel for each number, a line for each method, bands of 95 % over seeds.

    Args:
      rows: of `findings.summary_rows`, of one game and one expert.
      names: of their estimates.
      title: of the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    sizes = [row["size"] for row in rows]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for axes, name in zip(panels, names, strict=True):
        for i, method in enumerate(methods):
            own = sorted((row for row in rows if row["method"] == method), key=lambda row: row["size"])
            _draw(axes, [row["size"] for row in own], [row[name] for row in own], method, f"C{i}")
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 1.2, max(sizes) * 1.2)  # also of a panel without a number
        axes.set_xlabel("transitions of demonstrations")
        axes.set_title(name.replace("_", " "), fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize="small")
    figure.suptitle(title)
    return figure


def _draw(axes: "Axes", sizes: list[int], estimates: list[Estimate], label: str, color: str) -> None:
    mean, low, high = np.array(estimates, np.float64).T
    axes.plot(sizes, mean, marker="o", markersize=3, label=label, color=color)
    axes.fill_between(sizes, low, high, alpha=0.2, color=color, linewidth=0)


def add_level(figure: "Figure", level: float, label: str) -> None:
    """Draws a dotted line in the first panel, such as the expert's return."""
    axes = figure.axes[0]
    axes.axhline(level, color="black", linestyle=":", linewidth=1)
    axes.annotate(label, (0, level), (2, 2), ("axes fraction", "data"), "offset points", fontsize="small")
