"""Files of demonstrations, altered at random: bits, ends, frames, fields and arrays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from baselines.demonstrations.block_format import DATA, END, HEAD
from tests.baselines.demonstrations.by_hand import read_frames, write_frames

Random = np.random.Generator

STRANGE: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 5, 255, 10**9, 2**31, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "os:system", "this:d", "pathlib:Path.touch", "a_stranger:Game", "gathering", "common_pool", "\x1b[31m"),
    *([], {}, [[]], [1, 2], [0], [-1], [10**9], {"a": {"b": [1, None]}}, {"command": "touch marker"}, "F8", "object"),
    *("int8", "float64", "2", "0" * 64, "x" * 10_000),
]
"""What a field may be instead."""


def flip_bits(path: Path, random: Random) -> str:
    """One to three bits, wherever they are."""
    content = bytearray(path.read_bytes())
    for position in random.integers(len(content), size=random.integers(1, 4)):
        content[position] ^= 1 << random.integers(8)
    path.write_bytes(content)
    return "bits"


def flip_bits_within_frames(path: Path, random: Random) -> str:
    """One to three bits of the content of a frame, whose CRC is made anew."""
    frames = read_frames(path)
    i = int(random.integers(len(frames)))
    content = bytearray(frames[i][1])
    for position in random.integers(len(content), size=random.integers(1, 4)):
        content[position] ^= 1 << random.integers(8)
    frames[i] = frames[i][0], bytes(content)
    write_frames(path, frames, is_checksum_right=False)
    return "bits with the right CRC"


def cut(path: Path, random: Random) -> str:
    """The tail is cut off, or something stands behind it."""
    content = path.read_bytes()
    if random.integers(4):
        path.write_bytes(content[: random.integers(len(content))])
    else:
        path.write_bytes(content + random.bytes(int(random.integers(1, 100))))
    return "tail"


def move_frames(path: Path, random: Random) -> str:
    """A frame is left out, doubled, moved, or of another kind."""
    frames = read_frames(path)
    i, j = (int(number) for number in random.integers(len(frames), size=2))
    kinds = [HEAD, DATA, END, b"DATB", bytes(4)]
    changes: list[Callable[[], Any]] = [
        lambda: frames.pop(i),
        lambda: frames.insert(j, frames[i]),
        lambda: frames.insert(j, frames.pop(i)),
        lambda: frames.__setitem__(i, (kinds[random.integers(len(kinds))], frames[i][1])),
        lambda: frames.__setitem__(i, (frames[i][0], b"")),
    ]
    changes[random.integers(len(changes))]()
    write_frames(path, frames, is_checksum_right=False)
    return "frames"


def change_field(path: Path, random: Random) -> str:
    """A field of the header or the end mark is another, is left out, or is one too many."""
    frames = read_frames(path)
    i = int(random.choice([0, len(frames) - 1]))
    content = json.loads(frames[i][1])
    name = str(random.choice(list(content)))
    value = STRANGE[random.integers(len(STRANGE))]
    if random.integers(8) == 0:
        del content[name]
    elif random.integers(8) == 0:
        content["another"] = value
    else:
        content[name] = value
    frames[i] = frames[i][0], json.dumps(content).encode()
    write_frames(path, frames, is_checksum_right=False)
    return f"field {name}"


def change_array(path: Path, random: Random) -> str:
    """An array of a block is left out, or has another name, dtype, shape or values."""
    frames = read_frames(path)
    i = int(random.integers(1, len(frames) - 1))
    arrays = safetensors.numpy.load(frames[i][1])
    name = str(random.choice(list(arrays)))
    array = arrays.pop(name)
    dtypes = ["int8", "int64", "float64", "float16", "bool", "uint8", "complex64"]
    another = str(random.choice(["obs", "rewards", "extra", "events.x", "states.", "events", "\x1b[31m", "__class__"]))
    changes: list[Callable[[], dict[str, np.ndarray]]] = [
        dict,
        lambda: {another: array},
        lambda: {name: array.astype(dtypes[random.integers(len(dtypes))])},
        lambda: {name: array[: random.integers(len(array) + 1)]},
        lambda: {name: np.concatenate([array, array])},
        lambda: {name: array[..., None]},
        lambda: {name: array.reshape(-1)[:1].reshape(())},
        lambda: {name: np.ascontiguousarray(array[::-1])},
        lambda: {name: array + np.ones((), array.dtype)},
        lambda: {name: np.full_like(array, 255 if array.dtype.kind in "iu" else 1)},
    ]
    changed = arrays | changes[random.integers(len(changes))]()
    frames[i] = DATA, safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in changed.items()})
    write_frames(path, frames, is_checksum_right=False)
    return f"array {name}"


MUTATIONS: tuple[Callable[[Path, Random], str], ...] = (
    flip_bits,
    flip_bits_within_frames,
    cut,
    move_frames,
    change_field,
    change_array,
)


def mutate(path: Path, random: Random) -> str:
    """Alters a file, and returns how."""
    return MUTATIONS[random.integers(len(MUTATIONS))](path, random)
