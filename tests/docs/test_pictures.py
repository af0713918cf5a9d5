"""The pictures of games in the pages are the pictures that the games draw."""

import numpy as np
import pytest
from PIL import Image

from tests.docs.pictures import IMAGES, game_picture


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["gathering", "gems", "overcooked"])
def test_a_picture_is_drawn_by_the_game(env_id: str) -> None:
    stored = np.asarray(Image.open(IMAGES / f"game_{env_id}.png").convert("RGB")).astype(int)
    drawn = game_picture(env_id)
    assert stored.shape == drawn.shape
    far = (abs(stored - drawn).max(-1) > 60).mean()  # letters differ a little between versions of Pillow
    assert far < 0.01, "write them anew: python -m tests.docs.pictures"
