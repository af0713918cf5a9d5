"""Events that a game reports in `info`, as features of rewards: own ones, those of others, those of all."""

from collections.abc import Mapping
from typing import Any

from jaxdilemmas.arguments import check_kind, require

WHOSE = ("", "of others", "of all")
"""Whose event a feature counts: the agent's own, the sum of the others', or the least of all."""

TIME = "time"
"""The feature that is 1 in every step, unless a game has an event of that name; no shaping where a game can end."""


def event_feature(name: str, events: Mapping[str, Any]) -> Any:
    """One feature of all agents: events `[..., N]` each, of NumPy or JAX -> `[..., N]` float.

    Args:
      name: "event" for the agent's own, "event of others" for their sum, "event of all" for the least of all,
        or `TIME`.
      events: by name.

    Raises:
      ValueError: there is no such event, or the name says something else of it.
    """
    check_kind("events", events, Mapping, "arrays [..., N] by name")
    check_kind("event", name, str, "the name of a feature")
    if name == TIME and events and TIME not in events:
        return 0 * next(iter(events.values())) + 1.0
    event, _, whose = name.partition(" ")
    is_known = event in events and whose in WHOSE
    require(is_known, "event", name, f"one of {', '.join(sorted(events))}, alone, of others or of all; or {TIME}")
    own = events[event] * 1.0
    if whose == "of others":
        return own.sum(-1, keepdims=True) - own
    return own.min(-1, keepdims=True) + 0 * own if whose == "of all" else own
