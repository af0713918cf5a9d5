"""Protocols of communication on a graph (who sends which message to whom), as descriptions of one recurrent network.

Every agent has a network of its own: what it reads goes into an LSTM, on which an actor and a critic sit. A protocol
says what an agent reads beside its own observation: its neighbours' observations, their last action distributions
(fingerprints), messages made of their last hidden states, and, in the critic, their actions. Agent i's neighbours are
the senders of the edges that it receives.

A linear map of a concatenation of neighbours is the sum of one linear map per neighbour. So each edge has a kernel of
its own, what comes over the edges of a receiver is added up, and that is exactly the layer on concatenated neighbours
of the source, on any graph and at a cost that grows with the number of edges.

Source: instadeepai/EGTA-NMARL @ 544b2e0 (`egta/agents`), which took the networks over from cts198859/deeprl_network.
Ours differ where it is broken: all neighbours' observations are read (there NA2C and FPrint leave the last one out),
messages and fingerprints start afresh with an episode, and consensus averages parameters from before the averaging.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.graphs import Edges

ProtocolName = Literal["ia2c", "na2c", "fprint", "consenet", "dial", "commnet", "neurcomm"]


Params = dict[str, dict[str, dict[str, jax.Array]]]
"""`{"agents": leaves [N, ...], "edges": leaves [E, ...]}` by layer; those of an edge belong to its receiver."""


class Protocol(NamedTuple):
    """What agents read, and how.

    Attributes:
      observations: "own" alone, or with those of neighbours, encoded by their reader ("raw") or their sender
        ("encoded").
      fingerprints: of neighbours, read by the LSTM as they are ("plain") or by a layer before it ("encoded").
      messages: the "mean" of neighbours' last hidden states, these "hidden" states one by one, or what each sender
        makes of its own ("learned").
      are_parts_added: whether what was read is added up or stacked before it enters the LSTM.
      reads_own_choice: whether an agent reads which of its own actions was the most likely one in the step before.
      squash: of the layer that reads encoded observations.
      has_neighbours: whether anything is read of neighbours, at least their actions by the critic.
      averages_memory: whether, after an update, LSTM parameters become the mean over an agent and its neighbours.
    """

    observations: Literal["own", "raw", "encoded"] = "own"
    fingerprints: Literal["none", "plain", "encoded"] = "none"
    messages: Literal["none", "mean", "hidden", "learned"] = "none"
    are_parts_added: bool = False
    reads_own_choice: bool = False
    squash: Callable[[jax.Array], jax.Array] = jax.nn.relu
    has_neighbours: bool = True
    averages_memory: bool = False


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "ia2c": Protocol(has_neighbours=False),
    "na2c": Protocol(observations="raw"),
    "fprint": Protocol(observations="raw", fingerprints="plain"),
    "consenet": Protocol(averages_memory=True),
    "dial": Protocol(observations="encoded", messages="learned", are_parts_added=True, reads_own_choice=True),
    "commnet": Protocol(observations="encoded", messages="mean", are_parts_added=True, squash=jnp.tanh),
    "neurcomm": Protocol(observations="encoded", fingerprints="encoded", messages="hidden"),
}
"""IA2C (independent), NA2C (neighbours' observations), FPrint (fingerprints: Foerster et al. 2017), ConseNet (Zhang et
al. 2018), DIAL (Foerster et al. 2016), CommNet (Sukhbaatar et al. 2016) and NeurComm (Chu et al. 2020)."""


class Memory(NamedTuple):
    """What agents keep between two steps.

    Attributes:
      hidden: `[..., N, H]` float32, the LSTM's output.
      cell: `[..., N, H]` float32, its inner state.
      policy: `[..., N, A]` float32, the last action distribution; no gradient flows through it.
    """

    hidden: jax.Array
    cell: jax.Array
    policy: jax.Array


class Links:
    """Sums over the neighbours of each agent.

    Args:
      edges: sorted by receiver.
      num_agents: N.
    """

    def __init__(self, edges: Edges, num_agents: int) -> None:
        self.num_agents = num_agents
        self.senders, self.receivers, self.weights = (np.asarray(column) for column in edges)
        self.degrees = np.bincount(self.receivers, minlength=num_agents)
        self.add_up = _make_sum(self.receivers, num_agents)
        self.gather = _make_gather(self.senders, num_agents)

    def send(self, kernels: jax.Array, x: jax.Array) -> jax.Array:
        """A linear map of concatenated neighbours: what all have `[..., N, J]`, `[E, J, K]` -> `[..., N, K]`."""
        return self.receive(kernels, self.gather(x))

    def receive(self, kernels: jax.Array, x: jax.Array) -> jax.Array:
        """A linear map of what comes over concatenated edges: `[..., E, J]`, kernels `[E, J, K]` -> `[..., N, K]`."""
        degree = self.degrees[0]
        if (self.degrees != degree).any():
            return self.add_up(multiply(kernels, x))
        by_agent = (self.num_agents, degree * x.shape[-1])
        return multiply(kernels.reshape(*by_agent, -1), x.reshape(*x.shape[:-2], *by_agent))

    def mean(self, x: jax.Array) -> jax.Array:
        """Over neighbours, `[..., N, K]` -> `[..., N, K]`; 0 for an agent without any."""
        return self.add_up(self.gather(x)) / np.maximum(self.degrees, 1)[:, None].astype(np.float32)

    def mean_with_own(self, x: jax.Array) -> jax.Array:
        """Over each agent and its neighbours, `[..., N, K]` -> `[..., N, K]`."""
        return (x + self.add_up(self.gather(x))) / (1 + self.degrees)[:, None].astype(np.float32)

    def share(self, rewards: jax.Array, alpha: float) -> jax.Array:
        """r_i + alpha * sum_j w_ij r_j over the neighbours j of agent i, `[..., N]` -> `[..., N]`.

        As `jaxdilemmas.preferences.neighbour_weighted`, at a cost that grows with the edges instead of N x N.
        """
        return rewards + alpha * self.add_up(self.gather(rewards[..., None]) * self.weights[:, None])[..., 0]


def multiply(kernels: jax.Array, x: jax.Array) -> jax.Array:
    """Each row by a kernel of its own: `[R, J, K]` and `[..., R, J]` -> `[..., R, K]`."""
    return jnp.einsum("...rj,rjk->...rk", x, kernels)


def _make_sum(index: np.ndarray, num_agents: int) -> Callable[[jax.Array], jax.Array]:
    """Adds up rows by the agent that they belong to, `[..., E, K]` -> `[..., N, K]`.

    Where all have equally many, that is a sum along an axis, many times faster than a scatter on CPU.
    """
    counts = np.bincount(index, minlength=num_agents)
    order = np.argsort(index, kind="stable")
    is_sorted = bool((order == np.arange(len(index))).all())

    def add_axis(x: jax.Array) -> jax.Array:
        rows = x if is_sorted else x[..., order, :]
        return rows.reshape(*x.shape[:-2], num_agents, counts[0], x.shape[-1]).sum(-2)

    def add_segments(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(jax.ops.segment_sum(jnp.moveaxis(x, -2, 0), index, num_agents), 0, -2)

    return add_segments if (counts != counts[0]).any() else add_axis


def _make_gather(index: np.ndarray, num_agents: int) -> Callable[[jax.Array], jax.Array]:
    """Picks each edge's sender, `[..., N, K]` -> `[..., E, K]`; its gradient is a sum as above."""
    add_up = _make_sum(index, num_agents)

    @jax.custom_vjp
    def gather(x: jax.Array) -> jax.Array:
        return x[..., index, :]

    gather.defvjp(lambda x: (gather(x), None), lambda _, gradient: (add_up(gradient),))
    return gather


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """The networks of all agents as one function.

    Attributes:
      protocol: what agents read.
      links: to their neighbours.
      obs_size: O, of an observation.
      num_actions: A.
      hidden_size: H, width of every layer.
    """

    protocol: Protocol
    links: Links
    obs_size: int
    num_actions: int
    hidden_size: int

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters: biases are 0, kernels normal with twice the variance of an orthogonal matrix.

        The actors' kernels are 0 as well (our choice), so that all actions are equally likely to begin with.
        """
        key_agents, key_edges = jax.random.split(key)
        degrees = self.links.degrees
        agents = _draw_layers(key_agents, self._agent_layers(), degrees)
        edges = _draw_layers(key_edges, self._edge_layers(), degrees[self.links.receivers])
        return {"agents": agents, "edges": edges}

    def initial_memory(self, *shape: int) -> Memory:
        """At the start of an episode: nothing, and equal probabilities; leading axes `shape`."""
        zeros = jnp.zeros((*shape, self.links.num_agents, self.hidden_size), jnp.float32)
        policy = jnp.full((*shape, self.links.num_agents, self.num_actions), 1 / self.num_actions, jnp.float32)
        return Memory(zeros, zeros, policy)

    def gates(self, params: Params, memory: Memory, obs: jax.Array) -> jax.Array:
        """All that agents read, as the input of the LSTM's gates.

        Args:
          params: of all agents.
          memory: `[..., N, ...]`, of the step before.
          obs: `[..., N, O]` float32.

        Returns:
          `[..., N, 4 H]` float32.
        """
        agents, protocol = params["agents"], self.protocol
        parts = {"observations": self._read_observations(params, obs)}
        if protocol.fingerprints == "encoded":
            parts["fingerprints"] = self._read_fingerprints(params, memory.policy)
        if protocol.messages != "none":
            parts["messages"] = self._read_messages(params, memory.hidden)
        if protocol.reads_own_choice:
            parts["choice"] = jax.nn.one_hot(jnp.argmax(memory.policy, axis=-1), self.hidden_size, dtype=jnp.float32)
        if protocol.are_parts_added:
            parts = {"observations": sum(parts.values(), jnp.zeros((), jnp.float32))}
        gates = _apply(agents["gates_from_hidden"], memory.hidden)
        for name, part in parts.items():
            gates += multiply(agents[f"gates_from_{name}"]["kernel"], part)
        if protocol.fingerprints == "plain":
            gates += self.links.send(params["edges"]["gates_from_fingerprints"]["kernel"], memory.policy)
        return gates

    def logits(self, params: Params, hidden: jax.Array) -> jax.Array:
        """The actors: `[..., N, H]` -> `[..., N, A]`."""
        return _apply(params["agents"]["actor"], hidden)

    def values(self, params: Params, hidden: jax.Array, actions: jax.Array) -> jax.Array:
        """The critics, which know what neighbours do: `[..., N, H]` and `[..., N]` int32 -> `[..., N]`."""
        values = _apply(params["agents"]["critic"], hidden)
        if self.protocol.has_neighbours:
            values += self.links.send(
                params["edges"]["critic"]["kernel"], jax.nn.one_hot(actions, self.num_actions, dtype=jnp.float32)
            )
        return values[..., 0]

    def agree(self, params: Params) -> Params:
        """LSTM parameters become the mean over each agent and its neighbours, if the protocol asks for it."""
        if not self.protocol.averages_memory:
            return params

        def mean(leaf: jax.Array) -> jax.Array:
            return self.links.mean_with_own(leaf.reshape(len(leaf), -1)).reshape(leaf.shape)

        agents = params["agents"]
        averaged = {name: jax.tree.map(mean, agents[name]) for name in agents if name.startswith("gates_from")}
        return params | {"agents": agents | averaged}

    def _read_observations(self, params: Params, obs: jax.Array) -> jax.Array:
        """`[..., N, O]` -> `[..., N, H]`."""
        agents, edges, protocol = params["agents"], params["edges"], self.protocol
        own = jax.nn.relu(_apply(agents["read"], obs))
        if protocol.observations == "own":
            return own
        if protocol.observations == "encoded":
            others = self.links.send(edges["mix"]["kernel"], own)
        else:
            read = jax.nn.relu(_apply(edges["read"], self.links.gather(obs)))
            others = self.links.receive(edges["mix"]["kernel"], read)
        return protocol.squash(_apply(agents["mix"], own) + others)

    def _read_fingerprints(self, params: Params, policy: jax.Array) -> jax.Array:
        """`[..., N, A]` -> `[..., N, H]`."""
        received = self.links.send(params["edges"]["fingerprints"]["kernel"], policy)
        return jax.nn.relu(received + params["agents"]["fingerprints"]["bias"])

    def _read_messages(self, params: Params, hidden: jax.Array) -> jax.Array:
        """`[..., N, H]` -> `[..., N, H]`."""
        agents, kind = params["agents"], self.protocol.messages
        if kind == "mean":
            return _apply(agents["messages"], self.links.mean(hidden))
        sent = hidden if kind == "hidden" else jax.nn.relu(_apply(agents["sent"], hidden))
        received = self.links.send(params["edges"]["messages"]["kernel"], sent)
        return jax.nn.relu(received + agents["messages"]["bias"])

    def _agent_layers(self) -> dict[str, "Layer"]:
        protocol, H, A = self.protocol, self.hidden_size, self.num_actions
        layers = {
            "read": Layer(self.obs_size, 0, (self.obs_size, H)),
            "gates_from_hidden": Layer(H, 0, (H, 4 * H)),
            "gates_from_observations": Layer(H, 0, (H, 4 * H), has_bias=False),
            "actor": Layer(H, 0, (H, A), starts_at_zero=True),
            "critic": Layer(H, A * protocol.has_neighbours, (H, 1)),
        }
        if protocol.observations != "own":
            layers["mix"] = Layer(H, H, (H, H))
        if protocol.fingerprints == "encoded":
            layers["fingerprints"] = Layer(0, A, (H,))
            layers["gates_from_fingerprints"] = Layer(H, 0, (H, 4 * H), has_bias=False)
        if protocol.messages == "learned":
            layers["sent"] = Layer(H, 0, (H, H))
        if protocol.messages != "none":
            layers["messages"] = Layer(H, 0, (H, H) if protocol.messages == "mean" else (H,))
        if protocol.messages != "none" and not protocol.are_parts_added:
            layers["gates_from_messages"] = Layer(H, 0, (H, 4 * H), has_bias=False)
        return layers

    def _edge_layers(self) -> dict[str, "Layer"]:
        protocol, H, A = self.protocol, self.hidden_size, self.num_actions
        layers = {}
        if protocol.has_neighbours:
            layers["critic"] = Layer(H, A, (A, 1), has_bias=False)
        if protocol.observations == "raw":
            layers["read"] = Layer(self.obs_size, 0, (self.obs_size, H))
        if protocol.observations != "own":
            layers["mix"] = Layer(H, H, (H, H), has_bias=False)
        if protocol.fingerprints == "encoded":
            layers["fingerprints"] = Layer(0, A, (A, H), has_bias=False)
        if protocol.fingerprints == "plain":
            layers["gates_from_fingerprints"] = Layer(H, A, (A, 4 * H), has_bias=False)
        if protocol.messages in ("hidden", "learned"):
            layers["messages"] = Layer(0, H, (H, H), has_bias=False)
        return layers


class Layer(NamedTuple):
    """A linear layer, or the part of one that belongs to an agent or to an edge.

    Attributes:
      own_inputs: of the whole layer, those from the agent itself.
      inputs_per_neighbour: of the whole layer.
      shape: of the kernel of this part, `(J, K)`; `(K,)` where it has a bias alone.
      has_bias: whether the bias belongs to this part.
      starts_at_zero: whether the kernel is 0 to begin with, too.
    """

    own_inputs: int
    inputs_per_neighbour: int
    shape: tuple[int, ...]
    has_bias: bool = True
    starts_at_zero: bool = False


def _draw_layers(key: jax.Array, layers: dict[str, Layer], degrees: np.ndarray) -> dict[str, dict[str, jax.Array]]:
    """Parameters of R agents or edges; `degrees` `[R]` are those of the agents whose layers they are parts of."""
    drawn: dict[str, dict[str, jax.Array]] = {}
    for name, key_layer in zip(layers, jax.random.split(key, len(layers)), strict=True):
        layer, parts = layers[name], {}
        if len(layer.shape) == 2:
            inputs = layer.own_inputs + layer.inputs_per_neighbour * degrees[:, None, None]
            variances = 0.0 if layer.starts_at_zero else 2 / np.maximum(inputs, layer.shape[-1])
            normal = jax.random.normal(key_layer, (len(degrees), *layer.shape), jnp.float32)
            parts["kernel"] = np.sqrt(variances, dtype=np.float32) * normal
        if layer.has_bias:
            parts["bias"] = jnp.zeros((len(degrees), layer.shape[-1]), jnp.float32)
        drawn[name] = parts
    return drawn


def advance(gates: jax.Array, cell: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The LSTM itself: inputs of the gates `[..., 4 H]` and cell `[..., H]` -> hidden and cell `[..., H]`.

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.
    """
    write, keep, show, candidate = jnp.split(gates, 4, axis=-1)
    cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(write) * jnp.tanh(candidate)
    return jax.nn.sigmoid(show) * jnp.tanh(cell), cell


def cut(links: Links, gradients: Params, max_norm: float) -> Params:
    """Gradients, those of each agent (its own parameters and those of edges that it receives) cut to a norm."""

    def squares(owner: str) -> jax.Array:
        leaves = [jnp.square(leaf).reshape(len(leaf), -1).sum(1) for leaf in jax.tree.leaves(gradients[owner])]
        return sum(leaves, jnp.zeros((), jnp.float32))

    def scale(owner: str, by: jax.Array) -> Any:
        return jax.tree.map(lambda leaf: leaf * by.reshape(-1, *[1] * (leaf.ndim - 1)), gradients[owner])

    norms = squares("agents")
    if gradients["edges"]:
        norms += links.add_up(squares("edges")[:, None])[:, 0]
    by = jnp.minimum(1, max_norm * jax.lax.rsqrt(norms))
    return {"agents": scale("agents", by), "edges": scale("edges", by[links.receivers])}


def _apply(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """A linear layer per row."""
    return multiply(layer["kernel"], x) + layer["bias"]
