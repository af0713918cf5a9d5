"""Equilibria and replicator dynamics of games with known answers."""

import itertools
import math
from typing import Any

import nashpy
import numpy as np
import pytest
from matplotlib.figure import Figure

from baselines.analysis import metagame
from baselines.analysis.dilemmas import SchellingTable, pure_equilibria
from baselines.analysis.figures import draw_phase_line
from baselines.analysis.intervals import Verdict
from baselines.analysis.metagame import Choice, RestPoint, Stability, gain_of_cooperating, table_game

STABLE, UNSTABLE, NEUTRAL = Stability

PRISONERS_DILEMMA = np.array([[3.0, 0.0], [5.0, 1.0]])
STAG_HUNT = np.array([[4.0, 0.0], [3.0, 2.0]])
VALUE, COST = 4.0, 6.0
HAWK_DOVE = np.array([[(VALUE - COST) / 2, VALUE], [0.0, VALUE / 2]])


def matrix_game(matrix: np.ndarray) -> Choice:
    """The game of two agents in which strategy k gets `matrix[k, l]` against strategy l; strategy 0 cooperates."""
    return Choice(matrix[0, ::-1], matrix[1, ::-1])


def table_of(cooperating: list[float], defecting: list[float], deviation: float = 0.0, episodes: int = 2) -> Any:
    """A table with R_c(1), ..., R_c(N) and R_d(0), ..., R_d(N - 1), all with the same spread around them."""
    noise = deviation * np.random.default_rng(0).normal(size=(2, len(cooperating) + 1, episodes))
    noise -= noise.mean(-1, keepdims=True)
    means = [np.array([math.nan, *cooperating]), np.array([*defecting, math.nan])]
    return SchellingTable(*(mean[:, None] + part for mean, part in zip(means, noise, strict=True)))


SPEC_TABLE = ([0.213, 0.365, 0.964, 1.249], [0.277, 0.393, 0.668, 1.742])
"""Bernoulli teams at rate 0.055 over 100 steps, cooperators take with probability 0.5 and defectors with 0.9."""


def found(points: list[RestPoint]) -> dict[float, tuple[Stability, bool]]:
    return {round(point.share, 6): (point.stability, point.is_equilibrium) for point in points}


# Two strategies


def test_in_the_prisoners_dilemma_everybody_ends_up_defecting() -> None:
    points = metagame.rest_points(matrix_game(PRISONERS_DILEMMA))
    assert found(points) == {1: (UNSTABLE, False), 0: (STABLE, True)}
    np.testing.assert_allclose([point.growth for point in points], [5 - 3, 0 - 1], atol=1e-12)


def test_in_the_stag_hunt_both_pure_strategies_are_stable_and_the_mixture_between_them_is_not() -> None:
    points = metagame.rest_points(matrix_game(STAG_HUNT))
    assert found(points) == {1: (STABLE, True), 0: (STABLE, True), 0.666667: (UNSTABLE, True)}


def test_hawks_are_as_many_as_value_over_cost() -> None:
    points = metagame.rest_points(matrix_game(HAWK_DOVE))
    share = round(VALUE / COST, 6)
    assert found(points) == {1: (UNSTABLE, False), 0: (UNSTABLE, False), share: (STABLE, True)}
    # x (1 - x) times the slope of the gain (V - C x) / 2
    np.testing.assert_allclose(points[2].growth, -VALUE / COST * (1 - VALUE / COST) * COST / 2, atol=1e-9)


def test_strategies_that_always_pay_the_same_rest_everywhere_and_none_is_listed_inside() -> None:
    points = metagame.rest_points(matrix_game(np.ones((2, 2))))
    assert found(points) == {1: (NEUTRAL, True), 0: (NEUTRAL, True)}


@pytest.mark.parametrize("matrix", [PRISONERS_DILEMMA, STAG_HUNT, HAWK_DOVE])
def test_symmetric_equilibria_are_those_that_nashpy_finds(matrix: np.ndarray) -> None:
    pairs = nashpy.Game(matrix, matrix.T).support_enumeration()
    symmetric = {round(float(first[0]), 6) for first, second in pairs if np.allclose(first, second)}
    assert {
        x for x, (_, is_equilibrium) in found(metagame.rest_points(matrix_game(matrix))).items() if is_equilibrium
    } == (symmetric)


# Many agents


def test_the_gain_is_the_mean_over_all_others() -> None:
    game = table_game(table_of(*SPEC_TABLE))
    share, gains, expected = 0.3, np.subtract(*SPEC_TABLE), 0.0
    for others in itertools.product((True, False), repeat=3):
        expected += math.prod(share if one else 1 - share for one in others) * gains[sum(others)]
    assert gain_of_cooperating(game, share) == pytest.approx(expected)


def test_growth_is_the_derivative_of_the_dynamics() -> None:
    game = table_game(table_of(*SPEC_TABLE))

    def dynamics(share: float) -> float:
        return share * (1 - share) * float(gain_of_cooperating(game, share))

    for point in metagame.rest_points(game):
        assert dynamics(point.share) == pytest.approx(0, abs=1e-9)
        slope = (dynamics(point.share + 1e-5) - dynamics(point.share - 1e-5)) / 2e-5
        assert point.growth == pytest.approx(slope, abs=1e-8)


def test_in_a_public_good_that_pays_less_than_it_costs_nobody_gives() -> None:
    num_agents, factor = 5, 3.0
    giving = [factor * (i + 1) / num_agents - 1 for i in range(num_agents)]
    keeping = [factor * i / num_agents for i in range(num_agents)]
    points = metagame.rest_points(table_game(table_of(giving, keeping)))
    assert found(points) == {1: (UNSTABLE, False), 0: (STABLE, True)}


def test_a_snowdrift_of_many_has_its_known_mixture() -> None:
    # Volunteers: benefit 1 if anybody pays, cost c to each who does; an agent shirks with probability c^(1 / (N - 1)).
    cost, num_agents = 0.3, 6
    table = table_of([1 - cost] * num_agents, [0.0] + [1.0] * (num_agents - 1))
    points = metagame.estimate_rest_points(table, num_resamples=5)
    assert [point.stability for point in points] == [UNSTABLE, STABLE, UNSTABLE]
    assert points[1].share.mean == pytest.approx(1 - cost ** (1 / (num_agents - 1)))
    assert points[1].is_equilibrium and points[1].support == 1
    assert points[1].share.low == pytest.approx(points[1].share.mean) == points[1].share.high


def test_bernoulli_teams_have_equilibria_at_no_and_at_three_cooperators() -> None:
    table = table_of(*SPEC_TABLE, deviation=0.1, episodes=4000)
    holds = [k for k, verdict in enumerate(pure_equilibria(table)) if verdict is Verdict.HOLDS]
    assert holds == [0, 3]
    points = metagame.estimate_rest_points(table, num_resamples=50)
    assert [point.stability for point in points] == [STABLE, UNSTABLE, STABLE, UNSTABLE]
    assert [point.is_equilibrium for point in points] == [True, True, True, False]
    for point in points[1:3]:
        x = point.share.mean
        gains = np.subtract(*SPEC_TABLE)
        assert sum(math.comb(3, i) * x**i * (1 - x) ** (3 - i) * gains[i] for i in range(4)) == pytest.approx(
            0, abs=1e-9
        )
        assert point.share.low < x < point.share.high < point.share.low + 0.05 and point.support == 1


def test_intervals_of_a_mixture_cover_it_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(60):
        gain = rng.normal([[1.0], [-1.0]], 1.0, (2, 50))  # crosses zero at one half
        table = SchellingTable(np.vstack([np.full(50, math.nan), gain]), np.zeros((3, 50)))
        (point,) = [p for p in metagame.estimate_rest_points(table, seed, num_resamples=100) if 0 < p.share.mean < 1]
        covered.append(point.share.low <= 0.5 <= point.share.high)
    assert 0.85 <= np.mean(covered) <= 1.0


def test_a_point_that_few_resamples_have_has_little_support() -> None:
    table = table_of([0.01, 0.01], [0.0, 0.02], deviation=0.2, episodes=20)
    supports = [point.support for point in metagame.estimate_rest_points(table, num_resamples=100)]
    assert all(0 < support < 0.9 for support in supports)


# Bad input


def test_games_of_wrong_shape_or_unknown_payoffs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"cooperating=nan is not allowed: all must be finite"):
        table_game(table_of([math.nan, 1.0], [0.0, 1.0]))
    with pytest.raises(ValueError, match=r"defecting=\(2,\) is not allowed"):
        Choice(np.zeros(3), np.zeros(2))


# Pictures


def test_the_phase_line_points_to_what_is_stable() -> None:
    axes = Figure().subplots()
    draw_phase_line(axes, matrix_game(HAWK_DOVE), "hawks")
    (arrows,) = [artist for artist in axes.collections if hasattr(artist, "U")]
    assert np.asarray(arrows.U).tolist() == [1, -1]  # both towards the mixture
    (dots,) = [artist for artist in axes.collections if not hasattr(artist, "U")]
    expected = np.array([[1, 0], [0, 0], [VALUE / COST, 0]])
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), expected)
    assert np.asarray(dots.get_facecolor())[:, 0].tolist() == [1, 1, 0]  # white, white, black
