"""Stage teams of the study of common pools: the game between cooperating and defecting that mixed teams play."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from baselines.analysis.dilemmas import (
    Dilemma,
    SchellingTable,
    conditions,
    group_means,
    payoff_rows,
    pure_equilibria,
)
from baselines.analysis.figures import draw_diagram, draw_phase_line
from baselines.analysis.intervals import Verdict
from baselines.analysis.metagame import (
    EstimatedPoint,
    estimate_rest_points,
    table_game,
    two_agent_equilibria,
    two_agent_matrix,
)
from baselines.analysis.tables import Row, spread
from baselines.studies.common_pool.laboratory import are_teams_done, load_teams, mix_teams
from baselines.studies.common_pool.options import Options, Variant
from baselines.studies.common_pool.restraint import Seeds, read_seeds, slowest_first
from baselines.studies.side_by_side import Stage, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
"""Panels in a row of a picture."""


class Mixture(NamedTuple):
    """The mixed teams of one variant.

    Attributes:
      variant: protocol and form of early endings.
      table: payoffs by number of cooperators, in T teams each; NaN in gaps.
      gaps: for each number of cooperators that no team has, why.
      dilemma: the three conditions.
      equilibria: of each number of cooperators.
      points: rest points, by share of cooperators; empty if there are gaps.
    """

    variant: Variant
    table: SchellingTable
    gaps: dict[int, str]
    dilemma: Dilemma
    equilibria: list[Verdict]
    points: list[EstimatedPoint]


def read_mixture(options: Options, variant: Variant) -> Mixture:
    """The payoffs of the mixed teams of a variant; a team is one independent case, the mean of its episodes."""
    arrays, about = load_teams(options, variant)
    num_agents = arrays["returns"].shape[2]
    pairs = zip(arrays["is_cooperator"][::-1], arrays["returns"][::-1], strict=True)
    groups = [group_means(*pair) for pair in pairs]  # by number of cooperators
    table = SchellingTable(*(np.stack(column) for column in zip(*groups, strict=True)))
    gaps = {num_agents - int(number): reason for number, reason in about.gaps.items()}
    points = [] if gaps else estimate_rest_points(table)
    return Mixture(variant, table, gaps, conditions(table), pure_equilibria(table), points)


def read_mixtures(options: Options) -> list[Mixture] | None:
    """The mixed teams of all variants; None if the options ask for none."""
    return [read_mixture(options, variant) for variant in options.variants] if options.teams else None


# Tables: rows of one variant


def schelling_rows(mixture: Mixture) -> list[Row]:
    """One row for each number of cooperators, with the reason where there are no teams."""
    rows = payoff_rows(mixture.table, mixture.equilibria)
    return [row | {"gap": mixture.gaps.get(row["cooperators"], "")} for row in rows]


def dilemma_rows(mixture: Mixture) -> list[Row]:
    """The differences between payoffs and whether they make a dilemma."""
    return [mixture.dilemma._asdict() | {"dilemma": str(mixture.dilemma.verdict)}]


def point_rows(mixture: Mixture) -> list[Row]:
    """One row for each rest point of the replicator dynamics."""
    return [
        {
            "share_of_cooperators": point.share,
            "stability": str(point.stability),
            "is_equilibrium": point.is_equilibrium,
            "support": point.support,
        }
        for point in mixture.points
    ]


def two_agent_rows(mixture: Mixture) -> list[Row]:
    """One row for each equilibrium of the game reduced to two agents; none where a payoff is unknown."""
    matrix = two_agent_matrix(mixture.table)
    equilibria = two_agent_equilibria(matrix) if np.isfinite(matrix).all() else []
    names = ("reward", "sucker", "temptation", "punishment")
    payoffs: dict[str, Any] = dict(zip(names, matrix.ravel().tolist(), strict=True))
    return [
        payoffs | {"first_cooperates": float(first[0]), "second_cooperates": float(second[0])}
        for first, second in equilibria
    ]


def gap_rows(seeds: list[Seeds], mixture: Mixture) -> list[Row]:
    """One row for each number of cooperators without teams: why, and at which rates nobody is in a class."""
    own = [here for here in seeds if here.variant == mixture.variant]
    rates = {
        f"rates_without_{group}": " ".join(str(here.rate) for here in own if not getattr(here.tags, group).any())
        for group in ("cooperators", "defectors")
    }
    return [{"cooperators": number, "reason": why} | rates for number, why in sorted(mixture.gaps.items())]


def _of_all(make: Callable[[Mixture], list[Row]]) -> Callable[[Options, list[Mixture]], list[Row]]:
    """The rows of all variants, with the names of the variant."""
    return lambda options, mixtures: [m.variant._asdict() | row for m in mixtures for row in make(m)]


def all_gap_rows(options: Options, mixtures: list[Mixture]) -> list[Row]:
    """`gap_rows` of all variants."""
    return _of_all(partial(gap_rows, read_seeds(options)))(options, mixtures)


# Pictures


def schelling_diagrams(options: Options, mixtures: list[Mixture]) -> "Figure":
    """A Schelling diagram for each variant; rings mark pure equilibria."""
    figure, panels = _panels(len(mixtures))
    for axes, mixture in zip(panels, mixtures, strict=True):
        draw_diagram(axes, mixture.table, mixture.equilibria, options.name_of(mixture.variant))
        axes.set_ylabel(f"return in {options.steps} steps")
    panels[0].legend(frameon=False, fontsize="small")
    return figure


def phase_lines(options: Options, mixtures: list[Mixture]) -> "Figure":
    """The replicator dynamics of each variant, nothing where a payoff is unknown."""
    figure, panels = _panels(len(mixtures))
    for axes, mixture in zip(panels, mixtures, strict=True):
        if mixture.gaps:
            axes.set_title(options.name_of(mixture.variant))
            axes.text(0.5, 0.5, "payoffs unknown", ha="center", va="center", transform=axes.transAxes)
            axes.set_axis_off()
        else:
            draw_phase_line(axes, table_game(mixture.table), options.name_of(mixture.variant))
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


TEAMS = Stage(
    name="teams",
    pieces=lambda options: slowest_first(options) if options.teams else None,
    is_done=are_teams_done,
    work=mix_teams,
    find=read_mixtures,
    tables={
        "schelling": Table(
            _of_all(schelling_rows),
            "Whether a number of cooperators is a pure equilibrium of the choice between the two classes. Cooperators "
            "of a team come from one model; every defector sits in the slot that it was trained in (our choice). "
            "Intervals are over teams drawn from these models; they do not cover how other trainings would have ended.",
            lambda rows: spread(rows, ("protocol", "early_ends"), "cooperators", "equilibrium"),
        ),
        "dilemmas": Table(_of_all(dilemma_rows), "The differences between payoffs that make a dilemma."),
        "gaps": Table(all_gap_rows, "Numbers of cooperators for which there are no teams."),
        "rest_points": Table(
            _of_all(point_rows),
            "Rest points of the replicator dynamics by share of cooperators, with bootstrap intervals over teams. "
            "Support is the share of resamples that have the point. Mixed points that are equilibria are the symmetric "
            "mixed equilibria.",
        ),
        "two_agents": Table(
            _of_all(two_agent_rows),
            "Equilibria of the game reduced to two agents, by their probabilities of cooperating.",
        ),
    },
    figures=lambda options, mixtures: {
        "schelling": schelling_diagrams(options, mixtures),
        "phase": phase_lines(options, mixtures),
    },
)
