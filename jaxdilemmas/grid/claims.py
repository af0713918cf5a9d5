"""Things that agents claim: each has at most one owner, pays it by chance after a while, and is released if it is gone.

Things or agents are on the first axis. Arrays may have extra axes behind the named ones; these axes are the same for
all arguments.

Source: google-deepmind/meltingpot @ 81ee2e7, the resources of `territory`, and its recordings.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid import items
from jaxdilemmas.grid.bits import count_bits, pack_bits
from jaxdilemmas.grid.geometry import any_other, count_others, with_trailing_axes
from jaxdilemmas.grid.movement import goes_first
from jaxdilemmas.grid.spawning import count_up

NOBODY = -1
"""Stands in `owners` for things without an owner."""

MOST_OWNERS = np.iinfo(np.int8).max
"""The largest number of agents."""

LEAST_STEPS = 5
"""A thing is not released in this many steps after it was claimed."""


class ClaimState(struct.PyTreeNode):
    """The fields of a state that a game with claims adds to `GridState`.

    Attributes:
      owners: `[R]` int8, the agent that claimed each thing last, -1 for nobody.
      claimed_for: `[R]` int8, steps since the claim, 127 for 127 and more; 0 for things without an owner.
      dry: `[R]` bool, whether the thing has paid its owner.
    """

    owners: jax.Array
    claimed_for: jax.Array
    dry: jax.Array


def no_claims(num_things: int) -> dict[str, jax.Array]:
    """The fields of `ClaimState` before the first claim, `[R]` each."""
    return {
        "owners": jnp.full(num_things, NOBODY, jnp.int8),
        "claimed_for": jnp.zeros(num_things, jnp.int8),
        "dry": jnp.zeros(num_things, bool),
    }


def drop(state: Any, is_dropped: jax.Array) -> Any:
    """Things `[R, ...]` bool lose their owners."""
    return state.replace(
        owners=jnp.where(is_dropped, np.int8(NOBODY), state.owners),
        claimed_for=jnp.where(is_dropped, np.int8(0), state.claimed_for),
        dry=state.dry & ~is_dropped,
    )


def begin(state: Any, uniforms: jax.Array, params: Any) -> tuple[Any, jax.Array]:
    """Begins a step: things pay their owners, and things of agents that are off the board lose them.

    A thing pays by chance from the step on that comes `payment_delay + 1` steps after its claim. A thing is not
    released in the `LEAST_STEPS` steps after its claim.

    Args:
      state: a `GridState` and `ClaimState`, before agents leave the board in this step.
      uniforms: `[R, ...]` float32 in [0, 1).
      params: has `payment_delay` and `payment_probability`.

    Returns:
      The state and the number of things that pay each agent, `[N, ...]` int32; 0 for agents that are off the board.
    """
    chex.assert_equal_shape([state.owners, uniforms])
    is_owned, is_out = state.owners >= 0, state.timeouts > 0
    pays = is_owned & (state.claimed_for >= params.payment_delay) & (uniforms < params.payment_probability)
    payments = compute_once(count_by_owner)(state.owners, pays, is_out)
    has_left = fold(jnp.logical_or, [(state.owners == np.int8(i)) & out for i, out in enumerate(is_out)])
    is_released = has_left & (state.claimed_for >= LEAST_STEPS)
    claimed_for = jnp.where(is_owned, count_up(state.claimed_for), np.int8(0))
    return drop(state.replace(claimed_for=claimed_for, dry=state.dry | pays), is_released), payments


def count_by_owner(owners: jax.Array, is_counted: jax.Array, is_out: jax.Array) -> jax.Array:
    """Counts things by their owners, `[N, ...]` int32; 0 for agents that are off the board.

    Args:
      owners: `[R, ...]` int8.
      is_counted: `[R, ...]` bool, things with an owner.
      is_out: `[N, ...]` bool.
    """
    numbers = jnp.where(is_counted, owners + np.int8(1), np.int8(0))
    bits = [(numbers >> np.int8(bit)) & 1 != 0 for bit in range(len(is_out).bit_length())]
    planes = jnp.unstack(pack_bits(jnp.stack(bits, 1)), axis=1)
    counts = []
    for number, out in enumerate(is_out, start=1):
        of_agent = [plane if number >> bit & 1 else ~plane for bit, plane in enumerate(planes)]
        counts.append(jnp.where(out, 0, count_bits(fold(jnp.bitwise_and, of_agent))))
    return jnp.stack(counts)


def claim(
    state: Any, near: jax.Array, far: jax.Array, is_beam: jax.Array, priorities: jax.Array
) -> tuple[Any, jax.Array]:
    """Agents claim things, first those that only touch them, then those with a beam; the last claim counts.

    A claim by another agent than the owner starts the time of the thing again, even if the owner claims it back.

    Args:
      state: a `ClaimState`.
      near: `[N, ...]` int32, the thing that each agent touches, R for none.
      far: `[N, ...]` int32, the other thing in its beam, R for none.
      is_beam: `[N, ...]` bool, the agents with a beam.
      priorities: `[N, ...]` float32, the highest one goes first.

    Returns:
      The state and how many things each agent took over, `[N, ...]` int32.
    """
    chex.assert_equal_shape([near, far, is_beam, priorities])
    num_agents, num_things = len(near), len(state.owners)
    order = count_others(goes_first(priorities)) + num_agents
    place = jnp.concatenate([jnp.where(is_beam, order, order - num_agents), order])
    index = jnp.concatenate([near, far])
    counts, is_taken_over = compute_once(_settle)(state.owners, index, place)
    agent = with_trailing_axes(np.tile(np.arange(num_agents, dtype=np.int8), 2), near.ndim)
    nobody = jnp.full_like(state.owners, NOBODY)
    takers = compute_once(items.put)(nobody, jnp.where(counts, index, num_things), jnp.broadcast_to(agent, index.shape))
    state = drop(state, takers >= 0)
    taken = is_taken_over.astype(jnp.int32)
    return state.replace(owners=jnp.maximum(state.owners, takers)), taken[:num_agents] + taken[num_agents:]


def _settle(owners: jax.Array, index: jax.Array, place: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Decides which of the claims of a step count.

    Args:
      owners: `[R, ...]` int8.
      index: `[2 N, ...]` int32, the thing of each claim, R for none; claims i and N + i are those of agent i.
      place: `[2 N, ...]` int32, when each claim is made.

    Returns:
      Whether a claim is the last one of its thing, and the thing gets a new owner or starts its time again; and whether
      the thing gets a new owner; `[2 N, ...]` bool each.
    """
    chex.assert_equal_shape([index, place])
    agent = with_trailing_axes(np.tile(np.arange(len(index) // 2, dtype=np.int8), 2), index.ndim)
    is_claim = index < len(owners)
    is_same = (index[:, None] == index[None]) & is_claim[None]
    is_last = ~any_other(is_same & (place[None] > place[:, None]))
    is_foreign = is_claim & (items.take(owners, index) != agent)
    counts = is_claim & is_last & any_other(is_same & is_foreign[None])
    return counts, counts & is_foreign
