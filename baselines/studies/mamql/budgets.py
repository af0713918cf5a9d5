"""What methods of the study may spend: gradient steps, steps of the game and learning rates, from their settings."""

from typing import Any

from baselines.analysis.tables import Row
from baselines.studies.mamql.options import GAMES, METHODS


def budget_rows(configs: dict[str, dict[str, Any]], explored: int) -> list[Row]:
    """One row for each method and game.

    Args:
      configs: settings by "method on game", as a study keeps them.
      explored: steps of the game that the regression of rewards plays for every method; none in stage games.
    """
    table = []
    for learner, settings in configs.items():
        method, _, game = learner.partition(" on ")
        config = METHODS[method].algorithm.config_class(**settings)
        row = {"game": game, "method": method} | budget(config)
        table.append(row | {"explored_steps": 0 if game in GAMES else explored})
    return sorted(table, key=lambda row: row["game"])


def budget(config: Any) -> Row:
    """What one run spends.

    Returns:
      `gradient_steps`, of critics, clones or discriminators, by minibatches of `batch_size` demonstrations and, if
      something is played, as many transitions of that; `cloning_steps`, before them, by demonstrations; `policy_steps`,
      of IPPO; their learning rates; `reads`; `env_steps`; the update-to-data ratio as `steps_per_env_step`, gradient
      steps of both kinds, and `transitions_per_env_step`, that they read, 0 where nothing is played.
    """
    env_steps = config.num_updates * config.env_steps_per_update
    generator = getattr(config, "generator", None)
    if generator is None:
        steps, final_rate, num_epochs, num_minibatches = config.steps_per_update, config.final_learning_rate, 0, 0
    else:
        steps, final_rate = config.gradient_steps_per_update, config.learning_rate
        num_epochs, num_minibatches = config.num_epochs, config.num_minibatches
    gradient_steps, policy_steps = config.num_updates * steps, config.num_updates * num_epochs * num_minibatches
    read = gradient_steps * config.batch_size * (2 if env_steps else 1) + num_epochs * env_steps
    return {
        "reads": config.reads,
        "batch_size": config.batch_size,
        "gradient_steps": gradient_steps,
        "learning_rate": config.learning_rate,
        "final_learning_rate": final_rate,
        "cloning_steps": getattr(config, "cloning_steps", 0),
        "policy_steps": policy_steps,
        "policy_learning_rate": float("nan") if generator is None else config.policy_learning_rate,
        "env_steps": env_steps,
        "steps_per_env_step": (gradient_steps + policy_steps) / env_steps if env_steps else 0.0,
        "transitions_per_env_step": read / env_steps if env_steps else 0.0,
    }
