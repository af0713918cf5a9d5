"""The game between cooperating and defecting that a Schelling table shows: its equilibria, and where populations rest.

In a population with a share x of cooperators, an agent meets N - 1 others drawn independently from it, so the number of
cooperators among them is binomial. Cooperating then pays f_c(x) on average and defecting f_d(x); g = f_c - f_d is the
gain of cooperating. The replicator dynamics of Taylor and Jonker 1978 are dx/dt = x (1 - x) g(x). They rest where all
do the same and at the roots of g, which are the symmetric mixed equilibria.
"""

import dataclasses
import enum
import math
from typing import Any, NamedTuple

import numpy as np

from baselines.analysis.arrays import check_array, require_finite
from baselines.analysis.dilemmas import SchellingTable, check_table
from baselines.analysis.intervals import CONFIDENCE, Estimate
from jaxdilemmas.arguments import check_count, check_kind, require

TOLERANCE = 1e-9
"""What counts as zero, in units of the largest difference between payoffs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Mean payoffs of the choice between cooperating and defecting, in a game of N agents.

    Attributes:
      cooperating: `[N]` float64, entry i: the payoff of cooperating when i others cooperate, R_c(i + 1).
      defecting: `[N]` float64, entry i: the payoff of defecting when i others cooperate, R_d(i).

    Raises:
      ValueError: there are fewer than two agents, or the payoffs are not `[N]` finite numbers each.
    """

    cooperating: np.ndarray
    defecting: np.ndarray

    def __post_init__(self) -> None:
        shape = check_array("cooperating", self.cooperating, "N").shape
        require(shape[0] >= 2, "cooperating", shape, "[N], N at least 2")
        check_array("defecting", self.defecting, *shape)
        for name in ("cooperating", "defecting"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
            require_finite(name, getattr(self, name))

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.cooperating)

    @property
    def scale(self) -> float:
        """The largest difference between two payoffs; 1 if there is none."""
        return float(np.ptp([self.cooperating, self.defecting])) or 1.0

    def ways(self) -> np.ndarray:
        """How many sets of i of the N - 1 others there are, `[N]` float64."""
        return np.array([math.comb(self.num_agents - 1, i) for i in range(self.num_agents)], float)


def table_game(table: SchellingTable) -> Choice:
    """The choice by the mean payoffs of a table.

    Raises:
      ValueError: `table` is no `SchellingTable`, or the payoff of some number of cooperators is unknown.
    """
    check_table(table)
    return Choice(table.cooperators[1:].mean(1), table.defectors[:-1].mean(1))


def check_game(game: Any) -> None:
    """Raises a ValueError unless this is a `Choice`."""
    check_kind("game", game, Choice, "a Choice, as table_game(...) returns it")


def gain_of_cooperating(game: Choice, share: Any) -> np.ndarray:
    """g(x) for shares of cooperators of any shape, also complex ones, `[...]` -> `[...]`.

    Raises:
      ValueError: `game` is no `Choice`.
    """
    check_game(game)
    share = np.asarray(share)[..., None]
    others = np.arange(game.num_agents)
    chances = game.ways() * share**others * (1 - share) ** others[::-1]
    gains: np.ndarray = chances @ (game.cooperating - game.defecting)
    return gains


class Stability(enum.StrEnum):
    """Where a population goes that was pushed away from a rest point."""

    STABLE = "stable"
    UNSTABLE = "unstable"
    NEUTRAL = "neutral"
    """The derivative of the dynamics is zero: linear terms do not decide."""


class RestPoint(NamedTuple):
    """A population that stays as it is.

    Attributes:
      share: of cooperators.
      growth: of a small push, the derivative of the replicator dynamics.
      stability: stable if `growth` is below zero, unstable if it is above.
      is_equilibrium: whether no agent gains by switching: a symmetric Nash equilibrium.
    """

    share: float
    growth: float
    stability: Stability
    is_equilibrium: bool


def rest_points(game: Choice) -> list[RestPoint]:
    """All isolated rest points of the replicator dynamics: all cooperate, all defect, and mixtures by rising share.

    If cooperating and defecting always pay the same, every population rests, and no mixture is listed.

    Raises:
      ValueError: `game` is no `Choice`.
    """
    check_game(game)
    return [_describe(game, share) for share in (1.0, 0.0, *_mixtures(game))]


def _describe(game: Choice, share: float) -> RestPoint:
    step = 1e-30  # polynomials have exact derivatives by a step in the imaginary direction
    pushed = share + 1j * step
    growth = float((pushed * (1 - pushed) * gain_of_cooperating(game, pushed)).imag / step)
    gain, least = float(gain_of_cooperating(game, share)), 1e3 * TOLERANCE
    stability = Stability.UNSTABLE if growth > least * game.scale else Stability.NEUTRAL
    stability = Stability.STABLE if growth < -least * game.scale else stability
    loss = max(gain * (1 - share), -gain * share)  # the best payoff less the mean payoff of the population
    return RestPoint(share, growth, stability, loss <= least * game.scale)


def _mixtures(game: Choice) -> list[float]:
    """The roots of the gain inside (0, 1), of a polynomial in the ratio x / (1 - x)."""
    gains = game.cooperating - game.defecting
    gains[np.abs(gains) < TOLERANCE * game.scale] = 0.0
    if not gains.any():
        return []
    ratios = np.polynomial.polynomial.polyroots(gains * game.ways())
    real = ratios.real[(np.abs(ratios.imag) < 1e-6 * (1 + np.abs(ratios))) & (ratios.real > TOLERANCE)]
    kept: list[float] = []
    for share in (np.sort(real) / (1 + np.sort(real))).tolist():
        if not kept or share - kept[-1] > 1e-6:  # a double root is one point
            kept.append(share)
    return kept


class EstimatedPoint(NamedTuple):
    """A rest point with what chance leaves open.

    Attributes:
      share: of cooperators, with a percentile interval over those resamples that have the point.
      stability: under the mean payoffs.
      is_equilibrium: whether it is a symmetric equilibrium under the mean payoffs.
      support: share of the resamples that have a rest point of the same stability there: at the same end, or inside.
    """

    share: Estimate
    stability: Stability
    is_equilibrium: bool
    support: float


def estimate_rest_points(table: SchellingTable, seed: int = 0, num_resamples: int = 400) -> list[EstimatedPoint]:
    """The rest points of a table, by share of cooperators, with bootstrap intervals over its episodes.

    Each resample draws, for every number of cooperators, as many episodes as there are, with replacement. Cooperators
    and defectors of one episode stay together. The nearest point of the same stability is taken for the same point.

    Args:
      table: payoffs; its columns are independent.
      seed: of the resampling.
      num_resamples: how many tables are drawn.

    Raises:
      ValueError: the payoff of some number of cooperators is unknown, or an argument is of another kind.
    """
    check_table(table)
    check_count("seed", seed, 0)
    check_count("num_resamples", num_resamples)
    rng = np.random.default_rng(seed)
    resamples = [rest_points(_resample(table, rng)) for _ in range(num_resamples)]
    points = sorted(rest_points(table_game(table)), key=lambda point: point.share)
    return [_estimate_point(point, resamples) for point in points]


def _resample(table: SchellingTable, rng: np.random.Generator) -> Choice:
    num_rows, num_episodes = table.cooperators.shape
    chosen = rng.integers(num_episodes, size=(num_rows, num_episodes))
    cooperators, defectors = (
        np.take_along_axis(part, chosen, axis=1).mean(1) for part in (table.cooperators, table.defectors)
    )
    return Choice(cooperators[1:], defectors[:-1])


def _estimate_point(point: RestPoint, resamples: list[list[RestPoint]]) -> EstimatedPoint:
    def is_alike(other: RestPoint) -> bool:
        return other.stability is point.stability and math.floor(other.share) + math.ceil(other.share) == place

    place = math.floor(point.share) + math.ceil(point.share)  # 0 where all defect, 2 where all cooperate, 1 inside
    alike = [[other.share for other in resample if is_alike(other)] for resample in resamples]
    nearest = [min(shares, key=lambda other: abs(other - point.share)) for shares in alike if shares]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(nearest, [tail, 100 - tail]) if nearest else (math.nan, math.nan)
    estimate = Estimate(point.share, float(low), float(high))
    return EstimatedPoint(estimate, point.stability, point.is_equilibrium, len(nearest) / len(resamples))
