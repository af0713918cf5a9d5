"""Scripted policies of `gift_refinements`; `jaxdilemmas.policies.routes` explains how these policies are called."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Policy
from jaxdilemmas.envs.gift_refinements import CONSUME, FINAL, RAW, REFINED, GiftRefinements
from jaxdilemmas.grid import lab2d
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.grid.maps import cells_of, index_of_cells
from jaxdilemmas.grid.movement import BEAM, STAND, TURN_LEFT, TURN_RIGHT
from jaxdilemmas.policies import routes


def cooperative(env: GiftRefinements) -> Policy:
    """Every agent gives its tokens to its partner, who gives them back refined, and eats the final ones.

    Partners are agents 0 and 1, 2 and 3, and so on; the last of an odd number gives to the agent before it. An agent
    walks to its partner once its raw tokens become an inventory of refined ones, or if it has refined ones. It gives
    while the partner has room for what a token becomes. It eats once it has no room for more final tokens, or if its
    partner has none to give back.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Source: our rule.
    """
    ways, floor_at = _find_ways(env)
    partner = routes.pair_agents(env.num_agents)
    multiplier, capacity = env.default_params.gift_multiplier, env.default_params.capacity

    def policy(key: jax.Array, state: Any) -> jax.Array:
        raw, refined, final = (state.inventories[:, kind] for kind in (RAW, REFINED, FINAL))
        is_fed = (final > 0) & ((final + multiplier > capacity) | (refined[partner] == 0) | (final[partner] > 0))
        has_room = jnp.where(refined > 0, final[partner], refined[partner]) + multiplier <= capacity
        is_full = (refined > 0) | (raw * multiplier >= capacity) | ((raw > 0) & (refined[partner] > 0))
        gives = is_full & has_room & (final == 0)
        awaits = (final > 0) | (refined[partner] > 0) | (refined > 0)
        to_partner = _way(ways, floor_at, env, state, state.positions[partner])
        meet = _aim(env, state, partner, routes.first_step(to_partner, state.headings))
        gather = jnp.where(awaits, STAND, _gather(ways, floor_at, env, state))
        actions = jnp.where(gives, meet, gather)
        return jnp.where(is_fed, CONSUME, routes.sidestep(key, state, actions)).astype(jnp.int32)

    return policy


def greedy(env: GiftRefinements) -> Policy:
    """Every agent walks to the nearest token and eats what it has at once. It is called as `cooperative`."""
    ways, floor_at = _find_ways(env)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        actions = routes.sidestep(key, state, _gather(ways, floor_at, env, state))
        return jnp.where((state.inventories > 0).any(1), CONSUME, actions).astype(jnp.int32)

    return policy


def _find_ways(env: GiftRefinements) -> tuple[np.ndarray, np.ndarray]:
    """The ways to each floor cell, see `routes.find_ways`, and the number of the floor cell on each cell."""
    floor = cells_of(~env.walls)
    return routes.find_ways(env.walls, floor), index_of_cells(floor, env.walls.shape)


def _way(ways: np.ndarray, floor_at: np.ndarray, env: GiftRefinements, state: Any, cells: jax.Array) -> jax.Array:
    """The way of each agent to a cell `[N, 2]`, a code of `routes.find_ways`, `[N]` int32."""
    here = cell_index(state.positions, env.walls.shape[1])
    return jnp.asarray(ways)[here, jnp.asarray(floor_at)[cells[:, 0], cells[:, 1]]]


def _gather(ways: np.ndarray, floor_at: np.ndarray, env: GiftRefinements, state: Any) -> jax.Array:
    """The first step of each agent to the nearest token, `[N]` int32."""
    to_tokens = ways[:, floor_at[tuple(env.token_cells.T)]]
    own_ways = jnp.asarray(to_tokens)[cell_index(state.positions, env.walls.shape[1])]
    return routes.first_step(jnp.where(state.tokens[None], own_ways, routes.NEVER).min(1), state.headings)


def _aim(env: GiftRefinements, state: Any, partner: np.ndarray, otherwise: jax.Array) -> jax.Array:
    """Agents fire at a partner that their beam would hit, or turn to it, or act otherwise, `[N]` int32."""
    everyone = jnp.ones(env.num_agents, bool)

    def can_hit(turns: int) -> jax.Array:
        headings = (state.headings + turns) % 4
        reach = env.reach_of(state.positions, headings, everyone)
        hits, _ = lab2d.find_zaps(state.positions, headings, reach, everyone)
        return hits[np.arange(env.num_agents), partner]

    ahead, left, right, behind = map(can_hit, (0, 3, 1, 2))
    is_ready = state.cooldowns[:, 0] == 0
    return jnp.select([ahead & is_ready, ahead, left, right | behind], [BEAM, STAND, TURN_LEFT, TURN_RIGHT], otherwise)


POLICIES: dict[str, Callable[[Any], Policy]] = {"cooperative": cooperative, "greedy": greedy}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
