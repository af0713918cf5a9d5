"""The Cleanup game of vicgalle/llm-policies-social-dilemmas, from a written account of its rules.

As in its Gathering, agents act one after the other, by id, so that waste that one agent clears is gone for the next.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.reference.gallego import APPLE, BEAM, WALL, Game
from tests.reference.gathering import Draws
from tests.reference.views import Cell

RIVER, WASTE, STREAM, CLEAN_BEAM = (100, 180, 255), (139, 90, 43), (0, 180, 200), (100, 255, 255)


@dataclasses.dataclass(kw_only=True)
class GallegoCleanup(Game):
    """The state of one game; `waste` says which of the river cells, in row-major order, hold waste."""

    river_cells: np.ndarray
    stream_cells: np.ndarray
    waste: np.ndarray
    beam_length: int = 5
    beam_width: int = 3
    hits_to_tag: int = 1
    fine_cost: float = 1
    fine_penalty: float = 50
    clean_cost: float = 1
    depletion_threshold: float = 0.4
    restoration_threshold: float = 0.0
    waste_probability: float = 0.5
    apple_growth_rate: float = 0.05
    view: Sequence[int] = (7, 0, 7)

    def __post_init__(self) -> None:
        self.beam, self.clean_beam = np.zeros_like(self.walls), np.zeros_like(self.walls)

    def play(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[np.ndarray, dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards `[n]` and info."""
        n = len(actions)
        self.__post_init__()
        costs, received, cleaned, given = np.zeros(n), np.zeros(n, int), np.zeros(n, int), np.zeros(n, int)
        self.timeouts = np.maximum(self.timeouts - 1, 0)
        for i, action in enumerate(actions):
            if self.timeouts[i] > 0:
                continue
            self.act(i, int(action))
            cells = self.beam_cells(i)
            if action == 6:
                self.light(self.beam, cells)
                struck = self.hit(i, cells)
                costs[i] += self.fine_cost
                given[i] = len(struck)
                received[struck] += 1
            if action == 8:
                self.light(self.clean_beam, cells)
                cleaned[i] = self.clean(cells)
                costs[i] += self.clean_cost
        self.spawn_waste(draws)
        self.grow(draws["apple_growth"])
        collected = self.collect(n)
        info = {"collected": collected, "cleaned": cleaned, "hits_received": received, "hits_given": given}
        return collected - costs - self.fine_penalty * received, info | {"tagged": self.timeouts > 0}

    def light(self, beam: np.ndarray, cells: set[Cell]) -> None:
        """Marks cells on a board of beams."""
        for cell in cells:
            beam[cell] = True

    def clean(self, cells: set[Cell]) -> int:
        """Takes all waste from `cells` and returns how much that was."""
        cleaned = 0
        for r, (row, col) in enumerate(self.river_cells.tolist()):
            if (row, col) in cells and self.waste[r]:
                self.waste[r] = False
                cleaned += 1
        return cleaned

    def density(self) -> float:
        """The share of river cells that hold waste."""
        return float(self.waste.sum() / len(self.waste))

    def growth_probability(self) -> float:
        """The chance of each apple: none at the depletion threshold, the full rate at the restoration threshold."""
        most, least = self.depletion_threshold, self.restoration_threshold
        share = (self.density() - most) / (least - most)
        return self.apple_growth_rate * min(max(share, 0.0), 1.0)

    def is_anyone_on(self, cell: np.ndarray) -> bool:
        """Whether an agent stands on a cell, tagged or not."""
        return bool((self.positions == cell).all(axis=1).any())

    def spawn_waste(self, draws: Draws) -> None:
        """At times one of the clean river cells without an agent gets waste, unless there is too much."""
        free = [r for r, cell in enumerate(self.river_cells) if not self.waste[r] and not self.is_anyone_on(cell)]
        if self.density() < self.depletion_threshold and draws["waste_gate"] < self.waste_probability and free:
            self.waste[free[int(draws["waste_choice"] * len(free))]] = True

    def grow(self, u_apple: np.ndarray | None) -> None:
        """Dead apples on which nobody stands come back, all with the same chance."""
        assert u_apple is not None
        probability = self.growth_probability()
        for a, cell in enumerate(self.apple_cells):
            if not self.apples[a] and not self.is_anyone_on(cell):
                self.apples[a] = u_apple[a] < probability

    def draw_board(self, beam: np.ndarray) -> np.ndarray:
        """The board without agents, `[H, W, 3]`: river, stream, waste, apples, clean beam, beam."""
        board = np.zeros((*self.walls.shape, 3), np.uint8)
        for cells, colour in (
            (self.river_cells, RIVER),
            (self.stream_cells, STREAM),
            (self.river_cells[self.waste], WASTE),
            (self.apple_cells[self.apples], APPLE),
        ):
            board[tuple(cells.T)] = colour
        board[self.walls], board[self.clean_beam], board[beam] = WALL, CLEAN_BEAM, BEAM
        return board
