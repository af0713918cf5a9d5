"""Runs that die at a write leave complete files, and resuming gives the result of an uninterrupted run."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from tests.baselines import fake_algorithm as fake
from tests.baselines.runs.dying import life
from tests.baselines.runs.test_command import assert_same_run

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")

SOME = 9
"""Every so many writes are tried where all would take long; the slow tests try them all."""


def train(path: Path, *options: str) -> RunDirectory:
    train_command(fake.ALGORITHM, ["--runs-dir", str(path.parent), "--name", path.name, *options])
    return RunDirectory(path)


def num_rows(run: RunDirectory) -> int:
    return len(run.metrics.read_text().splitlines()) if run.metrics.is_file() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(tmp_path_factory.mktemp("runs") / "whole", "--checkpoint-every", "2", "--num-seeds", "2")


@pytest.fixture(scope="module")
def killed(whole: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The whole run, killed in its last update: with all rows, the checkpoints after updates 2 and 4, no parameters."""
    run = RunDirectory(tmp_path_factory.mktemp("runs") / "killed")
    train(run.path, "--checkpoint-every", "2", "--num-seeds", "2")
    for path in (run.checkpoints / "6", run.path / "parameters"):
        shutil.rmtree(path)
    run.learning_curve.unlink()
    return run


def assert_dying_while_resuming_is_harmless(
    whole: RunDirectory, killed: RunDirectory, tmp_path: Path, every: int
) -> None:
    before = num_rows(killed)
    with life() as counted:
        train(Path(shutil.copytree(killed.path, tmp_path / "counted")), "--resume")
    assert counted.done > 30
    for num_calls in range(0, counted.done, every):
        run = RunDirectory(shutil.copytree(killed.path, tmp_path / str(num_calls)))
        with life(num_calls):
            train(run.path, "--resume")
        assert num_rows(run) >= before, num_calls
        assert_same_run(whole, train(run.path, "--resume"))


@pytest.mark.slow
def test_a_run_that_dies_while_it_is_resumed_is_resumed_bitwise(
    whole: RunDirectory, killed: RunDirectory, tmp_path: Path
) -> None:
    assert_dying_while_resuming_is_harmless(whole, killed, tmp_path, SOME)


@pytest.mark.slow
def test_a_run_may_die_at_every_write_while_it_is_resumed(
    whole: RunDirectory, killed: RunDirectory, tmp_path: Path
) -> None:
    assert_dying_while_resuming_is_harmless(whole, killed, tmp_path, 1)


def assert_dying_while_training_is_harmless(whole: RunDirectory, tmp_path: Path, every: int) -> None:
    options = ("--checkpoint-every", "2", "--num-seeds", "2")
    with life() as counted:
        train(tmp_path / "counted", *options)
    assert counted.done > 30
    for num_calls in range(0, counted.done, every):
        run = RunDirectory(tmp_path / str(num_calls))
        with life(num_calls):
            train(run.path, *options)
        again = ("--resume",) if run.path.exists() else options
        assert_same_run(whole, train(run.path, *again))


@pytest.mark.slow
def test_a_run_that_dies_is_resumed_bitwise_or_is_not_there(whole: RunDirectory, tmp_path: Path) -> None:
    assert_dying_while_training_is_harmless(whole, tmp_path, SOME)


@pytest.mark.slow
def test_a_run_may_die_at_every_write(whole: RunDirectory, tmp_path: Path) -> None:
    assert_dying_while_training_is_harmless(whole, tmp_path, 1)


@contextmanager
def no_file_larger_than(num_bytes: int) -> Iterator[None]:
    """As on a disk that is full, every write beyond so many bytes of a file fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("num_bytes", "place"), [(40, "config.json"), (1000, "metrics.csv"), (1900, "a")])
def test_a_full_disk_ends_a_run_in_one_line_and_with_room_it_goes_on_bitwise(
    whole: RunDirectory, tmp_path: Path, num_bytes: int, place: str
) -> None:
    run = RunDirectory(tmp_path / "a")
    options = ("--checkpoint-every", "2", "--num-seeds", "2")
    with no_file_larger_than(num_bytes), pytest.raises(SystemExit) as error:
        train(run.path, *options)
    message = str(error.value.code)
    assert message.startswith(f"error: {run.path.parent}") and "\n" not in message
    assert place in message and "File too large" in message
    assert_same_run(whole, train(run.path, *(("--resume",) if run.path.exists() else options)))


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_place_that_cannot_be_written_to_is_named_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as error:
        train(tmp_path / place / "a")
    message = str(error.value.code)
    assert message.startswith("error: ") and "\n" not in message
    assert str(tmp_path / place) in message
    assert (tmp_path / "file").read_text() == "mine"
