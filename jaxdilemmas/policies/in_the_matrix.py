"""Scripted policies of `in_the_matrix`: collect one class, then meet another agent.

`jaxdilemmas.policies.routes` explains how these policies are called.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Policy, require
from jaxdilemmas.envs.in_the_matrix import InTheMatrix, State, is_ready
from jaxdilemmas.grid.geometry import cell_index, same_cell
from jaxdilemmas.grid.maps import cells_of
from jaxdilemmas.policies import routes

MARGIN = 3
"""How many more of its class than of any other class an agent has before it looks for another agent.

Source: the puppets of google-deepmind/meltingpot @ 81ee2e7 have such a margin.
"""


def cooperative(env: InTheMatrix) -> Policy:
    """Every agent plays class 1: cooperation, stag, dove, Bach or rock, by the order of the game's matrix.

    It collects `MARGIN` more of its class than of any other class, and walks around resources of other classes. Then it
    walks to the nearest agent that is ready, and fires at it.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `in_the_matrix`.

    Source: our rule.
    """
    return collectors(env, lambda state: jnp.zeros(env.num_agents, jnp.int32))


def defecting(env: InTheMatrix) -> Policy:
    """As `cooperative`, but every agent plays class 2: defection, hare, hawk, Stravinsky or paper."""
    return collectors(env, lambda state: jnp.full(env.num_agents, min(1, env.num_classes - 1), jnp.int32))


def tit_for_tat(env: InTheMatrix) -> Policy:
    """As `cooperative`, but every agent plays the class of which the agent that it met last had most.

    Before it meets the first one, and between equal classes, it plays the lowest of them.
    """
    return collectors(env, lambda state: jnp.argmax(state.partners, axis=1).astype(jnp.int32))


def collectors(env: InTheMatrix, choose: Callable[[State], jax.Array]) -> Policy:
    """Every agent collects the class that `choose` returns for it, and then meets another agent.

    Args:
      env: the game.
      choose: state -> `[N]` int32, the class of each agent, from 0 on.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `in_the_matrix`.
    """
    require(isinstance(env, InTheMatrix), "env", env, "the game in_the_matrix")
    cells = cells_of(~env.walls)
    ways = np.stack([_find_ways(env, cells, k) for k in range(1, env.num_classes + 1)])
    resource = np.argmax((cells[None] == env.resource_cells[:, None]).all(-1), axis=1).astype(np.int32)

    def policy(key: jax.Array, state: State) -> jax.Array:
        kind = choose(state)
        own_ways = jnp.asarray(ways)[kind, cell_index(state.positions, env.walls.shape[1])]  # [N, C]
        is_goal = state.resources[None] & (state.classes.astype(jnp.int32)[None] == kind[:, None] + 1)
        to_resource = jnp.where(is_goal, own_ways[:, resource], routes.NEVER).min(1)
        is_target = is_ready(state) & (state.frozen == 0) & (state.timeouts == 0)
        stands_on = same_cell(state.positions, jnp.asarray(cells)) & is_target[:, None]
        is_other = ~jnp.eye(env.num_agents, dtype=bool)
        is_near = (is_other[:, :, None] & stands_on[None]).any(1)
        to_agent = jnp.where(is_near, own_ways, routes.NEVER).min(1)
        hunts = _has_margin(state, kind) & (to_agent < routes.NEVER)
        actions = routes.first_step(jnp.where(hunts, to_agent, to_resource), state.headings)
        targets_only = state.replace(timeouts=(~is_target).astype(jnp.int32))
        actions = jnp.where(hunts, routes.beam_first(env, targets_only, actions), actions)
        return routes.wait_out(state, routes.sidestep(key, state, actions))

    return policy


def _find_ways(env: InTheMatrix, cells: np.ndarray, kind: int) -> np.ndarray:
    """Ways to all cells around resources of other classes, or through them if there is no other, `[H * W, C]` int32."""
    is_avoided = env.walls.copy()
    is_avoided[tuple(env.resource_cells[env.fixed_classes != kind].T)] = True
    around, through = routes.find_ways(is_avoided, cells), routes.find_ways(env.walls, cells)
    return np.where(around < routes.NEVER, around, through)


def _has_margin(state: State, kind: jax.Array) -> jax.Array:
    """Whether each agent has `MARGIN` more of its class than of any other class, `[N]` bool."""
    is_own = kind[:, None] == jnp.arange(state.inventories.shape[1], dtype=jnp.int32)[None]
    own = jnp.where(is_own, state.inventories, 0).max(1)
    return own - jnp.where(is_own, 0, state.inventories).max(1) >= MARGIN


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "cooperative": cooperative,
    "defecting": defecting,
    "tit_for_tat": tit_for_tat,
}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
