"""IPPO finds the known answers of the probe games, and keeps its promises about settings, keys and state."""

import dataclasses
from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines import ippo
from baselines.training import probes

SMALL = ippo.Config(
    total_env_steps=40 * 128,
    num_envs=16,
    rollout_steps=8,
    num_minibatches=2,
    hidden_size=16,
    learning_rate=1e-2,
    discount=0.5,
    entropy_coefficient=0.0,
    max_gradient_norm=5.0,
)
VARIANTS = {
    "shared": {},
    "separate": {"parameters": "separate"},
    "gru": {"network": "gru"},
    "separate gru": {"parameters": "separate", "network": "gru"},
}


def train(env: probes.Probe, **settings: Any) -> tuple[ippo.Config, Any, dict[str, jax.Array]]:
    config = dataclasses.replace(SMALL, **settings)
    return config, *ippo.make_train(config, env)(jax.random.key(0), env.default_params)


def read(config: ippo.Config, env: probes.Probe, train_state: Any, obs: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Values `[T, N]` and probabilities of action 1 `[T, N]` after seeing `obs`, the same for every agent."""
    _, networks = ippo.make_networks(config, env)
    inputs = jnp.broadcast_to(jnp.array(obs)[:, None, None, None], (len(obs), 1, env.num_agents, 1))
    starts = jnp.zeros((len(obs), 1), bool)
    _, logits, values = networks.apply(train_state.network_params, networks.initial_memory(1), inputs, starts)
    return np.asarray(values[:, 0]), np.asarray(jax.nn.softmax(logits[:, 0])[..., 1])


@pytest.mark.parametrize("variant", VARIANTS)
def test_value_of_a_constant_reward_is_learnt(variant: str) -> None:
    env = probes.ConstantReward(num_agents=2)
    config, train_state, _ = train(env, **VARIANTS[variant])
    values, _ = read(config, env, train_state, [0.0])
    np.testing.assert_allclose(values, 1.0, atol=0.05)


@pytest.mark.parametrize("max_steps", [8, 3])
def test_value_goes_on_past_the_time_limit(max_steps: int) -> None:
    env = probes.EndlessReward(max_steps=max_steps)
    config, train_state, _ = train(env)
    values, _ = read(config, env, train_state, [0.0])
    np.testing.assert_allclose(values, 1 / (1 - config.discount), atol=0.1)


def test_value_is_learnt_from_the_observation() -> None:
    env = probes.RewardFromObservation(num_agents=2)
    config, train_state, _ = train(env)
    for cue in (-1.0, 1.0):
        np.testing.assert_allclose(read(config, env, train_state, [cue])[0], cue, atol=0.05)


def test_delayed_reward_is_discounted() -> None:
    env = probes.DelayedReward(num_agents=2)
    config, train_state, _ = train(env)
    np.testing.assert_allclose(read(config, env, train_state, [0.0])[0], config.discount, atol=0.05)
    np.testing.assert_allclose(read(config, env, train_state, [1.0])[0], 1.0, atol=0.05)


def test_the_action_that_pays_is_chosen() -> None:
    env = probes.ActionMatters(num_agents=2)
    config, train_state, metrics = train(env)
    assert np.all(read(config, env, train_state, [0.0])[1] > 0.95)
    assert np.all(metrics["episode_return"][-1] > 0.9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_action_is_chosen_by_the_observation(variant: str) -> None:
    env = probes.ActionFromObservation(num_agents=2)
    config, train_state, _ = train(env, **VARIANTS[variant])
    assert np.all(read(config, env, train_state, [1.0])[1] > 0.95)
    assert np.all(read(config, env, train_state, [-1.0])[1] < 0.05)


def test_gru_remembers_the_cue() -> None:
    env = probes.ActionFromMemory(num_agents=2)
    config, train_state, _ = train(env, network="gru", total_env_steps=80 * 128)
    assert np.all(read(config, env, train_state, [1.0, 0.0])[1][1] > 0.95)
    assert np.all(read(config, env, train_state, [-1.0, 0.0])[1][1] < 0.05)


@pytest.mark.parametrize("settings", [{"agent_id": True}, {"parameters": "separate"}])
def test_agents_take_roles(settings: dict[str, Any]) -> None:
    env = probes.ActionFromRole(num_agents=2)
    config, train_state, _ = train(env, **settings)
    probability = read(config, env, train_state, [0.0])[1][0]
    assert probability[0] < 0.05
    assert probability[1] > 0.95


def test_common_reward_is_the_sum_over_agents() -> None:
    env = probes.ConstantReward(num_agents=3)
    config, train_state, metrics = train(env, reward="common")
    np.testing.assert_allclose(read(config, env, train_state, [0.0])[0], 3.0, atol=0.15)
    np.testing.assert_allclose(metrics["episode_return"][-1], 1.0)


def test_reward_scale_multiplies_what_is_learnt_and_not_what_is_reported() -> None:
    env = probes.ConstantReward()
    config, train_state, metrics = train(env, reward_scale=0.5)
    np.testing.assert_allclose(read(config, env, train_state, [0.0])[0], 0.5, atol=0.05)
    np.testing.assert_allclose(metrics["episode_return"][-1], 1.0)
