"""Mechanics with extra axes behind the named ones give the same result as one call for each place."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid import barriers, beams, claims, geometry, items, lab2d, movement, sanctions, spawning
from jaxdilemmas.grid.maps import index_of_cells

pytestmark = pytest.mark.usefixtures("quick_compiling")

N, A, B = 4, 5, 200
WALLS = np.pad(np.zeros((3, 4), bool), 1, constant_values=True)
RNG = np.random.default_rng(0)


def distinct_cells() -> np.ndarray:
    """Distinct cells of N agents on the 3 x 4 open cells, `[N, 2, B]` int32."""
    chosen = np.argsort(RNG.random((B, 12)), axis=1)[:, :N]
    return np.stack([1 + chosen // 4, 1 + chosen % 4], 1).transpose(2, 1, 0).astype(np.int32)


POSITIONS, CELLS, HEADINGS = distinct_cells(), distinct_cells(), RNG.integers(0, 4, (N, B)).astype(np.int32)
ACTIONS, PRIORITIES = RNG.integers(0, 9, (N, B)).astype(np.int32), RNG.integers(0, 3, (N, B)).astype(np.float32)
IS_PRESENT, REACH = RNG.random((N, B)) < 0.8, RNG.integers(0, 4, (N, 3, B)).astype(np.int32)
COUNTS, ALIVE = RNG.integers(0, 3, (N, B)).astype(np.int32), RNG.random((A, B)) < 0.5
MARKED, TIMERS = RNG.random((N, 3, 3, B)) < 0.3, RNG.integers(0, 3, (A, B)).astype(np.int32)
COOLDOWNS, WANTS = RNG.integers(0, 2, (N, 2, B)).astype(np.int32), RNG.random((N, 2, B)) < 0.7
STEPS = np.stack([np.full(B, 3), np.full(B, 5)]).astype(np.int32)


class SimpleState(sanctions.SanctionState):
    """What sanctions read and write."""

    cooldowns: jax.Array
    timeouts: jax.Array


def propose(positions: jax.Array, headings: jax.Array, actions: jax.Array) -> jax.Array:
    return movement.propose_moves(positions, headings, actions, jnp.asarray(WALLS))


def move(rule: str) -> Callable[..., jax.Array]:
    """Proposed moves, and what the rule makes of them."""

    def apply(priorities: jax.Array, positions: jax.Array, headings: jax.Array, *rest: jax.Array) -> jax.Array:
        actions, is_present = rest
        return movement.RULES[rule](priorities, positions, propose(positions, headings, actions), is_present)

    return apply


APPLES, GROWTH = RNG.random((12, B)) < 0.5, RNG.random((12, B)).astype(np.float32)
UNIFORMS, IS_RETURNING = RNG.random((N, B)).astype(np.float32), ~IS_PRESENT & (RNG.random((N, B)) < 0.5)
OPEN_CELLS = np.argwhere(~WALLS).astype(np.int32)


def place(uniforms: jax.Array, is_returning: jax.Array, positions: jax.Array, is_present: jax.Array) -> jax.Array:
    return spawning.place_agents(uniforms, is_returning, positions, is_present, OPEN_CELLS)


def collect(apples: jax.Array, positions: jax.Array, is_present: jax.Array) -> tuple[jax.Array, jax.Array]:
    return spawning.collect_alive(apples, index_of_cells(OPEN_CELLS, WALLS.shape), positions, is_present)


def regrow(apples: jax.Array, uniforms: jax.Array) -> jax.Array:
    neighbours = spawning.neighbours_within(OPEN_CELLS, 1)
    return spawning.regrow_by_density(apples, neighbours, (0.0, 0.3, 0.5, 0.9), uniforms)


ON_RAYS = RNG.integers(0, 13, (N, 1, 3, B)).astype(np.int32)
KINDS, ITEM_GROWTH = RNG.integers(0, 4, (12, B)).astype(np.int8), RNG.random((12, B)).astype(np.float32)


def take_items(kinds: jax.Array, positions: jax.Array, is_present: jax.Array) -> tuple[jax.Array, jax.Array]:
    return items.collect(kinds, index_of_cells(OPEN_CELLS, WALLS.shape), positions, is_present)


def grow_apart(kinds: jax.Array, uniforms: jax.Array, positions: jax.Array) -> jax.Array:
    return items.grow_apart(kinds, uniforms, (0.2, 0.3), index_of_cells(OPEN_CELLS, WALLS.shape), positions)


FROZEN, MARKED_FOR, LEAVES = RNG.integers(0, 3, (N, B)).astype(np.int32), COUNTS[::-1], ~IS_PRESENT


def play_sanctions(*fields: jax.Array) -> tuple[jax.Array, ...]:
    """A step of the functions for agents that want `actions` and that `received` beams hit."""
    frozen, marked_for, leaves, cooldowns, actions, received = fields
    state = SimpleState(frozen, marked_for, leaves, cooldowns[:, :1], jnp.zeros_like(frozen))
    state, held = sanctions.hold(state, actions)
    state = sanctions.sanction(sanctions.begin(state, 52), received, sanctions.SanctionParams())
    return state.frozen, state.marked_for, state.leaves, state.cooldowns, state.timeouts, held


ON_RAY, HEALTH = RNG.integers(0, 13, (N, 3, 2, B)).astype(np.int32), RNG.integers(0, 3, (12, B)).astype(np.int8)
OWNERS = RNG.integers(-1, N, (12, B)).astype(np.int8)


def fire(order: jax.Array, on_ray: jax.Array, reach: jax.Array, health: jax.Array) -> Any:
    packed = barriers.pack_health(health)
    return barriers.fire_in_order(order, on_ray, reach, packed.low | packed.high, packed, 2)


def claim(owners: jax.Array, near: jax.Array, far: jax.Array, is_beam: jax.Array, priorities: jax.Array) -> Any:
    state = claims.ClaimState(owners, jnp.abs(owners), owners > 1)
    state, taken = claims.claim(state, near, far, is_beam, priorities)
    return state.owners, state.claimed_for, state.dry, taken


CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "relative_coordinates": (geometry.relative_coordinates, (POSITIONS, HEADINGS, CELLS)),
    "cell_index": (lambda positions: geometry.cell_index(positions, 6), (POSITIONS,)),
    "same_cell": (geometry.same_cell, (POSITIONS, CELLS)),
    "turn": (movement.turn, (HEADINGS, ACTIONS)),
    "propose_moves": (propose, (POSITIONS, HEADINGS, ACTIONS)),
    "goes_first": (movement.goes_first, (PRIORITIES,)),
    **{rule: (move(rule), (PRIORITIES, POSITIONS, HEADINGS, ACTIONS, IS_PRESENT)) for rule in movement.RULES},
    "find_hits": (beams.find_hits, (POSITIONS, HEADINGS, REACH, POSITIONS, IS_PRESENT)),
    "find_zaps": (lab2d.find_zaps, (POSITIONS, HEADINGS, REACH, IS_PRESENT)),
    "stop_at_marks": (beams.stop_at_marks, (MARKED, REACH)),
    "count_hits": (lambda hits, received: beams.count_hits(hits, received, 2), (COUNTS, COUNTS[::-1])),
    "trigger": (lab2d.trigger, (COOLDOWNS, IS_PRESENT, WANTS, STEPS)),
    "return_agents": (spawning.return_agents, (COUNTS, CELLS, POSITIONS)),
    "count_down": (spawning.count_down, (ALIVE, TIMERS)),
    "place_agents": (place, (UNIFORMS, IS_RETURNING, POSITIONS, IS_PRESENT)),
    "collect_alive": (collect, (APPLES, POSITIONS, IS_PRESENT)),
    "items.grow": (lambda kinds, uniforms: items.grow(kinds, uniforms, (0.2, 0.3)), (KINDS, ITEM_GROWTH)),
    "items.grow_apart": (grow_apart, (KINDS, ITEM_GROWTH, POSITIONS)),
    "items.first_on_rays": (items.first_on_rays, (KINDS, ON_RAYS, REACH[:, :1])),
    "items.mark_covered": (lambda on_rays, rays: items.mark_covered(on_rays, rays, 12), (ON_RAYS, REACH[:, :1])),
    "items.collect": (take_items, (KINDS, POSITIONS, IS_PRESENT)),
    "sanctions": (play_sanctions, (FROZEN, MARKED_FOR, LEAVES, COOLDOWNS, ACTIONS, COUNTS)),
    "barriers": (fire, (ACTIONS, ON_RAY, REACH, HEALTH)),
    "claims.claim": (claim, (OWNERS, ON_RAY[:, 0, 0], ON_RAY[:, 0, 1], IS_PRESENT, PRIORITIES)),
    "claims.count_by_owner": (claims.count_by_owner, (OWNERS, OWNERS >= 0, ~IS_PRESENT)),
    "regrow_by_density": (regrow, (APPLES, GROWTH)),
    "ray_segments": (beams.ray_segments, (POSITIONS, HEADINGS, REACH)),
    "start_timers": (lambda alive, timers: spawning.start_timers(alive, timers, 4), (ALIVE, TIMERS)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_trailing_axis_is_a_batch(name: str) -> None:
    function, arrays = CASES[name]
    found = jax.jit(function)(*arrays)
    expected = jax.jit(jax.vmap(function, -1, -1))(*arrays)
    alone = jax.jit(function)(*(array[..., 7] for array in arrays))
    for leaf, batched, single in zip(*map(jax.tree.leaves, (found, expected, alone)), strict=True):
        assert leaf.shape[-1] == B and leaf.dtype == single.dtype and len(np.unique(leaf)) > 1
        np.testing.assert_array_equal(leaf, batched)
        np.testing.assert_array_equal(leaf[..., 7], single)


@pytest.mark.slow
def test_two_trailing_axes_are_as_good_as_one() -> None:
    arrays = PRIORITIES, POSITIONS, HEADINGS, ACTIONS, IS_PRESENT
    for rule in movement.RULES:
        found = move(rule)(*(jnp.asarray(array).reshape(*array.shape[:-1], 4, B // 4) for array in arrays))
        np.testing.assert_array_equal(found.reshape(N, 2, B), move(rule)(*map(jnp.asarray, arrays)))
