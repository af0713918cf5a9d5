"""Imitators of the study: trained on demonstrations, kept on disk, and read: how they act and what they want."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from baselines import adversarial
from baselines.core import trainer
from baselines.core.players import Player, trained_player
from baselines.demonstrations import Demonstrations
from baselines.imitation.critics import soft_max
from baselines.imitation.imitator import RewardFunction
from baselines.runs.directory import load_tree, save_parameters
from jaxdilemmas.environment import Environment

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

    def rewards(self, demonstrations: Demonstrations) -> np.ndarray:
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


class Learnt(NamedTuple):
    """What is kept of a training: parameters, metrics of its U updates, `[U, ...]` each, and the seconds it took."""

    network_params: Any
    history: dict[str, Any]
    seconds: Any


def obtain(
    algorithm: trainer.Imitator,
    config: Any,
    env: Environment,
    demonstrations: Demonstrations,
    key: jax.Array,
    path: Path,
) -> Imitator:
    """An imitator: loaded if it was trained before, else trained and saved.

    Args:
      algorithm: by which it learns.
      config: its settings.
      env: the game.
      demonstrations: it learns from all of them.
      key: a JAX PRNG key, used once.
      path: its file.
    """
    train = algorithm.make_train(config, env, demonstrations)

    def learn(key: jax.Array) -> Learnt:
        train_state, metrics = train(key, env.default_params)
        return Learnt(train_state.network_params, metrics, jnp.float32(0))

    if path.is_file():
        learnt = load_tree(path, jax.eval_shape(learn, key))
    else:
        start_time = time.monotonic()
        learnt = jax.device_get(learn(key))
        learnt = learnt._replace(seconds=np.float32(time.monotonic() - start_time))
        save_parameters(path, learnt)
    network_params = jax.tree.map(jnp.asarray, learnt.network_params)  # NumPy's cannot be constants of a program
    return Imitator(env, algorithm, config, network_params, learnt.history | {"seconds": learnt.seconds})
