from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.environment import NoDraws
from jaxdilemmas.envs.gallego import CommonsDraws, CommonsGallego, GatheringGallego
from tests.reference.gallego import Game
from tests.reference.recordings import FIELDS, Recording, load
from tests.reference.rollouts import random_actions, replay, start

pytestmark = pytest.mark.usefixtures("quick_compiling")
GATHERING = {
    "gathering_small_n2_random_s0": "small",
    "gathering_default_n4_beamy_s0": "default",
    "gathering_large_n10_random_s0": "large",
    "gathering_large_n10_bfs_s0": "large",
}
COMMONS = "commons_density_n12_random_s0"
RECORDINGS = [*GATHERING, COMMONS]


@pytest.fixture(scope="module", params=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> Recording:
    name = request.param
    arrays, config = load(name)
    if name == COMMONS:
        uniforms = np.nan_to_num(arrays["u_apple"], nan=1.0)
        draws = CommonsDraws(jnp.asarray(uniforms, jnp.float32))
        return Recording(name, CommonsGallego(num_agents=config["n_agents"], observation="rgb"), draws)
    env = GatheringGallego(map=GATHERING[name], num_agents=config["n_agents"], observation="rgb")
    return Recording(name, env, NoDraws())


def test_static_layers_are_the_recorded_ones(recording: Recording) -> None:
    env, recorded = recording.env, recording.arrays
    np.testing.assert_array_equal(env.walls, recorded["walls"])
    np.testing.assert_array_equal(env.apple_cells, recorded["apple_pos"])
    assert sorted(env.spawn_cells.tolist()) == sorted(recorded["spawn_points"].tolist())


def test_default_numbers_are_the_recorded_ones(recording: Recording) -> None:
    params, config = recording.env.default_params, recording.config
    assert params.max_steps == config["max_steps"]
    assert params.hits_to_tag == config["hits_to_tag"]
    assert params.timeout_steps == config["timeout_steps"]
    assert tuple(recording.env.window) == (config["obs_ahead"], 0, config["obs_side"])
    if hasattr(params, "apple_respawn_steps"):
        assert params.apple_respawn_steps == config["apple_respawn_time"]


def test_every_state_is_the_recorded_one(recording: Recording) -> None:
    has_timers = recording.config["respawn_mode"] == "fixed"
    assert hasattr(recording.rollout.states, "apple_timers") == has_timers
    for field, key in (FIELDS | ({"apple_timers": "apple_timer"} if has_timers else {})).items():
        np.testing.assert_array_equal(getattr(recording.rollout.states, field), recording.arrays[key][1:], err_msg=key)


def test_rewards_and_counts_are_the_recorded_ones(recording: Recording) -> None:
    rewards = recording.arrays["rewards"]
    np.testing.assert_array_equal(recording.rollout.rewards, rewards)
    np.testing.assert_array_equal(recording.rollout.info["collected"], rewards)
    np.testing.assert_array_equal(recording.rollout.info["tagged"], recording.arrays["timeout"][1:] > 0)


def test_clock_ends_the_episode_when_the_recording_does(recording: Recording) -> None:
    recording.assert_ends_on_time()
    assert not recording.rollout.terminated.any()


def test_rgb_observations_are_the_recorded_pixels(recording: Recording) -> None:
    assert recording.rollout.obs.dtype == np.uint8
    recording.assert_seen_as_recorded()


def test_beam_cells_are_the_recorded_ones_where_no_agent_hides_them(recording: Recording) -> None:
    boards, is_hidden = recording.boards()
    is_beam = boards == recording.env.tiles.index("beam")
    np.testing.assert_array_equal(is_beam & ~is_hidden, recording.arrays["beam"] & ~is_hidden)
    assert not is_beam[is_hidden].any()


@pytest.mark.parametrize("name", RECORDINGS)
def test_slow_game_replays_the_recordings(name: str) -> None:
    recorded, config = load(name)
    game = slow_game(recorded, config)
    beam = np.zeros_like(recorded["walls"])
    for t in range(len(recorded["actions"]) + 1):
        for field, key in FIELDS.items():
            np.testing.assert_array_equal(getattr(game, field), recorded[key][t], err_msg=f"{key} {t}")
        if t in recorded["obs_t"]:
            expected = np.moveaxis(recorded["obs"][recorded["obs_t"].tolist().index(t)], 1, -1)
            np.testing.assert_array_equal(game.observe(beam), expected, err_msg=f"obs {t}")
        if t < len(recorded["actions"]):
            uniforms = recorded["u_apple"][t] if "u_apple" in recorded else None
            rewards, beam, _ = game.step(recorded["actions"][t], uniforms)
            np.testing.assert_array_equal(rewards, recorded["rewards"][t])
            np.testing.assert_array_equal(beam, recorded["beam"][t])


def slow_game(recorded: dict[str, np.ndarray], config: dict[str, Any]) -> Game:
    """The slow game at the recorded state 0."""
    return Game(
        walls=recorded["walls"],
        apple_cells=recorded["apple_pos"],
        positions=recorded["pos"][0].copy(),
        headings=recorded["orient"][0].copy(),
        timeouts=recorded["timeout"][0].copy(),
        hits=recorded["hits"][0].copy(),
        apples=recorded["apple_alive"][0].copy(),
        apple_timers=recorded["apple_timer"][0].copy(),
        is_density=config["respawn_mode"] == "density",
        beam_length=config["beam_length"],
        beam_width=config["beam_width"],
        hits_to_tag=config["hits_to_tag"],
        view=(config["obs_ahead"], 0, config["obs_side"]),
    )


@pytest.mark.parametrize("env_id", ["gathering_gallego", "commons_gallego"])
@pytest.mark.slow
def test_random_games_in_a_crowd_play_like_the_slow_one(env_id: str) -> None:
    """What no recording counts: hits given, and more agents on one cell than the recordings hold."""
    options: dict[str, Any] = {"map": "small"} if env_id == "gathering_gallego" else {}
    env: Any = jaxdilemmas.make(env_id, num_agents=9, observation="rgb", timeout_steps=4, **options)
    state = start(env, seed=3)
    if env_id == "gathering_gallego":  # a few steps apart, facing anywhere
        state = state.replace(positions=jnp.array([[4, 6 + i // 3] for i in range(9)], jnp.int32))
    rng = np.random.default_rng(0)
    actions = random_actions(rng, (150, 9))
    uniforms = rng.random((150, len(env.apple_cells))).astype(np.float32)
    draws = CommonsDraws(jnp.asarray(uniforms)) if env_id == "commons_gallego" else NoDraws()
    rollout = replay(env, state, draws, actions)
    is_commons = env_id == "commons_gallego"
    game = Game(
        walls=env.walls,
        apple_cells=env.apple_cells,
        positions=np.array(state.positions),
        headings=np.array(state.headings),
        timeouts=np.zeros(9, int),
        hits=np.zeros(9, int),
        apples=np.ones(len(env.apple_cells), bool),
        apple_timers=np.zeros(len(env.apple_cells), int),
        is_density=is_commons,
        beam_width=5 if is_commons else 1,
        hits_to_tag=1 if is_commons else 2,
        timeout_steps=4,
        view=(20 if is_commons else 15, 0, 10),
    )
    for t in range(150):
        rewards, beam, hits_given = game.step(actions[t], uniforms[t])
        for field in ("positions", "headings", "timeouts", "hits", "apples"):
            np.testing.assert_array_equal(
                getattr(rollout.states, field)[t], getattr(game, field), err_msg=f"{field} {t}"
            )
        np.testing.assert_array_equal(rollout.rewards[t], rewards)
        np.testing.assert_array_equal(rollout.info["hits_given"][t], hits_given)
        if t % 10 == 0:
            np.testing.assert_array_equal(rollout.obs[t], game.observe(beam), err_msg=f"observation {t}")
    assert rollout.info["hits_given"].sum() > 20


def test_agents_start_on_distinct_spawn_cells_and_the_surplus_on_any_cell_without_wall_or_apple() -> None:
    env = GatheringGallego(map="small", num_agents=4)
    keys = jax.random.split(jax.random.key(0), 1000)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    positions, headings = np.asarray(states.positions), np.asarray(states.headings)
    spawns = {tuple(cell) for cell in env.spawn_cells.tolist()}
    assert {tuple(map(tuple, row)) for row in positions[:, :2].tolist()} == {
        (a, b) for a in spawns for b in spawns if a != b
    }
    apples = {tuple(cell) for cell in env.apple_cells.tolist()}
    open_cells = {tuple(cell) for cell in np.argwhere(~env.walls).tolist()} - apples
    assert {tuple(cell) for cell in positions[:, 2:].reshape(-1, 2).tolist()} == open_cells
    for agent in range(4):
        assert set(headings[:, agent].tolist()) == {0, 1, 2, 3}
