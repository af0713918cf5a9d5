"""Players: runs, scripted policies and teams of both; counted episodes, and players that are refused."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import ippo
from baselines.core import players
from baselines.core.players import Player, make_team
from baselines.disk.schema import save_json
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.trained import load
from baselines.trained.load import find_player
from jaxdilemmas import policies
from jaxdilemmas.environment import Transition
from tests.baselines.fake_algorithm import RUN_STEPS
from tests.probes import Params, Probe

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")


@pytest.mark.parametrize(("greedy", "action"), [(False, 0), (True, 7)])
def test_greedy_agents_take_their_most_likely_action(trained: RunDirectory, greedy: bool, action: int) -> None:
    player = load.load_player(trained.path, greedy=greedy)
    actions, _ = player.act(jnp.zeros((2, 16, 21)), None, player.initial_memory, jax.random.key(0))
    assert actions.tolist() == [action, action]


class Countdown(Probe):
    """One agent is paid 1 a step and the game ends after 3 steps, long before the clock."""

    def __init__(self) -> None:
        super().__init__(num_agents=1, params=Params(length=3, constant=1.0))

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Params) -> Transition:
        state, rewards, terminated, _ = super().transition(draws, state, actions, params)
        return state, rewards, terminated, {"collected": jnp.ones(1, jnp.int32)}


def test_steps_after_the_end_of_an_episode_do_not_count() -> None:
    env = Countdown()
    player = players.scripted_player(env, policies.random(env))
    outcomes = players.play_many(player, jax.random.key(0), num_episodes=2)
    np.testing.assert_array_equal(outcomes["return"], [[3], [3]])
    np.testing.assert_array_equal(outcomes["collected"], [[3], [3]])
    assert "hits_given" not in outcomes


@pytest.mark.parametrize("setting", [("--network", "gru"), ("--parameters", "separate")], ids=" ".join)
def test_runs_with_memory_and_with_separate_parameters_are_played(tmp_path: Path, setting: tuple[str, str]) -> None:
    game = "tests.probes:Probe"
    options = ["--runs-dir", str(tmp_path), "--name", "a", "--env", game, *setting]
    options += ["--env-kwargs", "num_agents=3", "--total-env-steps", "4", "--num-envs", "2", "--rollout-steps", "2"]
    options += ["--num-minibatches", "1", "--num-epochs", "1", "--hidden-size", "4"]
    train_command(ippo.ALGORITHM, options)
    outcomes = players.play_many(load.load_player(tmp_path / "a", env_id=game), jax.random.key(0), num_episodes=2)
    np.testing.assert_array_equal(outcomes["return"], np.ones((2, 3)))


def test_the_standard_error_is_that_of_the_mean_over_episodes() -> None:
    summary = players.summarize({"return": np.array([[1.0, 5.0], [3.0, 5.0]])})["return"]
    assert summary == {"mean": [2.0, 5.0], "standard_error": [1.0, 0.0]}


def test_episodes_in_which_an_outcome_is_not_defined_do_not_count_for_it() -> None:
    outcomes = {
        "some": np.array([np.nan, 1.0, 3.0]),
        "one": np.array([np.nan, np.nan, 2.0]),
        "none": np.full(3, np.nan),
    }
    summaries = players.summarize(outcomes)
    assert summaries["some"] == {"mean": 2.0, "standard_error": 1.0, "undefined": 1}
    assert summaries["one"] == {"mean": 2.0, "standard_error": None, "undefined": 2}
    assert summaries["none"] == {"mean": None, "standard_error": None, "undefined": 3}


def test_an_outcome_that_is_not_defined_is_no_fault_where_nans_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "episode_outcome", lambda episode: {"equality": jnp.nan * episode.is_played.sum()})
    player = players.scripted_player(Probe(), policies.random(Probe()))
    with jax.debug_nans(True):
        assert np.isnan(players.play_many(player, jax.random.key(0), num_episodes=2)["equality"]).all()


def test_a_run_that_cannot_be_loaded_is_named(trained: RunDirectory, tmp_path: Path) -> None:
    directory = RunDirectory(shutil.copytree(trained.path, tmp_path / "b"))
    record = directory.read_record()
    save_json(directory.config, dataclasses.replace(record, config=record.config | {"size": 4}))
    with pytest.raises(ValueError, match=r"seed_0\.safetensors holds the parameters of another network: .*'weights'"):
        load.load_player(directory.path)
    for name in ("unheard_of", "evaluate", "training.runs", "os"):
        save_json(directory.config, dataclasses.replace(record, algorithm=name))
        with pytest.raises(ValueError, match=rf"config\.json: algorithm='{name}' is not allowed: one of adversarial,"):
            load.load_player(directory.path)
    save_json(directory.config, dataclasses.replace(record, env_version=f"0.{record.env_version}"))
    changed = r"env_version='0\..*' is not allowed: .* rules of gathering that have changed since, to version '"
    with pytest.raises(ValueError, match=changed):
        load.load_player(directory.path)
    save_json(directory.config, record)
    directory.parameters(0).unlink()
    with pytest.raises(ValueError, match=r"seed_0\.safetensors is missing"):
        load.load_player(directory.path)
    directory.config.unlink()
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        load.load_player(directory.path)


# By name


def test_a_name_stands_for_a_scripted_policy_of_the_game_or_for_a_run(trained: RunDirectory) -> None:
    env_kwargs = {"max_steps": RUN_STEPS}
    greedy = find_player("greedy", "gathering", env_kwargs)
    state = greedy.env.initial_state(jax.random.key(0), greedy.env.default_params)
    actions, _ = greedy.act(jnp.zeros(2), state, greedy.initial_memory, jax.random.key(1))
    expected = policies.scripted(greedy.env, "greedy")(jax.random.key(1), state)
    np.testing.assert_array_equal(actions, expected)
    run = find_player(str(trained.path), "gathering", env_kwargs)
    memory = run.initial_memory
    for action in (0, 1):  # to and fro
        actions, memory = run.act(jnp.zeros((2, 16, 21)), state, memory, jax.random.key(1))
        assert actions.tolist() == [action, action]


def test_a_keyword_at_its_default_may_be_left_out(trained: RunDirectory) -> None:
    env_kwargs = {"max_steps": RUN_STEPS, "num_agents": 2, "timeout_steps": 25}
    assert find_player(str(trained.path), "gathering", env_kwargs).env.num_agents == 2


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "message"),
    [
        ("commons", {"max_steps": RUN_STEPS}, "env='commons' is not allowed: .*a was trained on gathering"),
        (
            "gathering",
            {"max_steps": RUN_STEPS, "timeout_steps": 10},
            "timeout_steps=10 is not allowed: .*a was trained with timeout_steps=25",
        ),
        ("gathering", {}, f"max_steps=1000 is not allowed: .*a was trained with max_steps={RUN_STEPS}"),
        (
            "gathering",
            {"max_steps": RUN_STEPS, "num_agents": 3},
            "num_agents=3 is not allowed: .*a was trained with num_agents=2",
        ),
    ],
    ids=["game", "timeout", "clock", "agents"],
)
def test_a_run_trained_on_another_game_is_refused(
    trained: RunDirectory, env_id: str, env_kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find_player(str(trained.path), env_id, env_kwargs)


def test_a_name_of_nobody_is_refused_with_the_names_that_exist(tmp_path: Path) -> None:
    known = "one of random, greedy, exploitative, cooperative, or the directory of a run"
    with pytest.raises(ValueError, match=f"policy='gready' is not allowed: {known}"):
        find_player("gready", "gathering", {})
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        find_player(str(tmp_path), "gathering", {})


# Teams


def make_counter(step: int) -> Player:
    """Whose actions are numbers of its key and whose memory counts by `step`."""

    def act(obs: jax.Array, state: Any, memory: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.random.randint(key, (4,), 0, 1_000_000) + memory, memory + step

    return Player(jaxdilemmas.make("gathering", num_agents=4), act, jnp.int32(0))


def test_every_agent_of_a_team_takes_the_action_of_its_own_player() -> None:
    is_first = jnp.array([True, False, False, True])
    team = make_team(make_counter(0), make_counter(10_000_000), is_first)
    memory = team.initial_memory
    for _ in range(2):
        actions, memory = team.act(jnp.zeros(4), None, memory, jax.random.key(0))
    np.testing.assert_array_equal(actions >= 10_000_000, ~is_first)
    assert [int(part) for part in memory] == [0, 20_000_000]


def test_the_two_players_of_a_team_have_independent_keys() -> None:
    first, second = (make_team(make_counter(0), make_counter(0), jnp.full(4, is_first)) for is_first in (True, False))
    actions = [team.act(jnp.zeros(4), None, team.initial_memory, jax.random.key(0))[0] for team in (first, second)]
    assert not np.isin(actions[0], actions[1]).any()


def test_vector_actions_are_chosen_whole() -> None:
    def always(value: float) -> Player:
        game = jaxdilemmas.make("gathering", num_agents=2)
        return Player(game, lambda obs, state, memory, key: (jnp.full((2, 3), value), memory), None)

    team = make_team(always(1.0), always(2.0), jnp.array([False, True]))
    actions, _ = team.act(jnp.zeros(2), None, team.initial_memory, jax.random.key(0))
    np.testing.assert_array_equal(actions, [[2, 2, 2], [1, 1, 1]])
