from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.harvest import Harvest
from jaxdilemmas.grid.views import Window
from jaxdilemmas.spaces import view_of
from tests.reference.crowds import apples_on, scatter
from tests.reference.harvest import Harvest as SlowHarvest
from tests.reference.rollouts import as_cells, observe, put, random_actions, random_draws, replay_like
from tests.reference.rollouts import play_quietly as play

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
RULES = {
    "open": {"beam_length": 3, "zap_cooldown": 2, "timeout_steps": 5},
    "closed": {"beam_length": 4, "zap_cooldown": 1, "timeout_steps": 101},
    "partnership": {"beam_length": 4, "zap_cooldown": 1, "timeout_steps": 101},
}
PADDOCK = """
WWWPWWWWW
WAA Q AAW
W AAWAAAP
WAAPWPAPP
WPPA QAPW
WPPWWWWWW
"""


class Paddock(Harvest):
    """A window that looks far back."""

    window = Window(ahead=3, behind=2, side=2)


@pytest.fixture(scope="module", params=RULES)
def any_map(request: pytest.FixtureRequest) -> Harvest:
    return Harvest(map=request.param)


@pytest.fixture(scope="module")
def env() -> Harvest:
    return Harvest(num_agents=3)


@pytest.fixture(scope="module")
def closed() -> Harvest:
    return Harvest(map="closed", num_agents=3)


def settle(env: Harvest, state: Any) -> Any:
    """The same moment with no change to the apples one step ago."""
    return play(env, state)[0].replace(step_count=state.step_count)


@pytest.mark.slow
def test_game_plays_like_the_slow_one_on_every_map(any_map: Harvest) -> None:
    name = next(name for name in RULES if np.array_equal(Harvest(map=name).walls, any_map.walls))
    hits = collected = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        state, draws = scatter(any_map, seed), random_draws(any_map, rng, 150)
        draws["apple_growth"] *= np.float32(0.1)
        actions = random_actions(rng, (150, 7), beams=0.1)
        slow = SlowHarvest.like(any_map, state, **RULES[name])
        rollout = replay_like(slow, any_map, state, draws, actions)
        hits += int(rollout.info["hits_given"].sum())
        collected += int(rollout.info["collected"].sum())
    assert min(hits, collected) > 10


@pytest.mark.parametrize("movement", ["sequential", "simultaneous"])
@pytest.mark.slow
def test_crowd_plays_like_the_slow_game_in_a_paddock(movement: str) -> None:
    env = Paddock(PADDOCK, num_agents=8, movement=movement, episode_ending="stochastic")
    tagged, collected, ends = 0, 0, []
    for seed, timing in enumerate(({"timeout_steps": 1, "zap_cooldown": 0}, {"timeout_steps": 5}, {"zap_cooldown": 4})):
        rules: dict[str, Any] = {"regrowth_probabilities": (0.01 * seed, 0.05, 0.2, 0.6), **timing}
        rules |= {"min_steps": 100, "ending_interval": 5 - seed, "ending_probability": 0.4}
        rng = np.random.default_rng(seed)
        state, draws = scatter(env, seed), random_draws(env, rng, 250)
        actions = random_actions(rng, (250, 8), beams=0.05)
        params = env.default_params.replace(**rules)
        slow = SlowHarvest.like(env, state, movement=movement, is_ending_stochastic=True, **rules)
        rollout = replay_like(slow, env, state, draws, actions, params)
        tagged += int(rollout.info["tagged"].sum())
        collected += int(rollout.info["collected"].sum())
        ends.append(int(rollout.terminated.sum()))
        for field, leaf in vars(state).items():
            assert getattr(rollout.states, field).dtype == leaf.dtype
        counts = dict.fromkeys(("collected", "hits_received", "hits_given"), "int32")
        assert {field: leaf.dtype.name for field, leaf in rollout.info.items()} == counts | {"tagged": "bool"}
        np.testing.assert_array_equal(rollout.rewards, rollout.info["collected"])
        assert not rollout.terminated[:98].any()
    assert min(tagged, collected) > 50
    assert min(ends) > 3


def test_maps_have_the_apples_and_spawn_cells_of_melting_pot(any_map: Harvest) -> None:
    assert any_map.walls.shape == (18, 24)
    assert (len(any_map.apple_cells), len(any_map.spawn_cells), len(any_map.inside_cells)) == (64, 60, 2)
    assert any_map.inside_cells[:, 0].tolist() == [7, 7]
    assert any_map.spawn_cells[:, 0].min() == 14
    assert any_map.num_agents == 7
    assert any_map.action_space == jaxdilemmas.Discrete(8)
    assert view_of(any_map.observation_space).shape == (11, 11)
    np.testing.assert_array_equal(any_map.apple_cells[:, 0], np.sort(any_map.apple_cells[:, 0]))
    apples = set(as_cells(any_map.apple_cells))
    assert {(row, 23 - col) for row, col in apples} == apples


def test_rooms_are_closed_by_walls_and_open_to_each_other_in_a_partnership() -> None:
    walls = {name: Harvest(map=name).walls for name in RULES}
    ring = np.ones((18, 24), bool)
    ring[1:-1, 1:-1] = False
    np.testing.assert_array_equal(walls["open"], ring)
    assert walls["closed"].sum() - walls["partnership"].sum() == 14
    passage = walls["closed"] & ~walls["partnership"]
    assert set(as_cells(np.argwhere(passage))) == {(row, col) for row in (*range(1, 7), 8) for col in (11, 12)}


def test_default_numbers_are_those_of_the_docs() -> None:
    for name, rules in RULES.items():
        env = Harvest(map=name)
        params = env.default_params
        assert (params.zap_cooldown, params.timeout_steps) == (rules["zap_cooldown"], rules["timeout_steps"])
        assert params.max_steps == 1000
        assert env.beam_reach.max() == rules["beam_length"]


def test_first_two_agents_start_inside_and_the_others_on_distinct_spawn_cells(any_map: Harvest) -> None:
    keys = jax.random.split(jax.random.key(0), 3000)
    states = jax.jit(jax.vmap(lambda key: any_map.initial_state(key, any_map.default_params)))(keys)
    cells, headings = np.asarray(states.positions) @ [24, 1], np.asarray(states.headings)
    for agent in range(7):
        group = (any_map.inside_cells if agent < 2 else any_map.spawn_cells) @ [24, 1]
        share = (cells[:, agent, None] == group).mean(0)
        assert share.sum() == pytest.approx(1)
        assert np.abs(share - 1 / len(group)).max() < (0.04 if agent < 2 else 0.012)
        assert np.abs(np.bincount(headings[:, agent], minlength=4) / 3000 - 0.25).max() < 0.04
    assert all(len(set(row)) == 7 for row in cells.tolist())
    assert states.apples.all()


def test_neighbours_are_the_other_apples_at_most_two_cells_away_as_the_crow_flies(env: Harvest) -> None:
    cells = env.apple_cells
    for b in range(len(cells)):
        apples = np.arange(len(cells)) == b
        state = settle(env, put(env, [[12, 2], [12, 4], [12, 6]], [NORTH] * 3, apples=apples))
        after, _, _ = play(env, state, apple_growth=np.full(len(cells), 0.0009))
        distance = np.sqrt(((cells - cells[b]) ** 2).sum(1))
        np.testing.assert_array_equal(after.apples, distance <= 2)


@pytest.mark.parametrize(("count", "chance"), [(0, 0.0), (1, 0.0025), (2, 0.005), (3, 0.025), (4, 0.025), (7, 0.025)])
def test_chance_of_an_apple_to_come_back_goes_by_its_live_neighbours(env: Harvest, count: int, chance: float) -> None:
    cells = env.apple_cells
    distance = ((cells - [3, 8]) ** 2).sum(1)
    a, near = int(distance.argmin()), np.flatnonzero((distance > 0) & (distance <= 4))
    apples = np.isin(np.arange(len(cells)), near[:count])
    assert apples.sum() == count
    state = settle(env, put(env, [[12, 2], [12, 4], [12, 6]], [NORTH] * 3, apples=apples))
    assert state.live_neighbours[a] == count
    assert not play(env, state, apple_growth=np.full(len(cells), chance * 1.0001))[0].apples[a]
    assert bool(play(env, state, apple_growth=np.full(len(cells), chance * 0.9999))[0].apples[a]) == (chance > 0)


def test_bare_patch_stays_bare(env: Harvest) -> None:
    state = settle(env, put(env, [[12, 2], [12, 4], [12, 6]], [NORTH] * 3, apples=np.zeros(64, bool)))
    assert not play(env, state, apple_growth=np.zeros(64))[0].apples.any()


def test_apples_grow_by_the_neighbours_that_were_alive_one_step_ago(env: Harvest) -> None:
    near = ((env.apple_cells - [4, 14]) ** 2).sum(1)
    state = put(env, [[4, 13], [12, 4], [12, 6]], [EAST, NORTH, NORTH], apples=apples_on(env, (4, 14)))
    eaten, rewards, _ = play(env, settle(env, state), FORWARD)
    assert rewards.tolist() == [1, 0, 0]
    assert not eaten.apples.any()
    after, _, _ = play(env, eaten, apple_growth=np.zeros(64))
    np.testing.assert_array_equal(after.apples, (near > 0) & (near <= 4))
    too_late, _, _ = play(env, play(env, eaten)[0], apple_growth=np.zeros(64))
    assert not too_late.apples.any()


def test_apple_eaten_in_a_step_grows_two_steps_later_at_the_earliest(env: Harvest) -> None:
    state = settle(env, put(env, [[4, 13], [12, 4], [12, 6]], [EAST, NORTH, NORTH]))
    a, grown = int(np.flatnonzero(apples_on(env, (4, 14)))[0]), []
    state, rewards, _ = play(env, state, FORWARD, apple_growth=np.zeros(64))
    assert rewards.tolist() == [1, 0, 0]
    for actions in ([BACKWARD], [STAND], [STAND]):
        grown.append(bool(state.apples[a]))
        state, _, _ = play(env, state, *actions, apple_growth=np.zeros(64))
    assert grown == [False, False, True]


def test_apple_that_comes_back_under_an_agent_is_taken_at_once_and_waits_another_step(env: Harvest) -> None:
    near = np.array([tuple(cell) != (4, 14) for cell in env.apple_cells.tolist()])
    state = settle(env, put(env, [[4, 13], [12, 4], [12, 6]], [EAST, NORTH, NORTH], apples=near))
    paid = []
    for action in (FORWARD, STAND, STAND, STAND, STAND):
        state, rewards, info = play(env, state, action, apple_growth=np.zeros(64))
        assert info["collected"].tolist() == rewards.tolist()
        assert not state.apples[~near].any()
        paid.append(int(rewards[0]))
    assert paid == [1, 0, 1, 0, 1]


def test_agent_that_is_hit_is_paid_for_the_apple_that_grows_under_it_in_that_step(env: Harvest) -> None:
    near = np.array([tuple(cell) != (4, 14) for cell in env.apple_cells.tolist()])
    state = settle(env, put(env, [[4, 14], [4, 12], [12, 6]], [EAST, EAST, NORTH], apples=near))
    after, rewards, info = play(env, state, STAND, BEAM, apple_growth=np.zeros(64))
    assert info["tagged"].tolist() == [True, False, False]
    assert rewards.tolist() == [1, 0, 0]
    assert not after.apples[~near].any()
    out = state.replace(timeouts=jnp.array([3, 0, 0], jnp.int32))
    after, rewards, _ = play(env, out, apple_growth=np.zeros(64))
    assert not rewards.any()
    assert after.apples.all()


def test_zap_stops_at_the_first_agent_costs_nothing_and_sends_it_out(env: Harvest) -> None:
    for forward, right, is_hit in ((3, 0, 1), (4, 0, 0), (0, 1, 1), (2, -1, 1), (3, 1, 0), (1, 2, 0)):
        state = put(env, [[12, 10], [12 + right, 10 + forward], [16, 2]], [EAST, NORTH, NORTH])
        assert play(env, state, BEAM)[2]["hits_given"].tolist() == [is_hit, 0, 0]
    state = put(env, [[12, 10], [12, 13], [12, 12]], [EAST, NORTH, NORTH])
    state, rewards, info = play(env, state, BEAM)
    assert info["hits_given"].tolist() == [1, 0, 0]
    assert info["tagged"].tolist() == [False, False, True]
    assert state.timeouts.tolist() == [0, 0, 5]
    assert state.rays.tolist() == [[3, 1, 3], [0, 0, 0], [0, 0, 0]]
    assert not rewards.any()


def test_walls_stop_zaps(closed: Harvest) -> None:
    state = put(closed, [[5, 10], [5, 13], [16, 2]], [EAST, NORTH, NORTH])
    state, _, info = play(closed, state, BEAM)
    assert not info["hits_given"].any()
    assert state.rays[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize(("fixture", "steps"), [("env", [0, 3, 6]), ("closed", [0, 2, 4, 6, 8])])
def test_zaps_can_be_fired_again_after_the_cooldown(
    request: pytest.FixtureRequest, fixture: str, steps: list[int]
) -> None:
    env, fired = request.getfixturevalue(fixture), []
    state = put(env, [[14, 10], [16, 4], [16, 6]], [EAST, NORTH, NORTH])
    for _ in range(9):
        state, _, _ = play(env, state, BEAM)
        fired.append(bool(state.fired[0]))
    assert np.flatnonzero(fired).tolist() == steps


@pytest.mark.parametrize(("fixture", "steps"), [("env", 5), ("closed", 101)])
def test_agent_that_is_zapped_misses_its_time_and_comes_back_outside_with_a_new_heading(
    request: pytest.FixtureRequest, fixture: str, steps: int
) -> None:
    env = request.getfixturevalue(fixture)
    state = put(env, [[14, 4], [16, 4], [16, 8]], [SOUTH, EAST, NORTH])
    state, _, info = play(env, state, BEAM, FORWARD)  # it steps out of the middle ray into one beside it
    assert info["tagged"].tolist() == [False, True, False]
    assert (observe(env, state)[1] == env.tiles.index("void")).all()
    for left in range(steps - 1, -1, -1):
        luck = {"respawns": np.array([0.999, 0.0, 0.0]), "respawn_headings": np.array([0.0, 0.8, 0.0])}
        state, _, info = play(env, state, STAND, FORWARD, **luck)
        assert info["tagged"].tolist() == [False, left > 0, False]
    assert state.positions[1].tolist() == env.spawn_cells[-1].tolist()
    assert state.headings.tolist() == [SOUTH, WEST, NORTH]


def test_agents_that_come_back_at_once_take_distinct_spawn_cells(env: Harvest) -> None:
    state = put(env, [[12, 4], [1, 1], [1, 1]], [SOUTH] * 3, timeouts=jnp.array([0, 1, 1], jnp.int32))
    after, rewards, _ = play(env, state)
    assert after.positions[1:].tolist() == env.spawn_cells[:2].tolist()
    assert not rewards.any()


@pytest.mark.parametrize("action", [8, 9, 1000, -1, -2])
def test_action_out_of_range_is_standing(env: Harvest, action: int) -> None:
    state = put(env, [[12, 4], [12, 6], [3, 8]], [EAST] * 3)
    after, stood = play(env, state, action, action, action), play(env, state)
    assert jax.tree.all(jax.tree.map(np.array_equal, after, stood))


def test_view_is_eleven_by_eleven_with_the_viewer_in_the_last_row_but_one(env: Harvest) -> None:
    state = put(env, [[12, 11], [10, 11], [12, 10]], [NORTH, EAST, SOUTH])
    state, _, _ = play(env, state, TURN_RIGHT, BEAM)
    seen = observe(env, state)[0]
    tile = {name: index for index, name in enumerate(env.tiles)}
    assert seen[9, 5] == tile["self"]  # looks east
    assert seen[10, 5] == tile["other_facing_right"]
    assert seen[9, 3] == tile["other_same_heading"]
    assert set(zip(*np.nonzero(seen == tile["beam"]), strict=True)) == {
        *((row, 3) for row in (6, 7, 8)),
        *((row, col) for row in (7, 8, 9) for col in (2, 4)),
    }
    assert (seen[0] == tile["floor"]).sum() == 6
