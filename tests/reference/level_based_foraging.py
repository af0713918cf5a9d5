"""Level-based foraging in plain Python, from the written rules."""

import dataclasses
import math
from collections.abc import Sequence

STEPS = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}
"""What actions do; any other number but 5, which loads, is to stay."""

LOAD = 5
Cell = tuple[int, int]


@dataclasses.dataclass
class LevelBasedForaging:
    """Agents, and food by its cell: `foods` at the start, `left` on the board; there is at most `num_food` of it."""

    size: int
    positions: list[Cell]
    levels: list[int]
    foods: dict[Cell, int]
    sight: int
    penalty: float = 0.0
    normalize_reward: bool = True
    can_follow: bool = True
    num_food: int = 1

    def __post_init__(self) -> None:
        self.left = dict(sorted(self.foods.items()))

    def step(self, actions: Sequence[int]) -> tuple[list[float], dict[str, list[int]]]:
        """Plays one step; returns rewards and info."""
        self._move(actions)
        rewards, info = [0.0] * len(actions), {name: [0] * len(actions) for name in self.info_names}
        for food, level in list(self.left.items()):
            loaders = [i for i, action in enumerate(actions) if action == LOAD and self._is_beside(i, food)]
            strength = sum(self.levels[i] for i in loaders)
            if not loaders:
                continue
            for i in loaders:
                if strength < level:
                    rewards[i] -= self.penalty
                    info["failed_loads"][i] += 1
                else:
                    whole = strength * sum(self.foods.values()) if self.normalize_reward else 1
                    rewards[i] += self.levels[i] * level / whole
                    info["loaded"][i] += 1
                    info["loaded_together"][i] += len(loaders) > 1
            if strength >= level:
                del self.left[food]
        return rewards, info

    info_names = ("loaded", "loaded_together", "failed_loads")

    @property
    def terminated(self) -> bool:
        """Whether no food is left."""
        return not self.left

    def _is_beside(self, agent: int, cell: Cell) -> bool:
        row, col = self.positions[agent]
        return abs(row - cell[0]) + abs(col - cell[1]) == 1

    def _move(self, actions: Sequence[int]) -> None:
        wanted = []
        for (row, col), action in zip(self.positions, actions, strict=True):
            step = STEPS.get(action, (0, 0))
            cell = (row + step[0], col + step[1])
            is_free = min(cell) >= 0 and max(cell) < self.size and cell not in self.left
            wanted.append(cell if is_free else (row, col))
        before = list(self.positions)
        for i, cell in enumerate(wanted):
            is_taken = not self.can_follow and cell in before
            if wanted.count(cell) == 1 and not is_taken:
                self.positions[i] = cell

    def entities(self, viewer: int) -> list[tuple[int, int, int]]:
        """What an agent sees, as rows."""
        row, col = self.positions[viewer]
        top, left = max(row - self.sight, 0), max(col - self.sight, 0)
        food = [
            (r - top, c - left, level)
            for (r, c), level in self.left.items()
            if max(abs(r - row), abs(c - col)) <= self.sight
        ]
        rows = food + [(-1, -1, 0)] * (self.num_food - len(food))
        agents = []
        for i in sorted(range(len(self.positions)), key=lambda i: (i != viewer, i)):
            r, c = self.positions[i][0] - top, self.positions[i][1] - left
            if min(r, c) >= 0 and max(r, c) <= 2 * self.sight:
                agents.append((r, c, self.levels[i]))
        return rows + agents + [(-1, -1, 0)] * (len(self.positions) - len(agents))

    def planes(self, viewer: int) -> list[list[list[int]]]:
        """What an agent sees, as planes."""
        row, col = self.positions[viewer]
        agents = {cell: self.levels[i] for i, cell in enumerate(self.positions)}
        rows, cols = (range(at - self.sight, at + self.sight + 1) for at in (row, col))
        board = range(self.size)
        return [
            [[agents.get((r, c), 0) for c in cols] for r in rows],
            [[self.left.get((r, c), 0) for c in cols] for r in rows],
            [[int(r in board and c in board and (r, c) not in {**agents, **self.left}) for c in cols] for r in rows],
        ]


def place(size: int, agents: Sequence[Cell], uniforms: Sequence[float]) -> list[Cell]:
    """The cells of food that is placed one after the other, in the order of reading."""
    found: list[Cell] = []
    for u in uniforms:
        cells = [
            (row, col)
            for row in range(1, size - 1)
            for col in range(1, size - 1)
            if (row, col) not in agents and all(is_far(row - r, col - c) for r, c in found)
        ]
        found += cells[math.floor(u * len(cells)) :][:1]
    return sorted(found)


def is_far(rows: int, cols: int) -> bool:
    """Whether food may be so far from other food: not around it, nor within two cells in a straight line."""
    is_around = max(abs(rows), abs(cols)) <= 1
    return not is_around and not (rows == 0 and abs(cols) <= 2) and not (cols == 0 and abs(rows) <= 2)
