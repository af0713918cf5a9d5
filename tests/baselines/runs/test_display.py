"""Where a run reports its progress: the live table, plain lines, Weights & Biases, TensorBoard."""

import errno
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from baselines.disk.writing import GrowingFile
from baselines.runs import display, recording
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory, RunRecord
from baselines.runs.options import prepare
from baselines.runs.table import read_metrics
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


def test_without_wandb_and_tensorboard_they_are_not_even_imported(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    console = Console(file=io.StringIO())
    arguments = (console, record, Path("whole"), 400)
    (listener,) = display.make_listeners(*arguments, "disabled", False)
    assert isinstance(listener, display.Display)
    with pytest.raises(ImportError):
        display.make_listeners(*arguments, "offline", False)


def assert_tensorboard_shows(directory: RunDirectory) -> None:
    """TensorBoard reads every row of metrics.csv once, at its env steps, and nothing else."""
    columns = read_metrics(directory.metrics)
    for seed in directory.read_record().seeds:
        events = EventAccumulator(str(directory.path / "tensorboard" / f"seed_{seed}"), {"scalars": 0}).Reload()
        is_own = columns["seed"] == seed
        found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        expected = {}
        for name, column in columns.items():
            is_point = is_own & ~np.isnan(column)
            points = zip(columns["env_steps"][is_point].astype(int), column[is_point].astype(np.float32), strict=True)
            expected[name] = [(int(step), pytest.approx(float(value), rel=1e-6)) for step, value in points]
        assert found == {name: points for name, points in expected.items() if points}


def test_tensorboard_has_the_rows_of_metrics_csv_for_each_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = train_fake(tmp_path / "my runs", "logged", "--num-seeds", "2", "--seed", "7", "--tensorboard")
    assert_tensorboard_shows(directory)
    folder = directory.path / "tensorboard"
    assert sorted(path.name for path in folder.iterdir()) == ["seed_7", "seed_8"]
    line = f"files for TensorBoard are in {folder}; open them by: tensorboard --logdir '{folder}'\n"
    assert line in capsys.readouterr().out


def test_a_resumed_run_has_no_row_twice_in_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupter:
        def update(self, row: display.Row) -> None:
            if row["update"][0] == 12:
                raise OSError(errno.ENOSPC, "disk full")

        def close(self) -> None:
            pass

    make = display.make_listeners
    options = ["--num-updates", "20", "--checkpoint-every", "5", "--num-seeds", "2", "--tensorboard"]
    with monkeypatch.context() as patch:
        patch.setattr(recording, "make_listeners", lambda *arguments: [*make(*arguments), Interrupter()])
        with pytest.raises(SystemExit, match=r"Go on with: .* --name logged --tensorboard --resume$"):
            train_fake(tmp_path, "logged", *options)
    directory = train_fake(tmp_path, "logged", "--tensorboard", "--resume")  # from the checkpoint after update 10
    assert len(list(directory.path.glob("tensorboard/seed_0/*"))) == 2
    assert read_metrics(directory.metrics)["update"][-1] == 20
    assert_tensorboard_shows(directory)


def test_the_step_of_a_run_that_plays_nothing_is_its_update(record: RunRecord, tmp_path: Path) -> None:
    series = display.TensorBoardSeries(tmp_path, record, Console(file=io.StringIO()))
    for update in (1, 2):
        series.update({**row_of(update, 3.5), "env_steps": np.zeros(2)})
    series.close()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "seed_7")).Reload().Scalars("return_0")
    assert [(event.step, event.value) for event in events] == [(1, 3.5), (2, 3.5)]


def test_a_run_goes_on_when_tensorboard_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append = GrowingFile.append

    def fail_later(file: GrowingFile, content: bytes) -> None:
        if "tfevents" in file.path.name and b"return_0" in content and file.settle() > 2000:
            raise OSError(errno.ENOSPC, "No space left on device", str(file.path))
        append(file, content)

    monkeypatch.setattr(GrowingFile, "append", fail_later)
    directory = train_fake(tmp_path, "logged", "--num-updates", "30", "--tensorboard")
    np.testing.assert_array_equal(read_metrics(directory.metrics)["update"], np.arange(1, 31))
    assert directory.parameters(0).is_file()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "TensorBoard has no rows" in line]
    assert line.endswith(": No space left on device; training continues, and metrics.csv has every row")


def test_a_folder_for_tensorboard_that_cannot_be_made_is_reported_once(record: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    console = Console(file=io.StringIO(), soft_wrap=True)
    series = display.TensorBoardSeries(tmp_path, record, console)
    for update in (1, 2):
        series.update(row_of(update, 1.0))
    series.close()
    assert isinstance(console.file, io.StringIO)
    (line,) = console.file.getvalue().splitlines()
    assert line.startswith(f"TensorBoard has no rows from update 1 on: {tmp_path / 'tensorboard'}")


def test_without_the_library_tensorboard_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    message = r"^error: --tensorboard needs the library tensorboard \(.*\): install it with pip install -e '\.\[tensor"
    with pytest.raises(SystemExit, match=message):
        train_fake(tmp_path / "runs", "logged", "--tensorboard")
    assert not (tmp_path / "runs").exists()


def row_of(update: int, value: float) -> display.Row:
    """Two seeds."""
    names = ("return_collective", "return_0", "return_1", "efficiency", "equality", "sustainability", "peace")
    columns = {"update": update, "env_steps": 1e6 * update, "wall_seconds": 2.0 * update, "env_steps_per_second": 100.0}
    return {name: np.full(2, number) for name, number in (columns | dict.fromkeys(names, value)).items()}


def test_the_live_table_shows_progress_speed_of_all_seeds_and_time_left() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    table = display.Display(console, "the title", num_updates=10)
    for update, value in ((1, 12.5), (2, float("nan"))):
        table.update(row_of(update, value))
    table.close()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for text in ("the title", "2/10", "2,000,000", "12.5 12.5", "200", "0:00:16", "peace"):
        assert text in shown


def test_plain_lines_come_now_and_then_and_at_the_end() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True)
    lines = display.Display(console, "the title", num_updates=4)
    for update in range(1, 5):
        lines.update(row_of(update, 1.0))
    lines.close()
    assert isinstance(console.file, io.StringIO)
    title, start, first, last = console.file.getvalue().splitlines()
    assert (title, start) == ("the title", "compiling")
    assert (first[:10], last[:10]) == ("update 1/4", "update 4/4")


def test_metrics_that_a_game_does_not_have_are_not_shown() -> None:
    console = Console(file=io.StringIO(), soft_wrap=True)
    lines = display.Display(console, "the title", num_updates=1)
    lines.update({name: column for name, column in row_of(1, 1.0).items() if name != "peace"})
    assert isinstance(console.file, io.StringIO)
    assert "equality 1" in console.file.getvalue() and "peace" not in console.file.getvalue()
