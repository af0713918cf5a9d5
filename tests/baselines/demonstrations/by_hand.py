"""Files and episodes taken apart and written by hand, for tests of demonstrations."""

import dataclasses
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from baselines.demonstrations import (
    Demonstrations,
    Header,
    block_format,
)
from baselines.demonstrations.records import from_arrays, to_arrays

GAME = {"num_agents": 2, "regrowth_rate": 0.01, "initial_stock": 0.3, "max_steps": 8}
"""Of `common_pool`, where random players end some episodes and the clock ends the others."""
NUM_EPISODES = 7


EPISODES_BY_BLOCK = (0, 2, 3, 7)


def episodes_of(demonstrations: Demonstrations) -> list[Demonstrations]:
    ids = demonstrations.episodes
    arrays = to_arrays(demonstrations)
    return [from_arrays(demonstrations.header, {n: a[ids == i] for n, a in arrays.items()}) for i in np.unique(ids)]


def assert_same(found: Demonstrations, expected: Demonstrations) -> None:
    assert found.header == expected.header
    found_arrays, expected_arrays = to_arrays(found), to_arrays(expected)
    assert found_arrays.keys() == expected_arrays.keys()
    for name, array in expected_arrays.items():
        assert found_arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found_arrays[name], array, err_msg=name)


def frame_ends(path: Path) -> list[int]:
    """The byte behind the header, and behind each block."""
    positions = [block.position for block in block_format.read_contents(path).blocks]
    content = path.read_bytes()
    return [*positions, content.rindex(block_format.END)]


def write_by_hand(path: Path, header: Header, *arrays: dict[str, np.ndarray], **summary: Any) -> None:
    """Blocks without the checks of `Writer`; the end mark says what is given, and else what is there."""
    parts = {name: np.concatenate([block[name] for block in arrays]) for name in ("episodes", "rewards")}
    num_episodes = len(np.unique(parts["episodes"]))
    returns = np.nan_to_num(parts["rewards"].sum(axis=0, dtype=np.float64) / max(1, num_episodes)).tolist()
    counts = {"num_episodes": num_episodes, "num_transitions": len(parts["rewards"]), "returns": returns}
    writer: block_format.BlockWriter[None] = block_format.BlockWriter(path, dataclasses.asdict(header.origin))
    for block in arrays:
        writer.write(block, None)
    writer.close(counts | summary)


Frame = tuple[bytes, bytes]
"""Kind and content."""


def read_frames(path: Path) -> list[Frame]:
    """The frames of a file that is whole."""
    content, position, frames = path.read_bytes(), len(block_format.MAGIC), []
    while position < len(content):
        kind, length, _ = struct.unpack_from("<4sQI", content, position)
        frames.append((kind, content[position + 16 : position + 16 + length]))
        position += 16 + length
    return frames


def write_frames(path: Path, frames: Iterable[Frame], is_checksum_right: bool = True) -> None:
    """Writes frames with the right CRCs and, where frames have checksums of those before, with the right ones."""
    content, digest = block_format.MAGIC, hashlib.sha256()
    for kind, part in frames:
        stored = block_format._checksum(kind, part)
        if is_checksum_right and isinstance(stored, str):
            part = part.replace(stored.encode(), digest.hexdigest().encode())
        prefix = struct.pack("<4sQI", kind, len(part), zlib.crc32(part))
        digest.update(prefix)
        content += prefix + part
    path.write_bytes(content)


def change_json(path: Path, kind: bytes, change: Callable[[Any], Any], is_checksum_right: bool = True) -> None:
    """Changes the header or the end mark of a file; whatever `change` returns becomes JSON, bytes stay as they are."""

    def changed(content: bytes) -> bytes:
        value = change(json.loads(content))
        return value if isinstance(value, bytes) else json.dumps(value).encode()

    frames = [(found, changed(content) if found == kind else content) for found, content in read_frames(path)]
    write_frames(path, frames, is_checksum_right)


def with_field(name: str, value: Any, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a header or an end mark with another field."""
    return content | {name: value}
