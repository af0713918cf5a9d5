"""Our Commons: Gathering with a wide beam and regrowth that depends on the number of apples nearby."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from tests.reference.gathering import GRID_STATE, Draws, Gathering


@dataclasses.dataclass
class Commons(Gathering):
    """As `Gathering`; all apples look at the same moment, before any of them grows."""

    hits_to_tag: int = 1
    beam_side: int = 2
    view: Sequence[int] = (20, 0, 10)
    regrowth_probabilities: Sequence[float] = (0.0, 0.01, 0.05, 0.1)

    state_names: ClassVar[Sequence[str]] = GRID_STATE

    def live_neighbours(self, a: int) -> int:
        """Live apples within two rows and two columns of apple cell `a`, itself left out."""
        row, col = self.apples_at[a]
        return sum(
            alive and b != a and abs(r - row) <= 2 and abs(c - col) <= 2
            for b, ((r, c), alive) in enumerate(zip(self.apples_at, self.apples, strict=True))
        )

    def grow(self, draws: Draws) -> None:
        """A dead apple comes back with a probability that its live neighbours decide: none, 1-2, 3-4, more."""
        none, few, some, many = self.regrowth_probabilities
        grown = []
        for a, alive in enumerate(self.apples):
            live = self.live_neighbours(a)
            probability = none if live == 0 else few if live <= 2 else some if live <= 4 else many
            grown.append(not alive and draws["apple_growth"][a] < probability)
        self.apples = [alive or new for alive, new in zip(self.apples, grown, strict=True)]
