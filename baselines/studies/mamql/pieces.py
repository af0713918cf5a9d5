"""The pieces of the study of MAMQL, the demonstrations that they learn from, and the rows that they leave on disk."""

import dataclasses
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax

from baselines.analysis.tables import Row
from baselines.demonstrations import describe, load, record, save
from baselines.disk.schema import Count, Finite, Line, Seed, read_json
from baselines.disk.writing import read_file
from baselines.studies.mamql.methods import game_of
from baselines.trained.load import find_player
from jaxdilemmas.arguments import require

if TYPE_CHECKING:
    from baselines.studies.mamql.options import Options

TRAIN, EVALUATE, EXPLORE, FOLLOW = range(4)
"""Purposes of keys."""

HELD_OUT = 0.1
"""The share of the episodes that nobody learns from, unless more demonstrations are asked for than the others have."""


class Piece(NamedTuple):
    """One training: a row of results.

    Attributes:
      game: its id.
      expert: who is imitated; see `Options.experts`.
      method: one of `METHODS`.
      size: transitions of demonstrations; all there are if these are fewer.
      seed: of the demonstrations drawn and of the training.
    """

    game: str
    expert: str
    method: str
    size: int
    seed: int

    def __str__(self) -> str:
        """A name for files and for people."""
        return f"{self.game}-{short_name(self.expert)}-{self.method}-{self.size}-seed_{self.seed}"


def short_name(expert: str) -> str:
    """A name for files: of a run the last part of its directory."""
    return Path(expert).name


def is_file(expert: str) -> bool:
    """Whether an expert is a file of demonstrations."""
    return Path(expert).is_file()


def key_of(name: str, purpose: int) -> jax.Array:
    """A JAX PRNG key for one use; every name and purpose has its own."""
    return jax.random.fold_in(jax.random.key(zlib.crc32(name.encode())), purpose)


# Demonstrations


class Source(NamedTuple):
    """An expert, whose demonstrations pieces learn from."""

    game: str
    expert: str

    def __str__(self) -> str:
        """A name for files and for people."""
        return f"{self.game}-{short_name(self.expert)}"


def sources(options: "Options") -> list[Source]:
    """Whose demonstrations rows that are not done learn from."""
    todo = [piece for piece in options.pieces if not options.row_file(piece).is_file()]
    return list(dict.fromkeys(Source(piece.game, piece.expert) for piece in todo))


def has_demonstrations(options: "Options", source: Source) -> bool:
    """Whether the demonstrations are on disk; raises a ValueError if these are too few, or not those of the game."""
    path = options.demonstrations_file(source)
    if not path.is_file():
        return False
    found = load(path, game_of(source.game), source.game).header.num_transitions
    allowed = f"the study in {options.output} has {found} transitions of {short_name(source.expert)}"
    require(is_file(source.expert) or found >= max(options.sizes), "sizes", options.sizes, allowed)
    return True


def make_demonstrations(options: "Options", source: Source) -> None:
    """Records an expert: as many transitions as the largest size, and those that are held out."""
    player = find_player(source.expert, source.game, {})
    header = describe(player.env, source.game, {}, short_name(source.expert))
    two_episodes = 1 + int(player.env.default_params.max_steps)  # so that one can be held out
    total = max(round(1.1 * max(options.sizes) / (1 - HELD_OUT)), two_episodes)
    demonstrations = record(player, key_of(str(source), EVALUATE), num_transitions=total, header=header)
    save(options.demonstrations_file(source), demonstrations)


# Rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """The row of a piece as its file holds it: the fields of `Piece`, and what was measured.

    Attributes:
      transitions: of demonstrations that were there.
      expert_return: mean over agents and episodes.
      numbers: by name; NaN where one is not defined.
    """

    game: Line
    expert: Line
    method: Line
    size: Count
    seed: Seed
    transitions: Count
    expert_return: Finite
    numbers: dict[str, float]


def read_rows(options: "Options") -> list[Row]:
    """The rows that are on disk, in the order of the pieces: the fields of `Result`, with a column for each number.

    Raises:
      ValueError: a row is damaged, or that of another piece; the message names the file and the field.
    """
    rows = []
    for piece in options.pieces:
        path = options.row_file(piece)
        if path.is_file():
            row = dataclasses.asdict(read_json(path, read_file(path), Result))
            for name, value in (piece._asdict() | {"expert": short_name(piece.expert)}).items():
                require(row[name] == value, f"{path}: {name}", row[name], f"{value!r} there")
            rows.append(row | row.pop("numbers"))
    return rows
