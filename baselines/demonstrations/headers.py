"""Headers of demonstrations: of which game they are, how many there are, and whether they fit a game.

A header may come from a file of a stranger. It is compared with the game of the user, and names nothing that is
imported, made or called.
"""

import dataclasses
import json
import sys
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from baselines.disk.schema import Allowed, Count, CountOrZero, Plain, as_tuples, check_fields
from jaxdilemmas.arguments import MOST_AGENTS, check_kind, refusal, require
from jaxdilemmas.environment import Environment, check_game
from jaxdilemmas.registration import registered_class, registered_envs
from jaxdilemmas.spaces import Discrete, extra_names, view_of

MOST_AXES = 8
MOST_LENGTH = 1_000_000
"""Axes of one agent's observation, and the length of one."""

DTYPES = r"bool|u?int(8|16|32|64)|float(16|32|64)"
"""Names of the dtypes that observations may have, as a regular expression."""

COMPARED = ("num_agents", "num_actions", "obs_shape", "obs_dtype", "obs_extras")
"""Fields of a header that must be those of the game, whoever made the file."""

GameId = Annotated[str, Field(pattern=r"^[\w.:-]*$"), Allowed("the id of a game, module:Class, or empty")]
NumAgents = Annotated[int, Field(ge=1, le=MOST_AGENTS), Allowed(f"a whole number from 1 to {MOST_AGENTS:,}")]
Shape = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MOST_LENGTH)], ...],
    Field(max_length=MOST_AXES),
    Allowed(f"at most {MOST_AXES} whole numbers from 1 to {MOST_LENGTH:,}"),
]
DtypeName = Annotated[str, Field(pattern=f"^({DTYPES})$"), Allowed("bool, int8 to uint64, or float16 to float64")]
Returns = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    Field(max_length=MOST_AGENTS),
    Allowed("a finite number for each agent"),
]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$"), Allowed("64 hexadecimal digits")]


@dataclasses.dataclass(frozen=True)
class Origin:
    """What demonstrations are of: the content of the header of a file.

    Attributes:
      env_id: the game, as of `jaxdilemmas.make`; empty if it is not known.
      env_kwargs: its keyword arguments.
      env_version: of its rules.
      params: the numbers in its rules, by name.
      policy: who played.
      num_agents: N.
      num_actions: A.
      obs_shape: of one agent's observation, or of its view where there are extras.
      obs_dtype: the name of its dtype.
      obs_extras: the names of the numbers beside the view.
    """

    env_id: GameId
    env_kwargs: Plain
    env_version: str
    params: Plain
    policy: str
    num_agents: NumAgents
    num_actions: Count
    obs_shape: Shape
    obs_dtype: DtypeName
    obs_extras: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class EndMark:
    """The content of the end mark of a file: what follows from the arrays, and their checksum.

    Attributes:
      num_episodes: E.
      num_transitions: M.
      returns: per agent, mean over episodes of the sum of rewards.
      sha256: of the blocks, see `block_format`; None in files of earlier versions.
    """

    num_episodes: CountOrZero
    num_transitions: CountOrZero
    returns: Returns
    sha256: Digest | None = None


@dataclasses.dataclass(frozen=True)
class Header(Origin):
    """What demonstrations are of, and how many there are.

    Attributes:
      num_episodes: E; the last one of a sub-sample may be a part of one.
      num_transitions: M.
      returns: per agent, mean over episodes of the sum of rewards.
      path: the file that they were read from, which errors name; empty if there is none.
    """

    num_episodes: int = 0
    num_transitions: int = 0
    returns: tuple[float, ...] = ()
    path: str = dataclasses.field(default="", compare=False)

    @property
    def origin(self) -> Origin:
        """The header of a file."""
        return Origin(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Origin)})

    @property
    def counts(self) -> dict[str, Any]:
        """What the header of a file does not have, and its end mark has."""
        return {name: getattr(self, name) for name in ("num_episodes", "num_transitions", "returns")}

    def with_counts(self, num_episodes: int, num_transitions: int, sums: np.ndarray) -> "Header":
        """The header of M transitions in E episodes, with sums of rewards `[N]`."""
        returns = tuple((sums / max(1, num_episodes)).tolist())
        return dataclasses.replace(self, num_episodes=num_episodes, num_transitions=num_transitions, returns=returns)

    def require(self, condition: bool, field: str, value: Any, allowed: str) -> None:
        """As `jaxdilemmas.arguments.require`, and names the file."""
        require(condition, f"{self.path or 'demonstrations'}: {field}", value, allowed)


def describe(env: Environment, env_id: str = "", env_kwargs: dict[str, Any] | None = None, policy: str = "") -> Header:
    """The header of demonstrations of a game.

    Args:
      env: the game.
      env_id: as of `jaxdilemmas.make`.
      env_kwargs: its keyword arguments; arrays become lists, and numbers that are not finite become text.
      policy: who plays.

    Raises:
      ValueError: actions of the game are not numbered, or something cannot be said in a file; the message names it.
    """
    check_game(env)
    check_kind("env_kwargs", env_kwargs, (dict, type(None)), "a dict of keyword arguments, or None")
    check_kind("policy", policy, str, "text")
    actions, obs = env.action_space, view_of(env.observation_space)
    if not isinstance(actions, Discrete):
        raise ValueError(f"env={type(env).__name__} is not allowed: its actions are not numbered but a {actions}")
    names = [field.name for field in dataclasses.fields(env.default_params)]
    header = Header(
        env_id=env_id,
        env_kwargs=_as_plain("env_kwargs", env_kwargs or {}),
        env_version=env.version,
        params=_as_plain("params", {name: getattr(env.default_params, name) for name in names}),
        policy=policy.encode("utf-8", "backslashreplace").decode(),  # a path may be no text
        num_agents=env.num_agents,
        num_actions=actions.n,
        obs_shape=tuple(obs.shape),
        obs_dtype=np.dtype(obs.dtype).name,
        obs_extras=extra_names(env.observation_space),
    )
    check_fields(header)
    return header


def _as_plain(name: str, value: dict[str, Any]) -> Any:
    """What JSON makes of a dict: lists become tuples, arrays as well, and numbers that are not finite text."""
    try:
        text = json.dumps(value, default=lambda leaf: np.asarray(leaf).tolist())
    except (TypeError, ValueError) as error:
        raise ValueError(refusal(name, value, f"text, numbers, and lists and dicts of these: {error}")) from None
    return as_tuples(json.loads(text, parse_constant=str))


def check_header(header: Header, env: Environment, env_id: str | None = None) -> None:
    """Raises a ValueError unless a header is of a game; see `demonstrations.check_fits`."""
    check_kind("env_id", env_id, (str, type(None)), "the id of a game as text, or None")
    found = describe(env)
    _check_game(header, env, env_id)
    expected: dict[str, Any] = {"env_version": found.env_version}
    expected |= {name: getattr(found, name) for name in COMPARED}
    for name, wanted in expected.items():
        value = getattr(header, name)
        header.require(value == wanted, name, value, f"{env_id or type(env).__name__} has {wanted!r}")


def _check_game(header: Header, env: Environment, env_id: str | None) -> None:
    """Compares ids or, without one, the class of the game with the one that the header names, if it names one."""
    game = env_id or type(env).__name__
    if env_id is not None or not header.env_id:
        header.require(env_id in (None, header.env_id), "env_id", header.env_id, f"{game} has {env_id!r}")
    else:
        is_named = _is_named(header.env_id, type(env))
        header.require(is_named, "env_id", header.env_id, f"demonstrations of {game} are needed")


def _is_named(env_id: str, game: type) -> bool:
    """Whether an id that comes from a file stands for a class, as far as that can be seen.

    Nothing but a registered game is imported, and nothing is called: a function that is registered may make any game.
    """
    module, colon, name = env_id.partition(":")
    if colon:
        is_there = module in sys.modules
        names = object.__getattribute__(sys.modules[module], "__dict__") if is_there else {}  # of a lazy module too
        return names.get(name) is game
    named = registered_class(env_id) if env_id in registered_envs() else None
    return named is game or (named is not None and not isinstance(named, type))
