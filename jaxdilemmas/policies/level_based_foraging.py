"""Scripted policies of `level_based_foraging`: agents walk to food, one food at a time, and load it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs.level_based_foraging import LOAD, NONE, LevelBasedForaging, State
from jaxdilemmas.grid.geometry import same_cell

WAYS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""(row, col) of the actions 1 to 4."""

FAR = 1000.0
"""More than the steps to any food, and the cost of a cell that cannot be entered."""


def cooperative(env: Environment) -> Policy:
    """All agents meet at one food after the other, and load it together.

    The food is the one for which all agents need the fewest steps together. Agents wait beside it until those that are
    beside it are strong enough.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [N] int32`. Ties between ways are broken at random.

    Raises:
      ValueError: `env` is not the game `level_based_foraging`.

    Source: our rule.
    """

    def choose(state: State, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        together = jnp.broadcast_to(steps.sum(0, keepdims=True), steps.shape)
        strength = jnp.where(steps == 1, state.levels[:, None], 0).sum(0, dtype=jnp.int32)
        is_enough = strength >= state.food_levels
        return together, jnp.broadcast_to(is_enough[None], steps.shape)

    return _foragers(env, choose)


def selfish(env: Environment) -> Policy:
    """Every agent loads the nearest food that it can load alone, and stands still if there is none.

    It has the arguments, results and errors of `cooperative`.
    """

    def choose(state: State, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        is_light = state.levels[:, None] >= state.food_levels[None]
        return jnp.where(is_light, steps, FAR), is_light

    return _foragers(env, choose)


def _foragers(env: Any, choose: Callable[[State, jax.Array], tuple[jax.Array, jax.Array]]) -> Policy:
    """Every agent walks to the food of least cost, and loads it when it is beside it and the load will succeed.

    Args:
      env: the game.
      choose: state and the steps of agents to food, `[N, F]` float32 -> costs `[N, F]` float32 and whether a load would
        succeed, `[N, F]` bool. Food that costs `FAR` or more is left alone.

    Raises:
      ValueError: `env` is not the game `level_based_foraging`.
    """
    check_kind("env", env, LevelBasedForaging, "the game `level_based_foraging`")

    def policy(key: jax.Array, state: Any) -> jax.Array:
        steps = abs(state.foods[None] - state.positions[:, None]).sum(2, dtype=jnp.int32).astype(jnp.float32)
        costs, succeeds = choose(state, steps)
        costs = jnp.where(state.is_left[None], costs, FAR)
        goal = costs.argmin(1)[:, None]
        is_wanted, distance, is_ready = (
            jnp.take_along_axis(of_food, goal, 1)[:, 0] for of_food in (costs < FAR, steps, succeeds)
        )
        walk = _walk(key, state, state.foods[goal[:, 0]], env.size)
        beside = jnp.where(is_ready, LOAD, NONE)
        return jnp.where(is_wanted, jnp.where(distance == 1, beside, walk), NONE).astype(jnp.int32)

    return policy


def _walk(key: jax.Array, state: State, goals: jax.Array, size: int) -> jax.Array:
    """The move of each agent to a free cell that is nearest to its goal, also if it leads away from it.

    Args:
      key: breaks ties between moves.
      state: the state of the game.
      goals: `[N, 2]` int32.
      size: rows and columns of the board.

    Returns:
      `[N]` int32, 1 to 4.
    """
    cells = state.positions[:, None] + jnp.array(WAYS, jnp.int32)[None]
    flat = cells.reshape(-1, 2)
    is_food = (same_cell(flat, state.foods) & state.is_left[None]).any(1)
    is_taken = (is_food | same_cell(flat, state.positions).any(1)).reshape(cells.shape[:2])
    is_free = ((cells >= 0) & (cells < size)).all(2) & ~is_taken
    steps = abs(cells - goals[:, None]).sum(2, dtype=jnp.int32).astype(jnp.float32)
    costs = jnp.where(is_free, steps, FAR) + jax.random.uniform(key, steps.shape, jnp.float32)
    return 1 + costs.argmin(1)


POLICIES: dict[str, Callable[[Any], Policy]] = {"cooperative": cooperative, "selfish": selfish}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
