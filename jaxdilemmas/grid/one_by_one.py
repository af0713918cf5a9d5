"""The engine of the games of Gallego 2026 (arXiv:2603.19453): agents act one by one; tagged agents stay on the board.

Agents act in the order of their index, walk through each other and fire through walls.

Source: vicgalle/llm-policies-social-dilemmas @ f5c5b2b; docs/gallego.md has the rules.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once
from jaxdilemmas.grid import beams, movement, spawning
from jaxdilemmas.grid.geometry import with_trailing_axes
from jaxdilemmas.grid.scene import TILES as BOARD_TILES
from jaxdilemmas.grid.scene import Scene
from jaxdilemmas.uniforms import uniform

TILES = (*BOARD_TILES, "tagged")
"""Names of tile ids in draw order; all tagged agents have the same tile for others."""


def random_places(
    key: jax.Array, num_agents: int, spawn_cells: np.ndarray, open_cells: np.ndarray
) -> tuple[jax.Array, jax.Array]:
    """Places agents on distinct random spawn cells; if there are too few, the other agents start on any open cells.

    Args:
      key: used once.
      num_agents: N.
      spawn_cells: `[P, 2]` int32.
      open_cells: `[., 2]` int32, cells without apples and river.

    Returns:
      positions `[N, 2]` int32 and uniform headings `[N]` int32.
    """
    key_spawn, key_surplus, key_headings = jax.random.split(key, 3)
    num_spawning = min(num_agents, len(spawn_cells))
    spawns = spawning.sample_distinct(key_spawn, len(spawn_cells), num_spawning)
    surplus = jax.random.randint(key_surplus, (num_agents - num_spawning,), 0, len(open_cells), jnp.int32)
    positions = jnp.concatenate([jnp.asarray(spawn_cells)[spawns], jnp.asarray(open_cells)[surplus]])
    return positions, spawning.choose_headings(uniform(key_headings, num_agents))


def act_in_order(
    state: Any, actions: jax.Array, walls: np.ndarray, reach: np.ndarray, params: Any
) -> tuple[Any, jax.Array, jax.Array]:
    """Agents act by index, each on the board that the agents before it have left. Before that all timeouts fall by one.

    Args:
      state: a `GridState`.
      actions: `[N, ...]` int32.
      walls: `[H, W]` bool.
      reach: `[cells, 4, rays]` int32, cells that each ray of a beam covers; the same from every cell.
      params: has `hits_to_tag` and `timeout_steps`.

    Returns:
      The state, the action that each agent took, `[N, ...]` int32 (`STAND` for an agent that was out at its turn), and
      which agents hit which others, `[N, N, ...]` bool.
    """
    chex.assert_equal_shape([state.timeouts, actions])
    chex.assert_rank([walls, reach], [2, 3])
    state = state.replace(timeouts=jnp.maximum(state.timeouts - 1, 0))

    def act(state: Any, agent: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        action = jnp.where(state.timeouts[agent] == 0, actions[agent], movement.STAND)[None]
        position, heading = state.positions[agent][None], state.headings[agent][None]
        target = movement.propose_moves(position, heading, action, walls)
        state = state.replace(
            positions=state.positions.at[agent].set(target[0]),
            headings=state.headings.at[agent].set(movement.turn(heading, action)[0]),
        )
        rays = jnp.where(action == movement.BEAM, with_trailing_axes(reach[0, 0], action.ndim), 0)
        state, is_hit = fire_beam(state, agent, rays, params)
        return state, (action[0], is_hit)

    state, (done, given) = jax.lax.scan(act, state, jnp.arange(len(actions), dtype=jnp.int32))
    return state.replace(fired=done == movement.BEAM), done, given


def fire_beam(state: Any, agent: jax.Array, reach: jax.Array, params: Any) -> tuple[Any, jax.Array]:
    """Fires the beam of one agent, which hits all agents in it that are not tagged.

    Args:
      state: a `GridState`.
      agent: `[]` int32.
      reach: `[rays, ...]` int32, cells that each ray of its beam covers; 0 if it does not fire.
      params: has `hits_to_tag` and `timeout_steps`.

    Returns:
      The state and the agents that are hit, `[N, ...]` bool.
    """
    shooter, heading = state.positions[agent][None], state.headings[agent][None]
    find = compute_once(beams.find_hits)
    is_hit = find(shooter, heading, reach[None], state.positions, state.timeouts == 0).given[0]
    hits, is_tagged = beams.count_hits(state.hits, is_hit.astype(jnp.int32), params.hits_to_tag)
    timeouts = jnp.where(is_tagged, params.timeout_steps, state.timeouts).astype(jnp.int32)
    return state.replace(hits=hits, timeouts=timeouts), is_hit


def all_on_the_board(scene: Scene, timeouts: jax.Array) -> Scene:
    """Adds tagged agents to a scene: they are drawn, with their own tile for others, and they see as before.

    Args:
      scene: the scene of `GridEnvironment`.
      timeouts: `[N]` int32, above 0 for tagged agents.
    """
    everybody = jnp.ones_like(timeouts, bool)
    return scene._replace(is_drawn=everybody, can_see=everybody, is_tagged=timeouts > 0)
