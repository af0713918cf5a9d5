"""Events that a game reports in `info`, as features of rewards: own ones, those of others, those of all."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from baselines.analysis.arrays import check_array
from jaxdilemmas.arguments import check_kind, require

WHOSE = ("", "of others", "of all")
"""Whose event a feature counts: the agent's own, the sum of the others', or the least of all."""

TIME = "time"
"""The feature that is 1 in every step, unless a game has an event of that name; no shaping where a game can end."""


class EventRewards(NamedTuple):
    """Rewards that are a weighted sum of events.

    Attributes:
      names: of the F features, see `event_feature`.
      weights: `[N, F]` float64, one row for each agent.
      explained: `[N]` float64, a share of variance: of targets, by rewards and shaping together
        (`constrained_regression`), or of expected sums, by rewards alone (`successor_rewards`).
    """

    names: tuple[str, ...]
    weights: np.ndarray
    explained: np.ndarray

    def rewards(self, events: Mapping[str, np.ndarray]) -> np.ndarray:
        """The weighted sum, without shaping: events `[M, N]` each -> `[M, N]` float64.

        Raises:
          ValueError: an event that has a weight is not there.
        """
        return np.einsum("mnf,nf->mn", event_columns(self.names, events), self.weights)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each agent and event, with its weight."""
        return [
            {"agent": agent, "event": name, "weight": float(weight)}
            for agent, weights in enumerate(self.weights)
            for name, weight in zip(self.names, weights, strict=True)
        ]


def event_names(events: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The features that events `[M, N]` give rise to: own, of others, of all.

    What repeats another or never varies is left out.

    Raises:
      ValueError: these are no arrays by name.
    """
    check_events(events)
    kept: list[str] = []
    seen: list[np.ndarray] = []
    for whose in WHOSE:
        for event in events:
            name = f"{event} {whose}".strip()
            column = event_feature(name, events)
            if np.ptp(column) > 0 and not any(np.array_equal(column, other) for other in seen):
                kept.append(name)
                seen.append(column)
    return tuple(kept)


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


def check_events(events: Any, *axes: int | str) -> None:
    """Raises a ValueError unless these are arrays of numbers by name, all of one shape: `axes`, or `[M, N]`."""
    check_kind("events", events, Mapping, "arrays [M, N] by name")
    for name, values in events.items():
        check_kind("event", name, str, "text, the name of an event")
        axes = check_array(f"events[{name!r}]", values, *(axes or ("M", "N"))).shape


def event_columns(names: Sequence[str], events: Mapping[str, np.ndarray]) -> np.ndarray:
    """All features of events `[M, N]`, `[M, N, F]` float64.

    Raises:
      ValueError: as `event_feature`, or there is no name.
    """
    is_some = isinstance(names, list | tuple) and len(names) > 0
    require(is_some, "names", names, "a tuple or list of at least one feature")
    return np.stack([np.asarray(event_feature(name, events), np.float64) for name in names], axis=-1)
