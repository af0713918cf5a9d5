"""The egocentric view, one cell at a time."""

from collections.abc import Sequence

import numpy as np

Cell = tuple[int, int]
Vector = Sequence[int] | np.ndarray

# heading -> (row, col) of one step ahead: 0 north, 1 east, 2 south, 3 west
FORWARD = ((-1, 0), (0, 1), (1, 0), (0, -1))


def right_of(heading: int) -> Cell:
    """The step to the right of a heading is the step ahead of the next heading clockwise."""
    return FORWARD[(heading + 1) % 4]


def cell_at(position: Vector, heading: int, forward: int, right: int) -> Cell:
    """The board cell that lies `forward` steps ahead and `right` steps to the right (negative: behind, left)."""
    ahead, side = FORWARD[heading], right_of(heading)
    row = position[0] + forward * ahead[0] + right * side[0]
    col = position[1] + forward * ahead[1] + right * side[1]
    return int(row), int(col)


def is_inside(shape: Sequence[int], cell: Cell) -> bool:
    """Whether a cell lies on the board."""
    return 0 <= cell[0] < shape[0] and 0 <= cell[1] < shape[1]


def egocentric_view(
    board: np.ndarray, position: Vector, heading: int, view: Sequence[int], void: int | tuple[int, int, int]
) -> np.ndarray:
    """What a viewer sees of `board [H, W, ...]`; forward is up, `view` is (ahead, behind, side)."""
    ahead, behind, side = view
    seen = np.empty((ahead + behind + 1, 2 * side + 1, *board.shape[2:]), board.dtype)
    for row in range(ahead + behind + 1):
        for col in range(2 * side + 1):
            cell = cell_at(position, heading, ahead - row, col - side)
            seen[row, col] = board[cell] if is_inside(board.shape, cell) else void
    return seen
