"""Files of demonstrations: written, read, cut off, damaged and interrupted."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from baselines.demonstrations import (
    Demonstrations,
    Header,
    Writer,
    block_format,
    describe,
    files,
    load,
    save,
)
from baselines.demonstrations.records import from_arrays, to_arrays
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
    assert len(block_format.read_contents(path).blocks) == 3
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
    for cut in (0, 3, len(block_format.MAGIC), end - 1):
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


@pytest.mark.parametrize("place", ["before", "half", "after"])
@pytest.mark.parametrize("num_whole", [0, 1])
def test_a_block_is_in_the_file_and_in_the_counts_or_in_neither(
    recorded: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_whole: int, place: str
) -> None:
    """Wherever its writing is interrupted."""
    path, write, parts = tmp_path / "a.demos", os.write, episodes_of(recorded)

    def write_and_fail(descriptor: int, content: memoryview) -> int:
        if place != "before":
            write(descriptor, content[: len(content) // 2 if place == "half" else None])
        monkeypatch.setattr(os, "write", write)
        raise KeyboardInterrupt

    def record() -> None:
        with Writer(path, recorded.header) as writer:
            for part in parts[:num_whole]:
                writer.write(part)
            monkeypatch.setattr(os, "write", write_and_fail)
            writer.write(parts[num_whole])

    with pytest.raises(KeyboardInterrupt):
        record()
    num_written = num_whole + (place == "after")
    assert [path.name for path in tmp_path.iterdir()] == ["a.demos"] * (num_written > 0)
    if num_written:
        found = load(path)
        assert found.header.num_episodes == num_written
        np.testing.assert_array_equal(found.obs, recorded.obs[: len(found.obs)])


def test_an_interruption_after_the_block_is_written_and_before_it_is_counted_loses_nothing(
    recorded: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every line of the writer in turn."""
    first, second, *_ = episodes_of(recorded)
    counts = set()
    for line in range(1, 10_000):
        path, seen = tmp_path / f"{line}.demos", 0

        def interrupt(frame: FrameType, event: str, argument: Any, line: int = line) -> Any:
            nonlocal seen
            if event == "line":
                seen += 1
                if seen == line:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            is_ours = frame.f_code.co_filename.endswith(
                ("block_format.py", "demonstrations/files.py", "disk/writing.py")
            )
            return interrupt if is_ours else None

        try:
            with Writer(path, recorded.header) as writer:
                writer.write(first)
                sys.settrace(interrupt)
                writer.write(second)
                sys.settrace(None)
        except KeyboardInterrupt:
            counts.add(load(path).header.num_episodes)
        else:
            break
    assert seen < line < 1000
    assert counts == {1, 2}


def test_arrays_are_written_in_their_own_order_whatever_their_layout(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "turned": np.arange(6).reshape(2, 3).T,
        "steps": np.arange(6, dtype=np.int8)[::2],
        "flags": np.ones(3, bool),
    }
    writer: block_format.BlockWriter[None] = block_format.BlockWriter(tmp_path / "a", {})
    writer.write(arrays, None)
    writer.close({})
    found = block_format.read_arrays(block_format.read_contents(tmp_path / "a"))
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


def test_a_file_that_is_written_is_held(recorded: Demonstrations, tmp_path: Path) -> None:
    path, first = tmp_path / "a.demos", episodes_of(recorded)[0]
    with Writer(path, recorded.header) as writer:
        with pytest.raises(ValueError, match=rf"a\.demos is in use by process {os.getpid()} on "):
            Writer(path, recorded.header)
        writer.write(first)
        with pytest.raises(ValueError, match=r"a\.demos exists: choose another name"):
            Writer(path, recorded.header)
    assert_same(load(path), first)
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_nobody_closes_gives_its_lock_back(recorded: Demonstrations, tmp_path: Path) -> None:
    path, first = tmp_path / "a.demos", episodes_of(recorded)[0]
    writer = Writer(path, recorded.header)
    writer.write(first)
    del writer
    assert list(tmp_path.iterdir()) == [path]
    assert_same(load(path, is_partial_allowed=True), first)


def test_a_file_that_appears_while_another_is_recorded_is_left_alone(recorded: Demonstrations, tmp_path: Path) -> None:
    path, first = tmp_path / "a.demos", episodes_of(recorded)[0]
    writer = Writer(path, first.header)
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"a\.demos exists: choose another name"):
        writer.write(first)
    with pytest.raises(ValueError, match=r"a\.demos exists: choose another name"):
        writer.close()
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_saved_file_appears_when_it_is_whole(
    recorded: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 1)
    path, there = tmp_path / "a.demos", []
    write = Writer.write

    def look_and_write(writer: Writer, demonstrations: Demonstrations) -> None:
        write(writer, demonstrations)
        there.append(path.exists())

    monkeypatch.setattr(Writer, "write", look_and_write)
    save(path, recorded)
    assert there == [False] * 7
    assert len(block_format.read_contents(path).blocks) == 7
    assert_same(load(path), recorded)


def test_events_that_were_recorded_under_an_old_name_are_read_under_the_new_one(recorded: Demonstrations) -> None:
    hits = np.ones(recorded.rewards.shape, np.float32)
    arrays = {name: array for name, array in to_arrays(recorded).items() if name != "events.hits_received"}
    found = from_arrays(recorded.header, arrays | {"events.fined": hits})
    assert "fined" not in found.events
    np.testing.assert_array_equal(found.events["hits_received"], hits)


def test_a_file_that_cannot_be_saved_to_its_end_leaves_nothing(recorded: Demonstrations, tmp_path: Path) -> None:
    cut = from_arrays(recorded.header, {name: array[:-1] for name, array in to_arrays(recorded).items()})
    with pytest.raises(ValueError, match="an episode is written whole or not at all"):
        save(tmp_path / "a.demos", cut)
    assert list(tmp_path.iterdir()) == []


def test_episodes_are_written_in_the_order_of_their_numbers(recorded: Demonstrations, tmp_path: Path) -> None:
    first, second, *_ = episodes_of(recorded)
    with Writer(tmp_path / "a.demos", recorded.header) as writer:
        writer.write(second)
        for part in (first, second):
            with pytest.raises(ValueError, match=r"episodes=. is not allowed: above 1, which is written"):
                writer.write(part)
    assert_same(load(tmp_path / "a.demos"), second)


def test_only_whole_episodes_of_one_game_are_written(recorded: Demonstrations, header: Header, tmp_path: Path) -> None:
    cut = from_arrays(header, {name: array[:-1] for name, array in to_arrays(recorded).items()})
    with Writer(tmp_path / "a.demos", header) as writer:
        with pytest.raises(ValueError, match=r"episodes=\[6\] is not allowed: an episode is written whole or not at"):
            writer.write(cut)
        with pytest.raises(ValueError, match=r"header=.* is not allowed: the file is of"):
            writer.write(recorded._replace(header=describe(jaxdilemmas.make("common_pool", num_agents=2))))
    assert not (tmp_path / "a.demos").exists()
