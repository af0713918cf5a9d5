"""Tuned settings per (algorithm, game): the only place with tuned numbers.

A setting that is not here is the default of the algorithm's `Config`. On the command line an explicit option wins.
"""

from typing import Any

from jaxdilemmas.arguments import check_kind

FIRST_REPORTED_SEED = 100
"""Settings are chosen on seeds below it; results are reported on seeds from it on."""

GEMS_IMITATION: dict[str, Any] = {
    "network": "set",
    "hidden_size": 64,
    "augment": True,
    "learning_rate": 2e-3,
    "gradient_steps": 1400,
}
"""What imitators of Gems share, so that they can be compared: the network, the symmetries of the board, the budget."""

LONGER: dict[str, Any] = {"learning_rate": 3e-3, "gradient_steps": 8000}
"""Likewise of imitators of Overcooked and Intersection."""

LOOKING_AHEAD: dict[str, Any] = {"discount": 0.99, "gae_lambda": 0.95, "num_envs": 64}
"""What IPPO has in many games."""

CROWD: dict[str, Any] = LOOKING_AHEAD | {
    "agent_id": True,
    "num_envs": 32,
    "reward_scale": 0.1,
    "total_env_steps": 400_000,
}
"""What IPPO has in games of many agents on a board."""

POOL: dict[str, Any] = LOOKING_AHEAD | {
    "gae_lambda": 0.98,
    "num_envs": 32,
    "entropy_coefficient": 0.03,
    "reward_scale": 0.1,
    "total_env_steps": 600_000,
}
"""What IPPO has where one stock is shared."""

RIVER: dict[str, Any] = {
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
    "total_env_steps": 1_600_000,
}
"""What IPPO has where a river must be cleaned, tuned with reward="common"."""

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    # what the defaults of `ippo.Config` were chosen on
    ("ippo", "gathering"): {"discount": 0.95, "gae_lambda": 0.8},
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
        "total_env_steps": 400_000,
    },
    # tuned with reward="common"
    **{("ippo", game): RIVER for game in ("cleanup", "cleanup_meltingpot")},
    ("ippo", "harvest"): RIVER | {"total_env_steps": 640_000},
    ("ippo", "coins"): LOOKING_AHEAD | {"discount": 0.98},
    **{("ippo", game): RIVER | {"total_env_steps": 2_000_000} for game in ("coop_mining", "gift_refinements")},
    **{
        ("ippo", game): LOOKING_AHEAD | {"entropy_coefficient": 0.02, "total_env_steps": 2_000_000}
        for game in ("externality_mushrooms", "territory")
    },
    ("ippo", "cleanup_gallego"): CROWD,
    **{("ippo", game): CROWD | {"total_env_steps": 120_000} for game in ("commons", "commons_gallego")},
    ("ippo", "gems"): {"network": "set", "num_envs": 64, "rollout_steps": 45},
    # the weights of the bonus are those of overcooked_ai @ 83f5192 (`BASE_REW_SHAPING_PARAMS`)
    ("ippo", "overcooked"): LOOKING_AHEAD
    | {
        "bonus": ("potted=3", "useful_dish_taken=3", "soup_taken=5"),
        "bonus_steps": 1_500_000,
        "parameters": "separate",
        "total_env_steps": 3_000_000,
        "rollout_steps": 100,
        "num_minibatches": 16,
        "entropy_coefficient": 0.05,
        "reward_scale": 0.1,
    },
    ("ippo", "intersection"): LOOKING_AHEAD,
    ("ippo", "in_the_matrix"): LOOKING_AHEAD | {"entropy_coefficient": 0.02, "total_env_steps": 3_000_000},
    # tuned on common_pool with reward="common"
    **{("ippo", game): POOL for game in ("common_pool", "common_pool_network")},
    # tuned with both rewards
    ("ippo", "coin_game"): {
        "num_envs": 64,
        "rollout_steps": 50,
        "discount": 0.9,
        "gae_lambda": 0.9,
        "learning_rate": 2e-3,
        "total_env_steps": 600_000,
    },
    # tried with both rewards
    ("ippo", "level_based_foraging"): LOOKING_AHEAD | {"rollout_steps": 50, "total_env_steps": 600_000},
    # tuned on the iterated and the one-shot prisoner's dilemma, with both rewards
    ("ippo", "matrix_game"): {
        "num_envs": 32,
        "rollout_steps": 25,
        "num_minibatches": 2,
        "learning_rate": 3e-3,
        "reward_scale": 0.3,
        "total_env_steps": 200_000,
    },
    # tuned on 1,000 and 20,000 recorded transitions
    ("mamql", "gems"): GEMS_IMITATION,
    ("iq_learn", "gems"): GEMS_IMITATION,
    ("cloning", "gems"): GEMS_IMITATION,
    # tuned on 1,000 transitions of Overcooked and 20,000 of Intersection
    ("mamql", "overcooked"): LONGER | {"alpha": 1.0},
    ("mamql", "intersection"): LONGER | {"alpha": 1.0, "capacity": 1024},
    **{(learner, game): LONGER for learner in ("iq_learn", "cloning") for game in ("overcooked", "intersection")},
    # for either method: they keep what cloning learnt, and a run on one core stays within a minute
    ("adversarial", "gems"): {
        "network": "set",
        "augment": True,
        "policy_reward": "scores",
        "cloning_steps": 2000,
        "gradient_steps": 480,
        "total_env_steps": 34_560,
        "num_epochs": 2,
        "num_minibatches": 2,
        "policy_learning_rate": 1e-4,
    },
}
"""Settings by name, for (name of the algorithm, id of the game)."""


def preset(algorithm: str, env_id: str) -> dict[str, Any]:
    """The tuned settings; empty where nothing was tuned.

    Raises:
      ValueError: a name is no text.
    """
    check_kind("algorithm", algorithm, str, "the name of an algorithm")
    check_kind("env_id", env_id, str, "the id of a game")
    return PRESETS.get((algorithm, env_id), {})
