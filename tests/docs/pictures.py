"""The pictures of games in the pages: states that scripted policies reach.

`python -m tests.docs.pictures` writes them into docs/images.
"""

from typing import Any

import jax
import numpy as np
from PIL import Image

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.environment import Environment
from jaxdilemmas.rendering import Tally, render_rgb, save_gif
from tests.docs.pages import ROOT

IMAGES = ROOT / "docs/images"
WIDTH, GIF_WIDTH = 640, 440
PICTURES: dict[str, tuple[dict[str, Any], str, int]] = {
    "gathering": ({}, "cooperative", 17),
    "commons": ({}, "exploitative", 15),
    "cleanup": ({}, "cooperative", 160),
    "cleanup_meltingpot": ({}, "cooperative", 160),
    "harvest": ({}, "greedy", 5),
    "coins": ({}, "random", 200),
    "coop_mining": ({}, "cooperative", 150),
    "externality_mushrooms": ({}, "cooperative", 150),
    "in_the_matrix": ({}, "cooperative", 12),
    "gift_refinements": ({}, "cooperative", 150),
    "territory": ({}, "cooperative", 60),
    "gathering_gallego": ({"map": "large", "num_agents": 10}, "exploitative", 25),
    "cleanup_gallego": ({"num_agents": 10}, "cooperative", 60),
    "common_pool": ({}, "cooperative", 40),
    "gems": ({}, "greedy", 4),
    "overcooked": ({}, "greedy", 40),
    "intersection": ({}, "random", 3),
    "coin_game": ({}, "random", 3),
    "level_based_foraging": ({"size": 8, "num_agents": 3, "num_food": 4}, "cooperative", 4),
    "matrix_game": ({}, "random", 5),
}
"""Keyword arguments, policy and number of steps by the id of a game."""


def play(env: Environment, name: str, num_steps: int) -> tuple[Any, Tally]:
    """The states of an episode under a scripted policy, `[num_steps + 1, ...]` each, and the returns by then."""
    act = policies.scripted(env, name)

    def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
        key_act, key_step = jax.random.split(key)
        _, state, rewards, *_ = env.step(key_step, state, act(key_act, state))
        return state, (state, rewards)

    _, first = env.reset(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), num_steps)
    _, (states, rewards) = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys))(first, keys)
    returns = np.concatenate([np.zeros_like(rewards[:1]), np.cumsum(rewards, 0)])
    return jax.tree.map(lambda start, later: np.concatenate([np.asarray(start)[None], later]), first, states), Tally(
        returns
    )


def game_picture(env_id: str) -> np.ndarray:
    """A game after some steps, `[height, 640, 3]` uint8."""
    kwargs, name, num_steps = PICTURES[env_id]
    env = jaxdilemmas.make(env_id, **kwargs)
    states, tally = play(env, name, num_steps)
    last = jax.tree.map(lambda leaf: leaf[-1], states)
    return render_rgb(env, last, WIDTH, Tally(tally.returns[-1]))


def harvest_frames(num_steps: int = 150) -> list[np.ndarray]:
    """Harvest twice side by side: greedy agents on the left, cooperative ones on the right."""
    env = jaxdilemmas.make("harvest")
    sides = []
    for name in ("greedy", "cooperative"):
        states, tally = play(env, name, num_steps)
        sides.append(render_rgb(env, states, GIF_WIDTH, tally))
    return list(np.concatenate(sides, axis=2))


if __name__ == "__main__":
    for env_id in PICTURES:
        Image.fromarray(game_picture(env_id)).quantize().save(IMAGES / f"game_{env_id}.png", optimize=True)
    save_gif(harvest_frames(), IMAGES / "harvest.gif", frames_per_second=10)
