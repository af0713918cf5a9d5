"""Scripted policies of `common_pool`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs.common_pool import TAKE, CommonPool


def cooperative(env: Environment) -> Policy:
    """Every agent takes while the stock is above half of its capacity; otherwise every agent waits.

    If a joint take removes less than half of the stock, a team of such agents never depletes it. In the long run the
    team takes everything that grows.

    Args:
      env: the game; the capacity is that of its `default_params`.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `common_pool`.

    Source: our rule, a constant escapement.
    """
    check_kind("env", env, CommonPool, "the game `common_pool`")

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        return jnp.full(env.num_agents, state.stock > env.default_params.capacity / 2, jnp.int32)

    return policy


def exploitative(env: Environment) -> Policy:
    """Every agent takes in every step. It is called as `cooperative`."""
    check_kind("env", env, CommonPool, "the game `common_pool`")

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key, state
        return jnp.full(env.num_agents, TAKE, jnp.int32)

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {"exploitative": exploitative, "cooperative": cooperative}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
