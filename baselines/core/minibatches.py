"""Splitting what was collected into shuffled minibatches."""

from typing import Any

import jax
import jax.numpy as jnp

from baselines.core import devices


def join_time(batch: Any) -> Any:
    """Makes every step a sequence of its own, for networks without memory: `[T, B, ...]` -> `[1, T * B, ...]`."""
    batch = devices.whole(batch)
    return jax.tree.map(lambda x: x.reshape(1, x.shape[0] * x.shape[1], *x.shape[2:]), batch)


def shuffle(key: jax.Array, batch: Any, num_minibatches: int) -> Any:
    """Deals sequences out at random, each to one minibatch; each device learns from its part of every minibatch.

    Args:
      key: a JAX PRNG key, used once.
      batch: a pytree with leaves `[T, B, ...]`; sequences along T stay whole.
      num_minibatches: divides B.

    Returns:
      The pytree with leaves `[num_minibatches, T, B / num_minibatches, ...]`.
    """
    num_sequences = jax.tree.leaves(batch)[0].shape[1]
    order = jnp.argsort(jax.random.bits(key, (num_sequences,))).reshape(num_minibatches, -1)
    batch = devices.whole(batch)
    return devices.split(jax.tree.map(lambda x: jnp.moveaxis(x[:, order], 1, 0), batch), axis=2)


def words_first(obs: jax.Array) -> jax.Array:
    """Lays shuffled observations out for the gradient of the first layer: `[K, T, M, ..., W]` -> `[K, W, T, M, ...]`.

    Left to itself XLA transposes them inside the loop that unpacks their bits, which takes twice as long.
    """
    return jnp.moveaxis(obs, -1, 1)


def words_last(obs: jax.Array) -> jax.Array:
    """The observations of one minibatch with their axes named as usual: `[W, T, M, ...]` -> `[T, M, ..., W]`."""
    return jnp.moveaxis(obs, 0, -1)
