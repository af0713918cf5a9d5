"""Where a run reports its progress: the live table, plain lines, Weights & Biases."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from rich.console import Console

from baselines.runs import display
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory, RunRecord
from baselines.runs.options import prepare
from tests.baselines import fake_algorithm as fake

pytestmark = pytest.mark.usefixtures("quick_compiling")


def train_fake(tmp_path: Path, *options: str) -> RunDirectory:
    """Runs the command; the name of the run is the first option."""
    train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", *options])
    return RunDirectory(tmp_path / options[0])


@pytest.fixture(scope="module")
def record() -> RunRecord:
    """Of a run of two seeds."""
    return prepare(fake.ALGORITHM, ["--num-seeds", "2", "--seed", "7"]).record


def test_wandb_offline_writes_one_series_for_each_seed_and_says_how_they_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    directory = train_fake(tmp_path / "my runs", "logged", "--num-seeds", "2", "--wandb", "offline")
    assert len(list(directory.path.glob("wandb/offline-run-*/*.wandb"))) == 2
    folder = directory.path / "wandb"
    line = f"files for Weights & Biases are in {folder}; send them, with an account, by: "
    assert f"{line}wandb sync '{folder}'/offline-run-*\n" in capsys.readouterr().out


def test_wandb_online_without_an_account_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: Any) -> None:
        raise wandb.Error("no account")

    monkeypatch.setattr("wandb.init", init)
    with pytest.raises(SystemExit, match=r"^error: --wandb online cannot begin: no account$"):
        train_fake(tmp_path, "logged", "--wandb", "online")


def test_wandb_online_is_told_mode_group_and_an_id_for_each_seed_that_stays(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("wandb.init", lambda **options: calls.append(options))
    for _ in range(2):
        display.WandbSeries("online", Path("whole"), record, Console(file=io.StringIO()))
    assert {(call["mode"], call["group"], call["resume"]) for call in calls} == {("online", "whole", "allow")}
    ids = [call["id"] for call in calls]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]
    assert [call["config"]["seed"] for call in calls] == [7, 8, 7, 8]


def test_without_wandb_it_is_not_even_imported(record: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    console = Console(file=io.StringIO())
    arguments = (console, record, Path("whole"), 400)
    assert [type(listener) for listener in display.make_listeners(*arguments, "disabled")] == [display.PlainLines]
    with pytest.raises(ImportError):
        display.make_listeners(*arguments, "offline")


def row_of(update: int, value: float) -> display.Row:
    """Two seeds."""
    names = ("return_collective", "return_0", "return_1", "efficiency", "equality", "sustainability", "peace")
    columns = {"update": update, "env_steps": 1e6 * update, "wall_seconds": 2.0 * update, "env_steps_per_second": 100.0}
    return {name: np.full(2, number) for name, number in (columns | dict.fromkeys(names, value)).items()}


def test_the_live_table_shows_progress_speed_of_all_seeds_and_time_left() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    table = display.LiveTable(console, "the title", num_updates=10)
    for update, value in ((1, 12.5), (2, float("nan"))):
        table.update(row_of(update, value))
    table.close()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for text in ("the title", "2/10", "2,000,000", "12.5 12.5", "200", "0:00:16", "peace"):
        assert text in shown


def test_plain_lines_come_now_and_then_and_at_the_end() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True)
    lines = display.PlainLines(console, "the title", num_updates=4)
    for update in range(1, 5):
        lines.update(row_of(update, 1.0))
    lines.close()
    assert isinstance(console.file, io.StringIO)
    title, start, first, last = console.file.getvalue().splitlines()
    assert (title, start) == ("the title", "compiling")
    assert (first[:10], last[:10]) == ("update 1/4", "update 4/4")


def test_metrics_that_a_game_does_not_have_are_not_shown() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True)
    lines = display.PlainLines(console, "the title", num_updates=1)
    lines.update({name: column for name, column in row_of(1, 1.0).items() if name != "peace"})
    assert isinstance(console.file, io.StringIO)
    assert "equality 1" in console.file.getvalue() and "peace" not in console.file.getvalue()
