"""The contract that every game keeps. It knows no game and no grid; docs/design.md explains the choices."""

import abc
import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_counts as check_counts
from jaxdilemmas.arguments import check_key as check_key
from jaxdilemmas.arguments import check_kind, is_number, numbers_from
from jaxdilemmas.arguments import check_numbers as check_numbers
from jaxdilemmas.arguments import is_count as is_count
from jaxdilemmas.arguments import refusal as refusal
from jaxdilemmas.arguments import require as require
from jaxdilemmas.arguments import show as show
from jaxdilemmas.batching import vary_alike
from jaxdilemmas.spaces import Space, WithExtras

Info = dict[str, jax.Array]
Transition = tuple[Any, jax.Array, jax.Array, Info]
Observed = Any
"""One observation per agent: an array `[N, ...]` or, where the space of one is a `WithExtras`, an `Observation`."""

Step = tuple[Observed, Any, jax.Array, jax.Array, jax.Array, Info]
COMPILED = "_compiled_methods"
"""The name of the attribute in which an environment keeps its compiled functions."""

_WIDE = {np.dtype(narrow): np.dtype(wide) for narrow, wide in (("int32", "int64"), ("float32", "float64"))}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()} | {np.dtype("uint64"): np.dtype("uint32")}

Policy = Callable[[jax.Array, Any], jax.Array]
"""`policy(key, state) -> actions [N, ...]`: acts for all agents at once; the key is used once."""


def _as_32_bits(name: str, leaf: Any) -> Any:
    """Checks a number or an array of params; an array of 64 bits becomes one of 32 bits, as outside of 64-bit mode."""
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        is_fit = isinstance(leaf, bool) or is_number(leaf) or leaf in (math.inf, -math.inf)
        require(is_fit, name, leaf, "a number (a whole number has at most 32 bits) or an array of numbers")
        return leaf
    is_numeric = jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
    require(is_numeric, name, leaf, "a number or an array of numbers; other fields have pytree_node=False")
    is_wide = dtype in _NARROW and not jax.typeof(leaf).weak_type
    return _narrow(leaf, _NARROW[dtype]) if is_wide else leaf


def _narrow(array: Any, dtype: Any) -> Any:
    """An array of a dtype of 32 bits. Whole numbers that do not fit become the largest or smallest number that fits."""
    if np.issubdtype(dtype, np.integer):
        array = array.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return array.astype(dtype)


def _as_python(value: Any) -> Any:
    """Turns a NumPy number into a Python number, which has no dtype of its own; returns any other value as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _is_none(leaf: Any) -> bool:
    return leaf is None


def _kinds_of(state: Any) -> list[type]:
    """The classes of a state and of the states inside it; JAX does not distinguish classes with the same structure."""
    inner = [state.env_state] if hasattr(state, "env_state") else []
    return [type(state), *(kind for part in inner for kind in _kinds_of(part))]


def _path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _without_compiling(actions: Any) -> Any:
    """Actions as an array, or None if they contain no numbers; a list of traced numbers is stacked."""
    if numbers_from(actions) is not None:
        return np.asarray(actions)
    is_traced = isinstance(actions, list | tuple) and any(isinstance(action, jax.Array) for action in actions)
    try:
        return jnp.stack(actions) if is_traced else None
    except (TypeError, ValueError):
        return None


def check_game(env: Any) -> None:
    """Raises a ValueError unless `env` is an environment."""
    require(isinstance(env, Environment), "env", env, "an Environment, for example from jaxdilemmas.make")


STATE_AT = {"observe": 0, "draw": 1, "transition": 1}
"""The methods of a game that take a state, and the position of the state among their arguments."""


def _with_checked_state(method: Callable[..., Any], index: int) -> Callable[..., Any]:
    """The method of a game, preceded by a check of its state; the check costs nothing in compiled code."""

    @functools.wraps(method)
    def checked(self: "Environment", *args: Any, **kwargs: Any) -> Any:
        if "state" in kwargs or len(args) > index:
            self.check_state(kwargs["state"] if "state" in kwargs else args[index])
        return method(self, *args, **kwargs)

    return checked


class NoDraws(struct.PyTreeNode):
    """The draws of a game without chance: no fields."""


class Environment(abc.ABC):
    """A multi-agent game as pure functions of arrays with an agent axis of length N = `num_agents`.

    A game defines `Params`, `State` and `Draws` (flax.struct dataclasses), the abstract methods below and `draw`. A
    game without chance inherits `draw`, which returns `NoDraws`. `reset` and `step` are the same for all games. `State`
    has a field `step_count` (`[]` int32) that `transition` increments; `Params` has a field `max_steps`.

    Attributes:
      num_agents: N, the length of every agent axis.
      version: a new value whenever the dynamics change, so that recorded episodes name the rules that they follow.
      default_params: the numbers in the rules; a batch of params may be passed through `jax.vmap` instead.
      policy_module: name of the module with the game's own scripted policies; see `jaxdilemmas.policies.scripted`.
      picture_module: name of the module with the picture of the game; see `jaxdilemmas.rendering`.
      is_batched_last: whether `transition` and `observe` compute a batch as the last axis; see `batching.batch_last`.
    """

    num_agents: int
    version: str = "1"
    default_params: Any
    policy_module: str | None = None
    picture_module: str | None = None
    is_batched_last: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, index in STATE_AT.items():
            if name in vars(cls):
                setattr(cls, name, _with_checked_state(vars(cls)[name], index))

    @property
    @abc.abstractmethod
    def observation_space(self) -> Space | WithExtras:
        """The space of one agent's observation: an array or, in a `WithExtras`, a view and numbers beside it."""

    @property
    @abc.abstractmethod
    def action_space(self) -> Space:
        """The space of one agent's action."""

    @abc.abstractmethod
    def initial_state(self, key: jax.Array, params: Any) -> Any:
        """Returns the `State` at the start of an episode.

        Args:
          key: a JAX PRNG key, used once.
          params: the numbers in the rules.
        """

    @functools.partial(_with_checked_state, index=STATE_AT["draw"])
    def draw(self, key: jax.Array, state: Any, params: Any) -> Any:
        """Returns every random number of one step as a `Draws`, which has no fields if the game has no chance.

        Args:
          key: a JAX PRNG key, used once.
          state: the current `State`.
          params: the numbers in the rules.
        """
        del key, state, params
        return NoDraws()

    @abc.abstractmethod
    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Transition:
        """Applies the rules once, without random numbers of its own and without the clock.

        Args:
          draws: the result of `draw`, or a recording.
          state: the current `State`.
          actions: `[N]` int32, or `[N, ...]` float32 if the action space is a Box.
          params: the numbers in the rules.

        Returns:
          The next state, rewards `[N]` float32, terminated `[]` bool, and info: a dict with fixed keys and `[N]`
          leaves.
        """

    @abc.abstractmethod
    def observe(self, state: Any, params: Any) -> Observed:
        """Returns one observation per agent, `[N, ...]`; see `observation_space`."""

    def reset(self, key: jax.Array, params: Any = None) -> tuple[Any, Any]:
        """Starts an episode. The method is compiled at its first call, once for each environment object.

        Args:
          key: a JAX PRNG key, used once.
          params: numbers in the rules; None stands for `default_params`. Arrays of 64 bits become arrays of 32 bits.

        Returns:
          Observations `[N, ...]` and the `State`.

        Raises:
          ValueError: `key` is not one PRNG key, or `params` are not params of the game.
        """
        check_key(key)
        return self._compiled("_reset")(key, self.check_params(params))

    def _reset(self, key: jax.Array, params: Any) -> tuple[Any, Any]:
        """The part of `reset` that is compiled."""
        state = vary_alike(self.initial_state(key, params), (key, params))
        return self.observe(state, params), state

    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Step:
        """Plays one joint action, without a reset: see `jaxdilemmas.AutoReset`. It is compiled like `reset`.

        Args:
          key: a JAX PRNG key, used once; `draw` gets it unchanged.
          state: the current `State`.
          actions: `[N]` int32, or `[N, ...]` float32 if the action space is a Box. In 64-bit mode the dtype may have 64
            bits instead.
          params: numbers in the rules; None stands for `default_params`. Arrays of 64 bits become arrays of 32 bits.

        Returns:
          obs `[N, ...]`, state, rewards `[N]` float32, terminated `[]` bool (the game ended), truncated `[]` bool (the
          clock ended the episode: `step_count >= max_steps`), info (a dict with fixed keys and `[N]` leaves).

        Raises:
          ValueError: `actions` has a wrong shape or dtype, `key` is not one PRNG key, or `state` or `params` are not
            those of the game.
        """
        check_key(key)
        given, params = self.check_actions(actions), self.check_params(params)
        self.check_state(state)
        self._check_dtypes(state)
        return self._compiled("_step")(key, state, given, params)

    def _step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any) -> Step:
        """The part of `step` that is compiled."""
        state = vary_alike(state, (key, state, actions, params))
        draws = self.draw(key, state, params)
        state, rewards, terminated, info = self.transition(draws, state, actions, params)
        truncated = state.step_count >= params.max_steps
        return self.observe(state, params), state, rewards, terminated, truncated, info

    def _compiled(self, method: str) -> Callable[..., Any]:
        """A method that is compiled once for this environment; inside other compiled code it becomes part of that code.

        Otherwise each of the many operations of a game would be compiled on its own when a user first tries the game.
        """
        functions = self.__dict__.setdefault(COMPILED, {})
        if method not in functions:
            functions[method] = jax.jit(getattr(self, method), inline=True)
        return functions[method]

    def __getstate__(self) -> dict[str, Any]:
        """The attributes to pickle and copy: all except the compiled functions."""
        return {name: value for name, value in self.__dict__.items() if name != COMPILED}

    def _check_dtypes(self, state: Any) -> None:
        """Raises a ValueError if a field of the state contains another kind of numbers than in this game."""
        if self._state_shapes is None:
            return
        expected = jax.tree.leaves_with_path(self._state_shapes)
        for (path, part), found in zip(expected, jax.tree.leaves(state), strict=True):
            dtype: Any = getattr(found, "dtype", None) or jnp.result_type(found)
            is_held = dtype == part.dtype or not isinstance(part.dtype, np.dtype) or not isinstance(dtype, np.dtype)
            if not is_held and not np.can_cast(dtype, part.dtype, "same_kind"):
                name = f"state{jax.tree_util.keystr(path)} of dtype"
                raise ValueError(refusal(name, str(dtype), str(part.dtype)))

    def check_params(self, params: Any) -> Any:
        """Returns `params`, or `default_params` for None, with arrays of at most 32 bits.

        Ranges are checked when the game is built. They are not checked here, because the numbers may be traced.

        Raises:
          ValueError: `params` are not params of this game, or a field is not a number or has another shape.
        """
        kind = type(self.default_params)
        if params is not None:
            check_kind("params", params, kind, f"a {_path_of(kind)}, such as default_params.replace(max_steps=9)")
        defaults = dict(jax.tree.leaves_with_path(self.default_params, is_leaf=_is_none))

        def check(path: Any, leaf: Any) -> Any:
            name, default = f"params{jax.tree_util.keystr(path)}", defaults.get(path, leaf)
            if leaf is None and default is None:
                return None
            leaf = _as_32_bits(name, leaf)
            shapes = [np.shape(number) for number in (leaf, default)]
            require(shapes[0] == shapes[1], f"{name} of shape", shapes[0], f"{shapes[1]}; batches go through jax.vmap")
            return leaf

        given = self.default_params if params is None else params
        return jax.tree_util.tree_map_with_path(check, given, is_leaf=_is_none)

    def check_actions(self, actions: Any) -> jax.Array | np.ndarray:
        """Returns `actions` as an array `[N, ...]` of the dtype of the action space.

        Raises:
          ValueError: the actions have another shape or dtype; the error names the shape and dtype of the game's
            actions.
        """
        shape, dtype = (self.num_agents, *self.action_space.shape), jnp.dtype(self.action_space.dtype)
        allowed = f"{type(self).__name__} with {self.num_agents} agents takes shape {shape} and dtype {dtype}"
        given = actions if isinstance(actions, jax.Array) else _without_compiling(actions)
        require(given is not None, "actions", actions, allowed)
        is_fit = given.shape == shape and jax.dtypes.canonicalize_dtype(given.dtype) in (dtype, _WIDE.get(dtype))
        if not is_fit:
            raise ValueError(f"actions of shape {given.shape} and dtype {given.dtype} are not allowed: {allowed}")
        return given if given.dtype == dtype else _narrow(given, dtype)

    @property
    def _state_shapes(self) -> Any:
        """A state with shapes instead of arrays, or None if the initial state cannot be traced."""
        kept = self.__dict__.setdefault(COMPILED, {})
        if "state" not in kept:
            key = jax.eval_shape(jax.random.key, 0)
            try:
                kept["state"] = jax.eval_shape(self.initial_state, key, self.default_params)
            except Exception:  # a game that cannot be traced raises its own error when it is compiled
                kept["state"] = None
        return kept["state"]

    def check_state(self, state: Any, is_batch_allowed: bool = False) -> None:
        """Raises a ValueError unless `state` has the structure and the shapes of the game's own states.

        Args:
          state: any value.
          is_batch_allowed: whether all fields may have the same leading axes.

        Raises:
          ValueError: `state` is not a state of this game, or a field has another shape.
        """
        expected = self._state_shapes
        if expected is None:
            return
        trees: list[Any] = [jax.tree.structure(tree) for tree in (state, expected)]
        if trees[0] != trees[1] or _kinds_of(state) != _kinds_of(expected):
            shown = _path_of(type(state)) if dataclasses.is_dataclass(state) else show(state)
            needed = f"the State of {type(self).__name__}, a {_path_of(type(expected))}, for example from reset"
            raise ValueError(f"state={shown} is not allowed: {needed}")
        leading = np.shape(state.step_count) if is_batch_allowed else ()
        for (path, part), found in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(state), strict=True):
            name, shape = f"state{jax.tree_util.keystr(path)}", leading + part.shape
            has_shape = np.shape(found) == shape
            require(has_shape, f"{name} of shape", np.shape(found), f"{shape}; batches go through jax.vmap")

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
                f"unknown keyword {unknown[0]!r} with value {show(overrides[unknown[0]])} for {type(self).__name__}: "
                f"allowed are {', '.join(allowed)}"
            )
        return params_class(**{name: _as_python(value) for name, value in overrides.items()})
