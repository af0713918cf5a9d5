"""Scripted policies of `coop_mining`; `jaxdilemmas.policies.routes` explains how these policies are called."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Policy
from jaxdilemmas.envs.coop_mining import GOLD, IRON, PARTIAL, CoopMining
from jaxdilemmas.grid import beams, items
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.grid.movement import BEAM, STAND, TURN_LEFT, TURN_RIGHT
from jaxdilemmas.policies import routes


def cooperative(env: CoopMining) -> Policy:
    """Every agent mines gold with its partner, and iron while there is no gold.

    Partners are agents 0 and 1, 2 and 3, and so on; the last of an odd number joins the pair before it. A pair walks to
    the gold for which both need the fewest steps together. Both hit it whenever their beams are ready, so within three
    steps. On its way an agent hits iron and the partial gold of others that is ahead of it.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `coop_mining`.

    Source: our rule.
    """
    check_kind("env", env, CoopMining, "the game `coop_mining`")
    ways = routes.find_ways(env.walls, env.ore_cells)
    partner = routes.pair_agents(env.num_agents)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        own_ways = jnp.asarray(ways)[cell_index(state.positions, env.walls.shape[1])]
        steps = jnp.where(own_ways < routes.NEVER, own_ways // 4, env.walls.size)
        is_gold = state.ore >= GOLD
        is_wanted = jnp.where(is_gold.any(), is_gold, state.ore == IRON)
        return _mine(env, key, state, own_ways, jnp.where(is_gold, steps + steps[partner], steps), is_wanted)

    return policy


def greedy(env: CoopMining) -> Policy:
    """Every agent mines the nearest iron, and never gold. It is called as `cooperative`."""
    check_kind("env", env, CoopMining, "the game `coop_mining`")
    ways = routes.find_ways(env.walls, env.ore_cells)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        own_ways = jnp.asarray(ways)[cell_index(state.positions, env.walls.shape[1])]
        unshared = state.replace(ore=jnp.where(state.ore == PARTIAL, GOLD, state.ore))
        return _mine(env, key, unshared, own_ways, own_ways, state.ore == IRON)

    return policy


def _mine(
    env: CoopMining, key: jax.Array, state: Any, ways: jax.Array, costs: jax.Array, is_wanted: jax.Array
) -> jax.Array:
    """Agents walk to the wanted ore with the lowest cost, turn to it and fire.

    They also fire if iron, or the partial gold of another agent, is ahead.

    Args:
      env: the game.
      key: a JAX PRNG key, used once.
      state: the state of the game.
      ways: `[N, A]` int32, codes of `routes.find_ways`.
      costs: `[N, A]` int32.
      is_wanted: `[A]` bool.

    Returns:
      `[N]` int32.
    """
    goal = jnp.argmin(jnp.where(is_wanted[None], costs, routes.NEVER), axis=1).astype(jnp.int32)
    way = jnp.where(is_wanted[goal], jnp.take_along_axis(ways, goal[:, None], 1)[:, 0], routes.NEVER)
    goal = jnp.where(is_wanted[goal], goal, -1)
    ahead, left, right, behind = (_first_ore(env, state, turns) for turns in (0, 3, 1, 2))
    kind, owner = items.take(state.ore, ahead), items.take(state.miners, ahead)
    is_welcome = (kind == IRON) | (
        (kind == PARTIAL) & (owner.astype(jnp.int32) != jnp.arange(env.num_agents, dtype=jnp.int32))
    )
    is_ready = state.cooldowns[:, 0] == 0
    actions = jnp.select(
        [is_ready & ((ahead == goal) | is_welcome), ahead == goal, left == goal, (right == goal) | (behind == goal)],
        [BEAM, STAND, TURN_LEFT, TURN_RIGHT],
        routes.first_step(way, state.headings),
    )
    return routes.sidestep(key, state, actions).astype(jnp.int32)


def _first_ore(env: CoopMining, state: Any, turns: int) -> jax.Array:
    """The first ore on the beam of each agent after quarter turns to the right, `[N]` int32, A if none."""
    headings = (state.headings + turns) % 4
    turned = state.replace(headings=headings)
    on_rays = beams.look_along_rays(env.ore_on_rays, turned, env.walls.shape[1])
    reach = env.reach_of(state.positions, headings, jnp.ones(env.num_agents, bool))
    return items.first_on_rays(state.ore, on_rays, reach)[0]


POLICIES: dict[str, Callable[[Any], Policy]] = {"cooperative": cooperative, "greedy": greedy}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
