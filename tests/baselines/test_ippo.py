"""IPPO finds the known answers of the probe games, and treats settings, keys and state as documented."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import ippo
from jaxdilemmas import preferences
from jaxdilemmas.preferences import Preference
from jaxdilemmas.spaces import Box
from tests import probes
from tests.probes import Params, Probe

SMALL = ippo.Config(
    total_env_steps=60 * 16 * 8,
    num_envs=16,
    rollout_steps=8,
    num_minibatches=2,
    hidden_size=16,
    learning_rate=1e-2,
    final_learning_rate=5e-3,
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


def compile_quickly(function: Any, *args: Any) -> Any:
    """Compiles for few and small runs."""
    return jax.jit(function).lower(*args).compile(compiler_options={"xla_backend_optimization_level": "0"})


def ask(config: ippo.Config, train_state: Any) -> tuple[jax.Array, jax.Array]:
    """Values and probabilities of action 1, `[3, 2, N]` for (-1, 0, 1) and then 0, from the start of an episode."""
    _, networks = ippo.make_networks(config, ENV)
    obs = jnp.broadcast_to(jnp.array([[-1.0, 0.0, 1.0], [0.0] * 3])[:, :, None, None], (2, 3, 2, 1))
    starts = jnp.zeros((2, 3), bool)
    _, logits, values = networks.apply(train_state.network_params, networks.initial_memory(3), obs, starts)
    return values.swapaxes(0, 1), jax.nn.softmax(logits)[..., 1].swapaxes(0, 1)


def solve(
    params: list[Params], preference: Preference | None = None, **settings: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Trains on several probes at once: values, probabilities of action 1 and metrics, a leading axis over probes."""
    config = dataclasses.replace(SMALL, **settings)

    def train_and_ask(key: jax.Array, params: Params) -> tuple[Any, ...]:
        train_state, metrics = ippo.make_train(config, ENV, preference)(key, params)
        return (*ask(config, train_state), metrics)

    stacked: Any = jax.tree.map(lambda *leaves: jnp.array(leaves), *params)
    keys = jax.random.split(jax.random.key(0), len(params))
    return jax.tree.map(np.asarray, compile_quickly(jax.vmap(train_and_ask), keys, stacked)(keys, stacked))


VARIANTS: dict[str, dict[str, Any]] = {
    "shared": {"agent_id": True},
    "separate": {"parameters": "separate"},
    "gru": {"network": "gru", "agent_id": True},
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


def test_common_reward_is_the_sum_over_agents_and_scaled_for_the_learner_alone() -> None:
    values, _, metrics = solve([probes.CONSTANT_REWARD], reward="common", reward_scale=0.25)
    np.testing.assert_allclose(values[0, 1, 0], 0.5, atol=0.05)
    np.testing.assert_array_equal(metrics["episode_return"], 1.0)


def test_inequity_averse_agents_learn_from_envy_and_guilt_as_they_are_set() -> None:
    values, _, _ = solve([probes.REWARD_FROM_OBSERVATION], reward="inequity_averse", envy=1.0, guilt=0.5)
    # paid the cue, -1 or 1, where every other time the other's is higher, or lower, by 2
    np.testing.assert_allclose(values[0, 0, 0], -1 - 1.0 * 2 / 2, atol=0.15)
    np.testing.assert_allclose(values[0, 2, 0], 1 - 0.5 * 2 / 2, atol=0.15)


def test_a_preference_of_ones_own_takes_the_place_of_the_reward_setting() -> None:
    values, _, metrics = solve([probes.CONSTANT_REWARD], preferences.mixing([[0, 0.5], [-0.5, 1]]), reward="common")
    np.testing.assert_allclose(values[0, 1, 0], 0.5, atol=0.05)
    np.testing.assert_array_equal(metrics["episode_return"], 1.0)


def test_a_preference_for_other_agents_is_refused() -> None:
    with pytest.raises(ValueError, match="matrix"):
        ippo.make_trainer(SMALL, ENV, preferences.mixing(np.eye(3)))


@pytest.fixture(scope="module")
def short_run() -> tuple[Any, Any]:
    """A compiled update and a fresh state, on episodes that end in every third update or so."""
    config = dataclasses.replace(SMALL, total_env_steps=4 * 128, entropy_coefficient=0.2)
    trainer = ippo.make_trainer(config, ENV)
    train_state = compile_quickly(trainer.init, jax.random.key(0), LONG)(jax.random.key(0), LONG)
    return compile_quickly(trainer.update, train_state, LONG), train_state


LONG = dataclasses.replace(probes.ENDLESS_REWARD, max_steps=20)


def test_metrics_are_named_and_float32(short_run: tuple[Any, Any]) -> None:
    update, train_state = short_run
    metrics = update(train_state, LONG)[1]
    per_agent = {name for name, value in metrics.items() if value.shape == (2,)}
    assert per_agent == {"episode_return"}
    assert set(metrics) - per_agent == {
        *("env_steps", "efficiency", "equality", "sustainability"),
        *("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "gradient_norm"),
        *("learning_rate", "entropy_coefficient"),
    }
    assert {value.dtype for value in metrics.values()} == {np.dtype(np.float32)}
    assert {value.shape for name, value in metrics.items() if name not in per_agent} == {()}


def test_episode_metrics_are_means_over_episodes_that_ended_and_nan_without(short_run: tuple[Any, Any]) -> None:
    update, train_state = short_run
    names = ("episode_return", "efficiency", "equality", "sustainability")
    for expected in ([np.nan] * 4, [np.nan] * 4, [20.0, 2.0, 1.0, 9.5]):
        train_state, metrics = update(train_state, LONG)
        for name, value in zip(names, expected, strict=True):
            np.testing.assert_allclose(metrics[name], value, rtol=1e-6)


def test_schedules_and_env_steps_run_with_the_updates(short_run: tuple[Any, Any]) -> None:
    update, train_state = short_run
    for index in range(4):
        train_state, metrics = update(train_state, LONG)
        assert metrics["env_steps"] == (index + 1) * 128
        assert metrics["learning_rate"] == pytest.approx(1e-2 - index * 5e-3 / 4)
        assert metrics["entropy_coefficient"] == pytest.approx(0.2 - index * 0.2 / 4)
    assert train_state.update_index == 4


@pytest.mark.parametrize(("length", "used"), [(5.0, 2.0), (1.0, 1.0)])
def test_gradients_longer_than_the_limit_are_cut_to_it(length: float, used: float) -> None:
    optimizer = ippo.make_optimizer(dataclasses.replace(SMALL, max_gradient_norm=2.0))
    gradients = {"a": length * jnp.array([0.6, 0.0]), "b": length * jnp.array([0.8])}
    state: Any = optimizer.update(gradients, optimizer.init(gradients))[1]
    first_moments = state[1].mu  # (1 - 0.9) times what Adam was given
    np.testing.assert_allclose(first_moments["a"], 0.1 * used * np.array([0.6, 0.0]), rtol=1e-5)
    np.testing.assert_allclose(first_moments["b"], 0.1 * used * np.array([0.8]), rtol=1e-5)


def test_the_same_state_goes_on_bitwise_the_same(short_run: tuple[Any, Any]) -> None:
    update, train_state = short_run
    saved = jax.tree.map(lambda x: jnp.array(x, copy=True), update(train_state, LONG)[0])
    first, second = update(saved, LONG), update(saved, LONG)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


def test_policy_remembers_and_draws_discrete_actions() -> None:
    config = dataclasses.replace(SMALL, network="gru")
    act, memory = ippo.make_policy(config, ENV)
    init = ippo.make_networks(config, ENV)[1].init
    network_params = compile_quickly(init, jax.random.key(0))(jax.random.key(0))
    arguments = (network_params, jnp.ones((2, 1)), memory, jax.random.key(1))
    actions, after = compile_quickly(act, *arguments)(*arguments)
    assert (actions.shape, actions.dtype, after.shape) == ((2,), jnp.int32, memory.shape)
    assert not np.array_equal(after, memory)


def test_values_are_clipped_to_a_range_around_the_old_ones() -> None:
    zeros = jnp.zeros((1, 1, 3))
    targets, values = jnp.array([[[4.0, 4.0, -4.0]]]), jnp.array([[[1.0, 3.0, 3.0]]])
    batch = ippo.Batch(zeros, zeros, zeros, zeros, zeros, values=zeros, advantages=zeros, value_targets=targets)
    unclipped = ippo.value_error(SMALL, values, batch)
    assert unclipped == pytest.approx((9 + 1 + 49) / 6)
    # within 2 of the old value 0 the values are 1, 2, 2: errors 9, max(1, 4), max(49, 36)
    clipped = ippo.value_error(dataclasses.replace(SMALL, value_clip_range=2.0), values, batch)
    assert clipped == pytest.approx((9 + 4 + 49) / 6)


def test_gain_beyond_the_clip_range_does_not_count() -> None:
    config = dataclasses.replace(SMALL, normalize_advantages=False, clip_range=0.2)
    log_ratios = jnp.log(jnp.array([[[1.5, 1.5, 0.5, 0.5]]]))
    advantages = jnp.array([[[1.0, -1.0, 1.0, -1.0]]])
    # min(r A, clip(r) A): 1.2, -1.5, 0.5, -0.8
    assert ippo.clipped_objective(config, log_ratios, advantages) == pytest.approx(0.6 / 4)


def test_advantages_are_normalized_for_each_agent() -> None:
    advantages = jnp.array([[[1.0, 100.0], [3.0, 300.0]]])
    ratios = jnp.log(jnp.array([[[1.1, 0.9], [1.1, 1.1]]]))
    # normalized: -1 and 1 for both agents; -(-1.1 + 1.1 - 0.9 + 1.1) / 4
    assert ippo.clipped_objective(SMALL, ratios, advantages) == pytest.approx(-0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("reward", "team"), ("parameters", "some"), ("network", "cnn"), ("hidden_size", 0), ("hidden_size", 15)],
        *[("num_envs", 0), ("rollout_steps", 0)],
        *[("num_minibatches", 3), ("total_env_steps", 100), ("learning_rate", 0.0), ("discount", 1.1)],
        *[("gae_lambda", -0.1), ("clip_range", 0.0), ("value_clip_range", 0.0), ("entropy_coefficient", -1.0)],
        *[("max_gradient_norm", float("nan")), ("num_epochs", 0), ("reward_scale", 0.0)],
        *[("envy", -1.0), ("guilt", float("nan"))],
    ],
)
def test_settings_that_make_no_sense_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}={value!r} is not allowed"):
        dataclasses.replace(SMALL, **{name: value})


def test_gru_needs_whole_sequences_in_each_minibatch() -> None:
    with pytest.raises(ValueError, match="num_minibatches=32 is not allowed: a divisor of num_envs = 16"):
        dataclasses.replace(SMALL, network="gru", num_minibatches=32)


def test_agent_id_is_for_shared_parameters() -> None:
    with pytest.raises(ValueError, match="agent_id=True is not allowed"):
        dataclasses.replace(SMALL, agent_id=True, parameters="separate")


def test_continuous_actions_are_refused() -> None:
    class Continuous(Probe):
        @property
        def action_space(self) -> Box:
            return Box(-1, 1, ())

    with pytest.raises(ValueError, match="Discrete"):
        ippo.make_trainer(SMALL, Continuous())


def test_training_traces_in_64_bit_mode_with_32_bits() -> None:
    env = jaxdilemmas.make("gathering", max_steps=8)
    config = dataclasses.replace(SMALL, total_env_steps=2 * 4 * 8, num_envs=4)
    with jax.enable_x64(True):
        trained = jax.eval_shape(ippo.make_train(config, env), jax.random.key(0), env.default_params)
    assert {leaf.dtype for leaf in jax.tree.leaves(trained)}.isdisjoint({np.dtype("int64"), np.dtype("float64")})
