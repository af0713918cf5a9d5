"""The intersection: its rules one by one, a slow version frame by frame, and the results of scripted cars."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas import policies
from jaxdilemmas.environment import NoDraws
from jaxdilemmas.envs.intersection import (
    CROSSING_LENGTHS,
    EXIT_LENGTH,
    FASTER,
    IDLE,
    LEFT,
    RIGHT,
    SLOWER,
    STRAIGHT,
    Intersection,
    State,
    drive,
    find_crashes,
    pose,
    unit_vector,
    unit_vector_by_series,
)
from tests.reference.intersection import Intersection as SlowIntersection
from tests.reference.rollouts import act, compiled, observe, replay, start

pytestmark = pytest.mark.usefixtures("quick_compiling")
SOUTH, WEST, NORTH, EAST = range(4)
NUM_EPISODES = 1000


@pytest.fixture(scope="module")
def env() -> Intersection:
    return Intersection()


def put(env: Intersection, turns: list[int], progress: list[float], **fields: Any) -> State:
    """A state with cars where a test wants them."""
    state = start(env).replace(turns=jnp.array(turns), progress=jnp.array(progress, jnp.float32))
    return state.replace(**{name: jnp.asarray(values) for name, values in fields.items()})


def is_over(env: Intersection, state: State) -> bool:
    """Whether a step in which all go faster ends the episode."""
    return bool(compiled(env, "transition")(NoDraws(), state, np.full(4, FASTER, np.int32), env.default_params)[2])


def at(progress: float, turns: int, road: int) -> np.ndarray:
    """Where a car is, and its direction: x, y, cosine and sine."""
    posed = jax.jit(pose)(jnp.array([progress], jnp.float32), jnp.array([turns]), jnp.array([road]))
    return np.array(posed).ravel()


# The slow version


@pytest.mark.parametrize("chances", [(0.2, 0.3, 0.5), (0.45, 0.3, 0.25), (0.4, 0.1, 0.5)])
def test_random_episodes_are_those_of_the_slow_version(chances: tuple[float, ...], env: Intersection) -> None:
    rng = np.random.default_rng(int(chances[0] * 100))
    ends = set()
    for seed in range(20):
        state = start(env, seed)
        slow = SlowIntersection(state.turns.tolist(), state.progress.tolist())
        actions = rng.choice(3, size=(30, 4), p=chances)
        rollout = replay(env, state, NoDraws(), actions)
        for t, joint in enumerate(actions):
            np.testing.assert_allclose(rollout.rewards[t], slow.step(joint.tolist()), err_msg=f"step {t} of {seed}")
            np.testing.assert_allclose(rollout.obs[t], slow.observe(), atol=2e-5, err_msg=f"step {t} of {seed}")
            np.testing.assert_allclose(rollout.states.speeds[t], [car.speed for car in slow.cars], atol=1e-4)
            assert bool(rollout.terminated[t]) == slow.terminated
            if slow.terminated:
                ends.add(all(car.arrived for car in slow.cars))
                break
    assert False in ends


# Roads


@pytest.mark.parametrize(
    ("turns", "end"),
    [(LEFT, [-11 - 25, -2, -1, 0]), (STRAIGHT, [2, -11 - 25, 0, -1]), (RIGHT, [11 + 25, 2, 1, 0])],
)
def test_a_car_from_the_south_leaves_to_the_west_north_or_east(turns: int, end: list[float]) -> None:
    np.testing.assert_allclose(at(-35.0, turns, SOUTH), [2, 46, 0, -1], atol=1e-5)
    np.testing.assert_allclose(at(float(CROSSING_LENGTHS[turns]) + EXIT_LENGTH, turns, SOUTH), end, atol=1e-4)


def test_cars_come_from_south_west_north_and_east_on_the_right_hand_lane() -> None:
    for road, expected in {SOUTH: [2, 46], WEST: [-46, 2], NORTH: [-2, -46], EAST: [46, -2]}.items():
        np.testing.assert_allclose(at(-35.0, STRAIGHT, road)[:2], expected, atol=1e-4)


@pytest.mark.parametrize("road", [SOUTH, WEST, NORTH, EAST])
@pytest.mark.parametrize("turns", [LEFT, STRAIGHT, RIGHT])
def test_ways_are_smooth_and_directions_point_along_them(turns: int, road: int) -> None:
    progress = jnp.arange(-40, 50, 0.05)
    positions, directions = np.array(jax.jit(pose)(progress, jnp.array([turns]), jnp.array([road])))
    steps = np.diff(positions)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=0), 0.05, atol=2e-4)
    np.testing.assert_allclose(steps / 0.05, directions[:, :-1], atol=8e-3)


def test_the_series_for_crashes_differs_from_cosine_and_sine_by_rounding_only() -> None:
    angles = jnp.linspace(-np.pi / 4, np.pi / 4, 10_001, dtype=jnp.float32)
    np.testing.assert_allclose(unit_vector_by_series(angles), unit_vector(angles), rtol=0, atol=1.2e-7)


# Driving


def test_a_car_closes_a_ninth_of_the_gap_to_its_target_speed_in_each_of_15_frames() -> None:
    ways, speed = drive(jnp.array([9.0]), jnp.array([1]))
    expected, now, gone = [], 9.0, 0.0
    for _ in range(15):
        gone += now / 15
        now += (4.5 - now) / 9
        expected.append(gone)
    np.testing.assert_allclose(ways[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(speed, [now], rtol=1e-5)


@pytest.mark.parametrize(
    ("speed", "target", "action", "expected"),
    [
        (10.0, 2, SLOWER, 1),
        (10.0, 2, FASTER, 2),
        (0.0, 0, FASTER, 1),
        (0.0, 0, SLOWER, 0),
        (4.5, 2, IDLE, 2),
        (6.0, 2, SLOWER, 0),
        (2.0, 2, FASTER, 1),
        (9.0, 1, 7, 1),
    ],
    ids=str,
)
def test_slower_and_faster_aim_one_speed_from_the_present_one_and_anything_else_aims_as_before(
    speed: float, target: int, action: int, expected: int, env: Intersection
) -> None:
    state = put(env, [STRAIGHT] * 4, [-90.0] * 4, speeds=np.full(4, speed, np.float32), targets=np.full(4, target))
    assert act(env, state, [action] * 4, NoDraws())[0].targets.tolist() == [expected] * 4


# Crashes and arrivals


@pytest.mark.parametrize(
    ("offset", "heading", "is_crash"),
    [
        ((0.0, 2.01), 0.0, False),
        ((0.0, 1.99), 0.0, True),
        ((5.01, 0.0), 0.0, False),
        ((4.99, 0.0), 0.0, True),
        ((3.51, 0.0), np.pi / 2, False),
        ((3.49, 0.0), np.pi / 2, True),
        ((3.5, 2.5), np.pi / 4, True),
        ((4.2, 2.9), np.pi / 4, False),
    ],
)
def test_cars_crash_where_their_five_by_two_metres_overlap(
    offset: tuple[float, float], heading: float, is_crash: bool
) -> None:
    positions = jnp.array([[[10.0, 10 + offset[0]]], [[20.0, 20 + offset[1]]]], jnp.float32)
    directions = jnp.array([[[1, np.cos(heading)]], [[0, np.sin(heading)]]], jnp.float32)
    crashes = jax.jit(find_crashes)
    assert crashes(positions, directions, jnp.ones((1, 2), bool)).tolist() == [is_crash] * 2
    assert not crashes(positions, directions, jnp.array([[True, False]])).any()


def test_who_crashes_pays_who_does_not_pays_nothing_and_the_episode_ends(env: Intersection) -> None:
    state = put(env, [STRAIGHT] * 4, [-1.0, -2.0, -60.0, -60.0])  # south and west meet where their lanes cross
    state, rewards, info = act(env, state, [FASTER] * 4, NoDraws())
    assert not state.crashed.any()
    crashed, rewards, info = act(env, state, [FASTER] * 4, NoDraws())
    assert rewards.tolist() == [-4, -4, 0, 0]
    assert info["crashed"].tolist() == [1, 1, 0, 0]
    assert crashed.crashed.tolist() == [True, True, False, False]
    assert is_over(env, state)


def test_who_arrives_is_paid_once_and_is_gone(env: Intersection) -> None:
    state = put(env, [STRAIGHT] * 4, [45.0, -60.0, -60.0, -60.0])
    state, rewards, info = act(env, state, [FASTER] * 4, NoDraws())
    assert (rewards.tolist(), info["arrived"].tolist()) == ([2, 0, 0, 0], [1, 0, 0, 0])
    obs = observe(env, state)
    assert not obs[0, :7].any()
    assert obs[0, [7, 14]].tolist() == [1, 1]
    later, rewards, info = act(env, state, [FASTER] * 4, NoDraws())
    assert (rewards.tolist(), info["arrived"].tolist()) == ([0] * 4, [0] * 4)
    assert later.progress[0] == state.progress[0]


def test_a_car_that_is_gone_cannot_be_hit(env: Intersection) -> None:
    on_one_lane = put(env, [STRAIGHT, STRAIGHT, STRAIGHT, RIGHT], [32.0, -60.0, -60.0, 22.0])
    assert act(env, on_one_lane, [FASTER] * 4, NoDraws())[1].tolist() == [-4, 0, 0, -4]
    gone = on_one_lane.replace(arrived=jnp.array([True, False, False, False]))
    assert not act(env, gone, [FASTER] * 4, NoDraws())[1].any()


def test_the_episode_ends_when_all_have_arrived(env: Intersection) -> None:
    state = put(env, [RIGHT] * 4, [38.0] * 4)
    assert act(env, state, [FASTER] * 4, NoDraws())[1].tolist() == [2] * 4
    assert is_over(env, state)
    assert not is_over(env, state.replace(progress=jnp.array([38.0, 38.0, 38.0, 20.0])))


# Observation and start


def test_cars_see_themselves_and_the_two_nearest(env: Intersection) -> None:
    state = put(env, [STRAIGHT] * 4, [-30.0, -10.0, -20.0, -40.0], speeds=np.array([10, 5, 0, 8], np.float32))
    own, west, east = observe(env, state)[0].reshape(3, 7)
    np.testing.assert_allclose(own, [1, 0.02, 0.41, 0, -0.5, 0, -1], atol=1e-6)
    np.testing.assert_allclose(west, [1, -0.21, 0.02, 0.25, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(east, [1, 0.51, -0.02, -0.4, 0, -1, 0], atol=1e-6)


def test_cars_that_are_not_there_are_seen_as_nothing() -> None:
    pair = Intersection(num_agents=2)
    obs = observe(pair, start(pair))
    assert obs.shape == (2, 21)
    assert obs[:, [0, 7]].all()
    assert not obs[:, 14:].any()


def test_starts_are_spread_and_every_turn_occurs(env: Intersection) -> None:
    draw = jax.jit(jax.vmap(env.initial_state, (0, None)))
    states = draw(jax.random.split(jax.random.key(0), 2000), env.default_params)
    np.testing.assert_allclose(states.progress.mean(0), -35, atol=0.5)
    np.testing.assert_allclose(states.progress.std(0), 5, atol=0.4)
    shares = (states.turns[..., None] == np.arange(3)).mean(0)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    assert (states.speeds == 10).all()


# Policies


def outcomes(env: Intersection, name: str) -> dict[str, float]:
    """Shares of episodes with a crash, of cars that arrive, and the length of the longest episode."""
    policy, params = policies.scripted(env, name), env.default_params

    def play(key: jax.Array) -> tuple[State, jax.Array]:
        def body(state: State, key: jax.Array) -> tuple[State, jax.Array]:
            after, _, _, _ = env.transition(NoDraws(), state, policy(key, state), params)
            is_over = state.crashed.any()
            return jax.tree.map(lambda old, new: jnp.where(is_over, old, new), state, after), after.arrived.all()

        state, is_empty = jax.lax.scan(body, env.initial_state(key, params), jax.random.split(key, 30))
        return state, is_empty.argmax()

    state, lengths = jax.device_get(jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(0), NUM_EPISODES)))
    return {"crash": state.crashed.any(1).mean(), "arrived": state.arrived.mean(), "longest": lengths.max() + 1}


def test_cautious_cars_nearly_always_arrive_in_time(env: Intersection) -> None:
    found = outcomes(env, "cautious")
    assert found["crash"] <= 0.05
    assert found["arrived"] >= 0.95
    assert found["longest"] < env.default_params.max_steps


def test_reckless_cars_mostly_crash(env: Intersection) -> None:
    assert outcomes(env, "reckless")["crash"] > 0.5


def test_a_cautious_car_waits_for_one_that_is_ahead_and_goes_when_the_crossing_is_free(env: Intersection) -> None:
    policy = jax.jit(policies.scripted(env, "cautious"))
    waiting = put(env, [STRAIGHT] * 4, [-4.5, 5.0, -60.0, -60.0], speeds=np.array([0, 9, 0, 0], np.float32))
    assert policy(jax.random.key(0), waiting)[:2].tolist() == [SLOWER, FASTER]
    free = waiting.replace(progress=jnp.array([-4.5, 30.0, -60.0, -60.0]))
    assert policy(jax.random.key(0), free)[:2].tolist() == [FASTER, FASTER]


# Arguments
