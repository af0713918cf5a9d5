"""Bonuses for events: the values of signals and bonuses, and how `AddBonus` adds them around a real game."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import AddBonus, AutoReset, Environment, EpisodeStatistics, TransformRewards, bonuses, preferences
from jaxdilemmas.bonuses import Bonus
from jaxdilemmas.testing import check_environment

pytestmark = pytest.mark.usefixtures("quick_compiling")
LENGTH = 8
WEIGHTS = {"onion_taken": 2.0, "dish_taken": -0.5}
COUNTING = Bonus(lambda num_agents: jnp.zeros(num_agents), lambda carry, signal: (carry + 1, carry))
"""Pays each agent the number of steps before this one."""


@pytest.fixture(scope="module")
def env() -> Environment:
    return jaxdilemmas.make("overcooked", max_steps=LENGTH)


def play(env: Environment, num_steps: int = 60) -> dict[str, Any]:
    """What random steps returned, along a leading time axis: the same luck in every wrapper."""

    def body(state: Any, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        key_actions, key_step = jax.random.split(key)
        actions = jax.random.randint(key_actions, (2,), 0, 6)
        _, state, rewards, _, _, info = env.step(key_step, state, actions)
        return state, {"rewards": rewards, "info": info}

    keys = jax.random.split(jax.random.key(3), num_steps)
    return jax.device_get(jax.jit(lambda: jax.lax.scan(body, env.reset(keys[0])[1], keys)[1])())


def with_events(env: Environment, weight: float = 1.0) -> AddBonus:
    return AddBonus(env, bonuses.weighted_events(WEIGHTS), bonuses.wage(), weight)


@pytest.fixture(scope="module")
def shaped(env: Environment) -> dict[str, Any]:
    """Three halves of a bonus around common rewards."""
    inner = TransformRewards(EpisodeStatistics(env), preferences.common())
    return play(AutoReset(with_events(inner, weight=1.5)), 400)


def test_each_agent_is_paid_for_its_own_events_by_their_weights(shaped: dict[str, Any]) -> None:
    info = shaped["info"]
    assert info["onion_taken"].sum() > 0
    assert info["dish_taken"].sum() > 0
    assert (info["bonus"] == 2 * info["onion_taken"] - 0.5 * info["dish_taken"]).all()
    assert info["bonus"].dtype == np.float32
    assert (shaped["rewards"] == 1.5 * info["bonus"]).all()  # random cooks deliver nothing


def test_statistics_inside_count_the_games_own_rewards_alone(shaped: dict[str, Any]) -> None:
    assert (shaped["info"]["episode_return"] == 0).all()


def test_with_weight_zero_the_bonus_is_reported_and_not_paid(env: Environment) -> None:
    outcome = play(AutoReset(with_events(env, weight=0)), 200)
    assert outcome["info"]["bonus"].any()
    assert not outcome["rewards"].any()


def test_the_carry_of_a_bonus_starts_anew_with_the_episode(env: Environment) -> None:
    rewards = play(AutoReset(AddBonus(env, bonuses.weighted_events(WEIGHTS), COUNTING)))["rewards"]
    assert (rewards[:, 0] == np.arange(60) % LENGTH).all()


@pytest.mark.slow
def test_a_game_with_a_bonus_keeps_the_contract(env: Environment) -> None:
    check_environment(with_events(env))


def test_a_signal_may_read_the_state_after_the_step(env: Environment) -> None:
    clock = AddBonus(env, lambda state, info: jnp.full(2, state.step_count, jnp.float32), bonuses.wage())
    assert (play(AutoReset(clock))["rewards"][:, 1] == np.arange(60) % LENGTH + 1).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "weights={} is not allowed: a weight for at least one event"),
        (["potted"], r"weights=\['potted'\] is not allowed"),
        ({"potted": float("nan")}, "weight of potted=nan is not allowed: a finite number"),
        ({"potted": True}, "weight of potted=True is not allowed"),
        ({"potted": "3"}, "weight of potted='3' is not allowed"),
    ],
)
def test_weights_of_events_are_finite_numbers(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bonuses.weighted_events(weights)


def test_an_event_that_the_game_does_not_have_is_refused_when_the_bonus_is_added(env: Environment) -> None:
    with pytest.raises(ValueError, match=r"event=.poted. is not allowed: one of cooking_started, .*potted"):
        AddBonus(env, bonuses.weighted_events({"poted": 3}), bonuses.wage())


def test_a_bonus_is_one_number_for_each_agent(env: Environment) -> None:
    with pytest.raises(ValueError, match=r"bonus of shape=\(\) is not allowed: \(2,\), one for each agent"):
        AddBonus(env, lambda state, info: info["potted"].sum(), bonuses.wage())


def test_the_weight_of_a_bonus_is_a_finite_number(env: Environment) -> None:
    with pytest.raises(ValueError, match="weight=inf is not allowed: a finite number"):
        with_events(env, weight=float("inf"))
