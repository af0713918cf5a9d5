"""Advantages and value targets."""

import jax
import jax.numpy as jnp


def generalized_advantages(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    discount: float,
    gae_lambda: float,
) -> jax.Array:
    """Generalized advantage estimation that treats the end of the game and the end of the clock differently.

    A_t = delta_t + discount * gae_lambda * A_{t+1}, the second term only within an episode, with
    delta_t = r_t + discount * V(s_{t+1}) - V(s_t). V(s_{t+1}) is 0 where the game ended (`terminated`). Where the clock
    ended it (`truncated`) it is the value of the state that the episode would have gone on from.

    Args:
      rewards: `[T, ...]` float32.
      values: `[T, ...]` float32, V(s_t).
      next_values: `[T, ...]` float32, V(s_{t+1}), of the same episode as s_t.
      terminated: `[T, ...]` bool, of the step from t to t + 1; broadcasts against rewards.
      truncated: `[T, ...]` bool, of the step from t to t + 1; broadcasts against rewards.
      discount: gamma, in [0, 1].
      gae_lambda: lambda, in [0, 1].

    Returns:
      Advantages `[T, ...]` float32; the value targets are advantages + values.

    Source: Schulman et al. 2016 (arXiv:1506.02438), equation 16; Pardo et al. 2018 (arXiv:1712.00378) for time limits.
    """
    deltas = rewards + discount * jnp.where(terminated, 0.0, next_values) - values
    decays = jnp.where(terminated | truncated, 0.0, discount * gae_lambda) * jnp.ones_like(rewards)

    def add_step(advantage: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        delta, decay = step
        advantage = delta + decay * advantage
        return advantage, advantage

    return jax.lax.scan(add_step, jnp.zeros_like(rewards[0]), (deltas, decays), reverse=True)[1]
