"""Bonuses for events, added around any game by `jaxdilemmas.AddBonus`.

A signal reads what happened in a step off the state after it and the step's `info`: signal(state, info) -> `[N]`
float32. A bonus turns signals into what each agent is paid on top of its reward. It may carry state within an episode;
the carry starts afresh with each episode.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import is_number, require

Info = Mapping[str, jax.Array]
"""What a game reports of a step, `[N]` each."""

Signal = Callable[[Any, Info], jax.Array]
"""(state after the step, info) -> `[N]` float32."""


class Bonus(NamedTuple):
    """A rule for what signals pay.

    Attributes:
      init: num_agents -> carry at the start of an episode, any pytree of arrays.
      apply: (carry, signal `[N]` float32) -> (carry, bonus `[N]` float32).
    """

    init: Callable[[int], Any]
    apply: Callable[[Any, jax.Array], tuple[Any, jax.Array]]


def wage() -> Bonus:
    """Each agent is paid its signal, in every step anew."""
    return Bonus(lambda num_agents: (), lambda carry, signal: (carry, signal))


def weighted_events(weights: Mapping[str, float]) -> Signal:
    """The sum of what each agent did in a step, every kind of event with its weight.

    Args:
      weights: by name of an event in `info`, such as {"potted": 3, "soup_taken": 5}; finite numbers.

    Returns:
      The signal. It raises a ValueError that names the event where `info` has none of that name.

    Raises:
      ValueError: there is no event, or a weight is not a finite number.
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
    """Raises a ValueError that names the argument if a value is not a finite number."""
    require(is_number(value), argument, value, "a finite number that fits float32")
