"""Things on cells that stop beams: each beam takes one of their health; at none left they are destroyed.

A beam goes on through a thing that it destroys. The beams of a step are fired one after the other. Agents, things and
words of packed bits are on the first axis. Arrays may have extra axes behind the named ones; these axes are the same
for all arguments.

Source: google-deepmind/meltingpot @ 81ee2e7, the resources of `*_in_the_matrix`, and its recordings.
"""

from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.batching import compute_once, fold, vary_alike
from jaxdilemmas.grid import beams
from jaxdilemmas.grid.bits import look_up_bits, mark_bits, pack_bits, unpack_bits
from jaxdilemmas.grid.geometry import Torus, any_other, count_others
from jaxdilemmas.grid.movement import goes_first
from jaxdilemmas.grid.spawning import count_up

LAST = np.iinfo(np.int32).max
"""Stands for no hit among the places of hits in the order of a step."""

FULL_HEALTH = 3
"""The most health that things can have."""


class Health(NamedTuple):
    """The health of things, 1 to 3, as the low and the high bit of the number, packed, `[W, ...]` uint32 each."""

    low: jax.Array
    high: jax.Array


def pack_health(health: jax.Array) -> Health:
    """Packs the health `[A, ...]` int8 of things."""
    words = compute_once(pack_bits)(jnp.stack([(health >> bit) & 1 != 0 for bit in (0, 1)], 1))
    return Health(*jnp.unstack(words, axis=1))


def unpack_health(health: Health, count: int) -> jax.Array:
    """The health of the first `count` things, `[count, ...]` int8."""
    low, high = (unpack_bits(words, count).astype(jnp.int8) for words in health)
    return low + 2 * high


class BarrierState(struct.PyTreeNode):
    """The fields of a state that a game adds to `GridState` if things that are destroyed never return.

    Attributes:
      health: `[A]` int8, hits that destroy each thing, 0 if it is not there.
      unhit_for: `[A]` int8, steps since a thing was hit, 127 for 127 and more.
    """

    health: jax.Array
    unhit_for: jax.Array


class Ahead(NamedTuple):
    """What is on the rays of agents.

    Attributes:
      reach: `[N, rays, ...]` int32, cells up to the next wall on each ray, 0 for agents that are off the board.
      on_ray: `[N, rays, length, ...]` int32, the thing on each cell of each ray, A for none.
      there: `[W, ...]` uint32, packed bits of the things that are there.
      health: of all things.
    """

    reach: jax.Array
    on_ray: jax.Array
    there: jax.Array
    health: Health


class Struck(NamedTuple):
    """What the beams of a step hit.

    Attributes:
      given: `[N, N, ...]` bool, [i, j] is whether a ray of i hits agent j.
      right: `[N, N, ...]` int32, cells from i to j to the right, so the ray that hits.
      rays: `[N, rays, ...]` int32, cells that each ray covers before the agent or thing that stops it.
      health: of all things after the step.
      destroyed: `[W, ...]` uint32, packed bits of the things that were destroyed.
      destroyed_by: `[N, W, ...]` uint32, of these the things that the beam of each agent destroyed.
    """

    given: jax.Array
    right: jax.Array
    rays: jax.Array
    health: Health
    destroyed: jax.Array
    destroyed_by: jax.Array


def fire(
    state: Any, shots: Ahead, order: jax.Array, side_start: int, full_health: int = FULL_HEALTH, torus: Torus = None
) -> Struck:
    """Fires the beams of all agents at agents, which always stop a ray, and at things, which stop it unless destroyed.

    A ray that reaches an agent also hits the thing below the agent.

    Args:
      state: a `GridState`.
      shots: the rays, with a reach of 0 for agents that do not fire.
      order: `[N, ...]` int32, the number of agents that fire before each agent, see `rank`.
      side_start: where the rays beside the middle one start, see `beams`.
      full_health: see `fire_in_order`.
      torus: see `geometry.Torus`.
    """
    reach, on_ray, there, health = shots
    find = compute_once(partial(beams.find_hits, side_start=side_start, torus=torus))
    hits = find(state.positions, state.headings, reach, state.positions, state.timeouts == 0)
    given, until_agent = compute_once(beams.stop_at_targets)(hits, reach)
    touched = jnp.minimum(until_agent + 1, reach)
    until_thing, health, destroyed_by = fire_in_order(order, on_ray, touched, there, health, full_health)
    half_width = reach.shape[1] // 2
    for ray in range(reach.shape[1]):
        given &= (hits.right != ray - half_width) | (hits.cell <= until_thing[:, ray, None])
    destroyed = fold(jnp.bitwise_or, jnp.unstack(destroyed_by))
    return Struck(given, hits.right, jnp.minimum(until_agent, until_thing), health, destroyed, destroyed_by)


def wear_down(state: Any, struck: Struck) -> tuple[Any, jax.Array]:
    """Things lose the health that beams took; those that were destroyed are not there any more.

    Args:
      state: a `BarrierState`.
      struck: the result of `fire`.

    Returns:
      The state and which things are gone, `[A, ...]` bool.
    """
    num_things = len(state.health)
    is_gone = unpack_bits(struck.destroyed, num_things)
    health = jnp.where(is_gone, np.int8(0), unpack_health(struck.health, num_things))
    unhit_for = jnp.where(health < state.health, np.int8(0), count_up(state.unhit_for))
    return state.replace(health=health, unhit_for=unhit_for), is_gone


def repair(state: Any, uniforms: jax.Array, full_health: int, params: Any) -> Any:
    """Gives damaged things one health back by chance, from the step on that comes `repair_delay + 1` after a hit.

    Args:
      state: a `BarrierState`.
      uniforms: `[A, ...]` float32 in [0, 1).
      full_health: of a thing that is not damaged.
      params: has `repair_delay` and `repair_probability`.
    """
    chex.assert_equal_shape([state.health, uniforms])
    is_damaged = (state.health > 0) & (state.health < full_health)
    is_repaired = is_damaged & (state.unhit_for >= params.repair_delay) & (uniforms < params.repair_probability)
    return state.replace(health=state.health + is_repaired.astype(jnp.int8))


def rank(priorities: jax.Array) -> jax.Array:
    """The number of agents that go before each agent, `[N, ...]` int32, for priorities `[N, ...]` float32."""
    return count_others(goes_first(priorities))


def fire_in_order(
    order: jax.Array,
    on_ray: jax.Array,
    reach: jax.Array,
    there: jax.Array,
    health: Health,
    full_health: int = FULL_HEALTH,
) -> tuple[jax.Array, Health, jax.Array]:
    """Fires the beams of all agents, one agent after the other, at things that stop them.

    A thing that is destroyed stays in the way of the later beams of the step, with full health.

    Args:
      order: `[N, ...]` int32, the number of agents that fire before each agent.
      on_ray: `[N, rays, length, ...]` int32, the thing on each cell of each ray, A for none; rays have no cell twice.
      reach: `[N, rays, ...]` int32, the cells that each ray touches if nothing is in its way.
      there: `[W, ...]` uint32, packed bits of the things that are there.
      health: of all things.
      full_health: of a thing after it was destroyed, 2 or 3.

    Returns:
      The number of cells before the thing that stops a ray, `[N, rays, ...]` int32, `reach` if none does; the new
      health; and the things that the beam of each agent destroyed, `[N, W, ...]` uint32.
    """
    chex.assert_equal_shape_prefix([order, on_ray, reach], 1)
    chex.assert_type([order, on_ray, reach, there], [int, int, int, jnp.uint32])
    agents = range(len(order))
    fire_one = compute_once(partial(_fire, full_health=full_health))

    def fire_next(place: jax.Array, carry: Any) -> Any:
        covered, destroyed, health = carry
        is_turn = order == place

        def of_agent(array: jax.Array) -> jax.Array:
            return fold(jnp.bitwise_or, [jnp.where(is_turn[i], array[i], 0) for i in agents])

        before, health, struck = fire_one(of_agent(on_ray), of_agent(reach), there, health)
        covered = jnp.where(is_turn[:, None], before[None], covered)
        return covered, jnp.where(is_turn[:, None], struck[None], destroyed), health

    nothing = vary_alike(jnp.zeros((len(order), *there.shape), jnp.uint32), there)
    covered, destroyed, health = jax.lax.fori_loop(0, len(order), fire_next, (reach, nothing, health))
    return covered, health, destroyed


def _fire(
    on_ray: jax.Array, reach: jax.Array, there: jax.Array, health: Health, full_health: int
) -> tuple[jax.Array, Health, jax.Array]:
    """Fires the rays of one agent; see `fire_in_order`, without the axis of agents."""
    covered, destroyed = reach, jnp.zeros_like(there)
    for cell in range(on_ray.shape[1]):
        things = on_ray[:, cell]
        is_met = (cell < covered) & look_up_bits(there, things)
        is_stopped = is_met & ~look_up_bits(health.low & ~health.high, things)
        covered = jnp.where(is_stopped, cell, covered)
        marks = [jnp.where(met, mark_bits(thing, len(there)), 0) for met, thing in zip(is_met, things, strict=True)]
        met = fold(jnp.bitwise_or, marks)
        last, low, high = met & health.low & ~health.high, health.low, health.high
        destroyed |= last
        changes_low = met if full_health == 2 else met & high  # 2 follows 1, or 3 does
        health = Health(low ^ changes_low, high ^ (met & ~(low & high)))
    return covered, health, destroyed


def find_first_hits(struck: Struck, order: jax.Array) -> jax.Array:
    """Finds the hits of agents that have no agent in common with an earlier hit of the step.

    The hits have the order of the shooters, for each of them first that of the left ray, then that of the right one,
    then that of the middle one.

    Args:
      struck: the hits of beams with three rays.
      order: `[N, ...]` int32, the number of agents that fire before each agent.

    Returns:
      `[N, N, ...]` bool.
    """
    chex.assert_equal_shape([struck.given, struck.right])
    place = jnp.where(struck.right == 0, 2, jnp.where(struck.right < 0, 0, 1))
    return compute_once(_choose_first)(jnp.where(struck.given, order[:, None] * 3 + place, LAST))


def _choose_first(places: jax.Array) -> jax.Array:
    """Chooses hits in order, none of which has an agent in common with an earlier one, `[N, N, ...]` bool.

    Args:
      places: `[N, N, ...]` int32, the place of the hit of j by i in the order of the step; LAST if i does not hit j.
    """
    chosen = jnp.zeros(places.shape, bool)
    for _ in range(len(places) // 2):  # each round chooses at least one pair of agents
        of_shooter, of_target = (fold(jnp.minimum, jnp.unstack(places, axis=axis)) for axis in (1, 0))
        first = jnp.minimum(of_shooter, of_target)
        is_first = (places == first[:, None]) & (places == first[None]) & (places < LAST)
        chosen |= is_first
        is_involved = any_other(is_first | is_first.swapaxes(0, 1))
        places = jnp.where(is_involved[:, None] | is_involved[None], LAST, places)
    return chosen
