"""Replays recorded steps of the original Externality Mushrooms, see `tests.reference.meltingpot_recordings`."""

import functools
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from tests.reference.externality_mushrooms import NAMES, RED
from tests.reference.meltingpot_recordings import NO, YES, Recording, find_order
from tests.reference.rollouts import as_cells, start
from tests.reference.views import Cell

NOBODY = np.zeros((0, 3), int)
Grown = list[tuple[Cell, int]]
"""Cells with the kind that grows on each."""
Slots = list[tuple[int, int, int, Cell]]
"""Eater, spore, kind from 0, and cell of each mushroom that grows."""


@functools.cache
def make(substrate: str, movement: str) -> Any:
    """Our game, which ends by chance."""
    del substrate
    return jaxdilemmas.make("externality_mushrooms", episode_ending="stochastic", movement=movement)


def digits(changes: int) -> list[int]:
    """All kinds that a cell got in a step, in order."""
    return [int(digit, 16) - 1 for digit in hex(changes)[2:]] if changes else []


class MushroomRecording(Recording):
    """T recorded steps; the order of the agents is one that explains their moves and where mushrooms grew."""

    folder: ClassVar[pathlib.Path] = pathlib.Path(__file__).parents[1] / "data" / "externality_mushrooms"
    make: ClassVar[Any] = staticmethod(make)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cells = as_cells(self.arrays["item_cells"])

    def is_out_in(self, t: int) -> np.ndarray:
        """Agents that leave as step t begins are not on the board in it."""
        return self.arrays["out"][t] | (self.arrays["removal_in"][t] == 1)

    def timeouts(self) -> np.ndarray:
        """The first step of a time out is the one in which an agent leaves."""
        return np.where(self.arrays["out"], super().timeouts() - 1, 0)

    def ages(self) -> np.ndarray:
        """Steps since each mushroom grew, `[T + 1, A]`; those of the start count one more."""
        kinds, ages = self.arrays["items"], np.zeros(self.arrays["items"].shape, int)
        ages[0] = kinds[0] > 0
        for t, changes in enumerate(self.arrays["item_changes"]):
            ages[t + 1] = np.where((kinds[t + 1] > 0) & (changes == 0), ages[t] + 1, 0)
        return ages

    def cooldowns(self) -> np.ndarray:
        """The original holds the counter of the beam while an agent is frozen by a hit; ours counts both down."""
        arrays, cooldown = self.arrays, self.params.zap_cooldown
        blocked = np.where(arrays["zap_block"] > 0, arrays["zap_block"].astype(int) + cooldown, arrays["cooldowns"])
        return np.where(arrays["removal_in"] == 1, cooldown, blocked)[..., None]

    @functools.cached_property
    def moments(self) -> Any:
        """The recorded moments as states of our game, leading axis T + 1."""
        arrays, template = self.arrays, start(self.env)
        is_marked = arrays["mark_level"] == 2
        fields = {name: arrays[name] for name in ("positions", "headings")} | {
            "timeouts": self.timeouts(),
            "cooldowns": self.cooldowns(),
            "frozen": np.maximum(arrays["frozen"].astype(int) - 1, 0),
            "marked_for": np.where(is_marked, self.params.mark_steps - arrays["mark_age"].astype(int), 0),
            "leaves": arrays["removal_in"] == 1,
            "mushrooms": arrays["items"],
            "ages": self.ages(),
            "step_count": np.arange(self.num_steps + 1),
        }
        still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.num_steps + 1, *leaf.shape)), template)
        return still.replace(
            **{name: jnp.asarray(values, getattr(template, name).dtype) for name, values in fields.items()}
        )

    def states(self) -> Any:
        """See `moments`."""
        return self.moments

    def moves(self, t: int) -> dict[int, Any]:
        """As for other games; agents that are frozen or leave stay."""
        stays = (self.arrays["frozen"][t] > 1) | (self.arrays["removal_in"][t] == 1)
        moves = super().moves(t).items()
        return {i: (here, here if stays[i] else target, moved and not stays[i]) for i, (here, target, moved) in moves}

    def meals(self, t: int) -> list[tuple[int, int]]:
        """Who eats which kind in step t, in order."""
        events = self.arrays.get("event_eating_mushroom", NOBODY)
        return [(int(i), int(kind)) for step, i, kind in events if step == t]

    def grown(self, t: int) -> Grown:
        """Where mushrooms grow in step t: the last kind that each cell gets."""
        changes = enumerate(self.arrays["item_changes"][t].tolist())
        kinds = ((self.cells[a], [kind for kind in digits(change) if kind]) for a, change in changes)
        return [(cell, those[-1]) for cell, those in kinds if those]

    def infer(self, t: int) -> dict[str, Any]:
        """The chance under which step t happens as recorded, by names of `Draws`."""
        num_agents = self.arrays["actions"].shape[1]
        gates, cells = np.full((num_agents, 3, 4), NO), np.full((num_agents, 3, 4), 0.5)
        order, slots = self.explain(t)
        empty = [cell for cell, kind in zip(self.cells, self.arrays["items"][t], strict=True) if kind == 0]
        for i, spore, kind, cell in slots:
            gates[i, spore, kind], cells[i, spore, kind] = YES, (empty.index(cell) + 0.5) / len(empty)
        is_lost = (self.arrays["items"][t] == RED) & (self.arrays["items"][t + 1] != RED)
        place = [order.index(i) if i in order else len(order) for i in range(num_agents)]
        return {
            "priorities": 1 - np.array(place) / (num_agents + 1),
            "respawns": self.infer_respawns(t),
            "respawn_headings": (self.arrays["headings"][t + 1] + 0.5) / 4,
            "episode_end": YES if self.arrays["done"][t] else NO,
            "spore_gates": gates,
            "spore_cells": cells,
            "red_destruction": np.where(is_lost, YES, NO),
        }

    def explain(self, t: int) -> tuple[list[int], Slots]:
        """An order of the agents, and spores, under which they move and mushrooms grow as recorded."""
        moves, grown = self.moves(t), self.grown(t)
        for order in self.orders(moves, bool(grown)):
            slots = self.assign(t, order, grown, [])
            if slots is not None:
                return order, slots
        raise AssertionError(f"no order of the agents explains where they went and what grew in step {t}")

    @staticmethod
    def orders(moves: dict[int, Any], all_of_them: bool) -> Iterator[list[int]]:
        """Orders of the agents that want to move, under which they get where they got."""
        movers = [i for i, (here, target, _) in moves.items() if here != target]
        if not all_of_them or len(movers) < 2:
            order = find_order(moves)
            return iter([] if order is None else [order])
        return (list(order) for order in itertools.permutations(movers) if fits(order, moves))

    def assign(self, t: int, order: list[int], grown: Grown, used: Slots) -> Slots | None:
        """Finds a spore for each new mushroom, on a cell where nobody stood in that moment; None if there is none."""
        if not grown:
            return used
        (cell, kind), *rest = grown
        for i, eaten in self.meals(t):
            spore = sum(slot[0] == i and slot[2] == kind - 1 for slot in used)
            can_grow = self.params.spore_growth[eaten - 1][kind - 1] > 0 and spore < self.params.spore_counts[eaten - 1]
            if can_grow and cell not in self.standing(t, i, order):
                found = self.assign(t, order, rest, [*used, (i, spore, kind - 1, cell)])
                if found is not None:
                    return found
        return None

    def standing(self, t: int, i: int, order: list[int]) -> set[Cell]:
        """The cells on which agents stand when agent i eats in step t."""
        before, after = (as_cells(self.arrays["positions"][s]) for s in (t, t + 1))
        eats_new = self.arrays["items"][t][self.cells.index(after[i])] == 0
        was_out, is_out = self.is_out_in(t), self.arrays["out"][t + 1]
        first = order.index(i) if i in order else len(order)
        have_moved = {j for j in range(len(after)) if eats_new or j == i or (j in order and order.index(j) < first)}
        there = {after[j] for j in have_moved if not is_out[j]}
        return there | {before[j] for j in range(len(after)) if j not in have_moved and not was_out[j]}

    def expected(self) -> dict[str, np.ndarray]:
        """What each step has to give, leading axis T, named as in `play`."""
        arrays, after = self.arrays, vars(jax.tree.map(lambda leaf: np.asarray(leaf[1:]), self.moments))
        for name in ("hits", "fired", "rays", "apples"):  # are not recorded in this form, or not in this game
            del after[name]
        zaps, eaten = arrays.get("event_zap", NOBODY), arrays.get("event_eating_mushroom", NOBODY)
        given, received, collected = (self.count(those, column) for those, column in ((zaps, 1), (zaps, 2), (eaten, 1)))
        info = {"hits_given": given, "hits_received": received, "collected": collected, "tagged": arrays["out"][1:]}
        for kind, name in enumerate(NAMES, start=RED):
            info[f"ate_{name}"] = self.count(eaten[eaten[:, 2] == kind], 1)
        info |= {"beams": arrays["zap_cells"], "terminated": arrays["done"]}
        return after | info | {"rewards": arrays["rewards"].astype(np.float32).round(4)}

    def count(self, events: np.ndarray, column: int) -> np.ndarray:
        """The number of events of each step and agent, `[T, N]`, by the agents in this column."""
        counts = np.zeros(self.arrays["actions"].shape, int)
        np.add.at(counts, (events[:, 0], events[:, column]), 1)
        return counts

    def play(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """As for other games; where an agent is out its position means nothing."""
        given = super().play(steps)
        is_out = self.arrays["out"][steps + 1]
        for name in ("positions", "headings"):
            given[name][is_out] = self.arrays[name][steps + 1][is_out]
        return given | {"rewards": given["rewards"].round(4)}


def fits(order: tuple[int, ...], moves: dict[int, tuple[Cell, Cell, bool]]) -> bool:
    """Whether agents that move in this order get where they got."""
    there = {i: here for i, (here, _, _) in moves.items()}
    for i in order:
        _, target, has_moved = moves[i]
        if (target not in there.values()) != has_moved:
            return False
        if has_moved:
            there[i] = target
    return True
