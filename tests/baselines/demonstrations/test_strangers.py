"""Demonstrations are data: no code in a foreign file runs, whichever function or command reads it."""

import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from baselines import adversarial, cloning, demonstrate, iq_learn, mamql
from baselines.demonstrations import check_fits, import_gems, load, save, split, subsample
from baselines.demonstrations.block_format import HEAD
from baselines.runs.command import train_command
from baselines.studies import side_by_side
from baselines.studies.mamql import __main__ as mamql_study
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.by_hand import GAME, change_json, with_field

pytestmark = pytest.mark.usefixtures("quick_compiling")

STRANGER = """
from pathlib import Path
Path({marker!r}).touch()
def run(**kwargs):
    Path({marker!r}).touch()
class Game:
    def __init__(self, **kwargs):
        Path({marker!r}).touch()
"""
POOL = ("--env", "common_pool", "--env-kwargs", *(f"{name}={value}" for name, value in GAME.items()))


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there after any code of the stranger has run; their module can be imported."""
    marker = tmp_path / "marker"
    (tmp_path / "a_stranger.py").write_text(STRANGER.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return marker


GAMES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "os:system": lambda marker: {"command": f"touch {marker}"},
    "subprocess:getoutput": lambda marker: {"cmd": f"touch {marker}"},
    "pathlib:Path.touch": lambda marker: {"self": str(marker)},
    "this:d": lambda marker: {},
    "a_stranger:Game": lambda marker: {},
    "a_stranger:run": lambda marker: {"path": str(marker)},
    "a_stranger": lambda marker: {},
    "a_stranger.Game": lambda marker: {},
}


@pytest.fixture(params=GAMES)
def strange(request: pytest.FixtureRequest, path: Path, marker: Path) -> Path:
    """A file, sound but for the game in its header."""
    kwargs = GAMES[request.param](marker)
    change_json(path, HEAD, lambda header: header | {"env_id": request.param, "env_kwargs": kwargs})
    return path


def assert_nothing_ran(marker: Path) -> None:
    assert not marker.exists()
    assert "a_stranger" not in sys.modules and "this" not in sys.modules


def test_reading_a_file_runs_nothing_that_its_header_names(strange: Path, marker: Path, env: Environment) -> None:
    found = load(strange)  # data, without a game to compare them with
    subsample(found, 10)
    split(found)
    save(marker.parent / "copy.demos", found)
    named = found.header.env_id
    checks = [
        lambda: load(strange, env),
        lambda: load(strange, env, "common_pool"),
        lambda: load(strange, env, is_partial_allowed=True),
        lambda: check_fits(found, env),
        lambda: check_fits(found, env, "common_pool"),
    ]
    for check in checks:
        with pytest.raises(ValueError, match=rf"a\.demos: env_id='{named}' is not allowed: "):
            check()
    assert load(strange, env, named).header == found.header  # the user has said that it is their game
    assert_nothing_ran(marker)


@pytest.mark.parametrize("algorithm", [mamql, iq_learn, cloning, adversarial], ids=lambda module: module.__name__)
def test_commands_that_learn_run_nothing_that_a_header_names(strange: Path, marker: Path, algorithm: Any) -> None:
    options = [*POOL, "--demonstrations", str(strange), "--runs-dir", str(marker.parent / "runs")]
    with pytest.raises(SystemExit) as stopped:
        train_command(algorithm.ALGORITHM, options)
    assert "a.demos: env_id=" in str(stopped.value.code)
    assert_nothing_ran(marker)


def test_the_study_runs_nothing_that_a_header_names(strange: Path, marker: Path) -> None:
    study = marker.parent / "study"
    options = ["--experts", "cooperative", "--methods", "mamql", "--sizes", "5", "--seeds", "1", "--output", str(study)]
    planted = study / "demonstrations" / "gems-cooperative.demos"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side_by_side, "work", lambda stages, options, console: None)
        patch.setattr(side_by_side, "conclude", lambda stages, options: None)
        mamql_study.main(options)
    planted.parent.mkdir()
    planted.write_bytes(strange.read_bytes())
    with pytest.raises(SystemExit) as stopped:
        mamql_study.main(options)
    assert "gems-cooperative.demos: env_id=" in str(stopped.value.code)
    assert_nothing_ran(marker)


def test_copying_a_file_runs_nothing_that_its_header_names(strange: Path, marker: Path) -> None:
    copy = marker.parent / "copy.demos"
    demonstrate.main(["--partial", str(strange), "--output", str(copy)])
    assert load(copy).header == load(strange).header
    assert_nothing_ran(marker)


class Touching:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["done", "obs_bits", "actions", "other"])
def test_a_recording_with_pickles_runs_nothing(marker: Path, name: str) -> None:
    arrays: dict[str, Any] = {
        "done": np.ones(1, bool),
        "obs_bits": np.zeros((1, 141), np.uint8),
        "next_obs_bits": np.zeros((1, 141), np.uint8),
        "actions": np.zeros((1, 2), int),
        "rewards": np.zeros((1, 2)),
    }
    path = marker.parent / "gems.npz"
    np.savez(path, **(arrays | {name: np.array([Touching(marker)], object)}))
    with pytest.raises(ValueError, match=r"gems\.npz"):
        import_gems(path)
    with zipfile.ZipFile(path, "w") as archive:
        for each in arrays:
            archive.writestr(f"{each}.npy", pickle.dumps(Touching(marker)))
    with pytest.raises(ValueError, match=r"gems\.npz"):
        import_gems(path)
    path.write_bytes(pickle.dumps(Touching(marker)))
    with pytest.raises(SystemExit, match=r"error: .*gems\.npz"):
        demonstrate.main(["--import-gems", str(path), "--output", str(marker.parent / "a")])
    assert_nothing_ran(marker)


def test_escapes_of_the_terminal_in_a_file_are_shown_escaped(
    path: Path, env: Environment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    escape = "\x1b[31m\x1b]0;title\x07\u202e\n"
    change_json(path, HEAD, lambda header: header | {"policy": escape, "env_version": escape})
    found = load(path)
    assert found.header.policy == escape
    with pytest.raises(ValueError, match="env_version=") as error:
        check_fits(found, env)
    demonstrate.main(["--partial", str(path), "--output", str(tmp_path / "copy.demos")])
    shown = capsys.readouterr()
    for text in (str(error.value), repr(found.header), shown.out.replace("\n", ""), shown.err):
        assert text.isprintable() or not text
    for field in ("env_id", "num_agents", escape):
        change_json(path, HEAD, partial(with_field, field, escape))
        with pytest.raises(ValueError, match=r"a\.demos") as error:
            load(path)
        assert str(error.value).isprintable()


def test_games_of_the_user_are_compared_as_they_are(path: Path, monkeypatch: pytest.MonkeyPatch, env: Any) -> None:
    """A class that the user has imported fits by its name, a registered function makes what nobody knows."""
    name = f"{type(env).__module__}:{type(env).__qualname__}"
    change_json(path, HEAD, lambda header: header | {"env_id": name})
    assert load(path, env).header.env_id == name
    with pytest.raises(ValueError, match=r"env_id=.* demonstrations of Gathering are needed"):
        check_fits(load(path), jaxdilemmas.make("gathering"))
    change_json(path, HEAD, lambda header: header | {"env_id": "mine"})
    with pytest.raises(ValueError, match="env_id='mine' is not allowed: demonstrations of CommonPool are needed"):
        load(path, env)
    monkeypatch.setitem(jaxdilemmas.registration._FACTORIES, "mine", lambda **kwargs: pytest.fail("it is called"))
    assert load(path, env).header.env_id == "mine"


@pytest.mark.parametrize("is_announced", [True, False], ids=["in the archive", "by the array alone"])
def test_the_size_of_a_recording_is_checked_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_announced: bool
) -> None:
    """A hundred kilobytes of zeros would be 80 MB, and arrays that announce 1.4 GB have a kilobyte."""
    path, num_rows = tmp_path / "gems.npz", 10**7
    kinds = {"done": "?", "obs_bits": "|u1", "next_obs_bits": "|u1", "actions": "<i8", "rewards": "<f8"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, kind in kinds.items():
            head = io.BytesIO()
            shape = (num_rows,) if name == "done" else (num_rows, 141 if "bits" in name else 2)
            np.lib.format.write_array_header_1_0(head, {"descr": kind, "fortran_order": False, "shape": shape})
            archive.writestr(
                f"{name}.npy", head.getvalue() + bytes(80_000_000 if name == "done" and is_announced else 1000)
            )
    assert path.stat().st_size < 100_000
    if is_announced:
        monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("an array is unpacked"))
    message = "size='80,.* bytes' is not allowed: at most 67,108,864" if is_announced else "does not hold a recording"
    with pytest.raises(ValueError, match=rf"gems\.npz:? {message}"):
        import_gems(path)
