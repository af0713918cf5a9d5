"""The imitators that the study of MAMQL compares, and their settings."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jaxdilemmas
from baselines import adversarial, cloning, iq_learn, mamql
from baselines.core.trainer import Imitator
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


@functools.cache
def game_of(name: str) -> Environment:
    """The game of that id with its default arguments."""
    return jaxdilemmas.make(name)
