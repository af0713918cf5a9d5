"""Networked agents find known answers, stop or go on where episodes end, and refuse wrong settings."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import networked
from baselines.core.players import play_many
from baselines.core.trainer import Algorithm
from baselines.networking.assembly import assemble
from baselines.networking.networked_rollout import (
    NetworkedPlayers,
    NetworkedRollout,
    choose,
    episode_means,
    play,
)
from baselines.networking.protocols import Links
from baselines.runs.command import train_command
from baselines.trained.load import load_player
from jaxdilemmas.graphs import edges_of, make_graph
from jaxdilemmas.spaces import Box
from jaxdilemmas.wrappers import AutoReset
from tests import probes
from tests.baselines.test_ippo import compile_quickly
from tests.probes import Params, Probe

pytestmark = pytest.mark.usefixtures("quick_compiling")
DATA = Path(__file__).parent.parent / "data" / "common_pool.npz"


class Exchange(Probe):
    """Two agents, each of whom sees what the other would."""

    def observe(self, state: Any, params: Params) -> jax.Array:
        return super().observe(state, params)[::-1]


ENV = Exchange(num_agents=2)
SMALL = networked.Config(
    protocol="commnet",
    reward_sharing=0.5,
    total_env_steps=300 * 16 * 5,
    num_envs=16,
    rollout_steps=5,
    hidden_size=8,
    learning_rate=2e-2,
    discount=0.5,
    entropy_coefficient=0.0,
    value_coefficient=1.0,
    reward_scale=1.0,
)
PROBES = [
    probes.CONSTANT_REWARD,
    probes.DELAYED_REWARD,
    probes.ACTION_MATTERS,
    probes.ACTION_FROM_OBSERVATION,
    probes.ENDLESS_REWARD,
]
CUES = np.array([[0.0, 0.0], [-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


def solve(
    params: list[Params], config: networked.Config, algorithm: Algorithm = networked.ALGORITHM
) -> dict[str, np.ndarray]:
    """Trains on several probes at once: what comes of it, a leading axis over probes.

    `values` and `probabilities` (of action 1) `[P, 5, N]` are those of the first step after the `CUES`.
    """
    network = networked.make_network(config, ENV)

    def train_and_ask(key: jax.Array, params: Params) -> dict[str, Any]:
        train_state, metrics = algorithm.make_train(config, ENV)(key, params)
        network_params, memory = train_state.network_params, network.initial_memory(5)
        gates = network.gates(network_params, memory, jnp.asarray(CUES[:, ::-1, None], jnp.float32))
        after = networked.remember(network, network_params, gates, memory)
        values = network.values(network_params, after.hidden, jnp.argmax(after.policy, axis=-1))
        return metrics | {"values": values, "probabilities": after.policy[..., 1]}

    stacked: Any = jax.tree.map(lambda *leaves: jnp.array(leaves), *params)
    keys = jax.random.split(jax.random.key(0), len(params))
    return jax.tree.map(np.asarray, compile_quickly(jax.vmap(train_and_ask), keys, stacked)(keys, stacked))


@pytest.fixture(scope="module")
def sharing() -> dict[str, np.ndarray]:
    """Agents who read each other's observations and share half of each other's rewards."""
    return solve(PROBES, SMALL)


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    """Agents who read and share nothing."""
    return solve(PROBES, dataclasses.replace(SMALL, protocol="ia2c"))


def test_values_are_of_own_and_shared_rewards(sharing: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(sharing["values"][0, 0], 1.5, atol=0.1)
    np.testing.assert_allclose(alone["values"][0, 0], 1.0, atol=0.1)
    np.testing.assert_array_equal(sharing["episode_return"][0], 1.0)


def test_delayed_reward_is_discounted(sharing: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(sharing["values"][1, 0], 1.5 * SMALL.discount, atol=0.1)
    np.testing.assert_allclose(alone["values"][1, 0], SMALL.discount, atol=0.1)


def test_value_goes_on_past_the_time_limit(sharing: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    """The clock ends an episode of 8 steps amid a rollout of 5."""
    np.testing.assert_allclose(sharing["values"][4, 0], 1.5 / (1 - SMALL.discount), atol=0.15)
    np.testing.assert_allclose(alone["values"][4, 0], 1 / (1 - SMALL.discount), atol=0.15)


def test_the_action_that_pays_is_chosen(sharing: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    assert sharing["probabilities"][2, 0].min() > 0.95
    assert alone["probabilities"][2, 0].min() > 0.95


def test_who_reads_its_neighbour_acts_on_what_only_that_one_sees(sharing: dict[str, np.ndarray]) -> None:
    probabilities = sharing["probabilities"][3]
    assert probabilities[CUES < 0].max() < 0.05
    assert probabilities[CUES > 0].min() > 0.95
    assert sharing["episode_return"][3, -20:].mean() > 0.9


def test_who_reads_nobody_cannot(alone: dict[str, np.ndarray]) -> None:
    probabilities = alone["probabilities"][3]
    np.testing.assert_array_equal(probabilities[1, 0], probabilities[3, 0])  # agent 0 sees -1, its cue is -1 or 1
    assert abs(alone["episode_return"][3, -20:].mean()) < 0.2


@pytest.fixture(scope="module")
def rollouts() -> list[NetworkedRollout]:
    """Two rollouts of five steps on episodes of three."""
    params = Params(length=3, sees_cue=1.0, sees_step=1.0)
    env = Exchange(2, params)
    network = networked.make_network(SMALL, env)
    players = NetworkedPlayers(AutoReset(env, final_observation=True), network)
    state = networked.make_trainer(SMALL, env).init(jax.random.key(0), params)
    carry = state.rollout.replace(env_state=state.rollout.env_state.env_state)

    def play_twice(carry: Any) -> list[NetworkedRollout]:
        carry, first = play(players, state.network_params, params, carry, 5)
        return [first, play(players, state.network_params, params, carry, 5)[1]]

    return compile_quickly(play_twice, carry)(carry)


def test_equality_is_a_mean_over_the_episodes_that_have_one(rollouts: list[NetworkedRollout]) -> None:
    trajectory = rollouts[0]
    ended = trajectory.truncated.at[:].set(False).at[-1].set(True)
    num_envs = ended.shape[1]
    returns = jnp.ones((*ended.shape, 2)).at[-1, 0].set(jnp.array([-3.0, 1.0]))
    info = {"episode_return": returns} | {
        f"episode_{name}": jnp.ones((*ended.shape, 2)) for name in ("length", "reward_steps", "reward_time")
    }
    means = episode_means(trajectory._replace(truncated=ended, terminated=ended, info=info))
    assert float(means["equality"]) == 1  # the other returns of environment 0 add up to less than 0
    np.testing.assert_allclose(means["episode_return"], [(num_envs - 4) / num_envs, 1])
    nothing = episode_means(trajectory._replace(truncated=0 * ended > 0, terminated=0 * ended > 0, info=info))
    assert np.isnan(nothing["episode_return"]).all() and np.isnan(nothing["equality"])


def test_a_rollout_goes_on_with_the_next_episode(rollouts: list[NetworkedRollout]) -> None:
    first, second = rollouts
    np.testing.assert_array_equal(first.starts[:, 0], [1, 0, 0, 1, 0])
    np.testing.assert_array_equal(first.terminated[:, 0], [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(second.starts[:2, 0], [0, 1])
    np.testing.assert_array_equal(abs(second.obs[:2, 0, 0, 0]), [2, 1])
    np.testing.assert_array_equal(first.info["final_obs"][2, 0, 0], 3)


def test_memory_and_fingerprints_start_afresh_with_an_episode(rollouts: list[NetworkedRollout]) -> None:
    for trajectory in rollouts:
        starts = np.asarray(trajectory.starts)
        for memory, fresh in (
            (trajectory.before.hidden, 0),
            (trajectory.before.cell, 0),
            (trajectory.before.policy, 0.5),
        ):
            np.testing.assert_array_equal(memory[starts], fresh)
        goes_on = np.asarray(~trajectory.starts)[1:]
        np.testing.assert_array_equal(trajectory.before.hidden[1:][goes_on], trajectory.after.hidden[:-1][goes_on])
        assert np.all(trajectory.before.hidden[1:][goes_on] != 0)


@pytest.mark.parametrize(("recorded", "alpha"), [("0.0", 0.0), ("0.1", 0.1), ("1.0", 1.0), ("-1.0", 1.0)])
def test_returns_of_own_and_neighbours_rewards_are_those_recorded(recorded: str, alpha: float) -> None:
    data = np.load(DATA)
    names = ("rewards", "values", "dones", "bootstrap", "returns", "advantages")
    rewards, values, dones, bootstrap, returns, advantages = (data[f"returns/alpha{recorded}/{name}"] for name in names)
    config = networked.Config(reward_sharing=alpha, reward_scale=1.0)
    unused: Any = None
    players = NetworkedPlayers(unused, networked.make_network(config, jaxdilemmas.make("common_pool")))
    links = Links(edges_of(make_graph("complete", 4)), 4)
    players = players._replace(network=dataclasses.replace(players.network, links=links))
    learner = networked.Learner(config, players, unused)
    terminated = jnp.array(dones)[:, None]
    trajectory = dict.fromkeys(NetworkedRollout._fields, unused) | {
        "rewards": jnp.array(rewards, jnp.float32)[:, None],
        "terminated": terminated,
        "truncated": terminated & False,
    }
    following = np.concatenate([values[1:], bootstrap[None]])[:, None]
    found = networked.estimate(
        learner, NetworkedRollout(**trajectory), jnp.array(values)[:, None], jnp.array(following)
    )
    np.testing.assert_allclose(found[:, 0].T, advantages, atol=5e-6)
    np.testing.assert_allclose(found[:, 0] + values, returns.T, atol=5e-6)


def test_actions_are_drawn_by_cumulative_probabilities() -> None:
    probabilities = jnp.array([[0.2, 0.5, 0.3]] * 5)
    np.testing.assert_array_equal(choose(probabilities, jnp.array([0.0, 0.19, 0.2, 0.69, 0.999])), [0, 0, 1, 1, 2])


def test_a_team_takes_each_agent_and_the_edges_that_it_receives_from_its_model() -> None:
    edges = edges_of(make_graph("path", 3))  # receivers 0, 1, 1, 2
    models: Any = {
        "agents": {"a": {"bias": jnp.arange(6).reshape(2, 3)}},
        "edges": {"a": {"kernel": jnp.arange(8).reshape(2, 4)}},
    }
    team = assemble(models, jnp.array([1, 0, 1]), edges)
    np.testing.assert_array_equal(team["agents"]["a"]["bias"], [3, 1, 5])
    np.testing.assert_array_equal(team["edges"]["a"]["kernel"], [4, 1, 2, 7])
    with pytest.raises(ValueError, match=r"model_of_agent=.*2.* is not allowed: 3 whole numbers from 0 to 1"):
        assemble(models, jnp.array([1, 0, 2]), edges)


def test_a_run_is_written_and_loaded_to_play(tmp_path: Path) -> None:
    options = ["--env", "common_pool", "--env-kwargs", "max_steps=20", "--protocol", "fprint", "--graph", "path"]
    options += ["--total-env-steps", "60", "--rollout-steps", "10", "--hidden-size", "4"]
    options += ["--runs-dir", str(tmp_path), "--name", "a"]
    train_command(networked.ALGORITHM, options)
    player = load_player(tmp_path / "a")
    outcomes = play_many(player, jax.random.key(0), 2)
    assert outcomes["return"].shape == (2, 4)
    assert np.all(outcomes["return"] >= 0)
    assert player.initial_memory.hidden.shape == (4, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("protocol", "mail"), ("num_envs", 0), ("rollout_steps", 0), ("hidden_size", 0)],
        *[("total_env_steps", 79), ("learning_rate", 0.0), ("max_gradient_norm", float("inf")), ("reward_scale", 0.0)],
        *[("reward_sharing", -1.0), ("entropy_coefficient", float("nan")), ("value_coefficient", -0.5)],
        *[("discount", 1.1)],
    ],
)
def test_settings_that_make_no_sense_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}={value!r} is not allowed"):
        dataclasses.replace(SMALL, **{name: value})


@pytest.mark.parametrize(
    ("adjacency", "message"),
    [
        (np.ones((2, 3)), "adjacency"),
        (np.zeros((3, 3)), "adjacency"),
        ([[0, -1], [1, 0]], "adjacency"),
        ([[0, np.inf], [1, 0]], "adjacency"),
        (np.zeros((2, 2)), "protocol commnet needs at least one edge"),
    ],
)
def test_graphs_that_make_no_sense_are_refused(adjacency: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        networked.make_trainer(SMALL, ENV, adjacency)


def test_unknown_graphs_are_refused() -> None:
    with pytest.raises(ValueError, match="graph='tree' is not allowed: one of complete, empty, ring"):
        dataclasses.replace(SMALL, graph="tree")


def test_agents_alone_need_no_edges() -> None:
    config = dataclasses.replace(SMALL, protocol="ia2c")
    assert networked.make_network(config, ENV, np.zeros((2, 2))).links.senders.shape == (0,)


def test_a_given_graph_takes_the_place_of_the_named_one() -> None:
    links = networked.make_network(SMALL, ENV, [[0, 0], [1, 0]]).links
    np.testing.assert_array_equal([links.senders, links.receivers], [[0], [1]])


def test_games_without_vectors_to_see_or_discrete_actions_are_refused() -> None:
    class Continuous(Probe):
        @property
        def action_space(self) -> Box:
            return Box(-1, 1, ())

    with pytest.raises(ValueError, match="Discrete"):
        networked.make_trainer(SMALL, Continuous(2))
    with pytest.raises(ValueError, match="observation_space"):
        networked.make_trainer(SMALL, jaxdilemmas.make("gathering"))
