"""Every registered game passes PettingZoo's own tests of a parallel environment."""

from typing import Any

import jax
import numpy as np
import pytest

pytest.importorskip("pettingzoo", reason='needs pip install -e ".[adapters]"')
from gymnasium import spaces
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo import ParallelEnv
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils.conversions import parallel_to_aec

import jaxdilemmas
from jaxdilemmas import AutoReset, Environment, EpisodeStatistics
from jaxdilemmas.adapters.pettingzoo import PettingZooEnv
from jaxdilemmas.rendering import render_rgb
from tests import probes
from tests.adapters.real_actions import RealActions
from tests.games import EVERY_GAME

pytestmark = [pytest.mark.usefixtures("quick_compiling"), pytest.mark.filterwarnings("error::UserWarning")]

NUM_STEPS = 3
"""Steps in an episode of the games below."""


@pytest.fixture(scope="module")
def game() -> Environment:
    return EpisodeStatistics(jaxdilemmas.make("gathering", max_steps=NUM_STEPS))


@pytest.fixture
def env(game: Environment) -> PettingZooEnv:
    return PettingZooEnv(game, render_mode="rgb_array")


class Luck(probes.Probe):
    """A probe whose rewards are draws."""

    def draw(self, key: jax.Array, state: Any, params: Any) -> Any:
        return jax.random.uniform(key, (self.num_agents,))

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Any:
        state, _, terminated, info = super().transition(draws, state, actions, params)
        return state, draws, terminated, info


def stand(env: PettingZooEnv) -> dict[str, int]:
    return dict.fromkeys(env.agents, 7)


def play(env: PettingZooEnv, seed: Any) -> list[Any]:
    """All that an episode returns, with the same actions each time."""
    returned: list[Any] = [env.reset(seed=seed)]
    rng = np.random.default_rng(0)
    while env.agents and len(returned) <= NUM_STEPS:
        actions = {agent: rng.integers(env.action_space(agent).n) for agent in env.agents}
        returned.append(env.step(actions))
    return returned


@pytest.mark.parametrize("env_id", EVERY_GAME)
def test_every_game_passes_pettingzoos_tests(env_id: str) -> None:
    game = jaxdilemmas.make(env_id, num_agents=2, max_steps=NUM_STEPS)
    parallel_api_test(PettingZooEnv(game), num_cycles=NUM_STEPS + 1)
    parallel_seed_test(lambda: PettingZooEnv(game), num_cycles=NUM_STEPS + 1)
    episode = play(PettingZooEnv(game), seed=np.int64(3))  # the seed test above compares the first step alone
    assert data_equivalence(episode, play(PettingZooEnv(game), seed=3))


def test_a_game_turned_into_turns_passes_pettingzoos_test(game: Environment) -> None:
    turns = parallel_to_aec(PettingZooEnv(game))
    api_test(turns, num_cycles=2 * NUM_STEPS)
    turns.reset(seed=1)
    num_turns = 0
    for _ in turns.agent_iter():
        is_over = any(turns.last()[2:4])
        turns.step(None if is_over else 0)
        num_turns += not is_over
    assert num_turns == int(game.default_params.max_steps) * game.num_agents


def test_a_seed_fixes_the_episodes_that_follow_and_no_seed_is_random() -> None:
    game = probes.Probe(num_agents=40, params=probes.REWARD_FROM_OBSERVATION)  # starts in one of 2^40 ways
    first, second = PettingZooEnv(game), PettingZooEnv(game)
    episodes = [[play(env, seed) for seed in (1, None)] for env in (first, second)]
    assert data_equivalence(*episodes)
    assert not data_equivalence(*episodes[0])
    assert not data_equivalence(first.reset(seed=1), first.reset())
    assert not data_equivalence(*[play(PettingZooEnv(game), None) for _ in range(2)])


def test_luck_is_new_in_every_step_and_episode() -> None:
    env = PettingZooEnv(Luck(num_agents=2, params=probes.Params(length=NUM_STEPS)))
    steps = [*play(env, seed=0)[1:], *play(env, seed=None)[1:]]
    assert len({reward for step in steps for reward in step[1].values()}) == 2 * 2 * NUM_STEPS


def test_a_step_is_that_of_the_game_in_numpy(game: Environment, env: PettingZooEnv) -> None:
    (obs, infos), *steps = play(env, seed=0)
    assert (list(obs), infos) == (["agent_0", "agent_1"], {"agent_0": {}, "agent_1": {}})
    for now, (obs, rewards, terminations, truncations, infos) in enumerate(steps, start=1):
        for agent in env.possible_agents:
            assert env.observation_space(agent).contains(obs[agent])
            assert obs[agent].flags.writeable
            assert isinstance(rewards[agent], float)
            assert terminations[agent] is False
            assert truncations[agent] is (now == NUM_STEPS)
            assert infos[agent]["episode_length"] == now
            assert set(infos[agent]) >= {"collected", "tagged", "hits_given", "episode_return"}
    assert len(steps) == NUM_STEPS
    assert env.agents == []


def test_agents_act_in_the_order_of_their_names_and_get_what_is_theirs() -> None:
    env = PettingZooEnv(EpisodeStatistics(probes.Probe(num_agents=3, params=probes.ACTION_FROM_ROLE)))
    env.reset(seed=0)
    _, rewards, terminations, truncations, infos = env.step({"agent_2": 0, "agent_1": 0, "agent_0": 1})
    assert rewards == {"agent_0": -1.0, "agent_1": -1.0, "agent_2": 1.0}
    assert {agent: info["episode_return"] for agent, info in infos.items()} == rewards
    assert terminations == dict.fromkeys(rewards, True)
    assert truncations == dict.fromkeys(rewards, False)
    assert env.agents == []


def test_spaces_are_gymnasiums_one_for_each_agent(game: Any, env: PettingZooEnv) -> None:
    assert isinstance(env, ParallelEnv)
    assert str(env) == "EpisodeStatistics"
    assert env.possible_agents == ["agent_0", "agent_1"]
    assert env.action_space("agent_0") == spaces.Discrete(8)
    assert env.observation_space("agent_0") == spaces.Box(0, len(game.tiles) - 1, (16, 21), np.uint8)
    assert env.action_space("agent_0") is not env.action_space("agent_1")


def test_real_valued_actions_are_passed_on() -> None:
    env = PettingZooEnv(RealActions(num_agents=2, params=probes.ACTION_MATTERS))
    assert env.action_space("agent_0") == spaces.Box(-1.0, 1.0, (2,), np.float32)
    env.reset(seed=0)
    actions = {"agent_0": np.array([0.75, 0], np.float32), "agent_1": np.array([0.25, 0], np.float32)}
    assert env.step(actions)[1] == {"agent_0": 0.5, "agent_1": -0.5}


def test_the_picture_is_that_of_the_game_within_its_wrappers(game: Any, env: PettingZooEnv) -> None:
    env.reset(seed=0)
    before = env.render()
    env.step({"agent_0": 7, "agent_1": 6})
    picture = env.render()
    assert picture.shape == (234, 800, 3) and picture.dtype == np.uint8
    assert (picture != before).any()
    assert (picture == render_rgb(game.env, env._state.env_state)).all()


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({}, r"missing: \['agent_0', 'agent_1'\]"),
        ({"agent_0": 1}, r"missing: \['agent_1'\], unknown: \[\]"),
        ({"agent_0": 1, "agent_1": 1, "agent_2": 1}, r"missing: \[\], unknown: \['agent_2'\]"),
        ({"agent_0": 1, "agent_1": [1]}, r"actions\['agent_1'\]=\[1\] is not allowed: a member of Discrete\(8\)"),
        ({"agent_0": 8, "agent_1": 1}, r"actions\['agent_0'\]=8"),
        ({"agent_0": 1.0, "agent_1": 1}, r"actions\['agent_0'\]=1.0"),
    ],
)
def test_wrong_actions_are_refused(env: PettingZooEnv, actions: dict[str, Any], message: str) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(actions)
    assert len(env.step(stand(env))) == 5  # the episode goes on


def test_no_step_before_the_reset_or_after_the_end(env: PettingZooEnv) -> None:
    with pytest.raises(ValueError, match="no episode is running, call reset first"):
        env.step({"agent_0": 7, "agent_1": 7})
    play(env, seed=0)
    with pytest.raises(ValueError, match="no episode is running, call reset first"):
        env.step({})


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, True, "0"])
def test_a_seed_out_of_range_is_refused(env: PettingZooEnv, seed: Any) -> None:
    with pytest.raises(ValueError, match=r"seed=.* whole number in"):
        env.reset(seed=seed)


def test_the_largest_seed_differs_from_the_smallest(env: PettingZooEnv) -> None:
    assert not data_equivalence(env.reset(seed=0), env.reset(seed=2**32 - 1))


def test_what_cannot_be_drawn_or_adapted_is_refused(game: Environment, env: PettingZooEnv) -> None:
    with pytest.raises(ValueError, match=r"render_mode='human'.*rgb_array"):
        PettingZooEnv(game, render_mode="human")
    with pytest.raises(ValueError, match="render_mode=None"):
        PettingZooEnv(game).render()
    with pytest.raises(ValueError, match="call reset first"):
        env.render()
    with pytest.raises(ValueError, match=r"AutoReset.*does not reset itself"):
        PettingZooEnv(AutoReset(game))
