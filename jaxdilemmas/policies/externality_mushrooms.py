"""Scripted policies of `externality_mushrooms`; `jaxdilemmas.policies.routes` explains how they are called."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Policy
from jaxdilemmas.envs.externality_mushrooms import ExternalityMushrooms
from jaxdilemmas.envs.mushrooms import BLUE, GREEN, RED
from jaxdilemmas.grid.geometry import STEPS, cell_index, same_cell
from jaxdilemmas.policies import routes


def cooperative(env: ExternalityMushrooms) -> Policy:
    """Every agent eats the nearest blue mushroom, and the nearest green one while there is no blue one.

    On its way it goes around red and orange mushrooms.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `externality_mushrooms`.

    Source: our rule.
    """
    return _eat(env, (BLUE, GREEN))


def greedy(env: ExternalityMushrooms) -> Policy:
    """Every agent eats the nearest red mushroom, and goes around all others. It is called as `cooperative`."""
    return _eat(env, (RED,))


def _eat(env: ExternalityMushrooms, wanted: tuple[int, ...]) -> Policy:
    """Every agent walks to the nearest mushroom of the first wanted kind that is there; see `cooperative`.

    Of its moves it takes the one that leads nearest to that mushroom, one of the best at random. It never enters the
    cell of another agent or of a mushroom that is not wanted.
    """
    check_kind("env", env, ExternalityMushrooms, "the game `externality_mushrooms`")
    ways = routes.find_ways(env.walls, env.mushroom_cells)
    steps_to, width = np.minimum(ways // 4, env.walls.size), env.walls.shape[1]

    def policy(key: jax.Array, state: Any) -> jax.Array:
        is_wanted, is_any = jnp.zeros(len(state.mushrooms), bool), jnp.zeros((), bool)
        for kind in wanted:
            is_wanted = jnp.where(is_any, is_wanted, state.mushrooms == kind)
            is_any = is_wanted.any()
        own_steps = jnp.asarray(steps_to)[cell_index(state.positions, width)]
        goal = jnp.argmin(jnp.where(is_wanted[None], own_steps, routes.NEVER), axis=1).astype(jnp.int32)
        headings = (state.headings[:, None] + jnp.arange(4, dtype=jnp.int32)[None]) % 4
        targets = state.positions[:, None] + jnp.asarray(STEPS)[headings]
        flat = targets.reshape(-1, 2)
        is_blocked = _find_blocked(env, state, wanted, flat).reshape(headings.shape)
        steps = jnp.asarray(steps_to)[cell_index(flat, width).clip(0, env.walls.size - 1)].reshape(*headings.shape, -1)
        costs = jnp.take_along_axis(steps, goal[:, None, None], 2)[..., 0].astype(jnp.float32)
        costs = costs + jax.random.uniform(key, costs.shape, jnp.float32, 0, 0.5)
        best = jnp.argmin(jnp.where(is_blocked, jnp.float32(np.inf), costs), axis=1).astype(jnp.int32)
        is_stuck = ~is_any | is_blocked.all(1)
        return routes.wait_out(state, jnp.where(is_stuck, routes.STAND, jnp.asarray(routes.MOVES)[best]))

    return policy


def _find_blocked(env: ExternalityMushrooms, state: Any, wanted: tuple[int, ...], cells: jax.Array) -> jax.Array:
    """The cells `[n, 2]` int32 that agents do not enter: walls, agents and mushrooms not wanted; `[n]` bool."""
    num_cells = len(env.mushroom_cells)
    index_at = jnp.asarray(np.pad(env.mushroom_index_at, 1, constant_values=num_cells))
    index = index_at[cells[:, 0] + 1, cells[:, 1] + 1]
    kinds = jnp.append(state.mushrooms, jnp.int8(0))[index]
    is_avoided = (kinds > 0) & ~jnp.isin(kinds, jnp.array(wanted, jnp.int8))
    is_taken = (same_cell(cells, state.positions) & (state.timeouts == 0)[None]).any(1)
    return (index == num_cells) | is_avoided | is_taken


POLICIES: dict[str, Callable[[Any], Policy]] = {"cooperative": cooperative, "greedy": greedy}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
