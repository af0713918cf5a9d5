"""A run on several devices plays and learns as on one, for every learner, and goes on on another number of devices."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines import ippo
from baselines.core import devices
from baselines.core.minibatches import shuffle
from baselines.demonstrate import main as demonstrate
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from baselines.trained.algorithms import ALGORITHMS
from tests.baselines import fake_algorithm as fake
from tests.baselines.runs.on_devices import claim_same, directory_of, environment, train_on_devices

PLAY = ("--num-envs", "8", "--rollout-steps", "10", "--total-env-steps", "1600", "--hidden-size", "16")
POOL = (*PLAY, "--env", "common_pool", "--env-kwargs", "max_steps=25")
PPO = (*POOL, "--num-minibatches", "2", "--num-epochs", "2")
IMITATE = ("--batch-size", "32", "--hidden-size", "16", "--learning-rate", "1e-4", "--env-kwargs", "max_steps=9")
GRADIENTS = (*IMITATE, "--gradient-steps", "20", "--steps-per-update", "1")
ONLINE = ("--num-envs", "8", "--rollout-steps", "4", "--capacity", "128")
ADVERSARIAL = ("--num-envs", "8", "--rollout-steps", "8", "--total-env-steps", "1280", "--gradient-steps", "20")

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ippo": ("ippo", PPO),
    "ippo with memory": ("ippo", (*PPO, "--network", "gru", "--num-minibatches", "1", "--reward", "common")),
    "networked": ("networked", POOL),
    "networked, several seeds": ("networked", (*POOL, "--num-seeds", "2", "--protocol", "neurcomm")),
    "mamql": ("mamql", (*GRADIENTS, *ONLINE)),
    "iq_learn": ("iq_learn", GRADIENTS),
    "cloning": ("cloning", GRADIENTS),
    "adversarial": ("adversarial", (*IMITATE, *ADVERSARIAL, "--num-minibatches", "2", "--cloning-steps", "0")),
}


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("demonstrations") / "gems.demos"
    options = ["--env", "gems", "--policy", "greedy", "--transitions", "200", "--env-kwargs", "max_steps=9"]
    demonstrate([*options, "--output", str(path)])
    return str(path)


def options_of(case: str, path: Path, demonstrations: str) -> tuple[str, ...]:
    name, options = CASES[case]
    source = ("--demonstrations", demonstrations) if name not in ("ippo", "networked") else ()
    return (f"baselines.{name}", *options, *source, "--runs-dir", str(path))


def test_two_devices_play_and_learn_as_one(tmp_path: Path) -> None:
    train_on_devices((1, 2), *options_of("networked", tmp_path, ""))
    claim_same(directory_of(tmp_path, 1), directory_of(tmp_path, 2))
    assert directory_of(tmp_path, 2).read_record().about["devices"] == "2"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_and_eight_devices_play_and_learn_as_one(case: str, tmp_path: Path, demonstrations: str) -> None:
    train_on_devices((1, 2, 8), *options_of(case, tmp_path, demonstrations))
    for number in (2, 8):
        claim_same(directory_of(tmp_path, 1), directory_of(tmp_path, number))
        assert directory_of(tmp_path, number).read_record().about["devices"] == str(number)


@pytest.mark.slow
def test_gradients_on_tiles_are_those_of_one_device_but_for_rounding() -> None:
    command = [sys.executable, "-m", "tests.baselines.runs.gradients_on_devices"]
    run = subprocess.run(command, env=environment(8), capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    apart = json.loads(run.stdout)
    assert len(apart) == 2
    assert max(apart) < 1e-6


def test_there_is_a_case_for_every_learner() -> None:
    assert {name for name, _ in CASES.values()} == set(ALGORITHMS)


@pytest.mark.slow
def test_a_checkpoint_of_eight_devices_goes_on_on_one_on_two_and_on_eight(tmp_path: Path) -> None:
    options = (*options_of("ippo", tmp_path, ""), "--checkpoint-every", "8")
    train_on_devices((8,), *options)
    whole = shutil.copytree(tmp_path / "8", tmp_path / "whole")
    shutil.rmtree(tmp_path / "8" / "checkpoints" / "20")
    for number in (1, 2):
        shutil.copytree(tmp_path / "8", tmp_path / str(number))
    train_on_devices((1, 2, 8), *options, "--resume")
    for number in (1, 2):
        claim_same(directory_of(tmp_path, 8), directory_of(tmp_path, number))
    rows, again = read_metrics(whole / "metrics.csv"), read_metrics(tmp_path / "8" / "metrics.csv")
    for name in rows.keys() - set(TIMING_COLUMNS):
        np.testing.assert_array_equal(rows[name], again[name], err_msg=name)


@pytest.mark.slow
def test_settings_vary_on_several_devices(tmp_path: Path) -> None:
    combinations = ("--vary", "learning_rate=1e-3,1e-2")
    train_on_devices((1, 2), *options_of("networked, several seeds", tmp_path, ""), *combinations)
    for label in ("learning_rate_0.001", "learning_rate_0.01"):
        one, two = (RunDirectory(tmp_path / str(number) / label) for number in (1, 2))
        claim_same(one, two)
        settings = [directory.read_record().config["learning_rate"] for directory in (one, two)]
        assert settings == [float(label.removeprefix("learning_rate_"))] * 2
    parameters = [np.load(path / "train_states.npz") for path in sorted((tmp_path / "2").glob("learning_rate_*"))]
    names = [name for name in parameters[0] if "params" in name]
    assert names
    assert all((parameters[0][name] != parameters[1][name]).any() for name in names)


def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, *options: str) -> str:
    """The line with which options are refused; nothing is written."""
    with pytest.raises(SystemExit) as exit_info:
        train_command(ippo.ALGORITHM, ["--runs-dir", str(tmp_path), *options])
    assert not list(tmp_path.iterdir())
    message = f"{exit_info.value.code} {capsys.readouterr().err}".strip()
    assert "\n" not in message
    return message


def test_more_devices_than_there_are_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = refused(capsys, tmp_path, "--devices", "4000")
    assert message.startswith(f"error: devices=4000 is not allowed: here are {jax.device_count()} of ")


def test_environments_and_minibatches_that_do_not_divide_are_refused() -> None:
    refused_settings: tuple[tuple[dict[str, Any], str], ...] = (
        ({"num_envs": 4, "rollout_steps": 20}, "num_envs=4 is not allowed: a multiple of the number of devices, 8"),
        ({"num_envs": 8, "rollout_steps": 7}, "num_envs * rollout_steps / num_minibatches=7 is not allowed: a mul"),
        ({"num_envs": 8, "network": "gru"}, "num_envs / num_minibatches=1 is not allowed: a multiple of the number"),
    )
    for settings, message in refused_settings:
        with pytest.raises(ValueError, match=message.replace("*", r"\*")):
            devices.check_split(ippo.Config(**settings), 8)
    devices.check_split(ippo.Config(num_envs=128), 8)
    devices.check_split(fake.Config(), 8)


def test_without_a_mesh_nothing_is_divided() -> None:
    rows = jnp.arange(6.0)
    assert devices.make_mesh(jax.devices()[:1]) is None
    assert devices.own_rows(rows) is rows
    assert devices.split(rows) is rows
    assert devices.whole(rows) is rows
    assert devices.num_rows(6) == 6
    assert devices.in_parts(shuffle, 0, 0) is shuffle
