from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.externality_mushrooms import ExternalityMushrooms
from jaxdilemmas.envs.mushrooms import BLUE, GREEN, KINDS, ORANGE, RED
from jaxdilemmas.grid.views import Window
from tests.reference.externality_mushrooms import ExternalityMushrooms as SlowMushrooms
from tests.reference.mushroom_recordings import MushroomRecording
from tests.reference.random_play import errors_between, play_at_random
from tests.reference.rollouts import act, as_draws, observe, put, random_actions, random_draws, replay_like, start

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
MEADOW = """
WWWWWWWWW
WRP  PPOW
W PBWPGPW
WPPWPP BW
WPP GPRPP
"""
ROWS = "WWWWWWWWW\nWOPPPPPPW\nWPPPPPPPW\nWWWWWWWWW"
"""Cells 0 to 6 are (1, 1) to (1, 7), cells 7 to 13 are (2, 1) to (2, 7)."""
HALF = (1.0, 2.5, 2.0, -1.25)
"""Rewards of which five agents get shares of halves and quarters."""

RECORDINGS = sorted(path.stem for path in MushroomRecording.folder.glob("*.npz"))


RANDOM_PLAY = (1.11, 0.19)
"""Mean return of an agent and its standard error, 12 episodes of at most 1,000 steps of the original.

Source: google-deepmind/meltingpot @ 81ee2e7, run with actions that are equally likely.
"""


class Meadow(ExternalityMushrooms):
    """A window that looks far back."""

    window = Window(ahead=3, behind=2, side=2)


@pytest.fixture(scope="module")
def env() -> ExternalityMushrooms:
    return ExternalityMushrooms(map=ROWS, num_agents=3)


def luck(env: ExternalityMushrooms, **draws: Any) -> Any:
    """Draws with which nothing goes and nothing grows, but on the last empty cell, for those not given.

    Agent 0 goes first; who returns looks north.
    """
    n = env.num_agents
    quiet: dict[str, Any] = {"priorities": np.arange(n, 0, -1) / (n + 1), "episode_end": 0.9}
    quiet |= {"respawns": np.zeros(n), "respawn_headings": np.zeros(n)}
    quiet |= {"spore_gates": np.full((n, 3, 4), 0.999), "spore_cells": np.full((n, 3, 4), 0.999)}
    return as_draws(env, quiet | {"red_destruction": np.full(len(env.mushroom_cells), 0.9)} | draws)


def play(env: ExternalityMushrooms, state: Any, *actions: int, **draws: Any) -> tuple[Any, np.ndarray, dict[str, Any]]:
    """One step with `luck`; who has no action stands."""
    return act(env, state, [*actions, *[STAND] * (env.num_agents - len(actions))], luck(env, **draws))


def field(*kinds: tuple[int, int]) -> np.ndarray:
    """Mushrooms on the board `ROWS`, as pairs of a cell and a kind."""
    mushrooms = np.zeros(14, np.int8)
    for cell, kind in kinds:
        mushrooms[cell] = kind
    return mushrooms


def around(env: ExternalityMushrooms, *kinds: tuple[int, int], **fields: Any) -> Any:
    """Agents 0 and 1 look east from (1, 1) and west from (1, 7), agent 2 looks north from (2, 7)."""
    positions, headings = [[1, 1], [1, 7], [2, 7]], [EAST, WEST, NORTH]
    given = {"mushrooms": field(*kinds), "ages": np.zeros(14, np.int32)} | fields
    return put(env, positions, headings, **given)


def sprout(agent: int, spore: int, kind: int, cell: int, num_empty: int) -> dict[str, np.ndarray]:
    """The draws under which one spore grows: on the empty cell with this number among the empty ones."""
    gates, cells = np.full((3, 3, 4), 0.999), np.full((3, 3, 4), 0.999)
    gates[agent, spore, kind - 1], cells[agent, spore, kind - 1] = 0, (cell + 0.5) / num_empty
    return {"spore_gates": gates, "spore_cells": cells}


@pytest.mark.parametrize("movement", ["sequential", "simultaneous"])
@pytest.mark.slow
def test_crowd_plays_like_the_slow_game(movement: str) -> None:
    env = Meadow(map=MEADOW, num_agents=5, movement=movement, episode_ending="stochastic", extras=False)
    table = ((0.5, 0.2, 0.3, 0.1), (0.3, 0.5, 0.3, 0.2), (0.2, 0.4, 0.5, 0.2), (0.6, 0.3, 0.1, 1.0))
    eaten, tagged, ends, grew_below = np.zeros(4), 0, 0, 0
    for seed, timing in enumerate(({}, {"timeout_steps": 3, "mark_steps": 9}, {"freeze_steps": 2, "zap_cooldown": 0})):
        rules: dict[str, Any] = {
            "mushroom_rewards": HALF,
            "spore_growth": table,
            "spore_counts": (3, 2, 3, 1),
            "digestion_steps": (0, 2, 1, 3),
        }
        rules |= {"perish_steps": (60, 50, 40, 90), "timeout_steps": 6, "freeze_steps": 5, **timing}
        rules |= {"min_steps": 100, "ending_interval": 5 - seed, "ending_probability": 0.4}
        rng = np.random.default_rng(seed)
        cells = rng.permutation(env.spawn_cells)[:5]
        kinds = rng.integers(0, 5, len(env.mushroom_cells)).astype(np.int8)
        kinds[env.mushroom_index_at[tuple(cells.T)]] = 0
        state = start(env, seed).replace(positions=cells, mushrooms=kinds, ages=(kinds > 0).astype(np.int32))
        draws, actions = random_draws(env, rng, 400), random_actions(rng, (400, 5), beams=0.05)
        slow = SlowMushrooms.like(
            env,
            state,
            movement=movement,
            is_ending_stochastic=True,
            mushroom_cells=env.mushroom_cells,
            mushrooms=kinds.tolist(),
            **rules,
        )
        rollout = replay_like(slow, env, state, draws, actions, env.default_params.replace(**rules))
        eaten += [rollout.info[f"ate_{name}"].sum() for name in KINDS]
        tagged, ends = tagged + rollout.info["tagged"].sum(), ends + int(rollout.terminated.sum())
        at = env.mushroom_index_at[tuple(np.moveaxis(rollout.states.positions[1:], -1, 0))]
        is_new = np.take_along_axis(rollout.states.mushrooms[:-1], at, 1) == 0
        grew_below += int(((rollout.info["collected"][1:] > 0) & is_new).sum())
        for name, leaf in vars(state).items():
            assert getattr(rollout.states, name).dtype == leaf.dtype
    assert eaten.min() > 20
    assert min(tagged, ends) > 10 and grew_below > 0


def test_recordings_are_six_and_the_board_is_theirs() -> None:
    assert len(RECORDINGS) == 6
    recording = MushroomRecording.load(RECORDINGS[0], "sequential")
    for name, key in (("walls", "walls"), ("mushroom_cells", "item_cells"), ("spawn_cells", "spawn_cells")):
        np.testing.assert_array_equal(getattr(recording.env, name), recording.arrays[key])
    np.testing.assert_array_equal(recording.env.mushrooms_at_start, recording.arrays["items"][0])
    assert np.bincount(recording.env.mushrooms_at_start).tolist() == [221, 3, 3, 3, 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recorded_step_is_that_of_the_original(name: str) -> None:
    recording = MushroomRecording.load(name, "sequential")
    assert recording.find_differences(recording.num_steps) == {}


@pytest.mark.slow
def test_random_play_returns_what_it_returns_in_the_original() -> None:
    returns, _ = play_at_random(jaxdilemmas.make("externality_mushrooms", extras=False), num_episodes=128).T
    assert errors_between(returns, *RANDOM_PLAY) < 3


@pytest.mark.parametrize(("kind", "first"), [(RED, 1), (GREEN, 10), (BLUE, 15), (ORANGE, 15)])
def test_digestion_costs_moves_and_no_shot(env: ExternalityMushrooms, kind: int, first: int) -> None:
    state, _, _ = play(env, around(env, (1, kind)), FORWARD)
    moved, fired = [], []
    for action in [BEAM, *[FORWARD] * 15]:
        before = state.positions[0]
        state, _, _ = play(env, state, action)
        moved.append(bool((state.positions[0] != before).any()))
        fired.append(bool(state.fired[0]))
    assert fired[0]
    assert moved.index(True) + 1 == max(first, 2)


@pytest.mark.parametrize(
    ("kind", "rewards"), [(RED, [1, 0, 0]), (GREEN, [2 / 3] * 3), (BLUE, [0, 1.5, 1.5]), (ORANGE, [-1 / 3] * 3)]
)
def test_each_kind_rewards_other_agents(env: ExternalityMushrooms, kind: int, rewards: list[float]) -> None:
    state, paid, info = play(env, around(env, (1, kind)), FORWARD)
    np.testing.assert_allclose(paid, rewards, rtol=1e-6)
    assert info[f"ate_{KINDS[kind - 1]}"].tolist() == info["collected"].tolist() == [1, 0, 0]
    assert not state.mushrooms.any() and not state.ages.any()


def test_agents_that_are_out_are_not_rewarded(env: ExternalityMushrooms) -> None:
    out = np.array([0, 9, 0], np.int32)
    np.testing.assert_allclose(play(env, around(env, (1, GREEN), timeouts=out), FORWARD)[1], [2 / 3, 0, 2 / 3])
    np.testing.assert_allclose(play(env, around(env, (1, BLUE), timeouts=out), FORWARD)[1], [0, 0, 1.5])


def test_orange_destroys_each_red_mushroom_with_a_quarter(env: ExternalityMushrooms) -> None:
    state = around(env, (1, ORANGE), (8, RED), (9, RED), (10, GREEN), (11, RED))
    chances = np.full(14, 0.9)
    chances[[8, 10, 11]] = [0.2499, 0.0, 0.25]
    after, _, _ = play(env, state, FORWARD, red_destruction=chances)
    assert np.flatnonzero(after.mushrooms).tolist() == [9, 10, 11]
    assert play(env, state, STAND, red_destruction=chances)[0].mushrooms.tolist() == state.mushrooms.tolist()


@pytest.mark.parametrize(("kind", "steps"), [(RED, 200), (GREEN, 100), (BLUE, 75)])
def test_mushrooms_perish(env: ExternalityMushrooms, kind: int, steps: int) -> None:
    state = around(env, (1, kind), ages=np.where(field((1, 1)), steps - 2, 0).astype(np.int32))
    assert play(env, state)[0].mushrooms[1] == kind
    late = play(env, state)[0]
    assert late.ages[1] == steps - 1
    last = play(env, late)[0]
    assert (last.mushrooms[1], last.ages[1]) == (kind, steps)
    assert not play(env, last)[0].mushrooms.any()
    assert play(env, last, FORWARD)[2]["collected"].tolist() == [1, 0, 0]


def test_mushrooms_of_the_start_perish_one_step_earlier() -> None:
    env = ExternalityMushrooms(map=ROWS.replace("O", "B"), num_agents=2, perish_steps=(9, 9, 3, 9))
    state = start(env).replace(positions=np.array([[2, 1], [2, 3]], np.int32))
    there = []
    for _ in range(3):
        state, _, _ = play(env, state)
        there.append(bool(state.mushrooms.any()))
    assert there == [True, True, False]


def test_orange_never_perishes(env: ExternalityMushrooms) -> None:
    state = around(env, (1, ORANGE), ages=np.full(14, 5000, np.int32))
    assert play(env, state)[0].mushrooms[1] == ORANGE


GROWTH: dict[int, dict[int, float]] = {
    RED: {RED: 0.25},
    GREEN: {RED: 0.25, GREEN: 0.4},
    BLUE: {RED: 0.25, GREEN: 0.4, BLUE: 0.6},
    ORANGE: {ORANGE: 1},
}


@pytest.mark.parametrize("eaten", [RED, GREEN, BLUE, ORANGE])
def test_each_spore_grows_every_kind_with_its_probability(env: ExternalityMushrooms, eaten: int) -> None:
    for kind in (RED, GREEN, BLUE, ORANGE):
        chance = GROWTH[eaten].get(kind, 0)
        for spore in range(3):
            released = chance > 0 and spore < (1 if eaten == ORANGE else 3)
            draws = sprout(0, spore, kind, 6, 13)
            draws["spore_gates"][0, spore, kind - 1] = max(chance - 1e-6, 0)
            after, _, _ = play(env, around(env, (1, eaten)), FORWARD, **draws)
            assert np.flatnonzero(after.mushrooms).tolist() == ([7] if released else [])
            assert after.mushrooms[7] == (kind if released else 0)
            draws["spore_gates"][0, spore, kind - 1] = chance
            assert not play(env, around(env, (1, eaten)), FORWARD, **draws)[0].mushrooms.any() or chance == 1


def test_new_mushrooms_grow_only_on_cells_that_were_empty_before_the_step(env: ExternalityMushrooms) -> None:
    state = around(env, (1, BLUE), (2, GREEN), (7, RED))
    grown = set()
    for cell in range(11):
        after, _, _ = play(env, state, FORWARD, **sprout(0, 0, BLUE, cell, 11))
        grown |= set(np.flatnonzero(after.mushrooms != field((2, GREEN), (7, RED))).tolist())
    assert grown == {0, 3, 4, 5, 8, 9, 10, 11, 12}, "agents stand on 6 and 13, and now on 1"


def test_nothing_grows_if_no_cell_is_empty(env: ExternalityMushrooms) -> None:
    state = around(env).replace(mushrooms=np.full(14, BLUE, np.int8))
    after, _, _ = play(env, state, FORWARD, spore_gates=np.zeros((3, 3, 4)))
    assert np.flatnonzero(after.mushrooms == 0).tolist() == [1]


def test_of_several_kinds_on_one_cell_the_last_one_stays(env: ExternalityMushrooms) -> None:
    gates = np.full((3, 3, 4), 0.999)
    gates[0, 0, :3] = 0
    after, _, _ = play(env, around(env, (1, BLUE)), FORWARD, spore_gates=gates, spore_cells=np.full((3, 3, 4), 0.99))
    assert not after.mushrooms.any(), "agent 2 stands on the last cell"
    after, _, _ = play(env, around(env, (1, BLUE)), FORWARD, spore_gates=gates, spore_cells=np.zeros((3, 3, 4)))
    assert after.mushrooms.tolist() == field((0, BLUE)).tolist()


def test_agent_that_moves_onto_a_new_mushroom_in_the_same_step_eats_it(env: ExternalityMushrooms) -> None:
    state, draws = around(env, (1, BLUE)), sprout(0, 1, GREEN, 4, 13)
    draws["spore_gates"][1, 0, 0], draws["spore_cells"][1, 0, 0] = 0, 6.5 / 13
    after, rewards, info = play(env, state, FORWARD, FORWARD, **draws)
    assert info["ate_blue"].tolist() == [1, 0, 0] and info["ate_green"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(rewards, [2 / 3, 1.5 + 2 / 3, 1.5 + 2 / 3], rtol=1e-6)
    assert after.mushrooms.tolist() == field((7, RED)).tolist(), "the spores of the green one grew"
    assert after.frozen.tolist() == [14, 9, 0]


def test_mushroom_does_not_grow_below_an_agent_that_moved_first(env: ExternalityMushrooms) -> None:
    state, first = around(env, (1, BLUE)), np.array([0.1, 0.9, 0.5])
    after, _, info = play(env, state, FORWARD, FORWARD, priorities=first, **sprout(0, 1, GREEN, 4, 13))
    assert info["ate_green"].tolist() == [0, 0, 0]
    assert not after.mushrooms.any()
    left, _, _ = play(env, state, FORWARD, FORWARD, priorities=first, **sprout(0, 1, GREEN, 5, 13))
    assert left.mushrooms.tolist() == field((6, GREEN)).tolist(), "agent 1 had left"
    stands, _, _ = play(env, state, FORWARD, FORWARD, **sprout(0, 1, GREEN, 5, 13))
    assert not stands.mushrooms.any(), "agent 1 had not left yet"


def test_agent_that_returns_onto_a_mushroom_eats_it() -> None:
    env = ExternalityMushrooms(map="WWWWWW\nWP BPW\nWWWWWW", num_agents=2)
    state = put(env, [[1, 1], [1, 3]], [NORTH, EAST], mushrooms=np.array([0, 0, 0, GREEN], np.int8))
    state = state.replace(timeouts=np.array([0, 1], np.int32))
    after, rewards, info = play(env, state)
    assert after.positions.tolist() == [[1, 1], [1, 4]]
    assert info["ate_green"].tolist() == [0, 1] and rewards.tolist() == [1, 1]
    _, rewards, _ = play(env, state.replace(mushrooms=np.array([0, GREEN, 0, 0], np.int8)), STEP_RIGHT)
    assert rewards.tolist() == [1, 0], "who returns later is not rewarded for what was eaten before"


def test_beam_destroys_mushrooms_and_goes_on_to_walls_and_the_first_agent(env: ExternalityMushrooms) -> None:
    state = put(env, [[1, 1], [1, 3], [2, 4]], [EAST, WEST, NORTH], mushrooms=field((1, RED), (3, RED), (8, BLUE)))
    after, rewards, info = play(env, state, BEAM)
    assert np.flatnonzero(after.mushrooms).tolist() == [3]
    assert after.rays[0].tolist() == [0, 1, 3]
    assert info["hits_given"].tolist() == [1, 0, 0] and info["hits_received"].tolist() == [0, 1, 0]
    assert not rewards.any() and not info["collected"].any()


def test_beam_destroys_no_mushroom_that_grows_in_this_step(env: ExternalityMushrooms) -> None:
    state = around(env, (1, BLUE))
    after, _, _ = play(env, state, FORWARD, BEAM, **sprout(0, 0, RED, 4, 13))
    assert after.mushrooms.tolist() == field((5, RED)).tolist()


def test_mushroom_that_is_shot_in_the_step_in_which_it_is_entered_is_eaten(env: ExternalityMushrooms) -> None:
    state = put(env, [[1, 1], [1, 3], [2, 2]], [EAST, WEST, NORTH], mushrooms=field((1, GREEN)))
    assert play(env, state, FORWARD, BEAM)[2]["ate_green"].tolist() == [1, 0, 0]


def test_beam_cools_down_for_three_steps(env: ExternalityMushrooms) -> None:
    state, fired = around(env), []
    for _ in range(9):
        state, _, _ = play(env, state, BEAM)
        fired.append(bool(state.fired[0]))
    assert np.flatnonzero(fired).tolist() == [0, 4, 8]


def facing(env: ExternalityMushrooms, **fields: Any) -> Any:
    """Agents 0 and 1 face each other in the first row, agent 2 stands at the other end of the second row."""
    return put(env, [[1, 1], [1, 3], [2, 7]], [EAST, WEST, NORTH], **{"mushrooms": field()} | fields)


def test_first_hit_freezes_and_marks(env: ExternalityMushrooms) -> None:
    state, rewards, _ = play(env, facing(env), BEAM)
    assert not rewards.any()
    moved, fired = [], []
    for t in range(1, 31):
        before = state.headings[1]
        state, _, _ = play(env, state, STAND, BEAM if t >= 26 else TURN_LEFT)
        moved.append(state.headings[1] != before)
        fired.append(state.fired[1])
    assert moved.index(True) + 1 == 25
    assert fired.index(True) + 1 == 29


@pytest.mark.parametrize(("wait", "is_removed"), [(4, True), (49, True), (50, False)])
def test_second_hit_removes_who_is_still_marked(env: ExternalityMushrooms, wait: int, is_removed: bool) -> None:
    state, _, _ = play(env, facing(env), BEAM)
    for _ in range(wait - 1):
        state, _, _ = play(env, state)
    state, _, info = play(env, state, BEAM)
    assert info["hits_received"].tolist() == [0, 1, 0] and not info["tagged"].any()
    assert state.leaves.tolist() == [False, is_removed, False]
    assert state.marked_for[1] == (0 if is_removed else 50)


def test_agent_that_leaves_takes_and_fires_nothing_and_returns_after_52_steps(env: ExternalityMushrooms) -> None:
    state = facing(env, marked_for=np.array([0, 9, 0], np.int32), mushrooms=field((1, RED)))
    state, _, _ = play(env, state, STEP_RIGHT)
    state = state.replace(headings=np.array([NORTH, WEST, NORTH], np.int32), leaves=np.array([False, True, False]))
    state = state.replace(marked_for=np.zeros(3, np.int32), cooldowns=np.zeros((3, 1), np.int32))
    after, _, info = play(env, state, STAND, FORWARD)
    assert info["tagged"].tolist() == [False, True, False]
    assert not info["collected"].any() and after.positions[1].tolist() == [1, 3]
    assert not play(env, state, STAND, BEAM)[0].fired.any()
    for _ in range(50):
        after, _, info = play(env, after)
    assert info["tagged"][1]
    after, _, info = play(env, after)
    assert not info["tagged"].any() and after.marked_for.tolist() == [0, 0, 0]
    before = after.headings[1]
    assert play(env, after, STAND, TURN_LEFT)[0].headings[1] == (before - 1) % 4


def test_cell_of_an_agent_that_leaves_is_free_only_after_the_moves(env: ExternalityMushrooms) -> None:
    state = put(env, [[1, 1], [1, 2], [2, 7]], [EAST, WEST, NORTH], mushrooms=field((3, BLUE)))
    state = state.replace(leaves=np.array([False, True, False]))
    state, _, info = play(env, state, FORWARD, FORWARD)
    assert state.positions[:2].tolist() == [[1, 1], [1, 2]] and info["tagged"].tolist() == [False, True, False]
    assert play(env, state, FORWARD)[0].positions[0].tolist() == [1, 2]


def test_two_that_zap_each_other_are_both_hit(env: ExternalityMushrooms) -> None:
    state, _, info = play(env, facing(env, marked_for=np.array([9, 9, 0], np.int32)), BEAM, BEAM)
    assert info["hits_given"].tolist() == info["hits_received"].tolist() == [1, 1, 0]
    assert state.leaves.tolist() == [True, True, False] and state.fired.tolist() == [True, True, False]


def test_two_beams_of_one_step_both_count(env: ExternalityMushrooms) -> None:
    state = put(env, [[1, 1], [1, 3], [1, 5]], [EAST, WEST, WEST], mushrooms=field())
    state, _, info = play(env, state, BEAM, STAND, BEAM)
    assert info["hits_received"].tolist() == [0, 2, 0]
    assert state.leaves.tolist() == [False, True, False]


def test_hit_and_digestion_of_one_step_share_a_counter(env: ExternalityMushrooms) -> None:
    state = put(env, [[1, 1], [1, 4], [2, 7]], [EAST, WEST, NORTH], mushrooms=field((2, GREEN)))
    after, _, _ = play(env, state, BEAM, FORWARD)
    assert after.frozen.tolist() == [0, 24, 0], "the hit came after the meal"
    state = put(env, [[1, 1], [1, 4], [2, 6]], [EAST, WEST, EAST], mushrooms=field((13, BLUE)))
    first = np.array([0.5, 0.1, 0.9])
    after, _, info = play(env, state, BEAM, FORWARD, FORWARD, priorities=first, **sprout(2, 0, GREEN, 2, 13))
    assert info["ate_green"].tolist() == info["hits_received"].tolist() == [0, 1, 0]
    assert after.frozen.tolist() == [0, 9, 14], "the mushroom grew after the hit"
    assert after.marked_for.tolist() == [0, 50, 0]


def test_agents_observe_marks_mushrooms_and_whether_their_beam_is_ready(env: ExternalityMushrooms) -> None:
    state, _, _ = play(env, facing(env, mushrooms=field((3, BLUE))), BEAM)
    seen: Any = jax.jit(env.observe)(state, env.default_params)
    assert seen.extras.tolist() == [[0], [0], [1]]
    assert seen.view[0, 7, 5] == env.tile_id("marked_facing_viewer")
    assert seen.view[1, 7, 5] == env.tile_id("other_facing_viewer")
    assert (seen.view[0] == env.tile_id("blue")).sum() == 1
    assert env.observation_space == jaxdilemmas.WithExtras(env.view_space, ("ready_to_zap",))
    alone = ExternalityMushrooms(map=ROWS, num_agents=3, extras=False)
    np.testing.assert_array_equal(observe(alone, state), seen.view)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_agents": 222}, "num_agents=222 is not allowed: at most 221 agents can spawn on this map"),
        ({"num_agents": 0}, "num_agents=0 is not allowed"),
        ({"map": "WWW\nWRW\nWWW"}, "map=.* is not allowed: it has no spawn cell, which is drawn as 'P'"),
        ({"map": "WWW\nWPW\nWWW"}, "map=.* is not allowed: it has no mushroom, which is drawn as 'R', 'G', 'B' or 'O'"),
        ({"spore_growth": ((0.5,) * 4,) * 3}, "spore_growth=.* is not allowed: four rows of four probabilities"),
        ({"spore_growth": ((1.5,) * 4,) * 4}, "spore_growth=.* is not allowed: four rows of four probabilities"),
        ({"spore_growth": ((0.5,), (0.5, 0.5))}, "spore_growth=.* is not allowed: four rows of four probabilities"),
        (
            {"mushroom_rewards": (1, 2, 3)},
            r"mushroom_rewards=\(1, 2, 3\) is not allowed: four finite numbers, for red, green",
        ),
        (
            {"mushroom_rewards": (1, 2, 3, float("nan"))},
            "mushroom_rewards=.* is not allowed: four finite numbers, for red, green",
        ),
        (
            {"mushroom_rewards": (1, 2, 3, float("inf"))},
            "mushroom_rewards=.* is not allowed: four finite numbers, for red, green",
        ),
        ({"spore_counts": (3, 3, 4, 1)}, "spore_counts=.* is not allowed: four whole numbers from 0 to 3, for red"),
        ({"spore_counts": (3, 3, 2.5, 1)}, "spore_counts=.* is not allowed: four whole numbers from 0 to 3"),
        ({"digestion_steps": (0, -1, 0, 0)}, "digestion_steps=.* is not allowed: four whole numbers from 0 to"),
        ({"perish_steps": (0, 1, 1, 1)}, "perish_steps=.* is not allowed: four whole numbers from 1 to 2147483647"),
        ({"red_destruction": 2}, "red_destruction=2 is not allowed: a number from 0 to 1"),
    ],
)
def test_what_no_meadow_can_have_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExternalityMushrooms(**arguments)
