"""Coin game: two agents on a board of 3 x 3 that wraps around take coins, and lose if the other takes theirs.

By the code of FLAIROx/JaxMARL @ c793d09 (`environments/coin_game`); the variant with one coin by that of
alshedivat/lola @ 0e8b13e. docs/coin_game.md contains the rules, their sources and our own choices.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_choice, check_flag, is_count
from jaxdilemmas.batching import batch_last
from jaxdilemmas.environment import Environment, Transition, check_counts, check_numbers, require
from jaxdilemmas.spaces import Box, Discrete, Space
from jaxdilemmas.uniforms import uniform

RED, BLUE = range(2)
RIGHT, LEFT, DOWN, UP, STAY = range(5)
NUM_ACTIONS = 5
SIDE = 3
NUM_CELLS = SIDE**2
NOWHERE = -1
"""The cell of a coin that is not on the board."""

NUM_PLANES = 4
Coins = Literal["two", "one"]


class Params(struct.PyTreeNode):
    """The numbers in the rules.

    Attributes:
      coin_reward: reward of an agent for each coin that it takes, at least 0.
      theft_cost: cost of an agent if the other takes a coin of its colour, at least 0.
      inner_steps: steps of a round; after each round everything is placed anew, and the rewards of its last step are 0.
      max_steps: length of an episode, in steps.
    """

    coin_reward: Any = 1.0
    theft_cost: Any = 2.0
    inner_steps: Any = 10
    max_steps: Any = 100


class State(struct.PyTreeNode):
    """One moment of the game; agents and coins are red (0) and blue (1).

    Attributes:
      positions: `[2]` int32, the cell of each agent, 3 * row + col.
      coins: `[2]` int32, the cell of the coin of each colour, `NOWHERE` if it is not on the board.
      step_count: `[]` int32, steps since the reset.
    """

    positions: jax.Array
    coins: jax.Array
    step_count: jax.Array


class Draws(struct.PyTreeNode):
    """The uniform numbers of a step, in [0, 1).

    Attributes:
      coins: `[2]` float32, where the coin of each colour comes back.
      restart: `[4]` float32, places of the red agent, the blue agent, the red coin and the blue coin in a new round.
        With one coin the third is its place, and the fourth its colour.
    """

    coins: jax.Array
    restart: jax.Array


class CoinGame(Environment):
    """See the module for the game and docs/coin_game.md for its rules.

    Args:
      coins: "two" (one of each colour is always on the board) or "one" (colours take turns).
      egocentric: whether agents see the board around themselves.
      num_agents: 2.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    policy_module = "jaxdilemmas.policies.coin_game"
    picture_module = "jaxdilemmas.pictures.coin_game"
    is_batched_last = True

    def __init__(self, coins: Coins = "two", egocentric: bool = False, num_agents: int = 2, **params: Any) -> None:
        require(is_count(num_agents, 2, 2), "num_agents", num_agents, "2")
        check_choice("coins", coins, get_args(Coins))
        check_flag("egocentric", egocentric)
        self.coins, self.egocentric, self.num_agents = coins, bool(egocentric), 2
        self.default_params = self.params_from(Params, params)
        check_numbers(self.default_params, np.inf, "coin_reward", "theft_cost")
        check_counts(self.default_params, "inner_steps", "max_steps")

    @property
    def observation_space(self) -> Space:
        """Planes of the own agent, the other, the coin of the own colour and the other coin, flat: `[36]` int8."""
        return Box(0, 1, (NUM_CELLS * NUM_PLANES,), np.int8)

    @property
    def action_space(self) -> Space:
        """0 right, 1 left, 2 down, 3 up, 4 stay; inside jit any other number acts as 4."""
        return Discrete(NUM_ACTIONS)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents and coins on random cells."""
        del params
        return State(*self.place(uniform(key, 4)), jnp.zeros((), jnp.int32))

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """The uniforms of a step."""
        del state, params
        uniforms = uniform(key, 6)
        return Draws(uniforms[:2], uniforms[2:])

    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Both move and take coins for rewards; then coins come back, or a new round begins."""
        return batch_last(self._play)(draws, state, actions, params)

    def _play(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """The transition; a batch is the last axis."""
        positions = move(state.positions, actions)
        takes = self.takes(positions, state.coins)
        own, other = jnp.stack([takes[RED, RED], takes[BLUE, BLUE]]), jnp.stack([takes[RED, BLUE], takes[BLUE, RED]])
        info = {"own_coins": own.astype(jnp.int32), "other_coins": other.astype(jnp.int32)}
        num_taken = (info["own_coins"] + info["other_coins"]).astype(jnp.float32)
        rewards = params.coin_reward * num_taken - params.theft_cost * other[::-1].astype(jnp.float32)
        coins = self.return_coins(draws.coins, positions, state.coins, takes[RED] | takes[BLUE])
        step_count = state.step_count + 1
        is_new = step_count % params.inner_steps == 0
        new_positions, new_coins = self.place(draws.restart)
        state = State(jnp.where(is_new, new_positions, positions), jnp.where(is_new, new_coins, coins), step_count)
        return state, jnp.where(is_new, jnp.float32(0), rewards), jnp.zeros_like(is_new), info

    def takes(self, positions: jax.Array, coins: jax.Array) -> jax.Array:
        """Which agent takes which coin, `[2, 2]` bool: every agent on its cell, of one coin only the red one."""
        is_there = positions[:, None] == coins[None]
        if self.coins == "two":
            return is_there
        return jnp.stack([is_there[RED], is_there[BLUE] & ~is_there[RED]])

    def return_coins(self, uniforms: jax.Array, positions: jax.Array, coins: jax.Array, taken: jax.Array) -> jax.Array:
        """The coins `[2]` after those that were `taken` (`[2]` bool) came back; of one coin the other colour comes."""
        if self.coins == "two":
            return jnp.where(taken, random_cells(uniforms), coins)
        comes = free_cells(uniforms, positions)
        return jnp.where(taken, jnp.int32(NOWHERE), jnp.where(taken[::-1], comes, coins))

    def place(self, uniforms: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Positions and coins, `[2]` int32 each, at the start of a round, from `[4]` uniforms.

        With one coin, agents start on different cells.
        """
        positions = random_cells(uniforms[:2])
        if self.coins == "two":
            return positions, random_cells(uniforms[2:])
        red, other = positions[RED], jnp.floor(uniforms[BLUE] * (NUM_CELLS - 1)).astype(jnp.int32)
        positions = jnp.stack([red, other + (other >= red).astype(jnp.int32)])
        cell, is_red = free_cells(uniforms[2:3], positions)[0], uniforms[3] < 0.5
        nowhere = jnp.full_like(cell, NOWHERE)
        return positions, jnp.stack([jnp.where(is_red, cell, nowhere), jnp.where(is_red, nowhere, cell)])

    def observe(self, state: State, params: Params) -> jax.Array:
        """The board as planes, of the own colour first, `[2, 36]` int8: cells row by row, the four planes of each."""
        del params
        return batch_last(self._see)(state.positions, state.coins)

    def _see(self, positions: jax.Array, coins: jax.Array) -> jax.Array:
        """The observation; a batch is the last axis."""
        views = []
        for order in (slice(None), slice(None, None, -1)):
            things = jnp.concatenate([positions[order], coins[order]])
            things = centred(things, things[:1]) if self.egocentric else things
            is_there = [things == jnp.int32(cell) for cell in range(NUM_CELLS)]
            views.append(jnp.concatenate(is_there).astype(jnp.int8))
        return jnp.stack(views)


def shifted(cells: jax.Array, rows: jax.Array, cols: jax.Array) -> jax.Array:
    """Cells `[n]` int32 moved by as many rows and columns, `[n]` int32 each from -2 to 2; the board wraps around."""
    return SIDE * ((cells // SIDE + rows + SIDE) % SIDE) + (cells % SIDE + cols + SIDE) % SIDE


def move(positions: jax.Array, actions: jax.Array) -> jax.Array:
    """The cells of agents `[2]` int32 after their actions; agents may share a cell and change places."""
    right, left, down, up = ((actions == way).astype(jnp.int32) for way in (RIGHT, LEFT, DOWN, UP))
    return shifted(positions, down - up, right - left)


def centred(cells: jax.Array, viewer: jax.Array) -> jax.Array:
    """Cells `[n]` as a viewer in the middle of the board sees them; `NOWHERE` stays `NOWHERE`."""
    seen = shifted(cells, SIDE // 2 - viewer // SIDE, SIDE // 2 - viewer % SIDE)
    return jnp.where(cells == NOWHERE, jnp.int32(NOWHERE), seen)


def random_cells(uniforms: jax.Array) -> jax.Array:
    """Any cells of the board, `[n]` uniforms -> `[n]` int32."""
    return jnp.floor(uniforms * NUM_CELLS).astype(jnp.int32)


def free_cells(uniforms: jax.Array, positions: jax.Array) -> jax.Array:
    """Cells on which no agent stands, `[n]` uniforms -> `[n]` int32; each is equally likely."""
    low, high = jnp.minimum(positions[RED], positions[BLUE]), jnp.maximum(positions[RED], positions[BLUE])
    num_free = jnp.where(low == high, jnp.float32(NUM_CELLS - 1), jnp.float32(NUM_CELLS - 2))
    index = jnp.floor(uniforms * num_free).astype(jnp.int32)
    index += (index >= low).astype(jnp.int32)
    return index + ((index >= high) & (low != high)).astype(jnp.int32)
