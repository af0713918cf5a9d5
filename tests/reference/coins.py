"""Our Coins, after Melting Pot, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import GRID_STATE, Draws
from tests.reference.meltingpot import MeltingPot
from tests.reference.views import Cell


@dataclasses.dataclass(kw_only=True)
class Coins(MeltingPot):
    """Coins in two colours; agent 0 has the colour 1, agent 1 the colour 2."""

    coin_cells: np.ndarray
    coins: list[int]
    coin_growth: float = 0.0005
    match_reward: float = 1.0
    mismatch_reward: float = 1.0
    mismatch_cost: float = 2.0
    min_steps: int = 300
    ending_probability: float = 0.05

    state_names: ClassVar[Sequence[str]] = (*GRID_STATE, "coins", "mismatches", "step_count")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.coins_at: list[Cell] = [(int(row), int(col)) for row, col in self.coin_cells]
        self.mismatches = [0, 0]

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        was_empty = [coin == 0 for coin in self.coins]
        self.move(actions, draws)
        taken = self.take()
        for c, is_empty in enumerate(was_empty):
            if is_empty:
                self.coins[c] = self.new_coin(draws["coin_growth"][c])
        taken += self.take()
        matched = [sum(i == colour - 1 == k for k, colour in taken) for i in (0, 1)]
        mismatched = [sum(i == k != colour - 1 for k, colour in taken) for i in (0, 1)]
        rewards = [
            matched[i] * self.match_reward
            + mismatched[i] * self.mismatch_reward
            - mismatched[1 - i] * self.mismatch_cost
            for i in (0, 1)
        ]
        self.mismatches = [before + new for before, new in zip(self.mismatches, mismatched, strict=True)]
        self.step_count += 1
        self.end_by_chance(draws)
        collected = [sum(i == k for k, _ in taken) for i in (0, 1)]
        nothing = {"hits_given": [0, 0], "hits_received": [0, 0], "tagged": [False, False]}
        return rewards, {"collected": collected, "matched": matched, "mismatched": mismatched} | nothing

    def new_coin(self, uniform: np.float32) -> int:
        """The colour of the coin that appears on an empty cell, 0 if none does."""
        if uniform < np.float32(self.coin_growth) / 2:
            return 1
        return 2 if uniform < np.float32(self.coin_growth) else 0

    def take(self) -> list[tuple[int, int]]:
        """Each agent takes the coin under it; who took which colour."""
        taken = []
        for i, cell in enumerate(self.positions):
            if cell in self.coins_at and self.coins[self.coins_at.index(cell)]:
                taken.append((i, self.coins[self.coins_at.index(cell)]))
                self.coins[self.coins_at.index(cell)] = 0
        return taken

    def layers(self) -> dict[str, set[Cell]]:
        """What all agents see alike."""
        return {"wall": {(row, col) for row, col in np.argwhere(self.walls).tolist()}}

    def observe_one(self, board: np.ndarray, i: int) -> np.ndarray:
        """One agent's view, with its own coins and those of the other."""
        seen = board.copy()
        for cell, colour in zip(self.coins_at, self.coins, strict=True):
            if colour:
                seen[cell] = self.tiles.index("coin_own" if colour - 1 == i else "coin_other")
        return super().observe_one(seen, i)
