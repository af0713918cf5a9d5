"""The matrix game: its rules one by one, a slow version, its named games, and its scripted policies."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.envs.matrix_game import CROWDS, PAIRS, MatrixGame, pair, public_goods, volunteer
from jaxdilemmas.policies.matrix_game import memory_one
from tests.reference.matrix_game import MatrixGame as SlowMatrixGame
from tests.reference.rollouts import as_draws, replay

C, D = range(2)


@pytest.fixture(scope="module")
def env() -> MatrixGame:
    """The prisoner's dilemma, one for all tests."""
    return MatrixGame()


# The slow version


@pytest.mark.parametrize(("num_agents", "num_actions"), [(1, 3), (2, 2), (2, 3), (3, 2), (4, 3)])
def test_random_episodes_are_those_of_the_slow_version(num_agents: int, num_actions: int) -> None:
    rng = np.random.default_rng(num_agents)
    table = rng.normal(size=(num_actions,) * num_agents + (num_agents,)).astype(np.float32)
    env = MatrixGame(table, continuation=0.9, trembles=0.3)
    actions = rng.integers(-1, num_actions + 1, (60, num_agents))
    draws = {name: rng.random((60, num_agents)) for name in ("trembles", "trembled_actions")}
    draws["episode_end"] = rng.random(60)
    first = env.initial_state(jax.random.key(0), env.default_params)
    rollout = replay(env, first, as_draws(env, draws), actions)
    slow = SlowMatrixGame(table.tolist(), num_agents, num_actions, 0.9, 0.3)
    np.testing.assert_array_equal(env.observe(first, env.default_params), slow.observe())
    for t, joint in enumerate(actions):
        rewards, is_over = slow.step(joint, {name: values[t] for name, values in draws.items()})
        np.testing.assert_array_equal(rollout.rewards[t], np.asarray(rewards, np.float32))
        np.testing.assert_array_equal(rollout.obs[t], slow.observe())
        np.testing.assert_array_equal(rollout.info["choice"][t], slow.last)
        assert rollout.terminated[t] == is_over
    assert 0 < rollout.terminated.sum() < 60


# The rules


def test_the_reward_is_the_entry_of_the_table_for_the_actions_of_all() -> None:
    table = np.arange(3**4 * 4, dtype=np.float32).reshape(3, 3, 3, 3, 4)
    env = MatrixGame(table)
    state = env.initial_state(jax.random.key(0), env.default_params)
    for actions in [(0, 0, 0, 0), (2, 1, 0, 2), (0, 1, 2, 2)]:
        _, _, rewards, terminated, _, _ = env.step(jax.random.key(0), state, jnp.array(actions, jnp.int32))
        assert rewards.tolist() == table[actions].tolist() and not terminated


@pytest.mark.parametrize(("name", "numbers"), [("prisoners_dilemma", (3, 0, 5, 1)), ("stag_hunt", (4, 0, 3, 2))])
def test_a_symmetric_game_of_two_has_its_four_numbers(name: str, numbers: tuple[float, ...]) -> None:
    reward, sucker, temptation, punishment = numbers
    expected = {(C, C): [reward, reward], (C, D): [sucker, temptation]}
    expected |= {(D, C): [temptation, sucker], (D, D): [punishment, punishment]}
    table = MatrixGame(name).default_params.payoffs
    assert {joint: table[joint].tolist() for joint in expected} == expected


def best_replies(table: np.ndarray) -> list[tuple[int, ...]]:
    """The joint actions from which no agent gains by another action."""
    num_agents = table.shape[-1]

    def is_stable(joint: tuple[int, ...]) -> bool:
        others = ([*joint[:i], slice(None), *joint[i + 1 :], i] for i in range(num_agents))
        own = (table[tuple[Any, ...](index)] for index in others)
        return all(payoff.max() <= table[(*joint, i)] for i, payoff in enumerate(own))

    return [joint for joint in itertools.product(*map(range, table.shape[:-1])) if is_stable(joint)]


@pytest.mark.parametrize(
    ("name", "equilibria"),
    [
        ("prisoners_dilemma", [(D, D)]),
        ("stag_hunt", [(C, C), (D, D)]),
        ("chicken", [(C, D), (D, C)]),
        ("coordination", [(C, C), (D, D)]),
        ("battle_of_sexes", [(C, C), (D, D)]),
        ("matching_pennies", []),
        ("public_goods", [(D, D, D, D)]),
        ("volunteer", [tuple(C if i == k else D for i in range(4)) for k in range(4)]),
    ],
)
def test_the_named_games_have_their_pure_equilibria(name: str, equilibria: list[tuple[int, ...]]) -> None:
    assert best_replies(MatrixGame(name).default_params.payoffs) == sorted(equilibria)
    assert name in {*PAIRS, *CROWDS}


def mixed_value(table: np.ndarray, chance: float, own: int) -> float:
    """What agent 0 gets by an action if each other agent cooperates with this chance."""
    others = itertools.product((C, D), repeat=table.shape[-1] - 1)
    weights = {joint: np.prod([chance if a == C else 1 - chance for a in joint]) for joint in others}
    return float(sum(weight * table[(own, *joint, 0)] for joint, weight in weights.items()))


@pytest.mark.parametrize(
    ("name", "chance", "value"),
    [
        ("stag_hunt", 2 / 3, 8 / 3),
        ("chicken", 1 / 2, 2),
        ("matching_pennies", 1 / 2, 0),
        ("volunteer", 1 - 0.66943295, 0.7),
    ],
)
def test_in_the_mixed_equilibrium_both_actions_return_the_same(name: str, chance: float, value: float) -> None:
    table = MatrixGame(name).default_params.payoffs
    np.testing.assert_allclose([mixed_value(table, chance, own) for own in (C, D)], value, atol=1e-6)


def test_a_contribution_to_the_public_good_costs_one_and_returns_its_part_to_everybody() -> None:
    table = public_goods(4, 1.6)
    np.testing.assert_allclose(table[C, C, C, C], 0.6, rtol=1e-6)
    for others in itertools.product((C, D), repeat=3):
        np.testing.assert_allclose(table[(D, *others, 0)] - table[(C, *others, 0)], 1 - 1.6 / 4, rtol=1e-6)
    np.testing.assert_allclose(volunteer(3, 2.0, 0.5)[C, D, C], [1.5, 2.0, 1.5])


def test_agents_see_the_last_actions_with_their_own_first(env: MatrixGame) -> None:
    obs, state = env.reset(jax.random.key(0))
    assert obs.shape == (2, 5) and not obs.any()
    obs, *_ = env.step(jax.random.key(0), state, jnp.array([C, D], jnp.int32))
    assert obs.tolist() == [[1, 0, 0, 1, 1], [0, 1, 1, 0, 1]]


def test_a_game_without_chance_draws_nothing_and_one_with_chance_does(env: MatrixGame) -> None:
    state = env.initial_state(jax.random.key(0), env.default_params)
    for numbers, is_drawn in (({}, False), ({"continuation": 0.5}, True), ({"trembles": 0.5}, True)):
        draws = env.draw(jax.random.key(0), state, env.default_params.replace(**numbers))
        assert all((np.asarray(part) != 0).all() == is_drawn for part in jax.tree.leaves(draws))


def test_a_one_shot_game_is_terminated_and_not_truncated() -> None:
    env = MatrixGame(continuation=0.0)
    _, state = env.reset(jax.random.key(0))
    *_, terminated, truncated, _ = env.step(jax.random.key(0), state, jnp.zeros(2, jnp.int32))
    assert terminated and not truncated


@pytest.mark.parametrize("num_actions", [2, 3])
def test_agents_that_tremble_play_a_uniform_action(num_actions: int) -> None:
    env = MatrixGame(np.zeros((num_actions, num_actions, 2)), trembles=0.3)
    step = jax.jit(jax.vmap(lambda key, state: env.step(key, state, jnp.zeros(2, jnp.int32))[-1]["choice"], (0, None)))
    played = step(jax.random.split(jax.random.key(0), 20_000), env.reset(jax.random.key(0))[1])
    shares = np.bincount(np.asarray(played, int).ravel(), minlength=num_actions) / played.size
    np.testing.assert_allclose(shares[1:], 0.3 / num_actions, atol=4 * np.sqrt(0.1 / played.size))


# Scripted policies


def play_by_name(env: MatrixGame, *names: str) -> np.ndarray:
    """What agents that follow scripted policies get in an episode, `[N]`."""
    acts = [policies.scripted(env, name) for name in names]

    def one(state: Any, key: jax.Array) -> Any:
        actions = jnp.stack([act(key, state)[i] for i, act in enumerate(acts)])
        _, state, rewards, *_ = env.step(key, state, actions)
        return state, rewards

    keys = jax.random.split(jax.random.key(0), env.default_params.max_steps)
    return np.asarray(jax.jit(lambda state: jax.lax.scan(one, state, keys))(env.reset(keys[0])[1])[1].sum(0))


def test_tit_for_tat_loses_the_first_round_alone_against_a_defector() -> None:
    env = MatrixGame(pair(-1, -3, 0, -2))
    assert play_by_name(env, "tit_for_tat", "exploitative").tolist() == [-201, -198]
    assert play_by_name(env, "cooperative", "win_stay_lose_shift").tolist() == [-100, -100]
    assert play_by_name(env, "win_stay_lose_shift", "exploitative").tolist() == [-250, -100]


# What is refused


RAGGED = [[[3, 3], [0, 5]], [[5, 0]]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"game": "prisoners_dilema"}, "game='prisoners_dilema' is not allowed: one of prisoners_dilemma, stag_hunt"),
        ({"game": RAGGED}, r"game=\[\[\[3, 3\].* is not allowed: numbers of shape \[A\] \* N \+ \[N\]"),
        ({"game": np.zeros((2, 3, 2))}, r"game of shape=\(2, 3, 2\) is not allowed: .* the same number for all"),
        ({"game": np.zeros((2, 2))}, r"game of shape=\(2, 2\) is not allowed"),
        ({"game": np.zeros((2, 2, 3))}, r"game of shape=\(2, 2, 3\) is not allowed"),
        ({"game": np.zeros((1, 1, 2))}, r"game of shape=\(1, 1, 2\) is not allowed: .* A >= 2 actions"),
        ({"game": np.zeros((1024, 1024, 2))}, "is not allowed: at most 1,048,576 numbers"),
        ({"game": np.full((2, 2, 2), np.nan)}, "game=nan is not allowed: all payoffs must be finite"),
        ({"game": np.full((2, 2, 2), 1e39)}, r"game=1e\+39 is not allowed"),
        ({"game": "chicken", "num_agents": 3}, "num_agents=3 is not allowed: game=chicken has 2 agents"),
        ({"game": "public_goods", "num_agents": 17}, "num_agents=17 is not allowed: .* at most 16"),
        ({"num_agents": 2.0}, r"num_agents=2\.0 is not allowed: a whole number"),
        ({"payoffs": np.zeros((3, 3, 2))}, r"payoffs of shape=\(3, 3, 2\) is not allowed: \(2, 2, 2\)"),
        ({"trembles": 1.01}, r"trembles=1\.01 is not allowed: a number from 0 to 1"),
        ({"trembles": True}, "trembles=True is not allowed"),
        ({"continuation": -0.1}, r"continuation=-0\.1 is not allowed: a number from 0 to 1"),
        ({"max_steps": 0}, "max_steps=0 is not allowed"),
        ({"levels": 3}, "unknown keyword 'levels' with value 3 for MatrixGame: allowed are game, num_agents"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("matrix_game", **bad)


@pytest.mark.parametrize("number", [float("nan"), -1.0, "2"])
def test_numbers_of_crowds_that_are_not_allowed_are_named(number: Any) -> None:
    for call in (
        lambda: public_goods(factor=number),
        lambda: volunteer(benefit=number),
        lambda: volunteer(cost=number),
    ):
        with pytest.raises(ValueError, match="is not allowed: a number of at least 0"):
            call()


@pytest.mark.parametrize(
    ("chances", "first", "message"),
    [
        ([1, 0, 1], 1.0, r"chances=\[1, 0, 1\] is not allowed: numbers in \[0, 1\] of shape \[4\] or \[2, 4\]"),
        ([1, 0, 1, 1.5], 1.0, "chances=.* is not allowed"),
        ([1, 0, 1, 0], [1, 0, 0], r"first=\[1, 0, 0\] is not allowed"),
    ],
)
def test_policies_of_other_chances_are_refused(chances: Any, first: Any, message: str, env: MatrixGame) -> None:
    with pytest.raises(ValueError, match=message):
        memory_one(env, chances, first)
    with pytest.raises(ValueError, match="the game must have two actions"):
        memory_one(MatrixGame(np.zeros((3, 3, 2))), [0] * 4)
    with pytest.raises(ValueError, match="the game `matrix_game`"):
        memory_one(jaxdilemmas.make("common_pool"), [0] * 4)
