"""Stage teams of the study of common pools: the game between cooperating and defecting that mixed teams play."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from baselines.analysis.dilemmas import SchellingTable, conditions, group_means, payoff_rows
from baselines.analysis.figures import draw_diagram, draw_phase_line, make_panels
from baselines.analysis.metagame import estimate_rest_points, table_game
from baselines.analysis.tables import Row, spread
from baselines.studies.common_pool.laboratory import are_teams_done, load_teams, mix_teams
from baselines.studies.common_pool.options import Options
from baselines.studies.common_pool.restraint import by_rate, num_of, read_models
from baselines.studies.side_by_side import Stage, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Mixture(NamedTuple):
    """The mixed teams of one protocol.

    Attributes:
      protocol: its name.
      table: payoffs by number of cooperators; a team is one independent case, the mean of its episodes. NaN in gaps.
      gaps: for each number of cooperators that no team has, why.
    """

    protocol: str
    table: SchellingTable
    gaps: dict[int, str]


def read_mixtures(options: Options) -> list[Mixture] | None:
    """The mixed teams of all protocols; None if the options ask for none."""
    found = []
    for protocol in options.protocols if options.teams else ():
        arrays, about = load_teams(options, protocol)
        table = SchellingTable(*group_means(arrays["is_cooperator"][::-1], arrays["returns"][::-1]))
        gaps = {table.num_agents - int(number): reason for number, reason in about.gaps.items()}
        found.append(Mixture(protocol, table, gaps))
    return found or None


def schelling_rows(mixture: Mixture) -> list[Row]:
    """One row for each number of cooperators, with the reason where there are no teams."""
    return [row | {"gap": mixture.gaps.get(row["cooperators"], "")} for row in payoff_rows(mixture.table)]


def dilemma_rows(mixture: Mixture) -> list[Row]:
    """The differences between payoffs and whether they make a dilemma."""
    dilemma = conditions(mixture.table)
    return [dilemma._asdict() | {"dilemma": dilemma.verdict}]


def point_rows(mixture: Mixture) -> list[Row]:
    """One row for each rest point of the replicator dynamics; none where a payoff is unknown."""
    points = [] if mixture.gaps else estimate_rest_points(mixture.table)
    names = ("share_of_cooperators", "stability", "is_equilibrium", "support")
    return [dict(zip(names, point, strict=True)) for point in points]


def gap_rows(options: Options, mixtures: list[Mixture]) -> list[Row]:
    """One row for each number of cooperators without teams: why, and at which rates nobody is in a class."""
    models = by_rate(read_models(options))

    def rates_without(protocol: str, tag: str) -> str:
        rates = [rate for (name, rate), some in models.items() if name == protocol and not num_of(some, tag)]
        return " ".join(map(str, rates))

    return [
        {"protocol": mixture.protocol, "cooperators": number, "reason": why}
        | {f"rates_without_{tag}s": rates_without(mixture.protocol, tag) for tag in ("cooperator", "defector")}
        for mixture in mixtures
        for number, why in sorted(mixture.gaps.items())
    ]


def of_all(make: Callable[[Mixture], list[Row]]) -> Callable[[Options, list[Mixture]], list[Row]]:
    """The rows of all protocols, with its name."""
    return lambda options, mixtures: [{"protocol": m.protocol} | row for m in mixtures for row in make(m)]


def draw(options: Options, mixtures: list[Mixture]) -> "dict[str, Figure]":
    """A Schelling diagram (rings mark pure equilibria) and the replicator dynamics of each protocol."""
    schelling, diagrams = make_panels(len(mixtures), size=(3.2, 2.8), columns=4)
    phase, lines = make_panels(len(mixtures), size=(3.2, 2.8), columns=4)
    for mixture, diagram, line in zip(mixtures, diagrams, lines, strict=True):
        title = mixture.protocol
        draw_diagram(diagram, mixture.table, title)
        diagram.set_ylabel(f"return in {options.steps} steps")
        if mixture.gaps:
            line.set_title(title)
            line.text(0.5, 0.5, "payoffs unknown", ha="center", va="center", transform=line.transAxes)
            line.set_axis_off()
        else:
            draw_phase_line(line, table_game(mixture.table), title)
    diagrams[0].legend(frameon=False, fontsize="small")
    return {"schelling": schelling, "phase": phase}


TEAMS = Stage(
    name="teams",
    pieces=lambda options: options.slowest_first if options.teams else None,
    is_done=are_teams_done,
    work=mix_teams,
    find=read_mixtures,
    tables={
        "schelling": Table(
            of_all(schelling_rows),
            "Whether a number of cooperators is a pure equilibrium of the choice between the two classes. Cooperators "
            "of a team come from one model; every defector sits in the slot that it was trained in (our choice). "
            "Intervals are over teams drawn from these models; they do not cover how other trainings would have ended.",
            lambda rows: spread(rows, ("protocol",), "cooperators", "equilibrium"),
        ),
        "dilemmas": Table(of_all(dilemma_rows), "The differences between payoffs that make a dilemma."),
        "gaps": Table(gap_rows, "Numbers of cooperators for which there are no teams."),
        "rest_points": Table(
            of_all(point_rows),
            "Rest points of the replicator dynamics by share of cooperators, with bootstrap intervals over teams. "
            "Support is the share of resamples that have the point. Mixed points that are equilibria are the symmetric "
            "mixed equilibria.",
        ),
    },
    figures=draw,
)
