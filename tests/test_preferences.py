"""Preferences of agents: cases by hand, chosen where public implementations contain errors."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxdilemmas import AutoReset, Environment, TransformRewards, preferences
from jaxdilemmas.environment import Transition
from jaxdilemmas.preferences import Preference
from jaxdilemmas.spaces import Box, Discrete, Space


def learn_from(preference: Preference, *rewards: list[float]) -> np.ndarray:
    """What agents learn from in the first steps of an episode, `[T, N]`, one list of rewards a step."""
    carry, transformed = preference.init(len(rewards[0])), []
    for step in rewards:
        carry, learnt = preference.apply(carry, jnp.array(step, jnp.float32))
        assert learnt.dtype == jnp.float32
        transformed.append(learnt)
    return np.array(transformed)


def orientation(angle: Any, weight: Any = 1.0) -> Preference:
    return preferences.social_value_orientation(angle=angle, weight=weight)


def test_individuals_learn_from_their_own_rewards() -> None:
    np.testing.assert_array_equal(learn_from(preferences.individual(), [3, -1, 0.5]), [[3, -1, 0.5]])


def test_common_reward_is_the_sum_for_everyone() -> None:
    np.testing.assert_array_equal(learn_from(preferences.common(), [3, -1, 0.5]), [[2.5, 2.5, 2.5]])


def test_row_i_of_the_matrix_says_what_agent_i_cares_about() -> None:
    preference = preferences.mixing([[1, 2, 0], [0, 1, 0], [-1, 0, 0]])
    np.testing.assert_array_equal(learn_from(preference, [1, 10, 100]), [[21, 10, -1]])


def test_neighbours_count_for_those_who_mind_them() -> None:
    # agent 0 minds agent 1, agent 1 minds agent 2 twice as much, agent 2 minds nobody
    graph = [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    np.testing.assert_array_equal(
        learn_from(preferences.neighbour_weighted(graph, 0.5), [1, 10, 100]), [[1 + 5, 10 + 100, 100]]
    )


def test_each_agent_may_have_its_own_alpha() -> None:
    graph = np.ones((3, 3)) - np.eye(3)
    preference = preferences.neighbour_weighted(graph, [0, 1, 2])
    np.testing.assert_array_equal(learn_from(preference, [1, 10, 100]), [[1, 111, 100 + 22]])


def test_every_neighbour_with_alpha_one_is_common_reward() -> None:
    preference = preferences.neighbour_weighted(np.ones((3, 3)) - np.eye(3), 1.0)
    rewards: list[float] = [3, -1, 0.5]
    np.testing.assert_array_equal(learn_from(preference, rewards), learn_from(preferences.common(), rewards))


@pytest.mark.parametrize("angle", [-90, 0, 45, 90])
def test_orientation_costs_nothing_when_nobody_is_rewarded(angle: float) -> None:
    # the angle of (0, 0) is no angle, though arctan2 says 0: agents would pay for most steps of a game with few rewards
    np.testing.assert_array_equal(learn_from(orientation(angle), [0, 0, 0]), [[0, 0, 0]])


def test_orientation_compares_ones_own_reward_with_the_mean_of_the_others() -> None:
    # angles of (3, 1.5), (0, 3) and (3, 1.5)
    gaps = np.abs(np.arctan([0.5, np.inf, 0.5]) - np.pi / 4)
    learnt = learn_from(orientation(45, weight=0.2), [3, 0, 3])
    np.testing.assert_allclose(learnt, [np.array([3, 0, 3]) - 0.2 * gaps], rtol=1e-6)


def test_the_selfish_mind_what_others_get_and_the_altruistic_what_they_get_themselves() -> None:
    quarter = np.pi / 2
    np.testing.assert_allclose(learn_from(orientation(0), [1, 0]), [[1, -quarter]], rtol=1e-6)
    np.testing.assert_allclose(learn_from(orientation(90), [1, 0]), [[1 - quarter, 0]], rtol=1e-6)


def test_the_gap_between_angles_is_the_shorter_way_round() -> None:
    # -135 degrees for both agents, 45 away from 180 and from -180
    for angle in (180, -180):
        np.testing.assert_allclose(learn_from(orientation(angle), [-1, -1]), [[-1 - np.pi / 4] * 2], rtol=1e-6)


def test_each_agent_may_have_its_own_orientation() -> None:
    learnt = learn_from(orientation([0, 90, 45], weight=[1, 1, 0]), [1, 1, 1])
    np.testing.assert_allclose(learnt, [[1 - np.pi / 4, 1 - np.pi / 4, 1]], rtol=1e-6)


def test_guilt_is_a_cost_to_the_richer_and_envy_to_the_poorer() -> None:
    # one public implementation turns the +1 of the richer into +1.5
    np.testing.assert_array_equal(learn_from(preferences.inequity_averse(envy=0, guilt=0.5), [1, 0]), [[0.5, 0]])
    np.testing.assert_array_equal(learn_from(preferences.inequity_averse(envy=2, guilt=0), [1, 0]), [[1, -2]])


def test_inequity_costs_nothing_when_nobody_is_rewarded() -> None:
    # one public implementation charges everyone (envy + guilt) * (N - 1) then
    np.testing.assert_array_equal(learn_from(preferences.inequity_averse(), [0, 0, 0]), [[0, 0, 0]])


def test_traces_fade_and_ones_own_part_is_the_reward_of_the_step() -> None:
    preference = preferences.inequity_averse(envy=3, guilt=1, decay=0.5, discount=0.5)
    # traces (1, 0), (1/4, 0), (1/16, 1): one public implementation adds the trace instead of the reward
    expected = [[1 - 1, -3], [-1 / 4, -3 / 4], [-3 * 15 / 16, 1 - 15 / 16]]
    np.testing.assert_array_equal(learn_from(preference, [1, 0], [0, 0], [0, 1]), expected)


def test_inequity_is_the_sum_over_pairs_by_the_number_of_others() -> None:
    envy, guilt, decay = [5, 0, 1, 2], [0.05, 0.5, 0, 1], 0.975 * 0.99
    rewards = np.random.default_rng(0).integers(-50, 3, (6, 4)).astype(float)
    traces, expected = [0.0] * 4, np.array(rewards)
    for step, own in enumerate(rewards):
        traces = [decay * trace + reward for trace, reward in zip(traces, own, strict=True)]
        for i in range(4):
            for j in set(range(4)) - {i}:
                expected[step, i] -= envy[i] / 3 * max(traces[j] - traces[i], 0)
                expected[step, i] -= guilt[i] / 3 * max(traces[i] - traces[j], 0)
    learnt = learn_from(preferences.inequity_averse(envy=envy, guilt=guilt), *rewards.tolist())
    np.testing.assert_allclose(learnt, expected, rtol=1e-5, atol=1e-4)


def test_defaults_are_those_of_the_docs() -> None:
    learnt = learn_from(preferences.inequity_averse(), [1, 0], [0, 0])
    fading = 0.975 * 0.99
    np.testing.assert_allclose(learnt, [[0.95, -5], [-0.05 * fading, -5 * fading]], rtol=1e-6)


@pytest.mark.parametrize("build", [preferences.inequity_averse, preferences.social_value_orientation])
def test_settings_that_could_be_mixed_up_go_by_their_names(build: Callable[..., Preference]) -> None:
    with pytest.raises(TypeError, match="positional"):
        build(1.0, 2.0)


def preferences_for(num_agents: int) -> dict[str, Preference]:
    """One of each kind."""
    return {
        "individual": preferences.individual(),
        "common": preferences.common(),
        "neighbour_weighted": preferences.neighbour_weighted(np.ones((num_agents,) * 2) - np.eye(num_agents), 0.5),
        "mixing": preferences.mixing(np.eye(num_agents) + np.tri(num_agents, k=-1)),
        "social_value_orientation": orientation(45),
        "inequity_averse": preferences.inequity_averse(),
    }


@pytest.mark.parametrize("name", preferences_for(1))
def test_an_agent_alone_has_only_its_own_rewards(name: str) -> None:
    np.testing.assert_array_equal(learn_from(preferences_for(1)[name], [2], [0], [-1]), [[2], [0], [-1]])


@pytest.mark.parametrize("name", preferences_for(3))
def test_a_batch_under_jit_is_each_episode_alone(name: str) -> None:
    preference = preferences_for(3)[name]
    batch = np.random.default_rng(1).integers(-2, 3, (2, 5, 3)).astype(np.float32)

    def play(rewards: jax.Array) -> jax.Array:
        return jax.lax.scan(preference.apply, preference.init(3), rewards)[1]

    together = jax.jit(jax.vmap(play))(batch)
    alone = [learn_from(preference, *episode.tolist()) for episode in batch]
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-6)


class Empty(struct.PyTreeNode):
    """No numbers."""


class Params(struct.PyTreeNode):
    max_steps: int = 3


class Clock(struct.PyTreeNode):
    step_count: jax.Array


class Payday(Environment):
    """The first agent is paid 1 in the first step of an episode; nothing else happens."""

    def __init__(self, num_agents: int = 2) -> None:
        self.num_agents, self.default_params = num_agents, Params()

    @property
    def observation_space(self) -> Space:
        return Box(0, 1, ())

    @property
    def action_space(self) -> Space:
        return Discrete(1)

    def initial_state(self, key: jax.Array, params: Params) -> Clock:
        return Clock(jnp.zeros((), jnp.int32))

    def draw(self, key: jax.Array, state: Clock, params: Params) -> Empty:
        return Empty()

    def transition(self, draws: Empty, state: Clock, actions: jax.Array, params: Params) -> Transition:
        rewards = jnp.zeros(self.num_agents).at[0].set(state.step_count == 0)
        return Clock(state.step_count + 1), rewards, jnp.zeros((), bool), {}

    def observe(self, state: Clock, params: Params) -> jax.Array:
        return jnp.zeros(self.num_agents)


def test_traces_start_anew_with_each_episode() -> None:
    env = AutoReset(TransformRewards(Payday(), preferences.inequity_averse(envy=4, guilt=2, decay=0.5, discount=1)))

    @jax.jit
    def play(key: jax.Array) -> jax.Array:
        def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            _, state, rewards, *_ = env.step(key, state, jnp.zeros(2, jnp.int32))
            return state, rewards

        return jax.lax.scan(step, env.reset(key)[1], jax.random.split(key, 7))[1]

    episode = [[1 - 2, -4], [-1, -2], [-0.5, -1]]
    np.testing.assert_array_equal(play(jax.random.key(0)), [*episode, *episode, episode[0]])


NAN, INF = float("nan"), float("inf")
RAGGED: Any = [[1, 0], [0]]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: preferences.mixing([[1, 2, 3], [4, 5, 6]]), "matrix=[[1, 2, 3], [4, 5, 6]] is not allowed: a square"),
        (lambda: preferences.mixing([1, 2]), "matrix=[1, 2] is not allowed: a square"),
        (lambda: preferences.mixing([[NAN]]), "matrix=[[nan]] is not allowed"),
        (lambda: preferences.mixing(RAGGED), "matrix=[[1, 0], [0]] is not allowed"),
        (lambda: preferences.neighbour_weighted([[0, -1], [0, 0]], 1), "graph=[[0, -1], [0, 0]] is not allowed: weig"),
        (lambda: preferences.neighbour_weighted([[INF]], 1), "graph=[[inf]] is not allowed"),
        (lambda: preferences.neighbour_weighted([[1, 1], [1, 1]], 1), "graph=[[1, 1], [1, 1]] is not allowed: 0 on"),
        (lambda: preferences.neighbour_weighted([[0, 1]], 1), "graph=[[0, 1]] is not allowed: a square matrix"),
        (lambda: preferences.neighbour_weighted([[0]], -0.5), "alpha=-0.5 is not allowed: a finite number, at least 0"),
        (lambda: preferences.neighbour_weighted([[0]], NAN), "alpha=nan is not allowed"),
        (lambda: orientation(181), "angle=181 is not allowed: a finite number, from -180 to 180, or one"),
        (lambda: orientation([0, -181]), "angle=[0, -181] is not allowed"),
        (lambda: orientation(NAN), "angle=nan is not allowed"),
        (lambda: orientation("north"), "angle='north' is not allowed"),
        (lambda: orientation(45, weight=-1), "weight=-1 is not allowed: a finite number, at least 0"),
        (lambda: orientation(45, weight=INF), "weight=inf is not allowed"),
        (lambda: orientation(45, weight=[[1]]), "weight=[[1]] is not allowed"),
        (lambda: preferences.inequity_averse(envy=-1), "envy=-1 is not allowed: a finite number, at least 0"),
        (lambda: preferences.inequity_averse(guilt=[0, -0.1]), "guilt=[0, -0.1] is not allowed"),
        (lambda: preferences.inequity_averse(decay=1.01), "decay=1.01 is not allowed: a finite number, from 0 to 1"),
        (lambda: preferences.inequity_averse(discount=-0.1), "discount=-0.1 is not allowed: a finite number, from 0"),
    ],
)
def test_settings_that_make_no_sense_are_named(build: Callable[[], Preference], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        build()


@pytest.mark.parametrize(
    ("preference", "message"),
    [
        (preferences.mixing(np.eye(3)), "matrix of shape=(3, 3)"),
        (preferences.neighbour_weighted(np.zeros((3, 3)), 1), "graph of shape=(3, 3)"),
        (preferences.neighbour_weighted(np.zeros((2, 2)), [1, 1, 1]), "alpha of shape=(3,)"),
        (orientation([0, 45, 90]), "angle of shape=(3,)"),
        (orientation(45, weight=[1]), "weight of shape=(1,)"),
        (preferences.inequity_averse(envy=[5, 5, 5]), "envy of shape=(3,)"),
        (preferences.inequity_averse(discount=[]), "discount of shape=(0,)"),
    ],
)
def test_a_preference_that_does_not_fit_the_agents_is_refused_when_it_is_put_around_a_game(
    preference: Preference, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{message} is not allowed: each axis has one entry per agent, 2")):
        TransformRewards(Payday(), preference)
