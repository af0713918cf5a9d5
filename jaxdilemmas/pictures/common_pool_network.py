"""How common pools on a network look: a pool at each node, flows between them, and agents with the pools they reach."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.common_pool_network import CommonPoolNetwork
from jaxdilemmas.pictures.common_pool import around
from jaxdilemmas.rendering.picture import Brush, Gauge, Marks, Picture, join


def picture(env: CommonPoolNetwork) -> Picture:
    """How common pools look; the area of a pool is in proportion to its stock, agents stand around."""
    brush = Brush("floor", "flow", "reach", "pool_rim", "pool", "walker", "gauge")
    inner = max(2.2, env.num_nodes * 0.45)
    outer = inner + 1.8
    side = 2 * outer + 2.4
    middle = side / 2
    x, y = (part + middle for part in around(env.num_nodes, inner))
    # agents stand beside their own node, several of one node side by side
    angles = (
        2
        * np.pi
        * (np.arange(env.num_agents) + 0.5 * (env.num_agents > env.num_nodes))
        / max(env.num_agents, env.num_nodes)
    )
    agent_x, agent_y = middle + outer * np.sin(angles), middle - outer * np.cos(angles)
    nodes, agents = np.stack([x, y]), np.stack([agent_x, agent_y])
    pool = min(1.6, 5.0 * inner / max(env.num_nodes, 3))
    ground = [
        brush("floor", middle, middle, width=side, height=side),
        _lines(brush, "reach", nodes[:, env.reach.senders], agents[:, env.reach.receivers], 0.04),
        _lines(brush, "flow", nodes[:, env.flows.senders], nodes[:, env.flows.receivers], 0.12),
        brush("pool_rim", x, y, width=pool, height=pool),
    ]

    def marks(state: Any, params: Any) -> Marks:
        size = pool * jnp.sqrt(jnp.clip(state.stocks / params.capacity, 0.0, 1.0))
        most = jnp.maximum(state.taken.max(), 1e-6)
        return join(
            [
                brush("pool", x, y, 0.0, size, size),
                brush("walker", agent_x, agent_y, agent=np.arange(env.num_agents)),
                brush("gauge", agent_x, agent_y + 0.6, 0.0, state.taken / most, 0.16),
            ]
        )

    most = float(env.default_params.capacity) * env.num_nodes
    return brush.picture(
        (side, side),
        ground,
        marks,
        legend={
            "pool": "stock of a node",
            "pool_rim": "its capacity",
            "flow": "flow between nodes",
            "reach": "node that the agent reaches",
            "gauge": "taken so far (widest: the most)",
        },
        num_agents=env.num_agents,
        actions=("wait", *(f"place {place}" for place in range(env.nodes.shape[1]))),
        gauges=(Gauge("stocks", most),),
        levels=lambda state, params: state.stocks.sum()[None],
    )


def _lines(brush: Brush, name: str, start: np.ndarray, end: np.ndarray, width: float) -> Marks:
    """Straight lines between points `[2, n]` (x, y)."""
    (x, y), (right, down) = start, end - start
    turn = np.degrees(np.arctan2(right, -down))
    return brush(name, x + right / 2, y + down / 2, turn, width, np.hypot(right, down))
