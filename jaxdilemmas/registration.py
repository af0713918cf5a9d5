"""Ids of games and how to build them. Each id is typed once, here; its module is imported when it is first made."""

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxdilemmas.environment import Environment

Factory = Callable[..., "Environment"]

_FACTORIES: dict[str, str | Factory] = {
    "commons": "jaxdilemmas.envs.commons:Commons",
    "commons_gallego": "jaxdilemmas.envs.gallego:CommonsGallego",
    "gathering": "jaxdilemmas.envs.gathering:Gathering",
    "gathering_gallego": "jaxdilemmas.envs.gallego:GatheringGallego",
}


def registered_envs() -> list[str]:
    """Returns the known ids in alphabetical order."""
    return sorted(_FACTORIES)


def register(env_id: str, factory: Factory) -> None:
    """Adds a game of your own, so that `make`, the baselines and the benchmarks find it.

    Args:
      env_id: the name to make it by.
      factory: called with the keyword arguments of `make`; returns an `Environment`.

    Raises:
      ValueError: the id is taken.
    """
    if env_id in _FACTORIES:
        raise ValueError(
            f"env_id={env_id!r} is not allowed: it is registered already; taken are {', '.join(registered_envs())}"
        )
    _FACTORIES[env_id] = factory


def make(env_id: str, **kwargs: Any) -> "Environment":
    """Builds a game.

    Args:
      env_id: one of `registered_envs()`.
      **kwargs: what fixes a shape or a loop (`num_agents`, `map`, `observation`, ...), and any field of the game's
        `Params`, which then changes `default_params`.

    Returns:
      The environment; see `jaxdilemmas.Environment` for the contract.

    Raises:
      ValueError: an unknown id (the nearest known one is named), an unknown keyword or a value that is not allowed.
    """
    if env_id not in _FACTORIES:
        nearest = difflib.get_close_matches(env_id, _FACTORIES, n=1, cutoff=0.0)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"unknown env_id={env_id!r}{hint} Known are {', '.join(registered_envs())}")
    factory = _FACTORIES[env_id]
    if isinstance(factory, str):
        module, name = factory.split(":")
        factory = getattr(importlib.import_module(module), name)
    return factory(**kwargs)
