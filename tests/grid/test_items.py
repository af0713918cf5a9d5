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


def test_items_are_put_and_taken_by_their_index() -> None:
    kinds = jnp.array([2, 1, 3, 0, 1], jnp.int8)
    assert items.take(kinds, jnp.array([4, 5, 2], jnp.int32)).tolist() == [1, 0, 3]
    assert items.put(kinds, jnp.array([3, 5, 3, 0]), jnp.array([9, 8, 7, 6], jnp.int8)).tolist() == [6, 1, 3, 7, 1]


def test_items_do_not_grow_where_agents_stand() -> None:
    kinds, uniforms = jnp.array([0, 0, 3, 0, 0], jnp.int8), jnp.array([0.1, 0.3, 0.1, 0.1, 0.9], jnp.float32)
    grown = items.grow_apart(kinds, uniforms, (0.2, 0.2), INDEX_AT, jnp.array([[1, 2], [2, 0]], jnp.int32))
    assert grown.tolist() == [1, 2, 0, 0, 0]


def test_beam_ends_at_the_first_item_within_its_reach() -> None:
    kinds = jnp.array([0, 1, 0, 2], jnp.int8)
    on_ray = jnp.array([[[0, 1, 3]], [[0, 1, 3]], [[4, 2, 4]], [[3, 4, 4]]], jnp.int32)
    met, rays = items.first_on_rays(kinds, on_ray, jnp.array([[3], [1], [3], [0]], jnp.int32))
    assert met.tolist() == [1, 4, 4, 4]
    assert rays.tolist() == [[1], [1], [3], [0]]


def test_items_are_marked_on_the_cells_that_rays_cover() -> None:
    on_rays = jnp.array([[[0, 1, 3]], [[4, 2, 40]], [[33, 3, 1]]], jnp.int32)
    words = items.mark_covered(on_rays, jnp.array([[2], [3], [1]], jnp.int32), 40)
    marked = [int(words[index // 32] >> (index % 32)) & 1 for index in range(40)]
    assert np.flatnonzero(marked).tolist() == [0, 1, 2, 4, 33]
