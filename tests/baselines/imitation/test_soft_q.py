"""Inverse soft-Q learning finds fixed points that are worked out by hand; its loss is the written equation."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from baselines import iq_learn, mamql
from baselines.imitation import critics, joint_actions
from baselines.imitation.replay import Transitions
from baselines.imitation.training import Batch
from baselines.mamql import Weights
from tests.probes import Probe

pytestmark = pytest.mark.usefixtures("quick_compiling")
RELEASED = mamql.Config(
    hidden_size=8, reg_samples="expert", value_samples="policy", alpha=1.0, inverse_temperature=1.0, target_clip=None
)
ENV = Probe(num_agents=2)
MATRIX_STEPS = 700


def solve(
    expert: Sequence[float] | np.ndarray, penalises_played: bool, alpha: float, inverse_temperature: float = 1.0
) -> np.ndarray:
    """Q of a game of one step, every action a row, weighted as often as expert and policy take it."""
    rho = jnp.asarray(expert, jnp.float32)

    def loss(q: jax.Array) -> jax.Array:
        policy = jax.lax.stop_gradient(jax.nn.softmax(inverse_temperature * q))
        weights = Weights(rho, (rho + policy) / 2 if penalises_played else rho, policy)
        values = jnp.broadcast_to(critics.soft_max(q, inverse_temperature), q.shape)
        zeros = jnp.zeros((len(q), 1))
        return mamql.objective(q[:, None], values[:, None], zeros, weights, alpha).sum()

    optimizer = optax.adam(0.02)

    def step(_: int, carry: Any) -> Any:
        q, state = carry
        updates, state = optimizer.update(jax.grad(loss)(q), state)
        return optax.apply_updates(q, updates), state

    q = jnp.zeros(len(rho))
    return np.asarray(jax.jit(partial(jax.lax.fori_loop, 0, 3000, step))((q, optimizer.init(q)))[0])


def softmax(q: np.ndarray) -> np.ndarray:
    return np.exp(q) / np.exp(q).sum()


@pytest.mark.parametrize(
    ("alpha", "q", "policy"), [(1.0, (0.16, -1.42), (0.829, 0.171)), (10.0, (0.21, -1.89), (0.891, 0.109))]
)
def test_rewards_penalised_on_expert_actions_are_two_alpha_times_one_less_the_ratio(
    alpha: float, q: tuple[float, ...], policy: tuple[float, ...]
) -> None:
    expert = np.array([0.9, 0.1])
    found = solve(expert, False, alpha)
    np.testing.assert_allclose(found, 2 * alpha * (1 - softmax(found) / expert), atol=1e-3)
    np.testing.assert_allclose(found, q, atol=6e-3)
    np.testing.assert_allclose(softmax(found), policy, atol=1e-3)


def test_rewards_penalised_on_both_are_bounded_by_four_alpha() -> None:
    expert = np.array([0.9, 0.1])
    found = solve(expert, True, 1.0)
    policy = softmax(found)
    np.testing.assert_allclose(found, 4 * (expert - policy) / (expert + policy), atol=1e-3)
    np.testing.assert_allclose(found, (0.21, -1.24), atol=6e-3)
    np.testing.assert_allclose(policy, (0.81, 0.19), atol=1e-3)


def test_the_inverse_temperature_and_alpha_are_one_setting() -> None:
    np.testing.assert_allclose(2 * solve([0.9, 0.1], False, 0.5, 2.0), solve([0.9, 0.1], False, 1.0), atol=1e-3)


def batch_of(env: Any, num_rows: int = 6) -> Batch:
    """Random transitions; every third ends the game."""

    def rows(seed: int) -> Transitions:
        rng = np.random.default_rng(seed)
        obs, next_obs = rng.normal(size=(2, num_rows, env.num_agents, 1)).astype(np.float32)
        actions = rng.integers(0, 2, (num_rows, env.num_agents), np.int32)
        return Transitions(*map(jnp.asarray, (obs, actions, next_obs, np.arange(num_rows) % 3 == 0)))

    return Batch(rows(0), rows(1), rows(2).obs)


def random_params(init: Any) -> Any:
    """Parameters of which none is 0."""
    leaves, tree = jax.tree.flatten(jax.eval_shape(init, jax.random.key(0)))
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])


def read_all(config: mamql.Config, params: Any, batch: Batch) -> dict[str, np.ndarray]:
    """Q of the actions taken, V and V of what followed, `[M, N]`, for the expert (`e_`) and what was played (`p_`)."""
    apply = jax.jit(critics.make_critics(config, ENV).apply)
    numbers = {}
    assert batch.played is not None
    for name, rows in (("e", batch.expert), ("p", batch.played)):
        q, next_q = (np.asarray(apply(params, x), np.float64) for x in (rows.obs, rows.next_obs))
        numbers[f"{name}_q"] = np.take_along_axis(q, np.asarray(rows.actions)[..., None], axis=-1)[..., 0]
        numbers[f"{name}_v"] = np.log(np.exp(q).sum(-1))
        next_v = np.log(np.exp(next_q).sum(-1))
        numbers[f"{name}_y"] = 0.99 * np.where(np.asarray(rows.terminated)[:, None], 0.0, next_v)
    first = np.asarray(apply(params, batch.initial_obs), np.float64)
    return numbers | {"v0": np.log(np.exp(first).sum(-1))}


def test_the_released_loss_is_the_one_written_in_the_source() -> None:
    batch, method = batch_of(ENV), mamql.make_method(RELEASED, ENV)
    params = random_params(method.init)
    n = read_all(RELEASED, params, batch)
    delta = n["e_q"] - n["e_y"]
    expected = (n["p_v"] - n["p_y"]).mean(0) - (delta - 0.25 * delta**2).mean(0)
    np.testing.assert_allclose(jax.jit(method.loss)(params, batch)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("value_samples", ["half", "expert", "v0"])
def test_each_choice_of_samples_changes_its_term_alone(value_samples: Any) -> None:
    config = dataclasses.replace(RELEASED, value_samples=value_samples, reg_samples="mixture", alpha=2.0)
    batch, method = batch_of(ENV), mamql.make_method(config, ENV)
    params = random_params(method.init)
    n = read_all(config, params, batch)
    delta, played = n["e_q"] - n["e_y"], n["p_q"] - n["p_y"]
    expert_value, played_value = (n["e_v"] - n["e_y"]).mean(0), (n["p_v"] - n["p_y"]).mean(0)
    value = {"half": (expert_value + played_value) / 2, "expert": expert_value, "v0": 0.01 * n["v0"].mean(0)}
    penalty = ((delta**2).mean(0) + (played**2).mean(0)) / 2 / 8
    expected = value[value_samples] - delta.mean(0) + penalty
    np.testing.assert_allclose(jax.jit(method.loss)(params, batch)[0], expected, rtol=1e-4, atol=1e-5)


METHODS = {
    "sampled": mamql.make_method(RELEASED, ENV),
    "explicit": mamql.make_method(dataclasses.replace(RELEASED, marginalisation="explicit"), ENV),
    "joint": iq_learn.make_method(iq_learn.Config(hidden_size=8, critic="joint"), ENV),
}


@pytest.mark.parametrize("name", METHODS)
def test_no_gradient_flows_into_the_parameters_of_others(name: str) -> None:
    batch, method = batch_of(ENV), METHODS[name]
    params = random_params(method.init)
    gradients = jax.jit(jax.grad(lambda params: method.loss(params, batch)[0][0]))(params)
    for leaf in jax.tree.leaves(gradients):
        assert not np.asarray(leaf[1]).any()
    assert all(np.asarray(leaf[0]).any() for leaf in jax.tree.leaves(gradients))


def test_what_follows_the_end_of_the_game_counts_for_nothing() -> None:
    next_values = jnp.array([[3.0, 4.0], [5.0, 6.0]])
    targets = critics.discounted_targets(next_values, jnp.array([True, False]), 0.5)
    np.testing.assert_array_equal(targets, [[0.0, 0.0], [2.5, 3.0]])


def test_targets_are_cut() -> None:
    targets = critics.discounted_targets(jnp.array([[30.0, -40.0]]), jnp.array([False]), 0.5, clip=10.0)
    np.testing.assert_array_equal(targets, [[5.0, -5.0]])


def test_rows_of_padding_change_neither_the_loss_nor_its_gradient() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    rewards, values, targets = (jax.random.normal(key, (4, 2)) for key in keys)
    third = jnp.full(3, 1 / 3)
    whole = mamql.objective(rewards[:3], values[:3], targets[:3], Weights(third, third, third), 1.0)
    padded = jnp.append(third, 0.0)

    def total(rewards: jax.Array) -> jax.Array:
        return mamql.objective(rewards, values, targets, Weights(padded, padded, padded), 1.0)

    np.testing.assert_allclose(total(rewards), whole, rtol=1e-6)
    assert not np.asarray(jax.jacobian(total)(rewards)[:, 3]).any()


def play_matrix_game(config: mamql.Config, expert: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Policies `[N, A]` and rewards of joint actions `[A, A, N]` learnt in a game of one step of two agents.

    All joint actions are rows; those of the expert come as often as it takes them, in sixteenths.
    """
    method = mamql.make_method(config, ENV)
    joint = np.indices((2, 2)).reshape(2, -1).T
    actions = jnp.asarray(np.repeat(joint, (16 * expert).astype(int).ravel(), axis=0), jnp.int32)

    def rows(actions: jax.Array) -> Transitions:
        obs = jnp.ones((len(actions), 2, 1))
        return Transitions(obs, actions, obs, jnp.ones(len(actions), bool))

    batch = Batch(rows(actions), rows(actions), jnp.ones((1, 2, 1)))
    optimizer = optax.adam(optax.linear_schedule(3e-2, 0.0, MATRIX_STEPS))

    def step(_: int, carry: Any) -> Any:
        params, state = carry
        updates, state = optimizer.update(jax.grad(lambda p: method.loss(p, batch)[0].sum())(params), state)
        return optax.apply_updates(params, updates), state

    @jax.jit
    def run(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params = method.init(key)
        params, _ = jax.lax.fori_loop(0, MATRIX_STEPS, step, (params, optimizer.init(params)))
        q = method.action_values(params, jnp.ones((1, 2, 1)))[0]
        return jax.nn.softmax(config.inverse_temperature * q), method.rewards(params, rows(jnp.asarray(joint)))

    policies, rewards = run(jax.random.key(0))
    return np.asarray(policies), np.asarray(rewards).reshape(2, 2, 2)


INDEPENDENT = np.outer([0.75, 0.25], [0.25, 0.75])


def test_with_a_light_penalty_policies_are_the_marginals_of_the_expert() -> None:
    for marginalisation in ("sampled", "explicit"):
        config = dataclasses.replace(RELEASED, alpha=1000.0, marginalisation=marginalisation)
        policies, _ = play_matrix_game(config, INDEPENDENT)
        np.testing.assert_allclose(policies, [[0.75, 0.25], [0.25, 0.75]], atol=2e-3, err_msg=marginalisation)


def test_where_experts_act_on_their_own_the_explicit_marginal_is_the_sampled_one() -> None:
    sampled, own_rewards = play_matrix_game(RELEASED, INDEPENDENT)
    explicit, joint_rewards = play_matrix_game(dataclasses.replace(RELEASED, marginalisation="explicit"), INDEPENDENT)
    np.testing.assert_allclose(explicit, sampled, atol=2e-3)
    np.testing.assert_allclose(joint_rewards, own_rewards, atol=1e-2)
    expected = 2 * (1 - sampled / np.array([[0.75, 0.25], [0.25, 0.75]]))
    np.testing.assert_allclose(own_rewards[:, 0, 0], expected[0], atol=1e-2)


def test_the_mean_over_sampled_actions_of_others_tends_to_the_explicit_marginal() -> None:
    policies = jax.nn.softmax(jax.random.normal(jax.random.key(0), (1, 3, 2)))
    q = jax.random.normal(jax.random.key(1), (1, 3, 8))
    marginal = joint_actions.marginalise(q, policies, 2)
    actions = np.random.default_rng(0).random((50_000, 3)) < np.asarray(policies[0, :, 1])
    joint_index = jax.jit(partial(joint_actions.joint_index, num_actions=2))
    for own in range(2):
        for agent in range(3):
            played = actions.astype(np.int32)
            played[:, agent] = own
            index = np.asarray(joint_index(jnp.asarray(played)))[:, agent]
            np.testing.assert_allclose(np.asarray(q)[0, agent, index].mean(), marginal[0, agent, own], atol=0.02)


def test_a_controller_of_all_acts_by_its_own_part_of_the_joint_softmax() -> None:
    config = iq_learn.Config(hidden_size=8, critic="joint", inverse_temperature=2.0)
    method = iq_learn.make_method(config, ENV)
    params = random_params(method.init)
    obs = jnp.ones((1, 2, 1))
    q = critics.make_critics(config, ENV, 4).apply(params, obs)
    marginal = jax.nn.softmax(2.0 * q).reshape(1, 2, 2, 2).sum(-1)
    values = method.action_values(params, obs)
    np.testing.assert_allclose(jax.nn.softmax(2.0 * values), marginal, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"inverse_temperature": float("inf")}, "inverse_temperature=inf"),
        ({"target_clip": -1.0}, "target_clip=-1.0"),
        ({"reg_samples": "policy"}, "reg_samples='policy'"),
        ({"mode": "offline", "reg_samples": "expert"}, "value_samples='half'"),
        ({"mode": "offline", "value_samples": "v0"}, "reg_samples='mixture'"),
        ({"num_envs": 0}, "num_envs=0"),
        ({"rollout_steps": 0}, "rollout_steps=0"),
        ({"num_envs": 8, "rollout_steps": 8, "capacity": 63}, "capacity=63"),
        ({"marginalisation": "none"}, "marginalisation='none'"),
    ],
)
def test_settings_that_are_not_allowed_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mamql.Config(**settings)


def test_critics_of_joint_actions_are_refused_where_there_are_too_many() -> None:
    crowd = Probe(num_agents=13)
    with pytest.raises(ValueError, match="number of joint actions=8192"):
        mamql.make_method(mamql.Config(marginalisation="explicit"), crowd)
    with pytest.raises(ValueError, match="number of joint actions=8192"):
        iq_learn.make_method(iq_learn.Config(critic="joint"), crowd)
