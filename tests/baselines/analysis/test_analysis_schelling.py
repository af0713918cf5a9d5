"""Schelling diagrams: known payoffs, dilemmas, equilibria, and decisions by intervals."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.analysis import dilemmas, intervals
from baselines.analysis.dilemmas import SchellingTable
from baselines.analysis.intervals import Estimate, Verdict
from baselines.core.players import Player, scripted_player
from jaxdilemmas import policies
from tests.baselines.choice_game import MAX_STEPS, PUBLIC_GOODS, ChoiceGame

FAILS, UNDECIDED, HOLDS = Verdict
pytestmark = pytest.mark.usefixtures("quick_compiling")


class Known(NamedTuple):
    """A game and what is to be found.

    Attributes:
      payments: in a step, of a cooperator and of a defector, by the number of cooperators.
      conditions: over mutual defection, over being exploited, fear or greed.
      differences: of the payments, in the order of `Dilemma`.
      equilibria: numbers of cooperators.
    """

    payments: tuple[tuple[float, ...], tuple[float, ...]]
    conditions: tuple[Verdict, Verdict, Verdict]
    differences: tuple[float, float, float, float]
    equilibria: set[int]


GAMES = {
    "public goods: nobody gives": Known(PUBLIC_GOODS, (HOLDS, HOLDS, HOLDS), (1.0, 1.5, 0.5, 0.5), {0}),
    "stag hunt: fear alone": Known(((0, 0, 0, 4), (1, 1, 1, 0)), (HOLDS, HOLDS, HOLDS), (3, 4, 1, -3), {0, 3}),
    "snowdrift: greed alone": Known(((0, 1, 2, 2.5), (0, 3, 4, 0)), (HOLDS, HOLDS, HOLDS), (2.5, 1.5, -1, 1.5), {1}),
    "harmony: nothing tempts": Known(((0, 1, 2, 3), (0, 0, 0, 0)), (HOLDS, HOLDS, FAILS), (3, 2, -1, -3), {3}),
    "deadlock: defection is best for all": Known(
        ((0, 0, 0.5, 1), (2, 2, 2, 0)), (FAILS, HOLDS, HOLDS), (-1, 1, 2, 1), {0}
    ),
    "cooperation wears off": Known(((0, 2, 1.5, 1), (0, 3, 3, 0)), (HOLDS, FAILS, HOLDS), (1, -1, -2, 2), {1}),
    "indifference": Known(((0, 1, 1, 1), (1, 1, 1, 0)), (FAILS, FAILS, FAILS), (0, 0, 0, 0), {0, 1, 2, 3}),
}


def play(game: ChoiceGame, num_episodes: int, seed: int = 0) -> SchellingTable:
    give, keep = (scripted_player(game, policies.scripted(game, name)) for name in ("give", "keep"))
    return dilemmas.payoffs(give, keep, jax.random.key(seed), num_episodes)


def table_of(payments: Any) -> SchellingTable:
    """A table of two episodes without chance."""
    cooperators, defectors = (np.repeat(np.array(row, float)[:, None], 2, axis=1) for row in payments)
    cooperators[0], defectors[-1] = np.nan, np.nan
    return SchellingTable(cooperators, defectors)


# Playing


def test_payoffs_of_a_known_game_are_found_exactly() -> None:
    table = play(ChoiceGame(), num_episodes=3)
    expected = MAX_STEPS * np.array(PUBLIC_GOODS)
    assert table.num_agents == 4
    assert np.isnan(table.cooperators[0]).all() and np.isnan(table.defectors[4]).all()
    np.testing.assert_array_equal(table.cooperators[1:], np.tile(expected[0, 1:, None], 3))
    np.testing.assert_array_equal(table.defectors[:4], np.tile(expected[1, :4, None], 3))
    assert table.cooperator(4) == Estimate(2.0, 2.0, 2.0)
    assert table.defector(3) == Estimate(3.0, 3.0, 3.0)
    assert table.gain_of_defecting(2) == Estimate(1.0, 1.0, 1.0)
    assert table.gain_of_cooperating(2) == Estimate(-1.0, -1.0, -1.0)
    assert np.isnan(table.cooperator(0)).all()


def test_every_episode_has_luck_of_its_own_and_groups_are_averaged() -> None:
    table = play(ChoiceGame(noise=1.0), num_episodes=400)
    means = np.stack([table.cooperators[1:], table.defectors[:-1]]) / MAX_STEPS
    sizes = np.array([[1, 2, 3, 4], [4, 3, 2, 1]])
    deviations = np.sqrt(MAX_STEPS / sizes) / MAX_STEPS
    np.testing.assert_allclose(means.std(axis=2, ddof=1), deviations, rtol=0.15)
    expected = np.stack([PUBLIC_GOODS[0][1:], PUBLIC_GOODS[1][:-1]])
    assert (np.abs(means.mean(axis=2) - expected) < 4 * deviations / np.sqrt(400)).all()
    rows = means.reshape(8, -1)
    assert len(np.unique(rows)) == rows.size
    assert (np.abs(np.asarray(np.corrcoef(rows))[np.triu_indices(8, 1)]) < 0.2).all()


def test_every_set_of_cooperators_is_equally_likely() -> None:
    keys = jax.random.split(jax.random.key(0), 6000)
    for count in range(5):
        teams = np.asarray(jax.vmap(lambda key, k=count: dilemmas.draw_cooperators(key, 4, k))(keys))
        assert (teams.sum(1) == count).all()
        sets = list(itertools.combinations(range(4), count))
        rates = [np.mean((teams == np.isin(range(4), members)).all(1)) for members in sets]
        np.testing.assert_allclose(rates, 1 / len(sets), atol=0.02)


def test_who_cooperates_changes_from_episode_to_episode() -> None:
    class Favouring(ChoiceGame):
        """Agent i is paid i for cooperating."""

        def transition(self, draws: jax.Array, state: Any, actions: jax.Array, params: Any) -> Any:
            state, _, terminated, info = super().transition(draws, state, actions, params)
            return state, actions * jnp.arange(4.0), terminated, info

    table = play(Favouring(), num_episodes=400)
    np.testing.assert_array_equal(np.unique(table.cooperators[1]) / MAX_STEPS, range(4))
    np.testing.assert_allclose(table.cooperators[1:].mean(1) / MAX_STEPS, 1.5, atol=0.2)
    assert (table.cooperators[4] == 1.5 * MAX_STEPS).all()


def test_one_agent_has_no_dilemma_and_one_episode_no_interval() -> None:
    with pytest.raises(ValueError, match="num_agents=1 is not allowed: a dilemma needs at least 2 agents"):
        play(ChoiceGame((0, 1), (0, 0)), num_episodes=2)
    with pytest.raises(ValueError, match="num_episodes=1 is not allowed: a whole number of at least 2"):
        play(ChoiceGame(), num_episodes=1)


def test_players_of_different_numbers_of_agents_are_refused() -> None:
    def keep(game: ChoiceGame) -> Player:
        return scripted_player(game, policies.scripted(game, "keep"))

    with pytest.raises(ValueError, match="num_agents=3 is not allowed: 4 cooperate"):
        dilemmas.payoffs(keep(ChoiceGame()), keep(ChoiceGame((0,) * 4, (0,) * 4)), jax.random.key(0), 2)


# What follows


@pytest.mark.parametrize("name", GAMES)
def test_dilemmas_and_equilibria_of_known_games_are_found(name: str) -> None:
    game = GAMES[name]
    table = table_of(game.payments)
    dilemma = dilemmas.conditions(table)
    assert tuple(estimate.mean for estimate in dilemma) == game.differences
    assert tuple(dilemma.conditions.values()) == game.conditions
    assert dilemma.verdict == (HOLDS if set(game.conditions) == {HOLDS} else FAILS)
    found = dilemmas.pure_equilibria(table)
    assert found == [HOLDS if k in game.equilibria else FAILS for k in range(table.num_agents + 1)]


def test_two_agents_have_the_conditions_of_a_matrix_game() -> None:
    for reward, sucker, temptation, punishment in itertools.permutations([0.0, 1.0, 3.0, 5.0]):
        dilemma = dilemmas.conditions(table_of([[0, sucker, reward], [punishment, temptation, 0]]))
        is_dilemma = reward > punishment and reward > sucker and (punishment > sucker or temptation > reward)
        assert dilemma.verdict == (HOLDS if is_dilemma else FAILS)


def noisy(payments: Any, deviation: float, num_episodes: int) -> SchellingTable:
    """Payoffs that vary by a standard deviation around payments, without a difference between their means."""
    spread = np.linspace(-1, 1, num_episodes)
    table = table_of(payments)
    return SchellingTable(*(part[:, :1] + deviation * spread for part in (table.cooperators, table.defectors)))


def test_what_intervals_do_not_decide_is_undecided() -> None:
    payments = GAMES["stag hunt: fear alone"].payments
    dilemma = dilemmas.conditions(noisy(payments, 3.0, 5))
    assert list(dilemma.conditions.values()) == [UNDECIDED, HOLDS, UNDECIDED]
    assert dilemma.verdict == UNDECIDED
    assert dilemmas.pure_equilibria(noisy(payments, 3.0, 5)) == [UNDECIDED, UNDECIDED, UNDECIDED, UNDECIDED]
    assert dilemmas.pure_equilibria(noisy(payments, 3.0, 500)) == [HOLDS, FAILS, FAILS, HOLDS]


def test_a_condition_that_fails_decides_whatever_else_is_open() -> None:
    true, false, unsure = (Estimate((low + high) / 2, low, high) for low, high in ((1, 3), (-3, -1), (-1, 1)))
    assert dilemmas.Dilemma(true, unsure, false, true).verdict == UNDECIDED
    assert dilemmas.Dilemma(false, unsure, unsure, true).verdict == FAILS
    assert dilemmas.Dilemma(true, true, false, true).verdict == HOLDS
    assert dilemmas.Dilemma(true, true, false, unsure).verdict == UNDECIDED
    assert dilemmas.Dilemma(true, unsure, false, false).verdict == FAILS


def test_an_interval_decides_where_it_lies_on_one_side_of_zero() -> None:
    nan = float("nan")
    bounds = [(0.1, 1.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, 0.0), (0.0, 0.0), (nan, nan)]
    found = [intervals.is_positive(Estimate(0.0, low, high)) for low, high in bounds]
    assert found == [HOLDS, UNDECIDED, UNDECIDED, FAILS, FAILS, UNDECIDED]


# Intervals


def test_intervals_are_those_of_student_and_welch() -> None:
    # t quantiles at 97.5 %: 2.7764 for 4 degrees of freedom, 2.3060 for 8, 4.3027 for 2.
    first, second = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([4.0, 5.0, 6.0, 7.0, 8.0])
    margin = 2.7764 * np.sqrt(2.5 / 5)
    np.testing.assert_allclose(intervals.estimate_mean(first), [3, 3 - margin, 3 + margin], rtol=1e-4)
    margin = 2.3060 * np.sqrt(2.5 / 5 + 2.5 / 5)
    np.testing.assert_allclose(intervals.estimate_difference(first, second), [-3, -3 - margin, -3 + margin], rtol=1e-4)
    certain = intervals.estimate_difference(np.array([1.0, 2.0, 3.0]), np.zeros(9))
    margin = 4.3027 * np.sqrt(1 / 3)
    np.testing.assert_allclose(certain, [2, 2 - margin, 2 + margin], rtol=1e-4)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1.0, 1.0, (2000, 6)), rng.normal(3.0, 4.0, (2000, 6))
    means = np.array([intervals.estimate_mean(row) for row in first])
    differences = np.array([intervals.estimate_difference(*rows) for rows in zip(first, second, strict=True)])
    for estimates, truth in ((means, 1.0), (differences, -2.0)):
        covered = np.mean((estimates[:, 1] <= truth) & (truth <= estimates[:, 2]))
        np.testing.assert_allclose(covered, intervals.CONFIDENCE, atol=0.015)
