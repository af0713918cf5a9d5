"""Boards drawn as text: `@` is a wall, `.` is floor, a digit is an agent."""

import numpy as np


def draw_walls(text: str) -> np.ndarray:
    """The walls of a drawing, `[H, W]` bool."""
    return np.array([[symbol == "@" for symbol in row] for row in text.split()])


def draw_agents(text: str) -> np.ndarray:
    """The cells of the agents 0, 1, ..., `[N, 2]` int32."""
    cells = {s: (r, c) for r, row in enumerate(text.split()) for c, s in enumerate(row) if s.isdigit()}
    return np.array([cells[digit] for digit in sorted(cells)], np.int32)
