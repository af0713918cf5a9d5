"""Graphs by name are those of networkx, edges are listed in order, and wrong matrices are refused."""

from typing import Any

import networkx
import numpy as np
import pytest

from jaxdilemmas import graphs


def expected(name: str, num_agents: int) -> Any:
    """The same graph by networkx."""
    height, width = {1: (1, 1), 2: (1, 2), 5: (1, 5), 12: (3, 4)}[num_agents]
    made = {
        "complete": networkx.complete_graph(num_agents),
        "empty": networkx.empty_graph(num_agents),
        "ring": networkx.cycle_graph(num_agents) if num_agents > 2 else networkx.path_graph(num_agents),
        "star": networkx.star_graph(num_agents - 1),
        "path": networkx.path_graph(num_agents),
        "grid": networkx.grid_2d_graph(height, width),
        "erdos_renyi": networkx.gnp_random_graph(num_agents, 0.3, seed=5),
        "small_world": networkx.watts_strogatz_graph(num_agents, 4, 0.3, seed=5) if num_agents > 4 else None,
    }
    return made[name]


@pytest.mark.parametrize("num_agents", [1, 2, 5, 12])
@pytest.mark.parametrize("name", ["complete", "empty", "ring", "star", "path", "grid"])
def test_a_graph_by_name_is_that_of_networkx(name: str, num_agents: int) -> None:
    adjacency = graphs.make_graph(name, num_agents)
    assert adjacency.dtype == np.float64
    np.testing.assert_array_equal(adjacency, networkx.to_numpy_array(expected(name, num_agents)))


@pytest.mark.parametrize("name", ["erdos_renyi", "small_world"])
def test_a_random_graph_is_that_of_its_seed(name: str) -> None:
    adjacency = graphs.make_graph(name, 12, probability=0.3, seed=5)
    np.testing.assert_array_equal(adjacency, networkx.to_numpy_array(expected(name, 12)))
    assert (adjacency != graphs.make_graph(name, 12, probability=0.3, seed=6)).any()


def test_options_choose_among_random_graphs() -> None:
    np.testing.assert_array_equal(
        graphs.make_graph("erdos_renyi", 9, probability=1.0), graphs.make_graph("complete", 9)
    )
    np.testing.assert_array_equal(
        graphs.make_graph("small_world", 9, neighbours=2, probability=0), graphs.make_graph("ring", 9)
    )
    assert graphs.make_graph("small_world", 64).sum() == 4 * 64


def test_edges_are_sorted_by_receiver_and_then_by_sender() -> None:
    edges = graphs.edges_of(np.array([[0, 0.5, 2], [0, 0, 0], [1, 0.25, 0]]))
    assert edges.receivers.tolist() == [0, 0, 2, 2]
    assert edges.senders.tolist() == [1, 2, 0, 1]
    assert edges.weights.tolist() == [0.5, 2, 1, 0.25]
    assert [part.dtype for part in edges] == [np.int32, np.int32, np.float32]


def test_a_graph_without_edges_has_empty_lists() -> None:
    assert [part.shape for part in graphs.edges_of(graphs.make_graph("empty", 3))] == [(0,)] * 3


def test_a_matrix_that_fits_is_given_back_as_numbers() -> None:
    adjacency = graphs.check_adjacency("graph", [[0, 2], [0, 0]], num_agents=2)
    assert adjacency.dtype == np.float64 and adjacency.tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[0, 1], [1, 0], [0, 0]], r"links=.* is not allowed: a matrix of numbers, \[N, N\]"),
        ([0, 1], r"a matrix of numbers, \[N, N\]"),
        ([], r"a matrix of numbers, \[N, N\]"),
        ([[0, 1], [0]], r"a matrix of numbers, \[N, N\]"),
        ("ring", r"links='ring' is not allowed: a matrix of numbers"),
        ([[0, -0.5], [1, 0]], r"links\[0, 1\]=-0\.5 is not allowed: weights are finite and at least 0"),
        ([[0, 1], [float("nan"), 0]], r"links\[1, 0\]=nan is not allowed: weights are finite"),
        ([[0, float("inf")], [1, 0]], r"links\[0, 1\]=inf is not allowed: weights are finite"),
        ([[0, 1], [1, 1]], r"links\[1, 1\]=1\.0 is not allowed: the diagonal is 0"),
    ],
)
def test_a_matrix_that_is_no_graph_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graphs.check_adjacency("links", value)


def test_a_matrix_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"links=array.*[^$]*a matrix of numbers, \[3, 3\]"):
        graphs.check_adjacency("links", np.zeros((2, 2)), num_agents=3)


@pytest.mark.parametrize(
    ("name", "num_agents", "options", "message"),
    [
        ("torus", 4, {}, "name='torus' is not allowed: one of complete, empty, ring, star, path, grid, erdos_renyi"),
        (None, 4, {}, "name=None is not allowed"),
        ("ring", 0, {}, "num_agents=0 is not allowed"),
        ("ring", 4, {"seed": 1}, "seed=1 is not allowed: the options of a graph 'ring' are: none"),
        ("erdos_renyi", 4, {"p": 1}, "p=1 is not allowed: the options of a graph 'erdos_renyi' are: probability, seed"),
        ("erdos_renyi", 4, {"probability": 1.5}, r"probability=1\.5 is not allowed: a number from 0 to 1"),
        ("erdos_renyi", 4, {"seed": -1}, "seed=-1 is not allowed"),
        ("small_world", 4, {}, "neighbours=4 is not allowed: an even number from 0 to below the 4 agents"),
        ("small_world", 9, {"neighbours": 3}, "neighbours=3 is not allowed"),
    ],
)
def test_graphs_that_do_not_exist_are_refused(name: Any, num_agents: int, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graphs.make_graph(name, num_agents, **options)
