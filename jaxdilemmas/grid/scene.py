"""What a game supplies to be painted: the layers of its board, and the scene of each state."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

OTHERS = ("other_same_heading", "other_facing_right", "other_facing_viewer", "other_facing_left")
"""Tiles of other agents by their heading relative to the viewer's."""

MARKED_OTHERS = tuple(name.replace("other", "marked") for name in OTHERS)
"""Tiles of other agents with a mark, in the order of `OTHERS`; the game defines the mark."""

AGENTS = ((*OTHERS, "self"), (*OTHERS, "self", "tagged"), (*OTHERS, "self", *MARKED_OTHERS))
"""Tiles of agents in the order of their numbers, from 1 on; a game has one of these rows."""

TILES = ("void", "floor", "apple", "wall", "beam", *OTHERS, "self")
"""Names of tile ids in draw order."""

PALETTE = (
    {
        "void": (40, 40, 40),
        "floor": (0, 0, 0),
        "apple": (0, 200, 0),
        "wall": (127, 127, 127),
        "beam": (255, 255, 60),
        "self": (50, 100, 255),
        "tagged": (100, 100, 100),
    }
    | dict.fromkeys(OTHERS, (220, 50, 50))
    | dict.fromkeys(MARKED_OTHERS, (255, 150, 150))
)
"""RGB by tile name. Source: vicgalle/llm-policies-social-dilemmas @ f5c5b2b; void and marked agents are our choice."""


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

    @property
    def tiles_by_kind(self) -> Sequence[Sequence[str]]:
        """The tiles of nothing and of the thing, for all viewers."""
        return ((self.tile_not_there, self.tile_there),)


class KindLayer(NamedTuple):
    """Items of several kinds that come and go, each on its own cell. A kind may have another tile for each viewer.

    Attributes:
      tiles_there: names of the tiles of each kind, from kind 1 on: a row for each viewer, or one row for all of them. A
        board is painted by the first row.
      tile_not_there: name of the tile of a cell without an item.
      cells: `[n, 2]` int32 (row, col); no cell is in two layers.
    """

    tiles_there: Sequence[Sequence[str]]
    tile_not_there: str
    cells: np.ndarray

    @property
    def tiles_by_kind(self) -> Sequence[Sequence[str]]:
        """The tiles of nothing and of each kind, by viewer."""
        return [(self.tile_not_there, *row) for row in self.tiles_there]


class OwnedLayer(NamedTuple):
    """Items of several kinds that agents may own, each on its own cell. Viewers see whether they own an item.

    Attributes:
      tiles_own: names of the tiles of each kind, from kind 1 on, of items of the viewer.
      tiles_other: names of the tiles of each kind of all other items; a board is painted by these.
      tile_not_there: name of the tile of a cell without an item.
      cells: `[n, 2]` int32 (row, col); no cell is in two layers.
    """

    tiles_own: Sequence[str]
    tiles_other: Sequence[str]
    tile_not_there: str
    cells: np.ndarray

    @property
    def tiles_by_kind(self) -> Sequence[Sequence[str]]:
        """The tiles of nothing and of each kind, of items of others and of the viewer."""
        return [(self.tile_not_there, *row) for row in (self.tiles_other, self.tiles_own)]


class Owned(NamedTuple):
    """The items of an `OwnedLayer`.

    Attributes:
      kinds: `[n]` int8, 0 for no item.
      owners: `[n]` int8, -1 for nobody.
    """

    kinds: jax.Array
    owners: jax.Array


class Beams(NamedTuple):
    """Beams of one shape that agents fired; each agent fires at most one of them.

    Attributes:
      tiles: names of the tiles of the kinds of beam; later kinds are painted over earlier ones.
      kinds: `[N]` int32, the kind of each agent's beam, an index in `tiles`.
      rays: `[N, rays]` int32, the cells that each ray covers, 0 for agents that did not fire.
    """

    tiles: Sequence[str]
    kinds: jax.Array
    rays: jax.Array

    def rays_of(self, kind: int) -> jax.Array:
        """The cells that each ray of one kind covers, `[N, rays]` int32."""
        return jnp.where((self.kinds == kind)[:, None], self.rays, 0)


def one_kind(tile: str, rays: jax.Array) -> Beams:
    """Beams of one kind, for the name of their tile and `[N, rays]` int32."""
    return Beams((tile,), jnp.zeros(rays.shape[0], jnp.int32), rays)


AnyLayer = Layer | KindLayer | OwnedLayer


class Scene(NamedTuple):
    """The things to paint of one state.

    Attributes:
      positions: `[N, 2]` int32, cells of the agents.
      headings: `[N]` int32.
      is_drawn: `[N]` bool, the agents that are drawn.
      can_see: `[N]` bool, the agents that see anything.
      things: for each layer of the board which of its things are there, `[n]` bool, or for a `KindLayer` the kind of
        each item, `[n]` int8, 0 for none, or for an `OwnedLayer` an `Owned`.
      beams: the beams that agents fired; later ones are painted over earlier ones.
      is_tagged: `[N]` bool, the agents that have the tile "tagged" for others; None in games without that tile.
      is_marked: `[N]` bool, the agents that have the tiles `MARKED_OTHERS` for others; None in games without them.
    """

    positions: jax.Array
    headings: jax.Array
    is_drawn: jax.Array
    can_see: jax.Array
    things: Sequence[jax.Array | Owned]
    beams: Sequence[Beams]
    is_tagged: jax.Array | None = None
    is_marked: jax.Array | None = None

    @property
    def number_bits(self) -> int:
        """Bits of the number of an agent's tile."""
        return 3 if self.is_marked is None else 4
