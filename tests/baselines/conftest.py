"""Fixtures of the tests of the baselines."""

import pytest

from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.trained.algorithms import ALGORITHMS
from tests.baselines import fake_algorithm as fake


@pytest.fixture
def fake_is_an_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the fake algorithm can be loaded; a module names it in its `pytestmark`."""
    monkeypatch.setitem(ALGORITHMS, "fake", fake.ALGORITHM)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run of the fake algorithm on Gathering with two seeds."""
    path = tmp_path_factory.mktemp("runs")
    env_kwargs = f"max_steps={fake.RUN_STEPS}"
    options = ["--runs-dir", str(path), "--name", "a", "--env-kwargs", env_kwargs, "--num-seeds", "2"]
    train_command(fake.ALGORITHM, options)
    return RunDirectory(path / "a")
