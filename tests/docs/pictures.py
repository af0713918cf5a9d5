"""The pictures of games in the pages: states that scripted policies reach.

`python -m tests.docs.pictures` writes them into docs/images.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.environment import Environment
from jaxdilemmas.envs import intersection, overcooked
from jaxdilemmas.rendering import render_rgb, save_gif
from tests.docs.pages import ROOT

IMAGES = ROOT / "docs/images"
SCALE, GIF_SCALE = 8, 12
WHITE, BLACK, GREY = (255, 255, 255), (40, 40, 40), (200, 200, 200)
BLUE, RED, PURPLE = (60, 100, 230), (220, 60, 60), (150, 60, 190)
BOARDS: dict[str, tuple[dict[str, Any], str, int]] = {
    "gathering": ({}, "cooperative", 17),
    "commons": ({}, "exploitative", 15),
    "cleanup": ({}, "cooperative", 160),
    "cleanup_meltingpot": ({}, "cooperative", 160),
    "harvest": ({}, "greedy", 5),
    "gathering_gallego": ({"map": "large", "num_agents": 10}, "exploitative", 25),
    "cleanup_gallego": ({"num_agents": 10}, "cooperative", 60),
}
"""Keyword arguments, policy and number of steps by the id of a grid game."""


def play(env: Environment, name: str, num_steps: int) -> Any:
    """The states of an episode under a scripted policy, `[num_steps + 1, ...]` each."""
    act = policies.scripted(env, name)

    def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
        key_act, key_step = jax.random.split(key)
        _, state, *_ = env.step(key_step, state, act(key_act, state))
        return state, state

    _, first = env.reset(jax.random.key(0))
    _, states = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys))(
        first, jax.random.split(jax.random.key(1), num_steps)
    )
    return jax.tree.map(lambda start, later: np.concatenate([np.asarray(start)[None], later]), first, states)


def board_picture(env_id: str) -> np.ndarray:
    """A grid game after some steps, RGB."""
    kwargs, name, num_steps = BOARDS[env_id]
    env = jaxdilemmas.make(env_id, **kwargs)
    return render_rgb(env, jax.tree.map(lambda leaf: leaf[-1], play(env, name, num_steps)), scale=SCALE)


def gems_picture() -> np.ndarray:
    """Gems at the start: players are squares, gems are discs."""
    _, state = jaxdilemmas.make("gems").reset(jax.random.key(0))
    image = Image.new("RGB", (15 * 16 + 1, 15 * 16 + 1), WHITE)
    draw = ImageDraw.Draw(image)
    for edge in range(0, 241, 16):
        draw.line((edge, 0, edge, 240), fill=GREY)
        draw.line((0, edge, 240, edge), fill=GREY)
    for kind, colour in enumerate((BLUE, RED, PURPLE)):
        for row, col in np.asarray(state.gems)[kind]:
            draw.ellipse((16 * col + 3, 16 * row + 3, 16 * col + 12, 16 * row + 12), fill=colour)
    for player, colour in enumerate((BLUE, RED)):
        row, col = np.asarray(state.positions)[player]
        draw.rectangle((16 * col, 16 * row, 16 * col + 15, 16 * row + 15), fill=colour)
    return np.asarray(image)


def overcooked_picture() -> np.ndarray:
    """The cramped room after some steps, with a letter on each station and a dot where a cook looks."""
    env = jaxdilemmas.make("overcooked")
    assert isinstance(env, overcooked.Overcooked)
    state = jax.tree.map(lambda leaf: leaf[-1], play(env, "greedy", 12))
    height, width = env.kitchen.kinds.shape
    image = Image.new("RGB", (32 * width, 32 * height), WHITE)
    draw = ImageDraw.Draw(image)
    for (row, col), kind in np.ndenumerate(env.kitchen.kinds):
        if kind != 0:
            draw.rectangle((32 * col, 32 * row, 32 * col + 31, 32 * row + 31), fill=GREY, outline=WHITE)
            draw.text((32 * col + 13, 32 * row + 10), " XODSP"[kind].replace("X", ""), fill=BLACK)
    for (row, col), heading, colour in zip(state.positions, state.headings, (BLUE, RED), strict=True):
        draw.ellipse((32 * col + 4, 32 * row + 4, 32 * col + 27, 32 * row + 27), fill=colour)
        down, right = ((-1, 0), (0, 1), (1, 0), (0, -1))[heading]
        x, y = 32 * col + 16 + 9 * right, 32 * row + 16 + 9 * down
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=WHITE)
    return np.asarray(image)


def intersection_picture() -> np.ndarray:
    """The crossing with four cars after some steps, five pixels a metre; the centre is in the middle."""
    env = jaxdilemmas.make("intersection")
    state = jax.tree.map(lambda leaf: leaf[-1], play(env, "cautious", 4))
    places, directions = intersection.pose(state.progress, state.turns, jnp.arange(4))
    image = Image.new("RGB", (300, 300), (225, 235, 215))
    draw = ImageDraw.Draw(image)
    half, metre = intersection.LANE_WIDTH, 5
    draw.rectangle((150 - half * metre, 0, 150 + half * metre, 300), fill=GREY)
    draw.rectangle((0, 150 - half * metre, 300, 150 + half * metre), fill=GREY)
    for (x, y), (cosine, sine), colour in zip(places, directions, (BLUE, RED, PURPLE, BLACK), strict=True):
        corners = [
            (150 + metre * (x + a * cosine - b * sine), 150 + metre * (y + a * sine + b * cosine))
            for a, b in ((2.5, 1), (2.5, -1), (-2.5, -1), (-2.5, 1))
        ]
        draw.polygon([(math.floor(left), math.floor(top)) for left, top in corners], fill=colour)
    return np.asarray(image)


def common_pool_picture() -> np.ndarray:
    """The stock over 40 steps when all agents cooperate, and when all take always."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 2.4), layout="constrained")
    axes = figure.subplots()
    for name in ("cooperative", "exploitative"):
        states = play(jaxdilemmas.make("common_pool"), name, 40)
        axes.plot(np.maximum(states.stock, 0), label=f"all {name}")
    axes.set(xlabel="step", ylabel="stock", ylim=(0, 0.6))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def harvest_frames(num_steps: int = 150) -> list[np.ndarray]:
    """Harvest twice side by side: greedy agents on the left, cooperative ones on the right."""
    env = jaxdilemmas.make("harvest")
    sides = [render_rgb(env, play(env, name, num_steps), scale=GIF_SCALE) for name in ("greedy", "cooperative")]
    gap = np.full((*sides[0].shape[:2], 2 * GIF_SCALE, 3), 255, np.uint8)
    return list(np.concatenate([sides[0], gap, sides[1]], axis=2))


PICTURES: dict[str, Callable[[], np.ndarray]] = {
    "common_pool": common_pool_picture,
    "gems": gems_picture,
    "overcooked": overcooked_picture,
    "intersection": intersection_picture,
}


if __name__ == "__main__":
    for env_id in BOARDS:
        Image.fromarray(board_picture(env_id)).quantize().save(IMAGES / f"game_{env_id}.png", optimize=True)
    for env_id, picture in PICTURES.items():
        Image.fromarray(picture()).quantize().save(IMAGES / f"game_{env_id}.png", optimize=True)
    save_gif(harvest_frames(), IMAGES / "harvest.gif", frames_per_second=10)
