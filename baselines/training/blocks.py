"""The file format of demonstrations: arrays, block by block, of which nothing is ever executed.

A file is the line `MAGIC` and then frames, each of them a kind (4 bytes), the length of its content in bytes (8, little
endian), the CRC-32 of its content (4) and the content:
  HEAD: JSON, what all blocks have in common; the first frame.
  DATA: a block, arrays by name with one leading axis, as safetensors.
  END.: JSON, a summary; the last frame. A file without it was not finished.
"""

import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

MAGIC = b"jaxdilemmas blocks 1\n"
HEAD, DATA, END = b"HEAD", b"DATA", b"END."

_PREFIX = struct.Struct("<4sQI")


class BlockWriter:
    """Writes a file. It appears with its first block, and after each block all that stands in it can be read.

    Args:
      path: the file, which must not exist.
      header: of plain values, as for JSON.

    Raises:
      ValueError: the file exists.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        if path.exists():
            raise ValueError(f"{path} exists: choose another name; no file is overwritten")
        self._path = path
        self._start = MAGIC + _frame(HEAD, _to_json(header))
        self._file: BinaryIO | None = None
        self._length = 0

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Adds a block: arrays `[M, ...]` by name."""
        in_rows = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # safetensors asks for that
        frame = _frame(DATA, safetensors.numpy.save(in_rows))
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")
            frame = self._start + frame
        self._file.write(frame)
        self._file.flush()
        self._length += len(frame)

    def close(self, summary: Mapping[str, Any]) -> None:
        """Sets the end mark behind the last whole block; without any block there is no file."""
        if self._file is None:
            return
        with self._file as file:
            file.truncate(self._length)  # drops the part of a block whose writing was interrupted
            file.seek(self._length)
            if self._length:
                file.write(_frame(END, _to_json(summary)))
        if not self._length:
            self._path.unlink()


class Block(NamedTuple):
    """Where a block stands: the first byte of its frame, and M, the length of its arrays."""

    position: int
    num_rows: int


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
      path: the file.
      header: as it was given to the writer.
      blocks: those that can be read, in order.
      summary: as it was given to the writer; None if the file ends, or is damaged, before its end mark.
    """

    path: Path
    header: dict[str, Any]
    blocks: list[Block]
    summary: dict[str, Any] | None


def read_contents(path: Path) -> Contents:
    """Looks through a file and compares every checksum, with one block in memory at a time.

    Raises:
      ValueError: the file is missing, or does not begin as `BlockWriter` begins it.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    with path.open("rb") as file:
        frame = _next_frame(file) if file.read(len(MAGIC)) == MAGIC else None
        if frame is None or frame[0] != HEAD:
            raise ValueError(f"{path} is not a file of demonstrations, or cut off in its header")
        header, blocks = json.loads(frame[1]), []
        while True:
            position = file.tell()
            kind, content = _next_frame(file) or (b"", b"")
            if kind != DATA:
                break
            blocks.append(Block(position, _num_rows(content)))
        is_finished = kind == END and not file.read(1)
    return Contents(path, header, blocks, json.loads(content) if is_finished else None)


def read_arrays(contents: Contents) -> dict[str, np.ndarray]:
    """The arrays of all blocks, joined along the leading axis; beside them one block is in memory at a time.

    Raises:
      ValueError: two blocks do not have arrays of the same names, shapes and dtypes; the message names one.
    """
    joined: dict[str, np.ndarray] = {}
    num_rows, done = sum(block.num_rows for block in contents.blocks), 0
    with contents.path.open("rb") as file:
        for block in contents.blocks:
            file.seek(block.position)
            _, content = _next_frame(file) or (DATA, b"")
            arrays = safetensors.numpy.load(content)
            joined = joined or {name: np.empty((num_rows, *a.shape[1:]), a.dtype) for name, a in arrays.items()}
            for name in sorted(joined.keys() | arrays.keys()):
                part, rows = arrays.get(name), joined.get(name, np.empty(0))[done : done + block.num_rows]
                if part is None or part.shape != rows.shape or part.dtype != rows.dtype:
                    raise ValueError(f"{contents.path}: the array {name!r} is not the same in all blocks")
                rows[...] = part
            done += block.num_rows
    return joined


def _frame(kind: bytes, content: bytes) -> bytes:
    return _PREFIX.pack(kind, len(content), zlib.crc32(content)) + content


def _next_frame(file: BinaryIO) -> tuple[bytes, bytes] | None:
    """Kind and content of the frame that begins where the file stands; None if it is cut off or altered."""
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        return None
    kind, length, checksum = _PREFIX.unpack(prefix)
    if length > os.fstat(file.fileno()).st_size - file.tell():
        return None
    content = file.read(length)
    return (kind, content) if zlib.crc32(content) == checksum else None


def _num_rows(content: bytes) -> int:
    """The length of the leading axis of arrays written as safetensors: 8 bytes of length, JSON, bytes of the arrays."""
    layout = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return int(next(iter(layout.values()))["shape"][0])


def _to_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()
