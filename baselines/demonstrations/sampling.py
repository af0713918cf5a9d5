"""Whether demonstrations fit a game, parts of them, and several joined."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from baselines.core.trainer import check_unreset_game
from baselines.demonstrations.headers import check_header
from baselines.demonstrations.records import (
    Demonstrations,
    check_contents,
    check_demonstrations,
    check_observations,
    ends,
    from_arrays,
    take,
    to_arrays,
)
from jaxdilemmas.arguments import is_count, is_number, require
from jaxdilemmas.environment import Environment


def check_fits(demonstrations: Demonstrations, env: Environment, env_id: str | None = None) -> None:
    """Raises a ValueError unless the demonstrations are sound and of this game.

    Args:
      demonstrations: to learn from.
      env: the game.
      env_id: its id; without it the class of the game is compared. Its keyword arguments and params may be others than
        those of the demonstrations, as long as agents, actions and observations are the same.

    Raises:
      ValueError: they are of another game, version, number of agents or actions, or observation, or break a rule of
        `from_arrays`. The message names the file, if there is one, and the field.
    """
    check_demonstrations(demonstrations)
    check_unreset_game(env)
    check_header(demonstrations.header, env, env_id)
    check_contents(demonstrations)
    check_observations(demonstrations, env)


def subsample(demonstrations: Demonstrations, num_transitions: int, seed: int = 0) -> Demonstrations:
    """Some of the transitions: whole episodes in random order, the last one cut where the number is reached.

    Chosen transitions stay in the order in which they were recorded and keep the number of their episode. What a seed
    chooses for a smaller number is a part of what it chooses for a larger one.

    Args:
      demonstrations: to choose from.
      num_transitions: how many.
      seed: of the order.

    Raises:
      ValueError: there are fewer, or an argument is of another kind.
    """
    check_demonstrations(demonstrations)
    header = demonstrations.header
    most = header.num_transitions
    is_fit = is_count(num_transitions) and num_transitions <= most
    header.require(is_fit, "num_transitions", num_transitions, f"a whole number from 1 to {most}, which are there")
    require(is_count(seed, 0), "seed", seed, "a whole number of at least 0")
    last = ends(demonstrations)
    first = np.append(0, last[:-1] + 1)
    order = np.random.default_rng(seed).permutation(len(last))
    rows = np.concatenate([np.arange(first[i], last[i] + 1) for i in order])
    return take(demonstrations, np.sort(rows[:num_transitions]))


def split(
    demonstrations: Demonstrations, held_out: float = 0.1, seed: int = 0
) -> tuple[Demonstrations, Demonstrations]:
    """Two parts without a common episode, in recorded order.

    Args:
      demonstrations: of two episodes or more.
      held_out: the fraction of the episodes in the second part, rounded, and at least one.
      seed: of the choice.

    Returns:
      What to learn from, and what to measure on.

    Raises:
      ValueError: `held_out` is not between 0 and 1, a part would be empty, or an argument is of another kind.
    """
    check_demonstrations(demonstrations)
    require(is_number(held_out) and 0 < held_out < 1, "held_out", held_out, "a number above 0 and below 1")
    require(is_count(seed, 0), "seed", seed, "a whole number of at least 0")
    ids = np.unique(demonstrations.episodes)
    num_held_out = max(1, round(held_out * len(ids)))
    is_enough = num_held_out < len(ids)
    demonstrations.header.require(is_enough, "num_episodes", len(ids), f"more than {num_held_out}, to split them")
    chosen = np.random.default_rng(seed).permutation(ids)[:num_held_out]
    is_held_out = np.isin(demonstrations.episodes, chosen)
    return take(demonstrations, ~is_held_out), take(demonstrations, is_held_out)


def join(parts: Sequence[Demonstrations]) -> Demonstrations:
    """Demonstrations of one game as one, such as those of a script and of a person.

    Args:
      parts: one or more, in the order in which their episodes follow each other.

    Returns:
      All transitions. Episodes are numbered from 0. The policy of the header names those of the parts, with commas
      between them. States are there if all parts have them.

    Raises:
      ValueError: there is no part, one is of another kind, or the parts differ in anything of the game or in the names
        of events.
    """
    is_list = isinstance(parts, list | tuple) and not isinstance(parts, Demonstrations) and len(parts) > 0
    is_list = is_list and all(isinstance(part, Demonstrations) for part in parts)
    require(is_list, "parts", parts, "a list of at least one Demonstrations")
    for part in parts:
        _check_is_alike(part, parts[0])
    joined = [to_arrays(part) for part in parts]
    names = [name for name in joined[0] if all(name in arrays for arrays in joined)]
    arrays = {name: np.concatenate([arrays[name] for arrays in joined]) for name in names}
    starts = np.cumsum([0, *(len(ends(part)) for part in parts)])
    numbers = [np.unique(part.episodes, return_inverse=True)[1] for part in parts]
    arrays["episodes"] = np.concatenate([n + start for n, start in zip(numbers, starts, strict=False)]).astype(np.int32)
    policies = ", ".join(dict.fromkeys(part.header.policy for part in parts))
    return from_arrays(dataclasses.replace(parts[0].header, policy=policies, path=""), arrays)


def _check_is_alike(part: Demonstrations, first: Demonstrations) -> None:
    """Raises a ValueError that names the first field in which two demonstrations are not of the same."""
    header, origin = part.header, first.header.origin
    for field in dataclasses.fields(origin):
        value, wanted = getattr(header, field.name), getattr(origin, field.name)
        is_alike = value == wanted or field.name == "policy"
        header.require(is_alike, field.name, value, f"{wanted!r}, as in {first.header.path or 'the first part'}")
    names = sorted(first.events)
    header.require(sorted(part.events) == names, "events", sorted(part.events), f"{names}, as in the first part")
