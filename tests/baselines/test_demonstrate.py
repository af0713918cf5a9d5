"""The command that records demonstrations: its files, its output, and its errors for wrong options."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from baselines import demonstrate
from baselines.demonstrations import Demonstrations, Writer, load
from baselines.runs.directory import RunDirectory
from baselines.runs.terminal import INTERRUPTED
from tests.baselines.fake_algorithm import RUN_STEPS

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")
POOL = ("--env", "common_pool", "--env-kwargs", "num_agents=2", "max_steps=5")


def run(path: Path, *options: str) -> Demonstrations:
    demonstrate.main([*options, "--output", str(path)])
    return load(path)


def test_a_scripted_policy_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(
        tmp_path / "a.demos", *POOL, "--policy", "exploitative", "--episodes", "2", "--seed", "7", "--with-states"
    )
    header = found.header
    assert (header.env_id, header.policy, header.num_episodes, header.num_transitions) == (
        "common_pool",
        "exploitative",
        2,
        10,
    )
    assert header.env_kwargs == {"num_agents": 2, "max_steps": 5} and header.params["max_steps"] == 5
    assert found.states.keys() == {"stock", "taken", "step_count"}
    shown = capsys.readouterr().out
    returns = " ".join(f"{value:.4g}" for value in header.returns)
    assert f"2 episodes, 10 transitions of common_pool, mean return per agent {returns}; in {tmp_path}" in shown


def test_seeds_give_different_episodes(tmp_path: Path) -> None:
    options = (*POOL, "--policy", "random", "--transitions", "12")
    first, second = (run(tmp_path / seed, *options, "--seed", seed).actions for seed in ("1", "2"))
    assert first.shape == second.shape == (15, 2)
    assert (first != second).any()


def test_a_trained_run_is_recorded(trained: RunDirectory, tmp_path: Path) -> None:
    options = ("--env-kwargs", f"max_steps={RUN_STEPS}", "--policy", str(trained.path), "--episodes", "1")
    found = run(tmp_path / "a.demos", *options)
    assert (found.header.env_id, found.header.policy) == ("gathering", str(trained.path))
    np.testing.assert_array_equal(found.actions[:, 0], np.arange(RUN_STEPS) % 2)  # to and fro
    assert found.obs.shape == (RUN_STEPS, 2, 16, 21) and found.obs.dtype == np.uint8
    assert found.events.keys() == {"collected", "tagged", "hits_given", "hits_received"}


def test_progress_is_told_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demonstrate, "SECONDS_BETWEEN_LINES", 1e-9)
    monkeypatch.setattr("baselines.demonstrations.collecting.MOST_EPISODES_AT_ONCE", 2)
    run(tmp_path / "a.demos", *POOL, "--policy", "exploitative", "--episodes", "6")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "compiling"
    assert re.fullmatch(r"4 of 6 episodes, [\d,]+ a second, time left \d:\d\d:\d\d", lines[1])
    assert lines[2].startswith("6 of 6 episodes, ") and lines[2].endswith("time left 0:00:00")
    assert len(lines) == 4


def test_an_interrupted_recording_keeps_its_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("baselines.demonstrations.collecting.MOST_EPISODES_AT_ONCE", 1)
    write = Writer.write
    options = (*POOL, "--policy", "exploitative", "--episodes", "4")
    for num_written in (2, 0):

        def write_some(writer: Writer, block: Demonstrations, most: int = num_written) -> None:
            if writer.header.num_episodes == most:
                raise KeyboardInterrupt
            write(writer, block)

        monkeypatch.setattr(Writer, "write", write_some)
        path = tmp_path / f"{num_written}.demos"
        with pytest.raises(SystemExit) as stopped:
            run(path, *options)
        assert stopped.value.code == INTERRUPTED
        shown = capsys.readouterr().out
        assert "interrupted: whole episodes are kept" in shown
        assert ("no episode was recorded" in shown) == (not num_written) == (not path.exists())
    assert load(tmp_path / "2.demos").header.num_episodes == 2


def test_the_whole_episodes_of_a_file_that_is_cut_off_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.demonstrations.collecting.MOST_EPISODES_AT_ONCE", 1)
    whole = run(tmp_path / "a.demos", *POOL, "--policy", "random", "--episodes", "2")
    cut = tmp_path / "cut.demos"
    cut.write_bytes((tmp_path / "a.demos").read_bytes()[:-300])
    copied = run(tmp_path / "b.demos", "--partial", str(cut))
    assert copied.header.num_episodes == 1
    np.testing.assert_array_equal(copied.actions, whole.actions[:5])


def test_files_of_the_same_game_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(tmp_path / "a.demos", *POOL, "--policy", "random", "--episodes", "2", "--with-states")
    second = run(tmp_path / "b.demos", *POOL, "--policy", "cooperative", "--episodes", "1")
    found = run(tmp_path / "c.demos", "--join", str(tmp_path / "a.demos"), str(tmp_path / "b.demos"))
    assert (found.header.num_episodes, found.header.policy) == (3, "random, cooperative")
    np.testing.assert_array_equal(found.actions, np.concatenate([first.actions, second.actions]))
    assert "3 episodes, 15 transitions of common_pool" in capsys.readouterr().out


def test_recorded_gems_are_imported(tmp_path: Path) -> None:
    planes = np.zeros((1, 5, 15, 15), np.uint8)
    planes[0, :, 3, 4] = 1
    bits = np.packbits(planes.reshape(1, -1), axis=1)
    arrays: dict[str, Any] = {
        "actions": np.full((1, 2), 4, np.int8),
        "rewards": np.full((1, 2), 11, np.float32),
        "done": np.ones(1, bool),
    }
    np.savez(tmp_path / "gems.npz", **arrays, obs_bits=bits, next_obs_bits=bits)
    found = run(tmp_path / "a.demos", "--import-gems", str(tmp_path / "gems.npz"))
    assert (found.header.env_id, found.header.returns) == ("gems", (11.0, 11.0))
    assert found.header.env_version == jaxdilemmas.make("gems").version


def test_without_a_name_the_file_is_in_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    demonstrate.main([*POOL, "--policy", "exploitative", "--episodes", "1"])
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name.startswith("demonstrations-common_pool-")
    assert load(path).header.num_episodes == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "one of --policy, --import-gems, --partial and --join is needed"),
        (("--policy", "random", "--partial", "a"), "one of --policy, --import-gems, --partial and --join is needed"),
        (("--policy", "random", "--join", "a", "b"), "one of --policy, --import-gems, --partial and --join is needed"),
        (("--policy", "random"), "either it or transitions must be given"),
        (("--policy", "random", "--episodes", "1", "--transitions", "1"), "either it or transitions must be given"),
        (("--policy", "random", "--episodes", "1", "--seed", "-1"), "a whole number from 0 to 2^31 - 1"),
    ],
    ids=["no source", "two sources", "two sources, with files", "no number", "two numbers", "seed"],
)
def test_wrong_options_are_refused(
    tmp_path: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path / "a.demos", *options)
    assert message in " ".join(capsys.readouterr().err.replace("│", "").split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policy", "gready", "--episodes", "1"), "error: policy='gready' is not allowed: one of random"),
        (("--partial", "nowhere.demos"), "error: nowhere.demos is missing"),
        (("--import-gems", "nowhere.npz"), "error: nowhere.npz is missing"),
        (("--join", "nowhere.demos"), "error: nowhere.demos is missing"),
    ],
    ids=["policy", "partial", "gems", "join"],
)
def test_what_cannot_be_recorded_is_told_without_a_traceback(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "a.demos", *options)
    assert str(stopped.value.code).startswith(message)
    assert not (tmp_path / "a.demos").exists()


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.demos").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "a.demos", *POOL, "--policy", "exploitative", "--episodes", "1")
    assert "a.demos exists: choose another name" in str(stopped.value.code)
    assert (tmp_path / "a.demos").read_text() == "mine"
