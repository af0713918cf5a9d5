"""The coin game in plain Python, from the written rules."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0), (0, 0)]
Cell = tuple[int, int]


@dataclasses.dataclass
class CoinGame:
    """Agents and coins on cells (row, col); a coin that is not on the board is on None."""

    positions: list[Cell]
    coins: list[Cell | None]
    is_one: bool = False
    inner_steps: int = 10
    step_count: int = 0

    def free_cell(self, u: float) -> Cell:
        """A cell without agents."""
        free = [(row, col) for row in range(3) for col in range(3) if (row, col) not in self.positions]
        return free[math.floor(u * len(free))]

    def step(self, actions: Sequence[int], draws: dict[str, Any]) -> tuple[list[float], list[int], list[int]]:
        """Plays one step; returns rewards and how many coins of the own and of the other colour each agent took."""
        moves = [MOVES[action] if 0 <= action < 5 else (0, 0) for action in actions]
        self.positions = [((r + dr) % 3, (c + dc) % 3) for (r, c), (dr, dc) in zip(self.positions, moves, strict=True)]
        rewards, own, other = [0.0, 0.0], [0, 0], [0, 0]
        taken = []
        for colour, coin in enumerate(self.coins):
            takers = [agent for agent in (0, 1) if self.positions[agent] == coin]
            for agent in takers[:1] if self.is_one else takers:
                rewards[agent] += 1
                if agent == colour:
                    own[agent] += 1
                else:
                    other[agent] += 1
                    rewards[colour] -= 2
            taken += [colour] * bool(takers)
        for colour in taken:
            if self.is_one:
                self.coins[colour] = None
                self.coins[1 - colour] = self.free_cell(draws["coins"][1 - colour])
            else:
                self.coins[colour] = divmod(math.floor(draws["coins"][colour] * 9), 3)
        self.step_count += 1
        if self.step_count % self.inner_steps == 0:
            self.restart(draws["restart"])
            rewards = [0.0, 0.0]
        return rewards, own, other

    def restart(self, draws: Sequence[float]) -> None:
        """Places everything anew."""
        cells = [divmod(math.floor(u * 9), 3) for u in draws]
        self.positions = cells[:2]
        if self.is_one:
            others = [cell for cell in ((row, col) for row in range(3) for col in range(3)) if cell != cells[0]]
            self.positions[1] = others[math.floor(draws[1] * 8)]
            coin = self.free_cell(draws[2])
            self.coins = [coin, None] if draws[3] < 0.5 else [None, coin]
        else:
            self.coins = list(cells[2:])

    def observe(self, is_egocentric: bool = False) -> list[list[int]]:
        """What each agent sees: cell by cell, whether it, the other, its coin and the other coin are there."""
        rows = []
        for agent in (0, 1):
            things = [self.positions[agent], self.positions[1 - agent], self.coins[agent], self.coins[1 - agent]]
            if is_egocentric:
                row, col = self.positions[agent]
                things = [cell and ((cell[0] + 1 - row) % 3, (cell[1] + 1 - col) % 3) for cell in things]
            rows.append([int((r, c) == thing) for r in range(3) for c in range(3) for thing in things])
        return rows
