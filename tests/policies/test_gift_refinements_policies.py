from typing import Any

import jax
import numpy as np
import pytest

from jaxdilemmas import policies
from jaxdilemmas.envs.gift_refinements import GiftRefinements
from tests.reference.rollouts import put

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND, CONSUME = range(9)
NORTH, EAST, SOUTH, WEST = range(4)
HALL = "WWWWWWWWWW\nWPAAAAAAPW\nWPPPPPPPPW\nWWWWWWWWWW"
"""Token cells are (1, 2) to (1, 7)."""


@pytest.fixture(scope="module")
def env() -> GiftRefinements:
    return GiftRefinements(map=HALL, num_agents=2)


def act(env: GiftRefinements, name: str, *inventories: list[int], heading: int = EAST, **fields: Any) -> list[int]:
    """What both agents do; agent 0 is on (1, 1), agent 1 looks west from (1, 5)."""
    held = np.array(inventories, np.int32)
    state = put(env, [[1, 1], [1, 5]], [heading, WEST], inventories=held, **fields)
    return jax.jit(policies.scripted(env, name))(jax.random.key(0), state).tolist()


def test_the_greedy_eat_what_they_have_and_walk_to_the_nearest_token(env: GiftRefinements) -> None:
    tokens = np.array([False, True, False, False, False, True])
    assert act(env, "greedy", [1, 0, 0], [0, 5, 0], tokens=tokens) == [CONSUME, CONSUME]
    assert act(env, "greedy", [0, 0, 0], [0, 0, 0], tokens=tokens) == [FORWARD, FORWARD]
    assert act(env, "greedy", [0, 0, 0], [0, 0, 0]) == [STAND, STAND]


def test_cooperators_give_full_inventories_and_what_is_refined(env: GiftRefinements) -> None:
    tokens = np.array([False, True, False, False, False, True])
    assert act(env, "cooperative", [2, 0, 0], [0, 0, 0], tokens=tokens) == [FORWARD, FORWARD]
    assert act(env, "cooperative", [3, 0, 0], [0, 0, 0])[0] == BEAM
    assert act(env, "cooperative", [3, 0, 0], [0, 0, 0], cooldowns=np.array([[1], [0]], np.int32))[0] == STAND
    assert act(env, "cooperative", [3, 0, 0], [0, 0, 0], heading=NORTH)[0] == TURN_RIGHT
    assert act(env, "cooperative", [0, 0, 0], [0, 5, 0]) == [STAND, BEAM]


def test_cooperators_eat_final_tokens_once_no_more_can_come(env: GiftRefinements) -> None:
    assert act(env, "cooperative", [0, 0, 15], [0, 5, 0])[0] == CONSUME
    assert act(env, "cooperative", [0, 0, 5], [0, 5, 0]) == [STAND, BEAM]
    assert act(env, "cooperative", [0, 0, 5], [0, 0, 0])[0] == CONSUME


def test_cooperators_earn_more_together_than_the_greedy() -> None:
    busy = GiftRefinements(map=HALL, num_agents=2, token_growth=0.02)

    def play(name: str) -> Any:
        policy = policies.scripted(busy, name)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            _, state, rewards, *_ = busy.step(key, state, policy(key, state))
            return state, rewards

        state = busy.initial_state(jax.random.key(0), busy.default_params)
        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 300))[1].sum()

    cooperative, greedy = (float(jax.jit(play, static_argnums=0)(name)) for name in ("cooperative", "greedy"))
    assert cooperative > 2 * greedy > 0
