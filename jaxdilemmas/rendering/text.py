"""Draws a picture as text: two characters a cell."""

import numpy as np

from jaxdilemmas.rendering.panel import Row
from jaxdilemmas.rendering.picture import HIDDEN, Marks, Picture

NUMBERS = "0123456789abcdefghijklmnopqrstuvwxyz"
ARROWS = "^>v<"


def draw_text(picture: Picture, marks: Marks, rows: list[Row]) -> str:
    """The plane line by line, then the rows of the panel.

    Args:
      picture: how the game looks.
      marks: `[M]`, of one state.
      rows: of the panel; those of the legend show the characters of their signs.

    Returns:
      Lines without trailing spaces, with newlines between them.
    """
    height, width = int(np.ceil(picture.height)), int(np.ceil(picture.width))
    cells = np.full((height, width), "  ", "<U2")
    for part in (picture.ground, marks):
        _draw(picture, part, cells)
    lines = ["".join(line).rstrip() for line in cells]
    for row in rows:
        sign = symbol_of(picture.glyphs[row.glyph].symbol, row.agent, 0.0) if row.glyph else ""
        bar = "" if row.level is None else f"[{'#' * round(row.level * 20):.<20}] "
        if sign or not row.glyph:
            lines.append(f"{sign:3}{bar}{row.text}" if sign else f"{bar}{row.text}")
    return "\n".join(lines)


def symbol_of(symbol: str, agent: int, turn: float) -> str:
    """The two characters of a mark."""
    number = NUMBERS[agent % len(NUMBERS)] if agent != HIDDEN else " "
    return symbol.replace("N", number).replace(">", ARROWS[round(turn / 90) % 4])


def _draw(picture: Picture, marks: Marks, cells: np.ndarray) -> None:
    glyphs = list(picture.glyphs.values())
    for k in np.flatnonzero(marks.glyph != HIDDEN):
        symbol = glyphs[marks.glyph[k]].symbol
        if not symbol:
            continue
        width, height = marks.width[k], marks.height[k]
        if round(marks.turn[k] / 90) % 2:
            width, height = height, width
        top, left = marks.y[k] - max(height, 1) / 2, marks.x[k] - max(width, 1) / 2
        rows = slice(max(int(np.floor(top + 0.5)), 0), max(int(np.ceil(top + max(height, 1) - 0.5)), 0))
        cols = slice(max(int(np.floor(left + 0.5)), 0), max(int(np.ceil(left + max(width, 1) - 0.5)), 0))
        cells[rows, cols] = symbol_of(symbol, int(marks.agent[k]), float(marks.turn[k]))
