"""Gems: two players collect gems of their own colour alone, and purple gems, worth six times as much, together.

The game of Haynam et al. 2025 (MAMQL, arXiv:2503.04679), by the code and the recorded expert data of USC-Lira/ma-mql @
7f3da20; docs/gems.md contains the rules, their sources and our own choices.
"""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_choice
from jaxdilemmas.batching import batch_last, compute_once, fold
from jaxdilemmas.environment import Environment, Info, Transition, check_counts, check_numbers, is_count, require
from jaxdilemmas.grid.bits import WORD_BITS, mark_bits
from jaxdilemmas.grid.symmetries import board_symmetries, turn_cells
from jaxdilemmas.grid.views import spread_bits
from jaxdilemmas.spaces import Box, Discrete, Space
from jaxdilemmas.uniforms import uniform

SIZE = 15
"""Rows and columns of the board."""

NUM_PLAYERS = 2
NUM_ALIKE = 3
"""Gems of a kind. The kinds are: gems of player 0, gems of player 1, and purple gems."""

PURPLE = 2
RIGHT, DOWN, LEFT, UP, STAY = range(5)
STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0), (0, 0)], np.int32)
"""(row, col) of each action, `[5, 2]`."""

END_RULES = ("team_reward", "gem_count")
OBSERVATION_KINDS = ("entities", "planes")
ENTITY_KINDS = np.array([0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4], np.int32)
"""The kind of each row of an observation: the player, its partner, its gems, its partner's gems, purple gems."""

VIEWS = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 0, 5, 6, 7, 2, 3, 4, 8, 9, 10]], np.int32)
"""The order of entities for each player: player 0, player 1, gems of player 0, of player 1, and purple gems."""

GEMS = (3, NUM_ALIKE, 2)
"""Shape of the gems: kind, number, (row, col)."""

PLANES = (NUM_PLAYERS + 3, SIZE, SIZE)
"""Shape of the board as planes."""


SYMMETRIES, ACTION_SYMMETRIES = board_symmetries(STEPS)


class Params(struct.PyTreeNode):
    """The numbers in the rules.

    Attributes:
      own_reward: reward of a step in which a player takes gems of its own colour, one or more; at least 0.
      shared_reward: reward of each player if both are on purple gems; at least 0.
      most_team_reward: with the end rule `"team_reward"` the game ends when both players together have more than this;
        at least 0.
      most_gems: with the end rule `"gem_count"` the game ends when more gems than this are taken; a whole number.
      max_steps: length of an episode, in steps.
    """

    own_reward: Any = 1.0
    shared_reward: Any = 6.0
    most_team_reward: Any = 20.0
    most_gems: Any = 6
    max_steps: Any = 45


class State(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      positions: `[2, 2]` int32 (row, col) of the players, which may share a cell.
      gems: `[3, 3, 2]` int32 (row, col) of three gems of each kind (player 0's, player 1's, purple); cells may be
        shared.
      team_reward: `[]` float32, rewards of both players since the reset.
      gems_taken: `[]` int32, gems of any kind taken since the reset.
      step_count: `[]` int32, steps since the reset.
    """

    positions: jax.Array
    gems: jax.Array
    team_reward: jax.Array
    gems_taken: jax.Array
    step_count: jax.Array


class Draws(struct.PyTreeNode):
    """The new cells of the gems that a player takes in this step, as uniforms in [0, 1).

    Attributes:
      own: `[2, 3, 2]` float32 (player; gem of its colour; row, col).
      purple: `[2, 2]` float32 (player; row, col), of the purple gem. If both players take the same gem, the draw of
        player 0 counts.
    """

    own: jax.Array
    purple: jax.Array


class Gems(Environment):
    """See the module for the game and docs/gems.md for its rules.

    Args:
      end_rule: "team_reward", the rule of the recorded data, or "gem_count", the rule of the released code.
      observation: "entities" or "planes"; see `observe`.
      num_agents: 2; no other number is allowed.
      **params: fields of `Params`.

    Attributes:
      end_rule: the argument.
      observation: the argument.
      entity_kinds: `[11]`, only with observation "entities": `ENTITY_KINDS`.
      num_symmetries: 8, only with observation "entities": the number of transformations of `transform`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    policy_module = "jaxdilemmas.policies.gems"
    picture_module = "jaxdilemmas.pictures.gems"

    def __init__(
        self, end_rule: str = "team_reward", observation: str = "entities", num_agents: int = NUM_PLAYERS, **params: Any
    ) -> None:
        require(is_count(num_agents) and num_agents == NUM_PLAYERS, "num_agents", num_agents, "2, one per colour")
        check_choice("end_rule", end_rule, END_RULES)
        check_choice("observation", observation, OBSERVATION_KINDS)
        self.num_agents = NUM_PLAYERS
        self.end_rule, self.observation = end_rule, observation
        self.default_params = self.params_from(Params, params)
        check_numbers(self.default_params, np.inf, "own_reward", "shared_reward", "most_team_reward")
        check_counts(self.default_params, "most_gems", least=0)
        check_counts(self.default_params, "max_steps")
        if observation == "entities":
            self.entity_kinds, self.num_symmetries = ENTITY_KINDS, len(SYMMETRIES)

    @property
    def observation_space(self) -> Space:
        """`[11, 2]` int8 (row, col) of entities, or `[5, 15, 15]` uint8 planes."""
        if self.observation == "entities":
            return Box(-1, SIZE - 1, (len(ENTITY_KINDS), 2), np.int8)
        return Box(0, 1, PLANES, np.uint8)

    @property
    def action_space(self) -> Space:
        """0 right, 1 down, 2 left, 3 up, 4 stay; inside jit any other number acts as 4."""
        return Discrete(len(STEPS))

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Every player and every gem on its own random cell, uniform over the board."""
        del params
        uniforms = uniform(key, 2 * (NUM_PLAYERS + 3 * NUM_ALIKE)).reshape(-1, 2)
        cells = jnp.floor(uniforms * SIZE).astype(jnp.int32)
        gems = cells[NUM_PLAYERS:].reshape(3, NUM_ALIKE, 2)
        return State(cells[:NUM_PLAYERS], gems, jnp.float32(0), jnp.int32(0), jnp.int32(0))

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the new cells of gems that may be taken in this step."""
        del state, params
        uniforms = uniform(key, 2 * NUM_PLAYERS * (NUM_ALIKE + 1)).reshape(NUM_PLAYERS, -1, 2)
        return Draws(uniforms[:, :NUM_ALIKE], uniforms[:, NUM_ALIKE])

    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Players move and take gems of their own colour, and purple gems if both are on one; taken gems move."""
        positions = move(state.positions, actions)
        is_own, on_purple = own_gems(positions, state.gems), purple_gems(state.positions, positions, state.gems)
        is_shared = on_purple.any(axis=1).all()
        is_taken = on_purple & is_shared
        gems = respawn(state.gems, is_own, is_taken, draws)
        info: Info = {
            "own_gems": is_own.any(axis=1).astype(jnp.float32),
            "on_shared": on_purple.any(axis=1).astype(jnp.float32),
            "shared": jnp.full(NUM_PLAYERS, is_shared, jnp.float32),
        }
        rewards = params.own_reward * info["own_gems"] + params.shared_reward * info["shared"]
        rewards = rewards.astype(jnp.float32)
        team_reward = state.team_reward + rewards.sum()
        gems_taken = state.gems_taken + is_own.sum(dtype=jnp.int32) + is_taken.any(axis=0).sum(dtype=jnp.int32)
        state = State(positions, gems, team_reward, gems_taken, state.step_count + 1)
        return state, rewards, self._is_over(state, params), info

    def _is_over(self, state: State, params: Params) -> jax.Array:
        """Whether the game ends by the end rule."""
        if self.end_rule == "team_reward":
            return state.team_reward > params.most_team_reward
        return state.gems_taken > params.most_gems

    def observe(self, state: State, params: Params) -> jax.Array:
        """The whole board.

        Returns:
          With "entities" `[2, 11, 2]` int8 (row, col): the player, its partner, its own gems, the partner's gems, the
          purple gems; gems of a kind are in the order of reading. A gem is not shown if an earlier gem of its kind is
          on the same cell (as in planes): its slot is (-1, -1) and is last in its kind. With "planes" `[2, 5, 15, 15]`
          uint8, 1 on the cells of player 0, player 1, gems of player 0, of player 1 and purple gems, the same for both
          players.
        """
        del params
        if self.observation == "planes":
            return jnp.stack([draw_planes(state)] * NUM_PLAYERS)
        cells = jnp.concatenate([state.positions, visible_gems(state.gems).reshape(-1, 2)])
        return cells[VIEWS].astype(jnp.int8)

    def transform(self, index: jax.Array, obs: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Turns or reflects the board of an observation and the actions with it.

        The rules are the same on the turned board, except for the new cells of gems (never on row 0 or column 0). The
        method exists only for observation "entities". Absent slots stay absent. Slots keep their place, so gems of a
        kind may leave the order of reading.

        Args:
          index: `[]` int32, 0 (nothing changes) to `num_symmetries` - 1.
          obs: `[..., 11, 2]` int8.
          actions: `[...]` int32.

        Returns:
          obs and actions, of the same shapes and dtypes.
        """
        is_absent = obs[..., :1] < 0
        turned = turn_cells(obs, jnp.asarray(SYMMETRIES)[index], SIZE)
        return jnp.where(is_absent, obs, turned), jnp.asarray(ACTION_SYMMETRIES)[index, actions]


def move(positions: jax.Array, actions: jax.Array) -> jax.Array:
    """The positions of players after their moves; only the edge of the board stops them.

    Args:
      positions: `[2, 2]` int32 (row, col).
      actions: `[2]` int32; a number that is not an action acts as `STAY`.

    Returns:
      `[2, 2]` int32.
    """
    chex.assert_shape([positions, actions], [(NUM_PLAYERS, 2), (NUM_PLAYERS,)])
    is_one_of = actions[:, None] == np.arange(len(STEPS), dtype=np.int32)[None, :]
    steps = jnp.where(is_one_of[..., None], STEPS[None], 0).sum(axis=1, dtype=jnp.int32)
    return jnp.clip(positions + steps, 0, SIZE - 1)


def own_gems(positions: jax.Array, gems: jax.Array) -> jax.Array:
    """The gems of its own colour that each player takes: all gems on its cell.

    Args:
      positions: `[2, 2]` int32 (row, col), after the move.
      gems: `[3, 3, 2]` int32, as in `State`.

    Returns:
      `[2, 3]` bool (player, gem).
    """
    chex.assert_shape([positions, gems], [(NUM_PLAYERS, 2), GEMS])
    return (gems[:PURPLE] == positions[:, None]).all(axis=-1)


def purple_gems(before: jax.Array, after: jax.Array, gems: jax.Array) -> jax.Array:
    """The purple gem of each player: one on the cell that it moved to, otherwise one on the cell that it came from.

    Args:
      before: `[2, 2]` int32 (row, col), before the move.
      after: `[2, 2]` int32, after the move.
      gems: `[3, 3, 2]` int32, as in `State`.

    Returns:
      `[2, 3]` bool (player, gem), at most one for each player, the first if several are on a cell.
    """
    chex.assert_shape([before, after, gems], [(NUM_PLAYERS, 2), (NUM_PLAYERS, 2), GEMS])
    is_after = (gems[PURPLE][None] == after[:, None]).all(axis=-1)
    is_before = (gems[PURPLE][None] == before[:, None]).all(axis=-1)
    is_here = jnp.where(is_after.any(axis=1, keepdims=True), is_after, is_before)
    return is_here & (jnp.cumsum(is_here, axis=1, dtype=jnp.int32) == 1)


def respawn(gems: jax.Array, is_own: jax.Array, is_purple: jax.Array, draws: Draws) -> jax.Array:
    """Moves gems that are taken to cells drawn uniformly from rows and columns 1 to 14.

    Args:
      gems: `[3, 3, 2]` int32, as in `State`.
      is_own: `[2, 3]` bool, which gems of its own colour each player takes.
      is_purple: `[2, 3]` bool, which purple gem each player takes.
      draws: see `Draws`.

    Returns:
      `[3, 3, 2]` int32.
    """
    chex.assert_shape([gems, is_own, is_purple], [GEMS, (NUM_PLAYERS, NUM_ALIKE), (NUM_PLAYERS, NUM_ALIKE)])
    own, purple = (1 + jnp.floor(uniforms * (SIZE - 1)).astype(jnp.int32) for uniforms in (draws.own, draws.purple))
    own_kinds = jnp.where(is_own[..., None], own, gems[:PURPLE])
    by_first, by_second = is_purple[..., None]
    shared_kind = jnp.where(by_first, purple[:1], jnp.where(by_second, purple[1:], gems[PURPLE]))
    return jnp.concatenate([own_kinds, shared_kind[None]])


def visible_gems(gems: jax.Array) -> jax.Array:
    """Gems of a kind in the order of reading, then (-1, -1) for each gem on the cell of an earlier gem of its kind.

    Args:
      gems: `[3, 3, 2]` int32, as in `State`.

    Returns:
      `[3, 3, 2]` int32.
    """
    chex.assert_shape(gems, GEMS)
    cells = gems[..., 0] * SIZE + gems[..., 1]
    is_earlier = np.tri(NUM_ALIKE, k=-1, dtype=bool)
    slots = np.arange(NUM_ALIKE, dtype=np.int32)
    is_hidden = ((cells[:, :, None] == cells[:, None]) & is_earlier[None]).any(axis=-1)
    order = jnp.where(is_hidden, (SIZE**2 + slots)[None], cells)
    place = (order[:, :, None] > order[:, None]).sum(axis=-1, dtype=jnp.int32)
    is_at = place[:, None] == slots[None, :, None]
    shown = jnp.where(is_hidden[..., None], -1, gems)
    return jnp.where(is_at[..., None], shown[:, None], 0).sum(axis=2, dtype=jnp.int32)


def draw_planes(state: State) -> jax.Array:
    """The board as planes, `[5, 15, 15]` uint8: player 0, player 1, gems of player 0, of player 1, purple gems."""
    words = batch_last(compute_once(mark_planes))(state.positions, state.gems)

    def spread(words: jax.Array) -> jax.Array:
        return jax.lax.bitcast_convert_type(spread_bits(words), jnp.uint8).reshape(-1)[: math.prod(PLANES)]

    return compute_once(spread)(words).reshape(PLANES)


def mark_planes(positions: jax.Array, gems: jax.Array) -> jax.Array:
    """The cells of all planes, one plane after the other, as packed bits.

    Args:
      positions: `[2, 2, ...]` int32 (row, col).
      gems: `[3, 3, 2, ...]` int32, as in `State`.

    Returns:
      `[36, ...]` uint32.
    """
    planes = [*positions[:, None], *gems]
    cells = [(plane * SIZE + row) * SIZE + col for plane, things in enumerate(planes) for row, col in things]
    return fold(jnp.bitwise_or, [mark_bits(cell, math.prod(PLANES) // WORD_BITS + 1) for cell in cells])
