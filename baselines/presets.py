"""Tuned settings per (algorithm, game): the only place with tuned numbers.

A setting that is not here is the default of the algorithm's `Config`. On the command line an explicit option wins.
"""

from typing import Any

PRESETS: dict[tuple[str, str], dict[str, Any]] = {}
"""Settings by name, for (name of the algorithm, id of the game)."""


def preset(algorithm: str, env_id: str) -> dict[str, Any]:
    """The tuned settings; empty where nothing was tuned."""
    return PRESETS.get((algorithm, env_id), {})
