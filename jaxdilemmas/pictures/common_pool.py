"""How the common pool looks: the stock in the middle, and around it the agents with what they have taken."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.common_pool import CommonPool
from jaxdilemmas.rendering.picture import Brush, Gauge, Marks, Picture, join

SIDE = 9.0
MIDDLE = SIDE / 2
POOL = 4.5
"""Diameter of a full pool."""


def around(number: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Points on a circle around (0, 0), clockwise from the north: x and y, `[number]` float32 each."""
    angles = 2 * np.pi * np.arange(number) / number
    return (radius * np.sin(angles)).astype(np.float32), (-radius * np.cos(angles)).astype(np.float32)


def picture(env: CommonPool) -> Picture:
    """How the common pool looks; the area of the pool is in proportion to the stock."""
    brush = Brush("floor", "pool_rim", "pool", "walker", "gauge")
    ground = [
        brush("floor", MIDDLE, MIDDLE, width=SIDE, height=SIDE),
        brush("pool_rim", MIDDLE, MIDDLE, width=POOL, height=POOL),
    ]
    x, y = (part + MIDDLE for part in around(env.num_agents, 3.6))
    size = min(1.0, 18 / env.num_agents)

    def marks(state: Any, params: Any) -> Marks:
        side = POOL * jnp.sqrt(jnp.clip(state.stock / params.capacity, 0.0, 1.0))
        most = jnp.maximum(state.taken.max(), 1e-6)
        number = np.arange(env.num_agents)
        return join(
            [
                brush("pool", MIDDLE, MIDDLE, 0.0, side, side),
                brush("walker", x, y, 0.0, size, size, agent=number),
                brush("gauge", x, y + 0.6 * size, 0.0, size * state.taken / most, 0.16 * size),
            ]
        )

    return brush.picture(
        (SIDE, SIDE),
        ground,
        marks,
        legend={"pool": "stock", "pool_rim": "capacity", "gauge": "taken so far (widest: the most)"},
        num_agents=env.num_agents,
        actions=("wait", "take"),
        gauges=(Gauge("stock", float(env.default_params.capacity)),),
        levels=lambda state, params: state.stock[None],
    )
