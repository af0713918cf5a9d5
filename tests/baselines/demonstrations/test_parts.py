"""Subsamples and splits of demonstrations, and several joined."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from baselines.demonstrations import (
    Demonstrations,
    join,
    split,
    subsample,
)
from baselines.demonstrations.records import episode_returns
from tests.baselines.demonstrations.by_hand import NUM_EPISODES, assert_same, episodes_of

pytestmark = pytest.mark.usefixtures("quick_compiling")


def test_a_subsample_is_whole_episodes_and_one_that_is_cut(recorded: Demonstrations) -> None:
    lengths = np.bincount(recorded.episodes)
    for seed in range(5):
        found = subsample(recorded, 20, seed)
        assert len(found.obs) == found.header.num_transitions == 20
        kept = np.bincount(found.episodes, minlength=len(lengths))
        assert sum((kept > 0) & (kept < lengths)) <= 1
        assert found.header.num_episodes == sum(kept > 0) < NUM_EPISODES
        for episode in episodes_of(found):
            whole = recorded.obs[recorded.episodes == episode.episodes[0]]
            np.testing.assert_array_equal(episode.obs, whole[: len(episode.obs)])


def test_a_smaller_subsample_is_a_part_of_a_larger_one(recorded: Demonstrations) -> None:
    chosen = []
    for number in (10, 25):
        found = subsample(recorded, number, seed=3)
        assert_same(found, subsample(recorded, number, seed=3))
        chosen.append({(i, *obs.ravel().tolist()) for i, obs in zip(found.episodes, found.obs, strict=True)})
    assert chosen[0] < chosen[1]


def test_seeds_choose_different_episodes(recorded: Demonstrations) -> None:
    assert len({tuple(np.unique(subsample(recorded, 10, seed).episodes)) for seed in range(10)}) > 3


def test_a_subsample_may_be_everything_but_not_more(recorded: Demonstrations) -> None:
    M = len(recorded.obs)
    assert_same(subsample(recorded, M), recorded)
    for number in (M + 1, 0):
        with pytest.raises(ValueError, match=f"num_transitions={number} is not allowed: .* from 1 to {M}, which are"):
            subsample(recorded, number)


def test_a_split_has_every_episode_once_and_whole(recorded: Demonstrations) -> None:
    for held_out, number in ((0.01, 1), (0.3, 2), (0.9, 6)):
        train, test = split(recorded, held_out, seed=1)
        assert (train.header.num_episodes, test.header.num_episodes) == (NUM_EPISODES - number, number)
        assert set(train.episodes) & set(test.episodes) == set()
        for part in (train, test):
            is_kept = np.isin(recorded.episodes, part.episodes)
            np.testing.assert_array_equal(part.next_obs, recorded.next_obs[is_kept])
            np.testing.assert_allclose(part.header.returns, episode_returns(part).mean(axis=0))
        assert len(train.obs) + len(test.obs) == len(recorded.obs)


def test_a_split_depends_on_its_seed_alone(recorded: Demonstrations) -> None:
    for first, second in zip(split(recorded, seed=2), split(recorded, seed=2), strict=True):
        assert_same(first, second)
    assert len({tuple(np.unique(split(recorded, 0.3, seed)[1].episodes)) for seed in range(10)}) > 3


def test_a_split_into_nothing_is_refused(recorded: Demonstrations) -> None:
    for held_out in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"held_out={held_out} is not allowed: a number above 0 and below 1"):
            split(recorded, held_out)
    with pytest.raises(ValueError, match="num_episodes=1 is not allowed: more than 1, to split them"):
        split(episodes_of(recorded)[0])


def test_joined_parts_are_the_whole_again(recorded: Demonstrations) -> None:
    parts = episodes_of(recorded)
    assert_same(join(parts), recorded)
    turned = join(parts[::-1])
    np.testing.assert_array_equal(np.unique(turned.episodes), np.arange(NUM_EPISODES))
    np.testing.assert_array_equal(episode_returns(turned), episode_returns(recorded)[::-1])


def test_joined_demonstrations_name_each_policy_once_and_lack_states_that_one_lacks(recorded: Demonstrations) -> None:
    other = recorded._replace(header=dataclasses.replace(recorded.header, policy="human"), states={})
    joined = join([recorded, other, recorded])
    assert joined.header.policy == "random, human"
    assert joined.header.num_episodes == 3 * NUM_EPISODES
    assert joined.states == {} and recorded.states


@pytest.mark.parametrize(
    "change",
    [{"env_id": "gems"}, {"env_version": "0"}, {"params": {}}, {"num_agents": 3}, {"obs_shape": (3,)}],
    ids=lambda change: next(iter(change)),
)
def test_demonstrations_of_another_game_are_not_joined(recorded: Demonstrations, change: dict[str, Any]) -> None:
    other = recorded._replace(header=dataclasses.replace(recorded.header, **change))
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.* is not allowed: .*, as in the first part"):
        join([recorded, other])


def test_demonstrations_with_other_events_are_not_joined(recorded: Demonstrations) -> None:
    with pytest.raises(ValueError, match=r"events=\[\] is not allowed"):
        join([recorded, recorded._replace(events={})])
