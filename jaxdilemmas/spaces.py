"""What one agent may do and see: the spaces that `Environment.action_space` and `observation_space` return."""

import dataclasses
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np


class Space(Protocol):
    """Anything with a shape and a dtype that can draw a member and recognise one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one member."""

    @property
    def dtype(self) -> Any:
        """NumPy dtype of one member."""

    def sample(self, key: jax.Array) -> jax.Array:
        """Draws one member uniformly."""

    def contains(self, x: Any) -> bool:
        """Whether `x`, of any number of leading axes, holds members only."""


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The integers 0, ..., n - 1, as int32.

    Raises:
      ValueError: `n` is not at least 1.
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n={self.n!r} is not allowed: a Discrete space needs n >= 1")

    @property
    def shape(self) -> tuple[int, ...]:
        """The empty shape: one member is a scalar."""
        return ()

    @property
    def dtype(self) -> Any:
        """int32."""
        return np.dtype(np.int32)

    def sample(self, key: jax.Array) -> jax.Array:
        """Draws one member uniformly, `[]` int32."""
        return jax.random.randint(key, (), 0, self.n, jnp.int32)

    def contains(self, x: Any) -> bool:
        """Whether `x` is an int32 array with every entry in 0, ..., n - 1."""
        x = np.asarray(x)
        return bool(x.dtype == self.dtype and np.all((x >= 0) & (x < self.n)))


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of one shape and dtype with every entry in [low, high].

    Raises:
      ValueError: `low` exceeds `high`.
    """

    low: float
    high: float
    shape: tuple[int, ...]
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"low={self.low!r} is not allowed: a Box needs low <= high={self.high!r}")

    def sample(self, key: jax.Array) -> jax.Array:
        """Draws one member uniformly; a Box without bounds is drawn from a standard normal."""
        if np.issubdtype(self.dtype, np.integer):
            return jax.random.randint(key, self.shape, int(self.low), int(self.high) + 1).astype(self.dtype)
        if math.isinf(self.low) or math.isinf(self.high):
            return jnp.clip(jax.random.normal(key, self.shape, self.dtype), self.low, self.high)
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: Any) -> bool:
        """Whether `x` has this dtype, ends in this shape, and stays within the bounds."""
        x = np.asarray(x)
        ends_in_shape = x.shape[x.ndim - len(self.shape) :] == self.shape if x.ndim >= len(self.shape) else False
        return bool(x.dtype == np.dtype(self.dtype) and ends_in_shape and np.all((x >= self.low) & (x <= self.high)))
