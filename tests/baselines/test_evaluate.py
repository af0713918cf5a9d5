"""The command that plays a run: its output, its files, and its errors for wrong options."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image, ImageSequence
from rich.console import Console

import jaxdilemmas
from baselines import evaluate
from baselines.core import players
from baselines.runs.directory import RunDirectory
from jaxdilemmas import policies
from tests.baselines.fake_algorithm import RUN_STEPS
from tests.probes import Probe
from tests.rendering.test_replay import data_in

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")


def test_the_command_writes_numbers_and_a_replay(trained: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main([str(trained.path), "--episodes", "5", "--seed-index", "1"])
    result = json.loads((trained.path / "evaluation.json").read_text())
    assert (result["episodes"], result["seed_index"], result["greedy"]) == (5, 1, False)
    for player in ("trained", "random"):
        assert len(result[player]["return"]["mean"]) == len(result[player]["tagged_steps"]["standard_error"]) == 2
        assert {"collective_return", "efficiency", "equality", "sustainability", "peace"} <= result[player].keys()
    ran, random = data_in((trained.path / "replay.html").read_text())
    assert (ran["title"], random["title"]) == (trained.path.name, "random")
    assert len(ran["changes"]) == RUN_STEPS
    assert ran["first"] == random["first"]  # both meet the same draws
    assert ran["metrics"]["collective_return"] == pytest.approx(sum(ran["returns"][-1]))
    shown = capsys.readouterr().out
    for text in (
        "collective return",
        "sustainability",
        "tagged steps",
        "5 episodes",
        f"in {trained.path}: evaluation.json, replay.html\n",
    ):
        assert text in shown


def test_no_key_plays_twice(trained: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[jax.Array] = [jax.random.key(3)]

    def take_key(player: players.Player, key: jax.Array, _: Any) -> dict[str, np.ndarray]:
        keys.append(key)
        return {"collective_return": np.zeros(2)}

    monkeypatch.setattr(evaluate, "play_many", take_key)
    monkeypatch.setattr(evaluate, "play_replay", take_key)
    monkeypatch.setattr(evaluate, "write_replays", lambda *_: [])
    evaluate.evaluate(evaluate.Options(trained.path, seed=3))
    assert (
        len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == len(keys) - 1 == 4
    )  # a replay shows both players under the same draws


def summary(mean: float | None, error: float | None = 0.0) -> evaluate.Summary:
    return {"mean": mean, "standard_error": error}


@pytest.mark.parametrize(
    ("trained", "random", "sentence"),
    [
        (summary(474.0, 4.0), summary(12.0, 3.0), "is 462 ± 5 above that of random play, 39.5 times as high"),
        (summary(1.25, 0.3), summary(50.25, 0.4), "is 49 ± 0.5 below that of random play"),
        (summary(20.0, 1.0), summary(-100.0, 1.0), "is 120 ± 1.4 above that of random play"),
        (summary(3.0, 0.1), summary(0.1, 0.1), "is 2.9 ± 0.14 above that of random play"),
        (summary(-5.0, 1.0), summary(-90.0, 1.0), "is 85 ± 1.4 above that of random play"),
        (summary(2.0, 3.0), summary(1.0, 4.0), "does not differ clearly from that of random play: by 1 ± 5"),
        (summary(0.0), summary(0.0), "does not differ clearly from that of random play: by 0 ± 0"),
    ],
    ids=["more", "less", "random loses", "random has almost nothing", "both lose", "unclear", "nothing"],
)
def test_the_comparison_is_a_difference_and_a_ratio_where_that_has_a_meaning(
    trained: evaluate.Summary, random: evaluate.Summary, sentence: str
) -> None:
    result = {"difference": evaluate.compare(trained, random), "random": {"collective_return": random}}
    assert evaluate.conclude(result) == f"the collective return {sentence}"


def test_what_has_no_value_is_said_and_shown_as_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    per_agent = {"mean": [1.0, 2.0], "standard_error": [0.1, 0.2]}
    of_trained = {"return": per_agent, "collective_return": summary(3.0, 0.3), "equality": summary(0.75, None)}
    of_random = of_trained | {"collective_return": summary(-3.0, 0.3), "equality": summary(None, None)}
    of_trained["equality"] |= {"undefined": 4}
    of_random["equality"] |= {"undefined": 5}
    result = {"episodes": 5, "trained": of_trained, "random": of_random}
    result["difference"] = evaluate.compare(of_trained["collective_return"], of_random["collective_return"])
    evaluate.print_result(result, Console(width=100))
    shown = capsys.readouterr().out
    assert "equality, trained: 4 of 5 episodes have none, as returns differ and do not sum to more than 0" in shown
    assert "equality, random: 5 of 5 episodes" in shown
    assert [cell.strip() for cell in shown.split("│ equality")[1].split("│")[1:3]] == ["0.75", "-"]
    assert "6 ± 0.42 above" in shown


def test_a_game_without_a_picture_has_no_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = players.scripted_player(Probe(), policies.random(Probe()))
    monkeypatch.setattr(evaluate, "load_player", lambda *_: player)
    evaluate.evaluate(evaluate.Options(tmp_path, episodes=2))
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]


@pytest.mark.slow
def test_a_gif_and_an_mp4_are_written_if_they_are_asked_for(
    trained: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main([str(trained.path), "--episodes", "2", "--gif", "--mp4"])
    assert "evaluation.json, replay.html, replay.gif, replay.mp4\n" in capsys.readouterr().out
    with Image.open(trained.path / "replay.gif") as image:
        assert (image.format, image.size[0], getattr(image, "n_frames", 1)) == ("GIF", 640, RUN_STEPS + 1)
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    assert all((before != after).any() for before, after in pairwise(frames))
    assert (trained.path / "replay.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--seed-index", "2"), "seed_index=2 is not allowed"), (("--episodes", "1"), "episodes=1 is not allowed")],
)
def test_wrong_options_are_named(
    trained: RunDirectory, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        evaluate.main([str(trained.path), *options])
    assert message in f"{exit_info.value.code} {capsys.readouterr().err}"


@pytest.mark.slow
@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_every_game_is_evaluated_with_peace_where_there_is_tagging(
    env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = jaxdilemmas.make(env_id, max_steps=20)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(evaluate, "load_player", lambda *_: players.scripted_player(env, policies.random(env)))
    evaluate.main([str(tmp_path), "--episodes", "3"])
    shown = capsys.readouterr().out
    state = env.initial_state(jax.random.key(0), env.default_params)
    actions = policies.random(env)(jax.random.key(0), state)
    is_tagging = "tagged" in jax.eval_shape(env.step, jax.random.key(0), state, actions)[-1]
    assert ("tagged steps" in shown, "peace" in shown) == (is_tagging, is_tagging)
    assert (tmp_path / "replay.html").exists()
    assert "the collective return" in shown
