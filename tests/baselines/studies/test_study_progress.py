"""What is printed about the work of a study."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from baselines.studies import side_by_side
from baselines.studies.side_by_side import Stage


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
