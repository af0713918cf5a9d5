"""Boards that more than one game uses, drawn as text: `@` wall, `A` apple, `P` spawn, `.` floor.

Source of the layouts: vicgalle/llm-policies-social-dilemmas @ f5c5b2b (MIT), whose large gathering map is the harvest
map of eugenevinitsky/sequential_social_dilemma_games (MIT) with one blank fewer a row.
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


def commons_layers() -> dict[str, np.ndarray]:
    """The layers of the commons map; agents spawn on the floor cells next to the surrounding wall."""
    layers = parse_map(COMMONS, SYMBOLS)
    ring = np.zeros_like(layers["wall"])
    ring[1:-1, 1:-1] = True
    ring[2:-2, 2:-2] = False
    return layers | {"spawn": ring & ~layers["wall"]}
