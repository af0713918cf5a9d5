"""IQ-Learn, inverse soft-Q learning, as baselines of MAMQL: each agent alone, or a controller of all agents.

The loss is that of `baselines.mamql`, by default in the offline form of the source. With critic "independent" an agent
learns from its own observations and actions as if it were alone. With critic "joint" its critic values joint actions:
the agent is treated as a controller that chooses for all, and acts by its own part of that choice. At another inverse
temperature it acts by that power of its part.

Source: Garg et al. 2021 (arXiv:2106.12142).
"""

import dataclasses
from functools import partial
from typing import Any, Literal

import jax

from baselines import mamql
from baselines.core.trainer import check_arguments
from baselines.imitation.critics import make_critics, soft_max
from baselines.imitation.imitator import declare
from baselines.imitation.joint_actions import count_actions, count_joint_actions, joint_index, split_joint
from baselines.imitation.settings import SoftQConfig
from baselines.imitation.training import Method
from baselines.mamql import Critic, Reading
from jaxdilemmas.environment import Environment


@dataclasses.dataclass(frozen=True)
class Config(SoftQConfig):
    """Settings of one training run, in addition to those in `imitation.settings`.

    Attributes:
      critic: values of own actions ("independent") or of joint actions, for few agents and actions ("joint").
    """

    mode: Literal["online", "offline"] = "offline"
    reg_samples: Literal["expert", "mixture"] = "expert"
    value_samples: Literal["policy", "half", "expert", "v0"] = "expert"
    critic: Literal["independent", "joint"] = "independent"


def make_method(config: Config, env: Environment) -> Method:
    """The imitator, see `imitation.training.Method`.

    The rewards that it recovers are Q(s, a) - gamma V(s'), with critic "joint" of joint actions.

    Raises:
      ValueError: as `trainer.check_arguments` and `critics.make_critics`.
    """
    check_arguments(config, Config, env)
    critic = joint_critic(config, env) if config.critic == "joint" else mamql.own_critic(config, env)
    return mamql.learn_by(config, critic)


def joint_critic(config: Config, env: Environment) -> Critic:
    """Critics of joint actions; the value of an own action is the soft maximum over the actions of the others."""
    num_actions = count_actions(env)
    networks = make_critics(config, env, count_joint_actions(env))

    def read(network_params: Any, obs: jax.Array) -> Reading:
        q = networks.apply(network_params, obs)
        action_values = soft_max(split_joint(q, num_actions), config.inverse_temperature)
        return Reading(q, action_values, soft_max(q, config.inverse_temperature))

    return Critic(networks.init, read, partial(joint_index, num_actions=num_actions))


ALGORITHM = declare("iq_learn", Config, make_method)
make_trainer, make_train, make_policy = ALGORITHM.make_trainer, ALGORITHM.make_train, ALGORITHM.make_policy
recovered_rewards = ALGORITHM.recovered_rewards


if __name__ == "__main__":
    from baselines.runs.command import train_command

    train_command(ALGORITHM)
