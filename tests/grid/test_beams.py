import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.beams import Hits, count_hits, find_hits, open_reach, stop_at_agents
from tests.reference.boards import draw_agents, draw_walls
from tests.reference.views import cell_at, is_inside

NORTH, EAST, SOUTH, WEST = range(4)
COURT = ".....@. ..@.... ....... @...@.. ......@"


def slow_reach(walls: np.ndarray, cell: tuple[int, int], heading: int, right: int, length: int) -> int:
    """Walks along one ray until something is in the way."""
    for distance in range(1, length + 1):
        target = cell_at(cell, heading, distance, right)
        if not is_inside(walls.shape, target) or walls[target]:
            return distance - 1
    return length


def hits_on(board: str, headings: list[int], shooter: int, length: int = 20, half_width: int = 0) -> list[int]:
    """Who is hit when one agent of a drawing fires."""
    walls, positions = draw_walls(board), draw_agents(board)
    reach = open_reach(walls, length, half_width)[
        positions[:, 0] * walls.shape[1] + positions[:, 1], np.array(headings)
    ]
    reach = reach * (np.arange(len(positions)) == shooter)[:, None]
    everyone = jnp.ones(len(positions), bool)
    hits = find_hits(jnp.asarray(positions), jnp.array(headings), jnp.asarray(reach), jnp.asarray(positions), everyone)
    assert not np.delete(np.asarray(hits.given), shooter, axis=0).any()
    return [int(j) for j in np.flatnonzero(hits.given[shooter])]


@pytest.mark.parametrize(("length", "half_width"), [(1, 0), (3, 0), (20, 0), (2, 1), (20, 2), (1, 3)])
def test_rays_end_at_walls_at_the_edge_and_at_their_length_from_every_cell(length: int, half_width: int) -> None:
    walls = draw_walls(COURT)
    height, width = walls.shape
    reach = open_reach(walls, length, half_width)
    assert reach.shape == (height * width, 4, 2 * half_width + 1)
    assert reach.dtype == np.int32
    for row, col in np.ndindex(height, width):
        for heading in range(4):
            for right in range(-half_width, half_width + 1):
                expected = slow_reach(walls, (row, col), heading, right, length)
                assert reach[row * width + col, heading, right + half_width] == expected, (row, col, heading, right)


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
    find = jax.jit(find_hits)
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
    hits = find_hits(positions, jnp.full(3, EAST), reach, positions, jnp.array([True, False, True]))
    assert hits.given.tolist() == [[False, False, True], [False] * 3, [False] * 3]


def test_two_shooters_hit_each_other_at_once() -> None:
    positions = jnp.asarray(draw_agents(".0..1."))
    reach, everyone = jnp.full((2, 1), 9), jnp.ones(2, bool)
    given = find_hits(positions, jnp.array([EAST, WEST]), reach, positions, everyone).given
    assert given.tolist() == [[False, True], [True, False]]


def test_beam_that_agents_block_hits_only_the_nearest_of_each_ray() -> None:
    board = ".1.3. 0.2.4 .5..."
    positions = jnp.asarray(draw_agents(board))
    reach = jnp.zeros((6, 3), jnp.int32).at[0].set(4)
    hits = find_hits(positions, jnp.full(6, EAST), reach, positions, jnp.ones(6, bool))
    assert np.flatnonzero(hits.given[0]).tolist() == [1, 2, 3, 4, 5]
    assert np.flatnonzero(stop_at_agents(hits).given[0]).tolist() == [1, 2, 5]


def test_agents_in_one_cell_are_both_hit_by_a_beam_that_agents_block() -> None:
    positions = jnp.array([[0, 0], [0, 2], [0, 2], [0, 3]])
    hits = find_hits(positions[:1], jnp.array([EAST]), jnp.array([[4]]), positions, jnp.ones(4, bool))
    assert isinstance(hits, Hits)
    assert np.flatnonzero(stop_at_agents(hits).given[0]).tolist() == [1, 2]


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
