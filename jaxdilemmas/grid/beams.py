"""Beams: parallel rays that leave the shooter in the direction of its heading, and the targets that they hit.

The middle ray starts one cell ahead of the shooter. The rays on its sides start at `side_start`: 1 is one cell ahead as
well, 0 is beside the shooter. Each ray is stopped on its own.

The agents are on the first axis. Arrays of `find_hits`, `stop_at_targets`, `stop_at_marks`, `count_hits` and
`tag_agents` may have extra axes behind the named ones; these axes are the same for all arguments.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.grid.geometry import (
    STEPS,
    Torus,
    cell_index,
    count_others,
    pad_board,
    relative_coordinates,
    steps_along,
    with_trailing_axes,
)


class Hits(NamedTuple):
    """Which shooters hit which targets.

    Attributes:
      given: `[N, M, ...]` bool, [i, j] is whether the beam of shooter i hits target j.
      cell: `[N, M, ...]` int32, number of cells of the ray in j's column before target j; negative if j is behind the
        start of the ray.
      right: `[N, M, ...]` int32, cells from i to target j to the right.
    """

    given: jax.Array
    cell: jax.Array
    right: jax.Array


def ray_table(
    layer: np.ndarray, outside: int, length: int, half_width: int = 0, side_start: int = 1, is_torus: bool = False
) -> np.ndarray:
    """Reads a static layer along the rays of every possible beam.

    Args:
      layer: `[H, W]` integers.
      outside: the value of cells off the board.
      length: cells of each ray.
      half_width: number of rays on each side of the middle one.
      side_start: where these rays start.
      is_torus: whether opposite edges of the board meet; then no cell is off the board.

    Returns:
      `[H * W, 4, rays, length]` of the layer's dtype, by row-major cell, heading, ray from left to right and cell from
      near to far; `rays = 2 * half_width + 1`.
    """
    height, width = layer.shape
    margin = length + half_width
    padded = pad_board(layer, margin, outside, is_torus)
    rows, cols = np.mgrid[:height, :width] + margin
    table = np.empty((height, width, 4, 2 * half_width + 1, length), layer.dtype)
    for heading, ray, cell in np.ndindex(table.shape[2:]):
        right = ray - half_width
        distance = cell + (side_start if right else 1)
        step = distance * STEPS[heading] + right * STEPS[(heading + 1) % 4]
        table[:, :, heading, ray, cell] = padded[rows + step[0], cols + step[1]]
    return table.reshape(height * width, *table.shape[2:])


def look_along_rays(table: np.ndarray, state: Any, width: int) -> jax.Array:
    """Reads a table along the rays of all agents.

    Args:
      table: `[H * W, 4, rays, length]` int32, see `ray_table`.
      state: a `GridState`.
      width: columns of the board.

    Returns:
      `[N, rays, length, ...]` int32.
    """

    def look(positions: jax.Array, headings: jax.Array) -> jax.Array:
        cells = cell_index(positions, width)
        rays = [
            jnp.stack([jnp.asarray(table[:, :, ray, cell])[cells, headings] for cell in range(table.shape[3])], 1)
            for ray in range(table.shape[2])
        ]
        return jnp.stack(rays, 1)

    return compute_once(look)(state.positions, state.headings)


def open_reach(
    walls: np.ndarray, length: int, half_width: int = 0, side_start: int = 1, is_torus: bool = False
) -> np.ndarray:
    """The number of cells that each ray of a beam covers before the first wall or the edge of the board.

    Args:
      walls: `[H, W]` bool.
      length: cells that a free ray covers.
      half_width: number of rays on each side of the middle one.
      side_start: where these rays start.
      is_torus: whether opposite edges of the board meet.

    Returns:
      `[H * W, 4, rays]` int32 cells, in the order of `ray_table`.
    """
    is_free = ~ray_table(walls, True, length, half_width, side_start, is_torus)
    return np.logical_and.accumulate(is_free, axis=-1).sum(-1, dtype=np.int32)


def ray_segments(
    positions: jax.Array, headings: jax.Array, reach: jax.Array, side_start: int = 1
) -> tuple[jax.Array, jax.Array]:
    """The end cells of rays.

    Args:
      positions: `[N, 2, ...]` int32, cells of the shooters.
      headings: `[N, ...]` int32.
      reach: `[N, rays, ...]` int32, cells that each ray covers.
      side_start: where the rays beside the middle one start.

    Returns:
      The cell with the lowest and the cell with the highest row and column of each ray, `[N * rays, 2, ...]` int32
      each. They have no meaning for a ray that covers no cell.
    """
    chex.assert_shape(positions, (headings.shape[0], 2, *headings.shape[1:]))
    chex.assert_shape(reach, (headings.shape[0], None, *headings.shape[1:]))
    ahead, aside = steps_along(headings)[:, None], steps_along((headings + 1) % 4)[:, None]  # [N, 1, 2, ...]
    right = with_trailing_axes(np.arange(reach.shape[1], dtype=np.int32) - reach.shape[1] // 2, ahead.ndim - 1)[None]
    near = positions[:, None] + right * aside + jnp.where(right == 0, 1, side_start) * ahead
    far = near + (reach[:, :, None] - 1) * ahead
    first, last = jnp.minimum(near, far), jnp.maximum(near, far)
    return first.reshape(-1, 2, *headings.shape[1:]), last.reshape(-1, 2, *headings.shape[1:])


def find_hits(
    positions: jax.Array,
    headings: jax.Array,
    reach: jax.Array,
    targets: jax.Array,
    is_target: jax.Array,
    side_start: int = 1,
    torus: Torus = None,
) -> Hits:
    """Finds the targets in each beam, from coordinates only; beams pass through agents.

    Args:
      positions: `[N, 2, ...]` int32, cells of the shooters.
      headings: `[N, ...]` int32, headings of the shooters.
      reach: `[N, rays, ...]` int32, cells that each ray of each shooter covers; 0 for agents that do not fire.
      targets: `[M, 2, ...]` int32.
      is_target: `[M, ...]` bool, the targets that can be hit.
      side_start: where the rays beside the middle one start.
      torus: see `geometry.Torus`.

    Returns:
      The hits; a beam never hits a target on the shooter's own cell.
    """
    chex.assert_shape([positions, targets], (None, 2, *headings.shape[1:]))
    chex.assert_rank([reach, is_target], [headings.ndim + 1, headings.ndim])
    chex.assert_equal_shape_prefix([positions, headings, reach], 1)
    chex.assert_equal_shape_prefix([targets, is_target], 1)
    chex.assert_type([positions, headings, reach, targets, is_target], [int, int, int, int, bool])
    forward, right = relative_coordinates(positions, headings, targets, torus)
    half_width = reach.shape[1] // 2
    covered = sum(jnp.where(right == ray - half_width, reach[:, ray, None], 0) for ray in range(reach.shape[1]))
    cell = forward - (jnp.where(right == 0, jnp.int32(1), jnp.int32(side_start)) if side_start != 1 else 1)
    return Hits((cell >= 0) & (cell < covered) & is_target[None], cell, right)


def stop_at_targets(hits: Hits, reach: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Stops each ray at the first target that it meets, for beams that agents block.

    Two targets on one cell are both hit.

    Args:
      hits: the result of `find_hits`.
      reach: `[N, rays, ...]` int32, the reach that `find_hits` was called with.

    Returns:
      The remaining hits, `[N, M, ...]` bool, [i, j] is whether i hits j, and the cells that each ray covers before its
      target, `[N, rays, ...]` int32.
    """
    chex.assert_equal_shape_prefix([hits.given, reach], 1)
    chex.assert_equal_rank([hits.given, reach])
    half_width = reach.shape[1] // 2
    is_first = jnp.zeros_like(hits.given)
    covered = []
    for ray in range(reach.shape[1]):
        is_met = hits.given & (hits.right == ray - half_width)
        first = fold(jnp.minimum, jnp.unstack(jnp.where(is_met, hits.cell, reach[:, ray, None]), axis=1))
        is_first |= is_met & (hits.cell == first[:, None])
        covered.append(first)
    return is_first, jnp.stack(covered, 1).astype(jnp.int32)


def stop_at_marks(is_marked: jax.Array, reach: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Stops each ray at the first marked cell that it meets.

    Args:
      is_marked: `[N, rays, length, ...]` bool, in the order of `ray_table`.
      reach: `[N, rays, ...]` int32.

    Returns:
      The first marked cell on each ray, `[N, rays, length, ...]` bool with at most one True for each ray, and the cells
      that each ray covers before it, `[N, rays, ...]` int32.
    """
    chex.assert_equal_shape_prefix([is_marked, reach], 2)
    chex.assert_rank(is_marked, reach.ndim + 1)
    cells = with_trailing_axes(jnp.arange(is_marked.shape[2], dtype=jnp.int32)[None, None], is_marked.ndim)
    covered = fold(jnp.minimum, jnp.unstack(jnp.where(is_marked, cells, reach[:, :, None]), axis=2))
    covered = jnp.minimum(covered, reach)
    is_first = is_marked & (cells == covered[:, :, None]) & (cells < reach[:, :, None])
    return is_first, covered.astype(jnp.int32)


def count_hits(hits: jax.Array, received: jax.Array, hits_to_tag: jax.Array | int) -> tuple[jax.Array, jax.Array]:
    """Adds hits to the counts and tags agents with enough hits.

    The count of a tagged agent starts again from 0. Counts never decay.

    Args:
      hits: `[N, ...]` int32, hits so far.
      received: `[N, ...]` int32, hits in this step.
      hits_to_tag: `[]` int32.

    Returns:
      hits `[N, ...]` int32 and is_tagged `[N, ...]` bool.

    Source: Leibo et al. 2017, as quoted in public re-implementations (docs/gathering.md), for tags after several hits;
    that hits do not decay is our choice, since none of them names a decay.
    """
    hits = hits + received
    is_tagged = hits >= hits_to_tag
    return jnp.where(is_tagged, 0, hits), is_tagged


def tag_agents(state: Any, given: jax.Array, homes: jax.Array, params: Any) -> Any:
    """Removes agents with enough hits from the board; their beams are not drawn.

    Args:
      state: a `GridState`.
      given: `[N, N, ...]` bool, [i, j] is whether the beam of i hits j.
      homes: `[N, 2, ...]` int32, the cell to which a tagged agent moves, and where it will return.
      params: has `hits_to_tag` and `timeout_steps`.

    Returns:
      The state.
    """
    chex.assert_equal_shape_prefix([given, homes], 1)
    chex.assert_type([given, homes], [bool, int])
    hits, is_tagged = count_hits(state.hits, count_others(given, axis=0), params.hits_to_tag)
    return state.replace(
        hits=hits,
        timeouts=jnp.where(is_tagged, params.timeout_steps, state.timeouts).astype(jnp.int32),
        positions=jnp.where(is_tagged[:, None], homes, state.positions),
        fired=state.fired & ~is_tagged,
    )
