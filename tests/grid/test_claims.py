"""Claims of things: who owns them in the end, whom they pay, and when they are released."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxdilemmas.grid import claims

pytestmark = pytest.mark.usefixtures("quick_compiling")


class State(claims.ClaimState):
    """What the functions read and write."""

    timeouts: jax.Array


class Numbers(struct.PyTreeNode):
    """What `begin` reads."""

    payment_delay: Any = 25
    payment_probability: Any = 0.01


def land(*owners: int, steps: int = 60, out: tuple[bool, ...] = (False, False, False)) -> State:
    """Things with these owners, claimed some steps ago."""
    numbers = jnp.array(owners, jnp.int8)
    claimed_for = jnp.where(numbers >= 0, steps, 0).astype(jnp.int8)
    return State(numbers, claimed_for, numbers >= 0, timeouts=jnp.array(out, jnp.int32))


def claim(state: State, near: list[int], far: list[int], is_beam: list[bool], order: list[float]) -> Any:
    arrays = jnp.array(near, jnp.int32), jnp.array(far, jnp.int32), jnp.array(is_beam), jnp.array(order, jnp.float32)
    return jax.jit(claims.claim)(state, *arrays)


def test_things_pay_their_owners_after_the_delay_and_by_chance() -> None:
    luck = jnp.array([0.009, 0.011, 0, 0, 0], jnp.float32)
    for steps, paid in ((24, [0, 0, 0]), (25, [1, 0, 1])):
        state, payments = claims.begin(land(0, 0, 2, -1, 1, steps=steps, out=(False, True, False)), luck, Numbers())
        assert payments.tolist() == paid
        assert state.claimed_for[0] == steps + 1


def test_things_of_agents_that_are_out_are_released_but_for_those_just_claimed() -> None:
    for steps, owners in ((4, [0, 1, -1]), (5, [0, -1, -1])):
        state = claims.begin(
            land(0, 1, -1, steps=steps, out=(False, True, False)), jnp.ones(3, jnp.float32), Numbers()
        )[0]
        assert state.owners.tolist() == owners
        assert state.dry.tolist() == [owner >= 0 for owner in owners]


def test_last_claim_counts_and_restarts_the_time_if_another_agent_claimed_too() -> None:
    state, taken = claim(land(0, 0, -1), [0, 0, 3], [3, 3, 2], [False, False, True], [0.1, 0.9, 0.5])
    assert state.owners.tolist() == [0, 0, 2]
    assert state.claimed_for.tolist() == [0, 60, 0]
    assert state.dry.tolist() == [False, True, False]
    assert taken.tolist() == [0, 0, 1]
    beam, taken = claim(land(0, 0, -1), [0, 0, 0], [3, 2, 1], [False, True, True], [0.5, 0.9, 0.8])
    assert beam.owners.tolist() == [2, 2, 1]
    assert taken.tolist() == [0, 1, 2]


def test_claim_of_the_owner_alone_changes_nothing() -> None:
    state, taken = claim(land(0, 1, -1), [0, 1, 3], [3, 3, 3], [True, False, False], [0.5, 0.9, 0.8])
    assert state.claimed_for.tolist() == [60, 60, 0]
    assert not taken.any()


def test_things_are_counted_by_their_owners() -> None:
    rng = np.random.default_rng(0)
    owners, is_out = rng.integers(-1, 9, 70).astype(np.int8), rng.random(9) < 0.3
    is_counted = (rng.random(70) < 0.5) & (owners >= 0)
    counts = [0 if is_out[i] else (is_counted & (owners == i)).sum() for i in range(9)]
    found = claims.count_by_owner(jnp.asarray(owners), jnp.asarray(is_counted), jnp.asarray(is_out))
    assert found.tolist() == counts
