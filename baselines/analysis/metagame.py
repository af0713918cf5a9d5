"""Equilibria of symmetric games, and where populations that drift towards what pays more come to rest.

`symmetric_games` has the games and the replicator dynamics. Rest points of the dynamics in the interior of a face are
the mixtures under which all strategies in use pay the same; one is a symmetric equilibrium if no strategy that is not
in use pays more. Of the choice between cooperating and defecting that a Schelling table shows, the symmetric mixed
equilibria are the roots of the expected gain of cooperating.
"""

import enum
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from baselines.analysis.dilemmas import CONFIDENCE, Estimate, SchellingTable, check_table
from baselines.analysis.symmetric_games import (
    COOPERATE,
    SymmetricGame,
    check_shares,
    check_symmetric_game,
    compositions,
    game_of_means,
    growth_anywhere,
    matrix_game,
    payoffs_anywhere,
    table_game,
)
from jaxdilemmas.arguments import check_count, require

TOLERANCE = 1e-9
"""What counts as zero, in units of the largest difference between payoffs."""


class Stability(enum.StrEnum):
    """What the eigenvalues say about a rest point of the replicator dynamics."""

    STABLE = "stable"
    UNSTABLE = "unstable"
    SADDLE = "saddle"
    NEUTRAL = "neutral"
    """No real part is positive and one is zero: the linear terms do not decide, as around a centre."""


class RestPoint(NamedTuple):
    """A population that stays as it is.

    Attributes:
      shares: `[K]` float64.
      eigenvalues: `[K - 1]` complex128, of the dynamics around it, along the simplex.
      stability: what they say.
      is_equilibrium: whether no strategy pays more than those in use: a symmetric Nash equilibrium.
    """

    shares: np.ndarray
    eigenvalues: np.ndarray
    stability: Stability
    is_equilibrium: bool

    @property
    def is_mixed(self) -> bool:
        """Whether more than one strategy is in use."""
        return bool((self.shares > 0).sum() > 1)


def rest_points(game: SymmetricGame) -> list[RestPoint]:
    """All isolated rest points of the replicator dynamics, those with fewer strategies in use first.

    With two strategies in use they are roots of a polynomial, and all are found. With more a solver starts from many
    places: for two agents the equations are linear and nothing is missed, for more agents that is not certain. A
    mixture in a continuum of rest points is not listed.

    Raises:
      ValueError: `game` is no `SymmetricGame`.
    """
    check_symmetric_game(game)
    supports = [
        s for size in range(1, game.num_strategies + 1) for s in itertools.combinations(_strategies(game), size)
    ]
    return [_describe(game, shares) for support in supports for shares in _mixtures(game, support)]


def _strategies(game: SymmetricGame) -> range:
    return range(game.num_strategies)


def _describe(game: SymmetricGame, shares: np.ndarray) -> RestPoint:
    eigenvalues = np.linalg.eigvals(jacobian(game, shares)).astype(complex)
    payoffs = payoffs_anywhere(game, shares)
    is_equilibrium = bool(payoffs.max() <= shares @ payoffs + 1e3 * TOLERANCE * game.scale)
    return RestPoint(shares, eigenvalues, _stability(eigenvalues.real / game.scale), is_equilibrium)


def _stability(growth: np.ndarray) -> Stability:
    """By the real parts of the eigenvalues, in units of the payoffs."""
    grows, shrinks = growth > 1e3 * TOLERANCE, growth < -1e3 * TOLERANCE
    if grows.any():
        return Stability.SADDLE if shrinks.any() else Stability.UNSTABLE
    return Stability.STABLE if shrinks.all() else Stability.NEUTRAL


def jacobian(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """Derivative of the replicator dynamics along the simplex, `[K - 1, K - 1]`, in an orthonormal basis of it.

    Args:
      game: N agents, K strategies.
      shares: `[K]`.

    Raises:
      ValueError: as `expected_payoffs`.
    """
    shares = check_shares(game, shares)
    require(shares.ndim == 1, "shares", shares.shape, f"one population, [{game.num_strategies}]")
    directions = np.linalg.svd(np.ones((1, game.num_strategies)))[2][1:]  # [K - 1, K], each sums to 0
    step = 1e-30  # polynomials have exact derivatives by a step in the imaginary direction
    return directions @ growth_anywhere(game, shares + 1j * step * directions).imag.T / step


def _mixtures(game: SymmetricGame, support: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Shares `[K]` under which exactly these strategies are in use and pay the same."""
    find = {1: lambda *_: [np.ones(1)], 2: _roots_on_edge}.get(len(support), _roots_in_face)
    for weights in find(game, support):
        shares = np.zeros(game.num_strategies)
        shares[list(support)] = weights
        yield shares


def _roots_on_edge(game: SymmetricGame, support: tuple[int, ...]) -> list[np.ndarray]:
    """For two strategies: the roots of the expected gain, a polynomial in the ratio of the two shares."""
    first, second = support
    is_between = game.others[:, [first, second]].sum(1) == game.num_agents - 1
    payoffs = game.payoffs[is_between][::-1]  # by how many others play the first
    gains = payoffs[:, first] - payoffs[:, second]
    gains[np.abs(gains) < TOLERANCE * game.scale] = 0.0
    if not gains.any():
        return []
    ways = np.array([math.comb(len(gains) - 1, i) for i in range(len(gains))], float)
    ratios = np.polynomial.polynomial.polyroots(gains * ways)
    real = ratios.real[(np.abs(ratios.imag) < 1e-6 * (1 + np.abs(ratios))) & (ratios.real > TOLERANCE)]
    return _distinct([np.array([ratio, 1.0]) / (1 + ratio) for ratio in np.sort(real)])


def _roots_in_face(game: SymmetricGame, support: tuple[int, ...]) -> list[np.ndarray]:
    """For three strategies and more: what a solver finds from places all over the face."""
    from scipy.optimize import root

    size = len(support)

    def weights_of(free: np.ndarray) -> np.ndarray:
        return np.append(free, 1 - free.sum())

    def gains(free: np.ndarray) -> np.ndarray:
        shares = np.zeros(game.num_strategies)
        shares[list(support)] = weights_of(free)
        payoffs = payoffs_anywhere(game, shares)[list(support)] / game.scale
        return payoffs[:-1] - payoffs[-1]

    found = []
    for start in (compositions(6, size) + 1) / (6 + size):
        solution = root(gains, start[:-1], tol=1e-13)
        weights = weights_of(solution.x)
        is_root = np.abs(gains(solution.x)).max() < TOLERANCE and weights.min() > TOLERANCE
        slope = np.stack([gains(solution.x + step) - gains(solution.x - step) for step in 1e-4 * np.eye(size - 1)])
        if is_root and np.linalg.matrix_rank(slope / 2e-4, tol=1e-6) == size - 1:
            found.append(weights)
    return _distinct(found)


def _distinct(points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each point once."""
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.abs(point - other).max() > 1e-6 for other in kept):
            kept.append(point)
    return kept


class EstimatedPoint(NamedTuple):
    """A rest point of the choice between cooperating and defecting, with what chance leaves open.

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
    points = sorted(rest_points(table_game(table)), key=lambda point: point.shares[COOPERATE])
    return [_estimate_point(point, resamples) for point in points]


def _resample(table: SchellingTable, rng: np.random.Generator) -> SymmetricGame:
    num_rows, num_episodes = table.cooperators.shape
    chosen = rng.integers(num_episodes, size=(num_rows, num_episodes))
    cooperators, defectors = (
        np.take_along_axis(part, chosen, axis=1).mean(1) for part in (table.cooperators, table.defectors)
    )
    return game_of_means(cooperators[1:], defectors[:-1])


def _estimate_point(point: RestPoint, resamples: list[list[RestPoint]]) -> EstimatedPoint:
    share = point.shares[COOPERATE]
    alike = [
        [
            other.shares[COOPERATE]
            for other in resample
            if np.array_equal(other.shares > 0, point.shares > 0) and other.stability is point.stability
        ]
        for resample in resamples
    ]
    nearest = [min(shares, key=lambda other: abs(other - share)) for shares in alike if shares]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(nearest, [tail, 100 - tail]) if nearest else (math.nan, math.nan)
    estimate = Estimate(float(share), float(low), float(high))
    return EstimatedPoint(estimate, point.stability, point.is_equilibrium, len(nearest) / len(resamples))


def two_agent_matrix(table: SchellingTable) -> np.ndarray:
    """The table as a game of two agents: `[2, 2]`, what cooperating and defecting pay against each of the two.

    With two agents it is the table. With more, one agent faces N - 1 others that all do the same: the
    deviation-preserving reduction of Wiedenbeck and Wellman 2012 to two agents, which keeps the equilibria in which all
    do the same and the four payoffs (reward, sucker's payoff; temptation, punishment) of the dilemma.

    Raises:
      ValueError: `table` is no `SchellingTable`.
    """
    check_table(table)
    reward, sucker = table.cooperators[-1].mean(), table.cooperators[1].mean()
    temptation, punishment = table.defectors[-2].mean(), table.defectors[0].mean()
    return np.array([[reward, sucker], [temptation, punishment]])


def two_agent_equilibria(matrix: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """All equilibria, pure and mixed, of a symmetric game of two agents, by support enumeration (nashpy).

    Args:
      matrix: `[K, K]`, what the row's strategy gets against the column's.

    Returns:
      Pairs of mixtures `[K]`, of the first and of the second agent; in a degenerate game some of them.

    Raises:
      ValueError: the matrix is not square, or a payoff is not finite.
    """
    import nashpy

    payoffs = matrix_game(matrix).payoffs.T
    pairs = nashpy.Game(payoffs, payoffs.T).support_enumeration()
    return [(np.asarray(first, float), np.asarray(second, float)) for first, second in pairs]
