"""The imitators that the study of MAMQL compares, their settings, and what they may spend."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jaxdilemmas
from baselines import adversarial, cloning, ippo, iq_learn, mamql
from baselines.analysis.tables import Row
from baselines.core.trainer import Imitator
from baselines.imitation.joint_actions import MAX_JOINT_ACTIONS, count_actions
from baselines.presets import preset
from jaxdilemmas.environment import Environment


class Method(NamedTuple):
    """An imitator of the study.

    Attributes:
      algorithm: by which it learns.
      settings: what makes it this method.
      elsewhere: more settings for games other than Gems, where an observation does not show everything.
      own_budget: whether the gradient steps tuned for it win over those that methods share.
    """

    algorithm: Imitator
    settings: dict[str, Any]
    elsewhere: dict[str, Any]
    own_budget: bool = False


READS_ALL = {"reads": "all"}

METHODS: dict[str, Method] = {
    "mamql": Method(mamql.ALGORITHM, {}, READS_ALL),
    "cloning": Method(cloning.ALGORITHM, {}, {}),
    "iq_learn": Method(iq_learn.ALGORITHM, {"critic": "independent"}, {}),
    "iq_learn_joint": Method(iq_learn.ALGORITHM, {"critic": "joint"}, READS_ALL),
    "airl": Method(adversarial.ALGORITHM, {"method": "airl"}, {}, own_budget=True),
    "gail": Method(adversarial.ALGORITHM, {"method": "gail"}, {}, own_budget=True),
    "iq_learn_online": Method(mamql.ALGORITHM, {}, {}),
}
"""The last method is an ablation. MAMQL with sampled marginals that reads its own observation is independent IQ-Learn
that plays in training. So MAMQL and the ablation differ only outside Gems, and only in the observations they read."""

COMPARED = tuple(method for method in METHODS if method != "iq_learn_online")
"""The methods of the study unless others are named."""

SHARED = (
    *("network", "hidden_size", "batch_size", "gradient_steps", "discount", "augment"),
    "acting_inverse_temperature",
)
"""Settings that methods take from the tuned ones of MAMQL; see `Method.own_budget`."""

SETTING_NAMES = frozenset(
    field.name for method in METHODS.values() for field in dataclasses.fields(method.algorithm.config_class)
)
"""Of all methods."""

TRUE_REWARD = "true_reward"
"""The method of IPPO on the game's own reward, with which stage retrain compares the others."""


def config_of(method: str, game: str, given: dict[str, Any]) -> Any:
    """The settings of a method on a game; those of the command that the method does not have are left out.

    Raises:
      ValueError: a setting is not allowed.
    """
    algorithm, own, elsewhere, own_budget = METHODS[method]
    tuned = preset(algorithm.name, game)
    kept = {"gradient_steps"} & tuned.keys() if own_budget else set()
    shared = {name: value for name, value in preset("mamql", game).items() if name in SHARED and name not in kept}
    own = own if game == "gems" else own | elsewhere
    names = {field.name for field in dataclasses.fields(algorithm.config_class)}
    chosen = {name: value for name, value in given.items() if name in names}
    return algorithm.config_class(**(tuned | shared | own | chosen))


def retraining(game: str, env_steps: int) -> Any:
    """The settings of IPPO on recovered rewards."""
    network = {name: value for name, value in preset("mamql", game).items() if name == "network"}
    return ippo.Config(**(network | preset("ippo", game)), total_env_steps=env_steps)


def can_learn(method: str, game: str, config: Any) -> bool:
    """Whether a method can learn a game: critics of joint actions are for few joint actions."""
    is_joint = getattr(config, "critic", "") == "joint" or getattr(config, "marginalisation", "") == "explicit"
    is_joint |= METHODS[method].algorithm is adversarial.ALGORITHM and config.reads == "all"
    return not is_joint or joint_actions(game) <= MAX_JOINT_ACTIONS


@functools.cache
def game_of(name: str) -> Environment:
    """The game of that id with its default arguments."""
    return jaxdilemmas.make(name)


def joint_actions(game: str) -> int:
    """The number of joint actions of a game."""
    return int(count_actions(game_of(game)) ** game_of(game).num_agents)


def budget(config: Any) -> Row:
    """What one run of an imitator spends.

    Gradient steps are by minibatches of `batch_size` demonstrations and, if the imitator plays, as many transitions of
    that play. Policy steps are those of IPPO. The update-to-data ratios are 0 where the imitator does not play.
    """
    env_steps = config.num_updates * config.env_steps_per_update
    generator = getattr(config, "generator", None)
    if generator is None:
        steps, final_rate, num_epochs, num_minibatches = config.steps_per_update, config.final_learning_rate, 0, 0
    else:
        steps, final_rate = config.gradient_steps_per_update, config.learning_rate
        num_epochs, num_minibatches = config.num_epochs, config.num_minibatches
    gradient_steps, policy_steps = config.num_updates * steps, config.num_updates * num_epochs * num_minibatches
    read = gradient_steps * config.batch_size * (2 if env_steps else 1) + num_epochs * env_steps
    return {
        "reads": config.reads,
        "batch_size": config.batch_size,
        "gradient_steps": gradient_steps,
        "learning_rate": config.learning_rate,
        "final_learning_rate": final_rate,
        "cloning_steps": getattr(config, "cloning_steps", 0),
        "policy_steps": policy_steps,
        "policy_learning_rate": float("nan") if generator is None else config.policy_learning_rate,
        "env_steps": env_steps,
        "steps_per_env_step": (gradient_steps + policy_steps) / env_steps if env_steps else 0.0,
        "transitions_per_env_step": read / env_steps if env_steps else 0.0,
    }
