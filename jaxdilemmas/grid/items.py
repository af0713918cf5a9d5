"""Items of several kinds, each on its own cell: 0 stands for no item, 1, 2, ... for the kinds.

The items or agents are on the first axis. Arrays may have extra axes behind the named ones; these axes are the same for
all arguments.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid import beams
from jaxdilemmas.grid.bits import WORD_BITS, mark_bits
from jaxdilemmas.grid.geometry import with_trailing_axes


def choose_kinds(uniforms: jax.Array, probabilities: Sequence[jax.Array | float]) -> jax.Array:
    """Chooses a kind for each cell, or none, by one uniform for each cell.

    Args:
      uniforms: `[A, ...]` float32 in [0, 1).
      probabilities: `[...]` float32 for each kind; their sum is at most 1.

    Returns:
      `[A, ...]` int8. A cell has kind 1 if its uniform is below the first probability, kind 2 if the uniform is not,
      but is below the sum of the first two, and so on.
    """
    chex.assert_type(uniforms, jnp.float32)
    kinds, below = jnp.zeros(uniforms.shape, jnp.int8), jnp.zeros((), jnp.float32)
    for kind, probability in enumerate(probabilities, start=1):
        below = below + jnp.asarray(probability, jnp.float32)
        kinds = jnp.where((kinds == 0) & (uniforms < below), jnp.int8(kind), kinds)
    return kinds


def grow(kinds: jax.Array, uniforms: jax.Array, probabilities: Sequence[jax.Array | float]) -> jax.Array:
    """Grows items on empty cells; see `choose_kinds` for the arguments.

    Args:
      kinds: `[A, ...]` int8, the items before.
      uniforms: `[A, ...]` float32 in [0, 1).
      probabilities: of each kind.

    Returns:
      `[A, ...]` int8.
    """
    chex.assert_equal_shape([kinds, uniforms])
    return jnp.where(kinds == 0, choose_kinds(uniforms, probabilities), kinds)


def grow_apart(
    kinds: jax.Array,
    uniforms: jax.Array,
    probabilities: Sequence[jax.Array | float],
    index_at: np.ndarray,
    positions: jax.Array,
) -> jax.Array:
    """The items that grow: on empty cells on which no agent stands.

    Args:
      kinds: `[A, ...]` int8, the items before.
      uniforms: `[A, ...]` float32 in [0, 1).
      probabilities: of each kind, see `choose_kinds`.
      index_at: `[H, W]` int32, see `look_up`.
      positions: `[N, 2, ...]` int32.

    Returns:
      `[A, ...]` int8, 0 where nothing grows.
    """
    chex.assert_equal_shape([kinds, uniforms])
    below = jnp.asarray(index_at)[positions[:, 0], positions[:, 1]]
    is_free = put(kinds == 0, below, jnp.zeros(below.shape, bool))
    return jnp.where(is_free, choose_kinds(uniforms, probabilities), jnp.int8(0))


def take(kinds: jax.Array, index: jax.Array) -> jax.Array:
    """The kinds `[A, ...]` of the items with these indices `[n, ...]` int32, `[n, ...]`; 0 for the index A."""
    found = jnp.take_along_axis(kinds, index, 0, mode="clip")
    return jnp.where(index < len(kinds), found, jnp.zeros((), kinds.dtype))


def put(values: jax.Array, index: jax.Array, new: jax.Array) -> jax.Array:
    """Replaces entries of items; of several entries with one index the last one counts.

    Args:
      values: `[A, ...]`.
      index: `[n, ...]` int32, the items; nothing happens to the index A.
      new: `[n, ...]` of the dtype of `values`.

    Returns:
      `[A, ...]`.
    """
    place = with_trailing_axes(np.arange(len(values), dtype=np.int32), values.ndim)
    for k in range(len(index)):
        values = jnp.where(place == index[None, k], new[None, k], values)
    return values


def look_up(kinds: jax.Array, index_at: np.ndarray, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The items on the cells of agents.

    Args:
      kinds: `[A, ...]` int8.
      index_at: `[H, W]` int32, the item of each cell, A where there can be none; see `maps.index_of_cells`.
      positions: `[N, 2, ...]` int32.

    Returns:
      The kind on each agent's cell, `[N, ...]` int8, and the index of that cell, `[N, ...]` int32, A where there can be
      no item.
    """
    chex.assert_rank([kinds, index_at], [positions.ndim - 1, 2])
    chex.assert_type([kinds, index_at, positions], [jnp.int8, int, int])
    index = jnp.asarray(index_at)[positions[:, 0], positions[:, 1]]
    return take(kinds, index), index


def collect(
    kinds: jax.Array, index_at: np.ndarray, positions: jax.Array, can_collect: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Agents take the items on their cells.

    Args:
      kinds: `[A, ...]` int8.
      index_at: `[H, W]` int32, see `look_up`.
      positions: `[N, 2, ...]` int32; agents that can collect are on distinct cells.
      can_collect: `[N, ...]` bool.

    Returns:
      The kind that each agent took, `[N, ...]` int8, 0 if none, and the items that are left, `[A, ...]` int8.
    """
    chex.assert_shape(positions, (len(can_collect), 2, *can_collect.shape[1:]))
    found, index = compute_once(lambda *operands: look_up(operands[0], index_at, operands[1]))(kinds, positions)
    taken = jnp.where(can_collect, found, jnp.int8(0))
    return taken, put(kinds, jnp.where(taken > 0, index, np.int32(len(kinds))), jnp.zeros_like(taken))


def first_on_rays(kinds: jax.Array, on_ray: jax.Array, reach: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Beams of one ray end at the first item that they meet.

    Args:
      kinds: `[A, ...]` int8.
      on_ray: `[N, 1, length, ...]` int32, the items on each ray, A for cells without one; see `beams.look_along_rays`.
      reach: `[N, 1, ...]` int32, the most cells that each ray covers; 0 for agents that do not fire.

    Returns:
      The item that each beam meets, `[N, ...]` int32, A if none, and the cells that each ray covers before it, `[N, 1,
      ...]` int32.
    """
    chex.assert_equal_shape_prefix([on_ray, reach], 2)
    is_item = take(kinds, on_ray.reshape(-1, *kinds.shape[1:])).reshape(on_ray.shape) > 0
    is_first, rays = beams.stop_at_marks(is_item, reach)
    met = jnp.where(is_first, on_ray, np.int32(len(kinds)))
    return fold(jnp.minimum, jnp.unstack(met[:, 0], axis=1)), rays


def mark_covered(on_rays: jax.Array, rays: jax.Array, count: int) -> jax.Array:
    """Marks the items on all cells that beams cover.

    Args:
      on_rays: `[N, rays, length, ...]` int32, the items on each ray, `count` for cells without one.
      rays: `[N, rays, ...]` int32, cells that each ray covers.
      count: A, the number of items.

    Returns:
      `[W, ...]` uint32, packed bits of A items, see `bits.pack_bits`; bits from A on have no meaning.
    """
    chex.assert_equal_shape_prefix([on_rays, rays], 2)
    cell = with_trailing_axes(np.arange(on_rays.shape[2], dtype=np.int32)[None, None], on_rays.ndim)
    marks = jnp.where(cell < rays[:, :, None], mark_bits(on_rays, count // WORD_BITS + 1), jnp.uint32(0))
    return fold(jnp.bitwise_or, jnp.unstack(marks.reshape(len(marks), -1, *marks.shape[4:]), axis=1))
