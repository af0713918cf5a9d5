"""How the coin game looks: the board, the coins in the colours of their agents, and the agents on them."""

from typing import Any

import numpy as np

from jaxdilemmas.envs.coin_game import NOWHERE, NUM_CELLS, SIDE, CoinGame
from jaxdilemmas.rendering.picture import Brush, Marks, Picture, join

ASIDE = np.array([-0.2, 0.2], np.float32)
"""Agents stand a little aside of the middle of a cell, so that two on one cell are seen; coins lie across."""


def picture(env: CoinGame) -> Picture:
    """How the coin game looks."""
    brush = Brush("floor", "lane_mark", "gem", "walker")
    cells = np.arange(NUM_CELLS)
    ground = [
        brush("floor", SIDE / 2, SIDE / 2, width=SIDE, height=SIDE),
        brush("lane_mark", cells % SIDE + 0.5, cells // SIDE + 0.5, width=0.94, height=0.94),
    ]
    number = np.arange(2)

    def marks(state: Any, params: Any) -> Marks:
        del params
        things = state.coins, state.positions
        coin_x, x = ((cells % SIDE).astype(np.float32) + 0.5 for cells in things)
        coin_y, y = ((cells // SIDE).astype(np.float32) + 0.5 for cells in things)
        is_there = state.coins != NOWHERE
        return join(
            [
                brush("gem", coin_x + ASIDE, coin_y - ASIDE, 0.0, 0.4, 0.4, agent=number, where=is_there),
                brush("walker", x + ASIDE, y + ASIDE, 0.0, 0.5, 0.5, agent=number),
            ]
        )

    return brush.picture(
        (SIDE, SIDE),
        ground,
        marks,
        legend={"gem": "coin of an agent"},
        num_agents=env.num_agents,
        actions=("right", "left", "down", "up", "stay"),
    )
