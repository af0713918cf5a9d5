"""Paints views of agents and whole boards from lists that a game supplies: things on cells, beams and agents."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import require
from jaxdilemmas.batching import batch_last, compute_once, fold
from jaxdilemmas.grid import beams, views
from jaxdilemmas.grid.bits import WORD_BITS
from jaxdilemmas.grid.geometry import BEHIND, cell_index, same_cell, with_trailing_axes
from jaxdilemmas.grid.maps import index_of_cells
from jaxdilemmas.grid.scene import AGENTS, MARKED_OTHERS, OTHERS, AnyLayer, Layer, Owned, OwnedLayer, Scene
from jaxdilemmas.grid.views import Window

MOST_CHANGING = 4096
"""The largest number of cells on which things come and go; the operations that mark them are compiled one by one."""

FEW_THINGS = 24
"""Up to this many things are marked in windows one by one."""

MOST_TILES = 16
"""The largest number of kinds of tile, without those of agents."""


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
      is_torus: whether opposite edges of the board meet.

    Raises:
      ValueError: the window is too large, the torus is too small, there are too many tiles, those of agents are not in
        order, or things come and go on too many cells.

    Attributes:
      shape: (H, W).
      codes: `[H, W]` int32, the static part of the board, one number for each cell: the tile or, on cells of layers,
        the number of tiles plus the number of the thing; the things of the first layer come first.
    """

    def __init__(
        self,
        board: Mapping[str, np.ndarray],
        layers: Sequence[AnyLayer],
        tiles: Sequence[str],
        window: Window,
        outside: str = "void",
        side_start: int = 1,
        is_beam_blocked: bool = True,
        is_torus: bool = False,
    ) -> None:
        self.shape: tuple[int, int] = board["wall"].shape
        self.torus = self.shape if is_torus else None
        self.layers, self.tiles, self.window = tuple(layers), tuple(tiles), window
        self.side_start, self.is_beam_blocked = side_start, is_beam_blocked
        self._check()
        cells = np.concatenate([layer.cells for layer in layers])
        self.codes = np.full(self.shape, self.tile_id("floor"), np.int32)
        for name in self.tiles:
            if name in board:
                self.codes[board[name]] = self.tile_id(name)
        self.codes[tuple(cells.T)] = len(self.tiles) + np.arange(len(cells))
        self._thing_at = index_of_cells(cells, self.shape)
        is_plain = [isinstance(layer, Layer) for layer in layers]
        self._plain = [k for k, plain in enumerate(is_plain) if plain and len(layers[k].cells)]
        self._kind_layers = [k for k, plain in enumerate(is_plain) if not plain]
        self._tile_table = self._read_windows(outside)

    def _check(self) -> None:
        """Raises a ValueError if this is no board, window or list of tiles that can be painted."""
        window, tiles, size = self.window, self.tiles, f"{self.shape} cells"
        largest = f"at most {WORD_BITS} rows and columns; it has {window.shape}"
        require(max(window.shape) <= WORD_BITS, "window", window, largest)
        of_agents = tuple(name for name in tiles if name in (*OTHERS, *MARKED_OTHERS, "self", "tagged"))
        start = tiles.index(OTHERS[0])
        is_in_order = of_agents == tiles[start : start + len(of_agents)] and of_agents in AGENTS
        require(is_in_order, "tiles", tiles, f"the tiles of agents in one of the orders {AGENTS}, one after the other")
        are_few = all(name in of_agents for name in tiles[MOST_TILES:])
        require(are_few, "tiles", tiles, f"at most {MOST_TILES} before those of agents")
        num_cells = sum(len(layer.cells) for layer in self.layers)
        allowed = f"things come and go on at most {MOST_CHANGING} cells, here on {num_cells}"
        require(num_cells <= MOST_CHANGING, "map", size, allowed)
        if self.torus is not None:
            require(window.behind <= BEHIND, "window", window, f"at most {BEHIND} rows behind on a torus")
            least = max(window.shape) + 2 * (BEHIND - window.behind)
            smallest = f"a torus has at least {least} rows and columns for a window of {window.shape}"
            require(min(self.shape) >= least, "map", size, smallest)

    def _read_windows(self, outside: str) -> np.ndarray:
        """What every possible window shows, by row-major cell and heading, `[H * W * 4, words]` uint32.

        A word has four cells, and a cell a byte: the tile without its thing is the low half of the byte, and the tile
        with its thing the high half.
        """
        empty, full = self.static_tiles(are_there=False), self.static_tiles(are_there=True)
        nothing = int(self.tile_id(outside))
        both, is_torus = empty | full << 4, self.torus is not None
        codes = views.window_table(both, self.window, nothing | nothing << 4, is_torus).astype(np.uint8)
        num_cells = -(-codes.shape[1] // WORD_BITS) * WORD_BITS
        codes = np.pad(codes, ((0, 0), (0, num_cells - codes.shape[1])))
        return codes.view("<u4").astype(np.uint32)

    def static_tiles(self, are_there: bool) -> np.ndarray:
        """The tile ids of a board without agents and beams, if all things are there, or none, `[H, W]` uint8.

        Items of several kinds are not there.
        """
        tiles = self.codes.astype(np.uint8)
        for layer in self.layers:
            is_shown = are_there and isinstance(layer, Layer)
            tiles[tuple(layer.cells.T)] = self.tile_ids(layer)[0, int(is_shown)]
        return tiles

    def tile_ids(self, layer: AnyLayer) -> np.ndarray:
        """The tile ids of nothing and of each kind of a layer, by viewer or owner, `[., 1 + kinds]` uint8."""
        return np.array([[self.tile_id(name) for name in row] for row in layer.tiles_by_kind], np.uint8)

    def tile_id(self, name: str) -> np.uint8:
        """The id of a tile by its name."""
        return np.uint8(self.tiles.index(name))

    def paint_views(self, scene: Scene) -> jax.Array:
        """The tile ids in every agent's window, `[N, rows, cols]` uint8."""
        names = [tile for beam in scene.beams for tile in beam.tiles]
        num_kinds = [len(beam.tiles) for beam in scene.beams]
        most = WORD_BITS // self.window.shape[1]
        allowed = f"at most {most} kinds in one `Beams` for a window of {self.window.shape[1]} columns"
        require(max(num_kinds, default=0) <= most, "beams", names, allowed)
        shots = [(beam.kinds, beam.rays) for beam in scene.beams]
        planes = batch_last(partial(self._mark_windows, num_kinds))(shots, scene._replace(beams=[]))
        index = cell_index(scene.positions, self.shape[1]) * 4 + scene.headings
        paint = compute_once(partial(self._paint_words, names, scene.number_bits))
        words = paint(planes, index, scene.can_see)
        tiles = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(len(words), -1)
        num_rows, num_cols = self.window.shape
        return tiles[:, : num_rows * num_cols].reshape(-1, num_rows, num_cols)

    def _mark_windows(
        self, num_kinds: Sequence[int], shots: Sequence[tuple[jax.Array, jax.Array]], scene: Scene
    ) -> list[jax.Array]:
        """What is in every agent's window, `[words, N, ...]` uint32 of packed bits for each plane.

        The planes are the things that are there (if the board has any), each kind of each `KindLayer`, the cells of
        each kind of beam, and the bits of the number of agents (see `_number_agents`).
        """
        positions, headings = scene.positions, scene.headings
        look = compute_once(partial(views.window_frame, window=self.window, torus=self.torus))
        frame = look(positions, headings, positions, headings)
        join = compute_once(partial(views.join_rows, num_cols=self.window.shape[1]))
        planes = self._mark_layers(scene)
        for count, (kinds, rays) in zip(num_kinds, shots, strict=True):
            planes += map(join, views.mark_rays(frame, rays, kinds, count, self.side_start, self.window))
        numbers = compute_once(self._number_agents)(scene)
        return [*planes, *views.mark_numbers(frame, numbers, scene.number_bits, self.window)]

    def _mark_layers(self, scene: Scene) -> list[jax.Array]:
        """The things that are in every agent's window, `[words, N, ...]` uint32 of packed bits for each plane."""
        planes = []
        if self._plain:
            cells = np.concatenate([self.layers[k].cells for k in self._plain])
            things: list[Any] = [scene.things[k] for k in self._plain]
            planes += self._mark_things(things, cells, scene)
        for k in self._kind_layers:
            planes += self._mark_kinds(self.layers[k], scene.things[k], scene)
        return planes

    def _mark_kinds(self, layer: AnyLayer, things: Any, scene: Scene) -> list[jax.Array]:
        """The items of each kind of a layer in every agent's window; of an `OwnedLayer` by owner."""
        num_kinds = len(layer.tiles_by_kind[0]) - 1
        numbers = [(things, num_kinds)]
        if isinstance(things, Owned):
            numbers = [(things.kinds, num_kinds), (things.owners + np.int8(1), len(scene.headings))]
        is_set = [[number >> np.int8(bit) & 1 != 0 for bit in range(most.bit_length())] for number, most in numbers]
        every = [bit for those in is_set for bit in those]
        marks = jnp.stack(every, 1) if len(every) > 1 else every[0]
        bits = self._mark_things([marks], layer.cells, scene, len(every))
        of_kinds, of_owners = bits[: len(is_set[0])], bits[len(is_set[0]) :]
        planes = []
        for kind in range(1, num_kinds + 1):
            parts = [bit if kind >> place & 1 else ~bit for place, bit in enumerate(of_kinds)]
            planes.append(fold(jnp.bitwise_and, parts))
        return self._part_by_owner(layer, planes, of_owners) if of_owners else planes

    def _part_by_owner(
        self, layer: AnyLayer, planes: Sequence[jax.Array], of_owners: Sequence[jax.Array]
    ) -> list[jax.Array]:
        """Parts the planes of those kinds whose tile depends on the owner: first the items of others, then the own."""
        viewer = with_trailing_axes(np.arange(1, planes[0].shape[1] + 1, dtype=np.uint32)[None], planes[0].ndim)
        is_set = [viewer >> place & 1 != 0 for place in range(len(of_owners))]
        marks = [jnp.where(own, bit, ~bit) for own, bit in zip(is_set, of_owners, strict=True)]
        is_own, parts = fold(jnp.bitwise_and, marks), []
        for plane, (other, own) in zip(planes, self.tile_ids(layer)[:, 1:].T, strict=True):
            parts += [plane & ~is_own, plane & is_own] if own != other else [plane]
        return parts

    def _mark_things(
        self, things: Sequence[jax.Array], cells: np.ndarray, scene: Scene, num_kinds: int = 1
    ) -> list[jax.Array]:
        """The things on these cells that are in every agent's window.

        Few things are marked one by one, which is faster than to cut all windows from the lines of the board.

        Args:
          things: of each layer which things are marked, `[n, ...]` bool, or `[n, P, ...]` for several kinds of mark.
          cells: `[A, 2]` int32, the cells of all layers.
          scene: has the viewers.
          num_kinds: P.

        Returns:
          For each kind of mark `[words, N, ...]` uint32 of packed bits.
        """
        positions, headings = scene.positions, scene.headings
        if len(cells) > FEW_THINGS:
            lines = views.mark_lines(things, cells, self.shape)
            lines = views.join_kinds(lines) if num_kinds > 1 else lines
            cuts = views.cut_lines(lines, positions, headings, self.window, num_kinds, self.torus)
            return [*map(compute_once(partial(views.join_rows, num_cols=self.window.shape[1])), cuts)]
        trailing = headings.shape[1:]
        at = jnp.broadcast_to(with_trailing_axes(cells, positions.ndim), (*cells.shape, *trailing))
        look = compute_once(partial(views.window_frame, window=self.window, torus=self.torus))
        frame = look(at, jnp.zeros((len(cells), *trailing), jnp.int32), positions, headings)
        is_there = jnp.concatenate(things).astype(jnp.uint32)
        of_kinds = jnp.unstack(is_there, axis=1) if num_kinds > 1 else [is_there]
        numbers = [jnp.broadcast_to(those[:, None], frame.rows.shape) for those in of_kinds]
        return [views.mark_numbers(frame, number, 1, self.window)[0] for number in numbers]

    def _number_agents(self, scene: Scene) -> jax.Array:
        """The number of the tile of each agent j for viewer i, see `AGENTS`, `[N, N, ...]` uint32.

        It is 0 for agents that are not drawn. Of several agents on a cell the one with the lowest index is drawn.
        """
        headings = scene.headings
        agent = with_trailing_axes(jnp.arange(headings.shape[0], dtype=jnp.int32), headings.ndim)
        is_covered = [
            same_cell(scene.positions, scene.positions[k : k + 1])[:, 0] & (agent > k) & scene.is_drawn[k]
            for k in range(len(agent))
        ]
        is_shown = scene.is_drawn & ~fold(jnp.logical_or, is_covered)
        number = 1 + ((headings[:, None] - headings[None]) & 3)
        if scene.is_tagged is not None:
            number = jnp.where(scene.is_tagged[:, None], 6, number)
        if scene.is_marked is not None:
            number = jnp.where(scene.is_marked[:, None], number + 5, number)
        number = jnp.where(agent[:, None] == agent[None], 5, number)
        return jnp.where(is_shown[:, None], number, 0).astype(jnp.uint32)

    def _paint_words(
        self, names: Sequence[str], num_bits: int, planes: Sequence[jax.Array], index: jax.Array, can_see: jax.Array
    ) -> jax.Array:
        """Paints windows, four cells to a word.

        Args:
          names: the tile of each kind of beam.
          num_bits: bits of the number of an agent's tile.
          planes: `[words, N]` each, see `_mark_windows`.
          index: `[N]` int32, the row of the table for each viewer.
          can_see: `[N]` bool.

        Returns:
          `[N, 8 * words]` uint32, a byte for each cell.
        """
        static = jnp.asarray(self._tile_table)[index]
        everywhere = np.uint32(0x01010101)

        def choose(is_those: jax.Array, those: jax.Array, tiles: jax.Array) -> jax.Array:
            mask = (is_those << 8) - is_those  # 255 for each byte that is 1
            return tiles ^ (mask & (tiles ^ those))

        def is_not(name: str, tiles: jax.Array) -> jax.Array:
            return (((tiles ^ (everywhere * self.tile_id(name))) + everywhere * 15) >> 4) & everywhere

        bits = [views.spread_bits(words.T) for words in planes]
        marked, of_agents = bits[:-num_bits], bits[-num_bits:]
        low, high = static & np.uint32(0x0F0F0F0F), (static >> 4) & np.uint32(0x0F0F0F0F)
        tiles = choose(marked.pop(0), high, low) if self._plain else low
        for of_kind in [of_kind for k in self._kind_layers for of_kind in self._ids_of_planes(self.layers[k])]:
            tiles = choose(marked.pop(0), jnp.asarray(everywhere * of_kind), tiles)
        for name, is_beam in zip(names, marked, strict=True):
            if not self.is_beam_blocked:
                is_beam &= is_not("void", tiles) & is_not("wall", tiles)
            tiles = choose(is_beam, jnp.asarray(everywhere * self.tile_id(name)), tiles)
        number = fold(jnp.bitwise_or, [bit << np.uint32(place) for place, bit in enumerate(of_agents)])
        is_agent = fold(jnp.bitwise_or, of_agents)
        tiles = choose(is_agent, number + everywhere * (self.tile_id(OTHERS[0]) - 1), tiles)
        return jnp.where(can_see[:, None], tiles, everywhere * self.tile_id("void"))

    def _ids_of_planes(self, layer: AnyLayer) -> list[np.ndarray]:
        """The tile id of each plane of `_mark_kinds`, `[1 or N, 1]` uint32, by viewer."""
        ids = self.tile_ids(layer)[:, 1:].astype(np.uint32)
        if isinstance(layer, OwnedLayer):
            return [np.array([[tile]]) for kind in ids.T for tile in dict.fromkeys(kind)]
        return [*ids.T[..., None]]

    def paint_board(self, scene: Scene) -> jax.Array:
        """The tile ids of the whole board, north at the top, `[H, W]` uint8; agents show their absolute heading."""
        height, width = self.shape
        shown = zip(self.layers, scene.things, strict=True)
        kinds_of_cells = [(layer, those.kinds if isinstance(those, Owned) else those) for layer, those in shown]
        ids = [jnp.asarray(self.tile_ids(layer)[0])[kind.astype(jnp.int32)] for layer, kind in kinds_of_cells]
        is_cell = self._thing_at < sum(len(layer.cells) for layer in self.layers)
        things = jnp.append(jnp.concatenate(ids), jnp.uint8(0))[self._thing_at]
        tiles = jnp.where(is_cell, things, self.static_tiles(are_there=False))
        row = jnp.arange(height, dtype=jnp.int32)[:, None, None]
        col = jnp.arange(width, dtype=jnp.int32)[None, :, None]
        kinds = [(name, beam.rays_of(kind)) for beam in scene.beams for kind, name in enumerate(beam.tiles)]
        for name, rays in kinds:
            first, last = beams.ray_segments(scene.positions, scene.headings, rays, self.side_start)
            (first_row, first_col), (last_row, last_col) = first.T[:, None, None], last.T[:, None, None]
            rows, cols = row - first_row, col - first_col
            if self.torus is not None:
                rows, cols = rows % height, cols % width
            is_in_rows = (rows >= 0) & (rows <= last_row - first_row)
            is_in_cols = (cols >= 0) & (cols <= last_col - first_col)
            is_beam = (is_in_rows & is_in_cols & (rays > 0).reshape(1, 1, -1)).any(2)
            if not self.is_beam_blocked:
                is_beam &= (tiles != self.tile_id("void")) & (tiles != self.tile_id("wall"))
            tiles = jnp.where(is_beam, self.tile_id(name), tiles)
        agents = self.tile_id(OTHERS[0]) + scene.headings.astype(jnp.uint8)
        if scene.is_tagged is not None:
            agents = jnp.where(scene.is_tagged, self.tile_id("tagged"), agents)
        if scene.is_marked is not None:
            agents = jnp.where(scene.is_marked, agents + jnp.uint8(5), agents)
        for agent in reversed(range(len(agents))):
            row, col = scene.positions[agent]
            tiles = tiles.at[row, col].set(jnp.where(scene.is_drawn[agent], agents[agent], tiles[row, col]))
        return tiles
