"""Scripted policies of the games of apples and beams, agent by agent, with a real search at every step.

They read `walls`, `apple_cells`, `positions`, `headings`, `timeouts`, `apples` and `apple_timers` of a reference game.
"""

import functools
from collections import deque
from typing import Any

import numpy as np

from tests.reference.movement import target_cell
from tests.reference.views import cell_at, is_inside

Cell = tuple[int, int]
Steps = dict[Cell, tuple[int, int | None]]

STAND = 7
WAYS: dict[tuple[bytes, Cell], Steps] = {}  # the walls of a map never move, so a search from a cell is done once


def search(walls: np.ndarray, start: Cell) -> Steps:
    """Distance and first heading to every cell, in the order in which a search north, south, west, east finds them."""
    known = (walls.tobytes(), start)
    if known not in WAYS:
        found: Steps = {start: (0, None)}
        queue = deque([start])
        while queue:
            cell = queue.popleft()
            distance, first = found[cell]
            for heading in (0, 2, 3, 1):
                ahead = cell_at(cell, heading, 1, 0)
                if is_inside(walls.shape, ahead) and not walls[ahead] and ahead not in found:
                    found[ahead] = (distance + 1, heading if first is None else first)
                    queue.append(ahead)
        WAYS[known] = found
    return WAYS[known]


def as_cell(position: Any) -> Cell:
    return int(position[0]), int(position[1])


def apple_cells(game: Any) -> tuple[Cell, ...]:
    """The cells on which apples grow."""
    return tuple((row, col) for row, col in game.apple_cells.tolist())


def walk(game: Any, i: int, first: int | None) -> int:
    """The action of agent i that makes a step towards a heading, without turning."""
    return STAND if first is None else {0: 0, 1: 3, 2: 1, 3: 2}[(first - int(game.headings[i])) % 4]


def greedy(game: Any, i: int) -> int:
    """The action of agent i."""
    live = {cell for cell, alive in zip(apple_cells(game), game.apples, strict=True) if alive}
    if game.timeouts[i] == 0:
        for cell, (_, first) in search(game.walls, as_cell(game.positions[i])).items():
            if cell in live:
                return walk(game, i, first)
    return STAND


def has_rival_in_beam(game: Any, i: int, heading: int, beam_side: int, is_blocked: bool) -> bool:
    """Whether a beam of agent i under this heading would hit anyone."""
    rivals = {as_cell(p) for j, p in enumerate(game.positions) if j != i and game.timeouts[j] == 0}
    for right in range(-beam_side, beam_side + 1):
        for distance in range(1, game.beam_length + 1):
            cell = cell_at(as_cell(game.positions[i]), heading, distance, right)
            if is_blocked and (not is_inside(game.walls.shape, cell) or game.walls[cell]):
                break
            if cell in rivals:
                return True
    return False


def exploitative(game: Any, i: int, beam_side: int = 0, is_blocked: bool = False) -> int:
    """The action of agent i, for beams of `2 * beam_side + 1` rays that walls stop or do not."""
    heading = int(game.headings[i])
    if game.timeouts[i] == 0:
        for turns, action in ((0, 6), (3, 4), (1, 5)):
            if has_rival_in_beam(game, i, (heading + turns) % 4, beam_side, is_blocked):
                return action
    return greedy(game, i)


@functools.cache
def territories(cells: tuple[Cell, ...], agents: tuple[int, ...]) -> dict[Cell, int]:
    """Who owns which cell: cut across the longer side into shares as large as the halves of the team, and again."""
    if len(agents) == 1 or not cells:
        return dict.fromkeys(cells, agents[0])
    height, width = (max(c[k] for c in cells) - min(c[k] for c in cells) for k in (0, 1))
    ordered = tuple(sorted(cells) if height > width else sorted(cells, key=lambda cell: (cell[1], cell[0])))
    half = len(agents) // 2
    cut = round(len(cells) * half / len(agents))
    return territories(ordered[:cut], agents[:half]) | territories(ordered[cut:], agents[half:])


def live_neighbours(game: Any, a: int) -> int:
    """Live apples at most two rows and two columns from apple `a`, itself left out."""
    near = np.abs(game.apple_cells - game.apple_cells[a]).max(axis=1) <= 2
    return int(np.sum(near & np.asarray(game.apples))) - int(game.apples[a])


def cooperative(game: Any, i: int, draw: int = STAND, is_density: bool = False) -> int:
    """The action of agent i; `draw` in 0, ..., 7 replaces a move into a taken cell if it is itself a move."""
    if game.timeouts[i] > 0:
        return STAND
    cells = apple_cells(game)
    owners = territories(cells, tuple(range(len(game.positions))))
    options = []
    for cell, (distance, first) in search(game.walls, as_cell(game.positions[i])).items():
        if owners.get(cell) == i:
            a = cells.index(cell)
            if is_density and (not game.apples[a] or live_neighbours(game, a) < 5):
                continue
            wait = 0 if game.apples[a] else game.apple_timers[a]
            options.append((max(distance, wait), first))
    action = walk(game, i, min(options, key=lambda option: option[0])[1]) if options else STAND
    target = target_cell(action, game.positions[i], game.headings[i], game.walls)
    others = {as_cell(p) for j, p in enumerate(game.positions) if j != i and game.timeouts[j] == 0}
    return draw if target in others and action != STAND and draw < 4 else action


def act(name: str, game: Any, i: int, draw: int) -> int:
    """The action of agent i under the policy of this name; `draw` in 0, ..., 7 is its luck."""
    if name == "cooperative":
        return cooperative(game, i, draw)
    return draw if name == "random" else {"greedy": greedy, "exploitative": exploitative}[name](game, i)
