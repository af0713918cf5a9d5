"""The work of a study, in one process and in several, and what is printed about it."""

import io
import os
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from baselines.studies import side_by_side
from baselines.studies.side_by_side import Stage, run_side_by_side


def touch(path: Path) -> None:
    """A piece of work."""
    path.touch()


def fail_or_wait(marker: Path, name: str) -> None:
    """A piece of work that fails, or one that would last for minutes; it leaves its process id."""
    if name == "fails":
        while not marker.exists():
            time.sleep(0.01)
        raise ValueError("nothing to learn")
    marker.write_text(str(os.getpid()))
    time.sleep(300)


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_pieces_are_done_and_yielded(jobs: int, tmp_path: Path) -> None:
    pieces = [tmp_path / name for name in "abc"]
    done = list(run_side_by_side(touch, pieces, jobs))
    assert sorted(done) == pieces == sorted(tmp_path.iterdir())
    assert jobs > 1 or done == pieces  # in their order


def test_what_stops_a_piece_stops_the_others(tmp_path: Path) -> None:
    start_time = time.monotonic()
    with pytest.raises(ValueError, match="nothing to learn"):
        list(run_side_by_side(partial(fail_or_wait, tmp_path / "marker"), ["waits", "fails"], 2))
    assert time.monotonic() - start_time < 100
    process = int((tmp_path / "marker").read_text())
    for _ in range(1000):
        try:
            os.kill(process, 0)  # raises if there is no such process
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("a process is still at work")


def test_time_left_goes_by_the_pieces_of_this_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(side_by_side, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def work(options: object, piece: str) -> None:
        now[0] += 60

    stage = Stage(name="train", pieces=lambda _: list("abcd"), is_done=lambda _, piece: piece == "a", work=work)
    text = io.StringIO()
    side_by_side.work([stage], SimpleNamespace(jobs=1), Console(file=text, width=200))
    assert text.getvalue().splitlines() == [
        "1/4 pieces of work are done",
        "2/4 pieces, time left about 0:02:00; done: train b",
        "3/4 pieces, time left about 0:01:00; done: train c",
        "4/4 pieces, time left about 0:00:00; done: train d",
    ]
