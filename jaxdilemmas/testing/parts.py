"""Checks of the attributes of a game and of the results of its methods. These checks compile nothing."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import is_count
from jaxdilemmas.environment import Environment
from jaxdilemmas.spaces import Observation, WithExtras, view_of
from jaxdilemmas.testing.probe import (
    Check,
    Probe,
    claim,
    claim_agent_axis,
    claim_array,
    claim_same_structure,
    is_array,
    kind_of,
)

NEVER_ENDS = "; a game that only the clock ends must return jnp.zeros((), bool)"
DATACLASS = "a dataclass of arrays: a class that derives from flax.struct.PyTreeNode"


def the_environment_has_agents_and_spaces(probe: Probe) -> None:
    """`num_agents` is a whole number; both spaces have shape, dtype, `sample` and `contains`; actions have 32 bits."""
    env: Any = probe.env
    num_agents = getattr(env, "num_agents", None)
    claim(is_count(num_agents), f"num_agents is {kind_of(num_agents)}, not a whole number of at least 1")
    for name in ("action_space", "observation_space"):
        space = view_of(getattr(env, name)) if name == "observation_space" else getattr(env, name)
        missing = [part for part in ("shape", "dtype", "sample", "contains") if not hasattr(space, part)]
        has_parts = f"{name} is {kind_of(space)}, without {', '.join(missing)}; jaxdilemmas.Discrete and Box are spaces"
        claim(not missing, has_parts)
        claim(isinstance(space.shape, tuple), f"{name}.shape is {kind_of(space.shape)}, not a tuple")
        sample = jax.eval_shape(space.sample, jax.random.key(0))
        what = f"a sample of {name} is {kind_of(sample)}, not {list(space.shape)} {np.dtype(space.dtype)}"
        claim(sample.shape == space.shape and sample.dtype == np.dtype(space.dtype), what)
    dtype = np.dtype(env.action_space.dtype)
    claim(dtype in (np.int32, np.float32), f"actions are {dtype}, neither int32 nor float32")


def params_are_a_dataclass_of_numbers(probe: Probe) -> None:
    """Params have the method `.replace`, contain numbers or arrays of numbers, and have a field `max_steps`."""
    claim(hasattr(probe.env, "default_params"), "default_params is missing; set it when the environment is built")
    claim_dataclass("params", probe.params)
    claim(hasattr(probe.params, "max_steps"), "params has no field max_steps")
    for path, leaf in jax.tree.leaves_with_path(probe.params):
        name = f"params{jax.tree_util.keystr(path)}"
        is_number = isinstance(leaf, int | float | np.generic) or is_array(leaf)
        hint = "not a number or an array; mark fields that are not numbers with flax.struct.field(pytree_node=False)"
        claim(is_number, f"{name} is {kind_of(leaf)}, {hint}")


def initial_state_returns_a_dataclass_of_arrays(probe: Probe) -> None:
    """State contains arrays of at most 32 bits, no Python numbers and no keys; `step_count` is `[]` int32."""
    state = probe.trace(lambda key, actions, params: probe.env.initial_state(key, params))
    claim_arrays("state", state)
    claim(hasattr(state, "step_count"), "state has no field step_count")
    claim_array("state.step_count", state.step_count, (), np.int32)


def draw_returns_a_dataclass_of_arrays(probe: Probe) -> None:
    """Draws contain arrays of at most 32 bits; a game without chance returns a dataclass without fields."""
    env = probe.env
    draws = probe.trace(lambda key, actions, params: env.draw(key, env.initial_state(key, params), params))
    claim_arrays("draws", draws)


def transition_returns_state_rewards_terminated_and_info(probe: Probe) -> None:
    """`transition` returns four things in this order; the new state has the structure of the old one."""
    state = probe.trace(lambda key, actions, params: probe.env.initial_state(key, params))
    next_state = outcome_of(probe)[0]
    claim_arrays("state", next_state)
    claim_same_structure("the state that transition returns", state, next_state)


def rewards_are_one_float32_for_each_agent(probe: Probe) -> None:
    """Rewards are `[N]` float32."""
    claim_array("rewards", outcome_of(probe)[1], (probe.env.num_agents,), np.float32)


def terminated_is_one_bool(probe: Probe) -> None:
    """`terminated` is an array, `[]` bool."""
    claim_array("terminated", outcome_of(probe)[2], (), np.bool_, NEVER_ENDS)


def info_has_fixed_keys_and_an_agent_axis(probe: Probe) -> None:
    """Info is a dict with the same keys in every step; its leaves are arrays with a leading agent axis."""
    info, later = outcome_of(probe)[3], outcome_of(probe)[3]
    claim(isinstance(info, dict), f"info is {kind_of(info)}, not a dict")
    for path, leaf in jax.tree.leaves_with_path(info):
        claim_agent_axis(f"info{jax.tree_util.keystr(path)}", leaf, probe.env.num_agents)
    claim_same_structure("info from step to step", info, later)


def observe_returns_one_observation_for_each_agent(probe: Probe) -> None:
    """`observe` returns one array `[N, ...]` or, where the space is a `WithExtras`, an `Observation` of two."""
    env = probe.env
    obs = probe.trace(lambda key, actions, params: env.observe(env.initial_state(key, params), params))
    claim_observed("obs", obs, env)


def reset_and_step_return_what_the_contract_says(probe: Probe) -> None:
    """`reset` returns two things and `step` six, with the shapes and dtypes of the game's other methods."""
    env, num_agents = probe.env, probe.env.num_agents
    start = probe.trace(lambda key, actions, params: env.reset(key, params))
    is_pair = isinstance(start, tuple) and len(start) == 2
    claim(is_pair, f"reset returns {kind_of(start)}, not (obs, state)")
    step = probe.trace(lambda key, actions, params: env.step(key, env.reset(key, params)[1], actions, params))
    names = ("obs", "state", "rewards", "terminated", "truncated", "info")
    claim(isinstance(step, tuple) and len(step) == 6, f"step returns {kind_of(step)}, not ({', '.join(names)})")
    returned = dict(zip(names, step, strict=True))
    claim_observed("obs", returned["obs"], env)
    claim_array("rewards", returned["rewards"], (num_agents,), np.float32)
    for name in ("terminated", "truncated"):
        claim_array(name, returned[name], (), np.bool_)
    claim(isinstance(returned["info"], dict), f"info is {kind_of(returned['info'])}, not a dict")
    for path, leaf in jax.tree.leaves_with_path(returned["info"]):
        claim_agent_axis(f"info{jax.tree_util.keystr(path)}", leaf, num_agents)


def shapes_and_dtypes_never_change(probe: Probe) -> None:
    """Observation and State keep structure, shapes and dtypes from reset through steps, with and without params."""
    env, actions = probe.env, probe.actions
    obs, state = jax.eval_shape(env.reset, probe.key, probe.params)
    claim_same_structure("from reset to reset without params", (obs, state), jax.eval_shape(env.reset, probe.key))
    step = jax.eval_shape(env.step, probe.key, state, actions, probe.params)
    claim_same_structure("from reset to step", {"obs": obs, "state": state}, {"obs": step[0], "state": step[1]})
    claim_same_structure("without params", step, jax.eval_shape(env.step, probe.key, state, actions))


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
        raise AssertionError(f"actions {kind_of(given)} were accepted in place of {kind_of(actions)}")


def outcome_of(probe: Probe) -> tuple[Any, ...]:
    """Traces a first step anew and returns the result of `transition`."""
    env = probe.env

    def transition(key: jax.Array, actions: jax.Array, params: Any) -> Any:
        state = env.initial_state(key, params)
        return env.transition(env.draw(key, state, params), state, actions, params)

    outcome = probe.trace(transition)
    is_four = isinstance(outcome, tuple) and len(outcome) == 4
    claim(is_four, f"transition returns {kind_of(outcome)}, not (state, rewards, terminated, info)")
    return outcome


def claim_observed(name: str, obs: Any, env: Environment) -> None:
    """Claims that observations are one for each agent, and that they have extras if the space has them."""
    space = env.observation_space
    if not isinstance(space, WithExtras):
        return claim_agent_axis(name, obs, env.num_agents)
    claim(isinstance(obs, Observation), f"{name} is {kind_of(obs)}, not an Observation; the space has extras")
    claim_agent_axis(f"{name}.view", obs.view, env.num_agents)
    return claim_array(f"{name}.extras", obs.extras, (env.num_agents, len(space.names)), np.float32)


def claim_dataclass(name: str, tree: Any) -> None:
    """Claims that a value is a flax.struct dataclass or works as one: a pytree with `replace`."""
    is_dataclass = dataclasses.is_dataclass(tree) and not isinstance(tree, type)
    claim(is_dataclass, f"{name} is {kind_of(tree)}, not a flax.struct dataclass; it must be {DATACLASS}")
    has_replace = f"{name} has no replace: {type(tree).__name__} is not a flax.struct dataclass; it must be {DATACLASS}"
    claim(hasattr(tree, "replace"), has_replace)
    is_leaf = jax.tree_util.all_leaves([tree])
    claim(not is_leaf, f"{name} is not a pytree: {type(tree).__name__} must be {DATACLASS}")


def claim_arrays(name: str, tree: Any) -> None:
    """Claims that a value is a dataclass of arrays of at most 32 bits, without keys."""
    claim_dataclass(name, tree)
    for path, leaf in jax.tree.leaves_with_path(tree):
        leaf_name = f"{name}{jax.tree_util.keystr(path)}"
        claim(is_array(leaf), f"{leaf_name} is {kind_of(leaf)}, not an array")
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        claim(not is_key, f"{leaf_name} is a PRNG key; chance enters through Draws")
        claim(leaf.dtype.itemsize <= 4, f"{leaf_name} is {kind_of(leaf)}, more than 32 bits; give it an explicit dtype")


CHECKS: tuple[Check, ...] = (
    the_environment_has_agents_and_spaces,
    params_are_a_dataclass_of_numbers,
    initial_state_returns_a_dataclass_of_arrays,
    draw_returns_a_dataclass_of_arrays,
    transition_returns_state_rewards_terminated_and_info,
    rewards_are_one_float32_for_each_agent,
    terminated_is_one_bool,
    info_has_fixed_keys_and_an_agent_axis,
    observe_returns_one_observation_for_each_agent,
    reset_and_step_return_what_the_contract_says,
    shapes_and_dtypes_never_change,
    wrong_actions_are_refused,
)
