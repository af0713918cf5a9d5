"""The clocks of graduated sanctions; steps are counted from the first hit, as the module counts them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid import lab2d, sanctions
from jaxdilemmas.grid.environment import GridState
from jaxdilemmas.grid.movement import BEAM, CLEAN, FORWARD, STAND, STEP_RIGHT, TURN_LEFT, TURN_RIGHT

pytestmark = pytest.mark.usefixtures("quick_compiling")

NUM_STEPS = 120


class State(sanctions.SanctionState, lab2d.BeamState, GridState):
    """What the functions read and write."""


class Game(NamedTuple):
    """The numbers of a game: its cooldown, when a removed agent acts again, and how long it is out."""

    zap_cooldown: int
    timeout_steps: int
    first_shot: int
    is_back: int


MUSHROOMS = Game(zap_cooldown=3, timeout_steps=52, first_shot=29, is_back=53)
TERRITORY = Game(zap_cooldown=4, timeout_steps=sanctions.FOREVER, first_shot=30, is_back=NUM_STEPS + 1)
GAMES = pytest.mark.parametrize("game", [MUSHROOMS, TERRITORY], ids=["mushrooms", "territory"])


def start() -> State:
    """One agent."""
    nothing = jnp.zeros(1, jnp.int32)
    return State(
        **sanctions.free_agents(1),
        **lab2d.ready_beams(1, 1),
        positions=jnp.zeros((1, 2), jnp.int32),
        headings=nothing,
        timeouts=nothing,
        hits=nothing,
        fired=nothing > 0,
        apples=jnp.zeros(0, bool),
        step_count=jnp.zeros((), jnp.int32),
    )


@jax.jit
def play(hits: jax.Array, params: sanctions.SanctionParams, timeout_steps: jax.Array) -> dict[str, jax.Array]:
    """Plays T steps in which an agent always moves and one in which it always fires, for `[T]` int32 hits."""

    def step(state: State, received: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        state, held = sanctions.hold(state, jnp.full(1, STEP_RIGHT, jnp.int32))
        state = sanctions.begin(state, timeout_steps)
        is_present, is_marked = state.timeouts == 0, state.marked_for > 0
        cooldown = jnp.asarray(params.zap_cooldown, jnp.int32)[None]
        cooldowns, fired = lab2d.trigger(state.cooldowns, is_present, jnp.ones((1, 1), bool), cooldown)
        state = sanctions.sanction(state.replace(cooldowns=cooldowns), received[None], params)
        happened = {
            "moves": (held[0] == STEP_RIGHT) & is_present[0],
            "fires": fired[0, 0],
            "is_marked": is_marked[0] & is_present[0],
            "shows_mark": sanctions.shows_mark(state)[0],
            "is_out": ~is_present[0],
        }
        return state.replace(timeouts=jnp.maximum(state.timeouts - 1, 0)), happened

    return jax.lax.scan(step, start(), hits)[1]


def after_hits(game: Game, *steps: int) -> dict[str, np.ndarray]:
    """What happens if the agent is hit in these steps, a step more than once for several hits, `[T]` bool each."""
    hits = np.zeros(NUM_STEPS, np.int32)
    np.add.at(hits, list(steps), 1)
    params = sanctions.SanctionParams(zap_cooldown=game.zap_cooldown)
    return {name: np.asarray(values) for name, values in play(hits, params, np.int32(game.timeout_steps)).items()}


def steps_of(those: np.ndarray) -> list[int]:
    return np.flatnonzero(those).tolist()


@GAMES
def test_first_hit_costs_24_moves_and_delays_the_next_shot(game: Game) -> None:
    happened = after_hits(game, 0)
    assert steps_of(~happened["moves"]) == list(range(1, 25))
    assert steps_of(happened["fires"])[:3] == [0, game.first_shot, game.first_shot + game.zap_cooldown + 1]
    assert not happened["is_out"].any()


@GAMES
def test_mark_is_lost_after_50_steps(game: Game) -> None:
    happened = after_hits(game, 0)
    assert steps_of(happened["is_marked"]) == list(range(1, 50))
    assert steps_of(happened["shows_mark"]) == list(range(50))


@GAMES
@pytest.mark.parametrize("second", [1, 20, 49])
def test_second_hit_of_a_marked_agent_removes_it_as_the_next_step_begins(game: Game, second: int) -> None:
    happened = after_hits(game, 0, second)
    assert steps_of(happened["is_out"]) == [t for t in range(second + 1, second + game.is_back) if t < NUM_STEPS]
    assert steps_of(happened["is_marked"]) == list(range(1, second + 1))
    assert happened["shows_mark"][second] and not happened["shows_mark"][second + 1 :].any()


@GAMES
def test_second_hit_of_an_agent_that_lost_its_mark_is_a_first_one(game: Game) -> None:
    happened = after_hits(game, 0, 50)
    assert not happened["is_out"].any()
    assert steps_of(~happened["moves"])[24:] == list(range(51, 75))
    assert steps_of(happened["is_marked"])[49:] == list(range(51, 100))


def test_agent_that_returns_can_move_and_has_to_wait_for_its_beam() -> None:
    happened = after_hits(MUSHROOMS, 0, 1)
    assert steps_of(happened["moves"])[:2] == [0, 54]
    assert steps_of(happened["fires"])[:2] == [0, 57]


def test_two_hits_of_one_step_remove_an_agent_and_a_third_one_marks_it() -> None:
    twice, thrice = after_hits(MUSHROOMS, 5, 5), after_hits(MUSHROOMS, 5, 5, 5)
    assert steps_of(twice["is_out"]) == steps_of(thrice["is_out"]) == list(range(6, 58))
    assert not twice["is_marked"].any()
    assert steps_of(thrice["is_marked"]) == list(range(58, 107)), "the mark gets older on the board only"


def test_frozen_agents_can_do_everything_but_turn_and_move() -> None:
    state = start().replace(frozen=jnp.ones(1, jnp.int32))
    for action in range(9):
        held = sanctions.hold(state, jnp.full(1, action, jnp.int32))[1]
        assert held.tolist() == [STAND if FORWARD <= action <= TURN_RIGHT else action]
    assert TURN_LEFT < TURN_RIGHT < BEAM < CLEAN


def test_agent_that_leaves_does_not_turn_or_move_before_it_is_gone() -> None:
    state = start().replace(leaves=jnp.ones(1, bool))
    state, held = sanctions.hold(state, jnp.full(1, FORWARD, jnp.int32))
    assert held.tolist() == [STAND]
    state = sanctions.begin(state, 52)
    assert (state.timeouts.tolist(), state.leaves.tolist()) == ([52], [False])


def test_longer_freeze_of_another_cause_stays_without_a_hit() -> None:
    state = start().replace(frozen=jnp.full(1, 9, jnp.int32))
    assert sanctions.sanction(state, jnp.zeros(1, jnp.int32), sanctions.SanctionParams()).frozen.tolist() == [9]


def test_beam_of_an_agent_that_was_hit_is_not_ready_at_all() -> None:
    hit = sanctions.sanction(start(), jnp.ones(1, jnp.int32), sanctions.SanctionParams())
    assert hit.cooldowns.tolist() == [[28]]
    assert lab2d.observe_beams(hit.cooldowns, (jnp.asarray(3),), hit.timeouts).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"zap_cooldown": -1}, "zap_cooldown=-1 is not allowed: a whole number of at least 0"),
        (
            {"freeze_steps": 2.5},
            r"freeze_steps=2\.5 is not allowed: a whole number of at least 1 and at most 2147483643",
        ),
        ({"freeze_steps": 2**31 - 1}, "freeze_steps=2147483647 is not allowed: a whole number of at least 1"),
        ({"mark_steps": 0}, "mark_steps=0 is not allowed: a whole number of at least 1"),
    ],
)
def test_numbers_outside_their_range_are_refused(numbers: dict[str, Any], message: str) -> None:
    sanctions.check_sanction_params(sanctions.SanctionParams())
    with pytest.raises(ValueError, match=message):
        sanctions.check_sanction_params(sanctions.SanctionParams(**numbers))
