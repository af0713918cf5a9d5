from typing import Any

import jax
import numpy as np
import pytest

from jaxdilemmas import policies
from jaxdilemmas.envs.coop_mining import GOLD, IRON, PARTIAL, CoopMining
from jaxdilemmas.policies import routes
from tests.reference.rollouts import put

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
HALL = "WWWWWWWWWW\nWPAAAAAAPW\nWPPPPPPPPW\nWWWWWWWWWW"
"""Ore cells are (1, 2) to (1, 7)."""


@pytest.fixture(scope="module")
def env() -> CoopMining:
    return CoopMining(map=HALL, num_agents=2)


def act(env: CoopMining, name: str, ore: list[int], **fields: Any) -> list[int]:
    """What both agents do; agent 0 looks east from (1, 1), agent 1 looks north from (2, 7)."""
    state = put(env, [[1, 1], [2, 7]], [EAST, NORTH], ore=np.array(ore, np.int8), **fields)
    return jax.jit(policies.scripted(env, name))(jax.random.key(0), state).tolist()


def test_agents_are_paired_and_the_last_of_an_odd_number_joins_the_pair_before_it() -> None:
    assert routes.pair_agents(6).tolist() == [1, 0, 3, 2, 5, 4]
    assert routes.pair_agents(3).tolist() == [1, 0, 1]


def test_the_greedy_mine_iron_and_leave_gold(env: CoopMining) -> None:
    assert act(env, "greedy", [0, IRON, 0, 0, 0, 0]) == [BEAM, FORWARD]
    assert act(env, "greedy", [0, IRON, 0, 0, 0, 0], cooldowns=np.array([[1], [0]], np.int32)) == [STAND, FORWARD]
    assert act(env, "greedy", [GOLD, 0, 0, 0, 0, IRON]) == [FORWARD, BEAM]
    assert (
        act(env, "greedy", [GOLD, PARTIAL, 0, 0, 0, 0], miners=np.array([-1, 1, -1, -1, -1, -1], np.int16))
        == [STAND] * 2
    )


def test_partners_meet_at_the_gold_that_is_nearest_to_both(env: CoopMining) -> None:
    assert act(env, "cooperative", [0, 0, 0, 0, GOLD, 0]) == [FORWARD, FORWARD]
    assert act(env, "cooperative", [IRON, 0, 0, 0, GOLD, 0]) == [BEAM, FORWARD]
    assert act(env, "cooperative", [GOLD, 0, 0, 0, 0, 0])[0] == BEAM
    assert act(env, "cooperative", [0, 0, 0, 0, 0, IRON]) == [FORWARD, BEAM]
    assert act(env, "cooperative", [0] * 6) == [STAND] * 2


def test_agents_turn_to_ore_beside_them_and_behind_them(env: CoopMining) -> None:
    state = put(env, [[1, 4], [1, 5]], [WEST, NORTH], ore=np.array([0, 0, 0, 0, 0, GOLD], np.int8))
    assert jax.jit(policies.scripted(env, "cooperative"))(jax.random.key(0), state).tolist() == [TURN_RIGHT] * 2
    state = state.replace(ore=np.array([0, GOLD, 0, 0, 0, 0], np.int8))
    assert jax.jit(policies.scripted(env, "cooperative"))(jax.random.key(0), state).tolist() == [BEAM, TURN_LEFT]


def test_cooperators_mine_gold_and_the_greedy_only_iron(env: CoopMining) -> None:
    busy = CoopMining(map=HALL, num_agents=3, iron_growth=0.02, gold_growth=0.02)

    def play(name: str) -> Any:
        policy = policies.scripted(busy, name)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            _, state, *_, info = busy.step(key, state, policy(key, state))
            return state, info

        state = busy.initial_state(jax.random.key(0), busy.default_params)
        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 200))[1]

    cooperative, greedy = (jax.jit(play, static_argnums=0)(name) for name in ("cooperative", "greedy"))
    assert cooperative["gold"].sum() > 20
    assert greedy["gold"].sum() == 0 < greedy["iron"].sum()
