"""How Gems looks: gems in the colours of their players, and gems that both take together."""

from typing import Any

import numpy as np

from jaxdilemmas.envs.gems import NUM_ALIKE, NUM_PLAYERS, PURPLE, SIZE, Gems
from jaxdilemmas.rendering.picture import Brush, Gauge, Marks, Picture, join


def picture(env: Gems) -> Picture:
    """How Gems looks."""
    brush = Brush("floor", "apple_cell", "gem", "shared_gem", "walker")
    cells = np.argwhere(np.ones((SIZE, SIZE), bool))
    ground = [brush("floor", SIZE / 2, SIZE / 2, width=SIZE, height=SIZE), brush.at("apple_cell", cells)]
    gauge = (
        Gauge("team reward", float(env.default_params.most_team_reward))
        if env.end_rule == "team_reward"
        else Gauge("gems taken", float(env.default_params.most_gems))
    )

    def marks(state: Any, params: Any) -> Marks:
        own = state.gems[:PURPLE].reshape(-1, 2)
        owner = np.repeat(np.arange(NUM_PLAYERS), NUM_ALIKE)
        return join(
            [
                brush.at("gem", own, agent=owner),
                brush.at("shared_gem", state.gems[PURPLE]),
                brush.at("walker", state.positions, width=0.8, height=0.8, agent=np.arange(NUM_PLAYERS)),
            ]
        )

    return brush.picture(
        (SIZE, SIZE),
        ground,
        marks,
        legend={"gem": "gem of the agent with its colour", "shared_gem": "gem that both must take together"},
        num_agents=NUM_PLAYERS,
        actions=("right", "down", "left", "up", "stay"),
        gauges=(gauge,),
        levels=lambda state, params: (
            state.team_reward if env.end_rule == "team_reward" else state.gems_taken.astype(np.float32)
        )[None],
    )
