"""Our Coop Mining, after Melting Pot, one beam and one cell at a time, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.meltingpot import MeltingPot
from tests.reference.views import Cell

NONE, IRON, GOLD, PARTIAL = range(4)


@dataclasses.dataclass(kw_only=True)
class CoopMining(MeltingPot):
    """Ore grows on free cells; gold takes two miners."""

    ore_cells: np.ndarray
    ore: list[int]
    iron_growth: float = 0.0002
    gold_growth: float = 0.00008
    mining_cooldown: int = 2
    partial_steps: int = 3
    iron_reward: float = 1.0
    gold_reward: float = 8.0

    beam_actions: ClassVar[Sequence[int]] = (6,)
    state_names: ClassVar[Sequence[str]] = (*MeltingPot.state_names, "ore", "miners", "windows")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ore_at: list[Cell] = [(int(row), int(col)) for row, col in self.ore_cells]
        self.miners = [-1] * len(self.ore)
        self.windows = [0] * len(self.ore)
        self.rays = [[0] for _ in self.positions]

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.mining_cooldown,)

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        n = len(self.positions)
        info = {name: [0] * n for name in ("mined", "iron", "gold")}
        grown = self.find_growth(draws)
        self.revert()
        targets = self.fire_all(actions)
        gone: set[int] = set()
        for i in sorted(range(n), key=lambda i: (-draws["mining_priorities"][i], i)):
            if targets[i] is not None:
                self.hit(i, targets[i], info, gone)
        for a in gone:
            self.ore[a], self.miners[a], self.windows[a] = NONE, -1, 0
        for a, kind in grown.items():
            self.ore[a] = kind
        self.move(actions, draws)
        self.step_count += 1
        self.end_by_chance(draws)
        pays = zip(info["iron"], info["gold"], strict=True)
        return [self.iron_reward * iron + self.gold_reward * gold for iron, gold in pays], info

    def find_growth(self, draws: Draws) -> dict[int, int]:
        """The empty cells on which ore grows, and which; nobody stands on them."""
        grown = {}
        for a, cell in enumerate(self.ore_at):
            if self.ore[a] == NONE and cell not in self.positions:
                luck = draws["ore_growth"][a]
                if luck < np.float32(self.iron_growth):
                    grown[a] = IRON
                elif luck < np.float32(self.iron_growth) + np.float32(self.gold_growth):
                    grown[a] = GOLD
        return grown

    def revert(self) -> None:
        """Partial gold that nobody helped with in time is gold again."""
        for a, kind in enumerate(self.ore):
            if kind == PARTIAL:
                self.windows[a] -= 1
                if self.windows[a] == 0:
                    self.ore[a], self.miners[a] = GOLD, -1

    def fire_all(self, actions: Sequence[int] | np.ndarray) -> list[int | None]:
        """The ore that each agent's beam meets first, if any."""
        shots = self.shoot(actions)
        self.fired = [shot is not None for shot in shots]
        targets: list[int | None] = [None] * len(shots)
        for i, shot in enumerate(shots):
            self.rays[i], self.lit[i] = [0], set()
            for cell in self.ray(i, 0) if shot is not None else []:
                if cell in self.ore_at and self.ore[self.ore_at.index(cell)] != NONE:
                    targets[i] = self.ore_at.index(cell)
                    break
                self.rays[i][0] += 1
                self.lit[i].add(cell)
        return targets

    def hit(self, i: int, a: int | None, info: dict[str, list[int]], gone: set[int]) -> None:
        """One beam hits ore: iron goes; gold goes if another agent waits there, and else waits for another agent."""
        assert a is not None
        info["mined"][i] += 1
        if self.ore[a] == IRON:
            info["iron"][i] += 1
            gone.add(a)
        elif self.miners[a] in (-1, i):
            self.ore[a], self.miners[a], self.windows[a] = PARTIAL, i, self.partial_steps
            gone.discard(a)
        else:
            info["gold"][i] += 1
            info["gold"][self.miners[a]] += 1
            self.miners[a] = -1
            gone.add(a)

    def layers(self) -> dict[str, set[Cell]]:
        """What is to be seen beside agents, and where."""
        names = dict(enumerate(("iron", "gold", "partial_gold"), start=1))
        ore = {
            name: {cell for cell, k in zip(self.ore_at, self.ore, strict=True) if k == kind}
            for kind, name in names.items()
        }
        lit = (lit for lit, fired in zip(self.lit, self.fired, strict=True) if fired)
        walls = {(row, col) for row, col in np.argwhere(self.walls).tolist()}
        return ore | {"wall": walls, "beam": set().union(*lit)}
