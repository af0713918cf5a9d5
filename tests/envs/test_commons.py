from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.envs.commons import Commons, Draws
from jaxdilemmas.grid.views import Window
from jaxdilemmas.spaces import view_of
from tests.reference.commons import Commons as SlowCommons
from tests.reference.gathering import VOID
from tests.reference.rollouts import (
    act,
    as_cells,
    as_draws,
    observe,
    put,
    random_actions,
    random_draws,
    replay,
    replay_like,
    start,
)

pytestmark = pytest.mark.usefixtures("quick_compiling")
FORWARD, BACKWARD, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT, BEAM, STAND = range(8)
NORTH, EAST, SOUTH, WEST = range(4)
PADDOCK = """
@@@@@@@@@@@
@PPP.@.P..@
@PAA...AA.@
@.AAA@.A..P
@P.AA..A@.P
@PPP......P
....P@@@@@@
"""


class Paddock(Commons):
    """A narrow board with open edges at one corner, and a window that also looks back."""

    window = Window(ahead=5, behind=2, side=3)


@pytest.fixture(scope="module")
def env() -> Commons:
    return Commons(num_agents=3)


def slow_game(env: Commons, state: Any, **rules: Any) -> SlowCommons:
    """The slow game at the start of an episode."""
    return SlowCommons(
        walls=env.walls,
        apple_cells=env.apple_cells,
        spawns=as_cells(np.asarray(state.spawns)),
        positions=as_cells(state.positions),
        headings=state.headings.tolist(),
        view=tuple(env.window),
        **rules,
    )


def play(
    env: Commons, state: Any, *actions: int, growth: float = 0.999
) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """One step; agent 0 has the highest priority."""
    priorities = jnp.arange(env.num_agents, 0, -1) / (env.num_agents + 1)
    return act(env, state, list(actions), Draws(priorities, jnp.full(len(env.apple_cells), growth)))


@pytest.mark.slow
def test_game_plays_like_the_slow_one_on_its_map() -> None:
    env = Commons()
    for seed in range(2):
        rng = np.random.default_rng(seed)
        state, actions = start(env, seed), random_actions(rng, (150, 12), beams=0.1)
        rollout = replay_like(slow_game(env, state), env, state, random_draws(env, rng, 150), actions)
        assert rollout.info["hits_given"].sum() > 10
        assert rollout.rewards.sum() > 10


@pytest.mark.parametrize(
    ("num_agents", "rules", "beams", "scale"),
    [
        (2, {"hits_to_tag": 2, "timeout_steps": 2}, 0.3, 0.3),
        (5, {"regrowth_probabilities": (0.02, 0.1, 0.3, 0.9), "timeout_steps": 1}, 0.1, 1.0),
        (9, {"timeout_steps": 4}, 0.05, 0.2),
    ],
)
def test_crowd_plays_like_the_slow_game_in_a_paddock(
    num_agents: int, rules: dict[str, Any], beams: float, scale: float
) -> None:
    env = Paddock(num_agents=num_agents, map=PADDOCK, **rules)
    tags = waits = grown = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        state, actions = start(env, seed), random_actions(rng, (250, num_agents), beams)
        draws = random_draws(env, rng, 250)
        draws["apple_growth"] *= np.float32(scale)  # so that more apples come back
        rollout = replay_like(slow_game(env, state, **rules), env, state, draws, actions)
        timeouts, apples = rollout.states.timeouts, rollout.states.apples
        tags += int(((timeouts[1:] > 0) & (timeouts[:-1] == 0)).sum())
        waits += int(((timeouts[1:] == 1) & (timeouts[:-1] == 1)).sum())
        grown += int((apples[1:] & ~apples[:-1]).sum())
        np.testing.assert_array_equal(rollout.states.spawns, np.broadcast_to(state.spawns, (250, num_agents, 2)))
    assert tags > 10
    assert waits > 0 or num_agents == 2
    assert grown > 10


def test_map_has_eighty_eight_apples_and_agents_start_along_the_wall(env: Commons) -> None:
    assert env.walls.shape == (20, 30)
    assert len(env.apple_cells) == 88
    ring = {(r, c) for r in range(1, 19) for c in range(1, 29) if r in (1, 18) or c in (1, 28)}
    assert {tuple(cell) for cell in env.spawn_cells.tolist()} == ring
    assert len(env.spawn_cells) == 88
    params = env.default_params
    assert tuple(params.regrowth_probabilities) == (0.0, 0.01, 0.05, 0.1)
    assert (params.timeout_steps, params.hits_to_tag, params.max_steps) == (25, 1, 1000)
    assert view_of(env.observation_space).shape == (21, 21)
    assert Commons().num_agents == 12


def test_agents_start_on_distinct_spawn_cells_each_with_every_heading() -> None:
    env = Commons(num_agents=3)
    states = jax.jit(jax.vmap(lambda key: env.initial_state(key, env.default_params)))(
        jax.random.split(jax.random.key(0), 1500)
    )
    positions, headings = np.asarray(states.positions), np.asarray(states.headings)
    np.testing.assert_array_equal(positions, states.spawns)
    for agent in range(3):
        assert {tuple(cell) for cell in positions[:, agent].tolist()} == {
            tuple(cell) for cell in env.spawn_cells.tolist()
        }
        assert np.abs(np.bincount(headings[:, agent], minlength=4) / 1500 - 0.25).max() < 0.06
    assert all(len({tuple(cell) for cell in row}) == 3 for row in positions.tolist())
    assert np.asarray(states.apples).all()


def test_all_spawn_cells_can_be_taken_at_once() -> None:
    state = start(Commons(num_agents=88))
    assert len({tuple(cell) for cell in np.asarray(state.positions).tolist()}) == 88


def test_one_hit_tags_and_the_agent_returns_where_it_started(env: Commons) -> None:
    spawns = jnp.array([[1, 1], [10, 28], [18, 4]], jnp.int32)
    state = put(env, [[7, 5], [6, 12], [9, 12]], [EAST, WEST, WEST], spawns=spawns)
    state, _, info = play(env, state, BEAM, STAND, STAND)  # the beam reaches two rows to each side
    assert info["hits_given"].tolist() == [2, 0, 0]
    assert state.timeouts.tolist() == [0, 25, 25]
    assert state.positions.tolist() == [[7, 5], [10, 28], [18, 4]]
    for _ in range(24):
        state, _, info = play(env, state, STAND, FORWARD, FORWARD)
        assert info["tagged"].tolist() == [False, True, True]
        assert (observe(env, state)[1:] == VOID).all()
    state, _, info = play(env, state, STAND, FORWARD, STAND)
    assert info["tagged"].tolist() == [False, False, False]
    assert state.positions.tolist() == [[7, 5], [10, 27], [18, 4]]


def test_beam_is_five_wide_and_starts_one_step_ahead(env: Commons) -> None:
    for offset, is_hit in ((-3, 0), (-2, 1), (0, 1), (2, 1), (3, 0)):
        _, _, info = play(env, put(env, [[12, 20], [12 + offset, 21], [1, 1]], [EAST] * 3), BEAM, STAND, STAND)
        assert info["hits_given"][0] == is_hit, offset
    _, _, info = play(env, put(env, [[12, 20], [13, 20], [11, 20]], [EAST] * 3), BEAM, STAND, STAND)
    assert info["hits_given"][0] == 0


@pytest.mark.parametrize(
    ("neighbours", "chance"), [(0, 0.0), (1, 0.01), (2, 0.01), (3, 0.05), (4, 0.05), (5, 0.1), (9, 0.1)]
)
def test_chance_of_an_apple_to_come_back_goes_by_its_live_neighbours(
    env: Commons, neighbours: int, chance: float
) -> None:
    cells = env.apple_cells
    apple = int(np.flatnonzero((cells == [3, 5]).all(1))[0])
    near = np.flatnonzero((np.abs(cells - cells[apple]).max(1) <= 2) & (np.arange(88) != apple))
    apples = np.zeros(88, bool)
    apples[near[:neighbours]] = True
    state = put(env, [[1, 1], [1, 2], [1, 3]], [NORTH] * 3, apples=apples)
    below, above = float(np.nextafter(np.float32(chance), np.float32(0))), float(np.float32(chance))
    assert not play(env, state, STAND, STAND, STAND, growth=above)[0].apples[apple]
    if chance > 0:
        assert play(env, state, STAND, STAND, STAND, growth=below)[0].apples[apple]


def test_field_without_apples_stays_bare(env: Commons) -> None:
    state = put(env, [[1, 1], [1, 2], [1, 3]], [NORTH] * 3, apples=np.zeros(88, bool))
    for _ in range(3):
        state, _, _ = play(env, state, STAND, STAND, STAND, growth=0.0)
    assert not state.apples.any()


def test_apples_may_come_back_under_an_agent_who_takes_them_at_once(env: Commons) -> None:
    apples = np.ones(88, bool)
    apples[0] = False
    state = put(env, [env.apple_cells[0].tolist(), [1, 2], [1, 3]], [NORTH] * 3, apples=apples)
    state, rewards, info = play(env, state, STAND, STAND, STAND, growth=0.0)
    assert rewards.tolist() == [1, 0, 0]
    assert info["collected"].tolist() == [1, 0, 0]
    assert not state.apples[0]


@pytest.mark.parametrize("action", [8, 1000, -1, -2])
def test_action_out_of_range_is_standing(env: Commons, action: int) -> None:
    state = put(env, [[7, 5], [6, 12], [9, 12]], [EAST, WEST, WEST])
    after, stood = play(env, state, action, action, action), play(env, state, STAND, STAND, STAND)
    assert jax.tree.all(jax.tree.map(np.array_equal, after, stood))


def test_rules_hold_in_every_step_of_long_random_episodes() -> None:
    env = Paddock(num_agents=6, map=PADDOCK, timeout_steps=5, max_steps=400)
    rng = np.random.default_rng(0)
    state = start(env)
    draws = random_draws(env, rng, 2000)
    draws["apple_growth"] *= np.float32(0.3)
    rollout = replay(env, state, as_draws(env, draws), random_actions(rng, (2000, 6), beams=0.05))
    for name, leaf in vars(state).items():
        assert getattr(rollout.states, name).dtype == leaf.dtype
        assert getattr(rollout.states, name).shape == (2000, *leaf.shape)
    positions, is_active = rollout.states.positions, rollout.states.timeouts == 0
    assert not env.walls[positions[..., 0], positions[..., 1]].any()
    for cells, active in zip(positions, is_active, strict=True):
        assert len({tuple(cell) for cell in cells[active]}) == active.sum()
    assert not rollout.states.hits.any()
    assert ((rollout.states.timeouts >= 0) & (rollout.states.timeouts <= 5)).all()
    np.testing.assert_array_equal(rollout.info["tagged"], ~is_active)
    np.testing.assert_array_equal(rollout.info["collected"], rollout.rewards)
    assert not rollout.terminated.any()
