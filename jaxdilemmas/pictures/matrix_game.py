"""How a matrix game looks: the agents in a circle, and beside each the action that it played last."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.matrix_game import COOPERATE, MatrixGame
from jaxdilemmas.pictures.common_pool import around
from jaxdilemmas.rendering.picture import Brush, Marks, Picture, join

SIDE = 7.0
RADIUS = 2.1


def picture(env: MatrixGame) -> Picture:
    """How a matrix game looks; the actions of an agent are boxes in a row, of which the one that it played is full."""
    brush = Brush("floor", "reach", "walker", "gauge")
    agents, actions = np.arange(env.num_agents), np.arange(env.num_actions)
    x, y = (part + SIDE / 2 for part in around(env.num_agents, RADIUS if env.num_agents > 1 else 0.0))
    size = min(1.4, 9 / env.num_agents)
    width = size / env.num_actions
    boxes_x = x[:, None] + (actions - (env.num_actions - 1) / 2) * width
    boxes_y = np.broadcast_to(y[:, None] + 0.7 * size, boxes_x.shape)
    ground = [
        brush("floor", SIDE / 2, SIDE / 2, width=SIDE, height=SIDE),
        brush("reach", boxes_x.ravel(), boxes_y.ravel(), width=0.9 * width, height=0.25 * size),
    ]

    def marks(state: Any, params: Any) -> Marks:
        del params
        played_x = jnp.asarray(boxes_x, jnp.float32)[agents, state.last_choices]
        is_played = state.step_count > 0
        return join(
            [
                brush("walker", x, y, 0.0, size, size, agent=agents),
                brush("gauge", played_x, boxes_y[:, 0], 0.0, 0.9 * width, 0.25 * size, where=is_played),
            ]
        )

    return brush.picture(
        (SIDE, SIDE),
        ground,
        marks,
        legend={"reach": "actions, from 0 on the left", "gauge": "played in the last round"},
        num_agents=env.num_agents,
        actions=("cooperate", "defect") if env.num_actions == 2 else (),
        status=lambda state, params: {"cooperated": (state.last_choices == COOPERATE) & (state.step_count > 0)},
    )
