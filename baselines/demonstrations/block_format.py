"""The file format of demonstrations: arrays, block by block, of which nothing is ever executed.

A file is the line `MAGIC` and then frames, each of them a kind (4 bytes), the length of its content in bytes (8, little
endian), the CRC-32 of its content (4) and the content:
  HEAD: JSON, what all blocks have in common; the first frame.
  DATA: a block, arrays by name with one leading axis, as safetensors.
  END.: JSON, a summary; the last frame. A file without it was not finished.
Blocks (in the metadata of safetensors) and the end mark have a field `sha256`, the checksum of kind, length and CRC of
all frames before them, so that none can be altered, left out or moved.
"""

import hashlib
import json
import os
import struct
import weakref
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

import numpy as np
import safetensors
import safetensors.numpy
from pydantic_core import from_json

from baselines.disk.writing import CHECKSUM, DamagedError, GrowingFile, hold_new_file, naming
from jaxdilemmas.arguments import require, show

MAGIC = b"jaxdilemmas blocks 1\n"
HEAD, DATA, END = b"HEAD", b"DATA", b"END."

MOST_FRAME_BYTES = {HEAD: 2**24, DATA: 2**32, END: 2**24}
"""The longest content of a frame that is written or read: one is in memory at a time."""

_PREFIX = struct.Struct("<4sQI")

T = TypeVar("T")


class _Whole(NamedTuple, Generic[T]):
    """The frames up to one that is written to its end.

    Attributes:
      length: of the file so far, in bytes.
      digest: SHA-256 of the prefixes of the frames, the header among them from the start.
      note: what the caller keeps about them.
    """

    length: int
    digest: Any
    note: T


class BlockWriter(Generic[T]):
    """Writes a file, block by block. It holds a lock until it is closed.

    A block is in the file as a whole or not at all, wherever its writing is interrupted: `note`, and with it what the
    end mark says, is read off the length of the file.

    Args:
      path: the file, where there must be nothing. Its directory is made if need be.
      header: of plain values, as for JSON.
      is_streamed: whether the file appears with its first block; else it appears, whole, when it is closed.

    Raises:
      ValueError: something is at `path`, or another process writes it.
      OSError: the directory cannot be made or written to.

    Attributes:
      is_finished: whether the end mark is set.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], is_streamed: bool = True) -> None:
        self.is_finished = False
        self._path = path
        self._is_streamed = is_streamed
        self._head = _frame(HEAD, _to_json(header))
        self._whole: _Whole[T | None] = _Whole(0, hashlib.sha256(self._head[: _PREFIX.size]), None)
        self._pending: _Whole[T | None] | None = None
        self._file: GrowingFile | None = None
        self._stack = ExitStack()
        self._stack.enter_context(hold_new_file(path))
        weakref.finalize(self, self._stack.close)  # gives the lock back if nobody closes the writer

    @property
    def note(self) -> T | None:
        """What was given with the last block that is in the file as a whole; None if there is none."""
        return self._settle().note

    def write(self, arrays: Mapping[str, np.ndarray], note: T) -> None:
        """Adds a block.

        Args:
          arrays: `[M, ...]` by name.
          note: of the file with this block.

        Raises:
          ValueError: the block is too long.
          OSError: it cannot be written; the blocks before it are in the file still.
        """
        in_rows = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # safetensors asks for that
        whole = self._settle()
        digest = whole.digest.copy()
        frame = _frame(DATA, safetensors.numpy.save(in_rows, {CHECKSUM: digest.hexdigest()}))
        digest.update(frame[: _PREFIX.size])
        content = frame if whole.length else MAGIC + self._head + frame
        self._pending = _Whole(whole.length + len(content), digest, note)
        with naming(self._path):
            file = self._open()
            file.append(content)
            if self._is_streamed and file.path != self._path:
                file.rename_to_new(self._path)

    def close(self, summary: Mapping[str, Any]) -> None:
        """Sets the end mark behind the last whole block; without any block there is no file.

        Raises:
          OSError: it cannot be written, or the file was removed meanwhile.
          ValueError: the file is not streamed, and something is at its path now.
        """
        try:
            whole = self._settle()
            if self._file is not None and whole.length:
                with naming(self._path):
                    self._file.append(_frame(END, _to_json({**summary, CHECKSUM: whole.digest.hexdigest()})))
                    self.is_finished = True
                    self._file.flush()
                    self._file.check_is_there()
                    if self._file.path != self._path:
                        self._file.rename_to_new(self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Closes without an end mark; a file that has not appeared is removed."""
        with self._stack:
            if self._file is not None:
                self._file.close()
                if self._file.path != self._path:
                    with suppress(OSError):
                        self._file.path.unlink()
                self._file = None

    def _open(self) -> GrowingFile:
        """The file beside `path`, or what it has become."""
        if self._file is None:
            beside = self._path.with_name(f".{self._path.name}.part")
            beside.unlink(missing_ok=True)  # of a process that was killed
            self._file = GrowingFile(beside, is_new=True)
        return self._file

    def _settle(self) -> "_Whole[T | None]":
        """Drops a block whose writing was interrupted, and returns what is whole."""
        if self._pending is not None and self._file is not None and self._file.settle() >= self._pending.length:
            self._whole = self._pending
        self._pending = None
        return self._whole


class Block(NamedTuple):
    """Where a block stands: the first byte of its frame, and M, the length of its arrays."""

    position: int
    num_rows: int


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
      path: the file.
      header: JSON, as it was given to the writer.
      blocks: those that can be read, in order; all have arrays of the same names, shapes and dtypes.
      summary: JSON, as it was given to the writer, and `sha256`; None if the file ends, or is damaged, before it.
      damage: why there is no summary; empty if there is one.
    """

    path: Path
    header: bytes
    blocks: list[Block]
    summary: bytes | None
    damage: str


def read_header(path: Path) -> bytes:
    """The header of a file, JSON as it was given to the writer; what follows it is not read.

    Raises:
      ValueError: the file is missing, or does not begin as `BlockWriter` begins it.
      OSError: it cannot be read.
    """
    with _opened(path) as file:
        return _read_head(path, file)


def read_contents(path: Path) -> Contents:
    """Looks through a file and compares every checksum, with one block in memory at a time.

    Raises:
      ValueError: the file is missing, does not begin as `BlockWriter` begins it, or has a block that is no block, or
        is not like the first one.
      OSError: it cannot be read.
    """
    with _opened(path) as file:
        header = _read_head(path, file)
        digest = hashlib.sha256(_PREFIX.pack(HEAD, len(header), zlib.crc32(header)))
        blocks: list[Block] = []
        layout: dict[str, Any] = {}
        while True:
            position = file.tell()
            try:
                kind, content = _read_frame(file, (DATA, END))
                if kind == END and file.read(1):
                    raise DamagedError("there is something behind the end mark")
                if _checksum(kind, content) not in (None, digest.hexdigest()):
                    del blocks[-1:]  # which may be altered, or in another place
                    raise DamagedError("the frames before do not have the checksum that was written behind them")
            except DamagedError as error:
                return Contents(path, header, blocks, None, f"at byte {position:,}, {error}")
            if kind == END:
                return Contents(path, header, blocks, content, "")
            arrays = _arrays(content, f"{path}: the block at byte {position:,}")
            layout = layout or _layout(arrays)
            _check_layout(path, _layout(arrays), layout)
            blocks.append(Block(position, len(next(iter(arrays.values())))))
            digest.update(_PREFIX.pack(kind, len(content), zlib.crc32(content)))


def read_arrays(contents: Contents) -> dict[str, np.ndarray]:
    """The arrays of all blocks, joined along the leading axis; in addition to these, one block is in memory at a time.

    Raises:
      ValueError: the file was changed since it was looked through.
      OSError: it cannot be read.
    """
    joined: dict[str, np.ndarray] = {}
    num_rows, done = sum(block.num_rows for block in contents.blocks), 0
    with naming(contents.path), contents.path.open("rb") as file:
        for block in contents.blocks:
            file.seek(block.position)
            try:
                _, content = _read_frame(file, (DATA,))
            except DamagedError as error:
                raise ValueError(f"{contents.path} was changed while it was read: {error}") from None
            arrays = _arrays(content, f"{contents.path}: the block at byte {block.position:,}")
            if len(next(iter(arrays.values()))) != block.num_rows:
                raise ValueError(f"{contents.path} was changed while it was read")
            joined = joined or {name: np.empty((num_rows, *a.shape[1:]), a.dtype) for name, a in arrays.items()}
            _check_layout(contents.path, _layout(arrays), _layout(joined))
            for name, array in arrays.items():
                joined[name][done : done + block.num_rows] = array
            done += block.num_rows
    return joined


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, or a ValueError if there is none."""
    if not path.is_file():
        raise ValueError(f"{path} is {'not a file' if path.exists() else 'missing'}")
    with naming(path), path.open("rb") as file:
        yield file


def _read_head(path: Path, file: BinaryIO) -> bytes:
    """The content of the first frame, or a ValueError if the file begins in another way."""
    try:
        if file.read(len(MAGIC)) != MAGIC:
            raise DamagedError("its first line is another one")
        return _read_frame(file, (HEAD,))[1]
    except DamagedError as error:
        raise ValueError(f"{path} is not a file of demonstrations, or cut off in its header: {error}") from None


def _frame(kind: bytes, content: bytes) -> bytes:
    """A frame as bytes, or a ValueError if it is too long."""
    most = MOST_FRAME_BYTES[kind]
    require(len(content) <= most, f"bytes of {kind.decode()}", len(content), f"at most {most:,}: write less at a time")
    return _PREFIX.pack(kind, len(content), zlib.crc32(content)) + content


def _read_frame(file: BinaryIO, kinds: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """Kind and content of the frame that begins where the file stands.

    Raises:
      DamagedError: it is cut off or altered, or of another kind; the message names the fault.
    """
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        raise DamagedError("the file ends")
    kind, length, checksum = _PREFIX.unpack(prefix)
    if kind not in kinds:
        raise DamagedError(f"there is {show(kind)} where {' or '.join(map(show, kinds))} is expected")
    if length > MOST_FRAME_BYTES[kind]:
        raise DamagedError(f"{length:,} bytes are announced, where at most {MOST_FRAME_BYTES[kind]:,} are read")
    if length > os.fstat(file.fileno()).st_size - file.tell():
        raise DamagedError(f"the file ends before the {length:,} bytes that are announced")
    content = file.read(length)
    if zlib.crc32(content) != checksum:
        raise DamagedError("the checksum is another one")
    return kind, content


def _arrays(content: bytes, where: str) -> dict[str, np.ndarray]:
    """The arrays of a block, or a ValueError that names the fault."""
    try:
        arrays = safetensors.numpy.load(content)
    except KeyError as error:  # a dtype that safetensors knows and NumPy does not
        raise ValueError(f"{where} has an array of the dtype {show(error.args[0])}, which NumPy lacks") from None
    except (safetensors.SafetensorError, ValueError, TypeError) as error:
        raise ValueError(f"{where} is no block of arrays: {show(str(error))[1:-1]}") from None
    lengths = {name: array.shape[:1] for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or () in lengths.values():
        shown = show({name: array.shape for name, array in arrays.items()})
        raise ValueError(
            f"{where} has arrays of the shapes {shown}: one or more, with the same leading axis, are needed"
        )
    return arrays


def _checksum(kind: bytes, content: bytes) -> Any:
    """The checksum in a frame of those before it; None where there is none, as in earlier versions, or no sense."""
    try:
        if kind == END:
            return from_json(content).get(CHECKSUM)
        return from_json(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"][CHECKSUM]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _layout(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What all blocks have in common."""
    return {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}


def _check_layout(path: Path, layout: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    """Raises a ValueError that names the first array that is not as in the first block."""
    for name in sorted(layout.keys() | first.keys()):
        if layout.get(name) != first.get(name):
            raise ValueError(f"{path}: the array {show(name)} is not the same in all blocks")


def _to_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
