"""Hints for new users: whether defaults were tuned, which game a command plays, and the next command."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

import jaxdilemmas
from baselines.presets import PRESETS
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.hints import how_to_record, list_runs, no_episode_ended, origin_of_defaults
from baselines.runs.options import parse_env_kwargs
from baselines.trained.algorithms import ALGORITHMS
from tests.baselines import fake_algorithm as fake

IMITATORS = ("mamql", "iq_learn", "cloning", "adversarial")


@pytest.mark.parametrize("algorithm", ["ippo", "networked", *IMITATORS])
def test_the_help_says_tuned_only_where_there_is_a_preset(algorithm: str) -> None:
    for env_id in (*jaxdilemmas.registered_envs(), "my_package.my_game:MyGame"):
        is_tuned = (algorithm, env_id) in PRESETS
        expected = f"those tuned for {env_id}." if is_tuned else f"of the algorithm; they are not tuned for {env_id}."
        assert origin_of_defaults(algorithm, env_id).endswith(expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [((), "of the algorithm; they are not tuned for gathering"), (("--env", "commons"), "tuned for commons.")],
)
def test_the_help_holds_that_sentence(
    options: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PRESETS, ("fake", "commons"), {"size": 12})
    with pytest.raises(SystemExit) as exit_info:
        train_command(fake.ALGORITHM, [*options, "--help"])
    assert exit_info.value.code == 0
    assert sentence in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_networked_learns_on_a_common_pool_where_no_game_is_named(tmp_path: Path) -> None:
    options = ["--total-env-steps", "100", "--hidden-size", "4", "--runs-dir", str(tmp_path), "--name", "a"]
    train_command(ALGORITHMS["networked"], options)
    assert RunDirectory(tmp_path / "a").read_record().env_id == "common_pool"


@pytest.mark.parametrize("algorithm", IMITATORS)
def test_an_imitator_without_demonstrations_names_the_command_that_records_some(algorithm: str) -> None:
    with pytest.raises(SystemExit) as exit_info:
        train_command(ALGORITHMS[algorithm], [])
    message = str(exit_info.value.code)
    assert "--demonstrations is needed" in message
    assert message.endswith(
        "python -m baselines.demonstrate --env gems --policy greedy --transitions 10000 --output runs/gems.demos"
    )


@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_the_command_names_a_policy_of_the_game(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    policy = how_to_record(env_id, {}, env).split("--policy ")[1].split()[0]
    assert policy == "runs/<a" or policy in jaxdilemmas.policies.scripted_policies(env)


def test_the_command_records_the_game_with_its_keyword_arguments() -> None:
    env_kwargs: dict[str, Any] = {"map": "large", "num_agents": 3, "beam_probability": (0.5, 1)}
    command = how_to_record("gathering_gallego", env_kwargs, jaxdilemmas.make("gathering_gallego", map="large"))
    texts = command.split("--env-kwargs ")[1].split(" --transitions")[0]
    assert texts == "map=large num_agents=3 'beam_probability=(0.5, 1)'"
    assert parse_env_kwargs(["map=large", "num_agents=3", "beam_probability=(0.5, 1)"]) == env_kwargs


def make_run(runs_dir: Path, name: str, algorithm: str, age: int) -> None:
    options = ["--runs-dir", str(runs_dir), "--name", name, "--num-updates", "1"]
    train_command(dataclasses.replace(fake.ALGORITHM, name=algorithm), options)
    os.utime(runs_dir / name / "config.json", (10**9 - age, 10**9 - age))


def test_resume_without_a_name_lists_the_runs_there_are(tmp_path: Path) -> None:
    resume = ["--runs-dir", str(tmp_path), "--resume"]
    with pytest.raises(SystemExit, match=f"--resume needs --name: there is no run of fake in {tmp_path}"):
        train_command(fake.ALGORITHM, resume)
    for age, (name, algorithm) in enumerate([("new", "fake"), ("other", "another"), ("old", "fake")]):
        make_run(tmp_path, name, algorithm, age)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    with pytest.raises(SystemExit, match=f"--resume needs --name: the runs of fake in {tmp_path} are new, old$"):
        train_command(fake.ALGORITHM, resume)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "an episode takes up to 1,000 steps"),
        (
            {"num_envs": 128, "rollout_steps": 150},
            "an episode takes up to 1,000 steps, and each of the 128 environments played 300; "
            "--total-env-steps 134400 is enough, or fewer --num-envs",
        ),
    ],
)
def test_a_run_that_is_too_short_says_what_is_enough(config: dict[str, Any], message: str) -> None:
    assert no_episode_ended(config, 2, 1000) == f"no episode ended, so there is no return: {message}"


def test_the_command_says_that_no_episode_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), "--num-updates", "1"])
    assert "no episode ended" in capsys.readouterr().out
    train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", "b"])
    assert "no episode ended" not in capsys.readouterr().out


def test_a_long_list_of_runs_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.runs.hints.MOST_RUNS", 1)
    for age, name in enumerate(["new", "old"]):
        make_run(tmp_path, name, "fake", age)
    assert list_runs(tmp_path, "fake").endswith("are new and 1 more")
