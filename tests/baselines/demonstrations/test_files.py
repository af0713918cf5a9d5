"""Files of demonstrations: written, read, cut off, damaged and interrupted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from baselines.demonstrations import (
    Demonstrations,
    Header,
    Writer,
    describe,
    load,
    save,
)
from baselines.training import blocks
from baselines.training.transitions import from_arrays, to_arrays
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.by_hand import EPISODES_BY_BLOCK, assert_same, episodes_of, frame_ends

pytestmark = pytest.mark.usefixtures("quick_compiling")


def test_what_is_written_is_loaded_bitwise(recorded: Demonstrations, env: Environment, tmp_path: Path) -> None:
    save(tmp_path / "new" / "a.demos", recorded)
    found = load(tmp_path / "new" / "a.demos", env, "common_pool")
    assert_same(found, recorded)
    assert found.header.path == str(tmp_path / "new" / "a.demos")
    assert {"stock", "taken", "step_count"} == found.states.keys()


def test_blocks_are_joined_when_they_are_loaded(path: Path, recorded: Demonstrations) -> None:
    assert len(blocks.read_contents(path).blocks) == 3
    assert_same(load(path), recorded)


def test_a_file_that_is_cut_off_is_refused_and_read_up_to_its_last_whole_block(
    path: Path, recorded: Demonstrations
) -> None:
    content, ends = path.read_bytes(), frame_ends(path)
    cuts = [*(end + offset for end in ends[1:] for offset in (-1, 0, 5)), len(content) - 1]
    for cut in cuts:
        path.write_bytes(content[:cut])
        num_episodes = EPISODES_BY_BLOCK[sum(cut >= end for end in ends[1:])]
        if not num_episodes:
            with pytest.raises(ValueError, match=r"a\.demos: num_episodes=0 .* cut off or damaged before its first"):
                load(path, is_partial_allowed=True)
            continue
        message = (
            rf"a\.demos is cut off or damaged: its first {num_episodes} whole episodes, .* is_partial_allowed=True"
        )
        with pytest.raises(ValueError, match=message):
            load(path)
        found = load(path, is_partial_allowed=True)
        assert found.header.num_episodes == num_episodes
        np.testing.assert_array_equal(found.obs, recorded.obs[recorded.episodes < num_episodes])


def test_a_file_that_is_cut_off_in_its_header_is_refused(path: Path) -> None:
    content, end = path.read_bytes(), frame_ends(path)[0]
    for cut in (0, 3, len(blocks.MAGIC), end - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"a\.demos is not a file of demonstrations, or cut off in its header"):
            load(path, is_partial_allowed=True)


@pytest.mark.parametrize("place", ["block", "length", "behind"])
def test_a_file_that_is_altered_is_refused(path: Path, place: str) -> None:
    content, ends = bytearray(path.read_bytes()), frame_ends(path)
    if place == "behind":
        content += b"x"
    else:
        content[ends[2] - 1 if place == "block" else ends[1] + 11] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.demos is cut off or damaged"):
        load(path)
    num_episodes = 7 if place == "behind" else 2
    assert load(path, is_partial_allowed=True).header.num_episodes == num_episodes


def test_what_a_killed_recording_wrote_can_be_read(recorded: Demonstrations, tmp_path: Path) -> None:
    first, second, *_ = episodes_of(recorded)
    writer = Writer(tmp_path / "a.demos", recorded.header)
    writer.write(first)
    writer.write(second)  # killed here: nothing closes the file
    with pytest.raises(ValueError, match=r"a\.demos is cut off or damaged: its first 2 whole episodes"):
        load(tmp_path / "a.demos")
    assert load(tmp_path / "a.demos", is_partial_allowed=True).header.num_episodes == 2


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_what_an_interrupted_recording_wrote_loads_plainly(
    recorded: Demonstrations, tmp_path: Path, interruption: type[BaseException]
) -> None:
    first = episodes_of(recorded)[0]

    def write_and_fail() -> None:
        with Writer(tmp_path / "a.demos", recorded.header) as writer:
            writer.write(first)
            raise interruption

    with pytest.raises(interruption):
        write_and_fail()
    assert_same(load(tmp_path / "a.demos"), first)


class HalfFile:
    """A file that is interrupted in the middle of what it writes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        raise KeyboardInterrupt


@pytest.mark.parametrize("num_whole", [0, 1])
def test_a_block_whose_writing_is_interrupted_is_dropped(
    recorded: Demonstrations, tmp_path: Path, num_whole: int
) -> None:
    path, arrays = tmp_path / "a.demos", {"numbers": np.arange(1000)}
    writer = blocks.BlockWriter(path, {})
    for _ in range(num_whole):
        writer.write(arrays)
    file = path.open("r+b" if num_whole else "xb")
    file.seek(0, 2)
    writer._file = HalfFile(file)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        writer.write(arrays)
    writer._file = file
    writer.close({"number": num_whole})
    assert path.exists() == bool(num_whole)
    if num_whole:
        contents = blocks.read_contents(path)
        assert contents.summary == {"number": 1}
        np.testing.assert_array_equal(blocks.read_arrays(contents)["numbers"], arrays["numbers"])


def test_arrays_are_written_in_their_own_order_whatever_their_layout(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "turned": np.arange(6).reshape(2, 3).T,
        "steps": np.arange(6, dtype=np.int8)[::2],
        "flags": np.ones(3, bool),
    }
    writer = blocks.BlockWriter(tmp_path / "a", {})
    writer.write(arrays)
    writer.close({})
    found = blocks.read_arrays(blocks.read_contents(tmp_path / "a"))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_no_file_is_overwritten_and_none_is_made_without_an_episode(recorded: Demonstrations, tmp_path: Path) -> None:
    path = tmp_path / "a.demos"
    with Writer(path, recorded.header) as writer:
        assert writer.header.num_episodes == 0
    assert not path.exists()
    save(path, recorded)
    with pytest.raises(ValueError, match=r"a\.demos exists: choose another name"):
        Writer(path, recorded.header)
    assert_same(load(path), recorded)


def test_only_whole_episodes_of_one_game_are_written(recorded: Demonstrations, header: Header, tmp_path: Path) -> None:
    cut = from_arrays(header, {name: array[:-1] for name, array in to_arrays(recorded).items()})
    with Writer(tmp_path / "a.demos", header) as writer:
        with pytest.raises(ValueError, match=r"episodes=\[6\] is not allowed: an episode is written whole or not at"):
            writer.write(cut)
        with pytest.raises(ValueError, match=r"header=.* is not allowed: the file is of"):
            writer.write(recorded._replace(header=describe(jaxdilemmas.make("common_pool", num_agents=2))))
    assert not (tmp_path / "a.demos").exists()
