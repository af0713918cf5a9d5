import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid import views
from jaxdilemmas.grid.beams import open_reach
from jaxdilemmas.grid.geometry import cell_index, relative_coordinates
from jaxdilemmas.grid.views import Window
from tests.reference.boards import draw_walls
from tests.reference.views import cell_at, egocentric_view, is_inside

WALLS = draw_walls("@@@@@@@ @.....@ @.@...@ @....@@ .......")
WINDOWS = [Window(15, 0, 10), Window(3, 1, 2), Window(0, 2, 0), Window(1, 4, 1)]


def all_viewers(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every cell with every heading, as positions `[4 H W, 2]` and headings."""
    cells = np.argwhere(np.ones(shape)).astype(np.int32)
    return np.repeat(cells, 4, axis=0), np.tile(np.arange(4, dtype=np.int32), len(cells))


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_board_is_seen_as_in_the_slow_view_from_every_cell_and_heading(window: Window) -> None:
    board = (np.arange(WALLS.size).reshape(WALLS.shape) + 100).astype(np.uint8)
    table = jnp.asarray(views.window_table((WALLS.shape[0], WALLS.shape[1]), window))
    flat = jnp.append(jnp.asarray(board).reshape(-1), jnp.uint8(7))
    positions, headings = all_viewers(WALLS.shape)
    seen = jax.jit(views.look, static_argnums=4)(flat, positions, headings, table, WALLS.shape[1])
    assert seen.dtype == jnp.uint8
    assert seen.shape == (len(positions), *window.shape)
    for viewer, (position, heading) in enumerate(zip(positions, headings, strict=True)):
        expected = egocentric_view(board, position, heading, window, 7)
        np.testing.assert_array_equal(seen[viewer], expected, err_msg=f"{position} {heading}")
        assert expected[window.own_cell] == board[tuple(position)]


def test_forward_is_up_and_off_the_board_is_the_number_after_the_last_cell() -> None:
    table = views.window_table((4, 5), Window(2, 1, 1)).reshape(4, 5, 4, 4, 3)
    assert table[2, 2, 0].tolist() == [[1, 2, 3], [6, 7, 8], [11, 12, 13], [16, 17, 18]]
    assert table[2, 2, 1].tolist() == [[9, 14, 19], [8, 13, 18], [7, 12, 17], [6, 11, 16]]
    assert table[2, 2, 2].tolist() == [[20, 20, 20], [18, 17, 16], [13, 12, 11], [8, 7, 6]]
    assert table[2, 2, 3].tolist() == [[15, 10, 5], [16, 11, 6], [17, 12, 7], [18, 13, 8]]


def test_agents_are_drawn_where_they_stand_and_the_lowest_index_on_top() -> None:
    board = jnp.zeros(12, jnp.uint8)
    cells, tiles = jnp.array([7, 3, 7, 3, 0]), jnp.array([5, 6, 7, 8, 9], jnp.uint8)
    drawn = views.paint_agents(board, cells, tiles)
    assert drawn.dtype == jnp.uint8
    assert drawn.tolist() == [9, 0, 0, 6, 0, 0, 0, 5, 0, 0, 0, 0]


def test_agent_off_the_board_is_not_drawn() -> None:
    assert views.paint_agents(jnp.zeros(12, jnp.uint8), jnp.array([12, 4]), jnp.array([5, 6], jnp.uint8)).sum() == 6


@pytest.mark.parametrize(("length", "half_width"), [(20, 0), (2, 0), (4, 2), (1, 1)])
def test_beams_are_drawn_on_the_cells_that_they_cover(length: int, half_width: int) -> None:
    height, width = WALLS.shape
    positions, headings = all_viewers(WALLS.shape)
    keep = np.random.default_rng(1).permutation(len(positions))[:20]
    positions, headings = positions[keep], headings[keep]
    reach = open_reach(WALLS, length, half_width)[cell_index(positions, width), headings]
    draw = jax.jit(views.beam_cells, static_argnums=3)
    for firing in [[0], [5], [1, 2, 3], list(range(20)), []]:
        is_firing = np.isin(np.arange(20), firing)
        drawn = np.asarray(draw(positions, headings, reach * is_firing[:, None], (height, width)))
        lit = np.zeros(WALLS.shape, bool)
        for j in firing:
            for right in range(-half_width, half_width + 1):
                for distance in range(1, length + 1):
                    cell = cell_at(positions[j], headings[j], distance, right)
                    if not is_inside(WALLS.shape, cell) or WALLS[cell]:
                        break
                    lit[cell] = True
        np.testing.assert_array_equal(drawn.reshape(height, width), lit, err_msg=f"{firing}")


@pytest.mark.parametrize("half_width", [0, 2])
def test_beam_that_nothing_blocks_is_drawn_up_to_the_edge_and_never_wraps(half_width: int) -> None:
    positions, headings = all_viewers((4, 7))
    reach = jnp.full((1, 2 * half_width + 1), 20)
    draw = jax.jit(views.beam_cells, static_argnums=3)
    for position, heading in zip(positions, headings, strict=True):
        drawn = np.asarray(draw(position[None], heading[None], reach, (4, 7))).reshape(4, 7)
        sides, distances = range(-half_width, half_width + 1), range(1, 21)
        cells = {cell_at(position, heading, distance, right) for right in sides for distance in distances}
        assert {tuple(cell) for cell in np.argwhere(drawn).tolist()} == {c for c in cells if is_inside((4, 7), c)}


def test_cells_are_ahead_and_to_the_right_as_a_walker_counts_them() -> None:
    counted = [(forward, right) for forward in range(-3, 4) for right in range(-3, 4)]
    for heading in range(4):
        cells = np.array([cell_at((2, 3), heading, *offset) for offset in counted])
        forward, right = relative_coordinates(jnp.array([[2, 3]]), jnp.array([heading]), jnp.asarray(cells))
        assert list(zip(forward[0].tolist(), right[0].tolist(), strict=True)) == counted
