from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.envs.level_based_foraging import LevelBasedForaging, State
from jaxdilemmas.policies.level_based_foraging import POLICIES

pytestmark = pytest.mark.usefixtures("quick_compiling")
NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)


@pytest.fixture(scope="module")
def env() -> LevelBasedForaging:
    return LevelBasedForaging()


def act(env: LevelBasedForaging, name: str, positions: Any, foods: Any, levels: Any = (1, 2), left: Any = True) -> Any:
    """What both agents do, with food of level 1 and 3."""
    is_left = jnp.broadcast_to(jnp.asarray(left), 2)
    cells, levels, foods, food_levels = (jnp.asarray(part) for part in (positions, levels, foods, (1, 3)))
    state = State(cells, levels, foods, food_levels, is_left, jnp.int32(0))
    return jax.jit(policies.scripted(env, name))(jax.random.key(0), state).tolist()


def test_cooperators_meet_at_the_food_that_is_nearest_to_both_and_load_it_together(env: LevelBasedForaging) -> None:
    foods = [(2, 2), (6, 6)]
    assert act(env, "cooperative", [(6, 2), (6, 1)], foods) == [NORTH, NORTH]
    assert act(env, "cooperative", [(6, 4), (6, 7)], foods) == [EAST, NONE]  # too weak alone: it waits
    assert act(env, "cooperative", [(6, 5), (6, 7)], foods) == [LOAD, LOAD]
    assert act(env, "cooperative", [(2, 1), (7, 2)], foods)[0] == LOAD  # strong enough alone
    assert act(env, "cooperative", [(2, 1), (2, 3)], foods, left=False) == [NONE, NONE]


def test_the_selfish_load_what_they_can_load_alone_and_else_stand_still(env: LevelBasedForaging) -> None:
    foods = [(2, 2), (6, 6)]
    assert act(env, "selfish", [(2, 5), (2, 3)], foods) == [WEST, LOAD]
    assert act(env, "selfish", [(6, 5), (6, 7)], foods, left=[False, True]) == [NONE, NONE]
    assert act(env, "selfish", [(6, 5), (6, 7)], foods, levels=(3, 2))[0] == LOAD


def test_an_agent_walks_around_food_agents_and_the_edge(env: LevelBasedForaging) -> None:
    foods = [(2, 2), (2, 4)]
    assert act(env, "selfish", [(2, 5), (0, 0)], foods)[0] in (NORTH, SOUTH, EAST)  # food is in the way
    assert act(env, "cooperative", [(5, 2), (4, 2)], foods)[0] in (WEST, EAST, SOUTH)  # the other is in the way
    assert act(env, "cooperative", [(7, 0), (6, 0)], foods)[0] == EAST


@pytest.mark.parametrize("kwargs", [{}, {"force_coop": True}])
def test_cooperators_load_all_food_and_the_selfish_leave_what_is_too_heavy(kwargs: dict[str, Any]) -> None:
    env = jaxdilemmas.make("level_based_foraging", **kwargs)

    def total(name: str) -> np.ndarray:
        """Per episode the rewards of all agents together; the numbers of episodes that the game and the clock ended."""
        policy, reset = policies.scripted(env, name), jaxdilemmas.AutoReset(env)

        def step(state: Any, key: jax.Array) -> Any:
            _, state, rewards, terminated, truncated, _ = reset.step(key, state, policy(key, state))
            return state, (rewards.sum(), terminated, truncated)

        _, states = jax.vmap(reset.reset)(jax.random.split(jax.random.key(0), 20))
        keys = jax.random.split(jax.random.key(1), (20, 150))
        rewards, terminated, truncated = jax.jit(jax.vmap(lambda s, k: jax.lax.scan(step, s, k)[1]))(states, keys)
        return np.array([rewards.sum() / (terminated | truncated).sum(), terminated.sum(), truncated.sum()])

    together, selfish = total("cooperative"), total("selfish")
    assert together[0] > 0.95 and together[1] > 20 * together[2]
    assert selfish[0] < (0.01 if kwargs else 0.65)


@pytest.mark.parametrize("build", POLICIES.values(), ids=POLICIES)
def test_policies_refuse_other_games(build: Any) -> None:
    with pytest.raises(ValueError, match=r"env=.* is not allowed: the game `level_based_foraging`"):
        build(jaxdilemmas.make("gems"))
