"""Shuffling keeps rows that belong together and loses no row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.core import minibatches


def numbered(num_steps: int, num_envs: int) -> dict[str, jax.Array]:
    """Leaves that name their step and environment, with an agent axis of 2 on one of them."""
    number = jnp.arange(num_steps * num_envs).reshape(num_steps, num_envs)
    return {"number": number, "twice": jnp.stack([2 * number] * 2, axis=-1)}


def test_every_sequence_is_dealt_once() -> None:
    shuffled = minibatches.shuffle(jax.random.key(0), numbered(3, 8), num_minibatches=4)
    assert shuffled["number"].shape == (4, 3, 2)
    assert shuffled["twice"].shape == (4, 3, 2, 2)
    np.testing.assert_array_equal(np.sort(shuffled["number"].ravel()), np.arange(24))


def test_sequences_stay_whole() -> None:
    shuffled = np.asarray(minibatches.shuffle(jax.random.key(0), numbered(3, 8), num_minibatches=2)["number"])
    np.testing.assert_array_equal(np.diff(shuffled, axis=1), 8)


def test_leaves_stay_together() -> None:
    shuffled = minibatches.shuffle(jax.random.key(1), numbered(3, 8), num_minibatches=2)
    np.testing.assert_array_equal(shuffled["twice"][..., 1], 2 * shuffled["number"])


def test_order_is_random() -> None:
    orders = [minibatches.shuffle(jax.random.key(i), numbered(1, 8), 1)["number"][0, 0].tolist() for i in range(40)]
    assert len({tuple(order) for order in orders}) > 35
    assert {order[0] for order in orders} == set(range(8))


def test_joined_time_makes_every_step_a_sequence() -> None:
    joined = minibatches.join_time(numbered(3, 8))
    assert joined["twice"].shape == (1, 24, 2)
    np.testing.assert_array_equal(joined["number"][0], np.arange(24))


def test_joined_time_keeps_empty_leaves() -> None:
    assert minibatches.join_time(jnp.zeros((3, 8, 2, 0))).shape == (1, 24, 2, 0)


@pytest.mark.parametrize("size", [1, 7, 70_000])
def test_the_random_order_is_that_of_the_random_words(size: int) -> None:
    key = jax.random.key(3)
    expected = jnp.argsort(jax.random.bits(key, (size,)))
    order = jax.jit(minibatches.random_order, static_argnums=1)(key, size)
    assert order.dtype == jnp.int32
    np.testing.assert_array_equal(order, expected)
    both = jax.vmap(minibatches.random_order, (0, None))(jnp.stack([key, key]), size)
    np.testing.assert_array_equal(both, [expected, expected])
