"""Social dilemmas for multi-agent reinforcement learning in JAX: pure, jitted, vectorised games.

>>> import jax, jaxdilemmas
>>> env = jaxdilemmas.make("gathering")
>>> obs, state = env.reset(jax.random.key(0))

Each name is imported when it is first used, so that `import jaxdilemmas` takes almost no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxdilemmas.registration import make, register, registered_envs

if TYPE_CHECKING:
    from jaxdilemmas.environment import Environment
    from jaxdilemmas.spaces import Box, Discrete, Observation, WithExtras
    from jaxdilemmas.wrappers import AddBonus, AutoReset, EpisodeStatistics, TransformRewards

_HOMES = {
    "Environment": "environment",
    "Box": "spaces",
    "Discrete": "spaces",
    "Observation": "spaces",
    "WithExtras": "spaces",
    "AddBonus": "wrappers",
    "AutoReset": "wrappers",
    "EpisodeStatistics": "wrappers",
    "TransformRewards": "wrappers",
}
_MODULES = ("bonuses", "graphs", "metrics", "policies", "preferences", "rendering", "testing")

__all__ = [
    "AddBonus",
    "AutoReset",
    "Box",
    "Discrete",
    "Environment",
    "EpisodeStatistics",
    "Observation",
    "TransformRewards",
    "WithExtras",
    "make",
    "register",
    "registered_envs",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"jaxdilemmas.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"jaxdilemmas.{name}")
    raise AttributeError(f"module 'jaxdilemmas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
