"""What demonstrations are: transitions with a header, as NumPy arrays, and what must hold of them."""

from typing import Any, NamedTuple

import numpy as np

from baselines.demonstrations.headers import Header
from jaxdilemmas.arguments import check_kind, is_count
from jaxdilemmas.environment import Environment
from jaxdilemmas.spaces import Observation, view_of

BYTES_AT_ONCE = 2**24
"""So much of the observations is compared with the space of the game at a time."""


class Demonstrations(NamedTuple):
    """M transitions in the order in which they happened, as NumPy arrays.

    Attributes:
      header: what they are of.
      obs: `[M, N, ...]`, what agents saw, an array or an `Observation` of two.
      actions: `[M, N]` int32, what they did.
      rewards: `[M, N]` float32, the game's own.
      next_obs: `[M, N, ...]`, what they saw then, before any reset.
      terminated: `[M]` bool, the game ended.
      truncated: `[M]` bool, the clock ran out, be it in the step that ended the game.
      episodes: `[M]` int32, the number of the episode, which never falls.
      events: `[M, N]` float32 each, the info of the game.
      states: `[M, ...]` each, the state in which agents acted, its arrays by path; empty unless it was recorded.
    """

    header: Header
    obs: Any
    actions: np.ndarray
    rewards: np.ndarray
    next_obs: Any
    terminated: np.ndarray
    truncated: np.ndarray
    episodes: np.ndarray
    events: dict[str, np.ndarray]
    states: dict[str, np.ndarray]


ARRAYS = Demonstrations._fields[1:8]
GROUPS = Demonstrations._fields[8:]
OBSERVED = ("obs", "next_obs")
EXTRAS = {name: f"{name}_extras" for name in OBSERVED}
"""The arrays of numbers beside the views, by the name of the array of views."""


RENAMED = {"events.fined": "events.hits_received"}
"""Arrays of demonstrations that were recorded under another name, by that name."""


def to_arrays(demonstrations: Demonstrations) -> dict[str, np.ndarray]:
    """All arrays by name, such as obs, events.collected and states.positions."""
    arrays = {name: getattr(demonstrations, name) for name in ARRAYS if name not in OBSERVED}
    for name in OBSERVED:
        arrays |= split_observed(name, getattr(demonstrations, name))
    for group in GROUPS:
        arrays |= {f"{group}.{name}": array for name, array in getattr(demonstrations, group).items()}
    return arrays


def split_observed(name: str, obs: Any) -> dict[str, Any]:
    """Observations as arrays by name: views, and extras where there are some."""
    return {name: obs.view, EXTRAS[name]: obs.extras} if isinstance(obs, Observation) else {name: obs}


def _join_observed(header: Header, arrays: dict[str, np.ndarray], name: str) -> Any:
    """The inverse of `split_observed`."""
    found = EXTRAS[name] in arrays
    header.require(
        found == bool(header.obs_extras), "arrays", sorted(arrays), f"{EXTRAS[name]} if there are obs_extras"
    )
    views: Any = arrays[name]
    extras: Any = arrays.get(EXTRAS[name])
    return Observation(views, extras) if found else views


def from_arrays(header: Header, arrays: dict[str, np.ndarray]) -> Demonstrations:
    """The inverse of `to_arrays`, checked; counts of the header are those of the arrays. Old names become new ones.

    Raises:
      ValueError: an array is missing, unknown, of another shape or dtype, not finite, or empty; actions are out of
        range; episodes fall, or go on after their end. The message names the file, if there is one, and the array.
    """
    arrays = {RENAMED.get(name, name): array for name, array in arrays.items()}
    unknown = [name for name in arrays if not _is_name(name)]
    header.require(not unknown, "arrays", unknown[:1], f"allowed are {', '.join(ARRAYS)}, events.<name>, states.<path>")
    missing = sorted(set(ARRAYS) - arrays.keys())
    header.require(not missing, "arrays", sorted(arrays), f"{', '.join(missing)} must be among them")
    groups = {
        group: {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{group}.")}
        for group in GROUPS
    }
    fields: dict[str, Any] = {name: arrays[name] for name in ARRAYS if name not in OBSERVED} | groups
    fields |= {name: _join_observed(header, arrays, name) for name in OBSERVED}
    demonstrations = Demonstrations(header, **fields)
    check_contents(demonstrations)
    returns = episode_returns(demonstrations)
    return demonstrations._replace(
        header=header.with_counts(len(returns), len(arrays["episodes"]), returns.sum(axis=0))
    )


def take(demonstrations: Demonstrations, rows: np.ndarray | slice) -> Demonstrations:
    """Some transitions, by index, by `[M]` bool or in a row."""
    arrays = {name: array[rows] for name, array in to_arrays(demonstrations).items()}
    return from_arrays(demonstrations.header, arrays)


def episode_returns(demonstrations: Demonstrations) -> np.ndarray:
    """Sums of rewards, `[E, N]` float64, in the order of the episodes."""
    ids, index = np.unique(demonstrations.episodes, return_inverse=True)
    returns = np.zeros((len(ids), demonstrations.rewards.shape[1]))
    np.add.at(returns, index, demonstrations.rewards)
    return returns


def ends(demonstrations: Demonstrations) -> np.ndarray:
    """The index of the last transition of each episode, `[E]`."""
    return np.append(np.flatnonzero(np.diff(demonstrations.episodes)), len(demonstrations.episodes) - 1)


def num_whole(demonstrations: Demonstrations) -> int:
    """The number of transitions before the first episode that does not end, or not in time."""
    last = ends(demonstrations)
    is_whole = is_over(demonstrations)[last] & (_lengths(last) <= _most_steps(demonstrations.header))
    return len(demonstrations.episodes) if is_whole.all() else int(np.append(0, last + 1)[np.argmin(is_whole)])


def is_over(demonstrations: Demonstrations) -> np.ndarray:
    """Which transitions end an episode, `[M]` bool."""
    return demonstrations.terminated | demonstrations.truncated


def check_whole(demonstrations: Demonstrations) -> None:
    """Raises a ValueError that names the first episode that does not end, or has more steps than the game allows."""
    header, last = demonstrations.header, ends(demonstrations)
    open_ended = demonstrations.episodes[last][~is_over(demonstrations)[last]].tolist()
    allowed = "an episode is written whole or not at all, so its last transition must be terminated or truncated"
    header.require(not open_ended, "episodes", open_ended[:1], allowed)
    lengths, most = _lengths(last), _most_steps(header)
    long = demonstrations.episodes[last][lengths > most].tolist()
    allowed = f"an episode has at most max_steps={most:g} transitions, and it has {lengths.max()}"
    header.require(not long, "episodes", long[:1], allowed)


def _lengths(last: np.ndarray) -> np.ndarray:
    """Transitions of each episode, `[E]`."""
    return np.diff(last, prepend=-1)


def _most_steps(header: Header) -> float:
    """After how many the clock ends an episode; infinite if that is not known."""
    most = header.params.get("max_steps")
    return float(most) if most is not None and is_count(most) else np.inf


def check_observations(demonstrations: Demonstrations, env: Environment) -> None:
    """Raises a ValueError that names the first observation that agents of a game cannot see."""
    space = view_of(env.observation_space)  # extras are any finite numbers, which `check_contents` checks
    for name in OBSERVED:
        obs = getattr(demonstrations, name)
        array = obs.view if isinstance(obs, Observation) else obs
        num_rows = max(1, BYTES_AT_ONCE // max(1, array[:1].nbytes))
        for start in range(0, len(array), num_rows):
            rows = array[start : start + num_rows]
            if not space.contains(rows):
                row = next((i for i, row in enumerate(rows) if not space.contains(row)), 0)
                shown = sorted({rows[row].min().item(), rows[row].max().item()})
                demonstrations.header.require(False, name, shown, f"in row {start + row}: members of {space}")


def check_demonstrations(demonstrations: Any) -> None:
    """Raises a ValueError unless these are `Demonstrations`."""
    check_kind("demonstrations", demonstrations, Demonstrations, "Demonstrations, as load(path) returns them")


def check_contents(demonstrations: Demonstrations) -> None:
    """The part of `demonstrations.check_fits` that needs no game."""
    header, M = demonstrations.header, len(demonstrations.episodes)
    header.require(M > 0, "num_transitions", M, "at least 1: there are none")
    _check_arrays(demonstrations)
    actions, episodes = demonstrations.actions, demonstrations.episodes
    outside = actions[(actions < 0) | (actions >= header.num_actions)]
    header.require(not outside.size, "actions", outside[:1].tolist(), f"from 0 to {header.num_actions - 1}")
    falls = np.flatnonzero(episodes[1:] < episodes[:-1])
    fall = episodes[falls[:1, None] + [0, 1]].tolist()
    header.require(not falls.size, "episodes", fall, f"numbers must never fall, as in row {falls[:1] + 1}")
    over = is_over(demonstrations)
    num_early = int(over.sum() - over[ends(demonstrations)].sum())
    header.require(num_early == 0, "terminated", num_early, "no transition may follow the end of an episode")


def _check_arrays(demonstrations: Demonstrations) -> None:
    """Shape, dtype and values of each array alone."""
    header, M = demonstrations.header, len(demonstrations.episodes)
    per_agent, obs = (M, header.num_agents), (M, header.num_agents, *header.obs_shape)
    layout: dict[str, Any] = dict.fromkeys(OBSERVED, (obs, header.obs_dtype))
    layout |= dict.fromkeys(EXTRAS.values(), ((*per_agent, len(header.obs_extras)), "float32"))
    layout |= {"actions": (per_agent, "int32"), "rewards": (per_agent, "float32")}
    layout |= {"terminated": ((M,), "bool"), "truncated": ((M,), "bool"), "episodes": ((M,), "int32")}
    layout |= {f"events.{name}": (per_agent, "float32") for name in demonstrations.events}
    for name, array in to_arrays(demonstrations).items():
        shape, dtype = layout.get(name, ((M, *array.shape[1:]), array.dtype.name))
        header.require(array.dtype.kind in "biuf", name, array.dtype.name, "real numbers or bools")
        is_fit = array.shape == shape and array.dtype == np.dtype(dtype)
        header.require(is_fit, name, f"{array.dtype} {array.shape}", f"{dtype} {shape} is expected")
        if array.dtype.kind == "f":
            bad = array[~np.isfinite(array)]
            header.require(not bad.size, name, bad[:1].tolist(), "numbers must be finite")
        elif array.dtype.kind == "b":
            most = array.view(np.uint8).max(initial=0)
            header.require(most <= 1, name, most.item(), "the bytes of a bool are 0 and 1")


def _is_name(name: str) -> bool:
    """Whether an array may be called so."""
    group, _, rest = name.partition(".")
    return name in ARRAYS or name in EXTRAS.values() or (group in GROUPS and rest != "" and rest.isprintable())
