"""The matrix game in plain Python, from the written rules."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass
class MatrixGame:
    """A table of payoffs, as nested lists, and the actions of the last round."""

    payoffs: Any
    num_agents: int
    num_actions: int
    continuation: float
    trembles: float
    last: list[int] | None = None

    def step(self, actions: Sequence[int], draws: dict[str, Any]) -> tuple[list[float], bool]:
        """Plays one round; returns rewards and whether the game is over."""
        played = []
        for agent, action in enumerate(actions):
            action = int(action) if 0 <= action < self.num_actions else 0
            if draws["trembles"][agent] < self.trembles:
                action = math.floor(draws["trembled_actions"][agent] * self.num_actions)
            played.append(action)
        self.last = played
        rewards = self.payoffs
        for action in played:
            rewards = rewards[action]
        return rewards, bool(draws["episode_end"] >= self.continuation)

    def observe(self) -> list[list[float]]:
        """What each agent sees: the last actions, one's own first, as ones and zeros, and whether there are any."""
        if self.last is None:
            return [[0.0] * (self.num_agents * self.num_actions + 1)] * self.num_agents
        rows = []
        for agent in range(self.num_agents):
            seen = [self.last[(agent + k) % self.num_agents] for k in range(self.num_agents)]
            rows.append([float(action == a) for action in seen for a in range(self.num_actions)] + [1.0])
        return rows
