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
"""Progress, in metres, beyond which a car that waits must not be: its front a metre and a half before the stop line."""

CLEARANCE = CAR_LENGTH
"""Metres behind the crossing at which a car is out of the way of others."""

BRAKING_STEPS = 3
"""Steps after which a car that brakes all the time hardly moves."""


def cautious(env: Environment) -> Policy:
    """Cars cross one by one: the one that has got furthest goes, the others stop before the crossing and wait.

    A car that waits takes the fastest action after which it can still stop; one that could not stop any more goes on.
    It depends on what can be seen in the game alone, not on where others want to go: a stop sign on every road.

    Args:
      env: the game.

    Returns:
      A deterministic `policy(key, state) -> actions [N] int32`.

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
      state: the state.
      actions: `[..., N]` int32.

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
    """Every car goes as fast as it can.

    Args:
      env: the game.

    Returns:
      A deterministic `policy(key, state) -> actions [N] int32`.
    """
    check_kind("env", env, Intersection, "the game `intersection`")

    def policy(key: jax.Array, state: State) -> jax.Array:
        del key, state
        return jnp.full(env.num_agents, FASTER, jnp.int32)

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {"reckless": reckless, "cautious": cautious}
"""By name, for `jaxdilemmas.policies.scripted`."""
