"""Replays recorded steps of the original Melting Pot one by one; tests/data/README.md has their keys.

A recording contains the events but not the random numbers behind them. They are inferred here: every uniform is chosen
so that the recorded event happens.
"""

import collections
import dataclasses
import functools
import json
import pathlib
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from tests.reference.movement import target_cell
from tests.reference.rollouts import as_cells, as_draws, start
from tests.reference.views import Cell, cell_at

DATA = pathlib.Path(__file__).parents[1] / "data" / "meltingpot"
NAMES = sorted(path.stem for path in DATA.glob("*.npz"))
STEPS_AT_ONCE = 100
NO, YES = np.float32(1 - 2**-24), np.float32(0)
"""Uniforms under which something with a chance does not happen, and happens."""

CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    ("clean_up", "surely"): {"apple_growth_rate": 1.0, "restoration_threshold": 0.39, "waste_probability": 1.0},
    ("clean_up", "fast"): {"apple_growth_rate": 0.5},
    ("commons_harvest", "surely"): {"regrowth_probabilities": (0.0, 1.0, 1.0, 1.0)},
    ("commons_harvest", "fast"): {"regrowth_probabilities": (0.0, 0.25, 0.5, 0.9)},
}
"""Numbers that were changed for some recordings, by the note in their configuration."""


@functools.cache
def make(substrate: str, movement: str) -> Any:
    """Our game for a substrate, with the numbers of the substrate."""
    kind, _, board = substrate.partition("__")
    settings: dict[str, Any] = {"episode_ending": "stochastic", "movement": movement}
    if kind == "clean_up":
        return jaxdilemmas.make("cleanup_meltingpot", **settings)
    if board != "open":
        settings["regrowth_probabilities"] = (0.0, 0.001, 0.005, 0.025)
    return jaxdilemmas.make("harvest", map=board, **settings)


def read_arrays(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The configuration and the arrays of a file, bits unpacked."""
    with np.load(path) as file:
        packed = {key: file[key] for key in file.files}
    config = json.loads(str(packed.pop("config")))
    arrays = {key: values for key, values in packed.items() if not key.endswith("_bits")}
    for key, shape in config["shapes"].items():
        bits = np.unpackbits(packed[f"{key}_bits"], axis=1)[:, : int(np.prod(shape[1:]))]
        arrays[key] = bits.reshape(shape).astype(bool)
    return config, arrays


@dataclasses.dataclass
class Recording:
    """T recorded steps of one episode, and the game that has to play them alike.

    Attributes:
      arrays: see tests/data/README.md, bits unpacked.
      env: our game.
      params: its params with the numbers of the recording.
    """

    folder: ClassVar[pathlib.Path] = DATA
    changes: ClassVar[dict[tuple[str, str], dict[str, Any]]] = CHANGES
    make: ClassVar[Any] = staticmethod(make)

    arrays: dict[str, np.ndarray]
    env: Any
    params: Any

    @classmethod
    def load(cls, name: str, movement: str) -> Self:
        """Reads a recording by the name of its file."""
        config, arrays = read_arrays(cls.folder / f"{name}.npz")
        env = cls.make(config["substrate"], movement)
        change = cls.changes.get((config["substrate"].partition("__")[0], config["note"]), {})
        return cls(arrays, env, env.default_params.replace(**change))

    def __post_init__(self) -> None:
        self.num_steps = len(self.arrays["actions"])

    @property
    def has_river(self) -> bool:
        """Whether this is the game of Cleanup."""
        return "waste" in self.arrays

    def timeouts(self) -> np.ndarray:
        """Steps until each agent is back, `[T + 1, N]`."""
        out, left = self.arrays["out"], np.zeros(self.arrays["out"].shape, int)
        for t, i in np.argwhere(out):
            left[t, i] = left[t - 1, i] - 1 if t and out[t - 1, i] else self.params.timeout_steps
        return left

    def states(self) -> Any:
        """The recorded moments as states of our game, leading axis T + 1."""
        names = ["positions", "headings", "cooldowns", "apples"] + ["waste"] * self.has_river
        fields = {name: self.arrays[name] for name in names} | {"timeouts": self.timeouts()}
        fields["step_count"] = np.arange(self.num_steps + 1)
        if not self.has_river:
            fields["live_neighbours"] = self.arrays["apple_wait"]
        template = start(self.env)
        still = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.num_steps + 1, *leaf.shape)), template)
        return still.replace(
            **{name: jnp.asarray(values, getattr(template, name).dtype) for name, values in fields.items()}
        )

    def draws(self, steps: np.ndarray) -> Any:
        """The chance of the given steps, leading axis that of `steps`."""
        chances = [self.infer(t) for t in steps]
        return as_draws(self.env, {name: np.stack([chance[name] for chance in chances]) for name in chances[0]})

    def infer(self, t: int) -> dict[str, Any]:
        """The chance under which step t happens as recorded, by names of `Draws`."""
        chance = self.infer_moves(t) | {
            "respawns": self.infer_respawns(t),
            "respawn_headings": (self.arrays["headings"][t + 1] + 0.5) / 4,
            "episode_end": YES if self.arrays["done"][t] else NO,
            "apple_growth": np.where(self.arrays["apple_born"][t], YES, NO),
        }
        if self.has_river:
            born, clean = self.arrays["waste_born"][t], ~self.arrays["waste"][t]
            place = clean[: born.argmax()].sum()
            chance |= {"waste_gate": YES if born.any() else NO, "waste_choice": (place + 0.5) / max(clean.sum(), 1)}
        return chance

    def infer_moves(self, t: int) -> dict[str, Any]:
        """Priorities under which the agents move as in step t."""
        order = find_order(self.moves(t))
        assert order is not None, f"no order of the agents explains their moves in step {t}"
        num_agents = self.arrays["actions"].shape[1]
        rank = [order.index(i) if i in order else len(order) for i in range(num_agents)]
        return {"priorities": 1 - np.array(rank) / (num_agents + 1)}

    def is_out_in(self, t: int) -> np.ndarray:
        """Who is off the board in step t, `[N]` bool."""
        return self.arrays["out"][t]

    def moves(self, t: int) -> dict[int, tuple[Cell, Cell, bool]]:
        """Who is on the board in step t: from which cell to which it wants to go, and whether it got there."""
        before, after = as_cells(self.arrays["positions"][t]), as_cells(self.arrays["positions"][t + 1])
        actions, headings = self.arrays["actions"][t].tolist(), self.arrays["headings"][t].tolist()
        targets = [target_cell(*what, self.arrays["walls"]) for what in zip(actions, before, headings, strict=True)]
        on_board = np.flatnonzero(~self.arrays["out"][t]).tolist()
        return {i: (before[i], targets[i], after[i] == targets[i] != before[i]) for i in on_board}

    def infer_respawns(self, t: int) -> np.ndarray:
        """The uniforms by which agents come back where they did in step t."""
        was_out, is_out = self.is_out_in(t), self.arrays["out"][t + 1]
        after = as_cells(self.arrays["positions"][t + 1])
        taken = {after[i] for i in np.flatnonzero(~was_out)}
        free = [cell for cell in as_cells(self.env.spawn_cells) if cell not in taken]
        uniforms = np.full(len(after), 0.5)
        for place, i in enumerate(np.flatnonzero(was_out & ~is_out)):
            other = free.index(after[i])
            uniforms[place] = (other - place + 0.5) / (len(free) - place)
            free[place], free[other] = free[other], free[place]
        return uniforms

    def is_contested(self, t: int) -> bool:
        """Whether in step t several agents want one cell, or one wants that of another that wants to leave it."""
        movers = [(here, target) for here, target, _ in self.moves(t).values() if here != target]
        wanted = collections.Counter(target for _, target in movers)
        return max(wanted.values(), default=0) > 1 or any(here in wanted for here, _ in movers)

    def expected(self) -> dict[str, np.ndarray]:
        """What each step has to give, leading axis T, named as in `play`."""
        arrays, after = self.arrays, vars(jax.tree.map(lambda leaf: np.asarray(leaf[1:]), self.states()))
        for name in {"hits", "fired", "rays", "cleaned_at"} & set(after):  # are not recorded in this form
            del after[name]
        hits = {
            "hits_received": arrays["zaps"].sum(1),
            "hits_given": arrays["zaps"].sum(2),
            "tagged": arrays["out"][1:],
        }
        after |= hits | {"collected": arrays["eaten"], "rewards": arrays["rewards"], "terminated": arrays["done"]}
        after["beams"] = arrays["zap_cells"]
        return after | ({"cleaned": arrays["cleaned"], "clean_beams": arrays["clean_cells"]} if self.has_river else {})

    def play(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """What our game makes of the recorded moments in which the given steps begin, by name."""
        moments = jax.tree.map(lambda leaf: leaf[steps], self.states())
        actions = np.asarray(self.arrays["actions"][steps], np.int32)
        state, rewards, terminated, info = compiled_steps(self.env)(self.draws(steps), moments, actions, self.params)
        given = vars(state) | info | {"rewards": rewards, "terminated": terminated}
        given = {name: np.array(values) for name, values in given.items()}
        means_nothing = self.arrays["out"][steps] & self.arrays["out"][steps + 1]
        for name in ("positions", "headings"):
            given[name][means_nothing] = self.arrays[name][steps + 1][means_nothing]
        given["beams"] = self.find_lit_cells(given, given["fired"])
        return given | ({"clean_beams": self.find_lit_cells(given, given["cleaned_at"])} if self.has_river else {})

    def find_lit_cells(self, given: dict[str, np.ndarray], is_seen: np.ndarray) -> np.ndarray:
        """The cells that the rays of the agents `is_seen` cover, `[T, H, W]` bool."""
        lit = np.zeros((len(is_seen), *self.arrays["walls"].shape), bool)
        for t, i in np.argwhere(is_seen):
            for ray, length in enumerate(given["rays"][t, i]):
                right = ray - len(given["rays"][t, i]) // 2
                for distance in range(length):
                    forward = distance + (right == 0)
                    lit[t][cell_at(given["positions"][t, i], given["headings"][t, i], forward, right)] = True
        return lit

    def find_differences(self, num_steps: int) -> dict[str, list[int]]:
        """The first steps in which our game gives something else than the recording, by what it gives."""
        expected = self.expected()
        differences: dict[str, list[int]] = {}
        for first in range(0, num_steps, STEPS_AT_ONCE):
            steps = np.minimum(np.arange(first, first + STEPS_AT_ONCE), num_steps - 1)
            given = self.play(steps)
            for name, values in expected.items():
                is_wrong = (given[name] != values[steps]).reshape(len(steps), -1).any(1)
                differences[name] = sorted({*differences.get(name, []), *steps[is_wrong].tolist()})
        return {name: wrong for name, wrong in differences.items() if wrong}


@functools.cache
def compiled_steps(env: Any) -> Any:
    """`transition` of many moments at once, jitted once per environment."""
    return jax.jit(jax.vmap(env.transition, (0, 0, 0, None)))


def find_order(moves: dict[int, tuple[Cell, Cell, bool]]) -> list[int] | None:
    """An order in which agents that move one after the other get where they got; None if there is none.

    Args:
      moves: of each agent still to move or standing: its cell, the cell that it wants, and whether it gets there.
    """
    return extend_order([i for i, (here, target, _) in moves.items() if here != target], moves)


def extend_order(waiting: list[int], moves: dict[int, tuple[Cell, Cell, bool]]) -> list[int] | None:
    """As `find_order`, of those that still wait for their turn."""
    taken = {target if has_moved and i not in waiting else here for i, (here, target, has_moved) in moves.items()}
    for i in waiting:
        _, target, has_moved = moves[i]
        if (target not in taken) == has_moved:
            rest = extend_order([j for j in waiting if j != i], moves)
            if rest is not None:
                return [i, *rest]
    return None if waiting else []
