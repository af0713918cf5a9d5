"""A network that reads observations as a set of entities: who and what is where."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from baselines.core.layers import Dense

NUM_HEADS = 4
MAX_WIDTH = 64
UNIT = 0.25
"""Differences of rows and columns are multiplied by it."""

ABSENT = -1e9
"""The score of a slot that is not there."""


class EntityTorso(nn.Module):
    """Every entity through the same two layers, then pooled: the order of the entities of a kind does not matter.

    An entity is described by where it stands relative to the first slot ("me") and to the second (the partner), in
    rows, columns and steps, and by its kind. Pooling takes the means of several heads, each weighted by a softmax over
    the entities that are there, and the maximum.

    Attributes:
      kinds: of the K slots; the first of them is me, the second the partner.
      features: width of the result; that of the layers before it is as much, at most `MAX_WIDTH`.
    """

    kinds: tuple[int, ...]
    features: int

    @nn.compact
    def __call__(self, places: jax.Array) -> jax.Array:
        """Reads sets.

        Args:
          places: `[M, 2 K]` float32, rows and columns of the slots in cells; a slot whose row is below 0 is absent.

        Returns:
          `[M, features]` float32.
        """
        width = min(MAX_WIDTH, self.features)
        places = places.reshape(len(places), len(self.kinds), 2)
        is_there = places[..., :1] >= 0
        offsets = UNIT * (places[:, :, None] - places[:, None, :2])
        described = jnp.concatenate([offsets, jnp.abs(offsets).sum(-1, keepdims=True)], axis=-1)
        described = jnp.where(is_there, described.reshape(*places.shape[:2], -1), 0.0)
        kinds = jax.nn.one_hot(np.array(self.kinds), max(self.kinds) + 1, dtype=jnp.float32)
        entities = nn.relu(Dense(width)(described) + Dense(width, use_bias=False)(kinds))
        entities = nn.relu(Dense(width)(entities))
        scores = jnp.where(is_there, Dense(NUM_HEADS)(entities), ABSENT)
        heads = jnp.einsum("mkh,mkf->mhf", jax.nn.softmax(scores, axis=1), entities).reshape(len(places), -1)
        most = jnp.max(jnp.where(is_there, entities, 0.0), axis=1)
        return nn.relu(Dense(self.features)(jnp.concatenate([heads, most], axis=-1)))
