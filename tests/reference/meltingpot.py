"""The common rules of Cleanup and Harvest after Melting Pot, one agent at a time, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.lab2d import Lab2D


@dataclasses.dataclass(kw_only=True)
class MeltingPot(Lab2D):
    """Agents move one after the other and are out for a while after a hit; episodes may end by chance."""

    movement: str = "sequential"
    timeout_steps: int = 51
    min_steps: int = 1000
    ending_interval: int = 100
    ending_probability: float = 0.2
    is_ending_stochastic: bool = False

    def zap(self, actions: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """All beams at once; returns how many hit each agent and how many it hit."""
        shots, at = self.shoot(actions), self.at()
        met = self.fire(shots, (set(at),))
        self.fired = [shot is not None for shot in shots]
        struck = [at[cell] for cells in met for cell in cells]
        received = [struck.count(i) for i in range(len(shots))]
        return {"hits_received": received, "hits_given": [len(cells) for cells in met]}

    def remove_and_return(self, is_hit: Sequence[bool], draws: Draws) -> None:
        """Who is hit is out from now on; who was out waits one step less, and who is done comes back.

        Who comes back takes a spawn cell on which nobody was at the time of the hits. These cells, row-major, are
        shuffled as far as needed: the k-th to come back takes place k.
        """
        waiting = [i for i in range(len(is_hit)) if not self.is_on_board(i)]
        free = [(row, col) for row, col in self.spawn_cells.tolist() if (row, col) not in self.at()]
        place = 0
        for i in waiting:
            self.timeouts[i] -= 1
            if self.timeouts[i] == 0:
                other = place + int(np.float32(draws["respawns"][place]) * np.float32(len(free) - place))
                free[place], free[other] = free[other], free[place]
                self.positions[i] = free[place]
                self.headings[i] = int(draws["respawn_headings"][i] * 4)
                place += 1
        for i, hit in enumerate(is_hit):
            if hit:
                self.timeouts[i] = self.timeout_steps

    def end_by_chance(self, draws: Draws) -> None:
        """Episodes that have lasted long enough may end one step before each full interval."""
        is_time = self.step_count >= self.min_steps and (self.step_count + 1) % self.ending_interval == 0
        is_over = is_time and draws["episode_end"] < np.float32(self.ending_probability)
        self.terminated = self.is_ending_stochastic and bool(is_over)
