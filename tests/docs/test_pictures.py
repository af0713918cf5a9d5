"""The pictures of games in the pages are the pictures that the games draw."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.docs.pictures import IMAGES, board_picture, gems_picture, overcooked_picture


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "draw"),
    [("gathering", lambda: board_picture("gathering")), ("gems", gems_picture), ("overcooked", overcooked_picture)],
)
def test_a_picture_is_drawn_by_the_game(name: str, draw: Callable[[], np.ndarray]) -> None:
    stored = Image.open(IMAGES / f"game_{name}.png").convert("RGB")
    assert np.array_equal(np.asarray(stored), draw()), "write them anew: python -m tests.docs.pictures"
