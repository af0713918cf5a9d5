"""Bonuses for events, which `jaxdilemmas.AddBonus` adds to the rewards of any game.

A signal measures the events of a step: signal(state, info) -> `[N]` float32, with the state after the step and the
step's `info`. A bonus turns signals into numbers that are added to the rewards. A bonus may carry state within an
episode; each episode starts with a new carry.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import is_number, require

Info = Mapping[str, jax.Array]
"""The info that a game returns with a step, `[N]` each."""

Signal = Callable[[Any, Info], jax.Array]
"""(state after the step, info) -> `[N]` float32."""


class Bonus(NamedTuple):
    """A rule that turns signals into a bonus for each agent.

    Attributes:
      init: num_agents -> carry at the start of an episode, any pytree of arrays.
      apply: (carry, signal `[N]` float32) -> (carry, bonus `[N]` float32).
    """

    init: Callable[[int], Any]
    apply: Callable[[Any, jax.Array], tuple[Any, jax.Array]]


def wage() -> Bonus:
    """The bonus of each agent in a step is its signal of that step."""
    return Bonus(lambda num_agents: (), lambda carry, signal: (carry, signal))


def weighted_events(weights: Mapping[str, float]) -> Signal:
    """Builds the signal that is the weighted sum of an agent's events in a step.

    Args:
      weights: from the name of an event in `info` to a finite number, such as {"potted": 3, "soup_taken": 5}.

    Returns:
      The signal. It raises a ValueError that names the event if `info` has no event of that name.

    Raises:
      ValueError: `weights` is empty or not a mapping, or a weight is not a finite number.
    """
    is_fit = isinstance(weights, Mapping) and len(weights) > 0
    require(is_fit, "weights", weights, "a weight for at least one event")
    for event, weight in weights.items():
        check_weight(f"weight of {event}", weight)

    def signal(state: Any, info: Info) -> jax.Array:
        del state
        for event in weights:
            require(event in info, "event", event, f"one of {', '.join(sorted(info))}")
        paid = [float(weight) * info[event].astype(jnp.float32) for event, weight in weights.items()]
        return jnp.sum(jnp.stack(paid), axis=0)

    return signal


def check_weight(argument: str, value: Any) -> None:
    """Raises a ValueError that names the argument unless a value is a finite number."""
    require(is_number(value), argument, value, "a finite number that fits float32")
