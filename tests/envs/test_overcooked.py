"""Overcooked: its rules one by one, a slow version on two kitchens, and the returns of greedy cooks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.environment import NoDraws
from jaxdilemmas.envs.kitchens import MAPS
from jaxdilemmas.envs.overcooked import DISH, INTERACT, NOTHING, ONION, ORDERED_SOUP, SOUP, STAY, Overcooked, State
from jaxdilemmas.grid.geometry import EAST, NORTH, SOUTH, WEST
from tests.reference.overcooked import Overcooked as SlowOvercooked
from tests.reference.rollouts import act, observe, replay, start

pytestmark = pytest.mark.usefixtures("quick_compiling")
GO_NORTH, GO_SOUTH, GO_EAST, GO_WEST = range(4)
WIDE = """
XXPXPXX
O 2   O
X X  1S
D    XX
XXDXXXX
"""
AT_POT, AT_ONIONS, AT_DISHES, AT_SERVING = (1, 2), (1, 1), (2, 1), (2, 3)
"""Cells (row, col) of the cramped room next to its stations."""


@pytest.fixture(scope="module")
def env() -> Overcooked:
    return Overcooked()


@pytest.fixture(scope="module")
def wide() -> Overcooked:
    """A kitchen that is not symmetric, with two pots and cook time 3."""
    return Overcooked(map=WIDE, cook_steps=3, delivery_reward=5.0)


def put(env: Overcooked, *cooks: tuple[tuple[int, int], int, int], **fields: Any) -> State:
    """A state with cooks given as cell (row, col), heading and what they hold."""
    positions, headings, held = zip(*cooks, strict=True)
    state = start(env).replace(positions=jnp.array(positions), headings=jnp.array(headings), held=jnp.array(held))
    return state.replace(**{name: jnp.asarray(values, jnp.int32) for name, values in fields.items()})


def step(env: Overcooked, state: State, *actions: int) -> tuple[State, np.ndarray, dict[str, np.ndarray]]:
    """The state, rewards and info after a joint action."""
    return act(env, state, list(actions), NoDraws())


IDLE = ((2, 2), SOUTH, NOTHING)


# The slow version


def random_actions(rng: np.random.Generator, num_steps: int, num_agents: int) -> np.ndarray:
    """Half of them interact; longer walks in one direction so that cooks get about."""
    actions = rng.integers(0, 6, (num_steps, num_agents))
    actions[rng.random(actions.shape) < 0.4] = INTERACT
    return actions


@functools.cache
def greedy_player(env: Overcooked) -> Any:
    """Plays episodes of greedy cooks, by their keys and the chance at each step that a cook acts at random."""
    greedy, at_random = policies.scripted(env, "greedy"), policies.random(env)

    def play(key: jax.Array, shares: jax.Array) -> dict[str, jax.Array]:
        def body(state: State, inputs: tuple[jax.Array, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
            key_greedy, key_random, key_choice = jax.random.split(inputs[0], 3)
            is_random = jax.random.uniform(key_choice, (2,)) < inputs[1]
            actions = jnp.where(is_random, at_random(key_random, state), greedy(key_greedy, state))
            state, _, _, info = env.transition(NoDraws(), state, actions, env.default_params)
            return state, {"delivered": info["delivered"], "actions": actions}

        state = env.initial_state(key, env.default_params)
        return jax.lax.scan(body, state, (jax.random.split(key, len(shares)), shares))[1]

    return jax.jit(jax.vmap(play))


def play_greedy(env: Overcooked, shares: np.ndarray) -> dict[str, np.ndarray]:
    """Episodes of greedy cooks, of whom each acts at random with chance `shares` `[B, T]`; `[B, T, 2]` each."""
    keys = jax.random.split(jax.random.key(0), len(shares))
    return jax.device_get(greedy_player(env)(keys, np.asarray(shares, np.float32)))


def assert_plays_like(env: Overcooked, slow: SlowOvercooked, actions: np.ndarray) -> dict[str, float]:
    """Every observation, reward, event and counter of an episode is that of the slow game; sums of the events."""
    rollout = replay(env, start(env), NoDraws(), actions)
    counters = slow.where("X")
    for t, joint in enumerate(actions):
        reward, info = slow.step(joint.tolist())
        np.testing.assert_array_equal(rollout.obs[t], slow.observe(), err_msg=f"observation after step {t}")
        assert (rollout.rewards[t] == reward).all(), f"rewards of step {t}"
        for name, values in rollout.info.items():
            assert values[t].tolist() == [events[name] for events in info], f"{name} of step {t}"
        things = {None: NOTHING, ("onion",): ONION, ("dish",): DISH} | {("soup", n): SOUP + n - 1 for n in (1, 2, 3)}
        assert rollout.states.counters[t].tolist() == [things[slow.lying.get(cell)] for cell in counters]
        assert rollout.states.held[t].tolist() == [things[cook.holds] for cook in slow.cooks]
    assert not rollout.terminated.any()
    return {name: float(values.sum()) for name, values in rollout.info.items()}


@pytest.mark.parametrize("seed", range(3))
def test_random_episodes_are_those_of_the_slow_version(seed: int, env: Overcooked) -> None:
    actions = random_actions(np.random.default_rng(seed), 3000, 2)
    events = assert_plays_like(env, SlowOvercooked(MAPS["cramped_room"]), actions)
    assert min(events[name] for name in ("onion_taken", "dish_taken", "potted", "cooking_started", "soup_taken")) > 0


def test_lively_episodes_in_another_kitchen_are_those_of_the_slow_version(wide: Overcooked) -> None:
    actions = play_greedy(wide, np.full((1, 600), 0.3))["actions"][0]
    events = assert_plays_like(wide, SlowOvercooked(WIDE, delivery_reward=5.0, cook_steps=3), actions)
    assert min(events.values()) >= 5


def test_one_cook_alone_plays_like_in_the_slow_version() -> None:
    alone = Overcooked(num_agents=1)
    actions = random_actions(np.random.default_rng(7), 3000, 1)
    assert_plays_like(alone, SlowOvercooked(MAPS["cramped_room"], num_agents=1), actions)
    assert alone.observation_space.shape == (20,)


# Start and observation


def test_players_start_at_their_marks_facing_north_with_empty_hands(env: Overcooked) -> None:
    state = start(env)
    assert state.positions.tolist() == [[2, 1], [1, 3]]
    assert state.headings.tolist() == [NORTH, NORTH]
    assert not state.held.any()


def test_the_cramped_room_is_seen_as_27_numbers_oneself_first(env: Overcooked) -> None:
    state = put(env, (AT_ONIONS, WEST, ONION), (AT_SERVING, SOUTH, ORDERED_SOUP), onions=[2])
    stations, pot = [0, 1, 4, 1, 1, 3, 3, 3, 2, 0], [2, -1, 0]
    first = [1, 1, 3, 2, 1, 0, 0, 0, 0, 1, *stations, *pot, -1, 0, 0, 1]
    second = [3, 2, 1, 1, 0, 0, 1, 1, 0, 0, *stations, *pot, 0, 1, -1, 0]
    assert observe(env, state).tolist() == [first, second]
    assert env.observation_space.shape == (27,)


@pytest.mark.parametrize(
    ("onions", "tick", "seen"), [(0, -1, [0, 0, 0]), (1, -1, [1, -1, 0]), (3, 7, [3, 7, 1]), (3, 20, [3, 20, 0])]
)
def test_a_pot_is_seen_with_its_onions_its_tick_and_whether_it_cooks(
    onions: int, tick: int, seen: list[int], env: Overcooked
) -> None:
    state = start(env).replace(onions=jnp.array([onions]), ticks=jnp.array([tick]))
    assert observe(env, state)[0, 20:23].tolist() == seen


# Moving


@pytest.mark.parametrize(
    ("actions", "cells", "headings"),
    [
        ((GO_EAST, STAY), [AT_POT, (1, 3)], [EAST, NORTH]),
        ((GO_NORTH, STAY), [AT_ONIONS, (1, 3)], [NORTH, NORTH]),
        ((GO_EAST, GO_WEST), [AT_ONIONS, (1, 3)], [EAST, WEST]),
        ((GO_SOUTH, GO_SOUTH), [(2, 1), (2, 3)], [SOUTH, SOUTH]),
    ],
    ids=["a free cell is entered", "a wall turns alone", "who would meet turn alone", "both go at once"],
)
def test_players_turn_and_go_if_the_cell_is_free(
    actions: tuple[int, int], cells: list[tuple[int, int]], headings: list[int], env: Overcooked
) -> None:
    state, _, _ = step(env, put(env, (AT_ONIONS, SOUTH, NOTHING), ((1, 3), NORTH, NOTHING)), *actions)
    assert [tuple(cell) for cell in state.positions.tolist()] == cells
    assert state.headings.tolist() == headings


def test_players_may_follow_each_other_but_not_change_places_nor_push(env: Overcooked) -> None:
    state = put(env, (AT_ONIONS, SOUTH, NOTHING), (AT_POT, NORTH, NOTHING))
    for actions, expected in {
        (GO_EAST, GO_EAST): [[1, 2], [1, 3]],
        (GO_EAST, GO_WEST): [[1, 1], [1, 2]],
        (GO_EAST, STAY): [[1, 1], [1, 2]],
    }.items():
        assert step(env, state, *actions)[0].positions.tolist() == expected


def test_an_unknown_action_is_to_stay(env: Overcooked) -> None:
    state = put(env, (AT_ONIONS, SOUTH, NOTHING), IDLE)
    moved, _, _ = step(env, state, -1, 9)
    np.testing.assert_array_equal(moved.positions, state.positions)
    np.testing.assert_array_equal(moved.headings, state.headings)


# Stations


def test_a_soup_from_the_first_onion_to_the_reward(env: Overcooked) -> None:
    state = put(env, (AT_POT, NORTH, ONION), IDLE, onions=[2])
    state, _, info = step(env, state, INTERACT, STAY)
    assert (state.onions.tolist(), state.ticks.tolist(), state.held.tolist()) == ([3], [-1], [NOTHING, NOTHING])
    assert info["potted"].tolist() == [1, 0]
    state, _, _ = step(env, state, STAY, STAY)
    assert state.ticks.tolist() == [-1]  # three onions alone do not cook
    state, _, info = step(env, state, INTERACT, STAY)
    assert (state.ticks.tolist(), info["cooking_started"].tolist()) == ([1], [1, 0])  # this step counts
    state = state.replace(held=jnp.array([DISH, NOTHING]))
    for tick in range(2, 21):
        state, _, info = step(env, state, INTERACT, STAY)
        assert (state.ticks.tolist(), info["soup_taken"].tolist()) == ([tick], [0, 0])
    state, _, info = step(env, state, INTERACT, STAY)
    assert (state.held.tolist(), info["soup_taken"].tolist()) == ([ORDERED_SOUP, NOTHING], [1, 0])
    assert (state.onions.tolist(), state.ticks.tolist()) == ([0], [-1])
    state = state.replace(positions=jnp.array([AT_SERVING, (1, 1)]), headings=jnp.array([SOUTH, NORTH]))
    state, rewards, info = step(env, state, INTERACT, STAY)
    assert (rewards.tolist(), info["delivered"].tolist(), state.held.tolist()) == ([20, 20], [1, 0], [0, 0])


@pytest.mark.parametrize("onions", [1, 2])
def test_a_soup_of_fewer_onions_can_be_cooked_and_served_and_pays_nothing(onions: int, env: Overcooked) -> None:
    state, _, info = step(env, put(env, (AT_POT, NORTH, NOTHING), IDLE, onions=[onions]), INTERACT, STAY)
    assert info["cooking_started"].tolist() == [1, 0]
    state = state.replace(ticks=jnp.array([20]), held=jnp.array([DISH, NOTHING]))
    state, _, _ = step(env, state, INTERACT, STAY)
    assert state.held.tolist() == [SOUP + onions - 1, NOTHING]
    state = state.replace(positions=jnp.array([AT_SERVING, (1, 1)]), headings=jnp.array([SOUTH, NORTH]))
    state, rewards, info = step(env, state, INTERACT, STAY)
    assert (state.held.tolist(), rewards.tolist(), info["delivered"].tolist()) == ([0, 0], [0, 0], [0, 0])


@pytest.mark.parametrize(
    ("held", "onions", "tick"),
    [(NOTHING, 0, -1), (NOTHING, 3, 5), (NOTHING, 3, 20), (ONION, 3, -1), (ONION, 1, 5), (DISH, 3, -1), (DISH, 3, 19)],
)
def test_a_pot_refuses_what_does_not_fit(held: int, onions: int, tick: int, env: Overcooked) -> None:
    state = put(env, (AT_POT, NORTH, held), IDLE, onions=[onions], ticks=[tick])
    used, _, info = step(env, state, INTERACT, STAY)
    waited, _, _ = step(env, state, STAY, STAY)
    jax.tree.map(np.testing.assert_array_equal, used, waited)
    assert not any(values.any() for values in info.values())


@pytest.mark.parametrize(
    ("cell", "heading", "event", "held"),
    [(AT_ONIONS, WEST, "onion_taken", ONION), (AT_DISHES, SOUTH, "dish_taken", DISH)],
)
def test_free_hands_take_onions_and_dishes_and_full_hands_do_not(
    cell: tuple[int, int], heading: int, event: str, held: int, env: Overcooked
) -> None:
    state, _, info = step(env, put(env, (cell, heading, NOTHING), IDLE), INTERACT, STAY)
    assert (int(state.held[0]), info[event].tolist()) == (held, [1, 0])
    state, _, info = step(env, put(env, (cell, heading, ORDERED_SOUP), IDLE), INTERACT, STAY)
    assert (int(state.held[0]), info[event].tolist()) == (ORDERED_SOUP, [0, 0])


def test_only_soup_is_served(env: Overcooked) -> None:
    for held in (NOTHING, ONION, DISH):
        state, rewards, _ = step(env, put(env, (AT_SERVING, SOUTH, held), IDLE), INTERACT, STAY)
        assert (int(state.held[0]), rewards.tolist()) == (held, [0, 0])


def test_a_counter_takes_one_thing_and_gives_it_back(env: Overcooked) -> None:
    state = put(env, (AT_ONIONS, NORTH, DISH), IDLE)
    state, _, _ = step(env, state, INTERACT, STAY)
    assert (state.held.tolist(), state.counters.tolist()) == ([0, 0], [0, DISH, 0, 0, 0, 0, 0, 0, 0])
    full = state.replace(held=jnp.array([ONION, NOTHING]))
    assert step(env, full, INTERACT, STAY)[0].held.tolist() == [ONION, NOTHING]
    state, _, _ = step(env, state, INTERACT, STAY)
    assert (state.held.tolist(), bool(state.counters.any())) == ([DISH, 0], False)


def test_nothing_happens_at_floor_and_at_other_players(env: Overcooked) -> None:
    state = put(env, (AT_ONIONS, EAST, ONION), (AT_POT, WEST, NOTHING))
    used, _, _ = step(env, state, INTERACT, INTERACT)
    waited, _, _ = step(env, state, STAY, STAY)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, used, waited))


def test_a_dish_is_useful_while_fewer_are_held_than_pots_are_in_use(wide: Overcooked) -> None:
    def is_useful(onions: list[int], ticks: list[int], other_holds: int = NOTHING, lying: int = NOTHING) -> bool:
        state = put(wide, ((3, 1), WEST, NOTHING), ((1, 2), NORTH, other_holds), onions=onions, ticks=ticks)
        state, _, info = step(wide, state.replace(counters=state.counters.at[0].set(lying)), INTERACT, STAY)
        assert info["dish_taken"].tolist() == [1, 0]
        return bool(info["useful_dish_taken"][0])

    assert not is_useful([0, 0], [-1, -1])
    assert is_useful([1, 0], [-1, -1])
    assert not is_useful([3, 0], [-1, -1])
    assert is_useful([3, 0], [1, -1])
    assert is_useful([3, 0], [3, -1])
    assert not is_useful([3, 0], [3, -1], other_holds=DISH)
    assert is_useful([3, 2], [3, -1], other_holds=DISH)
    assert not is_useful([3, 2], [3, -1], lying=DISH)


def test_an_onion_that_the_first_player_pots_makes_no_dish_useful_in_the_same_step(wide: Overcooked) -> None:
    state = put(wide, ((1, 2), NORTH, ONION), ((3, 1), WEST, NOTHING), onions=[0, 0])
    _, _, info = step(wide, state, INTERACT, INTERACT)
    assert (info["potted"].tolist(), info["useful_dish_taken"].tolist()) == ([1, 0], [0, 0])


def test_the_second_player_finds_what_the_first_has_left(wide: Overcooked) -> None:
    state = put(wide, ((1, 2), NORTH, ONION), ((1, 2), NORTH, NOTHING), onions=[0, 0])
    _, _, info = step(wide, state, INTERACT, INTERACT)
    assert (info["potted"].tolist(), info["cooking_started"].tolist()) == ([1, 0], [0, 1])
    state = put(wide, ((1, 2), NORTH, NOTHING), ((1, 2), NORTH, ONION), onions=[0, 0])
    _, _, info = step(wide, state, INTERACT, INTERACT)
    assert (info["potted"].tolist(), info["cooking_started"].tolist()) == ([0, 1], [0, 0])


# Policies


@pytest.fixture(scope="module")
def episodes(env: Overcooked) -> dict[str, np.ndarray]:
    """64 episodes of 500 steps of greedy cooks; in half of them the first 100 steps are played at random."""
    return play_greedy(env, (np.arange(500) < 100) * (np.arange(64)[:, None] >= 32))


def test_greedy_cooks_deliver_at_least_as_much_as_the_published_pair(episodes: dict[str, np.ndarray]) -> None:
    assert (episodes["delivered"][:32].sum((1, 2)) >= 11).all()  # 11 deliveries in 501 steps in the data of ma-mql


def test_greedy_cooks_get_going_from_wherever_random_play_has_left_them(episodes: dict[str, np.ndarray]) -> None:
    assert (episodes["delivered"][32:, 100:].sum((1, 2)) >= 9).all()
    assert (episodes["delivered"][32:, 300:].sum((1, 2)) >= 5).all()


def test_both_greedy_cooks_work_and_ties_are_random(episodes: dict[str, np.ndarray]) -> None:
    assert (episodes["delivered"][:32].sum((0, 1)) > 0).all()
    assert len(np.unique(episodes["actions"][:32], axis=0)) > 16


def test_greedy_cooks_deliver_in_another_kitchen(wide: Overcooked) -> None:
    assert play_greedy(wide, np.zeros((1, 600)))["delivered"].sum() >= 20


# Arguments


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"map": "ring"}, "map='ring' is not allowed: one of cramped_room"),
        ({"map": ["cramped_room"]}, "map=.* is not allowed: one of cramped_room"),
        ({"num_agents": 3}, "num_agents=3 is not allowed: a whole number from 1 to 2"),
        ({"num_agents": 0}, "num_agents=0 is not allowed"),
        ({"cook_steps": 0}, "cook_steps=0 is not allowed"),
        ({"delivery_reward": -1.0}, r"delivery_reward=-1\.0 is not allowed"),
        ({"max_steps": 0.5}, r"max_steps=0\.5 is not allowed"),
        (
            {"layout": "cramped_room"},
            "unknown keyword 'layout' with value 'cramped_room' for Overcooked: allowed are map, num_agents",
        ),
    ],
)
def test_arguments_that_are_not_allowed_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("overcooked", **bad)


def test_greedy_cooks_are_two() -> None:
    with pytest.raises(ValueError, match="greedy cooks are two"):
        policies.scripted(Overcooked(num_agents=1), "greedy")
