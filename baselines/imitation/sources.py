"""The demonstrations that a run learns from: those given, or those in the file that its settings name."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines import demonstrations as recorded
from baselines.demonstrations import Demonstrations
from baselines.demonstrations.records import check_demonstrations
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import ImitationConfig
from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment


class Sources(NamedTuple):
    """Where minibatches come from.

    Attributes:
      expert: demonstrations, leading axis M.
      starts: `[E]` int, rows in which episodes begin.
    """

    expert: Transitions
    starts: jax.Array


def check_given(demonstrations: Any) -> None:
    """Raises a ValueError unless these are demonstrations, or None where the settings name a file."""
    if demonstrations is not None:
        check_demonstrations(demonstrations)


def choose_demonstrations(
    config: ImitationConfig, env: Environment, demonstrations: Demonstrations | None = None
) -> Demonstrations:
    """As many demonstrations as the settings ask for, of those given or of those in the file that the settings name.

    Raises:
      ValueError: the settings name no file, it does not hold demonstrations of this game, or fewer than asked for.
    """
    if demonstrations is None:
        require(bool(config.demonstrations), "demonstrations", config.demonstrations, "the path of a file of them")
        demonstrations = recorded.load(config.demonstrations, env)
    else:
        recorded.check_fits(demonstrations, env)
    if config.num_transitions is None:
        return demonstrations
    return recorded.subsample(demonstrations, config.num_transitions, config.demonstration_seed)


def make_sources(config: ImitationConfig, env: Environment, demonstrations: Demonstrations | None) -> Sources:
    """What to learn from; arguments and errors as of `choose_demonstrations`."""
    demonstrations = choose_demonstrations(config, env, demonstrations)
    expert = jax.tree.map(jnp.asarray, Transitions(*(getattr(demonstrations, name) for name in Transitions._fields)))
    starts = np.flatnonzero(np.diff(demonstrations.episodes, prepend=demonstrations.episodes[0] - 1))
    return Sources(expert, jnp.asarray(starts))
