"""Protocols of communication: which agents depend on which, layers on neighbours, and gradients through time."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines.networking.networked_rollout import NetworkedRollout, pull_back, remember
from baselines.networking.protocols import PROTOCOLS, Links, Memory, Network, ProtocolName, cut
from jaxdilemmas.graphs import edges_of, make_graph
from tests.baselines.test_ippo import compile_quickly

READS = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]])
"""A path of four agents on which the last reads nobody."""

SEES: set[ProtocolName] = {"na2c", "fprint", "dial", "commnet", "neurcomm"}
TALKS: set[ProtocolName] = {"fprint", "dial", "commnet", "neurcomm"}


def network_of(name: ProtocolName, graph: np.ndarray = READS) -> Network:
    protocol = PROTOCOLS[name]
    links = Links(edges_of(graph * float(protocol.has_neighbours)), len(graph))
    return Network(protocol, links, obs_size=3, num_actions=2, hidden_size=8)


def draw_params(network: Network) -> Any:
    """Biases are not 0, so that no path through the network is closed by chance."""
    layers: Any = jax.eval_shape(network.init, jax.random.key(0))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(generator.normal(0, 0.5, leaf.shape), jnp.float32), layers)


def unroll(network: Network, params: Any, obs: jax.Array, starts: jax.Array) -> tuple[Memory, jax.Array, Memory]:
    """Memory before each step, inputs of the gates, and memory after it, leading axes `[T, 1]`."""
    fresh = network.initial_memory(1)

    def step(memory: Memory, now: Any) -> tuple[Memory, tuple[Memory, jax.Array, Memory]]:
        obs, is_start = now
        before = jax.tree.map(lambda new, old: jnp.where(is_start, new, old), fresh, memory)
        gates = network.gates(params, before, obs)
        after = remember(network, params, gates, before)
        return after, (before, gates, after)

    return jax.lax.scan(step, fresh, (obs, starts))[1]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_agents_choice_depends_on_those_whom_its_protocol_lets_it_hear_of(name: ProtocolName) -> None:
    network = network_of(name)
    params, obs = draw_params(network), jax.random.normal(jax.random.key(1), (3, 4, 3))

    def choices(obs: jax.Array) -> jax.Array:
        return unroll(network, params, obs[:, None], jnp.zeros(3, bool))[2].policy[:, 0, :, 1]

    # [t, agent, t of what is seen, who sees it]
    influence = np.abs(compile_quickly(jax.jacobian(choices), obs)(obs)).sum(-1)
    now = np.eye(4, dtype=int) + READS * (name in SEES)
    step_later = now + READS @ now * (name in TALKS)
    two_steps_later = step_later + READS @ step_later * (name in TALKS)
    for t in range(3):
        for delay, expected in enumerate((now, step_later, two_steps_later)[: t + 1]):
            np.testing.assert_array_equal(influence[t, :, t - delay] > 0, expected > 0, f"{delay} steps later")
        np.testing.assert_array_equal(influence[t, :, t + 1 :], 0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_only_the_critics_of_networked_agents_know_what_neighbours_do(name: ProtocolName) -> None:
    network = network_of(name)
    params, hidden = draw_params(network), jax.random.normal(jax.random.key(1), (4, 8))
    before = network.values(params, hidden, jnp.zeros(4, jnp.int32))
    changed = [network.values(params, hidden, jnp.eye(4, dtype=jnp.int32)[j]) != before for j in range(4)]
    np.testing.assert_array_equal(np.stack(changed, axis=1), READS * (name != "ia2c") > 0)


@pytest.mark.parametrize("graph", [READS, make_graph("ring", 5), make_graph("complete", 3)])
def test_edges_apply_the_layer_on_concatenated_neighbours(graph: np.ndarray) -> None:
    links = Links(edges_of(graph), len(graph))
    kernels = jax.random.normal(jax.random.key(0), (len(links.senders), 2, 3))
    x = jax.random.normal(jax.random.key(1), (6, len(graph), 2))
    sent = links.send(kernels, x)
    for i in range(len(graph)):
        neighbours = np.flatnonzero(graph[i])
        layer = np.asarray(kernels)[links.receivers == i].reshape(-1, 3)
        expected = np.asarray(x)[:, neighbours].reshape(6, -1) @ layer
        np.testing.assert_allclose(sent[:, i], expected, atol=1e-5)
        mean = np.asarray(x)[:, neighbours].sum(1) / max(len(neighbours), 1)
        np.testing.assert_allclose(links.mean(x)[:, i], mean, atol=1e-6)


@pytest.mark.parametrize("graph", [READS, make_graph("ring", 5)])
def test_the_gradient_of_picking_senders_is_that_of_indexing(graph: np.ndarray) -> None:
    links = Links(edges_of(graph), len(graph))
    weights = jax.random.normal(jax.random.key(0), (len(links.senders), 2))
    x = jnp.ones((len(graph), 2))
    found = jax.grad(lambda x: jnp.sum(weights * links.gather(x)))(x)
    np.testing.assert_allclose(found, jax.grad(lambda x: jnp.sum(weights * x[links.senders]))(x), atol=1e-6)


def test_rewards_are_shared_by_the_weights_of_the_graph() -> None:
    graph = np.array([[0, 2, 0], [1, 0, 0.5], [0, 0, 0]])
    shared = Links(edges_of(graph), 3).share(jnp.array([1.0, 10.0, 100.0]), alpha=0.1)
    np.testing.assert_allclose(shared, [1 + 0.1 * 20, 10 + 0.1 * (1 + 50), 100], rtol=1e-6)


def test_consensus_takes_the_mean_of_the_memory_before_over_oneself_and_neighbours() -> None:
    network = network_of("consenet")
    params = draw_params(network)
    agreed = network.agree(params)["agents"]
    for name, parts in params["agents"].items():
        for part, old in parts.items():
            means = [(old[0] + old[1]) / 2, (old[0] + old[1] + old[2]) / 3, (old[1] + old[2] + old[3]) / 3, old[3]]
            expected = jnp.stack(means) if name.startswith("gates") else old
            np.testing.assert_allclose(agreed[name][part], expected, atol=1e-6)


def test_without_consensus_parameters_stay() -> None:
    network = network_of("neurcomm")
    params = draw_params(network)
    assert network.agree(params) is params


def deaf(network: Network) -> Network:
    """The same network, but no gradient flows through fingerprints."""

    class Deaf(Network):
        def gates(self, params: Any, memory: Memory, obs: jax.Array) -> jax.Array:
            return super().gates(params, memory._replace(policy=jax.lax.stop_gradient(memory.policy)), obs)

    return Deaf(**{field.name: getattr(network, field.name) for field in dataclasses.fields(network)})


@pytest.mark.parametrize("name", ["fprint", "dial", "neurcomm"])
def test_going_back_through_time_gives_the_gradient_of_the_scan(name: ProtocolName) -> None:
    network = network_of(name)
    params = draw_params(network)
    obs = jax.random.normal(jax.random.key(1), (4, 1, 4, 3))
    in_hidden = jax.random.normal(jax.random.key(2), (4, 1, 4, 8))
    starts = jnp.array([True, False, True, False])

    def weighted(params: Any) -> jax.Array:
        return jnp.sum(in_hidden * unroll(deaf(network), params, obs, starts)[2].hidden)

    def both(params: Any) -> tuple[Any, Any]:
        before, gates, _ = unroll(network, params, obs, starts)
        read: dict[str, Any] = {"starts": starts[:, None], "before": before, "gates": gates, "obs": obs}
        fields: dict[str, Any] = dict.fromkeys(NetworkedRollout._fields) | read
        trajectory = NetworkedRollout(**fields)
        return jax.grad(weighted)(params), pull_back(network, params, trajectory, in_hidden)

    expected, found = compile_quickly(both, params)(params)
    for wanted, gradient in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(gradient, wanted, atol=1e-4)
    assert np.all(np.abs(found["agents"]["gates_from_hidden"]["kernel"]).sum((1, 2)) > 0)


def test_each_agents_gradient_is_cut_with_those_of_edges_that_it_receives() -> None:
    links = Links(edges_of(np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])), 3)
    agents, edges = jnp.array([[3.0], [0.3], [2.0]]), jnp.array([[4.0], [0.0], [0.4]])
    found: Any = cut(links, {"agents": {"a": {"kernel": agents}}, "edges": {"a": {"kernel": edges}}}, max_norm=1.0)
    np.testing.assert_allclose(found["agents"]["a"]["kernel"], [[0.6], [0.3], [1.0]], rtol=1e-5)
    np.testing.assert_allclose(found["edges"]["a"]["kernel"], [[0.8], [0.0], [0.4]], rtol=1e-5)


def test_agents_without_gradients_are_left_alone() -> None:
    links = Links(edges_of(np.zeros((2, 2))), 2)
    found: Any = cut(links, {"agents": {"a": {"bias": jnp.zeros((2, 3))}}, "edges": {}}, max_norm=1.0)
    np.testing.assert_array_equal(found["agents"]["a"]["bias"], 0)


def test_kernels_start_with_a_scale_that_keeps_the_size_of_what_is_read() -> None:
    network = Network(PROTOCOLS["neurcomm"], Links(edges_of(READS), 4), obs_size=3, num_actions=2, hidden_size=64)
    edges = compile_quickly(network.init, jax.random.key(0))(jax.random.key(0))["edges"]
    deviations = np.asarray(edges["mix"]["kernel"]).std((1, 2))
    # agent 0 reads itself and one neighbour, agents 1 and 2 themselves and two
    np.testing.assert_allclose(deviations, np.sqrt(2 / (64 * np.array([2, 3, 3, 3, 3]))), rtol=0.05)
