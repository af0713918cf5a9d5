"""The board of `level_based_foraging`: where food may be, and what agents see of agents and food.

The agents or foods are on the first axis. Arrays may have extra axes behind the named ones, except in `paint`.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid.bits import WORD_BITS, count_bits, mark_bits, nth_set_bit
from jaxdilemmas.grid.geometry import count_others, with_trailing_axes
from jaxdilemmas.grid.movement import goes_first

FREE = 2
"""The number of the plane of free cells, behind those of agents and of food."""

NO_BYTE = -4
"""The number of no byte."""

TOO_NEAR = [(row, col) for row, col in itertools.product(range(-2, 3), repeat=2) if abs(row) + abs(col) <= 2]
"""(row, col) from food to the cells that have no other food: those around it, and those two cells straight away."""


def place_food(uniforms: jax.Array, cells: jax.Array, size: int) -> jax.Array:
    """Places one food after the other, each on any cell that is not at the edge, not an agent's and not `TOO_NEAR`.

    Args:
      uniforms: `[F, ...]` float32.
      cells: `[N, ...]` int32, the cells of the agents, size * row + col.
      size: rows and columns of the board.

    Returns:
      `[F, ...]` int32, the cells of the food in ascending order; size ** 2 where no cell was left.
    """
    inside = np.zeros((size, size), bool)
    inside[1:-1, 1:-1] = True
    bits = np.append(inside, np.zeros(WORD_BITS - size**2 % WORD_BITS, bool))
    words = with_trailing_axes(np.packbits(bits, bitorder="little").view("<u4"), cells.ndim)
    words = words & ~fold(jnp.bitwise_or, [mark_bits(cell, len(words)) for cell in cells])
    place_one, found = compute_once(partial(_place_one, size=size)), []
    for draw in uniforms:
        cell, words = place_one(draw, words)
        found.append(cell)
    places = jnp.stack(found)
    return compute_once(in_order)(places, -places.astype(jnp.float32))


def _place_one(draw: jax.Array, words: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Places food on one of the cells that are bits of `words` `[W, ...]` uint32: its cell, and the cells then left."""
    count = count_bits(words)
    cell = nth_set_bit(words, jnp.floor(draw * count.astype(jnp.float32)).astype(jnp.int32))
    # a cell beyond the edge of the board stands for one at the edge, or for none; neither has food
    near = [mark_bits(cell + np.int32(size * row + col), len(words)) for row, col in TOO_NEAR]
    return jnp.where(count > 0, cell, size**2), words & ~fold(jnp.bitwise_or, near)


def in_order(things: jax.Array, priorities: jax.Array) -> jax.Array:
    """Things `[K, ...]` int32 by falling priority `[K, ...]` float32; things of equal priority keep their order."""
    place, number = count_others(goes_first(priorities)), range(len(things))
    return jnp.stack([fold(jnp.add, [jnp.where(place[k] == n, things[k], 0) for k in number]) for n in number])


def list_entities(
    positions: jax.Array, levels: jax.Array, foods: jax.Array, food_levels: jax.Array, sight: int
) -> jax.Array:
    """What each agent sees, as rows (row, col, level): food in the order of reading, itself, then the others by number.

    Food is seen up to `sight` rows and columns away. Other agents are seen up to `2 * sight` rows and columns behind
    the first that the agent sees, which is farther near the northern and the western edge.

    Args:
      positions: `[N, 2, ...]` int32.
      levels: `[N, ...]` int32.
      foods: `[F, 2, ...]` int32, in the order of reading.
      food_levels: `[F, ...]` int32, 0 for food that is not on the board.
      sight: rows and columns to each side.

    Returns:
      `[N, F + N, 3, ...]` int8. Rows and columns count from the first that the agent sees. What is not seen is last.

    Source: `_make_gym_obs` and `_make_obs` of lbforaging 2.0.0.
    """
    first, far = jnp.maximum(positions - sight, 0), positions + sight
    is_food = _between(foods, first, far) & (food_levels > 0)[:, None]
    is_agent = _between(positions, first, first + 2 * sight)
    is_self = with_trailing_axes(np.eye(len(positions), dtype=np.float32), is_agent.ndim)
    food = in_order(_rows(foods, food_levels, first, is_food), is_food.astype(jnp.float32)[:, None])
    agents = in_order(_rows(positions, levels, first, is_agent), (is_agent.astype(jnp.float32) + is_self)[:, None])
    return jnp.moveaxis(jnp.concatenate([food, agents]), 2, 0).astype(jnp.int8)


def _between(cells: jax.Array, first: jax.Array, last: jax.Array) -> jax.Array:
    """Which cells `[K, 2, ...]` are in the rectangles with these corners, `[N, 2, ...]` each; `[K, N, ...]` bool."""
    is_in = (cells[:, None] >= first[None]) & (cells[:, None] <= last[None])
    return is_in[:, :, 0] & is_in[:, :, 1]


def _rows(cells: jax.Array, levels: jax.Array, first: jax.Array, is_seen: jax.Array) -> jax.Array:
    """Rows of K things for N viewers, `[K, 3, N, ...]` int32; (-1, -1, 0) for what is not seen, see `_between`."""
    row, col = (jnp.where(is_seen, cells[:, axis, None] - first[None, :, axis], -1) for axis in range(2))
    return jnp.stack([row, col, jnp.where(is_seen, levels[:, None], 0)], 1)


def paint(
    positions: jax.Array, levels: jax.Array, foods: jax.Array, food_levels: jax.Array, sight: int, size: int
) -> jax.Array:
    """What each agent sees, as planes: levels of agents, levels of food, and 1 on cells of the board without either.

    Of agents on one cell the last one is shown.

    Args:
      positions: `[N, 2]` int32.
      levels: `[N]` int32.
      foods: `[F, 2]` int32.
      food_levels: `[F]` int32, 0 for food that is not on the board.
      sight: rows and columns to each side.
      size: rows and columns of the board.

    Returns:
      `[N, 3, w, w]` uint8 with w = 2 sight + 1, around each agent.

    Source: `make_global_grid_arrays` of lbforaging 2.0.0.
    """
    width = 2 * sight + 1
    corner = positions - sight
    marks = compute_once(partial(_find_marks, width=width))(corner, positions, levels, foods, food_levels)
    words = compute_once(partial(_write, width=width, size=size))(corner, *marks)
    seen = compute_once(lambda words: jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(len(words), -1))(words)
    return seen[:, : 3 * width**2].reshape(-1, 3, width, width)


def _find_marks(
    corner: jax.Array, positions: jax.Array, levels: jax.Array, foods: jax.Array, food_levels: jax.Array, width: int
) -> tuple[jax.Array, jax.Array]:
    """The bytes to write into the planes of each agent: numbers `[2 (N + F), N]`, and values `[2 (N + F)]`, int32."""
    numbers, values = [], []
    for plane, (cells, heights) in enumerate(((positions, levels), (foods, food_levels))):
        for cell, height in zip(cells, heights, strict=True):
            at = cell[None] - corner
            is_seen = ((at >= 0) & (at < width)).all(1) & (height > 0)
            number = at[:, 0] * width + at[:, 1]
            numbers += [jnp.where(is_seen, number + np.int32(of * width**2), NO_BYTE) for of in (plane, FREE)]
            values += [height, jnp.zeros_like(height)]
    return jnp.stack(numbers), jnp.stack(values)


def _write(corner: jax.Array, numbers: jax.Array, values: jax.Array, width: int, size: int) -> jax.Array:
    """The planes of each agent as words of four cells, `[N, W]` uint32, see `_find_marks`."""
    byte = np.arange(-(-3 * width**2 // 4) * 4, dtype=np.int32).reshape(-1, 4)
    lines = byte // width % width, byte % width
    words = jnp.zeros((len(corner), len(byte)), jnp.uint32)
    for k in range(4):  # first the cells of the board are free
        row, col = (corner[:, axis, None] + line[None, :, k] for axis, line in enumerate(lines))
        is_board = (row >= 0) & (row < size) & (col >= 0) & (col < size)
        is_free = is_board & (byte[:, k] // width**2 == FREE)[None]
        words |= is_free.astype(jnp.uint32) << np.uint32(8 * k)
    index = np.arange(len(byte), dtype=np.int32)[None]
    for number, value in zip(numbers, values, strict=True):
        shift = (8 * (number % 4)).astype(jnp.uint32)[:, None]
        written = (words & ~(jnp.uint32(255) << shift)) | (value.astype(jnp.uint32) << shift)
        words = jnp.where(index == (number // 4)[:, None], written, words)
    return words
