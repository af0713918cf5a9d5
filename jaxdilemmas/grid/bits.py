"""Many bools as the bits of a few words; they are looked up and counted without a gather or a running sum.

The bools or words are on the first axis. Arrays may have extra axes behind the named ones.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import fold
from jaxdilemmas.grid.geometry import with_trailing_axes

WORD_BITS = 32
"""Bits of a word."""


def pack_bits(bits: jax.Array) -> jax.Array:
    """Packs `[n, ...]` bool into `[n // 32 + 1, ...]` uint32, lowest bit first; the bit of index n exists and is 0."""
    nothing = jnp.zeros(bits.shape[1:], jnp.uint32)
    words = []
    for start in range(0, len(bits) + 1, WORD_BITS):
        those = range(start, min(start + WORD_BITS, len(bits)))
        words.append(
            fold(jnp.bitwise_or, [nothing, *(bits[k].astype(jnp.uint32) << np.uint32(k - start) for k in those)])
        )
    return jnp.stack(words)


def mark_bits(index: jax.Array, num_words: int) -> jax.Array:
    """For each index the words in which only its bit is set, `[...]` int32 -> `[num_words, ...]` uint32."""
    word, bit = index // WORD_BITS, jnp.uint32(1) << (index % WORD_BITS).astype(jnp.uint32)
    is_word = word[None] == with_trailing_axes(np.arange(num_words, dtype=np.int32), index.ndim + 1)
    return jnp.where(is_word, bit[None], jnp.uint32(0))


def unpack_bits(words: jax.Array, count: int) -> jax.Array:
    """The first `count` bits of words, `[W, ...]` uint32 -> `[count, ...]` bool."""
    places = with_trailing_axes(np.arange(WORD_BITS, dtype=np.uint32), words.ndim)[None]
    bits = (words[:, None] >> places) & 1 != 0
    return bits.reshape(-1, *words.shape[1:])[:count]


def count_bits(words: jax.Array) -> jax.Array:
    """The number of set bits, `[W, ...]` uint32 -> `[...]` int32."""
    return fold(jnp.add, [jax.lax.population_count(word).astype(jnp.int32) for word in words])


def look_up_bits(words: jax.Array, index: jax.Array) -> jax.Array:
    """Looks up packed bits by their index.

    Args:
      words: `[W, ...]` uint32.
      index: `[n, ...]` int32, below 32 W; more axes may stand before those of the words.

    Returns:
      `[n, ...]` bool.
    """
    index = index.astype(jnp.uint32)
    word = words[0]
    for k in range(1, len(words)):
        word = jnp.where(index >= WORD_BITS * k, words[k], word)
    return (word >> (index & (WORD_BITS - 1))) & 1 != 0


def nth_set_bit(words: jax.Array, n: jax.Array) -> jax.Array:
    """The index of the set bit that has n set bits before it.

    Args:
      words: `[W, ...]` uint32.
      n: int32 numbers less than the number of set bits; for a larger n the result has no meaning. More axes may stand
        before those of the words.

    Returns:
      int32 of the shape of `n`.
    """
    index = jnp.zeros_like(n)
    rest, word = n, words[0]
    for k in range(1, words.shape[0]):
        count = jax.lax.population_count(word).astype(jnp.int32)
        is_later = (rest >= count) & (index == WORD_BITS * (k - 1))
        rest, word = jnp.where(is_later, rest - count, rest), jnp.where(is_later, words[k], word)
        index = jnp.where(is_later, WORD_BITS * k, index)
    for half in (16, 8, 4, 2, 1):
        count = jax.lax.population_count(word & jnp.uint32(2**half - 1)).astype(jnp.int32)
        is_upper = rest >= count
        rest, word = jnp.where(is_upper, rest - count, rest), jnp.where(is_upper, word >> half, word)
        index = index + jnp.where(is_upper, half, 0)
    return index


def reverse_bits(words: jax.Array) -> jax.Array:
    """Reverses words `[...]` uint32: bit b becomes bit 31 - b."""
    for half, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        words = ((words >> half) & jnp.uint32(mask)) | ((words & jnp.uint32(mask)) << half)
    return words


def shift_right(words: jax.Array, places: jax.Array) -> jax.Array:
    """Shifts words `[...]` uint32 by `places` `[...]` int32 to the right, or to the left if `places` is negative.

    Bits that leave the word are lost.

    Returns:
      `[...]` uint32.
    """
    right = words >> jnp.maximum(places, 0).astype(jnp.uint32)
    left = words << jnp.maximum(-places, 0).astype(jnp.uint32)
    return jnp.where(places >= 0, right, left)
