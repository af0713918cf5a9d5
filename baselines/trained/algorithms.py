"""The algorithms by name: only they can be named in a file."""

import importlib
from types import ModuleType

from jaxdilemmas.environment import require

ALGORITHMS = {
    name: f"baselines.{name}" for name in ("adversarial", "cloning", "ippo", "iq_learn", "mamql", "networked")
}
"""Name -> module."""


def find_algorithm(name: str) -> ModuleType:
    """The module of an algorithm.

    Raises:
      ValueError: the name is not one of `ALGORITHMS`; nothing is imported.
    """
    require(name in ALGORITHMS, "algorithm", name, f"one of {', '.join(ALGORITHMS)}")
    return importlib.import_module(ALGORITHMS[name])
