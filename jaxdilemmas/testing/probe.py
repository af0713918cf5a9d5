"""The argument of every check, an environment with episodes to play, and the functions that compare values."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import show
from jaxdilemmas.environment import Environment, Step

TOLERANCE = 1e-6
"""Floats of two episodes may differ by this much, absolute plus relative."""
NUM_EPISODES = 3
"""Number of episodes of a probe."""
StepFunction = Callable[..., Step]


class Inputs(NamedTuple):
    """The inputs of an episode of T steps.

    Attributes:
      key_reset: `[]` key of the reset.
      keys: `[T]` keys of the steps.
      actions: `[T, N, ...]`, random members of the action space.
    """

    key_reset: jax.Array
    keys: jax.Array
    actions: jax.Array


class Probe:
    """The argument of every check: an environment, its params, and three episodes to play with it.

    Attributes:
      env: the environment.
      num_steps: T, the length of the episodes.
      seed: the seed of the episodes.
    """

    def __init__(self, env: Environment, params: Any = None, num_steps: int = 4, seed: int = 0) -> None:
        self.env, self.num_steps, self.seed = env, num_steps, seed
        self._params = params
        self.jitted_play = jax.jit(self.play)

    @property
    def params(self) -> Any:
        """The params that were given, or the default params."""
        return self.env.default_params if self._params is None else self._params

    @property
    def short_params(self) -> Any:
        """The params with a clock that ends the episode at the last step."""
        return self.params.replace(max_steps=self.num_steps)

    @functools.cached_property
    def batch(self) -> Inputs:
        """The inputs of three episodes, with a leading axis."""
        return jax.jit(jax.vmap(self._draw_inputs))(jax.random.split(jax.random.key(self.seed), NUM_EPISODES))

    def _draw_inputs(self, key: jax.Array) -> Inputs:
        key_reset, key_steps, key_actions = jax.random.split(key, 3)
        keys = jax.random.split(key_actions, (self.num_steps, self.env.num_agents))
        actions = jax.vmap(jax.vmap(self.env.action_space.sample))(keys)
        return Inputs(key_reset, jax.random.split(key_steps, self.num_steps), actions)

    @property
    def inputs(self) -> Inputs:
        """The inputs of the first episode."""
        return jax.tree.map(lambda leaf: leaf[0], self.batch)

    @property
    def key(self) -> jax.Array:
        """The PRNG key of the first step."""
        return self.inputs.keys[0]

    @property
    def actions(self) -> jax.Array:
        """The actions of the first step, `[N, ...]`."""
        return self.inputs.actions[0]

    def trace(self, function: Callable[..., Any]) -> Any:
        """Traces a function of key, actions and params and returns its result, which may be of any kind."""
        found: list[Any] = []
        jax.eval_shape(lambda *args: found.append(function(*args)), self.key, self.actions, self.params)
        return found[0]

    def play(self, inputs: Inputs, params: Any) -> dict[str, Any]:
        """Plays one episode: the result of `reset` and the results of every `step`, with a leading time axis."""
        return play(self.env, self.env.step, inputs, params)

    @functools.cached_property
    def start(self) -> tuple[jax.Array, Any]:
        """The result of `reset` for the first episode."""
        return self.env.reset(self.inputs.key_reset, self.short_params)

    @functools.cached_property
    def played(self) -> dict[str, Any]:
        """The first episode, compiled as a whole."""
        return self.jitted_play(self.inputs, self.short_params)

    @functools.cached_property
    def played_without_jit(self) -> dict[str, Any]:
        """The first episode, operation by operation; an operation that returns NaN raises a FloatingPointError."""
        with jax.disable_jit(), jax.debug_nans(True):
            return play(self.env, self.env.step, self.inputs, self.short_params, scan_without_jit)


def play(env: Environment, step: StepFunction, inputs: Inputs, params: Any, scan: Any = jax.lax.scan) -> dict[str, Any]:
    """Plays one episode of `env` with `step`; `scan` is `jax.lax.scan` or a Python loop with the same interface."""
    obs, state = env.reset(inputs.key_reset, params)

    def body(state: Any, now: tuple[jax.Array, jax.Array]) -> tuple[Any, dict[str, Any]]:
        obs, state, rewards, terminated, truncated, info = step(now[0], state, now[1], params)
        flags = {"terminated": terminated, "truncated": truncated}
        return state, {"obs": obs, "state": state, "rewards": rewards, **flags, "info": info}

    return {"reset": {"obs": obs, "state": state}, "steps": scan(body, state, (inputs.keys, inputs.actions))[1]}


def scan_without_jit(body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: tuple[Any, ...]) -> tuple[Any, Any]:
    """Does the same as `jax.lax.scan`, as a loop in Python."""
    outputs = []
    for x in zip(*xs, strict=True):
        carry, output = body(carry, x)
        outputs.append(output)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)


Check = Callable[[Probe], None]


def claim(holds: Any, otherwise: str) -> None:
    """Raises an AssertionError unless the claim holds, also if Python runs without its assert statements."""
    if not holds:
        raise AssertionError(otherwise)


def is_array(value: Any) -> bool:
    """Whether a value is an array of JAX, traced or not, or of NumPy."""
    return isinstance(value, jax.Array | np.ndarray)


def kind_of(value: Any) -> str:
    """Describes a value: shape and dtype of an array, type and repr of anything else."""
    if is_array(value) or isinstance(value, jax.ShapeDtypeStruct):
        return f"{list(value.shape)} {value.dtype}"
    return f"a {type(value).__name__}, {show(value)}"


def claim_array(name: str, value: Any, shape: tuple[int, ...], dtype: Any, hint: str = "") -> None:
    """Claims that a value is an array of this shape and dtype."""
    expected = f"{list(shape)} {np.dtype(dtype)}"
    claim(is_array(value), f"{name} is {kind_of(value)}, not an array {expected}{hint}")
    is_fit = value.shape == shape and value.dtype == np.dtype(dtype)
    claim(is_fit, f"{name} is {kind_of(value)}, not {expected}{hint}")


def claim_agent_axis(name: str, value: Any, num_agents: int) -> None:
    """Claims that a value is an array whose first axis is the agents."""
    expected = f"its first axis must be the {num_agents} agents"
    claim(is_array(value), f"{name} is {kind_of(value)}, not an array; {expected}")
    claim(value.shape[:1] == (num_agents,), f"{name} is {kind_of(value)}; {expected}")


def claim_same_structure(what: str, expected: Any, found: Any) -> None:
    """Claims that two pytrees of arrays have the same structure, shapes and dtypes."""
    trees: list[Any] = [jax.tree.structure(tree) for tree in (expected, found)]
    claim(trees[0] == trees[1], f"{what}: the structure changed from {trees[0]} to {trees[1]}")
    for (path, a), b in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(found), strict=True):
        is_same = np.shape(a) == np.shape(b) and jnp.result_type(a) == jnp.result_type(b)
        claim(is_same, f"{what}: {jax.tree_util.keystr(path)} changed from {kind_of(a)} to {kind_of(b)}")


def claim_equal(what: str, expected: Any, found: Any, tolerance: float = TOLERANCE) -> None:
    """Claims equal structures, shapes, dtypes and values; floats may differ by `tolerance`, absolute plus relative."""
    claim_same_structure(what, expected, found)
    for (path, a), b in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(found), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        is_float = np.issubdtype(a.dtype, np.inexact)
        allowed = tolerance if is_float else 0.0
        differs = ~np.isclose(a, b, rtol=allowed, atol=allowed, equal_nan=True) if is_float else a != b
        name = jax.tree_util.keystr(path)
        claim(not differs.any(), f"{what}: {name} differs in {differs.sum()} of {differs.size} entries")
