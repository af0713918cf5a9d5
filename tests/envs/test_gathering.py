import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.gathering import Draws, Gathering, order_spawn_cells
from jaxdilemmas.grid.views import Window
from jaxdilemmas.spaces import view_of
from tests.reference.gathering import SELF, VOID
from tests.reference.gathering import Gathering as SlowGathering
from tests.reference.rollouts import act, as_cells, observe, put, random_actions, replay_like, start

pytestmark = pytest.mark.usefixtures("quick_compiling")
FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
YARD = """
@@@@@@@@@
@P.A.@..@
@..A...A@
@.@AA..P@
....A....
@@@@.A@@@
"""


class Yard(Gathering):
    """A narrow board with open edges on three sides, and a window that also looks back."""

    window = Window(ahead=4, behind=1, side=2)


@pytest.fixture(scope="module")
def env() -> Gathering:
    return Gathering()


def slow_game(env: Gathering, state: Any, **rules: Any) -> SlowGathering:
    """The slow game at the start of an episode."""
    num_agents = env.num_agents
    return SlowGathering(
        walls=env.walls,
        apple_cells=env.apple_cells,
        spawns=as_cells(env.spawn_cells[:num_agents]),
        positions=as_cells(state.positions),
        headings=state.headings.tolist(),
        view=tuple(env.window),
        **rules,
    )


def play(env: Gathering, state: Any, *actions: int) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """One step; agent 0 has the highest priority."""
    return act(env, state, list(actions), Draws(jnp.arange(env.num_agents, 0, -1) / (env.num_agents + 1)))


@pytest.mark.parametrize(("num_agents", "steps"), [(2, 500), (8, 200)])
def test_game_plays_like_the_slow_one_on_its_map(num_agents: int, steps: int) -> None:
    env, hits = Gathering(num_agents=num_agents), 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state = start(env, seed)
        if num_agents == 2:  # near each other and the apples, or they would hardly meet
            state = state.replace(positions=jnp.array([[5, 12], [7, 20]], jnp.int32))
        actions, priorities = random_actions(rng, (steps, num_agents)), draw_priorities(rng, steps, num_agents)
        rollout = replay_like(slow_game(env, state), env, state, {"priorities": priorities}, actions)
        hits += int(rollout.info["hits_given"].sum())
    assert hits > 10


@pytest.mark.parametrize(
    ("num_agents", "rules"),
    [
        (2, {"hits_to_tag": 1, "timeout_steps": 1, "apple_respawn_steps": 1}),
        (5, {"hits_to_tag": 2, "timeout_steps": 3, "apple_respawn_steps": 4}),
        (9, {"hits_to_tag": 3, "timeout_steps": 6, "apple_respawn_steps": 9, "beam_length": 3}),
        (9, {"beam_enabled": False}),
    ],
)
def test_crowd_plays_like_the_slow_game_in_a_yard(num_agents: int, rules: dict[str, Any]) -> None:
    env = Yard(num_agents=num_agents, map=YARD, **rules)
    waits = tags = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state = start(env, seed)
        actions, priorities = random_actions(rng, (300, num_agents)), draw_priorities(rng, 300, num_agents)
        rollout = replay_like(slow_game(env, state, **rules), env, state, {"priorities": priorities}, actions)
        timeouts = rollout.states.timeouts
        tags += int(((timeouts[1:] > 0) & (timeouts[:-1] == 0)).sum())
        waits += int(((timeouts[1:] == 1) & (timeouts[:-1] == 1)).sum())
        assert rollout.rewards.sum() > 10
    if rules.get("beam_enabled", True):
        assert tags > 5
    if rules.get("timeout_steps", 1) > 1:
        assert waits > 5


def draw_priorities(rng: np.random.Generator, steps: int, num_agents: int) -> np.ndarray:
    """Uniforms with some ties among them."""
    return (rng.integers(0, 20, (steps, num_agents)) / 20).astype(np.float32)


def test_map_is_the_walled_corridor_with_the_diamond_of_thirteen_apples(env: Gathering) -> None:
    assert env.walls.shape == (13, 33)
    ring = np.ones((13, 33), bool)
    ring[1:-1, 1:-1] = False
    np.testing.assert_array_equal(env.walls, ring)
    diamond = [[r, c] for r in range(13) for c in range(33) if abs(r - 6) + abs(c - 16) <= 2]
    assert env.apple_cells.tolist() == diamond
    assert len(diamond) == 13


def test_default_numbers_are_those_of_the_docs(env: Gathering) -> None:
    params = env.default_params
    assert (params.apple_respawn_steps, params.timeout_steps, params.hits_to_tag, params.max_steps) == (25, 25, 2, 1000)
    assert env.num_agents == 2
    assert view_of(env.observation_space).shape == (16, 21)
    assert env.action_space == jaxdilemmas.Discrete(8)


def test_agents_spawn_at_the_two_ends_and_then_on_the_free_cells_nearest_them(env: Gathering) -> None:
    assert env.spawn_cells[:8].tolist() == [[6, 1], [6, 31], [5, 1], [5, 31], [6, 2], [6, 30], [7, 1], [7, 31]]
    apples = {tuple(cell) for cell in env.apple_cells.tolist()}
    free = [(r, c) for r, c in np.argwhere(~env.walls).tolist() if (r, c) not in apples]
    near = sorted(free, key=lambda cell: (min(abs(cell[0] - 6) + abs(cell[1] - c) for c in (1, 31)), *cell))
    assert [tuple(cell) for cell in env.spawn_cells.tolist()] == near
    assert len(near) == 11 * 31 - 13


def test_spawn_cells_of_the_map_come_first_whatever_their_number() -> None:
    walls = np.zeros((2, 4), bool)
    ordered = order_spawn_cells(np.array([[1, 2]]), walls, np.array([[0, 2]]))
    assert ordered.tolist() == [[1, 2], [1, 1], [1, 3], [0, 1], [0, 3], [1, 0], [0, 0]]


def test_every_heading_occurs_at_reset_and_nothing_else_differs(env: Gathering) -> None:
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(
        jax.random.split(jax.random.key(0), 400)
    )
    headings = np.asarray(states.headings)
    pairs = {tuple(row) for row in headings.tolist()}
    assert pairs == set(itertools.product(range(4), repeat=2))
    assert np.abs(np.bincount(headings.ravel(), minlength=4) / 800 - 0.25).max() < 0.08
    assert (np.asarray(states.positions) == env.spawn_cells[:2]).all()
    assert np.asarray(states.apples).all()
    for name in ("timeouts", "hits", "fired", "apple_timers", "step_count"):
        assert not np.asarray(getattr(states, name)).any()


def test_two_hits_tag_and_the_tagged_agent_is_out_at_its_spawn_cell(env: Gathering) -> None:
    state = put(env, [[9, 5], [9, 12]], [EAST, NORTH])
    state, _, info = play(env, state, BEAM, STAND)
    assert state.hits.tolist() == [0, 1]
    assert state.timeouts.tolist() == [0, 0]
    assert info["hits_given"].tolist() == [1, 0]
    state, _, info = play(env, state, BEAM, FORWARD)  # it has left the line
    assert state.hits.tolist() == [0, 1]
    assert info["hits_given"].tolist() == [0, 0]
    state, _, _ = play(env, state, STAND, BACKWARD)
    state, _, info = play(env, state, BEAM, STAND)
    assert state.timeouts.tolist() == [0, 25]
    assert state.hits.tolist() == [0, 0]
    assert state.positions.tolist() == [[9, 5], [6, 31]]
    assert state.headings.tolist() == [EAST, NORTH]
    assert info["tagged"].tolist() == [False, True]


def test_hits_do_not_decay(env: Gathering) -> None:
    state, _, _ = play(env, put(env, [[9, 5], [9, 12]], [EAST, NORTH]), BEAM, STAND)
    for _ in range(60):
        state, _, _ = play(env, state, STAND, STAND)
    assert state.hits.tolist() == [0, 1]


def test_beam_passes_twenty_cells_and_no_further(env: Gathering) -> None:
    for distance, hits in ((20, 1), (21, 0)):
        state, _, info = play(env, put(env, [[9, 5], [9, 5 + distance]], [EAST, NORTH]), BEAM, STAND)
        assert info["hits_given"].tolist() == [hits, 0]
        assert state.fired.tolist() == [True, False]


def test_beams_are_fired_where_agents_stand_after_moving(env: Gathering) -> None:
    _, _, info = play(env, put(env, [[9, 5], [8, 12]], [EAST, SOUTH]), BEAM, FORWARD)
    assert info["hits_given"].tolist() == [1, 0]


def test_two_agents_can_tag_each_other_at_once(env: Gathering) -> None:
    state = put(env, [[9, 5], [9, 12]], [EAST, WEST], hits=jnp.array([1, 1], jnp.int32))
    state, _, info = play(env, state, BEAM, BEAM)
    assert info["hits_given"].tolist() == [1, 1]
    assert state.timeouts.tolist() == [25, 25]
    assert state.positions.tolist() == [[6, 1], [6, 31]]
    assert (observe(env, state) == VOID).all()


def test_tagged_agent_misses_twenty_four_steps_sees_void_and_acts_in_the_step_of_its_return(env: Gathering) -> None:
    state = put(env, [[9, 5], [9, 12]], [EAST, WEST], hits=jnp.array([0, 1], jnp.int32))
    state, _, info = play(env, state, BEAM, STAND)
    out = [bool(info["tagged"][1])]
    while out[-1]:
        obs = observe(env, state)
        assert (obs[1] == VOID).all()
        assert not (obs[0] >= 5).sum() > 1  # nobody but self
        state, _, info = play(env, state, STAND, FORWARD)
        out.append(bool(info["tagged"][1]))
    assert out == [True] * 25 + [False]
    assert state.positions.tolist() == [[9, 5], [6, 30]]  # one step west of its spawn cell, heading kept
    assert observe(env, state)[1, 15, 10] == SELF


def test_agent_whose_spawn_cell_is_taken_waits_until_it_is_free(env: Gathering) -> None:
    state = put(env, [[6, 31], [6, 31]], [WEST, NORTH], timeouts=jnp.array([0, 2], jnp.int32))
    for _ in range(4):
        state, _, _ = play(env, state, STAND, STAND)
        assert state.timeouts.tolist() == [0, 1]
    state, _, _ = play(env, state, FORWARD, STAND)  # it stood there at the start of this step
    assert state.timeouts.tolist() == [0, 1]
    state, _, _ = play(env, state, STAND, STAND)
    assert state.timeouts.tolist() == [0, 0]
    assert state.positions.tolist() == [[6, 30], [6, 31]]


def test_agent_that_is_out_neither_blocks_nor_can_be_hit_nor_collects(env: Gathering) -> None:
    state = put(env, [[6, 29], [6, 31]], [EAST, NORTH], timeouts=jnp.array([0, 20], jnp.int32))
    state, _, info = play(env, state, BEAM, BEAM)
    assert info["hits_given"].tolist() == [0, 0]
    assert state.fired.tolist() == [True, False]
    state, _, _ = play(env, state, FORWARD, STAND)
    state, _, _ = play(env, state, FORWARD, STAND)
    assert state.positions[0].tolist() == [6, 31]
    state, rewards, _ = play(env, put(env, [[1, 1], [6, 16]], [0, 0], timeouts=jnp.array([0, 9])), STAND, STAND)
    assert rewards.tolist() == [0, 0]
    assert state.apples.all()


def test_apple_can_be_eaten_again_exactly_the_respawn_steps_later(env: Gathering) -> None:
    state, paid = put(env, [[1, 1], [6, 16]], [NORTH, NORTH]), []
    for _ in range(76):
        state, rewards, info = play(env, state, STAND, STAND)
        paid.append(float(rewards[1]))
        assert info["collected"].tolist() == rewards.tolist()
    assert [t for t, reward in enumerate(paid) if reward] == [0, 25, 50, 75]
    assert set(paid) == {0.0, 1.0}


def test_agent_tagged_on_an_apple_does_not_get_it(env: Gathering) -> None:
    state = put(env, [[6, 10], [6, 13]], [EAST, EAST], hits=jnp.array([0, 1], jnp.int32))
    state, rewards, _ = play(env, state, BEAM, FORWARD)
    assert rewards.tolist() == [0, 0]
    assert state.apples.all()
    assert state.timeouts.tolist() == [0, 25]


def test_agents_do_not_swap_and_do_not_share_a_cell(env: Gathering) -> None:
    state, _, _ = play(env, put(env, [[3, 3], [3, 4]], [EAST, WEST]), FORWARD, FORWARD)
    assert state.positions.tolist() == [[3, 3], [3, 4]]
    state, _, _ = play(env, put(env, [[3, 3], [3, 5]], [EAST, WEST]), FORWARD, FORWARD)
    assert state.positions.tolist() == [[3, 4], [3, 5]]


def test_beam_that_is_switched_off_does_nothing() -> None:
    env = Gathering(beam_enabled=False)
    state = put(env, [[9, 5], [9, 12]], [EAST, WEST], hits=jnp.array([1, 1], jnp.int32))
    after, _, info = play(env, state, BEAM, BEAM)
    stood, _, _ = play(env, state, STAND, STAND)
    assert not info["hits_given"].any()
    jax.tree.map(np.testing.assert_array_equal, after, stood)


@pytest.mark.parametrize("action", [8, 9, 1000, -1, -2, -8])
def test_action_out_of_range_is_standing(env: Gathering, action: int) -> None:
    state = put(env, [[9, 5], [6, 13]], [EAST, EAST])
    after, stood = play(env, state, action, action), play(env, state, STAND, STAND)
    assert jax.tree.all(jax.tree.map(np.array_equal, after, stood))


def test_view_shows_walls_apples_beam_and_the_other_as_they_lie_ahead(env: Gathering) -> None:
    state, _, _ = play(env, put(env, [[6, 20], [6, 27]], [EAST, NORTH]), BEAM, STAND)
    seen = observe(env, state)[0]
    tile = {name: index for index, name in enumerate(env.tiles)}
    assert seen[15, 10] == tile["self"]
    assert (seen[9:15, 10] == tile["beam"]).all()
    assert seen[8, 10] == tile["other_facing_left"]  # it looks north, the viewer east
    assert (seen[4:8, 10] == tile["beam"]).all()
    assert (seen[3, 4:17] == tile["wall"]).all()  # col 32 is twelve cells ahead
    assert (seen[:3] == tile["void"]).all()
    assert (seen[3:, 4] == tile["wall"]).all()  # row 0 is six cells to the left
    assert (seen[:, :4] == tile["void"]).all()
    turned = put(env, [[6, 20], [6, 27]], [WEST, NORTH])
    seen = observe(env, turned)[0]
    assert (seen == tile["apple"]).sum() == 13
    assert (seen[9:14, 10] == tile["apple"]).all()


def test_board_is_drawn_north_up_with_every_agent_on_it(env: Gathering) -> None:
    state, _, _ = play(env, put(env, [[9, 5], [6, 20]], [SOUTH, WEST]), BEAM, STAND)
    board = np.asarray(jax.jit(env.draw_board)(state))
    tile = {name: index for index, name in enumerate(env.tiles)}
    assert board.shape == env.walls.shape
    assert board[9, 5] == tile["other_facing_viewer"]
    assert board[6, 20] == tile["other_facing_left"]
    assert (board[10:12, 5] == tile["beam"]).all()
    np.testing.assert_array_equal(board == tile["wall"], env.walls)
    assert (board == tile["apple"]).sum() == 13
    assert (board == tile["beam"]).sum() == 2


@pytest.mark.parametrize("kind", ["tiles", "one_hot", "rgb"])
def test_kinds_of_observation_say_the_same(env: Gathering, kind: str) -> None:
    other = Gathering(observation=kind)
    state, _, _ = play(env, put(env, [[6, 20], [6, 27]], [EAST, NORTH]), BEAM, STAND)
    tiles = observe(env, state)
    obs = observe(other, state)
    assert other.observation_space.contains(obs)
    assert obs.shape == (2, *view_of(other.observation_space).shape)
    assert obs.dtype == np.uint8
    expected = {"tiles": tiles, "one_hot": np.eye(len(env.tiles))[tiles], "rgb": env.palette[tiles]}[kind]
    np.testing.assert_array_equal(obs, expected)


def test_rules_hold_in_every_step_of_long_random_episodes() -> None:
    env = Yard(num_agents=7, map=YARD, timeout_steps=5, max_steps=400)

    def step(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        key_act, key_step = jax.random.split(key)
        actions = jax.random.randint(key_act, (7,), 0, 8, jnp.int32)
        obs, state, rewards, terminated, truncated, info = env.step(key_step, carry, actions)
        return state, (state, obs, rewards, terminated, truncated, info)

    def episode(key: jax.Array) -> Any:
        key_reset, key_steps = jax.random.split(key)
        return jax.lax.scan(step, env.reset(key_reset)[1], jax.random.split(key_steps, 400))[1]

    states, obs, rewards, terminated, truncated, info = jax.tree.map(
        np.asarray, jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), 4))
    )
    initial = start(env)
    for name, leaf in vars(initial).items():
        assert getattr(states, name).dtype == leaf.dtype
        assert getattr(states, name).shape == (4, 400, *leaf.shape)
    positions, is_active = states.positions.reshape(-1, 7, 2), (states.timeouts == 0).reshape(-1, 7)
    assert not env.walls[positions[..., 0], positions[..., 1]].any()
    for cells, active in zip(positions, is_active, strict=True):
        assert len({tuple(cell) for cell in cells[active]}) == active.sum()
    assert ((states.hits >= 0) & (states.hits < 2)).all()
    assert ((states.timeouts >= 0) & (states.timeouts <= 5)).all()
    waiting = np.where(states.apples, 1, states.apple_timers)
    assert ((waiting >= 1) & (waiting <= 25)).all()
    assert (states.step_count == np.arange(1, 401)).all()
    assert (obs < len(env.tiles)).all()
    assert not terminated.any()
    assert (truncated == (np.arange(1, 401) >= 400)).all()
    assert rewards.dtype == np.float32
    assert set(np.unique(rewards)) == {0.0, 1.0}
    is_stood_on = (states.positions[..., None, :] == env.apple_cells).all(-1) & (states.timeouts == 0)[..., None]
    assert not (is_stood_on & states.apples[:, :, None]).any()  # who stands on an apple has taken it
    just_taken = ~states.apples & (states.apple_timers == 25)
    np.testing.assert_array_equal(info["collected"].sum(-1), just_taken.sum(-1))
    np.testing.assert_array_equal(info["collected"], (is_stood_on & just_taken[:, :, None]).any(-1))
    assert info["hits_given"].any()
    assert {name: leaf.dtype.name for name, leaf in info.items()} == {
        "collected": "int32",
        "tagged": "bool",
        "hits_given": "int32",
        "hits_received": "int32",
    }


def test_last_step_pays_rewards_and_sets_truncated(env: Gathering) -> None:
    state = put(env, [[6, 13], [1, 1]], [EAST, NORTH], step_count=jnp.array(999, jnp.int32))
    stood = jnp.array([FORWARD, STAND], jnp.int32)
    _, state, rewards, terminated, truncated, _ = jax.jit(env.step)(jax.random.key(0), state, stood)
    assert rewards.tolist() == [1, 0]
    assert bool(truncated)
    assert not bool(terminated)
    assert int(state.step_count) == 1000
