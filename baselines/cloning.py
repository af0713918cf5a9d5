"""Behavioural cloning: each agent's actions predicted from what it sees."""

import dataclasses
from functools import partial
from typing import Any

import jax

from baselines.core.trainer import check_arguments
from baselines.imitation import training
from baselines.imitation.critics import Critics, log_probs, make_critics, take
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import GradientConfig
from baselines.imitation.soft_q import discounted_targets, soft_max
from baselines.imitation.training import Batch, Method, Metrics
from jaxdilemmas.environment import Environment


@dataclasses.dataclass(frozen=True)
class Config(GradientConfig):
    """Settings of one training run: those of all imitators."""


def make_method(config: Config, env: Environment) -> Method:
    """What is trained, see `training.Method`.

    Its rewards are the logits read as if they were Q: what cloning says of rewards by accident, to compare others with.

    Raises:
      ValueError: as `trainer.check_arguments` and `critics.make_critics`.
    """
    check_arguments(config, Config, env)
    networks = make_critics(config, env)
    return Method(networks.init, partial(_loss, networks), networks.apply, partial(_rewards, config, networks))


make_trainer, make_train, make_policy, recovered_rewards = training.functions_of(make_method)


def _loss(networks: Critics, network_params: Any, batch: Batch) -> tuple[jax.Array, Metrics]:
    """Cross-entropy of the actions, `[N]`."""
    losses = -log_probs(networks.apply(network_params, batch.expert.obs), batch.expert.actions).mean(0)
    return losses, {"cross_entropy": losses}


def _rewards(config: Config, networks: Critics, network_params: Any, transitions: Transitions) -> jax.Array:
    logits = networks.apply(network_params, transitions.obs)
    next_values = soft_max(networks.apply(network_params, transitions.next_obs), 1.0)
    return take(logits, transitions.actions) - discounted_targets(next_values, transitions.terminated, config.discount)


def main() -> None:
    """The command `python -m baselines.cloning`."""
    from baselines.runs.command import train_command

    train_command("cloning", Config, training.with_demonstrations(make_trainer), default_env="gems")


if __name__ == "__main__":
    main()
