"""Beams: rays side by side that start in front of the shooter, and what they hit."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid.geometry import STEPS, relative_coordinates


class Hits(NamedTuple):
    """Who is hit by whom.

    Attributes:
      given: `[N, M]` bool, [i, j] is whether the beam of shooter i hits target j.
      forward: `[N, M]` int32, how far ahead of i target j stands.
      right: `[N, M]` int32, how far to the right of i target j stands.
    """

    given: jax.Array
    forward: jax.Array
    right: jax.Array


def open_reach(walls: np.ndarray, length: int, half_width: int = 0) -> np.ndarray:
    """How far each ray of a beam gets before the first wall or the edge of the board.

    The rays start one step ahead of the shooter, `half_width` cells to its left up to `half_width` to its right, and
    each is stopped on its own.

    Args:
      walls: `[H, W]` bool.
      length: cells that a free ray covers.
      half_width: rays on each side of the middle one.

    Returns:
      `[H * W, 4, rays]` int32, by row-major cell, heading and ray from left to right; `rays = 2 * half_width + 1`.
    """
    height, width = walls.shape
    blocked = np.pad(walls, length + half_width, constant_values=True)
    rows, cols = np.mgrid[:height, :width] + length + half_width
    reach = np.zeros((height, width, 4, 2 * half_width + 1), np.int32)
    for heading in range(4):
        ahead, aside = STEPS[heading], STEPS[(heading + 1) % 4]
        for ray in range(-half_width, half_width + 1):
            is_open = np.ones((height, width), bool)
            for distance in range(1, length + 1):
                step = distance * ahead + ray * aside
                is_open &= ~blocked[rows + step[0], cols + step[1]]
                reach[:, :, heading, ray + half_width] += is_open
    return reach.reshape(height * width, 4, -1)


def find_hits(
    positions: jax.Array, headings: jax.Array, reach: jax.Array, targets: jax.Array, is_target: jax.Array
) -> Hits:
    """Finds who stands in whose beam, from coordinates alone; beams pass through agents.

    Args:
      positions: `[N, 2]` int32, where the shooters stand.
      headings: `[N]` int32, of the shooters.
      reach: `[N, rays]` int32, cells that each ray of each shooter covers; 0 for agents that do not fire.
      targets: `[M, 2]` int32.
      is_target: `[M]` bool, who can be hit.

    Returns:
      The hits; nobody hits its own cell.
    """
    chex.assert_shape([positions, targets], (None, 2))
    chex.assert_rank([headings, reach, is_target], [1, 2, 1])
    chex.assert_equal_shape_prefix([positions, headings, reach], 1)
    chex.assert_equal_shape_prefix([targets, is_target], 1)
    chex.assert_type([positions, headings, reach, targets, is_target], [int, int, int, int, bool])
    forward, right = relative_coordinates(positions, headings, targets)
    num_rays = reach.shape[1]
    ray = right + num_rays // 2
    covered = sum((ray == k) * reach[:, k, None] for k in range(num_rays))
    return Hits((forward >= 1) & (forward <= covered) & is_target[None, :], forward, right)


def stop_at_agents(hits: Hits) -> Hits:
    """Keeps of each ray the hit nearest to the shooter: for beams that agents block. Two in one cell are both hit.

    Only the hits change. What draws such a beam needs the reach of each ray shortened to that hit, or it shows the beam
    behind the agent who stopped it.

    Args:
      hits: as `find_hits` gives them.

    Returns:
      The hits with fewer of them `given`.
    """
    is_same_ray = hits.right[:, :, None] == hits.right[:, None, :]
    is_nearer = hits.forward[:, None, :] < hits.forward[:, :, None]
    is_shaded = (hits.given[:, None, :] & is_same_ray & is_nearer).any(-1)
    return hits._replace(given=hits.given & ~is_shaded)


def count_hits(hits: jax.Array, received: jax.Array, hits_to_tag: jax.Array | int) -> tuple[jax.Array, jax.Array]:
    """Adds up hits and tags who has enough of them; the count then starts again and never decays.

    Args:
      hits: `[N]` int32, hits so far.
      received: `[N]` int32, hits in this step.
      hits_to_tag: `[]` int32.

    Returns:
      hits `[N]` int32 and is_tagged `[N]` bool.

    Source: Leibo et al. 2017, as quoted in public re-implementations (docs/gathering.md), for tags after several hits;
    that hits do not decay is our choice, since none of them names a decay.
    """
    hits = hits + received
    is_tagged = hits >= hits_to_tag
    return jnp.where(is_tagged, 0, hits), is_tagged
