"""The content and the names of recorded demonstrations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines.core.players import Player
from baselines.demonstrations import (
    Demonstrations,
    Header,
    check_fits,
    describe,
    play_blocks,
    record,
)
from baselines.demonstrations.records import to_arrays
from baselines.disk.packing import unpack
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.by_hand import GAME, NUM_EPISODES, episodes_of

pytestmark = pytest.mark.usefixtures("quick_compiling")


def test_episodes_end_once_by_the_game_or_by_the_clock(recorded: Demonstrations) -> None:
    episodes = episodes_of(recorded)
    assert len(episodes) == recorded.header.num_episodes == NUM_EPISODES
    for episode in episodes:
        is_over = episode.terminated | episode.truncated
        np.testing.assert_array_equal(is_over, np.arange(len(is_over)) == len(is_over) - 1)
        assert episode.truncated[-1] == (len(is_over) == GAME["max_steps"])
    assert recorded.terminated.any() and recorded.truncated.any()


def test_what_agents_see_after_a_step_is_what_they_act_on_in_the_next(recorded: Demonstrations) -> None:
    for episode in episodes_of(recorded):
        np.testing.assert_array_equal(episode.next_obs[:-1], episode.obs[1:])


def test_the_last_observation_is_that_before_a_reset(recorded: Demonstrations) -> None:
    for episode in episodes_of(recorded):
        np.testing.assert_array_equal(episode.obs[0, :, 1], 0)
        taken = episode.next_obs[-1, :, 1]
        np.testing.assert_allclose(taken, episode.rewards.sum(axis=0), rtol=1e-6)
        assert taken.max() > 0


def test_the_returns_of_the_header_are_means_of_the_sums_of_rewards(recorded: Demonstrations) -> None:
    sums = [episode.rewards.sum(axis=0) for episode in episodes_of(recorded)]
    np.testing.assert_allclose(recorded.header.returns, np.mean(sums, axis=0), rtol=1e-6)
    assert recorded.header.num_transitions == len(recorded.obs) == len(recorded.rewards)


def test_a_recorded_step_is_replayed_from_its_state_and_actions(env: Any, recorded: Demonstrations) -> None:
    params = env.default_params
    template = jax.eval_shape(
        lambda: jax.vmap(lambda key: env.initial_state(key, params))(
            jax.random.split(jax.random.key(0), len(recorded.obs))
        )
    )
    states = unpack(recorded.states, template)

    def play(state: Any, actions: jax.Array) -> Any:
        draws = env.draw(jax.random.key(0), state, params)
        return env.transition(draws, state, actions, params)

    after, rewards, terminated, info = jax.vmap(play)(states, jnp.asarray(recorded.actions))
    np.testing.assert_allclose(rewards, recorded.rewards, atol=1e-6)
    np.testing.assert_array_equal(terminated, recorded.terminated)
    np.testing.assert_allclose(jax.vmap(lambda state: env.observe(state, params))(after), recorded.next_obs, atol=1e-6)
    assert info.keys() == recorded.events.keys()


def test_events_are_the_info_of_the_game_alone(recorded: Demonstrations) -> None:
    assert recorded.events.keys() == {"effort"}
    np.testing.assert_array_equal(recorded.events["effort"], recorded.actions)


def test_the_header_says_who_played_what(recorded: Demonstrations, env: Any) -> None:
    header = recorded.header
    assert (header.env_id, header.env_kwargs, header.policy) == ("common_pool", GAME, "random")
    assert (header.env_version, header.num_agents, header.num_actions) == (env.version, 2, 2)
    assert (header.obs_shape, header.obs_dtype) == ((2,), "float32")
    assert header.params["regrowth_rate"] == 0.01 and header.params["capacity"] == 1.0


def test_transitions_are_recorded_in_whole_episodes_until_there_are_enough(
    player: Player, header: Header, recorded: Demonstrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many episodes are played at once."""
    monkeypatch.setattr("baselines.demonstrations.collecting.MOST_EPISODES_AT_ONCE", 2)
    lengths = np.bincount(recorded.episodes)
    wanted = int(lengths[:4].sum())
    parts = list(play_blocks(player, jax.random.key(0), header, num_transitions=wanted - 1))
    assert [part.header.num_episodes for part in parts] == [2, 2]
    arrays = {name: np.concatenate([to_arrays(part)[name] for part in parts]) for name in to_arrays(parts[0])}
    for name, array in arrays.items():
        np.testing.assert_allclose(array, to_arrays(recorded)[name][:wanted], atol=1e-6, err_msg=name)
    assert not any(name.startswith("states") for name in arrays)


def test_without_a_header_the_game_has_no_name(player: Player, env: Environment) -> None:
    found = record(player, jax.random.key(0), num_transitions=1)
    assert (found.header.env_id, found.header.policy, found.header.num_episodes) == ("", "", 1)
    check_fits(found, env)
    with pytest.raises(ValueError, match="demonstrations: env_id='' is not allowed: common_pool has 'common_pool'"):
        check_fits(found, env, "common_pool")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "num_episodes=None is not allowed: either it or num_transitions=None is given"),
        ({"num_episodes": 1, "num_transitions": 2}, "num_episodes=1 is not allowed: either it or num_transitions=2"),
        ({"num_episodes": 0}, "num_episodes=0 is not allowed: a whole number of at least 1"),
        ({"num_transitions": 1.5}, r"num_transitions=1\.5 is not allowed: a whole number of at least 1"),
    ],
    ids=["none", "both", "zero", "fraction"],
)
def test_a_recording_of_another_length_is_refused(player: Player, numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(player, jax.random.key(0), **numbers)


def test_games_whose_actions_are_not_numbered_are_refused() -> None:
    env = jaxdilemmas.make("common_pool_network", effort="continuous")
    with pytest.raises(ValueError, match="env=CommonPoolNetwork is not allowed: its actions are not numbered"):
        describe(env)
