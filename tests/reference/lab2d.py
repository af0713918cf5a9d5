"""The common rules of Cleanup and Harvest, one agent, one ray and one cell at a time, from the written rules."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from tests.reference.gathering import GRID_STATE, Draws
from tests.reference.movement import move_in_turn, resolve_moves, target_cell, turned
from tests.reference.views import FORWARD, Cell, cell_at, egocentric_view, is_inside

MOVEMENTS = {"sequential": move_in_turn, "simultaneous": resolve_moves}


@dataclasses.dataclass(kw_only=True)
class Lab2D:
    """The rules' numbers, the static layers and the state of one game; `step` of a game changes the state in place."""

    tiles: Sequence[str]
    walls: np.ndarray
    apple_cells: np.ndarray
    spawn_cells: np.ndarray  # where agents return
    positions: list[Cell]
    headings: list[int]
    apples: list[bool]
    beam_length: int = 3
    movement: str = "simultaneous"
    view: Sequence[int] = (9, 1, 5)
    terminated: bool = False

    beam_actions: ClassVar[Sequence[int]] = (6, 8)
    state_names: ClassVar[Sequence[str]] = (*GRID_STATE, "cooldowns", "rays", "step_count")

    @classmethod
    def like(cls, env: Any, state: Any, **rules: Any) -> Self:
        """The slow game on the board of a fast one, at a moment of it at which everyone is on the board and ready."""
        usual = {
            "tiles": env.tiles,
            "walls": env.walls,
            "apple_cells": env.apple_cells,
            "spawn_cells": env.spawn_cells,
            "positions": [(row, col) for row, col in np.asarray(state.positions).tolist()],
            "headings": np.asarray(state.headings).tolist(),
            "apples": np.asarray(state.apples).tolist(),
            "view": tuple(env.window),
        }
        game = cls(**usual | rules)
        game.step_count = int(state.step_count)
        return game

    @classmethod
    def with_numbers(cls, env: Any, state: Any, params: Any, fields: Iterable[str], **rules: Any) -> Self:
        """The slow game on the board of a fast one of resources, with its numbers, at a moment of it: `fields`."""
        numbers = {name: getattr(params, name) for name in vars(params) if name != "max_steps"}
        chance = {"movement": env.movement, "is_ending_stochastic": env.ends_by_chance}
        game = cls.like(env, state, apple_cells=env.resource_cells, **chance | numbers | rules)
        for name in fields:
            setattr(game, name, np.asarray(getattr(state, name)).tolist())
        return game

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        self.apples_at: list[Cell] = [(int(row), int(col)) for row, col in self.apple_cells]
        num_agents = len(self.positions)
        self.timeouts, self.hits = [0] * num_agents, [0] * num_agents
        self.cooldowns = [[0] * len(self.beam_actions) for _ in range(num_agents)]
        self.fired = [False] * num_agents
        self.rays = [[0, 0, 0] for _ in range(num_agents)]
        self.lit: list[set[Cell]] = [set() for _ in range(num_agents)]  # the cells of the beam fired in this step
        self.step_count = 0

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which each beam cannot be fired."""
        raise NotImplementedError

    def is_on_board(self, i: int) -> bool:
        """Whether agent i plays."""
        return self.timeouts[i] == 0

    def at(self) -> dict[Cell, int]:
        """Who stands where."""
        return {cell: i for i, cell in enumerate(self.positions) if self.is_on_board(i)}

    def move(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> None:
        """Agents on the board turn and move."""
        agents = range(len(self.positions))
        active = [self.is_on_board(i) for i in agents]
        done = [int(actions[i]) if active[i] else 7 for i in agents]
        targets = [target_cell(done[i], self.positions[i], self.headings[i], self.walls) for i in agents]
        self.headings = [turned(done[i], self.headings[i]) for i in agents]
        self.positions = MOVEMENTS[self.movement](draws["priorities"], self.positions, targets, active)

    def collect(self) -> list[int]:
        """Each agent on the board takes the live apple under it."""
        collected = [0] * len(self.positions)
        for cell, i in self.at().items():
            if cell in self.apples_at and self.apples[self.apples_at.index(cell)]:
                self.apples[self.apples_at.index(cell)] = False
                collected[i] = 1
        return collected

    def shoot(self, actions: Sequence[int] | np.ndarray) -> list[int | None]:
        """Which beam each agent fires, 0 or 1, if any; cooldowns run down or begin."""
        shots: list[int | None] = [None] * len(self.positions)
        for i, action in enumerate(actions):
            for kind, beam_action in enumerate(self.beam_actions):
                if not self.is_on_board(i):
                    continue
                if self.cooldowns[i][kind] > 0:
                    self.cooldowns[i][kind] -= 1
                elif action == beam_action:
                    shots[i] = kind
                    self.cooldowns[i][kind] = self.cooldown_steps()[kind]
        return shots

    def ray(self, i: int, right: int) -> list[Cell]:
        """The cells of one ray up to the first wall; those to the sides start beside the agent."""
        cells: list[Cell] = []
        first = 1 if right == 0 else 0
        for distance in range(first, first + self.beam_length):
            cell = cell_at(self.positions[i], self.headings[i], distance, right)
            if not is_inside(self.walls.shape, cell) or self.walls[cell]:
                break
            cells.append(cell)
        return cells

    def fire(self, shots: Sequence[int | None], stops: Sequence[set[Cell]]) -> list[list[Cell]]:
        """All beams at once; a ray of kind k ends before its first cell of `stops[k]`. Returns what each agent met."""
        met: list[list[Cell]] = [[] for _ in shots]
        for i, kind in enumerate(shots):
            self.rays[i], self.lit[i] = [0, 0, 0], set()
            for k, right in enumerate((-1, 0, 1)):
                for cell in self.ray(i, right) if kind is not None else []:
                    if cell in stops[kind or 0]:
                        met[i].append(cell)
                        break
                    self.rays[i][k] += 1
                    self.lit[i].add(cell)
        return met

    def observe(self) -> np.ndarray:
        """Tile views `[N, h, w]` uint8; who is out sees void and is not seen."""
        board = np.full(self.walls.shape, self.tiles.index("floor"), np.uint8)
        for name, cells in sorted(self.layers().items(), key=lambda layer: self.tiles.index(layer[0])):
            for cell in cells:
                board[cell] = self.tiles.index(name)
        return np.stack([self.observe_one(board, i) for i in range(len(self.positions))])

    def layers(self) -> dict[str, set[Cell]]:
        """What is to be seen beside agents, and where."""
        return {
            "apple": {cell for cell, alive in zip(self.apples_at, self.apples, strict=True) if alive},
            "wall": {(row, col) for row, col in np.argwhere(self.walls).tolist()},
            "beam": set().union(*(lit for lit, fired in zip(self.lit, self.fired, strict=True) if fired)),
        }

    def is_marked(self, i: int) -> bool:
        """Whether others see a mark on agent i."""
        del i
        return False

    def observe_one(self, board: np.ndarray, i: int) -> np.ndarray:
        """One agent's view of the board with the others drawn as it sees them."""
        void = self.tiles.index("void")
        if not self.is_on_board(i):
            return np.full((self.view[0] + self.view[1] + 1, 2 * self.view[2] + 1), void, np.uint8)
        seen = board.copy()
        for cell, j in self.at().items():
            first = "marked_same_heading" if self.is_marked(j) else "other_same_heading"
            turned = (self.headings[j] - self.headings[i]) % len(FORWARD)
            seen[cell] = self.tiles.index("self") if j == i else self.tiles.index(first) + turned
        return self.look(seen, i)

    def look(self, board: np.ndarray, i: int) -> np.ndarray:
        """What agent i sees of a board."""
        return egocentric_view(board, self.positions[i], self.headings[i], self.view, self.tiles.index("void"))
