"""Episodes of Gallego's Gathering in which every agent follows one scripted policy, in plain Python."""

from typing import Any

import numpy as np

from tests.reference.gallego import Game
from tests.reference.policies import act

FIELDS = ("positions", "headings", "timeouts", "hits", "apples", "apple_timers")


def play_reference(env: Any, name: str, start: Any, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Plays one episode.

    Args:
      env: `gathering_gallego`; gives the map.
      name: greedy, exploitative, cooperative or random.
      start: the state to begin in.
      draws: `[T, N]` integers from 0 to 7, the luck of each agent in each step.

    Returns:
      What `EpisodeStatistics` writes to info, after every step, `[T, N]` each.
    """
    copies: dict[str, Any] = {field: np.array(getattr(start, field)) for field in FIELDS}
    game = Game(env.walls, env.apple_cells, **copies)
    rewards, tagged = np.zeros(draws.shape), np.zeros(draws.shape, bool)
    for t, luck in enumerate(draws.tolist()):
        rewards[t], _, _ = game.step([act(name, game, i, draw) for i, draw in enumerate(luck)])
        tagged[t] = game.timeouts > 0
    times = np.arange(len(draws))[:, None]
    return {
        "episode_return": rewards.cumsum(0),
        "episode_length": np.broadcast_to(times + 1, draws.shape),
        "episode_reward_steps": (rewards > 0).cumsum(0),
        "episode_reward_time": (times * (rewards > 0)).cumsum(0),
        "episode_tagged_steps": tagged.cumsum(0),
    }
