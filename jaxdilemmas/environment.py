"""The contract that every game keeps. It knows no game and no grid; docs/design.md explains the choices."""

import abc
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import MOST_COUNT, check_kind
from jaxdilemmas.arguments import check_counts as check_counts
from jaxdilemmas.arguments import check_numbers as check_numbers
from jaxdilemmas.arguments import is_count as is_count
from jaxdilemmas.arguments import refusal as refusal
from jaxdilemmas.arguments import require as require
from jaxdilemmas.arguments import show as show
from jaxdilemmas.batching import vary_alike
from jaxdilemmas.spaces import Space

Info = dict[str, jax.Array]
Transition = tuple[Any, jax.Array, jax.Array, Info]
Step = tuple[jax.Array, Any, jax.Array, jax.Array, jax.Array, Info]
COMPILED = "_compiled_methods"
"""Where an environment keeps what was compiled for it."""

_WIDE = {np.dtype(narrow): np.dtype(wide) for narrow, wide in (("int32", "int64"), ("float32", "float64"))}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()} | {np.dtype("uint64"): np.dtype("uint32")}

Policy = Callable[[jax.Array, Any], jax.Array]
"""`policy(key, state) -> actions [N, ...]`: acts for all agents at once; the key is used once."""


def check_key(key: Any) -> None:
    """Raises a ValueError unless `key` is one JAX PRNG key: of `jax.random.key`, or of `jax.random.PRNGKey`."""
    is_key = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    is_legacy = isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32 and key.shape in ((2,), (4,))
    what = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array | np.ndarray) else key
    require(is_key or is_legacy, "key", what, "one JAX PRNG key, such as jax.random.key(0); a batch needs jax.vmap")


def _as_32_bits(path: Any, leaf: Any) -> Any:
    """A number or an array of params, with 32 bits where an array has 64, as it would have outside of 64-bit mode."""
    name = f"params{jax.tree_util.keystr(path)}"
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        is_fit = isinstance(leaf, float) or (isinstance(leaf, int) and -MOST_COUNT <= leaf <= MOST_COUNT)
        require(is_fit, name, leaf, "a number, whole ones of at most 32 bits, or an array of numbers")
        return leaf
    is_number = jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
    require(is_number, name, leaf, "a number or an array of numbers; other fields have pytree_node=False")
    is_wide = dtype in _NARROW and not jax.typeof(leaf).weak_type
    return _narrow(leaf, _NARROW[dtype]) if is_wide else leaf


def _narrow(array: Any, dtype: Any) -> Any:
    """An array of a dtype of 32 bits. Whole numbers that do not fit become the largest or smallest that does."""
    if np.issubdtype(dtype, np.integer):
        array = array.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return array.astype(dtype)


class Environment(abc.ABC):
    """A multi-agent game as pure functions of arrays with an agent axis of length N = `num_agents`.

    A game defines `Params`, `State` and `Draws` (flax.struct dataclasses) and the five abstract methods below; `reset`
    and `step` are the same for all games. `State` has a field `step_count` (`[]` int32) that `transition` increments,
    `Params` a field `max_steps`.

    Attributes:
      num_agents: N, the length of every agent axis.
      version: raised whenever the dynamics change, so that recorded episodes name the rules they follow.
      default_params: the numbers in the rules; a batch of params may be passed through `jax.vmap` instead.
      policy_module: name of the module with the game's own scripted policies; see `jaxdilemmas.policies.scripted`.
    """

    num_agents: int
    version: str = "1"
    default_params: Any
    policy_module: str | None = None

    @property
    @abc.abstractmethod
    def observation_space(self) -> Space:
        """The space of one agent's observation."""

    @property
    @abc.abstractmethod
    def action_space(self) -> Space:
        """The space of one agent's action."""

    @abc.abstractmethod
    def initial_state(self, key: jax.Array, params: Any) -> Any:
        """Returns the `State` at the start of an episode."""

    @abc.abstractmethod
    def draw(self, key: jax.Array, state: Any, params: Any) -> Any:
        """Returns every random number of one step as a `Draws`; empty for a game without chance."""

    @abc.abstractmethod
    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Transition:
        """Applies the rules once, without chance of its own and without the clock.

        Args:
          draws: what `draw` returned, or a recording.
          state: the current `State`.
          actions: `[N]` int32, or `[N, ...]` float32 where the action space is a Box.
          params: the numbers in the rules.

        Returns:
          The next state, rewards `[N]` float32, terminated `[]` bool, and info: a dict, fixed keys, `[N]` leaves.
        """

    @abc.abstractmethod
    def observe(self, state: Any, params: Any) -> jax.Array:
        """Returns one observation per agent, `[N, ...]`."""

    def reset(self, key: jax.Array, params: Any = None) -> tuple[jax.Array, Any]:
        """Starts an episode. It is compiled when it is first called, once for each game that was made.

        Args:
          key: a JAX PRNG key, used once.
          params: numbers in the rules; `default_params` when left out. Arrays of 64 bits are taken as 32 bits.

        Returns:
          Observations `[N, ...]` and the `State`.

        Raises:
          ValueError: `key` is not one PRNG key, or `params` are not those of the game.
        """
        check_key(key)
        return self._compiled("_reset")(key, self._numbers(params))

    def _reset(self, key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
        """What `reset` compiles."""
        state = vary_alike(self.initial_state(key, params), (key, params))
        return self.observe(state, params), state

    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Step:
        """Plays one joint action. It does not reset: see `jaxdilemmas.AutoReset`. It is compiled like `reset`.

        Args:
          key: a JAX PRNG key, handed to `draw` unchanged.
          state: the current `State`.
          actions: `[N]` int32, or `[N, ...]` float32 where the action space is a Box. In 64-bit mode the dtype may have
            64 bits instead.
          params: numbers in the rules; `default_params` when left out. Arrays of 64 bits are taken as 32 bits.

        Returns:
          obs `[N, ...]`, state, rewards `[N]` float32, terminated `[]` bool (the game ended), truncated `[]` bool (the
          clock ended it: `step_count >= max_steps`), info (a dict with fixed keys and `[N]` leaves).

        Raises:
          ValueError: `actions` has a wrong shape or dtype, `key` is not one PRNG key, or `state` or `params` are not
            those of the game.
        """
        check_key(key)
        actions, params = self.check_actions(actions), self._numbers(params)
        try:
            return self._compiled("_step")(key, state, actions, params)
        except Exception as error:
            self._refuse_other_state(error, key, state, params)
            raise

    def _step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any) -> Step:
        """What `step` compiles."""
        state = vary_alike(state, (key, state, actions, params))
        draws = self.draw(key, state, params)
        state, rewards, terminated, info = self.transition(draws, state, actions, params)
        truncated = state.step_count >= params.max_steps
        return self.observe(state, params), state, rewards, terminated, truncated, info

    def _compiled(self, method: str) -> Callable[..., Any]:
        """A method that is compiled once for this environment, and is part of what it is called in, as if it were not.

        Without that each of the many operations of a game would be compiled on its own when a game is first tried out.
        """
        functions = self.__dict__.setdefault(COMPILED, {})
        if method not in functions:
            functions[method] = jax.jit(getattr(self, method), inline=True)
        return functions[method]

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: everything but what was compiled."""
        return {name: value for name, value in self.__dict__.items() if name != COMPILED}

    def _numbers(self, params: Any) -> Any:
        """`params`, or those by default, with arrays of at most 32 bits; a ValueError if they are not of this game."""
        if params is not None:
            kind = type(self.default_params)
            check_kind("params", params, kind, f"{kind.__module__}.{kind.__qualname__}, as default_params are")
        return jax.tree_util.tree_map_with_path(_as_32_bits, self.default_params if params is None else params)

    def check_actions(self, actions: Any) -> jax.Array:
        """Returns `actions` as an array, or raises a ValueError that says which shape and dtype it needs."""
        shape, dtype = (self.num_agents, *self.action_space.shape), jnp.dtype(self.action_space.dtype)
        allowed = f"{type(self).__name__} with {self.num_agents} agents takes shape {shape} and dtype {dtype}"
        try:
            array = jnp.asarray(actions)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(refusal("actions", actions, allowed)) from error
        if array.dtype == _WIDE.get(dtype):
            array = _narrow(array, dtype)
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"actions of shape {array.shape} and dtype {array.dtype} are not allowed: {allowed}")
        return array

    def _refuse_other_state(self, error: Exception, key: jax.Array, state: Any, params: Any) -> None:
        """Raises a ValueError that names the state, where a step fails, unless it is like a state of this game."""
        expected = jax.eval_shape(self.initial_state, key, params)
        if (tree := jax.tree.structure(expected)) != jax.tree.structure(state):
            kind = type(expected)
            allowed = f"the {kind.__module__}.{kind.__qualname__} that reset or step of this environment returned"
            raise ValueError(refusal("state", type(state).__name__, f"{allowed}, {tree}")) from error
        for (path, leaf), other in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(state), strict=True):
            kinds = [(np.shape(array), jnp.result_type(array)) for array in (other, leaf)]
            if kinds[0] != kinds[1]:
                allowed = f"{list(leaf.shape)} {leaf.dtype}"
                raise ValueError(refusal(f"state{jax.tree_util.keystr(path)}", kinds[0], allowed)) from error

    def params_from(self, params_class: type, overrides: dict[str, Any]) -> Any:
        """Builds `default_params` from the keyword arguments that name a field of `params_class`.

        Raises:
          ValueError: a keyword is neither an argument of the game nor a field of its params.
        """
        names = [field.name for field in dataclasses.fields(params_class)]
        unknown = sorted(set(overrides) - set(names))
        if unknown:
            arguments = inspect.signature(type(self)).parameters.values()
            allowed = [a.name for a in arguments if a.kind is not inspect.Parameter.VAR_KEYWORD] + names
            raise ValueError(
                f"unknown keyword {unknown[0]!r} for {type(self).__name__}: allowed are {', '.join(allowed)}"
            )
        return params_class(**overrides)
