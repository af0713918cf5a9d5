"""Our Cleanup, after Lab2D and after Melting Pot, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.lab2d import Lab2D
from tests.reference.meltingpot import MeltingPot
from tests.reference.movement import MOVES
from tests.reference.views import Cell


@dataclasses.dataclass(kw_only=True)
class Cleanup(Lab2D):
    """After Lab2D; `waste` says which of the river cells, in row-major order, hold waste."""

    river_cells: np.ndarray
    stream_cells: np.ndarray
    waste: list[bool]
    beam_length: int = 5
    fine_cooldown: int = 10
    clean_cooldown: int = 2
    fine_cost: float = 1
    fine_penalty: float = 50
    depletion_threshold: float = 0.4
    restoration_threshold: float = 0.0
    waste_probability: float = 0.5
    waste_start_steps: int = 50
    apple_growth_rate: float = 0.05

    state_names: ClassVar[Sequence[str]] = (*Lab2D.state_names, "waste", "cleaned_at")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.river_at: list[Cell] = [(int(row), int(col)) for row, col in self.river_cells]
        self.cleaned_at = [False] * len(self.positions)

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which each beam cannot be fired."""
        return self.fine_cooldown, self.clean_cooldown

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        probability = self.growth_probability()
        self.spawn_waste(draws)
        self.move(actions, draws)
        first = self.collect()
        info = self.use_beams(actions, draws)
        self.grow(probability, draws)
        second = self.collect()
        return self.end_step([a + b for a, b in zip(first, second, strict=True)], info)

    def end_step(self, collected: list[int], info: dict[str, Any]) -> tuple[list[float], dict[str, Any]]:
        """What the step pays."""
        self.step_count += 1
        costs = [
            self.fine_cost * given + self.fine_penalty * received
            for given, received in zip(info["hits_given"], info["hits_received"], strict=True)
        ]
        tagged = [timeout > 0 for timeout in self.timeouts]
        rewards = [float(apples - cost) for apples, cost in zip(collected, costs, strict=True)]
        return rewards, info | {"collected": collected, "tagged": tagged}

    def growth_probability(self) -> float:
        """The chance of an apple to come back, by the share of river cells that hold waste."""
        share = sum(self.waste) / len(self.waste)
        most, least = self.depletion_threshold, self.restoration_threshold
        return self.apple_growth_rate * min((share - most) / (least - most), 1)

    def spawn_waste(self, draws: Draws) -> None:
        """After a while, at times, one of the clean river cells gets waste."""
        clean = [r for r, is_waste in enumerate(self.waste) if not is_waste]
        is_time = self.step_count > self.waste_start_steps and draws["waste_gate"] < self.waste_probability
        if is_time and clean:
            self.waste[clean[int(np.float32(draws["waste_choice"]) * np.float32(len(clean)))]] = True

    def grow(self, probability: float, draws: Draws) -> None:
        """Dead apples come back, also under agents."""
        for a, alive in enumerate(self.apples):
            self.apples[a] = alive or bool(draws["apple_growth"][a] < probability)

    def use_beams(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> dict[str, Any]:
        """Fines and cleaning, all at once; returns who was hit, how many each hit and what each cleaned."""
        shots = self.shoot(actions)
        at = self.at()
        waste = {cell for cell, is_waste in zip(self.river_at, self.waste, strict=True) if is_waste}
        met = self.fire(shots, (set(at), waste))
        received, given, cleaned = ([0] * len(shots) for _ in range(3))
        cleaners: dict[Cell, list[int]] = {}
        for i, cells in enumerate(met):
            for cell in cells:
                if shots[i] == 0:
                    received[at[cell]] += 1
                    given[i] += 1
                else:
                    cleaners.setdefault(cell, []).append(i)
        for cell, hitters in cleaners.items():
            self.waste[self.river_at.index(cell)] = False
            for i in self.choose_credited(hitters, draws):
                cleaned[i] += 1
        self.fired, self.cleaned_at = [shot == 0 for shot in shots], [shot == 1 for shot in shots]
        return {"hits_received": received, "hits_given": given, "cleaned": cleaned}

    def choose_credited(self, hitters: Sequence[int], draws: Draws) -> list[int]:
        """Who is credited for waste that these agents hit: the one with the highest priority."""
        return [min(hitters, key=lambda i: (-draws["priorities"][i], i))]

    def layers(self) -> dict[str, set[Cell]]:
        """What is to be seen beside agents, and where."""
        is_waste = list(zip(self.river_at, self.waste, strict=True))
        return super().layers() | {
            "river": {cell for cell, waste in is_waste if not waste},
            "waste": {cell for cell, waste in is_waste if waste},
            "stream": {(row, col) for row, col in self.stream_cells.tolist()},
            "clean_beam": set().union(
                *(lit for lit, cleaned in zip(self.lit, self.cleaned_at, strict=True) if cleaned)
            ),
        }


@dataclasses.dataclass(kw_only=True)
class CleanupMeltingPot(MeltingPot, Cleanup):
    """After Melting Pot: apples grow first, and who is hit is removed for a while."""

    beam_length: int = 3
    fine_cost: float = 0
    fine_penalty: float = 0
    waste_start_steps: int = 49

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        self.grow(self.growth_probability(), draws)
        self.spawn_waste(draws)
        collected = self.move_and_collect(actions, draws)
        info = self.use_beams(actions, draws)
        self.remove_and_return([hits > 0 for hits in info["hits_received"]], draws)
        rewards, info = self.end_step(collected, info)
        self.end_by_chance(draws)
        return rewards, info

    def move_and_collect(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> list[int]:
        """Apples under agents pay before the moves; after them those on the cells of agents that tried to move."""
        apples = {cell for cell, alive in zip(self.apples_at, self.apples, strict=True) if alive}
        collected, eaten = [0] * len(self.positions), set()
        for is_after in (False, True):
            if is_after:
                self.move(actions, draws)
            for cell, i in self.at().items():
                if cell in apples and (actions[i] in MOVES or not is_after):
                    collected[i] += 1
                    eaten.add(cell)
        self.apples = [cell in apples - eaten for cell in self.apples_at]
        return collected

    def choose_credited(self, hitters: Sequence[int], draws: Draws) -> list[int]:
        """All whose rays hit it."""
        del draws
        return list(hitters)
