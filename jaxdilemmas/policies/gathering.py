"""Scripted policies of the games of apples and beams: `gathering`, `commons`, their Gallego versions and `harvest`.

`jaxdilemmas.policies.routes` says what a policy is and has the two that need to know nothing of how apples grow.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Policy
from jaxdilemmas.grid.environment import GridEnvironment
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.policies.routes import (
    NEVER,
    check_forage,
    divide_cells,
    exploitative,
    find_ways,
    first_step,
    greedy,
    sidestep,
    wait_out,
)

LIVE_NEIGHBOURS_TO_EAT = 5
"""Live neighbours of an apple that regrows at the highest rate, where the game has no `regrowth_counts`."""


def cooperative(env: GridEnvironment) -> Policy:
    """Every agent harvests a territory of its own with restraint, and nobody beams.

    An agent walks to the apple of its territory that it can eat soonest, counting the way and the time until the apple
    is back, of several to the nearest. Where apples regrow by density it leaves those with fewer live neighbours than
    regrowth at the highest rate takes, so that each comes back at that rate. If somebody stands in the way, every
    second try is a step in a random direction, so that agents that meet head-on get past each other.

    Args:
      env: a game with apples.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Source: our rule. The zones of vicgalle/llm-policies-social-dilemmas @ f5c5b2b are rows of the map, and its agents
    wait in the middle of theirs instead of going where the next apple will be.
    """
    check_forage(env)
    ways = find_ways(env.walls, env.apple_cells)
    num_ways = 1 + int(np.max(ways, where=ways < NEVER, initial=0))
    is_own = divide_cells(env.apple_cells, env.num_agents) == np.arange(env.num_agents)[:, None]

    def policy(key: jax.Array, state: Any) -> jax.Array:
        own_ways = jnp.asarray(ways)[cell_index(state.positions, env.walls.shape[1])]
        waits = _steps_until_ripe(env, state)[None]
        arrivals = jnp.maximum(own_ways // 4, waits)
        is_option = is_own & (own_ways < NEVER) & (waits < NEVER)
        best = jnp.where(is_option, arrivals * num_ways + own_ways, NEVER).min(1)
        actions = first_step(jnp.where(best < NEVER, best % num_ways, NEVER), state.headings)
        return wait_out(state, sidestep(key, state, actions))

    return policy


def _steps_until_ripe(env: Any, state: Any) -> jax.Array:
    """Steps until an apple is there to be eaten without harm, `[A]` int32; `NEVER` where chance decides when."""
    if not hasattr(env, "neighbours"):
        return jnp.where(state.apples, 0, state.apple_timers)
    live_neighbours = jnp.asarray(env.neighbours, jnp.float32) @ state.apples.astype(jnp.float32)
    fewest = env.regrowth_counts[-1] if hasattr(env, "regrowth_counts") else LIVE_NEIGHBOURS_TO_EAT
    return jnp.where(state.apples & (live_neighbours >= fewest), jnp.int32(0), jnp.int32(NEVER))


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "greedy": greedy,
    "exploitative": exploitative,
    "cooperative": cooperative,
}
"""By name, for `jaxdilemmas.policies.scripted`."""
