"""Our random numbers are those of JAX, bit by bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.uniforms import integers, normal, split, uniform

KEYS = {
    "typed": jax.random.key,
    "legacy": jax.random.PRNGKey,
    "rbg": lambda seed: jax.random.key(seed, impl="rbg"),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("count", [1, 2, 7, 150])
def test_uniforms_are_those_of_jax(kind: str, count: int) -> None:
    key = KEYS[kind](count)
    found = jax.jit(uniform, static_argnums=1)(key, count)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, jax.random.uniform(key, (count,), jnp.float32))


@pytest.mark.parametrize("kind", KEYS)
def test_normal_numbers_and_integers_are_those_of_jax(kind: str) -> None:
    key = KEYS[kind](5)
    np.testing.assert_array_equal(jax.jit(normal, static_argnums=1)(key, 999), jax.random.normal(key, (999,)))
    for end in (3, 70_000):
        found = jax.jit(integers, static_argnums=(1, 2))(key, 999, end)
        assert found.dtype == jnp.int32
        np.testing.assert_array_equal(found, jax.random.randint(key, (999,), 0, end))


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("num", [1, 2, 130])
def test_keys_are_split_as_by_jax(kind: str, num: int) -> None:
    key = KEYS[kind](3)
    for found, expected in zip(jax.jit(split, static_argnums=1)(key, num), jax.random.split(key, num), strict=True):
        assert found.dtype == expected.dtype
        assert (found == expected).all()


def test_batches_draw_what_each_key_draws() -> None:
    keys = jax.random.split(jax.random.key(0), (3, 5))
    draw = lambda key: uniform(split(key)[1], 9)  # noqa: E731
    expected = [[draw(key) for key in row] for row in keys]
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(draw)))(keys), expected)


def test_other_bits_of_jax_are_left_to_it() -> None:
    with jax.threefry_partitionable(False):
        key = jax.random.key(0)
        np.testing.assert_array_equal(uniform(key, 7), jax.random.uniform(key, (7,), jnp.float32))
