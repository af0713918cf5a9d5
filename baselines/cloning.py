"""Behavioural cloning: predicts the actions of each agent from its observations."""

import dataclasses
from functools import partial
from typing import Any

import jax

from baselines.core.trainer import check_arguments
from baselines.imitation.critics import Critics, discounted_targets, log_probs, make_critics, soft_max, take
from baselines.imitation.imitator import declare
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import GradientConfig
from baselines.imitation.training import Batch, Method, Metrics
from jaxdilemmas.environment import Environment


@dataclasses.dataclass(frozen=True)
class Config(GradientConfig):
    """Settings of one training run: those of all imitators."""


def make_method(config: Config, env: Environment) -> Method:
    """The imitator, see `imitation.training.Method`.

    Its rewards are the logits read as if they were Q. Cloning does not learn rewards: others are compared with these.

    Raises:
      ValueError: as `trainer.check_arguments` and `critics.make_critics`.
    """
    check_arguments(config, Config, env)
    networks = make_critics(config, env)
    return Method(networks.init, partial(loss, networks), networks.apply, partial(recover, config, networks))


def loss(networks: Critics, network_params: Any, batch: Batch) -> tuple[jax.Array, Metrics]:
    """Cross-entropy -log pi(a | o) of the demonstrated actions, mean over transitions, `[N]`; and as a metric."""
    losses = -log_probs(networks.apply(network_params, batch.expert.obs), batch.expert.actions).mean(0)
    return losses, {"cross_entropy": losses}


def recover(config: Config, networks: Critics, network_params: Any, transitions: Transitions) -> jax.Array:
    """Logits as if they were Q: Q(s, a) - gamma V(s'), `[M, N]`."""
    logits = networks.apply(network_params, transitions.obs)
    next_values = soft_max(networks.apply(network_params, transitions.next_obs), 1.0)
    return take(logits, transitions.actions) - discounted_targets(next_values, transitions.terminated, config.discount)


ALGORITHM = declare("cloning", Config, make_method)
make_trainer, make_train, make_policy = ALGORITHM.make_trainer, ALGORITHM.make_train, ALGORITHM.make_policy
recovered_rewards = ALGORITHM.recovered_rewards


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM)
