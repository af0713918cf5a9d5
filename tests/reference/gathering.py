"""Our Gathering, one agent and one cell at a time, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.movement import resolve_moves, target_cell, turned
from tests.reference.views import Cell, cell_at, egocentric_view, is_inside

VOID, FLOOR, APPLE, WALL, BEAM, OTHER, SELF = 0, 1, 2, 3, 4, 5, 9  # OTHER + relative heading

GRID_STATE = ("positions", "headings", "timeouts", "hits", "fired", "apples")

Draws = dict[str, np.ndarray]


@dataclasses.dataclass
class Gathering:
    """The rules' numbers, the static layers and the state of one game; `step` changes the state in place."""

    walls: np.ndarray
    apple_cells: np.ndarray
    spawns: list[Cell]  # where each agent returns
    positions: list[Cell]
    headings: list[int]
    apple_respawn_steps: int = 25
    timeout_steps: int = 25
    hits_to_tag: int = 2
    beam_length: int = 20
    beam_side: int = 0
    beam_enabled: bool = True
    view: Sequence[int] = (15, 0, 10)
    terminated: bool = False  # only the clock ends the game

    state_names: ClassVar[Sequence[str]] = (*GRID_STATE, "apple_timers")

    def __post_init__(self) -> None:
        num_agents, num_apples = len(self.positions), len(self.apple_cells)
        self.apples_at: list[Cell] = [(int(row), int(col)) for row, col in self.apple_cells]
        self.timeouts, self.hits = [0] * num_agents, [0] * num_agents
        self.fired = [False] * num_agents
        self.apples, self.apple_timers = [True] * num_apples, [0] * num_apples

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        agents = range(len(self.positions))
        self.run_timeouts()
        actions = [int(a) if self.timeouts[i] == 0 else 7 for i, a in enumerate(actions)]
        targets = [target_cell(actions[i], self.positions[i], self.headings[i], self.walls) for i in agents]
        self.headings = [turned(actions[i], self.headings[i]) for i in agents]
        is_active = [timeout == 0 for timeout in self.timeouts]
        self.positions = resolve_moves(draws["priorities"], self.positions, targets, is_active)
        self.fired = [action == 6 and self.beam_enabled for action in actions]
        hits_given, hits_received = self.fire()
        self.grow(draws)
        collected = self.collect()
        info: dict[str, Any] = {
            "collected": collected,
            "tagged": [t > 0 for t in self.timeouts],
            "hits_given": hits_given,
            "hits_received": hits_received,
        }
        return [float(c) for c in collected], info

    def run_timeouts(self) -> None:
        """Who is out waits, or comes back where no active agent stands."""
        taken = {self.positions[i] for i, timeout in enumerate(self.timeouts) if timeout == 0}
        for i, timeout in enumerate(self.timeouts):
            if timeout > 1:
                self.timeouts[i] = timeout - 1
            elif timeout == 1 and self.spawns[i] not in taken:
                self.timeouts[i], self.positions[i] = 0, self.spawns[i]

    def beam_cells(self, i: int) -> set[Cell]:
        """Each ray goes straight ahead from distance 1 and ends before its first wall or at the edge of the board."""
        cells = set()
        for right in range(-self.beam_side, self.beam_side + 1):
            for distance in range(1, self.beam_length + 1):
                cell = cell_at(self.positions[i], self.headings[i], distance, right)
                if not is_inside(self.walls.shape, cell) or self.walls[cell]:
                    break
                cells.add(cell)
        return cells

    def fire(self) -> tuple[list[int], list[int]]:
        """All beams at once; then whoever has enough hits is out, at its spawn cell: hits given and received."""
        num_agents = len(self.positions)
        beams: list[set[Cell]] = [self.beam_cells(i) if self.fired[i] else set() for i in range(num_agents)]
        was_active = [timeout == 0 for timeout in self.timeouts]
        given, received = [0] * num_agents, [0] * num_agents
        for i in range(num_agents):
            for j in range(num_agents):
                if was_active[j] and self.positions[j] in beams[i]:
                    given[i] += 1
                    received[j] += 1
                    self.hits[j] += 1
        for j in range(num_agents):
            if self.hits[j] >= self.hits_to_tag:
                self.hits[j], self.timeouts[j], self.positions[j] = 0, self.timeout_steps, self.spawns[j]
                self.fired[j] = False  # its beam has hit, but is not drawn
        return given, received

    def grow(self, draws: Draws) -> None:
        """Dead apples come back when their timer has run down."""
        for a, alive in enumerate(self.apples):
            if not alive:
                self.apple_timers[a] -= 1
                self.apples[a] = self.apple_timers[a] <= 0

    def collect(self) -> list[int]:
        """Each agent on the board takes the live apple under it."""
        collected = [0] * len(self.positions)
        for i, cell in enumerate(self.positions):
            if self.timeouts[i] == 0 and cell in self.apples_at and self.apples[self.apples_at.index(cell)]:
                a = self.apples_at.index(cell)
                collected[i] += 1
                self.apples[a], self.apple_timers[a] = False, self.apple_respawn_steps
        return collected

    def observe(self) -> np.ndarray:
        """Tile views `[N, h, w]` uint8; who is out sees void and is not seen."""
        board = np.full(self.walls.shape, FLOOR, np.uint8)
        for cell, alive in zip(self.apples_at, self.apples, strict=True):
            board[cell] = APPLE if alive else FLOOR
        board[self.walls] = WALL
        for i, fired in enumerate(self.fired):
            if fired:
                for cell in self.beam_cells(i):
                    board[cell] = BEAM
        return np.stack([self.observe_one(board, i) for i in range(len(self.positions))])

    def observe_one(self, board: np.ndarray, i: int) -> np.ndarray:
        """One agent's view of the board with the others drawn as it sees them."""
        if self.timeouts[i] > 0:
            return np.full((self.view[0] + self.view[1] + 1, 2 * self.view[2] + 1), VOID, np.uint8)
        seen = board.copy()
        for j, cell in enumerate(self.positions):
            if j != i and self.timeouts[j] == 0:
                seen[cell] = OTHER + (self.headings[j] - self.headings[i]) % 4
        seen[self.positions[i]] = SELF
        return egocentric_view(seen, self.positions[i], self.headings[i], self.view, VOID)
