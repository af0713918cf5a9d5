"""Games between a few strategies: their equilibria, and populations that drift towards what pays more.

N agents each play one of K strategies; what an agent gets depends on its own strategy and on how many of the N - 1
others play each. In a population with shares x of the strategies, an agent meets N - 1 others drawn independently from
it. Strategy k then pays f_k(x) on average, and the replicator dynamics of Taylor and Jonker 1978 are
dx_k/dt = x_k (f_k(x) - sum_l x_l f_l(x)). Their rest points in the interior of a face are the mixtures under which all
strategies in use pay the same; one is a symmetric equilibrium if no strategy that is not in use pays more.

The choice between cooperating and defecting that a Schelling table shows is such a game with two strategies: the
number of cooperators among the others is binomial, and the symmetric mixed equilibria are the roots of the expected
gain of cooperating.
"""

import dataclasses
import enum
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from baselines.analysis.schelling import CONFIDENCE, Estimate, SchellingTable
from jaxdilemmas.environment import require

COOPERATE, DEFECT = 0, 1
"""Order of the strategies in games made from a Schelling table."""

TOLERANCE = 1e-9
"""What counts as zero, in units of the largest difference between payoffs."""


@dataclasses.dataclass(frozen=True, eq=False)
class SymmetricGame:
    """What each of K strategies pays beside any N - 1 others.

    Attributes:
      others: `[C, K]` int64, `compositions(N - 1, K)`: how many of the others play each strategy.
      payoffs: `[C, K]` float64, row c: what an agent gets for each strategy beside the others of row c.

    Raises:
      ValueError: there are fewer than two agents or strategies, rows are missing or in another order, or a payoff is
        not finite.
    """

    others: np.ndarray
    payoffs: np.ndarray

    def __post_init__(self) -> None:
        require(self.others.ndim == 2 and self.others.shape[1] >= 2, "others", self.others.shape, "[C, K], K from 2")
        num_others, num_strategies = int(self.others[0].sum()), self.others.shape[1]
        require(num_others >= 1, "others", self.others[0].tolist(), "at least one other agent")
        is_complete = np.array_equal(self.others, compositions(num_others, num_strategies))
        require(is_complete, "others", self.others.tolist(), f"compositions({num_others}, {num_strategies})")
        require(self.payoffs.shape == self.others.shape, "payoffs", self.payoffs.shape, f"{self.others.shape}")
        require(bool(np.isfinite(self.payoffs).all()), "payoffs", self.payoffs.tolist(), "finite numbers")

    @property
    def num_agents(self) -> int:
        """N."""
        return int(self.others[0].sum()) + 1

    @property
    def num_strategies(self) -> int:
        """K."""
        return self.others.shape[1]

    @property
    def scale(self) -> float:
        """The largest difference between two payoffs; 1 if there is none."""
        return float(np.ptp(self.payoffs)) or 1.0


def compositions(total: int, parts: int) -> np.ndarray:
    """Every way to divide `total` things over `parts` places, `[C, parts]` int64, the first place falling slowest."""
    bars = itertools.combinations(range(total + parts - 1), parts - 1)
    edges = np.array([(-1, *places, total + parts - 1) for places in bars])
    return np.diff(edges, axis=1)[::-1] - 1


def matrix_game(matrix: np.ndarray) -> SymmetricGame:
    """The game of two agents in which strategy k gets `matrix[k, l]` against strategy l.

    Args:
      matrix: `[K, K]`.

    Raises:
      ValueError: the matrix is not square, or a payoff is not finite.
    """
    matrix = np.asarray(matrix, np.float64)
    require(matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1], "matrix", matrix.shape, "a square matrix")
    return SymmetricGame(compositions(1, len(matrix)), matrix.T)  # row c of compositions is strategy c


def table_game(table: SchellingTable) -> SymmetricGame:
    """The choice between cooperating (strategy 0) and defecting (strategy 1) by the mean payoffs of a table.

    Raises:
      ValueError: the payoff of some number of cooperators is unknown.
    """
    return _game_of_means(table.cooperators[1:].mean(1), table.defectors[:-1].mean(1))


def _game_of_means(cooperating: np.ndarray, defecting: np.ndarray) -> SymmetricGame:
    """From R_c(i + 1) and R_d(i), `[N]` each, over i cooperating others."""
    payoffs = np.stack([cooperating, defecting], axis=1)
    return SymmetricGame(compositions(len(payoffs) - 1, 2), payoffs[::-1])


def expected_payoffs(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """What each strategy pays beside N - 1 others drawn independently from a population.

    Args:
      game: N agents, K strategies.
      shares: `[..., K]`, of the strategies; they sum to 1.

    Returns:
      `[..., K]`.
    """
    num_others = math.factorial(game.num_agents - 1)
    ways = [num_others // math.prod(math.factorial(count) for count in row) for row in game.others.tolist()]
    chances = np.array(ways, float) * np.prod(shares[..., None, :] ** game.others, axis=-1)
    return chances @ game.payoffs


def replicator(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """Growth of each strategy's share, `[..., K]`, by the replicator dynamics; it sums to 0.

    Source: Taylor and Jonker 1978.
    """
    payoffs = expected_payoffs(game, shares)
    return shares * (payoffs - (shares * payoffs).sum(-1, keepdims=True))


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
    """
    supports = [
        s for size in range(1, game.num_strategies + 1) for s in itertools.combinations(_strategies(game), size)
    ]
    return [_describe(game, shares) for support in supports for shares in _mixtures(game, support)]


def _strategies(game: SymmetricGame) -> range:
    return range(game.num_strategies)


def _describe(game: SymmetricGame, shares: np.ndarray) -> RestPoint:
    eigenvalues = np.linalg.eigvals(jacobian(game, shares)).astype(complex)
    payoffs = expected_payoffs(game, shares)
    is_equilibrium = bool(payoffs.max() <= shares @ payoffs + 1e3 * TOLERANCE * game.scale)
    return RestPoint(shares, eigenvalues, _stability(eigenvalues.real / game.scale), is_equilibrium)


def _stability(growth: np.ndarray) -> Stability:
    """By the real parts of the eigenvalues, in units of the payoffs."""
    grows, shrinks = growth > 1e3 * TOLERANCE, growth < -1e3 * TOLERANCE
    if grows.any():
        return Stability.SADDLE if shrinks.any() else Stability.UNSTABLE
    return Stability.STABLE if shrinks.all() else Stability.NEUTRAL


def jacobian(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """Derivative of the replicator dynamics along the simplex, `[K - 1, K - 1]`, in an orthonormal basis of it."""
    directions = np.linalg.svd(np.ones((1, game.num_strategies)))[2][1:]  # [K - 1, K], each sums to 0
    step = 1e-30  # polynomials have exact derivatives by a step in the imaginary direction
    return directions @ replicator(game, shares + 1j * step * directions).imag.T / step


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
        payoffs = expected_payoffs(game, shares)[list(support)] / game.scale
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
      ValueError: the payoff of some number of cooperators is unknown.
    """
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
    return _game_of_means(cooperators[1:], defectors[:-1])


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
    """
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
