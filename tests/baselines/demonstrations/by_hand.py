"""What tests of demonstrations share: files and episodes taken apart and written by hand."""

from pathlib import Path
from typing import Any

import numpy as np

from baselines import demonstrations as module
from baselines.demonstrations import (
    Demonstrations,
    Header,
)
from baselines.training import blocks
from baselines.training.transitions import from_arrays, to_arrays

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
    positions = [block.position for block in blocks.read_contents(path).blocks]
    content = path.read_bytes()
    return [*positions, content.rindex(blocks.END)]


def write_by_hand(path: Path, header: Header, *arrays: dict[str, np.ndarray], **summary: Any) -> None:
    """Blocks without the checks of `Writer`."""
    content = {name: value for name, value in vars(header).items() if name not in ("path", *module.COUNTS)}
    writer = blocks.BlockWriter(path, content)
    for block in arrays:
        writer.write(block)
    writer.close(summary)
