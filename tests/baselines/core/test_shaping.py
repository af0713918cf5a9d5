"""A shaped reward that fades out: its option, its values, and the step after which it is zero."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import ippo
from baselines.core.shaping import parse_bonus, pay_bonus, report_bonus
from jaxdilemmas import Environment

SETTINGS: dict[str, Any] = {"num_envs": 4, "rollout_steps": 40, "num_epochs": 1, "num_minibatches": 1}
BUDGET = 4 * SETTINGS["num_envs"] * SETTINGS["rollout_steps"]


@pytest.fixture(scope="module")
def env() -> Environment:
    return jaxdilemmas.make("overcooked", max_steps=20)


def train(env: Environment, **settings: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Four updates: the network's parameters and the metrics."""
    config = ippo.Config(**SETTINGS, hidden_size=8, total_env_steps=BUDGET, **settings)
    train_state, metrics = ippo.make_train(config, env)(jax.random.key(0), env.default_params)
    return jax.device_get((train_state.network_params, metrics))


@pytest.fixture(scope="module")
def fading(env: Environment) -> tuple[Any, dict[str, np.ndarray]]:
    return train(env, bonus=("onion_taken=2", "dish_taken=-1e-1"), bonus_steps=BUDGET // 2)


def test_a_bonus_is_read_as_event_and_weight() -> None:
    assert parse_bonus(("potted=3", "soup_taken=-5e-1")) == {"potted": 3.0, "soup_taken": -0.5}


@pytest.mark.parametrize("text", ["potted", "potted=", "=3", "potted=three", "potted=nan", "potted=1e39", "a b=1", ""])
def test_a_bonus_that_is_no_event_and_weight_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"^bonus={text!r} is not allowed: event=weight"):
        ippo.Config(bonus=(text,))


def test_an_event_has_one_weight() -> None:
    with pytest.raises(ValueError, match="bonus='potted=2' is not allowed: event=weight, each event once"):
        ippo.Config(bonus=("potted=3", "potted=2"))


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_a_bonus_fades_in_a_whole_number_of_steps(steps: Any) -> None:
    with pytest.raises(ValueError, match=f"bonus_steps={steps!r} is not allowed"):
        ippo.Config(bonus_steps=steps)


def test_an_event_that_the_game_does_not_have_is_named_before_training(env: Environment) -> None:
    with pytest.raises(ValueError, match="event='eaten' is not allowed: one of cooking_started"):
        ippo.make_trainer(ippo.Config(bonus=("eaten=1",)), env)


def test_without_a_bonus_the_game_is_as_it_was(env: Environment) -> None:
    assert report_bonus(env, ()) is env


@pytest.mark.parametrize(
    ("bonus_steps", "env_steps", "weight"), [(None, 1e9, 1.0), (400, 0, 1.0), (400, 100, 0.75), (400, 1000, 0.0)]
)
def test_the_weight_falls_in_a_straight_line_and_stays_at_zero(
    bonus_steps: int | None, env_steps: float, weight: float
) -> None:
    blank: Any = dict.fromkeys(ippo.Trajectory._fields)
    bonus = jnp.arange(12.0).reshape(3, 2, 2)
    trajectory = ippo.Trajectory(**blank | {"rewards": jnp.ones((3, 2, 2)), "info": {"bonus": bonus}})
    paid, metrics = pay_bonus(trajectory, bonus_steps, jnp.float32(env_steps))
    assert (paid.rewards == 1 + weight * bonus).all()
    assert metrics["bonus_weight"] == weight
    assert metrics["bonus"].tolist() == [5 * weight, 6 * weight]


def test_agents_are_paid_for_events_until_the_bonus_has_faded(fading: tuple[Any, dict[str, np.ndarray]]) -> None:
    metrics = fading[1]
    assert metrics["bonus_weight"].tolist() == [1.0, 0.5, 0.0, 0.0]
    assert (metrics["bonus"][:2] != 0).any()
    assert not metrics["bonus"][2:].any()


def test_returns_are_the_games_own(fading: tuple[Any, dict[str, np.ndarray]]) -> None:
    assert (fading[1]["episode_return"] == 0).all()  # nobody delivers in 20 steps of random play


def test_agents_learn_from_the_bonus(env: Environment, fading: tuple[Any, dict[str, np.ndarray]]) -> None:
    plain = train(env)[0]
    assert not all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (plain, fading[0])), strict=True))
