"""Numbers that describe what an agent sees, in which values of states are about linear; NumPy alone."""

from collections.abc import Callable
from functools import partial

import numpy as np

from baselines.analysis.arrays import check_array
from jaxdilemmas.arguments import check_count, check_kind, require
from jaxdilemmas.environment import Environment, check_game
from jaxdilemmas.spaces import Box

Describe = Callable[[np.ndarray], np.ndarray]
"""Observations `[..., *shape]` -> `[..., K]` float64."""

LENGTHS = (1.0, 3.0, 9.0)
"""Cells within which an entity counts, by exp(-distance / length)."""

FAR = 40.0
"""Cells; the distance to an entity that is not there."""

NUM_RANDOM = 128
MOST_TILES = 64
"""Integers below it are names of tiles rather than amounts."""


def make_state_features(env: Environment) -> Describe:
    """What fits a game: distances where it shows entities, else random features.

    Raises:
      ValueError: `env` is no game.
    """
    check_game(env)
    space = env.observation_space
    if hasattr(env, "entity_kinds"):
        return partial(entity_features, kinds=np.asarray(env.entity_kinds))
    most = int(np.max(space.high)) if isinstance(space, Box) and np.issubdtype(space.dtype, np.integer) else MOST_TILES
    return partial(random_features, shape=space.shape, num_tiles=most + 1 if most < MOST_TILES else 0)


def entity_features(obs: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """How near entities of each kind are to the first slot ("me"), to the second, and to both.

    Args:
      obs: `[..., S, 2]` int, (row, col) of S slots, (-1, -1) for what is not there.
      kinds: `[S]` int, of the slots; the first two are beings, the others things.

    Returns:
      `[..., K]` float64: for each kind of thing its nearness at several lengths and the distance of the nearest, from
      me and from the other, and the longer and the sum of both ways to the nearest for both.

    Raises:
      ValueError: an array is of another shape, or there is no thing.
    """
    kinds = check_array("kinds", kinds, "S", is_whole=True)
    require(len(kinds) > 2, "kinds", kinds.tolist(), "two beings and at least one thing")
    obs = check_array("obs", obs, len(kinds), 2, has_more_axes=True)
    places = obs.astype(np.float64)
    is_absent = obs[..., :1, 0] < 0, obs[..., 2:, 0] < 0
    mine, others = (
        np.where(is_absent[1], FAR, np.abs(places[..., 2:, :] - places[..., [i], :]).sum(-1)) for i in (0, 1)
    )
    columns = []
    for kind in np.unique(kinds[2:]):
        chosen = kinds[2:] == kind
        for ways in (mine[..., chosen], others[..., chosen]):
            columns += [np.exp(-ways / length).sum(-1) for length in LENGTHS]
            columns += [ways.min(-1), (ways == 0).any(-1)]
        longer = np.maximum(mine[..., chosen].min(-1), others[..., chosen].min(-1))
        columns += [longer, *(np.exp(-longer / length) for length in LENGTHS[:2])]
        columns += [mine[..., chosen].min(-1) + others[..., chosen].min(-1)]
    return np.stack(columns, axis=-1).astype(np.float64)


def random_features(obs: np.ndarray, shape: tuple[int, ...], num_tiles: int = 0) -> np.ndarray:
    """Rectified random projections, always the same: Rahimi and Recht 2008, with the ramp as in arc-cosine kernels.

    Args:
      obs: `[..., *shape]` int or float.
      shape: of one observation.
      num_tiles: how many ids there are where observations are ids of tiles; 0 where they are amounts.

    Returns:
      `[..., NUM_RANDOM]` float64, and where observations are amounts these as well.

    Raises:
      ValueError: `obs` is of another shape, or holds ids that are not below `num_tiles`.
    """
    check_kind("shape", shape, tuple, "the shape of one observation")
    check_count("num_tiles", num_tiles, 0)
    obs = check_array("obs", obs, *shape, is_whole=num_tiles > 0, has_more_axes=True)
    for wrong in obs[(obs < 0) | (obs >= num_tiles)][:1] if num_tiles else ():
        require(False, "obs", int(wrong), f"ids of tiles from 0 to {num_tiles - 1}")
    rng = np.random.default_rng(0)
    size = int(np.prod(shape))
    flat = obs.reshape(*obs.shape[: obs.ndim - len(shape)], size)
    if num_tiles:
        table = rng.normal(size=(size, num_tiles, NUM_RANDOM)) / np.sqrt(size)
        projected = np.zeros((*flat.shape[:-1], NUM_RANDOM))
        for cell in range(size):
            projected += table[cell][flat[..., cell]]
        return np.maximum(projected + rng.normal(size=NUM_RANDOM), 0)
    amounts = flat.astype(np.float64)
    projected = amounts @ (rng.normal(size=(size, NUM_RANDOM)) / np.sqrt(size)) + rng.normal(size=NUM_RANDOM)
    return np.concatenate([amounts, np.maximum(projected, 0)], axis=-1)
