"""Many bools as the bits of a few words; they are looked up and counted without a gather or a running sum."""

import jax
import jax.numpy as jnp

WORD_BITS = 32
"""Bits of a word."""


def pack_bits(bits: jax.Array) -> jax.Array:
    """Packs `[n]` bool into `[n // 32 + 1]` uint32, lowest bit first. There is room for index n, whose bit is 0."""
    num_words = bits.shape[0] // WORD_BITS + 1
    padded = jnp.zeros(num_words * WORD_BITS, bool).at[: bits.shape[0]].set(bits).reshape(num_words, WORD_BITS)
    return (padded.astype(jnp.uint32) << jnp.arange(WORD_BITS, dtype=jnp.uint32)[None]).sum(1, dtype=jnp.uint32)


def mark_bits(index: jax.Array, num_words: int) -> jax.Array:
    """For each index the words in which only its bit is set, `[..., n]` int32 -> `[..., n, num_words]` uint32."""
    word, bit = index[..., None] // WORD_BITS, (index[..., None] % WORD_BITS).astype(jnp.uint32)
    is_word = word == jnp.expand_dims(jnp.arange(num_words, dtype=jnp.int32), range(index.ndim))
    return jnp.where(is_word, jnp.uint32(1) << bit, jnp.uint32(0))


def unpack_bits(words: jax.Array, count: int) -> jax.Array:
    """The first `count` bits of words, `[W]` uint32 -> `[count]` bool."""
    bits = (words[:, None] >> jnp.arange(WORD_BITS, dtype=jnp.uint32)[None]) & 1 != 0
    return bits.reshape(-1)[:count]


def look_up_bits(words: jax.Array, index: jax.Array) -> jax.Array:
    """Looks up packed bits by their index.

    Args:
      words: `[W]` uint32.
      index: `[...]` integers below 32 W.

    Returns:
      `[...]` bool.
    """
    index = index.astype(jnp.uint32)
    word = words[0]
    for k in range(1, words.shape[0]):
        word = jnp.where(index >= WORD_BITS * k, words[k], word)
    return (word >> (index & (WORD_BITS - 1))) & 1 != 0


def nth_set_bit(words: jax.Array, n: jax.Array) -> jax.Array:
    """The index of the set bit that has n set bits before it, `[]` int32.

    Args:
      words: `[W]` uint32.
      n: `[]` int32, less than the number of set bits; for a larger n the result has no meaning.
    """
    index = jnp.zeros((), jnp.int32)
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


def bitwise_or(words: jax.Array, axis: int) -> jax.Array:
    """The bits that are set anywhere along an axis of `[...]` uint32."""
    return jax.lax.reduce(words, jnp.uint32(0), jax.lax.bitwise_or, (axis,))


def range_bits(first: jax.Array, last: jax.Array) -> jax.Array:
    """A word in which the bits from `first` to `last` are set, as far as a word has them, `[...]` uint32."""
    below_last = jnp.uint32(2**WORD_BITS - 1) >> jnp.clip(WORD_BITS - 1 - last, 0, WORD_BITS).astype(jnp.uint32)
    from_first = jnp.uint32(2**WORD_BITS - 1) << jnp.clip(first, 0, WORD_BITS).astype(jnp.uint32)
    return jnp.where(last < 0, jnp.uint32(0), below_last & from_first)


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
