"""The common pool in plain Python, from the written rules, with one float32 operation at a time."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass
class CommonPool:
    """One stock and what each agent has taken from it."""

    num_agents: int = 4
    regrowth_rate: float = 0.055
    initial_stock: float = 0.5
    capacity: float = 1.0
    take_fraction: float = 0.1

    def __post_init__(self) -> None:
        self.stock = np.float32(self.initial_stock)
        self.taken = [np.float32(0)] * self.num_agents
        self.take = np.float32(self.take_fraction) / np.float32(self.num_agents)

    def step(self, actions: Sequence[int] | np.ndarray) -> tuple[list[np.float32], bool]:
        """Plays one step; returns rewards and whether the stock is depleted."""
        takes = [self.take if action == 1 else np.float32(0) for action in actions]
        left = self.stock - sum(takes, start=np.float32(0))
        is_depleted = bool(left <= 0)
        if is_depleted:
            takes = [np.float32(0)] * self.num_agents
        else:
            left += np.float32(self.regrowth_rate)
        self.stock = min(left, np.float32(self.capacity))
        self.taken = [before + take for before, take in zip(self.taken, takes, strict=True)]
        return takes, is_depleted

    def observe(self) -> list[Any]:
        """What each agent sees: the stock and its own takes."""
        return [(self.stock, taken) for taken in self.taken]
