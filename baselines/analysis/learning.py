"""How soon a learner was good, from the metrics of its updates."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def learning_speed(
    history: Mapping[str, Any], expert_return: float, num_updates: int, share: float = 0.9
) -> dict[str, float]:
    """How much a learner played, and how soon it was good.

    Args:
      history: metrics of U updates, with `env_steps` `[U]` and `episode_return` `[U, N]`, NaN where no episode ended;
        and `seconds` of the training.
      expert_return: mean over agents.
      num_updates: the length of a window, see `updates_of_episodes`.
      share: of the expert's return.

    Returns:
      `env_steps`, 0 for those that do not play; `env_steps_to_90`, the steps at the end of the first window of
      `num_updates` whose mean return is this share of the expert's, NaN if there is none; `train_seconds`.
    """
    played = np.asarray(history.get("env_steps", np.zeros(1))).ravel()
    returns = np.asarray(history.get("episode_return", np.full((1, 1), np.nan)))
    means = returns.reshape(len(returns), -1).mean(1)
    ends = range(num_updates, len(means) + 1) if played[-1] > 0 else ()
    windows = ((end, means[end - num_updates : end]) for end in ends)
    reached = [end for end, some in windows if not np.isnan(some).all() and np.nanmean(some) >= share * expert_return]
    return {
        "env_steps": float(played[-1]),
        "env_steps_to_90": float(played[reached[0] - 1]) if reached else float("nan"),
        "train_seconds": float(history.get("seconds", np.nan)),
    }


def updates_of_episodes(config: Any, max_steps: int, num_episodes: int = 100) -> int:
    """After how many updates at least so many episodes have ended, since none is longer than `max_steps`.

    Args:
      config: settings of a learner; 1 where nothing is played.
      max_steps: of an episode.
      num_episodes: at least.
    """
    if not config.env_steps_per_update:
        return 1
    per_env = -(-num_episodes // config.num_envs)
    return int(-(-per_env * max_steps // config.rollout_steps))
