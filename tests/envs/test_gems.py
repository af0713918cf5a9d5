"""Gems: its rules one by one, a slow version, and the symmetries of the board."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.demonstrations.gems_planes import entities_from_planes
from jaxdilemmas.envs.gems import DOWN, LEFT, RIGHT, STAY, UP, Draws, Gems, State, respawn
from tests.reference.gems import Gems as SlowGems
from tests.reference.gems_boards import FAR, Steps, board, crowded, crowded_steps
from tests.reference.rollouts import Rollout, as_cells, as_draws, assert_plays_like, compiled, replay

pytestmark = pytest.mark.usefixtures("quick_compiling")

ENV = Gems()
COUNTED = Gems(end_rule="gem_count", observation="planes")
BACK = Draws(own=jnp.full((2, 3, 2), 0.5), purple=jnp.array([[0.2, 0.2], [0.8, 0.8]]))
"""Own gems come back at (8, 8), purple ones at (3, 3) for player 0 and (12, 12) for player 1."""


def step(state: State, actions: list[int], env: Gems = ENV) -> Any:
    """The next state, rewards, whether the game is over, and info."""
    result = compiled(env, "transition")(BACK, state, np.array(actions, np.int32), env.default_params)
    return jax.tree.map(np.asarray, result)


# The slow version


@pytest.fixture(scope="module", params=[ENV, COUNTED], ids=lambda env: env.end_rule)
def played(request: pytest.FixtureRequest) -> tuple[Gems, list[Any]]:
    """A game and what went in and came out of crowded episodes with numbers of their own."""
    env, rng, episodes = request.param, np.random.default_rng(4), []
    numbers = {"own_reward": 2.0, "shared_reward": 3.5, "most_team_reward": 25.0, "most_gems": 8}
    for overrides in ({}, {}, numbers):
        start, draws, actions = crowded(rng, 400)
        params = env.default_params.replace(**overrides)
        episodes.append((start, draws, actions, overrides, replay(env, start, as_draws(env, draws), actions, params)))
    return env, episodes


def test_random_episodes_are_those_of_the_slow_version(played: tuple[Gems, list[Any]]) -> None:
    env, episodes = played
    for start, draws, actions, numbers, rollout in episodes:
        cells = [as_cells(kind) for kind in start.gems]
        slow = SlowGems(as_cells(start.positions), cells, env.end_rule, env.observation, **numbers)
        as_drawn = {name: values.astype(np.float32) for name, values in draws.items()}
        assert_plays_like(slow, rollout, actions, as_drawn)
        assert not rollout.terminated[0] and rollout.terminated[-1]


def test_random_episodes_hold_all_that_is_rare(played: tuple[Gems, list[Any]]) -> None:
    rollouts: list[Rollout] = [episode[-1] for episode in played[1]]
    taken = np.concatenate([np.diff(rollout.states.gems_taken, prepend=0) for rollout in rollouts])
    names = ("own_gems", "on_shared", "shared")
    own, on, both = (np.concatenate([rollout.info[name] for rollout in rollouts]) for name in names)
    assert (own.max(1) * both[:, 0]).any(), "an own gem and a purple one in one step"
    assert (taken[both[:, 0] == 0] > own.sum(1)[both[:, 0] == 0]).any(), "several own gems on one cell"
    assert ((taken == 1) & (both[:, 0] == 1)).any(), "one purple gem for both"
    assert (on.sum(1) == 1).any(), "one player alone on a purple gem"


@pytest.fixture(scope="module")
def steps() -> Steps:
    return crowded_steps(ENV)


# Moving


def test_players_move_by_their_actions_and_the_edge_stops_them() -> None:
    players = [[7, 7], [0, 14]]
    found = {action: step(board(players), [action, action])[0].positions.tolist() for action in range(5)}
    assert found[RIGHT] == [[7, 8], [0, 14]]
    assert found[DOWN] == [[8, 7], [1, 14]]
    assert found[LEFT] == [[7, 6], [0, 13]]
    assert found[UP] == [[6, 7], [0, 14]]
    assert found[STAY] == players
    assert step(board([[14, 0], [7, 7]]), [LEFT, STAY])[0].positions[0].tolist() == [14, 0]
    assert step(board([[14, 0], [7, 7]]), [DOWN, STAY])[0].positions[0].tolist() == [14, 0]


def test_a_number_that_is_no_action_is_to_stay() -> None:
    assert step(board([[7, 7], [3, 3]]), [-1, 5])[0].positions.tolist() == [[7, 7], [3, 3]]


def test_players_may_share_a_cell_and_change_places() -> None:
    assert step(board([[7, 7], [7, 8]]), [RIGHT, STAY])[0].positions.tolist() == [[7, 8], [7, 8]]
    assert step(board([[7, 7], [7, 8]]), [RIGHT, LEFT])[0].positions.tolist() == [[7, 8], [7, 7]]


# Gems of one's own


def test_a_gem_of_ones_own_under_oneself_after_the_move_pays_one_and_comes_back_elsewhere() -> None:
    state, rewards, _, info = step(board([[7, 7], [0, 0]], own=[[2, 2], [7, 8], [5, 5]]), [RIGHT, STAY])
    assert rewards.tolist() == [1, 0] and rewards.dtype == np.float32
    assert state.gems[0].tolist() == [[2, 2], [8, 8], [5, 5]]
    assert (state.team_reward, state.gems_taken, state.step_count) == (1, 1, 1)
    assert info["own_gems"].tolist() == [1, 0] and info["shared"].tolist() == [0, 0]


def test_a_gem_that_one_leaves_and_a_gem_of_the_other_pay_nothing() -> None:
    start = board([[7, 7], [0, 0]], own=[[7, 7], *FAR[:2]], others=[[7, 8], *FAR[:2]])
    state, rewards, _, _ = step(start, [RIGHT, STAY])
    assert rewards.tolist() == [0, 0] and state.gems_taken == 0
    np.testing.assert_array_equal(state.gems, start.gems)


def test_gems_of_ones_own_on_one_cell_pay_once_and_all_come_back() -> None:
    state, rewards, _, info = step(board([[7, 7], [0, 0]], own=[[7, 8], [2, 2], [7, 8]]), [RIGHT, STAY])
    assert rewards.tolist() == [1, 0] and info["own_gems"].tolist() == [1, 0]
    assert state.gems[0].tolist() == [[8, 8], [2, 2], [8, 8]]
    assert state.gems_taken == 2


# Purple gems


def test_a_purple_gem_pays_nobody_alone() -> None:
    start = board([[7, 7], [0, 0]], purple=[[7, 8], [2, 2], [5, 5]])
    state, rewards, _, info = step(start, [RIGHT, STAY])
    assert rewards.tolist() == [0, 0] and info["on_shared"].tolist() == [1, 0]
    np.testing.assert_array_equal(state.gems, start.gems)


def test_two_players_on_two_purple_gems_get_six_each_and_both_gems_come_back() -> None:
    state, rewards, _, info = step(board([[7, 7], [0, 0]], purple=[[7, 8], [2, 2], [0, 1]]), [RIGHT, RIGHT])
    assert rewards.tolist() == [6, 6] and info["shared"].tolist() == [1, 1]
    assert state.gems[2].tolist() == [[3, 3], [2, 2], [12, 12]]
    assert (state.team_reward, state.gems_taken) == (12, 2)


def test_one_purple_gem_serves_both_and_comes_back_where_the_draw_of_player_0_says() -> None:
    state, rewards, _, _ = step(board([[7, 7], [7, 9]], purple=[[2, 2], [7, 8], [5, 5]]), [RIGHT, LEFT])
    assert rewards.tolist() == [6, 6] and state.gems_taken == 1
    assert state.gems[2].tolist() == [[2, 2], [3, 3], [5, 5]]


def test_a_purple_gem_that_one_leaves_counts_and_the_one_stepped_on_goes_before_it() -> None:
    purple = [[7, 7], [7, 8], [0, 0]]
    left, rewards, _, _ = step(board([[7, 7], [0, 0]], purple=purple), [UP, STAY])
    assert rewards.tolist() == [6, 6] and left.gems[2].tolist() == [[3, 3], [7, 8], [12, 12]]
    entered = step(board([[7, 7], [0, 0]], purple=purple), [RIGHT, STAY])[0]
    assert entered.gems[2].tolist() == [[7, 7], [3, 3], [12, 12]]


def test_of_purple_gems_on_one_cell_one_is_taken() -> None:
    state = step(board([[7, 7], [7, 7]], purple=[[7, 7], [7, 7], [0, 0]]), [STAY, STAY])[0]
    assert state.gems[2].tolist() == [[3, 3], [7, 7], [0, 0]] and state.gems_taken == 1


def test_own_and_purple_gems_may_pay_in_one_step() -> None:
    start = board([[7, 7], [7, 9]], own=[[7, 8], *FAR[:2]], others=[[7, 8], *FAR[:2]], purple=[[7, 8], *FAR[:2]])
    state, rewards, _, _ = step(start, [RIGHT, LEFT])
    assert rewards.tolist() == [7, 7] and (state.team_reward, state.gems_taken) == (14, 3)


def test_a_step_does_not_depend_on_how_the_players_are_numbered(steps: Steps) -> None:
    states = steps.states.replace(positions=steps.states.positions[:, ::-1], gems=steps.states.gems[:, [1, 0, 2]])
    draws = Draws(steps.draws.own[:, ::-1], steps.draws.purple[:, ::-1])
    play = jax.jit(jax.vmap(ENV.transition, in_axes=(0, 0, 0, None)))
    found, rewards, _, _ = play(draws, states, steps.actions[:, ::-1], ENV.default_params)
    np.testing.assert_array_equal(rewards[:, ::-1], steps.rewards)
    np.testing.assert_array_equal(found.positions[:, ::-1], steps.next_states.positions)
    np.testing.assert_array_equal(found.gems[:, [1, 0]], steps.next_states.gems[:, :2])
    np.testing.assert_array_equal(found.gems_taken, steps.next_states.gems_taken)


# Chance


def test_gems_come_back_on_rows_and_columns_1_to_14() -> None:
    is_taken, come_back = jnp.ones((2, 3), bool), jax.jit(respawn)
    for uniform, cell in ((0.0, 1), (1 / 14 - 1e-6, 1), (1 / 14 + 1e-6, 2), (np.nextafter(1, 0, dtype=np.float32), 14)):
        draws = Draws(jnp.full((2, 3, 2), uniform, jnp.float32), jnp.full((2, 2), uniform, jnp.float32))
        assert (come_back(jnp.zeros((3, 3, 2), jnp.int32), is_taken, is_taken, draws) == cell).all()


def test_draws_are_uniform_and_each_its_own() -> None:
    state = board([[7, 7], [0, 0]])
    draw = jax.jit(jax.vmap(lambda key: ENV.draw(key, state, ENV.default_params)))
    draws = draw(jax.random.split(jax.random.key(0), 4000))
    numbers = np.concatenate([np.asarray(leaf).reshape(4000, -1) for leaf in jax.tree.leaves(draws)], axis=1)
    assert numbers.shape == (4000, 16) and numbers.min() >= 0 and numbers.max() < 1
    shares = np.stack([np.bincount(np.floor(column * 14).astype(int), minlength=14) for column in numbers.T]) / 4000
    np.testing.assert_allclose(shares, 1 / 14, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(16), atol=0.08)


def test_everything_starts_on_cells_of_its_own_draw_uniform_over_the_board() -> None:
    start = jax.jit(jax.vmap(lambda key: ENV.initial_state(key, ENV.default_params)))
    starts = start(jax.random.split(jax.random.key(1), 4000))
    cells = np.concatenate([np.asarray(starts.positions), np.asarray(starts.gems).reshape(4000, 9, 2)], axis=1)
    numbers = cells.reshape(4000, 22)
    shares = np.stack([np.bincount(column, minlength=15) for column in numbers.T]) / 4000
    assert shares.shape == (22, 15)
    np.testing.assert_allclose(shares, 1 / 15, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(22), atol=0.08)
    assert not np.any([starts.team_reward, starts.gems_taken, starts.step_count])


# Ends


@pytest.mark.parametrize(("before", "is_over"), [(19.0, False), (19.5, True), (20.0, True)])
def test_the_game_ends_when_both_players_together_have_more_than_20(before: float, is_over: bool) -> None:
    start = board([[7, 7], [0, 0]], own=[[7, 8], *FAR[:2]], team_reward=before, gems_taken=50)
    assert step(start, [RIGHT, STAY])[2] == is_over
    assert not step(start, [RIGHT, STAY], Gems(most_team_reward=30))[2]


@pytest.mark.parametrize(("before", "is_over"), [(4, False), (5, True), (6, True)])
def test_by_gem_count_the_game_ends_when_more_than_6_gems_are_taken(before: int, is_over: bool) -> None:
    start = board([[7, 7], [0, 0]], own=[[7, 8], [7, 8], FAR[0]], team_reward=50.0, gems_taken=before)
    assert step(start, [RIGHT, STAY], COUNTED)[2] == is_over


def test_the_clock_truncates_after_45_steps_and_the_last_step_may_also_terminate() -> None:
    play = compiled(ENV, "step")
    for clock, reward, ends in ((43, 0.0, [False, False]), (44, 0.0, [False, True]), (44, 20.0, [True, True])):
        start = board([[7, 7], [0, 0]], own=[[7, 8], *FAR[:2]], team_reward=reward, step_count=clock)
        _, _, rewards, terminated, truncated, _ = play(jax.random.key(0), start, np.array([RIGHT, STAY], np.int32))
        assert [bool(terminated), bool(truncated)] == ends and rewards.tolist() == [1, 0]


# What is seen


def test_a_player_sees_itself_its_partner_its_gems_those_of_the_partner_and_purple_ones() -> None:
    own, others, purple = [[3, 1], [2, 9], [2, 4]], [[5, 5], [0, 0], [5, 5]], [[9, 9], [9, 9], [9, 9]]
    seen = np.asarray(compiled(ENV, "observe")(board([[7, 7], [1, 2]], own, others, purple), ENV.default_params))
    mine, theirs = [[2, 4], [2, 9], [3, 1]], [[0, 0], [5, 5], [-1, -1]]
    shared = [[9, 9], [-1, -1], [-1, -1]]
    assert seen.tolist() == [[[7, 7], [1, 2], *mine, *theirs, *shared], [[1, 2], [7, 7], *theirs, *mine, *shared]]
    assert seen.dtype == np.int8
    assert ENV.entity_kinds.tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_planes_and_entities_show_the_same(steps: Steps) -> None:
    seen = jax.jit(jax.vmap(COUNTED.observe, in_axes=(0, None)))(steps.states, COUNTED.default_params)
    np.testing.assert_array_equal(seen, np.stack([steps.planes] * 2, axis=1))
    found = entities_from_planes(steps.planes)
    assert ENV.observation_space.contains(found) and COUNTED.observation_space.contains(seen)
    np.testing.assert_array_equal(found, steps.entities)
    np.testing.assert_array_equal(entities_from_planes(steps.planes[7].astype(bool)), steps.entities[7])


# Symmetries


def apply(index: jax.Array, cells: jax.Array) -> jax.Array:
    """Cells `[..., 2]` where symmetry `index` puts them."""
    return ENV.transform(index, cells, jnp.zeros((), jnp.int32))[0]


def test_a_step_on_the_transformed_board_is_the_transformed_step(steps: Steps) -> None:
    def both(index: jax.Array, step: Steps) -> Any:
        def there(state: State) -> State:
            return state.replace(positions=apply(index, state.positions), gems=apply(index, state.gems))

        draws = jax.tree.map(lambda u: (apply(index, 1 + jnp.floor(u * 14)) - 0.5) / 14, step.draws)
        obs, actions = ENV.transform(index, step.entities, step.actions)
        outcome = ENV.transition(draws, there(step.states), actions, ENV.default_params)
        expected = (there(step.next_states), step.rewards, step.terminated, step.info)
        return (expected, outcome), (obs, ENV.observe(there(step.states), ENV.default_params))

    over_steps = jax.vmap(both, in_axes=(None, 0))
    outcomes, views = jax.jit(jax.vmap(over_steps, in_axes=(0, None)))(jnp.arange(8), steps)
    assert steps.info["shared"].mean() > 0.05 and steps.info["own_gems"].mean() > 0.05
    jax.tree.map(np.testing.assert_array_equal, *outcomes)
    by_cell = [np.asarray(view, np.int32) @ [15, 1] for view in views]
    for first, last in ((0, 1), (1, 2), (2, 5), (5, 8), (8, 11)):
        seen, seen_there = (np.sort(cells[..., first:last]) for cells in by_cell)
        np.testing.assert_array_equal(seen, seen_there)


def test_the_eight_symmetries_are_a_group_with_the_identity_first() -> None:
    assert ENV.num_symmetries == 8
    obs = jnp.array([[0, 0], [3, 14], [-1, -1], [7, 7]], jnp.int8)
    actions = jnp.arange(5)
    transform = jax.jit(ENV.transform)
    once = {i: transform(jnp.int32(i), obs, actions) for i in range(8)}
    names = {as_text(pair): i for i, pair in once.items()}
    assert len(names) == 8 and names[as_text((obs, actions))] == 0
    products = [[names[as_text(transform(jnp.int32(i), *once[j]))] for j in range(8)] for i in range(8)]
    for row in (*products, *np.transpose(products).tolist()):
        assert sorted(row) == list(range(8))


def as_text(pair: Any) -> str:
    """Transformed observations and actions as one word."""
    assert [leaf.dtype for leaf in pair] == [jnp.int8, jnp.int32]
    return str([np.asarray(leaf).tolist() for leaf in pair])


def test_a_symmetry_of_rows_and_columns_turns_right_into_down_and_leaves_what_is_absent() -> None:
    obs, actions = jnp.array([[2, 9], [-1, -1]], jnp.int8), jnp.array([RIGHT, DOWN, LEFT, UP, STAY])
    transform = jax.jit(ENV.transform)
    turned = {str(transform(jnp.int32(i), obs, actions)[0].tolist()): i for i in range(8)}
    index = jnp.int32(turned["[[9, 2], [-1, -1]]"])
    assert transform(index, obs, actions)[1].tolist() == [DOWN, RIGHT, UP, LEFT, STAY]
    mirrored = jnp.int32(turned["[[2, 5], [-1, -1]]"])
    assert transform(mirrored, obs, actions)[1].tolist() == [LEFT, DOWN, RIGHT, UP, STAY]


def test_a_batch_of_steps_may_be_transformed_each_in_its_own_way() -> None:
    obs = jnp.tile(jnp.arange(11, dtype=jnp.int8)[:, None], (8, 2, 1, 2)).at[..., 1].set(0)
    found, actions = jax.jit(jax.vmap(ENV.transform))(jnp.arange(8), obs, jnp.zeros((8, 2), jnp.int32))
    assert found.shape == obs.shape and actions.shape == (8, 2)
    assert len(np.unique(np.asarray(found).reshape(8, -1), axis=0)) == 8


def test_planes_have_no_kinds_of_entities_and_no_symmetries() -> None:
    assert not hasattr(COUNTED, "entity_kinds") and not hasattr(COUNTED, "num_symmetries")


# What is refused
