"""The command that draws a Schelling diagram: its output, its files, and its errors for wrong options."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from baselines import schelling
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from tests.baselines import fake_algorithm as fake
from tests.baselines.choice_game import MAX_STEPS, PUBLIC_GOODS

GAME = "tests.baselines.choice_game:ChoiceGame"
pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")


def draw(output: Path, cooperate: str = "give", defect: str = "keep", *options: str) -> dict[str, Any]:
    """Runs the command: what it wrote as JSON."""
    pair = ["--env", GAME, "--cooperate", cooperate, "--defect", defect, "--episodes", "3"]
    schelling.main([*pair, "--output", str(output), *options])
    return json.loads((output / "schelling.json").read_text())


def test_a_dilemma_is_told_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = draw(tmp_path / "a", "give", "keep", "--seed", "7")
    shown = capsys.readouterr().out
    assert f"{GAME}, give against keep: is a dilemma" in " ".join(shown.split())
    assert "fear, R_d(0) - R_c(1): 1 ± 0" in shown
    assert "mutual cooperation pays more than mutual defection: holds" in shown
    assert "pure equilibria, by number of cooperators: 0" in shown
    assert (result["cooperate"], result["seed"], result["episodes"], result["dilemma"]) == ("give", 7, 3, "holds")
    assert set(result["conditions"].values()) == {"holds"}
    assert result["differences"]["greed"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert {"device", "jax"} <= result["about"].keys()


def test_the_csv_has_a_row_for_each_number_of_cooperators(tmp_path: Path) -> None:
    result = draw(tmp_path / "a")
    with (tmp_path / "a" / "schelling.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cooperators"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["equilibrium"] for row in rows] == ["holds", "fails", "fails", "fails", "fails"]
    cooperators, defectors = MAX_STEPS * np.array(PUBLIC_GOODS)
    for part in ("mean", "low", "high"):
        assert rows[0][f"cooperator_{part}"] == rows[4][f"defector_{part}"] == ""
        assert [float(row[f"cooperator_{part}"]) for row in rows[1:]] == cooperators[1:].tolist()
        assert [float(row[f"defector_{part}"]) for row in rows[:4]] == defectors[:4].tolist()
        assert [float(row[f"gain_of_defecting_{part}"]) for row in rows[:4]] == [1.0] * 4
    assert [list(row) for row in result["payoffs"]] == [list(row) for row in rows]
    assert result["payoffs"][4]["defector_mean"] is None


def test_the_picture_shows_both_curves_and_the_equilibrium(tmp_path: Path) -> None:
    draw(tmp_path / "a")
    with Image.open(tmp_path / "a" / "schelling.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[:2] == (480, 720)
    for color in ((31, 119, 180), (214, 39, 40)):  # tab:blue and tab:red
        assert (np.abs(pixels - color).sum(-1) < 12).sum() > 500


def test_what_is_no_dilemma_is_told_with_the_condition_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harmony = ["--env-kwargs", "cooperator=(0,1,2,3)", "defector=(0,0,0,0)"]
    result = draw(tmp_path / "a", "give", "keep", *harmony)
    shown = " ".join(capsys.readouterr().out.split())
    assert "is not a dilemma; fails: defection tempts by fear or by greed schelling.csv" in shown
    assert "pure equilibria, by number of cooperators: 3" in shown
    assert result["env_kwargs"] == {"cooperator": [0, 1, 2, 3], "defector": [0, 0, 0, 0]}
    assert result["dilemma"] == "fails"


def test_what_too_few_episodes_leave_open_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = draw(tmp_path / "a", "give", "keep", "--env-kwargs", "noise=100.0")
    shown = " ".join(capsys.readouterr().out.split())
    assert "undecided whether it is a dilemma; open: " in shown
    assert "pure equilibria, by number of cooperators: none for sure; undecided: 0, " in shown
    assert result["dilemma"] == "undecided"


def test_by_default_the_directory_is_in_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    schelling.main(["--env", GAME, "--cooperate", "give", "--defect", "keep", "--episodes", "2"])
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name.startswith("schelling-ChoiceGame-")
    assert {file.name for file in path.iterdir()} == {"schelling.csv", "schelling.json", "schelling.png"}


def test_a_trained_run_may_be_either_side(tmp_path: Path) -> None:
    options = ["--runs-dir", str(tmp_path), "--name", "run", "--env", GAME]
    train_command(fake.ALGORITHM, options)
    run = str(tmp_path / "run")  # keeps in the first step, gives in the second
    result = draw(tmp_path / "a", run, "keep")
    cooperators = [row["cooperator_mean"] for row in result["payoffs"][1:]]
    assert cooperators == [PUBLIC_GOODS[1][0] + payment for payment in PUBLIC_GOODS[0][1:]]
    result = draw(tmp_path / "b", "give", run)
    defectors = [row["defector_mean"] for row in result["payoffs"][:4]]
    assert defectors == [payment + PUBLIC_GOODS[0][4] for payment in PUBLIC_GOODS[1][:4]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cooperate", "gready"), "policy='gready' is not allowed: one of random, give, keep, or the directory of a"),
        (("--defect", "no/such/run"), "policy='no/such/run' is not allowed: one of random, give, keep"),
        (("--defect", "{trained}"), "was trained on gathering"),
        (("--env", "gatherin"), "did you mean 'gathering'?"),
        (("--env-kwargs", "cooperator=(0,1)", "defector=(0,0)"), "num_agents=1 is not allowed"),
        (("--env-kwargs", "noise"), "env_kwargs='noise' is not allowed"),
        (("--episodes", "1"), "episodes=1 is not allowed: a whole number from 2 to"),
        (("--seed", "-1"), "seed=-1 is not allowed"),
        (("--output", "{trained}"), "is not allowed: a directory that does not exist yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_options_are_named_and_nothing_is_written(
    trained: RunDirectory,
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        draw(tmp_path / "a", "give", "keep", *(option.format(trained=trained.path) for option in options))
    said = f"{exit_info.value.code} {capsys.readouterr().err}"
    assert message in " ".join(said.replace("│", " ").split())
    assert not (tmp_path / "a").exists()
