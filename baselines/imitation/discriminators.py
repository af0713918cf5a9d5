"""Discriminators, one for each agent: they separate transitions of demonstrations from those that learners play."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from baselines.imitation.critics import make_critics, take
from baselines.imitation.joint_actions import count_actions, count_joint_actions, joint_index
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import ImitationConfig
from jaxdilemmas.environment import Environment

Adversary = Literal["airl", "gail"]


class Judgement(NamedTuple):
    """The output of discriminators for transitions, `[M, N]` float32 each.

    Attributes:
      scores: g, an estimate of the agent's reward for its action, given its observation.
      logits: log D - log(1 - D), D the probability that the transition is of the demonstrations.
    """

    scores: jax.Array
    logits: jax.Array


class Discriminators(NamedTuple):
    """The discriminators of N agents as two functions.

    Attributes:
      init: key -> parameters with a leading axis N.
      judge: (parameters, transitions, log-probabilities `[M, N]` of the actions under the learners' policies) ->
        `Judgement`.
    """

    init: Callable[[jax.Array], Any]
    judge: Callable[[Any, Transitions, jax.Array], Judgement]


def make_discriminators(config: ImitationConfig, env: Environment, method: Adversary) -> Discriminators:
    """Discriminators that read what the agent sees and does, or with `reads` "all" what all see and do.

    By "airl" D = exp f / (exp f + pi) with f = g(o, a) + gamma h(o') - h(o), the second term only where the game goes
    on; one network has g of each action and h as its outputs. By "gail" the logit of D is g(o, a) itself.

    Args:
      config: which network, what it reads, and gamma.
      env: the game.
      method: which of the two.

    Raises:
      ValueError: as `critics.make_critics`, or there are too many joint actions.

    Source: Fu et al. 2018 (arXiv:1710.11248), section 5, and Yu et al. 2019 (arXiv:1907.13220) for several agents; Ho
    and Ermon 2016 (arXiv:1606.03476) and Song et al. 2018 (arXiv:1807.09936).
    """
    num_actions, reads_all = count_actions(env), config.reads == "all"
    num_scores = count_joint_actions(env) if reads_all else num_actions
    critics = make_critics(config, env, num_scores + (method == "airl"))

    def judge(network_params: Any, transitions: Transitions, log_probs: jax.Array) -> Judgement:
        outputs = critics.apply(network_params, transitions.obs)
        actions = joint_index(transitions.actions, num_actions) if reads_all else transitions.actions
        scores = take(outputs, actions)
        if method == "gail":
            return Judgement(scores, scores)
        following = critics.apply(network_params, transitions.next_obs)[..., -1]
        following = jnp.where(transitions.terminated[:, None], 0.0, following)
        return Judgement(scores, scores + config.discount * following - outputs[..., -1] - log_probs)

    return Discriminators(critics.init, judge)


def cross_entropy(expert_logits: jax.Array, played_logits: jax.Array) -> jax.Array:
    """The loss of separating demonstrations and played transitions, `[M, N]` logits each -> `[N]` float32.

    -log D of demonstrations and -log(1 - D) of what was played, each averaged over transitions: 2 log 2 if they are
    not separated at all.
    """
    return jnp.mean(jax.nn.softplus(-expert_logits), axis=0) + jnp.mean(jax.nn.softplus(played_logits), axis=0)
