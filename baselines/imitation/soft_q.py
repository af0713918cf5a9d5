"""Inverse soft-Q learning: critics under which the demonstrations are what a softmax of the critics would do.

A critic Q stands for the reward Q(s, a) - gamma V(s') with V a soft maximum of Q. What is maximised is how much more of
it the demonstrations earn than the policy of the critic itself, less a penalty on its size: with y = gamma V(s'), 0
where the game ended,

  E_expert[Q(s, a) - y] - E_value[V(s) - y] - 1 / (4 alpha) E_penalty[(Q(s, a) - y)^2].

Source: Garg et al. 2021 (arXiv:2106.12142), equation 9, for one agent; Haynam et al. 2025 (MAMQL, arXiv:2503.04679)
for a critic per agent. By the code of the second (USC-Lira/ma-mql @ 7f3da20) E_value is over the policy's transitions,
E_penalty over the expert's, alpha and the inverse temperature are 1. With the penalty on expert transitions alone
rewards of actions that the expert never takes are not bounded; on both kinds they stay within 4 alpha.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from baselines.disk.schema import MOST_INT32, Count, Positive
from baselines.imitation.critics import make_critics, take
from baselines.imitation.replay import Playing, Transitions
from baselines.imitation.settings import GradientConfig
from baselines.imitation.training import Batch, Method, Metrics
from jaxdilemmas.environment import Environment, require


@dataclasses.dataclass(frozen=True)
class SoftQConfig(GradientConfig):
    """Settings of learners by inverse soft-Q learning, beside those of all imitators.

    Attributes:
      alpha: the larger, the smaller the penalty on rewards.
      inverse_temperature: lambda: policies are a softmax of this times Q, V is its soft maximum. Agents learn and play
        under it while they are trained; a trained run acts by `acting_inverse_temperature`.
      reg_samples: where rewards are penalised: on transitions of the expert, or on these and the learners' own, half
        each ("mixture").
      value_samples: where E[V(s) - gamma V(s')] is taken: on the learners' transitions ("policy"), on these and the
        expert's, half each ("half"), on the expert's ("expert"); or (1 - gamma) E[V] at the start of episodes ("v0").
      target_clip: values of next observations are cut to plus or minus this; None for no limit.
      mode: "online" learners play meanwhile, "offline" ones learn from demonstrations alone.
      num_envs: environments played side by side, online.
      rollout_steps: steps in each between updates, online.
      capacity: transitions kept of what was played, online.

    Raises:
      ValueError: a value is not allowed.
    """

    alpha: Positive = 10.0
    inverse_temperature: Positive = 1.0
    reg_samples: Literal["expert", "mixture"] = "mixture"
    value_samples: Literal["policy", "half", "expert", "v0"] = "half"
    target_clip: Positive | None = None
    mode: Literal["online", "offline"] = "online"
    num_envs: Count = 32
    rollout_steps: Count = 8
    capacity: Count = 16384

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode == "offline":
            is_recorded = self.value_samples in ("expert", "v0")
            require(is_recorded, "value_samples", self.value_samples, "expert or v0, offline")
            require(self.reg_samples == "expert", "reg_samples", self.reg_samples, "expert, offline")
        least = self.num_envs * self.rollout_steps
        require(self.capacity >= least, "capacity", self.capacity, f"at least one rollout, {least}")
        most = MOST_INT32 // least  # updates
        is_counted = self.mode == "offline" or self.num_updates <= most
        fits = f"at most {most} updates of {least} env steps, which fit int32"
        require(is_counted, "gradient_steps", self.gradient_steps, fits)

    @property
    def playing(self) -> Playing | None:
        """What is played between gradient steps; None offline."""
        if self.mode == "offline":
            return None
        return Playing(self.num_envs, self.rollout_steps, self.capacity, self.inverse_temperature)

    @property
    def env_steps_per_update(self) -> int:
        """Joint actions played between two updates."""
        return 0 if self.playing is None else self.playing.env_steps


class Reading(NamedTuple):
    """What critics say of observations.

    Attributes:
      q: `[M, N, K]`, of every action that they tell apart: the agent's own, K = A, or joint ones.
      action_values: `[M, N, A]`, of own actions: a softmax of lambda times them is the agent's policy.
      values: `[M, N]`, V.
    """

    q: jax.Array
    action_values: jax.Array
    values: jax.Array


class Weights(NamedTuple):
    """How much each transition counts in the three means, `[M]` each; a row of padding has weight 0 in all."""

    expert: jax.Array
    penalty: jax.Array
    value: jax.Array


class Critic(NamedTuple):
    """Critics that inverse soft-Q learning can train.

    Attributes:
      init: key -> network_params.
      read: (network_params, obs `[M, N, ...]`) -> `Reading`.
      entries: actions `[M, N]` -> `[M, N]`, which entries of `Reading.q` they are.
      extra_loss: (network_params, expert `Transitions`) -> `[N]`, of what else they learn.
    """

    init: Callable[[jax.Array], Any]
    read: Callable[[Any, jax.Array], Reading]
    entries: Callable[[jax.Array], jax.Array]
    extra_loss: Callable[[Any, Transitions], jax.Array] | None = None


def soft_max(q: jax.Array, inverse_temperature: float, axis: int = -1) -> jax.Array:
    """The soft maximum, log sum exp(lambda q) / lambda along an axis."""
    return jax.nn.logsumexp(inverse_temperature * q, axis=axis) / inverse_temperature


def discounted_targets(
    next_values: jax.Array, terminated: jax.Array, discount: float, clip: float | None = None
) -> jax.Array:
    """What Q is measured against, y = gamma V(s'), 0 where the game ended: `[M, N]` float32, `[M]` bool -> `[M, N]`."""
    if clip is not None:
        next_values = jnp.clip(next_values, -clip, clip)
    return discount * jnp.where(terminated[:, None], 0.0, next_values)


def objective(rewards: jax.Array, values: jax.Array, targets: jax.Array, weights: Weights, alpha: float) -> jax.Array:
    """The negative of what the module says is maximised.

    Args:
      rewards: `[M, N]`, Q(s, a) - y.
      values: `[M, N]`, V(s).
      targets: `[M, N]`, y.
      weights: `[M]` each.
      alpha: see `SoftQConfig`.

    Returns:
      `[N]` float32, of each agent. It depends on the agent's own column alone.
    """
    earned = weights.expert @ rewards
    penalty = weights.penalty @ jnp.square(rewards) / (4 * alpha)
    return weights.value @ (values - targets) - earned + penalty


def make_weights(config: SoftQConfig, num_expert: int, num_played: int) -> Weights:
    """Of rows of the expert, followed by rows that were played."""
    total = num_expert + num_played
    is_expert = jnp.arange(total, dtype=jnp.int32) < num_expert
    expert = is_expert / num_expert
    played = ~is_expert / max(num_played, 1)
    half = (expert + played) / 2
    value = {"policy": played, "half": half, "expert": expert, "v0": jnp.zeros(total, jnp.float32)}[
        config.value_samples
    ]
    return Weights(expert, expert if config.reg_samples == "expert" else half, value)


def own_critic(config: SoftQConfig, env: Environment) -> Critic:
    """Critics of each agent's own actions: whatever the others do is part of the game."""
    networks = make_critics(config, env)

    def read(network_params: Any, obs: jax.Array) -> Reading:
        q = networks.apply(network_params, obs)
        return Reading(q, q, soft_max(q, config.inverse_temperature))

    return Critic(networks.init, read, entries=lambda actions: actions)


def make_method(config: SoftQConfig, critic: Critic) -> Method:
    """Inverse soft-Q learning of some critics."""
    return Method(
        init=critic.init,
        loss=partial(_loss, config, critic),
        action_values=lambda network_params, obs: critic.read(network_params, obs).action_values,
        rewards=partial(_rewards, config, critic),
    )


def _rewards(config: SoftQConfig, critic: Critic, network_params: Any, transitions: Transitions) -> jax.Array:
    """Q(s, a) - gamma V(s'), `[M, N]`."""
    q = critic.read(network_params, transitions.obs).q
    next_values = critic.read(network_params, transitions.next_obs).values
    targets = discounted_targets(next_values, transitions.terminated, config.discount, config.target_clip)
    return take(q, critic.entries(transitions.actions)) - targets


def _loss(config: SoftQConfig, critic: Critic, network_params: Any, batch: Batch) -> tuple[jax.Array, Metrics]:
    """One pass of the networks over everything that the objective needs."""
    parts = [batch.expert] if batch.played is None else [batch.expert, batch.played]
    rows: Transitions = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
    num_expert, num_rows = len(batch.expert.actions), len(rows.actions)
    seen = [rows.obs, rows.next_obs]
    if config.value_samples == "v0":
        seen.append(batch.initial_obs)
    reading = critic.read(network_params, jnp.concatenate(seen))
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
    metrics = {
        "expert_reward": weights.expert @ rewards,
        "expert_value": weights.expert @ now.values,
        "cross_entropy": -config.inverse_temperature * weights.expert @ chosen,
    }
    return losses, metrics
