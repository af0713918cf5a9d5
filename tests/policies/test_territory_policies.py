from typing import Any

import jax
import numpy as np
import pytest

from jaxdilemmas import policies
from jaxdilemmas.envs.territory import Territory
from tests.reference.rollouts import put

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, ZAP, STAND, CLAIM = range(9)
NORTH, EAST, SOUTH, WEST = range(4)
NOBODY = -1
ROOMS = """
WRRRWRRRW
R...R...R
R.P.R.P.R
R...R...R
WRRRWRRRW
"""
"""Two rooms with 12 resources each, of which they share the three in the middle: numbers 7, 10 and 13."""


@pytest.fixture(scope="module")
def env() -> Territory:
    return Territory(map=ROOMS, num_agents=2)


def act(
    env: Territory, name: str, places: list[tuple[int, int, int]], owner_of: Any = None, **fields: Any
) -> list[int]:
    """What both agents do at these places: row, column, heading."""
    owners = np.full(len(env.resource_cells), NOBODY, np.int8) if owner_of is None else owner_of
    cells, headings = [[row, col] for row, col, _ in places], [heading for *_, heading in places]
    state = put(env, cells, headings, owners=owners, **fields)
    return jax.jit(policies.scripted(env, name))(jax.random.key(0), state).tolist()


def owners_but(env: Territory, *cells: tuple[int, int]) -> np.ndarray:
    """All resources but these are those of the agent on their half of the board."""
    owners = np.where(env.resource_cells[:, 1] < 4, 0, 1).astype(np.int8)
    owners[env.resource_cells[:, 1] == 4] = 0
    for cell in cells:
        owners[(env.resource_cells == cell).all(1)] = NOBODY
    return owners


def test_cooperators_walk_to_a_wall_of_their_room_and_face_it(env: Territory) -> None:
    one = owners_but(env, (3, 0), (2, 8))
    assert act(env, "cooperative", [(2, 2, EAST), (2, 6, NORTH)], one)[1] == STEP_RIGHT
    assert act(env, "cooperative", [(3, 1, NORTH), (2, 7, SOUTH)], one) == [TURN_LEFT, TURN_LEFT]
    assert act(env, "cooperative", [(3, 1, EAST), (2, 7, WEST)], one) == [TURN_RIGHT, TURN_RIGHT]


def test_cooperators_take_back_their_walls_and_want_no_others(env: Territory) -> None:
    lost = owners_but(env)
    lost[(env.resource_cells == (1, 0)).all(1)] = 1
    assert act(env, "cooperative", [(1, 2, EAST), (2, 6, NORTH)], lost)[0] == BACKWARD
    lost[env.resource_cells[:, 1] == 4] = 1
    assert act(env, "cooperative", [(1, 1, NORTH), (2, 6, NORTH)], owners_but(env))[0] == STAND
    assert act(env, "cooperative", [(2, 6, EAST), (2, 2, NORTH)], owners_but(env))[0] in (
        FORWARD,
        BACKWARD,
        STEP_LEFT,
        STEP_RIGHT,
    )


def test_the_greedy_claim_first_and_then_hunt_through_walls(env: Territory) -> None:
    own, cooling = owners_but(env), np.array([[3], [0]], np.int32)
    assert act(env, "greedy", [(1, 1, EAST), (1, 2, NORTH)], own)[0] == ZAP
    assert act(env, "greedy", [(1, 1, EAST), (1, 2, NORTH)], own, cooldowns=cooling)[0] == STAND
    assert act(env, "greedy", [(1, 3, EAST), (3, 6, NORTH)], own)[0] == STAND
    late = {"step_count": np.int32(60)}
    assert act(env, "greedy", [(1, 3, EAST), (1, 6, NORTH)], own, **late)[0] == ZAP
    assert act(env, "greedy", [(1, 3, EAST), (1, 6, NORTH)], own, cooldowns=cooling, **late)[0] == STAND
    assert act(env, "greedy", [(1, 1, EAST), (3, 6, NORTH)], owners_but(env, (3, 0)))[0] == STEP_RIGHT


def test_the_greedy_fire_the_claim_beam_while_they_stand(env: Territory) -> None:
    double = Territory(map="WWWWWWW\nWP.RRPW\nWWWWWWW", num_agents=2)
    assert act(double, "greedy", [(1, 2, EAST), (1, 5, WEST)], np.array([0, 1], np.int8)) == [CLAIM, CLAIM]


def test_cooperators_get_more_together_than_the_greedy() -> None:
    env = Territory(map=ROOMS, num_agents=2, payment_delay=5, payment_probability=0.1)

    def play(name: str) -> Any:
        policy = policies.scripted(env, name)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            _, state, rewards, _, _, info = env.step(key, state, policy(key, state))
            return state, (rewards, info["destroyed"])

        state = env.initial_state(jax.random.key(0), env.default_params)
        rewards, destroyed = jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 200))[1]
        return rewards.sum(), destroyed.sum()

    (cooperative, damage), (greedy, _) = (jax.jit(play, static_argnums=0)(name) for name in ("cooperative", "greedy"))
    assert cooperative > greedy > 0
    assert damage == 0
