"""Shuffling keeps rows that belong together and loses no row."""

import jax
import jax.numpy as jnp
import numpy as np

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


def test_words_come_back_to_their_place() -> None:
    obs = jnp.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    first = minibatches.words_first(obs)
    assert first.shape == (2, 6, 3, 4, 5)
    np.testing.assert_array_equal(minibatches.words_last(first[1]), obs[1])
