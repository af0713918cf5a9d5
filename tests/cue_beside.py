"""A probe game whose view is empty: what pays is shown only by the numbers beside the view."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.spaces import Box, Observation, WithExtras
from tests import probes

TILES = Box(0, 5, (4, 5), np.uint8)


class CueBeside(probes.Probe):
    """Action 1 pays after a cue of 1, action 0 after a cue of -1. The view is zeros, and the cue is one of the extras.

    Args:
      view: the space of the view.
    """

    def __init__(self, num_agents: int = 2, view: Box = TILES, params: Any = probes.ACTION_FROM_OBSERVATION) -> None:
        super().__init__(num_agents, params)
        self.view = view

    @property
    def observation_space(self) -> Any:
        return WithExtras(self.view, ("cue", "step"))

    def initial_state(self, key: jax.Array, params: Any) -> probes.State:
        """Cues that are the same in 64-bit mode."""
        cues = jnp.where(jax.random.uniform(key, (self.num_agents,), jnp.float32) < 0.5, -1.0, 1.0)
        return probes.State(cues.astype(jnp.float32), jnp.zeros((), jnp.int32))

    def observe(self, state: Any, params: Any) -> Any:
        view = jnp.zeros((self.num_agents, *self.view.shape), self.view.dtype)
        step = jnp.broadcast_to(state.step_count.astype(jnp.float32), (self.num_agents,))
        return Observation(view, jnp.stack([state.cues, step], axis=-1))


def best_actions(extras: Any) -> np.ndarray:
    """The actions that pay, `[..., N]` int32, by extras `[..., N, 2]`."""
    return (np.asarray(extras)[..., 0] > 0).astype(np.int32)
