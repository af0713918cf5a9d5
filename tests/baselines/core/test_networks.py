"""Observation codes, the first layer's product and its gradient, and networks with memory and several agents."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.core.layers import FirstLayer, multiply_bits, unpack_bits
from baselines.core.networks import ActorCritic, AgentNetworks, Output, make_agent_networks
from baselines.core.observations import STRIDE, WINDOW, ObservationCode, Torso
from jaxdilemmas.spaces import Box

TILES = Box(0, 9, (3, 5), np.uint8)
SPACES = {
    "tiles": TILES,
    "one_hot": Box(0, 1, (3, 5, 4), np.uint8),
    "rgb": Box(0, 255, (3, 5, 3), np.uint8),
    "vector": Box(-1, 1, (6,), np.float32),
}


@pytest.mark.parametrize(("num_tiles", "num_bits"), [(2, 1), (5, 3), (10, 4), (16, 4), (17, 5), (256, 8)])
def test_tile_ids_can_be_read_back_from_their_bits(num_tiles: int, num_bits: int) -> None:
    code = ObservationCode.of(Box(0, num_tiles - 1, (3, 5), np.uint8))
    assert code.num_bits == num_bits
    obs = jax.random.randint(jax.random.key(0), (4, 2, 3, 5), 0, num_tiles).astype(jnp.uint8)
    words = np.asarray(code.encode(obs), np.uint64)
    places = np.arange(32 // num_bits, dtype=np.uint64)[:, None]
    cells = (words[..., None, :] >> (num_bits * places)) % 2**num_bits
    cells = cells.reshape(4, 2, -1)
    np.testing.assert_array_equal(cells[..., :15].reshape(obs.shape), obs)
    assert not cells[..., 15:].any()


def test_tile_ids_are_packed_as_many_to_a_word_as_fit() -> None:
    assert ObservationCode.of(TILES).encode(jnp.zeros((7, 3, 5), jnp.uint8)).shape == (7, 2)
    packed = ObservationCode.of(Box(0, 7, (1, 11), np.uint8)).encode(jnp.full((1, 11), 5, jnp.uint8))
    np.testing.assert_array_equal(packed, [int("101" * 6, 2), int("101" * 5, 2)])


@pytest.mark.parametrize("kind", ["one_hot", "rgb", "vector"])
def test_other_observations_are_stored_as_they_are_and_scaled_when_read(kind: str) -> None:
    space = SPACES[kind]
    code = ObservationCode.of(space)
    obs = space.sample(jax.random.key(0))
    np.testing.assert_array_equal(code.encode(obs), obs)
    np.testing.assert_allclose(code.numbers(obs[None]), obs.reshape(1, -1) / space.high, rtol=1e-6)


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


def convolve(planes: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's convolution, with zeros to the right of and below the board, `[M, P, K]`."""
    strides, dimensions = (STRIDE, STRIDE), ("NHWC", "HWIO", "NHWC")
    padding = [(0, STRIDE * (-(-side // STRIDE) - 1) + WINDOW - side) for side in planes.shape[1:3]]
    features = jax.lax.conv_general_dilated(planes, kernel, strides, padding, dimension_numbers=dimensions)
    return features.reshape(len(planes), -1, kernel.shape[-1])


def test_convolution_equals_that_of_xla() -> None:
    code = ObservationCode.of(Box(-9, 9, (5, 9, 3), np.float32), in_windows=True)
    planes = jax.random.normal(jax.random.key(0), (2, 5, 9, 3))
    module = FirstLayer(code, 4)
    params: Any = module.init(jax.random.key(1), planes)
    kernel = params["params"]["Dense_0"]["kernel"].reshape(WINDOW, WINDOW, 3, 4)
    features: Any = module.apply(params, planes)
    np.testing.assert_allclose(features, convolve(planes, kernel), atol=1e-5)


def test_convolution_of_tile_ids_equals_that_of_their_bits() -> None:
    code = ObservationCode.of(Box(0, 15, (5, 9), np.uint8), in_windows=True)
    obs = jax.random.randint(jax.random.key(0), (2, 5, 9), 0, 16).astype(jnp.uint8)
    module = FirstLayer(code, 4)
    params: Any = module.init(jax.random.key(1), code.encode(obs))
    kernel = params["params"]["kernel"].astype(jnp.bfloat16).astype(jnp.float32)  # [words * cells of a word * bits, K]
    kernel = kernel.reshape(2, 8, 4, 4).swapaxes(0, 1).reshape(WINDOW, WINDOW, 4, 4)
    bits = ((obs[..., None] >> jnp.arange(4, dtype=jnp.uint8)) & 1).astype(jnp.float32)
    features: Any = module.apply(params, code.encode(obs))
    np.testing.assert_allclose(features, convolve(bits, kernel), atol=1e-2)


def test_observations_without_rows_are_not_read_in_windows() -> None:
    with pytest.raises(ValueError, match="network='conv' is not allowed"):
        ObservationCode.of(SPACES["vector"], in_windows=True)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("torso", ["mlp", "conv", "gru"])
@pytest.mark.parametrize("is_shared", [True, False])
def test_networks_read_every_kind_of_observation(kind: str, torso: Torso, is_shared: bool) -> None:
    if (kind, torso) == ("vector", "conv"):
        pytest.skip("a vector has no cells")
    code = ObservationCode.of(SPACES[kind], in_windows=torso == "conv")
    networks = make_agent_networks(ActorCritic(code, 7, torso, 8), num_agents=2, is_shared=is_shared)
    memory = networks.initial_memory(3)

    def read(key: jax.Array) -> Output:
        obs = code.encode(jnp.zeros((4, 3, 2, *code.shape), SPACES[kind].dtype))
        return networks.apply(networks.init(key), memory, obs, jnp.zeros((4, 3), bool))

    after, logits, values = jax.eval_shape(read, jax.random.key(0))
    assert (after.shape, logits.shape, values.shape) == (memory.shape, (4, 3, 2, 7), (4, 3, 2))
    assert (after.dtype, logits.dtype, values.dtype) == (jnp.float32,) * 3


def agent_networks(module: ActorCritic, is_shared: bool = True) -> tuple[AgentNetworks, Any]:
    """Compiled networks of two agents and their parameters."""
    networks = make_agent_networks(module, 2, is_shared)
    return networks._replace(apply=jax.jit(networks.apply)), jax.jit(networks.init)(jax.random.key(0))


VECTOR = ObservationCode((2,))


@pytest.fixture(scope="module")
def recurrent() -> tuple[AgentNetworks, Any]:
    return agent_networks(ActorCritic(VECTOR, 3, "gru", 8))


OBS = jax.random.normal(jax.random.key(1), (4, 2, 2, 2))


def test_sequence_read_at_once_equals_step_by_step(recurrent: tuple[AgentNetworks, Any]) -> None:
    networks, network_params = recurrent
    starts = jnp.array([[0, 1], [0, 0], [1, 0], [0, 0]], bool)
    memory, _, values = networks.apply(network_params, networks.initial_memory(2), OBS, starts)
    one_by_one = networks.initial_memory(2)
    for t in range(4):
        one_by_one, _, value = networks.apply(network_params, one_by_one, OBS[t : t + 1], starts[t : t + 1])
        np.testing.assert_allclose(value[0], values[t], atol=1e-6)
    np.testing.assert_allclose(one_by_one, memory, atol=1e-6)


def test_memory_is_forgotten_where_an_episode_starts(recurrent: tuple[AgentNetworks, Any]) -> None:
    networks, network_params = recurrent
    memory, no_starts = networks.initial_memory(2), jnp.zeros((4, 2), bool)
    values = networks.apply(network_params, memory, OBS, no_starts.at[2, 0].set(True))[2]
    fresh = networks.apply(network_params, memory, jnp.roll(OBS, -2, axis=0), no_starts)[2]
    np.testing.assert_allclose(values[2:, 0], fresh[:2, 0], atol=1e-6)
    assert not np.allclose(values[2:, 1], fresh[:2, 1], atol=1e-4)


@pytest.mark.parametrize(("num_ids", "is_alike"), [(0, True), (2, False)])
def test_shared_networks_treat_agents_alike_unless_told_who_they_are(num_ids: int, is_alike: bool) -> None:
    networks, network_params = agent_networks(ActorCritic(VECTOR, 3, "mlp", 8, num_ids))
    obs, starts = jnp.ones((1, 1, 2, 2)), jnp.zeros((1, 1), bool)
    values = networks.apply(network_params, networks.initial_memory(1), obs, starts)[2]
    assert bool(values[0, 0, 0] == values[0, 0, 1]) == is_alike


def test_separate_networks_do_not_touch_each_other() -> None:
    networks, network_params = agent_networks(ActorCritic(ObservationCode.of(TILES), 3, "mlp", 8), is_shared=False)
    inputs = (networks.initial_memory(1), jnp.ones((1, 1, 2, 2), jnp.uint32), jnp.zeros((1, 1), bool))

    def value_of_first(network_params: Any) -> tuple[jax.Array, jax.Array]:
        values = networks.apply(network_params, *inputs)[2][0, 0]
        return values[0], values

    gradient, values = jax.jit(jax.grad(value_of_first, has_aux=True))(network_params)
    assert values[0] != values[1]
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_array_equal(leaf[1], 0.0)
