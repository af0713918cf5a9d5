"""Gems in plain Python, from the written rules, player by player as the original plays."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tests.reference.views import Cell

STEPS = {0: (0, 1), 1: (1, 0), 2: (0, -1), 3: (-1, 0)}
"""What actions do; any other number is to stay."""


@dataclasses.dataclass
class Gems:
    """The board and the counts; `gems` are those of player 0, of player 1 and purple."""

    positions: list[Cell]
    gems: list[list[Cell]]
    end_rule: str
    observation: str
    own_reward: float = 1.0
    shared_reward: float = 6.0
    most_team_reward: float = 20.0
    most_gems: int = 6
    team_reward: float = 0.0
    gems_taken: int = 0
    step_count: int = 0
    terminated: bool = False

    state_names = ("positions", "gems", "team_reward", "gems_taken", "step_count")

    def step(self, actions: Sequence[int], draws: Mapping[str, Any]) -> tuple[list[float], dict[str, list[float]]]:
        """Plays one step; `draws` are uniforms, "own" (player, gem, (row, col)) and "purple" (player, (row, col))."""
        rewards, has_own, stands_on = [0.0, 0.0], [0.0, 0.0], [-1, -1]
        for player in (0, 1):
            stands_on[player] = self._purple_at(self.positions[player])
            self._move(player, int(actions[player]))
            after = self._purple_at(self.positions[player])
            stands_on[player] = after if after >= 0 else stands_on[player]
            for gem in range(3):
                if self.gems[player][gem] == self.positions[player]:
                    has_own[player] = 1.0
                    self._send_back(player, gem, draws["own"][player][gem])
            rewards[player] += self.own_reward * has_own[player]
        is_shared = min(stands_on) >= 0
        if is_shared:
            rewards = [reward + self.shared_reward for reward in rewards]
            for gem in set(stands_on):
                self._send_back(2, gem, draws["purple"][stands_on.index(gem)])
        self.team_reward += sum(rewards)
        self.step_count += 1
        has_enough = {"team_reward": self.team_reward > self.most_team_reward, "gem_count": self._is_counted_out()}
        self.terminated = has_enough[self.end_rule]
        on_shared = [float(gem >= 0) for gem in stands_on]
        return rewards, {"own_gems": has_own, "on_shared": on_shared, "shared": [float(is_shared)] * 2}

    def _is_counted_out(self) -> bool:
        return self.gems_taken > self.most_gems

    def _purple_at(self, cell: Cell) -> int:
        return self.gems[2].index(cell) if cell in self.gems[2] else -1

    def _move(self, player: int, action: int) -> None:
        row, col = self.positions[player]
        down, right = STEPS.get(action, (0, 0))
        if 0 <= row + down < 15 and 0 <= col + right < 15:
            self.positions[player] = (row + down, col + right)

    def _send_back(self, kind: int, gem: int, uniforms: Sequence[float]) -> None:
        self.gems_taken += 1
        row, col = (list(range(1, 15))[int(float(u) * 14)] for u in uniforms)
        self.gems[kind][gem] = (row, col)

    def observe(self) -> list[Any]:
        """What both players see."""
        return [self._planes()] * 2 if self.observation == "planes" else [self._entities(0), self._entities(1)]

    def _planes(self) -> list[list[list[int]]]:
        kinds = [[self.positions[0]], [self.positions[1]], *self.gems]
        return [[[int((row, col) in cells) for col in range(15)] for row in range(15)] for cells in kinds]

    def _entities(self, me: int) -> list[Cell]:
        seen = [self.positions[me], self.positions[1 - me]]
        for kind in (me, 1 - me, 2):
            cells = sorted(set(self.gems[kind]))
            seen += cells + [(-1, -1)] * (3 - len(cells))
        return seen
