"""Scripted policies of Cleanup: a plain-Python version on random boards, drawn cases, and the returns of teams."""

import types
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import EpisodeStatistics, policies
from jaxdilemmas.envs.cleanup import Cleanup
from jaxdilemmas.grid.maps import cells_of, parse_map
from jaxdilemmas.policies.cleanup import Posts, choose_cleaners, clean_best, cooperative, find_posts
from jaxdilemmas.policies.routes import exploitative, greedy
from tests.reference import policies as reference
from tests.reference.movement import target_cell
from tests.reference.views import Cell, cell_at, is_inside

pytestmark = pytest.mark.usefixtures("quick_compiling")
FINE, STAND, CLEAN = 6, 7, 8
BOARD = """
***************
*HHSHH * HHHHH*
*HFHHHH* HFFHH*
*HHHHH   HHHHH*
**** B   B ****
*P  BBB BBBB P*
*  BBB P BBB  *
***************
"""
SYMBOLS = {"*": "wall", " ": "floor", "H": "river", "F": "waste", "S": "stream", "B": "apple", "P": "spawn"}
NUM_AGENTS, LENGTH = 7, 3


class Pond(Cleanup):
    """Cleanup on a small board: each ray of a cleaning beam takes the first waste, walls stop it."""

    boards = ({"default": BOARD}, SYMBOLS)
    beam_length = LENGTH

    def check_num_agents(self, most: int) -> None:
        """Agents are put on the board by the tests."""


def make_board(name: str) -> Any:
    """What policies read of an environment: of `Pond`, or of a game whose beams take all and pass walls."""
    if name == "lab2d":
        return Pond(NUM_AGENTS)
    layers = parse_map(BOARD, SYMBOLS)
    return types.SimpleNamespace(
        walls=layers["wall"],
        apple_cells=cells_of(layers["apple"]),
        river_cells=cells_of(layers["river"] | layers["waste"]),
        num_agents=NUM_AGENTS,
        beam_reach=np.full((layers["wall"].size, 4, 3), LENGTH),
        beam_side_start=1,
    )


def random_states(env: Any, num_states: int) -> list[Any]:
    """States on the board above: apples and waste none to all, agents anywhere, in one cell too, every fourth out."""
    rng = np.random.default_rng(0)
    open_cells = cells_of(~env.walls)
    shares = [0.0, 0.1, 0.5, 1.0]
    return [
        types.SimpleNamespace(
            walls=env.walls,
            apple_cells=env.apple_cells,
            beam_length=LENGTH,
            positions=open_cells[rng.integers(len(open_cells), size=NUM_AGENTS)],
            headings=rng.integers(0, 4, NUM_AGENTS).astype(np.int32),
            timeouts=(rng.integers(1, 9, NUM_AGENTS) * (rng.random(NUM_AGENTS) < 1 / 4)).astype(np.int32),
            cooldowns=(rng.integers(1, 4, (NUM_AGENTS, 2)) * (rng.random((NUM_AGENTS, 2)) < 1 / 2)).astype(np.int32),
            apples=rng.random(len(env.apple_cells)) < rng.choice(shares),
            waste=rng.random(len(env.river_cells)) < rng.choice(shares),
        )
        for _ in range(num_states)
    ]


def act_on(policy: Any, states: list[Any], has_cooldowns: bool) -> np.ndarray:
    """The jitted, vmapped actions of a policy, `[states, N]`."""
    fields = ["positions", "headings", "timeouts", "apples", "waste"] + ["cooldowns"] * has_cooldowns
    batch = {field: jnp.asarray(np.stack([getattr(state, field) for state in states])) for field in fields}
    keys = jax.random.split(jax.random.key(3), len(states))
    actions = jax.jit(jax.vmap(lambda key, leaves: policy(key, types.SimpleNamespace(**leaves))))(keys, batch)
    assert actions.dtype == jnp.int32
    return np.asarray(actions)


# The team in plain Python


def river_cells_on_rays(env: Any, cell: Cell, heading: int, is_lab2d: bool) -> list[list[int]]:
    """The river cells, by number, that each of the three rays of a beam reaches."""
    number = {reference.as_cell(river): k for k, river in enumerate(env.river_cells)}
    rays = []
    for right in (-1, 0, 1):
        start = 0 if is_lab2d and right else 1
        ray = []
        for forward in range(start, start + LENGTH):
            target = cell_at(cell, heading, forward, right)
            if is_lab2d and (not is_inside(env.walls.shape, target) or env.walls[target]):
                break
            ray += [number[target]] if target in number else []
        rays.append(ray)
    return rays


def steps_between(env: Any, start: Cell, cells: list[Cell]) -> int:
    """The shortest way from a cell to any of others."""
    found = reference.search(env.walls, start)
    return min(found[cell][0] for cell in cells if cell in found)


def expected_cleaners(env: Any, state: Any) -> list[int]:
    """The agents that clean, by index."""
    river = [reference.as_cell(cell) for cell in env.river_cells]
    present = [i for i in range(NUM_AGENTS) if state.timeouts[i] == 0]
    present.sort(key=lambda i: (steps_between(env, reference.as_cell(state.positions[i]), river), i))
    num_apples, num_waste = int(state.apples.sum()), int(state.waste.sum())
    return [i for rank, i in enumerate(present) if rank < 2 or (rank + 1) * num_apples < num_waste]


def expected_shot(env: Any, state: Any, i: int, cleaners: list[int], is_lab2d: bool) -> int:
    """The action of a cleaner: every post and heading is tried, those of others for want of waste of its own."""
    heading, best, action = int(state.headings[i]), (False, Fraction(0)), STAND
    ways = {j: reference.search(env.walls, reference.as_cell(state.positions[j])) for j in cleaners}
    for post in (reference.as_cell(cell) for cell in cells_of(~env.walls)):
        is_own = min((ways[j][post][0], j) for j in cleaners)[1] == i
        if not is_own and state.waste.sum() <= state.apples.sum():
            continue
        steps_to_post, first = ways[i][post]
        for aim in range(4):
            rays = river_cells_on_rays(env, post, aim, is_lab2d)
            counts = [sum(bool(state.waste[k]) for k in ray) for ray in rays]
            turns = {0: 0, 1: 1, 2: 2, 3: 1}[(aim - heading) % 4]
            steps = max(steps_to_post + turns, int(state.cooldowns[i, 1]) if is_lab2d else 0)
            cleaned = sum(min(count, 1) for count in counts) if is_lab2d else sum(counts)
            worth = (is_own, Fraction(cleaned, steps + 4))
            if cleaned and worth > best:
                turn = {0: CLEAN, 1: 5, 2: 5, 3: 4}[(aim - heading) % 4]
                best, action = worth, turn if first is None else reference.walk(state, i, first)
    return action


def expected_collecting(state: Any, i: int, collectors: tuple[int, ...]) -> int:
    """The action of a collector: to the nearest live apple of its territory."""
    cells = reference.apple_cells(state)
    owners = reference.territories(cells, collectors)
    live = {cell for cell, alive in zip(cells, state.apples, strict=True) if alive and owners[cell] == i}
    for cell, (_, first) in reference.search(state.walls, reference.as_cell(state.positions[i])).items():
        if cell in live:
            return reference.walk(state, i, first)
    return STAND


def expected_actions(env: Any, state: Any, is_lab2d: bool) -> list[int]:
    """What everybody does if nobody sidesteps."""
    cleaners = expected_cleaners(env, state)
    collectors = tuple(i for i in range(NUM_AGENTS) if state.timeouts[i] == 0 and i not in cleaners)
    actions = [STAND] * NUM_AGENTS
    for i in cleaners:
        actions[i] = expected_shot(env, state, i, cleaners, is_lab2d)
    for i in collectors:
        actions[i] = expected_collecting(state, i, collectors)
    return actions


@pytest.mark.parametrize("name", ["lab2d", "rectangle"])
def test_cooperative_is_the_python_version_or_a_sidestep(name: str) -> None:
    env, is_lab2d = make_board(name), name == "lab2d"
    states = random_states(env, 100)
    actions = act_on(cooperative(env), states, has_cooldowns=is_lab2d)
    num_sidesteps = 0
    for state, row in zip(states, actions, strict=True):
        present = {reference.as_cell(state.positions[j]) for j in range(NUM_AGENTS) if state.timeouts[j] == 0}
        for i, expected in enumerate(expected_actions(env, state, is_lab2d)):
            here = reference.as_cell(state.positions[i])
            aim = target_cell(expected, state.positions[i], int(state.headings[i]), env.walls)
            is_sidestep = aim != here and aim in present and row[i] < 4
            assert row[i] == expected or is_sidestep
            num_sidesteps += row[i] != expected
    assert num_sidesteps > 0
    assert set(np.unique(actions)) == {*range(6), STAND, CLEAN}  # everything but fines


# Drawn cases


@pytest.mark.parametrize("name", ["lab2d", "rectangle"])
def test_posts_are_the_cells_whose_rays_reach_the_river(name: str) -> None:
    env, is_lab2d = make_board(name), name == "lab2d"
    posts = find_posts(env)
    assert posts.most_per_ray == (1 if is_lab2d else LENGTH)
    expected = {}
    for cell in (reference.as_cell(cell) for cell in cells_of(~env.walls)):
        rays = [river_cells_on_rays(env, cell, heading, is_lab2d) for heading in range(4)]
        if any(map(any, rays)):
            expected[cell] = rays
    assert [reference.as_cell(cell) for cell in posts.cells] == list(expected)
    for in_beam, rays in zip(posts.is_in_beam, expected.values(), strict=True):
        for heading, ray in np.ndindex(4, 3):
            assert np.flatnonzero(in_beam[heading, ray]).tolist() == sorted(rays[heading][ray])


def cleaners(steps: list[int], num_waste: int, num_apples: int, timeouts: list[int] | None = None) -> list[int]:
    """Who cleans, by index, given how far everybody is from the river."""
    state = types.SimpleNamespace(
        timeouts=jnp.asarray(timeouts or [0] * len(steps)),
        waste=jnp.arange(100) < num_waste,
        apples=jnp.arange(100) < num_apples,
    )
    return np.flatnonzero(choose_cleaners(state, jnp.asarray(steps))).tolist()


def test_while_there_are_no_apples_everybody_cleans() -> None:
    assert cleaners([9, 3, 0, 7, 5], num_waste=60, num_apples=0) == [0, 1, 2, 3, 4]


def test_the_closest_to_the_river_clean_as_many_as_the_waste_needs_beside_the_apples() -> None:
    steps = [9, 3, 0, 7, 5]
    assert cleaners(steps, num_waste=41, num_apples=10) == [1, 2, 3, 4]
    assert cleaners(steps, num_waste=40, num_apples=10) == [1, 2, 4]
    assert cleaners(steps, num_waste=21, num_apples=10) == [1, 2]
    assert cleaners(steps, num_waste=20, num_apples=10) == [2]


@pytest.mark.parametrize(("num_agents", "expected"), [(1, 0), (2, 1), (6, 1), (7, 2), (11, 2), (12, 3)])
def test_one_in_every_further_five_always_cleans_the_first_in_line(num_agents: int, expected: int) -> None:
    assert cleaners([4] * num_agents, num_waste=0, num_apples=50) == list(range(expected))


def test_agents_that_are_out_do_not_clean_and_another_does() -> None:
    assert cleaners([9, 3, 0, 7, 5], num_waste=5, num_apples=50, timeouts=[0, 0, 8, 0, 0]) == [1]


@pytest.mark.parametrize(("steps", "most_per_ray", "expected"), [(3, 1, 3), (4, 1, CLEAN), (7, 2, 3), (8, 2, CLEAN)])
def test_a_cleaner_prefers_a_shot_that_cleans_more_unless_it_comes_too_late(
    steps: int, most_per_ray: int, expected: int
) -> None:
    is_in_beam = np.zeros((2, 4, 3, 4), np.float32)  # both posts look north
    is_in_beam[0, 0, 1, 0] = 1
    is_in_beam[1, 0, 0, 1] = is_in_beam[1, 0, 1, 2:] = 1
    posts = Posts(np.zeros((2, 2), np.int32), is_in_beam, most_per_ray)
    state = types.SimpleNamespace(headings=jnp.zeros(1, jnp.int32), waste=jnp.ones(4, bool))
    ways = jnp.asarray([[0, 4 * steps + 3]])  # the second lies to the east
    assert clean_best(posts, state, ways, jnp.ones((1, 2))).tolist() == [expected]
    assert clean_best(posts, state, ways, jnp.array([[0.0, 0.01]])).tolist() == [3]
    assert clean_best(posts, state, ways, jnp.zeros((1, 2))).tolist() == [STAND]


def start_with(env: Any, positions: list[Cell], headings: list[int]) -> Any:
    """A state of `env` in which agents stand at `positions`."""
    start = env.initial_state(jax.random.key(0), env.default_params)
    return start.replace(positions=jnp.asarray(positions), headings=jnp.asarray(headings))


def test_exploitative_fines_when_ready_whom_its_beam_reaches_and_turns_to_whom_it_would() -> None:
    env = Pond(2)
    policy = jax.jit(exploitative(env))
    apple = jnp.asarray((env.apple_cells == [6, 11]).all(1))

    def act(rival: Cell, cooldown: int) -> int:
        state = start_with(env, [(6, 7), rival], [1, 2])
        state = state.replace(apples=apple, cooldowns=jnp.asarray([[cooldown, 0], [0, 0]]))
        return int(policy(jax.random.key(0), state)[0])

    assert act((6, 9), cooldown=0) == FINE
    assert act((5, 7), cooldown=0) == FINE  # beside it: there the ray to its left starts
    assert act((6, 9), cooldown=1) == 0  # to the apple
    assert act((4, 7), cooldown=0) == 4
    assert act((4, 7), cooldown=1) == 0
    assert act((1, 1), cooldown=0) == 0


@pytest.mark.parametrize("make_policy", [greedy, exploitative, cooperative])
def test_agents_that_are_out_stand_and_only_cooperative_cleans_only_exploitative_fines(make_policy: Any) -> None:
    env = make_board("lab2d")
    states = random_states(env, 100)
    actions = act_on(make_policy(env), states, has_cooldowns=True)
    is_out = np.stack([state.timeouts for state in states]) > 0
    assert (actions[is_out] == STAND).all()
    assert (actions == CLEAN).any() == (make_policy is cooperative)
    assert (actions == FINE).any() == (make_policy is exploitative)


# Teams


def play(env: Any, num_cooperators: list[int], num_episodes: int, num_steps: int) -> dict[str, np.ndarray]:
    """Returns and waste cleaned, `[teams, episodes, N]`; in team t the first so many cooperate, the rest are greedy."""
    game, params = EpisodeStatistics(env), env.default_params
    cooperate, defect = cooperative(env), greedy(env)

    def episode(count: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_start, key_policy, key_draw = jax.random.split(key, 3)

        def step(carry: Any, keys: jax.Array) -> Any:
            state, cleaned = carry
            chosen = jnp.arange(env.num_agents) < count
            actions = jnp.where(chosen, cooperate(keys[0], state.env_state), defect(keys[0], state.env_state))
            state, _, _, info = game.transition(game.draw(keys[1], state, params), state, actions, params)
            return (state, cleaned + info["cleaned"]), info["episode_return"]

        keys = jnp.stack([jax.random.split(key, num_steps) for key in (key_policy, key_draw)], axis=1)
        nothing = jnp.zeros(env.num_agents, jnp.int32)
        (_, cleaned), returns = jax.lax.scan(step, (game.initial_state(key_start, params), nothing), keys)
        return returns[-1], cleaned

    keys = jax.random.split(jax.random.key(0), num_episodes)
    batch = jax.jit(jax.vmap(jax.vmap(episode, (None, 0)), (0, None)))
    returns, cleaned = jax.device_get(batch(jnp.asarray(num_cooperators), keys))
    return {"returns": returns, "cleaned": cleaned}


@pytest.mark.slow
def test_the_team_passes_the_best_published_policy_on_the_game_it_was_made_for() -> None:
    env = jaxdilemmas.make("cleanup_gallego", map="full", num_agents=10)
    returns = play(env, [10], num_episodes=2, num_steps=1000)["returns"].mean(-1)
    assert returns.min() > 275  # what the optimised policy of the reference reaches is 144


@pytest.mark.slow
def test_one_agent_of_five_that_cooperates_keeps_the_river_clean_for_the_others() -> None:
    env = jaxdilemmas.make("cleanup")
    found = play(env, [0, 1, 5], num_episodes=2, num_steps=500)
    nobody, one, all_ = found["returns"]
    assert (nobody == 0).all()
    assert (one[:, 1:].mean(1) > 150).all()
    assert (found["cleaned"][1][:, 1:] == 0).all()
    assert (all_.mean(1) > 200).all()


@pytest.mark.parametrize("env_id", ["cleanup", "cleanup_meltingpot", "cleanup_gallego"])
def test_policies_of_a_game_are_found_by_name(env_id: str) -> None:
    assert policies.scripted_policies(jaxdilemmas.make(env_id)) == {
        "random": policies.random,
        "greedy": greedy,
        "exploitative": exploitative,
        "cooperative": cooperative,
    }
