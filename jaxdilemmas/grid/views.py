"""Egocentric windows of agents, drawn for each viewer from a static layer and a few moving things.

Nothing scatters into a board, and nothing gathers cell by cell. Static tiles are read from a table by the viewer's cell
and heading. Resources are bits that are looked up by number. Agents and beams are compared with every cell of the
window.
"""

import operator
from functools import reduce
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid.bits import WORD_BITS, bitwise_or, look_up_bits, range_bits, reverse_bits, shift_right
from jaxdilemmas.grid.geometry import STEPS, relative_coordinates

NOWHERE = np.int16(np.iinfo(np.int16).max)
"""A row and column that no frame has."""

SMALL_WINDOW = 4 * WORD_BITS
"""A window of at most this many cells is stored as bits of a few words."""

FEW_SEGMENTS = 12
"""In a large window up to this many segments are compared with each cell, which is faster than to mark and cut them."""


class Window(NamedTuple):
    """The part of the board that an agent sees, in cells; its heading is up in the window."""

    ahead: int
    behind: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the window."""
        return self.ahead + self.behind + 1, 2 * self.side + 1


class Frame(NamedTuple):
    """Moving things in the coordinates of F drawings, one for each viewer; row 0 is the top, column 0 the left.

    Attributes:
      rows: `[F, N]` int16, the row of each agent, which may be outside the drawing.
      cols: `[F, N]` int16, the column of each agent.
      headings: `[F, N]` int32, headings with the drawing's up as north.
    """

    rows: jax.Array
    cols: jax.Array
    headings: jax.Array


def window_table(layer: np.ndarray, window: Window, outside: int) -> np.ndarray:
    """Reads a static layer through every possible window.

    Args:
      layer: `[H, W]` integers.
      window: the part of the board that a viewer sees.
      outside: the value of cells off the board.

    Returns:
      `[H * W * 4, rows * cols]` uint16 (uint8 if the values allow it), by row-major cell and heading.
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
      right: `[N, N]` int32, see `geometry.relative_coordinates`.
      headings: `[N]` int32.
      window: the part of the board that a viewer sees.
    """
    chex.assert_equal_shape([forward, right])
    chex.assert_shape(forward, (len(headings), len(headings)))
    rows = (window.ahead - forward).astype(jnp.int16)
    cols = (window.side + right).astype(jnp.int16)
    return Frame(rows, cols, (headings[None, :] - headings[:, None]) % 4)


def board_frame(positions: jax.Array, headings: jax.Array) -> Frame:
    """The one frame that shows the whole board, north at the top, for positions `[N, 2]` and headings `[N]` int32."""
    return Frame(positions[None, :, 0].astype(jnp.int16), positions[None, :, 1].astype(jnp.int16), headings[None, :])


def paint_agents(tiles: jax.Array, frame: Frame, agent_tiles: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Draws agents, each on its own cell; if several stand on one cell, the one with the lowest index is drawn.

    Args:
      tiles: `[F, rows * cols]` uint8.
      frame: the cells of the agents; an agent that must not be drawn stands at `NOWHERE`.
      agent_tiles: `[F, N]` uint8, the tile of agent j in drawing i.
      shape: (rows, cols).

    Returns:
      `[F, rows * cols]` uint8.
    """
    height, width = shape
    chex.assert_equal_shape([frame.rows, frame.cols, agent_tiles])
    chex.assert_shape(tiles, (len(agent_tiles), height * width))
    is_inside = (frame.rows >= 0) & (frame.rows < height) & (frame.cols >= 0) & (frame.cols < width)
    cells = jnp.where(is_inside, frame.rows * width + frame.cols, NOWHERE)
    every_cell = jnp.arange(height * width, dtype=jnp.int16)
    for j in reversed(range(agent_tiles.shape[1])):
        tiles = jnp.where(every_cell[None, :] == cells[:, j, None], agent_tiles[:, j, None], tiles)
    return tiles


class Lines(NamedTuple):
    """Marked cells of a board as bits, once for each heading, with that heading up.

    A board of H by W cells needs K = 1 + (max(H, W) - 1) // 32 words for a line. Bit b of word k is column 32 k + b of
    the turned board. If the turn mirrors the columns, they are counted from the far end of the words.

    Attributes:
      north: `[K, H]` uint32, bit c of row r is cell (r, c).
      east: `[K, W]` uint32.
      south: `[K, H]` uint32.
      west: `[K, W]` uint32.
    """

    north: jax.Array
    east: jax.Array
    south: jax.Array
    west: jax.Array


def mark_segments(first: jax.Array, last: jax.Array, is_there: jax.Array, shape: tuple[int, int]) -> Lines:
    """Marks the cells of straight segments, as far as they are on the board.

    Args:
      first: `[S, 2]` int32, the cell of each segment with the lowest row and column.
      last: `[S, 2]` int32, the cell with the highest row and column.
      is_there: `[S]` bool, the segments that exist.
      shape: (H, W).
    """
    chex.assert_shape([first, last], (len(is_there), 2))
    lines = []
    for axis in (0, 1):
        start = np.arange(0, max(shape), WORD_BITS, dtype=np.int32)[:, None]
        ends = jnp.minimum(last[:, 1 - axis], shape[1 - axis] - 1)
        marked = range_bits(first[None, :, 1 - axis] - start, ends[None] - start)
        bits = jnp.where(is_there[None], marked, jnp.uint32(0))
        mark = jax.vmap(_mark_lines, (None, None, 0, None))  # one loop for all words, not a nested loop
        lines.append(mark(first[:, axis], last[:, axis], bits, shape[axis]))
    rows, cols = lines
    return Lines(rows, cols[:, ::-1], reverse_bits(rows[::-1, ::-1]), reverse_bits(cols[::-1]))


def _mark_lines(first: jax.Array, last: jax.Array, bits: jax.Array, num_lines: int) -> jax.Array:
    """Marks `bits` `[S]` uint32 on the lines from `first` to `last`, `[num_lines]` uint32.

    It takes at most 24 segments at a time, and fewer if 9 to 17 would remain. XLA on a CPU unrolls a sum of 9 to 17
    terms, which then takes up to five times as long; a sum of more than 30 terms takes twice as long.
    """
    group = 8 if 9 <= len(bits) % 24 <= 17 else 24
    line = jnp.arange(num_lines, dtype=jnp.int32)[None]
    marked = jnp.zeros(num_lines, jnp.uint32)
    for start in range(0, len(bits), group):
        those = slice(start, start + group)
        is_on = (line >= first[those, None]) & (line <= last[those, None])
        marked |= bitwise_or(jnp.where(is_on, bits[those, None], jnp.uint32(0)), 0)
    return marked


def cut_lines(lines: Lines, positions: jax.Array, headings: jax.Array, window: Window) -> jax.Array:
    """The marked cells that each viewer sees.

    Args:
      lines: the marked cells of the board.
      positions: `[N, 2]` int32, cells of the viewers.
      headings: `[N]` int32.
      window: the part of the board that a viewer sees, at most 32 columns.

    Returns:
      `[N, rows]` uint32, bit c of row r is the cell in column c.
    """
    chex.assert_shape(positions, (len(headings), 2))
    num_rows = window.shape[0]
    num_words, height = lines.north.shape
    width = lines.east.shape[1]
    margin = max(window.ahead, window.behind)
    table = jnp.concatenate([jnp.pad(part, ((0, 0), (margin, margin))) for part in lines], axis=1)
    offsets = np.cumsum([0] + [part.shape[1] + 2 * margin for part in lines], dtype=np.int32)[:4]
    row, col = positions.T
    far_bit = WORD_BITS * num_words - 1
    line = jnp.select([headings == k for k in range(4)], [row, width - 1 - col, height - 1 - row, col])
    bit = jnp.select([headings == k for k in range(4)], [col, row, far_bit - col, far_bit - row])
    first = jnp.asarray(offsets)[headings] + line - window.ahead + margin
    words = jnp.zeros((len(headings), num_rows), jnp.uint32)
    for k in range(num_words):
        seen = jax.vmap(lambda start, k=k: jax.lax.dynamic_slice(table[k], (start,), (num_rows,)))(first)
        words |= shift_right(seen, (bit - window.side - WORD_BITS * k)[:, None])
    return words


def view_segments(
    first: jax.Array, last: jax.Array, is_there: jax.Array, viewers: tuple[jax.Array, jax.Array], window: Window
) -> jax.Array:
    """The cells of straight segments that each viewer sees: every cell of a window is compared with every segment.

    The result is the same as that of `cut_lines` after `mark_segments`. It is faster if `are_few` is True.

    Args:
      first: `[S, 2]` int32, one end of each segment.
      last: `[S, 2]` int32, the other end.
      is_there: `[S]` bool, the segments that exist.
      viewers: their cells, `[N, 2]` int32, and their headings, `[N]` int32.
      window: the part of the board that a viewer sees, at most 255 rows and columns.

    Returns:
      `[N, rows * cols]` bool.
    """
    chex.assert_shape([first, last], (len(is_there), 2))
    chex.assert_shape(viewers[0], (len(viewers[1]), 2))
    (forward, right), (last_forward, last_right) = (relative_coordinates(*viewers, end) for end in (first, last))
    top, num_rows = _seen_part(window.ahead - forward, window.ahead - last_forward, window.shape[0])
    left, num_cols = _seen_part(window.side + right, window.side + last_right, window.shape[1])
    num_rows = jnp.where(is_there, num_rows, 0)
    row, col = (jnp.asarray(index.reshape(1, -1), jnp.uint8) for index in np.indices(window.shape))
    is_within = [
        (row - top[:, s, None] < num_rows[:, s, None]) & (col - left[:, s, None] < num_cols[:, s, None])
        for s in range(len(is_there))
    ]
    return reduce(operator.or_, is_within)


def _seen_part(first: jax.Array, last: jax.Array, side: int) -> tuple[jax.Array, jax.Array]:
    """The first cell in a window of a range with these ends, in any order, and its number of cells there, uint8 both.

    Bytes wrap around, so index - start < count is True only for the cells of the range.
    """
    start = jnp.maximum(jnp.minimum(first, last), 0)
    end = jnp.minimum(jnp.maximum(first, last) + 1, side)
    return start.astype(jnp.uint8), jnp.maximum(end - start, 0).astype(jnp.uint8)


def are_few(num_segments: int, window: Window) -> bool:
    """Whether it is faster to compare segments one by one: in windows too large to be joined, see `show_window`."""
    return num_segments <= FEW_SEGMENTS and window.shape[0] * window.shape[1] > SMALL_WINDOW


def join_rows(rows: jax.Array, num_cols: int) -> jax.Array:
    """Joins the rows of a window.

    A look-up in the result costs a fifth of a look-up in rows, because the row of a cell is not known when the loop
    over all cells is compiled.

    Args:
      rows: `[N, rows]` uint32, bit c of row r is the cell in column c.
      num_cols: columns of the window; other bits are dropped.

    Returns:
      `[N, W]` uint32: packed bits of the cells in row-major order, see `bits`.
    """
    cells = rows & np.uint32(2**num_cols - 1)
    words = []
    for start in range(0, rows.shape[1] * num_cols, WORD_BITS):
        places = {row: row * num_cols - start for row in range(rows.shape[1])}
        parts = [
            cells[:, row] << np.uint32(place) if place >= 0 else cells[:, row] >> np.uint32(-place)
            for row, place in places.items()
            if -num_cols < place < WORD_BITS
        ]
        words.append(reduce(operator.or_, parts))
    return jnp.stack(words, 1)


def show_window(rows: jax.Array, num_cols: int) -> jax.Array:
    """The bits of each window's rows, `[N, rows]` uint32 -> `[N, rows * num_cols]` bool.

    A small window is joined to a few words. With more words the choice between them would cost more time than it saves.
    """
    num_cells = rows.shape[1] * num_cols
    if num_cells > SMALL_WINDOW:
        return show_bits(rows[..., None], num_cols).reshape(-1, num_cells)
    return jax.vmap(look_up_bits, (0, None))(join_rows(rows, num_cols), jnp.arange(num_cells, dtype=jnp.int32))


def show_bits(words: jax.Array, num_cols: int) -> jax.Array:
    """The bits of rows of words, `[..., rows, K]` uint32 -> `[..., rows, num_cols]` bool."""
    parts = [
        words[..., start // WORD_BITS, None]
        >> np.expand_dims(np.arange(min(WORD_BITS, num_cols - start), dtype=np.uint32), tuple(range(words.ndim - 1)))
        for start in range(0, num_cols, WORD_BITS)
    ]
    return jnp.concatenate(parts, -1) & 1 != 0
