"""What learners play while they learn, kept in a ring: the newest transitions overwrite the oldest."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp
from flax import struct

from baselines.core import devices, rollout
from baselines.imitation.settings import SoftQConfig
from jaxdilemmas.environment import Environment
from jaxdilemmas.wrappers import AutoReset, EpisodeStatistics

Metrics = dict[str, jax.Array]


class Transitions(NamedTuple):
    """Steps of a game, leading axis M.

    Attributes:
      obs: `[M, N, ...]`, as the game shows them.
      actions: `[M, N]` int32.
      next_obs: `[M, N, ...]`, of the same episode.
      terminated: `[M]` bool, whether the game ended; the clock alone does not count.
    """

    obs: jax.Array
    actions: jax.Array
    next_obs: jax.Array
    terminated: jax.Array


class Ring(struct.PyTreeNode):
    """The newest transitions.

    Attributes:
      transitions: leading axis C, the capacity.
      num_written: `[]` int32, so far, also those that were overwritten.
    """

    transitions: Transitions
    num_written: jax.Array


class Experience(struct.PyTreeNode):
    """Where environments stand and what was played in them.

    Attributes:
      env_state: states of the B environments.
      obs: `[B, N, ...]`, not yet acted on.
      ring: what is learnt from.
    """

    env_state: Any
    obs: jax.Array
    ring: Ring


def write(ring: Ring, transitions: Transitions) -> Ring:
    """Adds transitions, leading axis of at most C, in place of the oldest."""
    capacity, num_new = len(ring.transitions.terminated), len(transitions.terminated)
    places = (ring.num_written + jnp.arange(num_new, dtype=jnp.int32)) % capacity
    kept = jax.tree.map(lambda old, new: old.at[places].set(new), ring.transitions, transitions)
    return Ring(kept, ring.num_written + num_new)


def draw(ring: Ring, chances: jax.Array) -> Transitions:
    """Takes rows by numbers in [0, 1) from those that were written; there is at least one."""
    num_kept = jnp.minimum(ring.num_written, len(ring.transitions.terminated))
    return take_rows(ring.transitions, choose(chances, num_kept))


def choose(chances: jax.Array, number: int | jax.Array) -> jax.Array:
    """One of 0, ..., number - 1 for each number in [0, 1), all of them for intervals of the same length; int32."""
    return jnp.minimum(jnp.floor(chances * number).astype(jnp.int32), number - 1)


def take_rows(transitions: Transitions, rows: jax.Array) -> Transitions:
    """Some transitions, by index `[K]` int32; leading axis K."""
    return jax.tree.map(lambda leaf: leaf[rows], transitions)


def start(config: SoftQConfig, env: Environment, key: jax.Array, env_params: Any) -> Experience:
    """Resets the environments; the ring is empty."""
    obs, env_state = jax.vmap(_resetting(env).reset, in_axes=(0, None))(
        jax.random.split(key, config.num_envs), env_params
    )
    kept = jax.tree.map(lambda leaf: jnp.zeros((config.capacity, *leaf.shape[1:]), leaf.dtype), obs)
    actions = jnp.zeros((config.capacity, env.num_agents), jnp.int32)
    empty = Transitions(kept, actions, kept, jnp.zeros(config.capacity, bool))
    return Experience(env_state, obs, Ring(empty, jnp.zeros((), jnp.int32)))


def play(
    config: SoftQConfig,
    env: Environment,
    action_values: Callable[[jax.Array], jax.Array],
    experience: Experience,
    key: jax.Array,
    env_params: Any,
) -> tuple[Experience, Metrics]:
    """Plays T steps in every environment and keeps them; each device plays its own environments.

    Args:
      config: how many environments and steps, and how random actions are.
      env: the game, without wrappers.
      action_values: obs `[B, N, ...]` -> values `[B, N, A]`.
      experience: from `start` or the rollout before.
      key: a JAX PRNG key, used once.
      env_params: numbers in the rules.

    Returns:
      The experience with what was played, and metrics: `env_steps` so far and `rollout.episode_metrics`.
    """
    env = _resetting(env)

    def step(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[tuple[Any, jax.Array], Any]:
        env_state, obs = carry
        key_act, key_step = jax.random.split(key)
        policy = distrax.Categorical(logits=config.inverse_temperature * action_values(obs))
        actions = rollout.sample_actions(key_act, policy)
        keys = devices.own_rows(jax.random.split(key_step, config.num_envs))
        next_obs, env_state, _, terminated, truncated, info = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, env_state, actions, env_params
        )
        taken = Transitions(obs, actions, info.pop("final_obs"), terminated)
        return (env_state, next_obs), (taken, truncated, info)

    keys = jax.random.split(key, config.rollout_steps)
    play_own = devices.in_parts(partial(jax.lax.scan, step), in_axes=(0, None), out_axes=(0, 1))
    (env_state, obs), (taken, truncated, info) = play_own((experience.env_state, experience.obs), keys)
    rows = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), devices.whole(taken))
    ring = write(experience.ring, rows)
    outcomes = rollout.episode_metrics(taken.terminated | truncated, info)
    return Experience(env_state, obs, ring), {"env_steps": ring.num_written.astype(jnp.float32)} | outcomes


def no_outcomes(num_agents: int) -> Metrics:
    """What `play` reports, for learners that do not play: no env steps, and outcomes that are not a number."""
    names = ("return", "length", "reward_steps", "reward_time")
    info = {f"episode_{name}": jnp.zeros((1, 1, num_agents), jnp.float32) for name in names}
    return {"env_steps": jnp.float32(0)} | rollout.episode_metrics(jnp.zeros((1, 1), bool), info)


def _resetting(env: Environment) -> Environment:
    return AutoReset(EpisodeStatistics(env), final_observation=True)
