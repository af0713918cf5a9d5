"""Tuned settings per (algorithm, game): the only place with tuned numbers.

A setting that is not here is the default of the algorithm's `Config`. On the command line an explicit option wins.
"""

from typing import Any

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    # tuned on map="large" with num_agents=10
    ("ippo", "gathering_gallego"): {
        "network": "conv",
        "hidden_size": 96,
        "discount": 0.9,
        "gae_lambda": 0.9,
        "num_envs": 32,
        "num_epochs": 2,
        "num_minibatches": 40,
        "entropy_coefficient": 0.03,
    },
}
"""Settings by name, for (name of the algorithm, id of the game)."""


def preset(algorithm: str, env_id: str) -> dict[str, Any]:
    """The tuned settings; empty where nothing was tuned."""
    return PRESETS.get((algorithm, env_id), {})
