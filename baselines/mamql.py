"""Multi-agent marginal Q-learning: what each agent wants, read from demonstrations of all.

Every agent has a critic of its own actions, marginalised over what the others do, and acts by a softmax of it. To the
agent the others are part of the game, so that inverse soft-Q learning of a single agent applies (`training.soft_q`).
The marginal is either implicit, since transitions are samples of what the others do, or explicit: a critic of joint
actions, averaged over the others' policies as fitted to the demonstrations.

Source: Haynam et al. 2025 (arXiv:2503.04679). The loss of its code (USC-Lira/ma-mql @ 7f3da20) is
`Config(reg_samples="expert", value_samples="policy", alpha=1, inverse_temperature=1)`.
"""

import dataclasses
from functools import partial
from typing import Any, Literal, NamedTuple

import jax

from baselines.core.trainer import check_arguments
from baselines.imitation import critics, soft_q, training
from baselines.imitation.critics import Critics, count_actions, count_joint_actions, joint_index, make_critics
from baselines.imitation.replay import Transitions
from baselines.imitation.soft_q import Critic, Reading, SoftQConfig, soft_max
from baselines.imitation.training import Method
from jaxdilemmas.environment import Environment


@dataclasses.dataclass(frozen=True)
class Config(SoftQConfig):
    """Settings of one training run, beside those of `soft_q.SoftQConfig` and `imitation_config.ImitationConfig`.

    Attributes:
      marginalisation: "sampled": critics of own actions, or "explicit": critics of joint actions, averaged over
        policies of the others that are fitted to the demonstrations, also where learners played; for few agents and
        actions. In the limit both are the same where the demonstrators act independently of each other.
    """

    marginalisation: Literal["sampled", "explicit"] = "sampled"


class ExplicitParams(NamedTuple):
    """Of the critics of joint actions, and of the networks that are fitted to the actions in the demonstrations."""

    critics: Any
    policies: Any


def make_method(config: Config, env: Environment) -> Method:
    """What is trained, see `training.Method`; the rewards that it recovers are Q(s, a) - gamma V(s').

    Raises:
      ValueError: as `trainer.check_arguments` and `critics.make_critics`.
    """
    check_arguments(config, Config, env)
    critic = _explicit(config, env) if config.marginalisation == "explicit" else soft_q.own_critic(config, env)
    return soft_q.make_method(config, critic)


make_trainer, make_train, make_policy, recovered_rewards = training.functions_of(make_method)


def _explicit(config: Config, env: Environment) -> Critic:
    """Critics of joint actions and, to average over, what the others do in the demonstrations."""
    num_actions = count_actions(env)
    joint, policies = make_critics(config, env, count_joint_actions(env)), make_critics(config, env)

    def init(key: jax.Array) -> ExplicitParams:
        key_critics, key_policies = jax.random.split(key)
        return ExplicitParams(joint.init(key_critics), policies.init(key_policies))

    def read(network_params: ExplicitParams, obs: jax.Array) -> Reading:
        q = joint.apply(network_params.critics, obs)
        logits = jax.lax.stop_gradient(policies.apply(network_params.policies, obs))
        marginal_q = critics.marginalise(q, jax.nn.softmax(logits), num_actions)
        return Reading(q, marginal_q, soft_max(marginal_q, config.inverse_temperature))

    return Critic(init, read, partial(joint_index, num_actions=num_actions), partial(_policy_loss, policies))


def _policy_loss(policies: Critics, network_params: ExplicitParams, expert: Transitions) -> jax.Array:
    """Cross-entropy of the actions in the demonstrations, `[N]`."""
    return -critics.log_probs(policies.apply(network_params.policies, expert.obs), expert.actions).mean(0)


def main() -> None:
    """The command `python -m baselines.mamql`."""
    from baselines.runs.command import train_command

    train_command("mamql", Config, training.with_demonstrations(make_trainer), default_env="gems")


if __name__ == "__main__":
    main()
