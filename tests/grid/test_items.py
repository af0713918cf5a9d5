"""Items of several kinds: growth by one uniform a cell, and who takes what."""

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid import items
from jaxdilemmas.grid.maps import index_of_cells

CELLS = np.array([[0, 1], [0, 3], [1, 0], [1, 2], [2, 3]], np.int32)
INDEX_AT = index_of_cells(CELLS, (3, 4))


def test_the_kind_is_the_part_of_the_unit_interval_in_which_the_uniform_is() -> None:
    just_below = np.nextafter(np.array([0.25, 0.75], np.float32), np.float32(0))
    uniforms = jnp.array([0.0, just_below[0], 0.25, just_below[1], 0.75, 0.99], jnp.float32)
    kinds = items.choose_kinds(uniforms, (0.25, 0.5))
    assert kinds.dtype == jnp.int8
    assert kinds.tolist() == [1, 1, 2, 2, 0, 0]
    assert items.choose_kinds(uniforms, (0.0, 0.25)).tolist() == [2, 2, 0, 0, 0, 0]
    assert items.choose_kinds(uniforms, (jnp.float32(1),)).tolist() == [1] * 6


def test_items_grow_on_empty_cells_only() -> None:
    kinds = jnp.array([0, 3, 0, 1, 2], jnp.int8)
    grown = items.grow(kinds, jnp.array([0.1, 0.1, 0.3, 0.9, 0.3], jnp.float32), (0.2, 0.2))
    assert grown.tolist() == [1, 3, 2, 1, 2]


def test_agents_take_the_items_under_them() -> None:
    kinds = jnp.array([2, 1, 3, 0, 1], jnp.int8)
    positions = jnp.array([[1, 0], [0, 0], [1, 2], [0, 3], [2, 3]], jnp.int32)
    taken, left = items.collect(kinds, INDEX_AT, positions, jnp.array([True, True, True, False, True]))
    assert (taken.dtype, left.dtype) == (jnp.int8, jnp.int8)
    assert taken.tolist() == [3, 0, 0, 0, 1]
    assert left.tolist() == [2, 1, 0, 0, 0]


def test_items_are_looked_up_with_their_index() -> None:
    kinds = jnp.array([2, 1, 3, 0, 1], jnp.int8)
    found, index = items.look_up(kinds, INDEX_AT, jnp.array([[0, 3], [2, 2], [1, 2]], jnp.int32))
    assert found.tolist() == [1, 0, 0]
    assert index.tolist() == [1, len(CELLS), 3]
