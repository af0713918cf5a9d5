"""Our Territory, after Melting Pot, one agent, one ray and one resource at a time, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.lab2d import MOVEMENTS
from tests.reference.meltingpot import MeltingPot
from tests.reference.movement import MOVES, turned
from tests.reference.views import Cell, cell_at, egocentric_view, is_inside

FULL_HEALTH = 2
FOREVER = 2**31 - 1


@dataclasses.dataclass(kw_only=True)
class Territory(MeltingPot):
    """Agents claim resources, which are walls; `apple_cells` are the cells of resources."""

    is_torus: bool = False
    zap_cooldown: int = 4
    freeze_steps: int = 24
    mark_steps: int = 50
    reward: float = 1.0
    payment_probability: float = 0.01
    payment_delay: int = 25
    repair_probability: float = 0.1
    repair_delay: int = 15
    beam_length: int = 2

    beam_actions: ClassVar[Sequence[int]] = (6,)
    fields: ClassVar[Sequence[str]] = (
        *("timeouts", "cooldowns", "owners", "claimed_for", "dry", "health", "unhit_for"),
        *("frozen", "marked_for", "leaves", "claimed_at", "step_count"),
    )
    state_names: ClassVar[Sequence[str]] = ("positions", "headings", "hits", "fired", "rays", *fields)

    @classmethod
    def at_moment(cls, env: Any, state: Any, params: Any) -> Self:
        """The slow game on the board of a fast one, at a moment of it."""
        return cls.with_numbers(env, state, params, cls.fields, apples=[], is_torus=env.is_torus)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.owners: list[int] = []
        self.claimed_for: list[int] = []
        self.dry: list[bool] = []
        self.health: list[int] = []
        self.unhit_for: list[int] = []
        self.frozen: list[int] = []
        self.marked_for: list[int] = []
        self.leaves: list[bool] = []
        self.claimed_at: list[bool] = []

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.zap_cooldown,)

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        agents = range(len(self.positions))
        rewards = self.pay(draws)
        self.release()
        self.repair(draws)
        actions = [self.allowed(i, int(action)) for i, action in enumerate(actions)]
        self.frozen = [max(steps - 1, 0) for steps in self.frozen]
        self.move(actions, draws)
        self.begin()
        actions = [action if self.is_on_board(i) else 7 for i, action in enumerate(actions)]
        destroyed = self.destroyed = [0 for _ in agents]
        hits = self.zap_in_order(actions, draws, destroyed)
        claimed = self.claim(actions, draws)
        received = [sum(target == i for _, target in hits) for i in agents]
        for i in agents:
            for _ in range(received[i]):
                self.sanction(i)
        self.step_count += 1
        self.end_by_chance(draws)
        given = [sum(shooter == i for shooter, _ in hits) for i in agents]
        info: dict[str, Any] = {"claimed": claimed, "destroyed": destroyed}
        info |= {"hits_given": given, "hits_received": received}
        return rewards, info | {"tagged": [timeout > 0 for timeout in self.timeouts]}

    def allowed(self, i: int, action: int) -> int:
        """Agents that are frozen or leave cannot turn or move, and agents off the board cannot do anything."""
        is_held = self.frozen[i] > 0 or self.leaves[i]
        return 7 if not self.is_on_board(i) or (is_held and action < 6) else action

    def pay(self, draws: Draws) -> list[float]:
        """What resources pay that were claimed long enough ago."""
        rewards = [0.0] * len(self.positions)
        for r, owner in enumerate(self.owners):
            is_due = owner >= 0 and self.claimed_for[r] >= self.payment_delay
            if is_due and draws["payments"][r] < np.float32(self.payment_probability):
                self.dry[r] = True
                rewards[owner] += self.reward * self.is_on_board(owner)
        return rewards

    def release(self) -> None:
        """Resources of agents that were off the board before this step lose their owner; all claims get older."""
        for r, owner in enumerate(self.owners):
            if owner >= 0 and not self.is_on_board(owner) and self.claimed_for[r] >= 5:
                self.drop(r)
            elif owner >= 0:
                self.claimed_for[r] = min(self.claimed_for[r] + 1, 127)

    def drop(self, r: int) -> None:
        """A resource loses its owner."""
        self.owners[r], self.claimed_for[r], self.dry[r] = -1, 0, False

    def repair(self, draws: Draws) -> None:
        """Damaged resources may be repaired some time after the last hit."""
        for r, health in enumerate(self.health):
            if 0 < health < FULL_HEALTH and self.unhit_for[r] >= self.repair_delay:
                self.health[r] += int(draws["repairs"][r] < np.float32(self.repair_probability))
            self.unhit_for[r] = min(self.unhit_for[r] + 1, 127)

    def begin(self) -> None:
        """Agents leave, and marks end."""
        for i, leaves in enumerate(self.leaves):
            self.timeouts[i] = FOREVER if leaves else self.timeouts[i]
            self.leaves[i] = False
            self.marked_for[i] = max(self.marked_for[i] - self.is_on_board(i), 0)

    def around(self, cell: Cell) -> Cell:
        """The cell itself or, on a torus, the one that it is."""
        return (cell[0] % self.walls.shape[0], cell[1] % self.walls.shape[1]) if self.is_torus else cell

    def resource_at(self, cell: Cell) -> int | None:
        """The resource that stands on a cell."""
        there = cell in self.apples_at and self.health[self.apples_at.index(cell)] > 0
        return self.apples_at.index(cell) if there else None

    def is_wall(self, cell: Cell) -> bool:
        """Whether the board ends there."""
        return not is_inside(self.walls.shape, cell) or bool(self.walls[cell])

    def move(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> None:
        """Agents on the board turn and move; walls and resources are in the way."""
        targets = []
        for i, here in enumerate(self.positions):
            target = self.around(cell_at(here, self.headings[i], *MOVES.get(int(actions[i]), (0, 0))))
            targets.append(here if self.is_wall(target) or self.resource_at(target) is not None else target)
        self.headings = [turned(int(action), heading) for action, heading in zip(actions, self.headings, strict=True)]
        active = [self.is_on_board(i) for i in range(len(targets))]
        self.positions = MOVEMENTS[self.movement](draws["priorities"], self.positions, targets, active)

    def ray(self, i: int, right: int) -> list[Cell]:
        """The cells of one ray up to the first wall; those to the sides start beside the agent."""
        cells: list[Cell] = []
        first = 1 if right == 0 else 0
        for distance in range(first, first + self.beam_length):
            cell = self.around(cell_at(self.positions[i], self.headings[i], distance, right))
            if self.is_wall(cell):
                break
            cells.append(cell)
        return cells

    def zap_in_order(self, actions: Sequence[int], draws: Draws, destroyed: list[int]) -> list[tuple[int, int]]:
        """Fires all beams, one after the other; returns the hits of agents, (shooter, target)."""
        self.fired = [shot is not None for shot in self.shoot(actions)]
        self.rays, self.lit = [[0, 0, 0] for _ in actions], [set() for _ in actions]
        before, was_there = self.health.copy(), [health > 0 for health in self.health]
        hits: list[tuple[int, int]] = []
        gone: set[int] = set()
        for i in sorted(range(len(actions)), key=lambda i: (-draws["priorities"][i], i)):
            for right in (-1, 1, 0) if self.fired[i] else ():
                hits += [(i, j) for j in self.fire_ray(i, right, was_there, gone, destroyed)]
        for r in gone:
            self.health[r] = 0
            self.drop(r)
        for r, health in enumerate(self.health):
            self.unhit_for[r] = 0 if health < before[r] else self.unhit_for[r]
        return hits

    def fire_ray(
        self, i: int, right: int, was_there: Sequence[bool], gone: set[int], destroyed: list[int]
    ) -> list[int]:
        """Fires one ray, which a resource stops unless it is destroyed, and an agent always; returns the agent."""
        at = self.at()
        for cell in self.ray(i, right):
            if cell in at:
                return [at[cell]]
            if cell in self.apples_at and was_there[self.apples_at.index(cell)]:
                r = self.apples_at.index(cell)
                self.health[r] -= 1
                if self.health[r] > 0:
                    return []
                self.health[r] = FULL_HEALTH
                gone.add(r)
                destroyed[i] += 1
            self.rays[i][right + 1] += 1
            self.lit[i].add(cell)
        return []

    def claim(self, actions: Sequence[int], draws: Draws) -> list[int]:
        """First everybody touches the cell ahead, then claim beams reach two cells; the last claim counts."""
        self.claimed_at = [action == 8 for action in actions]
        order = sorted(range(len(actions)), key=lambda i: (-draws["claim_priorities"][i], i))
        claims = self.claims = dict[int, list[int]]()  # who claims each resource, in order
        for length, is_beam in ((1, False), (2, True)):
            for i in order:
                if self.is_on_board(i) and (self.claimed_at[i] or not is_beam):
                    cells = self.ray(i, 0)[:length]
                    self.rays[i][1] += len(cells) * is_beam
                    self.lit[i] |= set(cells) if is_beam else set()
                    for r in map(self.resource_at, cells):
                        if r is not None:
                            claims.setdefault(r, []).append(i)
        taken_over = [0] * len(actions)
        for r, claimers in claims.items():
            owner, last = self.owners[r], claimers[-1]
            if {owner} != set(claimers):
                self.owners[r], self.claimed_for[r], self.dry[r] = last, 0, False
                taken_over[last] += last != owner
        return taken_over

    def sanction(self, i: int) -> None:
        """The first hit marks and freezes an agent, the second one removes it."""
        if self.marked_for[i] > 0:
            self.marked_for[i], self.frozen[i], self.leaves[i] = 0, 0, True
            self.cooldowns[i] = [self.zap_cooldown]
        else:
            self.marked_for[i], self.frozen[i] = self.mark_steps, self.freeze_steps
            self.cooldowns[i] = [self.freeze_steps + 1 + self.zap_cooldown]

    def observe(self) -> np.ndarray:
        """Tile views `[N, h, w]` uint8; who is out sees void and is not seen."""
        return np.stack([self.observe_one(self.board_for(i), i) for i in range(len(self.positions))])

    def board_for(self, viewer: int) -> np.ndarray:
        """The board without agents as one agent sees it."""
        board = np.full(self.walls.shape, self.tiles.index("floor"), np.uint8)
        for r, cell in enumerate(self.apples_at):
            if self.health[r] > 0:
                owner = "own" if self.owners[r] == viewer else "other"
                name = f"{owner}_{'dry' if self.dry[r] else 'wet'}" if self.owners[r] >= 0 else "resource"
                board[cell] = self.tiles.index(f"damaged_{name}" if self.health[r] < FULL_HEALTH else name)
        board[self.walls] = self.tiles.index("wall")
        for name, is_fired in (("beam", self.fired), ("claim_beam", self.claimed_at)):
            for cell in set().union(*(lit for lit, fired in zip(self.lit, is_fired, strict=True) if fired)):
                board[cell] = self.tiles.index(name)
        return board

    def is_marked(self, i: int) -> bool:
        """Whether others see a mark on agent i."""
        return self.marked_for[i] > 0 or self.leaves[i]

    def look(self, board: np.ndarray, i: int) -> np.ndarray:
        """What agent i sees of a board or, on a torus, of copies of it side by side."""
        if not self.is_torus:
            return super().look(board, i)
        place = [here + side for here, side in zip(self.positions[i], board.shape, strict=True)]
        return egocentric_view(np.tile(board, (3, 3)), place, self.headings[i], self.view, 0)
