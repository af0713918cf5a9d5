"""How well rewards and behaviour are recovered: numbers worked out by hand, and data with known rewards."""

from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from baselines.analysis.rewards.events import EventRewards, event_names
from baselines.analysis.rewards.recovery import (
    affine_error,
    behavioural_error,
    mean_of_others,
    pearson,
    random_scores,
    reward_scores,
    spearman,
)
from baselines.analysis.rewards.state_features import (
    FAR,
    NUM_RANDOM,
    entity_features,
    make_state_features,
    random_features,
)
from jaxdilemmas.envs.gems import ENTITY_KINDS


def scores(recovered: Any, rewards: Any, terminated: Any = None, episodes: Any = None) -> list[dict[str, float]]:
    recovered, rewards = np.asarray(recovered, float), np.asarray(rewards, float)
    terminated = np.zeros(len(rewards), bool) if terminated is None else np.asarray(terminated)
    return reward_scores(recovered, rewards, terminated, np.zeros(len(rewards)) if episodes is None else episodes)


# Correlations and errors


def test_correlation_is_that_of_a_textbook() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert pearson(first, second) == pytest.approx(0.8) == spearman(first, second)
    assert spearman(first, np.exp(5 * first)) == pytest.approx(1)
    assert np.isnan(pearson(first, np.ones(4))) and np.isnan(pearson(first[:0], first[:0]))


def test_tied_values_share_their_mean_rank() -> None:
    assert spearman(np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(np.sqrt(0.75))


def test_affine_error_forgives_scale_shift_and_sign_but_not_noise() -> None:
    true = np.array([0.0, 1.0, 6.0, 0.0])
    assert affine_error(3 - 2 * true, true) == pytest.approx(0)
    assert affine_error(np.zeros(4), true) == pytest.approx(true.var())
    noisy = true + np.array([1.0, -1.0, 0.0, 0.0])
    slope, shift = np.polyfit(noisy, true, 1)
    assert affine_error(noisy, true) == pytest.approx(np.mean((slope * noisy + shift - true) ** 2))


def test_predicting_nothing_and_the_mean_stand_beside_the_error() -> None:
    (own,) = scores([[2.0], [2.0], [0.0]], [[0.0], [1.0], [5.0]])
    assert own["mse"] == pytest.approx((4 + 1 + 25) / 3)
    assert own["mse_zero"] == pytest.approx(26 / 3) and own["mse_mean"] == pytest.approx(26 / 3 - 4)
    assert own["mse_affine"] < own["mse_mean"]


def test_steps_that_end_the_game_can_carry_all_of_a_correlation() -> None:
    rewards = [[0.0], [1.0], [6.0], [1.0], [0.0], [6.0]]
    recovered = [[1.0], [0.0], [9.0], [0.0], [1.0], [9.0]]
    (own,) = scores(recovered, rewards, terminated=[0, 0, 1, 0, 0, 1])
    assert own["pearson"] > 0.9 and own["pearson_running"] == pytest.approx(-1)


def test_steps_that_end_the_game_are_left_out_of_errors_and_their_predictors_alike() -> None:
    rewards, recovered = [[0.0, 3.0], [1.0, 0.0], [6.0, 1.0]], [[0.0, 0.0], [2.0, 1.0], [-9.0, 0.0]]
    own, _ = scores(recovered, rewards, terminated=[0, 0, 1])
    assert own["mse_affine_running"] == pytest.approx(0) and own["mse_affine"] > 0.1
    assert own["mse_zero_running"] == pytest.approx(0.5) and own["mse_mean_running"] == pytest.approx(0.25)
    expected = affine_error(np.array([0.0, 2.0, -9.0]), np.array([3.0, 0.0, 1.0]))
    assert own["mse_affine_other"] == pytest.approx(expected)
    (nothing,) = scores([[1.0], [2.0]], [[1.0], [2.0]], terminated=[1, 1])
    assert np.isnan([nothing[f"mse_{name}_running"] for name in ("affine", "zero", "mean")]).all()


def test_weights_at_random_score_what_a_loop_over_them_does() -> None:
    rng = np.random.default_rng(1)
    events = {"own": rng.integers(0, 2, (60, 2)) * 1.0, "both": np.repeat(rng.integers(0, 2, (60, 1)), 2, 1) * 1.0}
    names, episodes, terminated = event_names(events), np.arange(60) // 7, rng.random(60) < 0.2
    rewards = EventRewards(names, np.array([[1.0, 6, 0, 0], [0, 1, 2, 0]]), np.ones(2)).rewards(events)
    drawn = np.random.default_rng(0).normal(size=(len(names), 40))
    one_by_one = [
        scores(EventRewards(names, np.stack([w, w]), np.ones(2)).rewards(events), rewards, terminated, episodes)
        for w in drawn.T
    ]
    found = random_scores(names, events, rewards, terminated, episodes, num_draws=40)
    for agent in (0, 1):
        for name in ("pearson", "pearson_running", "pearson_alone", "pearson_other_alone", "pearson_episodes"):
            expected = np.quantile([abs(each[agent][name]) for each in one_by_one], [0.5, 0.95])
            np.testing.assert_allclose([found[agent][f"{name}_{part}"] for part in ("median", "q95")], expected)


def test_shared_gems_alone_can_pass_for_a_recovered_reward() -> None:
    events = {"own_gems": (np.arange(400) % 10 == 0)[:, None] * [1.0, 0.0], "shared": (np.arange(400) % 9 == 1) * 1.0}
    events["shared"] = np.repeat(events["shared"][:, None], 2, axis=1)
    rewards = EventRewards(("own_gems", "shared"), np.array([[1.0, 6.0], [1.0, 6.0]]), np.ones(2)).rewards(events)
    blind, _ = scores(events["shared"], rewards)
    assert blind["pearson"] > 0.95 and np.isnan(blind["pearson_alone"])
    null, _ = random_scores(("own_gems", "shared"), events, rewards, np.zeros(400), np.zeros(400))
    assert null["pearson_median"] > 0.75 and null["pearson_q95"] > 0.99


def test_sums_over_episodes_are_compared_as_well() -> None:
    episodes = np.array([4, 4, 7, 7, 9, 9])
    rewards = np.array([[1.0], [0.0], [2.0], [0.0], [3.0], [0.0]])
    recovered = np.array([[0.0], [1.0], [0.0], [2.0], [0.0], [3.0]])
    (own,) = scores(recovered, rewards, episodes=episodes)
    assert own["pearson_episodes"] == pytest.approx(1) == own["spearman_episodes"] and own["pearson"] < 0


def test_rewards_of_the_other_agent_are_told_from_ones_own_where_only_one_is_paid() -> None:
    rewards = np.array([[6.0, 6.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    for_oneself, for_the_team = scores(np.stack([rewards[:, 0], rewards.sum(1)], 1), rewards)
    assert for_oneself["pearson_alone"] == pytest.approx(1) and for_oneself["pearson_other_alone"] < 0
    assert for_the_team["pearson_alone"] == pytest.approx(0.5) == for_the_team["pearson_other_alone"]
    assert for_oneself["pearson_other"] == for_oneself["pearson_rewards"] > 0.9


def test_the_others_are_a_mean_and_nobody_is_zero() -> None:
    np.testing.assert_array_equal(mean_of_others(np.array([[1.0, 2.0, 6.0]])), [[4.0, 3.5, 1.5]])
    np.testing.assert_array_equal(mean_of_others(np.array([[5.0]])), [[0.0]])


def test_scores_of_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"recovered=\(3, 2\) is not allowed: numbers of shape \[3, 1\]"):
        scores(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"episodes=\(2,\) is not allowed"):
        scores(np.zeros((3, 1)), np.zeros((3, 1)), episodes=np.zeros(2))


def test_behavioural_error_counts_surprise_and_other_choices() -> None:
    probabilities = np.array([[[0.5, 0.5], [0.9, 0.1]], [[0.8, 0.2], [0.3, 0.7]], [[0.2, 0.8], [0.6, 0.4]]])
    actions = np.array([[0, 1], [0, 1], [0, 1]])
    error = behavioural_error(np.log(probabilities), actions)
    expected = -np.log([[0.5, 0.1], [0.8, 0.7], [0.2, 0.4]]).mean(0)
    np.testing.assert_allclose(error.cross_entropy, expected)
    np.testing.assert_allclose(error.disagreement, [1 / 3, 2 / 3])
    assert error.joint_disagreement == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="log_probs"):
        behavioural_error(np.log(probabilities), actions[:2])


# Features of states


def test_entity_features_do_not_mind_the_order_of_a_kind_nor_where_the_board_is() -> None:
    env = jaxdilemmas.make("gems")
    kinds = ENTITY_KINDS
    rng = np.random.default_rng(0)
    obs = rng.integers(0, 15, (4, 2, 11, 2)).astype(np.int8)
    obs[:, :, 4] = -1
    described = make_state_features(env)(obs)
    assert described.shape[:2] == (4, 2) and np.isfinite(described).all()
    shuffled = obs[:, :, [0, 1, 3, 2, 4, 7, 5, 6, 8, 10, 9]]
    np.testing.assert_allclose(described, entity_features(shuffled, kinds))
    moved = np.where(obs < 0, obs, obs + 1)
    np.testing.assert_allclose(described, entity_features(moved, kinds))
    assert not np.allclose(described[0, 0], described[0, 1])


def test_entities_that_are_not_there_are_far_away() -> None:
    kinds = np.array([0, 1, 2])
    there, gone = (entity_features(np.array([[0, 0], [5, 5], place]), kinds) for place in ([0, 3], [-1, -1]))
    assert 3 in there and FAR in gone and there.shape == gone.shape


def test_random_features_are_always_the_same_and_tell_tiles_apart() -> None:
    tiles = np.array([[[0, 1], [2, 0]], [[1, 0], [2, 0]]], np.uint8)
    described = random_features(tiles, (2, 2), num_tiles=3)
    assert described.shape == (2, NUM_RANDOM)
    np.testing.assert_array_equal(described, random_features(tiles, (2, 2), num_tiles=3))
    assert not np.allclose(described[0], described[1])


def test_what_a_game_shows_decides_its_features() -> None:
    gathering, pool = (jaxdilemmas.make(name) for name in ("gathering", "common_pool"))
    window = np.zeros((1, 2, *gathering.observation_space.shape), np.uint8)
    assert make_state_features(gathering)(window).shape == (1, 2, NUM_RANDOM)
    size = int(np.prod(pool.observation_space.shape))
    amounts = np.full((1, 4, *pool.observation_space.shape), 0.5)
    described = make_state_features(pool)(amounts)
    assert described.shape == (1, 4, size + NUM_RANDOM)
    np.testing.assert_array_equal(described[..., :size].ravel(), amounts.ravel())
