"""Our Cleanup, after Lab2D and after Melting Pot, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.lab2d import Lab2D
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
            self.fine_cost * given + self.fine_penalty * fined
            for given, fined in zip(info["hits_given"], info["fined"], strict=True)
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
        """Fines and cleaning, all at once; returns who was fined, how many each hit and what each cleaned."""
        shots = self.shoot(actions)
        at = self.at()
        waste = {cell for cell, is_waste in zip(self.river_at, self.waste, strict=True) if is_waste}
        met = self.fire(shots, (set(at), waste))
        fined, given, cleaned = ([0] * len(shots) for _ in range(3))
        ranks = sorted(range(len(shots)), key=lambda i: (-draws["priorities"][i], i))
        for i in ranks:  # of several who clean one cell the first is credited
            for cell in met[i]:
                if shots[i] == 0:
                    fined[at[cell]] += 1
                    given[i] += 1
                elif self.waste[self.river_at.index(cell)]:
                    self.waste[self.river_at.index(cell)] = False
                    cleaned[i] += 1
        self.fired, self.cleaned_at = [shot == 0 for shot in shots], [shot == 1 for shot in shots]
        return {"fined": fined, "hits_given": given, "cleaned": cleaned}

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
class CleanupMeltingPot(Cleanup):
    """After Melting Pot: apples grow first, and who is hit is removed for a while."""

    beam_length: int = 3
    fine_cost: float = 0
    fine_penalty: float = 0
    waste_start_steps: int = 49
    min_steps: int = 1000
    ending_interval: int = 100
    ending_probability: float = 0.2
    is_ending_stochastic: bool = False

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        waiting = [timeout > 0 for timeout in self.timeouts]
        self.grow(self.growth_probability(), draws)
        first = self.collect()
        self.spawn_waste(draws)
        self.move(actions, draws)
        second = self.collect()
        info = self.use_beams(actions, draws)
        self.remove([fined > 0 for fined in info["fined"]])
        self.send_back(waiting, draws)
        rewards, info = self.end_step([a + b for a, b in zip(first, second, strict=True)], info)
        late = self.step_count - self.min_steps
        is_chance = self.is_ending_stochastic and late > 0 and late % self.ending_interval == 0
        self.terminated = is_chance and bool(draws["episode_end"] < self.ending_probability)
        return rewards, info

    def remove(self, is_hit: Sequence[bool]) -> None:
        """Who is hit leaves the board, and its own beam is not to be seen."""
        super().remove(is_hit)
        self.cleaned_at = [cleaned and not hit for cleaned, hit in zip(self.cleaned_at, is_hit, strict=True)]
