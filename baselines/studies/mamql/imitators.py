"""Imitators of the study: trained on demonstrations, kept on disk, and read: what they do and what they want."""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines import adversarial
from baselines.core import trainer
from baselines.core.players import Player, trained_player
from baselines.demonstrations import Demonstrations
from baselines.imitation.critics import soft_max
from baselines.imitation.imitator import RewardFunction
from baselines.runs.directory import load_tree, save_parameters
from baselines.studies.mamql.options import METHODS, Options, Piece, key_of
from jaxdilemmas.environment import Environment

TRAIN, EVALUATE, EXPLORE, RETRAIN, FOLLOW = range(5)
"""Purposes of keys."""

AT_ONCE = 2048
"""Transitions that a network reads at a time."""


class Imitator(NamedTuple):
    """A method that learnt.

    Attributes:
      env: the game.
      algorithm: that it learnt by.
      config: its settings.
      network_params: what it learnt.
      history: metrics of its updates, `[U, ...]` each, and `seconds` of its training with compiling.
    """

    env: Environment
    algorithm: trainer.Imitator
    config: Any
    network_params: Any
    history: dict[str, np.ndarray]

    @property
    def player(self) -> Player:
        """The agents, who act as the method says, at the acting inverse temperature of its settings."""
        return self._player(greedy=False)

    @property
    def greedy_player(self) -> Player:
        """The agents, who take their best action."""
        return self._player(greedy=True)

    def _player(self, greedy: bool) -> Player:
        policy = self.algorithm.make_policy(self.config, self.env, greedy=greedy)
        return trained_player(self.env, policy, self.network_params)

    @property
    def reward_function(self) -> RewardFunction:
        """What it recovered."""
        return self.algorithm.recovered_rewards(self.config, self.env, self.network_params)

    def action_values(self, obs: np.ndarray) -> np.ndarray:
        """Values of actions, or logits: `[M, N, ...]` -> `[M, N, A]`."""
        values = partial(self.algorithm.action_values, self.config, self.env, self.network_params)
        return in_parts(values, obs)

    def state_values(self, obs: np.ndarray) -> np.ndarray:
        """Soft values V of states, `[M, N, ...]` -> `[M, N, 1]`; `[M, N, 0]` where numbers of actions are no values.

        The latter is so of adversarial methods, whose agents have logits and whose rewards are another network's.
        """
        if self.algorithm is adversarial.ALGORITHM:
            return np.zeros((*obs.shape[:2], 0))
        inverse_temperature = getattr(self.config, "inverse_temperature", 1.0)  # logits of cloning are read as Q
        return np.asarray(soft_max(jnp.asarray(self.action_values(obs)), inverse_temperature))[..., None]

    def log_probs(self, obs: np.ndarray) -> np.ndarray:
        """Of all actions, as the agents act: `[M, N, ...]` -> `[M, N, A]`."""
        values = self.config.acting_inverse_temperature * self.action_values(obs)
        return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)

    def rewards(self, demonstrations: Demonstrations) -> np.ndarray:
        """Recovered rewards, `[M, N]`."""
        names = ("obs", "actions", "next_obs", "terminated")
        return in_parts(self.reward_function, *(getattr(demonstrations, name) for name in names))


def in_parts(function: Callable[..., jax.Array], *arrays: np.ndarray) -> np.ndarray:
    """Applies a function to arrays with a leading axis M, part by part, compiled for one size of parts."""
    total = len(arrays[0])
    size = min(AT_ONCE, total)
    run = jax.jit(function)
    parts = []
    for first in range(0, total, size):
        start = min(first, total - size)  # the last part overlaps the one before it
        part = np.asarray(run(*(jnp.asarray(array[start : start + size]) for array in arrays)))
        parts.append(part[first - start :])
    return np.concatenate(parts)


def obtain(options: Options, piece: Piece, demonstrations: Demonstrations) -> Imitator:
    """The imitator of a piece: loaded if it was trained before, else trained and saved.

    Args:
      options: the study.
      piece: which.
      demonstrations: what it learns from, all of them.
    """
    env = jaxdilemmas.make(piece.game)
    algorithm = METHODS[piece.method].algorithm
    config = options.config(piece.method, piece.game)
    train = algorithm.make_train(config, env, demonstrations)
    key, path = key_of(piece.model, TRAIN), options.parameters_file(piece)

    def learn(key: jax.Array) -> Learnt:
        train_state, metrics = train(key, env.default_params)
        return Learnt(train_state.network_params, metrics, jnp.float32(0))

    if path.is_file():
        learnt = load_tree(path, jax.eval_shape(learn, key))
    else:
        start = time.monotonic()
        learnt = jax.device_get(learn(key))._replace(seconds=np.float32(time.monotonic() - start))
        unfinished = path.with_suffix(f".part{os.getpid()}")
        save_parameters(unfinished, learnt)
        os.replace(unfinished, path)
    network_params = jax.tree.map(jnp.asarray, learnt.network_params)  # as constants of a program NumPy's do not do
    return Imitator(env, algorithm, config, network_params, learnt.history | {"seconds": learnt.seconds})


class Learnt(NamedTuple):
    """What is kept of a training: parameters, metrics of its updates, `[U, ...]` each, and the seconds it took."""

    network_params: Any
    history: dict[str, Any]
    seconds: Any
