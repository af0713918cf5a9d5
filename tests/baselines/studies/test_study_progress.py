"""The progress of a study: phases of a task, the time left, in one process and in several."""

import time
from pathlib import Path

import pytest

from baselines.studies import side_by_side
from baselines.studies.side_by_side import Board, report, run_side_by_side


class Clock:
    """The time of `time.monotonic`, set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(side_by_side, "time", clock)
    return clock


def test_before_a_piece_is_done_its_phases_count(clock: Clock) -> None:
    board = Board({"a": 4, "b": 2})
    assert board.describe() == "time left -"
    board.begin("a")
    board.enter("a", "learning")
    clock.now += 10
    assert board.describe() == "time left about 0:02:30; a: learning, 10 s"
    board.enter("a", "playing")
    clock.now += 10
    assert board.share_done == pytest.approx(1.5 / 4 / 2)
    assert board.describe() == "time left about 0:01:27; a: playing, 20 s"


def test_afterwards_the_mean_time_of_a_piece_counts(clock: Clock) -> None:
    board = Board({"a": 2, "b": 2, "c": 2})
    board.begin("a")
    clock.now += 20
    board.end("a")
    board.begin("b")
    clock.now += 5
    assert board.share_done == pytest.approx(1.25 / 3)
    assert board.describe() == "time left about 0:00:35; b: starting, 5 s"
    clock.now += 100
    assert board.share_done == pytest.approx(1.95 / 3)


def test_only_some_of_many_pieces_at_work_are_named(clock: Clock) -> None:
    board = Board({f"piece {i}": 1 for i in range(7)})
    for i in range(7):
        board.begin(f"piece {i}")
    assert board.describe().endswith("piece 3: starting, 0 s; and 3 more")


def do_and_say(path: Path) -> None:
    """A piece of work that lasts until its phase was seen."""
    report("beginning")
    seen = path.with_suffix(".seen")
    while not seen.exists():
        time.sleep(0.01)


@pytest.mark.parametrize("jobs", [1, 2])
def test_phases_of_pieces_are_heard_of_while_they_are_at_work(jobs: int, tmp_path: Path) -> None:
    pieces = [tmp_path / "a", tmp_path / "b"]
    lines: list[str] = []

    def hear(board: Board) -> None:
        lines.append(board.describe())
        for path in pieces:
            if f"{path.name}: beginning" in lines[-1]:
                path.with_suffix(".seen").touch()

    board = Board({path.name: 1 for path in pieces})
    run_side_by_side(do_and_say, {path.name: path for path in pieces}, jobs, board, hear, poll_seconds=0.1)
    assert lines[-1] == "time left about 0:00:00"
    assert board.share_done == 1


def test_a_report_that_nobody_listens_to_is_dropped(tmp_path: Path) -> None:
    board = Board({"a": 1})
    run_side_by_side(Path.touch, {"a": tmp_path / "a"}, 1, board, lambda board: None)
    before = board.share_done, board.describe()
    report("playing")
    assert (board.share_done, board.describe()) == before
    assert (tmp_path / "a").is_file()
