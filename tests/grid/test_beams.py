import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.beams import (
    count_hits,
    find_hits,
    open_reach,
    ray_segments,
    ray_table,
    stop_at_marks,
    stop_at_targets,
)
from tests.reference.boards import draw_agents, draw_walls
from tests.reference.views import Cell, Vector, cell_at, is_inside

NORTH, EAST, SOUTH, WEST = range(4)
find, stop = jax.jit(find_hits, static_argnums=5), jax.jit(stop_at_targets)
COURT = ".....@. ..@.... ....... @...@.. ......@"


def ray_cells(shooter: Vector, heading: int, right: int, length: int, side_start: int = 1) -> list[Cell]:
    """The cells of one ray of a beam, from near to far."""
    start = side_start if right else 1
    return [cell_at(shooter, heading, distance, right) for distance in range(start, start + length)]


def slow_reach(walls: np.ndarray, cells: list[Cell]) -> int:
    """Walks along one ray until something is in the way."""
    is_free = [is_inside(walls.shape, cell) and not walls[cell] for cell in cells]
    return [*is_free, False].index(False)


def hits_on(board: str, headings: list[int], shooter: int, length: int = 20, half_width: int = 0) -> list[int]:
    """Who is hit when one agent of a drawing fires."""
    walls, positions = draw_walls(board), draw_agents(board)
    reach = open_reach(walls, length, half_width)[
        positions[:, 0] * walls.shape[1] + positions[:, 1], np.array(headings)
    ]
    reach = reach * (np.arange(len(positions)) == shooter)[:, None]
    hits = find(positions, np.array(headings, np.int32), reach, positions, np.ones(len(positions), bool))
    assert not np.delete(np.asarray(hits.given), shooter, axis=0).any()
    return [int(j) for j in np.flatnonzero(hits.given[shooter])]


RAYS = [(1, 0, 1), (3, 0, 1), (20, 0, 1), (2, 1, 1), (20, 2, 1), (1, 3, 1), (5, 1, 0), (1, 2, 0), (3, 0, 0)]
"""Length, half width and where the side rays start."""


@pytest.mark.parametrize(("length", "half_width", "side_start"), RAYS)
def test_rays_end_at_walls_at_the_edge_and_at_their_length_from_every_cell(
    length: int, half_width: int, side_start: int
) -> None:
    walls = draw_walls(COURT)
    height, width = walls.shape
    reach = open_reach(walls, length, half_width, side_start)
    assert reach.shape == (height * width, 4, 2 * half_width + 1)
    assert reach.dtype == np.int32
    for row, col, heading, ray in np.ndindex(height, width, *reach.shape[1:]):
        expected = slow_reach(walls, ray_cells((row, col), heading, ray - half_width, length, side_start))
        assert reach[row * width + col, heading, ray] == expected, (row, col, heading, ray)


@pytest.mark.parametrize(("length", "half_width", "side_start"), RAYS)
def test_layer_is_read_along_the_rays_from_every_cell(length: int, half_width: int, side_start: int) -> None:
    layer = np.arange(28, dtype=np.int32).reshape(4, 7)
    table = ray_table(layer, -1, length, half_width, side_start)
    assert table.shape == (28, 4, 2 * half_width + 1, length)
    assert table.dtype == np.int32
    for row, col, heading, ray in np.ndindex(4, 7, *table.shape[1:3]):
        cells = ray_cells((row, col), heading, ray - half_width, length, side_start)
        expected = [layer[cell] if is_inside(layer.shape, cell) else -1 for cell in cells]
        assert table[row * 7 + col, heading, ray].tolist() == expected, (row, col, heading, ray)


def test_beam_hits_every_agent_ahead_and_passes_through_them() -> None:
    assert hits_on("....... .0.1.23 .......", [EAST] * 4, 0) == [1, 2, 3]


def test_beam_does_not_hit_behind_beside_or_the_shooter() -> None:
    assert hits_on("...4... .1.0.2. ...3...", [EAST] * 5, 0) == [2]


def test_beam_stops_at_wall() -> None:
    assert hits_on("....... .0.1@2. .......", [EAST] * 3, 0) == [1]


def test_beam_ends_at_its_length() -> None:
    board = "........ .0..1... ........"
    assert hits_on(board, [EAST, WEST], 0, length=3) == [1]
    assert hits_on(board, [EAST, WEST], 0, length=2) == []
    assert hits_on(board, [EAST, WEST], 1, length=3) == [0]


def test_wide_beam_covers_its_width_from_the_first_row_ahead() -> None:
    board = ".3..... .1.5... 0...... .2.6... .4....."
    assert hits_on(board, [EAST] * 7, 0, half_width=1) == [1, 2, 5, 6]
    assert hits_on(board, [EAST] * 7, 0, half_width=2) == [1, 2, 3, 4, 5, 6]
    assert hits_on("1.. 0.. 2..", [EAST] * 3, 0, half_width=1) == []


def test_each_ray_of_a_wide_beam_stops_at_its_own_wall() -> None:
    assert hits_on("..@..1. 0....2. .@...3.", [EAST] * 4, 0, half_width=1) == [2]
    assert hits_on(".....1. 0@...2. .....3.", [EAST] * 4, 0, half_width=1) == [1, 3]


@pytest.mark.parametrize("half_width", [0, 2])
def test_no_beam_wraps_around_any_edge(half_width: int) -> None:
    height, width = 4, 7
    walls = np.zeros((height, width), bool)
    cells = np.argwhere(np.ones((height, width))).astype(np.int32)
    reach = open_reach(walls, 20, half_width)
    everyone = jnp.ones(len(cells), bool)
    for heading in range(4):
        headings = jnp.full(len(cells), heading)
        given = np.asarray(find(cells, headings, reach[:, heading], cells, everyone).given)
        for i, shooter in enumerate(cells):
            lit = {
                cell_at(shooter, heading, distance, right)
                for distance in range(1, 21)
                for right in range(-half_width, half_width + 1)
            }
            assert given[i].tolist() == [tuple(cell.tolist()) in lit for cell in cells], (heading, shooter)


def test_agents_that_cannot_be_hit_are_not_hit_and_stop_nothing() -> None:
    positions = jnp.asarray(draw_agents("0.1.2"))
    reach = jnp.array([[4], [0], [0]])
    hits = find(positions, jnp.full(3, EAST), reach, positions, jnp.array([True, False, True]))
    assert hits.given.tolist() == [[False, False, True], [False] * 3, [False] * 3]


def test_two_shooters_hit_each_other_at_once() -> None:
    positions = jnp.asarray(draw_agents(".0..1."))
    reach, everyone = jnp.full((2, 1), 9), jnp.ones(2, bool)
    given = find(positions, jnp.array([EAST, WEST]), reach, positions, everyone).given
    assert given.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(("half_width", "side_start"), [(0, 1), (2, 1), (1, 0)])
def test_segment_of_a_ray_holds_its_cells(half_width: int, side_start: int) -> None:
    rng = np.random.default_rng(half_width)
    positions = rng.integers(0, (4, 7), (12, 2)).astype(np.int32)
    headings = np.arange(12, dtype=np.int32) % 4
    reach = rng.integers(1, 6, (12, 2 * half_width + 1)).astype(np.int32)
    segments = jax.jit(ray_segments, static_argnums=3)(positions, headings, reach, side_start)
    first, last = (np.asarray(corner).reshape(12, -1, 2) for corner in segments)
    for i, ray in np.ndindex(*reach.shape):
        cells = ray_cells(positions[i], int(headings[i]), ray - half_width, int(reach[i, ray]), side_start)
        assert (tuple(first[i, ray]), tuple(last[i, ray])) == (min(cells), max(cells))


@pytest.mark.parametrize(("half_width", "side_start"), [(0, 1), (1, 1), (2, 1), (0, 0), (1, 0), (2, 0)])
def test_crowd_is_hit_as_when_each_ray_is_walked_with_and_without_stopping_at_targets(
    half_width: int, side_start: int
) -> None:
    rng, cases, num_shooters, num_targets = np.random.default_rng(half_width), 60, 6, 9
    positions, targets = (rng.integers(0, (4, 7), (cases, n, 2)).astype(np.int32) for n in (num_shooters, num_targets))
    headings = rng.integers(0, 4, (cases, num_shooters)).astype(np.int32)
    reach = rng.integers(0, 6, (cases, num_shooters, 2 * half_width + 1)).astype(np.int32)
    is_target = rng.random((cases, num_targets)) < 0.8

    def fire(
        positions: jax.Array, headings: jax.Array, reach: jax.Array, targets: jax.Array, is_target: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        hits = find_hits(positions, headings, reach, targets, is_target, side_start)
        return hits.given, *stop_at_targets(hits, reach)

    given, first, covered = (
        np.asarray(a) for a in jax.jit(jax.vmap(fire))(positions, headings, reach, targets, is_target)
    )
    assert covered.dtype == np.int32
    for case, i in np.ndindex(cases, num_shooters):
        standing = [tuple(targets[case, j].tolist()) if is_target[case, j] else None for j in range(num_targets)]
        hit_at_all, hit_first = set(), set()
        for ray, length in enumerate(reach[case, i].tolist()):
            cells = ray_cells(positions[case, i], int(headings[case, i]), ray - half_width, length, side_start)
            met = [k for k, cell in enumerate(cells) if cell in standing]
            assert covered[case, i, ray] == (met[0] if met else length)
            hit_at_all |= {j for j, cell in enumerate(standing) if cell in cells}
            hit_first |= {j for j, cell in enumerate(standing) if met and cell == cells[met[0]]}
        assert set(np.flatnonzero(given[case, i])) == hit_at_all
        assert set(np.flatnonzero(first[case, i])) == hit_first
    assert first.sum() < given.sum()


def test_beam_that_agents_block_hits_only_the_nearest_of_each_ray_and_ends_before_it() -> None:
    positions = jnp.asarray(draw_agents(".1.3. 0.2.4 .5..."))
    reach = jnp.zeros((6, 3), jnp.int32).at[0].set(4)
    hits = find(positions, jnp.full(6, EAST), reach, positions, jnp.ones(6, bool))
    assert np.flatnonzero(hits.given[0]).tolist() == [1, 2, 3, 4, 5]
    is_hit, covered = stop(hits, reach)
    assert np.flatnonzero(is_hit[0]).tolist() == [1, 2, 5]
    assert covered.tolist() == [[0, 1, 0]] + [[0, 0, 0]] * 5


def test_agents_in_one_cell_are_both_hit_by_a_beam_that_agents_block() -> None:
    positions = jnp.array([[0, 0], [0, 2], [0, 2], [0, 3]])
    hits = find(positions[:1], jnp.array([EAST]), jnp.array([[4]]), positions, jnp.ones(4, bool))
    is_hit, covered = stop(hits, jnp.array([[4]]))
    assert np.flatnonzero(is_hit[0]).tolist() == [1, 2]
    assert covered.tolist() == [[1]]


def test_side_rays_may_start_beside_the_shooter() -> None:
    positions = jnp.asarray(draw_agents("31... 0.... 42..."))
    reach, everyone = jnp.zeros((5, 3), jnp.int32).at[0].set(1), jnp.ones(5, bool)
    for side_start, expected in ((0, [3, 4]), (1, [1, 2])):
        hits = find(positions, jnp.full(5, EAST), reach, positions, everyone, side_start)
        assert np.flatnonzero(hits.given[0]).tolist() == expected


def test_each_ray_stops_at_the_first_mark_within_its_reach() -> None:
    rng = np.random.default_rng(0)
    is_marked = rng.random((50, 3, 5)) < 0.3
    reach = rng.integers(0, 6, (50, 3)).astype(np.int32)
    is_first, covered = (np.asarray(a) for a in jax.jit(stop_at_marks)(is_marked, reach))
    assert covered.dtype == np.int32
    for shooter, ray in np.ndindex(50, 3):
        met = [k for k in range(reach[shooter, ray]) if is_marked[shooter, ray, k]]
        assert np.flatnonzero(is_first[shooter, ray]).tolist() == met[:1]
        assert covered[shooter, ray] == (met[0] if met else reach[shooter, ray])


def test_enough_hits_tag_and_the_count_starts_again() -> None:
    hits, is_tagged = count_hits(jnp.array([0, 1, 1, 0, 1]), jnp.array([0, 0, 1, 2, 3]), 2)
    assert hits.tolist() == [0, 1, 0, 0, 0]
    assert is_tagged.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"positions": jnp.zeros((3, 3), jnp.int32)},
        {"headings": jnp.zeros(2, jnp.int32)},
        {"reach": jnp.ones(3, jnp.int32)},
        {"is_target": jnp.ones(2, bool)},
        {"is_target": jnp.ones(3, jnp.int32)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_arrays_of_a_wrong_shape_or_dtype_are_refused_inside_jit(wrong: dict[str, jax.Array]) -> None:
    cells, headings = jnp.zeros((3, 2), jnp.int32), jnp.zeros(3, jnp.int32)
    right = {"positions": cells, "headings": headings, "reach": jnp.ones((3, 1), jnp.int32), "targets": cells}
    right["is_target"] = jnp.ones(3, bool)
    jax.eval_shape(find_hits, **right)
    with pytest.raises(AssertionError):
        jax.eval_shape(find_hits, **right | wrong)
