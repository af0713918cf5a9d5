"""What a picture consists of: marks on a plane, and gauges beside it. A game describes its states so."""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment, check_game
from jaxdilemmas.rendering.glyphs import GLYPHS, Glyph
from jaxdilemmas.wrappers import Wrapper

HIDDEN = -1
"""The glyph of a mark that is not drawn; the agent of a mark that belongs to none."""


class Marks(NamedTuple):
    """M signs on a plane, in the order of drawing. One unit is the side of a cell, x points east and y south.

    Attributes:
      glyph: `[..., M]` int32, index into the glyphs of the picture, or `HIDDEN`.
      x: `[..., M]` float32, of the middle.
      y: `[..., M]` float32.
      turn: `[..., M]` float32, degrees clockwise from north.
      width: `[..., M]` float32.
      height: `[..., M]` float32.
      agent: `[..., M]` int32, whose colour and number the sign has, or `HIDDEN`.
    """

    glyph: Any
    x: Any
    y: Any
    turn: Any
    width: Any
    height: Any
    agent: Any


class Gauge(NamedTuple):
    """A bar beside the picture.

    Attributes:
      name: what it shows.
      most: the value at which it is full.
    """

    name: str
    most: float


class Picture(NamedTuple):
    """How the states of a game look.

    Attributes:
      width: of the plane, in cells.
      height: of the plane.
      glyphs: the signs that are used, by name; a mark names them by index.
      ground: what never changes.
      marks: a function of a state (no leading axes) and params, what changes; M is the same for all states.
      legend: what signs mean, by the name of the glyph.
      gauges: bars beside the picture.
      levels: a function of a state and params: the values of the gauges, `[G]` float32.
      status: a function of a state and params: words about agents by name, `[N]` bool each.
      num_agents: N.
      actions: what actions are called, in the order of their numbers; those beyond are called by their number.
    """

    width: float
    height: float
    glyphs: Mapping[str, Glyph]
    ground: Marks
    marks: Callable[[Any, Any], Marks]
    legend: Mapping[str, str]
    num_agents: int
    gauges: tuple[Gauge, ...] = ()
    levels: Callable[[Any, Any], jax.Array] = lambda state, params: jnp.zeros(0, jnp.float32)
    status: Callable[[Any, Any], dict[str, jax.Array]] = lambda state, params: {}
    actions: tuple[str, ...] = ()


class Brush:
    """Makes marks with the glyphs of one picture.

    Args:
      names: of the glyphs that the picture uses, in `GLYPHS`.
      **others: glyphs that are not in `GLYPHS`.

    Attributes:
      glyphs: the signs, by name.
    """

    def __init__(self, *names: str, **others: Glyph) -> None:
        self.glyphs = {name: GLYPHS[name] for name in names} | others
        self._index = {name: k for k, name in enumerate(self.glyphs)}

    def __call__(
        self,
        name: str,
        x: Any,
        y: Any,
        turn: Any = 0.0,
        width: Any = 1.0,
        height: Any = 1.0,
        agent: Any = HIDDEN,
        where: Any = True,
    ) -> Marks:
        """Marks of one sign.

        Args:
          name: of the glyph.
          x: of their middles; this and all that follow are numbers or `[n]`.
          y: of their middles.
          turn: degrees clockwise.
          width: in cells.
          height: in cells.
          agent: whose they are.
          where: which are drawn.
        """
        parts = [x, y, turn, width, height]
        shape = jnp.broadcast_shapes((1,), *(jnp.shape(part) for part in (*parts, agent, where)))
        glyph = jnp.where(jnp.asarray(where), jnp.int32(self._index[name]), jnp.int32(HIDDEN))
        fields = [glyph, *(jnp.asarray(part, jnp.float32) for part in parts), jnp.asarray(agent, jnp.int32)]
        return Marks(*(jnp.broadcast_to(field, shape) for field in fields))

    def at(self, name: str, cells: Any, **options: Any) -> Marks:
        """Marks of one sign on cells `[n, 2]` (row, col)."""
        row, col = cells.astype(np.float32).T + np.float32(0.5)
        return self(name, col, row, **options)

    def picture(
        self, size: tuple[float, float], ground: Sequence[Marks], marks: Callable[[Any, Any], Marks], **others: Any
    ) -> Picture:
        """A picture with these glyphs.

        Args:
          size: (width, height) of the plane.
          ground: parts of what never changes.
          marks: see `Picture`.
          **others: further fields of `Picture`.
        """
        width, height = size
        return Picture(width, height, self.glyphs, as_host(join(ground)), marks, **others)


def degrees(headings: jax.Array) -> jax.Array:
    """The turn of signs for headings `[N]` int32, `[N]` float32."""
    return headings.astype(jnp.float32) * 90.0


def join(parts: Sequence[Marks]) -> Marks:
    """Marks one after the other."""
    return Marks(*(jnp.concatenate(fields) for fields in zip(*parts, strict=True)))


def as_host(marks: Marks) -> Marks:
    """The marks as NumPy arrays."""
    return Marks(*(np.asarray(field) for field in marks))


def unwrap(env: Environment, state: Any = None) -> tuple[Any, Any]:
    """The game within all wrappers, and the game's own state within theirs.

    Raises:
      ValueError: `env` is no game.
    """
    check_game(env)
    game: Any = env
    while isinstance(game, Wrapper):
        game = game.env
    while hasattr(state, "env_state"):
        state = state.env_state
    return game, state


def picture_of(env: Environment) -> Picture:
    """How the states of a game look; made once for each environment.

    Raises:
      ValueError: `env` is no game, or one that does not say how it looks.
    """
    return _make_picture(unwrap(env)[0])


def check_drawn(game: Any, state: Any, is_batch_allowed: bool = False) -> None:
    """Raises a ValueError unless a game (without wrappers) is drawn and this is a state of it; nothing is compiled."""
    _check_has_picture(game)
    game.check_state(state, is_batch_allowed=is_batch_allowed)


def _check_has_picture(game: Any) -> None:
    allowed = "a game with a picture_module, whose function picture(env) returns a Picture; this game is not drawn"
    require(game.picture_module is not None, "env", game, allowed)


@functools.lru_cache(maxsize=64)
def _make_picture(game: Environment) -> Picture:
    _check_has_picture(game)
    return importlib.import_module(str(game.picture_module)).picture(game)


class Shown(NamedTuple):
    """What a picture shows of one state or, with a leading axis T, of several; NumPy arrays.

    Attributes:
      marks: `[..., M]`.
      levels: `[..., G]` float32.
      status: by name `[..., N]` bool.
      step_count: `[...]` int32.
    """

    marks: Marks
    levels: np.ndarray
    status: dict[str, np.ndarray]
    step_count: np.ndarray


def show_states(env: Environment, state: Any, params: Any = None) -> Shown:
    """Describes states of a game.

    Args:
      env: a game, perhaps wrapped.
      state: a state of it, perhaps wrapped, with any leading axes.
      params: of the game, `default_params` when left out.

    Raises:
      ValueError: `env` is no game that is drawn, or `state` is no state of it.
    """
    game, state = unwrap(env, state)
    check_drawn(game, state, is_batch_allowed=True)
    params = game.default_params if params is None else params
    marks, levels, status = jax.device_get(_describe(game, np.ndim(state.step_count))(state, params))
    return Shown(Marks(*marks), levels, status, np.asarray(state.step_count))


@functools.lru_cache(maxsize=64)
def _describe(game: Environment, num_axes: int) -> Callable[[Any, Any], tuple[Any, ...]]:
    """The compiled function that describes states with so many leading axes."""
    picture = picture_of(game)

    def describe(state: Any, params: Any) -> tuple[Any, ...]:
        return picture.marks(state, params), picture.levels(state, params), picture.status(state, params)

    for _ in range(num_axes):
        describe = jax.vmap(describe, (0, None))
    return jax.jit(describe)
