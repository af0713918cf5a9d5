"""Our Gift Refinements, after Melting Pot, one gift and one cell at a time, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.meltingpot import MeltingPot
from tests.reference.views import Cell

CONSUME = 8


@dataclasses.dataclass(kw_only=True)
class GiftRefinements(MeltingPot):
    """Agents collect tokens, give them away and eat them."""

    token_cells: np.ndarray
    tokens: list[bool]
    token_growth: float = 0.0002
    gift_multiplier: int = 5
    capacity: int = 15
    gift_cooldown: int = 2
    beam_length: int = 5

    beam_actions: ClassVar[Sequence[int]] = (6,)
    state_names: ClassVar[Sequence[str]] = (*MeltingPot.state_names, "tokens", "inventories")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tokens_at: list[Cell] = [(int(row), int(col)) for row, col in self.token_cells]
        self.inventories = [[0, 0, 0] for _ in self.positions]
        self.rays = [[0] for _ in self.positions]

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.gift_cooldown,)

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        n = len(self.positions)
        info = {name: [0] * n for name in ("collected", "consumed", "gifts_given", "gifts_received")}
        for i, action in enumerate(actions):
            if action == CONSUME:
                info["consumed"][i] = sum(self.inventories[i])
                self.inventories[i] = [0, 0, 0]
        for a, cell in enumerate(self.tokens_at):
            has_luck = draws["token_growth"][a] < np.float32(self.token_growth)
            self.tokens[a] = self.tokens[a] or bool(has_luck and cell not in self.positions)
        self.move(actions, draws)
        for i, cell in enumerate(self.positions):
            if cell in self.tokens_at and self.tokens[self.tokens_at.index(cell)]:
                self.tokens[self.tokens_at.index(cell)] = False
                self.add(i, 0, 1)
                info["collected"][i] = 1
        targets = self.fire_all(actions)
        for i in sorted(range(n), key=lambda i: (-draws["gift_priorities"][i], i)):
            if targets[i] is not None:
                self.give(i, targets[i], info)
        self.step_count += 1
        self.end_by_chance(draws)
        return [float(count) for count in info["consumed"]], info

    def add(self, i: int, kind: int, count: int) -> None:
        """An agent gets tokens; what exceeds its capacity is lost."""
        self.inventories[i][kind] = min(self.inventories[i][kind] + count, self.capacity)

    def fire_all(self, actions: Sequence[int] | np.ndarray) -> list[int | None]:
        """The first agent on each beam, if any."""
        shots, at = self.shoot(actions), self.at()
        self.fired = [shot is not None for shot in shots]
        targets: list[int | None] = [None] * len(shots)
        for i, shot in enumerate(shots):
            self.rays[i], self.lit[i] = [0], set()
            for cell in self.ray(i, 0) if shot is not None else []:
                if cell in at:
                    targets[i] = at[cell]
                    break
                self.rays[i][0] += 1
                self.lit[i].add(cell)
        return targets

    def give(self, i: int, j: int | None, info: dict[str, list[int]]) -> None:
        """An agent gives a token of its highest kind, if it has any."""
        assert j is not None
        for kind in (2, 1, 0):
            if self.inventories[i][kind] > 0:
                self.inventories[i][kind] -= 1
                self.add(j, min(kind + 1, 2), 1 if kind == 2 else self.gift_multiplier)
                info["gifts_given"][i] += 1
                info["gifts_received"][j] += 1
                return

    def layers(self) -> dict[str, set[Cell]]:
        """What is to be seen beside agents, and where."""
        lit = (lit for lit, fired in zip(self.lit, self.fired, strict=True) if fired)
        return {
            "token": {cell for cell, there in zip(self.tokens_at, self.tokens, strict=True) if there},
            "wall": {(row, col) for row, col in np.argwhere(self.walls).tolist()},
            "beam": set().union(*lit),
        }
