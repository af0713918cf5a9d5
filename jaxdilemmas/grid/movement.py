"""Turning, moving and who gives way."""

import chex
import jax
import jax.numpy as jnp

from jaxdilemmas.grid.geometry import STEPS, same_cell

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND, CLEAN = range(9)
"""Action numbers of grid games; CLEAN only where there is waste; inside jit any other number is STAND."""


def turn(headings: jax.Array, actions: jax.Array) -> jax.Array:
    """Turns left or right by a quarter where the action says so.

    Args:
      headings: `[...]` int32.
      actions: `[...]` int32.

    Returns:
      `[...]` int32, the new headings.
    """
    return (headings + (actions == TURN_RIGHT) - (actions == TURN_LEFT)) % 4


def propose_moves(positions: jax.Array, headings: jax.Array, actions: jax.Array, walls: jax.Array) -> jax.Array:
    """The cell each agent wants: one step relative to its heading, or its own where a wall or the edge is in the way.

    Args:
      positions: `[..., 2]` int32 (row, col).
      headings: `[...]` int32.
      actions: `[...]` int32; only 0 to 3 move.
      walls: `[H, W]` bool.

    Returns:
      `[..., 2]` int32.
    """
    quarter_turns = jnp.select([actions == BACKWARD, actions == STEP_LEFT, actions == STEP_RIGHT], [2, 3, 1], 0)
    is_moving = (actions >= FORWARD) & (actions <= STEP_RIGHT)
    targets = positions + jnp.asarray(STEPS)[(headings + quarter_turns) % 4]
    rows, cols = targets[..., 0], targets[..., 1]
    is_on_board = (rows >= 0) & (rows < walls.shape[0]) & (cols >= 0) & (cols < walls.shape[1])
    is_free = is_on_board & ~walls.at[rows, cols].get(mode="clip")
    return jnp.where((is_moving & is_free)[..., None], targets, positions)


def goes_first(priorities: jax.Array) -> jax.Array:
    """Who goes before whom, `[N, N]` bool: [i, j] is whether j has the higher priority, or the same and lower index."""
    index = jnp.arange(priorities.shape[0])
    is_equal = priorities[None, :] == priorities[:, None]
    return (priorities[None, :] > priorities[:, None]) | (is_equal & (index[None, :] < index[:, None]))


def resolve_moves(
    priorities: jax.Array, positions: jax.Array, targets: jax.Array, is_present: jax.Array | None = None
) -> jax.Array:
    """Decides which proposed moves succeed, at most one agent per cell.

    An agent that stays keeps its cell. Among contenders for a free cell the highest priority wins. Two agents may not
    swap cells; an agent may follow one that leaves, so trains move on and rings of three or more rotate.

    Args:
      priorities: `[N]` float32; a uniform draw makes ties fair (of equal priorities the lower index wins).
      positions: `[N, 2]` int32 (row, col), pairwise distinct among the agents present.
      targets: `[N, 2]` int32, walls and board edge already applied.
      is_present: `[N]` bool, all when left out; agents that are absent do not move and block nobody.

    Returns:
      `[N, 2]` int32: row i is targets[i] or positions[i]; rows of present agents are pairwise distinct.

    Source: our choice, the rule that SocialJax's resolution and the sequential social dilemma games of Vinitsky et al.
    share where both are sound; the order of the agents never matters.
    """
    num_agents = positions.shape[0]
    chex.assert_shape([positions, targets], (num_agents, 2))
    chex.assert_shape(priorities, (num_agents,))
    chex.assert_type([priorities, positions, targets], [float, int, int])
    present = jnp.ones(num_agents, bool) if is_present is None else is_present
    chex.assert_shape(present, (num_agents,))
    is_moving = (targets != positions).any(-1) & present
    index = jnp.arange(num_agents)
    loses = (same_cell(targets, targets) & is_moving[None, :] & goes_first(priorities)).any(1)
    enters = same_cell(targets, positions) & is_moving[:, None] & present[None, :]  # [i, j]: i wants the cell of j
    is_blocked = ~is_moving | loses | (enters & enters.T).any(1)
    leader = jnp.where(enters.any(1), enters.argmax(1), index)
    for _ in range((num_agents - 1).bit_length()):  # after k rounds an agent knows of 2 ** k agents ahead of it
        is_blocked = is_blocked | is_blocked[leader]
        leader = leader[leader]
    return jnp.where(is_blocked[:, None], positions, targets)
