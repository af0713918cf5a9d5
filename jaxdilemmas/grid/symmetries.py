"""Turns and reflections of a square board."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np


def board_symmetries(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All turns and reflections of a square board, and the action into which each of them turns each action.

    Args:
      steps: `[A, 2]` int32, the (row, col) change of each action. A symmetry of one of them must be another of them.

    Returns:
      Matrices `[8, 2, 2]` int8, the identity first, and actions `[8, A]` int32.
    """
    signs = np.array(list(itertools.product((1, -1), repeat=2)), np.int8)
    straight = signs[:, :, None] * np.eye(2, dtype=np.int8)
    matrices = np.concatenate([straight, straight[:, ::-1]])
    turned = np.einsum("gij,aj->gai", matrices, steps)
    return matrices, (turned[:, :, None] == steps).all(-1).argmax(-1).astype(np.int32)


def turn_cells(cells: jax.Array, matrix: jax.Array, size: int) -> jax.Array:
    """Turns or reflects cells about the centre of the board.

    Args:
      cells: `[..., 2]` integers (row, col).
      matrix: `[2, 2]` int8, one of `board_symmetries`.
      size: rows and columns of the board, an odd number.

    Returns:
      `[..., 2]`, of the dtype of `cells`.
    """
    centre = size // 2
    matrix = jnp.expand_dims(matrix, range(cells.ndim - 1))
    turned: jax.Array = ((cells - centre)[..., None, :] * matrix).sum(axis=-1, dtype=cells.dtype) + centre
    return turned.astype(cells.dtype)
