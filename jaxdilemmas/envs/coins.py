"""Coins: whoever takes a coin gains; a coin in the other's colour costs the other more than it brings.

The substrate `coins` of Melting Pot (google-deepmind/meltingpot @ 81ee2e7), after Lerer and Peysakhovich 2017
(arXiv:1707.01068); docs/coins.md contains the rules, their sources and our own choices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_count, is_count, require
from jaxdilemmas.batching import batched
from jaxdilemmas.environment import Transition, check_numbers
from jaxdilemmas.grid import items, lab2d
from jaxdilemmas.grid.environment import GridEnvironment, GridState, outcome
from jaxdilemmas.grid.geometry import with_trailing_axes
from jaxdilemmas.grid.maps import cells_of, index_of_cells
from jaxdilemmas.grid.movement import move_agents
from jaxdilemmas.grid.scene import OTHERS, PALETTE, KindLayer, Scene
from jaxdilemmas.uniforms import uniform

NUM_PLAYERS = 2
NUM_COLOURS = 2
"""Agent 0 has the colour 1, agent 1 the colour 2."""

LEAST_SIDE, MOST_SIDE = 10, 15
"""The smallest and the largest `width` and `height`."""

OWN_AND_OTHER = ("coin_own", "coin_other")
"""Tiles of coins in the viewer's colour and in the other's colour."""


class Params(lab2d.EndingParams):
    """The numbers in the rules: those of `EndingParams`, the growth of coins, and rewards.

    Attributes:
      coin_growth: probability that a coin appears on an empty cell in a step; both colours are equally likely.
      match_reward: reward for a coin in one's own colour.
      mismatch_reward: reward for a coin in the other's colour.
      mismatch_cost: what a coin in the other's colour costs the other.
    """

    min_steps: Any = 300
    ending_probability: Any = 0.05
    coin_growth: Any = 0.0005
    match_reward: Any = 1.0
    mismatch_reward: Any = 1.0
    mismatch_cost: Any = 2.0


class State(GridState):
    """One moment of the game: `GridState` with coins.

    Attributes:
      coins: `[C]` int8, the colour of the coin on each cell, 0 for none.
      mismatches: `[N]` int32, coins in the other's colour that each agent has taken in this episode; no rule reads it,
        but a policy that reciprocates does.
    """

    coins: jax.Array
    mismatches: jax.Array


class Draws(lab2d.EndingDraws):
    """The random numbers of one step: those of `EndingDraws`, and those of coins; float32 in [0, 1).

    Attributes:
      coin_growth: `[C]`; below half of the probability a coin of colour 1 appears on the cell, below all of it one of
        colour 2.
    """

    coin_growth: jax.Array


class Coins(GridEnvironment):
    """See the module for the game and docs/coins.md for its rules.

    Args:
      width: columns inside the walls, 10 to 15.
      height: rows inside the walls, 10 to 15.
      num_agents: 2; they start on the two spawn cells in random order.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending, movement: see `lab2d.ending_params`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      coin_cells: `[C, 2]` int32, row-major, the cells on which coins appear: all but walls and spawn cells.
      coin_index_at: `[H, W]` int32, the inverse of `coin_cells`, C where no coin appears.
    """

    window = lab2d.WINDOW
    tiles = ("void", "floor", *OWN_AND_OTHER, "wall", *OTHERS, "self")
    colours = PALETTE | {"coin_own": (120, 200, 255), "coin_other": (255, 170, 120)}
    policy_module = "jaxdilemmas.policies.coins"

    def __init__(
        self,
        width: int = 13,
        height: int = 13,
        num_agents: int = NUM_PLAYERS,
        observation: str = "tiles",
        episode_ending: str = "clock",
        movement: str = "sequential",
        **params: Any,
    ) -> None:
        width, height = (
            check_count(name, side, LEAST_SIDE, MOST_SIDE) for name, side in (("width", width), ("height", height))
        )
        require(is_count(num_agents) and num_agents == NUM_PLAYERS, "num_agents", num_agents, "2, one for each colour")
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        board = make_board(width, height)
        self.coin_cells = cells_of(~board["wall"] & ~board["spawn"])
        self.coin_index_at = index_of_cells(self.coin_cells, board["wall"].shape)
        layer = KindLayer((OWN_AND_OTHER, OWN_AND_OTHER[::-1]), "floor", self.coin_cells)
        super().__init__(board, num_agents, observation, [layer])
        self.default_params = self.params_from(Params, numbers | params)
        lab2d.check_ending_params(self.default_params)
        check_numbers(self.default_params, 1, "coin_growth")
        check_numbers(self.default_params, np.inf, "match_reward", "mismatch_reward", "mismatch_cost")

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on the spawn cells in random order with random headings, and no coins."""
        del params
        start = self.start(*self.random_spawns(key))
        coins, mismatches = jnp.zeros(len(self.coin_cells), jnp.int8), jnp.zeros(self.num_agents, jnp.int32)
        return State(**start, coins=coins, mismatches=mismatches)

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = uniform(key, self.num_agents + 1 + len(self.coin_cells))
        priorities, rest = uniforms[: self.num_agents], uniforms[self.num_agents :]
        return Draws(priorities, episode_end=rest[0], coin_growth=rest[1:])

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: grow, move, collect. `Environment.transition` explains the result."""
        chance = jnp.asarray(params.coin_growth, jnp.float32) / NUM_COLOURS
        coins = items.grow(state.coins, draws.coin_growth, [chance] * NUM_COLOURS)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        taken, coins = items.collect(coins, self.coin_index_at, state.positions, state.timeouts == 0)
        own = with_trailing_axes(np.arange(1, NUM_PLAYERS + 1, dtype=np.int8), taken.ndim)
        matched = (taken == own).astype(jnp.int32)
        mismatched = ((taken > 0) & (taken != own)).astype(jnp.int32)
        state = state.replace(coins=coins, mismatches=state.mismatches + mismatched, step_count=state.step_count + 1)
        nobody = jnp.zeros((NUM_PLAYERS, *taken.shape), bool)
        return outcome(
            state,
            matched + mismatched,
            nobody,
            reward_takers(matched, mismatched, params),
            lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance,
            matched=matched,
            mismatched=mismatched,
        )

    def scene(self, state: State) -> Scene:
        """Paints coins and agents."""
        is_present = state.timeouts == 0
        return Scene(state.positions, state.headings, is_present, is_present, [state.coins], [])


def make_board(width: int, height: int) -> dict[str, np.ndarray]:
    """A room with a ring of walls and two spawn cells, near the corners at the upper right and the lower left.

    Args:
      width: columns inside the walls.
      height: rows inside the walls.

    Returns:
      "wall" and "spawn", `[height + 2, width + 2]` bool each.
    """
    wall = np.pad(np.zeros((height, width), bool), 1, constant_values=True)
    spawn = np.zeros_like(wall)
    spawn[2, width - 1] = spawn[height - 1, 2] = True
    return {"wall": wall, "spawn": spawn}


def reward_takers(matched: jax.Array, mismatched: jax.Array, params: Params) -> jax.Array:
    """The rewards for the coins that both agents took.

    Args:
      matched: `[2, ...]` int32, coins in an agent's own colour that it took.
      mismatched: `[2, ...]` int32, coins in the other's colour that it took.
      params: has the two rewards and the cost.

    Returns:
      `[2, ...]` float32.
    """
    own, other = matched.astype(jnp.float32), mismatched.astype(jnp.float32)
    return own * params.match_reward + other * params.mismatch_reward - other[::-1] * params.mismatch_cost
