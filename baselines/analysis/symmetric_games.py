"""Symmetric games of N agents and K strategies: what they pay, and how populations that play them change.

What an agent gets depends on its own strategy and on how many of the N - 1 others play each. In a population with
shares x of the strategies, an agent meets N - 1 others drawn independently from it. Strategy k then pays f_k(x) on
average, and the replicator dynamics of Taylor and Jonker 1978 are dx_k/dt = x_k (f_k(x) - sum_l x_l f_l(x)).

The choice between cooperating and defecting that a Schelling table shows is such a game with two strategies: the
number of cooperators among the others is binomial.
"""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from baselines.analysis.arrays import check_array, require_finite
from baselines.analysis.dilemmas import SchellingTable, check_table
from jaxdilemmas.arguments import check_count, check_kind, require

COOPERATE, DEFECT = 0, 1
"""Order of the strategies in games made from a Schelling table."""

MOST_ROWS = 1_000_000
"""Ways to divide the others over the strategies; our choice."""


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
        object.__setattr__(self, "others", check_array("others", self.others, "C", "K", is_whole=True))
        object.__setattr__(self, "payoffs", check_array("payoffs", self.payoffs, "C", "K").astype(np.float64))
        require(self.others.size > 0 and self.others.shape[1] >= 2, "others", self.others.shape, "[C, K], K from 2")
        num_others, num_strategies = int(self.others[0].sum()), self.others.shape[1]
        require(num_others >= 1, "others", self.others[0].tolist(), "at least one other agent")
        is_complete = np.array_equal(self.others, compositions(num_others, num_strategies))
        require(is_complete, "others", self.others.tolist(), f"compositions({num_others}, {num_strategies})")
        require(self.payoffs.shape == self.others.shape, "payoffs", self.payoffs.shape, f"{self.others.shape}")
        require_finite("payoffs", self.payoffs)

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
    """Every way to divide `total` things over `parts` places, `[C, parts]` int64, the first place falling slowest.

    Raises:
      ValueError: `total` is below 0, `parts` below 1, or there are more than `MOST_ROWS` ways.
    """
    check_count("total", total, 0)
    check_count("parts", parts, 1, MOST_ROWS)
    is_few = total < MOST_ROWS and math.comb(total + parts - 1, parts - 1) <= MOST_ROWS
    require(is_few, "total", total, f"at most {MOST_ROWS:,} ways to divide it over {parts} places")
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
    matrix = check_array("matrix", matrix, "K", "K").astype(np.float64)
    require(matrix.shape[0] == matrix.shape[1] >= 2, "matrix", matrix.shape, "a square matrix, K at least 2")
    require_finite("matrix", matrix)
    return SymmetricGame(compositions(1, len(matrix)), matrix.T)  # row c of compositions is strategy c


def table_game(table: SchellingTable) -> SymmetricGame:
    """The choice between cooperating (strategy 0) and defecting (strategy 1) by the mean payoffs of a table.

    Raises:
      ValueError: `table` is no `SchellingTable`, or the payoff of some number of cooperators is unknown.
    """
    check_table(table)
    return game_of_means(table.cooperators[1:].mean(1), table.defectors[:-1].mean(1))


def game_of_means(cooperating: np.ndarray, defecting: np.ndarray) -> SymmetricGame:
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

    Raises:
      ValueError: `game` is no `SymmetricGame`, or the shares are not K numbers that sum to 1, none below 0.
    """
    return payoffs_anywhere(game, check_shares(game, shares))


def check_symmetric_game(game: Any) -> None:
    """Raises a ValueError unless this is a `SymmetricGame`."""
    check_kind("game", game, SymmetricGame, "a SymmetricGame, as matrix_game(...) returns it")


def check_shares(game: Any, shares: Any) -> np.ndarray:
    """Shares as float64 `[..., K]`; up to 1e-6 may be rounding."""
    check_symmetric_game(game)
    shares = check_array("shares", shares, game.num_strategies, has_more_axes=True).astype(np.float64)
    require_finite("shares", shares)
    is_fit = (shares >= -1e-6).all(-1) & (np.abs(shares.sum(-1) - 1) <= 1e-6)
    for wrong in shares[~is_fit][:1]:
        require(False, "shares", wrong.tolist(), "numbers of at least 0 that sum to 1")
    return shares


def payoffs_anywhere(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """The polynomials of `expected_payoffs`, also of complex numbers and beside the simplex."""
    num_others = math.factorial(game.num_agents - 1)
    ways = [num_others // math.prod(math.factorial(count) for count in row) for row in game.others.tolist()]
    chances = np.array(ways, float) * np.prod(shares[..., None, :] ** game.others, axis=-1)
    return chances @ game.payoffs


def replicator(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """Growth of each strategy's share, `[..., K]`, by the replicator dynamics; it sums to 0.

    Source: Taylor and Jonker 1978.

    Raises:
      ValueError: as `expected_payoffs`.
    """
    return growth_anywhere(game, check_shares(game, shares))


def growth_anywhere(game: SymmetricGame, shares: np.ndarray) -> np.ndarray:
    """The polynomials of `replicator`, also of complex numbers and beside the simplex."""
    payoffs = payoffs_anywhere(game, shares)
    return shares * (payoffs - (shares * payoffs).sum(-1, keepdims=True))
