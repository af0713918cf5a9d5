"""Networks that give each action of each agent a number, every agent with parameters of its own."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from baselines.core.entities import EntityTorso
from baselines.core.layers import Dense, FirstLayer
from baselines.core.observations import ObservationCode
from baselines.imitation.joint_actions import count_actions, own_first
from baselines.imitation.settings import ImitationConfig
from jaxdilemmas.environment import Environment


class CriticNetwork(nn.Module):
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
    def __call__(self, stored: tuple[jax.Array, jax.Array | None]) -> jax.Array:
        """Stored views `[M, ...]`, and extras `[M, k]` or None -> `[M, K]` float32."""
        views, extras = stored
        if self.code.kinds:
            x = EntityTorso(self.code.kinds, self.hidden_size)(self.code.numbers(views))
        else:
            x = nn.relu(FirstLayer(self.code, self.hidden_size)(views))
            x = x if extras is None else jnp.concatenate([x, extras], axis=-1)
            x = nn.relu(Dense(self.hidden_size)(x))
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
    module = CriticNetwork(code, config.hidden_size, num_outputs or count_actions(env))

    def stored(obs: Any) -> tuple[jax.Array, jax.Array | None]:
        parts = code.split(code.encode(obs))
        return jax.tree.map(side_by_side, parts) if reads_all else parts

    def init(key: jax.Array) -> Any:
        keys = jax.random.split(key, env.num_agents)
        return jax.vmap(module.init, in_axes=(0, 1))(keys, stored(code.example(1, env.num_agents)))

    def apply(network_params: Any, obs: Any) -> jax.Array:
        q: Any = jax.vmap(module.apply, in_axes=(0, 1), out_axes=1)(network_params, stored(obs))
        return q

    return Critics(init, apply)


def side_by_side(x: jax.Array) -> jax.Array:
    """The observations of all for each agent: `[M, N, D, ...]` -> `[M, N, N D, ...]`, see `own_first`."""
    x = own_first(x)
    return x.reshape(*x.shape[:2], -1, *x.shape[4:])


def take(q: jax.Array, index: jax.Array) -> jax.Array:
    """One number of each row: `[M, N, K]` float32, `[M, N]` int32 -> `[M, N]` float32."""
    return jnp.take_along_axis(q, index[..., None], axis=-1)[..., 0]


def log_probs(logits: jax.Array, actions: jax.Array) -> jax.Array:
    """Log-probabilities of actions under a softmax: `[M, N, A]` float32, `[M, N]` int32 -> `[M, N]` float32."""
    return take(jax.nn.log_softmax(logits), actions)


def soft_max(q: jax.Array, inverse_temperature: float) -> jax.Array:
    """The soft maximum, log sum exp(lambda q) / lambda: `[..., K]` float32 -> `[...]` float32."""
    return jax.nn.logsumexp(inverse_temperature * q, axis=-1) / inverse_temperature


def discounted_targets(
    next_values: jax.Array, terminated: jax.Array, discount: float, clip: float | None = None
) -> jax.Array:
    """Y = gamma V(s'), 0 where the game ended: `[M, N]` float32, `[M]` bool -> `[M, N]` float32."""
    if clip is not None:
        next_values = jnp.clip(next_values, -clip, clip)
    return discount * jnp.where(terminated[:, None], 0.0, next_values)
