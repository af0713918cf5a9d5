"""Files of demonstrations: written as they come, read with every check; docs/demonstrations.md has the format."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from baselines.core.trainer import check_unreset_game
from baselines.demonstrations.block_format import BlockWriter, Contents, read_arrays, read_contents, read_header
from baselines.demonstrations.headers import EndMark, Header, Origin, check_header
from baselines.demonstrations.records import (
    Demonstrations,
    check_contents,
    check_demonstrations,
    check_observations,
    check_whole,
    ends,
    episode_returns,
    from_arrays,
    num_whole,
    take,
    to_arrays,
)
from baselines.disk.schema import read_json
from baselines.disk.writing import check_path, note_without_checksum
from jaxdilemmas.arguments import check_flag, check_kind
from jaxdilemmas.environment import Environment

BLOCK_BYTES = 64 * 2**20
"""About so much is played and written, and may be lost in an interruption, at a time."""


class Written(NamedTuple):
    """What is in a file so far.

    Attributes:
      num_episodes: E.
      num_transitions: M.
      returns: `[N]`, sums over episodes.
      last_episode: the number of the last one.
    """

    num_episodes: int
    num_transitions: int
    returns: np.ndarray
    last_episode: int


class Writer:
    """Writes demonstrations as they come; a context that sets the end mark however it is left.

    The file appears with the first episodes, and holds whole episodes alone at any time; see `load`.

    Args:
      path: the file, where there must be nothing. Its directory is made if need be.
      header: what the demonstrations are of.
      is_streamed: whether the file appears with the first episodes; else it appears, whole, when the context is left
        without an error.

    Raises:
      ValueError: something is at the path, another process writes it, or the header holds values that no file can hold.
      OSError: the file, or its directory, cannot be written to. `write` and `close` raise it too, with what was
        written before in the file still.
    """

    def __init__(self, path: str | Path, header: Header, is_streamed: bool = True) -> None:
        check_path(path)
        check_kind("header", header, Header, "a Header, as describe(env) returns it")
        check_flag("is_streamed", is_streamed)
        content = dataclasses.asdict(header.origin)
        self._header = Header(**vars(read_json(f"{path}: header", json.dumps(content), Origin)), path=str(path))
        self._is_streamed = is_streamed
        self._blocks: BlockWriter[Written] = BlockWriter(Path(path), content, is_streamed)

    @property
    def header(self) -> Header:
        """What the demonstrations are of, with counts of what is in the file."""
        return self._header.with_counts(*self._written[:3])

    @property
    def is_finished(self) -> bool:
        """Whether the end mark is set."""
        return self._blocks.is_finished

    @property
    def _written(self) -> Written:
        return self._blocks.note or Written(0, 0, np.zeros(self._header.num_agents), -(2**31) - 1)

    def write(self, demonstrations: Demonstrations) -> None:
        """Adds whole episodes, whose numbers are above those of the episodes before.

        Raises:
          ValueError: they are of another game, unsound, or the last transition of an episode does not end it.
          OSError: the file cannot be written.
        """
        header, before = demonstrations.header, self._written
        header.require(header.origin == self._header.origin, "header", header.origin, f"the file is of {self._header}")
        check_contents(demonstrations)
        check_whole(demonstrations)
        first = int(demonstrations.episodes[0])
        header.require(first > before.last_episode, "episodes", first, f"above {before.last_episode}, which is written")
        returns = episode_returns(demonstrations)
        written = Written(
            num_episodes=before.num_episodes + len(returns),
            num_transitions=before.num_transitions + len(demonstrations.episodes),
            returns=before.returns + returns.sum(axis=0),
            last_episode=int(demonstrations.episodes[-1]),
        )
        self._blocks.write(to_arrays(demonstrations), written)

    def close(self) -> None:
        """Sets the end mark."""
        self._blocks.close(self.header.counts)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or self._is_streamed:
            self.close()
        else:
            self._blocks.discard()


def load_header(path: str | Path) -> Header:
    """What a file of demonstrations says of itself, without counts; only its first frame is read and checked.

    Args:
      path: what `Writer` wrote.

    Raises:
      ValueError: the file is missing, cannot be read, or does not begin with a sound header.
    """
    check_path(path)
    try:
        return _parse_header(path, read_header(Path(path)))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def load(
    path: str | Path,
    env: Environment | None = None,
    env_id: str | None = None,
    is_partial_allowed: bool = False,
) -> Demonstrations:
    """Reads a file of demonstrations; in addition to the result, one block of the file is in memory at a time.

    Demonstrations are data: nothing that a file names is imported, made or called, whoever wrote the file.

    Args:
      path: what `Writer` wrote.
      env: the game that they must be of; any if left out.
      env_id: its id, which is compared if it is given with `env`.
      is_partial_allowed: whether a file that is cut off or damaged is read up to its last whole block of episodes, and
        one with an episode that never ends up to that.

    Raises:
      ValueError: the file is missing, cut off, damaged, of something else, or of another game (see `check_fits`);
        or an argument is of another kind. The message names it and the field.
    """
    check_path(path)
    check_flag("is_partial_allowed", is_partial_allowed)
    if env is not None:
        check_unreset_game(env)
    try:
        contents = read_contents(Path(path))
        header = _parse_header(path, contents.header)
        if env is not None:
            check_header(header, env, env_id)
        where = f"cut off or damaged before its first whole episode: {contents.damage}" if contents.damage else "empty"
        header.require(bool(contents.blocks), "num_episodes", 0, f"at least 1: the file is {where}")
        demonstrations = from_arrays(header, read_arrays(contents))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    _check_end(contents, demonstrations)
    if is_partial_allowed and num_whole(demonstrations) < len(demonstrations.episodes):
        demonstrations = take(demonstrations, slice(num_whole(demonstrations)))
    check_whole(demonstrations)
    _check_is_complete(contents, demonstrations.header, is_partial_allowed)
    if env is not None:
        check_observations(demonstrations, env)
    return demonstrations


def _parse_header(path: str | Path, content: bytes) -> Header:
    """The header of a file from its JSON; raises a ValueError that names the file and the field."""
    return Header(**vars(read_json(f"{path}: header", content, Origin)), path=str(path))


def _check_end(contents: Contents, demonstrations: Demonstrations) -> None:
    """Raises a ValueError unless the end mark, if the file has one, agrees with the content."""
    if contents.summary is None:
        return
    header = demonstrations.header
    said = read_json(f"{contents.path}: end mark", contents.summary, EndMark)
    for name in ("num_episodes", "num_transitions"):
        number = getattr(header, name)
        header.require(number == getattr(said, name), name, number, f"the end mark says {getattr(said, name)}")
    size = np.abs(demonstrations.rewards).sum(axis=0, dtype=np.float64) / header.num_episodes
    is_same = len(said.returns) == len(header.returns) and np.allclose(
        np.divide(said.returns, np.maximum(size, 1)), np.divide(header.returns, np.maximum(size, 1)), rtol=0, atol=1e-9
    )
    header.require(is_same, "returns", header.returns, f"the end mark says {said.returns}")
    if said.sha256 is None:
        note_without_checksum(contents.path)


def _check_is_complete(contents: Contents, header: Header, is_partial_allowed: bool) -> None:
    """Raises a ValueError, if a part is not allowed, that names how to get the part."""
    if contents.damage and not is_partial_allowed:
        raise ValueError(
            f"{contents.path} is cut off or damaged: its first {header.num_episodes} whole episodes, "
            f"{header.num_transitions} transitions, can be read with is_partial_allowed=True, and copied with "
            f"python -m baselines.demonstrate --partial {contents.path}; {contents.damage}"
        )


def save(path: str | Path, demonstrations: Demonstrations) -> None:
    """Writes demonstrations into a new file, which appears when it is whole; see `Writer`."""
    check_path(path)
    check_demonstrations(demonstrations)
    last = ends(demonstrations)
    num_rows = max(1, BLOCK_BYTES // sum(array[:1].nbytes for array in to_arrays(demonstrations).values()))
    with Writer(path, demonstrations.header, is_streamed=False) as writer:
        start = 0
        while start < len(demonstrations.episodes):
            block = last[(last >= start) & (last < start + num_rows)]
            stop = int(block[-1] if len(block) else last[last >= start][0]) + 1
            writer.write(take(demonstrations, slice(start, stop)))
            start = stop
