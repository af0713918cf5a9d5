"""The coin game: JaxMARL's episodes step by step, a slow version, the rules one by one, and scripted policies."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.envs.coin_game import NOWHERE, CoinGame, Draws, State, free_cells
from tests.reference import jaxmarl_coins
from tests.reference.coin_game import CoinGame as SlowCoinGame
from tests.reference.rollouts import as_draws, replay

RIGHT, LEFT, DOWN, UP, STAY = range(5)


@pytest.fixture(scope="module")
def env() -> CoinGame:
    """The game with the defaults, one for all tests."""
    return CoinGame()


# Recordings and the slow version


def recorded() -> dict[str, np.ndarray]:
    with np.load(jaxmarl_coins.FILE) as file:
        return {name: file[name].astype(np.int32) for name in file.files}


def cells(places: np.ndarray) -> np.ndarray:
    """Places `[..., 2]` (row, col) as numbers of cells."""
    return 3 * places[..., 0] + places[..., 1]


@pytest.mark.parametrize("is_egocentric", [False, True])
def test_an_episode_of_jaxmarl_is_played_again_step_by_step(is_egocentric: bool) -> None:
    arrays, env = recorded(), CoinGame(egocentric=is_egocentric, max_steps=300)
    draws = {name: (cells(arrays[key]) + 0.5) / 9 for name, key in (("coins", "new_coins"), ("restart", "restart"))}
    positions, coins = cells(arrays["positions"]), cells(arrays["coins"])
    start = State(jnp.asarray(positions[0]), jnp.asarray(coins[0]), jnp.int32(0))
    rollout = replay(env, start, as_draws(env, draws), arrays["actions"])
    np.testing.assert_array_equal(rollout.states.positions, positions[1:])
    np.testing.assert_array_equal(rollout.states.coins, coins[1:])
    np.testing.assert_array_equal(rollout.rewards, arrays["rewards"])
    np.testing.assert_array_equal(rollout.obs, arrays["ego_obs" if is_egocentric else "obs"][1:])
    assert arrays["inner_end"].sum() == 30 and len(set(arrays["rewards"].ravel().tolist())) >= 5


@pytest.mark.slow
def test_jaxmarl_plays_the_recorded_episode() -> None:
    pytest.importorskip("jaxmarl", reason='needs pip install -e ".[adapters]"')
    stored, found = recorded(), jaxmarl_coins.record()
    assert set(stored) == set(found)
    for name, array in found.items():
        np.testing.assert_array_equal(stored[name], array, err_msg=name)


@pytest.mark.parametrize(("coins", "is_egocentric"), list(itertools.product(("two", "one"), (False, True))))
def test_random_episodes_are_those_of_the_slow_version(coins: Any, is_egocentric: bool) -> None:
    rng = np.random.default_rng(0)
    env = CoinGame(coins=coins, egocentric=is_egocentric, inner_steps=40)
    actions = rng.integers(-1, 7, (200, 2))
    draws = {"coins": rng.random((200, 2)), "restart": rng.random((200, 4))}
    draws = {name: part.astype(np.float32) for name, part in draws.items()}
    slow = SlowCoinGame([(0, 0), (0, 0)], [None, None], coins == "one", 40)
    first = rng.random(4).astype(np.float32)
    slow.restart(first.tolist())
    start = State(*env.place(jnp.asarray(first)), jnp.int32(0))
    rollout = replay(env, start, as_draws(env, draws), actions)
    for t, joint in enumerate(actions):
        rewards, own, other = slow.step(joint.tolist(), {name: part[t].tolist() for name, part in draws.items()})
        np.testing.assert_array_equal(rollout.rewards[t], rewards)
        np.testing.assert_array_equal(rollout.info["own_coins"][t], own)
        np.testing.assert_array_equal(rollout.info["other_coins"][t], other)
        np.testing.assert_array_equal(rollout.states.positions[t], [3 * row + col for row, col in slow.positions])
        np.testing.assert_array_equal(rollout.obs[t], slow.observe(is_egocentric))
    assert not rollout.terminated.any() and rollout.info["own_coins"].sum() > 5


# The rules


def act(
    env: CoinGame, positions: list[int], coins: list[int], actions: list[int], step_count: int = 0
) -> tuple[State, list[float]]:
    """One step in which coins come back on cell 8: the state and the rewards."""
    draws = Draws(jnp.full(2, 0.99, jnp.float32), jnp.zeros(4, jnp.float32))
    state = State(jnp.array(positions), jnp.array(coins), jnp.int32(step_count))
    state, rewards, _, _ = env.transition(draws, state, jnp.array(actions), env.default_params)
    return state, np.asarray(rewards).tolist()


@pytest.mark.parametrize(("action", "cell"), [(RIGHT, 0), (LEFT, 1), (DOWN, 5), (UP, 8), (STAY, 2), (7, 2), (-1, 2)])
def test_the_board_wraps_around_and_a_number_that_is_no_action_is_staying(
    action: int, cell: int, env: CoinGame
) -> None:
    state, _ = act(env, [2, 4], [3, 3], [action, STAY])
    assert state.positions.tolist() == [cell, 4]


@pytest.mark.parametrize(
    ("coins", "rewards"),
    [((0, 8), [1, 0]), ((8, 0), [1, -2]), ((0, 4), [1, 1]), ((4, 0), [-1, -1]), ((0, 0), [2, -2]), ((8, 8), [0, 0])],
)
def test_a_coin_pays_one_and_costs_the_other_agent_two_if_it_is_of_its_colour(
    coins: tuple[int, int], rewards: list[int], env: CoinGame
) -> None:
    assert act(env, [0, 4], [*coins], [STAY, STAY])[1] == rewards


def test_both_agents_on_a_coin_take_it_and_with_one_coin_only_the_red_agent_does(env: CoinGame) -> None:
    assert act(env, [0, 0], [0, 8], [STAY, STAY])[1] == [-1, 1]
    assert act(CoinGame(coins="one"), [0, 0], [0, NOWHERE], [STAY, STAY])[1] == [1, 0]
    assert act(CoinGame(coins="one"), [0, 0], [NOWHERE, 0], [STAY, STAY])[1] == [1, -2]
    assert act(CoinGame(coins="one"), [1, 0], [0, NOWHERE], [STAY, STAY])[1] == [-2, 1]


def test_a_coin_that_was_taken_comes_back_and_one_coin_changes_its_colour(env: CoinGame) -> None:
    assert act(env, [0, 4], [0, 7], [STAY, STAY])[0].coins.tolist() == [8, 7]
    state, _ = act(CoinGame(coins="one"), [0, 4], [0, NOWHERE], [STAY, STAY])
    assert state.coins.tolist() == [NOWHERE, 8]
    state, _ = act(CoinGame(coins="one"), [0, 4], [5, NOWHERE], [STAY, STAY])
    assert state.coins.tolist() == [5, NOWHERE]


def test_the_last_step_of_a_round_pays_nothing_and_places_everything_anew(env: CoinGame) -> None:
    state, rewards = act(env, [0, 4], [0, 7], [STAY, STAY], step_count=9)
    assert rewards == [0, 0]
    assert (state.positions.tolist(), state.coins.tolist(), int(state.step_count)) == ([0, 0], [0, 0], 10)


@pytest.mark.parametrize("positions", [(0, 0), (2, 5), (8, 1), (4, 4)])
def test_a_free_cell_is_any_cell_without_an_agent(positions: tuple[int, int]) -> None:
    uniforms = jnp.linspace(0, 1, 5041, endpoint=False, dtype=jnp.float32)  # 5,040 is a multiple of 7 and of 8
    found = np.bincount(np.asarray(free_cells(uniforms, jnp.array(positions))), minlength=9)
    expected = 5040 / (9 - len({*positions}))
    assert all(abs(count - expected * (cell not in positions)) <= 2 for cell, count in enumerate(found))


@pytest.mark.parametrize("coins", ["two", "one"])
def test_every_cell_is_a_start_of_everything_and_one_coin_starts_where_no_agent_is(coins: Any) -> None:
    env = CoinGame(coins=coins)
    states = jax.vmap(lambda key: env.initial_state(key, env.default_params))(jax.random.split(jax.random.key(0), 2000))
    places = np.concatenate([np.asarray(states.positions), np.asarray(states.coins)], axis=1)
    for column in places.T:
        counts = np.bincount(column[column != NOWHERE], minlength=9)
        assert counts.min() > 0.6 * counts.mean()
    if coins == "one":
        assert ((places[:, 2:] == NOWHERE).sum(1) == 1).all()
        assert (places[:, 2:].max(1)[:, None] != places[:, :2]).all()


# Chance and policies


def exact_share(moves: list[tuple[int, int]]) -> float:
    """How often an agent takes a given coin in a step of the long run, if both agents act uniformly.

    The chain of the coin's place relative to both agents has 81 states.
    """
    chain, takes = np.zeros((81, 81)), np.zeros(81)
    for (a, b), one, other in itertools.product(itertools.product(range(9), repeat=2), moves, moves):
        gaps = [3 * ((gap // 3 - dr) % 3) + (gap % 3 - dc) % 3 for gap, (dr, dc) in ((a, one), (b, other))]
        share = 1 / len(moves) ** 2
        takes[9 * a + b] += share * (gaps[0] == 0)
        if 0 in gaps:
            for cell in range(9):  # the coin comes back anywhere, so both gaps grow by the same
                moved = [3 * ((gap // 3 + cell // 3) % 3) + (gap % 3 + cell % 3) % 3 for gap in gaps]
                chain[9 * a + b, 9 * moved[0] + moved[1]] += share / 9
        else:
            chain[9 * a + b, 9 * gaps[0] + gaps[1]] += share
    lazy = np.linalg.matrix_power((chain + np.eye(81)) / 2, 4096)
    return float(lazy[0] @ takes)


def test_agents_that_act_at_random_take_a_coin_as_often_as_the_exact_chain_says() -> None:
    moves = [(0, 1), (0, 2), (1, 0), (2, 0), (0, 0)]
    np.testing.assert_allclose([exact_share(moves), exact_share(moves[:4])], [0.093814, 0.112222], atol=5e-7)
    env = CoinGame(inner_steps=10**9)
    for num_actions, share in ((5, 0.093814), (4, 0.112222)):
        taken, rewards = play_random(env, num_actions)
        for found, expected in ((taken, share), (rewards, 0.0)):
            assert abs(found.mean() - expected) <= 4 * found.std() / np.sqrt(found.size)


def play_random(env: CoinGame, num_actions: int, num_games: int = 400, num_steps: int = 200) -> Any:
    """Of each game, after 50 steps: the red coins that the red agent takes in a step, and its reward."""

    def game(key: jax.Array) -> Any:
        def one(state: Any, key: jax.Array) -> Any:
            key_act, key_step = jax.random.split(key)
            actions = jax.random.randint(key_act, (2,), 0, num_actions, jnp.int32)
            _, state, rewards, _, _, info = env.step(key_step, state, actions)
            return state, (info["own_coins"][0], rewards[0])

        return jax.lax.scan(one, env.initial_state(key, env.default_params), jax.random.split(key, num_steps))[1]

    played = jax.jit(jax.vmap(game))(jax.random.split(jax.random.key(num_actions), num_games))
    return [np.asarray(part)[:, 50:].mean(1) for part in played]


def outcome(names: tuple[str, str], coins: Any = "two") -> np.ndarray:
    """Mean reward per step of two agents that follow scripted policies, `[2]`."""
    env = CoinGame(coins=coins, inner_steps=10**9)
    one, other = (policies.scripted(env, name) for name in names)

    def step(state: Any, key: jax.Array) -> Any:
        actions = jnp.stack([one(key, state)[0], other(key, state)[1]])
        _, state, rewards, *_ = env.step(key, state, actions)
        return state, rewards

    keys = jax.random.split(jax.random.key(0), 2000)
    return np.asarray(jax.jit(lambda s: jax.lax.scan(step, s, keys))(env.reset(keys[0])[1])[1]).mean(0)


@pytest.mark.parametrize("coins", ["two", "one"])
def test_scripted_agents_are_in_a_dilemma(coins: Any) -> None:
    pairs = [("cooperative", "cooperative"), ("exploitative", "exploitative"), ("exploitative", "cooperative")]
    both, none, (tempted, exploited) = (outcome(pair, coins) for pair in pairs)
    assert tempted > both.max() and both.min() > none.mean() > exploited


def test_a_cooperative_agent_goes_around_the_coin_of_the_other(env: CoinGame) -> None:
    act_of = policies.scripted(env, "cooperative")
    for coins, action in (([4, 1], DOWN), ([4, 3], RIGHT), ([0, 4], STAY), ([1, 1], RIGHT), ([3, 0], DOWN)):
        state = State(jnp.array([0, 8]), jnp.array(coins), jnp.int32(0))
        assert act_of(jax.random.key(0), state)[0] == action
    taken = policies.scripted(env, "exploitative")(
        jax.random.key(0), State(jnp.array([0, 8]), jnp.array([4, 3]), jnp.int32(0))
    )
    assert taken[0] == DOWN


def test_an_exploitative_agent_prefers_its_own_coin_among_the_nearest(env: CoinGame) -> None:
    state = State(jnp.array([4, 8]), jnp.array([5, 3]), jnp.int32(0))
    assert policies.scripted(env, "exploitative")(jax.random.key(0), state)[0] == RIGHT


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"coins": "three"}, "coins='three' is not allowed: one of two, one"),
        ({"egocentric": 1}, "egocentric=1 is not allowed: True or False"),
        ({"num_agents": 3}, "num_agents=3 is not allowed: 2"),
        ({"coin_reward": -1}, "coin_reward=-1 is not allowed: a number of at least 0"),
        ({"theft_cost": float("nan")}, "theft_cost=nan is not allowed"),
        ({"inner_steps": 0}, "inner_steps=0 is not allowed"),
        ({"max_steps": 1.5}, r"max_steps=1\.5 is not allowed"),
        ({"size": 3}, "unknown keyword 'size' with value 3 for CoinGame: allowed are coins, egocentric, num_agents"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("coin_game", **bad)
