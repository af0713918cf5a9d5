"""Pictures of games, drawn on axes of Matplotlib: Schelling diagrams and phase portraits of the replicator dynamics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from baselines.analysis.dilemmas import Estimate, SchellingTable, Verdict, check_table
from baselines.analysis.metagame import RestPoint, Stability, rest_points
from baselines.analysis.symmetric_games import (
    COOPERATE,
    DEFECT,
    SymmetricGame,
    check_symmetric_game,
    expected_payoffs,
    replicator,
)
from jaxdilemmas.arguments import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILL = {
    Stability.STABLE: "black",
    Stability.UNSTABLE: "white",
    Stability.SADDLE: "silver",
    Stability.NEUTRAL: "tab:orange",
}
"""Colour of a rest point, by its stability."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
"""Where the pure strategies are in the picture of three."""


def draw_diagram(axes: "Axes", table: SchellingTable, equilibria: list[Verdict], title: str) -> None:
    """Draws the payoffs of an agent that cooperates and of one that defects over how many others cooperate.

    Bars are 95 % intervals. A ring is around what agents get in a pure equilibrium.

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


def draw_phase_line(axes: "Axes", game: SymmetricGame, title: str) -> None:
    """Draws the replicator dynamics of cooperating and defecting over the share of cooperators.

    The curve is the expected gain of cooperating. On the line of zero gain arrows show where the population goes and
    dots where it stays: filled where it returns after a push, open where it does not.

    Raises:
      ValueError: the game has not two strategies.
    """
    check_symmetric_game(game)
    require(game.num_strategies == 2, "game", game.num_strategies, "a game of two strategies")
    share = np.linspace(0, 1, 201)
    payoffs = expected_payoffs(game, np.stack([share, 1 - share], axis=-1))
    axes.plot(share, payoffs[:, COOPERATE] - payoffs[:, DEFECT], color="tab:blue", linewidth=1)
    axes.axhline(0, color="black", linewidth=0.8)
    points = rest_points(game)
    stops = np.sort([point.shares[COOPERATE] for point in points])
    middles = (stops[:-1] + stops[1:]) / 2
    growth = replicator(game, np.stack([middles, 1 - middles], axis=-1))[:, COOPERATE]
    axes.quiver(middles, np.zeros_like(middles), np.sign(growth), 0 * growth, pivot="middle", scale=18, width=0.012)
    _draw_points(axes, points, np.array([[1.0, 0.0], [0.0, 0.0]]))
    axes.set_title(title)
    axes.set_xlabel("share of cooperators")
    axes.set_ylabel("gain of cooperating")
    axes.set_xlim(-0.04, 1.04)
    axes.spines[["top", "right"]].set_visible(False)


def draw_phase_triangle(axes: "Axes", game: SymmetricGame, names: Sequence[str]) -> None:
    """Draws the replicator dynamics of three strategies as streamlines in the triangle of their shares.

    A corner is a population of one strategy. Dots are rest points: black stable, white unstable, grey saddles, orange
    where linear terms do not decide.

    Args:
      axes: where to draw; they lose their frame.
      game: of three strategies.
      names: of the strategies; the first is at the left, the second at the right, the third above.

    Raises:
      ValueError: there are not three strategies, or not a name for each.
    """
    check_symmetric_game(game)
    require(game.num_strategies == 3, "game", game.num_strategies, "a game of three strategies")
    is_fit = isinstance(names, list | tuple) and len(names) == 3 and all(isinstance(name, str) for name in names)
    require(is_fit, "names", names, "three names")
    across, up = np.meshgrid(np.linspace(0, 1, 61), np.linspace(0, CORNERS[2, 1], 61))
    second = across - up / (2 * CORNERS[2, 1])
    third = up / CORNERS[2, 1]
    shares = np.stack([1 - second - third, second, third], axis=-1)
    is_inside = (shares >= 0).all(-1, keepdims=True)
    flow = np.where(is_inside, replicator(game, np.where(is_inside, shares, 1 / 3)) @ CORNERS, np.nan)
    speed = np.linalg.norm(flow, axis=-1)
    axes.streamplot(across, up, flow[..., 0], flow[..., 1], color=speed, cmap="viridis", density=1.2, linewidth=0.8)
    axes.plot(*np.append(CORNERS, CORNERS[:1], axis=0).T, color="black", linewidth=1)
    _draw_points(axes, rest_points(game), CORNERS)
    for name, corner, offset in zip(names, CORNERS, (-0.06, -0.06, 0.04), strict=True):
        axes.text(corner[0], corner[1] + offset, name, ha="center", va="center")
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_points(axes: "Axes", points: list[RestPoint], corners: np.ndarray) -> None:
    """Rest points at the weighted means of corners `[K, 2]`."""
    places = np.array([point.shares for point in points]) @ corners
    colors = [FILL[point.stability] for point in points]
    axes.scatter(places[:, 0], places[:, 1], s=50, c=colors, edgecolors="black", zorder=3, clip_on=False)
