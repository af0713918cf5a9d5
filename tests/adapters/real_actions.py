"""A game with real-valued actions."""

from typing import Any

import jax

from jaxdilemmas import Box
from tests import probes


class RealActions(probes.Probe):
    """A probe in which the first of two real numbers is the action."""

    action_space = Box(-1.0, 1.0, (2,))

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Any:
        return super().transition(draws, state, actions[:, 0], params)
