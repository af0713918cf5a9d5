"""Our Harvest, after Melting Pot, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.lab2d import Lab2D


@dataclasses.dataclass(kw_only=True)
class Harvest(Lab2D):
    """Apples that come back only near others."""

    zap_cooldown: int = 2
    timeout_steps: int = 4
    regrowth_probabilities: Sequence[float] = (0.0, 0.0025, 0.005, 0.025)

    beam_actions: ClassVar[Sequence[int]] = (6,)

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.zap_cooldown,)

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        waiting = [timeout > 0 for timeout in self.timeouts]
        regrown = [self.is_regrown(a, draws) for a in range(len(self.apples))]
        self.move(actions, draws)
        first = self.collect()
        info = self.zap(actions)
        self.send_back(waiting, draws)
        self.apples = [alive or new for alive, new in zip(self.apples, regrown, strict=True)]
        second = self.collect()
        self.step_count += 1
        collected = [a + b for a, b in zip(first, second, strict=True)]
        tagged = [timeout > 0 for timeout in self.timeouts]
        return [float(c) for c in collected], info | {"collected": collected, "tagged": tagged}

    def is_regrown(self, a: int, draws: Draws) -> bool:
        """Whether apple `a`, dead now, comes back at the end of this step; its live neighbours now decide."""
        row, col = self.apples_at[a]
        near = [
            alive and b != a and (r - row) ** 2 + (c - col) ** 2 <= 4
            for b, ((r, c), alive) in enumerate(zip(self.apples_at, self.apples, strict=True))
        ]
        chance = self.regrowth_probabilities[min(sum(near), 3)]
        return not self.apples[a] and bool(draws["apple_growth"][a] < np.float32(chance))

    def zap(self, actions: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """All beams at once; returns how many hit each agent and how many it hit."""
        shots, at = self.shoot(actions), self.at()
        met = self.fire(shots, (set(at),))
        self.fired = [shot is not None for shot in shots]
        struck = [at[cell] for cells in met for cell in cells]
        received = [struck.count(i) for i in range(len(shots))]
        self.remove([hits > 0 for hits in received])
        return {"fined": received, "hits_given": [len(cells) for cells in met]}
