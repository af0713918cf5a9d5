import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.bits import (
    count_bits,
    look_up_bits,
    mark_bits,
    nth_set_bit,
    pack_bits,
    reverse_bits,
    shift_right,
    unpack_bits,
)

SIZES = [0, 1, 31, 32, 33, 64, 155, 273]


def some_bits(count: int) -> np.ndarray:
    """None, a few, most and all of the bits set, `[5, count]` bool."""
    return np.random.default_rng(count).random((5, count)) < np.array([0.0, 0.05, 0.5, 0.9, 1.0])[:, None]


@pytest.mark.parametrize("count", SIZES)
def test_bits_are_packed_lowest_first_with_room_for_one_more(count: int) -> None:
    for bits in some_bits(count):
        words = np.asarray(pack_bits(jnp.asarray(bits)))
        assert words.dtype == np.uint32
        assert len(words) == count // 32 + 1
        number = sum(int(word) << (32 * k) for k, word in enumerate(words))
        assert number == sum(1 << k for k in np.flatnonzero(bits).tolist())


@pytest.mark.parametrize("count", SIZES)
def test_unpacking_undoes_packing(count: int) -> None:
    for bits in some_bits(count):
        np.testing.assert_array_equal(unpack_bits(pack_bits(jnp.asarray(bits)), count), bits)


@pytest.mark.parametrize("count", SIZES[1:])
def test_each_marked_bit_is_alone_in_words_of_its_own(count: int) -> None:
    index = np.random.default_rng(0).integers(0, count + 1, (2, 9)).astype(np.int32)
    marked = np.asarray(mark_bits(jnp.asarray(index), count // 32 + 1))
    assert marked.shape == (count // 32 + 1, 2, 9)
    assert marked.dtype == np.uint32
    for words, bit in zip(marked.reshape(-1, 18).T, index.ravel(), strict=True):
        assert np.flatnonzero(unpack_bits(jnp.asarray(words), count + 1)).tolist() == [bit]


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_bits_are_looked_up_by_number_and_the_one_after_the_last_is_false(count: int, dtype: type) -> None:
    index: np.ndarray = np.random.default_rng(0).integers(0, min(count, np.iinfo(dtype).max) + 1, (3, 40)).astype(dtype)
    look_up = jax.jit(lambda bits, index: look_up_bits(pack_bits(bits), index.astype(jnp.int32)))
    for bits in some_bits(count):
        np.testing.assert_array_equal(look_up(bits, index), np.append(bits, False)[index])


@pytest.mark.parametrize("count", SIZES[1:])
def test_every_set_bit_is_found_by_how_many_come_before_it(count: int) -> None:
    find = jax.jit(jax.vmap(nth_set_bit, (None, 0)))
    for bits in some_bits(count):
        found = np.asarray(find(pack_bits(jnp.asarray(bits)), jnp.arange(count, dtype=jnp.int32)))
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found[: bits.sum()], np.flatnonzero(bits))


def some_words(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**32, shape, dtype=np.uint32)


@pytest.mark.parametrize("count", SIZES)
def test_set_bits_are_counted(count: int) -> None:
    for bits in some_bits(count):
        assert count_bits(pack_bits(jnp.asarray(bits))) == bits.sum()


def test_bits_with_extra_axes_are_those_of_each_place() -> None:
    bits = np.stack([some_bits(70), some_bits(70)[::-1]], -1).transpose(1, 0, 2)  # [70, 5, 2]
    words = pack_bits(jnp.asarray(bits))
    number = np.random.default_rng(0).integers(0, 70, (4, 5, 2)).astype(np.int32)
    looked_up, nth = (
        look_up_bits(words, jnp.asarray(number)),
        nth_set_bit(words, jnp.minimum(number[0], count_bits(words) - 1)),
    )
    np.testing.assert_array_equal(unpack_bits(words, 70), bits)
    np.testing.assert_array_equal(count_bits(words), bits.sum(0))
    for place in np.ndindex(5, 2):
        own = (slice(None), *place)
        np.testing.assert_array_equal(words[own], pack_bits(jnp.asarray(bits[own])))
        np.testing.assert_array_equal(looked_up[own], bits[own][number[own]])
        if bits[own].any():
            assert nth[place] == np.flatnonzero(bits[own])[min(number[0][place], bits[own].sum() - 1)]


def test_bits_are_reversed_end_to_end() -> None:
    words = some_words(20)
    expected = [int(f"{word:032b}"[::-1], 2) for word in words.tolist()]
    np.testing.assert_array_equal(jax.jit(reverse_bits)(words), np.array(expected, np.uint32))


def test_words_are_shifted_to_either_side_and_what_leaves_them_is_lost() -> None:
    words, places = some_words(90), np.arange(-45, 45, dtype=np.int32)
    expected = [
        (word >> place if place >= 0 else word << -place) % 2**32
        for word, place in zip(words.tolist(), places.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(jax.jit(shift_right)(words, places), np.array(expected, np.uint32))
