"""Scripted policies of Coins: their ways and their returns."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.envs.coins import Coins
from jaxdilemmas.policies.coins import POLICIES, cooperative, greedy, reciprocal
from tests.reference.rollouts import as_cells, put

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, STAND = 0, 1, 2, 3, 7
NORTH, EAST = 0, 1
ENV = Coins(width=10, height=10)


def actions_of(policy: Any, colours: dict[tuple[int, int], int], **fields: Any) -> list[int]:
    """What agents at (5, 5), looking north, and (8, 8), looking east, do on a board with these coins."""
    coins = jnp.array([colours.get(cell, 0) for cell in as_cells(ENV.coin_cells)], jnp.int8)
    state = put(ENV, [[5, 5], [8, 8]], [NORTH, EAST], coins=coins, **fields)
    return jax.jit(policy(ENV))(jax.random.key(0), state).tolist()


def test_greedy_agents_walk_to_the_nearest_coin() -> None:
    assert actions_of(greedy, {(5, 7): 2, (5, 1): 1, (9, 8): 1}) == [STEP_RIGHT, STEP_RIGHT]
    assert actions_of(greedy, {(7, 5): 1}) == [BACKWARD, STEP_LEFT]
    assert actions_of(greedy, {}) == [STAND, STAND]


def test_cooperative_agents_walk_to_coins_in_their_colour_only() -> None:
    assert actions_of(cooperative, {(5, 7): 2, (5, 1): 1, (9, 8): 1}) == [STEP_LEFT, STEP_LEFT]
    assert actions_of(cooperative, {(6, 5): 2}) == [STAND, STEP_LEFT]


def test_reciprocal_agents_are_greedy_while_the_other_has_taken_more_of_theirs() -> None:
    coins = {(5, 7): 2, (5, 1): 1, (9, 8): 1}
    for mismatches, expected in (((0, 0), cooperative), ((3, 3), cooperative)):
        assert actions_of(reciprocal, coins, mismatches=jnp.array(mismatches)) == actions_of(expected, coins)
    assert actions_of(reciprocal, coins, mismatches=jnp.array([0, 1])) == [STEP_RIGHT, STEP_LEFT]
    assert actions_of(reciprocal, coins, mismatches=jnp.array([1, 0])) == [STEP_LEFT, STEP_RIGHT]


def play(first: str, second: str) -> np.ndarray:
    """Mean returns `[2]` of two policies over 32 episodes."""
    act = [policies.scripted(ENV, name) for name in (first, second)]

    def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        key_act, key_step = jax.random.split(key)
        actions = jnp.stack([policy(key_act, state)[i] for i, policy in enumerate(act)])
        draws = ENV.draw(key_step, state, ENV.default_params)
        state, rewards, _, _ = ENV.transition(draws, state, actions, ENV.default_params)
        return state, rewards

    def episode(key: jax.Array) -> jax.Array:
        key_start, key_steps = jax.random.split(key)
        start = ENV.initial_state(key_start, ENV.default_params)
        return jax.lax.scan(step, start, jax.random.split(key_steps, 1000))[1].sum(0)

    return np.asarray(jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), 32))).mean(0)


@pytest.mark.slow
def test_cooperation_is_a_dilemma_that_reciprocity_solves() -> None:
    both, lone = play("cooperative", "cooperative"), play("cooperative", "greedy")
    neither, answered = play("greedy", "greedy"), play("reciprocal", "greedy")
    most = 1000 * 0.0005 * len(ENV.coin_cells)
    assert 0.85 * most < both.sum() < most
    assert abs(neither.sum()) < 0.2 * most
    assert lone[1] > both.max() + 2 and lone[0] < neither.min() - 2
    assert answered[0] > lone[0] + 5 and answered[1] < both.min() - 5
    assert play("reciprocal", "cooperative").min() > 0.8 * both.min()


@pytest.mark.parametrize("name", POLICIES)
def test_another_game_is_refused(name: str) -> None:
    for env in (jaxdilemmas.make("gathering"), jaxdilemmas.EpisodeStatistics(ENV), None):
        with pytest.raises(ValueError, match=r"env=.* is not allowed: the game coins, without wrappers"):
            POLICIES[name](env)
