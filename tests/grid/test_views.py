from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.gathering import Gathering
from jaxdilemmas.grid import views
from jaxdilemmas.grid.bits import WORD_BITS, unpack_bits
from jaxdilemmas.grid.geometry import relative_coordinates
from jaxdilemmas.grid.views import Frame, Window
from tests.reference.boards import draw_walls
from tests.reference.gathering import Gathering as SlowGathering
from tests.reference.rollouts import as_cells, start
from tests.reference.views import cell_at, egocentric_view

WALLS = draw_walls("@@@@@@@ @.....@ @.@...@ @....@@ .......")
WINDOWS = [Window(15, 0, 10), Window(3, 1, 2), Window(0, 2, 0), Window(1, 4, 1)]
GARDEN = """
@@@@@@@@@
@P.A.@...
@..A...A@
@.@AA..P@
....A....
@@@@.A@@@
"""


def all_viewers(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every cell with every heading, as positions `[4 H W, 2]` and headings."""
    cells = np.argwhere(np.ones(shape)).astype(np.int32)
    return np.repeat(cells, 4, axis=0), np.tile(np.arange(4, dtype=np.int32), len(cells))


def some_viewers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    positions, headings = all_viewers((5, 7))
    keep = np.random.default_rng(seed).permutation(len(positions))[:count]
    return positions[keep], headings[keep]


def frame_of(positions: np.ndarray, headings: np.ndarray, window: Window) -> Frame:
    forward, right = relative_coordinates(jnp.asarray(positions), jnp.asarray(headings), jnp.asarray(positions))
    return views.window_frame(forward, right, jnp.asarray(headings), window)


def garden_states(env: Gathering) -> list[dict[str, Any]]:
    """Agents on every free cell with every heading, some firing, some out, some apples gone."""
    rng, moments = np.random.default_rng(0), []
    for heading in range(4):
        cells = rng.permutation(np.argwhere(~env.walls))
        for first in range(0, len(cells), env.num_agents):
            chosen = np.roll(cells, -first, axis=0)[: env.num_agents]
            timeouts = rng.integers(1, 9, env.num_agents) * (rng.random(env.num_agents) < 0.2)
            moments.append(
                {
                    "positions": chosen.astype(np.int32),
                    "headings": np.full(env.num_agents, heading, np.int32),
                    "timeouts": timeouts.astype(np.int32) * (first > 0),
                    "fired": (rng.random(env.num_agents) < 0.4) & (timeouts * (first > 0) == 0),
                    "apples": rng.random(len(env.apple_cells)) < 0.7,
                }
            )
    return moments


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_game_is_seen_as_in_the_slow_view_from_every_cell(monkeypatch: pytest.MonkeyPatch, window: Window) -> None:
    monkeypatch.setattr(Gathering, "window", window)
    env = Gathering(num_agents=6, beam_length=4, map=GARDEN)
    moments, rng = garden_states(env), np.random.default_rng(1)
    for moment in moments:  # one agent of each moment looks elsewhere than the rest
        moment["headings"][rng.integers(6)] = rng.integers(4)
    stacked = {name: jnp.asarray(np.stack([moment[name] for moment in moments])) for name in moments[0]}
    initial = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(moments), *leaf.shape)), start(env))
    observed = np.asarray(jax.jit(jax.vmap(env.observe, (0, None)))(initial.replace(**stacked), env.default_params))
    for seen, moment in zip(observed, moments, strict=True):
        cells = as_cells(moment["positions"])
        slow = SlowGathering(
            env.walls, env.apple_cells, cells, cells, moment["headings"].tolist(), beam_length=4, view=window
        )
        slow.timeouts, slow.fired, slow.apples = (moment[name].tolist() for name in ("timeouts", "fired", "apples"))
        np.testing.assert_array_equal(seen, slow.observe())


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_static_layer_is_seen_as_in_the_slow_view_from_every_cell_and_heading(window: Window) -> None:
    layer = np.arange(WALLS.size).reshape(WALLS.shape) + 300
    table = views.window_table(layer, window, outside=7)
    for row, (position, heading) in enumerate(zip(*all_viewers((5, 7)), strict=True)):
        expected = egocentric_view(layer, position, heading, window, 7)
        np.testing.assert_array_equal(table[row].reshape(window.shape), expected, err_msg=f"{position} {heading}")


def test_forward_is_up_and_the_viewer_stands_in_the_middle_of_its_row() -> None:
    table = views.window_table(np.arange(20).reshape(4, 5), Window(2, 1, 1), 99).reshape(4, 5, 4, 4, 3)
    assert table[2, 2, 0].tolist() == [[1, 2, 3], [6, 7, 8], [11, 12, 13], [16, 17, 18]]
    assert table[2, 2, 1].tolist() == [[9, 14, 19], [8, 13, 18], [7, 12, 17], [6, 11, 16]]
    assert table[2, 2, 2].tolist() == [[99, 99, 99], [18, 17, 16], [13, 12, 11], [8, 7, 6]]
    assert table[2, 2, 3].tolist() == [[15, 10, 5], [16, 11, 6], [17, 12, 7], [18, 13, 8]]


@pytest.mark.parametrize("window", [Window(5, 0, 3), Window(1, 4, 1)], ids=str)
def test_agents_are_seen_where_they_stand_and_the_lowest_index_on_top(window: Window) -> None:
    positions, headings = some_viewers(20, seed=0)
    positions[3], positions[7] = positions[5], positions[5]

    @jax.jit
    def draw() -> jax.Array:
        frame = frame_of(positions, headings, window)
        blank = jnp.zeros((20, window.shape[0] * window.shape[1]), jnp.uint8)
        return views.paint_agents(
            blank, frame, (10 + 4 * jnp.arange(20) + frame.headings).astype(jnp.uint8), window.shape
        )

    drawn = np.asarray(draw()).reshape(-1, *window.shape)
    for viewer, (position, heading) in enumerate(zip(positions, headings, strict=True)):
        board = np.zeros(WALLS.shape, np.uint8)
        for j in reversed(range(20)):
            board[tuple(positions[j])] = 10 + 4 * j + (headings[j] - heading) % 4
        np.testing.assert_array_equal(drawn[viewer], egocentric_view(board, position, heading, window, 0))


def test_agent_that_stands_nowhere_is_not_drawn() -> None:
    rows = jnp.array([[1, views.NOWHERE]], jnp.int16)
    frame = Frame(rows, jnp.array([[2, 1]], jnp.int16), jnp.zeros((1, 2), jnp.int32))
    drawn = views.paint_agents(jnp.zeros((1, 12), jnp.uint8), frame, jnp.array([[5, 6]], jnp.uint8), (3, 4))
    assert np.flatnonzero(drawn[0]).tolist() == [6]


BOARDS = [(5, 7), (3, 40), (70, 33)]


def lit_board(shape: tuple[int, int], first: np.ndarray, last: np.ndarray, is_there: np.ndarray) -> np.ndarray:
    """The cells of segments, `[H, W]` bool."""
    lit = np.zeros(shape, bool)
    for (row, col), (last_row, last_col), is_one in zip(first, last, is_there, strict=True):
        if is_one:
            lit[max(row, 0) : max(last_row + 1, 0), max(col, 0) : max(last_col + 1, 0)] = True
    return lit


def some_segments(shape: tuple[int, int], count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segments along rows and columns that begin and end anywhere on the board and around it, three in four there."""
    rng = np.random.default_rng(seed)
    first = rng.integers(-4, np.add(shape, 3), (count, 2)).astype(np.int32)
    along = np.eye(2, dtype=np.int32)[rng.integers(0, 2, count)]
    last = first + along * rng.integers(0, max(shape) + 4, (count, 1)).astype(np.int32)
    return first, last, rng.random(count) < 0.75


@pytest.mark.parametrize("shape", BOARDS)
def test_segments_are_marked_as_far_as_they_are_on_the_board(shape: tuple[int, int]) -> None:
    mark = jax.jit(views.mark_segments, static_argnums=3)
    for seed in range(4):
        segments = some_segments(shape, 6, seed)
        marked = views.show_bits(mark(*segments, shape).north.T, shape[1])
        np.testing.assert_array_equal(marked, lit_board(shape, *segments))


def cut_from_board(
    segments: tuple[jax.Array, ...], viewers: tuple[jax.Array, jax.Array], window: Window, shape: tuple[int, int]
) -> jax.Array:
    first, last, is_there = segments
    words = views.cut_lines(views.mark_segments(first, last, is_there, shape), *viewers, window)
    return views.show_bits(words[..., None], window.shape[1])


def mark_in_view(
    segments: tuple[jax.Array, ...], viewers: tuple[jax.Array, jax.Array], window: Window, shape: tuple[int, int]
) -> jax.Array:
    first, last, is_there = segments
    return views.view_segments(last, first, is_there, viewers, window)


@pytest.mark.parametrize("shape", BOARDS)
@pytest.mark.parametrize("window", [Window(5, 1, 3), Window(0, 2, 0), Window(1, 0, 15)], ids=str)
@pytest.mark.parametrize("view", [cut_from_board, mark_in_view])
def test_segments_are_seen_as_in_the_slow_view_from_every_cell_and_heading(
    shape: tuple[int, int], window: Window, view: Callable[..., jax.Array]
) -> None:
    segments = some_segments(shape, 6, seed=9)
    positions, headings = all_viewers(shape)
    keep = np.random.default_rng(0).permutation(len(positions))[:300]
    positions, headings = positions[keep], headings[keep]

    @jax.jit
    def look(*segments: jax.Array) -> jax.Array:
        seen = view(segments, (jnp.asarray(positions), jnp.asarray(headings)), window, shape)
        return seen.reshape(-1, *window.shape)

    seen = np.asarray(look(*segments))
    assert seen.shape == (len(positions), *window.shape)
    lit = lit_board(shape, *segments)
    for view, position, heading in zip(seen, positions, headings, strict=True):
        is_on_board = egocentric_view(np.ones(shape, bool), position, heading, window, False)
        expected = egocentric_view(lit, position, heading, window, False)
        np.testing.assert_array_equal(view & is_on_board, expected, err_msg=f"{position} {heading}")


@pytest.mark.parametrize("shape", [(1, 5), (4, 8), (11, 11), (3, 32)], ids=str)
def test_joined_rows_hold_the_cells_of_the_window_in_order_and_nothing_from_beyond_it(shape: tuple[int, int]) -> None:
    num_rows, num_cols = shape
    rows = np.random.default_rng(0).integers(0, 2**32, (6, num_rows), dtype=np.uint32)
    words = jax.jit(views.join_rows, static_argnums=1)(rows, num_cols)
    cells = jax.vmap(lambda row: unpack_bits(row, row.size * WORD_BITS))(words)
    expected = (rows[:, :, None] >> np.arange(num_cols, dtype=np.uint32)) & 1 != 0
    np.testing.assert_array_equal(cells[:, : num_rows * num_cols], expected.reshape(6, -1))
    assert not cells[:, num_rows * num_cols :].any()


@pytest.mark.parametrize("shape", [(11, 11), (16, 21)], ids=["joined", "row by row"])
def test_a_window_shows_the_bits_of_its_rows(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(1).integers(0, 2**32, (3, shape[0]), dtype=np.uint32)
    seen = jax.jit(views.show_window, static_argnums=1)(rows, shape[1])
    expected = (rows[:, :, None] >> np.arange(shape[1], dtype=np.uint32)) & 1 != 0
    np.testing.assert_array_equal(seen, expected.reshape(3, -1))


def test_cells_are_ahead_and_to_the_right_as_a_walker_counts_them() -> None:
    counted = [(forward, right) for forward in range(-3, 4) for right in range(-3, 4)]
    for heading in range(4):
        cells = np.array([cell_at((2, 3), heading, *offset) for offset in counted])
        forward, right = relative_coordinates(jnp.array([[2, 3]]), jnp.array([heading]), jnp.asarray(cells))
        assert list(zip(forward[0].tolist(), right[0].tolist(), strict=True)) == counted
