"""Our Harvest, after Melting Pot, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.meltingpot import MeltingPot


@dataclasses.dataclass(kw_only=True)
class Harvest(MeltingPot):
    """Apples that come back only near others."""

    zap_cooldown: int = 2
    timeout_steps: int = 5
    ending_probability: float = 0.15
    regrowth_probabilities: Sequence[float] = (0.0, 0.0025, 0.005, 0.025)

    beam_actions: ClassVar[Sequence[int]] = (6,)
    state_names: ClassVar[Sequence[str]] = (*MeltingPot.state_names, "live_neighbours")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.apples_before = [True] * len(self.apples)  # one step ago
        self.has_grown = [False] * len(self.apples)  # in the last step, also if it was eaten at once

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.zap_cooldown,)

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        grows = [self.is_growing(a, draws) for a in range(len(self.apples))]
        before = self.apples.copy()
        self.move(actions, draws)
        first = self.collect()
        info = self.zap(actions)
        self.apples = [alive or new for alive, new in zip(self.apples, grows, strict=True)]
        second = self.collect()  # also who was just hit
        self.remove_and_return([hits > 0 for hits in info["hits_received"]], draws)
        self.apples_before, self.has_grown = before, grows
        self.step_count += 1
        self.end_by_chance(draws)
        collected = [a + b for a, b in zip(first, second, strict=True)]
        tagged = [timeout > 0 for timeout in self.timeouts]
        return [float(c) for c in collected], info | {"collected": collected, "tagged": tagged}

    @property
    def live_neighbours(self) -> list[int]:
        """By how many live neighbours each apple may grow in the next step, -1 if it may not.

        It may if it is missing now and was missing one step ago and has not grown in between; the neighbours are those
        of one step ago.
        """
        waits = [
            not (now or before or grew)
            for now, before, grew in zip(self.apples, self.apples_before, self.has_grown, strict=True)
        ]
        return [self.count_neighbours(a) if may_grow else -1 for a, may_grow in enumerate(waits)]

    def count_neighbours(self, a: int) -> int:
        """Neighbours of apple `a` that were alive one step ago."""
        row, col = self.apples_at[a]
        return sum(
            alive and b != a and (r - row) ** 2 + (c - col) ** 2 <= 4
            for b, ((r, c), alive) in enumerate(zip(self.apples_at, self.apples_before, strict=True))
        )

    def is_growing(self, a: int, draws: Draws) -> bool:
        """Whether apple `a` grows in this step."""
        count = self.live_neighbours[a]
        chance = self.regrowth_probabilities[min(max(count, 0), 3)]
        return count >= 0 and bool(draws["apple_growth"][a] < np.float32(chance))
