"""Actions of agents, and joint actions as each agent counts them, its own action first, for few agents and actions."""

import chex
import jax
import jax.numpy as jnp

from jaxdilemmas.environment import Environment, require
from jaxdilemmas.spaces import Discrete

MAX_JOINT_ACTIONS = 4096


def count_actions(env: Environment) -> int:
    """A, the number of actions of an agent.

    Raises:
      ValueError: the actions are not discrete.
    """
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space={env.action_space!r} is not allowed: critics need a Discrete one")
    return env.action_space.n


def own_first(x: jax.Array) -> jax.Array:
    """What each agent reads where all are read: `[M, N, ...]` -> `[M, N, N, ...]`, own first, then the next agents'."""
    num_agents = x.shape[1]
    order = (jnp.arange(num_agents, dtype=jnp.int32)[:, None] + jnp.arange(num_agents, dtype=jnp.int32)) % num_agents
    return x[:, order]


def count_joint_actions(env: Environment) -> int:
    """A to the power of N.

    Raises:
      ValueError: there are more than `MAX_JOINT_ACTIONS`.
    """
    number = count_actions(env) ** env.num_agents
    allowed = f"at most {MAX_JOINT_ACTIONS} for critics of joint actions"
    require(number <= MAX_JOINT_ACTIONS, "number of joint actions", number, allowed)
    return number


def joint_index(actions: jax.Array, num_actions: int) -> jax.Array:
    """Numbers of joint actions as each agent counts them, own action first: `[M, N]` int32 -> `[M, N]` int32."""
    num_agents = actions.shape[1]
    places = num_actions ** jnp.arange(num_agents - 1, -1, -1, dtype=jnp.int32)
    return own_first(actions) @ places


def split_joint(q: jax.Array, num_actions: int) -> jax.Array:
    """Separates own actions from those of the others: `[M, N, A ** N]` -> `[M, N, A, A ** (N - 1)]`."""
    return q.reshape(*q.shape[:2], num_actions, -1)


def others_probabilities(policies: jax.Array) -> jax.Array:
    """Probabilities of the joint actions of all other agents, if each acts independently.

    Args:
      policies: `[M, N, A]` float32, probabilities of each agent's actions.

    Returns:
      `[M, N, A ** (N - 1)]` float32, for each agent over the actions of the others, counted as by `joint_index`.
    """
    others = own_first(policies)[:, :, 1:]
    joint = jnp.ones((*policies.shape[:2], 1), policies.dtype)
    for i in range(others.shape[2]):
        joint = (joint[..., None] * others[:, :, i, None, :]).reshape(*policies.shape[:2], -1)
    return joint


def marginalise(q: jax.Array, policies: jax.Array, num_actions: int) -> jax.Array:
    """The mean value of each own action over the actions of the others.

    Args:
      q: `[M, N, A ** N]` float32, values of joint actions.
      policies: `[M, N, A]` float32, probabilities of each agent's actions.
      num_actions: A.

    Returns:
      `[M, N, A]` float32.
    """
    chex.assert_rank([q, policies], 3)
    return jnp.einsum("mnao,mno->mna", split_joint(q, num_actions), others_probabilities(policies))
