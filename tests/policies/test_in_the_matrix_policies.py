"""The scripted policies of `in_the_matrix`, one decision at a time."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.in_the_matrix import InTheMatrix
from jaxdilemmas.policies import scripted
from tests.reference.rollouts import put

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
LAWN = """
WWWWWWWWW
WP.....PW
W.1...2.W
W.12....W
W.......W
WWWWWWWWW
"""


@pytest.fixture(scope="module")
def env() -> InTheMatrix:
    return InTheMatrix(map=LAWN, rules="repeated")


def act(env: InTheMatrix, name: str, **fields: Any) -> list[int]:
    state = put(env, [[2, 4], [4, 7]], [NORTH, NORTH], **fields)
    return np.asarray(jax.jit(scripted(env, name))(jax.random.key(0), state)).tolist()


def test_cooperators_go_to_class_1_and_defectors_to_class_2(env: InTheMatrix) -> None:
    assert env.fixed_classes.tolist() == [1, 2, 1, 2]
    only_right = {"resources": jnp.array([True, True, True, False])}
    assert act(env, "cooperative", **only_right)[0] == STEP_LEFT
    assert act(env, "defecting", **only_right)[0] == STEP_RIGHT


def test_tit_for_tat_starts_with_class_1_and_then_copies_its_partner(env: InTheMatrix) -> None:
    only_right = {"resources": jnp.array([True, True, True, False])}
    assert act(env, "tit_for_tat", **only_right)[0] == STEP_LEFT
    assert act(env, "tit_for_tat", partners=jnp.array([[1, 4], [0, 0]], jnp.int32), **only_right)[0] == STEP_RIGHT
    assert act(env, "tit_for_tat", partners=jnp.array([[4, 1], [0, 0]], jnp.int32), **only_right)[0] == STEP_LEFT


def test_an_agent_with_enough_of_its_class_hunts_an_agent_that_is_ready(env: InTheMatrix) -> None:
    enough, ready = [4, 1], [2, 1]
    far = act(env, "cooperative", inventories=jnp.array([enough, ready], jnp.int32))
    assert far[0] in (BACKWARD, STEP_RIGHT)
    near = put(env, [[4, 4], [4, 6]], [EAST, NORTH], inventories=jnp.array([enough, ready], jnp.int32))
    policy = jax.jit(scripted(env, "cooperative"))
    assert policy(jax.random.key(0), near)[0] == BEAM
    unready = near.replace(inventories=jnp.array([enough, [1, 1]], jnp.int32))
    assert policy(jax.random.key(0), unready)[0] != BEAM
    turned = near.replace(headings=jnp.array([NORTH, NORTH], jnp.int32))
    assert policy(jax.random.key(0), turned)[0] == TURN_RIGHT


def test_another_game_is_refused() -> None:
    from jaxdilemmas.policies.in_the_matrix import cooperative

    with pytest.raises(ValueError, match=r"env=.* is not allowed: the game in_the_matrix"):
        cooperative(jaxdilemmas.make("gathering"))  # type: ignore[arg-type]
