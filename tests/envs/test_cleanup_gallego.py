import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.cleanup_gallego import CleanupGallego
from jaxdilemmas.grid.bits import pack_bits
from jaxdilemmas.grid.river import growth_probability, waste_fraction
from tests.reference.gallego_cleanup import GallegoCleanup
from tests.reference.recordings import FIELDS, Recording, load
from tests.reference.rollouts import act, as_draws, compiled, observe, put, random_actions, replay, start

pytestmark = pytest.mark.usefixtures("quick_compiling")

BEAM, STAND, CLEAN = 6, 7, 8
NORTH, EAST, SOUTH, WEST = range(4)
RECORDINGS = {
    "cleanup_small_n3_random_s0": "small",
    "cleanup_full_n5_random_s0": "full",
    "cleanup_full_n5_2clean3bfs_s0": "full",
    "cleanup_full_n10_bfs_s0": "full",
    "cleanup_full_n10_optimizedP3rall_s0": "full",
}


@functools.cache
def make(map_name: str, num_agents: int) -> CleanupGallego:
    """The game, seen in RGB."""
    return CleanupGallego(map=map_name, num_agents=num_agents, observation="rgb")


def recorded_draws(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The recorded chance by name; 0, which lets everything happen, where the reference drew nothing."""
    candidates = np.maximum(arrays["waste_n_candidates"], 1)
    return {
        "waste_gate": np.nan_to_num(arrays["u_waste_gate"], nan=0.0),
        "waste_choice": np.maximum(arrays["waste_choice_index"] + 0.5, 0) / candidates,
        "apple_growth": np.nan_to_num(arrays["u_apple"], nan=0.0),
    }


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> Recording:
    arrays, config = load(request.param)
    env = make(RECORDINGS[request.param], config["n_agents"])
    return Recording(request.param, env, as_draws(env, recorded_draws(arrays)))


def stream_cells(env: CleanupGallego) -> np.ndarray:
    """The cells of the stream in row-major order."""
    return np.argwhere(env.painter.codes == env.tiles.index("stream"))


def slow_game(env: CleanupGallego, state: Any, **rules: Any) -> GallegoCleanup:
    """The slow game at a moment of the fast one."""
    moment: dict[str, Any] = {name: np.array(getattr(state, name)) for name in (*FIELDS, "waste")}
    return GallegoCleanup(
        walls=env.walls,
        apple_cells=env.apple_cells,
        river_cells=env.river_cells,
        stream_cells=stream_cells(env),
        apple_timers=np.zeros(len(env.apple_cells), int),
        **moment,
        **rules,
    )


def test_static_layers_are_the_recorded_ones(recording: Recording) -> None:
    env, recorded = recording.env, recording.arrays
    np.testing.assert_array_equal(env.walls, recorded["walls"])
    np.testing.assert_array_equal(env.apple_cells, recorded["apple_pos"])
    np.testing.assert_array_equal(env.river_cells, recorded["river_cells"])
    np.testing.assert_array_equal(env.river_cells[env.starts_dirty], recorded["waste_init"])
    assert sorted(env.spawn_cells.tolist()) == sorted(recorded["spawn_points"].tolist())
    np.testing.assert_array_equal(stream_cells(env), recorded["stream_cells"])


def test_default_numbers_are_the_recorded_ones(recording: Recording) -> None:
    names = {
        "apple_growth_rate": "apple_respawn_prob",
        "depletion_threshold": "threshold_depletion",
        "restoration_threshold": "threshold_restoration",
        "waste_probability": "waste_spawn_prob",
        "fine_cost": "fire_cost",
        "fine_penalty": "fire_penalty",
    }
    params = vars(recording.env.default_params)
    assert params == {name: recording.config[names.get(name, name)] for name in params}
    assert len(params) == 10
    assert tuple(recording.env.window) == (recording.config["obs_ahead"], 0, recording.config["obs_side"])


@pytest.mark.slow
def test_every_state_is_the_recorded_one(recording: Recording) -> None:
    for field, key in FIELDS.items():
        np.testing.assert_array_equal(getattr(recording.rollout.states, field), recording.arrays[key][1:], err_msg=key)
    np.testing.assert_array_equal(recording.rollout.states.waste, recording.waste()[1:])


def test_rewards_and_who_is_out_are_the_recorded_ones(recording: Recording) -> None:
    np.testing.assert_array_equal(recording.rollout.rewards, recording.arrays["rewards"])
    np.testing.assert_array_equal(recording.rollout.info["tagged"], recording.arrays["timeout"][1:] > 0)


def test_density_of_waste_and_chance_of_apples_are_the_recorded_ones(recording: Recording) -> None:
    waste, params = recording.rollout.states.waste, recording.env.default_params
    words, num_cells = jax.vmap(pack_bits)(waste), waste.shape[1]
    densities = jax.vmap(lambda river: waste_fraction(river, num_cells))(words)
    chances = jax.vmap(lambda river: growth_probability(river, num_cells, params))(words)
    np.testing.assert_array_equal(densities, recording.arrays["waste_density_info"].astype(np.float32))
    expected = recording.arrays["apple_prob_info"]
    np.testing.assert_allclose(np.maximum(chances, 0), expected, rtol=1e-6, atol=1e-9)


def test_clock_ends_the_episode_when_the_recording_does(recording: Recording) -> None:
    recording.assert_ends_on_time()
    assert not recording.rollout.terminated.any()


def test_rgb_observations_are_the_recorded_pixels(recording: Recording) -> None:
    assert recording.rollout.obs.dtype == np.uint8
    recording.assert_seen_as_recorded()


def test_beam_cells_are_the_recorded_ones_where_no_agent_hides_them(recording: Recording) -> None:
    boards, is_hidden = recording.boards()
    is_fine, is_clean = recording.arrays["beam"], recording.arrays["clean_beam"]
    for name, is_lit in (("beam", is_fine), ("clean_beam", is_clean & ~is_fine)):
        is_beam = boards == recording.env.tiles.index(name)
        np.testing.assert_array_equal(is_beam, is_lit & ~is_hidden)


@pytest.mark.parametrize("name", ["cleanup_small_n3_random_s0", "cleanup_full_n5_2clean3bfs_s0"])
def test_slow_game_replays_the_recordings(name: str) -> None:
    arrays, config = load(name)
    env = make(RECORDINGS[name], config["n_agents"])
    draws, recording = recorded_draws(arrays), Recording(name, env, None)
    game = slow_game(env, recording.start())
    for t in range(200):
        rewards, _ = game.play(arrays["actions"][t], {key: values[t] for key, values in draws.items()})
        np.testing.assert_array_equal(rewards, arrays["rewards"][t])
        np.testing.assert_array_equal(game.beam, arrays["beam"][t])
        np.testing.assert_array_equal(game.clean_beam, arrays["clean_beam"][t])
        for field, key in FIELDS.items():
            np.testing.assert_array_equal(getattr(game, field), arrays[key][t + 1], err_msg=f"{key} {t}")
        np.testing.assert_array_equal(game.waste, recording.waste()[t + 1])
        if t + 1 in arrays["obs_t"]:
            expected = np.moveaxis(arrays["obs"][arrays["obs_t"].tolist().index(t + 1)], 1, -1)
            np.testing.assert_array_equal(game.observe(game.beam), expected)


RULES: dict[str, dict[str, Any]] = {
    "small": {"timeout_steps": 3, "hits_to_tag": 2, "apple_growth_rate": 0.5, "waste_probability": 0.9},
    "full": {
        "timeout_steps": 5,
        "depletion_threshold": 0.6,
        "restoration_threshold": 0.3,
        "fine_cost": 2.0,
        "fine_penalty": 7.0,
        "clean_cost": 3.0,
    },
}


@pytest.mark.parametrize(("map_name", "num_agents"), [("small", 7), ("full", 14)])
@pytest.mark.slow
def test_crowds_larger_than_the_spawn_cells_play_like_the_slow_game(map_name: str, num_agents: int) -> None:
    env = CleanupGallego(map=map_name, num_agents=num_agents, observation="rgb", **RULES[map_name])
    assert num_agents > len(env.spawn_cells)
    counts: dict[str, int] = {}
    for seed in range(2):
        rng, steps = np.random.default_rng(seed), 120
        state = start(env, seed)
        state = state.replace(waste=jnp.asarray(rng.random(len(env.river_cells)) < (0.3, 0.6)[seed]))
        actions = random_actions(rng, (steps, num_agents), beams=0.1, cleans=0.15)
        draws = {"waste_gate": rng.random(steps), "waste_choice": rng.random(steps)}
        draws |= {"apple_growth": rng.random((steps, len(env.apple_cells)))}
        draws = {name: values.astype(np.float32) for name, values in draws.items()}
        rollout = replay(env, state, as_draws(env, draws), actions)
        game = slow_game(env, state, **RULES[map_name])
        for t in range(steps):
            rewards, info = game.play(actions[t], {name: values[t] for name, values in draws.items()})
            np.testing.assert_array_equal(rollout.rewards[t], rewards, err_msg=f"rewards {t}")
            for name in (*FIELDS, "waste"):
                np.testing.assert_array_equal(
                    getattr(rollout.states, name)[t], getattr(game, name), err_msg=f"{name} {t}"
                )
            assert set(rollout.info) == set(info)
            for name, values in info.items():
                np.testing.assert_array_equal(rollout.info[name][t], values, err_msg=f"{name} {t}")
                counts[name] = counts.get(name, 0) + int(values.sum())
            if t % 10 == 0:
                np.testing.assert_array_equal(rollout.obs[t], game.observe(game.beam), err_msg=f"observation {t}")
    assert min(counts.values()) > 20


def test_agents_start_on_distinct_spawn_cells_and_the_surplus_where_nothing_grows_or_flows() -> None:
    env = CleanupGallego(map="small", num_agents=6)
    keys = jax.random.split(jax.random.key(0), 1000)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    cells = np.asarray(states.positions) @ [13, 1]
    spawns = (env.spawn_cells @ [13, 1]).tolist()
    assert {tuple(sorted(row)) for row in cells[:, :3].tolist()} == {tuple(sorted(spawns))}
    assert len(set(map(tuple, cells[:, :3].tolist()))) == 6
    dry = [(r, c) for r in range(1, 10) for c in range(3, 7) if c > 3 or r in (4, 5, 6)]
    stream = {(3, 4), (3, 5), (7, 4), (7, 5)}
    assert set(cells[:, 3:].ravel().tolist()) == {13 * r + c for r, c in dry if (r, c) not in stream}
    assert len({len(set(row)) for row in cells[:, 3:].tolist()}) > 1  # those in surplus may share a cell
    for agent in range(6):
        assert np.abs(np.bincount(np.asarray(states.headings)[:, agent], minlength=4) / 1000 - 0.25).max() < 0.07
    assert states.apples.all()
    assert np.asarray(states.waste).sum(1).tolist() == [8] * 1000
    for name in ("timeouts", "hits", "fired", "cleaned_at", "step_count"):
        assert not np.asarray(getattr(states, name)).any()


@pytest.fixture(scope="module")
def env() -> CleanupGallego:
    return CleanupGallego(map="small", num_agents=3)


def play(env: CleanupGallego, state: Any, *actions: int, **draws: Any) -> tuple[Any, list[float], dict[str, Any]]:
    """One step without new apples or waste but for the draws given."""
    quiet = {"waste_gate": 0.9, "waste_choice": 0.0, "apple_growth": np.full(len(env.apple_cells), 0.9)}
    state, rewards, info = act(env, state, list(actions), as_draws(env, quiet | draws))
    return state, rewards.tolist(), {name: values.tolist() for name, values in info.items()}


def waste_on(env: CleanupGallego, *cells: tuple[int, int]) -> np.ndarray:
    """Waste on these cells of the river only."""
    return np.array([tuple(cell) in cells for cell in env.river_cells.tolist()])


def test_cleaning_takes_all_waste_in_its_rectangle_and_costs_one_however_much_that_is(env: CleanupGallego) -> None:
    state = put(env, [[2, 4], [9, 11], [8, 11]], [WEST, NORTH, NORTH], waste=np.ones(24, bool))
    after, rewards, info = play(env, state, CLEAN, STAND, STAND)
    left = {tuple(cell) for cell in env.river_cells[np.asarray(after.waste)].tolist()}
    assert left == {tuple(cell) for cell in env.river_cells.tolist()} - {(r, c) for r in (1, 2, 3) for c in (1, 2, 3)}
    assert rewards == [-1, 1, 1]
    assert info["cleaned"] == [9, 0, 0]
    _, rewards, info = play(env, after, CLEAN, STAND, STAND)
    assert rewards == [-1, 0, 0]
    assert info["cleaned"] == [0, 0, 0]


def test_waste_that_several_reach_is_cleaned_by_the_lowest_index_that_is_not_out(env: CleanupGallego) -> None:
    waste = waste_on(env, (5, 1), (5, 2), (8, 2))
    state = put(env, [[5, 4], [7, 2], [9, 11]], [WEST, NORTH, NORTH], waste=waste)
    _, rewards, info = play(env, state, CLEAN, CLEAN, STAND)
    assert info["cleaned"] == [2, 0, 0]
    assert rewards == [-1, -1, 1]
    _, rewards, info = play(env, state.replace(timeouts=jnp.array([5, 0, 0])), CLEAN, CLEAN, STAND)
    assert info["cleaned"] == [0, 2, 0]
    assert rewards == [0, -1, 1]


@pytest.mark.parametrize(("shooter", "cleaned"), [(0, 0), (2, 1)])
def test_agent_that_is_hit_before_its_turn_does_not_clean(env: CleanupGallego, shooter: int, cleaned: int) -> None:
    positions = [[5, 5], [4, 11], [5, 4]] if shooter == 0 else [[5, 4], [4, 11], [5, 5]]
    state = put(env, positions, [WEST] * 3, waste=waste_on(env, (5, 1)))
    actions = [BEAM, STAND, CLEAN] if shooter == 0 else [CLEAN, STAND, BEAM]
    after, rewards, info = play(env, state, *actions)
    target = 2 - shooter
    assert rewards[shooter] == -1
    assert rewards[target] == -50 - cleaned
    assert info["cleaned"][target] == cleaned
    assert info["hits_received"][target] == 1
    assert info["hits_given"][shooter] == 1
    assert after.waste.sum() == 1 - cleaned
    assert after.timeouts.tolist()[target] == 25
    assert bool(after.cleaned_at[target]) == bool(cleaned)


def test_fine_costs_one_without_a_hit_and_each_hit_costs_fifty(env: CleanupGallego) -> None:
    state = put(env, [[4, 4], [6, 4], [5, 4]], [NORTH, NORTH, EAST])
    assert play(env, state, BEAM, STAND, STAND)[1] == [-1, 0, 0]
    state = put(env, [[4, 4], [6, 4], [5, 4]], [SOUTH, NORTH, EAST])
    _, rewards, info = play(env, state, BEAM, BEAM, STAND)  # 1 is hit before its turn, and 2 then once
    assert rewards == [-1, -50, -50]
    assert info["hits_received"] == [0, 1, 1]
    twice = env.default_params.replace(hits_to_tag=2)
    quiet = as_draws(env, {"waste_gate": 0.9, "waste_choice": 0.0, "apple_growth": np.ones(45)})
    _, rewards, _, info = compiled(env, "transition")(quiet, state, np.array([BEAM, BEAM, STAND], np.int32), twice)
    assert rewards.tolist() == [-51, -51, -100]
    assert info["hits_received"].tolist() == [1, 1, 2]


def test_beams_pass_walls_agents_and_waste_and_a_fine_is_seen_over_cleaning(env: CleanupGallego) -> None:
    state = put(env, [[5, 4], [5, 3], [5, 2]], [WEST, WEST, EAST], waste=waste_on(env, (5, 1)))
    assert play(env, state, BEAM, STAND, STAND)[2]["hits_given"] == [2, 0, 0]
    cleaning = state.replace(headings=jnp.array([WEST, NORTH, NORTH]), cleaned_at=jnp.array([False, True, False]))
    for fires, expected in ((False, ["river", *["clean_beam"] * 3]), (True, [*["beam"] * 3, "clean_beam"])):
        seen = observe(env, cleaning.replace(fired=jnp.array([fires, False, False])))[0]
        assert [env.tiles[tile] for tile in seen[-4:, 8]] == expected  # (4, 1) to (4, 4), right of a viewer facing west


def test_waste_comes_below_the_threshold_only_and_to_no_cell_with_an_agent(env: CleanupGallego) -> None:
    spot = env.river_cells[-1].tolist()
    for count, comes in ((9, True), (10, False)):  # of 24, with the threshold at 0.4
        state = put(env, [spot, [4, 11], [5, 11]], [NORTH] * 3, waste=np.arange(24) < count, timeouts=[3, 0, 0])
        after, _, _ = play(env, state, STAND, STAND, STAND, waste_gate=0.49, waste_choice=0.9999)
        new = np.flatnonzero(np.asarray(after.waste) & ~np.asarray(state.waste)).tolist()
        assert new == ([22] if comes else [])  # 23 is taken
        after, _, _ = play(env, state, STAND, STAND, STAND, waste_gate=0.5, waste_choice=0.9999)
        np.testing.assert_array_equal(after.waste, state.waste)


def test_apples_grow_by_the_waste_after_the_step_and_not_under_agents(env: CleanupGallego) -> None:
    spot = env.apple_cells[7].tolist()
    state = put(env, [spot, [4, 4], [5, 4]], [NORTH, WEST, NORTH], timeouts=[3, 0, 0], apples=np.zeros(45, bool))
    dirty = state.replace(waste=jnp.arange(24) < 9)  # growth probability 0.05 * (1 - 9 / 24 / 0.4) = 0.003125
    for waste_gate, uniform, grows in ((0.9, 0.0031, True), (0.9, 0.0032, False), (0.1, 0.0, False)):
        draws = {"waste_gate": waste_gate, "apple_growth": np.full(45, uniform)}
        after, _, info = play(env, dirty, STAND, STAND, STAND, **draws)
        assert np.flatnonzero(~np.asarray(after.apples)).tolist() == ([7] if grows else list(range(45)))
        assert info["collected"] == [0, 0, 0]
