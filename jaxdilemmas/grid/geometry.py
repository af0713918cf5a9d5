"""Headings and coordinates. Positions are (row, col); row 0 is the northern edge.

The agents are on the first axis. Arrays may have extra axes behind the named ones; these axes are the same for all
arguments.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import fold

NORTH, EAST, SOUTH, WEST = range(4)

STEPS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int32)
"""`[4, 2]`: the (row, col) change of one step in each heading."""

Torus = tuple[int, int] | None
"""(H, W) of a board whose opposite edges meet; None for a board that ends at its edges."""

BEHIND = 3
"""On a torus cells that are at most this far behind an agent count as behind it, and all others as ahead of it."""


def steps_along(headings: jax.Array) -> jax.Array:
    """The (row, col) change of one step in each heading, `[N, 2, ...]` int32 for `[N, ...]` int32."""
    return jnp.moveaxis(jnp.asarray(STEPS)[headings], -1, 1)


def with_trailing_axes(array: jax.Array | np.ndarray, ndim: int) -> jax.Array:
    """An array `[N]` as `[N, 1, ...]`, with `ndim` axes in all."""
    return jnp.expand_dims(array, range(array.ndim, ndim))


def take_agents(array: jax.Array, agents: jax.Array) -> jax.Array:
    """Takes entries of agents: entry i of the result is that of agent `agents[i]`.

    Args:
      array: `[N, ...]`.
      agents: `[N, ...]` int32.

    Returns:
      `[N, ...]`, of the dtype of `array`, which is bool or an integer.
    """
    taken = [jnp.where(agents == k, array[k], jnp.zeros((), array.dtype)) for k in range(len(array))]
    return fold(jnp.bitwise_or, taken)


def relative_coordinates(
    positions: jax.Array, headings: jax.Array, others: jax.Array, torus: Torus = None
) -> tuple[jax.Array, jax.Array]:
    """Coordinates of cells relative to agents that look along their headings.

    Args:
      positions: `[N, 2, ...]` int32, cells of the viewers.
      headings: `[N, ...]` int32, headings of the viewers.
      others: `[M, 2, ...]` int32, the other cells.
      torus: see `Torus`. There a cell is at most `BEHIND` cells behind, and not more than half of the board to a side.

    Returns:
      forward and right, `[N, M, ...]` int32 each: cells ahead (negative if behind) and cells to the right.
    """
    chex.assert_shape([positions, others], (None, 2, *headings.shape[1:]))
    chex.assert_equal_shape_prefix([positions, headings], 1)
    offsets = others[None] - positions[:, None]
    ahead = steps_along(headings)[:, None]
    forward = offsets[:, :, 0] * ahead[:, :, 0] + offsets[:, :, 1] * ahead[:, :, 1]
    right = offsets[:, :, 0] * ahead[:, :, 1] - offsets[:, :, 1] * ahead[:, :, 0]
    if torus is None:
        return forward, right
    is_upright, (height, width) = (headings % 2 == 0)[:, None], map(np.int32, torus)
    along, across = jnp.where(is_upright, height, width), jnp.where(is_upright, width, height)
    return _go_round(forward, jnp.int32(-BEHIND), along), _go_round(right, -(across // 2), across)


def _go_round(offsets: jax.Array, least: jax.Array, size: jax.Array) -> jax.Array:
    """The same offsets on a torus of this size, from `least` to `least + size - 1`; `[...]` int32 each."""
    return offsets + jnp.where(offsets < least, size, jnp.where(offsets >= least + size, -size, 0))


def cell_index(positions: jax.Array, width: int) -> jax.Array:
    """Row-major index of cells `[N, 2, ...]` on a board with `width` columns, `[N, ...]` int32."""
    return positions[:, 0] * width + positions[:, 1]


def pad_board(layer: np.ndarray, margin: int, outside: int, is_torus: bool) -> np.ndarray:
    """A layer `[H, W]` with cells around it: copies of the board if it is a torus, or the value `outside`."""
    if is_torus:
        return np.pad(layer, margin, mode="wrap")
    return np.pad(layer, margin, constant_values=outside)


def any_other(pairs: jax.Array) -> jax.Array:
    """Whether any entry of the second axis is True, `[N, M, ...]` bool -> `[N, ...]` bool."""
    return fold(jnp.logical_or, jnp.unstack(pairs, axis=1))


def count_others(pairs: jax.Array, axis: int = 1) -> jax.Array:
    """The number of True entries on the second axis, `[N, M, ...]` bool -> `[N, ...]` int32, or on the first axis."""
    return fold(jnp.add, [part.astype(jnp.int32) for part in jnp.unstack(pairs, axis=axis)])


def same_cell(cells: jax.Array, others: jax.Array) -> jax.Array:
    """Which cells are the same, `[N, M, ...]` bool, for cells `[N, 2, ...]` and others `[M, 2, ...]`."""
    return (cells[:, None, 0] == others[None, :, 0]) & (cells[:, None, 1] == others[None, :, 1])
