"""Decides who moves if several agents want to: a recursion over agents that wait for each other."""

from collections.abc import Sequence

import numpy as np

from tests.reference.views import Cell, Vector, cell_at, is_inside

Cells = Sequence[Vector] | np.ndarray
Priorities = Vector | Sequence[float]
Active = Sequence[bool] | np.ndarray | None

# action -> (forward, right) for the four moves; all other actions stay
MOVES = {0: (1, 0), 1: (-1, 0), 2: (0, -1), 3: (0, 1)}
TURNS = {4: -1, 5: 1}


def target_cell(action: int, position: Vector, heading: int, walls: np.ndarray) -> Cell:
    """The cell an action aims at; the agent's own where a wall or the edge of the board is in the way."""
    here = int(position[0]), int(position[1])
    if action not in MOVES:
        return here
    target = cell_at(here, heading, *MOVES[action])
    return target if is_inside(walls.shape, target) and not walls[target] else here


def turned(action: int, heading: int) -> int:
    """The heading after an action."""
    return (int(heading) + TURNS.get(action, 0)) % 4


def move_in_turn(priorities: Priorities, positions: Cells, targets: Cells, active: Active = None) -> list[Cell]:
    """Where agents end that move one after the other, those with the highest priority first."""
    agents = [i for i in range(len(positions)) if active is None or active[i]]
    cells = [(int(row), int(col)) for row, col in positions]
    for i in sorted(agents, key=lambda i: (-priorities[i], i)):
        target = int(targets[i][0]), int(targets[i][1])
        if target not in [cells[j] for j in agents]:
            cells[i] = target
    return cells


def resolve_moves(priorities: Priorities, positions: Cells, targets: Cells, active: Active = None) -> list[Cell]:
    """Where agents end that move at once: `targets[i]` or `positions[i]`; who is not active stays and is not there."""
    agents = [i for i in range(len(positions)) if active is None or active[i]]
    here = {i: (int(row), int(col)) for i, (row, col) in enumerate(positions)}
    want = {i: (int(targets[i][0]), int(targets[i][1])) for i in agents}
    occupant = {here[i]: i for i in agents}

    def is_first_in_line(i: int) -> bool:
        rivals = [j for j in agents if want[j] == want[i] and want[j] != here[j]]
        return max(rivals, key=lambda j: (priorities[j], -j)) == i

    def moves(i: int) -> bool:
        chain = [i]
        while True:
            last = chain[-1]
            if want[last] == here[last] or not is_first_in_line(last):
                return False  # stays, so that everyone behind it in the chain stays too
            blocker = occupant.get(want[last])
            if blocker is None:
                return True
            if blocker == i:
                return len(chain) > 2  # two would swap, three or more rotate
            if blocker in chain:
                return False
            chain.append(blocker)

    return [want[i] if i in agents and moves(i) else here[i] for i in range(len(positions))]
