"""What is drawn with Matplotlib: Schelling diagrams, the replicator dynamics, heat maps, dots, curves and bands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.analysis.dilemmas import SchellingTable, pure_equilibria
from baselines.analysis.intervals import Estimate, Verdict, mean_over_seeds
from baselines.analysis.metagame import Choice, Stability, gain_of_cooperating, rest_points
from baselines.analysis.tables import Row, group_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILL = {Stability.STABLE: "black", Stability.UNSTABLE: "white", Stability.NEUTRAL: "tab:orange"}
"""Colour of a rest point, by its stability."""


def make_panels(
    count: int, size: tuple[float, float], columns: int | None = None, **options: Any
) -> tuple["Figure", list["Axes"]]:
    """A figure with so many panels, each of a size in inches, in rows of at most `columns`, or in one row.

    Args:
      count: of the panels.
      size: width and height of a panel.
      columns: the largest number of panels in a row.
      **options: of `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    columns = min(count, columns or count)
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for axes in grid[:count]:
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid[:count])


def heat_maps(tables: Mapping[str, Any], rows: Sequence[str], columns: Sequence[str]) -> "Figure":
    """Tables of shares `[R, C]`, by title, as shades with their numbers; nothing stands in a cell that is NaN.

    Args:
      tables: beside each other; a line parts the last row of each from the others.
      rows: their names.
      columns: their names.
    """
    size = (1.5 + 0.65 * len(columns), 1.2 + 0.4 * len(rows))
    figure, panels = make_panels(len(tables), size, sharey=True)
    for axes, (title, values) in zip(panels, tables.items(), strict=True):
        axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            text = "" if np.isnan(value) else f"{value:.2f}"
            color = "white" if value < 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize="small")
        axes.axhline(len(rows) - 1.5, color="white", linewidth=3)
        axes.set_title(title, fontsize="medium")
        axes.set_xticks(range(len(columns)), columns, rotation=45)
    panels[0].set_yticks(range(len(rows)), rows)
    return figure


def draw_dots(axes: "Axes", columns: Sequence[tuple[Sequence[float], np.ndarray]], names: Sequence[str]) -> None:
    """Draws shares of cases as dots, a column for each group, and above it the share of its dots that are open.

    Args:
      axes: where they are drawn.
      columns: of each group the values `[S]`, and which of them are open, `[S]` bool.
      names: of the groups.
    """
    for column, (values, is_open) in enumerate(columns):
        offsets = np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else np.zeros(1)
        colors = np.where(is_open, "white", "tab:blue")
        axes.scatter(column + offsets, values, s=18, c=colors, edgecolors="tab:blue", zorder=3, clip_on=False)
        place: Any = ((column, 1), (0, 4), ("data", "axes fraction"), "offset points")
        axes.annotate(f"{np.mean(is_open):.0%}", *place, ha="center", fontsize=7)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(-0.04, 1.04)


def draw_curves(
    rows: Sequence[Row], names: Sequence[str], x: str, line: str, label: str, levels: Mapping[str, float]
) -> "Figure":
    """Estimates over a number: a panel for each, a line for each entry of a column, bands of 95 %.

    Args:
      rows: of a table.
      names: columns of `Estimate`s.
      x: the column of numbers above 0 that they are drawn over.
      line: the column whose entries are lines.
      label: of the horizontal axis.
      levels: dotted lines in the first panel, by name.
    """
    figure, panels = make_panels(len(names), size=(4.6, 3.6))
    sizes = [row[x] for row in rows]
    for axes, name in zip(panels, names, strict=True):
        for (entry,), own in group_by(sorted(rows, key=lambda row: row[x]), (line,)).items():
            mean, low, high = np.array([row[name] for row in own], np.float64).T
            (curve,) = axes.plot([row[x] for row in own], mean, marker="o", markersize=3, label=entry)
            axes.fill_between([row[x] for row in own], low, high, alpha=0.2, color=curve.get_color(), linewidth=0)
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 1.2, max(sizes) * 1.2)  # also of a panel without a number
        axes.set_xlabel(label)
        axes.set_title(name.replace("_", " "), fontsize="medium")
        axes.grid(alpha=0.3)
    for name, level in levels.items():
        panels[0].axhline(level, color="black", linestyle=":", linewidth=1)
        panels[0].annotate(name, (0, level), (2, 2), ("axes fraction", "data"), "offset points", fontsize="small")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def draw_diagram(axes: "Axes", table: SchellingTable, title: str) -> None:
    """Draws the payoffs of an agent that cooperates and of one that defects over how many others cooperate.

    Bars are 95 % intervals. A ring marks the payoffs of agents in a pure equilibrium.

    Raises:
      ValueError: `table` is no `SchellingTable`.
    """
    found = [k for k, verdict in enumerate(pure_equilibria(table)) if verdict is Verdict.HOLDS]
    others = range(table.num_agents)
    _plot_curve(axes, [table.cooperator(i + 1) for i in others], "cooperating", "tab:blue")
    _plot_curve(axes, [table.defector(i) for i in others], "defecting", "tab:red")
    rings = [(k - 1, table.cooperator(k).mean) for k in found if k > 0]
    rings += [(k, table.defector(k).mean) for k in found if k < table.num_agents]
    others_in, payoffs_in = np.reshape(rings, (-1, 2)).T
    axes.scatter(others_in, payoffs_in, s=160, facecolors="none", edgecolors="black", label="in equilibrium")
    axes.set_title(title)
    axes.set_xlabel("other agents that cooperate")
    axes.set_ylabel("return of an episode")
    axes.set_xticks(list(others))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)


def _plot_curve(axes: "Axes", estimates: list[Estimate], label: str, color: str) -> None:
    mean, low, high = np.transpose(estimates)
    bars = [mean - low, high - mean]
    axes.errorbar(range(len(mean)), mean, bars, label=label, color=color, marker="o", markersize=4, capsize=3)


def draw_phase_line(axes: "Axes", game: Choice, title: str) -> None:
    """Draws the replicator dynamics of cooperating and defecting over the share of cooperators.

    The curve is the expected gain of cooperating. On the line of zero gain arrows show where the population goes and
    dots where it stays: filled where it returns after a push, open where it does not.

    Raises:
      ValueError: `game` is no `Choice`.
    """
    points = rest_points(game)
    share = np.linspace(0, 1, 201)
    axes.plot(share, gain_of_cooperating(game, share), color="tab:blue", linewidth=1)
    axes.axhline(0, color="black", linewidth=0.8)
    stops = np.sort([point.share for point in points])
    middles = (stops[:-1] + stops[1:]) / 2
    ways = np.sign(gain_of_cooperating(game, middles))
    axes.quiver(middles, 0 * middles, ways, 0 * middles, pivot="middle", scale=18, width=0.012)
    colors = [FILL[point.stability] for point in points]
    shares = [point.share for point in points]
    axes.scatter(shares, np.zeros(len(points)), s=50, c=colors, edgecolors="black", zorder=3, clip_on=False)
    axes.set_title(title)
    axes.set_xlabel("share of cooperators")
    axes.set_ylabel("gain of cooperating")
    axes.set_xlim(-0.04, 1.04)
    axes.spines[["top", "right"]].set_visible(False)


def draw_band(axes: "Axes", x: np.ndarray, values: np.ndarray, label: str) -> None:
    """Draws the mean over seeds of `values` `[S, T]` over `x` `[T]` and, for several seeds, its 95 % interval."""
    means, lows, highs = np.reshape([mean_over_seeds(column) for column in values.T], (-1, 3)).T
    (line,) = axes.plot(x, means, label=label, marker="." if len(x) == 1 else "")
    if len(values) > 1:
        axes.fill_between(x, lows, highs, color=line.get_color(), alpha=0.2, linewidth=0)
