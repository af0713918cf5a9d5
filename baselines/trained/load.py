"""What was trained, read back from disk: runs, and the players that names on a command line stand for."""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxdilemmas
from baselines.core.players import Player, scripted_player, trained_player
from baselines.core.trainer import Algorithm
from baselines.demonstrations import load_header
from baselines.runs.directory import RunDirectory, load_parameters
from baselines.trained.algorithms import find_algorithm
from jaxdilemmas.arguments import check_kind, is_count, require
from jaxdilemmas.environment import Environment
from jaxdilemmas.policies import scripted_policies
from jaxdilemmas.registration import registered_class


class Run(NamedTuple):
    """What one seed of a run learnt.

    Attributes:
      algorithm: by which it learnt.
      config: the algorithm's settings.
      env: the game it was trained in.
      network_params: what was learnt.
    """

    algorithm: Algorithm
    config: Any
    env: Environment
    network_params: Any


def load_run(path: Path, seed_index: int = 0, env_id: str | None = None) -> Run:
    """Reads what one seed of a run learnt. Nothing that its files name is imported but registered games and algorithms.

    Args:
      path: the run directory.
      seed_index: which of its seeds, from 0.
      env_id: the game, which only a run on a game of one's own ("module:Class") needs.

    Raises:
      ValueError: the directory holds no run, not that seed, a run under other rules of the game, a game that is neither
        registered nor `env_id`, or parameters that cannot be loaded.
    """
    directory = RunDirectory(path)
    record = directory.read_record()
    is_there = is_count(seed_index, 0, record.num_seeds - 1)
    require(is_there, "seed_index", seed_index, f"{path} has {record.num_seeds} seeds, from 0")
    try:
        algorithm = find_algorithm(record.algorithm)
    except ValueError as error:
        raise ValueError(f"{directory.config}: {error}") from error
    env = directory.make_env(record, env_id)
    require(
        record.env_version == env.version,
        "env_version",
        record.env_version,
        f"{path} was trained under rules of {record.env_id} that have changed since, to version {env.version!r}",
    )
    config = directory.read_settings(record, algorithm.config_class)
    try:
        init = algorithm.make_trainer(config, env).init
    except ValueError as error:
        raise ValueError(f"{directory.config}: {error}") from error
    template = jax.eval_shape(init, jax.random.key(0), env.default_params).network_params
    network_params = load_parameters(directory.parameters(record.seeds[seed_index]), template)
    return Run(algorithm, config, env, network_params)


def load_player(path: Path, seed_index: int = 0, greedy: bool = False, env_id: str | None = None) -> Player:
    """The agents of a run and the game they were trained in.

    Args:
      path: the run directory.
      seed_index: which of its seeds, from 0.
      greedy: whether they take their most likely action instead of a sampled one.
      env_id: as of `load_run`.

    Raises:
      ValueError: as `load_run`.
    """
    run = load_run(path, seed_index, env_id)
    policy = run.algorithm.make_policy(run.config, run.env, greedy=greedy)
    return trained_player(run.env, policy, run.network_params)


def find_game(players: Sequence[str], env: str | None, env_kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The id and the keyword arguments of the game: as given, or of the first run or file of demonstrations.

    Args:
      players: as on the command line.
      env: the id, if it is given.
      env_kwargs: keyword arguments that are given.

    Raises:
      ValueError: nothing names a game, or a file names one that is not registered.
    """
    is_names = isinstance(players, list | tuple) and all(isinstance(name, str) for name in players)
    require(is_names, "players", players, "a list of names")
    check_kind("env", env, (str, type(None)), "the id of a game, or None")
    check_kind("env_kwargs", env_kwargs, dict, "keyword arguments of the game by name")
    for part in (part for name in players for part in name.split(",")):
        path = Path(part)
        if path.is_dir():
            record = RunDirectory(path).read_record()
            return env or _checked(path, record.env_id), dict(record.env_kwargs) | env_kwargs
        if path.is_file():
            header = load_header(path)
            return env or _checked(path, header.env_id), dict(header.env_kwargs) | env_kwargs
    names = ", ".join(players)
    allowed = f"--env is needed, as in --env gathering: {names} is neither a run nor a file of demonstrations"
    require(env is not None, "env", env, allowed)
    return str(env), env_kwargs


def _checked(path: Path, env_id: str) -> str:
    """The id of a game that a file names: only registered games are imported for a file."""
    try:
        registered_class(env_id)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return env_id


def find_player(name: str, env_id: str, env_kwargs: dict[str, Any]) -> Player:
    """The agents of a game that a name stands for.

    Args:
      name: a scripted policy of the game (see `jaxdilemmas.policies.scripted_policies`), or the directory of a run that
        was trained on the game; its first seed plays, with sampled actions.
      env_id: the game, as of `jaxdilemmas.make`.
      env_kwargs: its keyword arguments.

    Raises:
      ValueError: the name stands for neither, the run was trained on another game, or it cannot be loaded.
    """
    check_kind("policy", name, (str, os.PathLike), "the name of a scripted policy, or the directory of a run")
    check_kind("env_kwargs", env_kwargs, dict, "keyword arguments of the game by name")
    env = jaxdilemmas.make(env_id, **env_kwargs)
    makers = scripted_policies(env)
    if name in makers:
        return scripted_player(env, makers[name](env))
    path = Path(name)
    require(path.is_dir(), "policy", name, f"one of {', '.join(makers)}, or the directory of a run")
    record = RunDirectory(path).read_record()
    require(record.env_id == env_id, "env", env_id, f"{path} was trained on {record.env_id}")
    trained_in = jaxdilemmas.make(env_id, **record.env_kwargs)
    for keyword in sorted({*record.env_kwargs, *env_kwargs}):
        value, trained = _keyword(env, env_kwargs, keyword), _keyword(trained_in, record.env_kwargs, keyword)
        require(np.array_equal(value, trained), keyword, value, f"{path} was trained with {keyword}={trained!r}")
    return load_player(path, env_id=env_id)


def _keyword(env: Environment, env_kwargs: dict[str, Any], name: str) -> Any:
    """The value of a keyword argument of a game, given or by default."""
    arguments = inspect.signature(type(env)).parameters
    default = arguments[name].default if name in arguments else getattr(env.default_params, name, None)
    return env_kwargs.get(name, default)
