"""Intersection: four cars meet at a crossing; each has a reward for its arrival and a cost for its crash.

A kinematic simplification of `MultiAgentIntersectionEnv` of Farama-Foundation/HighwayEnv @ v1.8.2 (6faf507): its roads,
cars, target speeds and crash test, but cars that stay in the middle of their lane. docs/intersection.md contains the
rules, their sources and our own choices.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_num_agents
from jaxdilemmas.batching import batch_last, batched, compute_once, fold
from jaxdilemmas.environment import Environment, NoDraws, Transition, check_counts, check_numbers
from jaxdilemmas.spaces import Box, Discrete, Space
from jaxdilemmas.uniforms import integers, normal, split

SLOWER, IDLE, FASTER = range(3)
TARGET_SPEEDS = np.array([0.0, 4.5, 9.0], np.float32)
"""The target speeds of cars, in m/s."""

LEFT, STRAIGHT, RIGHT = range(3)
LANE_WIDTH = 4.0
STOP_LINE = 11.0
"""Metres from the centre of the crossing to the points where the approaching lanes end and the leaving lanes begin."""

RADII = (STOP_LINE + LANE_WIDTH / 2, np.inf, STOP_LINE - LANE_WIDTH / 2)
"""Radii of the ways through the crossing (left, straight, right), in metres."""

CROSSING_LENGTHS = np.array([RADII[LEFT] * np.pi / 2, 2 * STOP_LINE, RADII[RIGHT] * np.pi / 2], np.float32)
CURVATURES = np.array([-1 / RADII[LEFT], 0.0, 1 / RADII[RIGHT]], np.float32)
"""Curvatures of these ways, in 1/m; y points south, so a turn to the right is positive."""

EXIT_LENGTH = 25.0
"""A car has arrived this many metres behind the crossing."""

START_MEAN, START_DEVIATION = -35.0, 5.0
"""Mean and standard deviation of the progress at the start, in metres from the stop line."""

START_SPEED = 10.0
CAR_LENGTH, CAR_WIDTH = 5.0, 2.0
FRAMES = 15
"""Steps of the simulation in one step of the game, which takes one second."""

SPEED_DECAY = 1 - 1 / (0.6 * FRAMES)
"""The share of the difference between speed and target speed that is left after a frame: a time constant of 0.6 s."""

NUM_ROADS = 4
ROAD_DIRECTIONS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)], np.float32)
"""The directions of cars from the south, west, north and east; (x east, y south)."""

NUM_SEEN = 3
FEATURES = ("presence", "x", "y", "vx", "vy", "cos_h", "sin_h")
LENGTH_SCALE, SPEED_SCALE = 100.0, 20.0
"""Metres and m/s that have the value 1 in observations."""


class Params(struct.PyTreeNode):
    """The numbers in the rules.

    Attributes:
      crash_cost: cost of a crash to each car in it, at least 0.
      arrival_reward: reward of a car that arrives, at least 0.
      max_steps: length of an episode, in steps of one second.
    """

    crash_cost: Any = 4.0
    arrival_reward: Any = 2.0
    max_steps: Any = 30


class State(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      turns: `[N]` int32, LEFT, STRAIGHT or RIGHT.
      progress: `[N]` float32, metres along each car's way, negative before the stop line.
      speeds: `[N]` float32, m/s.
      targets: `[N]` int32, index of each car's target speed.
      arrived: `[N]` bool; these cars are no longer on the road.
      crashed: `[N]` bool; these cars no longer drive.
      step_count: `[]` int32, steps since the reset.
    """

    turns: jax.Array
    progress: jax.Array
    speeds: jax.Array
    targets: jax.Array
    arrived: jax.Array
    crashed: jax.Array
    step_count: jax.Array


class Intersection(Environment):
    """See the module for the game and docs/intersection.md for its rules.

    Args:
      num_agents: N, 1 to 4; car i comes from the south, west, north or east.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    policy_module = "jaxdilemmas.policies.intersection"
    picture_module = "jaxdilemmas.pictures.intersection"
    is_batched_last = True

    def __init__(self, num_agents: int = NUM_ROADS, **params: Any) -> None:
        self.num_agents = check_num_agents(num_agents, NUM_ROADS)
        self.default_params = self.params_from(Params, params)
        check_numbers(self.default_params, np.inf, "crash_cost", "arrival_reward")
        check_counts(self.default_params, "max_steps")

    @property
    def observation_space(self) -> Space:
        """The kinematics of three cars, `[21]` float32; see `observe`."""
        return Box(-np.inf, np.inf, (NUM_SEEN * len(FEATURES),))

    @property
    def action_space(self) -> Space:
        """0 slower, 1 idle, 2 faster; inside jit any other number acts as 1."""
        return Discrete(3)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Every car on its road at 10 m/s, about 35 m before the stop line, with a random turn."""
        del params
        key_turns, key_progress = split(key)
        N = self.num_agents
        return State(
            turns=integers(key_turns, N, 3),
            progress=START_MEAN + START_DEVIATION * normal(key_progress, N),
            speeds=jnp.full(N, START_SPEED, jnp.float32),
            targets=jnp.full(N, len(TARGET_SPEEDS) - 1, jnp.int32),
            arrived=jnp.zeros(N, bool),
            crashed=jnp.zeros(N, bool),
            step_count=jnp.zeros((), jnp.int32),
        )

    @batched
    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Cars choose target speeds and drive for a second; a crash, or the last arrival, ends the episode."""
        del draws
        is_driving = ~(state.arrived | state.crashed)
        targets = jnp.where(is_driving, choose_targets(state.speeds, state.targets, actions), state.targets)
        ways, speeds = drive(state.speeds, targets)
        progress = state.progress[None] + jnp.where(is_driving[None], ways, 0)
        ends = by_turn(CROSSING_LENGTHS, state.turns) + EXIT_LENGTH
        is_there = is_driving[None] & (progress < ends[None])
        locate = compute_once(partial(pose, turn_by=unit_vector_by_series))
        positions, directions = locate(progress, state.turns[None], roads_of(state.turns)[None])
        crashes = find_crashes(positions, directions, is_there)
        arrived = is_driving & (progress[-1] >= ends) & ~crashes
        state = state.replace(
            progress=progress[-1],
            speeds=jnp.where(is_driving, speeds, state.speeds),
            targets=targets,
            arrived=state.arrived | arrived,
            crashed=state.crashed | crashes,
            step_count=state.step_count + 1,
        )
        info = {"arrived": arrived.astype(jnp.float32), "crashed": crashes.astype(jnp.float32)}
        rewards = params.arrival_reward * info["arrived"] - params.crash_cost * info["crashed"]
        is_over = fold(jnp.logical_or, state.crashed) | fold(jnp.logical_and, state.arrived)
        return state, rewards, is_over, info

    def observe(self, state: State, params: Params) -> jax.Array:
        """The observation of each car: itself and the two nearest cars, without their turns.

        Returns:
          `[N, 21]` float32, `FEATURES` of three cars: presence (1), x and y in 100 m, east and south of the centre, vx
          and vy in 20 m/s, cosine and sine of the heading. Rows of cars that do not exist, or have arrived, are 0.
        """
        del params
        return batch_last(compute_once(look))(state.progress, state.speeds, state.turns, ~state.arrived)


def choose_targets(speeds: jax.Array, targets: jax.Array, actions: jax.Array) -> jax.Array:
    """The target speed of each car: one above or below the one nearest to its present speed, or unchanged.

    Args:
      speeds: `[...]` float32, m/s.
      targets: `[...]` int32, indices into `TARGET_SPEEDS`.
      actions: `[...]` int32.

    Returns:
      `[...]` int32.

    Source: `MDPVehicle.act` of `vehicle/controller.py` in Farama-Foundation/HighwayEnv @ v1.8.2.
    """
    nearest = jnp.round(speeds / TARGET_SPEEDS[1]).astype(jnp.int32)
    most = len(TARGET_SPEEDS) - 1
    change = jnp.where(actions == FASTER, jnp.int32(1), jnp.int32(-1))
    changed = jnp.clip(jnp.clip(nearest, 0, most) + change, 0, most)
    return jnp.where((actions == FASTER) | (actions == SLOWER), changed, targets)


def drive(speeds: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Drives for a second towards the target speeds.

    In each of 15 frames a car drives on at its speed, and then the speed closes a ninth of the gap to the target speed.

    Args:
      speeds: `[...]` float32, m/s.
      targets: `[...]` int32, indices into `TARGET_SPEEDS`.

    Returns:
      Metres driven after each frame, `[15, ...]` float32, and the speeds at the end, `[...]` float32.

    Source: `ControlledVehicle.speed_control` and `Vehicle.step` of Farama-Foundation/HighwayEnv @ v1.8.2, summed up.
    """
    chex.assert_equal_shape([speeds, targets])
    frames = np.arange(1, FRAMES + 1)
    shape = (FRAMES,) + (1,) * jnp.ndim(speeds)
    seconds = jnp.asarray(frames / FRAMES, jnp.float32).reshape(shape)
    gone = jnp.asarray((1 - SPEED_DECAY**frames) / (1 - SPEED_DECAY) / FRAMES, jnp.float32).reshape(shape)
    goals = jnp.asarray(TARGET_SPEEDS)[targets]
    gaps = speeds - goals
    ways = goals[None] * seconds + gaps[None] * gone
    return ways, goals + gaps * np.float32(SPEED_DECAY**FRAMES)


Vectors = tuple[jax.Array, jax.Array]
"""x (east) and y (south) of vectors, two arrays of one shape."""


def roads_of(turns: jax.Array) -> jax.Array:
    """The road of each car of `[N, ...]`, `[N, 1, ...]` int32: 0 from the south, then from the west, north and east."""
    return jnp.arange(len(turns), dtype=jnp.int32).reshape(-1, *(1,) * (turns.ndim - 1))


def by_turn(table: np.ndarray, turns: jax.Array) -> jax.Array:
    """The entry of a table of three numbers for each turn, `[...]` float32."""
    return jnp.where(turns == LEFT, table[LEFT], jnp.where(turns == RIGHT, table[RIGHT], table[STRAIGHT]))


def unit_vector(angles: jax.Array) -> Vectors:
    """Cosine and sine of angles, `[...]` float32 each."""
    return jnp.cos(angles), jnp.sin(angles)


def unit_vector_by_series(angles: jax.Array) -> Vectors:
    """The same, `[...]` float32, for angles of at most an eighth of a turn in a tenth of the time; rounding differs."""
    square = angles * angles
    cosine = 1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56)))
    sine = angles * (1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72))))
    return cosine, sine


def pose(
    progress: jax.Array, turns: jax.Array, roads: jax.Array, turn_by: Callable[[jax.Array], Vectors] = unit_vector
) -> tuple[Vectors, Vectors]:
    """Positions and directions of cars on their ways: a straight road, a way through the crossing, a straight road.

    Args:
      progress: `[...]` float32, metres from the stop line.
      turns: `[...]` int32, LEFT, STRAIGHT or RIGHT.
      roads: `[...]` int32, see `roads_of`.
      turn_by: returns cosine and sine of half the angle that a car has turned in the crossing.

    Returns:
      Positions in metres from the centre, and directions as unit vectors; `[...]` float32 for each coordinate.

    Source: `_make_road` of `envs/intersection_env.py` in Farama-Foundation/HighwayEnv @ v1.8.2.
    """
    lengths, curvatures = by_turn(CROSSING_LENGTHS, turns), by_turn(CURVATURES, turns)
    approach = jnp.asarray(ROAD_DIRECTIONS[:, 0])[roads], jnp.asarray(ROAD_DIRECTIONS[:, 1])[roads]
    within = jnp.clip(progress, 0, lengths)
    half_bends = curvatures * within / 2
    half_turns = compute_once(turn_by)(half_bends)
    is_straight = curvatures == 0
    chords = jnp.where(is_straight, within, 2 * half_turns[1] / jnp.where(is_straight, 1, curvatures))
    half_way = _turn(approach, half_turns)
    directions = _turn(half_way, half_turns)
    before, behind = jnp.minimum(progress, 0), jnp.maximum(progress - lengths, 0)
    parts = zip((-approach[1], approach[0]), approach, half_way, directions, strict=True)
    x, y = (
        LANE_WIDTH / 2 * side - STOP_LINE * start + before * start + chords * half + behind * end
        for side, start, half, end in parts
    )
    return (x, y), directions


def _turn(vectors: Vectors, by: Vectors) -> Vectors:
    """Vectors turned by the angles of unit vectors."""
    (x, y), (cosine, sine) = vectors, by
    return x * cosine - y * sine, x * sine + y * cosine


def find_crashes(positions: Vectors, directions: Vectors, is_there: jax.Array) -> jax.Array:
    """Which cars overlap with another car at any time.

    Args:
      positions: `[T, N, ...]` float32 for each coordinate, metres.
      directions: `[T, N, ...]` float32 for each coordinate of unit vectors.
      is_there: `[T, N, ...]` bool, the cars on the road.

    Returns:
      `[N, ...]` bool.
    """
    chex.assert_equal_shape([*positions, *directions, is_there])
    any_time = compute_once(partial(fold, jnp.logical_or))
    hits: list[list[jax.Array]] = [[jnp.zeros(is_there.shape[2:], bool)] for _ in range(is_there.shape[1])]
    for pair in combinations(range(len(hits)), 2):
        one, other = ([(x[:, car], y[:, car]) for x, y in (positions, directions)] for car in pair)
        is_hit = any_time(compute_once(overlap)(*one, *other) & is_there[:, pair[0]] & is_there[:, pair[1]])
        for car in pair:
            hits[car].append(is_hit)
    return jnp.stack([fold(jnp.logical_or, those) for those in hits])


def overlap(here: Vectors, ahead: Vectors, there: Vectors, other_ahead: Vectors) -> jax.Array:
    """Which cars overlap: rectangles of 5 m by 2 m, of which no line along a side separates one from the other.

    Args:
      here: positions of cars, `[...]` float32 for each coordinate.
      ahead: their directions.
      there: positions of the other cars.
      other_ahead: their directions.

    Returns:
      `[...]` bool.

    Source: the crash test of `vehicle/objects.py` in Farama-Foundation/HighwayEnv @ v1.8.2, without its look ahead.
    """
    offsets = there[0] - here[0], there[1] - here[1]
    cosine, sine = jnp.abs(_along(ahead, other_ahead)), jnp.abs(_across(ahead, other_ahead))
    reach_ahead = CAR_LENGTH / 2 * (1 + cosine) + CAR_WIDTH / 2 * sine
    reach_aside = CAR_WIDTH / 2 * (1 + cosine) + CAR_LENGTH / 2 * sine
    is_apart = jnp.zeros(cosine.shape, bool)
    for axis in (ahead, other_ahead):
        is_apart |= jnp.abs(_along(axis, offsets)) > reach_ahead
        is_apart |= jnp.abs(_across(axis, offsets)) > reach_aside
    return ~is_apart


def _along(axes: Vectors, vectors: Vectors) -> jax.Array:
    """The length of vectors along unit vectors."""
    return axes[0] * vectors[0] + axes[1] * vectors[1]


def _across(axes: Vectors, vectors: Vectors) -> jax.Array:
    """The length of vectors to the right of unit vectors."""
    return axes[0] * vectors[1] - axes[1] * vectors[0]


def look(progress: jax.Array, speeds: jax.Array, turns: jax.Array, is_here: jax.Array) -> jax.Array:
    """What each car sees: itself and the two nearest cars that have not arrived.

    Args:
      progress: `[N, ...]` float32, as in `State`.
      speeds: `[N, ...]` float32.
      turns: `[N, ...]` int32.
      is_here: `[N, ...]` bool, the cars that have not arrived.

    Returns:
      `[N, 21, ...]` float32, see `Intersection.observe`.
    """
    (x, y), directions = compute_once(pose)(progress, turns, roads_of(turns))
    parts = [x / LENGTH_SCALE, y / LENGTH_SCALE, *(speeds * part / SPEED_SCALE for part in directions), *directions]
    features = jnp.stack([jnp.where(is_here, part, 0) for part in (jnp.ones_like(x), *parts)], 1)  # [N, 7, ...]
    distances = jnp.sqrt((x[:, None] - x[None]) ** 2 + (y[:, None] - y[None]) ** 2)
    distances = jnp.where(is_here[None], distances, jnp.inf)

    def is_nearer(car: int, one: int, other: int) -> jax.Array:
        first, second = distances[car, one], distances[car, other]
        return (first <= second if one < other else first < second).astype(jnp.int32)

    def see(car: int) -> list[jax.Array]:
        others = [other for other in range(len(x)) if other != car]
        nearer = {k: sum((is_nearer(car, j, k) for j in others if j != k), start=0) for k in others}
        nothing = jnp.zeros_like(features[car])
        near = [[jnp.where(nearer[k] == place, features[k], 0) for k in others] for place in range(NUM_SEEN - 1)]
        return [features[car], *(fold(jnp.add, [nothing, *those]) for those in near)]

    return jnp.stack([row for car in range(len(x)) for row in see(car)]).reshape(len(x), -1, *x.shape[1:])
