"""Networks that judge actions, each agent's with parameters of its own; joint actions as each agent counts them."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from baselines.core.entities import EntityTorso
from baselines.core.layers import Dense
from baselines.core.networks import FirstLayer, ObservationCode
from baselines.imitation.settings import ImitationConfig
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.spaces import Discrete

MAX_JOINT_ACTIONS = 4096


class Critic(nn.Module):
    """A number for each action, from one observation.

    Attributes:
      code: how the observation is stored, with `kinds` where it is read as a set of entities.
      hidden_size: width of the layers.
      num_outputs: K.
    """

    code: ObservationCode
    hidden_size: int
    num_outputs: int

    @nn.compact
    def __call__(self, stored: jax.Array) -> jax.Array:
        """`[M, ...]` -> `[M, K]` float32."""
        if self.code.kinds:
            x = EntityTorso(self.code.kinds, self.hidden_size)(self.code.numbers(stored))
        else:
            x = nn.relu(Dense(self.hidden_size)(nn.relu(FirstLayer(self.code, self.hidden_size)(stored))))
        return Dense(self.num_outputs, kernel_init=nn.initializers.zeros)(x)


class Critics(NamedTuple):
    """The critics of N agents as one function.

    Attributes:
      init: key -> network_params with a leading axis N.
      apply: (network_params, obs `[M, N, ...]` as the game shows them) -> `[M, N, K]` float32.
    """

    init: Callable[[jax.Array], Any]
    apply: Callable[[Any, jax.Array], jax.Array]


def make_critics(config: ImitationConfig, env: Environment, num_outputs: int | None = None) -> Critics:
    """Critics of the agents of a game.

    Args:
      config: which network, and whether it reads the agent's own observation or those of all.
      env: the game.
      num_outputs: K; the number of an agent's actions when left out.

    Raises:
      ValueError: the actions of the game are not discrete, or its observations not what the network reads.
    """
    code = ObservationCode.for_network(env, config.network)
    reads_all = config.reads == "all"
    if code.kinds and reads_all:  # what another agent calls me is of another kind than what I do
        num_kinds = max(code.kinds) + 1
        kinds = tuple(kind + num_kinds * i for i in range(env.num_agents) for kind in code.kinds)
        code = dataclasses.replace(code, kinds=kinds)
    module = Critic(code, config.hidden_size, num_outputs or count_actions(env))
    space = env.observation_space
    example = jnp.zeros((1, env.num_agents, *space.shape), space.dtype)

    def stored(obs: jax.Array) -> jax.Array:
        encoded = code.encode(obs)
        return side_by_side(encoded) if reads_all else encoded

    def init(key: jax.Array) -> Any:
        keys = jax.random.split(key, env.num_agents)
        return jax.vmap(module.init, in_axes=(0, 1))(keys, stored(example))

    def apply(network_params: Any, obs: jax.Array) -> jax.Array:
        q: Any = jax.vmap(module.apply, in_axes=(0, 1), out_axes=1)(network_params, stored(obs))
        return q

    return Critics(init, apply)


def take(q: jax.Array, index: jax.Array) -> jax.Array:
    """Of each row one number: `[M, N, K]` float32, `[M, N]` int32 -> `[M, N]`."""
    return jnp.take_along_axis(q, index[..., None], axis=-1)[..., 0]


def log_probs(logits: jax.Array, actions: jax.Array) -> jax.Array:
    """Log-probabilities of actions under a softmax: `[M, N, A]` float32, `[M, N]` int32 -> `[M, N]`."""
    return take(jax.nn.log_softmax(logits), actions)


def count_actions(env: Environment) -> int:
    """A, the number of actions of an agent.

    Raises:
      ValueError: the actions are not discrete.
    """
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space={env.action_space!r} is not allowed: critics need a Discrete one")
    return env.action_space.n


def count_joint_actions(env: Environment) -> int:
    """A to the power of N.

    Raises:
      ValueError: there are more than `MAX_JOINT_ACTIONS`.
    """
    number = count_actions(env) ** env.num_agents
    allowed = f"at most {MAX_JOINT_ACTIONS} for critics of joint actions"
    require(number <= MAX_JOINT_ACTIONS, "number of joint actions", number, allowed)
    return number


def own_first(x: jax.Array) -> jax.Array:
    """What each agent reads where all are read: `[M, N, ...]` -> `[M, N, N, ...]`, own first, then the next agents'."""
    num_agents = x.shape[1]
    order = (jnp.arange(num_agents, dtype=jnp.int32)[:, None] + jnp.arange(num_agents, dtype=jnp.int32)) % num_agents
    return x[:, order]


def side_by_side(x: jax.Array) -> jax.Array:
    """The observations of all for each agent: `[M, N, D, ...]` -> `[M, N, N D, ...]`, see `own_first`."""
    x = own_first(x)
    return x.reshape(*x.shape[:2], -1, *x.shape[4:])


def joint_index(actions: jax.Array, num_actions: int) -> jax.Array:
    """Numbers of joint actions as each agent counts them, own action first: `[M, N]` int32 -> `[M, N]` int32."""
    num_agents = actions.shape[1]
    places = num_actions ** jnp.arange(num_agents - 1, -1, -1, dtype=jnp.int32)
    return own_first(actions) @ places


def split_joint(q: jax.Array, num_actions: int) -> jax.Array:
    """Separates own actions from those of the others: `[M, N, A ** N]` -> `[M, N, A, A ** (N - 1)]`."""
    return q.reshape(*q.shape[:2], num_actions, -1)


def others_probabilities(policies: jax.Array) -> jax.Array:
    """Probabilities of what the others do together, when each acts on its own.

    Args:
      policies: `[M, N, A]`, probabilities of each agent's actions.

    Returns:
      `[M, N, A ** (N - 1)]`, for each agent over the actions of the others, counted as by `joint_index`.
    """
    others = own_first(policies)[:, :, 1:]
    joint = jnp.ones((*policies.shape[:2], 1), policies.dtype)
    for i in range(others.shape[2]):
        joint = (joint[..., None] * others[:, :, i, None, :]).reshape(*policies.shape[:2], -1)
    return joint


def marginalise(q: jax.Array, policies: jax.Array, num_actions: int) -> jax.Array:
    """What own actions are worth on average over what the others do: `[M, N, A ** N]`, `[M, N, A]` -> `[M, N, A]`."""
    return jnp.einsum("mnao,mno->mna", split_joint(q, num_actions), others_probabilities(policies))
