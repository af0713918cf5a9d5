"""Turns, moves, and the decision which agent gives way.

The agents are on the first axis. Arrays may have extra axes behind the named ones; these axes are the same for all
arguments.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid.bits import look_up_bits
from jaxdilemmas.grid.geometry import any_other, same_cell, steps_along, take_agents, with_trailing_axes

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND, CLEAN = range(9)
"""Action numbers of grid games. Only games with waste have CLEAN. Inside jit any other number acts as STAND."""


def turn(headings: jax.Array, actions: jax.Array) -> jax.Array:
    """Turns agents left or right by a quarter turn if their action is a turn.

    Args:
      headings: `[N, ...]` int32.
      actions: `[N, ...]` int32.

    Returns:
      `[N, ...]` int32, the new headings.
    """
    return (headings + (actions == TURN_RIGHT).astype(jnp.int32) - (actions == TURN_LEFT).astype(jnp.int32)) % 4


def is_move(actions: jax.Array) -> jax.Array:
    """Which of the actions `[N, ...]` int32 are moves, even if something is in the way, `[N, ...]` bool."""
    return (actions >= FORWARD) & (actions <= STEP_RIGHT)


class Obstacles(NamedTuple):
    """Things that block cells as walls do while they are there.

    Attributes:
      there: `[W, ...]` uint32, packed bits of the things that are there.
      index_at: `[H, W]` int32, the thing of each cell, the number of things where there is none.
    """

    there: jax.Array
    index_at: np.ndarray


def propose_moves(
    positions: jax.Array,
    headings: jax.Array,
    actions: jax.Array,
    walls: jax.Array | np.ndarray,
    is_torus: bool = False,
    obstacles: Obstacles | None = None,
) -> jax.Array:
    """The cell that each agent wants: one step relative to its heading.

    If a wall, an obstacle or the edge of the board is in the way, it is the agent's own cell.

    Args:
      positions: `[N, 2, ...]` int32 (row, col).
      headings: `[N, ...]` int32.
      actions: `[N, ...]` int32; only 0 to 3 move.
      walls: `[H, W]` bool.
      is_torus: whether opposite edges of the board meet.
      obstacles: None if only walls block cells.

    Returns:
      `[N, 2, ...]` int32.
    """
    chex.assert_equal_shape([headings, actions])
    chex.assert_shape(positions, (headings.shape[0], 2, *headings.shape[1:]))
    chex.assert_type([positions, headings, actions, walls], [int, int, int, bool])
    walls = jnp.asarray(walls)
    turned = [actions == BACKWARD, actions == STEP_LEFT, actions == STEP_RIGHT]
    quarter_turns = jnp.select(turned, [jnp.int32(2), jnp.int32(3), jnp.int32(1)], jnp.int32(0))
    targets = positions + steps_along((headings + quarter_turns) % 4)
    if is_torus:
        targets = targets % with_trailing_axes(np.array([walls.shape], np.int32), targets.ndim)
    rows, cols = targets[:, 0], targets[:, 1]
    is_on_board = (rows >= 0) & (rows < walls.shape[0]) & (cols >= 0) & (cols < walls.shape[1])
    is_free = is_on_board & ~walls.at[rows, cols].get(mode="clip")
    if obstacles is not None:
        is_free &= ~look_up_bits(obstacles.there, jnp.asarray(obstacles.index_at).at[rows, cols].get(mode="clip"))
    return jnp.where((is_move(actions) & is_free)[:, None], targets, positions)


def goes_first(priorities: jax.Array) -> jax.Array:
    """Which agents go before which others, by priorities `[N, ...]` float32.

    Returns:
      `[N, N, ...]` bool: [i, j] is whether j has the higher priority, or the same priority and the lower index.
    """
    index = with_trailing_axes(jnp.arange(priorities.shape[0], dtype=jnp.int32), priorities.ndim)
    is_equal = priorities[None] == priorities[:, None]
    return (priorities[None] > priorities[:, None]) | (is_equal & (index[None] < index[:, None]))


def resolve_moves(
    priorities: jax.Array, positions: jax.Array, targets: jax.Array, is_present: jax.Array | None = None
) -> jax.Array:
    """Decides which proposed moves succeed if all agents move at once, with at most one agent on each cell.

    An agent that stays keeps its cell. If several agents want a free cell, the one with the highest priority gets it.
    Two agents may not swap cells. An agent may follow another one that leaves its cell, so trains move on and rings of
    three or more agents rotate.

    Args:
      priorities: `[N, ...]` float32; a uniform draw makes ties fair (of equal priorities the lower index wins).
      positions: `[N, 2, ...]` int32 (row, col), pairwise distinct among the agents present.
      targets: `[N, 2, ...]` int32, walls and board edge already applied.
      is_present: `[N, ...]` bool; None means that all are present. Absent agents do not move and do not block others.

    Returns:
      `[N, 2, ...]` int32: row i is targets[i] or positions[i]; rows of present agents are pairwise distinct.

    Source: our choice, the rule that SocialJax's resolution and the sequential social dilemma games of Vinitsky et al.
    share where both are sound; the order of the agents never matters.
    """
    is_moving, enters = _find_wishes(priorities, positions, targets, is_present)
    loses = any_other(same_cell(targets, targets) & is_moving[None] & goes_first(priorities))
    is_blocked = ~is_moving | loses | any_other(enters & enters.swapaxes(0, 1))
    return _move_unless_blocked(is_blocked, enters, positions, targets)


def move_in_turn(
    priorities: jax.Array, positions: jax.Array, targets: jax.Array, is_present: jax.Array | None = None
) -> jax.Array:
    """Decides which proposed moves succeed if agents move one after the other, the highest priority first.

    An agent moves if the cell that it wants is free at its turn. So if several agents want a free cell, the first of
    them gets it. An agent follows another one only if that one moved before it. Swaps and rings never move.

    Args:
      priorities: `[N, ...]` float32; a uniform draw makes every order equally likely.
      positions: `[N, 2, ...]` int32, see `resolve_moves`.
      targets: `[N, 2, ...]` int32, see `resolve_moves`.
      is_present: `[N, ...]` bool, see `resolve_moves`.

    Returns:
      `[N, 2, ...]` int32, see `resolve_moves`.

    Source: google-deepmind/lab2d @ 0947443, whose engine works through the moves of a step in random order.
    """
    is_moving, enters = _find_wishes(priorities, positions, targets, is_present)
    is_earlier = goes_first(priorities)
    # An agent stays if its turn is before that of the agent on the cell that it wants. Of the others the first one gets
    # the cell, if the agent on that cell, whose turn is then over, has left.
    is_contender = is_moving & ~any_other(enters & ~is_earlier)
    loses = any_other(same_cell(targets, targets) & is_contender[None] & is_earlier)
    return _move_unless_blocked(~is_contender | loses, enters, positions, targets)


RULES = {"sequential": move_in_turn, "simultaneous": resolve_moves}
"""Functions that decide the moves of one step, by name."""


def move_agents(
    state: Any,
    priorities: jax.Array,
    actions: jax.Array,
    walls: np.ndarray,
    rule: str,
    is_torus: bool = False,
    obstacles: Obstacles | None = None,
) -> Any:
    """Turns or moves the agents on the board; at most one agent stands on a cell.

    Args:
      state: a `GridState`.
      priorities: `[N]` float32, see the rules.
      actions: `[N]` int32.
      walls: `[H, W]` bool.
      rule: how moves are decided, a name in `RULES`.
      is_torus: whether opposite edges of the board meet.
      obstacles: None if only walls block cells.

    Returns:
      The state with new positions and headings.
    """
    is_present = state.timeouts == 0
    actions = jnp.where(is_present, actions, STAND)

    def propose(positions: jax.Array, headings: jax.Array, actions: jax.Array, there: Any) -> jax.Array:
        blocking = None if obstacles is None else obstacles._replace(there=there)
        return propose_moves(positions, headings, actions, walls, is_torus, blocking)

    there = None if obstacles is None else obstacles.there
    targets = compute_once(propose)(state.positions, state.headings, actions, there)
    return state.replace(
        positions=compute_once(RULES[rule])(priorities, state.positions, targets, is_present),
        headings=turn(state.headings, actions),
    )


def _find_wishes(
    priorities: jax.Array, positions: jax.Array, targets: jax.Array, is_present: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Which agents want to move, and to whose cells.

    Returns:
      `[N, ...]` bool, and `[N, N, ...]` bool: [i, j] is whether i wants the cell of j.
    """
    num_agents, *trailing = priorities.shape
    chex.assert_shape([positions, targets], (num_agents, 2, *trailing))
    chex.assert_type([priorities, positions, targets], [float, int, int])
    present = jnp.ones(priorities.shape, bool) if is_present is None else is_present
    chex.assert_shape(present, priorities.shape)
    is_moving = any_other(targets != positions) & present
    return is_moving, same_cell(targets, positions) & is_moving[:, None] & present[None]


def _look_ahead(is_blocked: jax.Array, leader: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether an agent or the one that it follows is blocked, and whom that one follows, `[N, ...]` each."""
    return is_blocked | take_agents(is_blocked, leader), take_agents(leader, leader)


def _move_unless_blocked(
    is_blocked: jax.Array, enters: jax.Array, positions: jax.Array, targets: jax.Array
) -> jax.Array:
    """Moves all agents except the blocked ones and those that wait, in a row, behind blocked ones.

    Args:
      is_blocked: `[N, ...]` bool.
      enters: `[N, N, ...]` bool, see `_find_wishes`.
      positions: `[N, 2, ...]` int32.
      targets: `[N, 2, ...]` int32.

    Returns:
      `[N, 2, ...]` int32.
    """
    num_agents = positions.shape[0]
    index = with_trailing_axes(jnp.arange(num_agents, dtype=jnp.int32), is_blocked.ndim)
    leader = fold(jnp.maximum, [jnp.where(enters[:, k], np.int32(k), -1) for k in range(num_agents)])
    leader = jnp.where(leader < 0, index, leader)
    for _ in range((num_agents - 1).bit_length()):  # after k rounds an agent knows of 2 ** k agents ahead of it
        is_blocked, leader = compute_once(_look_ahead)(is_blocked, leader)
    return jnp.where(is_blocked[:, None], positions, targets)
