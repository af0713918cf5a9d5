"""Boards from text: one character a cell."""

from collections.abc import Mapping

import numpy as np


def parse_map(text: str, symbols: Mapping[str, str], pad: str | None = None) -> dict[str, np.ndarray]:
    """Reads a board drawn as text.

    Args:
      text: one line per row; empty first and last lines are dropped.
      symbols: which layer each character belongs to; several characters may share a layer.
      pad: fills rows shorter than the longest up with this character; without it rows must be of one length.

    Returns:
      For each layer a `[H, W]` bool array.

    Raises:
      ValueError: an unknown symbol, or rows of different length without `pad`; row and column are named, from 0.
    """
    rows = text.strip("\n").split("\n")
    width = max(len(row) for row in rows)
    for index, row in enumerate(rows):
        if len(row) != width and pad is None:
            raise ValueError(f"map row {index} has {len(row)} columns: every row needs {width}, as the longest row has")
    rows = [row.ljust(width, pad or " ") for row in rows]
    for row_index, row in enumerate(rows):
        for col_index, symbol in enumerate(row):
            if symbol not in symbols:
                allowed = " ".join(repr(known) for known in symbols)
                raise ValueError(
                    f"unknown map symbol {symbol!r} at row {row_index}, col {col_index}: allowed are {allowed}"
                )
    layers = np.array([[symbols[symbol] for symbol in row] for row in rows])
    return {layer: layers == layer for layer in dict.fromkeys(symbols.values())}


def cells_of(layer: np.ndarray) -> np.ndarray:
    """The cells of a `[H, W]` bool layer in row-major order, `[n, 2]` int32 (row, col)."""
    return np.argwhere(layer).astype(np.int32).reshape(-1, 2)


def index_of_cells(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The inverse of `cells_of`: `[H, W]` int32 with each cell's index in `cells`, and `len(cells)` everywhere else."""
    index = np.full(shape, len(cells), np.int32)
    index[cells[:, 0], cells[:, 1]] = np.arange(len(cells))
    return index
