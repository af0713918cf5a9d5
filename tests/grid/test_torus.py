"""Boards whose opposite edges meet: coordinates, rays, moves and windows, against copies of the board side by side."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdilemmas.grid import beams, geometry
from jaxdilemmas.grid.bits import pack_bits
from jaxdilemmas.grid.maps import index_of_cells
from jaxdilemmas.grid.movement import Obstacles, propose_moves
from jaxdilemmas.grid.painting import Painter
from jaxdilemmas.grid.scene import OTHERS, Layer, Owned, OwnedLayer, Scene, one_kind
from jaxdilemmas.grid.views import Window
from tests.reference.movement import MOVES
from tests.reference.views import cell_at, egocentric_view

pytestmark = pytest.mark.usefixtures("quick_compiling")

SHAPE = (15, 35)
RNG = np.random.default_rng(0)
CELLS = np.argwhere(np.ones(SHAPE)).astype(np.int32)
VIEWERS = RNG.permutation(CELLS)[:40]
HEADINGS = np.arange(40, dtype=np.int32) % 4
TILES = ("void", "floor", "apple", "free", "mine", "hers", "wall", "beam", *OTHERS, "self")


def around(cell: tuple[int, int]) -> tuple[int, int]:
    return cell[0] % SHAPE[0], cell[1] % SHAPE[1]


def test_coordinates_lead_to_the_cell_and_few_cells_are_behind() -> None:
    find = jax.jit(geometry.relative_coordinates, static_argnums=3)
    forward, right = find(VIEWERS, HEADINGS, CELLS, SHAPE)
    for i, (position, heading) in enumerate(zip(VIEWERS, HEADINGS.tolist(), strict=True)):
        pairs = zip(forward[i].tolist(), right[i].tolist(), strict=True)
        found = [around(cell_at(position, heading, *pair)) for pair in pairs]
        np.testing.assert_array_equal(found, CELLS)
        along, across = SHAPE if heading % 2 == 0 else SHAPE[::-1]
        assert (forward[i].min(), forward[i].max()) == (-3, along - 4)
        assert (right[i].min(), right[i].max()) == (-(across // 2), across - across // 2 - 1)


def test_rays_go_on_at_the_other_side() -> None:
    layer = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    table = beams.ray_table(layer, -1, 3, 1, 0, is_torus=True).reshape(*SHAPE, 4, 3, 3)
    for position, heading in zip(VIEWERS, HEADINGS.tolist(), strict=True):
        for ray, cell in np.ndindex(3, 3):
            seen = around(cell_at(position, heading, cell + (ray == 1), ray - 1))
            assert table[(*position, heading, ray, cell)] == layer[seen]
    walls = np.zeros(SHAPE, bool)
    walls[0, 3] = True
    reach = beams.open_reach(walls, 3, is_torus=True).reshape(*SHAPE, 4)
    assert reach[14, 3].tolist() == [3, 3, 0, 3]
    assert reach[13, 34].tolist() == [3, 3, 3, 3]


def test_moves_go_on_at_the_other_side_and_stop_at_walls_and_at_obstacles_that_are_there() -> None:
    walls, cells = RNG.random(SHAPE) < 0.2, CELLS[RNG.random(len(CELLS)) < 0.3]
    is_there, actions = RNG.random(len(cells)) < 0.5, RNG.integers(0, 8, 40).astype(np.int32)
    blocked = walls.copy()
    blocked[tuple(cells[is_there].T)] = True

    @jax.jit
    def propose(is_there: jax.Array) -> jax.Array:
        obstacles = Obstacles(pack_bits(is_there), index_of_cells(cells, SHAPE))
        return propose_moves(jnp.asarray(VIEWERS), jnp.asarray(HEADINGS), jnp.asarray(actions), walls, True, obstacles)

    expected = []
    for position, heading, action in zip(VIEWERS, HEADINGS.tolist(), actions.tolist(), strict=True):
        target = around(cell_at(position, heading, *MOVES.get(action, (0, 0))))
        expected.append(tuple(position) if blocked[target] else target)
    np.testing.assert_array_equal(propose(is_there), expected)


@pytest.mark.parametrize("num_apples", [5, 60])
def test_windows_and_the_board_go_on_at_the_other_side(num_apples: int) -> None:
    window, cells = Window(9, 1, 5), RNG.permutation(CELLS)[: num_apples + 80].astype(np.int32)
    walls = np.zeros(SHAPE, bool)
    walls[tuple(cells[-10:].T)] = True
    owned = OwnedLayer(("free", "mine"), ("free", "hers"), "floor", cells[num_apples:-10])
    layers: list[Layer | OwnedLayer] = [Layer("apple", "floor", cells[:num_apples]), owned]
    painter = Painter({"wall": walls}, layers, TILES, window, side_start=0, is_torus=True)

    @jax.jit
    def paint(positions: jax.Array, headings: jax.Array, apples: jax.Array, owned: Owned, rays: jax.Array) -> Any:
        everybody, shots = jnp.ones(4, bool), [one_kind("beam", rays)]
        scene = Scene(positions, headings, everybody, everybody, [apples, owned], shots)
        return painter.paint_views(scene), painter.paint_board(scene)

    for _ in range(3):
        apples, kinds = RNG.random(num_apples) < 0.5, RNG.integers(0, 3, 70).astype(np.int8)
        owners = np.where(kinds == 2, RNG.integers(0, 4, 70), -1).astype(np.int8)
        rays = RNG.integers(0, 3, (4, 3)).astype(np.int32)
        positions, headings = RNG.permutation(CELLS)[:4], RNG.integers(0, 4, 4).astype(np.int32)
        positions[0] = (0, 34)
        seen, whole = paint(positions, headings, apples, Owned(jnp.asarray(kinds), jnp.asarray(owners)), rays)
        for viewer in range(4):
            board = np.full(SHAPE, TILES.index("floor"))
            board[tuple(cells[:num_apples][apples].T)] = TILES.index("apple")
            names = [
                ("floor", "free", "mine" if owner == viewer else "hers")[kind]
                for kind, owner in zip(kinds, owners, strict=True)
            ]
            board[tuple(owned.cells.T)] = [TILES.index(name) for name in names]
            board[walls] = TILES.index("wall")
            for i, ray in np.ndindex(4, 3):
                for cell in range(rays[i, ray]):
                    place = around(cell_at(positions[i], int(headings[i]), cell + (ray == 1), ray - 1))
                    board[place] = TILES.index("beam")
            board[tuple(positions.T)] = TILES.index(OTHERS[0]) + (headings - headings[viewer]) % 4
            board[tuple(positions[viewer])] = TILES.index("self")
            middle = positions[viewer] + SHAPE
            expected = egocentric_view(np.tile(board, (3, 3)), middle, headings[viewer], window, 0)
            np.testing.assert_array_equal(seen[viewer], expected)
        board[tuple(positions.T)] = TILES.index(OTHERS[0]) + headings
        board[board == TILES.index("mine")] = TILES.index("hers")
        np.testing.assert_array_equal(whole, board)


def test_a_torus_that_is_smaller_than_a_window_and_its_beams_is_refused() -> None:
    walls = np.zeros((14, 35), bool)
    layer = Layer("apple", "floor", np.array([[0, 0]], np.int32))
    with pytest.raises(ValueError, match=r"map=.*a torus has at least 15 rows and columns for a window of \(11, 11\)"):
        Painter({"wall": walls}, [layer], TILES, Window(9, 1, 5), is_torus=True)


def test_a_window_that_looks_far_back_is_refused_on_a_torus() -> None:
    layer = Layer("apple", "floor", np.array([[0, 0]], np.int32))
    with pytest.raises(ValueError, match=r"window=.*at most 3 rows behind on a torus"):
        Painter({"wall": np.zeros(SHAPE, bool)}, [layer], TILES, Window(2, 4, 2), is_torus=True)
