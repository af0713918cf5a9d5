"""Matrix game: any table of payoffs, such as the prisoner's dilemma, played round after round by any number of agents.

docs/matrix_game.md contains the rules, their sources and our own choices.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import MOST_NUMBER, check_choice, check_count, check_number, numbers_from
from jaxdilemmas.environment import check_numbers, refusal, require
from jaxdilemmas.payoff_environment import PayoffEnvironment, RoundParams
from jaxdilemmas.spaces import Box, Discrete, Space

COOPERATE, DEFECT = range(2)
MOST_PAYOFFS = 2**20
"""The largest number of entries of a table. Our choice."""

MOST_PLAYERS = 16
"""The largest number of agents with two actions each whose table is not larger."""


class Params(RoundParams):
    """The numbers in the rules.

    Attributes:
      payoffs: `[A] * N + [N]` float32, entry `[a_0, ..., a_(N-1), i]` is the reward of agent i.
      trembles: probability that an action becomes a uniform one, 0 to 1.
    """

    payoffs: Any = None
    trembles: Any = 0.0


class Draws(struct.PyTreeNode):
    """The uniform numbers of a round; not used, and perhaps 0, in a game that leaves nothing to chance.

    Attributes:
      episode_end: `[]` float32, the game ends if it is not below `continuation`.
      trembles: `[N]` float32, an agent trembles if it is below the probability.
      trembled_actions: `[N]` float32, the actions of agents that tremble.
    """

    episode_end: jax.Array
    trembles: jax.Array
    trembled_actions: jax.Array


class MatrixGame(PayoffEnvironment):
    """See the module for the game and docs/matrix_game.md for its rules.

    Args:
      game: a name of `PAIRS` or `CROWDS`, or payoffs `[A] * N + [N]` for A actions of each agent.
      num_agents: N; by default that of the payoffs, 2 of `PAIRS` and 4 of `CROWDS`.
      **params: fields of `Params`; `payoffs` changes the numbers of the game, not its shape.

    Raises:
      ValueError: an argument is unknown or not allowed, or `game` and `num_agents` do not agree.

    Attributes:
      num_actions: A.
    """

    policy_module = "jaxdilemmas.policies.matrix_game"
    picture_module = "jaxdilemmas.pictures.matrix_game"

    def __init__(self, game: Any = "prisoners_dilemma", num_agents: int | None = None, **params: Any) -> None:
        payoffs = make_payoffs(game, num_agents)
        self.num_actions, self.num_agents = payoffs.shape[0], payoffs.shape[-1]
        self.num_uniforms = 1 + 2 * self.num_agents
        if "payoffs" in params:
            params["payoffs"] = check_payoffs("payoffs", params["payoffs"], payoffs.shape)
        self.default_params = self.params_from(Params, {"payoffs": payoffs} | params)
        check_numbers(self.default_params, 1, "trembles")
        self.check_rounds()

    @property
    def observation_space(self) -> Space:
        """The last actions of all agents as one-hot, one's own first, and whether there are any: `[N * A + 1]`."""
        return Box(0.0, 1.0, (self.num_agents * self.num_actions + 1,))

    @property
    def action_space(self) -> Space:
        """In the named games 0 cooperate and 1 defect; inside jit any number that is no action acts as 0."""
        return Discrete(self.num_actions)

    def is_chancy(self, params: Params) -> jax.Array:
        """Whether the game may end by chance, or agents tremble, `[]` bool."""
        return super().is_chancy(params) | (jnp.asarray(params.trembles) > 0)

    def draws_from(self, uniforms: jax.Array) -> Draws:
        """The draws of a round, from `[1 + 2 N]` uniforms."""
        N = self.num_agents
        return Draws(uniforms[0], uniforms[1 : 1 + N], uniforms[1 + N :])

    def choices_from(self, draws: Draws, actions: jax.Array, params: Params) -> jax.Array:
        """The actions that are played, `[N]` int32: those of agents that tremble are uniform."""
        is_action = (actions >= 0) & (actions < self.num_actions)
        meant = jnp.where(is_action, actions, jnp.int32(0))
        trembled = jnp.floor(draws.trembled_actions * self.num_actions).astype(jnp.int32)
        return jnp.where(draws.trembles < params.trembles, trembled, meant)

    def payoffs(self, choices: jax.Array, params: Params) -> jax.Array:
        """The entry of the table for the actions of all agents, `[N]` float32."""
        weights = np.int32(self.num_actions) ** np.arange(self.num_agents - 1, -1, -1, dtype=np.int32)
        row = (choices * weights).sum(dtype=jnp.int32)
        table = jnp.asarray(params.payoffs, jnp.float32).reshape(-1, self.num_agents)
        return table.at[row].get(mode="promise_in_bounds")

    def features(self, choices: jax.Array) -> jax.Array:
        """Actions as one-hot, `[N, N]` -> `[N, N, A]` float32."""
        return jax.nn.one_hot(choices, self.num_actions, dtype=jnp.float32)


def pair(both: float, alone: float, tempted: float, none: float) -> list[Any]:
    """The payoffs of a symmetric game of two agents with two actions, `[2, 2, 2]`; the game checks them.

    Args:
      both: of both if both cooperate (R).
      alone: of an agent that alone cooperates (S).
      tempted: of an agent that alone defects (T).
      none: of both if both defect (P).
    """
    return [[[both, both], [alone, tempted]], [[tempted, alone], [none, none]]]


def public_goods(num_agents: int = 4, factor: float = 1.6) -> np.ndarray:
    """The payoffs of a public good, `[2] * N + [N]` float32: with k contributors everybody gets factor * k / N.

    Contributing costs 1.

    Args:
      num_agents: N, at most 16.
      factor: r, at least 0; it is a dilemma between 1 and N.

    Raises:
      ValueError: an argument is not allowed.
    """
    check_number("factor", factor)
    contributes = _who_cooperates(num_agents)
    return (factor * contributes.mean(-1, keepdims=True) - contributes).astype(np.float32)


def volunteer(num_agents: int = 4, benefit: float = 1.0, cost: float = 0.3) -> np.ndarray:
    """The payoffs of a volunteer's dilemma, `[2] * N + [N]` float32: one volunteer is enough for all.

    Args:
      num_agents: N, at most 16.
      benefit: of everybody if anybody volunteers, at least 0.
      cost: of each volunteer, at least 0.

    Raises:
      ValueError: an argument is not allowed.
    """
    check_number("benefit", benefit)
    check_number("cost", cost)
    volunteers = _who_cooperates(num_agents)
    return (benefit * volunteers.max(-1, keepdims=True) - cost * volunteers).astype(np.float32)


def _who_cooperates(num_agents: int) -> np.ndarray:
    """For every joint action of N agents, 1 for each that cooperates, `[2] * N + [N]` float64."""
    check_count("num_agents", num_agents, most=MOST_PLAYERS)
    return (np.moveaxis(np.indices((2,) * num_agents), 0, -1) == COOPERATE).astype(np.float64)


PAIRS: dict[str, Any] = {
    "prisoners_dilemma": pair(3, 0, 5, 1),
    "stag_hunt": pair(4, 0, 3, 2),
    "chicken": pair(3, 1, 4, 0),
    "coordination": pair(1, 0, 0, 1),
    "battle_of_sexes": [[[3, 2], [0, 0]], [[0, 0], [2, 3]]],
    "matching_pennies": [[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]],
}
"""Payoffs of the games of two agents by name. Sources: docs/matrix_game.md."""

CROWDS: dict[str, Callable[[int], np.ndarray]] = {"public_goods": public_goods, "volunteer": volunteer}
"""Functions from a number of agents to payoffs by name, for games of any number of agents."""


def make_payoffs(game: Any, num_agents: int | None) -> np.ndarray:
    """The payoffs of a game by name or as numbers, `[A] * N + [N]` float32.

    Raises:
      ValueError: `game` is neither a name nor payoffs, or is not a game of `num_agents`.
    """
    if num_agents is not None:
        check_count("num_agents", num_agents, most=MOST_PLAYERS)
    if isinstance(game, str):
        check_choice("game", game, (*PAIRS, *CROWDS))
        if game in CROWDS:
            return CROWDS[game](4 if num_agents is None else num_agents)
    payoffs = check_payoffs("game", PAIRS[game] if isinstance(game, str) else game)
    found = payoffs.shape[-1]
    is_fit = num_agents in (None, found)
    require(is_fit, "num_agents", num_agents, f"game={game if isinstance(game, str) else 'payoffs'} has {found} agents")
    return payoffs


def check_payoffs(argument: str, value: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Returns payoffs as an array `[A] * N + [N]` float32.

    Args:
      argument: the name of the payoffs in errors.
      value: nested lists or an array of numbers.
      shape: the only shape that is allowed; any by default.

    Raises:
      ValueError: these are not finite numbers of such a shape, for N >= 1 agents with A >= 2 actions each.
    """
    numbers = numbers_from(value)
    if numbers is None or numbers.ndim == 0:
        raise ValueError(refusal(argument, value, "numbers of shape [A] * N + [N], in lists of equal lengths"))
    *axes, num_agents = numbers.shape
    is_table = len(axes) == num_agents >= 1 and len(set(axes)) == 1 and axes[0] >= 2
    allowed = "[A] * N + [N] for N agents with A >= 2 actions each, the same number for all"
    require(is_table and shape in (None, numbers.shape), f"{argument} of shape", numbers.shape, str(shape or allowed))
    require(numbers.size <= MOST_PAYOFFS, f"{argument} of shape", numbers.shape, f"at most {MOST_PAYOFFS:,} numbers")
    for wrong in numbers[~(np.abs(numbers) <= MOST_NUMBER)][:1]:
        require(False, argument, float(wrong), "all payoffs must be finite in float32")
    return numbers.astype(np.float32)
