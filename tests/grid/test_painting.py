"""What a painter refuses; how it paints is tested on the games."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.gathering import Gathering
from jaxdilemmas.grid.painting import TILES, Beams, Layer, Painter
from jaxdilemmas.grid.views import Window

BOARD = {"wall": np.zeros((3, 4), bool)}
WINDOW = Window(2, 1, 1)
CELLS = np.array([[1, 1]], np.int32)


def painter(tiles: Sequence[str] = TILES, window: Window = WINDOW) -> Painter:
    return Painter(BOARD, [Layer("apple", "floor", CELLS)], tiles, window)


@pytest.mark.parametrize(
    "tiles",
    [("self", *TILES[:-1]), (*TILES[:-1], "gap", "self"), (*TILES, "gap", "tagged"), (*TILES[:-1], "tagged", "self")],
    ids=["self first", "a gap", "a gap before tagged", "another order"],
)
def test_tiles_of_agents_stand_in_order_one_after_the_other(tiles: Sequence[str]) -> None:
    with pytest.raises(ValueError, match=r"tiles=.* is not allowed.*one after the other"):
        painter(tiles)


def test_a_painter_has_tiles_for_half_a_byte_and_windows_for_a_word() -> None:
    assert painter((*TILES, "tagged")).tile_id("tagged") == len(TILES)
    with pytest.raises(ValueError, match=r"tiles=.*at most 16"):
        painter((*map(str, range(7)), *TILES))
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
