"""The training command: what a run leaves behind, how it is interrupted and resumed, and which options are refused."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from baselines import evaluate, ippo, presets
from baselines.training import display, recording
from baselines.training.command import train_command
from baselines.training.options import parse_env_kwargs, prepare
from baselines.training.runs import RunDirectory
from baselines.training.streaming import Finished, TrainingStream, Update, over_seeds
from baselines.training.table import TIMING_COLUMNS, read_metrics
from baselines.training.trainer import Trainer
from tests.baselines import fake_algorithm as fake

REPOSITORY = Path(__file__).parents[2]
MANY = ("--num-updates", "400", "--checkpoint-every", "30", "--num-seeds", "2", "--seed", "7")


def train_fake(tmp_path: Path, *options: str) -> RunDirectory:
    """Runs the command; the name of the run is the first option."""
    train_command("fake", fake.Config, fake.make_trainer, ["--runs-dir", str(tmp_path), "--name", *options])
    return RunDirectory(tmp_path / options[0])


def untimed(directory: RunDirectory) -> dict[str, np.ndarray]:
    return {name: column for name, column in read_metrics(directory.metrics).items() if name not in TIMING_COLUMNS}


def assert_same_run(first: RunDirectory, second: RunDirectory) -> None:
    """The same rows, timing columns apart, and bitwise the same parameters."""
    first_rows, second_rows = untimed(first), untimed(second)
    assert list(first_rows) == list(second_rows)
    for name, column in first_rows.items():
        np.testing.assert_array_equal(column, second_rows[name], err_msg=name)
    for seed in first.read_record().seeds:
        ours, theirs = (load_file(directory.parameters(seed)) for directory in (first, second))
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train_fake(tmp_path_factory.mktemp("runs"), "whole", *MANY)


def test_a_run_leaves_everything_behind(whole: RunDirectory) -> None:
    expected = ["checkpoints", "config.json", "learning_curve.png", "metrics.csv", "parameters"]
    assert sorted(path.name for path in whole.path.iterdir()) == expected
    assert sorted(path.name for path in whole.checkpoints.iterdir()) == ["390", "400"]
    assert [whole.parameters(seed).is_file() for seed in (7, 8)] == [True, True]
    assert whole.read_record().about["device"].startswith(jax.devices()[0].platform)


def test_there_is_a_row_for_each_update_and_seed(whole: RunDirectory) -> None:
    rows = read_metrics(whole.metrics)
    np.testing.assert_array_equal(rows["update"], np.repeat(np.arange(1, 401), 2))
    np.testing.assert_array_equal(rows["seed"], np.tile([7, 8], 400))
    np.testing.assert_array_equal(rows["env_steps"], 1e5 * rows["update"])
    assert (rows["other"][rows["seed"] == 7] != rows["other"][rows["seed"] == 8]).all()
    assert (np.diff(rows["wall_seconds"]) >= 0).all()


def test_the_same_seed_writes_the_same_rows(whole: RunDirectory, tmp_path: Path) -> None:
    assert_same_run(whole, train_fake(tmp_path, "again", *MANY))


def test_a_run_killed_after_a_checkpoint_is_resumed_bitwise(whole: RunDirectory, tmp_path: Path) -> None:
    killed = RunDirectory(shutil.copytree(whole.path, tmp_path / "killed"))
    shutil.rmtree(killed.checkpoints / "400")
    shutil.rmtree(killed.path / "parameters")
    killed.metrics.write_text(killed.metrics.read_text()[:-9])
    assert_same_run(whole, train_fake(tmp_path, "killed", "--resume"))


def test_a_run_killed_before_its_first_checkpoint_starts_again(whole: RunDirectory, tmp_path: Path) -> None:
    killed = RunDirectory(shutil.copytree(whole.path, tmp_path / "killed"))
    shutil.rmtree(killed.checkpoints)
    shutil.rmtree(killed.path / "parameters")
    assert_same_run(whole, train_fake(tmp_path, "killed", "--resume", *MANY))


def test_an_interrupted_run_keeps_its_rows_and_is_resumed_bitwise(
    whole: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupter:
        def update(self, row: display.Row) -> None:
            if row["update"][0] == 40:
                signal.raise_signal(signal.SIGINT)

        def close(self) -> None:
            pass

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as exit_info:
        patch.setattr(recording, "make_listeners", lambda *_: [Interrupter()])
        train_fake(tmp_path, "stopped", *MANY)
    stopped = RunDirectory(tmp_path / "stopped")
    last = int(read_metrics(stopped.metrics)["update"][-1])
    assert exit_info.value.code == recording.INTERRUPTED
    assert 40 <= last < 400
    assert (stopped.checkpoints / str(last)).is_dir()
    assert f"after update {last} of 400" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same_run(whole, train_fake(tmp_path, "stopped", "--resume"))


def start_process(tmp_path: Path) -> tuple["subprocess.Popen[bytes]", Path]:
    """An endless run in a process of its own, once it has written some rows."""
    command = [sys.executable, "-m", "tests.baselines.fake_algorithm", "--num-updates", "1000000000"]
    command += ["--runs-dir", str(tmp_path), "--name", "endless"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    metrics = tmp_path / "endless" / "metrics.csv"
    deadline = time.monotonic() + 60
    while not (metrics.is_file() and metrics.stat().st_size > 20_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process, metrics


def test_ctrl_c_ends_the_program_promptly_and_keeps_every_row(tmp_path: Path) -> None:
    process, metrics = start_process(tmp_path)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == recording.INTERRUPTED
    assert b"--resume" in output
    updates = read_metrics(metrics)["update"]
    np.testing.assert_array_equal(updates, np.arange(1, len(updates) + 1))


def test_a_killed_program_leaves_whole_rows_up_to_the_last_update(tmp_path: Path) -> None:
    process, metrics = start_process(tmp_path)
    process.kill()
    process.communicate(timeout=15)
    lines = metrics.read_text().splitlines()
    assert len(lines) > 50
    assert [int(line.split(",")[1]) for line in lines[1:]] == list(range(1, len(lines)))


@pytest.mark.parametrize("grace", [0.0, 60.0])
def test_an_update_that_does_not_end_is_not_waited_for(grace: float, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(recording, "GRACE_SECONDS", grace)
    stream = TrainingStream(Trainer(lambda *_: None, lambda *_: (None, {})), None, 1, 1)
    with recording.Interruption(stream, Console(file=io.StringIO())) as interruption:
        interruption.enforce()
        signal.raise_signal(signal.SIGTERM)
        interruption.enforce()
        assert codes == [recording.INTERRUPTED] * (grace == 0.0)
        signal.raise_signal(signal.SIGTERM)
        assert codes[-1:] == [recording.INTERRUPTED]


def make_stream(update: Callable[[Any, Any], Any], num_updates: int = 100) -> TrainingStream:
    return TrainingStream(Trainer(lambda *_: None, update), jnp.float32(1), num_updates, checkpoint_every=10)


def test_leaving_a_stream_early_ends_its_thread() -> None:
    with make_stream(lambda x, step: (x + step, {"x": x}), num_updates=10**9) as stream:
        stream.start(lambda: jnp.zeros(2))
        next(event for event in stream if isinstance(event, Update))
    assert stream._thread is not None
    assert not stream._thread.is_alive()


def test_an_error_in_an_update_reaches_the_reader() -> None:
    def update(x: jax.Array, step: jax.Array) -> Any:
        raise ValueError("the update is wrong")

    with pytest.raises(ValueError, match="the update is wrong"), make_stream(update) as stream:
        stream.start(lambda: jnp.zeros(1))
        list(stream)


def test_a_stream_goes_on_from_any_update() -> None:
    with make_stream(lambda x, step: (x + step, {"x": x})) as stream:
        stream.start(lambda: jnp.array([97.0]), update=97)
        events = [event for event in stream if event is not None]
    assert [(event.update, float(event.metrics["x"][0])) for event in events if isinstance(event, Update)] == [
        (98, 97.0),
        (99, 98.0),
        (100, 99.0),
    ]
    assert isinstance(events[-1], Finished)
    assert (events[-1].update, events[-1].train_states.tolist()) == (100, [100.0])


def test_one_seed_is_computed_as_each_of_several() -> None:
    trainer = fake.make_trainer(fake.Config(), prepare("fake", fake.Config, fake.make_trainer, [])[2] and None)  # type: ignore[arg-type]
    del trainer
    keys = jax.random.split(jax.random.key(0), 3)
    draw = lambda key, scale: {"x": scale * jax.random.normal(key, (2,))}  # noqa: E731
    several, single = over_seeds(draw, 3)(keys, 2.0), over_seeds(draw, 1)(keys[1:2], 2.0)
    assert (several["x"][1:2] == single["x"]).all()
