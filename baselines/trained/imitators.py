"""Trained imitators: how they act, how they value, and which rewards they recovered."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from baselines import adversarial
from baselines.core import trainer
from baselines.core.players import Player, trained_player
from baselines.imitation.critics import soft_max
from baselines.imitation.imitator import RewardFunction
from jaxdilemmas.environment import Environment

if TYPE_CHECKING:
    from baselines.demonstrations import Demonstrations

AT_ONCE = 2048
"""Transitions that a network reads at a time."""


class Imitator(NamedTuple):
    """A trained imitator.

    Attributes:
      env: the game.
      algorithm: by which it learnt.
      config: its settings.
      network_params: what it learnt.
      history: metrics of its U updates, `[U, ...]` each, and `seconds` of its training with compiling.
    """

    env: Environment
    algorithm: trainer.Imitator
    config: Any
    network_params: Any
    history: dict[str, np.ndarray]

    def player(self, greedy: bool = False) -> Player:
        """The agents: they act by the softmax of the method, or take their best action."""
        policy = self.algorithm.make_policy(self.config, self.env, greedy=greedy)
        return trained_player(self.env, policy, self.network_params)

    @property
    def reward_function(self) -> RewardFunction:
        """The recovered rewards."""
        return self.algorithm.recovered_rewards(self.config, self.env, self.network_params)

    def action_values(self, obs: np.ndarray) -> np.ndarray:
        """Values of actions, or logits: `[M, N, ...]` -> `[M, N, A]` float32."""
        return in_parts(partial(self.algorithm.action_values, self.config, self.env, self.network_params), obs)

    def state_values(self, obs: np.ndarray) -> np.ndarray:
        """Soft values V of states, `[M, N, ...]` -> `[M, N, 1]` float32; `[M, N, 0]` for adversarial methods.

        Agents of adversarial methods have logits, and their rewards are those of another network, so no V belongs to
        these rewards. The logits of cloning are read as Q.
        """
        if self.algorithm is adversarial.ALGORITHM:
            return np.zeros((*obs.shape[:2], 0))
        inverse_temperature = getattr(self.config, "inverse_temperature", 1.0)
        return np.asarray(soft_max(jnp.asarray(self.action_values(obs)), inverse_temperature))[..., None]

    def log_probs(self, obs: np.ndarray) -> np.ndarray:
        """Log-probabilities of all actions as the agents act, `[M, N, ...]` -> `[M, N, A]` float32."""
        values = self.config.acting_inverse_temperature * self.action_values(obs)
        return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)

    def rewards(self, demonstrations: "Demonstrations") -> np.ndarray:
        """Recovered rewards of M transitions, `[M, N]` float32."""
        names = ("obs", "actions", "next_obs", "terminated")
        return in_parts(self.reward_function, *(getattr(demonstrations, name) for name in names))


def in_parts(function: Callable[..., jax.Array], *arrays: np.ndarray) -> np.ndarray:
    """Applies a function to arrays `[M, ...]`, part by part, compiled for one size of parts; returns `[M, ...]`."""
    chex.assert_equal_shape_prefix(arrays, 1)
    total = len(arrays[0])
    size = min(AT_ONCE, total)
    run = jax.jit(function)
    parts = []
    for first in range(0, total, size):
        start = min(first, total - size)  # the last part overlaps the one before it
        part = np.asarray(run(*(jnp.asarray(array[start : start + size]) for array in arrays)))
        parts.append(part[first - start :])
    return np.concatenate(parts)
