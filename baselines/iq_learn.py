"""Inverse soft-Q learning as baselines of MAMQL: each agent alone, or in command of all.

With critic "independent" an agent learns from its own observations and actions as if it were alone. With critic "joint"
its critic judges joint actions and the agent is taken for a controller that chooses for all; it acts by its own part of
that choice, at another inverse temperature by that power of it.

Source: Garg et al. 2021 (arXiv:2106.12142); `training.soft_q` has the objective.
"""

import dataclasses
from functools import partial
from typing import Any, Literal

import jax

from baselines.core.trainer import check_arguments
from baselines.imitation import soft_q, training
from baselines.imitation.critics import count_actions, count_joint_actions, joint_index, make_critics, split_joint
from baselines.imitation.soft_q import Critic, Reading, SoftQConfig, soft_max
from baselines.imitation.training import Method
from jaxdilemmas.environment import Environment


@dataclasses.dataclass(frozen=True)
class Config(SoftQConfig):
    """Settings of one training run, beside those of `soft_q.SoftQConfig` and `imitation_config.ImitationConfig`.

    By default it is the offline form of the source.

    Attributes:
      critic: of own actions ("independent") or of joint ones, for few agents and actions.
    """

    mode: Literal["online", "offline"] = "offline"
    reg_samples: Literal["expert", "mixture"] = "expert"
    value_samples: Literal["policy", "half", "expert", "v0"] = "expert"
    critic: Literal["independent", "joint"] = "independent"


def make_method(config: Config, env: Environment) -> Method:
    """What is trained, see `training.Method`.

    The rewards that it recovers are Q(s, a) - gamma V(s'), with critic "joint" of joint actions.

    Raises:
      ValueError: as `trainer.check_arguments` and `critics.make_critics`.
    """
    check_arguments(config, Config, env)
    critic = _joint(config, env) if config.critic == "joint" else soft_q.own_critic(config, env)
    return soft_q.make_method(config, critic)


make_trainer, make_train, make_policy, recovered_rewards = training.functions_of(make_method)


def _joint(config: Config, env: Environment) -> Critic:
    """Critics of joint actions; an agent's own are valued by a soft maximum over what it would have the others do."""
    num_actions = count_actions(env)
    networks = make_critics(config, env, count_joint_actions(env))

    def read(network_params: Any, obs: jax.Array) -> Reading:
        q = networks.apply(network_params, obs)
        action_values = soft_max(split_joint(q, num_actions), config.inverse_temperature)
        return Reading(q, action_values, soft_max(q, config.inverse_temperature))

    return Critic(networks.init, read, partial(joint_index, num_actions=num_actions))


def main() -> None:
    """The command `python -m baselines.iq_learn`."""
    from baselines.runs.command import train_command

    train_command("iq_learn", Config, training.with_demonstrations(make_trainer), default_env="gems")


if __name__ == "__main__":
    main()
