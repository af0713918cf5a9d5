"""Scripted policies of `common_pool_network`: every agent works at the richest node that it reaches, or waits."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Policy
from jaxdilemmas.envs.common_pool_network import CommonPoolNetwork


def cooperative(env: CommonPoolNetwork) -> Policy:
    """Every agent works while the stock is above half of the capacity, the stock at which logistic growth is largest.

    The stock is that of the richest node that the agent reaches.

    Args:
      env: the game; the numbers are those of its `default_params`.

    Returns:
      `policy(key, state) -> actions`, of the shape `[N, ...]` and the dtype of the action space.

    Raises:
      ValueError: `env` is not the game `common_pool_network`.

    Source: our rule, a constant escapement.
    """
    check_kind("env", env, CommonPoolNetwork, "the game `common_pool_network`")
    return _work_above(env, env.default_params.capacity / 2)


def exploitative(env: CommonPoolNetwork) -> Policy:
    """As `cooperative`, but agents work while the income from a unit of effort is above its cost: open access.

    Source: the open access of Gordon 1954, in which agents work until the rent is zero.
    """
    check_kind("env", env, CommonPoolNetwork, "the game `common_pool_network`")
    params = env.default_params
    value = params.price * params.catchability
    if env.harvest == "proportional":
        return _work_above(env, params.cost / value)
    return _work_above(env, 0.0 if value > params.cost else float("inf"))


def _work_above(env: CommonPoolNetwork, threshold: float) -> Policy:
    """All effort goes to the richest place if its stock is above a threshold; otherwise the agents wait."""

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        stocks = jnp.where(env.is_place, state.stocks[env.nodes], -jnp.inf)
        places, is_worth_it = stocks.argmax(-1), stocks.max(-1) > threshold
        if env.effort == "discrete":
            return jnp.where(is_worth_it, places + 1, 0).astype(jnp.int32)
        return jax.nn.one_hot(places, env.nodes.shape[1], dtype=jnp.float32) * is_worth_it[:, None].astype(jnp.float32)

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {"exploitative": exploitative, "cooperative": cooperative}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
