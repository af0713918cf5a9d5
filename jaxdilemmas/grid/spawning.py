"""Agents that return to the board, and resources that come and go on their own cells.

The agents or resources are on the first axis. Arrays of `choose_headings`, `return_agents`, `count_down` and
`start_timers` may have extra axes behind the named ones; these axes are the same for all arguments.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid.bits import count_bits, look_up_bits, mark_bits, nth_set_bit, pack_bits, unpack_bits
from jaxdilemmas.grid.geometry import any_other, same_cell, take_agents, with_trailing_axes
from jaxdilemmas.uniforms import uniform

MOST_STEPS = np.iinfo(np.int8).max
"""The largest number of steps that `count_up` counts."""


def sample_distinct(key: jax.Array, population: int, count: int) -> jax.Array:
    """Draws `count` distinct indices below `population`, every ordered choice equally likely, `[count]` int32."""
    return choose_distinct(uniform(key, count), population)


def choose_distinct(uniforms: jax.Array, population: int | jax.Array) -> jax.Array:
    """Chooses distinct indices below `population`, every ordered choice equally likely.

    These are the first places of a Fisher-Yates shuffle, found by undoing its swaps. So no array of the size of the
    population is moved.

    Args:
      uniforms: `[count, ...]` float32 in [0, 1).
      population: `[...]` int32; from place `population` on the result has no meaning.

    Returns:
      `[count, ...]` int32.
    """
    count = uniforms.shape[0]
    places = with_trailing_axes(np.arange(count, dtype=np.int32), uniforms.ndim)
    swaps = places + jnp.floor(uniforms * (population - places).astype(jnp.float32)).astype(jnp.int32)
    chosen = swaps
    for k in reversed(range(count)):
        before_swap = jnp.where(chosen == swaps[k], k, jnp.where(chosen == k, swaps[k], chosen))
        chosen = jnp.where(places > k, before_swap, chosen)
    return chosen


def choose_headings(uniforms: jax.Array) -> jax.Array:
    """Headings, each equally likely, `[...]` int32 for `[...]` float32 in [0, 1)."""
    return jnp.floor(uniforms * 4).astype(jnp.int32)


def return_agents(timeouts: jax.Array, cells: jax.Array, positions: jax.Array) -> jax.Array:
    """Counts down the timeouts of agents. An agent returns when its time is over and its cell is free.

    Args:
      timeouts: `[N, ...]` int32, 0 for agents on the board.
      cells: `[N, 2, ...]` int32, the cell to which each agent returns, pairwise distinct.
      positions: `[N, 2, ...]` int32; they count only for agents on the board.

    Returns:
      `[N, ...]` int32, one less than before. If its cell is taken, an agent stays at 1 and so waits.
    """
    chex.assert_shape([cells, positions], (timeouts.shape[0], 2, *timeouts.shape[1:]))
    chex.assert_type([timeouts, cells, positions], int)
    is_taken = any_other(same_cell(cells, positions) & (timeouts == 0)[None])
    return jnp.maximum(timeouts - 1, (is_taken & (timeouts > 0)).astype(jnp.int32))


def place_agents(
    uniforms: jax.Array, is_returning: jax.Array, positions: jax.Array, is_present: jax.Array, cells: np.ndarray
) -> jax.Array:
    """Puts agents that return on distinct free cells, every choice equally likely.

    Args:
      uniforms: `[N, ...]` float32 in [0, 1).
      is_returning: `[N, ...]` bool.
      positions: `[N, 2, ...]` int32.
      is_present: `[N, ...]` bool, the agents on the board; a cell with such an agent is not free.
      cells: `[P, 2]` int32, the cells to which agents may return, P at least N.

    Returns:
      `[N, 2, ...]` int32, the positions of all agents.
    """
    chex.assert_equal_shape([uniforms, is_returning, is_present])
    chex.assert_shape(positions, (len(uniforms), 2, *uniforms.shape[1:]))

    def find_free(positions: jax.Array, is_present: jax.Array) -> jax.Array:
        all_cells = with_trailing_axes(cells, positions.ndim)
        return pack_bits(~any_other(same_cell(all_cells, positions) & is_present[None]))

    words = compute_once(find_free)(positions, is_present)
    chosen = compute_once(choose_distinct)(uniforms, count_bits(words))
    order, earlier = [], jnp.zeros(is_returning.shape[1:], jnp.int32)  # among the agents that return
    for is_one in is_returning:
        order.append(earlier)
        earlier = earlier + is_one.astype(jnp.int32)
    free_cells = compute_once(nth_set_bit)(words, take_agents(chosen, jnp.stack(order)))
    return jnp.where(is_returning[:, None], jnp.moveaxis(jnp.asarray(cells)[free_cells], -1, 1), positions)


def count_up(steps: jax.Array) -> jax.Array:
    """One step more, `[n, ...]` int8; `MOST_STEPS` = 127 stays."""
    chex.assert_type(steps, jnp.int8)
    return jnp.minimum(steps, np.int8(MOST_STEPS - 1)) + np.int8(1)


def count_down(alive: jax.Array, timers: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Restores resources after a fixed time: the timers of dead resources fall by one; at zero the resources are alive.

    Args:
      alive: `[A, ...]` bool.
      timers: `[A, ...]` int32.

    Returns:
      alive and timers.
    """
    chex.assert_equal_shape([alive, timers])
    timers = jnp.where(alive, timers, timers - 1)
    return alive | (timers <= 0), timers


def start_timers(alive: jax.Array, timers: jax.Array, respawn_steps: jax.Array | int) -> jax.Array:
    """Starts the timers of resources that were just taken.

    After `count_down` only these resources are dead with no time left.

    Args:
      alive: `[A, ...]` bool.
      timers: `[A, ...]` int32.
      respawn_steps: `[]` int32, at least 1: a resource taken in step k can be taken again in step k + respawn_steps.

    Returns:
      `[A, ...]` int32.
    """
    chex.assert_equal_shape([alive, timers])
    return jnp.where(~alive & (timers <= 0), respawn_steps, timers).astype(jnp.int32)


def neighbours_within(cells: np.ndarray, radius: float, norm: float = np.inf) -> np.ndarray:
    """Which cells are at most `radius` apart, `[A, A]` bool; no cell is its own neighbour.

    Args:
      cells: `[A, 2]` int32.
      radius: in cells.
      norm: norm of the distance: infinity, where a diagonal step counts one, or 2 for the Euclidean norm.
    """
    distance = np.linalg.norm(cells[:, None, :] - cells[None, :, :], ord=norm, axis=-1)
    return (distance <= radius) & ~np.eye(len(cells), dtype=bool)


def count_live_neighbours(alive: jax.Array, neighbours: np.ndarray) -> jax.Array:
    """The number of live neighbours of each cell, `[A, ...]` float32.

    Args:
      alive: `[A, ...]` bool.
      neighbours: `[A, A]` bool, see `neighbours_within`.
    """
    return jnp.tensordot(jnp.asarray(neighbours, jnp.float32), alive.astype(jnp.float32), 1)


def density_probability(
    counts: jax.Array, probabilities: Sequence[float] | jax.Array, fewest: tuple[int, int, int] = (1, 3, 5)
) -> jax.Array:
    """The probability to regrow by the number of live neighbours: by default for none, 1 or 2, 3 or 4, and more.

    Args:
      counts: `[...]` int32.
      probabilities: `[4]` float32.
      fewest: smallest numbers of neighbours for the second, third and fourth probability.

    Returns:
      `[...]` float32.

    Source: Perolat et al. 2017 (arXiv:1707.06600), as tabulated in vicgalle/llm-policies-social-dilemmas @ f5c5b2b.
    """
    none, few, some, many = (jnp.asarray(probability, jnp.float32) for probability in probabilities)
    is_less = [counts < number for number in fewest]
    return jnp.select(is_less, [none, few, some], many)


def regrow_by_density(
    alive: jax.Array, neighbours: np.ndarray, probabilities: Sequence[float] | jax.Array, uniforms: jax.Array
) -> jax.Array:
    """Regrows dead resources all at once, by the number of live neighbours that each had before.

    Args:
      alive: `[A, ...]` bool.
      neighbours: `[A, A]` bool.
      probabilities: `[4]` float32, see `density_probability`.
      uniforms: `[A, ...]` float32 in [0, 1).

    Returns:
      `[A, ...]` bool.
    """
    chex.assert_equal_shape([alive, uniforms])
    chex.assert_shape(neighbours, (len(alive), len(alive)))
    counts = count_live_neighbours(alive, neighbours)
    return alive | (uniforms < density_probability(counts, probabilities))


def regrow_by_density_in_order(
    alive: jax.Array, neighbours: np.ndarray, probabilities: Sequence[float] | jax.Array, uniforms: jax.Array
) -> jax.Array:
    """As `regrow_by_density`, `[A, ...]` bool, but cell by cell, so that cells that regrew earlier in the scan count.

    Source: the density mode of vicgalle/llm-policies-social-dilemmas @ f5c5b2b.
    """
    chex.assert_equal_shape([alive, uniforms])
    chex.assert_shape(neighbours, (len(alive), len(alive)))
    table = jnp.asarray(neighbours)

    def regrow_one(alive: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
        is_near = with_trailing_axes(table[index], alive.ndim) & alive
        probability = density_probability(is_near.sum(0, dtype=jnp.int32), probabilities)
        is_alive = alive[index] | (uniforms[index] < probability)
        return alive.at[index].set(is_alive), None

    return jax.lax.scan(regrow_one, alive, jnp.arange(alive.shape[0], dtype=jnp.int32))[0]


def collect(
    words: jax.Array, index_at: np.ndarray, positions: jax.Array, can_collect: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Agents take the resources on their cells; of several agents on one cell the lowest index gets the resource.

    Args:
      words: `[W, ...]` uint32, which of A resources are alive, see `bits.pack_bits`.
      index_at: `[H, W]` int32, the resource of each cell, A where there is none.
      positions: `[N, 2, ...]` int32.
      can_collect: `[N, ...]` bool.

    Returns:
      collected `[N, ...]` bool and words `[W, ...]` uint32.
    """
    chex.assert_rank([words, index_at, can_collect], [positions.ndim - 1, 2, positions.ndim - 1])
    chex.assert_shape(positions, (can_collect.shape[0], 2, *can_collect.shape[1:]))
    chex.assert_type([words, index_at, positions, can_collect], [jnp.uint32, int, int, bool])

    def find(words: jax.Array, positions: jax.Array, can_collect: jax.Array) -> tuple[jax.Array, jax.Array]:
        index = jnp.asarray(index_at)[positions[:, 0], positions[:, 1]]
        return index, look_up_bits(words, index) & can_collect

    def take(words: jax.Array, index: jax.Array, stands_on: jax.Array) -> tuple[jax.Array, jax.Array]:
        agent = with_trailing_axes(np.arange(len(index), dtype=np.int32), index.ndim)
        is_earlier = [(index[k] == index) & stands_on[k] & (agent > k) for k in range(len(index))]
        taken = [jnp.where(stands_on[k], mark_bits(index[k], len(words)), jnp.uint32(0)) for k in range(len(index))]
        return stands_on & ~fold(jnp.logical_or, is_earlier), words & ~fold(jnp.bitwise_or, taken)

    return compute_once(take)(words, *compute_once(find)(words, positions, can_collect))


def collect_alive(
    alive: jax.Array, index_at: np.ndarray, positions: jax.Array, can_collect: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Does the same as `collect` for resources `[A]` bool instead of packed bits.

    Args:
      alive: `[A, ...]` bool.
      index_at: `[H, W]` int32, see `collect`.
      positions: `[N, 2, ...]` int32.
      can_collect: `[N, ...]` bool.

    Returns:
      collected `[N, ...]` int32 and alive `[A, ...]` bool.
    """
    collected, words = collect(compute_once(pack_bits)(alive), index_at, positions, can_collect)
    return collected.astype(jnp.int32), unpack_bits(words, len(alive))
