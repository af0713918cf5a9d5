"""Kitchens of `overcooked`: named kitchens, kitchens drawn as text, and functions that turn text into arrays.

Source of the kitchens and of the format: HumanCompatibleAI/overcooked_ai @ 83f5192 (MIT), the files in
`src/overcooked_ai_py/data/layouts`.
"""

import ast
from typing import Any, NamedTuple

import numpy as np

from jaxdilemmas.arguments import is_number, refusal, require
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells, parse_map, read_board

MAPS = {
    "cramped_room": """
XXPXX
O  2O
X1  X
XDXSX
""",
    "asymmetric_advantages": """
XXXXXXXXX
O XSXOX S
X   P 1 X
X2  P   X
XXXDXDXXX
""",
    "coordination_ring": """
XXXPX
X 1 P
D2X X
O   X
XOSXX
""",
    "forced_coordination": """
XXXPX
O X1P
O2X X
D X X
XXXSX
""",
    "counter_circuit": """
XXXPPXXX
X  2   X
D XXXX S
X  1   X
XXXOOXXX
""",
}
"""Kitchens by name, drawn with `SYMBOLS`.

The counter circuit is that of the paper, Carroll et al. 2019, and of the file `counter_circuit_o_1order`; the file
`counter_circuit` has tomatoes, which are not played here.
"""

LAYERS = ("floor", "counter", "onions", "dishes", "serving", "pot")
FLOOR, COUNTER, ONIONS, DISHES, SERVING, POT = range(6)
"""The kinds of cells."""

PLAYERS = tuple(str(player) for player in range(1, 10))
SYMBOLS = dict(zip(" XODSP", LAYERS, strict=True)) | dict(zip(PLAYERS, PLAYERS, strict=True))
"""X counter, O onions, D dishes, S the cell where soups are served, P pot, a digit the start of that player."""

POT_SIZE = 3
"""The largest number of onions in a pot, and the number in the soup that is ordered."""

ORDERS = [{"ingredients": ["onion"] * POT_SIZE}]

WITHOUT_EFFECT = ("layout_name", "order_bonus", "rew_shaping_params")
"""Entries of a layout that change nothing here: no order has a bonus, and rewards are not shaped."""

FIXED = {
    "start_all_orders": ORDERS,
    "start_bonus_orders": [],
    "start_state": None,
    "num_items_for_soup": POT_SIZE,
    "old_dynamics": False,
}
"""Entries of a layout that have only one allowed value."""

NUMBERS = {
    "delivery_reward": ("delivery_reward", "recipe_values", "onion_value", "tomato_value"),
    "cook_steps": ("cook_time", "recipe_times", "onion_time", "tomato_time"),
}
"""The entries of a layout that set a field of `Params`.

They contain the number itself, one number for each order, or one for each onion (and each tomato).
"""


class Kitchen(NamedTuple):
    """A map as arrays.

    Attributes:
      kinds: `[H, W]` int32, FLOOR to POT.
      slots: `[H, W]` int32, the number of the counter or of the pot on a cell, in row-major order; it has no meaning on
        other cells.
      starts: `[P, 2]` int32 (row, col), where players start.
      stations: `[S, 2]` int32 (x, y) of onions, dishes, serving cells and pots, in this order.
    """

    kinds: np.ndarray
    slots: np.ndarray
    starts: np.ndarray
    stations: np.ndarray


def read_kitchen(board: Board) -> tuple[Kitchen, dict[str, Any]]:
    """Reads a kitchen and the numbers in the rules that come with it.

    Args:
      board: a name in `MAPS`, a kitchen drawn as text, the text of a layout file of overcooked_ai, or the
        `pathlib.Path` of a file with either.

    Returns:
      The kitchen, and fields of `overcooked.Params` by name, which only a layout file has.

    Raises:
      ValueError: `board` is none of these, or cannot be played.
    """
    return read_board(board, MAPS, _parse_any)


def _parse_any(text: str) -> tuple[Kitchen, dict[str, Any]]:
    grid, numbers = parse_layout(text) if text.lstrip().startswith("{") else (text, {})
    return parse_kitchen(grid), numbers


def parse_layout(text: str) -> tuple[str, dict[str, Any]]:
    """Reads the text of a layout file of overcooked_ai, a dict of literals; the text is never run.

    Args:
      text: a dict with the kitchen as "grid", whose rows may be indented, and perhaps its orders and their values.

    Returns:
      The kitchen, one line for each row, and the fields of `overcooked.Params` that the layout contains.

    Raises:
      ValueError: the text is not such a dict, or has an entry that is not played here.

    Source: `OvercookedGridworld.from_layout_name` and `Recipe` of `mdp/overcooked_mdp.py` in
    HumanCompatibleAI/overcooked_ai @ 83f5192.
    """
    try:
        layout = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(refusal("map", text, f"a layout is a dict of literals: {error}")) from error
    is_layout = isinstance(layout, dict) and isinstance(layout.get("grid"), str)
    require(is_layout, "map", text, "a layout is a dict with the kitchen as text in 'grid'")
    known = ("grid", *FIXED, *WITHOUT_EFFECT, *(name for names in NUMBERS.values() for name in names))
    for name, value in layout.items():
        require(name in known, "map", name, f"the entries of a layout are {', '.join(known)}")
        is_played = name not in FIXED or value == FIXED[name]
        grid_alone = f"only {FIXED.get(name)!r} is played; the text of 'grid' without the rest is a kitchen as well"
        require(is_played, f"map[{name!r}]", value, grid_alone)
    require("start_all_orders" in layout, "map", text, f"a layout needs its orders: 'start_all_orders': {ORDERS}")
    numbers = {field: _number(layout, *names) for field, names in NUMBERS.items()}
    grid = "\n".join(row.strip() for row in layout["grid"].split("\n"))
    return grid, {field: number for field, number in numbers.items() if number is not None}


def _number(layout: dict[str, Any], plain: str, by_order: str, by_onion: str, by_tomato: str) -> Any:
    """The number of a layout for the soup of three onions, or None; an entry of 0 or None counts as missing there."""
    by_orders = layout.get(by_order)
    if by_orders:
        require(
            isinstance(by_orders, list) and len(by_orders) == 1, f"map[{by_order!r}]", by_orders, "one for each order"
        )
    of_onions = layout.get(by_onion) if layout.get(by_tomato) else None
    if of_onions:
        require(is_number(of_onions), f"map[{by_onion!r}]", of_onions, "a number")
    return layout.get(plain) or (by_orders and by_orders[0]) or (of_onions and POT_SIZE * of_onions) or None


def parse_kitchen(text: str) -> Kitchen:
    """Reads a map; see `SYMBOLS`.

    Args:
      text: one line for each row.

    Returns:
      The map as arrays.

    Raises:
      ValueError: a symbol is unknown, rows have different lengths, floor is at the edge, a kind of station or a player
        is missing, or a player is drawn twice.
    """
    layers = parse_map(text, SYMBOLS, needed=LAYERS[COUNTER:])
    starts = [cells_of(layers[player]) for player in PLAYERS]
    num_players = sum(len(cells) > 0 for cells in starts)
    for player, cells in enumerate(starts):
        places = ", ".join(f"row {row}, col {col}" for row, col in cells)
        allowed = f"players are numbered 1, 2, ... and each is drawn once; player {player + 1} is at: {places or '-'}"
        require(num_players > 0 and len(cells) == (player < num_players), "map", text, allowed)
    height, width = layers["pot"].shape
    kinds = np.zeros((height, width), np.int32)
    for kind, name in enumerate(LAYERS):
        kinds[layers[name]] = kind
    is_edge = np.ones(kinds.shape, bool)
    is_edge[1:-1, 1:-1] = False
    open_edge = cells_of((kinds == FLOOR) & is_edge)[:1].tolist()
    require(not open_edge, "map", text, f"there must be no floor at the edge, but there is at (row, col) {open_edge}")
    cells_by_kind = {kind: cells_of(kinds == kind) for kind in range(len(LAYERS))}
    of_pots, of_counters = (index_of_cells(cells_by_kind[kind], (height, width)) for kind in (POT, COUNTER))
    stations = np.concatenate([cells_by_kind[kind][:, ::-1] for kind in (ONIONS, DISHES, SERVING, POT)])
    return Kitchen(kinds, np.where(kinds == POT, of_pots, of_counters), np.concatenate(starts), stations)
