"""The next command that messages name: a game to play, demonstrations to record, a run to resume."""

import shlex
from pathlib import Path
from typing import Any

from baselines.presets import preset
from baselines.runs.directory import RunDirectory
from jaxdilemmas.environment import Environment
from jaxdilemmas.policies import scripted_policies

MOST_RUNS = 10
"""The most runs that a message lists."""


def origin_of_defaults(algorithm: str, env_id: str) -> str:
    """One sentence for the help of a command: whether the default settings were tuned for a game."""
    if preset(algorithm, env_id):
        return f"Defaults are those tuned for {env_id}."
    return f"Defaults are those of the algorithm; they are not tuned for {env_id}."


def how_to_record(env_id: str, env_kwargs: dict[str, Any], env: Environment) -> str:
    """The command that records demonstrations of a game."""
    policies = [name for name in scripted_policies(env) if name != "random"]
    path = f"runs/{env_id.rpartition(':')[2]}.demos"
    options = [f"--env {env_id}", f"--policy {policies[0] if policies else 'runs/<a run on it>'}"]
    if env_kwargs:
        options.append(shlex.join(["--env-kwargs", *(f"{name}={value}" for name, value in env_kwargs.items())]))
    return f"python -m baselines.demonstrate {' '.join(options)} --transitions 10000 --output {path}"


def no_episode_ended(config: dict[str, Any], num_updates: int, max_steps: int) -> str:
    """Why a run reports no return, and what to change.

    Args:
      config: the settings of the run by name.
      num_updates: of the run.
      max_steps: that an episode takes at most.
    """
    message = f"no episode ended, so there is no return: an episode takes up to {max_steps:,} steps"
    if not {"num_envs", "rollout_steps"} <= config.keys():
        return message
    num_envs, rollout_steps = config["num_envs"], config["rollout_steps"]
    played = f"each of the {num_envs:,} environments played {num_updates * rollout_steps:,}"
    num_rollouts = -(-max_steps // rollout_steps)
    enough = f"--total-env-steps {num_envs * num_rollouts * rollout_steps} is enough, or fewer --num-envs"
    return f"{message}, and {played}; {enough}"


def list_runs(runs_dir: Path, algorithm: str) -> str:
    """The names of an algorithm's runs in a directory, the newest first."""
    found = [(path.stat().st_mtime, path.parent) for path in runs_dir.glob("*/config.json") if path.is_file()]
    names = [path.name for _, path in sorted(found, reverse=True) if _is_run(path, algorithm)]
    if not names:
        return f"there is no run of {algorithm} in {runs_dir}"
    rest = f" and {len(names) - MOST_RUNS} more" if len(names) > MOST_RUNS else ""
    return f"the runs of {algorithm} in {runs_dir} are {', '.join(names[:MOST_RUNS])}{rest}"


def _is_run(path: Path, algorithm: str) -> bool:
    try:
        return RunDirectory(path).read_record().algorithm == algorithm
    except ValueError:
        return False
