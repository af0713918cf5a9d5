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
    # tuned with reward="common"
    ("ippo", "cleanup"): {
        "agent_id": True,
        "discount": 0.99,
        "gae_lambda": 0.99,
        "num_envs": 64,
        "num_epochs": 3,
        "learning_rate": 2e-3,
        "final_learning_rate": 2e-4,
        "entropy_coefficient": 0.008,
        "final_entropy_coefficient": 0.0003,
        "value_coefficient": 0.25,
        "clip_range": 0.4,
        "max_gradient_norm": 0.02,
        "normalize_advantages": False,
        "reward_scale": 0.1,
    },
    ("ippo", "harvest"): {
        "agent_id": True,
        "discount": 0.99,
        "gae_lambda": 0.95,
        "num_envs": 32,
        "final_entropy_coefficient": 0.001,
    },
}
"""Settings by name, for (name of the algorithm, id of the game)."""


def preset(algorithm: str, env_id: str) -> dict[str, Any]:
    """The tuned settings; empty where nothing was tuned."""
    return PRESETS.get((algorithm, env_id), {})
