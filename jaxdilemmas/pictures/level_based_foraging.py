"""How level-based foraging looks: the board, food and agents, each with a dot for every level."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.level_based_foraging import LevelBasedForaging
from jaxdilemmas.rendering.glyphs import INK, Glyph, circle
from jaxdilemmas.rendering.picture import Brush, Gauge, Marks, Picture, join

MOST_DOTS = 7
"""The highest level that dots show."""


def picture(env: LevelBasedForaging) -> Picture:
    """How level-based foraging looks."""
    brush = Brush("floor", "lane_mark", "apple", "walker", level=Glyph((circle(0, 0, 0.45, INK),), ""))
    size = env.size
    cells = np.argwhere(np.ones((size, size), bool))
    ground = [
        brush("floor", size / 2, size / 2, width=size, height=size),
        brush.at("lane_mark", cells, width=0.94, height=0.94),
    ]

    def marks(state: Any, params: Any) -> Marks:
        del params
        return join(
            [
                brush.at("apple", state.foods, width=0.9, height=0.9, where=state.is_left),
                brush.at("walker", state.positions, width=0.8, height=0.8, agent=np.arange(env.num_agents)),
                *_dots(brush, state.foods, jnp.where(state.is_left, state.food_levels, 0)),
                *_dots(brush, state.positions, state.levels),
            ]
        )

    return brush.picture(
        (size, size),
        ground,
        marks,
        legend={"apple": "food", "level": "one level"},
        num_agents=env.num_agents,
        actions=("none", "north", "south", "west", "east", "load"),
        gauges=(Gauge("food left", float(env.num_food)),),
        levels=lambda state, params: state.is_left.sum(dtype=np.float32)[None],
    )


def _dots(brush: Brush, cells: Any, levels: Any) -> list[Marks]:
    """A row of dots at the lower edge of cells `[n, 2]`, one for each of the levels `[n]`."""
    row, col = cells.astype(np.float32).T
    return [
        brush("level", col + np.float32(0.1 + 0.12 * k), row + np.float32(0.9), 0.0, 0.16, 0.16, where=levels > k)
        for k in range(MOST_DOTS)
    ]
