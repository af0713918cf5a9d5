"""Scripted policies of Gems: their ways and their returns."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas import EpisodeStatistics, policies
from jaxdilemmas.envs.gems import DOWN, LEFT, RIGHT, STAY, Gems, State
from jaxdilemmas.policies.gems import cooperative, greedy
from tests.reference.gems_boards import FAR, board

pytestmark = pytest.mark.usefixtures("quick_compiling")

ENV = Gems()


def play(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `[E, 2]`, lengths `[E]` and whether the game was over before the clock, `[E]`, of 300 episodes."""
    game, policy = EpisodeStatistics(ENV), policies.scripted(ENV, name)

    def episode(key: jax.Array) -> Any:
        key_start, key_steps = jax.random.split(key)

        def one(carry: Any, key: jax.Array) -> Any:
            state, is_over = carry
            key_act, key_step = jax.random.split(key)
            _, following, _, terminated, _, _ = game.step(key_step, state, policy(key_act, state.env_state))
            state = jax.tree.map(lambda new, old: jnp.where(is_over, old, new), following, state)
            return (state, is_over | terminated), None

        start = (game.reset(key_start)[1], jnp.bool_(False))
        (state, is_over), _ = jax.lax.scan(one, start, jax.random.split(key_steps, 45))
        return state.returns, state.step_count, is_over

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), 300)))


def test_scripted_policies_do_far_better_than_random_ones_and_cooperation_is_fastest() -> None:
    played = {name: play(name) for name in ("random", "greedy", "cooperative")}
    returns = {name: result[0].mean() for name, result in played.items()}
    lengths = {name: result[1].mean() for name, result in played.items()}
    assert returns["random"] < 1 and played["random"][2].mean() < 0.02
    assert returns["greedy"] > 12.5 and played["greedy"][2].mean() > 0.9
    assert 12 <= returns["cooperative"] < 13 and played["cooperative"][2].all()
    assert lengths["cooperative"] < 17 < 20 < lengths["greedy"] < 27


@functools.cache
def under_many_keys(policy: Any) -> Any:
    """A policy of the game for a batch of keys and one state, compiled once."""
    return jax.jit(jax.vmap(policy(ENV), (0, None)))


def actions_of(policy: Any, state: State) -> np.ndarray:
    """Actions `[200, 2]` under different keys."""
    return np.asarray(under_many_keys(policy)(jax.random.split(jax.random.key(0), 200), state))


def test_greedy_players_walk_to_the_nearest_gem_that_pays_them_and_wait_on_none() -> None:
    state = board([[7, 7], [3, 3]], [[7, 9], *FAR[:2]], [[7, 8], [3, 5], FAR[0]], [[3, 3], [0, 3], [14, 3]])
    actions = actions_of(greedy, state)
    assert actions.dtype == np.int32
    assert (actions == [RIGHT, RIGHT]).all()


def test_cooperative_players_walk_to_the_nearest_purple_gem_and_wait_there() -> None:
    state = board([[7, 7], [3, 3]], [[7, 8], *FAR[:2]], [[3, 4], *FAR[:2]], [[3, 3], [7, 4], [14, 14]])
    assert (actions_of(cooperative, state) == [LEFT, STAY]).all()


def test_ties_of_gems_and_of_ways_are_broken_at_random() -> None:
    ways = board([[7, 7], [3, 3]], purple=[[9, 9], [0, 0], [0, 0]])
    two_gems = board([[7, 7], [3, 3]], purple=[[7, 9], [7, 5], [3, 3]])
    for state, choices in ((ways, {RIGHT, DOWN}), (two_gems, {RIGHT, LEFT})):
        chosen = actions_of(cooperative, state)[:, 0]
        assert set(chosen.tolist()) == choices
        assert 0.35 < (chosen == RIGHT).mean() < 0.65


def test_policies_of_the_game_are_found_by_name() -> None:
    found = policies.scripted_policies(ENV)
    assert found == {"random": policies.random, "greedy": greedy, "cooperative": cooperative}
