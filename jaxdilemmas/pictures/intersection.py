"""How the intersection looks: two roads that cross, cars on their ways, and crashes."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.intersection import CAR_LENGTH, CAR_WIDTH, LANE_WIDTH, LEFT, RIGHT, Intersection, pose
from jaxdilemmas.rendering.picture import Brush, Marks, Picture, join

REACH = 12
"""Lane widths from the centre of the crossing to the edge of the picture."""

SIDE = 2 * REACH


def picture(env: Intersection) -> Picture:
    """How the intersection looks; one unit is the width of a lane, four metres."""
    brush = Brush("floor", "road", "lane_mark", "car", "hit", "arrow_left", "arrow_right")
    dashes = np.arange(0.5, SIDE, 2.0)
    ground = [
        brush("floor", REACH, REACH, width=SIDE, height=SIDE),
        brush("road", REACH, REACH, width=2, height=SIDE),
        brush("road", REACH, REACH, width=SIDE, height=2),
        brush("lane_mark", REACH, dashes, width=0.1, height=1.0, where=abs(dashes - REACH) > 2),
        brush("lane_mark", dashes, REACH, width=1.0, height=0.1, where=abs(dashes - REACH) > 2),
    ]

    def marks(state: Any, params: Any) -> Marks:
        del params
        number = jnp.arange(env.num_agents, dtype=jnp.int32)
        position, (east, south) = pose(state.progress, state.turns, number)
        x, y = (part / LANE_WIDTH + REACH for part in position)
        turn = jnp.degrees(jnp.arctan2(east, -south))
        size = {"width": CAR_WIDTH / LANE_WIDTH, "height": CAR_LENGTH / LANE_WIDTH}
        parts = [brush("car", x, y, turn, **size, agent=number, where=~state.arrived)]
        for name, way in (("arrow_left", LEFT), ("arrow_right", RIGHT)):
            is_shown = (state.turns == way) & ~state.arrived
            parts.append(brush(name, x, y, turn, **size, where=is_shown))
        return join([*parts, brush("hit", x, y, where=state.crashed)])

    return brush.picture(
        (SIDE, SIDE),
        ground,
        marks,
        legend={"arrow_left": "will turn left", "arrow_right": "will turn right", "hit": "crash"},
        num_agents=env.num_agents,
        actions=("slower", "idle", "faster"),
        status=lambda state, params: {"arrived": state.arrived, "crashed": state.crashed},
    )
