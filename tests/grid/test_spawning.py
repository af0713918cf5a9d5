import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.bits import pack_bits, unpack_bits
from jaxdilemmas.grid.spawning import (
    choose_distinct,
    collect,
    count_down,
    density_probability,
    neighbours_within,
    place_agents,
    regrow_by_density,
    regrow_by_density_in_order,
    return_agents,
    sample_distinct,
    start_timers,
)

PROBABILITIES = (0.0, 0.01, 0.05, 0.1)


def random_cells(seed: int, shape: tuple[int, int], count: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).permutation(shape[0] * shape[1])[:count]
    return np.argwhere(np.ones(shape))[np.sort(chosen)].astype(np.int32)


def assert_all_alike(rows: np.ndarray, orders: list[tuple[int, ...]]) -> None:
    """Every row is one of `orders`, and each of these comes about as often as chance says."""
    counts = dict.fromkeys(orders, 0)
    for row in rows.tolist():
        counts[tuple(row)] += 1
    mean = len(rows) / len(orders)
    assert max(abs(count - mean) for count in counts.values()) <= 5 * np.sqrt(mean * (1 - 1 / len(orders)))


def test_every_ordered_choice_of_distinct_cells_is_equally_likely() -> None:
    keys = jax.random.split(jax.random.key(1), 6000)
    chosen = np.asarray(jax.jit(jax.vmap(lambda key: sample_distinct(key, 4, 3)))(keys))
    assert chosen.dtype == np.int32
    assert_all_alike(chosen, list(itertools.permutations(range(4), 3)))


def test_choice_from_a_population_known_only_when_it_runs_is_as_likely_and_distinct_as_far_as_it_goes() -> None:
    uniforms = np.random.default_rng(0).random((6000, 4)).astype(np.float32)
    choose = jax.jit(jax.vmap(choose_distinct, (0, None)))
    for population in (1, 2, 3, 4, 5):
        count = min(population, 4)
        chosen = np.asarray(choose(uniforms, jnp.array(population, jnp.int32)))[:, :count]
        assert_all_alike(chosen, list(itertools.permutations(range(population), count)))


def test_largest_uniform_chooses_within_the_population() -> None:
    almost_one = np.nextafter(np.float32(1), np.float32(0))
    for population in (3, 100, 328):
        chosen = choose_distinct(jnp.full(3, almost_one), population).tolist()
        assert len(set(chosen)) == 3
        assert 0 <= min(chosen) <= max(chosen) < population


def test_all_of_a_population_may_be_drawn() -> None:
    for seed in range(5):
        assert sorted(sample_distinct(jax.random.key(seed), 6, 6).tolist()) == list(range(6))


def test_time_out_counts_down_to_a_return_and_a_taken_cell_makes_wait() -> None:
    cells = jnp.array([[0, 0], [0, 1], [0, 2], [0, 3], [0, 4], [0, 5]])
    # 5 stands on the cell of 1; 2 is out itself but its stale position is the cell of 3
    positions = jnp.array([[0, 0], [0, 1], [0, 3], [0, 3], [0, 4], [0, 1]])
    timeouts = jnp.array([25, 1, 2, 1, 0, 0])
    assert return_agents(timeouts, cells, positions).tolist() == [24, 1, 1, 0, 0, 0]


def test_agent_whose_cell_is_taken_still_counts_down_to_one() -> None:
    cells = jnp.array([[0, 0], [0, 1]])
    positions = jnp.array([[0, 0], [0, 0]])
    timeouts, seen = jnp.array([4, 0]), []
    for _ in range(6):
        timeouts = return_agents(timeouts, cells, positions)
        seen.append(int(timeouts[0]))
    assert seen == [3, 2, 1, 1, 1, 1]
    assert return_agents(timeouts, cells, jnp.array([[0, 0], [0, 1]])).tolist() == [0, 0]


CELLS = random_cells(3, (4, 7), 8)


def test_agents_that_return_are_placed_on_distinct_free_cells_and_the_others_stay() -> None:
    rng, cases, num_agents = np.random.default_rng(0), 300, 6
    positions = np.stack([rng.permutation(np.argwhere(np.ones((4, 7))))[:num_agents] for _ in range(cases)])
    positions[::2] = np.stack([rng.permutation(CELLS)[:num_agents] for _ in range(0, cases, 2)])
    is_returning = rng.random((cases, num_agents)) < 0.4
    is_present = ~is_returning & (rng.random((cases, num_agents)) < 0.8)
    uniforms = rng.random((cases, num_agents)).astype(np.float32)
    place = jax.jit(jax.vmap(place_agents, (0, 0, 0, 0, None)))
    placed = np.asarray(place(uniforms, is_returning, positions.astype(np.int32), is_present, CELLS))
    assert placed.dtype == np.int32
    for case in range(cases):
        taken = {tuple(cell) for cell in positions[case][is_present[case]].tolist()}
        free = {tuple(cell) for cell in CELLS.tolist()} - taken
        returned = [tuple(cell) for cell in placed[case][is_returning[case]].tolist()]
        assert len(set(returned)) == len(returned)
        assert set(returned) <= free
        np.testing.assert_array_equal(placed[case][~is_returning[case]], positions[case][~is_returning[case]])


def test_every_way_to_return_to_the_free_cells_is_equally_likely() -> None:
    positions = jnp.asarray(np.array([[0, 0], CELLS[2], CELLS[5], [1, 1], CELLS[0]], np.int32))
    is_returning = jnp.array([False, True, False, True, False])
    is_present = jnp.array([True, False, True, False, False])  # the last is out, so that its cell is free
    uniforms = np.random.default_rng(1).random((9000, 5)).astype(np.float32)
    place = jax.jit(jax.vmap(lambda u: place_agents(u, is_returning, positions, is_present, CELLS)))
    placed = np.asarray(place(uniforms))[:, [1, 3]]
    index = (placed[:, :, None, :] == CELLS).all(-1).argmax(-1)
    np.testing.assert_array_equal(CELLS[index], placed)
    assert_all_alike(index, list(itertools.permutations([0, 1, 2, 3, 4, 6, 7], 2)))


def test_resource_is_alive_again_exactly_when_its_timer_has_run_down() -> None:
    alive, timers = jnp.array([False, True, False]), jnp.array([3, 0, 1])
    seen = []
    for _ in range(4):
        alive, timers = count_down(alive, timers)
        seen.append(alive.tolist())
    assert seen == [[False, True, True], [False, True, True], [True, True, True], [True, True, True]]


def test_wait_begins_only_for_resources_just_taken() -> None:
    timers = start_timers(jnp.array([True, False, False]), jnp.array([0, 0, 7]), 25)
    assert timers.tolist() == [0, 25, 7]
    assert timers.dtype == jnp.int32


@pytest.mark.parametrize("respawn_steps", [1, 2, 25])
def test_resource_taken_in_one_step_can_be_taken_again_exactly_the_respawn_steps_later(respawn_steps: int) -> None:
    alive, timers = jnp.array([False]), start_timers(jnp.array([False]), jnp.array([0]), respawn_steps)
    for step in range(1, respawn_steps + 1):
        alive, timers = count_down(alive, timers)
        assert alive.tolist() == [step == respawn_steps]


@pytest.mark.parametrize(("radius", "norm"), [(2, np.inf), (1, np.inf), (2, 2), (3.5, 2), (1.5, 1)])
def test_neighbours_are_within_the_radius_of_the_norm_and_no_cell_is_its_own(radius: float, norm: float) -> None:
    cells = random_cells(0, (6, 9), 30)
    near = neighbours_within(cells, radius, norm)
    for (i, a), (j, b) in itertools.product(enumerate(cells.tolist()), enumerate(cells.tolist())):
        rows, cols = abs(a[0] - b[0]), abs(a[1] - b[1])
        distance = {np.inf: max(rows, cols), 2: (rows**2 + cols**2) ** 0.5, 1: rows + cols}[norm]
        assert near[i, j] == (i != j and distance <= radius), (a, b)


def test_neighbours_two_away_count_diagonals_by_default() -> None:
    near = neighbours_within(np.array([[0, 0], [2, 2], [0, 3]]), 2)
    assert near.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    assert not neighbours_within(np.array([[0, 0], [2, 2]]), 2, norm=2).any()


def test_chance_to_regrow_goes_up_in_the_four_steps_of_the_table() -> None:
    chances = density_probability(jnp.arange(26), PROBABILITIES)
    assert chances.dtype == jnp.float32
    expected = [0.0] + [0.01] * 2 + [0.05] * 2 + [0.1] * 21
    np.testing.assert_array_equal(chances, np.array(expected, np.float32))


def test_steps_of_the_chance_to_regrow_are_where_a_game_puts_them() -> None:
    chances = density_probability(jnp.arange(5), PROBABILITIES, fewest=(1, 2, 3))
    np.testing.assert_array_equal(chances, np.array([0.0, 0.01, 0.05, 0.1, 0.1], np.float32))


def test_apple_with_no_neighbours_never_regrows() -> None:
    cells = np.array([[0, 0], [0, 3], [5, 5]])
    alive = jnp.array([False, True, True])
    for regrow in (regrow_by_density, regrow_by_density_in_order):
        assert regrow(alive, neighbours_within(cells, 2), PROBABILITIES, jnp.zeros(3)).tolist() == [False, True, True]


@pytest.mark.parametrize("in_order", [False, True])
def test_density_regrowth_is_that_of_the_slow_rule(in_order: bool) -> None:
    cells = random_cells(1, (5, 8), 25)
    rng = np.random.default_rng(2)
    trials = 200
    alive = rng.random((trials, 25)) < rng.random((trials, 1))
    uniforms = (rng.random((trials, 25)) * 0.15).astype(np.float32)
    rule = regrow_by_density_in_order if in_order else regrow_by_density
    near = neighbours_within(cells, 2)
    grown = np.asarray(jax.jit(jax.vmap(lambda a, u: rule(a, near, PROBABILITIES, u)))(alive, uniforms))
    for trial in range(trials):
        before, after = alive[trial], alive[trial].copy()
        for i, cell in enumerate(cells):
            counted = after if in_order else before
            live = sum(bool(counted[j]) for j, other in enumerate(cells) if j != i and np.abs(other - cell).max() <= 2)
            chance = PROBABILITIES[0 if live == 0 else 1 if live <= 2 else 2 if live <= 4 else 3]
            after[i] |= uniforms[trial, i] < np.float32(chance)
        np.testing.assert_array_equal(grown[trial], after)


def test_in_order_a_cell_sees_those_before_it_regrow_and_at_once_it_does_not() -> None:
    near = neighbours_within(np.array([[0, 0], [0, 2], [0, 4], [0, 6]]), 2)
    alive, uniforms = jnp.array([True, False, False, False]), jnp.zeros(4)
    assert regrow_by_density(alive, near, PROBABILITIES, uniforms).tolist() == [True, True, False, False]
    assert regrow_by_density_in_order(alive, near, PROBABILITIES, uniforms).tolist() == [True] * 4
    assert regrow_by_density_in_order(alive[::-1], near, PROBABILITIES, uniforms).tolist() == [False, False, True, True]


def test_only_who_stands_on_a_live_resource_collects_it() -> None:
    index_at = np.full((2, 4), 3, np.int32)
    index_at[0, 1], index_at[1, 3], index_at[0, 0] = 0, 1, 2
    positions = jnp.array([[0, 1], [1, 3], [0, 0], [1, 0]])
    collected, words = collect(
        pack_bits(jnp.array([True, False, True])), index_at, positions, jnp.array([True, True, False, True])
    )
    assert collected.tolist() == [True, False, False, False]
    assert unpack_bits(words, 3).tolist() == [False, False, True]


def test_crowd_collects_as_when_each_agent_takes_what_it_finds_in_turn() -> None:
    cells, rng, cases = random_cells(4, (6, 9), 40), np.random.default_rng(0), 100
    index_at = np.full((6, 9), 40, np.int32)
    index_at[tuple(cells.T)] = np.arange(40)
    alive, can_collect = rng.random((cases, 40)) < 0.5, rng.random((cases, 12)) < 0.8
    positions = rng.integers(0, (6, 9), (cases, 12, 2)).astype(np.int32)

    @jax.jit
    @jax.vmap
    def play(alive: jax.Array, positions: jax.Array, can_collect: jax.Array) -> tuple[jax.Array, jax.Array]:
        collected, words = collect(pack_bits(alive), index_at, positions, can_collect)
        return collected, unpack_bits(words, 40)

    collected, left = play(alive, positions, can_collect)
    for case in range(cases):
        there = {tuple(cell) for cell in cells[alive[case]].tolist()}
        for agent, cell in enumerate(map(tuple, positions[case].tolist())):
            assert collected[case, agent] == (can_collect[case, agent] and cell in there)
            there -= {cell} if can_collect[case, agent] else set()
        assert {tuple(cell) for cell in cells[np.asarray(left[case])].tolist()} == there
