from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.territories import MAPS
from jaxdilemmas.envs.territory import Territory
from jaxdilemmas.grid.views import Window
from tests.reference.rollouts import observe, put, random_actions, random_draws, replay_like, start
from tests.reference.rollouts import play_quietly as play
from tests.reference.territory import Territory as SlowTerritory
from tests.reference.territory_recordings import NAMES, TerritoryRecording

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, ZAP, STAND, CLAIM = range(9)
NORTH, EAST, SOUTH, WEST = range(4)
NOBODY = -1
YARD = """
WWWWWWWWW
WPPRRPP.W
W..RW..RW
WPPRRPP.W
WWWWWWWWW
"""
"""Resources 0 and 1 are beside each other in row 1, 2 is before a wall in row 2, 3 is alone, 4 and 5 are in row 3."""

DISTRICT = """
W.RR..R.RR..RRW
R.P.R...P.R...R
R...R.P..R..P.R
..P..RR.R..P...
R...R.....R...R
WRR...P.R...RRW
.....RRPRR.....
RR.P...R...P.RR
.....RRPRR.....
WRR...P.R...RRW
R...R.....R...R
..P..RR.R..P...
R...R.P..R..P.R
R.P.R...P.R...R
W.RR..R.RR..RRW
"""
"""A torus of 15 x 15 cells, the smallest."""


class Yard(Territory):
    """A window that looks to the sides."""

    window = Window(ahead=3, behind=1, side=3)


@pytest.fixture(scope="module")
def env() -> Territory:
    return Yard(map=YARD, num_agents=3)


def wait(env: Territory, state: Any, steps: int, **draws: Any) -> Any:
    """The state after some steps in which everybody stands."""
    for _ in range(steps):
        state = play(env, state, **draws)[0]
    return state


def face(env: Territory, *places: tuple[int, int, int], **fields: Any) -> Any:
    """A state without claims in which agents stand and look as given: row, column, heading."""
    rest = [(3, 1, SOUTH), (3, 2, SOUTH), (3, 6, SOUTH)][len(places) :]
    cells = [*places, *rest]
    owners = np.full(len(env.resource_cells), NOBODY, np.int8)
    return put(
        env, [[row, col] for row, col, _ in cells], [heading for *_, heading in cells], **{"owners": owners} | fields
    )


def owned(*owners: int) -> dict[str, np.ndarray]:
    """Fields of a state in which resources were claimed long ago."""
    return {"owners": np.array(owners, np.int8), "claimed_for": np.full(len(owners), 60, np.int8)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "torus", "movement"), [(YARD, False, "simultaneous"), (DISTRICT, True, "sequential")]
)
def test_crowd_plays_like_the_slow_game(board: str, torus: bool, movement: str) -> None:
    env = Territory(map=board, torus=torus, num_agents=8, movement=movement, episode_ending="stochastic", extras=False)
    taken, destroyed, out, ends = 0, 0, 0, 0
    for seed in range(3):
        rules: dict[str, Any] = {"payment_probability": 0.3, "payment_delay": 3 + seed, "repair_probability": 0.4}
        rules |= {"zap_cooldown": seed, "freeze_steps": 2 * seed, "mark_steps": 6, "repair_delay": 2, "reward": 0.5}
        rules |= {"min_steps": 50, "ending_interval": 5 - seed, "ending_probability": 0.4}
        rng, state = np.random.default_rng(seed), start(env, seed)
        params = env.default_params.replace(**rules)
        draws, actions = random_draws(env, rng, 120), random_actions(rng, (120, 8), beams=0.1, cleans=0.15)
        slow = SlowTerritory.at_moment(env, state, params)
        rollout = replay_like(slow, env, state, draws, actions, params)
        taken, destroyed = taken + rollout.info["claimed"].sum(), destroyed + rollout.info["destroyed"].sum()
        out, ends = out + rollout.info["tagged"][-1].sum(), ends + int(rollout.terminated.sum())
        for field, leaf in vars(state).items():
            assert getattr(rollout.states, field).dtype == leaf.dtype
    assert min(taken, destroyed, ends) > 10
    assert out > 2


def test_recordings_are_six_and_the_board_is_theirs() -> None:
    assert len(NAMES) == 6
    recording = TerritoryRecording.load(NAMES[0], "sequential")
    for name, key in (("walls", "walls"), ("resource_cells", "item_cells"), ("spawn_cells", "spawn_cells")):
        np.testing.assert_array_equal(getattr(recording.env, name), recording.arrays[key])
    assert (len(recording.env.resource_cells), recording.env.num_agents, recording.env.is_torus) == (180, 9, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_step_is_that_of_the_original(name: str) -> None:
    recording = TerritoryRecording.load(name, "sequential")
    assert recording.find_differences(recording.num_steps) == {}


def test_agent_claims_what_is_ahead_after_its_move(env: Territory) -> None:
    state, _, info = play(env, face(env, (1, 1, EAST)), FORWARD)
    assert state.owners.tolist() == [0, *[NOBODY] * 5]
    assert info["claimed"].tolist() == [1, 0, 0]
    turned = play(env, face(env, (1, 2, SOUTH)), TURN_LEFT)[0]
    assert turned.owners.tolist() == [0, *[NOBODY] * 5]


def test_claim_beam_passes_agents_and_resources_and_stops_at_walls(env: Territory) -> None:
    state, _, info = play(env, face(env, (1, 2, EAST), (3, 1, EAST), (3, 2, SOUTH)), CLAIM, CLAIM)
    assert state.owners.tolist() == [0, 0, NOBODY, NOBODY, 1, NOBODY]
    assert info["claimed"].tolist() == [2, 1, 0]
    assert state.rays[:, 1].tolist() == [2, 2, 0]
    before_wall = play(env, face(env, (2, 2, EAST)), CLAIM)[0]
    assert before_wall.owners.tolist() == [NOBODY, NOBODY, 0, *[NOBODY] * 3]
    assert before_wall.rays[0, 1] == 1
    again = play(env, state.replace(owners=np.full(6, NOBODY, np.int8)), CLAIM)[0]
    assert again.owners[:2].tolist() == [0, 0]


@pytest.mark.parametrize("wait_steps", [24, 25, 26])
def test_resource_pays_from_26_steps_after_the_claim_on(env: Territory, wait_steps: int) -> None:
    state = wait(env, play(env, face(env, (1, 1, EAST)), FORWARD)[0], wait_steps)
    state, rewards, _ = play(env, state, payments=np.full(6, 0.0099))
    assert rewards.tolist() == [float(wait_steps >= 25), 0, 0]
    assert state.dry.tolist() == [wait_steps >= 25, *[False] * 5]
    assert not play(env, state, payments=np.full(6, 0.0101))[1].any()


def test_each_resource_pays_its_owner_apart(env: Territory) -> None:
    state = face(env, **owned(0, 0, 1, NOBODY, 0, 2))
    luck = np.array([0.001, 0.002, 0.009, 0.0, 0.5, 0.5])
    assert play(env, state, payments=luck)[1].tolist() == [2, 1, 0]


def test_claim_by_another_agent_starts_the_time_again_and_one_by_the_owner_does_not(env: Territory) -> None:
    state = face(env, (1, 2, EAST), (1, 5, WEST), dry=np.ones(6, bool), **owned(*[0] * 6))
    same = play(env, state, CLAIM)[0]
    assert (same.owners[0], same.claimed_for[0], same.dry[0]) == (0, 61, True)
    other, _, info = play(env, state, STAND, CLAIM)
    assert (other.owners[0], other.claimed_for[0], other.dry[0]) == (1, 0, False)
    assert info["claimed"].tolist() == [0, 2, 0]


def test_last_claim_of_a_step_counts_and_beams_are_later_than_touches(env: Territory) -> None:
    state = face(env, (1, 2, EAST), (1, 5, WEST), **owned(*[0] * 6))
    beam = play(env, state, STAND, CLAIM, claim_priorities=np.array([0.1, 0.9, 0.5]))[0]
    assert beam.owners[0] == 1
    for order, owner in (([0.9, 0.1, 0.5], 1), ([0.1, 0.9, 0.5], 0)):
        both = play(env, state, CLAIM, CLAIM, claim_priorities=np.array(order))[0]
        assert both.owners[:2].tolist() == [owner, owner]
        assert both.claimed_for[:2].tolist() == [0, 0]


def test_second_hit_destroys_a_resource_for_ever_and_the_beam_goes_on(env: Territory) -> None:
    state, _, _ = play(env, face(env, (1, 2, EAST), (1, 5, SOUTH)), ZAP)
    assert state.health.tolist() == [1, 2, 1, 2, 2, 2]
    assert state.rays[0].tolist() == [0, 0, 1]
    state, _, info = play(env, wait(env, state, 4), ZAP)
    assert state.health.tolist() == [0, 1, 0, 2, 2, 2]
    assert (state.owners[0], info["destroyed"][0]) == (NOBODY, 2)
    assert state.rays[0].tolist() == [0, 1, 2]
    walked = play(env, state, FORWARD)[0]
    assert walked.positions[0].tolist() == [1, 3]
    assert wait(env, walked, 20, repairs=np.zeros(6)).health[0] == 0


def test_resource_blocks_agents(env: Territory) -> None:
    assert play(env, face(env, (1, 2, EAST)), FORWARD)[0].positions[0].tolist() == [1, 2]


@pytest.mark.parametrize("wait_steps", [14, 15])
def test_resource_is_repaired_from_16_steps_after_the_last_hit_on(env: Territory, wait_steps: int) -> None:
    state = wait(env, play(env, face(env, (1, 2, EAST)), ZAP)[0], wait_steps)
    repaired = play(env, state, repairs=np.full(6, 0.099))[0]
    assert repaired.health[0] == (2 if wait_steps == 15 else 1)
    assert play(env, state, repairs=np.full(6, 0.101))[0].health[0] == 1
    hit_as_well = play(env, state, ZAP, repairs=np.zeros(6))[0]
    assert hit_as_well.health[0] == (1 if wait_steps == 15 else 0)


def test_beam_is_fired_again_five_steps_later(env: Territory) -> None:
    state, fired = face(env), []
    for _ in range(11):
        state = play(env, state, ZAP)[0]
        fired.append(bool(state.fired[0]))
    assert np.flatnonzero(fired).tolist() == [0, 5, 10]


def test_beam_stops_at_agents_and_at_resources_that_stand(env: Territory) -> None:
    state = face(env, (1, 5, EAST), (1, 6, NORTH), (1, 7, NORTH))
    assert play(env, state, ZAP)[2]["hits_received"].tolist() == [0, 1, 0]
    behind = face(env, (1, 2, EAST), (1, 4, NORTH), health=np.array([2, 0, 2, 2, 2, 2], np.int8))
    assert not play(env, behind, ZAP)[2]["hits_received"].any()
    damaged = behind.replace(health=np.array([1, 0, 2, 2, 2, 2], np.int8))
    assert play(env, damaged, ZAP)[2]["hits_received"].tolist() == [0, 1, 0]


def test_first_hit_freezes_for_24_steps_and_delays_the_next_shot_to_step_30(env: Territory) -> None:
    state = play(env, face(env, (1, 5, EAST), (1, 6, NORTH)), ZAP)[0]
    moves, shots = [], []
    for step in range(1, 32):
        state = play(env, state, STAND, TURN_LEFT if step < 26 else ZAP)[0]
        moves.append(state.headings[1] != NORTH)
        shots.append(bool(state.fired[1]))
    assert 1 + moves.index(True) == 25
    assert 1 + shots.index(True) == 30


@pytest.mark.parametrize(("wait_steps", "is_out"), [(48, True), (49, False)])
def test_second_hit_removes_until_the_end_while_the_first_one_is_less_than_50_steps_ago(
    env: Territory, wait_steps: int, is_out: bool
) -> None:
    state = wait(env, play(env, face(env, (1, 5, EAST), (1, 6, NORTH)), ZAP)[0], wait_steps)
    state, _, info = play(env, state, ZAP)
    assert info["tagged"].tolist() == [False] * 3
    state = play(env, state)[0]
    assert (state.timeouts > 0).tolist() == [False, is_out, False]
    assert (wait(env, state, 60).timeouts > 0).tolist() == [False, is_out, False]


def test_two_agents_that_zap_each_other_are_both_hit(env: Territory) -> None:
    state = face(env, (1, 5, EAST), (1, 6, WEST))
    assert play(env, state, ZAP, ZAP)[0].marked_for.tolist() == [50, 50, 0]


def test_resources_of_a_removed_agent_are_released_two_steps_after_the_hit(env: Territory) -> None:
    at = [(1, 5, EAST), (1, 6, NORTH)]
    state = face(env, *at, marked_for=np.array([0, 9, 0], np.int32), **owned(1, 0, 1, NOBODY, 1, 1))
    state = state.replace(claimed_for=np.array([60, 60, 4, 0, 3, 0], np.int8))
    hit, rewards, _ = play(env, state, ZAP, payments=np.zeros(6))
    assert rewards.tolist() == [1, 1, 0]
    gone, rewards, _ = play(env, hit, STAND, CLAIM, payments=np.zeros(6))
    assert rewards.tolist() == [1, 1, 0], "it is still paid in the step in which it leaves"
    assert gone.owners.tolist() == [1, 0, 1, NOBODY, 1, 1]
    released, rewards, _ = play(env, gone, payments=np.zeros(6))
    assert rewards.tolist() == [1, 0, 0]
    assert released.owners.tolist() == [NOBODY, 0, NOBODY, NOBODY, NOBODY, 1]
    later = wait(env, released, 2)
    assert (later.owners[5], play(env, later)[0].owners[5]) == (1, NOBODY)


def test_frozen_agents_claim_and_agents_that_leave_do_not(env: Territory) -> None:
    frozen = face(env, (1, 2, EAST), frozen=np.array([9, 0, 0], np.int32))
    assert play(env, frozen, CLAIM)[0].owners[:2].tolist() == [0, 0]
    leaving = face(env, (1, 2, EAST), leaves=np.array([True, False, False]))
    assert play(env, leaving, CLAIM)[0].owners[:2].tolist() == [NOBODY, NOBODY]


def test_agents_claim_what_is_ahead_at_the_start(env: Territory) -> None:
    claimed = 0
    for seed in range(40):
        state = start(env, seed)
        ahead = np.asarray(state.positions) + np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])[np.asarray(state.headings)]
        owners = np.full(6, NOBODY)
        for agent, cell in enumerate(ahead.tolist()):
            for resource in np.flatnonzero((env.resource_cells == cell).all(1)):
                owners[resource] = agent
        np.testing.assert_array_equal(state.owners, owners)
        claimed += int((owners >= 0).sum())
    assert claimed > 5


def test_moves_beams_and_claims_go_on_at_the_other_side_of_a_torus() -> None:
    env = Territory(map=DISTRICT, torus=True, num_agents=3)
    at = {tuple(cell): index for index, cell in enumerate(env.resource_cells.tolist())}
    state = put(env, [[3, 14], [6, 0], [8, 14]], [EAST, WEST, NORTH], owners=np.full(len(at), NOBODY, np.int8))
    state, _, info = play(env, state, FORWARD, ZAP)
    assert state.positions[0].tolist() == [3, 0]
    assert not info["hits_received"].any()
    near = put(env, [[6, 0], [6, 13], [3, 3]], [WEST, NORTH, NORTH])
    assert play(env, near, ZAP)[2]["hits_received"].tolist() == [0, 1, 0]
    claims = put(env, [[4, 1], [2, 1], [8, 3]], [WEST, WEST, NORTH], owners=np.full(len(at), NOBODY, np.int8))
    state = play(env, claims, CLAIM, CLAIM)[0]
    owners = {cell: int(state.owners[index]) for cell, index in at.items() if state.owners[index] >= 0}
    assert owners == {(4, 0): 0, (4, 14): 0, (2, 0): 1, (2, 14): 1}


def test_window_goes_on_at_the_other_side_of_a_torus() -> None:
    env = Territory(map=DISTRICT, torus=True, num_agents=3, extras=False)
    state = put(env, [[0, 7], [14, 7], [1, 3]], [NORTH, EAST, SOUTH])
    view = observe(env, state)[0]
    assert view[9, 5] == env.tile_id("self")
    assert view[8, 5] == env.tile_id("other_facing_right")
    assert not (view == env.tile_id("void")).any()
    assert view[10, 1] == env.tile_id("other_facing_viewer")


def test_agents_see_whose_resources_are_and_what_is_damaged(env: Territory) -> None:
    state = face(env, (1, 2, EAST), (1, 5, WEST), **owned(0, 1, 0, NOBODY, NOBODY, NOBODY))
    state = state.replace(dry=np.array([True, False, False, False, False, False]))
    state = state.replace(health=np.array([2, 2, 1, 2, 2, 0], np.int8), marked_for=np.array([0, 5, 0], np.int32))
    seen: Any = jax.jit(env.observe)(state, env.default_params)
    names = [[env.tiles[tile] for tile in row] for row in seen.view[0][:, 3:5].tolist()]
    assert names == [
        ["marked_facing_viewer", "floor"],
        ["other_wet", "wall"],
        ["own_dry", "damaged_own_wet"],
        ["self", "floor"],
        ["floor", "floor"],
    ]
    of_other = [env.tiles[tile] for tile in seen.view[1][:3, 3].tolist()]
    assert of_other == ["other_facing_viewer", "other_dry", "own_wet"]
    assert env.observation_space == jaxdilemmas.WithExtras(env.view_space, ("ready_to_zap", "is_out", "is_frozen"))


def test_agents_observe_whether_their_beam_is_ready_and_whether_they_are_frozen(env: Territory) -> None:
    state = play(env, face(env, (1, 5, EAST), (1, 6, NORTH)), ZAP)[0]
    seen: Any = jax.jit(env.observe)(state, env.default_params)
    assert seen.extras.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_resources_and_spawn_cells_of_inside_out_are_drawn_by_their_chances() -> None:
    env = Territory(map="inside_out", extras=False)
    keys = jax.random.split(jax.random.key(0), 600)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    shares = np.asarray(states.health > 0).mean(0)
    for chance, count in ((1.0, 88), (2 / 3, 48), (0.25, 64)):
        mine = np.isclose(env.resource_chances, chance)
        assert mine.sum() == count
        assert abs(shares[mine].mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / 600 / count) + 1e-9
    at = {tuple(cell): index for index, cell in enumerate(env.spawn_cells.tolist())}
    starts = np.array([at[tuple(cell)] for cell in np.asarray(states.positions).reshape(-1, 2).tolist()])
    is_sure = env.spawn_chances == 1
    assert (is_sure.sum(), (~is_sure).sum()) == (8, 16)
    share = (~is_sure)[starts].mean()
    sizes = np.arange(17)
    weights = [
        np.prod([(16 - k) / (k + 1) for k in range(size)]) * (1 / 7) ** size * (6 / 7) ** (16 - size) for size in sizes
    ]
    expected = sum(weight * size / (8 + size) for weight, size in zip(weights, sizes, strict=True))
    assert abs(share - expected) < 0.04
    assert {*starts.tolist()} == {*range(24)}


def test_boards_have_the_sizes_of_the_original() -> None:
    sizes = {"open": (23, 39, 88, 18, 9), "rooms": (21, 21, 180, 9, 9), "inside_out": (23, 23, 200, 24, 5)}
    for name, size in sizes.items():
        env = Territory(map=name)
        found = (*env.walls.shape, len(env.resource_cells), len(env.spawn_cells), env.num_agents)
        assert (found, env.is_torus) == (size, name == "rooms")


def test_the_text_of_a_board_is_the_game_with_that_board(tmp_path: Path) -> None:
    for name, text in MAPS.items():
        (tmp_path / "board.txt").write_text(text)
        named = Territory(map=name)
        for board in (text, tmp_path / "board.txt"):
            own = Territory(map=board, torus=named.is_torus, num_agents=named.num_agents)
            for field in ("walls", "resource_cells", "resource_chances", "spawn_cells", "spawn_chances"):
                np.testing.assert_array_equal(getattr(own, field), getattr(named, field))
            np.testing.assert_array_equal(own.resources_on_rays, named.resources_on_rays)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_agents": 19}, "num_agents=19 is not allowed: at most 18 agents can spawn on this map"),
        ({"map": "inside_out", "num_agents": 9}, "num_agents=9 is not allowed: at most 8 agents can spawn on this map"),
        ({"map": "WWW\nWRW\nWWW"}, "map=.* is not allowed: it has no spawn cell, which is drawn as 'P'"),
        ({"map": "WWWW\nWP?W\nWRWW"}, r"unknown map symbol '\?' at row 1, col 2"),
        ({"map": "WWW\nWPW\nWWW"}, "map=.* is not allowed: it has no resource cell, which is drawn as 'R'"),
        ({"map": YARD, "torus": True, "num_agents": 3}, "a torus has at least 15 rows and columns"),
        ({"torus": "yes"}, "torus='yes' is not allowed: True or False"),
        ({"payment_delay": 128}, "payment_delay=128 is not allowed: a whole number of at least 0 and at most 127"),
        ({"repair_delay": -1}, "repair_delay=-1 is not allowed: a whole number of at least 0 and at most 127"),
        ({"repair_probability": 1.5}, "repair_probability=1.5 is not allowed"),
    ],
)
def test_what_no_territory_can_have_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Territory(**arguments)
