"""What agents care about, applied around any game by `jaxdilemmas.TransformRewards`.

A preference turns the game's own rewards into the rewards an agent learns from. It may carry state within an episode;
the carry starts afresh with each episode.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Preference(NamedTuple):
    """A rule for the rewards that agents learn from.

    Attributes:
      init: num_agents -> carry at the start of an episode, any pytree of arrays.
      apply: (carry, rewards `[N]` float32) -> (carry, rewards `[N]` float32).
    """

    init: Callable[[int], Any]
    apply: Callable[[Any, jax.Array], tuple[Any, jax.Array]]


def _no_carry(num_agents: int) -> tuple[()]:
    del num_agents
    return ()


def individual() -> Preference:
    """Each agent cares about its own reward: rewards pass unchanged."""
    return Preference(_no_carry, lambda carry, rewards: (carry, rewards))


def common() -> Preference:
    """Each agent cares about the group: every agent receives the sum of all rewards."""
    return Preference(_no_carry, lambda carry, rewards: (carry, jnp.broadcast_to(rewards.sum(), rewards.shape)))
