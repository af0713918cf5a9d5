"""Random numbers and split keys, bitwise those of `jax.random`, in a third of its time in a batch on a CPU.

JAX computes threefry in a loop whose rounds read and write memory. Here the rounds are unrolled, behind
`compute_once`, since XLA would repeat them for every reader.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import batch_last, compute_once

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Rotations of threefry2x32, for even and odd groups of rounds. Source: Salmon et al. 2011, as in jax.random."""

NUM_GROUPS = 5
"""Groups of four rounds."""

PARITY = 0x1BD11BDA
"""The constant in the third word of the key. Source: Salmon et al. 2011."""


def uniform(key: jax.Array, count: int) -> jax.Array:
    """Draws uniforms, bitwise those of `jax.random.uniform(key, (count,), jnp.float32)`.

    Args:
      key: used once.
      count: how many.

    Returns:
      `[count]` float32 in [0, 1).
    """
    if not _is_threefry(key):
        return jax.random.uniform(key, (count,), jnp.float32)

    return batch_last(compute_once(lambda key: _as_uniforms(_bits(key, count))))(jax.random.key_data(key))


def normal(key: jax.Array, count: int) -> jax.Array:
    """Draws `[count]` float32 of a standard normal distribution, bitwise as `jax.random.normal` with this dtype."""
    if not _is_threefry(key):
        return jax.random.normal(key, (count,), jnp.float32)

    least = np.nextafter(np.float32(-1), np.float32(0))
    between = jnp.maximum(least, uniform(key, count) * (1 - least) + least)
    return np.float32(np.sqrt(2)) * jax.lax.erf_inv(between)


def integers(key: jax.Array, count: int, end: int) -> jax.Array:
    """Draws `[count]` int32 from 0 to `end - 1`, bitwise as `jax.random.randint(key, (count,), 0, end, jnp.int32)`."""
    if not _is_threefry(key):
        return jax.random.randint(key, (count,), 0, end, jnp.int32)

    weight = (2**16 % end) ** 2 % 2**32 % end  # of 2^32, as jax.random has it: 0 if `end` is above 2^16

    def draw(key: jax.Array) -> jax.Array:
        high, low = (_bits(half, count) % np.uint32(end) for half in _split(key))
        return ((high * np.uint32(weight) + low) % np.uint32(end)).astype(jnp.int32)

    return batch_last(compute_once(draw))(jax.random.key_data(key))


def split(key: jax.Array, num: int = 2) -> jax.Array:
    """Splits a key into keys `[num]`, bitwise as `jax.random.split(key, num)`."""
    if not _is_threefry(key):
        return jax.random.split(key, num)
    words = batch_last(compute_once(lambda key: _split(key, num)))(jax.random.key_data(key))
    return jax.random.wrap_key_data(words) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else words


def _is_threefry(key: jax.Array) -> bool:
    """Whether the bits of a key are known here; other keys are left to JAX."""
    options: Any = jax.config  # its fields are not declared
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    kind = str(jax.random.key_impl(key)) if is_typed else options.jax_default_prng_impl
    return kind == "threefry2x32" and options.jax_threefry_partitionable


def _split(key: jax.Array, num: int = 2) -> jax.Array:
    """The words of several keys, `[num, 2, ...]` uint32, for those of one key, `[2, ...]`."""
    return jnp.stack(_encipher_numbers(key, num), 1)


def _bits(key: jax.Array, count: int) -> jax.Array:
    """The bits that `jax.random.bits` draws, `[count, ...]` uint32."""
    first, second = _encipher_numbers(key, count)
    return first ^ second


def _as_uniforms(bits: jax.Array) -> jax.Array:
    """The numbers in [0, 1) that `jax.random.uniform` makes of bits, `[...]` float32 for `[...]` uint32."""
    mantissa = (bits >> np.uint32(9)) | np.uint32(0x3F800000)
    return jax.lax.bitcast_convert_type(mantissa, jnp.float32) - jnp.float32(1)


def _encipher_numbers(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """The numbers from 0 to `count - 1`, enciphered by a key `[2, ...]` uint32, `[count, ...]` uint32 each."""
    number = jax.lax.broadcasted_iota(jnp.uint32, (count, *key.shape[1:]), 0)
    return threefry(key[0][None], key[1][None], jnp.zeros_like(number), number)


def threefry(key_0: jax.Array, key_1: jax.Array, word_0: jax.Array, word_1: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Enciphers pairs of words `[...]` uint32 by the 20 rounds of threefry2x32."""
    keys = key_0, key_1, key_0 ^ key_1 ^ np.uint32(PARITY)
    word_0, word_1 = word_0 + keys[0], word_1 + keys[1]
    for group in range(NUM_GROUPS):
        for rotation in ROTATIONS[group % 2]:
            word_0 = word_0 + word_1
            word_1 = ((word_1 << np.uint32(rotation)) | (word_1 >> np.uint32(32 - rotation))) ^ word_0
        word_0 = word_0 + keys[(group + 1) % 3]
        word_1 = word_1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return word_0, word_1
