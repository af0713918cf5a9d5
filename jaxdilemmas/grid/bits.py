"""Many yes-or-no things as the bits of a few words: looked up and counted without a gather or a running sum."""

import jax
import jax.numpy as jnp

WORD_BITS = 32


def pack_bits(bits: jax.Array) -> jax.Array:
    """Packs `[n]` bool into `[n // 32 + 1]` uint32, lowest bit first; there is room for index n, which is False."""
    num_words = bits.shape[0] // WORD_BITS + 1
    padded = jnp.zeros(num_words * WORD_BITS, bool).at[: bits.shape[0]].set(bits).reshape(num_words, WORD_BITS)
    return (padded.astype(jnp.uint32) << jnp.arange(WORD_BITS, dtype=jnp.uint32)).sum(1, dtype=jnp.uint32)


def look_up_bits(words: jax.Array, index: jax.Array) -> jax.Array:
    """Looks up packed bits by number.

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
      n: `[]` int32, less than the number of set bits; for more the result means nothing.
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
