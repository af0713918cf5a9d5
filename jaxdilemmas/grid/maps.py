"""Boards from text: one character for each cell."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxdilemmas.arguments import refusal, require, show

MOST_SIDE = 100
"""Rows and columns of the largest board. Our choice, as all views of a board are one table, by cell and heading."""

MOST_BYTES = 2**16
"""The largest file with a board."""

Parsed = TypeVar("Parsed")
Board = str | os.PathLike[str]
"""The board as an argument of a game: its name, its text, or the `pathlib.Path` of a file with the text."""

SYMBOLS = {"@": "wall", ".": "floor", "A": "apple", "P": "spawn"}
"""The layer of each character, on boards whose source has no symbols of its own."""


class BoardText(str):
    """The text of a file with a board, as `read_board_file` returns it. It is stored like any string.

    Attributes:
      path: the path of the file, for errors.
    """

    path: str


def read_board(board: Any, named: Mapping[str, str], parse: Callable[[str], Parsed]) -> Parsed:
    """Reads a board.

    A string is a name or the board itself. It never names a file, so a board in a record opens no file.

    Args:
      board: a name, several lines of text (or a text that begins with "{", a layout of `overcooked`), the
        `pathlib.Path` of a file with such text, or a result of `read_board_file`.
      named: the boards of the game by their names.
      parse: reads the text, for example `parse_map`.

    Returns:
      The result of `parse`.

    Raises:
      ValueError: the name is unknown, the value is not a board, or the file cannot be read. Also if `parse` refuses the
        text; the error then names the file if there is one.
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
    """Reads the text of a file with a board, without carriage returns; the file is read as text and never run.

    Raises:
      ValueError: the path is not a file, or the file is too large or is not text.
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
      text: one line for each row; empty first and last lines are dropped.
      symbols: the layer of each character; several characters may have the same layer.
      needed: layers that must have a cell.

    Returns:
      For each layer a `[H, W]` bool array.

    Raises:
      ValueError: a symbol is unknown, or rows have different lengths (the error names row and column, from 0). Also if
        the board is too large, or a needed layer has no cell.
    """
    rows = text.strip("\n").split("\n")
    width = max(len(row) for row in rows)
    allowed = f"a board has at most {MOST_SIDE} rows and columns, this one has {len(rows)} x {width}"
    require(max(len(rows), width) <= MOST_SIDE, "map", text, allowed)
    for index, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"map row {index} has {len(row)} columns: every row needs {width}, like the longest row")
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
      board: the argument `map` of a game.
      boards: the game's own boards by name.
      symbols: the layer of each character.

    Raises:
      ValueError: see `read_board` and `parse_map`.
    """
    return read_board(board, boards, partial(parse_map, symbols=symbols, needed=("apple", "spawn")))


def read_river_layers(board: Board, boards: Mapping[str, str], symbols: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Does the same as `read_layers` for a board with a river; "river" contains its cells with and without waste.

    Raises:
      ValueError: the board has no river; see also `read_board` and `parse_map`.
    """

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
