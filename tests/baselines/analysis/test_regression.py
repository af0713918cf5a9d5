"""Rewards as weights of events by regression, from data with known rewards."""

from typing import Any

import numpy as np
import pytest

from baselines.analysis.rewards.events import TIME, EventRewards, event_feature, event_names
from baselines.analysis.rewards.recovery import reward_scores
from baselines.analysis.rewards.regression import Recovered, constrained_regression

DISCOUNT = 0.9
WEIGHTS = np.array([[1.0, 6.0, 0.0], [2.0, 3.0, -1.0]])
"""Of own gems, shared ones and the other agent's gems."""


def make_recovered(noise: float = 0.0, num_features: int = 5) -> Recovered:
    """Rewards of WEIGHTS hidden under shaping by a function that is linear in the features."""
    rng = np.random.default_rng(3)
    own = (rng.random((4000, 2)) < 0.2) * 1.0
    shared = np.repeat(rng.random((4000, 1)) < 0.1, 2, axis=1) * 1.0
    features = rng.normal(size=(4001, 2, num_features))
    terminated, episodes = rng.random(4000) < 0.02, np.arange(4000) // 50
    events = {"own_gems": own, "shared": shared}
    truth = EventRewards(("own_gems", "shared", "own_gems of others"), WEIGHTS, np.ones(2)).rewards(events)
    potential = features @ np.arange(1, num_features + 1)
    goes_on = DISCOUNT * (1 - terminated)[:, None]
    targets = truth + goes_on * potential[1:] - potential[:-1] - 0.7 + noise * rng.normal(size=truth.shape)
    return Recovered(targets, events, features[:-1], features[1:], terminated, episodes)


@pytest.mark.parametrize("num_steps", [1, 5, 80])
def test_regression_takes_the_shaping_away(num_steps: int) -> None:
    recovered = make_recovered()
    fitted = constrained_regression(recovered, DISCOUNT, num_steps, ridge=0)
    assert fitted.names == ("own_gems", "shared", "own_gems of others", "own_gems of all")
    np.testing.assert_allclose(fitted.weights, np.pad(WEIGHTS, ((0, 0), (0, 1))), atol=1e-8)
    np.testing.assert_allclose(fitted.explained, 1)
    raw = reward_scores(recovered.targets, fitted.rewards(recovered.events), recovered.terminated, recovered.episodes)
    assert all(agent["pearson"] < 0.5 for agent in raw)


def test_sums_over_steps_suffer_less_from_a_value_that_the_features_cannot_express() -> None:
    recovered = make_recovered()._replace(terminated=np.zeros(4000, bool), episodes=np.zeros(4000))
    happens = np.flatnonzero(np.append(recovered.events["shared"][:, 0], 1))
    wait = happens[np.searchsorted(happens, np.arange(4001))] - np.arange(4001)
    hidden = -np.minimum(wait, 6.0)[:, None]  # rises until the event, then falls
    truth = EventRewards(("own_gems", "shared", "own_gems of others"), WEIGHTS, np.ones(2)).rewards(recovered.events)
    targets = truth + DISCOUNT * hidden[1:] - hidden[:-1]
    spoilt = recovered._replace(targets=targets)
    errors = [
        np.abs(constrained_regression(spoilt, DISCOUNT, num_steps).weights[:, 1] - WEIGHTS[:, 1]).mean()
        for num_steps in (1, 8)
    ]
    assert errors[1] < 0.75 * errors[0]


def test_value_beyond_the_end_of_a_game_does_not_count() -> None:
    recovered = make_recovered()
    changed = recovered.next_features + 100 * recovered.terminated[:, None, None]
    fitted, same = (constrained_regression(r, DISCOUNT) for r in (recovered, recovered._replace(next_features=changed)))
    np.testing.assert_allclose(fitted.weights, same.weights, atol=1e-9)


@pytest.mark.parametrize("num_steps", [1, 8])
def test_an_offset_of_the_value_is_not_put_down_to_events_that_end_the_game(num_steps: int) -> None:
    recovered = make_recovered()
    terminated = recovered.terminated | ((recovered.events["shared"][:, 0] > 0) & (np.arange(4000) % 3 > 0))
    potential = recovered.features @ np.arange(1, 6), recovered.next_features @ np.arange(1, 6)
    plain = recovered.targets + potential[0] - DISCOUNT * (1 - recovered.terminated)[:, None] * potential[1]
    goes_on = DISCOUNT * (1 - terminated)[:, None]
    targets = plain + goes_on * (potential[1] + 100) - (potential[0] + 100)
    fitted = constrained_regression(
        recovered._replace(terminated=terminated, targets=targets), DISCOUNT, num_steps, ridge=1e-12
    )
    np.testing.assert_allclose(fitted.weights[:, :3], WEIGHTS, atol=1e-3)


def test_a_sum_stops_where_the_episode_does() -> None:
    recovered = make_recovered()
    alone = recovered._replace(episodes=np.arange(4000))
    by_step = constrained_regression(recovered, DISCOUNT, 1).weights
    np.testing.assert_array_equal(constrained_regression(alone, DISCOUNT, 9).weights, by_step)
    assert not np.array_equal(constrained_regression(make_recovered(0.1), DISCOUNT, 9).weights, by_step)


def test_events_that_repeat_or_never_vary_are_no_features() -> None:
    both = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    own = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    events = {"own": own, "both": both, "again": own, "never": 0 * own}
    assert event_names(events) == ("own", "both", "own of others", "own of all")


def test_features_of_events_are_own_of_others_or_of_all() -> None:
    events = {"taken": np.array([[2.0, 0.0, 1.0]])}
    for name, expected in {"taken": [2, 0, 1], "taken of others": [1, 3, 2], "taken of all": [0, 0, 0]}.items():
        np.testing.assert_array_equal(event_feature(name, events), [expected])
    np.testing.assert_array_equal(event_feature(TIME, events), [[1, 1, 1]])
    for name in ("given", "taken of some"):
        with pytest.raises(ValueError, match=rf"event='{name}' is not allowed: one of taken, alone, of others"):
            event_feature(name, events)
    with pytest.raises(ValueError, match="event='time'"):
        event_feature(TIME, {})


def test_bad_input_of_the_regression_is_refused() -> None:
    good = make_recovered()
    wrong: dict[str, dict[str, Any]] = {
        "targets": {"targets": good.targets[:, 0]},
        "features": {"features": good.features[:-1]},
        "next_features": {"next_features": good.next_features[..., :2]},
        "terminated": {"terminated": good.terminated[:-1]},
        "events": {"events": {"never": np.zeros((4000, 2))}},
    }
    for name, change in wrong.items():
        with pytest.raises(ValueError, match=f"^{name}="):
            constrained_regression(good._replace(**change), DISCOUNT)
    with pytest.raises(ValueError, match="targets=nan is not allowed: all must be finite"):
        constrained_regression(good._replace(targets=good.targets * np.nan), DISCOUNT)
    with pytest.raises(ValueError, match="num_steps=0"):
        constrained_regression(good, DISCOUNT, 0)
