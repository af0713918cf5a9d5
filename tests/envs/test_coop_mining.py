from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.coop_mining import GOLD, IRON, PARTIAL, CoopMining
from jaxdilemmas.grid.views import Window
from tests.reference.coop_mining import CoopMining as SlowMining
from tests.reference.rollouts import observe, put, random_actions, random_draws, replay_like, start
from tests.reference.rollouts import play_quietly as play

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
PIT = """
WWWWWWWWW
WAAP  AAW
W AAWPAAP
WAPAA AAW
WPPAA APP
"""
ROW = "WWWWWWWWW\nWPAAAAAPW\nWPPPPPPPW\nWWWWWWWWW"
"""Ore cells are (1, 2) to (1, 6)."""


class Pit(CoopMining):
    """A window that looks far back."""

    window = Window(ahead=3, behind=2, side=2)


@pytest.fixture(scope="module")
def env() -> CoopMining:
    return CoopMining(map=ROW, num_agents=4)


def around(env: CoopMining, kind: int) -> Any:
    """Agents 0, 1 and 2 look at the ore on (1, 4), agent 3 stands aside."""
    ore = np.array([0, 0, kind, 0, 0], np.int8)
    return put(env, [[1, 3], [2, 4], [1, 5], [2, 7]], [EAST, NORTH, WEST, WEST], ore=ore)


def play_all(env: CoopMining, state: Any, *steps: tuple[int, ...]) -> tuple[Any, np.ndarray]:
    """Several steps and what they pay together, with beams that are always ready."""
    total = np.zeros(env.num_agents)
    for actions in steps:
        state, rewards, _ = play(env, state.replace(cooldowns=np.zeros_like(state.cooldowns)), *actions)
        total = total + rewards
    return state, total


@pytest.mark.parametrize("movement", ["sequential", "simultaneous"])
@pytest.mark.slow
def test_crowd_plays_like_the_slow_game(movement: str) -> None:
    env = Pit(map=PIT, num_agents=6, movement=movement, episode_ending="stochastic", extras=False)
    gold, iron, ends = 0, 0, 0
    for seed, timing in enumerate(({}, {"mining_cooldown": 0, "partial_steps": 2}, {"partial_steps": 9})):
        rules: dict[str, Any] = {"iron_growth": 0.02, "gold_growth": 0.05, "iron_reward": 0.5, **timing}
        rules |= {"min_steps": 100, "ending_interval": 5 - seed, "ending_probability": 0.4}
        rng = np.random.default_rng(seed)
        cells = rng.permutation(np.argwhere(~env.walls))[:6]
        ore = rng.integers(0, 3, len(env.ore_cells))
        state = start(env, seed).replace(positions=cells.astype(np.int32), ore=ore.astype(np.int8))
        draws, actions = random_draws(env, rng, 250), random_actions(rng, (250, 6), beams=0.5)
        slow = SlowMining.like(
            env, state, movement=movement, is_ending_stochastic=True, ore_cells=env.ore_cells, ore=ore.tolist(), **rules
        )
        rollout = replay_like(slow, env, state, draws, actions, env.default_params.replace(**rules))
        gold, iron = gold + rollout.info["gold"].sum(), iron + rollout.info["iron"].sum()
        ends += int(rollout.terminated.sum())
        for field, leaf in vars(state).items():
            assert getattr(rollout.states, field).dtype == leaf.dtype
    assert min(gold, iron) > 20
    assert ends > 10


def test_iron_pays_every_agent_that_hits_it_in_the_step_and_is_gone(env: CoopMining) -> None:
    state, rewards, info = play(env, around(env, IRON), BEAM, BEAM, BEAM)
    assert rewards.tolist() == info["iron"].tolist() == [1, 1, 1, 0]
    assert not state.ore.any()
    assert play(env, around(env, IRON), BEAM)[1].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(("wait", "paid"), [(0, 8), (1, 8), (2, 0), (3, 0)])
def test_second_miner_has_to_come_within_three_steps(env: CoopMining, wait: int, paid: int) -> None:
    state, rewards, _ = play(env, around(env, GOLD), BEAM)
    assert (state.ore[2], state.miners[2], state.windows[2], rewards.sum()) == (PARTIAL, 0, 3, 0)
    state, rewards = play_all(env, state, *[(STAND,)] * wait, (STAND, BEAM))
    assert rewards.tolist() == [paid, paid, 0, 0]
    assert state.ore[2] == (0 if paid else PARTIAL)


def test_two_miners_of_one_step_are_both_paid(env: CoopMining) -> None:
    state, rewards, info = play(env, around(env, GOLD), BEAM, STAND, BEAM)
    assert rewards.tolist() == [8, 0, 8, 0]
    assert info["gold"].tolist() == info["mined"].tolist() == [1, 0, 1, 0]
    assert not state.ore.any() and (state.miners == -1).all()


def test_of_three_miners_the_last_one_is_not_paid_and_keeps_the_gold_partial(env: CoopMining) -> None:
    order = np.array([0.2, 0.9, 0.5, 0.1])
    state, rewards, _ = play(env, around(env, GOLD), BEAM, BEAM, BEAM, mining_priorities=order)
    assert rewards.tolist() == [0, 8, 8, 0]
    assert (state.ore[2], state.miners[2]) == (PARTIAL, 0)


def test_of_two_helpers_the_first_is_paid_with_the_agent_that_waited(env: CoopMining) -> None:
    state = play(env, around(env, GOLD), BEAM)[0]
    state, rewards, _ = play(env, state, STAND, BEAM, BEAM, mining_priorities=np.array([0.9, 0.1, 0.5, 0.0]))
    assert rewards.tolist() == [8, 0, 8, 0]
    assert (state.ore[2], state.miners[2]) == (PARTIAL, 1)


def test_hitting_the_own_partial_gold_again_starts_its_time_again(env: CoopMining) -> None:
    state, rewards = play_all(env, around(env, GOLD), (BEAM,), (STAND,), (BEAM,), (STAND,), (STAND, BEAM))
    assert rewards.tolist() == [8, 8, 0, 0]
    assert not state.ore.any()


def test_beam_passes_agents_and_stops_at_walls_and_at_the_first_ore(env: CoopMining) -> None:
    state = put(
        env, [[1, 1], [1, 2], [2, 4], [2, 7]], [EAST, NORTH, NORTH, WEST], ore=np.array([0, 0, 1, 1, 0], np.int8)
    )
    after, rewards, _ = play(env, state, BEAM, BEAM)
    assert rewards.tolist() == [1, 0, 0, 0]
    assert after.rays[:, 0].tolist() == [2, 0, 0, 0]
    assert after.ore.tolist() == [0, 0, 0, 1, 0]
    far = state.replace(ore=np.array([0, 0, 0, 1, 0], np.int8))
    assert not play(env, far, BEAM)[1].any()
    under = state.replace(ore=np.array([1, 0, 0, 0, 0], np.int8))
    assert play(env, under, STAND, BEAM)[1].tolist() == [0, 0, 0, 0]


def test_beam_is_fired_before_agents_move_and_again_three_steps_later(env: CoopMining) -> None:
    state = put(
        env, [[1, 1], [1, 2], [2, 4], [2, 7]], [EAST, NORTH, NORTH, WEST], ore=np.array([0, 1, 0, 0, 0], np.int8)
    )
    fired = []
    for _ in range(7):
        state, _, _ = play(env, state, BEAM)
        fired.append(bool(state.fired[0]))
    assert np.flatnonzero(fired).tolist() == [0, 3, 6]


def test_ore_grows_on_empty_cells_on_which_nobody_stood(env: CoopMining) -> None:
    state = put(
        env, [[1, 2], [1, 3], [2, 4], [2, 7]], [SOUTH, WEST, NORTH, WEST], ore=np.array([0, 0, 0, GOLD, IRON], np.int8)
    )
    luck = np.array([0.0, 0.00025, 0.00019, 0.0, 0.9])
    after, _, _ = play(env, state, FORWARD, STAND, FORWARD, ore_growth=luck)
    assert after.positions[:3].tolist() == [[2, 2], [1, 3], [1, 4]]
    assert after.ore.tolist() == [0, 0, IRON, GOLD, IRON]
    away = state.replace(positions=np.array([[2, 2], [2, 3], [2, 4], [2, 7]], np.int32))
    assert play(env, away, ore_growth=luck)[0].ore.tolist() == [IRON, GOLD, IRON, GOLD, IRON]
    assert not play(env, away, ore_growth=np.full(5, 0.00028))[0].ore[:3].any()


def test_ore_that_is_mined_does_not_grow_again_in_that_step(env: CoopMining) -> None:
    assert not play(env, around(env, IRON), BEAM, ore_growth=np.array([0.9, 0.9, 0, 0.9, 0.9]))[0].ore.any()


def test_agents_observe_whether_their_beam_is_ready_and_partial_gold(env: CoopMining) -> None:
    state, _, _ = play(env, around(env, GOLD), BEAM)
    seen: Any = jax.jit(env.observe)(state, env.default_params)
    assert seen.extras.tolist() == [[0], [1], [1], [1]]
    assert seen.view[1, 8, 5] == env.tile_id("partial_gold")
    assert env.observation_space == jaxdilemmas.WithExtras(env.view_space, ("ready_to_mine",))
    alone = CoopMining(map=ROW, num_agents=4, extras=False)
    np.testing.assert_array_equal(observe(alone, state), seen.view)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"iron_growth": 0.6, "gold_growth": 0.5}, r"gold_growth=0\.5 is not allowed: at most 1 - iron_growth=0\.6"),
        ({"partial_steps": 128}, "partial_steps=128 is not allowed: a whole number of at least 1 and at most 127"),
        ({"num_agents": 19}, "num_agents=19 is not allowed: at most 18 agents can spawn on this map"),
        ({"map": "WWW\nWAW\nWWW"}, "map=.* is not allowed: it has no spawn cell, which is drawn as 'P'"),
        ({"map": "WWW\nWPW\nWWW"}, "map=.* is not allowed: it has no ore cell, which is drawn as 'A'"),
    ],
)
def test_what_no_mine_can_have_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoopMining(**arguments)
