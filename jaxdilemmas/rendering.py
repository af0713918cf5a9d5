"""Draws any state of a grid game: as text, as an RGB array, and a list of RGB arrays as a GIF.

>>> print(render_text(env, state))
>>> save_gif([render_rgb(env, state, scale=8) for state in states], "episode.gif")

A grid game is an environment with `draw_board(state)`, `tiles` and `palette`, as `GridEnvironment` has them; `state` is
the game's own, not that of a wrapper around it. GIFs need Pillow: `pip install -e ".[viz]"`.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxdilemmas.environment import Environment, require

SYMBOLS = {
    "void": " ",
    "floor": ".",
    "apple": "a",
    "wall": "#",
    "beam": "*",
    "other_same_heading": "^",
    "other_facing_right": ">",
    "other_facing_viewer": "v",
    "other_facing_left": "<",
    "self": "@",
    "tagged": "x",
}
"""One character by tile name; agents point where they head. Any other tile appears as the first letter of its name."""


def render_text(env: Environment, state: Any) -> str:
    """Draws the board as text, one character a cell and one line a row, north up.

    Args:
      env: a grid game.
      state: a state of `env`, without leading axes.

    Returns:
      H lines of W characters, with newlines between them.

    Raises:
      ValueError: `env` is not a grid game.
    """
    board = draw_tiles(env, state)
    symbols = np.array([SYMBOLS.get(name, name[0]) for name in _grid_attribute(env, "tiles")])
    return "\n".join("".join(row) for row in symbols[board])


def render_rgb(env: Environment, state: Any, scale: int = 8) -> np.ndarray:
    """Draws the board in the colours of the game.

    Args:
      env: a grid game.
      state: a state of `env`; leading axes, as of an episode, are kept.
      scale: pixels along each side of a cell.

    Returns:
      `[..., H * scale, W * scale, 3]` uint8.

    Raises:
      ValueError: `env` is not a grid game, or `scale` is not a whole number of at least 1.
    """
    require(isinstance(scale, int) and scale >= 1, "scale", scale, "a whole number of at least 1")
    pixels = _grid_attribute(env, "palette")[draw_tiles(env, state)]
    return pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)


def draw_tiles(env: Environment, state: Any) -> np.ndarray:
    """The tile ids of the whole board, `[..., H, W]` uint8, for a state with any leading axes.

    Raises:
      ValueError: `env` is not a grid game.
    """
    _grid_attribute(env, "draw_board")
    return np.asarray(_draw_boards(env, state))


def save_gif(frames: Sequence[np.ndarray], path: str | os.PathLike[str], frames_per_second: float = 10.0) -> None:
    """Writes pictures as an endless GIF. Needs Pillow.

    Args:
      frames: at least one `[height, width, 3]` uint8, all of one shape.
      path: the file to write.
      frames_per_second: how fast it plays; GIF holds hundredths of a second.

    Raises:
      ValueError: no frames, frames that are not RGB pictures of one shape, or a speed that is not in (0, 100].
    """
    from PIL import Image

    shapes = sorted({np.shape(frame) for frame in frames})
    is_rgb = len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][-1] == 3
    require(is_rgb, "frames", shapes, "at least one frame, all of one shape [height, width, 3]")
    require(0 < frames_per_second <= 100, "frames_per_second", frames_per_second, "a number in (0, 100]")
    images = [Image.fromarray(np.asarray(frame, np.uint8)).quantize(dither=Image.Dither.NONE) for frame in frames]
    duration = round(1000 / frames_per_second)
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)


@functools.partial(jax.jit, static_argnames="env")
def _draw_boards(env: Any, state: Any) -> jax.Array:
    draw = env.draw_board
    for _ in range(state.step_count.ndim):
        draw = jax.vmap(draw)
    return draw(state)


def _grid_attribute(env: Environment, name: str) -> Any:
    if not hasattr(env, name):
        raise ValueError(f"env={type(env).__name__} is not allowed: it has no {name!r}, so it is not a grid game")
    return getattr(env, name)
