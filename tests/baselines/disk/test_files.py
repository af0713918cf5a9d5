"""How files are written and read: as a whole or not at all, never through a link, with checksums."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.disk import writing

ARRAYS: dict[str, Any] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.c": np.array([True, False]),
    "d": np.uint32(7),
}


def test_a_file_is_replaced_in_one_step_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    writing.write_file(path, "old")
    writing.write_file(path, "newer")
    assert path.read_text() == "newer"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    writing.write_file(path, "old")

    def write_half() -> None:
        with writing.written_beside(path) as beside:
            beside.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_that_write_a_file_at_the_same_time_the_last_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    with writing.written_beside(path) as beside, writing.GrowingFile(beside, is_new=True) as first:
        first.append(b"fi")
        writing.write_file(path, "second")
        assert path.read_text() == "second"
        first.append(b"rst")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_parts_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write, room = tmp_path / "a.csv", os.write, 3

    def write_a_little(descriptor: int, content: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        written = write(descriptor, content[:room])
        room -= written
        return written

    with writing.GrowingFile(path, is_new=True) as file:
        file.append(b"one\n")
        monkeypatch.setattr(os, "write", write_a_little)
        with pytest.raises(OSError, match=r"No space left on device: .*a\.csv"):
            file.append(b"two\n")
        assert path.read_bytes() == b"one\n"
        room = 10
        file.append(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_file_that_was_removed_is_not_written_to_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with writing.GrowingFile(path, is_new=True) as file:
        path.unlink()
        with pytest.raises(FileNotFoundError, match=r"removed while it was written: .*a\.csv"):
            file.append(b"one\n")


@pytest.mark.parametrize("place", ["before", "half", "after"])
def test_a_part_whose_writing_is_interrupted_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path, write = tmp_path / "a.csv", os.write

    def write_and_fail(descriptor: int, content: memoryview) -> int:
        if place != "before":
            write(descriptor, content[: 2 if place == "half" else None])
        raise KeyboardInterrupt

    with writing.GrowingFile(path, is_new=True) as file:
        file.append(b"one\n")
        monkeypatch.setattr(os, "write", write_and_fail)
        with pytest.raises(KeyboardInterrupt):
            file.append(b"two\n")
        monkeypatch.setattr(os, "write", write)
        whole = b"one\ntwo\n" if place == "after" else b"one\n"
        assert file.settle() == len(whole)
        assert path.read_bytes() == whole
        file.append(b"three\n")
    assert path.read_bytes() == whole + b"three\n"


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_is_never_renamed_to_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:

        def refuse(source: Path, path: Path) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    taken, link, free = (tmp_path / name for name in ("taken", "link", "free"))
    taken.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    with writing.GrowingFile(tmp_path / "a", is_new=True) as file:
        for path in (taken, link):
            with pytest.raises(ValueError, match=rf"{path.name} exists: choose another name"):
                file.rename_to_new(path)
        with pytest.raises(ValueError, match="is a directory: name a file in it"):
            file.rename_to_new(tmp_path)
        file.rename_to_new(free)
        file.append(b"new")
    assert taken.read_text() == "mine" and free.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["free", "link", "taken"]


def test_a_directory_below_a_file_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"Not a directory: .*a"):
        writing.make_directory(tmp_path / "a")


def test_a_new_file_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.demos"
    with writing.hold_new_file(path):
        with pytest.raises(ValueError, match=rf"a\.demos is in use by process {os.getpid()} on .* since "):
            writing.hold_new_file(path).__enter__()
        with writing.hold_new_file(tmp_path / "new" / "b.demos"):
            pass
    assert list(path.parent.iterdir()) == []
    with writing.hold_new_file(path):
        pass
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"a\.demos exists: choose another name"):
        writing.hold_new_file(path).__enter__()


def test_a_growing_file_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "a.csv").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match=r"a\.csv"):
        writing.GrowingFile(tmp_path / "a.csv", is_new=False)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.json").symlink_to(target)
    writing.write_file(tmp_path / "run" / "a.json", "new")
    assert target.read_text() == "mine"
    assert (tmp_path / "run" / "a.json").read_text() == "new"
    assert not (tmp_path / "run" / "a.json").is_symlink()


def test_links_out_of_a_directory_are_named_and_links_within_are_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "parameters").mkdir(parents=True)
    (run / "parameters" / "best").symlink_to(run / "parameters" / "seed_0")
    writing.check_links(run)
    (tmp_path / "link_to_run").symlink_to(run)
    writing.check_links(tmp_path / "link_to_run")
    (run / "parameters" / "seed_1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="seed_1 is a symbolic link out of the directory"):
        writing.check_links(run)


def test_a_lock_that_is_a_hard_link_is_refused_and_the_other_file_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "run" / ".lock").hardlink_to(tmp_path / "mine")
    with pytest.raises(ValueError, match=r"run/\.lock has another name by a hard link"):
        writing.hold(tmp_path / "run").__enter__()
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_held_directory_is_refused_with_the_holder_and_is_free_after_it(tmp_path: Path) -> None:
    imports = "from pathlib import Path; from baselines.disk import writing"
    program = f"{imports}\nwith writing.hold(Path({str(tmp_path)!r})): pass"
    with writing.hold(tmp_path):
        refused = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd())
        assert f"is in use by process {os.getpid()} on " in refused.stderr
        assert f"process {os.getpid()}" in (tmp_path / writing.LOCK).read_text()
    assert subprocess.run([sys.executable, "-c", program], cwd=Path.cwd()).returncode == 0


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    writing.save_arrays(tmp_path / "a.safetensors", ARRAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = writing.load_arrays(tmp_path / "a.safetensors")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_no_flipped_bit_gives_other_values(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    writing.save_arrays(path, ARRAYS)
    whole = path.read_bytes()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        with warnings.catch_warnings(record=True):
            try:
                found = writing.load_arrays(path)
            except writing.DamagedError:
                continue
        assert writing.checksum(found) == writing.checksum(ARRAYS), position


def test_arrays_of_an_earlier_version_are_read_with_a_note(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": ARRAYS["a"]}, tmp_path / "old.safetensors")
    with pytest.warns(UserWarning, match=r"old\.safetensors has no checksum"):
        assert writing.load_arrays(tmp_path / "old.safetensors")["a"].shape == (2, 3)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F4", "\x1b[2J"])
def test_a_file_of_arrays_with_a_dtype_that_numpy_lacks_is_refused(dtype: str, tmp_path: Path) -> None:
    num_bytes = 1 if dtype == "F4" else 2
    header = json.dumps({"a": {"dtype": dtype, "shape": [2], "data_offsets": [0, num_bytes]}})
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(num_bytes))
    with pytest.raises(writing.DamagedError, match="truncated or no safetensors") as error:
        writing.load_arrays(path)
    assert str(error.value).isprintable()


def test_a_cut_file_of_arrays_is_damaged_and_a_missing_one_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    writing.save_arrays(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(writing.DamagedError, match="truncated"):
        writing.load_arrays(path)
    with pytest.raises(ValueError, match="is missing"):
        writing.load_arrays(tmp_path / "b.safetensors")
