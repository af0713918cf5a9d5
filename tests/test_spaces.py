"""Members, samples and refused arguments of spaces."""

import jax
import numpy as np
import pytest

from jaxdilemmas import Box, Discrete


def test_discrete_draws_every_member_and_nothing_else() -> None:
    space = Discrete(3)
    drawn = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 100))
    assert space.contains(drawn)
    assert set(drawn.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("x", [np.int32(3), np.int32(-1), np.float32(1), np.int64(1), np.array([0, 3], np.int32)])
def test_discrete_does_not_contain_other_numbers_or_dtypes(x: np.ndarray) -> None:
    assert not Discrete(3).contains(x)


def test_discrete_without_members_is_refused() -> None:
    with pytest.raises(ValueError, match="n=0"):
        Discrete(0)


@pytest.mark.parametrize(
    "space",
    [Box(-1.0, 2.0, (2, 3)), Box(0, 255, (4,), np.uint8), Box(3, 5, (), np.int32), Box(-np.inf, np.inf, (2,))],
)
def test_box_contains_what_it_draws(space: Box) -> None:
    drawn = jax.vmap(space.sample)(jax.random.split(jax.random.key(0), 50))
    assert drawn.shape == (50, *space.shape)
    assert space.contains(drawn)


def test_box_of_integers_draws_both_bounds() -> None:
    drawn = jax.vmap(Box(0, 2, (), np.uint8).sample)(jax.random.split(jax.random.key(0), 100))
    assert set(drawn.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    "x",
    [np.full(2, 1.5, np.float32), np.zeros(3, np.float32), np.zeros(2), np.float32(0), np.full(2, np.nan, np.float32)],
)
def test_box_does_not_contain_what_leaves_its_bounds_shape_or_dtype(x: np.ndarray) -> None:
    assert not Box(0.0, 1.0, (2,)).contains(x)


def test_box_with_crossed_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low=1\.0.*high=0\.0"):
        Box(1.0, 0.0, ())
