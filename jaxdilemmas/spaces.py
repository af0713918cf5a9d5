"""What one agent may do and see: the spaces that `Environment.action_space` and `observation_space` return."""

import dataclasses
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import MOST_NUMBER, check_count, check_key, is_count, require


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
      ValueError: `n` is no whole number of at least 1.
    """

    n: int

    def __post_init__(self) -> None:
        check_count("n", self.n)

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
        check_key(key)
        return jax.random.randint(key, (), 0, self.n, jnp.int32)

    def contains(self, x: Any) -> bool:
        """Whether `x` is an int32 array with every entry in 0, ..., n - 1."""
        x = _array_from(x)
        return bool(x.dtype == self.dtype and np.all((x >= 0) & (x < self.n)))


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of one shape and dtype with every entry in [low, high].

    Args:
      low: the least entry, a number; -inf only where entries are floats.
      high: the largest entry, likewise.
      shape: of one member, a tuple of whole numbers.
      dtype: integers or floats.

    Raises:
      ValueError: an argument is not of that kind, `low` exceeds `high`, or the dtype does not hold them.
    """

    low: float
    high: float
    shape: tuple[int, ...]
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            is_real = isinstance(bound, int | float | np.integer | np.floating) and not isinstance(bound, bool)
            is_bound = is_real and (abs(bound) <= MOST_NUMBER or bound in (-math.inf, math.inf))
            require(is_bound, name, bound, "a number, finite in float32 or infinite")
        require(self.low <= self.high, "low", self.low, f"at most high={self.high!r}")
        is_shape = isinstance(self.shape, tuple) and all(is_count(length, least=0) for length in self.shape)
        require(is_shape, "shape", self.shape, "a tuple of whole numbers of at least 0")
        kind = _kind_of(self.dtype)
        require(kind in ("i", "u", "f"), "dtype", self.dtype, "a dtype of integers or floats")
        if kind != "f":
            info = np.iinfo(self.dtype)
            for name, bound in (("low", self.low), ("high", self.high)):
                is_held = info.min <= bound <= info.max and bound == int(bound)
                require(is_held, name, bound, f"a whole number that {np.dtype(self.dtype)} holds")

    def sample(self, key: jax.Array) -> jax.Array:
        """Draws one member uniformly; a Box without bounds is drawn from a standard normal."""
        check_key(key)
        if np.issubdtype(self.dtype, np.integer):
            low, high = int(self.low), int(self.high)
            return jax.random.randint(key, self.shape, low, high + 1, jnp.int32).astype(self.dtype)
        if math.isinf(self.low) or math.isinf(self.high):
            return jnp.clip(jax.random.normal(key, self.shape, self.dtype), self.low, self.high)
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: Any) -> bool:
        """Whether `x` has this dtype, ends in this shape, and stays within the bounds."""
        x = _array_from(x)
        ends_in_shape = x.shape[x.ndim - len(self.shape) :] == self.shape if x.ndim >= len(self.shape) else False
        return bool(x.dtype == np.dtype(self.dtype) and ends_in_shape and np.all((x >= self.low) & (x <= self.high)))


def _kind_of(dtype: Any) -> str:
    """The kind of a dtype as NumPy has it, "" for what is no dtype."""
    try:
        return np.dtype(dtype).kind if dtype is not None else ""
    except Exception:  # a class that is wrong itself may raise anything
        return ""


def _array_from(x: Any) -> np.ndarray:
    """Anything as an array; of objects where it is ragged."""
    try:
        return np.asarray(x)
    except ValueError:
        return np.array(None)
