from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.cleanup_meltingpot import CleanupMeltingPot
from jaxdilemmas.spaces import view_of
from tests.reference.crowds import MeltingPotYard, apples_on, play, scatter, slow_cleanup, waste_of, waste_on
from tests.reference.rollouts import as_cells, observe, put, random_actions, random_draws, replay_like, start

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND, CLEAN = range(9)
NORTH, EAST, SOUTH, WEST = range(4)


@pytest.fixture(scope="module")
def env() -> CleanupMeltingPot:
    return CleanupMeltingPot(num_agents=3)


@pytest.fixture(scope="module")
def yard() -> MeltingPotYard:
    return MeltingPotYard(num_agents=7, episode_ending="stochastic")


@pytest.fixture(scope="module")
def at_once() -> CleanupMeltingPot:
    return CleanupMeltingPot(num_agents=3, movement="simultaneous")


@pytest.mark.parametrize("movement", ["sequential", "simultaneous"])
@pytest.mark.slow
def test_game_plays_like_the_slow_one_on_its_map(movement: str) -> None:
    env, counts = CleanupMeltingPot(movement=movement), np.zeros(3)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state, draws = scatter(env, seed, step_count=30), random_draws(env, rng, 200)
        actions = random_actions(rng, (200, 7), beams=0.1, cleans=0.3)
        rollout = replay_like(slow_cleanup(env, state, movement=movement), env, state, draws, actions)
        counts += [rollout.info[name].sum() for name in ("collected", "cleaned", "hits_received")]
    assert counts.min() > 3


@pytest.mark.parametrize(
    "rules",
    [
        {"timeout_steps": 2, "clean_cooldown": 0, "fine_cooldown": 1, "apple_growth_rate": 0.4},
        {"timeout_steps": 1, "depletion_threshold": 0.9, "restoration_threshold": 0.8, "apple_growth_rate": 0.9},
        {"timeout_steps": 5, "min_steps": 61, "ending_interval": 3, "ending_probability": 0.5, "fine_penalty": 2.0},
    ],
)
def test_crowd_plays_like_the_slow_game_in_a_yard(yard: MeltingPotYard, rules: dict[str, Any]) -> None:
    params, counts, ends, returns = yard.default_params.replace(**rules), np.zeros(3), 0, 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state, draws = scatter(yard, seed, step_count=40), random_draws(yard, rng, 200)
        actions = random_actions(rng, (200, 7), beams=0.1, cleans=0.2)
        slow = slow_cleanup(yard, state, is_ending_stochastic=True, **rules)
        rollout = replay_like(slow, yard, state, draws, actions, params)
        counts += [rollout.info[name].sum() for name in ("collected", "cleaned", "hits_received")]
        tagged = rollout.info["tagged"]
        returns += int(((tagged[:-1] & ~tagged[1:]).sum(1) > 1).sum())
        ends += int(rollout.terminated.sum())
    assert counts.min() > 10
    assert returns > 0 or rules["timeout_steps"] == 1  # of several at once
    assert (ends > 5) == ("min_steps" in rules)


def test_map_has_the_river_the_orchard_and_the_spawn_cells_of_melting_pot(env: CleanupMeltingPot) -> None:
    assert env.walls.shape == (21, 30)
    assert (len(env.river_cells), len(env.apple_cells), len(env.spawn_cells)) == (147, 122, 19)
    assert env.starts_dirty.sum() == 79
    assert view_of(env.observation_space).shape == (11, 11)
    params = CleanupMeltingPot().default_params
    assert CleanupMeltingPot().num_agents == 7
    assert (params.timeout_steps, params.waste_start_steps, params.fine_cost, params.fine_penalty) == (51, 49, 0, 0)
    assert (params.fine_cooldown, params.clean_cooldown, params.max_steps) == (10, 2, 1000)


def test_beams_are_three_cells_long(env: CleanupMeltingPot) -> None:
    for forward, right, is_hit in ((3, 0, 1), (4, 0, 0), (0, 1, 1), (2, -1, 1), (3, 1, 0), (-1, 1, 0), (1, 2, 0)):
        state = put(env, [[10, 10], [10 + right, 10 + forward], [13, 2]], [EAST, NORTH, NORTH])
        assert play(env, state, BEAM)[2]["hits_given"].tolist() == [is_hit, 0, 0]
    state, _, _ = play(env, put(env, [[10, 10], [13, 4], [13, 2]], [EAST, NORTH, NORTH]), CLEAN)
    assert state.rays.tolist() == [[3, 3, 3], [0, 0, 0], [0, 0, 0]]


def test_agent_that_is_hit_misses_fifty_one_actions_and_comes_back_with_a_new_heading(env: CleanupMeltingPot) -> None:
    state = put(env, [[10, 10], [10, 12], [13, 2]], [EAST, WEST, NORTH])
    state, rewards, info = play(env, state, BEAM, FORWARD)
    assert not rewards.any()  # a fine costs nothing here
    assert info["hits_received"].tolist() == [0, 1, 0]
    assert info["tagged"].tolist() == [False, True, False]
    for left in range(50, -1, -1):
        assert (observe(env, state)[1] == env.tiles.index("void")).all()
        assert (state.positions[1].tolist(), int(state.headings[1])) == ([10, 11], WEST)
        state, _, info = play(env, state, STAND, BEAM, respawn_headings=np.array([0.99, 0.5, 0.0]))
        assert info["tagged"].tolist() == [False, left > 0, False]
        assert not state.fired[1]
    assert state.positions[1].tolist() == env.spawn_cells[0].tolist()
    assert state.headings.tolist() == [EAST, SOUTH, NORTH]
    assert observe(env, state)[1, 9, 5] == env.tiles.index("self")
    state, _, _ = play(env, state, STAND, FORWARD)
    assert state.positions[1].tolist() == [env.spawn_cells[0][0] + 1, env.spawn_cells[0][1]]


def test_agent_that_is_out_is_not_seen_and_neither_blocks_nor_is_hit_nor_collects(env: CleanupMeltingPot) -> None:
    state = put(env, [[15, 3], [16, 3], [16, 3]], [SOUTH] * 3, timeouts=jnp.array([0, 9, 7], jnp.int32))
    state = state.replace(apples=jnp.asarray(apples_on(env, (16, 3))), cooldowns=jnp.full((3, 2), 2, jnp.int32))
    assert not (observe(env, state)[0] == env.tiles.index("other_same_heading")).any()
    after, rewards, _ = play(env, state)
    assert not rewards.any()
    assert after.cooldowns.tolist() == [[1, 1], [2, 2], [2, 2]]  # only of those on the board
    after, rewards, _ = play(env, state, FORWARD)
    assert rewards.tolist() == [1, 0, 0]
    _, _, info = play(env, state.replace(cooldowns=jnp.zeros((3, 2), jnp.int32)), BEAM, BEAM)
    assert info["hits_given"].tolist() == [0, 0, 0]


def test_two_agents_can_remove_each_other_at_once_and_their_beams_are_seen_once(env: CleanupMeltingPot) -> None:
    state = put(env, [[10, 10], [10, 13], [13, 11]], [EAST, WEST, NORTH])
    state, _, info = play(env, state, BEAM, BEAM)
    assert info["hits_given"].tolist() == [1, 1, 0]
    assert state.timeouts.tolist() == [51, 51, 0]
    is_lit = observe(env, state)[2] == env.tiles.index("beam")
    assert is_lit.sum() == 10  # two between them and four on each side
    state, _, _ = play(env, state, BEAM, BEAM)
    assert not state.fired.any()
    assert not (observe(env, state)[2] == env.tiles.index("beam")).any()


def test_agent_that_is_hit_while_it_cleans_has_cleaned(env: CleanupMeltingPot) -> None:
    state = put(env, [[7, 18], [7, 20], [9, 20]], [EAST, NORTH, NORTH], waste=waste_on(env, (6, 20)))
    state, _, info = play(env, state, BEAM, CLEAN)
    assert info["cleaned"].tolist() == [0, 1, 0]
    assert info["tagged"].tolist() == [False, True, False]
    assert not state.waste.any()
    assert state.cleaned_at.tolist() == [False, True, False]
    assert (observe(env, state)[2] == env.tiles.index("clean_beam")).any()


def test_agents_come_back_on_distinct_free_spawn_cells_every_choice_alike(env: CleanupMeltingPot) -> None:
    spawns = as_cells(env.spawn_cells)
    taken = spawns[4]
    state = put(env, [[1, 1], list(taken), [1, 1]], [NORTH] * 3, timeouts=jnp.array([1, 0, 1], jnp.int32))
    pairs = set()
    for first in range(18):
        for second in range(17):
            respawns = np.array([(first + 0.5) / 18, (second + 0.5) / 17, 0.0])
            after, _, _ = play(env, state, respawns=respawns)
            cells = as_cells(after.positions)
            assert cells[1] == taken
            pairs.add((cells[0], cells[2]))
    free = [cell for cell in spawns if cell != taken]
    assert pairs == {(a, b) for a in free for b in free if a != b}


def test_spawn_cell_left_in_the_step_is_free_and_one_entered_or_of_an_agent_just_hit_is_not(
    env: CleanupMeltingPot,
) -> None:
    row, col = env.spawn_cells[0].tolist()
    waiting = jnp.array([0, 1, 0], jnp.int32)
    state = put(env, [[row, col], [1, 1], [13, 11]], [EAST, NORTH, NORTH], timeouts=waiting)
    assert play(env, state, FORWARD)[0].positions[1].tolist() == [row, col]
    assert play(env, state, STAND)[0].positions[1].tolist() == env.spawn_cells[1].tolist()
    enters = put(env, [[row, col - 1], [1, 1], [13, 11]], [EAST, NORTH, NORTH], timeouts=waiting)
    assert play(env, enters, FORWARD)[0].positions[1].tolist() == env.spawn_cells[1].tolist()
    hit = put(env, [[row, col], [1, 1], [row, col - 2]], [EAST, NORTH, EAST], timeouts=waiting)
    after, _, _ = play(env, hit, STAND, STAND, BEAM)
    assert after.timeouts.tolist() == [51, 0, 0]
    assert after.positions[1].tolist() == env.spawn_cells[1].tolist()


def test_apples_grow_before_agents_move_and_not_where_they_have_just_eaten(env: CleanupMeltingPot) -> None:
    state = put(env, [[16, 2], [13, 4], [13, 2]], [EAST, NORTH, NORTH], waste=waste_of(env, 0))
    after, rewards, info = play(env, state, FORWARD, apple_growth=np.zeros(122))
    assert rewards.tolist() == [2, 0, 0]  # the one that grew under it and the one that grew ahead
    assert info["collected"].tolist() == [2, 0, 0]
    assert after.apples.sum() == 120


def test_apple_that_grows_under_an_agent_pays_again_if_the_agent_tries_to_move_and_cannot(
    env: CleanupMeltingPot, at_once: CleanupMeltingPot
) -> None:
    for game in (env, at_once):
        walled = put(game, [[19, 2], [13, 4], [13, 2]], [SOUTH, NORTH, NORTH], waste=waste_of(game, 0))
        held = put(game, [[16, 2], [16, 3], [13, 2]], [EAST, NORTH, NORTH], waste=waste_of(game, 0))
        for state, others in ((walled, [0, 0]), (held, [1, 0])):
            for action, paid in ((FORWARD, 2), (STAND, 1), (TURN_LEFT, 1), (BEAM, 1), (CLEAN, 1)):
                after, rewards, _ = play(game, state, action, apple_growth=np.zeros(122))
                assert rewards.tolist() == [paid, *others]
                assert after.apples.sum() == 121 - sum(others)


@pytest.mark.parametrize(("priorities", "rewards"), [([0.9, 0.5, 0.1], [1, 1, 0]), ([0.5, 0.9, 0.1], [1, 0, 0])])
def test_apple_that_grows_under_an_agent_is_paid_to_it_and_to_the_agent_that_follows_it(
    env: CleanupMeltingPot, priorities: list[float], rewards: list[int]
) -> None:
    state = put(env, [[16, 3], [16, 2], [13, 2]], [EAST, EAST, NORTH], waste=waste_of(env, 0))
    grown = np.where(apples_on(env, (16, 3)), 0, 0.9)
    after, paid, _ = play(env, state, FORWARD, FORWARD, apple_growth=grown, priorities=np.array(priorities))
    assert paid.tolist() == rewards
    assert after.positions[0].tolist() == [16, 4]
    assert after.apples.sum() == 0


def test_every_agent_whose_ray_hits_waste_is_credited_whatever_the_priorities(env: CleanupMeltingPot) -> None:
    waste = waste_on(env, (5, 20), (4, 19))
    for priorities in ([0.1, 0.9, 0.5], [0.9, 0.1, 0.5]):
        state = put(env, [[7, 20], [6, 19], [7, 21]], [NORTH] * 3, waste=waste)
        after, _, info = play(env, state, CLEAN, CLEAN, CLEAN, priorities=np.array(priorities))
        assert info["cleaned"].tolist() == [1, 2, 1]
        assert after.rays.tolist() == [[3, 1, 3], [3, 1, 1], [2, 3, 3]]
        assert not after.waste.any()


def test_train_moves_only_as_far_as_leaders_moved_first_and_rings_never_do(
    env: CleanupMeltingPot, at_once: CleanupMeltingPot
) -> None:
    train = [[10, 12], [10, 11], [10, 10]]
    for game, priorities, cols in (
        (env, [0.9, 0.5, 0.1], [13, 12, 11]),
        (env, [0.5, 0.9, 0.1], [13, 11, 10]),
        (env, [0.5, 0.1, 0.9], [13, 12, 10]),
        (at_once, [0.5, 0.1, 0.9], [13, 12, 11]),
    ):
        state = put(game, train, [EAST] * 3)
        after, _, _ = play(game, state, *[FORWARD] * 3, priorities=np.array(priorities))
        assert after.positions[:, 1].tolist() == cols


@pytest.mark.parametrize(("step_count", "is_due"), [(49, False), (50, True)])
def test_waste_comes_from_the_fifty_first_step_on(env: CleanupMeltingPot, step_count: int, is_due: bool) -> None:
    state = put(env, [[10, 10], [13, 4], [13, 2]], [EAST] * 3, step_count=jnp.array(step_count))
    assert play(env, state, waste_gate=0.0)[0].waste.sum() == 79 + is_due


@pytest.mark.parametrize(("ending", "ends"), [("clock", []), ("stochastic", [1099, 1199, 1299])])
def test_episode_may_end_after_1099_steps_and_each_hundred_more_only_if_chosen(ending: str, ends: list[int]) -> None:
    env = CleanupMeltingPot(num_agents=3, episode_ending=ending)
    assert env.default_params.max_steps == (5000 if ends else 1000)
    state, draws = start(env), env.draw(jax.random.key(0), start(env), env.default_params)

    def is_over(step_count: jax.Array, luck: jax.Array) -> jax.Array:
        moment = state.replace(step_count=step_count)
        stand = jnp.full(3, STAND, jnp.int32)
        return env.transition(draws.replace(episode_end=luck), moment, stand, env.default_params)[2]

    steps = jnp.arange(900, 1398)
    over = jax.jit(jax.vmap(jax.vmap(is_over, (0, None)), (None, 0)))(steps, jnp.array([0.0, 0.1999, 0.2, 0.9]))
    for row, is_lucky in zip(np.asarray(over), (False, False, True, True), strict=True):
        assert (np.flatnonzero(row) + 901).tolist() == ([] if is_lucky else ends)


@pytest.mark.parametrize("name", ["harvest", "cleanup_meltingpot"])
@pytest.mark.parametrize("argument", ["movement", "episode_ending"])
@pytest.mark.parametrize("value", ["in turn", "", None, 1, ["sequential"], True])
def test_wrong_movement_and_episode_ending_are_refused(name: str, argument: str, value: object) -> None:
    allowed = {"movement": "sequential, simultaneous", "episode_ending": "clock, stochastic"}[argument]
    with pytest.raises(ValueError, match=rf"{argument}=.* is not allowed: one of {allowed}"):
        jaxdilemmas.make(name, **{argument: value})


def test_chance_of_a_step_is_uniform_and_its_parts_do_not_move_together(env: CleanupMeltingPot) -> None:
    state = start(env)
    keys = jax.random.split(jax.random.key(0), 2000)
    draws = jax.jit(jax.vmap(lambda key: env.draw(key, state, env.default_params)))(keys)
    parts = np.concatenate([np.asarray(part).reshape(2000, -1) for part in vars(draws).values()], 1)
    assert parts.shape == (2000, 3 + 3 + 3 + 3 + 122)
    assert ((parts >= 0) & (parts < 1)).all()
    assert np.abs(parts.mean(0) - 0.5).max() < 0.03
    assert np.abs(parts.std(0) - 12**-0.5).max() < 0.02
    assert np.abs(np.corrcoef(parts.T) - np.eye(134)).max() < 0.12
