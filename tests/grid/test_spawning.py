import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid.spawning import (
    collect,
    count_down,
    density_probability,
    neighbours_within,
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


def test_every_ordered_choice_of_distinct_cells_is_equally_likely() -> None:
    draws = 6000
    chosen = np.asarray(
        jax.jit(jax.vmap(lambda k: sample_distinct(k, 4, 3)))(jax.random.split(jax.random.key(1), draws))
    )
    assert chosen.dtype == np.int32
    orders = list(itertools.permutations(range(4), 3))
    counts = dict.fromkeys(orders, 0)
    for row in chosen:
        counts[tuple(row.tolist())] += 1
    spread = np.sqrt(draws / len(orders) * (1 - 1 / len(orders)))
    assert max(abs(count - draws / len(orders)) for count in counts.values()) < 5 * spread


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


def test_neighbours_are_two_rows_and_columns_away_at_most_and_not_the_cell_itself() -> None:
    cells = random_cells(0, (6, 9), 30)
    near = neighbours_within(cells, 2)
    for (i, a), (j, b) in itertools.product(enumerate(cells), enumerate(cells)):
        assert near[i, j] == (i != j and abs(a[0] - b[0]) <= 2 and abs(a[1] - b[1]) <= 2)


def test_chance_to_regrow_goes_up_in_the_four_steps_of_the_table() -> None:
    chances = density_probability(jnp.arange(26), PROBABILITIES)
    assert chances.dtype == jnp.float32
    expected = [0.0] + [0.01] * 2 + [0.05] * 2 + [0.1] * 21
    np.testing.assert_array_equal(chances, np.array(expected, np.float32))


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
    collected, alive = collect(
        jnp.array([True, False, True]), index_at, positions, jnp.array([True, True, False, True])
    )
    assert collected.tolist() == [True, False, False, False]
    assert alive.tolist() == [False, False, True]


def test_of_several_agents_on_one_resource_the_lowest_index_that_can_collects() -> None:
    index_at = np.zeros((1, 1), np.int32)
    positions = jnp.zeros((3, 2), jnp.int32)
    collected, alive = collect(jnp.array([True]), index_at, positions, jnp.array([False, True, True]))
    assert collected.tolist() == [False, True, False]
    assert alive.tolist() == [False]
