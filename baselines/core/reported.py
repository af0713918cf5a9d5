"""The events of a game's `info` that baselines report: in metrics.csv, in evaluation.json and in pictures."""

from typing import NamedTuple

import jax

Arrays = dict[str, jax.Array]


class Reported(NamedTuple):
    """Where an event is reported.

    Attributes:
      in_updates: as a mean per step, of every update.
      in_episodes: as a sum, of an episode that is played.
      label: of the rate in pictures of several runs, which have no other events.
    """

    in_updates: bool = False
    in_episodes: bool = False
    label: str = ""


EVENTS = {
    "collected": Reported(True, True, "apples per step"),
    "cleaned": Reported(True, True, "cells cleaned per step"),
    "iron": Reported(True, True, "iron per step"),
    "gold": Reported(True, True, "gold per step"),
    "gifts_given": Reported(True, True, "gifts per step"),
    "consumed": Reported(True, True, "tokens eaten per step"),
    "ate_red": Reported(True, True, "red mushrooms per step"),
    "ate_green": Reported(True, True, "green mushrooms per step"),
    "ate_blue": Reported(True, True, "blue mushrooms per step"),
    "ate_orange": Reported(in_episodes=True),
    "claimed": Reported(True, True, "walls claimed per step"),
    "destroyed": Reported(True, True, "walls destroyed per step"),
    "hits_received": Reported(True, True, "hits per step"),
    "hits_given": Reported(in_episodes=True),
    "potted": Reported(in_updates=True),
    "useful_dish_taken": Reported(in_updates=True),
    "soup_taken": Reported(in_updates=True),
    "delivered": Reported(True, True),
    "own_coins": Reported(True, True),
    "other_coins": Reported(True, True),
    "loaded": Reported(True, True, "food per step"),
    "loaded_together": Reported(True, True),
    "failed_loads": Reported(True, True),
    "interactions": Reported(True, True),
    "choice": Reported(in_updates=True),
    "effort": Reported(in_updates=True),  # of an episode restraint is reported
}
"""By name in `info`, in the order of the reports. A game has some of them."""


def event_rates(info: Arrays) -> Arrays:
    """How often each agent does what is reported of updates, per step: `[T, B, N]` arrays -> `[N]` float32."""
    return {name: info[name].mean((0, 1)) for name, event in EVENTS.items() if event.in_updates and name in info}


def event_sums(info: Arrays, is_played: jax.Array) -> Arrays:
    """How often each agent did what is reported of episodes, in the steps that are played.

    Args:
      info: `[T, N]` arrays.
      is_played: `[T]` bool.

    Returns:
      `[N]`, of the dtype of a sum of those of info.
    """
    is_played = is_played[:, None]
    return {
        name: (info[name] * is_played).sum(0) for name, event in EVENTS.items() if event.in_episodes and name in info
    }
