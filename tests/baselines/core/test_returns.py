"""Advantages: worked examples, and agreement with a plain-Python version."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.core.returns import generalized_advantages


def advantages_in_python(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    discount: float,
    gae_lambda: float,
) -> np.ndarray:
    """The sum over later steps of the same episode of (discount * gae_lambda)^k delta_{t+k}, for `[T, B]` arrays."""
    advantages = np.zeros(rewards.shape)
    for t in range(rewards.shape[0]):
        for b in range(rewards.shape[1]):
            weight = 1.0
            for later in range(t, rewards.shape[0]):
                following = 0.0 if terminated[later, b] else next_values[later, b]
                advantages[t, b] += weight * (rewards[later, b] + discount * following - values[later, b])
                weight *= discount * gae_lambda
                if terminated[later, b] or truncated[later, b]:
                    break
    return advantages


def advantages_of(
    rewards: list[float], values: list[float], next_values: list[float], terminated: list[int], truncated: list[int]
) -> list[float]:
    """With discount 0.5 and lambda 0.5."""
    ends = jnp.array(terminated, bool), jnp.array(truncated, bool)
    floats = [jnp.array(x, jnp.float32) for x in (rewards, values, next_values)]
    return generalized_advantages(floats[0], floats[1], floats[2], *ends, 0.5, 0.5).tolist()


def test_later_deltas_count_less_and_less() -> None:
    # deltas 1 + 0.5 * 4 - 2 = 1, 2 + 0.5 * 6 - 4 = 1, 3 + 0.5 * 2 - 6 = -2; weights 1, 1/4, 1/16
    assert advantages_of([1, 2, 3], [2, 4, 6], [4, 6, 2], [0, 0, 0], [0, 0, 0]) == [1.125, 0.5, -2.0]


def test_nothing_follows_the_end_of_the_game() -> None:
    # deltas 1, 2 - 4 = -2 without a next value, -2
    assert advantages_of([1, 2, 3], [2, 4, 6], [4, 6, 2], [0, 1, 0], [0, 0, 0]) == [0.5, -2.0, -2.0]


def test_time_limit_bootstraps_and_cuts() -> None:
    # deltas 1, 2 + 0.5 * 6 - 4 = 1 with the value of where the episode stopped, -2 of the next episode
    assert advantages_of([1, 2, 3], [2, 4, 6], [4, 6, 2], [0, 0, 0], [0, 1, 0]) == [1.25, 1.0, -2.0]


def test_end_of_the_game_wins_over_the_time_limit() -> None:
    assert advantages_of([1, 2, 3], [2, 4, 6], [4, 6, 2], [0, 1, 0], [0, 1, 0]) == [0.5, -2.0, -2.0]


@pytest.mark.parametrize(("discount", "gae_lambda"), [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)])
def test_advantages_equal_a_plain_python_version(discount: float, gae_lambda: float) -> None:
    keys = jax.random.split(jax.random.key(0), 5)
    rewards, values, next_values = (np.asarray(jax.random.normal(key, (9, 4))) for key in keys[:3])
    terminated, truncated = (np.asarray(jax.random.bernoulli(key, 0.2, (9, 4))) for key in keys[3:])
    arguments: Any = (rewards, values, next_values, terminated, truncated, discount, gae_lambda)
    np.testing.assert_allclose(generalized_advantages(*arguments), advantages_in_python(*arguments), atol=1e-5)


def test_ends_of_environments_hold_for_all_agents() -> None:
    rewards = jnp.ones((2, 1, 3))
    ends = jnp.array([[[True]], [[False]]])
    advantages = generalized_advantages(rewards, rewards, rewards, ends, ~ends & False, 0.5, 1.0)
    np.testing.assert_array_equal(advantages[:, 0], [[0.0] * 3, [0.5] * 3])
