"""The board that `coop_mining` and `gift_refinements` share."""

from functools import partial

import numpy as np

from jaxdilemmas.grid.maps import Board, parse_map, read_board

MAPS = {
    "default": """
WWWWWWWWWWWWWWWWWWWWWWWWWWW
WAAAAAAAAAAAAAAAAAAAAAAAAAW
WAPAAAAAAAAAPAAAAAPAAAAAPAW
WAAAAAAAAWAAAAAAAAAAAAAAAAW
WAAAAAAAAWAAAAAAAAAAWAAAAAW
WAAAAAAAAWAAAAAAAAAAWAAAAAW
WAAAAAAAAWWWWWWWAAAAWAAAPAW
WAPAWWAAAAWAAAAAAAAAWAAAAAW
WAAAAAAAAAWAAPAAAAAAAAAAAAW
WAAAAAAAAAWAAAAAWWWAAAAAAAW
WAAAAAAAAAWAAAAAAAAAAAAAAAW
WAAAAAAAAAAAAAAAAAAAAAAAPAW
WAPAAAWWWAAAAAAWWWWWWWWAAAW
WAAWWWWAAAAAAAAAAAAAAAAAAAW
WAAAAAWAAAAWAAAAAPAAAAAAAAW
WAAAAAWAAAAWAAAAAAAAAAAAPAW
WAAAAAWAAAAAWAAAAAAAAWAAAAW
WAAAAAAWAAAAAWWWWAAAAWAAAAW
WAPAAAAAWAAAAAAAAAAAAWAAAAW
WAAAAAAAAWAAAPAAAAAAAAAAPAW
WAAAAAAAAAWAAAAAAAAWAAAAAAW
WAAAAWAAAAAAAAAAAAAWAAAAAAW
WAAAAWAAAAAAAAAWWWWWWWWAAAW
WAAAAWAAAAAAAAAAAAWAAAAAAAW
WAPAAAAAAPAAAAAAAPAAAAAAPAW
WAAAAAAAAAAAAAAAAAAAAAAAAAW
WWWWWWWWWWWWWWWWWWWWWWWWWWW
"""
}
"""Source: google-deepmind/meltingpot @ 81ee2e7 (Apache-2.0); cells `A` are those of ore, or of tokens."""


def read_mine(board: Board, layer: str) -> dict[str, np.ndarray]:
    """The layers of a board, `[H, W]` bool each.

    Args:
      board: the argument `map` of a game.
      layer: the name of the layer of cells `A`.

    Raises:
      ValueError: see `maps.read_board` and `maps.parse_map`.
    """
    symbols = {"W": "wall", " ": "floor", "A": layer, "P": "spawn"}
    return read_board(board, MAPS, partial(parse_map, symbols=symbols, needed=(layer, "spawn")))
