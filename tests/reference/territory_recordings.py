"""Replays recorded steps of the original Territory one by one, see `tests.reference.meltingpot_recordings`."""

import functools
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from tests.reference.meltingpot_recordings import NO, YES, Recording
from tests.reference.movement import MOVES
from tests.reference.rollouts import as_cells, start
from tests.reference.territory import FOREVER, Territory
from tests.reference.views import Cell, cell_at

DATA = pathlib.Path(__file__).parents[1] / "data" / "territory"
NAMES = sorted(path.stem for path in DATA.glob("*.npz"))


@functools.cache
def make(substrate: str, movement: str) -> Any:
    """Our game for a substrate."""
    board = substrate.removeprefix("territory__")
    return jaxdilemmas.make("territory", map=board, episode_ending="stochastic", movement=movement)


class TerritoryRecording(Recording):
    """T recorded steps; orders of agents are such that the slow game plays each step as recorded."""

    folder: ClassVar[pathlib.Path] = DATA
    changes: ClassVar[Any] = {("territory", "fast"): {"payment_probability": 0.1}}
    make: ClassVar[Any] = staticmethod(make)

    @functools.cached_property
    def is_unclear(self) -> np.ndarray:
        """Resources that the original shows as those of one agent while it pays another, `[T + 1, R]`.

        They were claimed by both in one step. In our game the last claim counts.
        """
        return (self.arrays["items"] >= 2) & (self.arrays["items"] - 2 != self.arrays["paid_to"])

    @functools.cached_property
    def fields(self) -> dict[str, np.ndarray]:
        """The recorded moments by names of the state, `[T + 1, ...]`, without the time since the last hit."""
        arrays, items, is_out = self.arrays, self.arrays["items"].astype(int), self.arrays["out"]
        owners = np.where(items >= 2, arrays["paid_to"].astype(int), -1)
        claimed_for = np.zeros_like(items)
        for t in range(self.num_steps):
            is_new = (arrays["item_changes"][t] > 0) | (owners[t + 1] != owners[t])
            older = np.minimum(claimed_for[t] + 1, 127)
            claimed_for[t + 1] = np.where(is_new | (owners[t + 1] < 0), 0, older)
        leaves, blocked = arrays["removal_in"] == 1, arrays["zap_block"].astype(int)
        cooldown = self.params.zap_cooldown
        cooldowns = np.where(blocked > 0, blocked + cooldown, arrays["cooldowns"])
        return {
            "positions": arrays["positions"],
            "headings": arrays["headings"],
            "timeouts": np.where(is_out, FOREVER, 0),
            "cooldowns": np.where(leaves | is_out, cooldown, cooldowns)[..., None],
            "frozen": np.maximum(arrays["frozen"].astype(int) - 1, 0),
            "marked_for": np.where(arrays["mark_level"] == 2, self.params.mark_steps - arrays["mark_age"], 0),
            "leaves": leaves,
            "owners": owners,
            "claimed_for": claimed_for,
            "dry": arrays["dry"] & (owners >= 0),
            "health": np.where(items == 1, 0, arrays["item_health"]),
            "step_count": np.arange(self.num_steps + 1),
        }

    @functools.cached_property
    def explained(self) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Steps since each resource was hit, `[T + 1, R]`, and the chance of every step by names of `Draws`."""
        unhit_for, chances = [np.full(self.arrays["items"].shape[1], 127)], []
        for t in range(self.num_steps):
            game, chance = self.explain(t, unhit_for[-1])
            unhit_for.append(np.array(game.unhit_for))
            chances.append(chance)
        return np.array(unhit_for), chances

    def explain(self, t: int, unhit_for: np.ndarray) -> tuple[Territory, dict[str, Any]]:
        """The slow game after step t and a chance under which it plays the step as recorded."""
        chance = self.infer_moves(t) | {
            "claim_priorities": np.zeros(self.arrays["actions"].shape[1]),
            "payments": self.infer_payments(t),
            "repairs": np.where(self.fields["health"][t] < self.fields["health"][t + 1], YES, NO),
            "episode_end": YES if self.arrays["done"][t] else NO,
        }
        game = self.play_slowly(t, unhit_for, chance)
        orders = self.orders(game, chance)
        while not self.is_as_recorded(t, game):
            order = next(orders, None)
            assert order is not None, f"no order of the agents explains step {t}"
            chance |= order
            game = self.play_slowly(t, unhit_for, chance)
        return game, chance

    def play_slowly(self, t: int, unhit_for: np.ndarray, chance: dict[str, Any]) -> Territory:
        """The slow game after step t; a resource that was hit and did not go was repaired in that step before."""
        values = {name: values[t] for name, values in self.fields.items()} | {"unhit_for": unhit_for}
        before, health = start(self.env).replace(**values), self.fields["health"][t + 1]
        while True:
            game = Territory.at_moment(self.env, before, self.params)
            game.step(self.arrays["actions"][t], chance)
            stays = (np.array(game.health) == 0) & (health == 1) & (chance["repairs"] == NO)
            if not stays.any():
                return game
            chance["repairs"] = np.where(stays, YES, chance["repairs"])

    def orders(self, game: Territory, chance: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Orders of the agents that fire, and of the agents that claim the same resource as others."""
        shooters = np.flatnonzero(game.fired)
        rivals = sorted({i for claimers in game.claims.values() if len({*claimers}) > 1 for i in claimers})
        for order in itertools.product(itertools.permutations(shooters), itertools.permutations(rivals)):
            priorities, claims = np.array(chance["priorities"]), np.zeros(len(game.fired))
            priorities[list(order[0])] = np.sort(priorities[shooters])[::-1] - np.arange(len(shooters)) * 1e-3
            claims[list(order[1])] = 0.9 - np.arange(len(rivals)) / 20
            yield {"priorities": priorities, "claim_priorities": claims}

    def is_as_recorded(self, t: int, game: Territory) -> bool:
        """Whether resources and beams are as recorded after step t."""
        is_same = np.array(game.owners) == self.fields["owners"][t + 1]
        lit = set().union(*(lit for lit, fired in zip(game.lit, game.fired, strict=True) if fired))
        is_lit = lit == {*map(tuple, np.argwhere(self.arrays["zap_cells"][t]).tolist())}
        is_settled = (is_same | self.is_unclear[t + 1]).all() and is_lit
        is_struck = game.destroyed == self.count("destroyed_resource", 1)[t].tolist()
        return bool(is_settled) and is_struck and game.health == self.fields["health"][t + 1].tolist()

    def infer_payments(self, t: int) -> np.ndarray:
        """Uniforms of payments: as many as each agent was paid, first those that are the first of a resource."""
        uniforms = np.full(self.arrays["items"].shape[1], NO)
        is_due = (self.fields["owners"][t] >= 0) & (self.fields["claimed_for"][t] >= self.params.payment_delay)
        is_first = self.fields["dry"][t + 1] & ~self.fields["dry"][t]
        was_dry = self.fields["dry"][t]
        for i, paid in enumerate(self.arrays["rewards"][t].astype(int)):
            own = np.flatnonzero(is_due & (self.fields["owners"][t] == i))
            own = own[np.argsort(np.where(is_first, 0, np.where(was_dry, 1, 2))[own], kind="stable")]
            uniforms[own[:paid]] = YES
        return uniforms

    @functools.cached_property
    def moments(self) -> Any:
        """The recorded moments as states of our game, leading axis T + 1."""
        template = start(self.env)
        still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.num_steps + 1, *leaf.shape)), template)
        fields = (self.fields | {"unhit_for": self.explained[0]}).items()
        return still.replace(**{name: jnp.asarray(values, getattr(template, name).dtype) for name, values in fields})

    def states(self) -> Any:
        """See `moments`."""
        return self.moments

    def infer(self, t: int) -> dict[str, Any]:
        """See `explained`."""
        return self.explained[1][t]

    def moves(self, t: int) -> dict[int, tuple[Cell, Cell, bool]]:
        """As for other games; the board is a torus, resources are in the way, and frozen agents stay."""
        arrays, shape = self.arrays, self.arrays["walls"].shape
        before, after = as_cells(arrays["positions"][t]), as_cells(arrays["positions"][t + 1])
        blocked = {*map(tuple, np.argwhere(arrays["walls"]).tolist())}
        blocked |= {
            cell for cell, item in zip(as_cells(arrays["item_cells"]), arrays["items"][t], strict=True) if item != 1
        }
        moves = {}
        is_held = (self.fields["frozen"][t] > 0) | self.fields["leaves"][t]
        for i in np.flatnonzero(~arrays["out"][t]).tolist():
            move = (0, 0) if is_held[i] else MOVES.get(int(arrays["actions"][t, i]), (0, 0))
            row, col = cell_at(before[i], int(arrays["headings"][t, i]), *move)
            target = row % shape[0], col % shape[1]
            target = before[i] if target in blocked else target
            moves[i] = before[i], target, after[i] == target != before[i]
        return moves

    def count(self, event: str, column: int) -> np.ndarray:
        """The number of events of each step and agent, `[T, N]`, by the agents in this column."""
        counts, events = np.zeros(self.arrays["actions"].shape, int), self.arrays.get(f"event_{event}")
        if events is not None:
            np.add.at(counts, (events[:, 0], events[:, column]), 1)
        return counts

    def expected(self) -> dict[str, np.ndarray]:
        """What each step has to give, leading axis T, named as in `play`."""
        arrays, after = self.arrays, vars(jax.tree.map(lambda leaf: np.asarray(leaf[1:]), self.moments))
        for name in ("hits", "fired", "rays", "apples", "claimed_at"):  # are not recorded, or not in this game
            del after[name]
        events = {"hits_given": ("zap", 1), "hits_received": ("zap", 2), "destroyed": ("destroyed_resource", 1)}
        after |= {name: self.count(*event) for name, event in events.items()}
        shown = {"beams": "zap_cells", "claim_beams": "claim_cells", "terminated": "done", "rewards": "rewards"}
        return after | {"tagged": arrays["out"][1:]} | {name: arrays[key] for name, key in shown.items()}

    def play(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """As for other games; what means nothing or is unclear in the recording counts as equal."""
        given, after = super().play(steps), vars(self.moments)
        is_unclear = self.is_unclear[steps] | self.is_unclear[steps + 1]
        is_out = self.arrays["out"][steps + 1]
        masks = dict.fromkeys(("owners", "claimed_for", "dry"), is_unclear) | dict.fromkeys(
            ("positions", "headings"), is_out
        )
        for name, mask in masks.items():
            given[name][mask] = np.asarray(after[name])[steps + 1][mask]
        given["claim_beams"] = self.find_lit_cells(given, given["claimed_at"])
        return given

    def find_lit_cells(self, given: dict[str, np.ndarray], is_seen: np.ndarray) -> np.ndarray:
        """As for other games, on a torus."""
        shape = self.arrays["walls"].shape
        lit = np.zeros((len(is_seen), *shape), bool)
        for t, i in np.argwhere(is_seen):
            for right, length in zip((-1, 0, 1), given["rays"][t, i].tolist(), strict=True):
                for distance in range(length):
                    row, col = cell_at(
                        given["positions"][t, i], given["headings"][t, i], distance + (right == 0), right
                    )
                    lit[t, row % shape[0], col % shape[1]] = True
        return lit
