"""Playing without a network: luck that repeats, history, time, and the files of whole episodes."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from baselines import cloning, watch
from baselines.core import players
from baselines.core.players import scripted_player
from baselines.demonstrations import describe, load
from baselines.playing import keyboard
from baselines.playing.episode_files import EpisodeFiles
from baselines.playing.keyboard import keyboard_of
from baselines.playing.session import Session
from baselines.runs.command import train_command
from jaxdilemmas import policies
from jaxdilemmas.rendering.picture import picture_of
from tests.rendering.test_replay import data_in

pytestmark = pytest.mark.usefixtures("quick_compiling")

BOARD = ("harvest", {"num_agents": 3, "max_steps": 12})
GEMS = ("gems", {"max_steps": 6})


def make_session(
    path: Path, game: tuple[str, dict[str, Any]] = BOARD, seats: tuple[int, ...] = (0,), seed: int = 0
) -> Session:
    env_id, env_kwargs = game
    env = jaxdilemmas.make(env_id, **env_kwargs)
    files = EpisodeFiles(path, describe(env, env_id, env_kwargs, "human"))
    player = scripted_player(env, policies.scripted(env, "random"))
    session = Session(player, seats, keyboard_of(env).stand, files, seed)
    session.present |= set(seats)
    return session


def play(session: Session, actions: list[int]) -> None:
    for action in actions:
        session.act(session.seats[0], action)
        session.tick()


def play_to_the_end(session: Session) -> None:
    while not session.is_over:
        session.tick()


def is_due(session: Session) -> bool:
    return session.is_due


def assert_same(first: Any, second: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_the_same_actions_after_going_back_meet_the_same_luck(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos")
    play(session, [0, 3, 0, 2, 6, 0, 4, 0])
    moments, steps = list(session.moments), list(session.steps)
    session.back(6)
    assert len(session.steps) == 2
    assert len(session.moments) == len(session.tallies) == 3
    play(session, [0, 2, 6, 0, 4, 0])
    assert_same(session.moments, moments)
    assert_same(session.steps, steps)


def test_another_action_after_going_back_is_another_future(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos")
    play(session, [7, 7])
    before = session.moments[-1].state
    session.back(1)
    play(session, [4])
    after = session.moments[-1].state
    assert before.headings[0] != after.headings[0]
    assert session.steps[-1].actions[0] == 4


def test_going_back_further_than_the_start_ends_there(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos")
    start = session.moments[0]
    play(session, [0, 0])
    session.back(1000)
    assert_same(session.moments, [start])


def test_restart_begins_another_episode_and_the_same_seed_begins_alike(tmp_path: Path) -> None:
    first, second = (make_session(tmp_path / name) for name in ("a.demos", "b.demos"))
    assert_same(first.moments[0], second.moments[0])
    first.restart()
    assert (first.moments[0].state.positions != second.moments[0].state.positions).any()
    second.restart()
    assert_same(first.moments[0], second.moments[0])


def test_people_do_what_they_chose_and_others_what_their_player_does(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos", seats=(0, 2))
    session.act(0, 3)
    session.act(0, 5)
    session.tick()
    assert session.steps[0].actions[[0, 2]].tolist() == [5, 7]  # the last choice counts; who chose nothing stands
    for _ in range(10):
        session.tick()
    assert len({int(step.actions[1]) for step in session.steps}) > 1


def test_by_turns_a_step_is_due_when_all_who_are_there_have_chosen(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos", seats=(0, 1))
    session.act(0, 1)
    assert not is_due(session)
    assert session.waiting_for == [1]
    session.leave(1)
    assert is_due(session)
    session.present.add(1)
    session.act(1, 1)
    assert is_due(session)
    session.is_paused = True
    assert not is_due(session)
    with pytest.raises(ValueError, match="paused"):
        session.act(0, 1)


def test_in_real_time_a_step_is_due_without_a_choice_but_not_without_people(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos")
    assert not is_due(session)
    session.rate = 5
    assert is_due(session)
    session.leave(0)
    assert not is_due(session)


def test_the_episode_that_ends_is_written_and_nothing_follows(tmp_path: Path) -> None:
    path = tmp_path / "some.demos"
    session = make_session(path)
    play_to_the_end(session)
    assert len(session.steps) == 12
    for call in (session.tick, lambda: session.back(1), lambda: session.act(0, 0)):
        with pytest.raises(ValueError, match="over"):
            call()
    assert load(path, is_partial_allowed=True).header.num_episodes == 1  # though the file is still open


def test_the_file_holds_whole_episodes_of_a_human(tmp_path: Path) -> None:
    path = tmp_path / "some.demos"
    session = make_session(path)
    kept = []
    for _ in range(2):
        play(session, [0, 3, 1])
        session.back(2)
        play_to_the_end(session)
        kept.append((session.moments, session.steps, session.tallies[-1].returns))
        session.restart()
    play(session, [0])
    assert session.save() == f"2 whole episodes are in {path}; the episode at step 1 is not over and not in it"
    demonstrations = load(path, session.env, BOARD[0])
    assert demonstrations.header.policy == "human"
    assert demonstrations.episodes.tolist() == [0] * 12 + [1] * 12
    np.testing.assert_array_equal(demonstrations.states["positions"][12], kept[1][0][0].state.positions)
    np.testing.assert_array_equal(demonstrations.actions[:12], [step.actions for step in kept[0][1]])
    np.testing.assert_allclose(demonstrations.header.returns, np.mean([it[2] for it in kept], 0), atol=1e-5)
    collected = sum(step.events["collected"] for step in kept[0][1])
    np.testing.assert_array_equal(demonstrations.events["collected"][:12].sum(0), collected)


def test_after_saving_the_next_episode_goes_to_another_file(tmp_path: Path) -> None:
    session = make_session(tmp_path / "some.demos", GEMS)
    (tmp_path / "some-2.demos").write_text("something else")
    assert session.save() == "no episode has ended since the last file"
    for _ in range(2):
        play_to_the_end(session)
        session.save()
        session.restart()
    assert load(tmp_path / "some.demos").header.num_episodes == 1
    assert load(tmp_path / "some-3.demos").episodes.tolist() == [1] * 6


def test_what_was_played_is_watched_and_cloned(tmp_path: Path) -> None:
    path, page = tmp_path / "some.demos", tmp_path / "page.html"
    session = make_session(path, GEMS)
    for _ in range(2):
        play_to_the_end(session)
        session.restart()
    session.save()
    watch.main([str(path), "--episode", "1", "--output", str(page)])
    (shown,) = data_in(page.read_text())
    assert shown["title"] == "some.demos, episode 1: human"
    assert len(shown["changes"]) == 5
    quick = ["--gradient-steps", "2", "--steps-per-update", "2", "--runs-dir", str(tmp_path), "--name", "cloned"]
    game = ["--env", "gems", "--env-kwargs", "max_steps=6"]
    train_command(cloning.ALGORITHM, [*game, "--demonstrations", str(path), *quick])
    assert (tmp_path / "cloned").is_dir()


@pytest.mark.parametrize("seats", [(), (0, 0), (3,), (-1,)])
def test_seats_are_agents_of_the_game_each_once(tmp_path: Path, seats: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="human"):
        make_session(tmp_path / "some.demos", seats=seats)


@pytest.mark.parametrize(("seat", "action"), [(1, 0), (0, 8), (0, -1), (0, True), (0, 1.0), (0, None)])
def test_a_wrong_choice_is_refused(tmp_path: Path, seat: int, action: Any) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        make_session(tmp_path / "some.demos").act(seat, action)


def test_an_episode_longer_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"max_steps=12 is not allowed: at most \d+ fit into memory"):
        make_session(tmp_path / "some.demos")


def test_every_registered_game_has_a_key_for_standing_still() -> None:
    for env_id in jaxdilemmas.registered_envs():
        env: Any = jaxdilemmas.make(env_id)
        actions, stand = keyboard_of(env)
        assert [action.name for action in actions] == list(picture_of(env).actions)
        assert len(actions) == env.action_space.n
        keys = [key for action in actions for key in action.keys]
        assert len(keys) == len(set(keys)) and all(action.keys for action in actions)
        if env_id == "matrix_game":  # in which nobody can stand still
            assert (stand, actions[stand]) == (0, ("cooperate", ("c",)))
        else:
            assert actions[stand].keys in ((".",), ("0",))


def test_actions_without_names_are_called_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    env = jaxdilemmas.make("gems")
    nameless = picture_of(env)._replace(actions=())
    monkeypatch.setattr(keyboard, "picture_of", lambda env: nameless)
    assert keyboard_of(env) == (tuple((f"action {number}", (str(number),)) for number in range(5)), 0)


def test_actions_that_are_not_numbered_cannot_be_played() -> None:
    env = jaxdilemmas.make("common_pool_network", effort="continuous")
    with pytest.raises(ValueError, match="actions are numbered"):
        keyboard_of(env)


def test_standing_still_is_an_action_of_the_game() -> None:
    env = jaxdilemmas.make("gems")
    assert keyboard_of(env, 2).stand == 2
    with pytest.raises(ValueError, match="stand=5"):
        keyboard_of(env, 5)


def test_a_session_needs_a_player(tmp_path: Path) -> None:
    env = jaxdilemmas.make("gems")
    files = EpisodeFiles(tmp_path / "some.demos", describe(env))
    with pytest.raises(ValueError, match="player"):
        Session("greedy", (0,), 4, files)  # type: ignore[arg-type]
