"""Scripted policies of `intersection`: cars that cross one by one, and cars that never brake."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs.intersection import (
    CAR_LENGTH,
    CROSSING_LENGTHS,
    FASTER,
    IDLE,
    SLOWER,
    Intersection,
    State,
    choose_targets,
    drive,
)

HOLDING_LINE = -CAR_LENGTH / 2 - 1.5
"""A waiting car must not pass this progress, in metres: its front is then 1.5 metres before the stop line."""

CLEARANCE = CAR_LENGTH
"""A car this many metres behind the crossing is no longer in the way of other cars."""

BRAKING_STEPS = 3
"""A car that brakes for this many steps almost stops."""


def cautious(env: Environment) -> Policy:
    """Cars cross one by one: the car with the most progress goes, and the others wait before the crossing.

    A waiting car takes the fastest action after which it can still stop before the crossing. A car that can no longer
    stop drives on. The policy uses only what a car can see in the game and not where other cars want to go. It is a
    stop sign on every road.

    Args:
      env: the game.

    Returns:
      A deterministic `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `intersection`.

    Source: our rule.
    """
    check_kind("env", env, Intersection, "the game `intersection`")

    def policy(key: jax.Array, state: State) -> jax.Array:
        del key
        is_driving = ~(state.arrived | state.crashed)
        is_in_the_way = is_driving & (state.progress < jnp.asarray(CROSSING_LENGTHS)[state.turns] + CLEARANCE)
        goes_first = is_in_the_way[None, :] & (state.progress[None, :] > state.progress[:, None])
        actions = jnp.array([[FASTER], [IDLE], [SLOWER]], jnp.int32)
        can_wait = stopping_points(state, actions) <= HOLDING_LINE
        careful = jnp.where(can_wait[0], FASTER, jnp.where(can_wait[1], IDLE, SLOWER))
        must_wait = goes_first.any(1) & can_wait[2]
        return jnp.where(must_wait, careful, FASTER).astype(jnp.int32)

    return policy


def stopping_points(state: State, actions: jax.Array) -> jax.Array:
    """The progress at which each car stops if it takes an action now and then brakes.

    Args:
      state: the state of the game.
      actions: `[..., N]` int32, the actions of this step.

    Returns:
      `[..., N]` float32, metres.
    """
    shape = jnp.broadcast_shapes(actions.shape, state.progress.shape)
    parts = (state.progress, state.speeds, state.targets, actions)
    progress, speeds, targets, actions = (jnp.broadcast_to(part, shape) for part in parts)
    for _ in range(1 + BRAKING_STEPS):
        targets = choose_targets(speeds, targets, actions)
        ways, speeds = drive(speeds, targets)
        progress, actions = progress + ways[-1], jnp.full_like(actions, SLOWER)
    return progress


def reckless(env: Environment) -> Policy:
    """Every car goes as fast as it can. It is called as `cautious`."""
    check_kind("env", env, Intersection, "the game `intersection`")

    def policy(key: jax.Array, state: State) -> jax.Array:
        del key, state
        return jnp.full(env.num_agents, FASTER, jnp.int32)

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {"reckless": reckless, "cautious": cautious}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
