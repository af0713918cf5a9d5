"""Egocentric windows of agents, drawn for each viewer from a static table and a few planes of bits.

Nothing scatters into a board, and nothing gathers cell by cell. The static part of a window is a row of a table, by the
viewer's cell and heading. Things that come and go are bits of the lines of the board, from which each viewer's window
is cut. Beams and agents are marked as bits in each window. At the end all bits are spread to bytes, four cells to a
word.

The viewers are on the first axis but for the rows or words of a window, which stand before them. Arrays may have extra
axes behind the named ones; these axes are the same for all arguments.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid.bits import WORD_BITS, reverse_bits, shift_right
from jaxdilemmas.grid.geometry import (
    EAST,
    NORTH,
    SOUTH,
    STEPS,
    WEST,
    Torus,
    pad_board,
    relative_coordinates,
    with_trailing_axes,
)


class Window(NamedTuple):
    """The part of the board that an agent sees, in cells; its heading is up in the window."""

    ahead: int
    behind: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the window."""
        return self.ahead + self.behind + 1, 2 * self.side + 1


def window_table(layer: np.ndarray, window: Window, outside: int, is_torus: bool = False) -> np.ndarray:
    """Reads a static layer through every possible window.

    Args:
      layer: `[H, W]` integers.
      window: the part of the board that a viewer sees.
      outside: the value of cells off the board.
      is_torus: whether opposite edges of the board meet; then no cell is off the board.

    Returns:
      `[H * W * 4, rows * cols]` uint16 (uint8 if the values allow it), by row-major cell and heading.
    """
    height, width = layer.shape
    margin = max(window)
    padded = pad_board(layer, margin, outside, is_torus)
    forward = np.arange(window.ahead, -window.behind - 1, -1)[:, None]
    right = np.arange(-window.side, window.side + 1)[None, :]
    rows, cols = np.mgrid[:height, :width] + margin
    views = np.empty((height, width, 4, *window.shape), np.min_scalar_type(int(padded.max())))
    for heading in range(4):
        ahead, aside = STEPS[heading], STEPS[(heading + 1) % 4]
        row_offsets, col_offsets = forward * ahead[0] + right * aside[0], forward * ahead[1] + right * aside[1]
        views[:, :, heading] = padded[rows[..., None, None] + row_offsets, cols[..., None, None] + col_offsets]
    return views.reshape(height * width * 4, -1)


class Lines(NamedTuple):
    """Things on a board as the bits of its lines; bit b of word k is the cell 32 k + b of a line.

    Attributes:
      rows: `[H, K, ...]` uint32, a line for each row; K words have a bit for each column.
      cols: `[W, L, ...]` uint32, a line for each column; L words have a bit for each row.
    """

    rows: jax.Array
    cols: jax.Array


def mark_lines(layers: Sequence[jax.Array], cells: np.ndarray, shape: tuple[int, int]) -> Lines:
    """Marks things on the lines of a board.

    Args:
      layers: for each layer `[n, ...]` bool, which of its things are there; at least one thing in all.
      cells: `[A, 2]` int32, the cells of the things of all layers; no cell has two things.
      shape: (H, W).
    """
    num_rows, num_cols = shape

    def mark_rows(layers: Sequence[jax.Array]) -> jax.Array:
        things = [thing for layer in layers for thing in layer]
        nothing = jnp.zeros(things[0].shape, jnp.uint32)
        words = {(row, k): [nothing] for row in range(num_rows) for k in range(-(-num_cols // WORD_BITS))}
        for (row, col), is_there in zip(cells.tolist(), things, strict=True):
            words[row, col // WORD_BITS].append(is_there.astype(jnp.uint32) << np.uint32(col % WORD_BITS))
        joined = jnp.stack([fold(jnp.bitwise_or, marks) for marks in words.values()])
        return joined.reshape(num_rows, -1, *nothing.shape)

    def mark_cols(rows: jax.Array) -> jax.Array:
        columns = [np.arange(start, min(start + WORD_BITS, num_cols)) for start in range(0, num_cols, WORD_BITS)]
        places = [with_trailing_axes((part % WORD_BITS).astype(np.uint32), rows.ndim - 1) for part in columns]
        nothing = jnp.zeros((num_cols, *rows.shape[2:]), jnp.uint32)
        marks: dict[int, list[jax.Array]] = {k: [nothing] for k in range(-(-num_rows // WORD_BITS))}
        for row in sorted({*cells[:, 0].tolist()}):
            bits = jnp.concatenate([(rows[row, k : k + 1] >> place) & 1 for k, place in enumerate(places)])
            marks[row // WORD_BITS].append(bits << np.uint32(row % WORD_BITS))
        return jnp.stack([fold(jnp.bitwise_or, part) for part in marks.values()], 1)

    rows = compute_once(mark_rows)(layers)
    return Lines(rows, compute_once(mark_cols)(rows))


def join_kinds(lines: Lines) -> Lines:
    """Puts P kinds of mark among the words of lines, `[., K, P, ...]` each -> `[., K * P, ...]`."""
    join = compute_once(lambda lines: lines.reshape(len(lines), -1, *lines.shape[3:]))
    return Lines(join(lines.rows), join(lines.cols))


def cut_lines(
    lines: Lines, positions: jax.Array, headings: jax.Array, window: Window, num_kinds: int = 1, torus: Torus = None
) -> list[jax.Array]:
    """The marked cells that each viewer sees.

    Args:
      lines: the marked cells of the board; for several kinds of mark see `join_kinds`.
      positions: `[N, 2, ...]` int32, cells of the viewers.
      headings: `[N, ...]` int32.
      window: the part of the board that a viewer sees, at most 32 columns.
      num_kinds: P, the number of kinds of mark.
      torus: see `geometry.Torus`; no cell of the board is twice in the window.

    Returns:
      For each kind of mark `[rows, N, ...]` uint32, bit c of row r is the cell in column c.
    """
    chex.assert_shape(positions, (headings.shape[0], 2, *headings.shape[1:]))
    num_rows, num_cols = window.shape
    near = compute_once(partial(_near_lines, window=window, is_torus=torus is not None))(lines, positions, headings)

    def cut(near: jax.Array, positions: jax.Array, headings: jax.Array) -> list[jax.Array]:
        start, is_upright, is_backward = _first_line(positions, headings, window)
        seen = _take_lines(near, start, num_rows, range(FINE_BITS))  # [rows, K * P, N, ...]
        seen = jnp.where(is_backward, seen[::-1], seen)
        first = jnp.where(is_upright, positions[:, 1], positions[:, 0]) - window.side
        starts = [first]
        if torus is not None:
            across = jnp.where(is_upright, np.int32(torus[1]), np.int32(torus[0]))
            starts = [first, first - across, first + across]
        cuts = []
        for kind in range(num_kinds):
            words = enumerate(jnp.unstack(seen[:, kind::num_kinds], axis=1))
            parts = [shift_right(word, start - WORD_BITS * k) for k, word in words for start in starts]
            row = fold(jnp.bitwise_or, parts) & np.uint32(2**num_cols - 1)
            cuts.append(jnp.where(headings >= SOUTH, reverse_bits(row) >> np.uint32(WORD_BITS - num_cols), row))
        return cuts

    return compute_once(cut)(near, positions, headings)


FINE_BITS = 3
"""Lines are taken in two stages: first by the high bits of their number, then by this many low bits."""


def _first_line(positions: jax.Array, headings: jax.Array, window: Window) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The lowest line that each viewer sees, counted with a margin before the board, and how the viewer sees lines.

    Returns:
      The number of the line, `[N, ...]` int32; whether lines are rows of the board, `[N, ...]` bool; and whether the
      lowest line is at the bottom of the window, `[N, ...]` bool.
    """
    is_upright = headings % 2 == 0
    is_backward = (headings == EAST) | (headings == SOUTH)
    line = jnp.where(is_upright, positions[:, 0], positions[:, 1])
    margin = max(window.ahead, window.behind)
    return line + margin - jnp.where(is_backward, window.behind, window.ahead), is_upright, is_backward


def _near_lines(lines: Lines, positions: jax.Array, headings: jax.Array, window: Window, is_torus: bool) -> jax.Array:
    """The lines of the board from the first one that each viewer may see, `[rows + 7, K * P, N, ...]` uint32."""
    start, is_upright, _ = _first_line(positions, headings, window)
    margin, num_lines = max(window.ahead, window.behind), max(lines.rows.shape[0], lines.cols.shape[0])
    num_bits = (num_lines + margin - 1).bit_length()
    num_words = max(lines.rows.shape[1], lines.cols.shape[1])
    length = window.shape[0] + 2**num_bits - 1

    def pad(lines: jax.Array) -> jax.Array:
        none = [(0, 0)] * (lines.ndim - 2)
        around, behind = (margin, length - margin - lines.shape[0]), (0, num_words - lines.shape[1])
        if is_torus:
            return jnp.pad(jnp.pad(lines, [around, (0, 0), *none], mode="wrap"), [(0, 0), behind, *none])
        return jnp.pad(lines, [around, behind, *none])

    rows, cols = compute_once(pad)(lines.rows), compute_once(pad)(lines.cols)
    chosen = jnp.where(is_upright, rows[:, :, None], cols[:, :, None])
    return _take_lines(chosen, start, window.shape[0] + 2**FINE_BITS - 1, range(FINE_BITS, num_bits))


def _take_lines(lines: jax.Array, start: jax.Array, count: int, bits: range) -> jax.Array:
    """Takes `count` lines `[L, K, N, ...]` from a line `[N, ...]` on, whose number has only these bits."""
    for bit in reversed(bits):
        keep = count + sum(2**b for b in bits if b < bit)
        is_far = (start >> bit) & 1 != 0
        lines = jnp.where(is_far, lines[2**bit : 2**bit + keep], lines[:keep])
    return lines[:count]


class Frame(NamedTuple):
    """Where M agents are in the windows of N viewers; row 0 is the top, column 0 the left.

    Attributes:
      rows: `[M, N, ...]` int32, which may be outside the window.
      cols: `[M, N, ...]` int32.
      headings: `[M, N, ...]` int32, with the viewer's heading as north.
    """

    rows: jax.Array
    cols: jax.Array
    headings: jax.Array


def window_frame(
    others: jax.Array,
    other_headings: jax.Array,
    positions: jax.Array,
    headings: jax.Array,
    window: Window,
    torus: Torus = None,
) -> Frame:
    """Where agents or things are in the windows of viewers.

    Args:
      others: `[M, 2, ...]` int32, their cells.
      other_headings: `[M, ...]` int32.
      positions: `[N, 2, ...]` int32, cells of the viewers.
      headings: `[N, ...]` int32.
      window: the part of the board that a viewer sees.
      torus: see `geometry.Torus`.
    """
    forward, right = (part.swapaxes(0, 1) for part in relative_coordinates(positions, headings, others, torus))
    return Frame(window.ahead - forward, window.side + right, (other_headings[:, None] - headings[None]) & 3)


def mark_rays(
    frame: Frame, rays: jax.Array, kinds: jax.Array, num_kinds: int, side_start: int, window: Window
) -> list[jax.Array]:
    """Marks the rays of beams in windows.

    Args:
      frame: where the shooters are.
      rays: `[M, rays, ...]` int32, cells that each ray covers, 0 for agents that do not fire.
      kinds: `[M, ...]` int32, the kind of each beam.
      num_kinds: number of kinds.
      side_start: where the rays beside the middle one start, see `beams`.
      window: the part of the board that a viewer sees; all kinds must fit into a word of 32 columns.

    Returns:
      For each kind `[rows, N, ...]` uint32, bit c of row r is the cell in column c.
    """
    num_rows, num_cols = window.shape

    def span(frame: Frame, rays: jax.Array, kinds: jax.Array) -> tuple[jax.Array, jax.Array]:
        ahead_row = (frame.headings == SOUTH).astype(jnp.int32) - (frame.headings == NORTH).astype(jnp.int32)
        ahead_col = (frame.headings == EAST).astype(jnp.int32) - (frame.headings == WEST).astype(jnp.int32)
        in_rows, in_cols = [], []
        for ray in range(rays.shape[1]):
            right, length = ray - rays.shape[1] // 2, rays[:, ray, None]
            distance = side_start if right else 1
            row = frame.rows + distance * ahead_row + right * ahead_col
            col = frame.cols + distance * ahead_col - right * ahead_row
            in_rows.append(_bits_between(row, row + (length - 1) * ahead_row, num_rows))
            cols = _bits_between(col, col + (length - 1) * ahead_col, num_cols)
            in_cols.append(jnp.where(length > 0, cols << (kinds * num_cols).astype(jnp.uint32)[:, None], 0))
        return jnp.stack(in_rows, 1), jnp.stack(in_cols, 1)

    def fill(in_rows: jax.Array, in_cols: jax.Array) -> jax.Array:
        row = np.uint32(1) << with_trailing_axes(np.arange(num_rows, dtype=np.uint32), frame.rows.ndim)
        each = [(m, ray) for m in range(rays.shape[0]) for ray in range(rays.shape[1])]
        return fold(jnp.bitwise_or, [jnp.where(in_rows[ray] & row != 0, in_cols[ray], jnp.uint32(0)) for ray in each])

    filled = compute_once(fill)(*compute_once(span)(frame, rays, kinds))
    return [(filled >> np.uint32(kind * num_cols)) & np.uint32(2**num_cols - 1) for kind in range(num_kinds)]


def _bits_between(start: jax.Array, end: jax.Array, size: int) -> jax.Array:
    """The bits below `size` between two numbers `[...]` int32, both included, in any order, `[...]` uint32."""
    first, after = jnp.minimum(start, end), jnp.maximum(start, end) + 1
    below_first, below_end = (jnp.uint32(1) << jnp.clip(bit, 0, size).astype(jnp.uint32) for bit in (first, after))
    return below_end - below_first


def join_rows(rows: jax.Array, num_cols: int) -> jax.Array:
    """Joins the rows of windows to words without gaps.

    Args:
      rows: `[rows, N, ...]` uint32, bit c of row r is the cell in column c.
      num_cols: columns of the window; other bits are 0.

    Returns:
      `[words, N, ...]` uint32, packed bits of the cells in row-major order.
    """
    words = []
    for start in range(0, rows.shape[0] * num_cols, WORD_BITS):
        places = {row: row * num_cols - start for row in range(rows.shape[0])}
        parts = [
            rows[row] << np.uint32(place) if place >= 0 else rows[row] >> np.uint32(-place)
            for row, place in places.items()
            if -num_cols < place < WORD_BITS
        ]
        words.append(fold(jnp.bitwise_or, parts))
    return jnp.stack(words)


def mark_numbers(frame: Frame, numbers: jax.Array, num_bits: int, window: Window) -> list[jax.Array]:
    """Marks agents or things in windows by numbers.

    Args:
      frame: where they are; those with a number are on distinct cells.
      numbers: `[M, N, ...]` uint32, the number of each for viewer i; 0 if it is not drawn.
      num_bits: bits of a number, at most 4.
      window: the part of the board that a viewer sees.

    Returns:
      For each bit of a number `[words, N, ...]` uint32, that bit of each cell, packed in row-major order.
    """
    num_rows, num_cols = window.shape

    def find(frame: Frame, numbers: jax.Array) -> jax.Array:
        row, col = frame.rows, frame.cols
        is_inside = (row >= 0) & (row < num_rows) & (col >= 0) & (col < num_cols)
        return jnp.where(is_inside, (row * num_cols + col).astype(jnp.uint32) << 4 | numbers, jnp.uint32(0))

    def mark(places: jax.Array) -> list[jax.Array]:
        num_words = -(-num_rows * num_cols // WORD_BITS)
        word = with_trailing_axes(np.arange(num_words, dtype=np.uint32), places.ndim)
        planes = []
        for p in range(num_bits):
            marks = []
            for place in places:
                is_in = (place >> 9 == word) & ((place >> p) & 1 != 0)
                marks.append(jnp.where(is_in, jnp.uint32(1) << ((place >> 4) % WORD_BITS), jnp.uint32(0)))
            planes.append(fold(jnp.bitwise_or, marks))
        return planes

    return compute_once(mark)(compute_once(find)(frame, numbers))


def spread_bits(words: jax.Array) -> jax.Array:
    """Spreads bits to bytes: `[..., W]` uint32 -> `[..., 8 W]` uint32 of four bytes, each of which is 0 or 1."""
    shifts = np.arange(0, WORD_BITS, 4, dtype=np.uint32)
    four = (words[..., None] >> jnp.expand_dims(shifts, range(words.ndim))) & np.uint32(15)
    two = four | four << np.uint32(14)
    return ((two | two << np.uint32(7)) & np.uint32(0x01010101)).reshape(*words.shape[:-1], -1)
