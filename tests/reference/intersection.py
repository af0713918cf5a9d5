"""The intersection in plain Python, from the written rules: one car, one frame, one lane at a time."""

import dataclasses
import math
from collections.abc import Sequence

Point = tuple[float, float]
SPEEDS = [0.0, 4.5, 9.0]


def turn(point: Point, road: int) -> Point:
    """A point as seen from the southern road, turned to another one (x east, y south)."""
    x, y = point
    for _ in range(road):
        x, y = -y, x
    return x, y


@dataclasses.dataclass
class Car:
    """A car on its road (0 south, 1 west, 2 north, 3 east) that turns (0 left, 1 straight, 2 right), and its motion."""

    road: int
    turns: int
    progress: float
    speed: float = 10.0
    target: int = 2
    arrived: bool = False
    crashed: bool = False

    @property
    def crossing(self) -> float:
        """Length of its way through the crossing."""
        return [13 * math.pi / 2, 22.0, 9 * math.pi / 2][self.turns]

    def pose(self) -> tuple[Point, float]:
        """Where it is, and its heading."""
        past = self.progress - self.crossing
        within = min(self.progress, self.crossing)
        if self.progress <= 0 or self.turns == 1:
            point, heading = (2.0, 11.0 - self.progress), -math.pi / 2
        elif self.turns == 0:
            angle = within / 13  # around a centre to the left, from the east of it to the north
            point, heading = (-11 + 13 * math.cos(angle), 11 - 13 * math.sin(angle)), -math.pi / 2 - angle
            point = (point[0] - max(past, 0), point[1])
        else:
            angle = within / 9  # around a centre to the right, from the west of it to the north
            point, heading = (11 - 9 * math.cos(angle), 11 - 9 * math.sin(angle)), -math.pi / 2 + angle
            point = (point[0] + max(past, 0), point[1])
        return turn(point, self.road), heading + self.road * math.pi / 2

    def corners(self) -> list[Point]:
        """The corners of its 5 m by 2 m."""
        (x, y), heading = self.pose()
        c, s = math.cos(heading), math.sin(heading)
        return [(x + c * a - s * b, y + s * a + c * b) for a in (-2.5, 2.5) for b in (-1, 1)]


def overlaps(one: Car, other: Car) -> bool:
    """Whether two cars overlap: their shadows do, on lines along the sides of both."""
    if math.dist(one.pose()[0], other.pose()[0]) > 6:
        return False
    for heading in (one.pose()[1], other.pose()[1]):
        for angle in (heading, heading + math.pi / 2):
            axis = math.cos(angle), math.sin(angle)
            first, second = ([x * axis[0] + y * axis[1] for x, y in car.corners()] for car in (one, other))
            if max(first) < min(second) or max(second) < min(first):
                return False
    return True


class Intersection:
    """The cars, one on each road."""

    def __init__(self, turns: Sequence[int], progress: Sequence[float]) -> None:
        self.cars = [Car(road, *start) for road, start in enumerate(zip(turns, progress, strict=True))]
        self.terminated = False

    def step(self, actions: Sequence[int]) -> list[float]:
        """Plays a second; returns the rewards."""
        driving = [car for car in self.cars if not car.arrived and not car.crashed]
        for car, action in zip(self.cars, actions, strict=True):
            if car in driving and action in (0, 2):
                nearest = min(range(3), key=lambda index: abs(SPEEDS[index] - car.speed))
                car.target = min(max(nearest + action - 1, 0), 2)
        hit: list[Car] = []
        for _ in range(15):
            for car in driving:
                car.progress += car.speed / 15
                car.speed += (SPEEDS[car.target] - car.speed) / 0.6 / 15
            there = [car for car in driving if car.progress < car.crossing + 25]
            hit += [one for one in there for other in there if one is not other and overlaps(one, other)]
        rewards = []
        for car in self.cars:
            is_hit = any(car is one for one in hit)
            is_home = any(car is one for one in driving) and not is_hit and car.progress >= car.crossing + 25
            car.crashed, car.arrived = car.crashed or is_hit, car.arrived or is_home
            rewards.append(2.0 * is_home - 4.0 * is_hit)
        self.terminated = any(car.crashed for car in self.cars) or all(car.arrived for car in self.cars)
        return rewards

    def observe(self) -> list[list[float]]:
        """What each car sees."""
        rows = []
        for car in self.cars:
            others = [other for other in self.cars if other is not car and not other.arrived]
            others.sort(key=lambda other: math.dist(car.pose()[0], other.pose()[0]))
            rows.append([v for seen in [car, *others][:3] for v in self.features(seen)])
            rows[-1] += [0.0] * (21 - len(rows[-1]))
        return rows

    @staticmethod
    def features(car: Car) -> list[float]:
        """A car as seen."""
        if car.arrived:
            return [0.0] * 7
        (x, y), heading = car.pose()
        c, s = math.cos(heading), math.sin(heading)
        return [1.0, x / 100, y / 100, car.speed * c / 20, car.speed * s / 20, c, s]
