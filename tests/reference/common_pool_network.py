"""Common pools on a graph in plain Python, from the written rules: a loop over agents, nodes and edges."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass
class CommonPoolNetwork:
    """A stock at each node of `adjacency`, and agents who reach the nodes of their row of `access`."""

    adjacency: np.ndarray
    access: np.ndarray
    harvest: str
    regrowth: str
    regrowth_rate: float
    initial_stock: float
    capacity: float
    collapse_threshold: float
    diffusion: float
    catchability: float
    price: float
    cost: float

    def __post_init__(self) -> None:
        self.stocks = [self.initial_stock] * len(self.adjacency)
        self.taken = [0.0] * len(self.access)
        self.nodes = [[node for node, reached in enumerate(row) if reached] for row in self.access]

    def step(self, efforts: Sequence[dict[int, float]]) -> tuple[list[float], bool]:
        """Plays one step with each agent's efforts by node; returns rewards and whether all nodes have collapsed."""
        before = list(self.stocks)
        takes = [
            {node: self.take(effort, before[node]) for node, effort in agent.items() if node in self.nodes[i]}
            for i, agent in enumerate(efforts)
        ]
        for agent in takes:
            for node, take in agent.items():
                self.stocks[node] -= take
        has_collapsed = [stock <= self.collapse_threshold for stock in self.stocks]
        harvests = [sum(take for node, take in agent.items() if not has_collapsed[node]) for agent in takes]
        for node, gone in enumerate(has_collapsed):
            if not gone:
                self.stocks[node] += self.growth(self.stocks[node])
        self.flow()
        self.taken = [taken + harvest for taken, harvest in zip(self.taken, harvests, strict=True)]
        spent = [
            sum(effort for node, effort in agent.items() if node in self.nodes[i]) for i, agent in enumerate(efforts)
        ]
        rewards = [self.price * harvest - self.cost * effort for harvest, effort in zip(harvests, spent, strict=True)]
        return rewards, all(stock <= self.collapse_threshold for stock in self.stocks)

    def take(self, effort: float, stock: float) -> float:
        """What an effort takes from a stock."""
        if stock <= self.collapse_threshold:
            return 0.0
        return self.catchability * effort * (stock if self.harvest == "proportional" else 1.0)

    def growth(self, stock: float) -> float:
        """What a live stock grows by."""
        if self.regrowth == "constant":
            return self.regrowth_rate
        return self.regrowth_rate * stock * (1 - stock / self.capacity)

    def flow(self) -> None:
        """Every edge carries a share of what is at its sender before anything flows."""
        before = list(self.stocks)
        for receiver, row in enumerate(self.adjacency):
            for sender, weight in enumerate(row):
                moved = self.diffusion * weight * max(before[sender], 0.0)
                self.stocks[receiver] += moved
                self.stocks[sender] -= moved
        self.stocks = [min(stock, self.capacity) for stock in self.stocks]

    def observe(self) -> list[list[float]]:
        """What each agent sees: the stocks it reaches, zeros up to the most that anybody reaches, its own harvest."""
        most = max(len(nodes) for nodes in self.nodes)
        return [
            [self.stocks[node] for node in nodes] + [0.0] * (most - len(nodes)) + [taken]
            for nodes, taken in zip(self.nodes, self.taken, strict=True)
        ]
