"""Files of demonstrations to which episodes are added as they end."""

import itertools
from pathlib import Path

import numpy as np

from baselines.demonstrations import Header, Writer
from baselines.demonstrations.records import from_arrays
from baselines.disk.writing import check_is_free


class EpisodeFiles:
    """Writes each whole episode at once, so that a program that is killed has lost none.

    Args:
      path: the first file, where there must be nothing. After `finish` the next episode begins another one beside it,
        as in `name-2.demos`.
      header: what the demonstrations are of.

    Attributes:
      num_episodes: in all files.

    Raises:
      ValueError: something is at the path.
    """

    def __init__(self, path: Path, header: Header) -> None:
        check_is_free(path)
        self.num_episodes = 0
        self._path = path
        self._header = header
        self._writer: Writer | None = None

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        """Writes an episode, `[T, ...]` by name as in `records.to_arrays`, without its number.

        Raises:
          OSError: the file cannot be written.
        """
        if self._writer is None:
            self._writer = Writer(self._free_path(), self._header)
        numbers = np.full(len(arrays["obs"]), self.num_episodes, np.int32)
        self._writer.write(from_arrays(self._header, arrays | {"episodes": numbers}))
        self.num_episodes += 1

    def finish(self) -> str:
        """Sets the end mark of the file, with which it can be loaded; returns what there is, in one sentence.

        Raises:
          OSError: the file cannot be written.
        """
        if self._writer is None:
            return "no episode has ended since the last file"
        writer, self._writer = self._writer, None
        writer.close()
        return f"{writer.header.num_episodes} whole episodes are in {writer.header.path}"

    def _free_path(self) -> Path:
        """The path, or the first one with a number that is free."""
        others = (self._path.with_stem(f"{self._path.stem}-{k}") for k in itertools.count(2))
        return next(path for path in itertools.chain([self._path], others) if not path.exists())
