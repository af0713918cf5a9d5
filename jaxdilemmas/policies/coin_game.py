"""Scripted policies of `coin_game`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs.coin_game import NOWHERE, NUM_ACTIONS, SIDE, STAY, CoinGame, State, move

FAR = 100.0
"""The distance of a coin that is not on the board, and of a cell that an agent avoids."""


def distances_after(state: State) -> tuple[jax.Array, jax.Array]:
    """Steps to the coin of the own colour and to the other coin after each action, `[2, A]` float32 each."""
    every = jnp.tile(jnp.arange(NUM_ACTIONS, dtype=jnp.int32), (2, 1))
    cells = move(jnp.tile(state.positions[:, None], (1, NUM_ACTIONS)), every)

    def distances(coins: jax.Array) -> jax.Array:
        gaps = jnp.stack([abs(cells // SIDE - coins[:, None] // SIDE), abs(cells % SIDE - coins[:, None] % SIDE)])
        steps = jnp.minimum(gaps, SIDE - gaps).sum(0, dtype=jnp.int32).astype(jnp.float32)
        return jnp.where(coins[:, None] == NOWHERE, jnp.float32(FAR), steps)

    return distances(state.coins), distances(state.coins[::-1])


def _least(costs: jax.Array) -> jax.Array:
    """The action of least cost of each agent, `[2, A]` -> `[2]` int32; among equals staying, then the first."""
    moving = np.float32(0.01) * (np.arange(NUM_ACTIONS) != STAY)
    return (costs + moving.astype(np.float32)[None]).argmin(1).astype(jnp.int32)


def cooperative(env: Environment) -> Policy:
    """Every agent goes to the coin of its colour, around the other coin, and waits if there is none.

    If both coins lie on one cell, it takes both.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [2] int32`.

    Raises:
      ValueError: `env` is not the game `coin_game`.
    """
    check_kind("env", env, CoinGame, "the game `coin_game`")

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        own, other = distances_after(state)
        return _least(own + jnp.where((other == 0) & (own > 0), FAR, 0.0))

    return policy


def exploitative(env: Environment) -> Policy:
    """Every agent goes to the nearest coin, to its own if both are equally near. It is called as `cooperative`."""
    check_kind("env", env, CoinGame, "the game `coin_game`")

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        own, other = distances_after(state)
        return _least(jnp.minimum(own, other + 0.1))

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {"exploitative": exploitative, "cooperative": cooperative}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
