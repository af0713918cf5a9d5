"""Replays recorded steps of `*_in_the_matrix` one by one, see `tests.reference.meltingpot_recordings`."""

import functools
import itertools
import pathlib
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from tests.reference.in_the_matrix import InTheMatrix
from tests.reference.meltingpot_recordings import NO, YES, Recording
from tests.reference.rollouts import start

DATA = pathlib.Path(__file__).parents[1] / "data" / "in_the_matrix"
NAMES = sorted(path.stem for path in DATA.glob("*.npz"))
NO_EVENTS = np.zeros((0, 9))


@functools.cache
def make(substrate: str, movement: str) -> Any:
    """Our game for a substrate."""
    game, _, board = substrate.partition("_in_the_matrix__")
    return jaxdilemmas.make("in_the_matrix", game=game, map=board, episode_ending="stochastic", movement=movement)


class FastGrowth(dict[tuple[str, str], dict[str, Any]]):
    """The numbers of recordings with the note `fast`, whatever the game."""

    def get(self, key: Any, default: Any = None) -> Any:
        """The changed numbers for (substrate, note)."""
        return {"regrowth_probability": 0.3} if key[1] == "fast" else default


class MatrixRecording(Recording):
    """T recorded steps; the shooters' order is one by which the slow game plays the step as recorded."""

    folder: ClassVar[pathlib.Path] = DATA
    changes: ClassVar[Any] = FastGrowth()
    make: ClassVar[Any] = staticmethod(make)

    def meetings(self) -> list[tuple[int, int, int, np.ndarray, list[np.ndarray]]]:
        """Step, row and column player of each interaction, the payoffs of both and their inventories."""
        num_classes = self.env.num_classes
        events = self.arrays.get("event_interaction", NO_EVENTS[:, : 5 + 2 * num_classes])
        held = events[:, 5:].reshape(len(events), 2, num_classes).astype(int)
        return [(int(e[0]), int(e[1]), int(e[2]), e[3:5], list(both)) for e, both in zip(events, held, strict=True)]

    def fields(self) -> dict[str, np.ndarray]:
        """The recorded moments by names of the state, `[T + 1, ...]`.

        The original empties the inventory of a row player that wins at once; here it is kept until both leave.
        """
        arrays, length = self.arrays, self.num_steps + 1
        is_there, inventories = arrays["items"] > 0, arrays["inventories"].astype(int)
        missing, pending = np.zeros(is_there.shape, int), np.zeros((length, inventories.shape[1]))
        partners = np.zeros_like(inventories)
        for t in range(length):
            missing[t] = np.where(is_there[t], 0, (missing[t - 1] if t else 0) + 1)
        for t, row, column, payoffs, (of_row, of_column) in self.meetings():
            for i, payoff, own, other in (
                (row, payoffs[0], of_row, of_column),
                (column, payoffs[1], of_column, of_row),
            ):
                pending[t + 1 : t + 18, i] = payoff
                inventories[t + 1 : t + 18, i] = own
                partners[t + 1 :, i] = other
        return {
            "positions": arrays["positions"],
            "headings": arrays["headings"],
            "timeouts": self.timeouts(),
            "cooldowns": arrays["cooldowns"][..., None],
            "classes": np.broadcast_to(arrays["item_class"], is_there.shape),
            "resources": is_there,
            "missing_for": missing,
            "health": arrays["item_health"],
            "inventories": inventories,
            "partners": partners,
            "frozen": arrays["effects_in"] + 1,
            "pending_rewards": pending,
            "step_count": np.arange(length),
        }

    @functools.cached_property
    def moments(self) -> Any:
        """The recorded moments as states of our game, leading axis T + 1."""
        template = start(self.env)
        still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.num_steps + 1, *leaf.shape)), template)
        fields = self.fields().items()
        return still.replace(**{name: jnp.asarray(values, getattr(template, name).dtype) for name, values in fields})

    def states(self) -> Any:
        """See `moments`."""
        return self.moments

    def moves(self, t: int) -> dict[int, Any]:
        """As for other games; agents that are frozen stay."""
        moves = super().moves(t)
        is_frozen = self.arrays["effects_in"][t] >= 0
        return {i: (here, here if is_frozen[i] else target, moved) for i, (here, target, moved) in moves.items()}

    def infer(self, t: int) -> dict[str, Any]:
        """The chance under which step t happens as recorded, by names of `Draws`."""
        arrays = self.arrays
        born = [
            1 in [int(digit, 16) - 1 for digit in hex(changes)[2:]] for changes in arrays["item_changes"][t].tolist()
        ]
        chance = self.infer_moves(t) | {
            "respawns": self.infer_respawns(t),
            "respawn_headings": (arrays["headings"][t + 1] + 0.5) / 4,
            "episode_end": YES if arrays["done"][t] else NO,
            "resource_growth": np.where(born, YES, NO),
        }
        return chance | {"priorities": self.find_priorities(t, chance)}

    def find_priorities(self, t: int, chance: dict[str, Any]) -> np.ndarray:
        """Priorities under which agents move and fire as recorded: no agent does both in a step."""
        arrays, first = self.arrays, chance["priorities"]
        fires = (arrays["actions"][t] == 6) & ~arrays["out"][t] & (arrays["effects_in"][t] < 0)
        shooters = np.flatnonzero(fires & (arrays["cooldowns"][t] == 0))
        if len(shooters) < 2:
            return first
        before = jax.tree.map(lambda leaf: leaf[t], self.moments)
        for order in itertools.permutations(shooters):
            priorities = np.array(first)
            priorities[list(order)] = np.sort(first[shooters])[::-1] - np.arange(len(order)) * 1e-3
            game = InTheMatrix.at_moment(self.env, before, self.params)
            game.step(arrays["actions"][t], chance | {"priorities": priorities})
            is_equal = [
                game.apples == (arrays["items"][t + 1] > 0).tolist(),
                game.health == arrays["item_health"][t + 1].tolist(),
                game.frozen == (arrays["effects_in"][t + 1] + 1).tolist(),
                {cell for lit in game.lit for cell in lit}
                == {*map(tuple, np.argwhere(arrays["zap_cells"][t]).tolist())},
            ]
            if all(is_equal):
                return priorities
        raise AssertionError(f"no order of the agents explains the beams of step {t}")

    def expected(self) -> dict[str, np.ndarray]:
        """What each step has to give, leading axis T, named as in `play`."""
        arrays, after = self.arrays, vars(jax.tree.map(lambda leaf: np.asarray(leaf[1:]), self.moments))
        for name in ("hits", "fired", "rays", "apples"):  # are not recorded, or not in this game
            del after[name]
        counts = {name: np.zeros(arrays["actions"].shape, int) for name in ("collected", "interactions")}
        for t, i, _ in arrays.get("event_collected_resource", NO_EVENTS[:, :3]).astype(int):
            counts["collected"][t, i] += 1
        for t, row, column, _, _ in self.meetings():
            counts["interactions"][t, [row, column]] += 1
        shown = {"tagged": arrays["out"][1:], "terminated": arrays["done"], "beams": arrays["zap_cells"]}
        return after | counts | shown | {"rewards": arrays["rewards"]}

    def play(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """As for other games; rewards are equal if they differ by rounding only."""
        given = super().play(steps)
        for name, recorded in (
            ("rewards", self.arrays["rewards"]),
            ("pending_rewards", self.fields()["pending_rewards"][1:]),
        ):
            values = recorded[steps].astype(np.float32)
            given[name] = np.where(np.isclose(given[name], values, rtol=1e-6), values, given[name])
        return given
