"""Level-based foraging: agents of different levels load food, alone where they can and together where they must.

By the code of semitable/lb-foraging (lbforaging 2.0.0 on PyPI); docs/level_based_foraging.md contains the rules, their
sources and our own choices.
"""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_choice, check_count, check_flag
from jaxdilemmas.batching import batch_last, batched, compute_once, fold
from jaxdilemmas.environment import Environment, Info, NoDraws, Transition, check_counts, check_numbers
from jaxdilemmas.envs.orchard import list_entities, paint, place_food
from jaxdilemmas.grid.geometry import any_other, count_others, same_cell
from jaxdilemmas.grid.movement import goes_first
from jaxdilemmas.grid.spawning import choose_distinct
from jaxdilemmas.spaces import Box, Discrete, Space
from jaxdilemmas.uniforms import uniform

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
OBSERVATION_KINDS = ("entities", "planes")
MOST_LEVEL = 42
"""The highest level of agents: three of them are an int8."""

MOST_FOOD_LEVEL = 127
MOST_SIZE = MOST_THINGS = 50
"""The most rows, and agents or food. Our choice, since a program grows with the cells and with the pairs of things."""

NUM_WEAKEST = 3
"""The highest level of food is that of so many agents together, of those with the lowest levels."""


class Params(struct.PyTreeNode):
    """The numbers in the rules.

    Attributes:
      penalty: cost of each agent that tries to load food for which the agents that try are too weak, at least 0.
      min_agent_level: lowest level of an agent.
      max_agent_level: highest level of an agent.
      min_food_level: lowest level of food; without meaning if cooperation is forced.
      max_food_level: highest level of food; 0 stands for the sum of the three lowest levels of agents.
      max_steps: length of an episode, in steps.
    """

    penalty: Any = 0.0
    min_agent_level: Any = 1
    max_agent_level: Any = 2
    min_food_level: Any = 1
    max_food_level: Any = 0
    max_steps: Any = 50


class State(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      positions: `[N, 2]` int32 (row, col) of the agents.
      levels: `[N]` int32.
      foods: `[F, 2]` int32 (row, col), pairwise distinct, in the order of reading. Food for which there was no cell is
        last, below the board, at (size, 0).
      food_levels: `[F]` int32, at the start; 0 if there was no cell.
      is_left: `[F]` bool, whether the food is on the board.
      step_count: `[]` int32, steps since the reset.
    """

    positions: jax.Array
    levels: jax.Array
    foods: jax.Array
    food_levels: jax.Array
    is_left: jax.Array
    step_count: jax.Array


class LevelBasedForaging(Environment):
    """See the module for the game and docs/level_based_foraging.md for its rules.

    Args:
      size: rows and columns of the board, at least 3.
      num_agents: N.
      num_food: F, the most food on the board; there is less of it if no cell is left that is far enough from the other.
      sight: rows and columns that an agent sees to each side, at most `size`; None stands for `size`, the whole board.
      force_coop: whether all food has the highest level.
      normalize_reward: whether rewards sum to at most 1.
      can_follow: whether agents may enter a cell that an agent leaves in the same step.
      observation: "entities" or "planes"; see `observe`.
      **params: fields of `Params`.

    Attributes:
      size, num_food, sight: the arguments.
      entity_kinds: `[F + N]`, only with observation "entities": 0 food, 1 the agent itself, 2 another agent.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    policy_module = "jaxdilemmas.policies.level_based_foraging"
    picture_module = "jaxdilemmas.pictures.level_based_foraging"
    is_batched_last = True

    def __init__(
        self,
        size: int = 8,
        num_agents: int = 2,
        num_food: int = 2,
        sight: int | None = None,
        force_coop: bool = False,
        normalize_reward: bool = True,
        can_follow: bool = True,
        observation: str = "entities",
        **params: Any,
    ) -> None:
        self.size = check_count("size", size, least=3, most=MOST_SIZE)
        self.num_food = check_count("num_food", num_food, most=min(MOST_THINGS, ((self.size - 1) // 2) ** 2))
        self.num_agents = check_count("num_agents", num_agents, most=min(MOST_THINGS, self.size**2 - self.num_food))
        self.sight = self.size if sight is None else check_count("sight", sight, most=self.size)
        flags = {"force_coop": force_coop, "normalize_reward": normalize_reward, "can_follow": can_follow}
        for name, flag in flags.items():
            check_flag(name, flag)
        self.force_coop, self.normalize_reward, self.can_follow = map(bool, flags.values())
        check_choice("observation", observation, OBSERVATION_KINDS)
        self.observation = observation
        self.default_params = self.params_from(Params, params)
        check_params(self.default_params, self.num_agents)
        if observation == "entities":
            self.entity_kinds = np.repeat(np.arange(3, dtype=np.int32), [self.num_food, 1, self.num_agents - 1])

    @property
    def observation_space(self) -> Space:
        """`[F + N, 3]` int8 (row, col, level) of entities, or `[3, w, w]` uint8 planes, w = 2 sight + 1."""
        params = self.default_params
        most = params.max_food_level or min(self.num_agents, NUM_WEAKEST) * params.max_agent_level
        most = max(most, params.max_agent_level)
        if self.observation == "entities":
            return Box(-1, max(most, self.size - 1), (self.num_food + self.num_agents, 3), np.int8)
        return Box(0, most, (3, 2 * self.sight + 1, 2 * self.sight + 1), np.uint8)

    @property
    def action_space(self) -> Space:
        """0 none, 1 north, 2 south, 3 west, 4 east, 5 load; inside jit any other number acts as 0."""
        return Discrete(6)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random cells, then food on random cells; all have random levels."""
        return batch_last(self._start)(uniform(key, 2 * (self.num_agents + self.num_food)), params)

    def _start(self, uniforms: jax.Array, params: Params) -> State:
        """The initial state; a batch is the last axis."""
        ends = np.cumsum([self.num_agents, self.num_agents, self.num_food])
        for_cells, for_levels, for_food, for_food_levels = jnp.split(uniforms, ends)
        cells = compute_once(partial(choose_distinct, population=self.size**2))(for_cells)
        levels = choose_levels(for_levels, params.min_agent_level, params.max_agent_level)
        foods = place_food(for_food, cells, self.size)
        is_left = foods < self.size**2
        high = highest_food_level(levels, params)
        low = high if self.force_coop else params.min_food_level
        food_levels = jnp.where(is_left, choose_levels(for_food_levels, low, high), 0)
        positions, foods = (jnp.stack([places // self.size, places % self.size], 1) for places in (cells, foods))
        return State(positions, levels, foods, food_levels, is_left, jnp.zeros(uniforms.shape[1:], jnp.int32))

    @batched
    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Agents move all at once; then they load. `Environment.transition` explains the result."""
        del draws
        state = state.replace(positions=self.move(state, actions), step_count=state.step_count + 1)
        steps = abs(state.foods[None] - state.positions[:, None])
        loads = (actions == LOAD)[:, None] & (steps[:, :, 0] + steps[:, :, 1] == 1) & state.is_left[None]
        strength = fold(jnp.add, jnp.where(loads, state.levels[:, None], 0))
        is_loaded = strength >= state.food_levels
        succeeds, fails = loads & is_loaded[None], count_others(loads & ~is_loaded[None])
        worth = jnp.where(succeeds, state.levels[:, None] * state.food_levels[None], 0).astype(jnp.float32)
        if self.normalize_reward:
            total = fold(jnp.add, state.food_levels)
            worth = worth / jnp.maximum(strength * total[None], 1).astype(jnp.float32)[None]
        rewards = fold(jnp.add, jnp.unstack(worth, axis=1)) - params.penalty * fails.astype(jnp.float32)
        num_loaders = count_others(loads, axis=0)
        info: Info = {
            "loaded": count_others(succeeds),
            "loaded_together": count_others(succeeds & (num_loaders > 1)[None]),
            "failed_loads": fails,
        }
        state = state.replace(is_left=state.is_left & ~(is_loaded & (num_loaders > 0)))
        return state, rewards, ~fold(jnp.logical_or, state.is_left), info

    def move(self, state: State, actions: jax.Array) -> jax.Array:
        """The positions of the agents after their moves.

        Only the edge, food, and other agents that want the same cell stop an agent. An agent that stays wants its cell.

        Args:
          state: before the moves.
          actions: `[N]` int32.

        Returns:
          `[N, 2]` int32.
        """
        chex.assert_equal_shape([state.levels, actions])
        north, south, west, east = ((actions == way).astype(jnp.int32) for way in (NORTH, SOUTH, WEST, EAST))
        targets = state.positions + jnp.stack([south - north, east - west], 1)
        is_off = any_other((targets < 0) | (targets >= self.size))
        is_stopped = is_off | any_other(same_cell(targets, state.foods) & state.is_left[None])
        targets = jnp.where(is_stopped[:, None], state.positions, targets)
        is_stopped = count_others(same_cell(targets, targets)) > 1
        if not self.can_follow:
            is_stopped |= any_other(same_cell(targets, state.positions))
        return jnp.where(is_stopped[:, None], state.positions, targets)

    def observe(self, state: State, params: Params) -> jax.Array:
        """What each agent sees.

        Returns:
          With "entities" `[N, F + N, 3]` int8 (row, col, level): F rows of food in the order of reading, then the agent
          itself and the others by number. Rows and columns count from the first that the agent sees. Food and agents
          that are not seen are (-1, -1, 0), behind those that are. With "planes" `[N, 3, w, w]` uint8 around the agent:
          levels of agents, levels of food, and 1 on cells of the board without either.
        """
        del params
        things = state.positions, state.levels, state.foods, jnp.where(state.is_left, state.food_levels, 0)
        if self.observation == "planes":
            return compute_once(partial(paint, sight=self.sight, size=self.size))(*things)
        return batch_last(compute_once(partial(list_entities, sight=self.sight)))(*things)


def check_params(params: Params, num_agents: int) -> None:
    """Raises a ValueError if a number is outside its range."""
    check_numbers(params, np.inf, "penalty")
    check_count("max_agent_level", params.max_agent_level, most=MOST_LEVEL)
    check_count("min_agent_level", params.min_agent_level, most=params.max_agent_level)
    check_count("max_food_level", params.max_food_level, least=0, most=MOST_FOOD_LEVEL)
    weakest = min(num_agents, NUM_WEAKEST) * params.min_agent_level
    check_count("min_food_level", params.min_food_level, most=params.max_food_level or weakest)
    check_counts(params, "max_steps")


def choose_levels(uniforms: jax.Array, low: Any, high: Any) -> jax.Array:
    """Levels from `low` to `high`, each equally likely, `[n, ...]` uniforms -> `[n, ...]` int32."""
    span = jnp.asarray(high - low + 1).astype(jnp.float32)
    return low + jnp.floor(uniforms * span).astype(jnp.int32)


def highest_food_level(levels: jax.Array, params: Params) -> jax.Array:
    """The highest level of food, `[...]` int32, for agents of the levels `[N, ...]` int32."""
    is_weak = count_others(goes_first(-levels.astype(jnp.float32))) < NUM_WEAKEST
    weakest = fold(jnp.add, jnp.where(is_weak, levels, 0))
    return jnp.where(params.max_food_level > 0, params.max_food_level, weakest)
