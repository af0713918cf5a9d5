"""Boards of `territory`: rooms, an open field, and rooms whose walls are drawn at the start of each episode.

Source: google-deepmind/meltingpot @ 81ee2e7 (Apache-2.0), substrates `territory__rooms`, `territory__open` and
`territory__inside_out`.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from jaxdilemmas.grid.maps import Board, cells_of, parse_map, read_board

MAPS = {
    "open": """
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
W..RRRRR..RR..RR......RR......RR......W
W.....RR......RR......RR..............W
W.....RR......RR......................W
W.RR..RR......RR..........R...RR...RR.W
W.....RR......RR..........R...RR......W
W.....RR..........RRRR....R...........W
W..RR.RR..................R...........W
W.....RR.......RR.........R...........W
W.....RRRR.....................RR.....W
W....................RR...............W
W.....................................W
W..RRRR...RRRRRR...........RR....R....W
W................................R....W
W................RR................P..W
W....RR................RR.......P.....W
W.........RR.....................P..P.W
W...........................P..P......W
W.............................P...P...W
W..P....P...P..P...P....P.P..P..P..P..W
W.....................................W
W.....................................W
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
""",
    "rooms": """
WRRRRRWWRRRRRWWRRRRRW
R.....RR.....RR.....R
R.....RR.....RR.....R
R..P..RR..P..RR..P..R
R.....RR.....RR.....R
R.....RR.....RR.....R
WRRRRRWWRRRRRWWRRRRRW
WRRRRRWWRRRRRWWRRRRRW
R.....RR.....RR.....R
R.....RR.....RR.....R
R..P..RR..P..RR..P..R
R.....RR.....RR.....R
R.....RR.....RR.....R
WRRRRRWWRRRRRWWRRRRRW
WRRRRRWWRRRRRWWRRRRRW
R.....RR.....RR.....R
R.....RR.....RR.....R
R..P..RR..P..RR..P..R
R.....RR.....RR.....R
R.....RR.....RR.....R
WRRRRRWWRRRRRWWRRRRRW
""",
    "inside_out": """
WWWWWWWWWWWWWWWWWWWWWWW
W..........P..........W
W.P....QQ.....QQ....P.W
W..RRR....RRR....RRR..W
W..R.RAAAAR.RAAAAR.R..W
W..RRR.BB.RRR.BB.RRR..W
W...A..BB..A..BB..A...W
W.Q.ABBRRBBABBRRBBA.Q.W
W.Q.ABBRRBBABBRRBBA.Q.W
W...A..BB..A..BB..A...W
W..RRR.BB.RRR.BB.RRR..W
WP.R.RAAAAR.RAAAAR.R.PW
W..RRR.BB.RRR.BB.RRR..W
W...A..BB..A..BB..A...W
W.Q.ABBRRBBABBRRBBA.Q.W
W.Q.ABBRRBBABBRRBBA.Q.W
W...A..BB..A..BB..A...W
W..RRR.BB.RRR.BB.RRR..W
W..R.RAAAAR.RAAAAR.R..W
W..RRR....RRR....RRR..W
W.P....QQ.....QQ....P.W
W..........P..........W
WWWWWWWWWWWWWWWWWWWWWWW
""",
}
"""`R` is a resource. `A` and `B` are resources in some episodes, and `Q` is a spawn cell in some episodes."""

SYMBOLS = {"W": "wall", ".": "floor", "R": "resource", "A": "likely", "B": "rare", "P": "spawn", "Q": "rare_spawn"}
"""The layer of each character."""

CHANCES = {"resource": 1.0, "likely": 2 / 3, "rare": 1 / 4, "spawn": 1.0, "rare_spawn": 1 / 7}
"""Probabilities that a cell of a layer is a resource, or a spawn cell, in an episode."""

MOST_AGENTS = 9
"""The number of agents on most boards."""

NUM_AGENTS = {"inside_out": 5}
"""The number of agents on other boards."""


INTACT = {
    "resource": (140, 90, 60),
    "own_wet": (90, 150, 255),
    "own_dry": (30, 80, 220),
    "other_wet": (255, 130, 130),
    "other_dry": (190, 50, 50),
}
"""RGB of the tiles of resources: nobody's, the viewer's before and after its first payment, and those of others."""

DAMAGED = {f"damaged_{name}": (red // 2, green // 2, blue // 2) for name, (red, green, blue) in INTACT.items()}
"""RGB of the tiles of damaged resources."""


def kinds_of(whose: str) -> tuple[str, ...]:
    """The tiles of the kinds of resource, for `whose` "own" or "other": nobody's, wet and dry, and the same damaged."""
    names = ("resource", f"{whose}_wet", f"{whose}_dry")
    return (*names, *(f"damaged_{name}" for name in names))


class Land(NamedTuple):
    """A board.

    Attributes:
      masks: `[H, W]` bool by name, with "wall", "resource" and "spawn"; the last two have every cell that may be one.
      resource_chances: `[R]` float32, the probability that each resource is there at the start of an episode.
      spawn_chances: `[P]` float32, the probability that agents may start on each spawn cell.
    """

    masks: dict[str, np.ndarray]
    resource_chances: np.ndarray
    spawn_chances: np.ndarray


def read_land(board: Board) -> Land:
    """Reads a board.

    Args:
      board: the argument `map` of the game.

    Raises:
      ValueError: there is no cell `R` or no cell `P`; see also `maps.read_board` and `maps.parse_map`.
    """
    masks = read_board(board, MAPS, partial(parse_map, symbols=SYMBOLS, needed=("resource", "spawn")))
    chances = np.zeros(masks["wall"].shape, np.float32)
    for name, chance in CHANCES.items():
        chances[masks[name]] = chance
    resources, spawns = masks["resource"] | masks["likely"] | masks["rare"], masks["spawn"] | masks["rare_spawn"]
    where = [tuple(cells_of(mask).T) for mask in (resources, spawns)]
    layers = {"wall": masks["wall"], "resource": resources, "spawn": spawns}
    return Land(layers, chances[where[0]], chances[where[1]])
