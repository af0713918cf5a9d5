from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas.envs.gift_refinements import GiftRefinements
from jaxdilemmas.grid.views import Window
from tests.reference.gift_refinements import GiftRefinements as SlowGifts
from tests.reference.rollouts import play_quietly as play
from tests.reference.rollouts import put, random_actions, random_draws, replay_like, start

pytestmark = pytest.mark.usefixtures("quick_compiling")

FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND, CONSUME = range(9)
NORTH, EAST, SOUTH, WEST = range(4)
PIT = """
WWWWWWWWW
WAAP  AAW
W AAWPAAP
WAPAA AAW
WPPAA APP
"""
ROW = "WWWWWWWWWW\nWPAAAAAAPW\nWPPPPPPPPW\nWWWWWWWWWW"
"""Token cells are (1, 2) to (1, 7)."""


class Pit(GiftRefinements):
    """A window that looks far back."""

    window = Window(ahead=3, behind=2, side=2)


@pytest.fixture(scope="module")
def env() -> GiftRefinements:
    return GiftRefinements(map=ROW, num_agents=3)


def pair(env: GiftRefinements, *inventories: list[int], **fields: Any) -> Any:
    """Agents 0 and 1 look at each other, three cells apart, agent 2 stands aside; the others have no tokens."""
    held = np.zeros((3, 3), np.int32)
    held[: len(inventories)] = inventories
    return put(env, [[1, 1], [1, 4], [2, 8]], [EAST, WEST, NORTH], inventories=held, **fields)


@pytest.mark.parametrize("movement", ["sequential", "simultaneous"])
@pytest.mark.slow
def test_crowd_plays_like_the_slow_game(movement: str) -> None:
    env = Pit(map=PIT, num_agents=6, movement=movement, episode_ending="stochastic", extras=False)
    gifts, consumed, ends = 0, 0, 0
    for seed, numbers in enumerate(({}, {"gift_cooldown": 0, "gift_multiplier": 3}, {"capacity": 4})):
        rules: dict[str, Any] = {"token_growth": 0.1, **numbers}
        rules |= {"min_steps": 100, "ending_interval": 5 - seed, "ending_probability": 0.4}
        rng = np.random.default_rng(seed)
        cells = rng.permutation(np.argwhere(~env.walls))[:6]
        tokens = rng.random(len(env.token_cells)) < 0.4
        state = start(env, seed).replace(positions=cells.astype(np.int32), tokens=tokens)
        draws, actions = random_draws(env, rng, 250), random_actions(rng, (250, 6), beams=0.3, cleans=0.02)
        slow = SlowGifts.like(
            env,
            state,
            movement=movement,
            is_ending_stochastic=True,
            token_cells=env.token_cells,
            tokens=tokens.tolist(),
            **rules,
        )
        rollout = replay_like(slow, env, state, draws, actions, env.default_params.replace(**rules))
        gifts, consumed = gifts + rollout.info["gifts_given"].sum(), consumed + rollout.info["consumed"].sum()
        ends += int(rollout.terminated.sum())
        for field, leaf in vars(state).items():
            assert getattr(rollout.states, field).dtype == leaf.dtype
    assert min(gifts, consumed) > 50
    assert ends > 10


def test_gifts_fill_an_inventory_of_fifteen(env: GiftRefinements) -> None:
    state, received = pair(env, [4, 0, 0]), []
    for _ in range(10):
        state, _, info = play(env, state, BEAM)
        received.append(int(info["gifts_received"][1]))
    assert received == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]  # the beam rests for two steps
    assert state.inventories.tolist() == [[0, 0, 0], [0, 15, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("given", "left", "gets"),
    [
        ([3, 0, 0], [2, 0, 0], [0, 5, 0]),
        ([3, 2, 0], [3, 1, 0], [0, 0, 5]),
        ([3, 2, 2], [3, 2, 1], [0, 0, 1]),
        ([0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ],
)
def test_gift_is_a_token_of_the_highest_kind(
    env: GiftRefinements, given: list[int], left: list[int], gets: list[int]
) -> None:
    state, rewards, info = play(env, pair(env, given), BEAM)
    assert state.inventories[:2].tolist() == [left, gets]
    assert info["gifts_given"].tolist() == [int(any(given)), 0, 0]
    assert state.cooldowns[:, 0].tolist() == [2, 0, 0]
    assert not rewards.any()


def test_beam_stops_at_the_first_agent_and_reaches_five_cells(env: GiftRefinements) -> None:
    state = put(env, [[1, 1], [1, 4], [1, 6]], [EAST, WEST, NORTH], inventories=np.eye(3, dtype=np.int32)[[0, 1, 1]])
    after, _, info = play(env, state, BEAM)
    assert info["gifts_received"].tolist() == [0, 1, 0]
    assert after.rays[0].tolist() == [2]
    near, far = ([[1, 1], [2, 8], [1, col]] for col in (6, 7))
    assert play(env, state.replace(positions=np.array(near, np.int32)), BEAM)[2]["gifts_received"].sum() == 1
    assert play(env, state.replace(positions=np.array(far, np.int32)), BEAM)[2]["gifts_received"].sum() == 0


def test_agents_give_in_their_order(env: GiftRefinements) -> None:
    state, _, _ = play(env, pair(env, [1, 0, 0], [1, 0, 0]), BEAM, BEAM)
    assert state.inventories[:2].tolist() == [[0, 0, 5], [1, 4, 0]]
    order = np.array([0.1, 0.9, 0.5])
    state, _, _ = play(env, pair(env, [1, 0, 0], [1, 0, 0]), BEAM, BEAM, gift_priorities=order)
    assert state.inventories[:2].tolist() == [[1, 4, 0], [0, 0, 5]]


def test_agents_eat_all_they_have_before_gifts_of_the_step(env: GiftRefinements) -> None:
    state, rewards, info = play(env, pair(env, [1, 0, 0], [2, 3, 4]), BEAM, CONSUME)
    assert rewards.tolist() == info["consumed"].tolist() == [0, 9, 0]
    assert state.inventories[:2].tolist() == [[0, 0, 0], [0, 5, 0]]


def test_agent_takes_the_token_that_it_enters_and_loses_it_if_it_has_fifteen(env: GiftRefinements) -> None:
    tokens = np.array([True, False, False, True, False, False])
    state, rewards, info = play(env, pair(env, [0, 0, 0], [15, 0, 0], tokens=tokens), FORWARD, BACKWARD)
    assert info["collected"].tolist() == [1, 1, 0]
    assert state.inventories[:2].tolist() == [[1, 0, 0], [15, 0, 0]]
    assert not state.tokens.any() and not rewards.any()


def test_tokens_grow_where_nobody_stood_and_can_be_entered_at_once(env: GiftRefinements) -> None:
    state, _, info = play(env, pair(env, [0, 0, 0]), FORWARD, token_growth=np.array([0, 0, 0, 0.0002, 0.00019, 0.9]))
    assert info["collected"].tolist() == [1, 0, 0]
    assert state.tokens.tolist() == [False, True, False, False, True, False]


def test_agents_observe_their_tokens_and_whether_their_beam_is_ready(env: GiftRefinements) -> None:
    state, _, _ = play(env, pair(env, [3, 2, 1]), BEAM)
    seen: Any = jax.jit(env.observe)(state, env.default_params)
    assert seen.extras.tolist() == [[0, 3, 2, 0], [1, 0, 0, 1], [1, 0, 0, 0]]
    names = ("ready_to_gift", "raw", "refined", "final")
    assert env.observation_space == jaxdilemmas.WithExtras(env.view_space, names)
    assert GiftRefinements(map=ROW, num_agents=3, extras=False).observation_space == env.view_space


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"token_growth": 1.5}, r"token_growth=1\.5 is not allowed: a number from 0 to 1"),
        ({"num_agents": 19}, "num_agents=19 is not allowed: at most 18 agents can spawn on this map"),
        ({"map": "WWW\nWAW\nWWW"}, "map=.* is not allowed: it has no spawn cell, which is drawn as 'P'"),
        ({"map": "WWW\nWPW\nWWW"}, "map=.* is not allowed: it has no token cell, which is drawn as 'A'"),
    ],
)
def test_what_this_game_cannot_have_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GiftRefinements(**arguments)
