"""How observations are stored by a learner and read by a network: tile ids as packed bits, all else as it is."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Environment, Observed, require
from jaxdilemmas.spaces import Observation, Space, WithExtras, extra_names, view_of

Torso = Literal["mlp", "conv", "gru", "set"]
WORD_BITS = 32
WINDOW = 4
STRIDE = 3
"""Squares of cells that a convolution reads, and the distance from one to the next: neighbours share a row of cells."""


@dataclasses.dataclass(frozen=True)
class ObservationCode:
    """How observations of one space are stored by the learner and read by a network.

    Tile ids (a uint8 space of shape `[h, w]`) are written in binary and packed, `[..., h, w]` uint8 becomes `[..., W]`
    uint32, see `pack`. Everything else is stored as it is.

    A network that reads P windows, overlapping squares of cells, is a convolution written as a product: for it tile ids
    are stored window by window, `[..., P, W]`.

    An `Observation` is stored as one row: the stored view, flat, and behind it the bits of the extras in its dtype.

    Attributes:
      shape: the space's.
      num_bits: bits of a tile id; 0 if the space does not hold tile ids.
      scale: entries are divided by it: 255 for pixels, 1 for one-hot and float observations.
      in_windows: whether the network reads windows.
      kinds: of the slots of observations that are entities, for networks that read sets; see `entities.EntityTorso`.
      dtype: the name of the space's.
      num_extras: numbers beside the view.
    """

    shape: tuple[int, ...]
    num_bits: int = 0
    scale: float = 1.0
    in_windows: bool = False
    kinds: tuple[int, ...] = ()
    dtype: str = "float32"
    num_extras: int = 0

    @classmethod
    def for_network(cls, env: Environment, torso: Torso) -> "ObservationCode":
        """The code in which a network reads the observations of a game.

        Raises:
          ValueError: they are not of the kind that the network reads.
        """
        if torso != "set":
            return cls.of(env.observation_space, in_windows=torso == "conv")
        kinds = getattr(env, "entity_kinds", None)
        if kinds is None:
            raise ValueError(f"network='set' is not allowed: {type(env).__name__} shows no entities (entity_kinds)")
        return dataclasses.replace(cls.of(env.observation_space), kinds=tuple(int(kind) for kind in kinds))

    @classmethod
    def of(cls, space: Space | WithExtras, in_windows: bool = False) -> "ObservationCode":
        """The code for a space.

        Raises:
          ValueError: observations without rows and columns are to be read in windows.
        """
        view, num_extras = view_of(space), len(extra_names(space))
        has_cells = len(view.shape) >= 2
        require(has_cells or not in_windows, "network", "conv", f"mlp or gru for observations of shape {view.shape}")
        code = cls(view.shape, in_windows=in_windows, dtype=np.dtype(view.dtype).name, num_extras=num_extras)
        high = int(getattr(view, "high", 255)) if code.dtype == "uint8" else 1
        if code.dtype == "uint8" and len(view.shape) == 2:
            return dataclasses.replace(code, num_bits=max(1, high.bit_length()))
        return dataclasses.replace(code, scale=float(high))

    def example(self, *axes: int) -> Observed:
        """An observation of zeros with some leading axes."""
        view = jnp.zeros((*axes, *self.shape), self.dtype)
        return Observation(view, jnp.zeros((*axes, self.num_extras), jnp.float32)) if self.num_extras else view

    def encode(self, obs: Any) -> jax.Array:
        """Observations `[..., *shape]` as they are stored."""
        if not self.num_extras:
            return self._encode_view(obs)
        view = self._encode_view(obs.view).reshape(*obs.extras.shape[:-1], -1)
        bits = jax.lax.bitcast_convert_type(obs.extras, view.dtype)
        return jnp.concatenate([view, bits.reshape(*view.shape[:-1], -1)], axis=-1)

    def split(self, stored: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Stored observations `[..., *]` as stored views and extras `[..., k]` float32; None where there are none."""
        if not self.num_extras:
            return stored, None
        view: Any = jax.eval_shape(self._encode_view, jnp.zeros(self.shape, self.dtype))
        views, bits = jnp.split(stored, [view.size], axis=-1)
        lead = stored.shape[:-1]
        bits = bits.reshape(*lead, self.num_extras, *([] if view.dtype.itemsize == 4 else [-1]))
        return views.reshape(*lead, *view.shape), jax.lax.bitcast_convert_type(bits, jnp.float32)

    def _encode_view(self, obs: jax.Array) -> jax.Array:
        """Views `[..., *shape]` as they are stored."""
        if not self.num_bits:
            return obs
        cells = obs.reshape(*obs.shape[: obs.ndim - 2], -1)
        if self.in_windows:
            cells = cut_windows(cells[..., None], self.shape)[..., 0]
        return pack(cells, self.num_bits)

    def numbers(self, stored: jax.Array) -> jax.Array:
        """Stored observations other than tile ids as float32: `[M, *shape]` -> `[M, D]`, or `[M, P, D]` in windows."""
        numbers = stored.astype(jnp.float32) / self.scale
        if not self.in_windows:
            return numbers.reshape(len(stored), -1)
        windows = cut_windows(numbers.reshape(len(stored), self.shape[0] * self.shape[1], -1), self.shape)
        return windows.reshape(*windows.shape[:2], -1)


def cut_windows(cells: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Cuts boards into windows of `WINDOW` by `WINDOW` cells, one every `STRIDE` cells; off the board cells are 0.

    Args:
      cells: `[..., h * w, C]`.
      shape: h and w first.

    Returns:
      `[..., P, WINDOW ** 2, C]`.
    """
    height, width = shape[:2]
    rows, cols = (np.arange(0, side, STRIDE)[:, None] + np.arange(WINDOW) for side in (height, width))
    is_on_board = (rows < height)[:, None, :, None] & (cols < width)[None, :, None, :]
    index = np.where(is_on_board, rows[:, None, :, None] * width + cols[None, :, None, :], height * width)
    cells = jnp.pad(cells, [(0, 0)] * (cells.ndim - 2) + [(0, 1), (0, 0)])
    return jnp.take(cells, index.reshape(-1, WINDOW**2), axis=-2, mode="clip")


def pack(cells: jax.Array, num_bits: int) -> jax.Array:
    """Packs small numbers, `[..., n]` uint8 below 2 ** num_bits -> `[..., W]` uint32.

    A word holds as many as fit, the bits left over are 0; word w holds the numbers w, w + W, w + 2 W and so on.
    """
    numbers_per_word = WORD_BITS // num_bits
    padding = [(0, 0)] * (cells.ndim - 1) + [(0, -cells.shape[-1] % numbers_per_word)]
    cells = jnp.pad(cells, padding).reshape(*cells.shape[:-1], numbers_per_word, -1).astype(jnp.uint32)
    shifts = num_bits * jnp.arange(numbers_per_word, dtype=jnp.uint32)
    return jnp.sum(cells << shifts[:, None], axis=-2, dtype=jnp.uint32)
