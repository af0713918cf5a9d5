"""Boards of the games, drawn as text, and what their symbols stand for.

Source of `COMMONS`: vicgalle/llm-policies-social-dilemmas @ f5c5b2b (MIT); of `CLEANUP`: google-deepmind/lab2d
@ 0947443; of `MELTINGPOT_CLEANUP` and `HARVEST`: google-deepmind/meltingpot @ 81ee2e7 (both Apache-2.0).
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from jaxdilemmas.arguments import require
from jaxdilemmas.grid.maps import Board, parse_map, read_board

SYMBOLS = {"@": "wall", ".": "floor", "A": "apple", "P": "spawn"}

COMMONS = {
    "default": """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@PPPPPPPPPPPPPPPPPPPPPPPPPPPP@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..........................P@
@P..........................P@
@P.......AAAAAA.............P@
@P.......AAAAAA.............P@
@P.......AAAAAA.............P@
@P.......AAAAAA.............P@
@P..........................P@
@P..........................P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@PPPPPPPPPPPPPPPPPPPPPPPPPPPP@
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
"""
}
"""The floor cells along the wall are spawn cells."""

CLEANUP_SYMBOLS = {
    "*": "wall",
    " ": "floor",
    "H": "river",
    "F": "waste",
    "S": "stream",
    "B": "apple",
    "P": "spawn",
}

CLEANUP = {
    "default": """
******************************
*HFFFHFFHFHFHFHFHFHFHHFHFFFHF*
*HFHFHFFHFHFHFHFHFHFHHFHFFFHF*
*HFFHFFHHFHFHFHFHFHFHHFHFFFHF*
*HFHFHFFHFHFHFHFHFHFHHFHFFFHF*
*HFFFFFFHFHFHFHFHFHFHHFHFFFHF*
*               HFHHHHHH     *
*   P    P          SSS      *
*     P     P   P   SS   P   *
*             P   PPSS       *
*   P    P          SS    P  *
*               P   SS P     *
*     P           P SS       *
*           P       SS  P    *
*  P             P PSS       *
* B B B B B B B B B SSB B B B*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
******************************
"""
}

MELTINGPOT_CLEANUP_SYMBOLS = (
    {"W": "wall", "H": "river", "F": "waste", "B": "apple", "T": "apple", "P": "spawn"}
    | dict.fromkeys("S~s", "stream")
    | dict.fromkeys(" =+f;,^><", "floor")
)
"""Sand of all shades is floor."""

MELTINGPOT_CLEANUP = {
    "default": """
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
WHFFFHFFHFHFHFHFHFHFHHFHFFFHFW
WHFHFHFFHFHFHFHFHFHFHHFHFFFHFW
WHFFHFFHHFHFHFHFHFHFHHFHFFFHFW
WHFHFHFFHFHFHFHFHFHFHHFHFFFHFW
WHFFFFFFHFHFHFHFHFHFHHFHFFFHFW
W==============+~FHHHHHHf====W
W   P    P      ===+~SSf     W
W     P     P   P  <~Sf  P   W
W             P   P<~S>      W
W   P    P         <~S>   P  W
W               P  <~S>P     W
W     P           P<~S>      W
W           P      <~S> P    W
W  P             P <~S>      W
W^T^T^T^T^T^T^T^T^T;~S,^T^T^TW
WBBBBBBBBBBBBBBBBBBBssBBBBBBBW
WBBBBBBBBBBBBBBBBBBBBBBBBBBBBW
WBBBBBBBBBBBBBBBBBBBBBBBBBBBBW
WBBBBBBBBBBBBBBBBBBBBBBBBBBBBW
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
"""
}

HARVEST_SYMBOLS = {"W": "wall", " ": "floor", "I": "floor", "A": "apple", "P": "spawn", "Q": "inside"}
"""`I` is floor that only matters to roles which the source gives to nobody by default."""

HARVEST = {
    "open": """
WWWWWWWWWWWWWWWWWWWWWWWW
WAAA    A      A    AAAW
WAA    AAA    AAA    AAW
WA    AAAAA  AAAAA    AW
W      AAA    AAA      W
W       A      A       W
W  A                A  W
W AAA  Q        Q  AAA W
WAAAAA            AAAAAW
W AAA              AAA W
W  A                A  W
W                      W
W                      W
W                      W
W  PPPPPPPPPPPPPPPPPP  W
W PPPPPPPPPPPPPPPPPPPP W
WPPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWW
""",
    "closed": """
WWWWWWWWWWWWWWWWWWWWWWWW
WAAA    A  WW  A    AAAW
WAA    AAA WW AAA    AAW
WA    AAAAAWWAAAAA    AW
W      AAA WW AAA      W
W       A  WW  A       W
W  A       WW       A  W
W AAA  Q   WW   Q  AAA W
WAAAAA     WW     AAAAAW
W AAA  WWWWWWWWWW  AAA W
W  A       WW       A  W
WWWWWWWWWW WW WWWWWWWWWW
W          WW          W
W  WWWWWWWWWWWWWWWWWW  W
W  PPPPPPPPPPPPPPPPPP  W
W PPPPPPPPPPPPPPPPPPPP W
WPPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWW
""",
    "partnership": """
WWWWWWWWWWWWWWWWWWWWWWWW
WAAA    A  II  A    AAAW
WAA    AAA II AAA    AAW
WA    AAAAAIIAAAAA    AW
W      AAA II AAA      W
W       A  II  A       W
W  A       II       A  W
W AAA  Q   WW   Q  AAA W
WAAAAA     II     AAAAAW
W AAA  WWWWWWWWWW  AAA W
W  A       WW       A  W
WWWWWWWWWW WW WWWWWWWWWW
W          WW          W
W  WWWWWWWWWWWWWWWWWW  W
W  PPPPPPPPPPPPPPPPPP  W
W PPPPPPPPPPPPPPPPPPPP W
WPPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWW
""",
}


def read_layers(board: Board, boards: Mapping[str, str], symbols: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The layers of a board with apples and spawn cells, `[H, W]` bool each.

    Args:
      board: what a game was given as `map`.
      boards: its own boards by name.
      symbols: which layer each character belongs to.

    Raises:
      ValueError: see `read_board` and `parse_map`.
    """
    return read_board(board, boards, partial(parse_map, symbols=symbols, needed=("apple", "spawn")))


def read_river_layers(board: Board, boards: Mapping[str, str], symbols: Mapping[str, str]) -> dict[str, np.ndarray]:
    """As `read_layers`, for a board that has a river as well: "river" are its cells with and without waste."""

    def parse(text: str) -> dict[str, np.ndarray]:
        layers = parse_map(text, symbols, needed=("apple", "spawn"))
        river = layers["river"] | layers["waste"]
        drawn = " or ".join(repr(symbol) for symbol in symbols if symbols[symbol] in ("river", "waste"))
        require(bool(river.any()), "map", text, f"it has no cell of a river, which is drawn as {drawn}")
        return layers | {"river": river}

    return read_board(board, boards, parse)
