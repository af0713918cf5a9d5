"""The last two train states of a run, to resume from."""

import errno
import logging
import math
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from baselines.disk.packing import pack, unpack
from baselines.disk.writing import DamagedError, checksum, make_directory, note_without_checksum
from jaxdilemmas.arguments import require, show

CHECKSUM = "checkpoint.sha256"
"""Name of the array `[32]` uint8 with the checksum of the arrays of the train state."""

ROWS = "checkpoint.rows.sha256"
"""Name of the array `[32]` uint8 with the checksum of the rows of metrics.csv up to the checkpoint."""

MOST_KEPT = 2
"""The one before the last is there if the last is damaged."""

SPARE_BYTES = 2**20
"""A checkpoint that unpacks to more than this and twice the train state of a run is not read."""


class Restored(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      update: the number of updates after which it was saved.
      train_states: of all seeds, leading axis S.
      rows: checksum of the rows of metrics.csv up to it, 32 bytes; empty in checkpoints of earlier versions.
    """

    update: int
    train_states: Any
    rows: bytes


class Checkpoints:
    """The last two train states of a run, each in a directory that orbax writes as a whole or not at all.

    Args:
      path: the directory; made if need be.

    Raises:
      OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        import orbax.checkpoint as ocp

        make_directory(path)
        self._path = path
        self._args = ocp.args
        handler = ocp.CompositeCheckpointHandler(
            composite_options=ocp.CompositeOptions(_alone()),
            default=ocp.StandardCheckpointHandler(multiprocessing_options=_alone()),
        )
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax quotes damaged files as they are
        self._checkpointer = ocp.Checkpointer(handler, multiprocessing_options=_alone())

    def _updates(self) -> list[int]:
        """The numbers of updates after which checkpoints were saved, in order."""
        names = [path.name for path in self._path.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if re.fullmatch("[1-9][0-9]*", name))

    def latest(self) -> int:
        """The number of updates after which the last one was saved; 0 if there is none."""
        return max(self._updates(), default=0)

    def restore_latest(self, template: Any) -> Restored:
        """Reads the last train state that is whole: the one before where the last is damaged.

        Args:
          template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

        Raises:
          ValueError: none can be read, or it is of another algorithm, network or game; the message names it.
        """
        error: DamagedError | None = None
        for update in reversed(self._updates()):
            try:
                return self.restore(update, template)
            except DamagedError as damaged:
                error = error or damaged
        raise error or ValueError(f"{self._path} holds no checkpoint")

    def drop_after(self, update: int) -> None:
        """Deletes those of later updates than `update`."""
        for later in self._updates():
            if later > update:
                shutil.rmtree(self._path / str(later))

    def save(self, update: int, arrays: dict[str, np.ndarray], rows: bytes) -> None:
        """Saves a packed train state after `update` updates, unless that is done, and deletes all but the last two.

        Args:
          update: the number of updates that are done.
          arrays: the train state by `packing.pack`.
          rows: checksum of the rows of metrics.csv up to here, 32 bytes.

        Raises:
          OSError: it cannot be written; those before it stay.
        """
        path = self._path / str(update)
        if not self._path.is_dir():
            raise FileNotFoundError(errno.ENOENT, "removed while the run went on", str(self._path))
        if update <= self.latest():
            return
        content = arrays | {ROWS: np.frombuffer(rows, np.uint8)}
        content[CHECKSUM] = np.frombuffer(bytes.fromhex(checksum(content)), np.uint8)
        try:
            self._checkpointer.save(path.absolute(), self._args.Composite(default=self._args.StandardSave(content)))
        except Exception as error:  # orbax and tensorstore raise many kinds
            raise OSError(getattr(error, "errno", None) or errno.EIO, first_line(error), str(path)) from error
        for earlier in self._updates()[:-MOST_KEPT]:
            shutil.rmtree(self._path / str(earlier))

    def restore(self, update: int, template: Any) -> Restored:
        """Reads the train state after `update` updates.

        Args:
          update: one that was saved.
          template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

        Raises:
          DamagedError: it cannot be read, or was altered; the message names it.
          ValueError: it is of another algorithm, network or game; the message names it.
        """
        path = self._path / str(update)
        try:
            metadata = self._checkpointer.metadata(path.absolute()).item_metadata["default"]
            num_bytes, most = _num_bytes(metadata.tree), 2 * _num_bytes(jax.eval_shape(pack, template)) + SPARE_BYTES
            require(num_bytes <= most, "bytes", num_bytes, f"at most {most:,} are read")
            content = self._checkpointer.restore(
                path.absolute(), self._args.Composite(default=self._args.StandardRestore())
            )
            arrays = dict(content["default"])
        except Exception as error:  # orbax and tensorstore raise many kinds
            raise DamagedError(f"checkpoint {path} cannot be read: {first_line(error)}") from error
        for name, array in arrays.items():
            if not isinstance(array, jax.Array | np.ndarray):
                raise DamagedError(f"checkpoint {path} is damaged: {show(name)} is no array but {show(array)}")
        stored = arrays.pop(CHECKSUM, None)
        if stored is None:
            note_without_checksum(path)
        elif np.asarray(stored).tobytes() != bytes.fromhex(checksum(arrays)):
            raise DamagedError(f"checkpoint {path} is damaged: its values do not have the checksum that it holds")
        rows = np.asarray(arrays.pop(ROWS, ())).tobytes()
        try:
            return Restored(update, unpack(arrays, template), rows)
        except ValueError as error:
            raise ValueError(f"checkpoint {path} is of another run: {error}") from error

    def close(self) -> None:
        """Frees what orbax holds."""
        self._checkpointer.close()


def _alone() -> Any:
    """Options by which orbax waits for no other process: one process writes, whatever others compute with it."""
    from orbax.checkpoint.options import MultiprocessingOptions

    number = jax.process_index()
    return MultiprocessingOptions(primary_host=number, active_processes={number}, barrier_sync_key_prefix="jaxdilemmas")


def _num_bytes(tree: Any) -> int:
    """Of all leaves with a shape and a dtype."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in leaves)


def first_line(error: Exception) -> str:
    """The first line of an error, without control characters."""
    return show((str(error).strip().splitlines() or [type(error).__name__])[0])[1:-1]
