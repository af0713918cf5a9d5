"""How Overcooked looks: the kitchen, what lies and cooks in it, and the cooks with what they hold."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.kitchens import COUNTER, DISHES, ONIONS, POT, POT_SIZE, SERVING
from jaxdilemmas.envs.overcooked import DISH, NOT_COOKING, ONION, SOUP, Overcooked
from jaxdilemmas.grid.maps import cells_of
from jaxdilemmas.rendering.picture import Brush, Marks, Picture, degrees, join

STATIONS = {COUNTER: "counter", POT: "pot", ONIONS: "onions", DISHES: "dishes", SERVING: "serving"}
FOOD = {"onion": (ONION, ONION), "dish": (DISH, DISH), "soup": (SOUP, SOUP + POT_SIZE)}
"""Signs of what hands hold and what lies on counters, with the first and last number of these things."""


def picture(env: Overcooked) -> Picture:
    """How Overcooked looks."""
    brush = Brush("floor", *STATIONS.values(), *FOOD, "agent", "timer", "gauge")
    height, width = env.kitchen.kinds.shape
    ground = [brush("floor", width / 2, height / 2, width=width, height=height)]
    ground += [brush.at(name, cells_of(env.kitchen.kinds == kind)) for kind, name in STATIONS.items()]
    counters, pots = (cells_of(env.kitchen.kinds == kind) for kind in (COUNTER, POT))

    def marks(state: Any, params: Any) -> Marks:
        number = np.arange(env.num_agents)
        return join(
            [
                *_food(brush, counters, state.counters, size=0.8),
                *_pots(brush, pots, state, params),
                brush.at("agent", state.positions, turn=degrees(state.headings), agent=number),
                *_food(brush, state.positions, state.held, size=0.45, aside=0.28),  # beside the number of the cook
            ]
        )

    return brush.picture(
        (width, height),
        ground,
        marks,
        legend={
            "onions": "onions to take",
            "dishes": "dishes to take",
            "pot": "pot",
            "serving": "where soup is served",
            "onion": "onion",
            "dish": "dish",
            "soup": "soup",
            "gauge": "how far a soup has cooked",
        },
        num_agents=env.num_agents,
        actions=("north", "south", "east", "west", "stay", "interact"),
        status=lambda state, params: {f"holds {name}": _is(state.held, name) for name in FOOD},
    )


def _is(things: Any, name: str) -> Any:
    """Which of the things `[n]` are of a kind, `[n]` bool."""
    first, last = FOOD[name]
    return (things >= first) & (things <= last)


def _food(brush: Brush, cells: Any, things: Any, size: float, aside: float = 0.0) -> list[Marks]:
    """Things `[n]` on cells `[n, 2]`, so far to the south and east of their middles."""
    if not len(cells):
        return []
    y, x = cells.astype(np.float32).T + np.float32(0.5 + aside)
    return [brush(name, x, y, width=size, height=size, where=_is(things, name)) for name in FOOD]


def _pots(brush: Brush, cells: np.ndarray, state: Any, params: Any) -> list[Marks]:
    """Onions in pots, how far they have cooked, and soups that are done."""
    row, col = cells.astype(np.float32).T + 0.5
    is_done = state.ticks >= params.cook_steps
    is_cooking = (state.ticks != NOT_COOKING) & ~is_done
    steps = jnp.maximum(jnp.asarray(params.cook_steps, jnp.float32), 1.0)
    share = jnp.clip(state.ticks.astype(jnp.float32) / steps, 0.02, 1.0)
    places = ((-0.16, -0.1), (0.16, -0.1), (0.0, 0.16))
    parts = [
        brush("onion", col + x, row + y, 0.0, 0.4, 0.4, where=(state.onions > k) & ~is_done)
        for k, (x, y) in enumerate(places)
    ]
    parts.append(brush("soup", col, row, 0.0, 0.8, 0.8, where=is_done))
    parts.append(brush("gauge", col, row + 0.4, 0.0, 0.8 * share, 0.14, where=is_cooking))
    return parts
