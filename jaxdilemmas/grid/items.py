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
    found = jnp.take_along_axis(kinds, index, 0, mode="clip")
    return jnp.where(index < len(kinds), found, jnp.int8(0)), index


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
    place = with_trailing_axes(np.arange(len(kinds), dtype=np.int32), kinds.ndim)
    is_taken = fold(jnp.logical_or, [(place == index[None, k]) & (taken[None, k] > 0) for k in range(len(index))])
    return taken, jnp.where(is_taken, jnp.int8(0), kinds)
