"""Draws states of games as text, as SVG and as RGB arrays, and episodes as a GIF or as a page to watch.

>>> print(render_text(env, state))
>>> show(env, state)  # in a notebook
>>> save_replay([record(env, policy, key)], "replay.html")  # a page to watch in a browser
>>> save_gif([render_rgb(env, state, width=400) for state in states], "episode.gif")

The `picture_module` of a game describes its states: signs on a plane, and gauges beside it. All renderers draw from
that one description. Games and states may be wrapped. Pictures in RGB and GIFs need Pillow: `pip install -e ".[viz]"`.
Observations are not made here: see `Environment.observe`.
"""

import functools
import importlib.util
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdilemmas.arguments import check_count, check_kind, check_number, numbers_from, require
from jaxdilemmas.environment import Environment
from jaxdilemmas.rendering.panel import Layout, Row, Tally, lay_out, rows_of
from jaxdilemmas.rendering.picture import Shown, check_drawn, picture_of, show_states, unwrap
from jaxdilemmas.rendering.replay import Replay, check_replay, record, save_replay, sums_from_start

__all__ = [
    "Frames",
    "Replay",
    "Tally",
    "draw_tiles",
    "record",
    "render_rgb",
    "render_svg",
    "render_text",
    "save_gif",
    "save_mp4",
    "save_replay",
    "show",
]

SLOWEST = 0.01
"""Frames in a second at least: GIF holds durations in 16 bits."""

LEAST_WIDTH, MOST_WIDTH = 64, 4096
"""Pixels from side to side of a picture."""


def render_text(env: Environment, state: Any, tally: Tally | None = None) -> str:
    """Draws a state as text, two characters a cell and one line a row, north up.

    Below the plane stand the step, the agents and a legend. An agent is its number and an arrow that points where it
    faces; after number 9 come letters.

    Args:
      env: a game.
      state: a state of `env`, without leading axes.
      tally: returns and events of the episode so far, to be shown as well.

    Returns:
      Lines with newlines between them.

    Raises:
      ValueError: `env` is not a game that is drawn, `state` is no state of it or has leading axes, or `tally` is of
        another kind.
    """
    from jaxdilemmas.rendering.text import draw_text

    shown, rows = _describe_one(env, state, tally)
    return draw_text(picture_of(env), shown.marks, rows)


def render_svg(env: Environment, state: Any, width: int = 800, tally: Tally | None = None) -> str:
    """Draws a state as SVG: the plane, and beside it the step, the agents, gauges and a legend.

    Args:
      env: a game.
      state: a state of `env`, without leading axes.
      width: pixels from side to side, with what stands beside the plane.
      tally: returns and events of the episode so far, to be shown as well.

    Returns:
      One `<svg>` element that needs no other file.

    Raises:
      ValueError: as `render_text`, or `width` is not a whole number from 64 to 4096.
    """
    from jaxdilemmas.rendering.svg import draw_svg

    check_count("width", width, LEAST_WIDTH, MOST_WIDTH)
    shown, rows = _describe_one(env, state, tally)
    picture = picture_of(env)
    return draw_svg(picture, shown.marks, rows, lay_out(picture, width, len(rows)))


def render_rgb(env: Environment, state: Any, width: int = 800, tally: Tally | None = None) -> np.ndarray:
    """Draws states as pixels: the plane, and beside it the step, the agents, gauges and a legend. Needs Pillow.

    Args:
      env: a game.
      state: a state of `env`; leading axes, as of an episode, are kept.
      width: pixels from side to side, with what stands beside the plane.
      tally: returns and events so far, with the same leading axes, to be shown as well.

    Returns:
      `[..., height, width, 3]` uint8; the height follows from the width.

    Raises:
      ValueError: `env` is not a game that is drawn, `state` is no state of it, `width` is not a whole number from 64 to
        4096, or `tally` is of another kind.
    """
    check_count("width", width, LEAST_WIDTH, MOST_WIDTH)
    game, state = unwrap(env, state)
    check_drawn(game, state, is_batch_allowed=True)
    _check_tally(game, state, tally)
    shown = show_states(game, state)
    axes = shown.step_count.shape
    frames = [_draw_rgb(env, _shown_at(shown, at), _tally_at(tally, at), width) for at in np.ndindex(axes)]
    return np.stack(frames).reshape(*axes, *frames[0].shape)


def show(env: Environment, state: Any, tally: Tally | None = None) -> "Drawing":
    """Draws a state for a notebook, which shows the SVG; in a terminal `print` shows the text.

    Args:
      env: a game.
      state: a state of `env`, without leading axes.
      tally: returns and events of the episode so far, to be shown as well.

    Raises:
      ValueError: as `render_text`.
    """
    return Drawing(render_svg(env, state, tally=tally), render_text(env, state, tally))


class Drawing(NamedTuple):
    """A state that was drawn.

    Attributes:
      svg: for notebooks and pages.
      text: for terminals.
    """

    svg: str
    text: str

    def _repr_html_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.text


def draw_tiles(env: Environment, state: Any) -> np.ndarray:
    """The tile ids of the whole board of a grid game, `[..., H, W]` uint8, for a state with any leading axes.

    Raises:
      ValueError: `env` is not a grid game, or `state` is no state of it.
    """
    game, state = unwrap(env, state)
    require(hasattr(game, "draw_board"), "env", game, "a grid game, one with draw_board; this game has no tiles")
    game.check_state(state, is_batch_allowed=True)
    return np.asarray(_draw_boards(game, state))


class Frames(Sequence[np.ndarray]):
    """The frames of an episode, `[height, width, 3]` uint8 each, drawn when they are asked for.

    Args:
      replay: the episode.
      width: pixels from side to side.

    Raises:
      ValueError: `replay` is none, its arrays do not fit each other, or `width` is not a whole number from 64 to 4096.
    """

    def __init__(self, replay: Replay, width: int = 640) -> None:
        check_kind("replay", replay, Replay, "a Replay, as record(...) returns it")
        check_replay(replay)
        self._width = check_count("width", width, LEAST_WIDTH, MOST_WIDTH)
        self._env = replay.env
        self._shown = show_states(replay.env, replay.states)
        events = {name: sums_from_start(values) for name, values in replay.events.items() if np.any(values)}
        self._tally = Tally(sums_from_start(replay.rewards), events)

    def __len__(self) -> int:
        return len(self._shown.step_count)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        at = (range(len(self))[index],)
        return _draw_rgb(self._env, _shown_at(self._shown, at), _tally_at(self._tally, at), self._width)


def save_gif(frames: Sequence[np.ndarray], path: str | os.PathLike[str], frames_per_second: float = 10.0) -> None:
    """Writes pictures as a GIF that repeats without end. Needs Pillow.

    The colours are the 256 that a few of the frames use most.

    Args:
      frames: at least one picture, `[height, width, 3]` uint8, all of one shape; `Frames(replay)` for an episode.
      path: the file to write.
      frames_per_second: the speed; GIF stores durations in hundredths of a second.

    Raises:
      ValueError: there are no frames, the frames are not RGB pictures of one shape, `path` is not a path, or the speed
        is not in [0.01, 100].
    """
    _check_frames(frames, path)
    check_number("frames_per_second", frames_per_second, 100, is_zero_allowed=False)
    require(frames_per_second >= SLOWEST, "frames_per_second", frames_per_second, f"at least {SLOWEST}")
    from PIL import Image

    some = [np.asarray(frames[k]) for k in np.linspace(0, len(frames) - 1, min(len(frames), 8)).astype(int)]
    palette = Image.fromarray(np.concatenate(some)).quantize(dither=Image.Dither.NONE)
    images = (
        Image.fromarray(np.asarray(frame)).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames
    )
    duration = round(1000 / frames_per_second)
    next(images).save(path, format="GIF", save_all=True, append_images=images, duration=duration, loop=0)


def save_mp4(frames: Sequence[np.ndarray], path: str | os.PathLike[str], frames_per_second: float = 20.0) -> None:
    """Writes pictures as an MP4 (H.264). Needs imageio-ffmpeg: `pip install -e ".[video]"`.

    Args:
      frames: at least one picture, `[height, width, 3]` uint8, all of one shape; `Frames(replay)` for an episode. An
        odd last row or column is left out, as H.264 asks for.
      path: the file to write.
      frames_per_second: the speed.

    Raises:
      ValueError: as `save_gif`, or imageio-ffmpeg is missing.
    """
    _check_frames(frames, path)
    check_number("frames_per_second", frames_per_second, 100, is_zero_allowed=False)
    is_there = importlib.util.find_spec("imageio_ffmpeg") is not None
    require(is_there, "imageio_ffmpeg", None, 'a video needs this library: pip install -e ".[video]"')
    import imageio_ffmpeg

    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    require(min(height, width) > 0, "frames", frames[0].shape, "at least two rows and columns")
    writer = imageio_ffmpeg.write_frames(
        os.fspath(path), (width, height), fps=frames_per_second, macro_block_size=2, output_params=["-f", "mp4"]
    )
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"os\.fork", category=RuntimeWarning
        )  # the child does nothing but exec
        writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame[:height, :width]))
    writer.close()


def _check_frames(frames: Any, path: Any) -> None:
    """Raises a ValueError unless these are RGB pictures of one shape and a path; `Frames` are such pictures."""
    is_stack = getattr(frames, "ndim", 0) == 4
    is_list = isinstance(frames, Sequence) and not isinstance(frames, str | bytes | Frames)
    kinds: set[Any] = {_kind_of(frame) for frame in frames} if is_stack or is_list else set()
    is_rgb = all(shape[2:] == (3,) and 0 not in shape and dtype == np.uint8 for shape, dtype in kinds)
    allowed = "at least one frame, all of one shape [height, width, 3], uint8"
    require(isinstance(frames, Frames) or (is_rgb and len(kinds) == 1), "frames", frames, allowed)
    require(isinstance(path, str | os.PathLike), "path", path, "a path of a file")


def _check_tally(game: Environment, state: Any, tally: Tally | None) -> None:
    """Raises a ValueError unless a tally is None, or has numbers for every agent of all states."""
    if tally is None:
        return
    check_kind("tally", tally, Tally, "a Tally of returns and events")
    shape = (*np.shape(state.step_count), game.num_agents)
    for name, values in {"returns": tally.returns, **tally.events}.items():
        numbers = numbers_from(values)
        found = None if numbers is None else numbers.shape
        require(found == shape, f"tally.{name}", values if found is None else found, f"numbers of shape {shape}")


def _describe_one(env: Environment, state: Any, tally: Tally | None) -> tuple[Shown, list[Row]]:
    """One state and the rows beside it."""
    game, state = unwrap(env, state)
    check_drawn(game, state)
    _check_tally(game, state, tally)
    picture, shown = picture_of(game), show_states(game, state)
    return shown, rows_of(picture, shown, tally)


def _draw_rgb(env: Environment, shown: Shown, tally: Tally | None, width: int) -> np.ndarray:
    from jaxdilemmas.rendering.raster import Canvas

    picture = picture_of(env)
    rows = rows_of(picture, shown, tally)
    return _canvas(Canvas, unwrap(env)[0], lay_out(picture, width, len(rows))).draw(shown.marks, rows)


@functools.lru_cache(maxsize=16)
def _canvas(kind: Any, game: Environment, layout: Layout) -> Any:
    return kind(picture_of(game), layout)


def _shown_at(shown: Shown, at: tuple[int, ...]) -> Shown:
    return jax.tree.map(lambda leaf: leaf[at], shown)


def _tally_at(tally: Tally | None, at: tuple[int, ...]) -> Tally | None:
    if tally is None:
        return None
    return Tally(np.asarray(tally.returns)[at], {name: np.asarray(values)[at] for name, values in tally.events.items()})


@functools.partial(jax.jit, static_argnames="env")
def _draw_boards(env: Any, state: Any) -> jax.Array:
    draw = env.draw_board
    for _ in range(state.step_count.ndim):
        draw = jax.vmap(draw)
    return draw(state)


def _kind_of(frame: Any) -> tuple[Any, Any]:
    return getattr(frame, "shape", ()), getattr(frame, "dtype", None)
