"""Checks that play episodes: what the episodes contain, and that every way to play them gives the same result."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Step
from jaxdilemmas.spaces import Observation, view_of
from jaxdilemmas.testing.probe import (
    NUM_EPISODES,
    Check,
    Probe,
    claim,
    claim_equal,
    claim_same_structure,
    kind_of,
    play,
    scan_without_jit,
)
from jaxdilemmas.wrappers import AutoReset


def spaces_contain_what_comes_out(probe: Probe) -> None:
    """The observation space contains every observation, also `final_obs`; the action space contains its own samples."""
    space = probe.env.observation_space
    reset, steps = probe.played["reset"], probe.played["steps"]
    seen = {"obs after reset": reset["obs"], "obs after step": steps["obs"]}
    if "final_obs" in steps["info"]:
        seen["info['final_obs']"] = steps["info"]["final_obs"]
    for what, obs in seen.items():
        view = obs.view if isinstance(obs, Observation) else obs
        num_axes = view.ndim - len(view_of(space).shape)
        claim(num_axes == 2 - (what == "obs after reset"), f"{what} is {kind_of(view)}, not one {space} per agent")
        claim(space.contains(obs), f"{what}, {kind_of(view)} in [{view.min()}, {view.max()}], is not in {space}")
    is_member = probe.env.action_space.contains(probe.batch.actions)
    claim(is_member, f"{probe.env.action_space} does not contain what it samples")


def the_clock_counts_steps_and_truncates(probe: Probe) -> None:
    """`step_count` is 0 after reset and grows by one per step; `truncated` is set when it reaches `max_steps`."""
    steps = jax.device_get(probe.played["steps"])
    start = int(probe.played["reset"]["state"].step_count)
    claim(start == 0, f"step_count is {start} after reset, not 0")
    expected = np.arange(1, probe.num_steps + 1)
    ended = steps["terminated"] | steps["truncated"]
    counted = slice(0, int(np.argmax(ended)) + (not isinstance(probe.env, AutoReset)) if ended.any() else None)
    count = steps["state"].step_count[counted]
    claim((count == expected[counted]).all(), f"step_count was {count.tolist()} after the steps of an episode")
    if not steps["terminated"].any():
        truncated = steps["truncated"]
        is_right = (truncated == (expected >= probe.num_steps)).all()
        claim(is_right, f"truncated was {truncated.tolist()} with max_steps={probe.num_steps}")


def same_key_gives_the_same_episode(probe: Probe) -> None:
    """The same arguments give bitwise the same results, and the methods do not change their arguments.

    Without jit this is checked for a transition, with jit for a reset and an episode.
    """
    first, params = probe.start, probe.short_params
    claim_equal("reset", first, probe.env.reset(probe.inputs.key_reset, params), tolerance=0.0)
    with jax.disable_jit():
        state = probe.env.initial_state(probe.inputs.key_reset, params)
        before = jax.tree.map(np.array, state)
        draws = probe.env.draw(probe.key, state, params)
        one, other = (probe.env.transition(draws, state, probe.actions, params) for _ in range(2))
    claim_equal("step", one, other, tolerance=0.0)
    claim_equal("the state passed to step", before, state, tolerance=0.0)
    claim_equal("episode", probe.played, probe.jitted_play(probe.inputs, params), tolerance=0.0)


def no_operation_returns_nan(probe: Probe) -> None:
    """Without jit no operation of an episode returns NaN, so `jax_debug_nans` can find the NaNs of a learner."""
    try:
        _ = probe.played_without_jit
    except FloatingPointError as error:
        raise AssertionError(f"an operation returned NaN: {error}") from error


def jit_equals_no_jit(probe: Probe) -> None:
    """An episode that is compiled as a whole equals the episode that runs operation by operation."""
    claim_equal("episode", probe.played_without_jit, probe.played)


def vmap_equals_a_loop(probe: Probe) -> None:
    """A batch of episodes equals the same episodes played one by one."""
    episodes = [jax.tree.map(lambda leaf, i=i: leaf[i], probe.batch) for i in range(NUM_EPISODES)]
    loop = [probe.jitted_play(inputs, probe.short_params) for inputs in episodes]
    batch = jax.jit(jax.vmap(probe.play, in_axes=(0, None)))(probe.batch, probe.short_params)
    claim_equal("batch of episodes", jax.tree.map(lambda *leaves: jnp.stack(leaves), *loop), batch)


def step_is_draw_and_transition_and_clock_and_observe(probe: Probe) -> None:
    """A step can be repeated from its Draws.

    `AutoReset` adds a reset to the step, so this check looks at the environment inside `AutoReset`.
    """
    if isinstance(probe.env, AutoReset):
        probe = Probe(probe.env.env, probe.params, probe.num_steps, probe.seed)
    env = probe.env

    def step_by_parts(key: jax.Array, state: Any, actions: jax.Array, params: Any) -> Step:
        draws = env.draw(key, state, params)
        state, rewards, terminated, info = env.transition(draws, state, actions, params)
        truncated = state.step_count >= params.max_steps
        return env.observe(state, params), state, rewards, terminated, truncated, info

    with jax.disable_jit():
        by_parts = play(env, step_by_parts, probe.inputs, probe.short_params, scan_without_jit)
    claim_equal("episode", by_parts, probe.played_without_jit, tolerance=0.0)


def params_may_be_vmapped(probe: Probe) -> None:
    """`reset` and `step` trace under `vmap` over every leaf of params."""
    batch = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), probe.params)
    played = jax.eval_shape(jax.vmap(probe.play, in_axes=(None, 0)), probe.inputs, batch)
    for path, leaf in jax.tree.leaves_with_path(played):
        name = jax.tree_util.keystr(path)
        claim(leaf.shape[:1] == (2,), f"{name} is {kind_of(leaf)} for a batch of 2 params")


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
    claim_same_structure("the gradient", floats, jax.eval_shape(jax.grad(total), floats) if floats else floats)


CHECKS: tuple[Check, ...] = (
    spaces_contain_what_comes_out,
    the_clock_counts_steps_and_truncates,
    same_key_gives_the_same_episode,
    no_operation_returns_nan,
    jit_equals_no_jit,
    vmap_equals_a_loop,
    step_is_draw_and_transition_and_clock_and_observe,
    params_may_be_vmapped,
    gradients_with_respect_to_params_trace,
)
