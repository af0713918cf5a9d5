"""What an algorithm offers to those who run, save and evaluate it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from baselines.training.schema import MOST_INT32
from jaxdilemmas.environment import require

Train = Callable[[jax.Array, Any], tuple[Any, dict[str, jax.Array]]]


class Trainer(NamedTuple):
    """Training as two pure functions; both may be jitted, and vmapped over seeds.

    Attributes:
      init: (key, env_params) -> train_state, a pytree that holds everything: saved and restored between two updates, it
        goes on as if nothing had happened, bitwise.
      update: (train_state, env_params) -> (train_state, metrics), metrics a dict of float32 `[]` or `[N]`.
    """

    init: Callable[[jax.Array, Any], Any]
    update: Callable[[Any, Any], tuple[Any, dict[str, jax.Array]]]


class Policy(NamedTuple):
    """What a trained run plays in one environment.

    Attributes:
      act: (network_params, obs `[N, ...]`, memory, key) -> (actions `[N]` int32, memory).
      initial_memory: an array or a pytree of arrays, `[N, ...]`, at the start of each episode.
    """

    act: Callable[[Any, jax.Array, Any, jax.Array], tuple[jax.Array, Any]]
    initial_memory: Any


def scan_updates(
    trainer: Trainer, num_updates: int, key: jax.Array, env_params: Any
) -> tuple[Any, dict[str, jax.Array]]:
    """Trains from scratch: the train_state at the end and metrics with a leading axis `[num_updates]`."""

    def update(train_state: Any, _: None) -> tuple[Any, dict[str, jax.Array]]:
        return trainer.update(train_state, env_params)

    return jax.lax.scan(update, trainer.init(key, env_params), length=num_updates)


def check_budget(config: Any) -> None:
    """Raises a ValueError unless rollouts fit int32 and `total_env_steps` is enough for one update.

    Args:
      config: settings with `num_envs`, `rollout_steps`, `total_env_steps` and the two properties that follow from them.
    """
    per_update = config.env_steps_per_update
    most = f"at most {MOST_INT32 // config.num_envs}: num_envs * rollout_steps is at most 2^31 - 1"
    require(per_update <= MOST_INT32, "rollout_steps", config.rollout_steps, most)
    require(config.num_updates >= 1, "total_env_steps", config.total_env_steps, f"at least one update, {per_update}")
