"""Common pools on a graph: a stock at each node, flows between neighbours, and agents that reach some nodes.

This is our own extension of `common_pool` and not a game of Pretorius et al. 2020, who have one stock and a network of
agents only. Growth and harvest are those of Gordon 1954 and Schaefer 1954, the textbook model of a fishery.
docs/common_pool.md contains the rules and the closed forms that follow from them.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import MOST_AGENTS, check_choice, check_count, check_num_agents, numbers_from, refusal
from jaxdilemmas.environment import Environment, NoDraws, Transition, check_counts, check_numbers, require
from jaxdilemmas.graphs import GRAPHS, check_adjacency, edges_of, make_graph
from jaxdilemmas.spaces import Box, Discrete, Space

Effort = Literal["discrete", "continuous"]
Harvest = Literal["proportional", "fixed"]
Regrowth = Literal["logistic", "constant"]


class Params(struct.PyTreeNode):
    """The numbers in the rules, the same at every node.

    Attributes:
      regrowth_rate: r, above 0 and at most 1; a stock grows by r * stock * (1 - stock / capacity) in a step if growth
        is logistic, otherwise by r.
      initial_stock: stock of every node at the start, above `collapse_threshold` and at most `capacity`.
      capacity: largest stock of a node after a step, above 0; the rest is lost.
      collapse_threshold: at least 0; a node yields nothing and does not grow if its stock is this or less, until enough
        flows in.
      diffusion: share of a stock that flows to a neighbour in a step, over an edge of weight 1; at least 0, and at most
        all of a stock may flow out.
      catchability: q, the harvest of a unit of effort in a step, above 0: a share of the stock, at most 1, if harvest
        is proportional, otherwise an amount.
      price: price of a unit of harvest, above 0.
      cost: cost of a unit of effort, at least 0.
      max_steps: length of an episode, in steps.
    """

    regrowth_rate: Any = 0.2
    initial_stock: Any = 0.5
    capacity: Any = 1.0
    collapse_threshold: Any = 0.0
    diffusion: Any = 0.05
    catchability: Any = 0.2
    price: Any = 1.0
    cost: Any = 0.0
    max_steps: Any = 1000


class State(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      stocks: `[K]` float32, one for each node.
      taken: `[N]` float32, the harvest of each agent in the episode so far.
      step_count: `[]` int32, steps since the reset.
    """

    stocks: jax.Array
    taken: jax.Array
    step_count: jax.Array


class CommonPoolNetwork(Environment):
    """See the module for the game and docs/common_pool.md for its rules.

    An agent has one unit of effort in each step and M places for it: the nodes that it reaches, in ascending order. M
    is the largest number of nodes that an agent reaches. An agent that reaches fewer nodes has empty places at the end.

    Args:
      num_agents: N.
      graph: the nodes, by a name of `graphs.make_graph` or as an adjacency matrix `[K, K]`: a share of the stock of j
        flows to i in proportion to the weight `[i, j]`.
      num_nodes: K; by default that of the matrix, or one node for each agent.
      access: `[N, K]`, 1 if an agent reaches a node and otherwise 0; by default agent i reaches node i % K and its
        neighbours.
      effort: "discrete" (all of it at one node, or none) or "continuous" (divided at will).
      harvest: "proportional" to the stock or "fixed".
      regrowth: "logistic" or "constant".
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed, an agent reaches no node, or more than all of a stock would
        flow out of a node in a step.

    Attributes:
      flows: the edges between nodes, as `graphs.Edges`.
      reach: the edges from nodes (senders) to the agents that reach them (receivers).
      nodes: `[N, M]` int32, the node at each place of an agent, 0 at empty places.
      is_place: `[N, M]` bool, False at empty places.
    """

    policy_module = "jaxdilemmas.policies.common_pool_network"
    picture_module = "jaxdilemmas.pictures.common_pool_network"

    def __init__(
        self,
        num_agents: int = 4,
        graph: Any = "ring",
        num_nodes: int | None = None,
        access: Any = None,
        effort: Effort = "discrete",
        harvest: Harvest = "proportional",
        regrowth: Regrowth = "logistic",
        **params: Any,
    ) -> None:
        self.num_agents = num_agents = check_num_agents(num_agents)
        kinds = {"effort": (effort, Effort), "harvest": (harvest, Harvest), "regrowth": (regrowth, Regrowth)}
        for name, (kind, known) in kinds.items():
            check_choice(name, kind, get_args(known))
        self.effort, self.harvest, self.regrowth = effort, harvest, regrowth
        adjacency = _nodes_from(graph, num_agents, num_nodes)
        self.num_nodes = len(adjacency)
        self.flows = edges_of(adjacency)
        self._outflow_weights = adjacency.sum(0).astype(np.float32)
        self._set_access(default_access(adjacency, num_agents) if access is None else access)
        self.default_params = self.params_from(Params, params)
        self._check_params()

    def _set_access(self, access: Any) -> None:
        """Sets `reach`, `nodes` and `is_place`."""
        matrix = check_access(access, self.num_agents, self.num_nodes)
        self.reach = edges_of(matrix)
        places = matrix.cumsum(1).astype(np.int32) - 1
        self._places = places[self.reach.receivers, self.reach.senders]
        shape = (self.num_agents, int(self._places.max()) + 1)
        self.nodes, self.is_place = np.zeros(shape, np.int32), np.zeros(shape, bool)
        self.nodes[self.reach.receivers, self._places] = self.reach.senders
        self.is_place[self.reach.receivers, self._places] = True

    def _check_params(self) -> None:
        params = self.default_params
        most_taken = 1 if self.harvest == "proportional" else np.inf
        check_numbers(params, 1, "regrowth_rate", is_zero_allowed=False)
        check_numbers(params, most_taken, "catchability", is_zero_allowed=False)
        check_numbers(params, np.inf, "capacity", "price", is_zero_allowed=False)
        check_numbers(params, params.capacity, "initial_stock", is_zero_allowed=False)
        check_numbers(params, np.inf, "collapse_threshold", "cost", "diffusion")
        check_counts(params, "max_steps")
        threshold, start = params.collapse_threshold, params.initial_stock
        require(threshold < start, "collapse_threshold", threshold, f"below the initial stock, {start}")
        flowing = params.diffusion * float(self._outflow_weights.max())
        allowed = f"at most all of a stock flows out, here it would be {flowing:.3g} times the stock of one node"
        require(flowing <= 1, "diffusion", params.diffusion, allowed)

    @property
    def observation_space(self) -> Space:
        """The stock at each place, 0 at empty places, and the agent's own harvest so far, `[M + 1]` float32."""
        return Box(-np.inf, np.inf, (self.nodes.shape[1] + 1,))

    @property
    def action_space(self) -> Space:
        """Discrete: 0 wait, m the place m - 1; continuous: the effort at each place, `[M]` float32 from 0 to 1.

        More than one unit of effort is scaled down to one. Inside jit any other number, and an empty place, acts as
        waiting.
        """
        num_places = self.nodes.shape[1]
        return Discrete(1 + num_places) if self.effort == "discrete" else Box(0.0, 1.0, (num_places,))

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """The initial stock at every node; no agent has harvested anything."""
        del key
        stocks = jnp.full(self.num_nodes, params.initial_stock, jnp.float32)
        return State(stocks, jnp.zeros(self.num_agents, jnp.float32), jnp.zeros((), jnp.int32))

    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: harvest, collapse, grow, flow. The game ends when no node is above the threshold."""
        del draws
        efforts = self.efforts_from(actions)
        takes = self.takes_at(efforts, state.stocks, params)
        nodes = self.reach.senders
        left = state.stocks - jax.ops.segment_sum(takes, nodes, self.num_nodes)
        is_alive = left > params.collapse_threshold
        paid = jnp.where(is_alive[nodes], takes, 0.0)
        harvests = jax.ops.segment_sum(paid, self.reach.receivers, self.num_agents, indices_are_sorted=True)
        grown = jnp.where(is_alive, left + self.growth(left, params), left)
        stocks = jnp.minimum(self.let_flow(grown, params), params.capacity).astype(jnp.float32)
        effort = efforts.sum(-1)
        rewards = params.price * harvests - params.cost * effort
        state = State(stocks, state.taken + harvests, state.step_count + 1)
        is_over = jnp.all(stocks <= params.collapse_threshold)
        return state, rewards, is_over, {"effort": effort, "harvest": harvests}

    def efforts_from(self, actions: jax.Array) -> jax.Array:
        """The effort of each agent at each of its places, `[N, M]` float32; the sum over places is at most 1."""
        if self.effort == "discrete":
            chosen = jax.nn.one_hot(actions - 1, self.nodes.shape[1], dtype=jnp.float32)
            return jnp.where(self.is_place, chosen, 0.0)
        efforts = jnp.where(self.is_place, jnp.clip(actions, 0.0, 1.0), 0.0)
        return efforts / jnp.maximum(efforts.sum(-1, keepdims=True), 1.0)

    def takes_at(self, efforts: jax.Array, stocks: jax.Array, params: Params) -> jax.Array:
        """The take over each edge of `reach`, `[E]` float32; 0 if the node has collapsed."""
        stocks_here = stocks[self.reach.senders]
        takes = params.catchability * efforts[self.reach.receivers, self._places]
        if self.harvest == "proportional":
            takes = takes * stocks_here
        return jnp.where(stocks_here > params.collapse_threshold, takes, 0.0)

    def growth(self, stocks: jax.Array, params: Params) -> jax.Array:
        """The growth of stocks `[K]` float32 in a step if they have not collapsed, `[K]` or `[]` float32."""
        if self.regrowth == "constant":
            return params.regrowth_rate
        return params.regrowth_rate * stocks * (1.0 - stocks / params.capacity)

    def let_flow(self, stocks: jax.Array, params: Params) -> jax.Array:
        """The stocks `[K]` after each has sent its share over every edge; nothing flows out of a stock below 0."""
        sent = params.diffusion * jnp.maximum(stocks, 0.0)
        arriving = sent[self.flows.senders] * self.flows.weights
        inflow = jax.ops.segment_sum(arriving, self.flows.receivers, self.num_nodes, indices_are_sorted=True)
        return stocks + inflow - sent * self._outflow_weights

    def observe(self, state: State, params: Params) -> jax.Array:
        """The stocks that each agent reaches and its own harvest so far, `[N, M + 1]` float32."""
        del params
        seen = jnp.where(self.is_place, state.stocks[self.nodes], 0.0)
        return jnp.concatenate([seen, state.taken[:, None]], axis=-1)


def _nodes_from(graph: Any, num_agents: int, num_nodes: int | None) -> np.ndarray:
    """The adjacency matrix of the nodes, `[K, K]` float64."""
    if num_nodes is not None:
        check_count("num_nodes", num_nodes, most=MOST_AGENTS)
    if isinstance(graph, str):
        check_choice("graph", graph, GRAPHS)
        return make_graph(graph, num_agents if num_nodes is None else num_nodes)
    return check_adjacency("graph", graph, num_nodes)


def default_access(adjacency: np.ndarray, num_agents: int) -> np.ndarray:
    """The nodes that agents reach by default, `[N, K]` bool.

    Agent i reaches node i % K and every node with an edge to or from this node.

    Args:
      adjacency: `[K, K]`.
      num_agents: N.
    """
    is_near = (adjacency > 0) | (adjacency.T > 0) | np.eye(len(adjacency), dtype=bool)
    return is_near[np.arange(num_agents) % len(adjacency)]


def check_access(access: Any, num_agents: int, num_nodes: int) -> np.ndarray:
    """Which agent reaches which node, `[N, K]` float64.

    Raises:
      ValueError: the matrix has another shape, an entry other than 0 and 1, or an agent without a node.
    """
    matrix = numbers_from(access)
    if matrix is None or matrix.shape != (num_agents, num_nodes) or not np.isin(matrix, (0, 1)).all():
        raise ValueError(refusal("access", access, f"0 or 1 for each of {num_agents} agents and {num_nodes} nodes"))
    lost = np.flatnonzero(~matrix.any(1))
    require(len(lost) == 0, "access", access, f"every agent reaches a node, but agents {lost.tolist()} reach none")
    return matrix
