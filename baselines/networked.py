"""Networked advantage actor-critic: agents on a graph learn, and exchange the messages of their protocol.

Every agent learns by A2C from rollouts of a few steps, through an LSTM; `networking.protocols` has the protocols.

Source: the learners of instadeepai/EGTA-NMARL @ 544b2e0, by which Pretorius et al. 2020 (arXiv:2010.07777) studied how
information structure changes a common-pool resource. Ours goes on past the time limit, and with the next episode within
a rollout, where that code does neither; docs/common_pool_results.md compares results.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from numpy.typing import ArrayLike

from baselines.core.returns import generalized_advantages
from baselines.core.rollout import RolloutCarry
from baselines.core.trainer import Algorithm, Policy, RolloutBudget, Trainer, check_arguments, check_budget
from baselines.disk.schema import Count, Fraction, NonNegative, Positive, Width, check_fields
from baselines.networking.networked_rollout import (
    NetworkedPlayers,
    NetworkedRollout,
    choose,
    episode_means,
    next_values,
    play,
    pull_back,
    remember,
)
from baselines.networking.protocols import PROTOCOLS, Links, Memory, Network, Params, ProtocolName, cut
from jaxdilemmas.arguments import check_choice, check_flag, refusal, require
from jaxdilemmas.environment import Environment, check_key
from jaxdilemmas.graphs import GRAPHS, check_adjacency, edges_of, make_graph
from jaxdilemmas.spaces import Box, Discrete
from jaxdilemmas.wrappers import AutoReset, EpisodeStatistics

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Config(RolloutBudget):
    """Settings of one training run.

    Attributes:
      protocol: the messages that agents exchange; see `networking.protocols`.
      graph: who is a neighbour of whom, a name that `jaxdilemmas.graphs.make_graph` knows.
      reward_sharing: alpha: an agent learns from its own reward plus alpha times the sum of its neighbours' rewards.
        Agents without neighbours, by protocol "ia2c", share no rewards.
      total_env_steps: length of training; whole updates only.
      num_envs: environments played side by side.
      rollout_steps: steps in each between updates.
      hidden_size: width of every layer.
      learning_rate: of Adam.
      entropy_coefficient: weight of the entropy bonus.
      value_coefficient: weight of the value loss.
      discount: gamma.
      max_gradient_norm: longer gradients of an agent's parameters are cut to this norm.
      reward_scale: factor on the rewards that agents learn from; by default a take of four agents in `common_pool`
        counts 1.

    Raises:
      ValueError: a value is not allowed.
    """

    protocol: ProtocolName = "ia2c"
    graph: str = "complete"
    reward_sharing: NonNegative = 0.1
    total_env_steps: Count = 50_000
    num_envs: Count = 1
    rollout_steps: Count = 50
    hidden_size: Width = 64
    learning_rate: Positive = 1e-3
    entropy_coefficient: NonNegative = 0.05
    value_coefficient: NonNegative = 0.5
    discount: Fraction = 0.99
    max_gradient_norm: Positive = 40.0
    reward_scale: Positive = 40.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("graph", self.graph, GRAPHS)
        check_budget(self)

    @property
    def without_effect(self) -> dict[str, str]:
        """The settings that nothing reads, each with the settings with which it is read."""
        return {"reward_sharing": "another protocol than 'ia2c'"} if self.protocol == "ia2c" else {}


class TrainState(struct.PyTreeNode):
    """Everything that training goes on from.

    Attributes:
      network_params: see `communication.Params`.
      opt_state: of Adam.
      update_index: `[]` int32, updates done.
      env_steps: `[]` int32, joint actions played.
      rollout: where the environments stand; its memory is a `communication.Memory` `[B, N, ...]`.
    """

    network_params: Params
    opt_state: Any
    update_index: jax.Array
    env_steps: jax.Array
    rollout: RolloutCarry


class Learner(NamedTuple):
    """The fixed parts of a run.

    Attributes:
      config: the settings.
      players: who plays what.
      optimizer: of gradients that `cut` has cut.
    """

    config: Config
    players: NetworkedPlayers
    optimizer: optax.GradientTransformation


def make_trainer(config: Config, env: Environment, adjacency: ArrayLike | None = None) -> Trainer:
    """Training as two pure functions.

    Args:
      config: the settings.
      env: a game as `jaxdilemmas.make` returns it, without wrappers; with vectors to see and discrete actions.
      adjacency: `[N, N]`, where it is above 0 agent i (row) reads agent j (column); in place of what `config.graph`
        names. By its weights rewards are shared.

    Returns:
      See `trainer.Trainer`. Metrics of an update: `env_steps`, `episode_return` `[N]` and the four social metrics,
      means over the episodes that ended in it (NaN if none did), and the losses.

    Raises:
      ValueError: `config` holds settings of another algorithm, the game is of another kind, or the graph does not fit
        it or has no edges where the protocol needs them.
    """
    learner = make_learner(config, env, adjacency)
    return Trainer(init=partial(init, learner), update=partial(update, learner))


def make_policy(config: Config, env: Environment, greedy: bool = False, adjacency: ArrayLike | None = None) -> Policy:
    """What a trained run plays, in one environment: sampled actions, or the most likely ones when `greedy`.

    Raises:
      ValueError: as `make_trainer`, or `greedy` is no bool.
    """
    check_flag("greedy", greedy)
    network = make_network(config, env, adjacency)

    def act(network_params: Params, obs: jax.Array, memory: Memory, key: jax.Array) -> tuple[jax.Array, Memory]:
        memory = remember(network, network_params, network.gates(network_params, memory, obs), memory)
        uniforms = jax.random.uniform(key, (env.num_agents,), jnp.float32)
        return jnp.argmax(memory.policy, axis=-1) if greedy else choose(memory.policy, uniforms), memory

    return Policy(act, network.initial_memory())


def make_learner(config: Config, env: Environment, adjacency: ArrayLike | None = None) -> Learner:
    """The fixed parts of a run; see `make_trainer`."""
    network = make_network(config, env, adjacency)
    return Learner(
        config=config,
        players=NetworkedPlayers(AutoReset(EpisodeStatistics(env), final_observation=True), network),
        optimizer=optax.scale_by_adam(eps=1e-5),
    )


def make_network(config: Config, env: Environment, adjacency: ArrayLike | None = None) -> Network:
    """The networks of all agents; see `make_trainer`."""
    check_arguments(config, Config, env)
    space, actions = env.observation_space, env.action_space
    if not (isinstance(space, Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)):
        raise ValueError(refusal("observation_space", space, "a vector of floats"))
    if not isinstance(actions, Discrete):
        raise ValueError(f"action_space={actions!r} is not allowed: networked agents need a Discrete one")
    protocol = PROTOCOLS[config.protocol]
    if adjacency is None:
        adjacency = make_graph(config.graph, env.num_agents)
    graph = check_adjacency("adjacency", adjacency, env.num_agents)
    is_fit = bool(graph.any()) or not protocol.has_neighbours
    require(is_fit, "adjacency", adjacency, f"protocol {config.protocol} needs at least one edge")
    links = Links(edges_of(graph if protocol.has_neighbours else np.zeros_like(graph)), env.num_agents)
    return Network(protocol, links, space.shape[0], actions.n, config.hidden_size)


def init(learner: Learner, key: jax.Array, env_params: Any) -> TrainState:
    """Fresh networks and environments."""
    check_key(key)
    key_networks, key_reset, key_play = jax.random.split(key, 3)
    players, num_envs = learner.players, learner.config.num_envs
    network_params = players.network.init(key_networks)
    keys = jax.random.split(key_reset, num_envs)
    obs, env_state = jax.vmap(players.env.reset, in_axes=(0, None))(keys, env_params)
    memory = players.network.initial_memory(num_envs)
    return TrainState(
        network_params=network_params,
        opt_state=learner.optimizer.init(network_params),
        update_index=jnp.zeros((), jnp.int32),
        env_steps=jnp.zeros((), jnp.int32),
        rollout=RolloutCarry(env_state, obs, jnp.ones(num_envs, bool), memory, key_play),
    )


def update(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Metrics]:
    """Plays a rollout and takes one gradient step."""
    config, players, params = learner.config, learner.players, train_state.network_params
    carry, trajectory = play(players, params, env_params, train_state.rollout, config.rollout_steps)
    key, key_next = jax.random.split(carry.key)
    differentiate = jax.grad(loss, argnums=(0, 1), has_aux=True)
    (in_heads, in_hidden), losses = differentiate(params, trajectory.after.hidden, trajectory, learner, key_next)
    in_memory = pull_back(players.network, params, trajectory, in_hidden)
    gradients = jax.tree.map(jnp.add, in_heads, in_memory)
    steps, opt_state = learner.optimizer.update(
        cut(players.network.links, gradients, config.max_gradient_norm), train_state.opt_state
    )
    train_state = TrainState(
        network_params=players.network.agree(jax.tree.map(lambda p, s: p - config.learning_rate * s, params, steps)),
        opt_state=opt_state,
        update_index=train_state.update_index + 1,
        env_steps=train_state.env_steps + config.env_steps_per_update,
        rollout=carry.replace(key=key),
    )
    return train_state, {"env_steps": train_state.env_steps.astype(jnp.float32)} | episode_means(trajectory) | losses


def loss(
    network_params: Params,
    hidden: jax.Array,
    trajectory: NetworkedRollout,
    learner: Learner,
    key: jax.Array,
) -> tuple[jax.Array, Metrics]:
    """Policy gradient by n-step returns, value loss and entropy bonus.

    The mean over steps, summed over agents. It has gradients in the parameters of actors and critics, and in `hidden`
    `[T, B, N, H]`, the states that these read; `pull_back` goes on from there.

    Source: Mnih et al. 2016 (arXiv:1602.01783).
    """
    config, network = learner.config, learner.players.network
    log_policy = jax.nn.log_softmax(network.logits(network_params, hidden))
    values = network.values(network_params, hidden, trajectory.actions)
    old_params, old_values = jax.lax.stop_gradient((network_params, values))
    following = next_values(learner.players, old_params, trajectory, old_values, key)
    advantages = estimate(learner, trajectory, old_values, following)
    errors = values - old_values - advantages
    log_probs = jnp.sum(
        log_policy * jax.nn.one_hot(trajectory.actions, network.num_actions, dtype=jnp.float32), axis=-1
    )
    weights = jnp.ones((*trajectory.terminated.shape, 1), jnp.float32)
    weights /= weights.sum()
    policy_loss, value_loss = jnp.sum(weights * -advantages * log_probs), jnp.sum(weights * 0.5 * jnp.square(errors))
    entropy = -jnp.sum(weights[..., None] * jnp.exp(log_policy) * log_policy)
    total = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * entropy
    losses = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
    return total, jax.tree.map(lambda leaf: leaf / network.links.num_agents, losses)


def estimate(learner: Learner, trajectory: NetworkedRollout, values: jax.Array, following: jax.Array) -> jax.Array:
    """Advantages `[T, B, N]`: n-step returns of own and shared rewards, less values.

    Args:
      learner: whose settings hold.
      trajectory: what was played.
      values: `[T, B, N]`.
      following: those of what follows each step; see `next_values`.
    """
    config = learner.config
    return generalized_advantages(
        config.reward_scale * learner.players.network.links.share(trajectory.rewards, config.reward_sharing),
        values,
        following,
        trajectory.terminated[..., None],
        trajectory.truncated[..., None],
        config.discount,
        gae_lambda=1.0,
    )


ALGORITHM = Algorithm("networked", Config, make_trainer, make_policy, default_env="common_pool")
make_train = ALGORITHM.make_train


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM)
