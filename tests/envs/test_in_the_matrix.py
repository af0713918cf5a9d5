from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.in_the_matrix import InTheMatrix, choose_meetings
from jaxdilemmas.envs.matrices import GAMES, check_payoffs, pay
from jaxdilemmas.grid.barriers import Struck
from jaxdilemmas.grid.views import Window
from jaxdilemmas.spaces import extra_names, view_of
from tests.reference.in_the_matrix import InTheMatrix as SlowInTheMatrix
from tests.reference.rollouts import observe, put, random_actions, random_draws, replay_like, start
from tests.reference.rollouts import play_quietly as play

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
YARD = """
WWWWWWWW
WP12a.PW
WPa.21.W
W.1WaP2P
WP.W.a.W
WWWWWWWW
"""
ALLEY = """
WWWWWWW
WP.1.PW
WP..2PW
WWWWWWW
"""


class Yard(InTheMatrix):
    """A small board on which much happens."""

    def __init__(self, **options: Any) -> None:
        super().__init__(map=YARD, rules="repeated", extras=False, **options)


@pytest.fixture(scope="module")
def env() -> InTheMatrix:
    return InTheMatrix(map=ALLEY, rules="repeated")


def scatter(env: InTheMatrix, seed: int) -> Any:
    """A moment with agents and resources anywhere."""
    rng = np.random.default_rng(seed)
    free = np.argwhere(~env.walls)
    resources = rng.random(len(env.resource_cells)) < 0.6
    inventories = rng.integers(1, 4, (env.num_agents, env.num_classes))
    return start(env, seed).replace(
        positions=jnp.asarray(rng.permutation(free)[: env.num_agents], jnp.int32),
        resources=jnp.asarray(resources),
        missing_for=jnp.asarray(np.where(resources, 0, rng.integers(1, 15, len(resources))), jnp.int32),
        health=jnp.asarray(rng.integers(1, 4, len(resources)), jnp.int8),
        inventories=jnp.asarray(inventories, jnp.int32),
    )


def compare(env: InTheMatrix, seed: int, num_steps: int, **rules: Any) -> dict[str, int]:
    """Plays an episode like the slow game; returns the sums of its events."""
    rng = np.random.default_rng(seed)
    params = env.default_params.replace(**rules)
    state, draws = scatter(env, seed), random_draws(env, rng, num_steps)
    draws["resource_growth"] *= np.float32(0.2)
    actions = random_actions(rng, (num_steps, env.num_agents), beams=0.3)
    slow = SlowInTheMatrix.at_moment(env, state, params)
    rollout = replay_like(slow, env, state, draws, actions, params)
    for field, leaf in vars(state).items():
        assert getattr(rollout.states, field).dtype == leaf.dtype
    return {name: int(values.sum()) for name, values in rollout.info.items()} | {"ends": int(rollout.terminated.sum())}


# The slow game


@pytest.mark.parametrize("game", ["prisoners_dilemma", "bach_or_stravinsky"])
@pytest.mark.slow
def test_crowd_plays_like_the_slow_game_in_a_yard(game: str) -> None:
    env = Yard(game=game, num_agents=5)
    totals = [compare(env, seed, 200, freeze_steps=1 + 2 * seed, timeout_steps=2) for seed in range(3)]
    assert sum(total["interactions"] for total in totals) > 40
    assert sum(total["collected"] for total in totals) > 60
    assert all(sum(total[f"played_{k}"] for total in totals) > 5 for k in (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "options"),
    [(game, {"map": name}) for game in GAMES for name in GAMES[game].maps]
    + [("stag_hunt", {"map": "arena", "movement": "simultaneous", "episode_ending": "stochastic"})],
)
def test_every_game_plays_like_the_slow_one(game: str, options: dict[str, Any]) -> None:
    env = InTheMatrix(game, extras=False, **options)
    totals = [compare(env, seed, 400, min_steps=50, ending_interval=4, freeze_steps=3) for seed in range(4)]
    least = 10 if game == "running_with_scissors" else 20  # whose resources return later
    assert sum(total["collected"] for total in totals) > least
    ends = sum(total["ends"] for total in totals)
    assert (ends > 0) == ("episode_ending" in options or options["map"] == "one_shot")


# Boards and payoffs


@pytest.mark.parametrize(
    ("game", "name", "counts"),
    [
        ("prisoners_dilemma", "repeated", (13, 12, 12, 12)),
        ("stag_hunt", "repeated", (13, 12, 10, 25)),
        ("running_with_scissors", "repeated", (13, 15, 6, 6, 6)),
        ("running_with_scissors", "one_shot", (15, 18, 6, 6, 6)),
        ("chicken", "arena", (64, 10, 13, 13)),
        ("stag_hunt", "arena", (88, 12, 23, 40)),
        ("pure_coordination", "arena", (64, 8, 12, 12, 12)),
    ],
)
def test_boards_have_the_cells_of_melting_pot(game: str, name: str, counts: tuple[int, ...]) -> None:
    env = InTheMatrix(game, map=name)
    assert env.walls.shape == ((24, 25) if name == "arena" else (15, 23))
    assert (len(env.spawn_cells), *np.bincount(env.fixed_classes).tolist()) == counts
    assert view_of(env.observation_space).shape == ((11, 11) if name == "arena" else (5, 5))
    assert env.num_agents == (8 if name == "arena" else 2)
    assert env.default_params.timeout_steps == {"arena": 51, "repeated": 6, "one_shot": 101}[name]


def test_numbers_depend_on_game_and_map() -> None:
    delays = [InTheMatrix(game).default_params.regrowth_delay for game in ("chicken", "running_with_scissors")]
    assert delays == [10, 15]
    ends = [InTheMatrix(game, map="arena").default_params.ending_probability for game in GAMES]
    assert ends == [0.15, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert InTheMatrix("running_with_scissors", map="one_shot").default_params.regrowth_probability == 0
    assert InTheMatrix(map="arena", rules="repeated").window == Window(3, 1, 2)
    assert InTheMatrix("running_with_scissors", map="arena", rules="repeated").default_params.regrowth_delay == 10


ORACLES: list[tuple[str, tuple[int, ...], tuple[int, ...], float, float]] = [
    ("prisoners_dilemma", (1, 2), (2, 1), 3 + 1 / 9, 1 + 4 / 9),
    ("prisoners_dilemma", (4, 1), (4, 1), 2.76, 2.76),
    ("prisoners_dilemma", (4, 1), (1, 4), 0.84, 3.84),
    ("prisoners_dilemma", (1, 4), (1, 4), 1.56, 1.56),
    ("prisoners_dilemma", (1, 1), (1, 1), 2.25, 2.25),
    ("stag_hunt", (4, 1), (4, 1), 2.96, 2.96),
    ("stag_hunt", (4, 1), (1, 4), 1.04, 2.24),
    ("stag_hunt", (1, 4), (1, 4), 1.76, 1.76),
    ("stag_hunt", (1, 1), (1, 1), 2.0, 2.0),
    ("chicken", (4, 1), (4, 1), 3.04, 3.04),
    ("chicken", (4, 1), (1, 4), 1.96, 3.76),
    ("chicken", (1, 4), (1, 4), 1.24, 1.24),
    ("chicken", (1, 1), (1, 1), 2.5, 2.5),
    ("bach_or_stravinsky", (4, 1), (4, 1), 2.0, 1.4),
    ("running_with_scissors", (4, 1, 1), (1, 4, 1), -2.5, 2.5),
    ("rationalizable_coordination", (1, 1, 4), (1, 1, 4), 17 / 12, 17 / 12),
    ("pure_coordination", (4, 1, 1), (4, 1, 1), 0.5, 0.5),
]


@pytest.mark.parametrize(("game", "row", "column", "of_row", "of_column"), ORACLES)
def test_payoffs_are_those_of_the_original(
    game: str, row: tuple[int, ...], column: tuple[int, ...], of_row: float, of_column: float
) -> None:
    own = jnp.array([row, column], jnp.int32)
    payoffs = pay(own, own[::-1], jnp.array([True, False]), np.array(GAMES[game].payoffs, np.float32))
    np.testing.assert_allclose(payoffs, [of_row, of_column], rtol=1e-6)


def test_own_payoffs_replace_those_of_the_game() -> None:
    env = InTheMatrix("prisoners_dilemma", payoffs=[[[1, -2], [3, 4]], [[5, 6], [7, 8]]])
    np.testing.assert_array_equal(env.payoffs[1], [[5, 6], [7, 8]])
    own = jnp.array([[1, 0], [0, 1]], jnp.int32)
    assert pay(own, own[::-1], jnp.array([True, False]), env.payoffs).tolist() == [-2, 6]


# One rule at a time


def meet(env: InTheMatrix, cols: tuple[int, int] = (1, 3), **fields: Any) -> Any:
    """Two agents that are ready and face each other in the upper row of the alley, whose resource is missing."""
    things = {"resources": [False, True], "inventories": jnp.array([[1, 2], [2, 1]], jnp.int32)}
    return put(env, [[1, cols[0]], [1, cols[1]]], [EAST, WEST], **things | fields)


def test_an_interaction_freezes_then_rewards_then_removes_and_both_return(env: InTheMatrix) -> None:
    state, _, info = play(env, meet(env), BEAM)
    assert info["interactions"].tolist() == [1, 1]
    assert (info["played_1"].tolist(), info["played_2"].tolist()) == ([0, 1], [1, 0])
    assert info["hits_given"].tolist() == [1, 0]
    assert state.partners.tolist() == [[2, 1], [1, 2]]
    for step in range(1, 24):
        assert state.frozen.tolist() == [max(18 - step, 0)] * 2
        state, rewards, info = play(env, state, FORWARD, BEAM)
        assert not info["hits_given"].any()
        assert info["tagged"].tolist() == [17 <= step < 23] * 2
        np.testing.assert_allclose(rewards, [28 / 9, 13 / 9] if step == 17 else [0, 0], rtol=1e-6)
        if step < 17:
            assert state.positions.tolist() == [[1, 1], [1, 3]]
            assert state.inventories.tolist() == [[1, 2], [2, 1]]
        assert bool(state.resources.all()) == (step >= 18)
    assert state.inventories.tolist() == [[1, 1], [1, 1]]
    moved, _, _ = play(env, state, TURN_LEFT)
    assert moved.headings[0] != state.headings[0]


def test_of_two_that_hit_each_other_the_one_with_the_higher_priority_is_the_row_player(env: InTheMatrix) -> None:
    for priorities, due in (([0.9, 0.1], [28 / 9, 13 / 9]), ([0.1, 0.9], [28 / 9, 13 / 9])):
        state, _, info = play(env, meet(env), BEAM, BEAM, priorities=np.array(priorities))
        assert info["hits_given"].tolist() == [1, 1]
        assert info["interactions"].tolist() == [1, 1]
        np.testing.assert_allclose(state.pending_rewards, due, rtol=1e-6)
    hits = np.where(np.eye(2, dtype=bool), False, True)
    for order, row in (([0, 1], 0), ([1, 0], 1)):
        struck = Struck(jnp.asarray(hits), jnp.zeros((2, 2), jnp.int32), *[jnp.zeros(())] * 4)  # type: ignore[arg-type]
        met = choose_meetings(struck, meet(env), jnp.array(order, jnp.int32), None)
        assert np.argwhere(met).tolist() == [[row, 1 - row]]


def test_hits_of_the_left_ray_come_before_those_of_the_right_and_of_the_middle_one() -> None:
    env = InTheMatrix(map=ALLEY, rules="repeated", num_agents=4)
    right = jnp.zeros((4, 4), jnp.int32).at[0].set(jnp.array([0, 0, 1, -1], jnp.int32))
    state = put(env, [[1, 1], [1, 2], [2, 2], [2, 4]], [EAST] * 4, inventories=jnp.full((4, 2), 2, jnp.int32))
    for targets, first in (([1, 2, 3], 3), ([1, 2], 2), ([1], 1)):
        given = jnp.zeros((4, 4), bool).at[0, jnp.array(targets)].set(True)
        struck = Struck(given, right, *[jnp.zeros(())] * 4)  # type: ignore[arg-type]
        assert np.argwhere(choose_meetings(struck, state, jnp.arange(4), None)).tolist() == [[0, first]]


def test_an_agent_without_a_resource_does_not_interact(env: InTheMatrix) -> None:
    for inventories in ([[1, 1], [1, 2]], [[2, 1], [1, 1]]):
        state, _, info = play(env, meet(env, inventories=jnp.array(inventories, jnp.int32)), BEAM)
        assert info["hits_received"].tolist() == [0, 1]
        assert not info["interactions"].any()
        assert not state.frozen.any()


def test_an_agent_takes_part_in_one_interaction_and_others_find_it_frozen() -> None:
    env = InTheMatrix(map=ALLEY, rules="repeated", num_agents=3)
    inventories = jnp.full((3, 2), 2, jnp.int32)
    state = put(env, [[1, 1], [1, 2], [1, 3]], [EAST, WEST, WEST], resources=[False, False], inventories=inventories)
    state, _, info = play(env, state, STAND, STAND, BEAM)
    assert info["interactions"].tolist() == [0, 1, 1]
    state, _, info = play(env, state, BEAM)
    assert info["hits_given"].tolist() == [1, 0, 0]
    assert info["interactions"].tolist() == [0, 0, 0]


def test_roles_decide_who_is_row_and_equal_roles_do_not_interact() -> None:
    env = InTheMatrix("bach_or_stravinsky", map=ALLEY, rules="repeated", num_agents=3)
    assert env.is_row.tolist() == [True, True, False]
    fields = {"resources": [False, False], "inventories": jnp.full((3, 2), 1, jnp.int32).at[:, 0].set(4)}
    state = put(env, [[1, 1], [2, 5], [1, 3]], [EAST, EAST, WEST], **fields)
    met, _, info = play(env, state, STAND, STAND, BEAM)
    assert info["interactions"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(met.pending_rewards, [2.0, 0, 1.4], rtol=1e-6)
    same = put(env, [[1, 1], [1, 3], [2, 5]], [EAST, EAST, WEST], **fields)
    _, _, info = play(env, same, BEAM)
    assert info["hits_given"].tolist() == [1, 0, 0]
    assert not info["interactions"].any()


def test_a_resource_stops_two_beams_and_the_third_destroys_it_and_goes_on(env: InTheMatrix) -> None:
    state = meet(env, (1, 4), resources=[True, True])
    for hits in range(1, 4):
        state, _, info = play(env, state, BEAM)
        assert state.rays[0].tolist() == [0, 2 if hits == 3 else 1, 3]
        assert bool(state.resources[0]) == (hits < 3)
        assert state.health.tolist() == [3 if hits == 3 else 3 - hits, 3]
        assert info["hits_given"][0] == (hits == 3)
        if hits < 3:
            state, _, _ = play(env, state)
            state, _, _ = play(env, state)


def test_collecting_fills_the_inventory_and_does_not_heal_a_resource(env: InTheMatrix) -> None:
    state = meet(env, (2, 5), resources=[True, True], health=jnp.array([2, 3], jnp.int8))
    state, rewards, info = play(env, state, FORWARD)
    assert state.inventories.tolist() == [[2, 2], [2, 1]]
    assert (info["collected_1"].tolist(), info["collected_2"].tolist()) == ([1, 0], [0, 0])
    assert not rewards.any()
    assert (state.resources.tolist(), state.health.tolist()) == ([False, True], [2, 3])


def test_a_resource_appears_after_the_delay_and_never_below_an_agent(env: InTheMatrix) -> None:
    state = meet(env, (2, 5), resources=[True, True])
    state, _, _ = play(env, state, FORWARD)
    state, _, _ = play(env, state, FORWARD, resource_growth=np.zeros(2))
    for step in range(2, 12):
        state, _, _ = play(env, state, resource_growth=np.zeros(2))
        assert bool(state.resources[0]) == (step == 11)
    below = meet(env, (3, 5), missing_for=jnp.array([50, 0], jnp.int32))
    stayed, _, _ = play(env, below, STAND, resource_growth=np.zeros(2))
    assert not stayed.resources[0]
    left, _, _ = play(env, below, FORWARD, resource_growth=np.zeros(2))
    assert not left.resources[0]
    onto = below.replace(positions=jnp.array([[1, 2], [1, 5]], jnp.int32))
    came, _, info = play(env, onto, FORWARD, resource_growth=np.zeros(2))
    assert info["collected"].tolist() == [1, 0]
    assert not came.resources[0]


def test_one_shot_ends_in_the_step_after_both_left() -> None:
    env = InTheMatrix("running_with_scissors", map="one_shot", freeze_steps=2)
    state = put(env, [[1, 10], [1, 12]], [EAST, WEST], inventories=jnp.full((2, 3), 2, jnp.int32))
    step = jax.jit(env.transition)
    quiet = jax.tree.map(jnp.zeros_like, env.draw(jax.random.key(0), state, env.default_params))
    quiet = quiet.replace(priorities=jnp.array([0.5, 0.4]), resource_growth=quiet.resource_growth + 0.9)
    ends = []
    for actions in ([BEAM, STAND], [STAND, STAND], [STAND, STAND], [STAND, STAND]):
        state, _, is_over, _ = step(quiet, state, np.array(actions, np.int32), env.default_params)
        ends.append(bool(is_over))
    assert ends == [False, False, False, True]


def test_classes_are_drawn_at_the_start_and_each_is_equally_likely(env: InTheMatrix) -> None:
    env = InTheMatrix("pure_coordination")
    keys = jax.random.split(jax.random.key(0), 500)
    classes = np.asarray(jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys).classes)
    is_fixed = env.fixed_classes > 0
    assert (classes[:, is_fixed] == env.fixed_classes[is_fixed]).all()
    counts = np.bincount(classes[:, ~is_fixed].ravel(), minlength=4)
    assert counts[0] == 0
    assert np.abs(counts[1:] / counts.sum() - 1 / 3).max() < 0.025


# Observations


def test_agents_observe_inventories_cooldown_and_their_own_condition(env: InTheMatrix) -> None:
    names = ("inventory_1", "inventory_2", "partner_1", "partner_2", "ready_to_zap", "is_out", "is_frozen")
    assert extra_names(env.observation_space) == names
    state, _, _ = play(env, meet(env), BEAM)
    extras = jax.jit(env.observe)(state, env.default_params).extras
    assert extras.tolist() == [[1, 2, 2, 1, 0, 0, 1], [2, 1, 1, 2, 1, 0, 1]]
    assert extra_names(InTheMatrix("bach_or_stravinsky").observation_space)[-1] == "is_row"
    plain = InTheMatrix(map=ALLEY, rules="repeated", extras=False)
    assert view_of(plain.observation_space).shape == (5, 5)
    assert extra_names(plain.observation_space) == ()


def test_others_that_are_ready_have_a_tile_of_their_own_until_they_meet() -> None:
    env = InTheMatrix(map=ALLEY, rules="repeated", extras=False)
    for inventories, frozen, tile in (
        ([[1, 1], [2, 1]], 0, "marked_facing_viewer"),
        ([[2, 1], [1, 1]], 0, "other_facing_viewer"),
        ([[2, 1], [2, 1]], 5, "other_facing_viewer"),
    ):
        held, is_frozen = jnp.array(inventories, jnp.int32), jnp.full(2, frozen, jnp.int32)
        view = observe(env, meet(env, inventories=held, frozen=is_frozen))[0]
        assert env.tiles[view[1, 2]] == tile
        assert env.tiles[view[3, 2]] == "self"


def test_nothing_is_promoted_by_itself() -> None:
    env = InTheMatrix("bach_or_stravinsky")
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        key, actions = jax.random.key(0), jnp.zeros(2, jnp.int32)
        obs, *_ = jax.eval_shape(lambda key: env.step(key, env.reset(key)[1], actions), key)
    assert obs.extras.shape == (2, 8)


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"payoffs": [[[1, 2], [3, 4]]]}, "payoffs=.* is not allowed: two matrices of one size K x K"),
        ({"payoffs": [[[1, 2, 3], [3, 4, 5]]] * 2}, "payoffs=.*K x K"),
        ({"payoffs": [[[1, 2], [3]], [[1, 2], [3, 4]]]}, "payoffs=.*K x K"),
        ({"payoffs": [[[1, 2], [3, np.nan]]] * 2}, r"payoffs=.*from -1e\+30 to 1e\+30"),
        ({"payoffs": [[[1, 2], [3, 1e31]]] * 2}, r"payoffs=.*from -1e\+30 to 1e\+30"),
        ({"payoffs": np.zeros((2, 10, 10))}, "payoffs=.*K from 1 to 9"),
        ({"payoffs": "abc"}, "payoffs='abc' is not allowed"),
        ({"payoffs": np.zeros((2, 1, 1))}, "unknown map symbol '2' at row 3, col 14"),
        ({"game": "chess"}, "game='chess' is not allowed: one of prisoners_dilemma"),
        ({"rules": "always"}, "rules='always' is not allowed: one of repeated, arena, one_shot"),
        ({"map": "one_shot"}, "map='one_shot' is not allowed: one of repeated, arena"),
        ({"map": "WWW\nW1W\nW2W"}, "it has no spawn cell"),
        ({"map": "WWW\nW1W\nWPW"}, "it needs a resource of every class, drawn as 'a' or as '1' and '2'"),
        ({"map": "WWW\nWPW"}, "it needs a resource of every class"),
        ({"map": "WWWW\nWP1W\nWP3W"}, "unknown map symbol '3' at row 2, col 2"),
        ({"num_agents": 14}, "num_agents=14 is not allowed: at most 13 agents can spawn on this map"),
        ({"freeze_steps": 0}, "freeze_steps=0 is not allowed"),
        ({"regrowth_delay": -1}, "regrowth_delay=-1 is not allowed"),
        ({"regrowth_probability": 1.5}, "regrowth_probability=1.5 is not allowed"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        jaxdilemmas.make("in_the_matrix", **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("game", "map", "longest"),
    [("stag_hunt", "repeated", 2500), ("running_with_scissors", "one_shot", 1000), ("chicken", "repeated", 5000)],
)
def test_an_episode_that_ends_by_chance_is_as_long_as_in_the_original(game: str, map: str, longest: int) -> None:
    assert InTheMatrix(game=game, map=map, episode_ending="stochastic").default_params.max_steps == longest
    assert InTheMatrix(game=game, map=map).default_params.max_steps == 1000


def test_payoffs_of_the_largest_size_are_numbers() -> None:
    payoffs = check_payoffs([[[1e30, -1e30], [-1e30, 1e30]]] * 2)
    due = pay(jnp.array([[30, 20], [20, 30]]), jnp.array([[20, 30], [30, 20]]), jnp.array([True, False]), payoffs)
    np.testing.assert_allclose(due, -0.04e30, rtol=1e-5)
