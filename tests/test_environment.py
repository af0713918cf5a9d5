"""Properties of `reset` and `step`: compiled once, copied without compiled code, the same in 64-bit mode."""

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import AutoReset, Environment, EpisodeStatistics
from jaxdilemmas.spaces import view_of
from jaxdilemmas.testing.probe import Probe, claim_equal
from tests.pot import Pot, PotParams

pytestmark = pytest.mark.usefixtures("quick_compiling")
KEY = jax.random.key(0)
ACTIONS = jnp.array([0, 1, 2], jnp.int32)


class CountedPot(Pot):
    """Counts how often Python runs its methods."""

    views = 0
    steps = 0

    def observe(self, state: Any, params: PotParams) -> jax.Array:
        self.views += 1
        return super().observe(state, params)

    def draw(self, key: jax.Array, state: Any, params: PotParams) -> Any:
        self.steps += 1
        return super().draw(key, state, params)


def test_reset_and_step_without_jit_run_the_python_of_a_game_once() -> None:
    env = CountedPot()
    _, state = env.reset(KEY)
    for _ in range(3):
        state = env.step(KEY, state, ACTIONS)[1]
        env.reset(KEY)
    assert (env.views, env.steps) == (2, 1)  # one view of the reset, one of the step
    assert state.step_count == 3


def test_without_jit_python_runs_each_time() -> None:
    env = CountedPot()
    with jax.disable_jit():
        for _ in range(2):
            env.step(KEY, env.reset(KEY)[1], ACTIONS)
    assert (env.views, env.steps) == (4, 2)


@pytest.mark.slow
def test_an_outer_jit_costs_what_it_costs_without_the_inner_one() -> None:
    env = jaxdilemmas.make("gathering")
    keys, (_, state) = jax.random.split(KEY, 2), env.reset(KEY)
    actions, params = jnp.zeros(2, jnp.int32), env.default_params

    def cost(step: Any) -> tuple[float, float]:
        batch = jax.vmap(lambda key: step(key, state, actions, params))
        costs: Any = jax.jit(batch).lower(keys).compile().cost_analysis()
        return costs["flops"], costs["bytes accessed"]

    assert cost(env.step) == cost(env._step)


def test_changed_default_params_count_from_the_next_call_on() -> None:
    env = Pot()
    _, state = env.reset(KEY)
    assert not env.step(KEY, state, ACTIONS)[4]
    env.default_params = PotParams(max_steps=1)
    assert env.step(KEY, state, ACTIONS)[4]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_game_that_was_played_can_be_copied_and_the_copy_is_a_game_of_its_own(copied: Any) -> None:
    env: Any = AutoReset(EpisodeStatistics(jaxdilemmas.make("common_pool", num_agents=2)))
    obs, _ = env.reset(KEY)
    other = copied(env)
    assert (other.reset(KEY)[0] == obs).all()
    pot = Pot()
    pot.reset(KEY)
    larger = copied(pot)
    larger.num_agents = 5
    assert larger.reset(KEY)[0].shape == (5, 2)


def test_numbers_of_sixty_four_bits_are_taken_as_thirty_two() -> None:
    env, narrow = Pot(), Probe(Pot(), PotParams(growth=0.3, max_steps=2), num_steps=2).played
    with jax.enable_x64(True):
        params = PotParams(growth=np.float64(0.3), prize=jnp.int64(1), max_steps=np.int64(2))  # type: ignore[arg-type]
        _, state = env.reset(KEY, params)
        step = env.step(KEY, state, jnp.array([0, 1, 2], jnp.int64), params)
        wide = jax.device_get(Probe(env, params, num_steps=2).played)
    assert step[2].dtype == jnp.float32
    claim_equal("with params of 64 bits", narrow, wide, tolerance=0.0)


def test_a_step_may_write_over_the_state_that_it_is_given() -> None:
    env = EpisodeStatistics(jaxdilemmas.make("commons", num_agents=2))
    step = jax.jit(env.step, donate_argnums=1)
    actions = jnp.zeros(2, jnp.int32)
    starts = [env.reset(KEY)[1], jax.tree.map(jnp.array, env.initial_state(KEY, env.default_params))]
    with jax.disable_jit():
        starts.append(env.initial_state(KEY, env.default_params))
    ends = [jax.device_get(step(KEY, start, actions)) for start in starts]
    assert starts[0].env_state.positions.is_deleted()
    for end in ends[1:]:
        claim_equal("a step", ends[0], end, tolerance=0.0)


@pytest.mark.parametrize("env_id", ["gathering", "common_pool", "overcooked"])
def test_episodes_in_a_batch_without_jit_are_those_with_it(env_id: str) -> None:
    env: Environment = AutoReset(jaxdilemmas.make(env_id, max_steps=2))
    keys = jax.random.split(KEY, 2)
    batch = jax.vmap(env.reset)(keys)
    assert batch[0].shape == (2, env.num_agents, *view_of(env.observation_space).shape)
    claim_equal("reset", jax.jit(jax.vmap(env.reset))(keys), batch, tolerance=0.0)
    actions = jnp.ones((2, env.num_agents), jnp.int32)
    claim_equal(
        "step", jax.jit(jax.vmap(env.step))(keys, batch[1], actions), jax.vmap(env.step)(keys, batch[1], actions)
    )
