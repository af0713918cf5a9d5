"""Playing many games at once with the current networks."""

import math
from functools import partial
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp
from flax import struct

from baselines.core import devices
from baselines.core.networks import AgentNetworks
from baselines.core.observations import ObservationCode
from jaxdilemmas.batching import compute_if
from jaxdilemmas.environment import Environment
from jaxdilemmas.metrics import social_metrics
from jaxdilemmas.uniforms import split, uniform


class RolloutCarry(struct.PyTreeNode):
    """Where a rollout stopped and the next goes on.

    Attributes:
      env_state: states of the B environments.
      obs: `[B, N, ...]`, stored observations (`observations.ObservationCode`) not yet acted on.
      starts: `[B]` bool, which of them are the first of an episode.
      memory: `[B, N, H]` float32, or a pytree of such arrays.
      key: a JAX PRNG key.
    """

    env_state: Any
    obs: jax.Array
    starts: jax.Array
    memory: Any
    key: jax.Array


CARRY_AXES: Any = RolloutCarry(env_state=0, obs=0, starts=0, memory=0, key=None)  # type: ignore[arg-type]
"""Axes of the environments, for `devices.in_parts`."""


class Trajectory(NamedTuple):
    """What happened, leading axes `[T, B]`.

    Attributes:
      obs: `[T, B, N, ...]`, stored observations.
      starts: `[T, B]` bool, whether they are the first of an episode.
      memory: `[T, B, N, H]` float32, before the step.
      actions: `[T, B, N]` int32.
      log_probs: `[T, B, N]` float32, of the actions under the policy that took them.
      values: `[T, B, N]` float32.
      next_values: `[T, B, N]` float32, of the observation that follows in the same episode, also past the time limit.
      rewards: `[T, B, N]` float32.
      terminated: `[T, B]` bool.
      truncated: `[T, B]` bool.
      info: a dict of `[T, B, N]` arrays.
    """

    obs: jax.Array
    starts: jax.Array
    memory: jax.Array
    actions: jax.Array
    log_probs: jax.Array
    values: jax.Array
    next_values: jax.Array
    rewards: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    info: dict[str, jax.Array]


class Players(NamedTuple):
    """An environment, how its observations are stored, and the networks that play it.

    Attributes:
      env: resets itself and has `info["final_obs"]` (`jaxdilemmas.AutoReset(..., final_observation=True)`).
      code: how observations are stored.
      networks: of all its agents.
    """

    env: Environment
    code: ObservationCode
    networks: AgentNetworks


def start(players: Players, key: jax.Array, env_params: Any, num_envs: int) -> RolloutCarry:
    """Resets `num_envs` environments."""
    key, key_reset = jax.random.split(key)
    obs, env_state = jax.vmap(players.env.reset, in_axes=(0, None))(jax.random.split(key_reset, num_envs), env_params)
    memory = players.networks.initial_memory(num_envs)
    return RolloutCarry(env_state, players.code.encode(obs), jnp.ones(num_envs, bool), memory, key)


def collect(
    players: Players, network_params: Any, env_params: Any, carry: RolloutCarry, num_steps: int
) -> tuple[RolloutCarry, Trajectory]:
    """Plays `num_steps` steps in every environment; each device plays its own.

    Args:
      players: who plays what.
      network_params: of `players.networks`.
      env_params: numbers in the rules, the same for all environments.
      carry: from `start` or the rollout before.
      num_steps: T.

    Returns:
      The carry for the next rollout and a `Trajectory`.
    """
    collect_own = partial(_collect, players, num_steps)
    play = devices.in_parts(collect_own, in_axes=(None, None, CARRY_AXES), out_axes=(CARRY_AXES, 1))
    return play(network_params, env_params, carry)


def _collect(
    players: Players, num_steps: int, network_params: Any, env_params: Any, carry: RolloutCarry
) -> tuple[RolloutCarry, Trajectory]:
    """As `collect`, with the environments of one device."""
    carry, trajectory = jax.lax.scan(partial(_step, players, network_params, env_params), carry, length=num_steps)
    last_values = _values(players, network_params, carry.memory, carry.obs)
    following = jnp.concatenate([trajectory.values[1:], last_values[None]])
    next_values = jnp.where(trajectory.truncated[..., None], trajectory.next_values, following)
    return carry, trajectory._replace(next_values=next_values)


def episode_metrics(ended: jax.Array, info: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Means over episodes that ended in a rollout: `episode_return`, `tagged_steps` `[N]`, social metrics `[]`.

    Games without tagging have no `tagged_steps`. Episodes in which a metric is not defined do not count for it.

    Args:
      ended: `[T, B]` bool.
      info: `[T, B, N]` arrays, with those of `EpisodeStatistics`.

    Returns:
      float32; NaN if no episode counts.
    """
    outcomes = {"episode_return": info["episode_return"]} | social_metrics(info)
    if "episode_tagged_steps" in info:
        outcomes["tagged_steps"] = info["episode_tagged_steps"]

    def mean_over_ended(outcome: jax.Array) -> jax.Array:
        is_counted = ended.reshape(ended.shape + (1,) * (outcome.ndim - ended.ndim)) & ~jnp.isnan(outcome)
        return jnp.mean(outcome, axis=(0, 1), where=is_counted)

    return jax.tree.map(mean_over_ended, outcomes)


def sample_actions(key: jax.Array, policy: distrax.Categorical) -> jax.Array:
    """Draws one action per distribution, `[M, ..., A]` -> `[M, ...]` int32, by inverting the cumulative probabilities.

    One random number per action, where adding Gumbel noise takes one per possible action and most of a step's time.
    """
    cumulative = jnp.cumsum(policy.probs, axis=-1)
    num_rows, *others = policy.batch_shape
    shape = (devices.num_rows(num_rows), *others, 1)
    uniforms = devices.own_rows(uniform(key, math.prod(shape)).reshape(shape))
    return jnp.minimum(jnp.sum(cumulative <= uniforms, axis=-1, dtype=jnp.int32), policy.num_categories - 1)


def _step(
    players: Players, network_params: Any, env_params: Any, carry: RolloutCarry, _: None
) -> tuple[RolloutCarry, Trajectory]:
    """One step in every environment; `next_values` is filled in only where the clock ended an episode."""
    keys = split(carry.key, devices.num_rows(len(carry.starts)) + 2)
    keys_env = devices.own_rows(keys[2:])
    memory, logits, values = players.networks.apply(network_params, carry.memory, carry.obs[None], carry.starts[None])
    policy = distrax.Categorical(logits=logits[0])
    actions = sample_actions(keys[1], policy)
    step = jax.vmap(players.env.step, in_axes=(0, 0, 0, None))
    obs, env_state, rewards, terminated, truncated, info = step(keys_env, carry.env_state, actions, env_params)
    final_obs = info.pop("final_obs")
    next_values = compute_if(
        lambda: _values(players, network_params, memory, players.code.encode(final_obs)),
        truncated.any(),
        otherwise=lambda: jnp.zeros_like(rewards),
    )
    taken = Trajectory(
        obs=carry.obs,
        starts=carry.starts,
        memory=carry.memory,
        actions=actions,
        log_probs=policy.log_prob(actions),
        values=values[0],
        next_values=next_values,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        info=info,
    )
    return RolloutCarry(env_state, players.code.encode(obs), terminated | truncated, memory, keys[0]), taken


def _values(players: Players, network_params: Any, memory: jax.Array, obs: jax.Array) -> jax.Array:
    """Values `[B, N]` of stored observations `[B, N, ...]` that go on from `memory`."""
    starts = jnp.zeros((1, len(obs)), bool)
    return players.networks.apply(network_params, memory, obs[None], starts)[2][0]
