"""The command that plays a run: what it prints, what it writes, and what it says of wrong options."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image, ImageSequence

from baselines import evaluate, playing
from baselines.training.probes import Probe
from baselines.training.runs import RunDirectory
from jaxdilemmas import policies
from tests.baselines.fake_algorithm import RUN_STEPS

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")


def test_the_command_writes_numbers_and_a_gif(trained: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.main([str(trained.path), "--episodes", "5", "--seed-index", "1"])
    result = json.loads((trained.path / "evaluation.json").read_text())
    assert (result["episodes"], result["seed_index"], result["greedy"]) == (5, 1, False)
    for player in ("trained", "random"):
        assert len(result[player]["return"]["mean"]) == len(result[player]["tagged_steps"]["standard_error"]) == 2
        assert {"collective_return", "efficiency", "equality", "sustainability", "peace"} <= result[player].keys()
    with Image.open(trained.path / "episode.gif") as image:
        assert image.format == "GIF"
        assert image.size == (33 * 8, 13 * 8)
        assert getattr(image, "n_frames", 1) == RUN_STEPS
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    assert all((before != after).any() for before, after in pairwise(frames))
    shown = capsys.readouterr().out
    for text in ("collective return", "sustainability", "tagged steps", "5 episodes", "evaluation.json and episode"):
        assert text in shown


def test_no_key_plays_twice(trained: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[jax.Array] = [jax.random.key(3)]

    def take_key(player: playing.Player, key: jax.Array, _: Any) -> dict[str, np.ndarray]:
        keys.append(key)
        return {}

    monkeypatch.setattr(evaluate, "play_many", take_key)
    monkeypatch.setattr(evaluate, "record_gif", take_key)
    evaluate.evaluate(evaluate.Options(trained.path, seed=3))
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == len(keys) == 4


def test_a_game_without_a_board_has_no_gif(tmp_path: Path) -> None:
    player = playing.scripted_player(Probe(), policies.random(Probe()))
    evaluate.record_gif(player, jax.random.key(0), tmp_path / "episode.gif")
    assert not (tmp_path / "episode.gif").exists()


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
