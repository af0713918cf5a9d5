"""The contract of `Environment` as a function: run `check_environment` on a game of your own before you train on it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_count
from jaxdilemmas.environment import Environment, Step, check_game
from jaxdilemmas.wrappers import AutoReset

TOLERANCE = 1e-6
StepFunction = Callable[..., Step]


def check_environment(env: Environment, params: Any = None, num_steps: int = 4, seed: int = 0) -> None:
    """Plays a few episodes of `num_steps` random steps and checks the contract, one short function per sentence of it.

    The clock is set to `max_steps=num_steps`, so that the last step is truncated (and `AutoReset` resets). Integers and
    booleans are compared bitwise, floats within 1e-6.

    Args:
      env: the game, wrapped or not.
      params: numbers in the rules; `default_params` when left out.
      num_steps: length of the episodes, at least 1. Steps without jit are slow.
      seed: of the random actions and of the episodes.

    Raises:
      ValueError: an argument is of another kind.
      AssertionError: the environment breaks the contract; the message names the sentence and what broke it.
    """
    check_game(env)
    env.check_params(params)
    check_count("num_steps", num_steps)
    check_count("seed", seed, least=0)
    probe = Probe(env, env.default_params if params is None else params, num_steps, seed)
    for check in CHECKS:
        run_check(check, probe)


def run_check(check: Callable[["Probe"], None], probe: "Probe") -> None:
    """Runs one of `CHECKS`; whatever goes wrong in it is an AssertionError that names the sentence it stands for."""
    sentence = f"{type(probe.env).__name__} breaks the contract ({check.__name__.replace('_', ' ')})"
    try:
        check(probe)
    except AssertionError as error:
        raise AssertionError(f"{sentence}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{sentence}: it raised {type(error).__name__}: {error}") from error


class Inputs(NamedTuple):
    """What an episode of T steps is made from.

    Attributes:
      key_reset: `[]` key.
      keys: `[T]` keys of the steps.
      actions: `[T, N, ...]`, random members of the action space.
    """

    key_reset: jax.Array
    keys: jax.Array
    actions: jax.Array


class Probe:
    """What every check is given: an environment, its params, and three episodes to play with it.

    Attributes:
      env: the environment.
      params: as given.
      short_params: with a clock that ends the episode at the last step.
      num_steps: T, the length of the episodes.
      batch: the `Inputs` of three episodes, with a leading axis.
      inputs: the first of them.
      key, actions: those of its first step.
    """

    def __init__(self, env: Environment, params: Any, num_steps: int, seed: int) -> None:
        self.env, self.params, self.num_steps, self.seed = env, params, num_steps, seed
        self.batch = jax.jit(jax.vmap(self._draw_inputs))(jax.random.split(jax.random.key(seed), 3))
        self.inputs = jax.tree.map(lambda leaf: leaf[0], self.batch)
        self.key, self.actions = self.inputs.keys[0], self.inputs.actions[0]
        self.jitted_play = jax.jit(self.play)

    def _draw_inputs(self, key: jax.Array) -> Inputs:
        key_reset, key_steps, key_actions = jax.random.split(key, 3)
        keys = jax.random.split(key_actions, (self.num_steps, self.env.num_agents))
        actions = jax.vmap(jax.vmap(self.env.action_space.sample))(keys)
        return Inputs(key_reset, jax.random.split(key_steps, self.num_steps), actions)

    @property
    def short_params(self) -> Any:
        """See the class."""
        return self.params.replace(max_steps=self.num_steps)

    def play(self, inputs: Inputs, params: Any) -> dict[str, Any]:
        """One episode: what `reset` returned, and what every `step` returned with a leading time axis."""
        return play(self.env, self.env.step, inputs, params)

    @functools.cached_property
    def start_without_jit(self) -> tuple[jax.Array, Any]:
        """What `reset` returns for the first episode, operation by operation."""
        return self.env.reset(self.inputs.key_reset, self.short_params)

    @functools.cached_property
    def played(self) -> dict[str, Any]:
        """The first episode, compiled as a whole."""
        return self.jitted_play(self.inputs, self.short_params)

    @functools.cached_property
    def played_without_jit(self) -> dict[str, Any]:
        """The first episode, operation by operation."""
        return play(self.env, self.env.step, self.inputs, self.short_params, scan_without_jit)


def play(env: Environment, step: StepFunction, inputs: Inputs, params: Any, scan: Any = jax.lax.scan) -> dict[str, Any]:
    """One episode of `env` with its `step` or another one; `scan` is `jax.lax.scan` or a Python loop like it."""
    obs, state = env.reset(inputs.key_reset, params)

    def body(state: Any, now: tuple[jax.Array, jax.Array]) -> tuple[Any, dict[str, Any]]:
        obs, state, rewards, terminated, truncated, info = step(now[0], state, now[1], params)
        flags = {"terminated": terminated, "truncated": truncated}
        return state, {"obs": obs, "state": state, "rewards": rewards, **flags, "info": info}

    return {"reset": {"obs": obs, "state": state}, "steps": scan(body, state, (inputs.keys, inputs.actions))[1]}


def scan_without_jit(body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: tuple[Any, ...]) -> tuple[Any, Any]:
    """`jax.lax.scan` as a loop in Python."""
    outputs = []
    for x in zip(*xs, strict=True):
        carry, output = body(carry, x)
        outputs.append(output)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)


def params_state_and_draws_are_dataclasses_of_arrays(probe: Probe) -> None:
    """Params, State and Draws can be injected with `.replace`; State starts with arrays, the clock at 0, and no key."""
    obs, state = probe.start_without_jit
    draws = probe.env.draw(probe.key, state, probe.params)
    for name, tree in {"params": probe.params, "state": state, "draws": draws}.items():
        _claim(dataclasses.is_dataclass(tree), f"{name} is a {type(tree).__name__}, not a flax.struct dataclass")
        _claim(hasattr(tree, "replace"), f"{name} has no replace: {type(tree).__name__} is not a flax.struct dataclass")
    _claim(hasattr(probe.params, "max_steps"), "params has no field max_steps")
    for path, leaf in jax.tree.leaves_with_path({"obs": obs, "state": state, "draws": draws}):
        is_array = isinstance(leaf, jax.Array | np.ndarray)
        _claim(is_array, f"{_name(path)} is a {type(leaf).__name__}, not an array")
        _claim(
            not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key),
            f"{_name(path)} is a PRNG key; chance enters through Draws",
        )
    clock = state.step_count
    _claim(clock.shape == () and clock.dtype == jnp.int32, f"step_count is {_shape(clock)}, not [] int32")
    _claim(clock == 0, f"step_count is {clock} after reset, not 0")


def shapes_and_dtypes_never_change(probe: Probe) -> None:
    """Observation and State keep structure, shapes and dtypes from reset through steps, with and without params."""
    env, actions = probe.env, probe.actions
    obs, state = jax.eval_shape(env.reset, probe.key, probe.params)
    _assert_same_structure("from reset to reset without params", (obs, state), jax.eval_shape(env.reset, probe.key))
    step = jax.eval_shape(env.step, probe.key, state, actions, probe.params)
    _assert_same_structure("from reset to step", {"obs": obs, "state": state}, {"obs": step[0], "state": step[1]})
    _assert_same_structure("without params", step, jax.eval_shape(env.step, probe.key, state, actions))


def what_a_step_returns_has_the_shapes_of_the_contract(probe: Probe) -> None:
    """Rewards `[N]` float32, two flags `[]` bool, and an info of fixed keys whose leaves have a leading agent axis."""
    N, actions = probe.env.num_agents, probe.actions
    obs, state = jax.eval_shape(probe.env.reset, probe.key, probe.params)
    _, state, rewards, terminated, truncated, info = jax.eval_shape(
        probe.env.step, probe.key, state, actions, probe.params
    )
    _claim(obs.shape[:1] == (N,), f"obs is {_shape(obs)}: its first axis is not the {N} agents")
    _claim(rewards.shape == (N,) and rewards.dtype == jnp.float32, f"rewards is {_shape(rewards)}, not [{N}] float32")
    for name, flag in {"terminated": terminated, "truncated": truncated}.items():
        _claim(flag.shape == () and flag.dtype == jnp.bool_, f"{name} is {_shape(flag)}, not [] bool")
    _claim(isinstance(info, dict), f"info is a {type(info).__name__}, not a dict")
    for path, leaf in jax.tree.leaves_with_path(info):
        _claim(leaf.shape[:1] == (N,), f"info{_name(path)} is {_shape(leaf)}: its first axis is not the {N} agents")
    later = jax.eval_shape(probe.env.step, probe.key, state, actions, probe.params)[-1]
    _assert_same_structure("info from step to step", info, later)


def spaces_contain_what_comes_out(probe: Probe) -> None:
    """The observation space contains every observation, `final_obs` too, and the action space what it samples."""
    space = probe.env.observation_space
    reset, steps = probe.played["reset"], probe.played["steps"]
    seen = {"obs after reset": reset["obs"], "obs after step": steps["obs"]}
    if "final_obs" in steps["info"]:
        seen["info['final_obs']"] = steps["info"]["final_obs"]
    for what, obs in seen.items():
        num_axes = obs.ndim - len(space.shape)
        _claim(num_axes == 2 - (what == "obs after reset"), f"{what} is {_shape(obs)}, not one {space} per agent")
        _claim(space.contains(obs), f"{what}, {_shape(obs)} in [{obs.min()}, {obs.max()}], is not in {space}")
    is_member = probe.env.action_space.contains(probe.batch.actions)
    _claim(is_member, f"{probe.env.action_space} does not contain what it samples")


def the_clock_counts_steps_and_truncates(probe: Probe) -> None:
    """`step_count` grows by one per step; `truncated` is set when it reaches `max_steps`, not before."""
    steps = jax.device_get(probe.played["steps"])
    expected = np.arange(1, probe.num_steps + 1)
    ended = steps["terminated"] | steps["truncated"]
    counted = slice(0, int(np.argmax(ended)) + (not isinstance(probe.env, AutoReset)) if ended.any() else None)
    count = steps["state"].step_count[counted]
    _claim((count == expected[counted]).all(), f"step_count was {count.tolist()} after the steps of an episode")
    if not steps["terminated"].any():
        truncated = steps["truncated"]
        is_right = (truncated == (expected >= probe.num_steps)).all()
        _claim(is_right, f"truncated was {truncated.tolist()} with max_steps={probe.num_steps}")


def same_key_gives_the_same_episode(probe: Probe) -> None:
    """The same arguments give the same results bitwise, and what was passed in is left as it was.

    Without jit that is seen of a reset and a step, with it of an episode.
    """
    first, params = probe.start_without_jit, probe.short_params
    _assert_equal("reset", first, probe.env.reset(probe.inputs.key_reset, params), tolerance=0.0)
    before = jax.tree.map(np.array, first[1])
    one, other = (probe.env.step(probe.key, first[1], probe.actions, params) for _ in range(2))
    _assert_equal("step", one, other, tolerance=0.0)
    _assert_equal("the state passed to step", before, first[1], tolerance=0.0)
    _assert_equal("episode", probe.played, probe.jitted_play(probe.inputs, params), tolerance=0.0)


def jit_equals_no_jit(probe: Probe) -> None:
    """An episode compiled as a whole is the episode that runs operation by operation."""
    _assert_equal("episode", probe.played_without_jit, probe.played)


def vmap_equals_a_loop(probe: Probe) -> None:
    """A batch of episodes is the episodes one by one."""
    episodes = [jax.tree.map(lambda leaf, i=i: leaf[i], probe.batch) for i in range(3)]
    loop = [probe.jitted_play(inputs, probe.short_params) for inputs in episodes]
    batch = jax.jit(jax.vmap(probe.play, in_axes=(0, None)))(probe.batch, probe.short_params)
    _assert_equal("batch of episodes", jax.tree.map(lambda *leaves: jnp.stack(leaves), *loop), batch)


def step_is_draw_and_transition_and_clock_and_observe(probe: Probe) -> None:
    """A step can be replayed from its Draws. `AutoReset` adds a reset to that, so what it wraps is held to it."""
    if isinstance(probe.env, AutoReset):
        probe = Probe(probe.env.env, probe.params, probe.num_steps, probe.seed)
    env = probe.env

    def step_by_parts(key: jax.Array, state: Any, actions: jax.Array, params: Any) -> Step:
        draws = env.draw(key, state, params)
        state, rewards, terminated, info = env.transition(draws, state, actions, params)
        truncated = state.step_count >= params.max_steps
        return env.observe(state, params), state, rewards, terminated, truncated, info

    by_parts = play(env, step_by_parts, probe.inputs, probe.short_params, scan_without_jit)
    _assert_equal("episode", by_parts, probe.played_without_jit, tolerance=0.0)


def params_may_be_vmapped(probe: Probe) -> None:
    """`reset` and `step` trace under `vmap` over every leaf of params."""
    batch = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), probe.params)
    played = jax.eval_shape(jax.vmap(probe.play, in_axes=(None, 0)), probe.inputs, batch)
    for path, leaf in jax.tree.leaves_with_path(played):
        _claim(leaf.shape[:1] == (2,), f"{_name(path)} is {_shape(leaf)} for a batch of 2 params")


def gradients_with_respect_to_params_trace(probe: Probe) -> None:
    """The sum of all float outputs of an episode has a gradient with respect to the float leaves of params."""
    treedef: Any = jax.tree.structure(probe.params)
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(probe.params)]
    is_float = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def total(floats: list[jax.Array]) -> jax.Array:
        rest = iter(floats)
        params = treedef.unflatten(
            [next(rest) if chosen else leaf for leaf, chosen in zip(leaves, is_float, strict=True)]
        )
        played = jax.tree.leaves(probe.play(probe.inputs, params))
        return sum((leaf.sum() for leaf in played if jnp.issubdtype(leaf.dtype, jnp.floating)), jnp.float32(0))

    floats = [leaf for leaf, chosen in zip(leaves, is_float, strict=True) if chosen]
    _assert_same_structure("the gradient", floats, jax.eval_shape(jax.grad(total), floats) if floats else floats)


def wrong_actions_are_refused(probe: Probe) -> None:
    """Actions of a wrong shape or dtype raise ValueError before anything is compiled."""
    actions = probe.actions
    other = jnp.int32 if jnp.issubdtype(actions.dtype, jnp.floating) else jnp.float32
    _, state = jax.eval_shape(probe.env.reset, probe.key, probe.params)
    wrong = (actions.astype(other), jnp.concatenate([actions, actions]), actions[:-1], actions[None], actions[0])
    for given in wrong:
        try:
            jax.eval_shape(probe.env.step, probe.key, state, given, probe.params)
        except ValueError:
            continue
        raise AssertionError(f"actions {_shape(given)} were accepted in place of {_shape(actions)}")


CHECKS: tuple[Callable[[Probe], None], ...] = (
    params_state_and_draws_are_dataclasses_of_arrays,
    shapes_and_dtypes_never_change,
    what_a_step_returns_has_the_shapes_of_the_contract,
    wrong_actions_are_refused,
    spaces_contain_what_comes_out,
    the_clock_counts_steps_and_truncates,
    same_key_gives_the_same_episode,
    jit_equals_no_jit,
    vmap_equals_a_loop,
    step_is_draw_and_transition_and_clock_and_observe,
    params_may_be_vmapped,
    gradients_with_respect_to_params_trace,
)


def _claim(holds: Any, otherwise: str) -> None:
    """Raises an AssertionError unless the claim holds, also where Python runs without its assert statements."""
    if not holds:
        raise AssertionError(otherwise)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path)


def _shape(x: Any) -> str:
    return f"{list(x.shape)} {x.dtype}"


def _assert_same_structure(what: str, expected: Any, found: Any) -> None:
    trees: list[Any] = [jax.tree.structure(tree) for tree in (expected, found)]
    _claim(trees[0] == trees[1], f"{what}: the structure changed from {trees[0]} to {trees[1]}")
    for (path, a), b in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(found), strict=True):
        is_same = a.shape == b.shape and a.dtype == b.dtype
        _claim(is_same, f"{what}: {_name(path)} changed from {_shape(a)} to {_shape(b)}")


def _assert_equal(what: str, expected: Any, found: Any, tolerance: float = TOLERANCE) -> None:
    """Asserts equal structures, shapes, dtypes and values; floats may differ by `tolerance`, absolute plus relative."""
    _assert_same_structure(what, expected, found)
    for (path, a), b in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(found), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        allowed = tolerance if np.issubdtype(a.dtype, np.inexact) else 0.0
        differs = ~np.isclose(a, b, rtol=allowed, atol=allowed, equal_nan=True) if allowed else a != b
        _claim(not differs.any(), f"{what}: {_name(path)} differs in {differs.sum()} of {differs.size} entries")
