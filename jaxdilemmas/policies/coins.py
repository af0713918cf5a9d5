"""Scripted policies of `coins`; `jaxdilemmas.policies.routes` explains how policies are called.

Each agent walks to the nearest coin that it wants. If the other agent stands in the way, every second try is a step in
a random direction. The policies differ in the coins that agents want.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Policy
from jaxdilemmas.envs.coins import Coins, State
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.policies import routes

COLOURS = np.array([1, 2], np.int8)
"""The colour of each agent."""


def greedy(env: Coins) -> Policy:
    """Every agent takes the nearest coin.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [2] int32`.

    Raises:
      ValueError: `env` is not the game `coins`.

    Source: our rule.
    """
    return _walkers(env, lambda state: jnp.ones(2, bool))


def cooperative(env: Coins) -> Policy:
    """As `greedy`, but every agent takes coins in its own colour only."""
    return _walkers(env, lambda state: jnp.zeros(2, bool))


def reciprocal(env: Coins) -> Policy:
    """As `cooperative`, but an agent is `greedy` while the other has taken more coins of the wrong colour than it has.

    Source: our rule, after the puppets of Melting Pot, who count such coins over a shorter time.
    """
    return _walkers(env, lambda state: state.mismatches[::-1] > state.mismatches)


def _walkers(env: Coins, wants_all: Callable[[State], jax.Array]) -> Policy:
    """Each agent walks to the nearest coin that it wants: all, or those in its colour, `wants_all(state) -> [2]`."""
    check_kind("env", env, Coins, "the game coins, without wrappers")
    ways = routes.find_ways(env.walls, env.coin_cells)

    def policy(key: jax.Array, state: State) -> jax.Array:
        own_ways = jnp.asarray(ways)[cell_index(state.positions, env.walls.shape[1])]
        is_own = state.coins[None] == jnp.asarray(COLOURS)[:, None]
        is_wanted = is_own | (wants_all(state)[:, None] & (state.coins > 0)[None])
        actions = routes.first_step(jnp.where(is_wanted, own_ways, routes.NEVER).min(1), state.headings)
        return routes.wait_out(state, routes.sidestep(key, state, actions))

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "greedy": greedy,
    "cooperative": cooperative,
    "reciprocal": reciprocal,
}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
