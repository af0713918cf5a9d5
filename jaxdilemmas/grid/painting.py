"""Paints views of agents and whole boards from lists that a game supplies: things on cells, beams and agents."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import require
from jaxdilemmas.batching import compute_if_any
from jaxdilemmas.grid import beams, views
from jaxdilemmas.grid.bits import WORD_BITS, look_up_bits, pack_bits
from jaxdilemmas.grid.geometry import cell_index, relative_coordinates
from jaxdilemmas.grid.maps import cells_of
from jaxdilemmas.grid.views import NOWHERE, Frame, Window

MOST_CHANGING = 4096
"""The largest number of cells on which things come and go. They are bits, and words are read one after the other."""

OTHERS = ("other_same_heading", "other_facing_right", "other_facing_viewer", "other_facing_left")
"""Tiles of other agents by their heading relative to the viewer's."""

TILES = ("void", "floor", "apple", "wall", "beam", *OTHERS, "self")
"""Names of tile ids in draw order."""

PALETTE = {
    "void": (40, 40, 40),
    "floor": (0, 0, 0),
    "apple": (0, 200, 0),
    "wall": (127, 127, 127),
    "beam": (255, 255, 60),
    "self": (50, 100, 255),
    "tagged": (100, 100, 100),
} | dict.fromkeys(OTHERS, (220, 50, 50))
"""RGB by tile name. Source: vicgalle/llm-policies-social-dilemmas @ f5c5b2b; void is our choice."""


class Layer(NamedTuple):
    """Things that come and go, each on its own cell.

    Attributes:
      tile_there: name of the tile of a cell whose thing is there.
      tile_not_there: name of the tile of a cell whose thing is not there.
      cells: `[n, 2]` int32 (row, col); no cell is in two layers.
    """

    tile_there: str
    tile_not_there: str
    cells: np.ndarray


class Scene(NamedTuple):
    """The things to paint of one state.

    Attributes:
      positions: `[N, 2]` int32, cells of the agents.
      headings: `[N]` int32.
      is_drawn: `[N]` bool, the agents that are drawn.
      can_see: `[N]` bool, the agents that see anything.
      things: for each layer of the board `[n]` bool, which of its things are there.
      beams: for each kind of beam the name of its tile and the cells that each ray covers, `[N, rays]` int32, 0 for
        agents that did not fire; later beams are painted over earlier ones.
      is_tagged: `[N]` bool, the agents that have the tile "tagged" for others; None in games without that tile.
    """

    positions: jax.Array
    headings: jax.Array
    is_drawn: jax.Array
    can_see: jax.Array
    things: Sequence[jax.Array]
    beams: Sequence[tuple[str, jax.Array]]
    is_tagged: jax.Array | None = None


class Painter:
    """Paints scenes on one board.

    Args:
      board: masks `[H, W]` bool by name. The cells of a mask have the tile of the same name; all other cells are floor.
      layers: things that come and go; their cells have the tiles of the layer.
      tiles: names of the tile ids, in draw order.
      window: the part of the board that an agent sees.
      outside: name of the tile of cells off the board.
      side_start: where rays beside the middle one start, see `beams`.
      is_beam_blocked: whether walls block beams. Beams that pass walls are not painted over them.

    Raises:
      ValueError: the window is too wide, or things come and go on too many cells.

    Attributes:
      shape: (H, W).
      codes: `[H, W]` int32, the static part of the board, one number for each cell: the tile or, on cells of layers,
        the number of tiles plus the number of the thing; the things of the first layer come first.
    """

    def __init__(
        self,
        board: Mapping[str, np.ndarray],
        layers: Sequence[Layer],
        tiles: Sequence[str],
        window: Window,
        outside: str = "void",
        side_start: int = 1,
        is_beam_blocked: bool = True,
    ) -> None:
        width = window.shape[1]
        require(width <= WORD_BITS, "window", window, f"at most {WORD_BITS} columns; it has {width}")
        cells = np.concatenate([layer.cells for layer in layers])
        self.shape: tuple[int, int] = board["wall"].shape
        allowed = f"things come and go on at most {MOST_CHANGING} cells, here on {len(cells)}"
        require(len(cells) <= MOST_CHANGING, "map", f"{self.shape} cells", allowed)
        self.layers, self.tiles, self.window = tuple(layers), tuple(tiles), window
        self.side_start, self.is_beam_blocked = side_start, is_beam_blocked
        self.codes = np.full(self.shape, self.tile_id("floor"), np.int32)
        for name in self.tiles:
            if name in board:
                self.codes[board[name]] = self.tile_id(name)
        self.codes[tuple(cells.T)] = len(self.tiles) + np.arange(len(cells))
        # The smallest rectangle that contains all open cells; beams are painted there.
        open_cells = cells_of(~board["wall"])
        self._open_from = open_cells.min(0)
        self._open_shape = tuple(open_cells.max(0) - self._open_from + 1)
        self._code_table = views.window_table(self.codes, window, int(self.tile_id(outside)))

    def tile_id(self, name: str) -> np.uint8:
        """The id of a tile by its name."""
        return np.uint8(self.tiles.index(name))

    def paint_views(self, scene: Scene) -> jax.Array:
        """The tile ids in every agent's window, `[N, rows, cols]` uint8."""
        forward, right = relative_coordinates(scene.positions, scene.headings, scene.positions)
        frame = views.window_frame(forward, right, scene.headings, self.window)
        cells = cell_index(scene.positions, self.shape[1])
        tiles = self._paint_codes(scene.things, jnp.asarray(self._code_table)[cells * 4 + scene.headings])
        for (name, _), is_beam in zip(scene.beams, self._beams_in_view(scene), strict=True):
            tiles = self._paint_beam(tiles, is_beam, name)
        tiles = self._paint_agents(scene, tiles, frame, self.window.shape, jnp.eye(len(scene.headings), dtype=bool))
        return jnp.where(scene.can_see[:, None, None], tiles, self.tile_id("void"))

    def paint_board(self, scene: Scene) -> jax.Array:
        """The tile ids of the whole board, north at the top, `[H, W]` uint8; agents show their absolute heading."""
        tiles = self._paint_codes(scene.things, jnp.asarray(self.codes.reshape(1, -1)))
        margins = np.stack([self._open_from, self.shape - self._open_from - self._open_shape], 1)
        rows_of_beams = self._beams_on_board(scene, lambda lines, *_: lines.north.T)
        for (name, _), rows in zip(scene.beams, rows_of_beams, strict=True):
            tiles = self._paint_beam(tiles, jnp.pad(views.show_bits(rows, self._open_shape[1]), margins), name)
        frame = views.board_frame(scene.positions, scene.headings)
        nobody = jnp.zeros((1, len(scene.headings)), bool)
        return self._paint_agents(scene, tiles, frame, self.shape, nobody)[0]

    def _paint_codes(self, things: Sequence[jax.Array], codes: jax.Array) -> jax.Array:
        """The tiles of codes, `[...]` uint8: static tiles and the things of all layers."""
        number = codes.astype(jnp.int16) - len(self.tiles)
        words = pack_bits(things[0] if len(things) == 1 else jnp.concatenate(things))
        is_there = look_up_bits(words, jnp.maximum(number, 0))
        tiles, first = codes.astype(jnp.uint8), 0
        for layer in self.layers:
            shown = jnp.where(is_there, self.tile_id(layer.tile_there), self.tile_id(layer.tile_not_there))
            tiles = jnp.where(number >= first, shown, tiles)
            first += len(layer.cells)
        return tiles

    def _segments(self, scene: Scene) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The ends of the rays of K kinds of beam, `[K, S, 2]` each, and which of them are drawn, `[K, S]`."""
        rays = jnp.stack([rays for _, rays in scene.beams])
        ends = jax.vmap(beams.ray_segments, (None, None, 0, None))
        return *ends(scene.positions, scene.headings, rays, self.side_start), (rays > 0).reshape(len(rays), -1)

    def _beams_in_view(self, scene: Scene) -> list[jax.Array]:
        """The cells of each kind of beam in every agent's window, `[N, rows * cols]` bool, in order of painting."""
        if views.are_few(scene.beams[0][1].size, self.window):
            viewers = scene.positions, scene.headings
            return [
                views.view_segments(*those, viewers, self.window) for those in zip(*self._segments(scene), strict=True)
            ]
        cut = partial(views.cut_lines, window=self.window)
        return [views.show_window(rows, self.window.shape[1]) for rows in self._beams_on_board(scene, cut)]

    def _beams_on_board(self, scene: Scene, cut: Callable[..., jax.Array]) -> list[jax.Array]:
        """The results of `cut(lines, positions, headings)` for the cells of each kind of beam, in order of painting.

        Beams are searched for only if there are any.
        """

        def search(*arrays: jax.Array) -> list[jax.Array]:
            first, last, is_there, positions, headings = arrays
            start = self._open_from[None]
            lines = [
                views.mark_segments(first[k] - start, last[k] - start, is_there[k], self._open_shape)
                for k in range(len(first))
            ]
            return [cut(those, positions - start, headings) for those in lines]

        first, last, is_there = self._segments(scene)
        return compute_if_any(search, is_there.any(), first, last, is_there, scene.positions, scene.headings)

    def _paint_beam(self, tiles: jax.Array, is_beam: jax.Array, name: str) -> jax.Array:
        """Paints a beam, `[F, rows * cols]` uint8, but not over walls, which beams may pass, and not off the board."""
        is_beam = is_beam.reshape(tiles.shape)
        if not self.is_beam_blocked:
            is_beam &= (tiles != self.tile_id("void")) & (tiles != self.tile_id("wall"))
        return jnp.where(is_beam, self.tile_id(name), tiles)

    def _paint_agents(
        self, scene: Scene, tiles: jax.Array, frame: Frame, shape: tuple[int, int], is_self: jax.Array
    ) -> jax.Array:
        """Paints agents on tiles `[F, rows * cols]`, `[F, rows, cols]` uint8; `is_self` `[F, N]` marks the viewer."""
        others = self.tile_id(OTHERS[0]) + frame.headings.astype(jnp.uint8)
        agents = jnp.where(is_self, self.tile_id("self"), others)
        if scene.is_tagged is not None:
            agents = jnp.where(scene.is_tagged[None, :] & ~is_self, self.tile_id("tagged"), agents)
        rows = jnp.where(scene.is_drawn[None, :], frame.rows, NOWHERE)
        return views.paint_agents(tiles, frame._replace(rows=rows), agents, shape).reshape(-1, *shape)
