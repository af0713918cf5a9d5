"""Observations of two parts, a view and numbers beside it: spaces, contract, adapters, replays, games."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import AutoReset, Box, Observation, WithExtras, policies
from jaxdilemmas.grid.lab2d import observe_beams
from jaxdilemmas.rendering.replay import describe, in_words, record
from jaxdilemmas.testing import check_environment
from tests.cue_beside import TILES, CueBeside

pytestmark = pytest.mark.usefixtures("quick_compiling")

SPACE = WithExtras(TILES, ("cue", "step"))


def observation(view: Any = 0, dtype: Any = np.uint8, extras: Any = 0.0, extras_dtype: Any = np.float32) -> Observation:
    return Observation(np.full((3, 4, 5), view, dtype), np.full((3, 2), extras, extras_dtype))  # type: ignore[arg-type]


def test_a_space_contains_what_it_samples_and_batches_of_it() -> None:
    assert SPACE.contains(SPACE.sample(jax.random.key(0)))
    assert SPACE.contains(observation())
    assert SPACE.contains(observation(extras=-7.5))


@pytest.mark.parametrize(
    "wrong",
    [
        observation(view=6),
        observation(dtype=np.int32),
        observation(extras_dtype=np.int32),
        observation().replace(extras=np.zeros((5, 2), np.float32)),
        observation().view,
        None,
    ],
)
def test_a_space_contains_nothing_else(wrong: Any) -> None:
    assert not SPACE.contains(wrong)


@pytest.mark.parametrize(
    ("view", "names", "message"),
    [
        (SPACE, ("cue",), "view=WithExtras"),
        (None, ("cue",), "view=None is not allowed"),
        (TILES, (), "names=() is not allowed: a tuple of distinct names, at least one"),
        (TILES, ("cue", "cue"), "names=('cue', 'cue') is not allowed"),
        (TILES, "cue", "names='cue' is not allowed"),
        (TILES, (3,), "names=(3,) is not allowed"),
    ],
)
def test_wrong_parts_of_a_space_are_refused(view: Any, names: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        WithExtras(view, names)


@pytest.mark.slow
def test_a_game_with_extras_keeps_the_contract_alone_and_with_resets() -> None:
    check_environment(CueBeside(), num_steps=2)
    check_environment(AutoReset(CueBeside(), final_observation=True), num_steps=2)


class NoExtras(CueBeside):
    def observe(self, state: Any, params: Any) -> Any:
        return super().observe(state, params).view


class TooManyExtras(CueBeside):
    def observe(self, state: Any, params: Any) -> Any:
        obs: Any = super().observe(state, params)
        return obs.replace(extras=jnp.concatenate([obs.extras, obs.extras], axis=-1))


@pytest.mark.parametrize(
    ("game", "message"), [(NoExtras, "not an Observation"), (TooManyExtras, "obs.extras is [2, 4]")]
)
def test_the_check_names_observations_that_do_not_fit_the_space(game: type[CueBeside], message: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_environment(game(), num_steps=2)


def test_the_last_observation_before_a_reset_has_the_extras_of_the_old_episode() -> None:
    env = AutoReset(CueBeside(), final_observation=True)
    _, state = env.reset(jax.random.key(0))
    obs, _, _, terminated, _, info = env.step(jax.random.key(1), state, jnp.zeros(2, jnp.int32))
    assert terminated
    last: Any = info["final_obs"]
    np.testing.assert_array_equal(last.extras[:, 1], 1.0)
    np.testing.assert_array_equal(obs.extras[:, 1], 0.0)


def test_pettingzoo_has_a_dict_space() -> None:
    pytest.importorskip("pettingzoo", reason='needs pip install -e ".[adapters]"')
    from gymnasium import spaces
    from pettingzoo.test import parallel_api_test

    from jaxdilemmas.adapters.pettingzoo import PettingZooEnv

    env = PettingZooEnv(CueBeside())
    space = env.observation_space("agent_0")
    assert isinstance(space, spaces.Dict)
    obs, _ = env.reset(seed=0)
    assert space.contains(obs["agent_0"])
    assert set(obs["agent_1"]) == {"view", "extras"}
    parallel_api_test(env, num_cycles=5)


def test_jaxmarl_has_a_dict_space_that_cannot_be_flattened() -> None:
    pytest.importorskip("jaxmarl", reason='needs pip install -e ".[adapters]"')
    from jaxmarl.environments import spaces

    from jaxdilemmas.adapters.jaxmarl import JaxMARLEnv

    env = JaxMARLEnv(CueBeside())
    assert isinstance(env.observation_space("agent_0"), spaces.Dict)
    obs, state = env.reset(jax.random.key(0))
    np.testing.assert_array_equal(obs["agent_1"]["extras"], env.get_obs(state)["agent_1"]["extras"])
    with pytest.raises(ValueError, match="flatten=True is not allowed"):
        JaxMARLEnv(CueBeside(), flatten=True)


def test_people_read_extras_by_name() -> None:
    obs = observation(extras=0.25)
    assert in_words(CueBeside(num_agents=3), obs) == [{"cue": 0.25, "step": 0.25}] * 3


BOARD = """
WWWWW
WPPAW
WWWWW
"""


@pytest.fixture(scope="module")
def harvest() -> Any:
    return jaxdilemmas.make("harvest", map=BOARD, num_agents=2, extras=True, zap_cooldown=4, timeout_steps=3)


def test_harvest_shows_when_the_beam_is_ready_and_who_is_out(harvest: Any) -> None:
    obs, state = harvest.reset(jax.random.key(0))
    assert harvest.observation_space.names == ("ready_to_zap", "is_out")
    np.testing.assert_array_equal(obs.extras, [[1, 0], [1, 0]])
    positions = jnp.array([[1, 1], [1, 2]], jnp.int32)
    state = state.replace(positions=positions, headings=jnp.array([1, 1], jnp.int32))
    seen = []
    for action in (6, 7, 7, 7, 7):
        obs, state, *_ = harvest.step(jax.random.key(1), state, jnp.array([action, 7], jnp.int32))
        seen.append(obs.extras.tolist())
    assert [shown[0] for shown in seen] == [[0, 0], [0.25, 0], [0.5, 0], [0.75, 0], [1, 0]]
    assert [shown[1] for shown in seen] == [[0, 1], [0, 1], [0, 1], [1, 0], [1, 0]]


def test_replays_have_the_extras_by_name(harvest: Any) -> None:
    replay = record(harvest, policies.random(harvest), jax.random.key(0), num_steps=2)
    assert describe(replay)["observations"][0] == [{"ready_to_zap": 1.0, "is_out": 0.0}] * 2


def test_the_view_and_the_game_are_the_same_with_and_without_extras(harvest: Any) -> None:
    plain = jaxdilemmas.make("harvest", map=BOARD, num_agents=2, zap_cooldown=4, timeout_steps=3)
    assert isinstance(plain.observation_space, Box)
    (obs, state), (array, other) = harvest.reset(jax.random.key(3)), plain.reset(jax.random.key(3))
    for i in range(4):
        np.testing.assert_array_equal(obs.view, array)
        actions = jnp.array([6, i], jnp.int32)
        obs, state, rewards, *_ = harvest.step(jax.random.key(i), state, actions)
        array, other, same, *_ = plain.step(jax.random.key(i), other, actions)
        np.testing.assert_array_equal(rewards, same)
    jax.tree.map(np.testing.assert_array_equal, state, other)


@pytest.mark.parametrize("env_id", ["cleanup", "cleanup_meltingpot"])
def test_cleanup_shows_both_beams(env_id: str) -> None:
    env: Any = jaxdilemmas.make(env_id, num_agents=2, extras=True)
    assert env.observation_space.names == ("ready_to_fine", "ready_to_clean", "is_out")
    _, state = jax.eval_shape(env.reset, jax.random.key(0))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)
    cooling = zeros.replace(cooldowns=jnp.array([[5, 0], [0, 1]], jnp.int32))
    extras = env.observe_extras(cooling, env.default_params)
    np.testing.assert_allclose(extras, [[0.5, 1, 0], [1, 0.5, 0]])


def test_a_beam_without_cooldown_is_always_ready() -> None:
    shown = observe_beams(jnp.zeros((1, 1), jnp.int32), (0,), jnp.zeros(1, jnp.int32))  # type: ignore[arg-type]
    np.testing.assert_array_equal(shown, [[1, 0]])


@pytest.mark.parametrize("env_id", ["cleanup", "cleanup_meltingpot", "harvest"])
@pytest.mark.parametrize("wrong", [1, "yes", None])
def test_extras_are_a_flag(env_id: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match="extras="):
        jaxdilemmas.make(env_id, extras=wrong)
