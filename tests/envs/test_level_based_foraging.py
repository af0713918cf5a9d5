"""Level-based foraging: episodes of lb-foraging and jumanji, a slow version, the rules one by one, starts."""

import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.level_based_foraging import LevelBasedForaging, State
from jaxdilemmas.envs.orchard import place_food
from tests.reference import jumanji_foraging, lbforaging_recordings
from tests.reference.lbforaging_recordings import FOLDER, RECORDINGS, count_starts
from tests.reference.level_based_foraging import LevelBasedForaging as SlowForaging
from tests.reference.level_based_foraging import place

pytestmark = pytest.mark.usefixtures("quick_compiling")
NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)


@functools.cache
def make(**kwargs: Any) -> LevelBasedForaging:
    """The game, once for all tests."""
    return LevelBasedForaging(**kwargs)


# Recordings and the slow version


def load(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a recording and the arguments of our game."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    return arrays, json.loads(str(arrays["config"]))


def play(kwargs: dict[str, Any], starts: State, actions: np.ndarray) -> Any:
    """Plays E episodes from given starts, actions `[E, T, N]`: states, rewards, ends, info, and both observations.

    States and observations have one more moment than steps.
    """
    envs = [make(**kwargs, observation=kind) for kind in ("entities", "planes")]
    params = envs[0].default_params

    def step(state: State, joint: jax.Array) -> Any:
        draws = envs[0].draw(jax.random.key(0), state, params)
        after, rewards, terminated, info = envs[0].transition(draws, state, joint, params)
        return after, (after, rewards, terminated, info, *(env.observe(after, params) for env in envs))

    def episode(start: State, actions: jax.Array) -> Any:
        states, rewards, terminated, info, *seen = jax.lax.scan(step, start, actions)[1]
        first = (start, *(env.observe(start, params) for env in envs))
        states, *seen = jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), first, (states, *seen))
        return states, rewards, terminated, info, *seen

    played = jax.jit(jax.vmap(episode))(starts, np.asarray(actions, np.int32))
    return jax.tree.map(np.asarray, played)


def starts_of(arrays: dict[str, np.ndarray]) -> State:
    """The starts of recorded episodes."""
    numbers = {key: jnp.asarray(arrays[key], jnp.int32) for key in ("positions", "levels", "foods", "food_levels")}
    numbers["positions"] = numbers["positions"][:, 0]
    is_left = jnp.asarray(arrays["is_left"][:, 0], bool)
    return State(**numbers, is_left=is_left, step_count=jnp.zeros(len(is_left), jnp.int32))


@pytest.mark.parametrize("name", RECORDINGS)
def test_episodes_of_lb_foraging_are_played_again_step_by_step(name: str) -> None:
    arrays, kwargs = load(name)
    states, rewards, terminated, _, entities, planes = play(kwargs, starts_of(arrays), arrays["actions"])
    for episode, length in enumerate(arrays["length"]):
        until, moments = np.s_[episode, :length], np.s_[episode, : length + 1]
        np.testing.assert_array_equal(states.positions[moments], arrays["positions"][moments])
        np.testing.assert_array_equal(states.is_left[moments], arrays["is_left"][moments])
        np.testing.assert_allclose(rewards[until], arrays["rewards"][until], rtol=1e-6)
        is_over = terminated[until] | (np.arange(1, length + 1) >= 50)
        assert is_over.tolist() == [False] * (length - 1) + [True]
        np.testing.assert_array_equal(
            entities[moments].reshape(*entities[moments].shape[:2], -1), arrays["entities"][moments]
        )
        np.testing.assert_array_equal(planes[moments], arrays["planes"][moments])


def test_the_recordings_have_what_the_rules_are_about() -> None:
    found = {name: load(name)[0] for name in RECORDINGS}
    is_early = [arrays["length"] < 50 for arrays in found.values()]
    assert sum(early.sum() for early in is_early) >= 30 and sum((~early).sum() for early in is_early) >= 15
    assert sum((arrays["rewards"] < 0).sum() for arrays in found.values()) >= 100
    crowded = found["6x6-5p-4f-1s-coop_scripted"]
    assert (crowded["food_levels"] == 0).any()  # no cell was left
    shared = [
        len({*map(tuple, cells)}) < 5 for cells in crowded["positions"].reshape(-1, 5, 2).tolist() if max(max(cells))
    ]
    assert sum(shared) >= 3


@pytest.mark.parametrize("name", jumanji_foraging.GAMES)
def test_episodes_of_jumanji_are_played_again_step_by_step(name: str) -> None:
    arrays, kwargs = load(name)
    states, rewards, terminated, _, entities, planes = play(
        kwargs | {"can_follow": False}, starts_of(arrays), arrays["actions"]
    )
    np.testing.assert_array_equal(states.positions, arrays["positions"])
    np.testing.assert_array_equal(states.is_left, arrays["is_left"])
    np.testing.assert_allclose(rewards, arrays["rewards"], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(terminated.sum(1), 51 - arrays["length"] - (arrays["is_left"][:, -1].any(1)))
    np.testing.assert_array_equal(planes, arrays["planes"])
    if "sight" not in kwargs:  # with less sight, jumanji's agents at the north and the west do not see as far
        ours, theirs = (np.asarray(part).reshape(*part.shape[:3], -1, 3) for part in (entities, arrays["entities"]))
        num_food = arrays["foods"].shape[1]
        np.testing.assert_array_equal(ours[:, :, :, num_food:], theirs[:, :, :, num_food:])
        our_foods, their_foods = (np.sort(part[:, :, :, :num_food] @ [400, 20, 1]) for part in (ours, theirs))
        np.testing.assert_array_equal(our_foods, their_foods)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RECORDINGS, *jumanji_foraging.GAMES])
def test_the_original_plays_the_recorded_episodes(name: str) -> None:
    library, reference = (
        ("jumanji", jumanji_foraging)
        if name in jumanji_foraging.GAMES
        else (
            "lbforaging",
            lbforaging_recordings,
        )
    )
    pytest.importorskip(library, reason=f"needs {library}")
    stored, found = load(name)[0], reference.record(name)
    assert set(stored) == set(found)
    for key, array in found.items():
        np.testing.assert_array_equal(stored[key], array, err_msg=key)


SLOW_CASES: dict[str, dict[str, Any]] = {
    "crowded": {"size": 5, "num_agents": 6, "num_food": 2, "penalty": 0.5, "sight": 1},
    "one by one": {"size": 6, "num_agents": 4, "num_food": 3, "can_follow": False, "sight": 2},
    "alone": {"size": 4, "num_agents": 1, "num_food": 1, "normalize_reward": False},
}


@pytest.mark.parametrize("name", SLOW_CASES)
def test_random_episodes_are_those_of_the_slow_version(name: str) -> None:
    kwargs, rng = SLOW_CASES[name], np.random.default_rng(0)
    env = make(**kwargs)
    keys = jax.random.split(jax.random.key(0), 8)
    starts = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    actions = rng.choice([-1, 0, 1, 2, 3, 4, 5, 5, 5, 6], (8, 40, env.num_agents))
    states, rewards, terminated, info, entities, planes = play(kwargs, starts, actions)
    names = ("sight", "penalty", "normalize_reward", "can_follow")
    num_loads = 0
    for episode in range(8):
        slow = slow_game(env, jax.tree.map(lambda leaf, e=episode: leaf[e], starts))
        assert {key: getattr(slow, key) for key in names if key in kwargs} == {
            k: kwargs[k] for k in names if k in kwargs
        }
        for t, joint in enumerate(actions[episode].tolist()):
            expected, happened = slow.step(joint)
            np.testing.assert_allclose(rewards[episode, t], expected, rtol=1e-6)
            assert {key: info[key][episode, t].tolist() for key in info} == happened
            assert states.positions[episode, t + 1].tolist() == [list(cell) for cell in slow.positions]
            assert bool(terminated[episode, t]) == slow.terminated
            num_loads += sum(happened["loaded"])
            for agent in range(env.num_agents):
                assert entities[episode, t + 1, agent].tolist() == [list(row) for row in slow.entities(agent)]
                assert planes[episode, t + 1, agent].tolist() == slow.planes(agent)
    assert num_loads >= 3


def slow_game(env: LevelBasedForaging, state: State) -> SlowForaging:
    """The slow version in a state at the start of an episode."""
    cells, levels = np.asarray(state.foods).tolist(), np.asarray(state.food_levels).tolist()
    return SlowForaging(
        env.size,
        [tuple(cell) for cell in np.asarray(state.positions).tolist()],
        np.asarray(state.levels).tolist(),
        {tuple(cell): level for cell, level in zip(cells, levels, strict=True) if level},
        env.sight,
        env.default_params.penalty,
        env.normalize_reward,
        env.can_follow,
        len(cells),
    )


PROPERTY_CASES: list[dict[str, Any]] = [
    {"size": 6, "num_agents": 5, "num_food": 3},
    {"size": 6, "num_agents": 5, "num_food": 3, "can_follow": False, "max_agent_level": 5},
]


@pytest.mark.parametrize("kwargs", PROPERTY_CASES, ids=["follow", "give way"])
def test_what_always_holds_in_random_play(kwargs: dict[str, Any]) -> None:
    env, rng = make(**kwargs), np.random.default_rng(1)
    keys = jax.random.split(jax.random.key(1), 100)
    starts = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    actions = rng.choice([0, 1, 2, 3, 4, 5, 5, 5, 5], (100, 120, 5))
    states, rewards, terminated, info, entities, planes = play(kwargs, starts, actions)
    cells = states.positions @ [6, 1]
    assert states.positions.min() >= 0 and states.positions.max() < 6
    assert abs(np.diff(states.positions, axis=1)).sum(-1).max() == 1  # nobody moves by more than one cell
    on_food = (cells[..., None] == (states.foods @ [6, 1])[:, :, None]) & states.is_left[:, :, None]
    assert not on_food.any()
    is_shared = (np.sort(cells)[..., 1:] == np.sort(cells)[..., :-1]).any()
    assert is_shared == kwargs.get("can_follow", True)
    assert (states.is_left[:, 1:] <= states.is_left[:, :-1]).all()  # no food comes back
    gone = (states.food_levels * ~states.is_left)[:, -1].sum(-1) / states.food_levels[:, -1].sum(-1)
    np.testing.assert_allclose(rewards.sum((1, 2)), gone, atol=1e-5)
    assert (gone > 0.99).sum() >= 5 and ((gone > 0.99) == terminated[:, -1]).all()
    assert (info["loaded_together"] <= info["loaded"]).all() and info["loaded_together"].any()
    assert (
        np.sort(entities[..., 2]).sum(-1) == states.levels.sum(-1)[..., None] + food_on_board(states)[..., None]
    ).all()
    assert (planes[:, :, :, 1].sum((-1, -2)) == food_on_board(states)[..., None]).all()


def food_on_board(states: State) -> np.ndarray:
    """The levels of all food that is left together."""
    return np.asarray(states.food_levels * states.is_left).sum(-1)


# Starts


@pytest.mark.parametrize(("size", "num_agents", "num_food"), [(3, 3, 1), (5, 4, 4), (8, 2, 9), (7, 5, 6)])
def test_food_is_placed_as_in_the_slow_version(size: int, num_agents: int, num_food: int) -> None:
    rng = np.random.default_rng(0)
    cells = np.array([rng.permutation(size**2)[:num_agents] for _ in range(50)], np.int32)
    uniforms = rng.random((50, num_food)).astype(np.float32)
    found = np.asarray(jax.jit(lambda u, c: place_food(u, c, size))(uniforms.T, cells.T)).T
    for places, agents, draws in zip(found.tolist(), cells.tolist(), uniforms, strict=True):
        expected = place(size, [divmod(cell, size) for cell in agents], draws)
        assert [divmod(cell, size) for cell in places if cell < size**2] == expected
        assert places == sorted(places) and max(places) <= size**2


@pytest.mark.parametrize("name", [name for name, recorded in RECORDINGS.items() if recorded.num_starts])
def test_starts_are_distributed_as_those_of_lb_foraging(name: str) -> None:
    arrays, kwargs = load(name)
    env, num_starts = make(**kwargs), RECORDINGS[name].num_starts
    keys = jax.random.split(jax.random.key(0), num_starts)
    starts = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys))
    fields = np.zeros((num_starts, env.size + 1, env.size), np.int32)
    fields[np.arange(num_starts)[:, None], starts.foods[:, :, 0], starts.foods[:, :, 1]] = starts.food_levels
    for key, counts in count_starts(starts.positions, starts.levels, fields[:, :-1]).items():
        recorded = arrays[f"starts_{key}"]
        is_seen = counts + recorded > 0
        distance = ((counts - recorded)[is_seen] ** 2 / (counts + recorded)[is_seen]).sum()
        freedom = is_seen.sum() - 1
        assert distance <= freedom + 4 * np.sqrt(2 * freedom) + 4, (key, distance, freedom)


def test_a_start_has_all_levels_that_the_params_allow() -> None:
    env = make(num_agents=4, min_agent_level=2, max_agent_level=4, min_food_level=3)
    keys = jax.random.split(jax.random.key(0), 500)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    levels, food_levels = np.asarray(states.levels), np.asarray(states.food_levels)
    assert np.unique(levels).tolist() == [2, 3, 4]
    most = np.sort(levels, 1)[:, :3].sum(1)
    assert (food_levels.min(), (food_levels <= most[:, None]).all(), (food_levels == most[:, None]).any()) == (
        3,
        True,
        True,
    )
    forced = make(num_agents=4, force_coop=True, max_food_level=7)
    _, state = forced.reset(keys[0])
    assert state.food_levels.tolist() == [7, 7]


def test_levels_and_penalty_may_differ_between_the_games_of_a_batch() -> None:
    env = make(penalty=0.5)
    batch = {"max_agent_level": jnp.array([1, 4]), "max_food_level": jnp.array([9, 1]), "penalty": jnp.array([0.25, 1])}
    params, axes = env.default_params.replace(**batch), env.default_params.replace(**dict.fromkeys(batch, 0))
    axes = axes.replace(min_agent_level=None, min_food_level=None, max_steps=None)

    def play_on(params: Any, key: jax.Array) -> Any:
        state = env.initial_state(key, params)
        beside = state.replace(positions=jnp.stack([state.foods[0] - jnp.array([1, 0]), jnp.array([0, 0])]))
        heavy = beside.replace(food_levels=beside.food_levels + 5)
        rewards = env.transition(env.draw(key, heavy, params), heavy, jnp.array([LOAD, NONE]), params)[1]
        return state.levels, state.food_levels, rewards[0]

    keys = jax.random.split(jax.random.key(0), 200)
    play_all = jax.jit(jax.vmap(jax.vmap(play_on, (None, 0)), (axes, None)))
    levels, food_levels, rewards = play_all(params, keys)
    assert (levels.max((1, 2)).tolist(), food_levels.max((1, 2)).tolist()) == ([1, 4], [9, 1])
    assert rewards.min(1).tolist() == [-0.25, -1] and rewards.max() <= 0


# The rules, agents and food of the default game where a test wants them


def act(
    positions: list[tuple[int, int]], actions: list[int], levels: tuple[int, ...] = (1, 2), **kwargs: Any
) -> tuple[State, list[float], dict[str, list[int]]]:
    """One step with food of level 2 on (2, 2) and of level 3 on (4, 4): state, rewards and info."""
    env = make(num_agents=len(positions), **kwargs)
    food = jnp.array([[2, 2], [4, 4]]), jnp.array([2, 3]), jnp.ones(2, bool)
    state = State(jnp.array(positions), jnp.array(levels), *food, jnp.int32(0))
    draws = env.draw(jax.random.key(0), state, env.default_params)
    state, rewards, terminated, info = jax.jit(env.transition)(draws, state, jnp.array(actions), env.default_params)
    assert not terminated
    return state, np.asarray(rewards).tolist(), {name: np.asarray(part).tolist() for name, part in info.items()}


@pytest.mark.parametrize(
    ("action", "cell"),
    [(NONE, [0, 3]), (NORTH, [0, 3]), (SOUTH, [1, 3]), (WEST, [0, 2]), (EAST, [0, 4]), (LOAD, [0, 3]), (9, [0, 3])],
)
def test_an_agent_moves_by_one_cell_and_stays_on_the_board(action: int, cell: list[int]) -> None:
    assert act([(0, 3), (7, 7)], [action, NONE])[0].positions.tolist() == [cell, [7, 7]]


def test_food_stops_agents() -> None:
    assert act([(2, 1), (2, 3)], [EAST, WEST])[0].positions.tolist() == [[2, 1], [2, 3]]


@pytest.mark.parametrize(
    ("positions", "actions", "after", "after_without_following"),
    [
        ([(0, 0), (0, 2)], [EAST, WEST], [[0, 0], [0, 2]], [[0, 0], [0, 2]]),  # both want one cell
        ([(0, 0), (0, 1)], [EAST, NONE], [[0, 0], [0, 1]], [[0, 0], [0, 1]]),  # one stays on it
        ([(0, 0), (0, 1)], [EAST, EAST], [[0, 1], [0, 2]], [[0, 0], [0, 2]]),  # one follows
        ([(0, 0), (0, 1)], [EAST, WEST], [[0, 1], [0, 0]], [[0, 0], [0, 1]]),  # they change places
    ],
)
def test_agents_that_want_one_cell_stay(
    positions: list[tuple[int, int]], actions: list[int], after: Any, after_without_following: Any
) -> None:
    assert act(positions, actions)[0].positions.tolist() == after
    assert act(positions, actions, can_follow=False)[0].positions.tolist() == after_without_following


def test_an_agent_enters_the_cell_of_one_that_is_stopped_by_a_third() -> None:
    state, _, _ = act([(0, 0), (0, 1), (0, 3)], [EAST, EAST, WEST], levels=(1, 1, 1))
    assert state.positions.tolist() == [[0, 1], [0, 1], [0, 3]]


def test_agents_load_alone_or_together_and_share_by_level() -> None:
    state, rewards, info = act([(1, 2), (2, 3)], [NONE, LOAD], normalize_reward=False)
    assert (state.is_left.tolist(), rewards, info["loaded"]) == ([False, True], [0, 4], [0, 1])
    state, rewards, info = act([(1, 2), (2, 3)], [LOAD, LOAD])
    np.testing.assert_allclose(rewards, [2 / 3 / 5, 4 / 3 / 5], rtol=1e-6)
    assert (info["loaded_together"], info["failed_loads"]) == ([1, 1], [0, 0])


def test_who_is_too_weak_fails_and_pays_the_penalty_and_who_has_no_food_does_not() -> None:
    state, rewards, info = act([(1, 2), (4, 5)], [LOAD, LOAD], penalty=0.5)
    assert (state.is_left.tolist(), rewards, info["failed_loads"]) == ([True, True], [-0.5, -0.5], [1, 1])
    assert act([(1, 1), (0, 0)], [LOAD, LOAD], penalty=0.5)[1] == [0, 0]
    assert act([(1, 2), (2, 1)], [LOAD, NONE], penalty=0.5)[1] == [-0.5, 0]


def test_the_game_ends_when_no_food_is_left() -> None:
    env = make(num_agents=1, num_food=1)
    alone = jnp.array([[0, 2]]), jnp.array([2]), jnp.array([[1, 2]]), jnp.array([2]), jnp.ones(1, bool)
    _, state, rewards, terminated, truncated, _ = env.step(
        jax.random.key(0), State(*alone, jnp.int32(0)), jnp.array([LOAD])
    )
    assert (rewards.tolist(), bool(terminated), bool(truncated)) == ([1.0], True, False)
    _, state, rewards, terminated, _, _ = env.step(jax.random.key(0), state, jnp.array([LOAD]))
    assert (rewards.tolist(), bool(terminated)) == ([0.0], True)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 2}, "size=2 is not allowed: a whole number of at least 3 and at most 50"),
        ({"size": 5, "num_food": 5}, "num_food=5 is not allowed: a whole number of at least 1 and at most 4"),
        ({"size": 3, "num_agents": 9, "num_food": 1}, "num_agents=9 is not allowed: .* at most 8"),
        ({"size": 20, "num_food": 51}, "num_food=51 is not allowed: .* at most 50"),
        ({"size": 20, "num_agents": 51}, "num_agents=51 is not allowed: .* at most 50"),
        ({"sight": 0}, "sight=0 is not allowed"),
        ({"sight": 9}, "sight=9 is not allowed: a whole number of at least 1 and at most 8"),
        ({"observation": "grid"}, "observation='grid' is not allowed: one of entities, planes"),
        ({"force_coop": 1}, "force_coop=1 is not allowed: True or False"),
        ({"penalty": -1}, "penalty=-1 is not allowed: a number of at least 0"),
        ({"max_agent_level": 43}, "max_agent_level=43 is not allowed: .* at most 42"),
        ({"min_agent_level": 3}, "min_agent_level=3 is not allowed: .* at most 2"),
        ({"min_food_level": 3}, "min_food_level=3 is not allowed: .* at most 2"),
        ({"min_food_level": 3, "max_food_level": 2}, "min_food_level=3 is not allowed: .* at most 2"),
        ({"max_food_level": 128}, "max_food_level=128 is not allowed: .* at most 127"),
        ({"max_steps": 0}, "max_steps=0 is not allowed"),
        ({"width": 3}, "unknown keyword 'width' with value 3 for LevelBasedForaging: allowed are size, num_agents"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("level_based_foraging", **bad)
