"""The spaces that `Environment.action_space` and `observation_space` return: actions and observations of one agent."""

import dataclasses
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import MOST_NUMBER, check_count, check_key, is_count, require


class Space(Protocol):
    """A set of arrays of one shape and dtype that can draw a member and recognise one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one member."""

    @property
    def dtype(self) -> Any:
        """NumPy dtype of one member."""

    def sample(self, key: jax.Array) -> jax.Array:
        """Draws one member uniformly.

        Args:
          key: a JAX PRNG key, used once.

        Returns:
          An array of the shape and dtype of the space.

        Raises:
          ValueError: `key` is not one PRNG key.
        """

    def contains(self, x: Any) -> bool:
        """Whether `x`, with any number of leading axes, contains only members."""


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The integers 0, ..., n - 1, as int32.

    Args:
      n: the number of members.

    Raises:
      ValueError: `n` is not a whole number of at least 1.
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
        """Draws one member uniformly, `[]` int32; raises a ValueError unless `key` is one PRNG key."""
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
      low: the smallest entry, a number; -inf is allowed only if entries are floats.
      high: the largest entry, a number; inf is allowed only if entries are floats.
      shape: the shape of one member, a tuple of whole numbers.
      dtype: a dtype of integers or floats.

    Raises:
      ValueError: an argument has a wrong type or value, `low` is above `high`, or the dtype cannot hold them.
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
        """Draws one member uniformly, `[*shape]` of the dtype; raises a ValueError unless `key` is one PRNG key.

        If a bound is infinite, entries come from a standard normal distribution and are clipped to the bounds.
        """
        check_key(key)
        if np.issubdtype(self.dtype, np.integer):
            low, high = int(self.low), int(self.high)
            return jax.random.randint(key, self.shape, low, high + 1, jnp.int32).astype(self.dtype)
        if math.isinf(self.low) or math.isinf(self.high):
            return jnp.clip(jax.random.normal(key, self.shape, self.dtype), self.low, self.high)
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: Any) -> bool:
        """Whether `x` has this dtype, its last axes have this shape, and all entries are within the bounds."""
        x = _array_from(x)
        ends_in_shape = x.shape[x.ndim - len(self.shape) :] == self.shape if x.ndim >= len(self.shape) else False
        return bool(x.dtype == np.dtype(self.dtype) and ends_in_shape and np.all((x >= self.low) & (x <= self.high)))


class Observation(struct.PyTreeNode):
    """What agents observe in games that show more than a view.

    Attributes:
      view: `[N, ...]`, what an agent sees of the board.
      extras: `[N, k]` float32, numbers that no view shows, such as an inventory; see `WithExtras.names`.
    """

    view: jax.Array
    extras: jax.Array


@dataclasses.dataclass(frozen=True)
class WithExtras:
    """The space of an `Observation` of one agent: a view, and k float32 numbers beside it.

    Args:
      view: the space of the view.
      names: the name of each of the k numbers.

    Raises:
      ValueError: `view` is not a Box or a Discrete, or `names` are not distinct names, at least one.
    """

    view: Space
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        require(isinstance(self.view, Box | Discrete), "view", self.view, "a Box or a Discrete")
        is_named = isinstance(self.names, tuple) and all(isinstance(name, str) and name for name in self.names)
        allowed = "a tuple of distinct names, at least one"
        require(is_named and len(set(self.names)) == len(self.names) > 0, "names", self.names, allowed)

    @property
    def extras(self) -> Box:
        """The space of the numbers beside the view, `[k]` float32."""
        return Box(-math.inf, math.inf, (len(self.names),), np.float32)

    def sample(self, key: jax.Array) -> Observation:
        """Draws a view uniformly and standard normal numbers; raises a ValueError unless `key` is one PRNG key."""
        check_key(key)
        key_view, key_extras = jax.random.split(key)
        return Observation(self.view.sample(key_view), self.extras.sample(key_extras))

    def contains(self, x: Any) -> bool:
        """Whether `x` is an `Observation`, with any number of leading axes, that contains only members."""
        if not isinstance(x, Observation):
            return False
        num_axes = np.ndim(x.view) - len(self.view.shape)
        is_one_batch = num_axes >= 0 and np.shape(x.view)[:num_axes] == np.shape(x.extras)[:-1]
        return is_one_batch and self.view.contains(x.view) and self.extras.contains(x.extras)


def view_of(space: Space | WithExtras) -> Space:
    """The space of the view: the space itself where nothing is shown beside it."""
    return space.view if isinstance(space, WithExtras) else space


def extra_names(space: Space | WithExtras) -> tuple[str, ...]:
    """The names of the numbers beside the view: none where a space has no extras."""
    return space.names if isinstance(space, WithExtras) else ()


def _kind_of(dtype: Any) -> str:
    """The kind of a dtype in NumPy; "" if it is not a dtype."""
    try:
        return np.dtype(dtype).kind if dtype is not None else ""
    except Exception:  # a broken class may raise any error
        return ""


def _array_from(x: Any) -> np.ndarray:
    """Returns any value as an array; a ragged value becomes an array of objects."""
    try:
        return np.asarray(x)
    except ValueError:
        return np.array(None)
