"""Common pools on a graph: the slow version, closed forms, the case of one pool, and refused arguments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import graphs, policies
from jaxdilemmas.environment import NoDraws
from jaxdilemmas.envs.common_pool import CommonPool
from jaxdilemmas.envs.common_pool_network import CommonPoolNetwork, State, default_access
from tests.reference.common_pool_network import CommonPoolNetwork as SlowNetwork
from tests.reference.rollouts import Rollout, replay

pytestmark = pytest.mark.usefixtures("quick_compiling")

LOPSIDED = np.array([[0, 1, 0, 0.5], [2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0.0]])
"""Weights between four nodes, another one in each direction."""
SOME = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 1, 0]])
"""Three agents reach two, one and three of them."""


def play(env: CommonPoolNetwork, state: State, actions: Any, **numbers: Any) -> Rollout:
    """Actions `[T, N, ...]` from a state."""
    params = env.default_params.replace(**numbers)
    dtype = np.int32 if env.effort == "discrete" else np.float32

    def step(state: State, joint: jax.Array) -> Any:
        state, rewards, terminated, info = env.transition(NoDraws(), state, joint, params)
        return state, Rollout(state, env.observe(state, params), rewards, terminated, info)

    run = jax.jit(lambda state, actions: jax.lax.scan(step, state, actions)[1])
    return jax.tree.map(np.asarray, run(state, np.asarray(actions, dtype)))


def start(env: CommonPoolNetwork, stocks: Any = None) -> State:
    state = env.initial_state(jax.random.key(0), env.default_params)
    return state if stocks is None else state.replace(stocks=jnp.asarray(stocks, jnp.float32))


def by_node(env: CommonPoolNetwork, actions: np.ndarray) -> list[dict[int, float]]:
    """Each agent's efforts, as the rules say them."""
    places = [nodes[is_place].tolist() for nodes, is_place in zip(env.nodes, env.is_place, strict=True)]
    if env.effort == "discrete":
        return [{nodes[a - 1]: 1.0} if 0 < a <= len(nodes) else {} for nodes, a in zip(places, actions, strict=True)]
    efforts = [np.clip(row[: len(nodes)], 0, 1) for nodes, row in zip(places, actions, strict=True)]
    return [
        dict(zip(nodes, (row / max(row.sum(), 1)).tolist(), strict=True))
        for nodes, row in zip(places, efforts, strict=True)
    ]


@pytest.mark.parametrize("effort", ["discrete", "continuous"])
@pytest.mark.parametrize("harvest", ["proportional", "fixed"])
@pytest.mark.parametrize("regrowth", ["logistic", "constant"])
def test_random_episodes_are_those_of_the_slow_version(effort: Any, harvest: Any, regrowth: Any) -> None:
    numbers = {
        "regrowth_rate": 0.5 if regrowth == "logistic" else 0.03,
        "initial_stock": 0.6,
        "capacity": 0.9,
        "collapse_threshold": 0.1,
        "diffusion": 0.05,
        "catchability": 0.45 if harvest == "proportional" else 0.2,
        "price": 1.5,
        "cost": 0.01,
    }
    env = CommonPoolNetwork(3, LOPSIDED, None, SOME, effort, harvest, regrowth, **numbers)
    slow = SlowNetwork(LOPSIDED, SOME, harvest, regrowth, **numbers)
    rng = np.random.default_rng(0)
    shape = (80, 3) if effort == "discrete" else (80, 3, 3)
    actions = rng.integers(-1, 5, shape) if effort == "discrete" else rng.uniform(-0.2, 1.1, shape).astype(np.float32)
    rollout = play(env, start(env), actions)
    lowest = []
    for t, joint in enumerate(actions):
        efforts = by_node(env, joint)
        rewards, is_over = slow.step(efforts)
        np.testing.assert_allclose(rollout.states.stocks[t], slow.stocks, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(rollout.rewards[t], rewards, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(rollout.obs[t], slow.observe(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(rollout.info["effort"][t], [sum(e.values()) for e in efforts], atol=1e-6)
        assert rollout.terminated[t] == is_over
        lowest.append(min(slow.stocks))
    assert min(lowest) <= 0.1 < max(lowest)  # nodes collapse and stocks flow back


@pytest.mark.parametrize("num_agents", [1, 4, 5])
def test_on_one_node_with_constant_regrowth_and_fixed_takes_it_is_the_common_pool_bit_by_bit(num_agents: int) -> None:
    pool = CommonPool(num_agents)
    numbers = {"regrowth_rate": 0.055, "catchability": 0.1 / num_agents}
    node = CommonPoolNetwork(num_agents, "empty", 1, None, "discrete", "fixed", "constant", **numbers)
    assert node.observation_space == pool.observation_space and node.action_space == pool.action_space
    for seed, share in enumerate((0.3, 0.6, 0.8, 1.0)):
        actions = (np.random.default_rng(seed).random((300, num_agents)) < share).astype(np.int32)
        rollouts = [
            replay(env, env.initial_state(jax.random.key(0), env.default_params), NoDraws(), actions)
            for env in (pool, node)
        ]
        ended = rollouts[0].terminated
        length = int(ended.argmax()) + 1 if ended.any() else 300
        assert ended.any() == (share >= 0.6)
        for part in ("obs", "rewards", "terminated"):
            np.testing.assert_array_equal(*(getattr(rollout, part)[:length] for rollout in rollouts))


# Closed forms


def one_node(effort: Any = "continuous", **numbers: Any) -> CommonPoolNetwork:
    return CommonPoolNetwork(1, "empty", effort=effort, **numbers)


def test_the_most_that_an_isolated_node_yields_for_ever_is_a_quarter_of_rate_times_capacity() -> None:
    env, rate, capacity = one_node(regrowth_rate=0.4, capacity=2.0, catchability=0.5, max_steps=3000), 0.4, 2.0
    efforts = np.linspace(0.02, 0.6, 59).astype(np.float32)

    def harvest(effort: jax.Array) -> jax.Array:
        def step(state: State, unused: None) -> Any:
            state, _, _, info = env.transition(NoDraws(), state, jnp.full((1, 1), effort), env.default_params)
            return state, info["harvest"][0]

        return jax.lax.scan(step, start(env), length=3000)[1][-1]

    yields = np.asarray(jax.jit(jax.vmap(harvest))(efforts))
    best = (rate / 4) / (0.5 + rate / 4) / 0.5  # leaves capacity / 2, which grows by rate * capacity / 4
    np.testing.assert_allclose(yields.max(), rate * capacity / 4, rtol=1e-3)
    np.testing.assert_allclose(efforts[yields.argmax()], best, atol=0.01)


def test_a_fixed_harvest_of_the_most_lasts_and_a_little_more_does_not() -> None:
    for factor, is_lasting in ((0.99, True), (1.01, False)):
        env = one_node("discrete", harvest="fixed", regrowth_rate=0.4, catchability=factor * 0.1)
        stocks = play(env, start(env, [0.6]), np.ones((2000, 1))).states.stocks
        assert (stocks[-1] > 0.4) == is_lasting


def test_without_growth_and_harvest_flows_conserve_the_stocks_and_level_them() -> None:
    env = CommonPoolNetwork(6, "ring", diffusion=0.2)
    stocks = np.array([1, 0.9, 0, 0, 0.3, 0.2])
    rollout = play(env, start(env, stocks), np.zeros((200, 6)), regrowth_rate=0.0)
    np.testing.assert_allclose(rollout.states.stocks.sum(1), stocks.sum(), rtol=1e-5)
    np.testing.assert_allclose(rollout.states.stocks[-1], 0.4, atol=1e-4)


def test_flows_between_unequal_weights_conserve_the_stocks_too() -> None:
    env = CommonPoolNetwork(4, LOPSIDED, diffusion=0.1, capacity=100.0)
    rollout = play(env, start(env, [50, 3, 0, 20]), np.zeros((50, 4)), regrowth_rate=0.0)
    np.testing.assert_allclose(rollout.states.stocks.sum(1), 73, rtol=1e-5)
    first = 50 + 0.1 * (1 * 3 + 0.5 * 20 - 2 * 50)  # node 0 receives from 1 and 3 and sends to 1
    np.testing.assert_allclose(rollout.states.stocks[0, 0], first, rtol=1e-5)


def test_at_the_open_access_stock_effort_earns_nothing() -> None:
    env = one_node(price=2.0, cost=0.1, catchability=0.25)
    stocks, efforts = np.meshgrid([0.15, 0.2, 0.25], [0.1, 0.5, 1.0])

    def earn(stock: jax.Array, effort: jax.Array) -> jax.Array:
        state = start(env).replace(stocks=stock[None])
        return env.transition(NoDraws(), state, effort.reshape(1, 1), env.default_params)[1][0]

    rewards = jax.jit(jax.vmap(jax.vmap(earn)))(stocks.astype(np.float32), efforts.astype(np.float32))
    np.testing.assert_allclose(rewards[:, 1], 0, atol=1e-7)
    assert (rewards[:, 0] < -1e-3).all() and (rewards[:, 2] > 1e-3).all()


def test_effort_that_follows_profit_settles_at_the_open_access_stock_of_cost_over_price_times_catchability() -> None:
    env = one_node(price=2.0, cost=0.1, catchability=0.25, regrowth_rate=0.3)

    def step(carry: tuple[State, jax.Array], unused: None) -> Any:
        state, effort = carry
        state, rewards, *_ = env.transition(NoDraws(), state, jnp.full((1, 1), effort), env.default_params)
        profit = rewards[0] / effort
        return (state, jnp.clip(effort + 0.1 * profit, 0.01, 1.0)), (state.stocks[0], profit)

    stocks, profits = jax.jit(lambda: jax.lax.scan(step, (start(env), jnp.float32(0.1)), length=3000)[1])()
    np.testing.assert_allclose(stocks[-1], 0.1 / (2.0 * 0.25), rtol=1e-3)
    np.testing.assert_allclose(profits[-1], 0, atol=1e-5)


# Rules


def test_agents_who_overfish_a_node_get_nothing_there_and_pay_for_their_effort() -> None:
    access = [[1, 1], [1, 0], [0, 1]]
    env = CommonPoolNetwork(3, "empty", 2, access, catchability=0.6, cost=0.05, regrowth_rate=0.1)
    rollout = play(env, start(env), [[1, 1, 2], [2, 0, 1], [1, 1, 1]])
    np.testing.assert_allclose(rollout.rewards[0], [-0.05, -0.05, 0])  # agent 2 has no second place
    np.testing.assert_allclose(rollout.states.stocks[0], [0.5 - 0.6, 0.5 + 0.1 * 0.25], rtol=1e-6)
    assert rollout.rewards[1].tolist() == pytest.approx([-0.05, 0, -0.05])
    assert rollout.terminated.tolist() == [False, True, True]
    np.testing.assert_array_equal(rollout.states.stocks[2], rollout.states.stocks[1])  # what is gone stays as it is


def test_a_collapsed_node_comes_back_when_enough_flows_in() -> None:
    env = CommonPoolNetwork(2, "path", collapse_threshold=0.1, diffusion=0.05, regrowth_rate=0.2)
    stocks = play(env, start(env, [0.0, 0.9]), np.zeros((40, 2))).states.stocks[:, 0]
    np.testing.assert_allclose(stocks[0], 0.05 * (0.9 + 0.2 * 0.9 * 0.1), rtol=1e-5)
    assert stocks[0] < 0.1 and stocks[-1] > 0.9


def test_more_than_one_unit_of_effort_is_scaled_down_to_one() -> None:
    env = CommonPoolNetwork(1, "empty", 2, [[1, 1]], "continuous", catchability=0.1)
    rollout = play(env, start(env), [[[1.0, 1.0]], [[0.3, 0.2]]])
    np.testing.assert_allclose(rollout.info["effort"][:, 0], [1, 0.5])
    np.testing.assert_allclose(rollout.info["harvest"][0, 0], 0.1 * 0.5)


def test_agents_see_the_stocks_that_they_reach_and_zeros_up_to_the_most_that_anybody_reaches() -> None:
    env = CommonPoolNetwork(3, LOPSIDED, access=SOME)
    state = start(env, [0.1, 0.2, 0.3, 0.4]).replace(taken=jnp.array([1.0, 2.0, 3.0]))
    seen = env.observe(state, env.default_params)
    np.testing.assert_allclose(seen, [[0.1, 0.4, 0, 1], [0.3, 0, 0, 2], [0.1, 0.2, 0.3, 3]])
    assert env.observation_space.shape == (4,)
    assert env.action_space == jaxdilemmas.Discrete(4)
    continuous = CommonPoolNetwork(3, LOPSIDED, access=SOME, effort="continuous")
    assert continuous.action_space == jaxdilemmas.Box(0.0, 1.0, (3,))


def test_by_default_agents_reach_a_node_of_their_own_and_its_neighbours() -> None:
    env: Any = jaxdilemmas.make("common_pool_network", num_agents=7, graph="path", num_nodes=3)
    assert [nodes[is_place].tolist() for nodes, is_place in zip(env.nodes, env.is_place, strict=True)] == [
        [0, 1],
        [0, 1, 2],
        [1, 2],
        [0, 1],
        [0, 1, 2],
        [1, 2],
        [0, 1],
    ]
    downstream = default_access(np.array([[0, 0], [1.0, 0]]), 2)
    assert downstream.all()


@pytest.mark.parametrize("name", ["complete", "empty", "ring", "star", "path", "grid", "erdos_renyi", "small_world"])
def test_stocks_flow_along_any_graph_and_agents_reach_along_it(name: str) -> None:
    adjacency = graphs.make_graph(name, 6)
    env = CommonPoolNetwork(6, name)
    np.testing.assert_array_equal(np.array(env.flows[:2])[::-1], np.nonzero(adjacency))
    np.testing.assert_array_equal(np.array(env.reach[:2])[::-1], np.nonzero(adjacency + np.eye(6)))


def test_work_grows_with_agents_and_edges_and_not_with_their_product() -> None:
    operations = []
    for num_agents in (64, 1024):
        env = CommonPoolNetwork(num_agents)
        step = jax.jit(lambda state, actions, env=env: env.transition(NoDraws(), state, actions, env.default_params))
        compiled: Any = step.lower(start(env), jnp.zeros(num_agents, jnp.int32)).compile()
        operations.append(compiled.cost_analysis()["flops"])
    assert operations[1] < 20 * operations[0]


# Policies


@pytest.mark.parametrize("effort", ["discrete", "continuous"])
def test_scripted_agents_work_at_their_richest_node_or_wait(effort: Any) -> None:
    env = CommonPoolNetwork(3, LOPSIDED, access=SOME, effort=effort, cost=0.05)  # breaks even at a stock of 0.25
    state = start(env, [0.3, 0.2, 0.1, 0.6])
    places = {"cooperative": [2, 0, 0], "exploitative": [2, 0, 1]}
    for name, expected in places.items():
        actions = np.asarray(policies.scripted(env, name)(jax.random.key(0), state))
        if effort == "continuous":
            actions = np.where(actions.any(-1), actions.argmax(-1) + 1, 0)
        assert actions.tolist() == expected


@pytest.mark.parametrize("harvest", ["proportional", "fixed"])
def test_cooperative_agents_earn_many_times_what_exploitative_ones_do(harvest: Any) -> None:
    catchability = 0.2 if harvest == "proportional" else 0.1
    env = CommonPoolNetwork(4, harvest=harvest, catchability=catchability, cost=0.01, max_steps=400)

    def total(name: str) -> float:
        policy = policies.scripted(env, name)

        def step(state: State, key: jax.Array) -> Any:
            state, rewards, *_ = env.transition(NoDraws(), state, policy(key, state), env.default_params)
            return state, rewards.sum()

        keys = jax.random.split(jax.random.key(0), 400)
        return float(jax.jit(lambda: jax.lax.scan(step, start(env), keys)[1].sum())())

    assert total("cooperative") > 5 * total("exploitative")
    assert total("cooperative") > 0.7 * 4 * 400 * (0.2 / 4 - 0.01 / 4)


def test_fixed_harvests_that_cost_more_than_they_earn_are_left_alone() -> None:
    env = CommonPoolNetwork(2, harvest="fixed", catchability=0.1, cost=0.2)
    assert (policies.scripted(env, "exploitative")(jax.random.key(0), start(env)) == 0).all()


# What is refused


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"num_agents": 0}, "num_agents=0 is not allowed"),
        ({"num_nodes": 0}, "num_nodes=0 is not allowed"),
        ({"graph": "torus"}, "graph='torus' is not allowed: one of complete, empty, ring"),
        ({"graph": [[0, 1]]}, r"graph=.* is not allowed: a matrix of numbers, \[N, N\]"),
        ({"graph": np.eye(3) * 0, "num_nodes": 4}, r"a matrix of numbers, \[4, 4\]"),
        ({"graph": [[0, -1], [1, 0]]}, r"graph\[0, 1\]=-1\.0 is not allowed: weights are finite and at least 0"),
        ({"access": [[1, 0, 0, 0]] * 3}, "0 or 1 for each of 4 agents and 4 nodes"),
        ({"access": np.full((4, 4), 0.5)}, "0 or 1 for each of 4 agents and 4 nodes"),
        ({"access": [[1], [1, 0]]}, "access=.* is not allowed"),
        ({"access": np.diag([1, 0, 1, 0])}, r"every agent reaches a node, but agents \[1, 3\] reach none"),
        ({"effort": "some"}, "effort='some' is not allowed: one of discrete, continuous"),
        ({"harvest": "all"}, "harvest='all' is not allowed: one of proportional, fixed"),
        ({"regrowth": "linear"}, "regrowth='linear' is not allowed: one of logistic, constant"),
        ({"regrowth_rate": 1.5}, r"regrowth_rate=1\.5 is not allowed"),
        ({"capacity": 0}, "capacity=0 is not allowed"),
        ({"initial_stock": 1.5}, r"initial_stock=1\.5 is not allowed: a number above 0 and at most 1\.0"),
        ({"catchability": 1.5}, r"catchability=1\.5 is not allowed"),
        ({"price": float("nan")}, "price=nan is not allowed"),
        ({"cost": -1}, "cost=-1 is not allowed"),
        ({"collapse_threshold": 0.5}, r"collapse_threshold=0\.5 is not allowed: below the initial stock, 0\.5"),
        ({"diffusion": 0.6}, r"diffusion=0\.6 is not allowed: .* it would be 1\.2 times the stock of one node"),
        ({"max_steps": 2.5}, r"max_steps=2\.5 is not allowed"),
        ({"yield": 1}, "unknown keyword 'yield' with value 1 for CommonPoolNetwork"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("common_pool_network", **bad)
