from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.coins import Coins
from tests.reference.coins import Coins as SlowCoins
from tests.reference.rollouts import as_cells, as_draws, observe, put, random_actions, random_draws, replay_like
from tests.reference.rollouts import play_quietly as play

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
GROWTH = np.float32(0.0005)


@pytest.fixture(scope="module")
def env() -> Coins:
    return Coins(width=10, height=10)


def coins_on(env: Coins, colours: dict[tuple[int, int], int]) -> np.ndarray:
    """Coins on these cells only, `[C]` int8."""
    return np.array([colours.get(cell, 0) for cell in as_cells(env.coin_cells)], np.int8)


@pytest.mark.parametrize(
    ("movement", "size"), [("sequential", (10, 12)), ("sequential", (15, 15)), ("simultaneous", (13, 10))]
)
def test_game_plays_like_the_slow_one(movement: str, size: tuple[int, int]) -> None:
    env = Coins(*size, movement=movement, episode_ending="stochastic")
    rules: dict[str, Any] = {"coin_growth": 0.04, "match_reward": 1.5, "mismatch_reward": 0.5, "mismatch_cost": 3.0}
    rules |= {"min_steps": 100, "ending_interval": 5, "ending_probability": 0.4}
    rng = np.random.default_rng(len(movement))
    coins = rng.integers(0, 3, len(env.coin_cells)).astype(np.int8)
    state = put(env, [[5, 5], [5, 6]], [EAST, WEST], coins=coins)
    draws, actions = random_draws(env, rng, 300), random_actions(rng, (300, 2), beams=0.1)
    draws["coin_growth"] *= np.float32(0.2)
    slow = SlowCoins.like(
        env,
        state,
        coin_cells=env.coin_cells,
        coins=coins.tolist(),
        movement=movement,
        is_ending_stochastic=True,
        **rules,
    )
    rollout = replay_like(slow, env, state, draws, actions, env.default_params.replace(**rules))
    assert rollout.info["matched"].sum(0).min() > 10
    assert rollout.info["mismatched"].sum(0).min() > 10
    assert rollout.info["collected"].dtype == rollout.info["matched"].dtype == np.int32
    assert rollout.terminated.sum() > 3
    assert not rollout.terminated[:98].any()


def test_board_is_that_of_melting_pot(env: Coins) -> None:
    assert env.walls.shape == (12, 12)
    assert env.walls.sum() == 44
    assert as_cells(env.spawn_cells) == [(2, 9), (9, 2)]
    assert len(env.coin_cells) == 98
    assert as_cells(Coins(width=15, height=11).spawn_cells) == [(2, 14), (10, 2)]
    assert Coins().walls.shape == (15, 15)
    assert Coins().default_params.max_steps == 1000
    assert Coins(episode_ending="stochastic").default_params.max_steps == 5000


def test_agents_start_on_both_spawn_cells_in_either_order_without_coins(env: Coins) -> None:
    keys = jax.random.split(jax.random.key(0), 2000)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(keys)
    starts_above = np.asarray(states.positions)[..., 0] == 2
    assert (starts_above.sum(1) == 1).all()
    assert abs(starts_above[:, 0].mean() - 0.5) < 0.05
    assert np.abs(np.bincount(np.asarray(states.headings).ravel(), minlength=4) / 4000 - 0.25).max() < 0.04
    assert not states.coins.any()


def test_uniform_of_a_cell_decides_whether_and_in_which_colour_a_coin_appears(env: Coins) -> None:
    uniforms = np.full(98, 0.9, np.float32)
    bounds = [np.float32(0), GROWTH / 2, GROWTH]
    uniforms[:5] = [0, np.nextafter(bounds[1], bounds[0]), bounds[1], np.nextafter(bounds[2], bounds[0]), bounds[2]]
    state, rewards, _ = play(env, put(env, [[5, 5], [7, 7]], [NORTH] * 2), coin_growth=uniforms)
    assert state.coins[:6].tolist() == [1, 1, 2, 2, 0, 0]
    assert not rewards.any()
    again, _, _ = play(env, state, coin_growth=uniforms[::-1])
    assert again.coins[:6].tolist() == [1, 1, 2, 2, 0, 0]


def test_coins_appear_at_the_rate_of_the_rules_in_both_colours_alike(env: Coins) -> None:
    keys = jax.random.split(jax.random.key(1), 20_000)
    draws = jax.jit(jax.vmap(lambda key: env.draw(key, put(env, [[5, 5], [7, 7]], [0, 0]), env.default_params)))(keys)
    counts = [int((draws.coin_growth < GROWTH * share).sum()) for share in (np.float32(0.5), np.float32(1))]
    expected = draws.coin_growth.size * float(GROWTH)
    assert abs(counts[1] - expected) < 5 * expected**0.5
    assert abs(counts[0] - counts[1] / 2) < 5 * (counts[1] / 4) ** 0.5


@pytest.mark.parametrize(
    ("colours", "rewards", "mismatched"),
    [
        ((1, 0), [1, 0], [0, 0]),
        ((2, 0), [1, -2], [1, 0]),
        ((0, 2), [0, 1], [0, 0]),
        ((0, 1), [-2, 1], [0, 1]),
        ((1, 2), [1, 1], [0, 0]),
        ((2, 1), [-1, -1], [1, 1]),
        ((1, 1), [-1, 1], [0, 1]),
        ((2, 2), [1, -1], [1, 0]),
    ],
)
def test_coin_rewards_the_taker_and_costs_the_other_if_it_has_the_colour_of_the_other(
    env: Coins, colours: tuple[int, int], rewards: list[int], mismatched: list[int]
) -> None:
    coins = coins_on(env, {(4, 5): colours[0], (8, 7): colours[1]})
    state, given, info = play(env, put(env, [[5, 5], [8, 8]], [NORTH, WEST], coins=coins), FORWARD, FORWARD)
    assert given.tolist() == rewards
    assert info["collected"].tolist() == [int(colour > 0) for colour in colours]
    assert info["mismatched"].tolist() == mismatched == state.mismatches.tolist()
    assert (info["matched"] + info["mismatched"]).tolist() == info["collected"].tolist()
    assert not state.coins.any()


def test_coin_that_appears_under_an_agent_is_taken_at_once_but_not_on_a_cell_emptied_in_the_step(env: Coins) -> None:
    everywhere = np.zeros(98)
    state = put(env, [[5, 5], [8, 8]], [NORTH] * 2, coins=coins_on(env, {(4, 5): 2}))
    state, rewards, info = play(env, state, FORWARD, STAND, coin_growth=everywhere)
    assert info["mismatched"].tolist() == [1, 1]
    assert rewards.tolist() == [-1, -1]
    missing = {(4, 5), (8, 8)}
    assert set(as_cells(env.coin_cells[np.asarray(state.coins) == 0])) == missing
    assert (np.asarray(state.coins) <= 1).all()
    state, _, info = play(env, state, STAND, STAND, coin_growth=everywhere)
    assert info["collected"].tolist() == [1, 1]


def test_no_coin_appears_on_spawn_cells_and_walls(env: Coins) -> None:
    state = put(env, env.spawn_cells.tolist(), [NORTH] * 2)
    state, rewards, _ = play(env, state, coin_growth=np.zeros(98))
    assert not rewards.any()
    assert state.coins.all()


def test_view_shows_coins_by_whose_colour_they_have(env: Coins) -> None:
    state = put(env, [[5, 5], [6, 5]], [NORTH, NORTH], coins=coins_on(env, {(4, 5): 1, (4, 6): 2, (5, 6): 1}))
    tile = {name: np.uint8(index) for index, name in enumerate(env.tiles)}
    first, second = observe(env, state)
    assert (first[8, 5], first[8, 6], first[9, 6]) == (tile["coin_own"], tile["coin_other"], tile["coin_own"])
    assert (second[7, 5], second[7, 6], second[8, 6]) == (tile["coin_other"], tile["coin_own"], tile["coin_other"])
    assert (first[9, 5], first[10, 5]) == (tile["self"], tile["other_same_heading"])


def test_players_and_colours_may_be_exchanged(env: Coins) -> None:
    rng = np.random.default_rng(3)
    coins = rng.integers(0, 3, 98).astype(np.int8)
    other_colour = np.array([0, 2, 1], np.int8)
    one = put(env, [[5, 5], [5, 6]], [NORTH, EAST], coins=coins)
    two = put(env, [[5, 6], [5, 5]], [EAST, NORTH], coins=other_colour[coins])
    for _ in range(30):
        actions, priorities = rng.integers(0, 6, 2).tolist(), rng.random(2)
        one, rewards, _ = play(env, one, *actions, priorities=priorities)
        two, exchanged, _ = play(env, two, *actions[::-1], priorities=priorities[::-1])
        assert rewards.tolist() == exchanged[::-1].tolist()
        np.testing.assert_array_equal(other_colour[np.asarray(one.coins)], two.coins)
        np.testing.assert_array_equal(observe(env, one), observe(env, two)[::-1])


@pytest.mark.parametrize("action", [BEAM, 8, 1000, -1])
def test_beam_and_actions_out_of_range_are_standing(env: Coins, action: int) -> None:
    state = put(env, [[5, 5], [5, 6]], [EAST, WEST])
    after, stood = play(env, state, action, action), play(env, state)
    assert jax.tree.all(jax.tree.map(np.array_equal, after, stood))


def test_episode_may_end_after_399_steps_at_the_earliest() -> None:
    env = Coins(width=10, height=10, episode_ending="stochastic")
    quiet = {"priorities": np.zeros(2), "coin_growth": np.ones(98), "episode_end": 0.0499}
    state = put(env, [[5, 5], [5, 6]], [EAST, WEST])

    def is_over(step: Any, end: float) -> Any:
        moment, draws = state.replace(step_count=step), as_draws(env, quiet | {"episode_end": end})
        return env.transition(draws, moment, jnp.full(2, STAND), env.default_params)[2]

    ends = jax.jit(jax.vmap(is_over, (0, None)), static_argnums=1)(jnp.arange(700, dtype=jnp.int32), 0.0499)
    assert (np.flatnonzero(ends) + 1).tolist() == [399, 499, 599, 699]
    assert not Coins(width=10, height=10).ends_by_chance


@pytest.mark.parametrize("name", ["width", "height"])
@pytest.mark.parametrize("side", [9, 16, 0, -10, 12.0, True, "13", None])
def test_board_of_another_size_is_refused(name: str, side: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name}=.* is not allowed: a whole number of at least 10 and at most 15"):
        jaxdilemmas.make("coins", **{name: side})
