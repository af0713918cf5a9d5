"""The Gathering and Commons games of vicgalle/llm-policies-social-dilemmas, from a written account of their rules.

Agents act one after the other, by id. Moves and beams take effect at once, agents do not block each other, beams pass
through walls, and tagged agents stay where they are.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tests.reference.movement import target_cell, turned
from tests.reference.views import Cell, cell_at, egocentric_view, is_inside

BACKGROUND, WALL, APPLE = (0, 0, 0), (127, 127, 127), (0, 200, 0)
SELF, OTHER, BEAM, TIMED_OUT = (50, 100, 255), (220, 50, 50), (255, 255, 60), (100, 100, 100)


@dataclasses.dataclass
class Game:
    """The rules' numbers, the static layers and the state of one game; `step` changes the state in place."""

    walls: np.ndarray
    apple_cells: np.ndarray
    positions: np.ndarray
    headings: np.ndarray
    timeouts: np.ndarray
    hits: np.ndarray
    apples: np.ndarray
    apple_timers: np.ndarray
    is_density: bool = False
    beam_length: int = 20
    beam_width: int = 1
    hits_to_tag: int = 2
    timeout_steps: int = 25
    apple_respawn_steps: int = 25
    view: Sequence[int] = (15, 0, 10)

    def step(
        self, actions: Sequence[int] | np.ndarray, u_apple: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Plays one step; returns rewards `[n]`, beam cells `[H, W]` bool and hits given `[n]`."""
        beam, hits_given = np.zeros_like(self.walls), np.zeros(len(actions), int)
        self.timeouts = np.maximum(self.timeouts - 1, 0)
        for i, action in enumerate(actions):
            if self.timeouts[i] == 0:
                self.act(i, int(action))
                if action == 6:
                    cells = self.beam_cells(i)
                    for cell in cells:
                        beam[cell] = True
                    hits_given[i] = len(self.hit(i, cells))
        self.grow(u_apple)
        return self.collect(len(actions)), beam, hits_given

    def act(self, i: int, action: int) -> None:
        """Agent i moves or turns."""
        heading = int(self.headings[i])
        self.positions[i] = target_cell(action, self.positions[i], heading, self.walls)
        self.headings[i] = turned(action, heading)

    def beam_cells(self, i: int) -> set[Cell]:
        """The cells agent i's beam lights: a rectangle ahead without walls, which do not stop it."""
        lateral = range(-(self.beam_width // 2), self.beam_width // 2 + 1)
        cells = {
            cell_at(self.positions[i], self.headings[i], distance, right)
            for distance in range(1, self.beam_length + 1)
            for right in lateral
        }
        return {cell for cell in cells if is_inside(self.walls.shape, cell) and not self.walls[cell]}

    def hit(self, i: int, cells: set[Cell]) -> list[int]:
        """Hits everyone on `cells` who is not out and returns who that was."""
        others = [j for j in range(len(self.timeouts)) if j != i and self.timeouts[j] == 0]
        struck = [j for j in others if tuple(self.positions[j]) in cells]
        for j in struck:
            self.hits[j] += 1
            if self.hits[j] >= self.hits_to_tag:
                self.timeouts[j], self.hits[j] = self.timeout_steps, 0
        return struck

    def grow(self, u_apple: np.ndarray | None) -> None:
        """Timers run down, or (density) each dead apple in turn, seeing those that came back before it."""
        if not self.is_density:
            self.apple_timers[~self.apples] -= 1
            self.apples = self.apples | (self.apple_timers <= 0) & ~self.apples
            return
        assert u_apple is not None
        for a, cell in enumerate(self.apple_cells):
            if not self.apples[a]:
                near = np.abs(self.apple_cells - cell).max(axis=1) <= 2
                live = int((near & self.apples).sum())
                probability = {0: 0.0, 1: 0.01, 2: 0.01, 3: 0.05, 4: 0.05}.get(live, 0.1)
                if probability > 0 and u_apple[a] < probability:
                    self.apples[a] = True

    def collect(self, num_agents: int) -> np.ndarray:
        """Pays who stands on a live apple, lowest id first."""
        rewards = np.zeros(num_agents)
        for i in range(num_agents):
            for a in np.flatnonzero((self.apple_cells == self.positions[i]).all(axis=1)):
                if self.timeouts[i] == 0 and self.apples[a]:
                    rewards[i] += 1
                    self.apples[a], self.apple_timers[a] = False, self.apple_respawn_steps
        return rewards

    def observe(self, beam: np.ndarray) -> np.ndarray:
        """RGB views `[n, h, w, 3]`, drawn in order: apple, beam, agents, lowest id last; off the board is wall."""
        board, views = self.draw_board(beam), []
        for i in range(len(self.positions)):
            seen = board.copy()
            for j in reversed(range(len(self.positions))):
                other = TIMED_OUT if self.timeouts[j] > 0 else OTHER
                seen[tuple(self.positions[j])] = SELF if j == i else other
            views.append(egocentric_view(seen, self.positions[i], self.headings[i], self.view, WALL))
        return np.stack(views)

    def draw_board(self, beam: np.ndarray) -> np.ndarray:
        """The board without agents, `[H, W, 3]`."""
        board = np.zeros((*self.walls.shape, 3), np.uint8)
        board[self.walls] = WALL
        for cell in self.apple_cells[self.apples]:
            board[tuple(cell)] = APPLE
        board[beam] = BEAM
        return board
