"""Names in the files of a foreign run are looked up, never imported or called; no link leads outside."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines import demonstrate, evaluate, ippo, schelling
from baselines.disk.schema import save_json
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory, RunRecord
from baselines.trained.load import find_player, load_player, load_run
from baselines.trained.rewards import load_rewards
from tests.baselines import fake_algorithm as fake
from tests.baselines.fake_algorithm import RUN_STEPS

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")

MARKER = "code_was_run"
MODULE = "leaves_a_marker"


def resume(algorithm: str) -> Callable[[Path], Any]:
    module = {"fake": fake, "ippo": ippo}[algorithm]

    def command(path: Path) -> None:
        options = ["--runs-dir", str(path.parent), "--name", path.name, "--resume"]
        train_command(module.ALGORITHM, options)

    return command


OPENERS: dict[str, Callable[[Path], Any]] = {
    "evaluate": lambda path: evaluate.main([str(path), "--episodes", "2"]),
    "resume": resume("fake"),
    "resume of ippo": resume("ippo"),
    "schelling": lambda path: schelling.main(["--cooperate", str(path), "--defect", "random", "--episodes", "2"]),
    "demonstrate": lambda path: demonstrate.main(
        ["--policy", str(path), "--episodes", "1", "--output", str(path.parent / "new.demos")]
    ),
    "load_run": load_run,
    "load_player": load_player,
    "find_player": lambda path: find_player(str(path), "gathering", {}),
    "load_rewards": load_rewards,
    "read_record": lambda path: load_run(path, seed_index=1),
}
"""Every command and function that opens a run."""

RECORDS: dict[str, Callable[[RunRecord, Path], RunRecord]] = {
    "a function as the game": lambda record, marker: dataclasses.replace(
        record, env_id="os:system", env_kwargs={"command": f"touch {marker}"}
    ),
    "a class that is no game": lambda record, marker: dataclasses.replace(
        record, env_id="pathlib:Path", env_kwargs={"args": (str(marker),)}
    ),
    "a module that runs code when it is imported": lambda record, marker: dataclasses.replace(
        record, env_id=f"{MODULE}:Game", env_kwargs={}
    ),
    "a module as the algorithm": lambda record, marker: dataclasses.replace(record, algorithm=MODULE),
    "a module of the project as the algorithm": lambda record, marker: dataclasses.replace(
        record, algorithm="evaluate"
    ),
    "a path as the algorithm": lambda record, marker: dataclasses.replace(record, algorithm=f"../{MODULE}"),
}


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where code leaves a marker: that of a module that can be imported, and that of a command."""
    (tmp_path / f"{MODULE}.py").write_text(f"open({str(tmp_path / MARKER)!r}, 'w')\nclass Game: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / MARKER


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("opener", OPENERS)
def test_what_a_run_names_is_neither_imported_nor_called(
    opener: str, kind: str, trained: RunDirectory, tmp_path: Path, marker: Path
) -> None:
    directory = RunDirectory(shutil.copytree(trained.path, tmp_path / "run"))
    save_json(directory.config, RECORDS[kind](trained.read_record(), marker))
    with pytest.raises((ValueError, SystemExit)) as error:
        OPENERS[opener](directory.path)
    message = str(error.value)
    assert str(directory.path) in message
    assert "\n" not in message
    assert not marker.exists()
    assert MODULE not in sys.modules


@pytest.mark.parametrize(
    "name", ["config.json", "metrics.csv", "checkpoints", "parameters", "evaluation.json", "notes"]
)
@pytest.mark.parametrize("opener", ["evaluate", "resume", "load_run", "find_player"])
def test_no_link_is_followed_out_of_a_run(
    opener: str, name: str, trained: RunDirectory, tmp_path: Path, marker: Path
) -> None:
    directory = RunDirectory(shutil.copytree(trained.path, tmp_path / "run"))
    target = tmp_path / "outside" / name
    target.parent.mkdir()
    (directory.path / name).rename(target) if (directory.path / name).exists() else target.write_text("mine")
    before = {path: path.read_bytes() for path in target.parent.rglob("*") if path.is_file()}
    (directory.path / name).symlink_to(target)
    with pytest.raises((ValueError, SystemExit), match=f"{name} is a symbolic link out of the directory"):
        OPENERS[opener](directory.path)
    assert {path: path.read_bytes() for path in target.parent.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("opener", "name"),
    [("resume", "metrics.csv"), ("resume", "checkpoints"), ("load_run", "parameters/seed_0.safetensors")],
)
def test_a_link_to_itself_is_a_file_that_is_missing(
    opener: str, name: str, trained: RunDirectory, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(trained.path, tmp_path / "run"), name)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(path.name)
    with pytest.raises((ValueError, SystemExit), match=f"{name} is missing"):
        OPENERS[opener](tmp_path / "run")


def test_a_game_of_ones_own_in_a_run_is_taken_on_the_word_of_the_user(tmp_path: Path) -> None:
    game = "tests.probes:Probe"
    train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), "--name=a", "--env", game])
    with pytest.raises(ValueError, match=f"name it with --env {game} if you trust it"):
        load_run(tmp_path / "a")
    with pytest.raises(ValueError, match="env='gathering' is not allowed"):
        load_run(tmp_path / "a", env_id="gathering")
    assert type(load_run(tmp_path / "a", env_id=game).env).__name__ == "Probe"
    assert find_player(str(tmp_path / "a"), game, {}).env.num_agents == 1
    evaluate.main([str(tmp_path / "a"), "--episodes", "2", "--env", game])
    assert json.loads((tmp_path / "a" / "evaluation.json").read_text())["episodes"] == 2


def test_text_of_a_run_is_shown_without_control_characters(trained: RunDirectory, tmp_path: Path) -> None:
    directory = RunDirectory(shutil.copytree(trained.path, tmp_path / "run"))
    content = json.loads(directory.config.read_text())
    del content["sha256"]
    texts = dict.fromkeys(("env_id", "env_version", "algorithm"), "\x1b[2Jgathering")
    for field, value in [*texts.items(), ("env_id", "os:\x1b[2J"), ("about", texts)]:
        directory.config.write_text(json.dumps({**content, field: value}))
        for env_id in (None, "gathering"):
            with pytest.raises(ValueError, match=f"{field}=") as error:
                load_run(directory.path, env_id=env_id)
            assert str(error.value).isprintable()
            assert "text without control characters" in str(error.value)


def test_the_fixture_run_can_be_opened(trained: RunDirectory) -> None:
    assert load_run(trained.path).env.default_params.max_steps == RUN_STEPS
