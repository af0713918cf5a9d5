"""Agents that come to the board, and resources that come and go on cells of their own."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid.geometry import same_cell


def sample_distinct(key: jax.Array, population: int, count: int) -> jax.Array:
    """Draws `count` distinct indices below `population`, every ordered choice equally likely.

    The first `count` places of a Fisher-Yates shuffle, found by undoing its swaps: no array of the population is moved.

    Returns:
      `[count]` int32.
    """
    places = jnp.arange(count)
    swaps = places + jnp.floor(jax.random.uniform(key, (count,)) * (population - places)).astype(jnp.int32)
    chosen = swaps
    for k in reversed(range(count)):
        before_swap = jnp.where(chosen == swaps[k], k, jnp.where(chosen == k, swaps[k], chosen))
        chosen = jnp.where(places > k, before_swap, chosen)
    return chosen


def return_agents(timeouts: jax.Array, cells: jax.Array, positions: jax.Array) -> jax.Array:
    """Counts down the time that agents spend out and lets back in those whose time is up and whose cell is free.

    Args:
      timeouts: `[N]` int32, 0 for agents on the board.
      cells: `[N, 2]` int32, where each agent comes back, pairwise distinct.
      positions: `[N, 2]` int32; counts only for agents on the board.

    Returns:
      `[N]` int32: one less, except that an agent whose cell is taken stays at 1 and so waits.
    """
    is_taken = (same_cell(cells, positions) & (timeouts == 0)[None, :]).any(1)
    return jnp.maximum(timeouts - 1, (is_taken & (timeouts > 0)).astype(jnp.int32))


def count_down(alive: jax.Array, timers: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Brings back resources after a fixed time: the timers of the dead fall by one, at zero they are alive.

    Args:
      alive: `[A]` bool.
      timers: `[A]` int32.

    Returns:
      alive and timers.
    """
    timers = jnp.where(alive, timers, timers - 1)
    return alive | (timers <= 0), timers


def start_timers(alive: jax.Array, timers: jax.Array, respawn_steps: jax.Array | int) -> jax.Array:
    """Lets the wait of resources begin that were just taken: the only ones dead with no time left after `count_down`.

    Args:
      alive: `[A]` bool.
      timers: `[A]` int32.
      respawn_steps: `[]` int32, at least 1: a resource taken in step k can be taken again in step k + respawn_steps.

    Returns:
      `[A]` int32.
    """
    return jnp.where(~alive & (timers <= 0), respawn_steps, timers).astype(jnp.int32)


def neighbours_within(cells: np.ndarray, radius: int) -> np.ndarray:
    """Which cells are at most `radius` apart, diagonals counting one, `[A, A]` bool; no cell is its own neighbour."""
    distance = np.abs(cells[:, None, :] - cells[None, :, :]).max(-1)
    return (distance <= radius) & ~np.eye(len(cells), dtype=bool)


def density_probability(counts: jax.Array, probabilities: Sequence[float] | jax.Array) -> jax.Array:
    """Chance to regrow by the number of live neighbours: none, 1 or 2, 3 or 4, more.

    Args:
      counts: `[...]` int32.
      probabilities: `[4]` float32.

    Returns:
      `[...]` float32.

    Source: Perolat et al. 2017 (arXiv:1707.06600), as tabulated in vicgalle/llm-policies-social-dilemmas @ f5c5b2b.
    """
    none, few, some, many = probabilities
    return jnp.select([counts <= 0, counts <= 2, counts <= 4], [none, few, some], many).astype(jnp.float32)


def regrow_by_density(
    alive: jax.Array, neighbours: np.ndarray, probabilities: Sequence[float] | jax.Array, uniforms: jax.Array
) -> jax.Array:
    """Regrows the dead all at once, by the live neighbours each had before.

    Args:
      alive: `[A]` bool.
      neighbours: `[A, A]` bool.
      probabilities: `[4]` float32, see `density_probability`.
      uniforms: `[A]` float32 in [0, 1).

    Returns:
      `[A]` bool.
    """
    counts = jnp.asarray(neighbours, jnp.float32) @ alive.astype(jnp.float32)
    return alive | (uniforms < density_probability(counts, probabilities))


def regrow_by_density_in_order(
    alive: jax.Array, neighbours: np.ndarray, probabilities: Sequence[float] | jax.Array, uniforms: jax.Array
) -> jax.Array:
    """As `regrow_by_density`, but one cell after the other: cells that regrew earlier in the scan count.

    Source: the density mode of vicgalle/llm-policies-social-dilemmas @ f5c5b2b.
    """
    table = jnp.asarray(neighbours)

    def regrow_one(alive: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
        probability = density_probability((table[index] & alive).sum(), probabilities)
        is_alive = alive[index] | (uniforms[index] < probability)
        return alive.at[index].set(is_alive), None

    return jax.lax.scan(regrow_one, alive, jnp.arange(alive.shape[0]))[0]


def collect(
    alive: jax.Array, index_at: np.ndarray, positions: jax.Array, can_collect: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Agents take what lies on their cells; of several agents on one cell the lowest index gets it.

    Args:
      alive: `[A]` bool.
      index_at: `[H, W]` int32, the resource of each cell, A where there is none.
      positions: `[N, 2]` int32.
      can_collect: `[N]` bool.

    Returns:
      collected `[N]` bool and alive `[A]` bool.
    """
    chex.assert_rank([alive, index_at, can_collect], [1, 2, 1])
    chex.assert_shape(positions, (can_collect.shape[0], 2))
    chex.assert_type([alive, index_at, positions, can_collect], [bool, int, int, bool])
    resources = jnp.arange(alive.shape[0])
    index = jnp.asarray(index_at)[positions[:, 0], positions[:, 1]]
    stands_on = (index[:, None] == resources[None, :]) & alive[None, :] & can_collect[:, None]  # [N, A]
    is_first = jnp.cumsum(stands_on, axis=0) == 1
    return (stands_on & is_first).any(1), alive & ~stands_on.any(0)
