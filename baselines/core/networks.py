"""Actor-critic networks over sequences of tile ids, images, flat vectors or entities, and how agents share them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from baselines.core.entities import EntityTorso
from baselines.core.layers import Dense, FirstLayer
from baselines.core.observations import ObservationCode, Torso


class ResettingGRU(nn.Module):
    """A gated recurrent unit that forgets where an episode starts, scanned over time.

    Attributes:
      features: H.
    """

    features: int

    @partial(nn.scan, variable_broadcast="params", split_rngs={"params": False})
    @nn.compact
    def __call__(self, memory: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Memory `[M, H]`, inputs x `[T, M, F]` and starts `[T, M]` -> memory `[M, H]`, outputs `[T, M, H]`."""
        x, starts = inputs
        memory = jnp.where(starts[:, None], 0.0, memory)
        return nn.GRUCell(self.features)(memory, x)


class Output(NamedTuple):
    """What networks make of a sequence: memory after its last step, logits of actions and values at every step."""

    memory: jax.Array
    logits: jax.Array
    values: jax.Array


class ActorCritic(nn.Module):
    """Action logits and a value for each observation of a sequence.

    Actor and critic share the first layer and the memory; of the last hidden layer each has one half to itself.

    Attributes:
      code: how observations are stored.
      num_actions: A.
      torso: "mlp", "conv" (a convolution before the first dense layer), "gru" (memory behind it), "set" (entities).
      hidden_size: width of every layer, even.
      num_agents: N when the agent's number is an input, behind the first layer; 0 without.
    """

    code: ObservationCode
    num_actions: int
    torso: Torso = "mlp"
    hidden_size: int = 64
    num_agents: int = 0

    @property
    def memory_size(self) -> int:
        """H, 0 for networks without memory."""
        return self.hidden_size if self.torso == "gru" else 0

    @nn.compact
    def __call__(self, memory: jax.Array, obs: jax.Array, starts: jax.Array, agents: jax.Array) -> Output:
        """Reads a sequence.

        Args:
          memory: `[M, H]` float32, before the first step.
          obs: `[T, M, ...]`, stored observations.
          starts: `[T, M]` bool, which observations are the first of an episode: memory is zero there.
          agents: `[M]` int32, whose observations they are.

        Returns:
          Memory after the last step `[M, H]`, logits `[T, M, A]`, values `[T, M]`.
        """
        num_steps, batch_size = obs.shape[:2]
        x = self.read(obs.reshape(-1, *obs.shape[2:])).reshape(num_steps, batch_size, -1)
        if self.num_agents:
            ids = jnp.broadcast_to(
                jax.nn.one_hot(agents, self.num_agents, dtype=jnp.float32), (num_steps, batch_size, self.num_agents)
            )
            x = jnp.concatenate([x, ids], axis=-1)
        if self.torso == "gru":
            memory, x = ResettingGRU(self.hidden_size)(memory, (x, starts))
        actor, critic = jnp.split(nn.relu(Dense(self.hidden_size)(x)), 2, axis=-1)
        logits = Dense(self.num_actions, kernel_init=nn.initializers.zeros)(actor)
        return Output(memory, logits, Dense(1)(critic)[..., 0])

    def read(self, stored: jax.Array) -> jax.Array:
        """The first layers, `[M, ...]` -> `[M, hidden_size]`; extras follow behind them as they are."""
        views, extras = self.code.split(stored)
        read = self.read_views(views)
        return read if extras is None else jnp.concatenate([read, extras], axis=-1)

    def read_views(self, stored: jax.Array) -> jax.Array:
        """The first layers on views, `[M, ...]` -> `[M, hidden_size]`."""
        if self.torso == "set":
            return EntityTorso(self.code.kinds, self.hidden_size)(self.code.numbers(stored))
        if self.torso != "conv":
            return nn.relu(FirstLayer(self.code, self.hidden_size)(stored))
        features = nn.relu(FirstLayer(self.code, -(-self.hidden_size // 2))(stored))
        return nn.relu(Dense(self.hidden_size)(features.reshape(len(stored), -1)))


class AgentNetworks(NamedTuple):
    """The networks of N agents as one function.

    Attributes:
      init: key -> network_params; a leading axis N when parameters are separate.
      initial_memory: num_envs -> `[B, N, H]` float32.
      apply: (network_params, memory `[B, N, H]`, obs `[T, B, N, ...]`, starts `[T, B]`) -> (memory `[B, N, H]`, logits
        `[T, B, N, A]`, values `[T, B, N]`).
    """

    init: Callable[[jax.Array], Any]
    initial_memory: Callable[[int], jax.Array]
    apply: Callable[[Any, jax.Array, jax.Array, jax.Array], Output]


def make_agent_networks(module: ActorCritic, num_agents: int, is_shared: bool) -> AgentNetworks:
    """Gives every agent `module`, with one set of parameters for all or one for each."""
    init = partial(_init, module)
    return AgentNetworks(
        init=init if is_shared else lambda key: jax.vmap(init)(jax.random.split(key, num_agents)),
        initial_memory=lambda num_envs: jnp.zeros((num_envs, num_agents, module.memory_size), jnp.float32),
        apply=partial(_apply_shared if is_shared else _apply_separate, module),
    )


def _init(module: ActorCritic, key: jax.Array) -> Any:
    """The parameters of one network."""
    obs = module.code.encode(module.code.example(1, 1))
    memory, starts = jnp.zeros((1, module.memory_size)), jnp.zeros((1, 1), bool)
    return module.init(key, memory, obs, starts, jnp.zeros(1, jnp.int32))


def _apply_shared(
    module: ActorCritic, network_params: Any, memory: jax.Array, obs: jax.Array, starts: jax.Array
) -> Output:
    num_steps, num_envs, num_agents = obs.shape[:3]
    output: Any = module.apply(
        network_params,
        memory.reshape(num_envs * num_agents, module.memory_size),
        obs.reshape(num_steps, num_envs * num_agents, *obs.shape[3:]),
        jnp.repeat(starts, num_agents, axis=1),
        jnp.tile(jnp.arange(num_agents, dtype=jnp.int32), num_envs),
    )
    shape = (num_steps, num_envs, num_agents)
    return Output(
        memory=output.memory.reshape(num_envs, num_agents, module.memory_size),
        logits=output.logits.reshape(*shape, -1),
        values=output.values.reshape(shape),
    )


def _apply_separate(
    module: ActorCritic, network_params: Any, memory: jax.Array, obs: jax.Array, starts: jax.Array
) -> Output:
    num_envs, num_agents = obs.shape[1:3]
    apply = jax.vmap(lambda *inputs: tuple(module.apply(*inputs)), in_axes=(0, 1, 2, None, 0), out_axes=(1, 2, 2))
    return Output(*apply(network_params, memory, obs, starts, jnp.zeros((num_agents, num_envs), jnp.int32)))
