"""What is drawn on axes of Matplotlib: Schelling diagrams, the replicator dynamics, bands over seeds."""

from typing import TYPE_CHECKING

import numpy as np

from baselines.analysis.dilemmas import SchellingTable, check_table
from baselines.analysis.intervals import Estimate, Verdict, mean_over_seeds
from baselines.analysis.metagame import Choice, Stability, gain_of_cooperating, rest_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILL = {Stability.STABLE: "black", Stability.UNSTABLE: "white", Stability.NEUTRAL: "tab:orange"}
"""Colour of a rest point, by its stability."""


def draw_diagram(axes: "Axes", table: SchellingTable, equilibria: list[Verdict], title: str) -> None:
    """Draws the payoffs of an agent that cooperates and of one that defects over how many others cooperate.

    Bars are 95 % intervals. A ring marks the payoffs of agents in a pure equilibrium.

    Raises:
      ValueError: `table` is no `SchellingTable`.
    """
    check_table(table)
    others = range(table.num_agents)
    _plot_curve(axes, [table.cooperator(i + 1) for i in others], "cooperating", "tab:blue")
    _plot_curve(axes, [table.defector(i) for i in others], "defecting", "tab:red")
    found = [k for k, verdict in enumerate(equilibria) if verdict is Verdict.HOLDS]
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
