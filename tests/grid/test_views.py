from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.gathering import Gathering
from jaxdilemmas.grid import views
from jaxdilemmas.grid.bits import WORD_BITS, unpack_bits
from jaxdilemmas.grid.geometry import relative_coordinates
from jaxdilemmas.grid.views import Window
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


def frame_of(
    others: np.ndarray, other_headings: np.ndarray, positions: np.ndarray, headings: np.ndarray, window: Window
) -> views.Frame:
    cells, turns = jnp.asarray(others), jnp.asarray(other_headings)
    return views.window_frame(cells, turns, jnp.asarray(positions), jnp.asarray(headings), window)


def cells_of_words(words: jax.Array, window: Window) -> np.ndarray:
    """The cells of windows, `[N, rows, cols]` bool, of packed bits `[words, N]`."""
    rows, cols = window.shape
    return np.asarray(unpack_bits(words, rows * cols)).T.reshape(-1, rows, cols)


def cells_of_rows(rows: jax.Array, window: Window) -> np.ndarray:
    """The cells of windows, `[N, rows, cols]` bool, of rows `[rows, N]`; bits beyond the window are 0."""
    assert not np.asarray(rows >> np.uint32(window.shape[1])).any() or window.shape[1] == WORD_BITS
    return ((np.asarray(rows).T[..., None] >> np.arange(window.shape[1], dtype=np.uint32)) & 1) != 0


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
def test_numbers_are_seen_where_their_agents_stand(window: Window) -> None:
    positions, headings = some_viewers(60, seed=0)
    others, first = np.unique(positions, axis=0, return_index=True)
    numbers = np.random.default_rng(0).integers(0, 8, (len(others), 60)).astype(np.uint32)

    @jax.jit
    def mark() -> tuple[jax.Array, list[jax.Array]]:
        frame = frame_of(others, headings[first], positions, headings, window)
        return frame.headings, views.mark_numbers(frame, jnp.asarray(numbers), 3, window)

    seen_headings, planes = mark()
    np.testing.assert_array_equal(seen_headings, (headings[first][:, None] - headings[None]) % 4)
    drawn = np.sum([cells_of_words(plane, window).astype(int) << p for p, plane in enumerate(planes)], 0)
    for viewer, (position, heading) in enumerate(zip(positions, headings, strict=True)):
        board = np.zeros(WALLS.shape, int)
        board[tuple(others.T)] = numbers[:, viewer]
        np.testing.assert_array_equal(drawn[viewer], egocentric_view(board, position, heading, window, 0))


BOARDS = [(5, 7), (3, 40), (70, 33)]


@pytest.mark.parametrize("shape", BOARDS)
@pytest.mark.parametrize("window", [Window(5, 1, 3), Window(0, 2, 0), Window(1, 0, 15)], ids=str)
def test_things_are_seen_as_in_the_slow_view_from_every_cell_and_heading(
    shape: tuple[int, int], window: Window
) -> None:
    rng = np.random.default_rng(9)
    cells = np.argwhere(rng.random(shape) < 0.2).astype(np.int32)
    is_there = rng.random(len(cells)) < 0.5
    positions, headings = all_viewers(shape)
    keep = rng.permutation(len(positions))[:300]
    positions, headings = positions[keep], headings[keep]

    @jax.jit
    def look(is_there: jax.Array) -> tuple[jax.Array, jax.Array]:
        lines = views.mark_lines([is_there[:5], is_there[5:]], cells, shape)
        (rows,) = views.cut_lines(lines, jnp.asarray(positions), jnp.asarray(headings), window)
        return rows, views.join_rows(rows, window.shape[1])

    rows, words = look(is_there)
    board = np.zeros(shape, bool)
    board[tuple(cells.T)] = is_there
    expected = [egocentric_view(board, *viewer, window, False) for viewer in zip(positions, headings, strict=True)]
    np.testing.assert_array_equal(cells_of_rows(rows, window), expected)
    np.testing.assert_array_equal(cells_of_words(words, window), expected)


@pytest.mark.parametrize("side_start", [0, 1])
@pytest.mark.parametrize("window", [Window(5, 1, 3), Window(0, 2, 1), Window(31, 0, 5)], ids=str)
def test_rays_are_seen_in_their_kind_as_in_the_slow_view(window: Window, side_start: int) -> None:
    shape, rng = (40, 40), np.random.default_rng(1)
    positions = np.stack(np.unravel_index(rng.permutation(400)[:30], (20, 20)), 1).astype(np.int32) + 10
    headings, kinds = rng.integers(0, 4, 30).astype(np.int32), rng.integers(0, 2, 30).astype(np.int32)
    reach = (rng.integers(0, 6, (30, 3)) * (rng.random((30, 1)) < 0.3)).astype(np.int32)

    @jax.jit
    def look() -> list[jax.Array]:
        frame = frame_of(positions, headings, positions, headings, window)
        return views.mark_rays(frame, jnp.asarray(reach), jnp.asarray(kinds), 2, side_start, window)

    for kind, rows in enumerate(look()):
        board = np.zeros(shape, bool)
        for position, heading, rays, own in zip(positions, headings, reach, kinds, strict=True):
            for ray, length in enumerate(rays):
                start = 1 if ray == 1 else side_start
                for cell in range(length) if own == kind else ():
                    board[cell_at(tuple(position), heading, start + cell, ray - 1)] = True
        assert board.any()
        expected = [egocentric_view(board, *viewer, window, False) for viewer in zip(positions, headings, strict=True)]
        np.testing.assert_array_equal(cells_of_rows(rows, window), expected)


def test_bits_are_spread_to_bytes_lowest_first() -> None:
    words = np.random.default_rng(0).integers(0, 2**32, (3, 2), dtype=np.uint32)
    spread = np.asarray(jax.jit(views.spread_bits)(words))
    assert spread.shape == (3, 16)
    np.testing.assert_array_equal(
        spread.astype("<u4").view(np.uint8),
        np.unpackbits(words.astype("<u4").view(np.uint8), axis=1, bitorder="little"),
    )


def test_cells_are_ahead_and_to_the_right_as_a_walker_counts_them() -> None:
    counted = [(forward, right) for forward in range(-3, 4) for right in range(-3, 4)]
    for heading in range(4):
        cells = np.array([cell_at((2, 3), heading, *offset) for offset in counted])
        forward, right = relative_coordinates(jnp.array([[2, 3]]), jnp.array([heading]), jnp.asarray(cells))
        assert list(zip(forward[0].tolist(), right[0].tolist(), strict=True)) == counted
