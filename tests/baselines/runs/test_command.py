"""The training command: the files of a run, how it is interrupted and resumed, and which options are refused."""

import dataclasses
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

import jaxdilemmas
from baselines import ippo, presets
from baselines.core.trainer import Trainer
from baselines.disk.schema import save_json
from baselines.runs import display, recording
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.loop import Finished, TrainingStream, Update, over_seeds
from baselines.runs.options import default_name, parse_env_kwargs, prepare
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from baselines.runs.terminal import INTERRUPTED
from jaxdilemmas.environment import Environment
from tests.baselines import fake_algorithm as fake

REPOSITORY = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("quick_compiling")
MANY = ("--num-updates", "400", "--checkpoint-every", "150", "--num-seeds", "2", "--seed", "7")


def train_fake(tmp_path: Path, *options: str) -> RunDirectory:
    """Runs the command; the name of the run is the first option."""
    train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", *options])
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
    expected = [".lock", "checkpoints", "config.json", "learning_curve.png", "metrics.csv", "parameters"]
    assert sorted(path.name for path in whole.path.iterdir()) == expected
    assert sorted(path.name for path in whole.checkpoints.iterdir()) == ["300", "400"]
    assert [whole.parameters(seed).is_file() for seed in (7, 8)] == [True, True]
    assert whole.read_record().about["device"].startswith(jax.devices()[0].platform)


def test_there_is_a_row_for_each_update_and_seed(whole: RunDirectory) -> None:
    rows = read_metrics(whole.metrics)
    np.testing.assert_array_equal(rows["update"], np.repeat(np.arange(1, 401), 2))
    np.testing.assert_array_equal(rows["seed"], np.tile([7, 8], 400))
    np.testing.assert_array_equal(rows["env_steps"], 1e5 * rows["update"])
    assert (rows["other"][rows["seed"] == 7] != rows["other"][rows["seed"] == 8]).all()
    assert (np.diff(rows["wall_seconds"]) >= 0).all()


def test_the_same_seed_writes_the_same_rows_and_the_last_line_says_where(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = train_fake(tmp_path, "again", *MANY)
    assert_same_run(whole, again)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"results are in {again.path}; compare with random play: python -m baselines.evaluate {again.path}"


def test_a_run_killed_after_a_checkpoint_is_resumed_bitwise(whole: RunDirectory, tmp_path: Path) -> None:
    killed = RunDirectory(shutil.copytree(whole.path, tmp_path / "killed"))
    shutil.rmtree(killed.checkpoints / "400")
    shutil.rmtree(killed.path / "parameters")
    killed.metrics.write_text(killed.metrics.read_text()[:-9])
    assert_same_run(whole, train_fake(tmp_path, "killed", "--resume"))


def test_a_damaged_checkpoint_is_replaced_from_the_one_before(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = RunDirectory(shutil.copytree(whole.path, tmp_path / "killed"))
    (killed.checkpoints / "400" / "default" / "_METADATA").unlink()
    resumed = train_fake(tmp_path, "killed", "--resume")
    assert "after update 400 is damaged: going on from the one after update 300" in capsys.readouterr().out
    assert_same_run(whole, resumed)
    assert (resumed.checkpoints / "400" / "default" / "_METADATA").is_file()


def test_resuming_on_another_device_or_version_is_told(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = RunDirectory(shutil.copytree(whole.path, tmp_path / "moved"))
    record = directory.read_record()
    save_json(directory.config, dataclasses.replace(record, about=record.about | {"jax": "0.1"}))
    train_fake(tmp_path, "moved", "--resume")
    changes = f"jax was 0.1 and is {jax.__version__}"
    assert f"not promised to equal an uninterrupted run bitwise: {changes}\n" in capsys.readouterr().out


def test_a_checkpoint_without_its_rows_is_not_resumed(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole.path, tmp_path / "a")
    (tmp_path / "a" / "metrics.csv").unlink()
    assert "metrics.csv is missing, or lacks" in refusal(capsys, tmp_path, "--name", "a", "--resume")


def test_env_steps_are_exact_where_the_settings_say_how_many_an_update_has(tmp_path: Path) -> None:
    options = ["--runs-dir", str(tmp_path), "--name", "a", "--num-seeds", "2"]
    job = prepare(fake.ALGORITHM, options)._replace(env_steps_per_update=16_777_217)
    metrics: dict[str, np.ndarray] = {"env_steps": np.full(2, 5e7), "episode_return": np.zeros((2, 2))}
    job.directory.create(job.record)
    with closing(recording.Recorder(job, recording.begin(job))) as recorder:
        recorder.handle(Update(3, metrics, 1.0, np.ones(2, bool)))
    assert read_metrics(job.directory.metrics)["env_steps"].tolist() == [50_331_651, 50_331_651]


def test_a_run_killed_before_its_first_checkpoint_starts_again(whole: RunDirectory, tmp_path: Path) -> None:
    killed = RunDirectory(shutil.copytree(whole.path, tmp_path / "killed"))
    shutil.rmtree(killed.checkpoints)
    shutil.rmtree(killed.path / "parameters")
    lines = killed.metrics.read_text().splitlines(keepends=True)
    killed.metrics.write_text("".join(lines[: 1 + 2 * 150]))
    assert_same_run(whole, train_fake(tmp_path, "killed", "--resume", *MANY))


@pytest.mark.parametrize("what", ["rows", "parameters"])
def test_a_run_whose_checkpoints_were_removed_is_refused_and_stays_as_it_is(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    directory = RunDirectory(shutil.copytree(whole.path, tmp_path / "a"))
    shutil.rmtree(directory.checkpoints)
    shutil.rmtree(directory.path / "parameters") if what == "rows" else directory.metrics.unlink()
    before = {path: path.read_bytes() for path in directory.path.rglob("*.*") if path.name != ".lock"}
    message = refusal(capsys, tmp_path, "--name", "a", "--resume")
    assert f"{directory.checkpoints} is missing or empty" in message
    assert {path: path.read_bytes() for path in before} == before


def test_rows_that_were_altered_are_not_resumed(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = RunDirectory(shutil.copytree(whole.path, tmp_path / "a"))
    lines = directory.metrics.read_text().splitlines(keepends=True)
    cells = lines[9].split(",")
    lines[9] = ",".join([*cells[:-1], "0.5\n"])
    directory.metrics.write_text("".join(lines))
    assert "metrics.csv was altered: its rows up to update 400" in refusal(capsys, tmp_path, "--name", "a", "--resume")


def test_a_run_is_resumed_by_one_process_at_a_time(
    whole: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = RunDirectory(shutil.copytree(whole.path, tmp_path / "a"))
    with directory.hold():
        message = refusal(capsys, tmp_path, "--name", "a", "--resume")
    assert f"a is in use by process {os.getpid()} on " in message


def test_a_game_of_ones_own_is_imported_only_if_the_user_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game = "tests.probes:Probe"
    directory = train_fake(tmp_path, "a", "--env", game)
    message = refusal(capsys, tmp_path, "--name", "a", "--resume")
    assert "config.json: env_id='tests.probes:Probe' is not allowed: only a registered game is" in message
    assert f"name it with --env {game} if you trust it" in message
    assert "env='gems' is not allowed" in refusal(capsys, tmp_path, "--name", "a", "--resume", "--env", "gems")
    train_fake(tmp_path, "a", "--env", game, "--resume")
    assert read_metrics(directory.metrics)["update"][-1] == 6


@pytest.mark.parametrize("where", ["loss", "parameters"])
def test_a_run_that_stops_being_finite_stops_with_the_update_and_keeps_its_last_checkpoint(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_trainer(config: fake.Config, env: Environment) -> Trainer:
        trainer = fake.make_trainer(config, env)

        def update(train_state: fake.TrainState, env_params: Any) -> Any:
            train_state, metrics = trainer.update(train_state, env_params)
            bad = jnp.where(train_state.update_index == 5, jnp.nan, 0.0)
            if where == "loss":
                return train_state, metrics | {"value_loss": 1 + bad}
            weights = {"weights": train_state.network_params["weights"] + bad}
            return train_state._replace(network_params=weights), metrics

        return Trainer(trainer.init, update)

    options = ["--runs-dir", str(tmp_path), "--name", "a", "--checkpoint-every", "2", "--num-updates", "9"]
    with pytest.raises(SystemExit) as exit_info:
        train_command(dataclasses.replace(fake.ALGORITHM, make_trainer=make_trainer), options)
    message = str(exit_info.value.code)
    assert f"{'value_loss' if where == 'loss' else 'parameters'} not finite after update 5 (seed 0)" in message
    assert "the last checkpoint is after update 4" in message
    directory = RunDirectory(tmp_path / "a")
    assert sorted(path.name for path in directory.checkpoints.iterdir()) == ["2", "4"]
    assert read_metrics(directory.metrics)["update"][-1] == 5
    assert not directory.parameters(0).exists()


@pytest.mark.parametrize("place", ["a", "a/metrics.csv", "a/checkpoints"])
def test_what_is_removed_while_training_is_told_in_one_line(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Remover:
        def update(self, row: display.Row) -> None:
            if row["update"][0] == 3:
                shutil.move(tmp_path / place, tmp_path / "elsewhere")

        def close(self) -> None:
            pass

    monkeypatch.setattr(recording, "make_listeners", lambda *_: [Remover()])
    options = ["--runs-dir", str(tmp_path), "--name", "a", "--num-updates", "9", "--checkpoint-every", "5"]
    with pytest.raises(SystemExit) as exit_info:
        train_command(fake.ALGORITHM, options)
    message = str(exit_info.value.code)
    what, update = ("checkpoints", 5) if place == "a/checkpoints" else ("metrics.csv", 3)
    assert f"{what}: removed while" in message
    assert f"metrics.csv was written up to update {update}; there is no checkpoint" in message
    assert f"Go on with: python -m baselines.fake --runs-dir {tmp_path} --name a --resume" in message


def test_an_interrupted_run_keeps_its_rows_and_is_resumed_bitwise(
    whole: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupter:
        def update(self, row: display.Row) -> None:
            if row["update"][0] == 40:
                signal.raise_signal(signal.SIGINT)

        def close(self) -> None:
            pass

    handler = signal.getsignal(signal.SIGINT)  # which ignores it where the tests run in the background of a shell
    with monkeypatch.context() as patch:
        patch.setattr(recording, "make_listeners", lambda *_: [Interrupter()])
        with pytest.raises(SystemExit) as exit_info:
            train_fake(tmp_path, "stopped", *MANY)
    stopped = RunDirectory(tmp_path / "stopped")
    last = int(read_metrics(stopped.metrics)["update"][-1])
    assert exit_info.value.code == INTERRUPTED
    assert 40 <= last < 400
    assert (stopped.checkpoints / str(last)).is_dir()
    assert f"after update {last} of 400" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is handler
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
    assert process.returncode == INTERRUPTED
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


class Sum(NamedTuple):
    """A train state."""

    network_params: jax.Array


def make_stream(update: Callable[[Any, Any], Any], num_updates: int = 100) -> TrainingStream:
    return TrainingStream(Trainer(lambda *_: None, update), jnp.float32(1), num_updates, checkpoint_every=10)


def add(x: Sum, step: jax.Array) -> tuple[Sum, dict[str, jax.Array]]:
    return Sum(x.network_params + step), {"x": x.network_params}


def test_leaving_a_stream_early_ends_its_thread() -> None:
    with make_stream(add, num_updates=10**9) as stream:
        stream.start(lambda: Sum(jnp.zeros(2)))
        next(event for event in stream if isinstance(event, Update))
    assert stream._thread is not None
    assert not stream._thread.is_alive()


def test_an_error_in_an_update_reaches_the_reader() -> None:
    def update(x: Sum, step: jax.Array) -> Any:
        raise ValueError("the update is wrong")

    with make_stream(update) as stream:
        stream.start(lambda: Sum(jnp.zeros(1)))
        with pytest.raises(RuntimeError, match="an update failed: the update is wrong"):
            list(stream)


def test_a_stream_goes_on_from_any_update() -> None:
    with make_stream(add) as stream:
        stream.start(lambda: Sum(jnp.array([97.0])), update=97)
        events = [event for event in stream if event is not None]
    assert [(event.update, float(event.metrics["x"][0])) for event in events if isinstance(event, Update)] == [
        (98, 97.0),
        (99, 98.0),
        (100, 99.0),
    ]
    assert isinstance(events[-1], Finished)
    assert (events[-1].update, events[-1].train_states.network_params.tolist()) == (100, [100.0])


def test_one_seed_is_computed_as_each_of_several() -> None:
    def draw(key: jax.Array, scale: float) -> dict[str, jax.Array]:
        return {"x": scale * jax.random.normal(key, (2,))}

    keys = jax.random.split(jax.random.key(0), 3)
    several, single = over_seeds(draw, 3)(keys, 2.0), over_seeds(draw, 1)(keys[1:2], 2.0)
    assert (several["x"][1:2] == single["x"]).all()


def refusal(capsys: pytest.CaptureFixture[str], tmp_path: Path, *options: str) -> str:
    """The message with which options are refused; nothing is written."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as exit_info:
        train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), *options])
    assert sorted(tmp_path.rglob("*")) == before
    assert exit_info.value.code not in (0, None)
    return f"{exit_info.value.code} {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--env", "gatherin"), "did you mean 'gathering'"),
        (("--env-kwargs", "num_agents"), "env_kwargs='num_agents' is not allowed: name=value"),
        (("--env-kwargs", "num_agents=2", "num_agents=3"), "each name once"),
        (("--env-kwargs", "colour=red"), "unknown keyword 'colour' with value 'red'"),
        (("--env-kwargs", "self=1"), "env_kwargs='self=1' is not allowed"),
        (("--env-kwargs", "env_id=gems"), "env_kwargs='env_id=gems' is not allowed"),
        (("--env-kwargs", "num_agents=1000"), "num_agents=1000 is not allowed"),
        (("--size", "0"), "size=0 is not allowed"),
        (("--size", "big"), "size"),
        (("--siz", "2"), "--siz"),
        (("--num-seeds", "0"), "num_seeds=0 is not allowed"),
        (("--seed", "2147483646", "--num-seeds", "3"), "num_seeds=3 is not allowed: from 1 to 2; seeds are below 2^31"),
        (("--seed", "-1"), "seed=-1 is not allowed"),
        (("--checkpoint-every", "0"), "checkpoint_every=0 is not allowed"),
        (("--name", "a/b"), "name='a/b' is not allowed: the name of a directory"),
        (("--wandb", "sometimes"), "wandb"),
        (("--resume", "--name", "none"), "none is not a run: it has no config.json"),
    ],
)
def test_wrong_options_are_named_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in " ".join(refusal(capsys, tmp_path, *options).replace("│", " ").split())


def test_a_run_directory_that_exists_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    assert "taken exists: choose another --name" in refusal(capsys, tmp_path, "--name", "taken")


def test_a_run_is_resumed_with_its_own_options_only(
    whole: RunDirectory, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(whole.path, tmp_path / "a")
    resume = ("--name", "a", "--resume")
    assert "size=5 is not allowed: the run to resume has 3" in refusal(capsys, tmp_path, *resume, "--size", "5")
    assert "the run to resume has 7" in refusal(capsys, tmp_path, *resume, "--seed", "1")
    assert "the run to resume has {}" in refusal(capsys, tmp_path, *resume, "--env-kwargs", "num_agents=3")
    with pytest.raises(ValueError, match="a is a run of 'fake', not of 'other'"):
        prepare(dataclasses.replace(fake.ALGORITHM, name="other"), ["--runs-dir", str(tmp_path), *resume])


def test_values_of_env_kwargs_have_types() -> None:
    texts = ["a=4", "b=large", "c=true", "d=False", "e=(0, .5)", "f=1e-3", "g=None", "h='4'"]
    values = [4, "large", True, False, (0, 0.5), 1e-3, None, "4"]
    assert list(parse_env_kwargs(texts).values()) == values


def test_a_map_is_a_name_or_text_or_the_text_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = "{'grid': 'XPX\\nO1D'}"
    (tmp_path / "my.txt").write_text("XPX\r\nO1D\r\nXSX\r\n")
    monkeypatch.chdir(tmp_path)
    texts = {
        "small": "small",
        "XPX\nO.D": "XPX\nO.D",
        "'a.txt'": "a.txt",
        "'X\\nY'": "X\nY",
        layout: layout,
        "(1, 2)": (1, 2),
    }
    texts |= dict.fromkeys(["my.txt", "./my.txt", str(tmp_path / "my.txt")], "XPX\nO1D\nXSX\n")
    for text, value in texts.items():
        assert parse_env_kwargs([f"map={text}"]) == {"map": value}
    with pytest.raises(ValueError, match=r"map='none\.txt' is not allowed: there is no such file"):
        parse_env_kwargs(["map=none.txt"])


def test_a_board_of_ones_own_is_in_the_record_of_a_run_as_text(tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text("XPX\nO1D\nXSX")
    options = ["--runs-dir", str(tmp_path), "--env", "overcooked", "--env-kwargs", f"map={tmp_path / 'my.txt'}"]
    job = prepare(fake.ALGORITHM, options)
    assert job.record.env_kwargs == {"map": "XPX\nO1D\nXSX"}


def test_env_kwargs_reach_the_game(tmp_path: Path) -> None:
    options = ["--runs-dir", str(tmp_path), "--env-kwargs", "num_agents=3", "max_steps=7"]
    job = prepare(fake.ALGORITHM, options)
    assert int(job.env_params.max_steps) == 7
    assert job.record.env_kwargs == {"num_agents": 3, "max_steps": 7}


def test_explicit_options_win_over_presets_and_those_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.PRESETS, ("fake", "commons"), {"num_updates": 11, "size": 12})
    options = ["--runs-dir", str(tmp_path), "--env", "commons", "--size", "13"]
    assert prepare(fake.ALGORITHM, options).record.config == {
        "num_updates": 11,
        "size": 13,
        "sizes": (1, 2),
    }
    assert prepare(fake.ALGORITHM, []).record.config["num_updates"] == 6


@pytest.mark.parametrize(("algorithm", "env_id"), presets.PRESETS)
def test_a_preset_names_an_algorithm_a_game_and_settings_that_exist(algorithm: str, env_id: str) -> None:
    assert env_id in jaxdilemmas.registered_envs()
    config = importlib.import_module(f"baselines.{algorithm}").Config(**presets.preset(algorithm, env_id))
    assert config != type(config)() or (algorithm, env_id) == ("ippo", "gathering")  # whose settings are the defaults


def test_a_run_without_a_name_is_called_by_algorithm_and_game(tmp_path: Path) -> None:
    job = prepare(fake.ALGORITHM, ["--runs-dir", str(tmp_path)])
    assert job.directory.path.name.startswith("fake-gathering-20")
    assert default_name("fake", "package.module:Game").startswith("fake-Game-20")


@pytest.mark.parametrize(
    "game",
    [
        ["--env", "tests.probes:Probe"],
        ["--env", "overcooked", "--bonus", "onion_taken=1", "dish_taken=0.5", "--bonus-steps", "12"],
    ],
)
def test_ippo_is_resumed_bitwise(game: list[str], tmp_path: Path) -> None:
    options = ["--runs-dir", str(tmp_path), *game]
    options += ["--total-env-steps", "16", "--num-envs", "2", "--rollout-steps", "2", "--num-minibatches", "2"]
    options += ["--num-epochs", "1", "--hidden-size", "4", "--name", "a", "--checkpoint-every", "2"]
    train_command(ippo.ALGORITHM, options)
    whole = RunDirectory(tmp_path / "a")
    resumed = RunDirectory(shutil.copytree(whole.path, tmp_path / "b"))
    shutil.rmtree(resumed.checkpoints / "4")
    shutil.rmtree(resumed.path / "parameters")
    resume = ["--runs-dir", str(tmp_path), "--name", "b", *game[:2], "--resume"]
    train_command(ippo.ALGORITHM, resume)
    assert_same_run(whole, resumed)
