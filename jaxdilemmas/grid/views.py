"""What agents see: egocentric windows, drawn per viewer from a static layer and a few moving things.

Nothing scatters into a board and nothing gathers cell by cell: what never changes is read from a table by the viewer's
cell and heading, resources are bits tested by number, agents and beams are compared with every cell of the window.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid.geometry import STEPS

NOWHERE = np.int16(np.iinfo(np.int16).max)
"""A row and column of a frame that no frame has."""


class Window(NamedTuple):
    """How far an agent sees, in cells; it looks along its heading, which is up in the window."""

    ahead: int
    behind: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the window."""
        return self.ahead + self.behind + 1, 2 * self.side + 1


class Frame(NamedTuple):
    """Moving things in the coordinates of F drawings, one per viewer; row 0 is the top, column 0 the left.

    Attributes:
      rows: `[F, N]` int16, where each agent stands, possibly outside the drawing.
      cols: `[F, N]` int16.
      headings: `[F, N]` int32, headings with the drawing's up as north.
    """

    rows: jax.Array
    cols: jax.Array
    headings: jax.Array


def window_table(layer: np.ndarray, window: Window, outside: int) -> np.ndarray:
    """Reads a static layer through every possible window.

    Args:
      layer: `[H, W]` integers.
      window: what a viewer sees.
      outside: stands for cells off the board.

    Returns:
      `[H * W * 4, rows * cols]` uint16 (uint8 where the values allow), by row-major cell and heading.
    """
    height, width = layer.shape
    margin = max(window)
    padded = np.pad(layer, margin, constant_values=outside)
    forward = np.arange(window.ahead, -window.behind - 1, -1)[:, None]
    right = np.arange(-window.side, window.side + 1)[None, :]
    rows, cols = np.mgrid[:height, :width] + margin
    views = np.empty((height, width, 4, *window.shape), np.min_scalar_type(int(padded.max())))
    for heading in range(4):
        ahead, aside = STEPS[heading], STEPS[(heading + 1) % 4]
        row_offsets, col_offsets = forward * ahead[0] + right * aside[0], forward * ahead[1] + right * aside[1]
        views[:, :, heading] = padded[rows[..., None, None] + row_offsets, cols[..., None, None] + col_offsets]
    return views.reshape(height * width * 4, -1)


def window_frame(forward: jax.Array, right: jax.Array, headings: jax.Array, window: Window) -> Frame:
    """The frame of every agent's own window.

    Args:
      forward: `[N, N]` int32, see `geometry.relative_coordinates`.
      right: `[N, N]` int32, likewise.
      headings: `[N]` int32.
      window: what a viewer sees.
    """
    rows = (window.ahead - forward).astype(jnp.int16)
    cols = (window.side + right).astype(jnp.int16)
    return Frame(rows, cols, (headings[None, :] - headings[:, None]) % 4)


def board_frame(positions: jax.Array, headings: jax.Array) -> Frame:
    """The one frame that shows the whole board, north up."""
    return Frame(positions[None, :, 0].astype(jnp.int16), positions[None, :, 1].astype(jnp.int16), headings[None, :])


def look_up_bits(bits: jax.Array, index: jax.Array) -> jax.Array:
    """Looks up bits by number without a gather.

    Args:
      bits: `[n]` bool.
      index: `[...]` unsigned integers below n.

    Returns:
      `[...]` bool, `bits[index]`.
    """
    num_words = bits.shape[0] // 32 + 1
    padded = jnp.zeros(num_words * 32, bool).at[: bits.shape[0]].set(bits).reshape(num_words, 32)
    words = (padded.astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)).sum(1, dtype=jnp.uint32)
    index = index.astype(jnp.uint32)
    word = words[0]
    for k in range(1, num_words):
        word = jnp.where(index >= 32 * k, words[k], word)
    return (word >> (index & 31)) & 1 != 0


def paint_agents(tiles: jax.Array, frame: Frame, agent_tiles: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Draws agents, each on its own cell; where several stand on one cell the lowest index is seen.

    Args:
      tiles: `[F, rows * cols]` uint8.
      frame: where agents stand; an agent that is not to be seen stands at `NOWHERE`.
      agent_tiles: `[F, N]` uint8, how agent j looks in drawing i.
      shape: (rows, cols).

    Returns:
      `[F, rows * cols]` uint8.
    """
    height, width = shape
    is_inside = (frame.rows >= 0) & (frame.rows < height) & (frame.cols >= 0) & (frame.cols < width)
    cells = jnp.where(is_inside, frame.rows * width + frame.cols, NOWHERE)
    every_cell = jnp.arange(height * width, dtype=jnp.int16)
    for j in reversed(range(agent_tiles.shape[1])):
        tiles = jnp.where(every_cell[None, :] == cells[:, j, None], agent_tiles[:, j, None], tiles)
    return tiles


def beam_cells(frame: Frame, reach: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """The cells of each drawing that beams cover.

    Every ray is a rectangle, so a cell is covered where its row and its column both lie in the range of the same ray:
    the rays are bits of a number per row and a number per column.

    Args:
      frame: where the shooters stand.
      reach: `[N, rays]` int32, cells that each ray covers; 0 for agents that do not fire.
      shape: (rows, cols).

    Returns:
      `[F, rows, cols]` bool.
    """
    first, last = _ray_corners(frame, reach)
    covered = jnp.zeros((first.shape[0], *shape), bool)
    for start in range(0, first.shape[1], 32):
        word = slice(start, start + 32)
        row_bits, col_bits = (_range_bits(first[:, word, axis], last[:, word, axis], shape[axis]) for axis in (0, 1))
        covered |= (row_bits[:, :, None] & col_bits[:, None, :]) != 0
    return covered


def _ray_corners(frame: Frame, reach: jax.Array) -> tuple[jax.Array, jax.Array]:
    """First and last (row, col) of every ray in every drawing, `[F, N * rays, 2]` int16 each; at NOWHERE when empty."""
    num_rays = reach.shape[1]
    steps = jnp.asarray(STEPS, jnp.int16)
    ahead, aside = steps[frame.headings][:, :, None, :], steps[(frame.headings + 1) % 4][:, :, None, :]
    sideways = np.arange(num_rays, dtype=np.int16)[:, None] - np.int16(num_rays // 2)
    start = jnp.stack([frame.rows, frame.cols], -1)[:, :, None, :] + sideways * aside
    near, far = start + ahead, start + reach.astype(jnp.int16)[None, :, :, None] * ahead
    first = jnp.where((reach > 0)[None, :, :, None], jnp.minimum(near, far), NOWHERE)
    flat = (frame.rows.shape[0], -1, 2)
    return first.reshape(flat), jnp.maximum(near, far).reshape(flat)


def _range_bits(first: jax.Array, last: jax.Array, length: int) -> jax.Array:
    """Which of up to 32 ranges `[F, ranges]` hold each index below `length`, as bits, `[F, length]` uint32."""
    index = jnp.arange(length, dtype=jnp.int16)
    bits = jnp.zeros((first.shape[0], length), jnp.uint32)
    for number in range(first.shape[1]):
        is_within = (index >= first[:, number, None]) & (index <= last[:, number, None])
        bits |= is_within.astype(jnp.uint32) << np.uint32(number)
    return bits
