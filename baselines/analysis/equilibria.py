"""Exact values of games without a board: what policies that remember one round get in a matrix game.

The joint actions of a round are the states of a Markov chain, in which agents that remember one round move. With M its
matrix, v its first round and u the payoffs, the mean payoff of a round is (1 - d) v (I - d M)^-1 u for a discount d
below 1, and for d = 1 its limit, the mean over all rounds.
"""

from typing import Any

import numpy as np

from baselines.analysis.arrays import check_array, require_finite
from jaxdilemmas.arguments import check_number, require

MOST_AGENTS = 10
"""The most agents of `memory_one_values`, whose chain has `2**N` states."""

NUM_SQUARINGS = 60
"""The limit for d = 1 is of this power of two of the chain."""


def memory_one_values(payoffs: Any, chances: Any, first: Any, discount: float, trembles: float = 0.0) -> np.ndarray:
    """The mean payoff of a round of each agent, exactly.

    A game that goes on with probability `discount` after each round pays this times 1 / (1 - discount) on average.

    Args:
      payoffs: `[2] * N + [N]`, as in `jaxdilemmas.envs.matrix_game`.
      chances: `[N, 2**N]`, chances to cooperate (action 0) by the actions of the last round, one's own first, then
        those of agents i + 1, i + 2, ...; of two agents after CC, CD, DC and DD.
      first: `[N]`, the chances in the first round.
      discount: d, from 0 to 1.
      trembles: the chance that an action becomes a uniform one.

    Returns:
      `[N]` float64.

    Raises:
      ValueError: an argument has another shape or is outside its range, or there are more than 10 agents.
    """
    num_agents = len(check_array("first", first, "N"))
    require(1 <= num_agents <= MOST_AGENTS, "first", num_agents, f"1 to {MOST_AGENTS} agents")
    payoffs = check_array("payoffs", payoffs, *[2] * num_agents, num_agents).astype(float)
    require_finite("payoffs", payoffs)
    chances = check_array("chances", chances, num_agents, 2**num_agents).astype(float)
    check_number("discount", discount, 1)
    check_number("trembles", trembles, 1)
    start = np.asarray(first, float)
    for name, values in (("chances", chances), ("first", start)):
        for wrong in values[~((values >= 0) & (values <= 1))][:1]:
            require(False, name, float(wrong), "all must be in [0, 1]")
    shaken = [(1 - trembles) * part + trembles / 2 for part in (start[:, None], _seen_by_all(chances))]
    start_row, chain = _joint(shaken[0])[0], _joint(shaken[1])
    rewards = payoffs.reshape(-1, num_agents)
    if discount < 1:
        weighted = np.linalg.solve(np.eye(len(chain)) - discount * chain, rewards)
        return np.asarray((1 - discount) * start_row @ weighted)
    return np.asarray(start_row @ _limit(chain) @ rewards)


def _seen_by_all(chances: np.ndarray) -> np.ndarray:
    """Chances by joint actions in the order of agents 0, 1, ..., from those that begin with oneself; `[N, 2**N]`."""
    num_agents = len(chances)
    tables = chances.reshape(num_agents, *[2] * num_agents)
    return np.stack([np.moveaxis(table, range(num_agents), np.roll(range(num_agents), -i)).ravel()
                     for i, table in enumerate(tables)])  # fmt: skip


def _joint(chances: np.ndarray) -> np.ndarray:
    """Probabilities of joint actions `[S, 2**N]`, from chances to cooperate `[N, S]`."""
    joint = np.ones((chances.shape[1], 1))
    for own in chances:
        joint = (joint[:, :, None] * np.stack([own, 1 - own], 1)[:, None, :]).reshape(len(joint), -1)
    return joint


def _limit(chain: np.ndarray) -> np.ndarray:
    """The mean of all powers of a chain `[S, S]`, as a high power of the chain that stays where it is half of the time.

    Staying makes a chain aperiodic and leaves its mean as it is.
    """
    lazy = (chain + np.eye(len(chain))) / 2
    for _ in range(NUM_SQUARINGS):
        lazy = lazy @ lazy
        lazy /= lazy.sum(1, keepdims=True)
    return lazy
