"""What agents see: egocentric windows, drawn per viewer from a static layer and a few moving things.

Nothing scatters into a board and nothing gathers cell by cell: what never changes is read from a table by the viewer's
cell and heading, resources are bits tested by number, agents and beams are compared with every cell of the window.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid.geometry import STEPS

WORD_BITS = 32
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


def beam_cells(frame: Frame, reach: jax.Array, shape: tuple[int, int], side_start: int = 1) -> jax.Array:
    """The cells of each drawing that beams cover.

    Every ray is a rectangle: a range of columns, kept as bits of a number, in each row of a range of rows.

    Args:
      frame: where the shooters stand.
      reach: `[N, rays]` int32, cells that each ray covers; 0 for agents that do not fire.
      shape: (rows, cols).
      side_start: where the rays beside the middle one start, see `beams`.

    Returns:
      `[F, rows, cols]` bool.
    """
    height, width = shape
    first, last = _ray_corners(frame, reach, side_start)
    rows = jnp.arange(height, dtype=jnp.int16)
    words = []
    for start in range(0, width, WORD_BITS):
        columns = _range_bits(first[..., 1] - start, last[..., 1] - start)
        word = jnp.zeros((first.shape[0], height), jnp.uint32)
        for ray in range(first.shape[1]):
            is_within = (rows >= first[:, ray, :1]) & (rows <= last[:, ray, :1])
            word |= jnp.where(is_within, columns[:, ray, None], jnp.uint32(0))
        shifts = jnp.arange(min(WORD_BITS, width - start), dtype=jnp.uint32)
        words.append((word[..., None] >> shifts) & 1 != 0)
    return jnp.concatenate(words, -1)


def _ray_corners(frame: Frame, reach: jax.Array, side_start: int) -> tuple[jax.Array, jax.Array]:
    """First and last (row, col) of every ray in every drawing, `[F, N * rays, 2]` int16 each; at NOWHERE when empty."""
    num_rays = reach.shape[1]
    steps = jnp.asarray(STEPS, jnp.int16)
    ahead, aside = steps[frame.headings][:, :, None, :], steps[(frame.headings + 1) % 4][:, :, None, :]
    sideways = np.arange(num_rays, dtype=np.int16)[:, None] - np.int16(num_rays // 2)
    starts = np.where(sideways == 0, 1, side_start).astype(np.int16)
    near = jnp.stack([frame.rows, frame.cols], -1)[:, :, None, :] + sideways * aside + starts * ahead
    far = near + (reach.astype(jnp.int16)[None, :, :, None] - 1) * ahead
    first = jnp.where((reach > 0)[None, :, :, None], jnp.minimum(near, far), NOWHERE)
    flat = (frame.rows.shape[0], -1, 2)
    return first.reshape(flat), jnp.maximum(near, far).reshape(flat)


def _range_bits(first: jax.Array, last: jax.Array) -> jax.Array:
    """The bits first to last of a word, those it has, `[...]` uint32."""
    below_last = jnp.uint32(2**WORD_BITS - 1) >> jnp.clip(WORD_BITS - 1 - last, 0, WORD_BITS).astype(jnp.uint32)
    below_first = jnp.uint32(2**WORD_BITS - 1) << jnp.clip(first, 0, WORD_BITS).astype(jnp.uint32)
    return jnp.where(last < 0, jnp.uint32(0), below_last & below_first)
