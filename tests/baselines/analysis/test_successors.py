"""Rewards as weights of events, computed from the events that follow each action."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines.analysis import successors
from baselines.analysis.events import TIME
from baselines.analysis.successors import Play, begin_with, make_sample, successor_regression, successor_rewards
from baselines.core.players import Player, play_steps, scripted_player
from jaxdilemmas import policies
from jaxdilemmas.envs.gems import Gems

pytestmark = pytest.mark.usefixtures("quick_compiling")
DISCOUNT = 0.5
WEIGHTS = {"own_gems": 2.0, "own_gems of others": -0.5}
ALL = np.ones((2, 5), bool)


@pytest.fixture(scope="module")
def player() -> Player:
    """Two who play Gems at random; its clock ends an episode early."""
    env = Gems(max_steps=20)
    return scripted_player(env, policies.random(env))


@pytest.fixture(scope="module")
def watchful(player: Player) -> Player:
    """The same, but what they draw stands for another action wherever the two are somewhere else."""

    def act(obs: jax.Array, state: Any, memory: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        actions, memory = player.act(obs, state, memory, key)
        return (actions + state.positions.sum()) % 5, memory

    return Player(player.env, act, None)


@pytest.fixture(scope="module")
def states(player: Player) -> Any:
    """64 of them, from the middle of episodes."""
    steps = jax.jit(jax.vmap(lambda key: play_steps(player, key)))(jax.random.split(jax.random.key(0), 64))
    return jax.tree.map(lambda leaf: leaf[:, 10], steps.states)


def is_taken(mover: jax.Array, gems: jax.Array) -> jax.Array:
    """Whether somebody `[..., 2]` is where one of the gems `[..., 3, 2]` was."""
    return (mover[..., None, :] == gems).all(-1).any(-1).astype(jnp.float32)


def shaped(obs: jax.Array, actions: jax.Array, next_obs: jax.Array, terminated: jax.Array) -> jax.Array:
    """`WEIGHTS` of what the observations say was taken, and shaping by a potential that has much to do with it."""

    def potential(seen: jax.Array) -> jax.Array:
        seen = seen.astype(jnp.float32)
        return 3 * jnp.abs(seen[..., 0, :] - seen[..., 2, :]).sum(-1) - seen[..., 1, 0] + 7

    del actions
    own, others = is_taken(next_obs[..., 0, :], obs[..., 2:5, :]), is_taken(next_obs[..., 1, :], obs[..., 5:8, :])
    later = DISCOUNT * jnp.where(terminated[:, None], 0.0, potential(next_obs))
    return WEIGHTS["own_gems"] * own + WEIGHTS["own_gems of others"] * others + later - potential(obs)


def weights_of(player: Player, states: Any) -> np.ndarray:
    """The weights found for `shaped`, `[2, 2]`."""
    found = successor_rewards(Play(player, shaped, DISCOUNT, 30, tuple(WEIGHTS)), states, ALL, jax.random.key(1))
    np.testing.assert_allclose(found.explained, 1, atol=1e-3)
    assert found.names == tuple(WEIGHTS)
    return found.weights


def test_shaping_of_any_form_is_taken_away_without_knowing_it(watchful: Player, states: Any) -> None:
    np.testing.assert_allclose(weights_of(watchful, states), [list(WEIGHTS.values())] * 2, atol=1e-3)


@pytest.mark.slow
def test_a_price_of_time_is_told_from_events(watchful: Player, states: Any) -> None:
    def slow(obs: jax.Array, actions: jax.Array, next_obs: jax.Array, terminated: jax.Array) -> jax.Array:
        return shaped(obs, actions, next_obs, terminated) - 0.75

    beside = (states.positions + jnp.array([0, 1])) % 15  # a gem of each, of which the first to be taken ends the game
    tired = states.replace(team_reward=states.team_reward + 20.0, gems=states.gems.at[:, :2, 0].set(beside))
    play = Play(watchful, slow, DISCOUNT, 30, (*WEIGHTS, TIME))
    found = successor_rewards(play, tired, ALL, jax.random.key(5), num_repetitions=8)
    np.testing.assert_allclose(found.weights, [[*WEIGHTS.values(), -0.75]] * 2, atol=1e-3)
    without = successor_rewards(play._replace(names=tuple(WEIGHTS)), tired, ALL, jax.random.key(5), 8)
    assert np.abs(without.weights - list(WEIGHTS.values())).max() > 0.1


def test_what_no_action_of_an_agent_changes_has_no_weight(player: Player, states: Any) -> None:
    np.testing.assert_allclose(weights_of(player, states), [[WEIGHTS["own_gems"], 0]] * 2, atol=1e-3)


def test_play_begins_in_the_state_with_the_action_and_no_clock_ends_it(player: Player, states: Any) -> None:
    state = jax.tree.map(lambda leaf: leaf[0], states)
    play = jax.jit(lambda action: play_steps(begin_with(player, jnp.int32(1), action), jax.random.key(2), state=state))
    firsts = [play(jnp.int32(action)) for action in range(5)]
    assert [int(steps.actions[0, 1]) for steps in firsts] == list(range(5))
    assert (
        len({int(steps.actions[0, 0]) for steps in firsts}) == 1 and len(set(np.asarray(firsts[0].actions[1:, 1]))) > 1
    )
    np.testing.assert_array_equal(firsts[0].states.positions[0], state.positions)
    always = Play(player, lambda obs, *_: jnp.ones(obs.shape[:2]), 1.0, num_steps=25, names=("own_gems",))
    np.testing.assert_array_equal(make_sample(always)(states, 0, [3], jax.random.key(3))[..., 0], 25)


def test_sums_are_discounted_and_end_with_the_game(player: Player, states: Any) -> None:
    play = Play(player, lambda obs, *_: jnp.ones(obs.shape[:2]), 0.9, num_steps=4, names=("shared", "own_gems"))
    tired = states.replace(team_reward=states.team_reward.at[0].set(1e3))
    beside = states.gems.at[:, 1, 0].set(states.positions[:, 1])  # a gem where agent 1 stands, who stays
    sums = make_sample(play)(tired.replace(gems=beside), 1, [4], jax.random.key(4))
    assert sums.shape == (64, 1, 3)
    np.testing.assert_allclose(sums[:2, 0, 0], [1, 1 + 0.9 + 0.81 + 0.729], rtol=1e-6)
    assert sums[0, 0, 2] == 1 and (sums[:, 0, 2] >= 1).all()


def test_sums_do_not_depend_on_how_many_are_played_at_once(
    player: Player, states: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = make_sample(Play(player, shaped, 0.9, num_steps=6, names=tuple(WEIGHTS)))
    whole = sample(states, 0, [0, 2], jax.random.key(6))
    monkeypatch.setattr(successors, "AT_ONCE", 25)
    np.testing.assert_allclose(sample(states, 0, [0, 2], jax.random.key(6)), whole, atol=1e-5)


@pytest.mark.slow
def test_games_of_more_agents_have_a_row_of_weights_for_each() -> None:
    env = jaxdilemmas.make("commons", num_agents=3)
    player = scripted_player(env, policies.random(env))
    state = jax.vmap(lambda key: env.reset(key)[1])(jax.random.split(jax.random.key(0), 30))
    play = Play(player, lambda obs, actions, *_: (actions == 1) * 2.0, 0.5, num_steps=2, names=(TIME,))
    is_tried = np.arange(getattr(env.action_space, "n", 0)) // 2 == np.arange(3)[:, None]
    found = successor_rewards(play, state, is_tried, jax.random.key(1), num_repetitions=2)
    np.testing.assert_array_equal(found.weights, np.zeros((3, 1)))  # no action makes the game longer
    np.testing.assert_array_equal(found.explained, [0, np.nan, np.nan])  # what agent 0 tries alone is paid


def noisy_sums(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Three repetitions of 4,000 states and four actions, with weights 1 and -2 and chance in all that is counted."""
    rng = np.random.default_rng(0)
    expected = rng.normal(size=(4000, 4, 2))
    events = expected + scale * rng.normal(size=(3, 4000, 4, 2))
    in_state = rng.normal(size=(4000, 1)) * 50
    return expected @ [1.0, -2.0] + in_state + scale * rng.normal(size=(3, 4000, 4)), events


def test_chance_in_play_does_not_pull_weights_to_zero() -> None:
    rewards, events = noisy_sums(scale=2.0)
    weights, explained = successor_regression(rewards, events)
    np.testing.assert_allclose(weights, [1, -2], atol=0.1)
    assert explained == pytest.approx(1, abs=0.1)
    mean_rewards, mean_events = rewards.mean(0), events.mean(0)
    design = (mean_events - mean_events.mean(1, keepdims=True)).reshape(-1, 2)
    plain = np.linalg.lstsq(design, (mean_rewards - mean_rewards.mean(1, keepdims=True)).ravel())[0]
    assert np.abs(plain).max() < 1.2  # what the pull is without care


def test_rewards_that_follow_from_nothing_done_are_not_explained() -> None:
    _, events = noisy_sums(scale=0.0)
    weights, explained = successor_regression(np.ones(events.shape[:3]), events)
    np.testing.assert_array_equal(weights, 0)
    assert np.isnan(explained)


def test_events_that_play_does_not_tell_apart_have_no_weight_rather_than_any() -> None:
    rewards, events = noisy_sums(scale=0.5)
    for told in (np.concatenate([events, events[..., :1]], -1), np.random.default_rng(1).normal(size=(2, 30, 4, 2))):
        weights, explained = successor_regression(rewards[: len(told), : told.shape[1]], told)
        assert np.isnan(weights).all() and np.isnan(explained)


def test_bad_input_is_refused(player: Player, states: Any) -> None:
    rewards, events = noisy_sums(scale=0.0)
    wrong: dict[str, Any] = {
        r"rewards=\(1, 4000, 4\)": (rewards[:1], events[:1]),
        r"events=\(3, 4000, 4\)": (rewards, events[..., 0]),
        "rewards=nan": (rewards * np.nan, events),
        "events=inf": (rewards, events + np.inf),
    }
    for message, arguments in wrong.items():
        with pytest.raises(ValueError, match=message):
            successor_regression(*arguments)
    play = Play(player, shaped, DISCOUNT, num_steps=30, names=tuple(WEIGHTS))
    refused: dict[str, tuple[Play, Any, np.ndarray, int]] = {
        "num_repetitions=1": (play, states, ALL, 1),
        "num_steps=0": (play._replace(num_steps=0), states, ALL, 2),
        "discount=1.5": (play._replace(discount=1.5), states, ALL, 2),
        r"names=\(\)": (play._replace(names=()), states, ALL, 2),
        "names=.*each once": (play._replace(names=("shared", "shared")), states, ALL, 2),
        "event='apples'": (play._replace(names=("apples",)), states, ALL, 2),
        "states=.*one leading axis": (play, jax.tree.map(lambda leaf: leaf[:0], states), ALL, 2),
        "is_tried=.*two actions or more of each": (play, states, np.eye(2, 5, dtype=bool), 2),
        r"is_tried=.*bool \(2, 5\)": (play, states, np.ones((2, 6), bool), 2),
        "is_tried=.*int64": (play, states, np.full((2, 5), 3), 2),
    }
    for message, (changed, begun, is_tried, repetitions) in refused.items():
        with pytest.raises(ValueError, match=message):
            successor_rewards(changed, begun, is_tried, jax.random.key(0), repetitions)
