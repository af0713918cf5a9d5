"""Multi-agent marginal Q-learning (MAMQL): recovers the reward of each agent from demonstrations of all agents.

Every agent has a critic Q of its own actions, marginalised over the actions of the others, and acts by a softmax of Q.
To each agent the others are a part of the game, so that inverse soft-Q learning of a single agent applies. A critic Q
stands for the reward r(s, a) = Q(s, a) - y, with y = gamma V(s') and V the soft maximum of Q; y is 0 where the game
ended. The objective is the reward that demonstrations earn, less the value of the critic's own policy, less a penalty
on large rewards. For each agent it maximises

  E_expert[Q(s, a) - y] - E_value[V(s) - y] - 1 / (4 alpha) E_penalty[(Q(s, a) - y)^2].

The marginal is either implicit, since demonstrated transitions are samples of what the others do, or explicit: critics
of joint actions, averaged over policies of the others that are fitted to the demonstrations.

Source: Haynam et al. 2025 (arXiv:2503.04679) for a critic per agent; Garg et al. 2021 (IQ-Learn, arXiv:2106.12142),
equation 9, for one agent. The loss of the code of the first (USC-Lira/ma-mql @ 7f3da20) is
`Config(reg_samples="expert", value_samples="policy", alpha=1, inverse_temperature=1)`: E_value is over transitions of
the policy, E_penalty over those of the expert. With the penalty on expert transitions alone, rewards of actions that
the expert never takes are not bounded; on both kinds of transitions they stay within 4 alpha.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp

from baselines.core.trainer import check_arguments
from baselines.imitation.critics import discounted_targets, log_probs, make_critics, soft_max, take
from baselines.imitation.imitator import declare
from baselines.imitation.joint_actions import count_actions, count_joint_actions, joint_index, marginalise
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import SoftQConfig
from baselines.imitation.training import Batch, Method, Metrics
from jaxdilemmas.environment import Environment


class Weights(NamedTuple):
    """How much each transition counts in the three means, `[M]` float32 each; 0 for a row of padding."""

    expert: jax.Array
    penalty: jax.Array
    value: jax.Array


class Reading(NamedTuple):
    """The output of critics for observations.

    Attributes:
      q: `[M, N, K]`, values of the agent's own actions, K = A, or of joint actions.
      action_values: `[M, N, A]`, values of own actions: the agent's policy is a softmax of lambda times them.
      values: `[M, N]`, V.
    """

    q: jax.Array
    action_values: jax.Array
    values: jax.Array


class Critic(NamedTuple):
    """Critics that inverse soft-Q learning can train.

    Attributes:
      init: key -> network_params.
      read: (network_params, obs `[M, N, ...]`) -> `Reading`.
      entries: actions `[M, N]` -> `[M, N]`, the entries of `Reading.q` that they are.
      extra_loss: (network_params, expert `Transitions`) -> `[N]`, the loss of networks other than the critics.
    """

    init: Callable[[jax.Array], Any]
    read: Callable[[Any, jax.Array], Reading]
    entries: Callable[[jax.Array], jax.Array]
    extra_loss: Callable[[Any, Transitions], jax.Array] | None = None


def loss(config: SoftQConfig, critic: Critic, network_params: Any, batch: Batch) -> tuple[jax.Array, Metrics]:
    """The negative objective of each agent on a minibatch, `[N]`, and metrics `[N]`; one pass of the networks."""
    parts = [batch.expert] if batch.played is None else [batch.expert, batch.played]
    rows: Transitions = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
    num_expert, num_rows = len(batch.expert.actions), len(rows.actions)
    starts = [batch.initial_obs] if config.value_samples == "v0" else []
    seen = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), rows.obs, rows.next_obs, *starts)
    reading = critic.read(network_params, seen)
    now, following, first = (
        jax.tree.map(lambda leaf, part=part: leaf[part], reading)
        for part in (slice(num_rows), slice(num_rows, 2 * num_rows), slice(2 * num_rows, None))
    )
    targets = discounted_targets(following.values, rows.terminated, config.discount, config.target_clip)
    rewards = take(now.q, critic.entries(rows.actions)) - targets
    weights = make_weights(config, num_expert, num_rows - num_expert)
    losses = objective(rewards, now.values, targets, weights, config.alpha)
    if config.value_samples == "v0":
        losses += (1 - config.discount) * first.values.mean(0)
    if critic.extra_loss is not None:
        losses += critic.extra_loss(network_params, batch.expert)
    chosen = take(now.action_values, rows.actions) - soft_max(now.action_values, config.inverse_temperature)
    return losses, {
        "expert_reward": weights.expert @ rewards,
        "expert_value": weights.expert @ now.values,
        "cross_entropy": -config.inverse_temperature * weights.expert @ chosen,
    }


def objective(rewards: jax.Array, values: jax.Array, targets: jax.Array, weights: Weights, alpha: float) -> jax.Array:
    """The negative of the objective of the module: -E_expert[r] + E_value[V - y] + E_penalty[r^2] / (4 alpha).

    Args:
      rewards: `[M, N]` float32, r = Q(s, a) - y.
      values: `[M, N]` float32, V(s).
      targets: `[M, N]` float32, y.
      weights: `[M]` each.
      alpha: see `SoftQConfig`.

    Returns:
      `[N]` float32. The entry of an agent depends on its own column alone.
    """
    chex.assert_rank(rewards, 2)
    chex.assert_equal_shape([rewards, values, targets])
    earned = weights.expert @ rewards
    penalty = weights.penalty @ jnp.square(rewards) / (4 * alpha)
    return weights.value @ (values - targets) - earned + penalty


def make_weights(config: SoftQConfig, num_expert: int, num_played: int) -> Weights:
    """The weights of rows of the expert, followed by rows that were played."""
    total = num_expert + num_played
    is_expert = jnp.arange(total, dtype=jnp.int32) < num_expert
    expert = is_expert / num_expert
    played = ~is_expert / max(num_played, 1)
    half = (expert + played) / 2
    value = {"policy": played, "half": half, "expert": expert, "v0": jnp.zeros(total, jnp.float32)}
    return Weights(expert, expert if config.reg_samples == "expert" else half, value[config.value_samples])


def recover(config: SoftQConfig, critic: Critic, network_params: Any, transitions: Transitions) -> jax.Array:
    """The rewards that critics stand for, Q(s, a) - gamma V(s'), `[M, N]`."""
    q = critic.read(network_params, transitions.obs).q
    next_values = critic.read(network_params, transitions.next_obs).values
    targets = discounted_targets(next_values, transitions.terminated, config.discount, config.target_clip)
    return take(q, critic.entries(transitions.actions)) - targets


def learn_by(config: SoftQConfig, critic: Critic) -> Method:
    """Inverse soft-Q learning of some critics, for the loop that imitators share."""
    return Method(
        init=critic.init,
        loss=partial(loss, config, critic),
        action_values=lambda network_params, obs: critic.read(network_params, obs).action_values,
        rewards=partial(recover, config, critic),
    )


@dataclasses.dataclass(frozen=True)
class Config(SoftQConfig):
    """Settings of one training run, in addition to those in `imitation.settings`.

    Attributes:
      marginalisation: "sampled": critics of own actions. "explicit": critics of joint actions, averaged over policies
        of the others that are fitted to the demonstrations; for few agents and actions. In the limit both are the same
        where the demonstrators act independently of each other.
    """

    marginalisation: Literal["sampled", "explicit"] = "sampled"


def make_method(config: Config, env: Environment) -> Method:
    """The imitator, see `imitation.training.Method`; the rewards that it recovers are Q(s, a) - gamma V(s').

    Raises:
      ValueError: as `trainer.check_arguments` and `critics.make_critics`.
    """
    check_arguments(config, Config, env)
    return learn_by(config, (explicit_critic if config.marginalisation == "explicit" else own_critic)(config, env))


def own_critic(config: SoftQConfig, env: Environment) -> Critic:
    """Critics of each agent's own actions: the actions of the others are a part of the game."""
    networks = make_critics(config, env)

    def read(network_params: Any, obs: jax.Array) -> Reading:
        q = networks.apply(network_params, obs)
        return Reading(q, q, soft_max(q, config.inverse_temperature))

    return Critic(networks.init, read, entries=lambda actions: actions)


class ExplicitParams(NamedTuple):
    """Of the critics of joint actions, and of the networks that are fitted to the actions in the demonstrations."""

    critics: Any
    policies: Any


def explicit_critic(config: Config, env: Environment) -> Critic:
    """Critics of joint actions, averaged over policies that are fitted to the demonstrations."""
    joint, policies = make_critics(config, env, count_joint_actions(env)), make_critics(config, env)
    num_actions = count_actions(env)

    def init(key: jax.Array) -> ExplicitParams:
        key_critics, key_policies = jax.random.split(key)
        return ExplicitParams(joint.init(key_critics), policies.init(key_policies))

    def read(network_params: ExplicitParams, obs: jax.Array) -> Reading:
        q = joint.apply(network_params.critics, obs)
        logits = jax.lax.stop_gradient(policies.apply(network_params.policies, obs))
        marginal_q = marginalise(q, jax.nn.softmax(logits), num_actions)
        return Reading(q, marginal_q, soft_max(marginal_q, config.inverse_temperature))

    def policy_loss(network_params: ExplicitParams, expert: Transitions) -> jax.Array:
        return -log_probs(policies.apply(network_params.policies, expert.obs), expert.actions).mean(0)

    return Critic(init, read, partial(joint_index, num_actions=num_actions), policy_loss)


ALGORITHM = declare("mamql", Config, make_method)
make_trainer, make_train, make_policy = ALGORITHM.make_trainer, ALGORITHM.make_train, ALGORITHM.make_policy
recovered_rewards = ALGORITHM.recovered_rewards


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM)
