"""IPPO finds the known answers of the probe games, and keeps its promises about settings, keys and state."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines import ippo
from baselines.training import probes
from baselines.training.probes import Params, Probe
from jaxdilemmas.testing import check_environment

SMALL = ippo.Config(
    total_env_steps=60 * 128,
    num_envs=16,
    rollout_steps=8,
    num_minibatches=2,
    hidden_size=16,
    learning_rate=1e-2,
    discount=0.5,
    entropy_coefficient=0.0,
    value_coefficient=1.0,
    max_gradient_norm=5.0,
)
FIVE = [
    probes.CONSTANT_REWARD,
    probes.REWARD_FROM_OBSERVATION,
    probes.DELAYED_REWARD,
    probes.ACTION_MATTERS,
    probes.ACTION_FROM_OBSERVATION,
]
EIGHT = [*FIVE, probes.ACTION_FROM_MEMORY, probes.ACTION_FROM_ROLE, probes.ENDLESS_REWARD]
ENV = Probe(num_agents=2)
Answers = dict[str, np.ndarray]


def compile_quickly(function: Any, *args: Any) -> Any:
    """Compiles for few and small runs."""
    return jax.jit(function).lower(*args).compile(compiler_options={"xla_backend_optimization_level": 0})


def ask(config: ippo.Config, train_state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values and probabilities of action 1, `[3, 2, N]` for (-1, 0, 1) and then 0, from the start of an episode."""
    _, networks = ippo.make_networks(config, ENV)
    obs = jnp.broadcast_to(jnp.array([[-1.0, 0.0, 1.0], [0.0] * 3])[:, :, None, None], (2, 3, 2, 1))
    starts = jnp.zeros((2, 3), bool)
    _, logits, values = networks.apply(train_state.network_params, networks.initial_memory(3), obs, starts)
    return values.swapaxes(0, 1), jax.nn.softmax(logits)[..., 1].swapaxes(0, 1)


def solve(params: list[Params], **settings: Any) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Trains on several probes at once: values, probabilities of action 1 and metrics, a leading axis over probes."""
    config = dataclasses.replace(SMALL, **settings)

    def train_and_ask(key: jax.Array, params: Params) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
        train_state, metrics = ippo.make_train(config, ENV)(key, params)
        return *ask(config, train_state), metrics

    stacked = jax.tree.map(lambda *leaves: jnp.array(leaves), *params)
    keys = jax.random.split(jax.random.key(0), len(params))
    return jax.tree.map(np.asarray, compile_quickly(jax.vmap(train_and_ask), keys, stacked)(keys, stacked))


VARIANTS = {
    "shared": {"agent_id": True},
    "separate": {"parameters": "separate"},
    "gru": {"network": "gru", "agent_id": True},
    "separate_gru": {"network": "gru", "parameters": "separate"},
}


@pytest.fixture(scope="module", params=VARIANTS)
def solved(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What each kind of network learnt on all probes."""
    values, probabilities, metrics = solve(EIGHT, **VARIANTS[request.param])
    return {"kind": request.param, "values": values, "probabilities": probabilities, "metrics": metrics}


def test_value_of_a_constant_reward_is_learnt(solved: dict[str, Any]) -> None:
    np.testing.assert_allclose(solved["values"][0, 1, 0], 1.0, atol=0.05)


def test_value_is_learnt_from_the_observation(solved: dict[str, Any]) -> None:
    np.testing.assert_allclose(solved["values"][1, 0, 0], -1.0, atol=0.05)
    np.testing.assert_allclose(solved["values"][1, 2, 0], 1.0, atol=0.05)


def test_delayed_reward_is_discounted(solved: dict[str, Any]) -> None:
    np.testing.assert_allclose(solved["values"][2, 1, 0], SMALL.discount, atol=0.05)


def test_the_action_that_pays_is_chosen(solved: dict[str, Any]) -> None:
    assert np.all(solved["probabilities"][3, 1, 0] > 0.95)
    assert np.all(solved["metrics"]["episode_return"][3, -1] > 0.9)


def test_the_action_is_chosen_by_the_observation(solved: dict[str, Any]) -> None:
    assert np.all(solved["probabilities"][4, 0, 0] < 0.05)
    assert np.all(solved["probabilities"][4, 2, 0] > 0.95)


def test_the_cue_is_remembered_by_those_who_can(solved: dict[str, Any]) -> None:
    after_minus, after_plus = solved["probabilities"][5, 0, 1], solved["probabilities"][5, 2, 1]
    if "gru" in solved["kind"]:
        assert np.all(after_minus < 0.05)
        assert np.all(after_plus > 0.95)
    else:
        np.testing.assert_array_equal(after_minus, after_plus)


def test_agents_take_roles(solved: dict[str, Any]) -> None:
    probability = solved["probabilities"][6, 1, 0]
    assert probability[0] < 0.05
    assert probability[1] > 0.95


def test_value_goes_on_past_the_time_limit(solved: dict[str, Any]) -> None:
    np.testing.assert_allclose(solved["values"][7, 1, 0], 1 / (1 - SMALL.discount), atol=0.1)
