"""Our games in the matrix, one agent, one ray and one resource at a time, from the written rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from tests.reference.gathering import Draws
from tests.reference.meltingpot import MeltingPot
from tests.reference.views import Cell

FULL_HEALTH = 3


@dataclasses.dataclass(kw_only=True)
class InTheMatrix(MeltingPot):
    """Agents collect resources and then play a matrix game with what they have; `apples` are the resources."""

    payoffs: Sequence[Sequence[Sequence[float]]]
    classes: Sequence[int]
    has_roles: bool = False
    restores: bool = False
    ends: bool = False
    zap_cooldown: int = 2
    freeze_steps: int = 17
    timeout_steps: int = 6
    regrowth_delay: int = 10
    regrowth_probability: float = 0.02
    view: Sequence[int] = (3, 1, 2)

    beam_actions: ClassVar[Sequence[int]] = (6,)
    state_names: ClassVar[Sequence[str]] = (
        *(name for name in MeltingPot.state_names if name != "apples"),
        *("classes", "resources", "missing_for", "health", "inventories", "partners", "frozen", "pending_rewards"),
    )

    @classmethod
    def at_moment(cls, env: Any, state: Any, params: Any) -> Self:
        """The slow game on the board of a fast one, at a moment of it."""
        return cls.with_numbers(
            env,
            state,
            params,
            set(cls.state_names) - {"positions", "headings", "resources", "classes", "rays", "fired", "hits"},
            apples=np.asarray(state.resources).tolist(),
            classes=np.asarray(state.classes).tolist(),
            payoffs=env.payoffs,
            has_roles=env.has_roles,
            restores=env.when_empty == "restore",
            ends=env.when_empty == "end",
        )

    @property
    def resources(self) -> list[bool]:
        """Which resources are there."""
        return self.apples

    def __post_init__(self) -> None:
        super().__post_init__()
        num_agents, self.num_classes = len(self.positions), len(self.payoffs[0])
        self.missing_for = [0] * len(self.apples)
        self.health = [FULL_HEALTH] * len(self.apples)
        self.inventories = [[1] * self.num_classes for _ in range(num_agents)]
        self.partners = [[0] * self.num_classes for _ in range(num_agents)]
        self.frozen = [0] * num_agents
        self.pending_rewards = [0.0] * num_agents

    def cooldown_steps(self) -> Sequence[int]:
        """Steps after a shot in which the beam cannot be fired."""
        return (self.zap_cooldown,)

    def is_active(self, i: int) -> bool:
        """Whether agent i may act."""
        return self.is_on_board(i) and self.frozen[i] == 0

    def step(self, actions: Sequence[int] | np.ndarray, draws: Draws) -> tuple[list[float], dict[str, Any]]:
        """Plays one step with a dict of draws; returns rewards and info."""
        agents = range(len(self.positions))
        has_met = any(not self.is_on_board(i) for i in agents)
        appears = [self.is_appearing(a, draws) for a in range(len(self.apples))]
        actions = [int(action) if self.is_active(i) else 7 for i, action in enumerate(actions)]
        was_there = self.apples.copy()
        self.move(actions, draws)
        collected = [[0] * self.num_classes for _ in agents]
        self.take(collected)
        hits = self.fire_in_order(actions, draws, was_there)
        met = self.interact(hits)
        held = [self.inventories[i].copy() for i in agents]
        rewards, leaves = self.settle()
        self.start_interactions(met)
        self.remove_and_return(leaves, draws)
        self.apples = [there or new for there, new in zip(self.apples, appears, strict=True)]
        self.take(collected)
        self.missing_for = [
            0 if there else steps + 1 for there, steps in zip(self.apples, self.missing_for, strict=True)
        ]
        self.step_count += 1
        self.end_by_chance(draws)
        self.terminated = self.terminated or (self.ends and has_met)
        received = [sum(target == i for _, target in hits) for i in agents]
        given = [sum(shooter == i for shooter, _ in hits) for i in agents]
        interactions = [sum(i in pair for pair in met) for i in agents]
        info = {"hits_given": given, "hits_received": received, "interactions": interactions}
        for k in range(self.num_classes):
            info[f"collected_{k + 1}"] = [numbers[k] for numbers in collected]
            info[f"played_{k + 1}"] = [int(interactions[i] and held[i].index(max(held[i])) == k) for i in agents]
        info["collected"] = [sum(numbers) for numbers in collected]
        return rewards, info | {"tagged": [timeout > 0 for timeout in self.timeouts]}

    def is_appearing(self, a: int, draws: Draws) -> bool:
        """Whether resource `a` will appear at the end of this step."""
        if self.apples[a] or self.apples_at[a] in self.at():
            return False
        if self.restores and not self.at():
            return True
        may = self.missing_for[a] > self.regrowth_delay
        return may and bool(draws["resource_growth"][a] < np.float32(self.regrowth_probability))

    def take(self, collected: list[list[int]]) -> None:
        """Each agent on the board takes the resource under it; adds to `collected`, by agent and class."""
        for cell, i in self.at().items():
            if cell in self.apples_at and self.apples[self.apples_at.index(cell)]:
                a = self.apples_at.index(cell)
                self.apples[a] = False
                self.inventories[i][self.classes[a] - 1] += 1
                collected[i][self.classes[a] - 1] += 1

    def shoot(self, actions: Sequence[int] | np.ndarray) -> list[int | None]:
        """As in the other games; the beams of frozen agents do not cool down."""
        before = [cooldowns.copy() for cooldowns in self.cooldowns]
        shots = super().shoot(actions)
        self.cooldowns = [
            new if self.is_active(i) else old for i, (new, old) in enumerate(zip(self.cooldowns, before, strict=True))
        ]
        return shots

    def fire_in_order(self, actions: Sequence[int], draws: Draws, was_there: Sequence[bool]) -> list[tuple[int, int]]:
        """Fires all beams, one after the other; returns all hits of agents in order, (shooter, target)."""
        shots = self.shoot(actions)
        self.fired = [shot is not None for shot in shots]
        self.rays = [[0, 0, 0] for _ in shots]
        self.lit = [set() for _ in shots]
        hits: list[tuple[int, int]] = []
        for i in sorted(range(len(shots)), key=lambda i: (-draws["priorities"][i], i)):
            for right in (-1, 1, 0) if self.fired[i] else ():
                hits += [(i, target) for target in self.fire_ray(i, right, was_there)]
        return hits

    def fire_ray(self, i: int, right: int, was_there: Sequence[bool]) -> list[int]:
        """Fires one ray, which a resource stops unless it is destroyed, and an agent always; returns the agent."""
        at = self.at()
        for cell in self.ray(i, right):
            is_stopped = cell in at
            if cell in self.apples_at and was_there[self.apples_at.index(cell)]:
                a = self.apples_at.index(cell)
                self.health[a] -= 1
                if self.health[a] == 0:
                    self.health[a], self.apples[a] = FULL_HEALTH, False
                else:
                    is_stopped = True
            if is_stopped:
                return [at[cell]] if cell in at else []
            self.rays[i][right + 1] += 1
            self.lit[i].add(cell)
        return []

    def interact(self, hits: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """The hits that start an interaction, (row, column)."""
        met, involved = [], set[int]()
        for i, j in hits:
            if i not in involved and j not in involved:
                are_ready = self.is_ready(i) and self.is_ready(j) and self.frozen[j] == 0
                if are_ready and (not self.has_roles or self.is_row(i) != self.is_row(j)):
                    met.append((i, j) if self.is_row(i) or not self.has_roles else (j, i))
                involved |= {i, j}
        return met

    def is_row(self, i: int) -> bool:
        """Whether agent i has the role of the row player, in a game with roles."""
        return i < (len(self.positions) + 1) // 2

    def is_ready(self, i: int) -> bool:
        """Whether agent i has taken a resource since it last had one of each class."""
        return sum(self.inventories[i]) > self.num_classes

    def settle(self) -> tuple[list[float], list[bool]]:
        """Agents whose interaction ends are rewarded and start again; returns rewards and who leaves."""
        ends = [self.frozen[i] == 1 for i in range(len(self.frozen))]
        rewards = [self.pending_rewards[i] if ends[i] else 0.0 for i in range(len(ends))]
        for i, frozen in enumerate(self.frozen):
            self.frozen[i] = max(frozen - 1, 0)
            if ends[i]:
                self.inventories[i] = [1] * self.num_classes
                self.pending_rewards[i] = 0.0
        return rewards, ends

    def start_interactions(self, met: Sequence[tuple[int, int]]) -> None:
        """Freezes the agents that met and sets what they will be paid."""
        for row, column in met:
            held, others = np.array(self.inventories[row]), np.array(self.inventories[column])
            for player, i, j in ((0, row, column), (1, column, row)):
                total = np.float32(held @ np.array(self.payoffs[player]) @ others)
                self.pending_rewards[i] = float(total / np.float32(held.sum() * others.sum()))
                self.frozen[i] = self.freeze_steps
                self.partners[i] = self.inventories[j].copy()

    def layers(self) -> dict[str, set[Cell]]:
        """What is to be seen beside agents, and where."""
        layers = super().layers()
        del layers["apple"]
        for k in range(1, self.num_classes + 1):
            shown = zip(self.apples_at, self.apples, self.classes, strict=True)
            layers[f"resource_{k}"] = {cell for cell, is_there, kind in shown if is_there and kind == k}
        return layers

    def is_marked(self, i: int) -> bool:
        """Whether others see that agent i is ready and not frozen."""
        return self.is_ready(i) and self.frozen[i] == 0
