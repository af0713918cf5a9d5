"""The evaluation of a run: what it counts, what it writes, and what is said of a run that cannot be played."""

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence

import jaxdilemmas
from baselines import evaluate, ippo
from baselines.training.command import train_command
from baselines.training.runs import RunDirectory
from jaxdilemmas.environment import Environment
from tests.baselines import fake_algorithm as fake

MAX_STEPS = 40
pytestmark = pytest.mark.usefixtures("quick_compiling")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = tmp_path_factory.mktemp("runs")
    options = ["--runs-dir", str(path), "--name", "a", "--env-kwargs", f"max_steps={MAX_STEPS}", "--num-seeds", "2"]
    train_command("fake", fake.Config, fake.make_trainer, options)
    return RunDirectory(path / "a")


@pytest.fixture(autouse=True)
def fake_is_an_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "baselines.fake", fake)


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
        assert getattr(image, "n_frames", 1) == MAX_STEPS
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    assert all((before != after).any() for before, after in pairwise(frames))
    shown = capsys.readouterr().out
    for text in ("collective return", "sustainability", "tagged steps", "5 episodes"):
        assert text in shown


@pytest.mark.parametrize(("greedy", "action"), [(False, 0), (True, 7)])
def test_greedy_agents_take_their_most_likely_action(trained: RunDirectory, greedy: bool, action: int) -> None:
    player = evaluate.load_player(trained.path, greedy=greedy)
    actions, _ = player.act(jnp.zeros((2, 16, 21)), None, player.initial_memory, jax.random.key(0))
    assert actions.tolist() == [action, action]


class Countdown(Environment):
    """One agent is paid 1 a step and the game ends after 3 steps, long before the clock."""

    num_agents = 1

    def __init__(self) -> None:
        self.inner = jaxdilemmas.make("gathering", max_steps=10)
        self.default_params = self.inner.default_params

    @property
    def observation_space(self) -> Any:
        return self.inner.observation_space

    @property
    def action_space(self) -> Any:
        return self.inner.action_space

    def initial_state(self, key: jax.Array, params: Any) -> Any:
        return self.inner.initial_state(key, params)

    def draw(self, key: jax.Array, state: Any, params: Any) -> tuple[()]:
        return ()

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Any:
        state = state.replace(step_count=state.step_count + 1)
        return state, jnp.ones(1), state.step_count >= 3, {"collected": jnp.ones(1, jnp.int32)}

    def observe(self, state: Any, params: Any) -> jax.Array:
        return jnp.zeros((1, 2))


def test_steps_after_the_end_of_an_episode_do_not_count() -> None:
    outcomes = evaluate.play_many(evaluate.random_player(Countdown()), jax.random.key(0), num_episodes=2)
    np.testing.assert_array_equal(outcomes["return"], [[3], [3]])
    np.testing.assert_array_equal(outcomes["collected"], [[3], [3]])
    assert "hits_given" not in outcomes


def test_no_key_plays_twice(trained: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[jax.Array] = [jax.random.key(3)]

    def take_key(player: evaluate.Player, key: jax.Array, _: Any) -> dict[str, np.ndarray]:
        keys.append(key)
        return {}

    monkeypatch.setattr(evaluate, "play_many", take_key)
    monkeypatch.setattr(evaluate, "record_gif", take_key)
    evaluate.evaluate(evaluate.Options(trained.path, seed=3))
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == len(keys) == 4


@pytest.mark.parametrize("setting", [("--network", "gru"), ("--parameters", "separate")], ids=" ".join)
def test_runs_with_memory_and_with_separate_parameters_are_played(tmp_path: Path, setting: tuple[str, str]) -> None:
    options = ["--runs-dir", str(tmp_path), "--name", "a", "--env", "baselines.training.probes:Probe", *setting]
    options += ["--env-kwargs", "num_agents=3", "--total-env-steps", "4", "--num-envs", "2", "--rollout-steps", "2"]
    options += ["--num-minibatches", "1", "--num-epochs", "1", "--hidden-size", "4"]
    train_command("ippo", ippo.Config, ippo.make_trainer, options)
    outcomes = evaluate.play_many(evaluate.load_player(tmp_path / "a"), jax.random.key(0), num_episodes=2)
    np.testing.assert_array_equal(outcomes["return"], np.ones((2, 3)))


def test_a_game_without_a_board_has_no_gif(tmp_path: Path) -> None:
    evaluate.record_gif(evaluate.random_player(Countdown()), jax.random.key(0), tmp_path / "episode.gif")
    assert not (tmp_path / "episode.gif").exists()


def test_the_standard_error_is_that_of_the_mean_over_episodes() -> None:
    summary = evaluate.summarize({"return": np.array([[1.0, 5.0], [3.0, 5.0]])})["return"]
    assert summary == {"mean": [2.0, 5.0], "standard_error": [1.0, 0.0]}


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


def test_a_run_that_cannot_be_loaded_is_named(trained: RunDirectory, tmp_path: Path) -> None:
    directory = RunDirectory(shutil.copytree(trained.path, tmp_path / "b"))
    config = directory.config.read_text()
    directory.config.write_text(config.replace('"size": 3', '"size": 4'))
    with pytest.raises(ValueError, match=r"seed_0\.safetensors holds the parameters of another network: .*'weights'"):
        evaluate.load_player(directory.path)
    directory.config.write_text(config.replace('"fake"', '"unheard_of"'))
    with pytest.raises(ValueError, match="names the algorithm 'unheard_of', which is unknown"):
        evaluate.load_player(directory.path)
    directory.config.write_text(config.replace('"env_version": "', '"env_version": "0.'))
    changed = r"env_version='0\..*' is not allowed: .* rules of gathering that have changed since, to version '"
    with pytest.raises(ValueError, match=changed):
        evaluate.load_player(directory.path)
    directory.config.write_text(config)
    directory.parameters(0).unlink()
    with pytest.raises(ValueError, match=r"seed_0\.safetensors is missing"):
        evaluate.load_player(directory.path)
    directory.config.unlink()
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        evaluate.load_player(directory.path)
