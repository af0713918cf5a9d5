"""Adversarial imitation, MA-AIRL and MAGAIL: agents learn by IPPO to look like the agents of the demonstrations.

Every agent has a discriminator with parameters of its own. It learns to separate demonstrations from transitions that
agents play now, and its output is the reward of the agent.

Source: Yu et al. 2019 (arXiv:1907.13220) for MA-AIRL; Song et al. 2018 (arXiv:1807.09936) for MAGAIL. Their agents
learn by a multi-agent ACKTR where ours learn by IPPO.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from baselines import ippo
from baselines.core import devices
from baselines.core.rollout import Players, Trajectory
from baselines.core.trainer import Policy, RolloutBudget, Trainer, check_arguments, check_network_params
from baselines.demonstrations import Demonstrations
from baselines.disk.schema import Count, CountOrZero, Fraction, NonNegative, Positive
from baselines.imitation import critics
from baselines.imitation.discriminators import Adversary, Discriminators, cross_entropy, make_discriminators
from baselines.imitation.imitator import RewardFunction, act_by, make_imitator
from baselines.imitation.replay import Transitions, choose, take_rows
from baselines.imitation.settings import ImitationConfig
from baselines.imitation.sources import check_given, make_sources
from baselines.imitation.training import turn
from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment, Step, check_key
from jaxdilemmas.wrappers import AutoReset, EpisodeStatistics

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Config(ImitationConfig, RolloutBudget):
    """Settings of one training run, in addition to those of all imitators (`imitation.settings.ImitationConfig`).

    Of these `batch_size` (of demonstrations as of what was just played), `learning_rate` and `l2` are of the
    discriminators and of cloning, `gradient_steps` of the discriminators alone, spread evenly over the updates. With
    `reads` "all" discriminators read what all agents see and do; the agents see what they see in the game.

    Attributes:
      method: "airl" or "gail"; see `discriminators.make_discriminators`.
      policy_reward: what agents learn from: "logits", log D - log(1 - D), or "scores", g; by "gail" they are the same.
        There is no -log(1 - D): it is never below 0, so that agents would put off a success that ends the game.
      cloning_steps: gradient steps of behavioural cloning before agents first play.
      total_env_steps: joint actions played in training; whole updates only.
      num_envs: environments played side by side.
      rollout_steps: steps in each between updates.
      num_epochs: passes of IPPO over each rollout.
      num_minibatches: parts of a pass.
      policy_learning_rate: of IPPO, at the start; falls to 0 in a straight line.
      entropy_coefficient: weight of IPPO's entropy bonus.
      gae_lambda: of IPPO.
      reward_scale: factor on the rewards that agents learn from; it keeps the error of values from drowning the rest.

    Raises:
      ValueError: a value is not allowed.
    """

    method: Adversary = "airl"
    policy_reward: Literal["logits", "scores"] = "logits"
    cloning_steps: CountOrZero = 0
    total_env_steps: Count = 200_000
    num_envs: Count = 32
    rollout_steps: Count = 45
    num_epochs: Count = 4
    num_minibatches: Count = 4
    policy_learning_rate: Positive = 3e-4
    entropy_coefficient: NonNegative = 0.0
    gae_lambda: Fraction = 0.95
    reward_scale: Positive = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.generator.num_updates  # the settings of IPPO are checked here
        require(self.gradient_steps >= least, "gradient_steps", self.gradient_steps, f"one an update, {least}")

    @property
    def generator(self) -> ippo.Config:
        """Settings of the agents that learn to be taken for those of the demonstrations."""
        return ippo.Config(
            parameters="separate",
            network=self.network,
            hidden_size=self.hidden_size,
            total_env_steps=self.total_env_steps,
            num_envs=self.num_envs,
            rollout_steps=self.rollout_steps,
            num_epochs=self.num_epochs,
            num_minibatches=self.num_minibatches,
            learning_rate=self.policy_learning_rate,
            entropy_coefficient=self.entropy_coefficient,
            final_entropy_coefficient=self.entropy_coefficient,
            discount=self.discount,
            gae_lambda=self.gae_lambda,
            reward_scale=self.reward_scale,
        )

    @property
    def split_over_devices(self) -> dict[str, int]:
        """The numbers that several devices share out."""
        return self.generator.split_over_devices | {"batch_size": self.batch_size}

    @property
    def gradient_steps_per_update(self) -> int:
        """Of the discriminators."""
        return self.gradient_steps // self.num_updates


class TrainState(struct.PyTreeNode):
    """Everything that training goes on from.

    Attributes:
      generator: of IPPO.
      discriminators: their parameters, leading axis N.
      opt_state: of their Adam.
      key: a JAX PRNG key; the rollouts have another.
    """

    generator: ippo.TrainState
    discriminators: Any
    opt_state: Any
    key: jax.Array

    @property
    def network_params(self) -> dict[str, Any]:
        """`policies`, by which agents act, and `discriminators`, which hold the rewards; leading axis N."""
        return {"policies": self.generator.network_params, "discriminators": self.discriminators}


class Learner(NamedTuple):
    """The fixed parts of a run.

    Attributes:
      config: the settings.
      generator: IPPO.
      discriminators: of all agents.
      optimizer: of the discriminators, and of cloning.
      expert: returns the demonstrations, leading axis M; called when training is traced.
    """

    config: Config
    generator: ippo.Learner
    discriminators: Discriminators
    optimizer: optax.GradientTransformation
    expert: Callable[[], Transitions]


class RememberingReset(AutoReset):
    """An `AutoReset` that also puts what agents saw before a step, and see after it, in info.

    They are `info["obs"]` and `info["next_obs"]`, `[N, ...]`; the second is of the same episode.
    """

    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Step:
        """As `AutoReset.step`."""
        params = self.default_params if params is None else params
        seen = self.env.observe(state, params)
        *rest, info = super().step(key, state, actions, params)
        return *rest, info | {"obs": seen, "next_obs": info["final_obs"]}


def make_trainer(config: Config, env: Environment, demonstrations: Demonstrations | None = None) -> Trainer:
    """Training as two pure functions.

    Args:
      config: the settings.
      env: a game as `jaxdilemmas.make` returns it, without wrappers.
      demonstrations: what to imitate; read from `config.demonstrations` when the first update is traced, if left out.

    Returns:
      See `trainer.Trainer`. Metrics of an update: those of IPPO (`episode_return` is the game's own), and per agent
      `discriminator_loss`, the mean logits of demonstrations and of what was played (`expert_logits`, `played_logits`),
      and `learnt_reward`, the mean of what agents learnt from.

    Raises:
      ValueError: `config` holds settings of another algorithm, `env` is no game or resets itself, its actions are not
        discrete, or its observations not what the network reads.
    """
    learner = make_learner(config, env, demonstrations)
    return Trainer(init=partial(_init, learner), update=partial(_update, learner))


def make_policy(config: Config, env: Environment, greedy: bool = False) -> Policy:
    """The policy of a trained run, see `imitator.act_by`."""
    check_arguments(config, Config, env)
    return act_by(config, env, partial(action_values, config, env), greedy)


def action_values(config: Config, env: Environment, network_params: Any, obs: jax.Array) -> jax.Array:
    """The logits of the agents' policies, `[M, N, ...]` as the game shows them -> `[M, N, A]`."""
    return action_logits(make_players(config, env), network_params["policies"], obs)


def recovered_rewards(config: Config, env: Environment, network_params: Any) -> RewardFunction:
    """The rewards that trained discriminators hold: g by "airl", log D - log(1 - D) by "gail".

    Raises:
      ValueError: as `make_trainer`, or the parameters are of another network.
    """
    check_arguments(config, Config, env)
    init, judge = make_discriminators(config, env, config.method)
    needed = {"discriminators": jax.eval_shape(init, jax.random.key(0))}
    needed |= {"policies": jax.eval_shape(make_players(config, env).networks.init, jax.random.key(0))}
    check_network_params(network_params, needed)

    def rewards(obs: jax.Array, actions: jax.Array, next_obs: jax.Array, terminated: jax.Array) -> jax.Array:
        transitions = Transitions(obs, actions, next_obs, terminated)
        return judge(network_params["discriminators"], transitions, jnp.zeros(actions.shape, jnp.float32)).scores

    return rewards


def make_learner(config: Config, env: Environment, demonstrations: Demonstrations | None = None) -> Learner:
    """The fixed parts of a run; see `make_trainer`."""
    check_arguments(config, Config, env)
    check_given(demonstrations)
    return Learner(
        config=config,
        generator=ippo.Learner(config.generator, make_players(config, env), ippo.make_optimizer(config.generator)),
        discriminators=make_discriminators(config, env, config.method),
        optimizer=optax.adam(config.learning_rate),
        expert=lambda: make_sources(config, env, demonstrations).expert,
    )


def make_players(config: Config, env: Environment) -> Players:
    """The game, which resets itself, and the agents' networks."""
    return Players(RememberingReset(EpisodeStatistics(env), True), *ippo.make_networks(config.generator, env))


def action_logits(players: Players, policies: Any, obs: jax.Array) -> jax.Array:
    """The agents' logits, `[M, N, ...]` as the game shows them -> `[M, N, A]`."""
    stored = players.code.encode(obs)
    memory, starts = players.networks.initial_memory(len(stored)), jnp.zeros((1, len(stored)), bool)
    return players.networks.apply(policies, memory, stored[None], starts).logits[0]


def action_log_probs(players: Players, policies: Any, transitions: Transitions) -> jax.Array:
    """Log-probabilities `[M, N]` of what was done, under the agents' policies."""
    return critics.log_probs(action_logits(players, policies, transitions.obs), transitions.actions)


def _init(learner: Learner, key: jax.Array, env_params: Any) -> TrainState:
    """Fresh networks and environments."""
    check_key(key)
    key, key_generator, key_discriminators = jax.random.split(key, 3)
    discriminators = learner.discriminators.init(key_discriminators)
    return TrainState(
        generator=ippo.init(learner.generator, key_generator, env_params),
        discriminators=discriminators,
        opt_state=learner.optimizer.init(discriminators),
        key=key,
    )


def _update(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Metrics]:
    """Collects a rollout, trains the discriminators and then the agents on it, and returns metrics."""
    key, key_clone, key_tell = jax.random.split(train_state.key, 3)
    expert = learner.expert()
    generator = clone(learner, train_state.generator, expert, key_clone)
    generator, trajectory = ippo.play(learner.generator, generator, env_params)
    train_state = train_state.replace(generator=generator, key=key)
    train_state, losses = tell_apart(learner, train_state, expert, transitions_of(trajectory), key_tell)
    rewards = learnt_rewards(learner, train_state.discriminators, trajectory)
    generator, metrics = ippo.learn_from(learner.generator, generator, trajectory._replace(rewards=rewards))
    return train_state.replace(generator=generator), metrics | losses | {"learnt_reward": rewards.mean((0, 1))}


def clone(learner: Learner, generator: ippo.TrainState, expert: Transitions, key: jax.Array) -> ippo.TrainState:
    """Behavioural cloning, before the first update alone.

    Minimises -log pi(a | o) of demonstrations. It is a loop without steps later on, not a condition: under vmap over
    seeds both branches of a condition would be computed at every update.
    """
    num_steps = jnp.where(generator.update_index == 0, learner.config.cloning_steps, 0)

    def loss(policies: Any, batch: Transitions) -> jax.Array:
        log_probs = action_log_probs(learner.generator.players, policies, batch)
        return learner.config.l2 * optax.tree.norm(policies, squared=True) - log_probs.mean(axis=0).sum()

    def step(index: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        batch = draw(learner, expert, jax.random.fold_in(key, index))
        return descend(learner, jax.grad(loss)(carry[0], batch), carry)

    start = (generator.network_params, learner.optimizer.init(generator.network_params))
    return generator.replace(network_params=jax.lax.fori_loop(0, num_steps, step, start)[0])


def tell_apart(
    learner: Learner, train_state: TrainState, expert: Transitions, played: Transitions, key: jax.Array
) -> tuple[TrainState, Metrics]:
    """Gradient steps of the discriminators; metrics are means over them."""

    def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], Metrics]:
        key_expert, key_played = jax.random.split(key)
        batches = draw(learner, expert, key_expert), draw(learner, played, key_played)
        gradients, metrics = jax.grad(loss, has_aux=True)(carry[0], learner, train_state.generator, *batches)
        return descend(learner, gradients, carry), metrics

    keys = jax.random.split(key, learner.config.gradient_steps_per_update)
    start = (train_state.discriminators, train_state.opt_state)
    (discriminators, opt_state), metrics = jax.lax.scan(step, start, keys)
    train_state = train_state.replace(discriminators=discriminators, opt_state=opt_state)
    return train_state, jax.tree.map(partial(jnp.mean, axis=0), metrics)


def loss(
    discriminators: Any, learner: Learner, generator: ippo.TrainState, expert: Transitions, played: Transitions
) -> tuple[jax.Array, Metrics]:
    """Of the discriminators: cross-entropy, summed over agents, and the penalty on the size of parameters."""

    def logits(transitions: Transitions) -> jax.Array:
        log_probs = action_log_probs(learner.generator.players, generator.network_params, transitions)
        return learner.discriminators.judge(discriminators, transitions, log_probs).logits

    expert_logits, played_logits = logits(expert), logits(played)
    losses = cross_entropy(expert_logits, played_logits)
    means = {"expert_logits": expert_logits.mean(axis=0), "played_logits": played_logits.mean(axis=0)}
    return losses.sum() + learner.config.l2 * optax.tree.norm(discriminators, squared=True), {
        "discriminator_loss": losses
    } | means


def learnt_rewards(learner: Learner, discriminators: Any, trajectory: Trajectory) -> jax.Array:
    """The rewards that discriminators give for each step of a trajectory, `[T, B, N]` float32."""
    shape = trajectory.log_probs.shape
    judgement = learner.discriminators.judge(
        discriminators, transitions_of(trajectory), trajectory.log_probs.reshape(-1, shape[-1])
    )
    rewards = judgement.logits if learner.config.policy_reward == "logits" else judgement.scores
    return rewards.reshape(shape)


def transitions_of(trajectory: Trajectory) -> Transitions:
    """The steps of a trajectory as observations of the game, `[T, B, ...]` -> `[T * B, ...]`."""
    obs, next_obs = trajectory.info["obs"], trajectory.info["next_obs"]
    transitions = Transitions(obs, trajectory.actions, next_obs, trajectory.terminated)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), transitions)


def draw(learner: Learner, transitions: Transitions, key: jax.Array) -> Transitions:
    """A minibatch, drawn uniformly with replacement; each row under a symmetry of its own where `config.augment`."""
    chances = jax.random.uniform(key, (2, learner.config.batch_size), jnp.float32)
    batch = take_rows(jax.tree.map(jnp.asarray, transitions), choose(chances[0], len(transitions.terminated)))
    env = learner.generator.players.env
    if learner.config.augment and hasattr(env, "num_symmetries"):
        batch = turn(env, chances[1], batch)
    return devices.split(batch)


def descend(learner: Learner, gradients: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
    """One step of Adam, from and to (parameters, opt_state)."""
    updates, opt_state = learner.optimizer.update(gradients, carry[1])
    return optax.apply_updates(carry[0], updates), opt_state


ALGORITHM = make_imitator(
    "adversarial", Config, make_trainer, make_policy, recovered_rewards=recovered_rewards, action_values=action_values
)
make_train = ALGORITHM.make_train


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM)
