"""Ids of games and how to build them. Each id is typed once, here; its module is imported when it is first made."""

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxdilemmas.environment import Environment

Factory = Callable[..., "Environment"]

_FACTORIES: dict[str, str | Factory] = {
    "cleanup": "jaxdilemmas.envs.cleanup:Cleanup",
    "cleanup_gallego": "jaxdilemmas.envs.cleanup_gallego:CleanupGallego",
    "cleanup_meltingpot": "jaxdilemmas.envs.cleanup:CleanupMeltingPot",
    "common_pool": "jaxdilemmas.envs.common_pool:CommonPool",
    "common_pool_network": "jaxdilemmas.envs.common_pool_network:CommonPoolNetwork",
    "commons": "jaxdilemmas.envs.commons:Commons",
    "commons_gallego": "jaxdilemmas.envs.gallego:CommonsGallego",
    "gathering": "jaxdilemmas.envs.gathering:Gathering",
    "gathering_gallego": "jaxdilemmas.envs.gallego:GatheringGallego",
    "gems": "jaxdilemmas.envs.gems:Gems",
    "harvest": "jaxdilemmas.envs.harvest:Harvest",
    "intersection": "jaxdilemmas.envs.intersection:Intersection",
    "overcooked": "jaxdilemmas.envs.overcooked:Overcooked",
}


def registered_envs() -> list[str]:
    """Returns the known ids in alphabetical order."""
    return sorted(_FACTORIES)


def register(env_id: str, factory: Factory) -> None:
    """Adds a game of your own under an id, so that `make` finds it from here on, in this process.

    Commands start a process of their own; they are given the class itself, as `make` says.

    Args:
      env_id: the name to make it by, without a colon.
      factory: called with the keyword arguments of `make`; returns an `Environment`.

    Raises:
      ValueError: the id is taken or holds a colon.
    """
    if ":" in env_id:
        raise ValueError(f"env_id={env_id!r} is not allowed: a colon stands for module:name, which needs no register")
    if env_id in _FACTORIES:
        raise ValueError(
            f"env_id={env_id!r} is not allowed: it is registered already; taken are {', '.join(registered_envs())}"
        )
    _FACTORIES[env_id] = factory


def make(env_id: str, **kwargs: Any) -> "Environment":
    """Builds a game.

    Args:
      env_id: one of `registered_envs()`, or "module:name" of a class or function anywhere that builds a game, such as
        "my_package.my_game:MyGame".
      **kwargs: what fixes a shape or a loop (`num_agents`, `map`, `observation`, ...), and any field of the game's
        `Params`, which then changes `default_params`.

    Returns:
      The environment; see `jaxdilemmas.Environment` for the contract.

    Raises:
      ValueError: an unknown id (the nearest known one is named), a module or name that cannot be imported, an unknown
        keyword or a value that is not allowed.
    """
    if ":" in env_id:
        return _import(env_id)(**kwargs)
    if env_id not in _FACTORIES:
        nearest = difflib.get_close_matches(env_id, _FACTORIES, n=1, cutoff=0.0)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"unknown env_id={env_id!r}{hint} Known are {', '.join(registered_envs())}")
    factory = _FACTORIES[env_id]
    return (_import(factory) if isinstance(factory, str) else factory)(**kwargs)


def _import(path: str) -> Factory:
    """Imports what stands at "module:name"."""
    module, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"env_id={path!r} is not allowed: {error}") from error
    if not callable(factory):
        raise ValueError(f"env_id={path!r} is not allowed: {name} is a {type(factory).__name__}, not a class")
    return factory
