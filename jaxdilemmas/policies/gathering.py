"""Scripted policies of the games of apples and beams: `gathering`, `commons`, their Gallego versions and `harvest`.

`jaxdilemmas.policies.routes` explains how these policies are called. It also contains `greedy` and `exploitative`, the
two policies that do not depend on how apples grow.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Policy
from jaxdilemmas.grid.environment import GridEnvironment
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.policies import routes

LIVE_NEIGHBOURS_TO_EAT = 5
"""An apple with this many live neighbours regrows at the highest rate, in games without `regrowth_counts`."""


def cooperative(env: GridEnvironment) -> Policy:
    """Every agent harvests its own territory with restraint, and no agent uses its beam.

    Each agent walks to the apple of its territory that it can eat first. This depends on the steps to the apple and on
    the steps until the apple has regrown. If several apples are equal, it chooses the nearest.

    Where regrowth depends on density, an agent does not eat an apple with few live neighbours. The number of live
    neighbours must be enough for regrowth at the highest rate. So each eaten apple regrows at that rate.

    If another agent stands in the way, every second try is a step in a random direction. So two agents that meet
    head-on can pass each other.

    Args:
      env: a game with apples.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not a grid game with apples.

    Source: our rule. The zones of vicgalle/llm-policies-social-dilemmas @ f5c5b2b are rows of the map, and its agents
    wait in the middle of their zones instead of going to the place of the next apple.
    """
    routes.check_forage(env)
    ways = routes.find_ways(env.walls, env.apple_cells)
    num_ways = 1 + int(np.max(ways, where=ways < routes.NEVER, initial=0))
    is_own = routes.divide_cells(env.apple_cells, env.num_agents) == np.arange(env.num_agents)[:, None]

    def policy(key: jax.Array, state: Any) -> jax.Array:
        own_ways = jnp.asarray(ways)[cell_index(state.positions, env.walls.shape[1])]
        waits = _steps_until_ripe(env, state)[None]
        arrivals = jnp.maximum(own_ways // 4, waits)
        is_option = is_own & (own_ways < routes.NEVER) & (waits < routes.NEVER)
        best = jnp.where(is_option, arrivals * num_ways + own_ways, routes.NEVER).min(1)
        actions = routes.first_step(jnp.where(best < routes.NEVER, best % num_ways, routes.NEVER), state.headings)
        return routes.wait_out(state, routes.sidestep(key, state, actions))

    return policy


def _steps_until_ripe(env: Any, state: Any) -> jax.Array:
    """Steps until each apple can be eaten without harm, `[A]` int32; `NEVER` where chance decides when."""
    if not hasattr(env, "neighbours"):
        return jnp.where(state.apples, 0, state.apple_timers)
    live_neighbours = jnp.asarray(env.neighbours, jnp.float32) @ state.apples.astype(jnp.float32)
    fewest = env.regrowth_counts[-1] if hasattr(env, "regrowth_counts") else LIVE_NEIGHBOURS_TO_EAT
    return jnp.where(state.apples & (live_neighbours >= fewest), jnp.int32(0), jnp.int32(routes.NEVER))


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "greedy": routes.greedy,
    "exploitative": routes.exploitative,
    "cooperative": cooperative,
}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
