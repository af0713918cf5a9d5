"""A rollout records every step, continues where it stopped, and values the state after a time limit."""

from functools import partial
from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.core import rollout
from baselines.core.networks import ActorCritic, make_agent_networks
from baselines.core.observations import ObservationCode
from baselines.core.rollout import Players, RolloutCarry, Trajectory
from jaxdilemmas.wrappers import AutoReset, EpisodeStatistics
from tests.probes import Params, Probe

ENDLESS = Params(length=1000, max_steps=3, sees_step=1.0, constant=1.0)
ENDING = Params(length=3, sees_step=1.0, sees_cue=0.1, constant=1.0)
NUM_ENVS = 4


start = jax.jit(partial(rollout.start, key=jax.random.key(0), num_envs=NUM_ENVS), static_argnums=0)
play = jax.jit(rollout.collect, static_argnums=(0, 4))


@pytest.fixture(scope="module")
def players() -> Players:
    env = Probe(num_agents=2)
    code = ObservationCode.of(env.observation_space)
    networks = make_agent_networks(ActorCritic(code, 2, "gru", 4), env.num_agents, is_shared=True)
    return Players(AutoReset(EpisodeStatistics(env), final_observation=True), code, networks)


@pytest.fixture(scope="module")
def network_params(players: Players) -> dict:
    return jax.jit(players.networks.init)(jax.random.key(3))


def collect(
    players: Players, network_params: dict, params: Params, *lengths: int
) -> list[tuple[RolloutCarry, Trajectory]]:
    """Rollouts of the given lengths, one after the other."""
    carry = start(players, env_params=params)
    results = []
    for length in lengths:
        carry, trajectory = play(players, network_params, params, carry, length)
        results.append((carry, trajectory))
    return results


def test_two_rollouts_are_one_longer_one(players: Players, network_params: dict) -> None:
    (_, first), (stopped, second) = collect(players, network_params, ENDING, 4, 4)
    ((carry, whole),) = collect(players, network_params, ENDING, 8)
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), joined, whole)
    np.testing.assert_array_equal(jax.random.key_data(carry.key), jax.random.key_data(stopped.key))


def test_observations_before_and_after_an_end_belong_to_two_episodes(players: Players, network_params: dict) -> None:
    ((_, trajectory),) = collect(players, network_params, ENDING, 8)
    steps = np.round(np.asarray(trajectory.obs[:, :, 0, 0]))
    np.testing.assert_array_equal(steps[1:6], np.array([1, 2, 0, 1, 2])[:, None] * np.ones(NUM_ENVS))
    np.testing.assert_array_equal(trajectory.starts, (np.arange(8) % 3 == 0)[:, None] * np.ones(NUM_ENVS, bool))
    np.testing.assert_array_equal(trajectory.terminated, (np.arange(8) % 3 == 2)[:, None] * np.ones(NUM_ENVS, bool))
    np.testing.assert_array_equal(trajectory.info["episode_return"][2], 3.0)


def test_values_and_log_probs_are_those_of_the_network(players: Players, network_params: dict) -> None:
    ((_, trajectory),) = collect(players, network_params, ENDING, 8)
    _, logits, values = players.networks.apply(network_params, trajectory.memory[0], trajectory.obs, trajectory.starts)
    log_probs = distrax.Categorical(logits=logits).log_prob(trajectory.actions)
    np.testing.assert_allclose(values, trajectory.values, atol=1e-5)
    np.testing.assert_allclose(log_probs, trajectory.log_probs, atol=1e-5)


def test_next_value_past_the_time_limit_is_that_of_the_last_observation(players: Players, network_params: dict) -> None:
    ((_, trajectory),) = collect(players, network_params, ENDLESS, 8)
    obs = jnp.broadcast_to(jnp.arange(4.0)[:, None, None, None], (4, NUM_ENVS, 2, 1))
    starts = jnp.zeros((4, NUM_ENVS), bool)
    memory = players.networks.initial_memory(NUM_ENVS)
    episode = jax.jit(players.networks.apply)(network_params, memory, obs, starts)[2]
    for start in (0, 3):
        np.testing.assert_allclose(trajectory.next_values[start : start + 3], episode[1:4], atol=1e-5)
    np.testing.assert_allclose(trajectory.next_values[6:], episode[1:3], atol=1e-5)


def test_actions_are_drawn_with_their_probabilities() -> None:
    probabilities = np.array([0.0, 0.5, 0.2, 0.0, 0.3, 0.0])
    policy = distrax.Categorical(probs=jnp.broadcast_to(probabilities, (3, 20_000, 6)))
    actions = rollout.sample_actions(jax.random.key(0), policy)
    assert (actions.shape, actions.dtype) == ((3, 20_000), jnp.int32)
    for row in np.asarray(actions):
        np.testing.assert_allclose(np.bincount(row, minlength=6) / 20_000, probabilities, atol=0.02)


def test_actions_of_agents_are_drawn_independently() -> None:
    policy = distrax.Categorical(logits=jnp.zeros((10_000, 2, 2)))
    actions = np.asarray(rollout.sample_actions(jax.random.key(0), policy))
    assert np.mean(actions[:, 0] == actions[:, 1]) == pytest.approx(0.5, abs=0.02)


def ended_episodes(returns: list[list[float]], **more: Any) -> dict[str, jax.Array]:
    """Means over episodes of ten steps that end in one step of as many environments."""
    leaves = {"episode_return": jnp.array([returns]), "episode_length": jnp.full((1, len(returns), 2), 10)}
    leaves |= {f"episode_reward_{name}": jnp.ones((1, len(returns), 2)) for name in ("steps", "time")}
    return rollout.episode_metrics(jnp.ones((1, len(returns)), bool), leaves | more)


def test_tagged_steps_and_peace_are_reported_of_games_with_tagging() -> None:
    assert ended_episodes([[1.0, 3.0]]).keys().isdisjoint({"tagged_steps", "peace"})
    metrics = ended_episodes([[1.0, 3.0]], episode_tagged_steps=jnp.array([[[5, 0]]]))
    assert metrics["tagged_steps"].tolist() == [5, 0]
    assert float(metrics["peace"]) == 1.5


def test_equality_is_a_mean_over_the_episodes_that_have_one() -> None:
    metrics = ended_episodes([[1.0, 3.0], [-3.0, 1.0], [2.0, 2.0]])
    assert metrics["episode_return"].tolist() == [0, 2]
    assert float(metrics["equality"]) == pytest.approx((0.75 + 1) / 2)
    assert np.isnan(ended_episodes([[-3.0, 1.0]])["equality"])
