"""What a painter refuses, and how it paints items of several kinds; other painting is tested on the games."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.gathering import Gathering
from jaxdilemmas.grid.painting import Painter
from jaxdilemmas.grid.scene import MARKED_OTHERS, OTHERS, TILES, Beams, KindLayer, Layer, Scene
from jaxdilemmas.grid.views import Window
from tests.reference.views import egocentric_view

pytestmark = pytest.mark.usefixtures("quick_compiling")

BOARD = {"wall": np.zeros((3, 4), bool)}
WINDOW = Window(2, 1, 1)
CELLS = np.array([[1, 1]], np.int32)


def painter(tiles: Sequence[str] = TILES, window: Window = WINDOW) -> Painter:
    return Painter(BOARD, [Layer("apple", "floor", CELLS)], tiles, window)


@pytest.mark.parametrize(
    "tiles",
    [
        ("self", *TILES[:-1]),
        (*TILES[:-1], "gap", "self"),
        (*TILES, "gap", "tagged"),
        (*TILES, "tagged", *MARKED_OTHERS),
        (*TILES[:-1], "tagged", "self"),
    ],
    ids=["self first", "a gap", "a gap before tagged", "both", "another order"],
)
def test_tiles_of_agents_stand_in_order_one_after_the_other(tiles: Sequence[str]) -> None:
    with pytest.raises(ValueError, match=r"tiles=.* is not allowed.*one after the other"):
        painter(tiles)


def test_a_painter_has_tiles_for_half_a_byte_and_windows_for_a_word() -> None:
    assert painter((*TILES, "tagged")).tile_id("tagged") == len(TILES)
    assert painter((*map(str, range(11)), *TILES, *MARKED_OTHERS)).tile_id("marked_facing_left") == 24
    with pytest.raises(ValueError, match=r"tiles=.*at most 16 before those of agents"):
        painter((*map(str, range(12)), *TILES))
    for window in (Window(32, 0, 1), Window(1, 1, 16)):
        with pytest.raises(ValueError, match=r"window=.*at most 32 rows and columns"):
            painter(window=window)


def test_kinds_of_beam_that_do_not_fit_into_a_word_are_refused_with_the_number_that_does() -> None:
    env = Gathering()
    state = env.reset(jax.random.key(0))[1]
    rays = jnp.zeros((2, 1), jnp.int32)
    scene = env.scene(state)._replace(beams=[Beams(("beam", "apple"), jnp.zeros(2, jnp.int32), rays)])
    with pytest.raises(ValueError, match=r"beams=.*at most 1 kinds in one `Beams` for a window of 21 columns"):
        env.painter.paint_views(scene)


@pytest.mark.parametrize("heading", range(4))
def test_marked_agents_on_a_board_have_tiles_by_heading(heading: int) -> None:
    tiles = (*TILES, *MARKED_OTHERS)
    cells = np.array([[0, 0]], np.int32)
    painter = Painter({"wall": np.zeros((2, 3), bool)}, [Layer("apple", "floor", cells)], tiles, WINDOW)
    positions, headings = jnp.array([[1, 0], [1, 2]]), jnp.array([heading, heading])
    is_there = jnp.ones(2, bool)
    scene = Scene(positions, headings, is_there, is_there, [jnp.ones(1, bool)], [])
    board = painter.paint_board(scene._replace(is_marked=jnp.array([True, False])))
    assert tiles[int(board[1, 0])] == MARKED_OTHERS[heading]
    assert tiles[int(board[1, 2])] == OTHERS[heading]


KINDS = ("void", "floor", "apple", "wall", "ore", "gold", "gem", *TILES[5:])


@pytest.mark.parametrize("size", [(4, 5), (7, 9)], ids=["few cells", "many cells"])
@pytest.mark.parametrize("rows", [(("ore", "gold"), ("gold", "ore")), (("ore", "gold", "gem"),), (("gem",),)])
def test_items_of_several_kinds_have_the_tiles_of_the_viewer(
    size: tuple[int, int], rows: Sequence[Sequence[str]]
) -> None:
    rng = np.random.default_rng(0)
    cells = np.argwhere(np.ones(size)).astype(np.int32)
    layers: list[Layer | KindLayer] = [Layer("apple", "floor", cells[:3]), KindLayer(rows, "floor", cells[3:])]
    painter = Painter({"wall": np.zeros(size, bool)}, layers, KINDS, WINDOW)
    paint_views, paint_board = jax.jit(painter.paint_views), jax.jit(painter.paint_board)
    for heading in range(4):
        apples, items = rng.random(3) < 0.5, rng.integers(0, 1 + len(rows[0]), len(cells) - 3).astype(np.int8)
        positions, headings = rng.permutation(cells)[:2], np.array([heading, 1], np.int32)
        is_there, things = jnp.ones(2, bool), [jnp.asarray(apples), jnp.asarray(items)]
        scene = Scene(jnp.asarray(positions), jnp.asarray(headings), is_there, is_there, things, [])
        seen = paint_views(scene)
        for viewer in range(2):
            board = np.full(size, painter.tile_id("floor"))
            board.flat[:3] = np.where(apples, painter.tile_id("apple"), painter.tile_id("floor"))
            names = ("floor", *rows[viewer % len(rows)])
            board.flat[3:] = [painter.tile_id(names[kind]) for kind in items]
            agents = tuple(positions.T)
            if viewer == 0:
                board[agents] = painter.tile_id(KINDS[7]) + headings
                np.testing.assert_array_equal(paint_board(scene), board)
            board[agents] = painter.tile_id(KINDS[7]) + (headings - headings[viewer]) % 4
            board[tuple(positions[viewer])] = painter.tile_id("self")
            view = egocentric_view(board, positions[viewer], headings[viewer], WINDOW, 0)
            np.testing.assert_array_equal(seen[viewer], view)
