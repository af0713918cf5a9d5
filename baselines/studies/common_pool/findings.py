"""What follows from the models and teams of a study, as rows of tables."""

import json
import math
from typing import Any, NamedTuple

import numpy as np

from baselines.analysis.dilemmas import (
    CONFIDENCE,
    Dilemma,
    Estimate,
    SchellingTable,
    Verdict,
    conditions,
    estimate_mean,
    group_means,
    payoff_rows,
    pure_equilibria,
)
from baselines.analysis.metagame import (
    EstimatedPoint,
    estimate_rest_points,
    two_agent_equilibria,
    two_agent_matrix,
)
from baselines.analysis.tables import Row
from baselines.analysis.teams import Tags
from baselines.studies.common_pool.models import Arrays, load_arrays, load_outcomes, tag
from baselines.studies.common_pool.options import Options, Variant

PUBLISHED_RATES = (0.1, 0.088, 0.077, 0.065, 0.053, 0.042, 0.03)
PUBLISHED = {
    "ia2c": (0.20, 0.20, 0.24, 0.39, 0.47, 0.54, 0.34),
    "na2c": (0.16, 0.17, 0.29, 0.37, 0.47, 0.53, 0.33),
    "fprint": (0.17, 0.15, 0.25, 0.37, 0.46, 0.52, 0.33),
    "consenet": (0.17, 0.17, 0.19, 0.19, 0.30, 0.40, 0.49),
    "dial": (0.17, 0.18, 0.19, 0.18, 0.28, 0.36, 0.48),
    "commnet": (0.18, 0.17, 0.17, 0.19, 0.28, 0.37, 0.49),
    "neurcomm": (0.16, 0.20, 0.17, 0.18, 0.28, 0.37, 0.48),
}
"""Mean restraint by protocol, at the rates above and reward sharing 0.1: the heat map of Pretorius et al. 2020 as
instadeepai/EGTA-NMARL @ 544b2e0 prints it (README, figures/restraint_heat_map.png)."""

NAN = math.nan


class Seeds(NamedTuple):
    """The models of one variant at one rate, S seeds.

    Attributes:
      variant: protocol and form of early endings.
      rate: of regrowth.
      restraint: `[S]`, mean over agents and episodes.
      is_collapsed: `[S]` bool, whether more than half of a model's episodes ended by depletion.
      outcomes: of the models, leading axes S and E; see `models.episode_outcome`.
      tags: `[S, N]` each.
    """

    variant: Variant
    rate: float
    restraint: np.ndarray
    is_collapsed: np.ndarray
    outcomes: Arrays
    tags: Tags


def read_seeds(options: Options) -> list[Seeds]:
    """Every variant at every rate."""
    found = []
    for variant in options.variants:
        outcomes = load_outcomes(options, variant)
        tags = tag(options, outcomes)
        restraint = outcomes["restraint"].mean((1, 2))
        is_collapsed = outcomes["is_depleted"].mean(1) > 0.5
        for rate in options.rates:
            chosen = np.array([model.rate == rate for model in options.models])
            parts = {name: values[chosen] for name, values in outcomes.items()}
            here = Tags(*(part[chosen] for part in tags))
            found.append(Seeds(variant, rate, restraint[chosen], is_collapsed[chosen], parts, here))
    return found


def sustainable_restraint(options: Options, rate: float) -> float:
    """The least mean restraint with which the stock lasts for ever: 1 - rate / take_fraction, at least 0."""
    return max(0.0, 1 - rate / options.env().default_params.take_fraction)


def published_restraint(protocol: str, rate: float) -> float:
    """What the published heat map has; NaN where it has nothing."""
    return dict(zip(PUBLISHED_RATES, PUBLISHED[protocol], strict=True)).get(rate, NAN)


def model_rows(options: Options, seeds: list[Seeds]) -> list[Row]:
    """One row for each model."""
    first = options.first_seed
    return [
        here.variant._asdict()
        | {"rate": here.rate, "seed": first + i, "restraint": float(here.restraint[i])}
        | {f"restraint_{agent}": float(x) for agent, x in enumerate(here.outcomes["restraint"][i].mean(0))}
        | {f"tag_{agent}": name for agent, name in enumerate(_tag_names(here.tags, i))}
        | {"depleted_episodes": float(here.outcomes["is_depleted"][i].mean())}
        | {"is_collapsed": bool(here.is_collapsed[i])}
        | {name: float(here.outcomes[name][i].mean()) for name in SOCIAL}
        for here in seeds
        for i in range(options.seeds)
    ]


SOCIAL = ("length", "efficiency", "equality", "sustainability")
"""Means over episodes that are reported beside restraint."""


def _tag_names(tags: Tags, i: int) -> list[str]:
    pairs = zip(tags.cooperators[i], tags.defectors[i], strict=True)
    return ["cooperator" if good else "defector" if bad else "neither" for good, bad in pairs]


def rate_rows(options: Options, seeds: list[Seeds]) -> list[Row]:
    """One row for each variant and rate: means over seeds, the share that collapsed, and the size of the classes."""
    return [
        here.variant._asdict()
        | {
            "rate": here.rate,
            "seeds": len(here.restraint),
            "restraint": mean_over_seeds(here.restraint),
            "sustainable": sustainable_restraint(options, here.rate),
            "published": published_restraint(here.variant.protocol, here.rate),
            "collapsed": share_of(here.is_collapsed),
        }
        | {name: mean_over_seeds(here.outcomes[name].mean(1)) for name in SOCIAL}
        | {"cooperators": int(here.tags.cooperators.sum()), "defectors": int(here.tags.defectors.sum())}
        for here in seeds
    ]


def mean_over_seeds(values: np.ndarray) -> Estimate:
    """A mean with its interval by Student's t, which a single value does not have."""
    return estimate_mean(values) if len(values) > 1 else Estimate(float(values[0]), NAN, NAN)


def share_of(is_member: np.ndarray) -> Estimate:
    """A share of independent cases with its interval after Wilson 1927."""
    from scipy.stats import binomtest

    result = binomtest(int(is_member.sum()), len(is_member))
    interval = result.proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(float(result.statistic), float(interval.low), float(interval.high))


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
    """What mixed teams got and what follows from it; a team is one independent case, the mean of its episodes."""
    arrays = load_arrays(options.teams_file(variant))
    gaps_by_defectors: dict[str, str] = json.loads(str(arrays["about"]))["gaps"]
    num_agents = arrays["returns"].shape[2]
    pairs = zip(arrays["is_cooperator"][::-1], arrays["returns"][::-1], strict=True)
    groups = [group_means(*pair) for pair in pairs]  # by number of cooperators
    table = SchellingTable(*(np.stack(column) for column in zip(*groups, strict=True)))
    gaps = {num_agents - int(number): reason for number, reason in gaps_by_defectors.items()}
    points = [] if gaps else estimate_rest_points(table)
    return Mixture(variant, table, gaps, conditions(table), pure_equilibria(table), points)


def schelling_rows(mixture: Mixture) -> list[Row]:
    """One row for each number of cooperators, with the reason where there are no teams."""
    return [
        mixture.variant._asdict() | row | {"gap": mixture.gaps.get(row["cooperators"], "")}
        for row in payoff_rows(mixture.table, mixture.equilibria)
    ]


def dilemma_row(mixture: Mixture) -> Row:
    """The differences between payoffs and whether they make a dilemma."""
    return mixture.variant._asdict() | mixture.dilemma._asdict() | {"dilemma": str(mixture.dilemma.verdict)}


def point_rows(mixture: Mixture) -> list[Row]:
    """One row for each rest point of the replicator dynamics."""
    return [
        mixture.variant._asdict()
        | {
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
        mixture.variant._asdict()
        | payoffs
        | {"first_cooperates": float(first[0]), "second_cooperates": float(second[0])}
        for first, second in equilibria
    ]


def gap_rows(options: Options, seeds: list[Seeds], mixtures: list[Mixture]) -> list[Row]:
    """One row for each number of cooperators without teams: why, and at which rates nobody is in a class."""
    return [
        mixture.variant._asdict()
        | {
            "cooperators": number,
            "reason": reason,
            "rates_without_cooperators": _rates_without(seeds, mixture.variant, "cooperators"),
            "rates_without_defectors": _rates_without(seeds, mixture.variant, "defectors"),
        }
        for mixture in mixtures
        for number, reason in sorted(mixture.gaps.items())
    ]


def _rates_without(seeds: list[Seeds], variant: Variant, group: str) -> str:
    empty = [here.rate for here in seeds if here.variant == variant and not getattr(here.tags, group).any()]
    return " ".join(str(rate) for rate in empty)
