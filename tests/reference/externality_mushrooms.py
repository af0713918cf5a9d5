"""Our Externality Mushrooms, after Melting Pot, one agent, one spore and one cell at a time, from the written rules."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.meltingpot import MeltingPot
from tests.reference.views import Cell

NONE, RED, GREEN, BLUE, ORANGE = range(5)
NAMES = ("red", "green", "blue", "orange")


@dataclasses.dataclass(kw_only=True)
class ExternalityMushrooms(MeltingPot):
    """Agents eat mushrooms of four kinds; a first hit marks an agent, a second one removes it."""

    mushroom_cells: np.ndarray
    mushrooms: list[int]
    timeout_steps: int = 52
    zap_cooldown: int = 3
    freeze_steps: int = 24
    mark_steps: int = 50
    mushroom_rewards: Sequence[float] = (1, 2, 3, -1)
    spore_counts: Sequence[int] = (3, 3, 3, 1)
    spore_growth: Sequence[Sequence[float]] = ((0.25, 0, 0, 0), (0.25, 0.4, 0, 0), (0.25, 0.4, 0.6, 0), (0, 0, 0, 1))
    digestion_steps: Sequence[int] = (0, 9, 14, 14)
    perish_steps: Sequence[int] = (200, 100, 75, 10_000_000)
    red_destruction: float = 0.25

    beam_actions: ClassVar[Sequence[int]] = (6,)
    state_names: ClassVar[Sequence[str]] = (
        *MeltingPot.state_names,
        *("frozen", "marked_for", "leaves", "mushrooms", "ages"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cells: list[Cell] = [(int(row), int(col)) for row, col in self.mushroom_cells]
        self.ages = [int(kind > 0) for kind in self.mushrooms]
        self.frozen, self.marked_for = [0] * len(self.positions), [0] * len(self.positions)
        self.leaves = [False] * len(self.positions)

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.zap_cooldown,)

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        held = [
            7 if (self.frozen[i] or self.leaves[i]) and actions[i] < 6 else int(actions[i]) for i in range(len(actions))
        ]
        self.frozen = [max(steps - 1, 0) for steps in self.frozen]
        before = {i: cell for cell, i in self.at().items() if not self.leaves[i]}
        self.move(held, draws)
        self.leave()
        info = self.zap(actions)
        self.remove_and_return([False] * len(actions), draws)
        meal = Meal(self, before, draws)
        meal.eat_on_the_way()
        self.digest(meal.first)
        self.sanction(info["hits_received"])
        meal.eat_new_ones()
        self.digest(meal.second)
        self.renew(meal, draws)
        self.step_count += 1
        self.end_by_chance(draws)
        eaten = meal.first | meal.second
        for kind, name in enumerate(NAMES, start=1):
            info[f"ate_{name}"] = [int(eaten.get(i) == kind) for i in range(len(actions))]
        info["collected"] = [int(i in eaten) for i in range(len(actions))]
        return meal.rewards(), info | {"tagged": [timeout > 0 for timeout in self.timeouts]}

    def leave(self) -> None:
        """Agents that were hit twice leave; the marks of the others get older."""
        for i, leaves in enumerate(self.leaves):
            if leaves:
                self.timeouts[i], self.leaves[i] = self.timeout_steps, False
            if self.is_on_board(i) and self.marked_for[i]:
                self.marked_for[i] -= 1

    def sanction(self, received: Sequence[int]) -> None:
        """Hits count one after the other: the first marks and freezes, the next one removes, and so on."""
        for i, hits in enumerate(received):
            for _ in range(hits):
                if self.marked_for[i]:
                    self.marked_for[i], self.frozen[i], self.leaves[i] = 0, 0, True
                    self.cooldowns[i] = [self.zap_cooldown]
                else:
                    self.marked_for[i], self.frozen[i] = self.mark_steps, self.freeze_steps
                    self.cooldowns[i] = [self.freeze_steps + 1 + self.zap_cooldown]

    def digest(self, eaten: dict[int, int]) -> None:
        """Whoever eats cannot move for a while, if the mushroom needs it."""
        for i, kind in eaten.items():
            self.frozen[i] = self.digestion_steps[kind - 1] or self.frozen[i]

    def renew(self, meal: "Meal", draws: Draws) -> None:
        """What was eaten, shot, destroyed or is too old goes; what grew stays unless it was eaten at once."""
        shot = set().union(*(lit for lit, fired in zip(self.lit, self.fired, strict=True) if fired))
        survival = np.float32(1)
        for kind in (meal.first | meal.second).values():
            survival *= 1 - np.float32(self.red_destruction) if kind == ORANGE else np.float32(1)
        eaten = {self.positions[i] for i in meal.first | meal.second}
        for a, cell in enumerate(self.cells):
            kind = self.mushrooms[a]
            is_destroyed = kind == RED and draws["red_destruction"][a] < 1 - survival
            is_old = kind and self.ages[a] >= self.perish_steps[kind - 1]
            if is_destroyed or is_old or cell in eaten | shot:
                kind = NONE
            self.ages[a] = self.ages[a] + 1 if kind else 0
            self.mushrooms[a] = meal.grown[cell] if cell in meal.grown and cell not in eaten else kind

    def layers(self) -> dict[str, set[Cell]]:
        """What is to be seen beside agents, and where."""
        mushrooms = {
            name: {cell for cell, k in zip(self.cells, self.mushrooms, strict=True) if k == kind}
            for kind, name in enumerate(NAMES, start=1)
        }
        others = super().layers()
        return mushrooms | {"wall": others["wall"], "beam": others["beam"]}

    def is_marked(self, i: int) -> bool:
        """Whether others see a mark on agent i."""
        return self.marked_for[i] > 0 or self.leaves[i]


class Meal:
    """Who eats what in a step.

    Attributes:
      first: what agents eat that enter the cell of a mushroom.
      second: what agents eat that enter a cell on which a mushroom then grows.
      grown: what grows, and where.
    """

    def __init__(self, game: ExternalityMushrooms, before: dict[int, Cell], draws: Draws) -> None:
        self.game, self.before, self.draws = game, before, draws
        self.first: dict[int, int] = {}
        self.second: dict[int, int] = {}
        self.grown: dict[Cell, int] = {}
        self.empty = [cell for cell, kind in zip(game.cells, game.mushrooms, strict=True) if kind == NONE]
        self.counts = [[0] * len(NAMES) for _ in game.positions]  # what each agent is paid for, by kind

    def eat_on_the_way(self) -> None:
        """Agents arrive one after the other, those that return behind those that move."""
        after = {i: cell for cell, i in self.game.at().items()}
        there = dict(self.before)
        for i in sorted(after, key=lambda i: (i not in self.before, -self.draws["priorities"][i], i)):
            there[i] = after[i]
            kind = self.game.mushrooms[self.game.cells.index(after[i])]
            if kind and after[i] != self.before.get(i):
                self.first[i] = kind
                self.eat(i, kind, there)

    def eat_new_ones(self) -> None:
        """A mushroom that grew where an agent has arrived since is eaten at once."""
        after = {i: cell for cell, i in self.game.at().items()}
        self.second = {i: self.grown[cell] for i, cell in after.items() if cell in self.grown}
        for i, kind in self.second.items():
            self.eat(i, kind, after)

    def eat(self, i: int, kind: int, there: dict[int, Cell]) -> None:
        """Agent i eats: agents are paid, and spores grow on cells on which nobody stands in this moment."""
        for j in there:
            paid = {RED: j == i, BLUE: j != i}
            self.counts[j][kind - 1] += int(paid.get(kind, True))
        for spore in range(self.game.spore_counts[kind - 1]):
            for new, chance in enumerate(self.game.spore_growth[kind - 1], start=1):
                gate, choice = (self.draws[name][i, spore, new - 1] for name in ("spore_gates", "spore_cells"))
                if self.empty and gate < np.float32(chance):
                    self.plant(self.empty[int(np.float32(choice) * np.float32(len(self.empty)))], new, there.values())

    def plant(self, cell: Cell, kind: int, taken: Iterable[Cell]) -> None:
        """A mushroom grows on a free cell; of several the last kind stays."""
        if cell not in taken:
            self.grown[cell] = max(kind, self.grown.get(cell, NONE))

    def rewards(self) -> list[float]:
        """What all agents are paid."""
        n = len(self.counts)
        totals = [np.float32(total) for total in self.game.mushroom_rewards]
        shares = [
            totals[0],
            totals[1] / np.float32(n),
            totals[2] / np.float32(max(n - 1, 1)),
            totals[3] / np.float32(n),
        ]
        return [
            float(sum((np.float32(count) * share for count, share in zip(counts, shares, strict=True)), np.float32(0)))
            for counts in self.counts
        ]
