from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.bits import pack_bits, unpack_bits
from jaxdilemmas.grid.river import RiverParams, growth_probability, new_waste, waste_fraction

THRESHOLDS = [(0.4, 0.0), (0.6, 0.3), (1.0, 0.25)]


def every_amount(num_cells: int) -> np.ndarray:
    """Rivers with no, one, two, ... and all cells under waste, `[R + 1, R]` bool."""
    return np.arange(num_cells) < np.arange(num_cells + 1)[:, None]


def chance_to_grow(waste: jax.Array, params: Any) -> jax.Array:
    return growth_probability(pack_bits(waste), len(waste), params)


def params_of(depletion: float, restoration: float) -> Any:
    return RiverParams(depletion_threshold=depletion, restoration_threshold=restoration)


@pytest.mark.parametrize("num_cells", [7, 25, 119, 148])
def test_fraction_is_rounded_once_so_that_it_equals_a_threshold_that_it_meets(num_cells: int) -> None:
    fractions = jax.jit(jax.vmap(lambda waste: waste_fraction(pack_bits(waste), num_cells)))(every_amount(num_cells))
    np.testing.assert_array_equal(fractions, (np.arange(num_cells + 1) / num_cells).astype(np.float32))


@pytest.mark.parametrize(("depletion", "restoration"), THRESHOLDS)
def test_chance_to_grow_falls_in_a_line_from_its_rate_to_zero(depletion: float, restoration: float) -> None:
    chances = jax.jit(jax.vmap(chance_to_grow, (0, None)))(every_amount(20), params_of(depletion, restoration))
    assert chances.dtype == jnp.float32
    expected = np.interp(np.arange(21) / 20, [restoration, depletion], [0.05, 0.0])
    np.testing.assert_allclose(np.maximum(chances, 0), expected, rtol=1e-6, atol=1e-8)
    assert (np.asarray(chances) <= 0)[np.arange(21) / 20 >= depletion].all()


@pytest.mark.parametrize(("depletion", "restoration"), THRESHOLDS)
@pytest.mark.parametrize("num_cells", [24, 119])
def test_chance_to_grow_is_bitwise_the_same_alone_in_a_batch_and_with_numbers_known_when_compiled(
    num_cells: int, depletion: float, restoration: float
) -> None:
    rivers, params = every_amount(num_cells), params_of(depletion, restoration)
    batched = jax.jit(jax.vmap(chance_to_grow, (0, None)))(rivers, params)
    np.testing.assert_array_equal(jax.jit(jax.vmap(lambda waste: chance_to_grow(waste, params)))(rivers), batched)
    alone = jax.jit(chance_to_grow)
    np.testing.assert_array_equal([alone(waste, params) for waste in rivers], batched)


@jax.jit
def places_of_new_waste(gate: float, choice: float, candidates: jax.Array) -> jax.Array:
    """Where waste comes, `[40]` bool."""
    draws = SimpleNamespace(waste_gate=gate, waste_choice=choice)
    return unpack_bits(new_waste(draws, pack_bits(candidates), RiverParams()), 40)


def test_every_candidate_is_as_likely_to_get_waste_as_any_other() -> None:
    candidates = np.random.default_rng(0).random(40) < 0.3
    places = np.flatnonzero(candidates).tolist()
    for k in range(4 * len(places)):
        new = places_of_new_waste(0.49, (k + 0.5) / (4 * len(places)), candidates)
        assert np.flatnonzero(new).tolist() == [places[k // 4]]


def test_no_waste_comes_when_the_gate_is_shut_or_there_is_no_candidate() -> None:
    for gate, is_candidate in ((0.5, True), (0.0, False)):
        assert not places_of_new_waste(gate, 0.0, np.full(40, is_candidate)).any()
