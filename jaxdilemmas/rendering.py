"""Draws any state of a grid game as text or as an RGB array, and writes a list of RGB arrays as a GIF.

>>> print(render_text(env, state))
>>> save_gif([render_rgb(env, state, scale=8) for state in states], "episode.gif")

A grid game is an environment with `draw_board(state)`, `tiles` and `palette`, such as a `GridEnvironment`. The game and
its state may be wrapped. GIFs need Pillow: `pip install -e ".[viz]"`.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxdilemmas.arguments import check_count, check_number, require
from jaxdilemmas.environment import Environment, check_game
from jaxdilemmas.wrappers import Wrapper

SLOWEST = 0.01
"""The smallest number of frames per second, because GIF stores durations in 16 bits."""

MOST_SCALE = 512
"""The largest number of pixels along each side of a cell."""

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
"""One character for each tile name; agents point in the direction of their heading.

Any other tile is drawn as the first letter of its name.
"""


def render_text(env: Environment, state: Any) -> str:
    """Draws the board as text: one character for each cell, one line for each row, north at the top.

    Args:
      env: a grid game.
      state: a state of `env`, without leading axes.

    Returns:
      H lines of W characters, with newlines between them.

    Raises:
      ValueError: `env` is not a grid game, or `state` is not a state of it, or has leading axes.
    """
    game, state = _unwrap(env, state)
    game.check_state(state)
    board = draw_tiles(game, state)
    symbols = np.array([SYMBOLS.get(name, name[0]) for name in game.tiles])
    return "\n".join("".join(row) for row in symbols[board])


def render_rgb(env: Environment, state: Any, scale: int = 8) -> np.ndarray:
    """Draws the board in the colours of the game.

    Args:
      env: a grid game.
      state: a state of `env`, with any leading axes, such as the time axis of an episode.
      scale: pixels along each side of a cell.

    Returns:
      `[..., H * scale, W * scale, 3]` uint8.

    Raises:
      ValueError: `env` is not a grid game, `state` is not a state of it, or `scale` is not a whole number from 1 to
        512.
    """
    scale = check_count("scale", scale, most=MOST_SCALE)
    game, state = _unwrap(env, state)
    pixels = game.palette[draw_tiles(game, state)]
    return pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)


def draw_tiles(env: Environment, state: Any) -> np.ndarray:
    """Returns the tile ids of the whole board, `[..., H, W]` uint8, for a state with any leading axes.

    Raises:
      ValueError: `env` is not a grid game, or `state` is not a state of it.
    """
    game, state = _unwrap(env, state)
    game.check_state(state, is_batch_allowed=True)
    return np.asarray(_draw_boards(game, state))


def save_gif(frames: Sequence[np.ndarray], path: str | os.PathLike[str], frames_per_second: float = 10.0) -> None:
    """Writes pictures as a GIF that repeats without end. Needs Pillow.

    Args:
      frames: at least one picture, `[height, width, 3]` uint8, all of one shape.
      path: the file to write.
      frames_per_second: the speed; GIF stores durations in hundredths of a second.

    Raises:
      ValueError: there are no frames, the frames are not RGB pictures of one shape, `path` is not a path, or the speed
        is not in [0.01, 100].
    """
    is_stack = getattr(frames, "ndim", 0) == 4
    is_list = isinstance(frames, Sequence) and not isinstance(frames, str | bytes)
    kinds: set[Any] = {_kind_of(frame) for frame in frames} if is_stack or is_list else set()
    is_rgb = all(shape[2:] == (3,) and 0 not in shape and dtype == np.uint8 for shape, dtype in kinds)
    require(
        is_rgb and len(kinds) == 1, "frames", frames, "at least one frame, all of one shape [height, width, 3], uint8"
    )
    require(isinstance(path, str | os.PathLike), "path", path, "a path of a file")
    check_number("frames_per_second", frames_per_second, 100, is_zero_allowed=False)
    require(frames_per_second >= SLOWEST, "frames_per_second", frames_per_second, f"at least {SLOWEST}")
    from PIL import Image

    images = [Image.fromarray(np.asarray(frame, np.uint8)).quantize(dither=Image.Dither.NONE) for frame in frames]
    duration = round(1000 / frames_per_second)
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=duration, loop=0)


@functools.partial(jax.jit, static_argnames="env")
def _draw_boards(env: Any, state: Any) -> jax.Array:
    draw = env.draw_board
    for _ in range(state.step_count.ndim):
        draw = jax.vmap(draw)
    return draw(state)


def _kind_of(frame: Any) -> tuple[Any, Any]:
    return getattr(frame, "shape", ()), getattr(frame, "dtype", None)


def _unwrap(env: Environment, state: Any) -> tuple[Any, Any]:
    """The game inside all wrappers, and the game's own state inside their states."""
    check_game(env)
    game: Any = env
    while isinstance(game, Wrapper):
        game = game.env
    is_drawn = all(hasattr(game, name) for name in ("draw_board", "tiles", "palette"))
    require(is_drawn, "env", game, "a grid game with draw_board, tiles and palette; this game cannot be drawn")
    while hasattr(state, "env_state"):
        state = state.env_state
    return game, state
