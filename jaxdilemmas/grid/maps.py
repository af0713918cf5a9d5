"""Boards from text: one character a cell."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxdilemmas.arguments import refusal, require, show

MOST_SIDE = 100
"""Rows and columns of the largest board: what agents see of it is one table, by cell and heading. Our choice."""

MOST_BYTES = 2**16
"""The largest file with a board."""

Parsed = TypeVar("Parsed")
Board = str | os.PathLike[str]
"""How games take a board: by its name, drawn as text, or as the `pathlib.Path` of a file with the text."""

SYMBOLS = {"@": "wall", ".": "floor", "A": "apple", "P": "spawn"}
"""Which layer each character belongs to, on boards whose source has no symbols of its own."""


class BoardText(str):
    """The text of a file with a board, as `read_board_file` returns it. It is stored as any string is.

    Attributes:
      path: of the file, for errors.
    """

    path: str


def read_board(board: Any, named: Mapping[str, str], parse: Callable[[str], Parsed]) -> Parsed:
    """Reads a board.

    A string names a board or is the board: it never names a file, so that a board in a record opens none.

    Args:
      board: a name, several lines of text (or what begins with "{", as a layout of `overcooked`), the `pathlib.Path` of
        a file with such text, or what `read_board_file` returned.
      named: the boards of the game by their names.
      parse: reads the text, as `parse_map` does.

    Returns:
      What `parse` returns.

    Raises:
      ValueError: an unknown name, something that is no board, or a file that cannot be read; or `parse` refuses the
        text, then the error names the file if there is one.
    """
    if isinstance(board, os.PathLike):
        board = read_board_file(board)
    if isinstance(board, BoardText):
        try:
            return parse(str(board))
        except ValueError as error:
            raise ValueError(f"{show(board.path)}: {error}") from error
    if isinstance(board, str) and board in named:
        return parse(named[board])
    allowed = f"one of {', '.join(named)}, a board drawn as text, several lines, or the pathlib.Path of a file with one"
    is_text = isinstance(board, str) and ("\n" in board or board.lstrip().startswith("{"))
    require(is_text, "map", board, allowed)
    return parse(str(board).replace("\r", ""))


def read_board_file(path: os.PathLike[str]) -> BoardText:
    """The text of a file with a board, without carriage returns; it is read as text and never run.

    Raises:
      ValueError: it is no file, too large, or no text.
    """
    file = Path(path)
    try:
        require(file.is_file(), "map", os.fspath(path), "there is no such file")
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(refusal("map", os.fspath(path), f"the file cannot be read: {error}")) from error
    require(len(content) <= MOST_BYTES, "map", os.fspath(path), f"a file with a board has at most {MOST_BYTES} bytes")
    board = BoardText(text.replace("\r", ""))
    board.path = os.fspath(path)
    return board


def parse_map(text: str, symbols: Mapping[str, str], needed: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Reads a board drawn as text.

    Args:
      text: one line per row; empty first and last lines are dropped.
      symbols: which layer each character belongs to; several characters may share a layer.
      needed: layers that must have a cell.

    Returns:
      For each layer a `[H, W]` bool array.

    Raises:
      ValueError: an unknown symbol, or rows of different length; row and column are named, from 0. Or the board is too
        large, or has no cell of a layer that is needed.
    """
    rows = text.strip("\n").split("\n")
    width = max(len(row) for row in rows)
    allowed = f"a board has at most {MOST_SIDE} rows and columns, this one has {len(rows)} x {width}"
    require(max(len(rows), width) <= MOST_SIDE, "map", text, allowed)
    for index, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"map row {index} has {len(row)} columns: every row needs {width}, as the longest row has")
    for row_index, row in enumerate(rows):
        for col_index, symbol in enumerate(row):
            if symbol not in symbols:
                known = " ".join(repr(known) for known in symbols)
                raise ValueError(
                    f"unknown map symbol {symbol!r} at row {row_index}, col {col_index}: allowed are {known}"
                )
    cells = np.array([[symbols[symbol] for symbol in row] for row in rows])
    layers = {layer: cells == layer for layer in dict.fromkeys(symbols.values())}
    for layer in needed:
        drawn = " or ".join(repr(symbol) for symbol in symbols if symbols[symbol] == layer)
        require(layers[layer].any(), "map", text, f"it has no {layer} cell, which is drawn as {drawn}")
    return layers


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


def cells_of(layer: np.ndarray) -> np.ndarray:
    """The cells of a `[H, W]` bool layer in row-major order, `[n, 2]` int32 (row, col)."""
    return np.argwhere(layer).astype(np.int32).reshape(-1, 2)


def index_of_cells(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The inverse of `cells_of`: `[H, W]` int32 with each cell's index in `cells`, and `len(cells)` everywhere else."""
    index = np.full(shape, len(cells), np.int32)
    index[cells[:, 0], cells[:, 1]] = np.arange(len(cells))
    return index
