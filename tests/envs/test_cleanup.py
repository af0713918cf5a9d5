from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.cleanup import Cleanup
from jaxdilemmas.spaces import view_of
from tests.reference.crowds import Yard, apples_on, play, scatter, slow_cleanup, waste_of, waste_on
from tests.reference.rollouts import as_draws, observe, put, random_actions, random_draws, replay, replay_like

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND, CLEAN = range(9)
NORTH, EAST, SOUTH, WEST = range(4)
AWAY = [[13, 2], [13, 4], [13, 6], [13, 8]]  # where nobody is in anybody's way


@pytest.fixture(scope="module")
def env() -> Cleanup:
    return Cleanup()


@pytest.fixture(scope="module")
def yard() -> Yard:
    return Yard(num_agents=6)


@pytest.mark.slow
def test_game_plays_like_the_slow_one_on_its_map(env: Cleanup) -> None:
    counts = np.zeros(3)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state, draws = scatter(env, seed, step_count=30), random_draws(env, rng, 200)
        actions = random_actions(rng, (200, env.num_agents), beams=0.1, cleans=0.3)
        rollout = replay_like(slow_cleanup(env, state), env, state, draws, actions)
        counts += [rollout.info[name].sum() for name in ("collected", "cleaned", "hits_received")]
    assert counts.min() > 3


@pytest.mark.parametrize(
    "rules",
    [
        {"fine_cooldown": 0, "clean_cooldown": 0, "waste_probability": 1.0, "fine_cost": 3.0, "fine_penalty": 7.0},
        {"fine_cooldown": 3, "clean_cooldown": 1, "apple_growth_rate": 0.4, "waste_start_steps": 60},
        {"depletion_threshold": 0.8, "restoration_threshold": 0.3, "apple_growth_rate": 0.2},
    ],
)
@pytest.mark.slow
def test_crowd_plays_like_the_slow_game_in_a_yard(yard: Yard, rules: dict[str, Any]) -> None:
    params, counts = yard.default_params.replace(**rules), np.zeros(3)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state, draws = scatter(yard, seed, step_count=40), random_draws(yard, rng, 200)
        actions = random_actions(rng, (200, 6), beams=0.2, cleans=0.2)
        rollout = replay_like(slow_cleanup(yard, state, **rules), yard, state, draws, actions, params)
        counts += [rollout.info[name].sum() for name in ("collected", "cleaned", "hits_received")]
    assert counts.min() > 10


def test_map_has_the_river_the_orchard_and_the_spawn_cells_of_lab2d(env: Cleanup) -> None:
    assert env.walls.shape == (21, 30)
    assert (len(env.river_cells), len(env.apple_cells), len(env.spawn_cells)) == (148, 125, 21)
    assert env.river_cells[:, 0].max() == 6
    assert env.apple_cells[:, 0].min() == 15
    assert env.starts_dirty.sum() == 79
    assert env.action_space == jaxdilemmas.Discrete(9)
    assert view_of(env.observation_space).shape == (11, 11)
    assert env.num_agents == 5


def test_default_numbers_are_those_of_the_docs(env: Cleanup) -> None:
    assert vars(env.default_params) == {
        "apple_growth_rate": 0.05,
        "depletion_threshold": 0.4,
        "restoration_threshold": 0.0,
        "waste_probability": 0.5,
        "waste_start_steps": 50,
        "fine_cost": 1,
        "fine_penalty": 50,
        "fine_cooldown": 10,
        "clean_cooldown": 2,
        "max_steps": 1000,
    }


def test_agents_start_on_distinct_spawn_cells_with_every_heading_and_without_apples(env: Cleanup) -> None:
    keys = jax.random.split(jax.random.key(0), 2000)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    cells = np.asarray(states.positions) @ [30, 1]
    spawns = env.spawn_cells @ [30, 1]
    for agent in range(5):
        share = (cells[:, agent, None] == spawns).mean(0)
        assert share.sum() == pytest.approx(1)
        assert np.abs(share - 1 / 21).max() < 0.02
        assert np.abs(np.bincount(np.asarray(states.headings)[:, agent], minlength=4) / 2000 - 0.25).max() < 0.05
    assert all(len(set(row)) == 5 for row in cells.tolist())
    assert not states.apples.any()
    np.testing.assert_array_equal(states.waste, np.broadcast_to(env.starts_dirty, states.waste.shape))
    for name in ("timeouts", "hits", "fired", "cleaned_at", "cooldowns", "rays", "step_count"):
        assert not np.asarray(getattr(states, name)).any()


def test_side_rays_start_beside_the_shooter_and_the_middle_ray_one_cell_ahead(env: Cleanup) -> None:
    for forward in range(-1, 7):
        for right in (-2, -1, 1, 2) if forward == 0 else range(-2, 3):
            state = put(env, [[10, 10], [10 + right, 10 + forward], *AWAY[1:]], [EAST, NORTH, NORTH, NORTH, NORTH])
            _, _, info = play(env, state, BEAM)
            is_hit = 1 <= forward <= 5 if right == 0 else abs(right) == 1 and 0 <= forward <= 4
            assert info["hits_given"].tolist() == [is_hit, 0, 0, 0, 0], (forward, right)


@pytest.mark.parametrize(("action", "tile"), [(BEAM, "beam"), (CLEAN, "clean_beam")])
def test_free_beam_is_seen_on_three_times_five_cells(env: Cleanup, action: int, tile: str) -> None:
    state, _, _ = play(env, put(env, [[10, 10], *AWAY], [EAST] * 5), action)
    is_lit = observe(env, state)[0] == env.tiles.index(tile)
    expected = np.zeros((11, 11), bool)
    expected[4:9, 5], expected[5:10, [4, 6]] = True, True  # the viewer is at row 9, column 5
    np.testing.assert_array_equal(is_lit, expected)
    state, _, _ = play(env, state, STAND)
    assert not (observe(env, state)[0] == env.tiles.index(tile)).any()


def test_walls_stop_each_ray(env: Cleanup) -> None:
    state, _, _ = play(env, put(env, [[7, 3], *AWAY], [WEST, NORTH, NORTH, NORTH, NORTH]), BEAM)
    assert state.rays[0].tolist() == [3, 2, 3]
    state, _, _ = play(env, put(env, [[7, 1], *AWAY], [NORTH] * 5), BEAM)
    assert state.rays[0].tolist() == [0, 5, 5]


def test_fine_stops_at_the_first_agent_of_each_ray_and_passes_waste(env: Cleanup) -> None:
    positions = [[5, 10], [5, 12], [5, 14], [4, 10], [6, 11]]
    state = put(env, positions, [EAST] * 5, waste=waste_on(env, (5, 11), (4, 11)))
    state, rewards, info = play(env, state, BEAM)
    assert info["hits_given"].tolist() == [3, 0, 0, 0, 0]
    assert info["hits_received"].tolist() == [0, 1, 0, 1, 1]
    assert rewards.tolist() == [-3, -50, 0, -50, -50]
    assert state.rays[0].tolist() == [0, 1, 1]
    assert state.waste.sum() == 2


def test_each_fine_costs_its_shooter_one_and_its_target_fifty_and_removes_nobody(env: Cleanup) -> None:
    state = put(env, [[10, 10], [10, 14], [10, 12], *AWAY[2:]], [EAST, WEST, NORTH, NORTH, NORTH])
    state, rewards, info = play(env, state, BEAM, BEAM)
    assert rewards.tolist() == [-1, -1, -100, 0, 0]
    assert info["hits_received"].tolist() == [0, 0, 2, 0, 0]
    assert not info["tagged"].any()
    assert not state.timeouts.any()
    _, rewards, _ = play(env, put(env, [[10, 10], *AWAY], [EAST] * 5), BEAM)
    assert not rewards.any()  # nobody hit, nothing to pay


def test_beams_are_fired_where_agents_stand_after_moving(env: Cleanup) -> None:
    state = put(env, [[10, 10], [8, 13], *AWAY[1:]], [EAST, SOUTH, NORTH, NORTH, NORTH])
    _, _, info = play(env, state, BEAM, FORWARD)
    assert info["hits_received"].tolist() == [0, 1, 0, 0, 0]


def test_clean_passes_agents_and_stops_at_the_first_waste_of_each_ray(env: Cleanup) -> None:
    waste = waste_on(env, (5, 19), (4, 19), (6, 20), (5, 20), (3, 21), (2, 21))
    state = put(env, [[7, 20], [6, 21], [6, 20], *AWAY[2:]], [NORTH] * 5, waste=waste)
    state, rewards, info = play(env, state, CLEAN)
    assert info["cleaned"].tolist() == [3, 0, 0, 0, 0]
    assert state.rays[0].tolist() == [2, 0, 4]
    np.testing.assert_array_equal(state.waste, waste_on(env, (4, 19), (5, 20), (2, 21)))
    assert not rewards.any()
    assert not info["hits_received"].any()


def test_clean_takes_at_most_three_cells_a_shot_and_none_out_of_reach(env: Cleanup) -> None:
    state = put(env, [[7, 20], *AWAY], [NORTH] * 5, waste=waste_of(env, 148))
    _, _, info = play(env, state, CLEAN)
    assert info["cleaned"].tolist() == [3, 0, 0, 0, 0]
    state = put(env, [[7, 20], *AWAY], [NORTH] * 5, waste=waste_on(env, (2, 19), (1, 20), (2, 21), (6, 18)))
    _, _, info = play(env, state, CLEAN)
    assert not info["cleaned"].any()


@pytest.mark.parametrize(("priorities", "credited"), [((0.1, 0.9), 1), ((0.9, 0.1), 0), ((0.5, 0.5), 0)])
def test_waste_that_two_clean_is_credited_to_the_one_with_priority(
    env: Cleanup, priorities: tuple[float, float], credited: int
) -> None:
    state = put(env, [[7, 20], [7, 21], *AWAY[1:]], [NORTH] * 5, waste=waste_on(env, (6, 20), (5, 20)))
    state, _, info = play(env, state, CLEAN, CLEAN, priorities=np.array([*priorities, 0, 0, 0]))
    assert info["cleaned"].tolist() == [int(i == credited) for i in range(5)]
    np.testing.assert_array_equal(state.waste, waste_on(env, (5, 20)))


def test_fines_can_be_fired_every_eleven_and_cleaning_beams_every_three_steps(env: Cleanup) -> None:
    state = put(env, [[10, 10], *AWAY], [EAST] * 5)
    fired, cleaned = [], []
    for _ in range(25):
        state, _, _ = play(env, state, BEAM, CLEAN)
        fired.append(bool(state.fired[0]))
        cleaned.append(bool(state.cleaned_at[1]))
    assert np.flatnonzero(fired).tolist() == [0, 11, 22]
    assert np.flatnonzero(cleaned).tolist() == list(range(0, 25, 3))
    state, _, _ = play(env, put(env, [[10, 10], *AWAY], [EAST] * 5), BEAM)
    state, _, _ = play(env, state, CLEAN)  # each beam has a cooldown of its own
    assert bool(state.cleaned_at[0])
    assert state.cooldowns[0].tolist() == [9, 2]


@pytest.mark.parametrize("count", [0, 1, 30, 59, 60, 90, 148])
def test_chance_of_apples_falls_with_the_waste_and_is_zero_from_two_fifths_on(env: Cleanup, count: int) -> None:
    chance = max(0.0, 0.05 * (0.4 - count / 148) / 0.4)
    state = put(env, [[10, 10], *AWAY], [EAST] * 5, waste=waste_of(env, count))
    uniforms = np.full(125, chance * 1.0001)
    assert not play(env, state, apple_growth=uniforms)[0].apples.any()
    uniforms[::2] = chance * 0.9999
    grown = play(env, state, apple_growth=uniforms)[0].apples
    np.testing.assert_array_equal(grown, (np.arange(125) % 2 == 0) & (chance > 0))


def test_fraction_of_waste_is_that_at_the_start_of_the_step(env: Cleanup) -> None:
    calm = np.zeros(125)
    just_few = put(env, [[10, 10], *AWAY], [EAST] * 5, waste=waste_of(env, 59), step_count=jnp.array(51))
    state, _, _ = play(env, just_few, waste_gate=0.0, apple_growth=calm)
    assert state.waste.sum() == 60
    assert state.apples.all()
    much = waste_of(env, 57) | waste_on(env, (6, 19), (6, 20), (6, 21))
    just_much = put(env, [[7, 20], *AWAY], [NORTH] * 5, waste=much)
    state, _, info = play(env, just_much, CLEAN, apple_growth=calm)
    assert info["cleaned"][0] == 3
    assert not state.apples.any()


@pytest.mark.parametrize(("step_count", "gate", "is_due"), [(50, 0.0, False), (51, 0.4999, True), (51, 0.5, False)])
def test_waste_comes_half_the_time_after_fifty_steps(env: Cleanup, step_count: int, gate: float, is_due: bool) -> None:
    state = put(env, [[10, 10], *AWAY], [EAST] * 5, waste=waste_of(env, 5), step_count=jnp.array(step_count))
    assert play(env, state, waste_gate=gate)[0].waste.sum() == 5 + is_due


def test_new_waste_falls_on_any_clean_cell_of_the_river_alike_agents_or_not(env: Cleanup) -> None:
    clean = np.flatnonzero(np.random.default_rng(0).random(148) < 0.1)
    waste = ~np.isin(np.arange(148), clean)  # however much there is
    on_it = env.river_cells[clean[:5]].tolist()
    state = put(env, on_it, [NORTH] * 5, waste=waste, step_count=jnp.array(51))
    for k, cell in enumerate(clean):
        for choice in ((k + 0.01) / len(clean), (k + 0.99) / len(clean)):
            after = play(env, state, waste_gate=0.0, waste_choice=choice)[0].waste
            assert np.flatnonzero(after != waste).tolist() == [cell]


def test_river_full_of_waste_stays_so(env: Cleanup) -> None:
    state = put(env, [[10, 10], *AWAY], [EAST] * 5, waste=waste_of(env, 148), step_count=jnp.array(51))
    assert play(env, state, waste_gate=0.0, waste_choice=0.99)[0].waste.all()


def test_new_waste_can_be_cleaned_in_the_step_in_which_it_comes(env: Cleanup) -> None:
    state = put(env, [[7, 20], *AWAY], [NORTH] * 5, waste=~waste_on(env, (6, 20)), step_count=jnp.array(51))
    state, _, info = play(env, state, CLEAN, waste_gate=0.0)
    assert info["cleaned"].tolist() == [3, 0, 0, 0, 0]
    assert state.waste.sum() == 145
    assert state.rays[0].tolist()[1] == 0


def test_apple_pays_one_to_who_walks_on_it_and_may_come_back_under_it_at_once(env: Cleanup) -> None:
    state = put(env, [[15, 2], *AWAY], [SOUTH] * 5, waste=waste_of(env, 0), apples=apples_on(env, (16, 2)))
    after, rewards, info = play(env, state, FORWARD)
    assert rewards.tolist() == [1, 0, 0, 0, 0]
    assert not after.apples.any()
    after, rewards, info = play(env, state, FORWARD, apple_growth=np.zeros(125))
    assert rewards.tolist() == [2, 0, 0, 0, 0]
    assert info["collected"].tolist() == [2, 0, 0, 0, 0]
    assert after.apples.sum() == 124
    after, rewards, _ = play(env, after, apple_growth=np.zeros(125))  # stands there as one grows
    assert rewards.tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("action", [9, 1000, -1, -9])
def test_action_out_of_range_is_standing(env: Cleanup, action: int) -> None:
    state = put(env, [[7, 20], *AWAY], [NORTH] * 5, waste=waste_of(env, 148))
    after, stood = play(env, state, action), play(env, state, STAND)
    assert jax.tree.all(jax.tree.map(np.array_equal, after, stood))


@pytest.mark.parametrize("seed", range(4))
def test_rules_hold_in_every_step_of_random_play(yard: Yard, seed: int) -> None:
    rng, state = np.random.default_rng(seed), scatter(yard, seed)
    draws = random_draws(yard, rng, 200)
    rollout = replay(yard, state, as_draws(yard, draws), random_actions(rng, (200, 6), beams=0.1, cleans=0.2))
    states, info = rollout.states, rollout.info
    for name, leaf in vars(state).items():
        assert getattr(states, name).dtype == leaf.dtype
        assert getattr(states, name).shape == (200, *leaf.shape)
    counts = dict.fromkeys(("collected", "cleaned", "hits_received", "hits_given"), "int32")
    assert {name: leaf.dtype.name for name, leaf in info.items()} == counts | {"tagged": "bool"}
    assert not yard.walls[states.positions[..., 0], states.positions[..., 1]].any()
    assert all(len({tuple(cell) for cell in row}) == 6 for row in states.positions.tolist())
    np.testing.assert_array_equal(info["hits_received"].sum(1), info["hits_given"].sum(1))
    np.testing.assert_array_equal(rollout.rewards, info["collected"] - info["hits_given"] - 50 * info["hits_received"])
    assert rollout.rewards.dtype == np.float32
    before = np.concatenate([state.waste[None], states.waste[:-1]])
    is_new = (np.arange(200) > 50) & (draws["waste_gate"] < 0.5) & ~before.all(1)
    np.testing.assert_array_equal(info["cleaned"].sum(1), before.sum(1) + is_new - states.waste.sum(1))
    assert 1 <= info["cleaned"].max() <= 3
    assert not rollout.terminated.any()
    assert ((states.cooldowns >= 0) & (states.cooldowns <= [10, 2])).all()
    assert not (states.fired & states.cleaned_at).any()
    assert (rollout.obs < len(yard.tiles)).all()


def test_view_shows_the_river_waste_and_stream_and_all_kinds_of_observation_say_the_same(env: Cleanup) -> None:
    state = put(env, [[7, 20], [7, 18], *AWAY[1:]], [NORTH] * 5, waste=waste_on(env, (5, 20), (6, 23)))
    seen = observe(env, state)[0]
    tile = {name: index for index, name in enumerate(env.tiles)}
    floor, water, stream = tile["floor"], tile["river"], tile["stream"]
    here, other = tile["self"], tile["other_same_heading"]
    assert seen[9].tolist() == [floor, floor, floor, other, floor, here, stream, stream, floor, floor, floor]
    assert seen[8].tolist() == [floor, *[water] * 7, tile["waste"], floor, floor]
    assert seen[7, 5] == tile["waste"]
    assert (seen[2] == tile["wall"]).all()
    assert (seen[:2] == tile["void"]).all()
    tiles = observe(env, state)
    for kind, expected in (("one_hot", np.eye(14)[tiles]), ("rgb", env.palette[tiles])):
        painted = Cleanup(observation=kind)
        obs = observe(painted, state)
        assert painted.observation_space.contains(obs)
        np.testing.assert_array_equal(obs, expected)
