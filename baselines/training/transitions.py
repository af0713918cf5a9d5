"""What demonstrations are: transitions with a header, as NumPy arrays, and what must hold of them."""

import dataclasses
import json
from typing import Any, NamedTuple

import numpy as np

import jaxdilemmas
from baselines.training.schema import as_tuples
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.spaces import Discrete

COUNTS = ("num_episodes", "num_transitions", "returns")
"""Fields of a header that follow from the arrays; a file has them in its end mark."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What demonstrations are of.

    Attributes:
      env_id: the game, as of `jaxdilemmas.make`; empty if it is not known.
      env_kwargs: its keyword arguments.
      env_version: of its rules.
      params: the numbers in its rules, by name.
      policy: who played.
      num_agents: N.
      num_actions: A.
      obs_shape: of one agent's observation.
      obs_dtype: the name of its dtype.
      num_episodes: E; the last one of a sub-sample may be a part of one.
      num_transitions: M.
      returns: per agent, mean over episodes of the sum of rewards.
      path: the file that they were read from, which errors name; empty if there is none.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    env_version: str
    params: dict[str, Any]
    policy: str
    num_agents: int
    num_actions: int
    obs_shape: tuple[int, ...]
    obs_dtype: str
    num_episodes: int = 0
    num_transitions: int = 0
    returns: tuple[float, ...] = ()
    path: str = dataclasses.field(default="", compare=False)

    @property
    def game(self) -> "Header":
        """The same without counts: what all parts of the demonstrations have in common."""
        return dataclasses.replace(self, num_episodes=0, num_transitions=0, returns=())

    def require(self, condition: bool, field: str, value: Any, allowed: str) -> None:
        """As `jaxdilemmas.environment.require`, and names the file."""
        require(condition, f"{self.path or 'demonstrations'}: {field}", value, allowed)


class Demonstrations(NamedTuple):
    """M transitions in the order in which they happened, as NumPy arrays.

    Attributes:
      header: what they are of.
      obs: `[M, N, ...]`, what agents saw.
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
    obs: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    episodes: np.ndarray
    events: dict[str, np.ndarray]
    states: dict[str, np.ndarray]


ARRAYS = Demonstrations._fields[1:8]
GROUPS = Demonstrations._fields[8:]


def describe(env: Environment, env_id: str = "", env_kwargs: dict[str, Any] | None = None, policy: str = "") -> Header:
    """The header of demonstrations of a game.

    Args:
      env: the game.
      env_id: as of `jaxdilemmas.make`.
      env_kwargs: likewise.
      policy: who plays.

    Raises:
      ValueError: actions of the game are not numbered.
    """
    actions, obs = env.action_space, env.observation_space
    if not isinstance(actions, Discrete):
        raise ValueError(f"env={type(env).__name__} is not allowed: its actions are not numbered but a {actions}")
    names = [field.name for field in dataclasses.fields(env.default_params)]
    params = {name: np.asarray(getattr(env.default_params, name)).tolist() for name in names}
    plain = as_tuples(json.loads(json.dumps({"env_kwargs": env_kwargs or {}, "params": params})))
    shape, dtype = tuple(obs.shape), np.dtype(obs.dtype).name
    return Header(
        env_id=env_id,
        env_version=env.version,
        policy=policy,
        num_agents=env.num_agents,
        num_actions=actions.n,
        obs_shape=shape,
        obs_dtype=dtype,
        **plain,
    )


def to_arrays(demonstrations: Demonstrations) -> dict[str, np.ndarray]:
    """All arrays by name, such as obs, events.collected and states.positions."""
    arrays = {name: getattr(demonstrations, name) for name in ARRAYS}
    for group in GROUPS:
        arrays |= {f"{group}.{name}": array for name, array in getattr(demonstrations, group).items()}
    return arrays


def from_arrays(header: Header, arrays: dict[str, np.ndarray]) -> Demonstrations:
    """The inverse of `to_arrays`, checked; counts of the header are those of the arrays.

    Raises:
      ValueError: an array is missing, of another shape or dtype, not finite, or empty; actions are out of range;
        episodes fall, or go on after their end. The message names the file, if there is one, and the array.
    """
    missing = sorted(set(ARRAYS) - arrays.keys())
    header.require(not missing, "arrays", sorted(arrays), f"{', '.join(missing)} must be among them")
    groups = {
        group: {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{group}.")}
        for group in GROUPS
    }
    fields: dict[str, Any] = {name: arrays[name] for name in ARRAYS} | groups
    demonstrations = Demonstrations(header, **fields)
    check_contents(demonstrations)
    returns = episode_returns(demonstrations)
    return demonstrations._replace(header=with_counts(header, returns, len(demonstrations.obs)))


def with_counts(header: Header, returns: np.ndarray, num_transitions: int) -> Header:
    """The header of M transitions in episodes with returns `[E, N]`."""
    means = tuple((returns.sum(axis=0) / max(1, len(returns))).tolist())
    return dataclasses.replace(header, num_episodes=len(returns), num_transitions=num_transitions, returns=means)


def episode_returns(demonstrations: Demonstrations) -> np.ndarray:
    """Sums of rewards, `[E, N]` float64, in the order of the episodes."""
    ids, index = np.unique(demonstrations.episodes, return_inverse=True)
    returns = np.zeros((len(ids), demonstrations.rewards.shape[1]))
    np.add.at(returns, index, demonstrations.rewards)
    return returns


def ends(demonstrations: Demonstrations) -> np.ndarray:
    """The index of the last transition of each episode, `[E]`."""
    return np.append(np.flatnonzero(np.diff(demonstrations.episodes)), len(demonstrations.episodes) - 1)


def check_header(header: Header, env: Environment, env_id: str | None = None) -> None:
    """The part of `check_fits` that needs the header alone."""
    found = describe(env)
    _check_game(header, env, env_id)
    expected: dict[str, Any] = {"env_version": found.env_version}
    expected |= {name: getattr(found, name) for name in ("num_agents", "num_actions", "obs_shape", "obs_dtype")}
    for name, wanted in expected.items():
        value = getattr(header, name)
        header.require(value == wanted, name, value, f"{env_id or type(env).__name__} has {wanted!r}")


def _check_game(header: Header, env: Environment, env_id: str | None) -> None:
    """Compares ids or, without one, the class of the game with that of the game that the header names, if it does."""
    game = env_id or type(env).__name__
    if env_id is not None or not header.env_id:
        header.require(env_id in (None, header.env_id), "env_id", header.env_id, f"{game} has {env_id!r}")
        return
    try:
        named = jaxdilemmas.make(header.env_id, **header.env_kwargs)
    except ValueError as error:
        raise ValueError(f"{header.path or 'demonstrations'}: the game that they name: {error}") from error
    header.require(type(named) is type(env), "env_id", header.env_id, f"demonstrations of {game} are needed")


def check_contents(demonstrations: Demonstrations) -> None:
    """The part of `check_fits` that needs no game."""
    header, M = demonstrations.header, len(demonstrations.episodes)
    header.require(M > 0, "num_transitions", M, "at least 1: there are none")
    per_agent, obs = (M, header.num_agents), (M, header.num_agents, *header.obs_shape)
    layout = {"obs": (obs, header.obs_dtype), "next_obs": (obs, header.obs_dtype)}
    layout |= {"actions": (per_agent, "int32"), "rewards": (per_agent, "float32")}
    layout |= {"terminated": ((M,), "bool"), "truncated": ((M,), "bool"), "episodes": ((M,), "int32")}
    layout |= {f"events.{name}": (per_agent, "float32") for name in demonstrations.events}
    for name, array in to_arrays(demonstrations).items():
        shape, dtype = layout.get(name, ((M, *array.shape[1:]), array.dtype.name))
        is_fit = array.shape == shape and array.dtype == np.dtype(dtype)
        header.require(is_fit, name, f"{array.dtype} {array.shape}", f"{dtype} {shape} is expected")
        if np.issubdtype(array.dtype, np.floating):
            bad = array[~np.isfinite(array)]
            header.require(not bad.size, name, bad[:1].tolist(), "numbers must be finite")
    actions = demonstrations.actions
    outside = actions[(actions < 0) | (actions >= header.num_actions)]
    header.require(not outside.size, "actions", outside[:1].tolist(), f"from 0 to {header.num_actions - 1}")
    falls = np.flatnonzero(np.diff(demonstrations.episodes) < 0)
    fall = demonstrations.episodes[falls[:1, None] + [0, 1]].tolist()
    header.require(not falls.size, "episodes", fall, f"numbers must never fall, as in row {falls[:1] + 1}")
    is_over = demonstrations.terminated | demonstrations.truncated
    num_early = int(is_over.sum() - is_over[ends(demonstrations)].sum())
    header.require(num_early == 0, "terminated", num_early, "no transition may follow the end of an episode")
