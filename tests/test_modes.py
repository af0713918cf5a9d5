"""The code around games, and scripted policies, in 64-bit mode, under strict promotion and with NaNs as errors.

`check_environment` checks the same for games and wrappers.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import AddBonus, EpisodeStatistics, bonuses, metrics, policies, preferences, rendering
from jaxdilemmas.adapters.pettingzoo import PettingZooEnv
from jaxdilemmas.testing.probe import claim_equal
from tests.games import EVERY_GAME

pytestmark = pytest.mark.usefixtures("quick_compiling")
KEY = jax.random.key(0)
REWARDS = jnp.array([0.1, 0.7, -0.3], jnp.float32)
INFO = {
    "episode_return": jnp.array([1.0, 7.3, 0.1], jnp.float32),
    "episode_length": jnp.full(3, 7, jnp.int32),
    "episode_reward_steps": jnp.array([1, 2, 0], jnp.int32),
    "episode_reward_time": jnp.array([3, 8, 0], jnp.int32),
    "episode_tagged_steps": jnp.array([1, 0, 2], jnp.int32),
}
PREFERENCES = {
    "individual": preferences.individual(),
    "common": preferences.common(),
    "neighbour_weighted": preferences.neighbour_weighted(1 - np.eye(3), [0.3, 0.2, 0.1]),
    "mixing": preferences.mixing(0.3 * np.eye(3)),
    "social_value_orientation": preferences.social_value_orientation(angle=30.0, weight=0.2),
    "inequity_averse": preferences.inequity_averse(),
}


def assert_same_in_every_mode(function: Callable[..., Any], *arguments: Any) -> None:
    """Holds a function of 32-bit arrays to the same results, bitwise, in every mode."""
    expected = jax.jit(function)(*arguments)
    with jax.enable_x64(True):
        claim_equal("in 64-bit mode", expected, jax.device_get(jax.jit(function)(*arguments)), tolerance=0.0)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        claim_equal("with strict promotion", expected, jax.jit(function)(*arguments), tolerance=0.0)


@pytest.mark.parametrize("name", PREFERENCES)
def test_a_preference_is_the_same_in_every_mode(name: str) -> None:
    preference = PREFERENCES[name]

    def play(rewards: jax.Array) -> Any:
        carry, first = preference.apply(preference.init(3), rewards)
        carry, nothing = preference.apply(carry, jnp.zeros_like(rewards))
        return carry, first, nothing

    assert_same_in_every_mode(play, REWARDS)


def test_metrics_are_the_same_in_every_mode() -> None:
    assert_same_in_every_mode(metrics.social_metrics, INFO)
    for negative in ("one", "raw", "clip"):
        assert_same_in_every_mode(
            lambda returns, kind=negative: metrics.equality(returns, kind), INFO["episode_return"]
        )
    assert_same_in_every_mode(lambda info: metrics.restraint(info["episode_return"], info["episode_length"]), INFO)
    assert_same_in_every_mode(
        lambda info: metrics.sustainability(info["episode_reward_steps"], info["episode_reward_time"], True), INFO
    )


def test_a_bonus_is_the_same_in_every_mode() -> None:
    env = AddBonus(
        EpisodeStatistics(jaxdilemmas.make("common_pool")), bonuses.weighted_events({"effort": 0.1}), bonuses.wage()
    )
    actions = jnp.ones(env.num_agents, jnp.int32)
    assert_same_in_every_mode(lambda key: env.step(key, env.reset(key)[1], actions), KEY)


@pytest.mark.parametrize("env_id", EVERY_GAME)
def test_a_game_is_drawn_the_same_in_every_mode(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    state = env.reset(KEY)[1]
    expected = rendering.render_text(env, state)
    with jax.enable_x64(True):
        assert rendering.render_text(jaxdilemmas.make(env_id), state) == expected
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        assert rendering.render_text(jaxdilemmas.make(env_id), state) == expected


def test_an_adapter_works_in_every_mode() -> None:
    def play() -> Any:
        env = PettingZooEnv(jaxdilemmas.make("common_pool"))
        return env.reset(seed=3), env.step(dict.fromkeys(env.agents, 1))

    expected = play()
    assert len(expected[1][1]) == 4, "a reward for each agent"
    with jax.enable_x64(True):
        claim_equal("in 64-bit mode", expected, play(), tolerance=0.0)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        claim_equal("with strict promotion", expected, play(), tolerance=0.0)


def play_by(env: Any, policy: Any, key: jax.Array) -> jax.Array:
    """The actions `[8, N]` of a policy in an episode."""
    key_reset, key_steps = jax.random.split(key)

    def body(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        key_act, key_step = jax.random.split(key)
        actions = policy(key_act, state)
        return env.step(key_step, state, actions)[1], actions

    return jax.lax.scan(body, env.reset(key_reset)[1], jax.random.split(key_steps, 8))[1]


@pytest.mark.parametrize("env_id", EVERY_GAME)
def test_scripted_policies_say_their_dtypes(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    for name in policies.scripted_policies(env):
        policy = policies.scripted(env, name)
        with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"), jax.enable_x64(True):
            state, key = jax.eval_shape(env.reset, KEY)[1], jax.random.PRNGKey(0)
            assert jax.eval_shape(policy, key, state).dtype == env.action_space.dtype, name


@pytest.mark.slow
@pytest.mark.parametrize("env_id", EVERY_GAME)
def test_scripted_policies_act_the_same_in_every_mode(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    for name in policies.scripted_policies(env):
        policy = policies.scripted(env, name)
        assert_same_in_every_mode(lambda key, policy=policy: play_by(env, policy, key), KEY)
