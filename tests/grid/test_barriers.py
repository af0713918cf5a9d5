"""Things that stop beams and may be destroyed for ever; those that come back are tested in `in_the_matrix`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxdilemmas.grid import barriers
from jaxdilemmas.grid.bits import pack_bits, unpack_bits

pytestmark = pytest.mark.usefixtures("quick_compiling")


class Numbers(struct.PyTreeNode):
    """What `repair` reads."""

    repair_delay: Any = 3
    repair_probability: Any = 0.5


@jax.jit
def fire(health: jax.Array, on_ray: jax.Array, reach: jax.Array, order: jax.Array) -> Any:
    """Fires beams at things with a full health of 2."""
    there, packed = pack_bits(health > 0), barriers.pack_health(health)
    covered, packed, destroyed = barriers.fire_in_order(order, on_ray, reach, there, packed, 2)
    return covered, barriers.unpack_health(packed, len(health)), unpack_bits(destroyed.swapaxes(0, 1), len(health))


def test_second_hit_destroys_and_passes_and_the_third_one_is_stopped_by_what_is_left_until_the_step_ends() -> None:
    health, on_ray = jnp.array([2, 2], jnp.int8), jnp.tile(jnp.array([[[0, 1]]], jnp.int32), (4, 1, 1))
    covered, _, destroyed = fire(health, on_ray, jnp.full((4, 1), 2, jnp.int32), jnp.array([2, 0, 1, 3], jnp.int32))
    assert covered[:, 0].tolist() == [0, 0, 1, 2]
    assert destroyed[0].tolist() == [False, False, True, True]
    assert destroyed[1].tolist() == [False, False, False, True]


def test_things_that_are_not_there_let_beams_pass() -> None:
    covered, left, destroyed = fire(
        jnp.array([0, 1], jnp.int8),
        jnp.array([[[0, 2]], [[0, 1]]], jnp.int32),
        jnp.array([[2], [1]], jnp.int32),
        jnp.array([0, 1], jnp.int32),
    )
    assert covered[:, 0].tolist() == [2, 1]
    assert left.tolist() == [0, 1]
    assert not destroyed.any()


def test_things_lose_health_once_and_destroyed_ones_are_gone() -> None:
    state = barriers.BarrierState(jnp.array([2, 1, 1, 0], jnp.int8), jnp.array([9, 9, 126, 127], jnp.int8))
    none, health = jnp.zeros((1, 1), bool), barriers.pack_health(jnp.array([1, 2, 1, 0], jnp.int8))
    gone = pack_bits(jnp.array([False, True, False, False]))
    struck = barriers.Struck(none, none, none, health, gone, gone[None])
    state, is_gone = barriers.wear_down(state, struck)
    assert state.health.tolist() == [1, 0, 1, 0]
    assert state.unhit_for.tolist() == [0, 0, 127, 127]
    assert is_gone.tolist() == [False, True, False, False]


def test_only_damaged_things_are_repaired_by_chance_and_after_the_delay() -> None:
    health = np.array([0, 1, 1, 1, 2], np.int8)
    state = barriers.BarrierState(jnp.asarray(health), jnp.array([9, 2, 3, 3, 9], jnp.int8))
    luck = jnp.array([0, 0, 0.4, 0.5, 0], jnp.float32)
    assert barriers.repair(state, luck, 2, Numbers()).health.tolist() == [0, 1, 2, 1, 2]
