"""Headings and the coordinates that go with them. Positions are (row, col), row 0 is the northern edge."""

import jax
import jax.numpy as jnp
import numpy as np

NORTH, EAST, SOUTH, WEST = range(4)

STEPS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int32)
"""`[4, 2]`: the (row, col) change of one step in each heading."""


def relative_coordinates(positions: jax.Array, headings: jax.Array, others: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where other cells lie as seen from agents that look along their headings.

    Args:
      positions: `[N, 2]` int32, where the viewers stand.
      headings: `[N]` int32.
      others: `[M, 2]` int32, the cells looked at.

    Returns:
      forward and right, `[N, M]` int32 each: cells ahead (behind is negative) and cells to the right.
    """
    steps = jnp.asarray(STEPS)
    offsets = others[None, :, :] - positions[:, None, :]
    ahead = steps[headings][:, None, :]
    forward = offsets[..., 0] * ahead[..., 0] + offsets[..., 1] * ahead[..., 1]
    right = offsets[..., 0] * ahead[..., 1] - offsets[..., 1] * ahead[..., 0]
    return forward, right


def cell_index(positions: jax.Array, width: int) -> jax.Array:
    """Row-major index of cells `[..., 2]` on a board `width` columns wide, `[...]` int32."""
    return positions[..., 0] * width + positions[..., 1]


def same_cell(cells: jax.Array, others: jax.Array) -> jax.Array:
    """Which cells coincide, `[N, M]` bool, for cells `[N, 2]` and others `[M, 2]`."""
    return (cells[:, None, :] == others[None, :, :]).all(-1)
