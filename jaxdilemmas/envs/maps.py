"""Boards of the games, drawn as text, and what their symbols stand for.

Source of `COMMONS`: vicgalle/llm-policies-social-dilemmas @ f5c5b2b (MIT); of `CLEANUP`: google-deepmind/lab2d
@ 0947443; of `MELTINGPOT_CLEANUP` and `HARVEST`: google-deepmind/meltingpot @ 81ee2e7 (both Apache-2.0).
"""

import numpy as np

from jaxdilemmas.grid.maps import parse_map

SYMBOLS = {"@": "wall", ".": "floor", "A": "apple", "P": "spawn"}

COMMONS = """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@............................@
@...AAAA.......AAAA..........@
@...AAAA.......AAAA..........@
@...AAAA.......AAAA..........@
@...AAAA.......AAAA..........@
@............................@
@............................@
@........AAAAAA..............@
@........AAAAAA..............@
@........AAAAAA..............@
@........AAAAAA..............@
@............................@
@............................@
@...AAAA.......AAAA..........@
@...AAAA.......AAAA..........@
@...AAAA.......AAAA..........@
@...AAAA.......AAAA..........@
@............................@
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
"""

CLEANUP_SYMBOLS = {
    "*": "wall",
    " ": "floor",
    "H": "river",
    "F": "waste",
    "S": "stream",
    "B": "apple",
    "P": "spawn",
}

CLEANUP = """
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

MELTINGPOT_CLEANUP_SYMBOLS = (
    {"W": "wall", "H": "river", "F": "waste", "B": "apple", "T": "apple", "P": "spawn"}
    | dict.fromkeys("S~s", "stream")
    | dict.fromkeys(" =+f;,^><", "floor")
)
"""Sand of all shades is floor."""

MELTINGPOT_CLEANUP = """
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


def commons_layers() -> dict[str, np.ndarray]:
    """The layers of the commons map; agents spawn on the floor cells next to the surrounding wall."""
    layers = parse_map(COMMONS, SYMBOLS)
    ring = np.zeros_like(layers["wall"])
    ring[1:-1, 1:-1] = True
    ring[2:-2, 2:-2] = False
    return layers | {"spawn": ring & ~layers["wall"]}
