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

    def choose(state: State) -> tuple[jax.Array, jax.Array]:
        purple = purple_for_each(state)
        gems = jnp.concatenate([state.gems[:PURPLE], purple], axis=1)
        is_reached = (gems == state.positions[:, None]).all(axis=-1)
        return gems, ~is_reached

    return walkers(env, choose)


def cooperative(env: Environment) -> Policy:
    """As `greedy`, but each player walks to purple gems only, and waits there until its partner is on one, too."""

    def choose(state: State) -> tuple[jax.Array, jax.Array]:
        gems = purple_for_each(state)
        return gems, jnp.ones(gems.shape[:2], bool)

    return walkers(env, choose)


def purple_for_each(state: State) -> jax.Array:
    """The purple gems, once for each player, `[2, 3, 2]` int32 (row, col)."""
    return jnp.broadcast_to(state.gems[PURPLE], state.gems[:PURPLE].shape)


def walkers(env: Environment, choose: Callable[[State], tuple[jax.Array, jax.Array]]) -> Policy:
    """Each player walks to the nearest of the gems that `choose` returns for it.

    Args:
      env: the game.
      choose: state -> gems `[2, G, 2]` int32 and which of them are wanted, `[2, G]` bool; see `walk_to_nearest`.

    Raises:
      ValueError: `env` is not the game `gems`.
    """
    check_kind("env", env, Gems, "the game `gems`")

    def policy(key: jax.Array, state: State) -> jax.Array:
        return walk_to_nearest(key, state.positions, *choose(state))

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
