"""Scripted policies: a plain-Python version on random boards, a recording, and their returns in self-play."""

import json
import pathlib
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import EpisodeStatistics, policies
from jaxdilemmas.environment import Policy
from jaxdilemmas.grid.beams import open_reach
from jaxdilemmas.grid.maps import cells_of, parse_map
from jaxdilemmas.grid.spawning import neighbours_within
from jaxdilemmas.metrics import social_metrics
from jaxdilemmas.policies.gathering import cooperative
from jaxdilemmas.policies.routes import NEVER, SEARCH_ORDER, divide_cells, exploitative, find_ways, greedy
from tests.probes import Probe
from tests.reference import policies as reference
from tests.reference.self_play import play_reference

pytestmark = pytest.mark.usefixtures("quick_compiling")
DATA = pathlib.Path(__file__).parents[1] / "data"
RECORDING = DATA / "gathering_large_n10_bfs_s0.npz"
PUBLISHED = json.loads((DATA / "gallego_selfplay_baselines.json").read_text())
NUM_EPISODES = 24
BOARD = """
@@@@@@@@@@@@@@
@A..@..AA@A@@@
@.A...A..@@@@@
@..@@@@.A...@@
@A..A.@AA.A..@
@@@.AA....@A.@
@@@@@@@@@@@@@@
"""
LAYERS = parse_map(BOARD, {"@": "wall", ".": "floor", "A": "apple"})
WALLS, APPLE_CELLS = LAYERS["wall"], cells_of(LAYERS["apple"])
OPEN_CELLS = cells_of(~WALLS)
NUM_AGENTS, BEAM_LENGTH = 4, 6


def make_board(beam_side: int = 0, is_blocked: bool = True, is_density: bool = False) -> Any:
    """What policies read of an environment, for the board above."""
    reach = open_reach(WALLS if is_blocked else np.zeros_like(WALLS), BEAM_LENGTH, beam_side)
    if not is_blocked:
        reach[:] = BEAM_LENGTH
    env = types.SimpleNamespace(
        walls=WALLS, apple_cells=APPLE_CELLS, num_agents=NUM_AGENTS, beam_reach=reach, beam_side_start=1
    )
    if is_density:
        env.neighbours = neighbours_within(APPLE_CELLS, 2)
    return env


def random_states(num_states: int) -> list[Any]:
    """States on the board above: apples few to many, agents anywhere, in one cell too, every third out."""
    rng = np.random.default_rng(0)
    states = []
    for _ in range(num_states):
        apples = rng.random(len(APPLE_CELLS)) < rng.choice([0.0, 0.1, 0.5, 1.0])
        states.append(
            types.SimpleNamespace(
                walls=WALLS,
                apple_cells=APPLE_CELLS,
                beam_length=BEAM_LENGTH,
                positions=OPEN_CELLS[rng.integers(len(OPEN_CELLS), size=NUM_AGENTS)],
                headings=rng.integers(0, 4, NUM_AGENTS).astype(np.int32),
                timeouts=(rng.integers(1, 9, NUM_AGENTS) * (rng.random(NUM_AGENTS) < 1 / 3)).astype(np.int32),
                apples=apples,
                apple_timers=np.where(apples, 0, rng.integers(1, 26, len(APPLE_CELLS))).astype(np.int32),
            )
        )
    return states


def act_on(policy: Policy, states: list[Any], has_timers: bool = True) -> np.ndarray:
    """The jitted, vmapped actions of a policy, `[states, N]`."""
    fields = ["positions", "headings", "timeouts", "apples"] + ["apple_timers"] * has_timers
    batch = {field: jnp.asarray(np.stack([getattr(state, field) for state in states])) for field in fields}
    keys = jax.random.split(jax.random.key(3), len(states))
    act = jax.jit(jax.vmap(lambda key, leaves: policy(key, types.SimpleNamespace(**leaves))))
    actions = act(keys, batch)
    assert actions.dtype == jnp.int32
    return np.asarray(actions)


@pytest.fixture(scope="module")
def states() -> list[Any]:
    return random_states(400)


@pytest.fixture(scope="module")
def large() -> Any:
    return jaxdilemmas.make("gathering_gallego", map="large", num_agents=10)


class Episodes(NamedTuple):
    """E episodes of one policy in self-play.

    Attributes:
      starts: states, leading axis E.
      keys: `[E, T]` keys of the policy.
      sums: what `EpisodeStatistics` writes to info, after every step, `[E, T, N]` each.
    """

    starts: Any
    keys: jax.Array
    sums: dict[str, np.ndarray]

    def metrics(self, step: int = -1) -> dict[str, np.ndarray]:
        """The four metrics after a step, `[E]` each."""
        values = social_metrics({name: jnp.asarray(sums[:, step]) for name, sums in self.sums.items()})
        return {name: np.asarray(value, np.float64) for name, value in values.items()}


def play(env: Any, makers: dict[str, Callable[[Any], Policy]], num_episodes: int) -> dict[str, Episodes]:
    """Whole episodes of several policies from the same starts, in one program without views."""
    game, params = EpisodeStatistics(env), env.default_params
    choices = [make_policy(env) for make_policy in makers.values()]

    def episode(which: jax.Array, key: jax.Array) -> Any:
        key_start, key_policy, key_draw = jax.random.split(key, 3)
        state = game.initial_state(key_start, params)

        def step(state: Any, keys: jax.Array) -> Any:
            actions = jnp.stack([policy(keys[0], state.env_state) for policy in choices])[which]
            state, _, _, info = game.transition(game.draw(keys[1], state, params), state, actions, params)
            return state, {name: values for name, values in info.items() if name.startswith("episode_")}

        keys = jnp.stack([jax.random.split(key, params.max_steps) for key in (key_policy, key_draw)], axis=1)
        return state.env_state, keys[:, 0], jax.lax.scan(step, state, keys)[1]

    batch = jax.jit(jax.vmap(jax.vmap(episode, (None, 0)), (0, None)))
    starts, keys, sums = batch(jnp.arange(len(choices)), jax.random.split(jax.random.key(0), num_episodes))
    starts, sums = jax.device_get((starts, sums))
    return {
        name: Episodes(*(jax.tree.map(lambda leaf, k=k: leaf[k], tree) for tree in (starts, keys, sums)))
        for k, name in enumerate(makers)
    }


@pytest.fixture(scope="module")
def self_play(large: Any) -> dict[str, Episodes]:
    """Episodes of 1,000 steps of every policy on the large map."""
    return play(large, policies.scripted_policies(large), NUM_EPISODES)


def luck_of(env: Any, name: str, keys: jax.Array) -> np.ndarray:
    """What policies of chance draw from keys `[T]`, `[T, N]`: random its actions, cooperative its sidesteps."""
    if name == "random":
        return np.asarray(jax.vmap(policies.random(env), (0, None))(keys, None))
    return np.asarray(jax.vmap(lambda key: jax.random.randint(key, (env.num_agents,), 0, 8))(keys))


# Ways and territories


def test_ways_are_those_of_a_search_with_the_preferred_first_step() -> None:
    ways = find_ways(WALLS, APPLE_CELLS)
    for start in OPEN_CELLS:
        found = reference.search(WALLS, reference.as_cell(start))
        for a, cell in enumerate(APPLE_CELLS):
            code = ways[start[0] * WALLS.shape[1] + start[1], a]
            if tuple(cell) not in found:
                assert code == NEVER
                continue
            distance, first = found[reference.as_cell(cell)]
            assert code // 4 == distance
            assert first is None or SEARCH_ORDER[code % 4] == first


@pytest.mark.parametrize("num_agents", [1, 2, 3, 7, 10, 20])
def test_territories_have_equal_size_give_or_take_one(num_agents: int) -> None:
    sizes = np.bincount(divide_cells(APPLE_CELLS, num_agents), minlength=num_agents)
    assert sizes.sum() == len(APPLE_CELLS)
    assert len(sizes) == num_agents
    assert sizes.max() - sizes.min() <= 1


# One step, against plain Python


def test_greedy_takes_every_recorded_action_ties_included() -> None:
    recording = np.load(RECORDING)
    env: Any = types.SimpleNamespace(walls=recording["walls"], apple_cells=recording["apple_pos"])
    policy = greedy(env)

    def act(positions: jax.Array, headings: jax.Array, timeouts: jax.Array, apples: jax.Array) -> jax.Array:
        state = types.SimpleNamespace(positions=positions, headings=headings, timeouts=timeouts, apples=apples)
        return policy(jax.random.key(0), state)

    num_steps = len(recording["actions"])
    fields = [jnp.asarray(recording[name][:num_steps]) for name in ("pos", "orient", "timeout", "apple_alive")]
    np.testing.assert_array_equal(jax.jit(jax.vmap(act))(*fields), recording["actions"])


def test_greedy_is_the_python_version(states: list[Any]) -> None:
    expected = [[reference.greedy(state, i) for i in range(NUM_AGENTS)] for state in states]
    np.testing.assert_array_equal(act_on(greedy(make_board()), states), expected)


@pytest.mark.parametrize(("beam_side", "is_blocked"), [(0, True), (0, False), (2, True)])
def test_exploitative_is_the_python_version(states: list[Any], beam_side: int, is_blocked: bool) -> None:
    actions = act_on(exploitative(make_board(beam_side, is_blocked)), states)
    expected = [
        [reference.exploitative(state, i, beam_side, is_blocked) for i in range(NUM_AGENTS)] for state in states
    ]
    np.testing.assert_array_equal(actions, expected)
    assert set(np.unique(actions)) == set(range(8))


@pytest.mark.parametrize("is_density", [False, True])
def test_cooperative_is_the_python_version_or_a_sidestep(states: list[Any], is_density: bool) -> None:
    actions = act_on(cooperative(make_board(is_density=is_density)), states, has_timers=not is_density)
    num_sidesteps = 0
    for state, row in zip(states, actions, strict=True):
        for i, action in enumerate(row):
            expected = reference.cooperative(state, i, is_density=is_density)
            assert action == reference.cooperative(state, i, int(action), is_density) or action == expected
            num_sidesteps += action != expected
    assert num_sidesteps > 0
    assert not (actions == 6).any()


@pytest.mark.parametrize("make_policy", [greedy, exploitative, cooperative])
def test_agents_that_are_out_stand(states: list[Any], make_policy: Callable[[Any], Policy]) -> None:
    is_out = np.stack([state.timeouts for state in states]) > 0
    actions = act_on(make_policy(make_board()), states)
    assert (actions[is_out] == 7).all()
    assert (actions[~is_out] != 7).any()


def test_exploitative_is_greedy_when_the_beam_is_off(states: list[Any]) -> None:
    env = make_board()
    env.beam_enabled = False
    np.testing.assert_array_equal(act_on(exploitative(env), states), act_on(greedy(env), states))


def test_agents_that_block_each_other_step_aside_every_second_time() -> None:
    env: Any = jaxdilemmas.make("gathering")
    state = env.initial_state(jax.random.key(0), env.default_params)
    is_live = (env.apple_cells == [6, 14]).all(1) | (env.apple_cells == [6, 18]).all(1)
    crossing = state.replace(
        positions=jnp.array([[6, 17], [6, 16]]),
        headings=jnp.array([3, 1]),
        apples=jnp.asarray(is_live),
        apple_timers=jnp.where(is_live, 0, 25),
    )
    actions = jax.jit(jax.vmap(cooperative(env), (0, None)))(jax.random.split(jax.random.key(1), 1000), crossing)
    # Straight on without a sidestep (half the time) or by a random one (an eighth), and each other way an eighth.
    rates = np.stack([np.mean(actions == action, axis=0) for action in range(4)])
    np.testing.assert_allclose(rates[0], 5 / 8, atol=0.06)
    np.testing.assert_allclose(rates[1:], 1 / 8, atol=0.05)


# Self-play


@pytest.mark.parametrize("name", ["random", "greedy", "exploitative", "cooperative"])
def test_episodes_are_those_of_the_python_version_under_the_same_luck(self_play: Any, large: Any, name: str) -> None:
    episodes, num_steps = self_play[name], 100
    for k in range(2):
        start = jax.tree.map(lambda leaf, k=k: leaf[k], episodes.starts)
        sums = play_reference(large, name, start, luck_of(large, name, episodes.keys[k, :num_steps]))
        assert sums["episode_return"][-1].sum() > 0
        for sum_, expected in sums.items():
            np.testing.assert_array_equal(episodes.sums[sum_][k, :num_steps], expected, err_msg=f"{sum_}, episode {k}")


@pytest.mark.parametrize(("name", "published"), [("greedy", "bfs"), ("random", "random")])
def test_self_play_reaches_the_published_metrics_of_the_same_policy(self_play: Any, name: str, published: str) -> None:
    seeds = PUBLISHED[f"gathering_large_{published}"]["per_seed"]
    for metric, found in self_play[name].metrics().items():
        expected = np.array([seed[metric] for seed in seeds])
        error = np.sqrt(found.var(ddof=1) / len(found) + expected.var(ddof=1) / len(expected))
        assert abs(found.mean() - expected.mean()) <= 3 * error, metric
        assert error <= 0.1 * expected.mean(), f"{metric}: too few episodes to tell"


def test_exploitative_self_play_costs_peace(self_play: Any) -> None:
    values = self_play["exploitative"].metrics()
    published = PUBLISHED["gathering_large_exploit"]  # whose policy also chases rivals that have one hit
    assert values["efficiency"].mean() > published["efficiency"]
    assert values["peace"].mean() < 5


def test_cooperative_self_play_passes_the_best_published_policy(self_play: Any) -> None:
    values = self_play["cooperative"].metrics()
    assert values["efficiency"].mean() > 4.9  # best published 4.59, the supply 6.2
    assert values["efficiency"].min() > PUBLISHED["gathering_large_coop"]["efficiency"]
    assert values["equality"].min() > 0.85
    assert (values["peace"] == 10).all()


def test_on_gathering_greedy_reaches_477_and_cooperative_nearly_the_ceiling_of_520() -> None:
    env: Any = jaxdilemmas.make("gathering")
    played = play(env, {"greedy": greedy, "cooperative": cooperative}, 8)
    assert played["greedy"].metrics()["efficiency"].min() >= 0.477
    values = played["cooperative"].metrics()["efficiency"]
    assert values.min() >= 0.51
    assert values.max() <= 0.52


def test_in_harvest_an_apple_is_ripe_beside_three_live_ones_at_which_it_comes_back_fastest() -> None:
    env: Any = jaxdilemmas.make("harvest", num_agents=1)
    block = (abs(env.apple_cells - [3, 8]) <= [1, 0]).all(1) | (abs(env.apple_cells - [3, 9]) <= [1, 0]).all(1)
    members = np.flatnonzero(block)
    start = env.initial_state(jax.random.key(0), env.default_params)

    def act(num_apples: int) -> int:
        live = np.isin(np.arange(len(block)), members[:num_apples])
        return int(cooperative(env)(jax.random.key(0), start.replace(apples=jnp.asarray(live)))[0])

    assert env.neighbours[np.ix_(members[:4], members[:4])].sum() == 12  # each of the four beside the other three
    assert act(3) == 7
    assert act(4) < 4


@pytest.mark.parametrize(("env_id", "greed", "restraint"), [("commons", 0.6, 3.0), ("harvest", 0.25, 0.35)])
def test_restraint_keeps_the_commons_alive_where_greed_empties_it(env_id: str, greed: float, restraint: float) -> None:
    env: Any = jaxdilemmas.make(env_id, max_steps=300)
    played = play(env, {"greedy": greedy, "cooperative": cooperative}, 2)
    assert played["greedy"].metrics()["efficiency"].max() < greed  # 88 apples, or 64, few of them twice
    assert played["cooperative"].metrics()["efficiency"].min() > restraint


# Any game


@pytest.mark.parametrize("env_id", ["gathering", "commons", "gathering_gallego", "commons_gallego", "harvest"])
def test_policies_of_a_game_are_found_by_name(env_id: str) -> None:
    env = jaxdilemmas.make(env_id)
    assert policies.scripted_policies(env) == {
        "random": policies.random,
        "greedy": greedy,
        "exploitative": exploitative,
        "cooperative": cooperative,
    }
    state = env.initial_state(jax.random.key(0), env.default_params)
    actions = policies.scripted(env, "greedy")(jax.random.key(1), state)
    np.testing.assert_array_equal(actions, greedy(env)(jax.random.key(1), state))  # type: ignore[arg-type]


def test_a_game_without_policies_of_its_own_can_be_played_at_random() -> None:
    assert policies.scripted_policies(Probe()) == {"random": policies.random}


def test_an_unknown_policy_is_refused_with_the_names_that_exist() -> None:
    known = "Gathering has the policies random, greedy, exploitative, cooperative"
    with pytest.raises(ValueError, match=f"name='gready' is not allowed: {known}"):
        policies.scripted(jaxdilemmas.make("gathering"), "gready")


def test_random_takes_every_action_equally_often(large: Any) -> None:
    policy = jax.jit(jax.vmap(policies.random(large), (0, None)))
    actions = np.asarray(policy(jax.random.split(jax.random.key(0), 4000), None))
    assert actions.shape == (4000, 10)
    assert large.action_space.contains(actions)
    rates = np.stack([np.mean(actions == action, axis=0) for action in range(8)])
    np.testing.assert_allclose(rates, 1 / 8, atol=0.03)
    assert (actions[:, 0] != actions[:, 1]).any()


def two_action_game(num_agents: int) -> Any:
    return jaxdilemmas.make("common_pool", num_agents=num_agents)


@pytest.mark.parametrize("probability", [0.3, [0.0, 0.2, 1.0]])
def test_bernoulli_takes_action_1_as_often_as_asked(probability: Any) -> None:
    policy = jax.jit(jax.vmap(policies.bernoulli(two_action_game(3), probability), (0, None)))
    actions = policy(jax.random.split(jax.random.key(0), 4000), None)
    assert actions.dtype == jnp.int32
    np.testing.assert_allclose(np.mean(actions, axis=0), np.broadcast_to(probability, 3), atol=0.03)


@pytest.mark.parametrize("probability", [-0.1, 1.5, [0.5, 0.5], float("nan")])
def test_a_probability_outside_0_to_1_or_of_a_wrong_shape_is_refused(probability: Any) -> None:
    with pytest.raises(
        ValueError, match=r"probability=.* is not allowed: it must be one number in \[0, 1\] or 3 of them"
    ):
        policies.bernoulli(two_action_game(3), probability)


def test_bernoulli_is_refused_for_a_game_of_eight_actions(large: Any) -> None:
    with pytest.raises(ValueError, match=r"env=.*GatheringGallego.* is not allowed: the game must have two actions"):
        policies.bernoulli(large, 0.5)
