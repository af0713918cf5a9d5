from typing import Any

import jax
import numpy as np
import pytest

from jaxdilemmas import policies
from jaxdilemmas.envs.externality_mushrooms import ExternalityMushrooms
from jaxdilemmas.envs.mushrooms import BLUE, GREEN, ORANGE, RED
from tests.reference.rollouts import put

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
ROWS = "WWWWWWWWW\nWOPPPPPPW\nWPPPPPPPW\nWWWWWWWWW"
"""Cells 0 to 6 are (1, 1) to (1, 7), cells 7 to 13 are (2, 1) to (2, 7)."""


@pytest.fixture(scope="module")
def env() -> ExternalityMushrooms:
    return ExternalityMushrooms(map=ROWS, num_agents=2)


def act(env: ExternalityMushrooms, name: str, kinds: dict[int, int], seed: int = 0, **fields: Any) -> list[int]:
    """What both agents do; agent 0 looks east from (1, 3), agent 1 looks north from (2, 7)."""
    mushrooms = np.zeros(14, np.int8)
    mushrooms[list(kinds)] = list(kinds.values())
    state = put(env, [[1, 3], [2, 7]], [EAST, NORTH], mushrooms=mushrooms, **fields)
    return jax.jit(policies.scripted(env, name))(jax.random.key(seed), state).tolist()


def test_cooperators_prefer_blue_to_green_and_eat_nothing_else(env: ExternalityMushrooms) -> None:
    assert act(env, "cooperative", {0: BLUE, 4: GREEN})[0] == BACKWARD
    assert act(env, "cooperative", {4: GREEN, 6: RED})[0] == FORWARD
    assert act(env, "cooperative", {0: RED, 4: ORANGE}) == [STAND, STAND]


def test_the_greedy_eat_red_mushrooms_alone(env: ExternalityMushrooms) -> None:
    assert act(env, "greedy", {0: RED, 4: BLUE})[0] == BACKWARD
    assert act(env, "greedy", {6: RED}) == [FORWARD, FORWARD]
    assert act(env, "greedy", {0: BLUE, 4: GREEN}) == [STAND, STAND]


@pytest.mark.parametrize("name", ["cooperative", "greedy"])
def test_agents_go_around_mushrooms_that_they_do_not_want_and_around_agents(
    env: ExternalityMushrooms, name: str
) -> None:
    wanted = {"cooperative": BLUE, "greedy": RED}[name]
    for seed in range(5):
        assert act(env, name, {6: wanted, 3: ORANGE}, seed)[0] in (BACKWARD, STEP_RIGHT)
        assert act(env, name, {6: wanted, 3: ORANGE, 1: ORANGE}, seed)[0] == STEP_RIGHT
    assert act(env, name, {6: wanted, 3: ORANGE, 1: ORANGE, 9: ORANGE})[0] == STAND


def test_agents_that_are_out_stand(env: ExternalityMushrooms) -> None:
    assert act(env, "greedy", {6: RED}, timeouts=np.array([3, 0], np.int32)) == [STAND, FORWARD]


def test_cooperators_keep_the_meadow_and_the_greedy_eat_it_up() -> None:
    env = ExternalityMushrooms(num_agents=3)

    def play(name: str) -> Any:
        policy = policies.scripted(env, name)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            _, state, rewards, *_, info = env.step(key, state, policy(key, state))
            return state, (rewards, info)

        state = env.initial_state(jax.random.key(0), env.default_params)
        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 250))[1]

    (shared, cooperative), (taken, greedy) = (
        jax.jit(play, static_argnums=0)(name) for name in ("cooperative", "greedy")
    )
    assert cooperative["ate_blue"].sum() > 10
    assert cooperative["ate_orange"].sum() == cooperative["ate_red"].sum() == 0
    assert greedy["ate_blue"].sum() == greedy["ate_green"].sum() == greedy["ate_orange"].sum() == 0
    assert shared.sum() > taken.sum() > 0
