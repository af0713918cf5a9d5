"""AutoReset, EpisodeStatistics and TransformRewards around a real game."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import AutoReset, Environment, EpisodeStatistics, TransformRewards, preferences
from jaxdilemmas.preferences import Preference

pytestmark = pytest.mark.usefixtures("quick_compiling")
LENGTH = 6


def play(env: Environment, num_steps: int) -> dict[str, Any]:
    """What each of several steps of random actions returned, along a leading time axis."""
    key_reset, key_steps = jax.random.split(jax.random.key(0))

    def body(state: Any, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        key_actions, key_step = jax.random.split(key)
        actions = jax.random.randint(key_actions, (env.num_agents,), 0, 8)
        obs, state, rewards, _, truncated, info = env.step(key_step, state, actions)
        return state, {"obs": obs, "state": state, "rewards": rewards, "truncated": truncated, "info": info}

    @jax.jit
    def episode() -> Any:
        return jax.lax.scan(body, env.reset(key_reset)[1], jax.random.split(key_steps, num_steps))[1]

    return jax.device_get(episode())


def play_without_views(env: Environment) -> dict[str, Any]:
    """The same random actions in sixty transitions of an environment that does not reset itself."""
    key_reset, key_steps = jax.random.split(jax.random.key(8))
    params = env.default_params

    def body(state: Any, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        key_actions, key_step = jax.random.split(key)
        actions = jax.random.randint(key_actions, (env.num_agents,), 0, 8)
        state, rewards, _, info = env.transition(env.draw(key_step, state, params), state, actions, params)
        return state, {"rewards": rewards, "info": info}

    @jax.jit
    def episode() -> Any:
        return jax.lax.scan(body, env.initial_state(key_reset, params), jax.random.split(key_steps, 60))[1]

    return jax.device_get(episode())


@pytest.fixture(scope="module")
def env() -> Environment:
    return jaxdilemmas.make("gathering_gallego", map="small", num_agents=3, max_steps=LENGTH)


@pytest.fixture(scope="module")
def own(env: Environment) -> dict[str, Any]:
    """Sixty steps with the game's own rewards and statistics."""
    return play_without_views(EpisodeStatistics(env))


@pytest.fixture(scope="module")
def wrapped(env: Environment) -> dict[str, Any]:
    """Two and a half episodes in the usual order of wrappers."""
    stack = AutoReset(TransformRewards(EpisodeStatistics(env), preferences.common()), final_observation=True)
    return play(stack, 5 * LENGTH // 2)


def test_autoreset_starts_anew_in_the_step_that_ends_the_episode(wrapped: dict[str, Any]) -> None:
    ends = np.arange(1, 5 * LENGTH // 2 + 1) % LENGTH == 0
    assert (wrapped["truncated"] == ends).all()
    assert (wrapped["state"].step_count == np.arange(1, 5 * LENGTH // 2 + 1) % LENGTH).all()


def test_autoreset_keeps_the_last_observation_of_the_episode(env: Environment, wrapped: dict[str, Any]) -> None:
    ends = wrapped["truncated"]
    inner = jax.tree.map(lambda leaf: leaf[ends], wrapped["state"].env_state.env_state)
    fresh = jax.jit(jax.vmap(env.observe, in_axes=(0, None)))(inner, env.default_params)
    assert (wrapped["obs"][ends] == fresh).all()
    assert (wrapped["info"]["final_obs"][~ends] == wrapped["obs"][~ends]).all()
    assert (wrapped["info"]["final_obs"][ends] != wrapped["obs"][ends]).any()


def test_autoreset_starts_episodes_that_differ(wrapped: dict[str, Any]) -> None:
    starts = jax.tree.map(lambda leaf: leaf[wrapped["truncated"]], wrapped["state"].env_state.env_state)
    assert (starts.positions[0] != starts.positions[1]).any() or (starts.headings[0] != starts.headings[1]).any()


def test_autoreset_has_no_final_observation_unless_asked(env: Environment) -> None:
    key, stack = jax.random.key(0), AutoReset(env)
    _, state = jax.eval_shape(stack.reset, key)
    info = jax.eval_shape(stack.step, key, state, jnp.zeros(env.num_agents, jnp.int32))[-1]
    assert info.keys() == {"collected", "tagged", "hits_given", "hits_received"}


def test_statistics_are_the_sums_of_the_games_own_rewards(own: dict[str, Any]) -> None:
    info, rewards, times = own["info"], own["rewards"], np.arange(60)[:, None]
    assert rewards.sum() > 0
    assert info["tagged"].sum() > 0
    assert (info["episode_return"] == rewards.cumsum(0)).all()
    assert (info["episode_reward_steps"] == (rewards > 0).cumsum(0)).all()
    assert (info["episode_reward_time"] == (times * (rewards > 0)).cumsum(0)).all()
    assert (info["episode_tagged_steps"] == info["tagged"].cumsum(0)).all()
    assert (info["episode_length"] == times + 1).all()
    dtypes = {name: leaf.dtype.name for name, leaf in info.items() if name.startswith("episode_")}
    assert dtypes.pop("episode_return") == "float32"
    assert set(dtypes.values()) == {"int32"}


def test_statistics_start_anew_with_the_episode(wrapped: dict[str, Any]) -> None:
    state = wrapped["state"].env_state
    assert (state.returns[wrapped["truncated"]] == 0).all()
    assert (wrapped["info"]["episode_length"][:, 0] == np.arange(5 * LENGTH // 2) % LENGTH + 1).all()


def test_transformed_rewards_come_out_and_the_games_own_stay_in_the_statistics(
    env: Environment, own: dict[str, Any]
) -> None:
    common = play_without_views(TransformRewards(EpisodeStatistics(env), preferences.common()))
    assert (common["rewards"] == own["rewards"].sum(1, keepdims=True)).all()
    assert (common["info"]["episode_return"] == own["info"]["episode_return"]).all()


def test_individual_rewards_are_the_games_own(env: Environment, own: dict[str, Any]) -> None:
    assert (play_without_views(TransformRewards(env, preferences.individual()))["rewards"] == own["rewards"]).all()


def test_the_carry_of_a_preference_starts_anew_with_the_episode(env: Environment) -> None:
    counting = Preference(lambda num_agents: jnp.zeros(num_agents), lambda carry, rewards: (carry + 1, carry))
    rewards = play(AutoReset(TransformRewards(env, counting)), 2 * LENGTH)["rewards"]
    assert (rewards[:, 0] == np.arange(2 * LENGTH) % LENGTH).all()


def test_attributes_of_the_game_are_found_through_wrappers(env: Environment) -> None:
    stack = AutoReset(EpisodeStatistics(env))
    assert stack.walls is env.walls  # type: ignore[attr-defined]
    assert stack.observation_space == env.observation_space
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = stack.no_such_name


@pytest.mark.parametrize(
    "wrap", [AutoReset, EpisodeStatistics, lambda env: TransformRewards(env, preferences.common())]
)
def test_nothing_goes_around_auto_reset(wrap: Any) -> None:
    with pytest.raises(ValueError, match="env='AutoReset' is not allowed"):
        wrap(AutoReset(jaxdilemmas.make("gathering")))


@pytest.mark.slow
def test_gradients_pass_through_steps_that_may_reset() -> None:
    env = AutoReset(jaxdilemmas.make("cleanup", num_agents=2))
    key, params = jax.random.key(0), env.default_params
    _, state = env.reset(key, params)
    facing = state.replace(positions=jnp.array([[10, 5], [10, 7]]), headings=jnp.array([1, 1]))

    def total(penalty: jax.Array) -> jax.Array:
        rewards = env.step(key, facing, jnp.array([6, 7]), params.replace(fine_penalty=penalty))[2]
        return rewards.sum()

    assert jax.grad(total)(jnp.float32(50.0)) == -1
