"""Scripted policies of `gems`: each player walks straight to one gem at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs.gems import DOWN, LEFT, NUM_PLAYERS, PURPLE, RIGHT, STAY, UP, Gems, State


def greedy(env: Environment) -> Policy:
    """Each player walks to the nearest gem that rewards it, a gem of its own colour or a purple one.

    It does not wait for its partner: if it stands on a purple gem, it walks on to the next gem.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [2] int32`. Ties between gems and between ways are broken at random.

    Raises:
      ValueError: `env` is not the game `gems`.

    Source: our rule.
    """
    check_kind("env", env, Gems, "the game `gems`")

    def policy(key: jax.Array, state: State) -> jax.Array:
        purple = jnp.broadcast_to(state.gems[PURPLE], state.gems[:PURPLE].shape)
        gems = jnp.concatenate([state.gems[:PURPLE], purple], axis=1)
        is_reached = (gems == state.positions[:, None]).all(axis=-1)
        return walk_to_nearest(key, state.positions, gems, ~is_reached)

    return policy


def cooperative(env: Environment) -> Policy:
    """Each player walks to the nearest purple gem and waits there until its partner also stands on a purple gem.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [2] int32`. Ties between gems and between ways are broken at random.

    Raises:
      ValueError: `env` is not the game `gems`.

    Source: our rule.
    """
    check_kind("env", env, Gems, "the game `gems`")

    def policy(key: jax.Array, state: State) -> jax.Array:
        gems = jnp.broadcast_to(state.gems[PURPLE], state.gems[:PURPLE].shape)
        return walk_to_nearest(key, state.positions, gems, jnp.ones(gems.shape[:2], bool))

    return policy


def walk_to_nearest(key: jax.Array, positions: jax.Array, gems: jax.Array, is_wanted: jax.Array) -> jax.Array:
    """Returns the action that brings each player one step nearer to the nearest gem that it wants.

    Args:
      key: a JAX PRNG key, used once. It breaks ties between gems and between ways at random.
      positions: `[2, 2]` int32 (row, col).
      gems: `[2, G, 2]` int32 (row, col), the gems that each player may walk to.
      is_wanted: `[2, G]` bool.

    Returns:
      `[2]` int32; `STAY` for a player that stands on its gem.
    """
    key_gem, key_way = jax.random.split(key)
    distances = jnp.abs(gems - positions[:, None]).sum(axis=-1, dtype=jnp.int32).astype(jnp.float32)
    distances += jax.random.uniform(key_gem, is_wanted.shape, jnp.float32)
    nearest = jnp.where(is_wanted, distances, jnp.inf).argmin(axis=1)
    to_row, to_col = (gems[jnp.arange(NUM_PLAYERS, dtype=jnp.int32), nearest] - positions).T
    is_heads = jax.random.uniform(key_way, (NUM_PLAYERS,), jnp.float32) < 0.5
    is_vertical = (to_col == 0) | ((to_row != 0) & is_heads)
    vertical = jnp.where(to_row > 0, DOWN, UP)
    horizontal = jnp.where(to_col > 0, RIGHT, LEFT)
    is_there = (to_row == 0) & (to_col == 0)
    return jnp.where(is_there, STAY, jnp.where(is_vertical, vertical, horizontal)).astype(jnp.int32)


POLICIES: dict[str, Callable[[Any], Policy]] = {"greedy": greedy, "cooperative": cooperative}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
