"""Graphs of agents: adjacency matrices by name, checks of matrices, and lists of edges.

`adjacency[i, j] > 0` means that i reads, minds or receives from j; the user decides on the meaning of a weight. All
functions use NumPy and run before anything is compiled. Random graphs need networkx: `pip install -e ".[graphs]"`.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxdilemmas.arguments import (
    check_choice,
    check_count,
    check_num_agents,
    check_number,
    is_count,
    numbers_from,
    require,
)


class Edges(NamedTuple):
    """The entries above 0 of a matrix, row by row: sorted by receiver, then by sender.

    Attributes:
      senders: `[E]` int32, columns.
      receivers: `[E]` int32, rows.
      weights: `[E]` float32.
    """

    senders: np.ndarray
    receivers: np.ndarray
    weights: np.ndarray


def edges_of(adjacency: np.ndarray) -> Edges:
    """Returns the edges of a matrix `[receivers, senders]` without negative entries.

    Raises:
      ValueError: `adjacency` is not a matrix of finite numbers of at least 0.
    """
    matrix = numbers_from(adjacency)
    is_matrix = matrix is not None and matrix.ndim == 2 and bool((np.isfinite(matrix) & (matrix >= 0)).all())
    require(is_matrix, "adjacency", adjacency, "a matrix [receivers, senders] of finite numbers of at least 0")
    adjacency = np.asarray(adjacency)
    receivers, senders = np.nonzero(adjacency)
    weights = adjacency[receivers, senders].astype(np.float32)
    return Edges(senders.astype(np.int32), receivers.astype(np.int32), weights)


def check_adjacency(argument_name: str, value: Any, num_agents: int | None = None) -> np.ndarray:
    """Checks an adjacency matrix from a user and returns it as an array.

    Args:
      argument_name: the user's name of the matrix, for errors.
      value: any value that NumPy can turn into a matrix.
      num_agents: N, or None if it is not known.

    Returns:
      `[N, N]` float64.

    Raises:
      ValueError: the value is not a square matrix of numbers or has another size, a weight is negative or not finite,
        or an agent has an edge to itself. Also if `argument_name` is not a string or `num_agents` is not a number of
        agents.
    """
    require(isinstance(argument_name, str), "argument_name", argument_name, "a string, the user's name of the matrix")
    if num_agents is not None:
        check_num_agents(num_agents)
    numbers = numbers_from(value)
    adjacency = np.empty(0) if numbers is None else numbers
    is_square = adjacency.ndim == 2 and adjacency.shape[0] == adjacency.shape[1] > 0
    size = "[N, N]" if num_agents is None else f"[{num_agents}, {num_agents}]"
    require(is_square and num_agents in (None, len(adjacency)), argument_name, value, f"a matrix of numbers, {size}")
    is_weight = np.isfinite(adjacency) & (adjacency >= 0)
    _require_everywhere(is_weight, argument_name, adjacency, "weights are finite and at least 0")
    is_loop = (adjacency > 0) & np.eye(len(adjacency), dtype=bool)
    _require_everywhere(~is_loop, argument_name, adjacency, "the diagonal is 0, no agent is connected to itself")
    return adjacency


def _require_everywhere(is_fit: np.ndarray, argument_name: str, matrix: np.ndarray, allowed: str) -> None:
    """Raises a ValueError that names the first entry that is not allowed."""
    row, col = np.unravel_index(np.argmin(is_fit), is_fit.shape)
    require(bool(is_fit.all()), f"{argument_name}[{row}, {col}]", float(matrix[row, col]), allowed)


def make_graph(name: str, num_agents: int, **options: Any) -> np.ndarray:
    """Builds an undirected graph by its name.

    Args:
      name: "complete", "empty", "ring", "star" (around agent 0), "path", "grid" (row by row, as square as N allows),
        "erdos_renyi" (every pair with the same `probability`) or "small_world" (Watts and Strogatz 1998: a ring in
        which each agent is connected to its `neighbours` nearest agents, and every edge is moved with a `probability`).
      num_agents: N.
      **options: `probability` and `seed` of a random graph, `neighbours` of a small world.

    Returns:
      `[N, N]` float64, symmetric: 1 where there is an edge and 0 elsewhere, also on the diagonal.

    Raises:
      ValueError: the name or an option is unknown, or a value is not allowed.
    """
    check_choice("name", name, GRAPHS)
    num_agents = check_num_agents(num_agents)
    maker = _MAKERS[name]
    known = list(inspect.signature(maker).parameters)[1:]
    for option, value in options.items():
        require(option in known, option, value, f"the options of a graph {name!r} are: {', '.join(known) or 'none'}")
    return maker(num_agents, **options)


def _connect(num_agents: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Edges in both directions between agents `[E]` and other agents `[E]`."""
    adjacency = np.zeros((num_agents, num_agents))
    adjacency[first, second] = adjacency[second, first] = 1.0
    return adjacency


def _complete(num_agents: int) -> np.ndarray:
    return 1.0 - np.eye(num_agents)


def _empty(num_agents: int) -> np.ndarray:
    return np.zeros((num_agents, num_agents))


def _path(num_agents: int) -> np.ndarray:
    return np.eye(num_agents, k=1) + np.eye(num_agents, k=-1)


def _ring(num_agents: int) -> np.ndarray:
    ends = np.array([0, num_agents - 1])
    return np.maximum(_path(num_agents), _connect(num_agents, ends, ends[::-1])) * _complete(num_agents)


def _star(num_agents: int) -> np.ndarray:
    others = np.arange(1, num_agents)
    return _connect(num_agents, np.zeros_like(others), others)


def _grid(num_agents: int) -> np.ndarray:
    height = max(rows for rows in range(1, int(num_agents**0.5) + 1) if num_agents % rows == 0)
    agents = np.arange(num_agents).reshape(height, -1)
    first = np.concatenate([agents[:-1].ravel(), agents[:, :-1].ravel()])
    second = np.concatenate([agents[1:].ravel(), agents[:, 1:].ravel()])
    return _connect(num_agents, first, second)


def _erdos_renyi(num_agents: int, probability: float = 0.5, seed: int = 0) -> np.ndarray:
    import networkx

    seed = _check_random(probability, seed)
    return _as_matrix(networkx.gnp_random_graph(num_agents, probability, seed=seed))


def _small_world(num_agents: int, neighbours: int = 4, probability: float = 0.1, seed: int = 0) -> np.ndarray:
    import networkx

    seed = _check_random(probability, seed)
    is_even = is_count(neighbours, least=0) and neighbours % 2 == 0 and neighbours < num_agents
    require(is_even, "neighbours", neighbours, f"an even number from 0 to below the {num_agents} agents")
    return _as_matrix(networkx.watts_strogatz_graph(num_agents, neighbours, probability, seed=seed))


def _check_random(probability: Any, seed: Any) -> int:
    """Returns the seed as a Python int, because networkx needs one."""
    check_number("probability", probability, 1)
    return check_count("seed", seed, least=0)


def _as_matrix(graph: Any) -> np.ndarray:
    ends = np.array(graph.edges, int).reshape(-1, 2)
    return _connect(len(graph), ends[:, 0], ends[:, 1])


_MAKERS: dict[str, Callable[..., np.ndarray]] = {
    "complete": _complete,
    "empty": _empty,
    "ring": _ring,
    "star": _star,
    "path": _path,
    "grid": _grid,
    "erdos_renyi": _erdos_renyi,
    "small_world": _small_world,
}

GRAPHS = tuple(_MAKERS)
"""The names of the graphs of `make_graph`."""
