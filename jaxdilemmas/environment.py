"""The contract that every game keeps. It knows no game and no grid; docs/design.md explains the choices."""

import abc
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_counts as check_counts
from jaxdilemmas.arguments import check_numbers as check_numbers
from jaxdilemmas.arguments import is_count as is_count
from jaxdilemmas.arguments import refusal as refusal
from jaxdilemmas.arguments import require as require
from jaxdilemmas.arguments import show as show
from jaxdilemmas.spaces import Space

Info = dict[str, jax.Array]
Transition = tuple[Any, jax.Array, jax.Array, Info]
Step = tuple[jax.Array, Any, jax.Array, jax.Array, jax.Array, Info]
Policy = Callable[[jax.Array, Any], jax.Array]
"""`policy(key, state) -> actions [N, ...]`: acts for all agents at once; the key is used once."""


def check_key(key: Any) -> None:
    """Raises a ValueError unless `key` is one JAX PRNG key: of `jax.random.key`, or of `jax.random.PRNGKey`."""
    is_key = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    is_legacy = isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32 and key.shape in ((2,), (4,))
    require(is_key or is_legacy, "key", key, "one JAX PRNG key, such as jax.random.key(0)")


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
        """Starts an episode.

        Args:
          key: a JAX PRNG key, used once.
          params: numbers in the rules; `default_params` when left out.

        Returns:
          Observations `[N, ...]` and the `State`.
        """
        params = self.default_params if params is None else params
        state = self.initial_state(key, params)
        return self.observe(state, params), state

    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Step:
        """Plays one joint action. It does not reset: see `jaxdilemmas.AutoReset`.

        Args:
          key: a JAX PRNG key, handed to `draw` unchanged.
          state: the current `State`.
          actions: `[N]` int32, or `[N, ...]` float32 where the action space is a Box.
          params: numbers in the rules; `default_params` when left out.

        Returns:
          obs `[N, ...]`, state, rewards `[N]` float32, terminated `[]` bool (the game ended), truncated `[]` bool (the
          clock ended it: `step_count >= max_steps`), info (a dict with fixed keys and `[N]` leaves).

        Raises:
          ValueError: `actions` has a wrong shape or dtype.
        """
        params = self.default_params if params is None else params
        actions = self.check_actions(actions)
        draws = self.draw(key, state, params)
        state, rewards, terminated, info = self.transition(draws, state, actions, params)
        truncated = state.step_count >= params.max_steps
        return self.observe(state, params), state, rewards, terminated, truncated, info

    def check_actions(self, actions: Any) -> jax.Array:
        """Returns `actions` as an array, or raises a ValueError that says which shape and dtype it needs."""
        actions = jnp.asarray(actions)
        shape, dtype = (self.num_agents, *self.action_space.shape), jnp.dtype(self.action_space.dtype)
        if actions.shape != shape or actions.dtype != dtype:
            raise ValueError(
                f"actions of shape {actions.shape} and dtype {actions.dtype} are not allowed: {type(self).__name__} "
                f"with {self.num_agents} agents takes shape {shape} and dtype {dtype}"
            )
        return actions

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
