"""A recording keeps its complete episodes if it is killed, stopped or out of space at any call that changes a file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baselines.demonstrations import Demonstrations, save
from baselines.runs.terminal import INTERRUPTED

REPOSITORY = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("quick_compiling")


@pytest.fixture(scope="module")
def results(recorded: Demonstrations, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What became of recordings of seven episodes in three blocks, by fault; see `faults`."""
    folder = tmp_path_factory.mktemp("faults")
    save(folder / "a.demos", recorded)
    command = [sys.executable, "-m", "tests.baselines.demonstrations.faults", str(folder / "a.demos"), str(folder)]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for line in map(json.loads, finished.stdout.splitlines()):
        found.setdefault(line["fault"], []).append(line)
    return found


def numbers_of_episodes(results: list[dict[str, Any]]) -> list[int]:
    return [result["num_episodes"] for result in results]


@pytest.mark.parametrize("fault", ["killed_within", "killed_after"])
def test_a_killed_recording_loads_to_its_last_whole_block(results: dict[str, Any], fault: str) -> None:
    found = [result for result in results[fault] if result["code"]]  # without calls that fail anyway
    assert len(found) > 12 and {result["code"] for result in found} == {-9}
    numbers = numbers_of_episodes(found)
    assert numbers == sorted(numbers) and set(numbers) == {0, 2, 3, 7}


def test_a_copy_is_there_as_a_whole_or_not_at_all(results: dict[str, Any]) -> None:
    found = results["killed_copy"]
    assert len(found) > 10 and {result["code"] for result in found} == {-9}
    assert {(result["num_episodes"], result["is_whole"]) for result in found} == {(0, False), (7, True)}


def test_a_stopped_recording_loads_as_any_other(results: dict[str, Any]) -> None:
    found = results["stopped"]
    assert {result["code"] for result in found} == {INTERRUPTED}
    assert all(result["is_whole"] for result in found if result["num_episodes"])
    assert set(numbers_of_episodes(found)) == {0, 2, 3, 7}


def test_a_recording_that_is_stopped_twice_ends_at_once_and_keeps_whole_blocks(results: dict[str, Any]) -> None:
    found = results["stopped_twice"]
    assert {result["code"] for result in found} == {INTERRUPTED}
    assert set(numbers_of_episodes(found)) == {0, 2, 3, 7}


@pytest.mark.parametrize("fault", ["full", "limited"])
def test_a_full_disk_ends_a_recording_with_one_line_that_says_what_is_kept(results: dict[str, Any], fault: str) -> None:
    numbers = set()
    for result in results[fault]:
        if result["code"] == 0:  # of calls that may fail
            assert result["is_whole"] and result["num_episodes"] == 7
            continue
        assert result["code"] == 1
        (line,) = result["errors"].splitlines()
        assert line.startswith("error: ") and "a.demos" in line
        number = result["num_episodes"]
        assert (f"the {number} whole episodes before that are kept in " in line) == bool(number), line
        assert ("which loads" in line) == result["is_whole"]
        numbers.add(number)
    assert {0, 2, 3} <= numbers


def test_a_removed_directory_ends_a_recording_with_one_line(results: dict[str, Any]) -> None:
    errors = [result["errors"] for result in results["removed"] if result["code"]]
    for error in errors:
        (line,) = error.splitlines()
        assert line.startswith("error: ") and "a.demos: " in line
        assert "removed while it was written; no episode is kept" in line or "No such file or directory" in line
    assert len(errors) > 10


def test_what_a_recording_left_is_not_in_the_way_of_the_next(results: dict[str, Any]) -> None:
    assert {result["again"] for fault in results.values() for result in fault} == {0}
