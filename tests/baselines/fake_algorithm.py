"""A fast algorithm that learns nothing, for tests of the command, of runs and of the evaluation."""

import dataclasses
import sys
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from baselines.core.trainer import Algorithm, Policy, Trainer
from jaxdilemmas.environment import Environment, require

RUN_STEPS = 40
"""Of an episode of the run that tests share."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
      num_updates: of the run.
      size: of the network.
      sizes: a setting with several values.
    """

    num_updates: int = 6
    size: int = 3
    sizes: tuple[int, ...] = (1, 2)
    env_steps_per_update: ClassVar[int] = 0
    split_over_devices: ClassVar[dict[str, int]] = {}
    without_effect: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", self.size, "at least 1")


class TrainState(NamedTuple):
    """Has everything that a real one has: a key, an index, and an array that holds nothing."""

    network_params: dict[str, jax.Array]
    key: jax.Array
    update_index: jax.Array
    memory: jax.Array


def make_trainer(config: Config, env: Environment) -> Trainer:
    """A random walk of the parameters."""

    def init(key: jax.Array, env_params: Any) -> TrainState:
        del env_params
        return TrainState({"weights": jnp.zeros((config.size, 2))}, key, jnp.int32(0), jnp.zeros((4, 0)))

    def update(train_state: TrainState, env_params: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        del env_params
        key, key_walk = jax.random.split(train_state.key)
        weights = train_state.network_params["weights"] + jax.random.normal(key_walk, (config.size, 2))
        index = train_state.update_index + 1
        returns = jnp.where(index % 2 == 0, weights.sum() + jnp.arange(env.num_agents), jnp.nan)
        metrics = {name: returns.mean() for name in ("efficiency", "equality", "sustainability", "peace", "entropy")}
        metrics |= {"policy_loss": weights[0, 0], "value_loss": weights[0, 1]}
        metrics |= {"env_steps": 1e5 * index, "episode_return": returns, "other": weights[0, 0]}
        metrics["tagged_steps"] = 0.0 * returns
        return TrainState({"weights": weights}, key, index, train_state.memory), metrics

    return Trainer(init, update)


def make_policy(config: Config, env: Environment, greedy: bool = False) -> Policy:
    """Every agent steps to and fro, or stands if greedy."""
    del config

    def act(network_params: Any, obs: jax.Array, memory: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del obs, key
        action = 7 if greedy else jnp.where(jnp.isfinite(network_params["weights"]).all(), memory % 2, 6)
        return jnp.full(env.num_agents, action, jnp.int32), memory + 1

    return Policy(act, jnp.int32(0))


ALGORITHM = Algorithm("fake", Config, make_trainer, make_policy)


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM, sys.argv[1:])
