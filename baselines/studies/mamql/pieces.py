"""The pieces of the study of MAMQL, the demonstrations that they learn from, and the rows that they leave on disk."""

import dataclasses
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

import jaxdilemmas
from baselines.analysis.tables import Row
from baselines.demonstrations import Demonstrations, describe, import_gems, load, record, save
from baselines.disk.schema import Count, CountOrZero, Finite, Line, Seed, read_json
from baselines.disk.writing import read_file
from baselines.studies.side_by_side import Stage, report
from baselines.trained.load import find_player
from jaxdilemmas.arguments import require

if TYPE_CHECKING:
    from baselines.studies.mamql.options import Options

TRAIN, EVALUATE, EXPLORE, RETRAIN, FOLLOW = range(5)
"""Purposes of keys."""

RECORDED = "recorded"
"""The expert of the recorded Gems data."""

HELD_OUT = 0.1
"""The share of the episodes that nobody learns from, unless more demonstrations are asked for than the others have."""

NUM_RECORDED = 20_000
"""Transitions of the recorded Gems data; of other experts on Gems as many are recorded."""


class Piece(NamedTuple):
    """One training or comparison: a row of results.

    Attributes:
      stage: of the study.
      game: its id.
      expert: who is imitated; see `Options.experts`.
      method: one of `METHODS`; in stage retrain also `TRUE_REWARD`.
      size: transitions of demonstrations; all there are if these are fewer.
      seed: of the demonstrations drawn and of the training.
    """

    stage: str
    game: str
    expert: str
    method: str
    size: int
    seed: int

    @property
    def label(self) -> str:
        """A name for what is learnt; stages that need the same imitator share it."""
        return f"{self.game}-{short_name(self.expert)}-{self.method}-{self.size}-seed_{self.seed}"


def short_name(expert: str) -> str:
    """A name for files: of a run the last part of its directory."""
    return Path(expert).name


def key_of(name: str, purpose: int) -> jax.Array:
    """A JAX PRNG key for one use; every name and purpose has its own."""
    return jax.random.fold_in(jax.random.key(zlib.crc32(name.encode())), purpose)


# Demonstrations


class Source(NamedTuple):
    """Demonstrations that pieces learn from: the game, the expert, and the largest number of transitions asked for."""

    game: str
    expert: str
    size: int

    @property
    def label(self) -> str:
        """A name for people."""
        return f"{self.game}-{short_name(self.expert)}"


def wanted_sources(options: "Options") -> list[Source]:
    """The demonstrations of the rows that are not done."""
    sizes: dict[tuple[str, str], int] = {}
    for piece in options.pieces:
        if not options.row_file(piece).is_file():
            sizes[piece.game, piece.expert] = max(sizes.get((piece.game, piece.expert), 0), piece.size)
    return [Source(*source, size) for source, size in sizes.items()]


def has_demonstrations(options: "Options", source: Source) -> bool:
    """Whether the demonstrations are on disk; raises a ValueError if these are fewer, or not those of the game."""
    path = options.demonstrations_file(source.game, source.expert)
    if not path.is_file():
        return False
    found = load(path, jaxdilemmas.make(source.game), source.game).header.num_transitions
    allowed = f"the study in {options.output} has {found} transitions of {short_name(source.expert)}"
    require(source.expert == RECORDED or found >= source.size, "sizes", source.size, allowed)
    return True


def save_demonstrations(options: "Options", source: Source) -> None:
    """Records the demonstrations of an expert."""
    report("playing")
    save(options.demonstrations_file(source.game, source.expert), make_demonstrations(options, source))


def make_demonstrations(options: "Options", source: Source) -> Demonstrations:
    """Demonstrations of an expert: on Gems as many as are recorded, else `size` and those that are held out."""
    if source.expert == RECORDED:
        assert options.recording is not None  # checked with the options
        return import_gems(options.recording)
    player = find_player(source.expert, source.game, {})
    header = describe(player.env, source.game, {}, short_name(source.expert))
    is_gems = source.game == "gems"
    needed = max(source.size, NUM_RECORDED) if is_gems else round(1.1 * source.size / (1 - HELD_OUT))
    total = max(needed, 1 + int(player.env.default_params.max_steps))  # two episodes, so that one can be held out
    return record(player, key_of(source.label, EVALUATE), num_transitions=total, header=header)


DEMONSTRATIONS = Stage(
    name="demonstrations", pieces=wanted_sources, is_done=has_demonstrations, work=save_demonstrations
)
"""The demonstrations that the other stages learn from."""


# Rows


@dataclasses.dataclass(frozen=True)
class Weight:
    """The weight of an event for an agent."""

    agent: CountOrZero
    event: Line
    weight: float


Numbers = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """The row of a piece as its file holds it: the fields of `Piece`, and what was measured.

    Attributes:
      transitions: of demonstrations that were there.
      expert_return: mean over agents and episodes.
      numbers: by name; NaN where one is not defined.
      agents: scores of rewards by name, of each agent.
      weights: of events by the constrained regression.
      fitted_on_demonstrated: steps of demonstrations that it read.
      fitted_on_explored: steps with random actions that it read.
      successor_weights: of events by what follows actions.
      gap: why there are no rewards.
    """

    stage: Line
    game: Line
    expert: Line
    method: Line
    size: Count
    seed: Seed
    transitions: Count | None = None
    expert_return: Finite
    numbers: Numbers
    agents: tuple[Numbers, ...] = ()
    weights: tuple[Weight, ...] = ()
    fitted_on_demonstrated: Count | None = None
    fitted_on_explored: Count | None = None
    successor_weights: tuple[Weight, ...] = ()
    gap: Line | None = None

    def flat(self) -> Row:
        """Numbers and means of scores over agents by column; what is not there is left out."""
        row = {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, ())}
        agents, numbers = row.pop("agents", ()), row.pop("numbers")
        return row | numbers | {name: float(np.mean([a[name] for a in agents])) for name in (*agents, {})[0]}


def read_rows(options: "Options", *stages: str) -> list[Row]:
    """The rows of these stages, or of all, that are on disk, in the order of the pieces.

    Raises:
      ValueError: a row is damaged, or that of another piece; the message names the file and the field.
    """
    rows = []
    for piece in options.pieces:
        path = options.row_file(piece)
        if (not stages or piece.stage in stages) and path.is_file():
            result = read_json(path, read_file(path), Result)
            for name, value in (piece._asdict() | {"expert": short_name(piece.expert)}).items():
                require(getattr(result, name) == value, f"{path}: {name}", getattr(result, name), f"{value!r} there")
            rows.append(result.flat())
    return rows
