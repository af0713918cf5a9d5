"""The pictures of a study, as figures of Matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from baselines.analysis.figures import draw_diagram, draw_phase_line
from baselines.analysis.symmetric_games import table_game
from baselines.studies.common_pool.findings import Mixture, Seeds, published_restraint, sustainable_restraint
from baselines.studies.common_pool.options import Options

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
"""Panels side by side."""


def heat_map(options: Options, seeds: list[Seeds]) -> "Figure":
    """Mean restraint by variant and rate, beside the published numbers; below both the least that lasts."""
    from matplotlib.figure import Figure

    names = [_name(options, here) for here in seeds[:: len(options.rates)]]
    limit = [sustainable_restraint(options, rate) for rate in options.rates]
    ours = np.reshape([here.restraint.mean() for here in seeds], (len(names), -1))
    theirs = np.reshape([published_restraint(here.variant.protocol, here.rate) for here in seeds], ours.shape)
    size = (3 + 1.3 * len(options.rates), 1.6 + 0.4 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, values, title in ((left, ours, "ours"), (right, theirs, "published, reward sharing 0.1")):
        _draw_cells(axes, np.vstack([values, limit]), title)
        axes.set_xticks(range(len(options.rates)), [str(rate) for rate in options.rates], rotation=45)
        axes.set_xlabel("regrowth rate")
    left.set_yticks(range(len(names) + 1), [*names, "1 - rate / take"])
    figure.suptitle(f"mean restraint, reward sharing {options.reward_sharing:g}, {options.seeds} seeds")
    return figure


def _draw_cells(axes: "Axes", values: np.ndarray, title: str) -> None:
    axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:.2f}"
        color = "white" if value < 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize="small")
    axes.axhline(len(values) - 1.5, color="white", linewidth=3)
    axes.set_title(title, fontsize="medium")


def _name(options: Options, here: Seeds | Mixture) -> str:
    """The protocol, with the form of early endings where there are several."""
    is_one = len(options.early_ends) == 1
    return here.variant.protocol if is_one else f"{here.variant.protocol}, {here.variant.early_ends}"


def restraint_of_seeds(options: Options, seeds: list[Seeds]) -> "Figure":
    """Mean restraint of every seed, a panel for each rate: open where it collapsed, with the share of those above."""
    from matplotlib.figure import Figure

    num_rates = len(options.rates)
    names = [_name(options, here) for here in seeds[::num_rates]]
    size = (max(6.0, 1.5 + 0.35 * len(names) * num_rates), 4.5)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, num_rates, sharey=True, squeeze=False)[0]
    for i, (axes, rate) in enumerate(zip(panels, options.rates, strict=True)):
        for column, here in enumerate(seeds[i::num_rates]):
            _draw_seeds(axes, column, here)
        axes.axhline(sustainable_restraint(options, rate), color="black", linestyle=":", linewidth=1)
        axes.set_title(f"rate {rate}", fontsize="medium", pad=18)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_ylim(-0.04, 1.04)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean restraint of a seed")
    figure.suptitle(
        "open: collapsed, with their share above; dotted: the least restraint that lasts", fontsize="medium"
    )
    return figure


def _draw_seeds(axes: "Axes", column: int, here: Seeds) -> None:
    offsets = np.linspace(-0.25, 0.25, len(here.restraint)) if len(here.restraint) > 1 else np.zeros(1)
    colors = np.where(here.is_collapsed, "white", "tab:blue")
    axes.scatter(column + offsets, here.restraint, s=18, c=colors, edgecolors="tab:blue", zorder=3, clip_on=False)
    share = f"{here.is_collapsed.mean():.0%}"
    axes.annotate(share, (column, 1), (0, 4), ("data", "axes fraction"), "offset points", ha="center", fontsize=7)


def schelling_diagrams(options: Options, mixtures: Sequence[Mixture]) -> "Figure":
    """A Schelling diagram for each variant; rings mark pure equilibria."""
    figure, panels = _panels(len(mixtures))
    for axes, mixture in zip(panels, mixtures, strict=True):
        draw_diagram(axes, mixture.table, mixture.equilibria, _name(options, mixture))
        axes.set_ylabel(f"return in {options.steps} steps")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def phase_lines(options: Options, mixtures: Sequence[Mixture]) -> "Figure":
    """The replicator dynamics of each variant, nothing where a payoff is unknown."""
    figure, panels = _panels(len(mixtures))
    for axes, mixture in zip(panels, mixtures, strict=True):
        if mixture.gaps:
            axes.set_title(_name(options, mixture))
            axes.text(0.5, 0.5, "payoffs unknown", ha="center", va="center", transform=axes.transAxes)
            axes.set_axis_off()
        else:
            draw_phase_line(axes, table_game(mixture.table), _name(options, mixture))
    return figure


def _panels(count: int) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid[:count])
