"""Policies whose actions are random and do not depend on the state; they play any game."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import numbers_from
from jaxdilemmas.environment import Environment, Policy, check_game, require
from jaxdilemmas.spaces import Discrete


def random(env: Environment) -> Policy:
    """Builds a policy in which every agent acts uniformly at random.

    Args:
      env: any game.

    Returns:
      `policy(key, state) -> actions`, of the shape `[N, ...]` and the dtype of the action space.

    Raises:
      ValueError: `env` is not an environment.
    """
    check_game(env)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del state
        return jax.vmap(env.action_space.sample)(jax.random.split(key, env.num_agents))

    return policy


def bernoulli(env: Environment, probability: float | Sequence[float] | np.ndarray) -> Policy:
    """Builds a policy in which each agent takes action 1 with a fixed probability, and otherwise action 0.

    The agents draw independently.

    Args:
      env: a game with two actions.
      probability: the probability of action 1: one number, or `[N]`, one number for each agent.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not an environment, the game does not have exactly two actions, or `probability` is outside
        [0, 1] or has another shape.
    """
    check_game(env)
    require(env.action_space == Discrete(2), "env", env, "the game must have two actions")
    numbers = numbers_from(probability)
    is_fit = numbers is not None and not isinstance(probability, bool) and numbers.shape in ((), (env.num_agents,))
    is_within = numbers is not None and bool(np.all((numbers >= 0) & (numbers <= 1)))
    allowed = f"it must be one number in [0, 1] or {env.num_agents} of them"
    require(is_fit and is_within, "probability", probability, allowed)
    chances = np.asarray(probability, np.float32)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del state
        return (jax.random.uniform(key, (env.num_agents,), jnp.float32) < chances).astype(jnp.int32)

    return policy
