"""Equilibria and replicator dynamics of games whose answers are known."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from baselines.analysis import metagame
from baselines.analysis.dilemmas import SchellingTable, Verdict, pure_equilibria
from baselines.analysis.figures import draw_phase_line, draw_phase_triangle
from baselines.analysis.metagame import RestPoint, Stability
from baselines.analysis.symmetric_games import (
    SymmetricGame,
    compositions,
    expected_payoffs,
    matrix_game,
    replicator,
    table_game,
)

STABLE, UNSTABLE, SADDLE, NEUTRAL = Stability

PRISONERS_DILEMMA = np.array([[3.0, 0.0], [5.0, 1.0]])
STAG_HUNT = np.array([[4.0, 0.0], [3.0, 2.0]])
VALUE, COST = 4.0, 6.0
HAWK_DOVE = np.array([[(VALUE - COST) / 2, VALUE], [0.0, VALUE / 2]])
ROCK_PAPER_SCISSORS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


def table_of(cooperating: list[float], defecting: list[float], deviation: float = 0.0, episodes: int = 2) -> Any:
    """A table with R_c(1), ..., R_c(N) and R_d(0), ..., R_d(N - 1), all with the same spread around them."""
    noise = deviation * np.random.default_rng(0).normal(size=(2, len(cooperating) + 1, episodes))
    noise -= noise.mean(-1, keepdims=True)
    means = [np.array([math.nan, *cooperating]), np.array([*defecting, math.nan])]
    return SchellingTable(*(mean[:, None] + part for mean, part in zip(means, noise, strict=True)))


SPEC_TABLE = ([0.213, 0.365, 0.964, 1.249], [0.277, 0.393, 0.668, 1.742])
"""Bernoulli teams at rate 0.055 over 100 steps, cooperators take with probability 0.5 and defectors with 0.9."""


def found(points: list[RestPoint]) -> dict[tuple[float, ...], tuple[Stability, bool]]:
    return {tuple(point.shares.round(6).tolist()): (point.stability, point.is_equilibrium) for point in points}


# Two strategies


def test_in_the_prisoners_dilemma_everybody_ends_up_defecting() -> None:
    points = metagame.rest_points(matrix_game(PRISONERS_DILEMMA))
    assert found(points) == {(1, 0): (UNSTABLE, False), (0, 1): (STABLE, True)}
    np.testing.assert_allclose([point.eigenvalues for point in points], [[5 - 3], [0 - 1]], atol=1e-12)


def test_in_the_stag_hunt_both_pure_strategies_are_stable_and_the_mixture_between_them_is_not() -> None:
    points = metagame.rest_points(matrix_game(STAG_HUNT))
    assert found(points) == {(1, 0): (STABLE, True), (0, 1): (STABLE, True), (0.666667, 0.333333): (UNSTABLE, True)}
    assert [point.is_mixed for point in points] == [False, False, True]


def test_hawks_are_as_many_as_value_over_cost() -> None:
    points = metagame.rest_points(matrix_game(HAWK_DOVE))
    share = round(VALUE / COST, 6)
    assert found(points) == {
        (1, 0): (UNSTABLE, False),
        (0, 1): (UNSTABLE, False),
        (share, round(1 - share, 6)): (STABLE, True),
    }
    # x (1 - x) times the slope of the gain (V - C x) / 2
    np.testing.assert_allclose(points[2].eigenvalues, [-VALUE / COST * (1 - VALUE / COST) * COST / 2], atol=1e-9)


def test_strategies_that_always_pay_the_same_rest_everywhere_and_none_is_listed_inside() -> None:
    points = metagame.rest_points(matrix_game(np.ones((2, 2))))
    assert found(points) == {(1, 0): (NEUTRAL, True), (0, 1): (NEUTRAL, True)}


def test_nashpy_finds_pure_and_mixed_equilibria_of_two_agents() -> None:
    both = {name: metagame.two_agent_equilibria(m) for name, m in (("pd", PRISONERS_DILEMMA), ("hd", HAWK_DOVE))}
    rounded = {name: {tuple(np.concatenate(pair).round(4)) for pair in pairs} for name, pairs in both.items()}
    assert rounded["pd"] == {(0, 1, 0, 1)}
    assert rounded["hd"] == {(1, 0, 0, 1), (0, 1, 1, 0), (0.6667, 0.3333, 0.6667, 0.3333)}


@pytest.mark.parametrize("matrix", [PRISONERS_DILEMMA, STAG_HUNT, HAWK_DOVE, ROCK_PAPER_SCISSORS])
def test_symmetric_equilibria_are_those_that_nashpy_finds(matrix: np.ndarray) -> None:
    pairs = metagame.two_agent_equilibria(matrix)
    symmetric = {tuple(first.round(6)) for first, second in pairs if np.allclose(first, second)}
    assert {
        x for x, (_, is_equilibrium) in found(metagame.rest_points(matrix_game(matrix))).items() if is_equilibrium
    } == (symmetric)


# Three strategies and more


def test_rock_paper_scissors_turns_around_its_centre() -> None:
    points = metagame.rest_points(matrix_game(ROCK_PAPER_SCISSORS))
    centre = points[-1]
    assert len(points) == 4 and {point.stability for point in points[:3]} == {SADDLE}
    np.testing.assert_allclose(centre.shares, 1 / 3)
    np.testing.assert_allclose(np.sort_complex(centre.eigenvalues), [-1j / math.sqrt(3), 1j / math.sqrt(3)], atol=1e-9)
    assert (centre.stability, centre.is_equilibrium) == (NEUTRAL, True)


@pytest.mark.parametrize(("win", "stability"), [(2.0, STABLE), (0.5, UNSTABLE)])
def test_the_centre_attracts_when_winning_pays_more_than_losing_costs(win: float, stability: Stability) -> None:
    matrix = np.where(ROCK_PAPER_SCISSORS > 0, win, ROCK_PAPER_SCISSORS)
    assert metagame.rest_points(matrix_game(matrix))[-1].stability is stability


def test_rest_points_on_edges_and_inside_are_found_in_a_coordination_game() -> None:
    points = found(metagame.rest_points(matrix_game(np.diag([1.0, 2.0, 3.0]))))
    inside = np.array([1, 1 / 2, 1 / 3]) / (1 + 1 / 2 + 1 / 3)
    assert {tuple(x) for x in np.eye(3)} <= {x for x, (stability, _) in points.items() if stability is STABLE}
    assert points[tuple(inside.round(6).tolist())] == (UNSTABLE, True)
    assert points[(0.666667, 0.333333, 0.0)] == (SADDLE, True)
    assert len(points) == 7


def optional_public_goods(num_agents: int, factor: float, alone: float) -> SymmetricGame:
    """Cooperators give 1, which is multiplied and shared by all who take part; loners get a fixed payoff.

    Source: Hauert, De Monte, Hofbauer and Sigmund 2002.
    """
    others = compositions(num_agents - 1, 3)
    givers, keepers = others[:, 0], others[:, 1]
    is_alone = givers + keepers == 0
    giving = np.where(is_alone, alone, factor * (givers + 1) / (givers + keepers + 1) - 1)
    keeping = np.where(is_alone, alone, factor * givers / (givers + keepers + 1))
    return SymmetricGame(others, np.stack([giving, keeping, np.full(len(others), alone)], axis=1))


def test_optional_public_goods_turn_around_a_point_inside() -> None:
    num_agents, factor, alone = 5, 3.0, 1.0
    points = metagame.rest_points(optional_public_goods(num_agents, factor, alone))
    (inside,) = [point for point in points if (point.shares > 0).all()]
    z = inside.shares[2]
    # givers and keepers get the same where z, the share of loners, is a root of this
    gap = 1 + (factor - 1) * z ** (num_agents - 1) - factor / num_agents * (1 - z**num_agents) / (1 - z)
    assert abs(gap) < 1e-9
    assert inside.shares[0] == pytest.approx((1 - z) * alone / (factor - 1))
    assert np.abs(inside.eigenvalues.real).max() < 1e-6 and inside.eigenvalues.imag.max() > 0.1
    assert inside.stability is NEUTRAL


# Many agents


def test_expected_payoffs_are_means_over_all_others() -> None:
    game = optional_public_goods(4, 3.0, 1.0)
    shares = np.array([0.2, 0.5, 0.3])
    expected = np.zeros(3)
    for group in itertools.product(range(3), repeat=3):
        row = np.flatnonzero((game.others == np.bincount(group, minlength=3)).all(1))[0]
        expected += np.prod(shares[list(group)]) * game.payoffs[row]
    np.testing.assert_allclose(expected_payoffs(game, shares), expected)


def test_the_jacobian_is_the_derivative_of_the_dynamics_along_the_simplex() -> None:
    game = optional_public_goods(4, 3.0, 1.0)
    shares = np.array([0.2, 0.5, 0.3])
    directions = np.linalg.svd(np.ones((1, 3)))[2][1:]
    steps = [replicator(game, shares + sign * 1e-5 * directions) for sign in (1, -1)]
    numerical = directions @ ((steps[0] - steps[1]) / 2e-5).T
    np.testing.assert_allclose(metagame.jacobian(game, shares), numerical, atol=1e-8)
    np.testing.assert_allclose(replicator(game, shares).sum(), 0, atol=1e-12)


def test_in_a_public_good_that_pays_less_than_it_costs_nobody_gives() -> None:
    num_agents, factor = 5, 3.0
    giving = [factor * (i + 1) / num_agents - 1 for i in range(num_agents)]
    keeping = [factor * i / num_agents for i in range(num_agents)]
    points = metagame.rest_points(table_game(table_of(giving, keeping)))
    assert found(points) == {(1, 0): (UNSTABLE, False), (0, 1): (STABLE, True)}


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


def test_the_reduction_to_two_agents_keeps_the_payoffs_of_the_dilemma() -> None:
    matrix = metagame.two_agent_matrix(table_of(*SPEC_TABLE))
    np.testing.assert_allclose(matrix, [[1.249, 0.213], [1.742, 0.277]])
    two = metagame.two_agent_matrix(table_of([0.0, 3.0], [1.0, 5.0]))
    np.testing.assert_array_equal(two, PRISONERS_DILEMMA)
    assert found(metagame.rest_points(matrix_game(two))) == found(
        metagame.rest_points(table_game(table_of([0.0, 3.0], [1.0, 5.0])))
    )


# Bad input


def test_games_of_wrong_shape_or_unknown_payoffs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"matrix=\(2, 3\) is not allowed: a square matrix"):
        matrix_game(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"payoffs=nan is not allowed: all must be finite"):
        table_game(table_of([math.nan, 1.0], [0.0, 1.0]))
    with pytest.raises(ValueError, match=r"others=.* is not allowed: compositions\(2, 2\)"):
        SymmetricGame(compositions(2, 2)[::-1], np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"payoffs=\(2, 2\) is not allowed: \(3, 2\)"):
        SymmetricGame(compositions(2, 2), np.zeros((2, 2)))


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


def test_the_phase_triangle_shows_three_strategies() -> None:
    axes = Figure().subplots()
    draw_phase_triangle(axes, matrix_game(ROCK_PAPER_SCISSORS), ("rock", "paper", "scissors"))
    assert [text.get_text() for text in axes.texts] == ["rock", "paper", "scissors"]
    dots = np.asarray(axes.collections[-1].get_offsets())
    np.testing.assert_allclose(dots[-1], [0.5, math.sqrt(0.75) / 3])
    assert len(axes.patches) > 20  # arrowheads of streamlines
    for names, matrix, message in (
        (("a", "b"), ROCK_PAPER_SCISSORS, "three names"),
        (("a", "b", "c"), HAWK_DOVE, "a game of three strategies"),
    ):
        with pytest.raises(ValueError, match=message):
            draw_phase_triangle(axes, matrix_game(matrix), names)
    with pytest.raises(ValueError, match="a game of two strategies"):
        draw_phase_line(axes, matrix_game(ROCK_PAPER_SCISSORS), "")
