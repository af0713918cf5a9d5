"""Intersection: four cars meet at a crossing; each has a reward for its arrival and a cost for its crash.

A kinematic simplification of `MultiAgentIntersectionEnv` of Farama-Foundation/HighwayEnv @ v1.8.2 (6faf507): its roads,
cars, target speeds and crash test, but cars that stay in the middle of their lane. docs/intersection.md contains the
rules, their sources and our own choices.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_num_agents
from jaxdilemmas.batching import compute_if_any
from jaxdilemmas.environment import Environment, NoDraws, Transition, check_counts, check_numbers
from jaxdilemmas.spaces import Box, Discrete, Space

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
        key_turns, key_progress = jax.random.split(key)
        N = self.num_agents
        offsets = jax.random.normal(key_progress, (N,), jnp.float32)
        return State(
            turns=jax.random.randint(key_turns, (N,), 0, 3, jnp.int32),
            progress=START_MEAN + START_DEVIATION * offsets,
            speeds=jnp.full(N, START_SPEED, jnp.float32),
            targets=jnp.full(N, len(TARGET_SPEEDS) - 1, jnp.int32),
            arrived=jnp.zeros(N, bool),
            crashed=jnp.zeros(N, bool),
            step_count=jnp.zeros((), jnp.int32),
        )

    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Cars choose target speeds and drive for a second; a crash, or the last arrival, ends the episode."""
        del draws
        is_driving = ~(state.arrived | state.crashed)
        targets = jnp.where(is_driving, choose_targets(state.speeds, state.targets, actions), state.targets)
        ways, speeds = drive(state.speeds, targets)
        progress = state.progress[None] + jnp.where(is_driving[None], ways, 0)
        ends = jnp.asarray(CROSSING_LENGTHS)[state.turns] + EXIT_LENGTH
        is_there = is_driving[None] & (progress < ends[None])
        roads = jnp.arange(self.num_agents, dtype=jnp.int32)
        poses = jax.lax.stop_gradient(pose(progress, state.turns, roads))
        # with a branch XLA does not compute the poses again for every pair
        crashes = compute_if_any(find_crashes, is_there.any(), *poses, is_there)
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
        return state, rewards, state.crashed.any() | state.arrived.all(), info

    def observe(self, state: State, params: Params) -> jax.Array:
        """The observation of each car: itself and the two nearest cars, without their turns.

        Returns:
          `[N, 21]` float32, `FEATURES` of three cars: presence (1), x and y in 100 m, east and south of the centre, vx
          and vy in 20 m/s, cosine and sine of the heading. Rows of cars that do not exist, or have arrived, are 0.
        """
        del params
        N = self.num_agents
        positions, directions = pose(state.progress, state.turns, jnp.arange(N, dtype=jnp.int32))
        velocities = state.speeds[:, None] * directions
        is_here = ~state.arrived
        presence = is_here[:, None].astype(jnp.float32)
        parts = [presence, positions / LENGTH_SCALE, velocities / SPEED_SCALE, directions]
        features = jnp.concatenate(parts, axis=1) * presence
        distances = jnp.linalg.norm(positions[:, None] - positions[None], axis=-1)
        distances = jnp.where(is_here[None], distances, jnp.inf)
        distances = jnp.where(np.eye(N, dtype=bool), -1, distances)
        is_nearer = distances[:, :, None] < distances[:, None]
        is_nearer |= (distances[:, :, None] == distances[:, None]) & np.triu(np.ones((1, N, N), bool), 1)
        num_nearer = is_nearer.sum(1, dtype=jnp.int32)
        is_seen_as = num_nearer[:, None] == np.arange(NUM_SEEN, dtype=np.int32)[None, :, None]  # [N, 3, N]
        return jnp.where(is_seen_as[..., None], features[None, None], 0).sum(2).reshape(N, -1)


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


def pose(progress: jax.Array, turns: jax.Array, roads: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positions and directions of cars on their ways: a straight road, a way through the crossing, a straight road.

    Args:
      progress: `[..., N]` float32, metres from the stop line.
      turns: `[N]` int32, LEFT, STRAIGHT or RIGHT.
      roads: `[N]` int32, 0 from the south, 1 from the west, 2 from the north, 3 from the east.

    Returns:
      Positions (x east, y south) in metres from the centre and directions, cosine and sine of the heading from east to
      south, `[..., N, 2]` float32 each.

    Source: `_make_road` of `envs/intersection_env.py` in Farama-Foundation/HighwayEnv @ v1.8.2.
    """
    chex.assert_equal_shape([turns, roads])
    chex.assert_equal_shape_suffix([progress, turns], 1)
    of_cars = ((CROSSING_LENGTHS, turns), (CURVATURES, turns), (ROAD_DIRECTIONS, roads))
    times = range(progress.ndim - 1)
    lengths, curvatures, approach = (jnp.expand_dims(jnp.asarray(table)[index], times) for table, index in of_cars)
    within = jnp.clip(progress, 0, lengths)
    half_bends = curvatures * within / 2
    half_turns = jnp.stack([jnp.cos(half_bends), jnp.sin(half_bends)], axis=-1)
    is_straight = curvatures == 0
    chords = jnp.where(is_straight, within, 2 * half_turns[..., 1] / jnp.where(is_straight, 1, curvatures))
    half_way = _turn(approach, half_turns)
    directions = _turn(half_way, half_turns)
    starts = LANE_WIDTH / 2 * _turn(approach, jnp.array([0.0, 1.0], jnp.float32)) - STOP_LINE * approach
    before, behind = jnp.minimum(progress, 0)[..., None], jnp.maximum(progress - lengths, 0)[..., None]
    return starts + before * approach + chords[..., None] * half_way + behind * directions, directions


def _turn(vectors: jax.Array, by: jax.Array) -> jax.Array:
    """Vectors `[..., 2]` turned by the angles of the unit vectors `by` `[..., 2]`."""
    (x, y), (cosine, sine) = (jnp.moveaxis(pair, -1, 0) for pair in (vectors, by))
    return jnp.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


def find_crashes(positions: jax.Array, directions: jax.Array, is_there: jax.Array) -> jax.Array:
    """Which cars overlap with another car at any time.

    Cars are rectangles of 5 m by 2 m. Two of them overlap if no line along a side separates them.

    Args:
      positions: `[T, N, 2]` float32, metres.
      directions: `[T, N, 2]` float32, unit vectors.
      is_there: `[T, N]` bool, the cars on the road.

    Returns:
      `[N]` bool.

    Source: the crash test of `vehicle/objects.py` in Farama-Foundation/HighwayEnv @ v1.8.2, without its look ahead.
    """
    chex.assert_equal_shape([positions, directions])
    chex.assert_shape(positions, (*is_there.shape, 2))
    first, second = np.triu_indices(positions.shape[1], 1)  # every pair of cars once
    offsets = positions[:, second] - positions[:, first]  # [T, P, 2]
    one, other = directions[:, first], directions[:, second]
    cosine, sine = jnp.abs(_along(one, other)), jnp.abs(_across(one, other))
    reach_ahead = CAR_LENGTH / 2 * (1 + cosine) + CAR_WIDTH / 2 * sine
    reach_aside = CAR_WIDTH / 2 * (1 + cosine) + CAR_LENGTH / 2 * sine
    is_apart = jnp.zeros(cosine.shape, bool)
    for axis in (one, other):
        is_apart |= jnp.abs(_along(axis, offsets)) > reach_ahead
        is_apart |= jnp.abs(_across(axis, offsets)) > reach_aside
    is_hit = (is_there[:, first] & is_there[:, second] & ~is_apart).any(0)  # [P]
    is_in_pair = (np.stack([first, second]) == np.arange(positions.shape[1])[:, None, None]).any(1)  # [N, P]
    return (is_in_pair & is_hit[None]).any(1)


def _along(axes: jax.Array, vectors: jax.Array) -> jax.Array:
    """The length of vectors `[..., 2]` along unit vectors `[..., 2]`."""
    return axes[..., 0] * vectors[..., 0] + axes[..., 1] * vectors[..., 1]


def _across(axes: jax.Array, vectors: jax.Array) -> jax.Array:
    """The length of vectors `[..., 2]` to the right of unit vectors `[..., 2]`."""
    return axes[..., 0] * vectors[..., 1] - axes[..., 1] * vectors[..., 0]
