"""Observation codes, the first layer's product and its gradient, and what networks do with memory and agents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.training.networks import (
    ActorCritic,
    Convolution,
    ObservationCode,
    Torso,
    make_agent_networks,
    multiply_bits,
    unpack_bits,
)
from jaxdilemmas.spaces import Box

TILES = Box(0, 9, (3, 5), np.uint8)
SPACES = {
    "tiles": TILES,
    "one_hot": Box(0, 1, (3, 5, 4), np.uint8),
    "rgb": Box(0, 255, (3, 5, 3), np.uint8),
    "vector": Box(-1, 1, (6,), np.float32),
}


def plain_bits(obs: np.ndarray, num_bits: int) -> np.ndarray:
    """Bits of tile ids by string formatting, `[..., num_bits]`, lowest first."""
    digits = [[int(digit) for digit in reversed(f"{int(tile):0{num_bits}b}")] for tile in obs.ravel()]
    return np.array(digits).reshape(*obs.shape, num_bits)


@pytest.mark.parametrize(("num_tiles", "num_bits"), [(2, 1), (5, 3), (10, 4), (16, 4), (17, 5), (256, 8)])
def test_planes_are_the_binary_digits_of_tile_ids(num_tiles: int, num_bits: int) -> None:
    code = ObservationCode.of(Box(0, num_tiles - 1, (3, 5), np.uint8))
    assert code.num_bits == num_bits
    obs = jax.random.randint(jax.random.key(0), (4, 2, 3, 5), 0, num_tiles).astype(jnp.uint8)
    np.testing.assert_array_equal(code.planes(code.encode(obs)), plain_bits(np.asarray(obs), num_bits))


def test_tile_ids_are_packed_as_many_to_a_word_as_fit() -> None:
    assert ObservationCode.of(TILES).encode(jnp.zeros((7, 3, 5), jnp.uint8)).shape == (7, 2)
    packed = ObservationCode.of(Box(0, 7, (1, 11), np.uint8)).encode(jnp.full((1, 11), 5, jnp.uint8))
    np.testing.assert_array_equal(packed, [int("101" * 10, 2), 5])


@pytest.mark.parametrize("kind", ["one_hot", "rgb", "vector"])
def test_other_observations_are_stored_as_they_are_and_scaled_when_read(kind: str) -> None:
    space = SPACES[kind]
    code = ObservationCode.of(space)
    obs = space.sample(jax.random.key(0))
    np.testing.assert_array_equal(code.encode(obs), obs)
    np.testing.assert_allclose(code.planes(obs), obs / space.high, rtol=1e-6)


def test_product_of_bits_equals_the_plain_product() -> None:
    words = jax.random.bits(jax.random.key(0), (6, 3), jnp.uint32)
    kernel = jnp.round(8 * jax.random.normal(jax.random.key(1), (96, 5)))
    plain = np.asarray(unpack_bits(words), np.float64) @ np.asarray(kernel, np.float64)
    np.testing.assert_allclose(multiply_bits(words, kernel), plain, atol=1e-4)


def test_gradient_of_the_product_equals_that_of_autodiff() -> None:
    words = jax.random.bits(jax.random.key(0), (6, 3), jnp.uint32)
    kernel, weights = jax.random.normal(jax.random.key(1), (96, 5)), jax.random.normal(jax.random.key(2), (6, 5))
    weights = weights.astype(jnp.bfloat16).astype(jnp.float32)

    def plain(kernel: jax.Array) -> jax.Array:
        return jnp.sum(weights * (unpack_bits(words).astype(jnp.float32) @ kernel))

    gradient = jax.grad(lambda kernel: jnp.sum(weights * multiply_bits(words, kernel)))(kernel)
    np.testing.assert_allclose(gradient, jax.grad(plain)(kernel), atol=1e-5)


def test_gradient_of_the_product_equals_a_finite_difference() -> None:
    words = jax.random.bits(jax.random.key(0), (4, 1), jnp.uint32)
    kernel = jnp.round(4 * jax.random.normal(jax.random.key(1), (32, 2)))
    gradient = jax.grad(lambda kernel: jnp.sum(multiply_bits(words, kernel)))(kernel)
    for row, col in [(0, 0), (7, 1), (31, 0)]:
        step = jnp.zeros_like(kernel).at[row, col].set(1.0)
        difference = jnp.sum(multiply_bits(words, kernel + step)) - jnp.sum(multiply_bits(words, kernel - step))
        assert gradient[row, col] == pytest.approx(float(difference) / 2, abs=1e-4)


def test_convolution_equals_that_of_xla() -> None:
    planes = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    module = Convolution(4)
    params = module.init(jax.random.key(1), planes)
    kernel = params["params"]["Dense_0"]["kernel"].reshape(3, 3, 3, 4)
    expected = jax.lax.conv_general_dilated(
        planes, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(module.apply(params, planes), expected[:, :3, :3], atol=1e-5)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("torso", ["mlp", "conv", "gru"])
@pytest.mark.parametrize("is_shared", [True, False])
def test_networks_read_every_kind_of_observation(kind: str, torso: Torso, is_shared: bool) -> None:
    if (kind, torso) == ("vector", "conv"):
        pytest.skip("a vector has no cells")
    code = ObservationCode.of(SPACES[kind])
    networks = make_agent_networks(ActorCritic(code, 7, torso, 8), num_agents=2, is_shared=is_shared)
    obs = code.encode(jnp.zeros((4, 3, 2, *code.shape), SPACES[kind].dtype))
    memory = networks.initial_memory(3)
    network_params = networks.init(jax.random.key(0))
    after, logits, values = networks.apply(network_params, memory, obs, jnp.zeros((4, 3), bool))
    assert (after.shape, logits.shape, values.shape) == (memory.shape, (4, 3, 2, 7), (4, 3, 2))
    assert (after.dtype, logits.dtype, values.dtype) == (jnp.float32,) * 3


def recurrent(num_agents: int = 1) -> tuple:
    networks = make_agent_networks(ActorCritic(ObservationCode((2,)), 3, "gru", 8), num_agents, is_shared=True)
    obs = jax.random.normal(jax.random.key(0), (5, 2, num_agents, 2))
    return networks, networks.init(jax.random.key(1)), obs


def test_sequence_read_at_once_equals_step_by_step() -> None:
    networks, network_params, obs = recurrent()
    starts = jax.random.bernoulli(jax.random.key(2), 0.3, (5, 2))
    memory, _, values = networks.apply(network_params, networks.initial_memory(2), obs, starts)
    one_by_one = networks.initial_memory(2)
    for t in range(5):
        one_by_one, _, value = networks.apply(network_params, one_by_one, obs[t : t + 1], starts[t : t + 1])
        np.testing.assert_allclose(value[0], values[t], atol=1e-6)
    np.testing.assert_allclose(one_by_one, memory, atol=1e-6)


def test_memory_is_forgotten_where_an_episode_starts() -> None:
    networks, network_params, obs = recurrent()
    starts = jnp.zeros((5, 2), bool).at[2, 0].set(True)
    memory = networks.initial_memory(2)
    values = networks.apply(network_params, memory, obs, starts)[2]
    fresh = networks.apply(network_params, memory, obs[2:], starts[2:] & False)[2]
    np.testing.assert_allclose(values[2:, 0], fresh[:, 0], atol=1e-6)
    assert not np.allclose(values[2:, 1], fresh[:, 1], atol=1e-4)


def test_shared_networks_treat_agents_alike_unless_told_who_they_are() -> None:
    code = ObservationCode((2,))
    obs, starts = jnp.ones((1, 1, 2, 2)), jnp.zeros((1, 1), bool)
    for num_ids, is_alike in [(0, True), (2, False)]:
        networks = make_agent_networks(ActorCritic(code, 3, "mlp", 8, num_ids), 2, is_shared=True)
        network_params = networks.init(jax.random.key(0))
        values = networks.apply(network_params, networks.initial_memory(1), obs, starts)[2]
        assert bool(values[0, 0, 0] == values[0, 0, 1]) == is_alike


def test_separate_networks_do_not_touch_each_other() -> None:
    networks = make_agent_networks(ActorCritic(ObservationCode.of(TILES), 3, "mlp", 8), 2, is_shared=False)
    network_params = networks.init(jax.random.key(0))
    obs = jnp.ones((1, 1, 2, 2), jnp.uint32)

    def value_of_first(network_params: dict) -> jax.Array:
        return networks.apply(network_params, networks.initial_memory(1), obs, jnp.zeros((1, 1), bool))[2][0, 0, 0]

    values = networks.apply(network_params, networks.initial_memory(1), obs, jnp.zeros((1, 1), bool))[2]
    assert values[0, 0, 0] != values[0, 0, 1]
    for leaf in jax.tree.leaves(jax.grad(value_of_first)(network_params)):
        np.testing.assert_array_equal(leaf[1], 0.0)
