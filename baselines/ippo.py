"""Independent proximal policy optimisation (IPPO): every agent learns by PPO as if the others were part of the game.

With r the ratio of the new to the old probability of an action, A its advantage, v the value and R its target, the loss
is the mean over steps and agents of

  -min(r A, clip(r, 1 - epsilon, 1 + epsilon) A) + c_v (v - R)^2 / 2 - c_e entropy.

Advantages are those of generalized advantage estimation (`core.returns`), and R = A + v of the rollout.

Source: Schulman et al. 2017 (arXiv:1707.06347), equations 7 and 9; values are clipped as in its authors'
implementation. De Witt et al. 2020 (arXiv:2011.09533) for independent learners.
"""

import dataclasses
from functools import partial
from typing import Any, Literal, NamedTuple

import chex
import distrax
import jax
import jax.numpy as jnp
import optax
from flax import struct

from baselines.core import minibatches, rollout
from baselines.core.networks import ActorCritic, AgentNetworks, make_agent_networks
from baselines.core.observations import ObservationCode, Torso
from baselines.core.reported import event_rates
from baselines.core.returns import generalized_advantages
from baselines.core.rollout import Players, RolloutCarry, Trajectory
from baselines.core.shaping import parse_bonus, pay_bonus, report_bonus
from baselines.core.trainer import Algorithm, Policy, RolloutBudget, Trainer, check_arguments, check_budget
from baselines.disk.schema import Count, EvenWidth, Fraction, NonNegative, Positive, check_fields
from jaxdilemmas import preferences
from jaxdilemmas.arguments import check_flag, check_kind, require
from jaxdilemmas.environment import Environment, check_key
from jaxdilemmas.preferences import Preference
from jaxdilemmas.spaces import Discrete
from jaxdilemmas.wrappers import AutoReset, EpisodeStatistics, TransformRewards

Metrics = dict[str, jax.Array]


class TrainState(struct.PyTreeNode):
    """Everything that training goes on from.

    Attributes:
      network_params: of the agents' networks.
      opt_state: of the optimiser.
      update_index: `[]` int32, updates done.
      rollout: where the environments stand.
    """

    network_params: Any
    opt_state: Any
    update_index: jax.Array
    rollout: RolloutCarry


class Batch(NamedTuple):
    """The part of a rollout that the loss reads, `[T, M, ...]`: see `rollout.Trajectory`; the last two `[T, M, N]`."""

    obs: jax.Array
    starts: jax.Array
    memory: jax.Array
    actions: jax.Array
    log_probs: jax.Array
    values: jax.Array
    advantages: jax.Array
    value_targets: jax.Array


class Learner(NamedTuple):
    """The fixed parts of a run."""

    config: "Config"
    players: Players
    optimizer: optax.GradientTransformation


def update(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Metrics]:
    """One update: collects a rollout, computes advantages, and descends on minibatches for several epochs."""
    return learn_from(learner, *play(learner, train_state, env_params))


def play(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Trajectory]:
    """Collects one rollout with the current networks."""
    carry, trajectory = rollout.collect(
        learner.players, train_state.network_params, env_params, train_state.rollout, learner.config.rollout_steps
    )
    return train_state.replace(rollout=carry), trajectory


def learn_from(learner: Learner, train_state: TrainState, trajectory: Trajectory) -> tuple[TrainState, Metrics]:
    """The rest of an update; agents learn from the rewards in the trajectory, and from the bonus."""
    config, carry = learner.config, train_state.rollout
    key, key_learn = jax.random.split(carry.key)
    first_step = train_state.update_index.astype(jnp.float32) * config.env_steps_per_update
    trajectory, paid = pay_bonus(trajectory, config.bonus_steps, first_step) if config.bonus else (trajectory, {})
    train_state = train_state.replace(rollout=carry.replace(key=key))
    train_state, losses = run_epochs(learner, train_state, make_batch(config, trajectory), key_learn)
    train_state = train_state.replace(update_index=train_state.update_index + 1)
    env_steps = train_state.update_index.astype(jnp.float32) * config.env_steps_per_update
    ended = trajectory.terminated | trajectory.truncated
    outcomes = rollout.episode_metrics(ended, trajectory.info) | event_rates(trajectory.info)
    return train_state, {"env_steps": env_steps} | outcomes | paid | losses


def make_batch(config: "Config", trajectory: Trajectory) -> Batch:
    """Adds advantages and value targets to a trajectory; networks without memory get each step by itself."""
    advantages = generalized_advantages(
        config.reward_scale * trajectory.rewards,
        trajectory.values,
        trajectory.next_values,
        trajectory.terminated[..., None],
        trajectory.truncated[..., None],
        config.discount,
        config.gae_lambda,
    )
    kept = {name: getattr(trajectory, name) for name in Batch._fields if name in Trajectory._fields}
    batch = Batch(**kept, advantages=advantages, value_targets=advantages + trajectory.values)
    return batch if config.network == "gru" else minibatches.join_time(batch)


def run_epochs(learner: Learner, train_state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
    """Several epochs of minibatch descent on one rollout; metrics are means over all minibatches."""
    config = learner.config
    progress = train_state.update_index / config.num_updates
    rates = {
        "learning_rate": interpolate(config.learning_rate, config.final_learning_rate, progress),
        "entropy_coefficient": interpolate(config.entropy_coefficient, config.final_entropy_coefficient, progress),
    }

    def run_epoch(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], Metrics]:
        deck = minibatches.shuffle(key, batch, config.num_minibatches)
        return jax.lax.scan(lambda carry, minibatch: descend(learner, carry, minibatch, rates), carry, deck)

    start = (train_state.network_params, train_state.opt_state)
    (network_params, opt_state), losses = jax.lax.scan(run_epoch, start, jax.random.split(key, config.num_epochs))
    train_state = train_state.replace(network_params=network_params, opt_state=opt_state)
    return train_state, jax.tree.map(jnp.mean, losses) | rates


def descend(
    learner: Learner, carry: tuple[Any, Any], batch: Batch, rates: dict[str, jax.Array]
) -> tuple[tuple[Any, Any], Metrics]:
    """One gradient step on one minibatch, from and to (network_params, opt_state)."""
    network_params, opt_state = carry
    gradients, metrics = jax.grad(loss, has_aux=True)(network_params, batch, learner, rates["entropy_coefficient"])
    updates, opt_state = learner.optimizer.update(gradients, opt_state)
    network_params = jax.tree.map(lambda p, u: p - rates["learning_rate"] * u, network_params, updates)
    return (network_params, opt_state), metrics | {"gradient_norm": optax.tree.norm(gradients)}


def loss(
    network_params: Any, batch: Batch, learner: Learner, entropy_coefficient: jax.Array
) -> tuple[jax.Array, Metrics]:
    """The loss of the module's equation on one minibatch, `[]`, and metrics `[]`."""
    config = learner.config
    _, logits, values = learner.players.networks.apply(network_params, batch.memory[0], batch.obs, batch.starts)
    policy = distrax.Categorical(logits=logits)
    log_ratios = policy.log_prob(batch.actions) - batch.log_probs
    policy_loss = clipped_objective(config, log_ratios, batch.advantages)
    value_loss = value_error(config, values, batch)
    entropy = policy.entropy().mean()
    ratios = jnp.exp(log_ratios)
    metrics = {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": jnp.mean(ratios - 1 - log_ratios),
        "clip_fraction": jnp.mean(jnp.abs(ratios - 1) > config.clip_range),
    }
    return policy_loss + config.value_coefficient * value_loss - entropy_coefficient * entropy, metrics


def clipped_objective(config: "Config", log_ratios: jax.Array, advantages: jax.Array) -> jax.Array:
    """-E[min(r A, clip(r, 1 - epsilon, 1 + epsilon) A)]: `[T, M, N]` float32, `[T, M, N]` float32 -> `[]` float32."""
    chex.assert_equal_shape([log_ratios, advantages])
    if config.normalize_advantages:
        deviation = advantages.std(axis=(0, 1)) + 1e-8
        advantages = (advantages - advantages.mean(axis=(0, 1))) / deviation
    ratios = jnp.exp(log_ratios)
    clipped = jnp.clip(ratios, 1 - config.clip_range, 1 + config.clip_range)
    return -jnp.minimum(ratios * advantages, clipped * advantages).mean()


def value_error(config: "Config", values: jax.Array, batch: Batch) -> jax.Array:
    """E[(v - R)^2] / 2 of values `[T, M, N]` float32, `[]`; if values are clipped, the larger of both errors."""
    chex.assert_equal_shape([values, batch.value_targets])
    errors = jnp.square(values - batch.value_targets)
    if config.value_clip_range is not None:
        change = jnp.clip(values - batch.values, -config.value_clip_range, config.value_clip_range)
        errors = jnp.maximum(errors, jnp.square(batch.values + change - batch.value_targets))
    return 0.5 * errors.mean()


def interpolate(first: float, last: float, progress: jax.Array) -> jax.Array:
    """A straight line from `first` at progress 0 to `last` at progress 1; `[]` float32 -> `[]` float32."""
    return first + (last - first) * progress


@dataclasses.dataclass(frozen=True)
class Config(RolloutBudget):
    """Settings of one training run.

    Attributes:
      reward: the rewards that agents learn from: their own, the sum of all, or their own less the cost of inequity.
      envy: cost of others faring better, with reward "inequity_averse"; see `preferences.inequity_averse`.
      guilt: cost of others faring worse, with reward "inequity_averse".
      bonus: an extra reward for events, as event=weight, such as potted=3; events are those of the game's info.
      bonus_steps: env steps in which the bonus fades to 0, in a straight line; None for a bonus that stays.
      parameters: one network for all agents or one for each.
      agent_id: whether shared networks also read the number of the agent.
      network: "mlp", "conv", "gru", or "set" where the game shows entities.
      hidden_size: width of the network's layers, even.
      total_env_steps: length of training; whole updates only.
      num_envs: environments played side by side.
      rollout_steps: steps in each between updates; a divisor of the episode length puts time limits on the edge.
      num_epochs: passes over each rollout.
      num_minibatches: parts of a pass. They hold steps; with "gru" whole sequences, so they must divide `num_envs`.
      learning_rate: of Adam, at the start; linear in between.
      final_learning_rate: at the end.
      entropy_coefficient: weight of the entropy bonus, at the start; linear in between.
      final_entropy_coefficient: at the end.
      value_coefficient: weight of the value loss.
      discount: gamma.
      gae_lambda: lambda.
      clip_range: how far the ratio of probabilities may leave 1.
      value_clip_range: how far values may leave the old ones; None for no limit.
      max_gradient_norm: longer gradients are cut to this global norm.
      normalize_advantages: whether each minibatch's advantages get mean 0 and standard deviation 1, per agent.
      reward_scale: factor on the rewards that agents learn from.

    Raises:
      ValueError: a value is not allowed.
    """

    reward: Literal["individual", "common", "inequity_averse"] = "individual"
    envy: NonNegative = 5.0
    guilt: NonNegative = 0.05
    bonus: tuple[str, ...] = ()
    bonus_steps: Count | None = None
    parameters: Literal["shared", "separate"] = "shared"
    agent_id: bool = False
    network: Torso = "mlp"
    hidden_size: EvenWidth = 64
    total_env_steps: Count = 1_000_000
    num_envs: Count = 128
    rollout_steps: Count = 125
    num_epochs: Count = 4
    num_minibatches: Count = 8
    learning_rate: Positive = 1e-3
    final_learning_rate: NonNegative = 0.0
    entropy_coefficient: NonNegative = 0.01
    final_entropy_coefficient: NonNegative = 0.0
    value_coefficient: NonNegative = 0.5
    discount: Fraction = 0.95
    gae_lambda: Fraction = 0.8
    clip_range: Positive = 0.2
    value_clip_range: Positive | None = None
    max_gradient_norm: Positive = 0.5
    normalize_advantages: bool = True
    reward_scale: Positive = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        parse_bonus(self.bonus)
        has_memory = self.network == "gru"
        units = self.num_envs if has_memory else self.env_steps_per_update
        divisor = f"a divisor of {'num_envs' if has_memory else 'num_envs * rollout_steps'} = {units}"
        require(units % self.num_minibatches == 0, "num_minibatches", self.num_minibatches, divisor)
        check_budget(self)
        is_told = self.agent_id and self.parameters == "separate"
        require(not is_told, "agent_id", self.agent_id, "False when parameters are separate")

    @property
    def split_over_devices(self) -> dict[str, int]:
        """The numbers that several devices share out."""
        units = "num_envs" if self.network == "gru" else "num_envs * rollout_steps"
        total = self.num_envs if self.network == "gru" else self.env_steps_per_update
        return super().split_over_devices | {f"{units} / num_minibatches": total // self.num_minibatches}

    @property
    def without_effect(self) -> dict[str, str]:
        """The settings that nothing reads, each with the settings with which it is read."""
        return {} if self.reward == "inequity_averse" else dict.fromkeys(("envy", "guilt"), "reward='inequity_averse'")


def make_trainer(config: Config, env: Environment, preference: Preference | None = None) -> Trainer:
    """Training as two pure functions.

    Args:
      config: the settings.
      env: a game as `jaxdilemmas.make` returns it, without wrappers.
      preference: the rewards that agents learn from, in place of those that `config.reward` names.

    Returns:
      See `trainer.Trainer`. Metrics of an update: `rollout.episode_metrics`, `reported.event_rates`, the losses, and
      the values of the schedules.
    """
    code, networks = make_networks(config, env)
    preference = make_preference(config) if preference is None else preference
    check_kind("preference", preference, Preference, "a Preference, such as jaxdilemmas.preferences.common()")
    env = EpisodeStatistics(report_bonus(env, config.bonus))
    env = AutoReset(TransformRewards(env, preference), final_observation=True)
    learner = Learner(config, Players(env, code, networks), make_optimizer(config))
    return Trainer(init=partial(init, learner), update=partial(update, learner))


def init(learner: Learner, key: jax.Array, env_params: Any) -> TrainState:
    """Fresh networks and environments."""
    check_key(key)
    key_networks, key_rollout = jax.random.split(key)
    network_params = learner.players.networks.init(key_networks)
    return TrainState(
        network_params=network_params,
        opt_state=learner.optimizer.init(network_params),
        update_index=jnp.zeros((), jnp.int32),
        rollout=rollout.start(learner.players, key_rollout, env_params, learner.config.num_envs),
    )


def make_preference(config: Config) -> Preference:
    """The preference that `config.reward` names."""
    if config.reward == "inequity_averse":
        return preferences.inequity_averse(envy=config.envy, guilt=config.guilt)
    return {"individual": preferences.individual, "common": preferences.common}[config.reward]()


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Adam on gradients cut to a global norm; `descend` multiplies by the learning rate of the update."""
    return optax.chain(optax.clip_by_global_norm(config.max_gradient_norm), optax.scale_by_adam(eps=1e-5))


def make_networks(config: Config, env: Environment) -> tuple[ObservationCode, AgentNetworks]:
    """The networks of all agents and how their observations are stored.

    Raises:
      ValueError: `config` holds settings of another algorithm, `env` is no game or resets itself, its actions are not
        discrete, or its observations not what the network reads.
    """
    check_arguments(config, Config, env)
    actions = env.action_space
    code = ObservationCode.for_network(env, config.network)
    if not isinstance(actions, Discrete):
        raise ValueError(f"action_space={actions!r} is not allowed: IPPO needs a Discrete one")
    num_ids = env.num_agents if config.agent_id else 0
    module = ActorCritic(code, actions.n, config.network, config.hidden_size, num_ids)
    return code, make_agent_networks(module, env.num_agents, config.parameters == "shared")


def make_policy(config: Config, env: Environment, greedy: bool = False) -> Policy:
    """The policy of a trained run, in one environment: sampled actions, or the most likely ones when `greedy`.

    Raises:
      ValueError: as `make_networks`, or `greedy` is no bool.
    """
    check_flag("greedy", greedy)
    code, networks = make_networks(config, env)

    def act(network_params: Any, obs: jax.Array, memory: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        starts = jnp.zeros((1, 1), bool)
        memory, logits, _ = networks.apply(network_params, memory[None], code.encode(obs)[None, None], starts)
        policy = distrax.Categorical(logits=logits[0, 0])
        return policy.mode() if greedy else policy.sample(seed=key), memory[0]

    return Policy(act=act, initial_memory=networks.initial_memory(1)[0])


ALGORITHM = Algorithm("ippo", Config, make_trainer, make_policy)
make_train = ALGORITHM.make_train


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM)
