"""Exact values of policies with a memory of one round, and of the games that they play."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.analysis.dilemmas import conditions, payoffs
from baselines.analysis.equilibria import memory_one_values
from baselines.analysis.intervals import Verdict
from baselines.trained.load import find_player
from jaxdilemmas.envs.matrix_game import MatrixGame, pair
from jaxdilemmas.policies.matrix_game import act_by_memory

NAMES: dict[str, tuple[float, ...]] = {
    "cooperative": (1, 1, 1, 1),
    "exploitative": (0, 0, 0, 0),
    "tit_for_tat": (1, 0, 1, 0),
    "win_stay_lose_shift": (1, 0, 0, 1),
    "grim": (1, 0, 0, 0),
    "random": (0.5, 0.5, 0.5, 0.5),
}
STARTS = {"exploitative": 0.0, "random": 0.5}
EXTORTION = (11 / 13, 1 / 2, 7 / 26, 0)
PD = np.array(pair(3, 0, 5, 1), float)
IPD = np.array(pair(-1, -3, 0, -2), float)
"""The numbers of the LOLA paper."""

TOTALS = """
    -25 -75 -25 -25 -25 -50
    0 -50 -48 -24.4898 -48 -25
    -25 -51 -25 -25 -25 -38
    -25 -62.7551 -25 -25 -25 -38
    -25 -51 -25 -25 -25 -26.9231
    -12.5 -62.5 -36.5 -36.5 -58.6538 -37.5
"""
"""Discounted totals of the row player in the IPD, discount 0.96, in the order of `NAMES`."""


class Means(NamedTuple):
    """Of many games: the mean and the standard error of what each agent gets `[P, N]`, and the lengths `[P, G]`."""

    mean: np.ndarray
    error: np.ndarray
    lengths: np.ndarray


def play(env: MatrixGame, teams: Any, firsts: Any, num_games: int, num_rounds: int, skipped: int = 0) -> Means:
    """Plays teams of policies, chances `[P, N, 2**N]` and `[P, N]`; sums of rewards until the game ends by chance."""
    chances, first = jnp.asarray(teams, jnp.float32), jnp.asarray(firsts, jnp.float32)

    def game(chances: jax.Array, first: jax.Array, key: jax.Array) -> Any:
        def one(carry: Any, inputs: Any) -> Any:
            (state, is_on, total, length), (t, key) = carry, inputs
            key_act, key_step = jax.random.split(key)
            actions = act_by_memory(key_act, state, chances, first)
            _, state, rewards, terminated, _, _ = env.step(key_step, state, actions)
            total += jnp.where(is_on & (t >= skipped), rewards, 0.0)
            return (state, is_on & ~terminated, total, length + is_on), None

        start = env.initial_state(key, env.default_params), jnp.bool_(True), jnp.zeros(env.num_agents), jnp.int32(0)
        steps = jnp.arange(num_rounds), jax.random.split(key, num_rounds)
        (_, is_on, total, length), _ = jax.lax.scan(one, start, steps)
        return is_on, total, length

    keys = jax.random.split(jax.random.key(0), (len(chances), num_games))
    is_on, totals, lengths = jax.jit(jax.vmap(jax.vmap(game, (None, None, 0))))(chances, first, keys)
    assert env.default_params.continuation == 1 or not is_on.any()
    totals = np.asarray(totals, float)
    return Means(totals.mean(1), totals.std(1, ddof=1) / np.sqrt(num_games), np.asarray(lengths))


def assert_within_four_errors(found: Means, expected: np.ndarray, scale: float = 1.0) -> None:
    """Means times `scale` are those expected within four standard errors, or exactly where nothing is left to luck."""
    gap = abs(scale * found.mean - expected)
    assert (gap <= 4 * scale * found.error + 1e-4 * (1 + abs(expected))).all()


def test_values_are_those_of_the_table_for_every_pair_of_policies() -> None:
    totals = np.array(TOTALS.split(), float).reshape(6, 6)
    for (i, one), (j, other) in itertools.product(enumerate(NAMES), repeat=2):
        first = [STARTS.get(one, 1.0), STARTS.get(other, 1.0)]
        values = memory_one_values(IPD, [NAMES[one], NAMES[other]], first, 0.96)
        np.testing.assert_allclose(values / 0.04, [totals[i, j], totals[j, i]], atol=5e-5)


@pytest.mark.slow
def test_games_that_end_by_chance_return_the_discounted_totals_of_every_pair_of_policies() -> None:
    env = MatrixGame(IPD, continuation=0.96)
    pairs = list(itertools.product(NAMES, repeat=2))
    teams = [[NAMES[name] for name in names] for names in pairs]
    firsts = [[STARTS.get(name, 1.0) for name in names] for names in pairs]
    found = play(env, teams, firsts, num_games=700, num_rounds=400)
    totals = np.array(TOTALS.split(), float).reshape(6, 6)
    assert_within_four_errors(found, np.stack([totals.ravel(), totals.T.ravel()], 1))
    lengths = found.lengths.ravel()
    assert abs(lengths.mean() - 25) <= 4 * lengths.std() / np.sqrt(lengths.size)


NOISY = [
    (("tit_for_tat", "tit_for_tat"), (2.25, 2.25)),
    (("win_stay_lose_shift", "win_stay_lose_shift"), (2.951092, 2.951092)),
    (("grim", "grim"), (1.0397, 1.0397)),
]


def test_with_trembles_two_equal_policies_get_in_the_long_run_what_the_table_says() -> None:
    teams = [[NAMES[name] for name in names] for names, _ in NOISY]
    expected = np.array([values for _, values in NOISY])
    exact = [memory_one_values(PD, team, [1, 1], 1.0, trembles=0.02) for team in teams]
    np.testing.assert_allclose(exact, expected, rtol=1e-6)
    found = play(MatrixGame(trembles=0.02), teams, np.ones((3, 2)), num_games=200, num_rounds=1500, skipped=500)
    assert_within_four_errors(found, expected, scale=1 / 1000)


def test_pairs_get_at_discount_nine_tenths_what_the_table_says() -> None:
    rows: list[tuple[tuple[str, str], tuple[int, int], tuple[float, float]]] = [
        (("tit_for_tat", "exploitative"), (1, 0), (0.9, 1.4)),
        (("tit_for_tat", "tit_for_tat"), (1, 0), (2.36842105, 2.63157895)),
        (("win_stay_lose_shift", "exploitative"), (1, 0), (0.47368421, 3.10526316)),
    ]
    names, firsts, values = zip(*rows, strict=True)
    teams = [[NAMES[name] for name in pair_of_names] for pair_of_names in names]
    exact = [memory_one_values(PD, team, first, 0.9) for team, first in zip(teams, firsts, strict=True)]
    np.testing.assert_allclose(exact, values, rtol=1e-8)
    found = play(MatrixGame(continuation=0.9), teams, firsts, num_games=2000, num_rounds=200)
    assert_within_four_errors(found, np.array(values), scale=0.1)


def test_an_extortioner_gains_three_times_as_much_over_one_as_anybody_it_meets() -> None:
    others = [(1, 1, 1, 1), (0.7, 0.2, 0.6, 0.4), (0.5, 0.5, 0.5, 0.5)]
    teams = [[EXTORTION, other] for other in others]
    exact = np.array([memory_one_values(PD, team, [0, 1], 1.0) for team in teams])
    expected = [(3.72727273, 1.90909091), (2.25479087, 1.41826362), (2.5625, 1.52083333)]
    np.testing.assert_allclose(exact, expected, rtol=1e-8)
    np.testing.assert_allclose(exact[:, 0] - 1, 3 * (exact[:, 1] - 1), rtol=1e-12)
    found = play(MatrixGame(), teams, [(0, 1)] * 3, num_games=200, num_rounds=1100, skipped=100)
    assert_within_four_errors(found, exact, scale=1 / 1000)


def test_values_of_three_agents_are_those_of_their_games() -> None:
    rng = np.random.default_rng(0)
    table, chances = rng.normal(size=(2, 2, 2, 3)), rng.random((3, 8))
    exact = memory_one_values(table, chances, [0.2, 0.5, 0.9], 0.9)
    found = play(MatrixGame(table, continuation=0.9), [chances], [[0.2, 0.5, 0.9]], 4000, 250)
    assert_within_four_errors(found, exact, scale=0.1)


def test_grim_deters_a_defector_exactly_from_a_continuation_of_one_half_on() -> None:
    for continuation, is_deterred in ((0.45, False), (0.55, True)):
        kept = memory_one_values(PD, [NAMES["grim"]] * 2, [1, 1], continuation)[1]
        defected = memory_one_values(PD, [NAMES["grim"], NAMES["exploitative"]], [1, 0], continuation)[1]
        assert (kept > defected) == is_deterred


def test_the_prisoners_dilemma_is_a_dilemma_by_fear_and_by_greed() -> None:
    cooperate, defect = (find_player(name, "matrix_game", {}) for name in ("cooperative", "exploitative"))
    dilemma = conditions(payoffs(cooperate, defect, jax.random.key(0), 2))
    assert dilemma.verdict is Verdict.HOLDS
    assert [estimate.mean for estimate in dilemma] == [200, 300, 100, 200]


STAG, CHICKEN, SEXES = pair(4, 1, 3, 2), pair(0, -1, 1, -2), [[[3, 2], [0, 0]], [[0, 0], [2, 3]]]


@pytest.mark.parametrize(
    ("table", "names", "values"),
    [
        (PD, ("cooperative", "cooperative"), (75, 75)),
        (PD, ("exploitative", "exploitative"), (25, 25)),
        (PD, ("tit_for_tat", "exploitative"), (24, 29)),
        (PD, ("random", "random"), (56.25, 56.25)),
        (STAG, ("cooperative", "cooperative"), (100, 100)),
        (STAG, ("tit_for_tat", "exploitative"), (49, 51)),
        (CHICKEN, ("exploitative", "exploitative"), (-50, -50)),
        (CHICKEN, ("tit_for_tat", "exploitative"), (-49, -47)),
        (SEXES, ("cooperative", "cooperative"), (75, 50)),
        (SEXES, ("random", "random"), (31.25, 31.25)),
    ],
)
def test_totals_of_other_games_are_those_of_the_table(table: Any, names: tuple[str, str], values: Any) -> None:
    first = [STARTS.get(name, 1.0) for name in names]
    found = memory_one_values(table, [NAMES[name] for name in names], first, 0.96) / 0.04
    np.testing.assert_allclose(found, values, rtol=1e-9)


NOISE = [
    ("tit_for_tat", 0.01, -1.168919),
    ("tit_for_tat", 0.1, -1.431034),
    ("win_stay_lose_shift", 0.01, -1.028628),
    ("win_stay_lose_shift", 0.1, -1.238240),
    ("grim", 0.01, -1.326249),
    ("grim", 0.1, -1.728966),
]


@pytest.mark.parametrize(("name", "flips", "value"), NOISE)
def test_values_with_flipped_choices_are_those_of_the_table(name: str, flips: float, value: float) -> None:
    values = memory_one_values(IPD, [NAMES[name]] * 2, [1, 1], 0.96, trembles=2 * flips)
    np.testing.assert_allclose(values, value, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"payoffs": np.zeros((2, 2, 3))}, r"payoffs=\(2, 2, 3\) is not allowed"),
        ({"payoffs": np.full((2, 2, 2), np.inf)}, "payoffs=inf is not allowed"),
        ({"chances": np.zeros((2, 3))}, r"chances=\(2, 3\) is not allowed"),
        ({"chances": np.full((2, 4), 1.5)}, r"chances=1\.5 is not allowed: all must be in \[0, 1\]"),
        ({"first": [0.5, -0.5]}, r"first=-0\.5 is not allowed"),
        ({"first": np.ones(11)}, "first=11 is not allowed: 1 to 10 agents"),
        ({"discount": 1.1}, r"discount=1\.1 is not allowed"),
        ({"trembles": float("nan")}, "trembles=nan is not allowed"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(wrong: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"payoffs": PD, "chances": np.zeros((2, 4)), "first": [1, 1], "discount": 0.9}
    with pytest.raises(ValueError, match=message):
        memory_one_values(**right | wrong)
