"""A run on disk: what was run, metrics, parameters and checkpoints.

Files in a run directory:
  config.json: what was run, on which device and versions; see `RunRecord`.
  metrics.csv: a row for each update and seed; see `table`.
  parameters/seed_0.safetensors, ...: what was learnt, a file for each seed.
  checkpoints/: the last two, to resume from; see `checkpoints`.
  learning_curve.png: see `curves`.
  tensorboard/: see `display.TensorBoardSeries`.
  .lock: locked by the process that writes into the directory.

They are data: nothing that they name is imported or called, but for registered algorithms and registered games.
"""

import contextlib
import dataclasses
import json
import os
import platform
import secrets
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxdilemmas
from baselines.disk.packing import pack, unpack
from baselines.disk.schema import (
    Count,
    Line,
    Lines,
    NumSeeds,
    Plain,
    Seed,
    check_fields,
    load_json,
    read_json,
    save_json,
)
from baselines.disk.writing import check_links, check_path, hold, load_arrays, save_arrays
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.registration import make_registered

LIBRARIES = ("jax", "jaxlib", "numpy", "flax", "optax", "distrax")
"""Whose version a result may depend on."""


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What was run: the content of config.json.

    Attributes:
      algorithm: name of a module in `baselines`.
      env_id: the game.
      env_kwargs: keyword arguments of `jaxdilemmas.make`.
      env_version: of the game's rules.
      config: the algorithm's settings by name.
      seed: of the first of `num_seeds` runs; the others follow it.
      num_seeds: S.
      checkpoint_every: updates from one checkpoint to the next.
      about: when, on which device and versions; two records that differ only here are equal.

    Raises:
      ValueError: a value is not allowed.
    """

    algorithm: Line
    env_id: Line
    env_kwargs: Plain
    env_version: Line
    config: Plain
    seed: Seed
    num_seeds: NumSeeds
    checkpoint_every: Count
    about: Lines = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        check_seeds(self.seed, self.num_seeds)

    @property
    def seeds(self) -> range:
        """The S seeds."""
        return range(self.seed, self.seed + self.num_seeds)

    @property
    def title(self) -> str:
        """For people."""
        seeds = f"seed {self.seed}" if self.num_seeds == 1 else f"seeds {self.seeds[0]} to {self.seeds[-1]}"
        return f"{self.algorithm} on {self.env_id}, {seeds}"


def check_seeds(seed: int, num_seeds: int) -> None:
    """Raises a ValueError unless all seeds of a run are below 2^31."""
    most = 2**31 - seed
    require(num_seeds <= most, "num_seeds", num_seeds, f"from 1 to {most}; seeds are below 2^31")


def describe_machine() -> dict[str, str]:
    """The device that JAX computes on and the versions that results may depend on."""
    device = jax.devices()[0]
    return {
        "device": f"{device.platform}, {device.device_kind}",
        "cores": str(os.cpu_count()),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "jaxdilemmas": jaxdilemmas.__version__,
    } | {name: metadata.version(name) for name in LIBRARIES}


def changes_since(record: RunRecord, num_devices: int = 1) -> str:
    """On which devices and versions a result may depend that differ from those of a record; empty if none does."""
    now, then = describe_machine() | {"devices": str(num_devices)}, {"devices": "1"} | record.about
    names = ("device", "devices", "cores", "jaxdilemmas", *LIBRARIES)
    changed = {name: then.get(name) for name in names if then.get(name) != now[name]}
    return ", ".join(f"{name} was {then} and is {now[name]}" for name, then in changed.items())


class RunDirectory:
    """Where the files of a run are.

    Args:
      path: the directory; it need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_path(path)
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.csv"
        self.checkpoints = self.path / "checkpoints"
        self.learning_curve = self.path / "learning_curve.png"

    def parameters(self, seed: int) -> Path:
        """The file of one seed's network parameters."""
        return self.path / "parameters" / f"seed_{seed}.safetensors"

    def has_checkpoints(self) -> bool:
        """Whether there is a checkpoint; those of orbax are directories, named by numbers."""
        return self.checkpoints.is_dir() and any(path.name.isdigit() for path in self.checkpoints.iterdir())

    def check_is_new(self) -> None:
        """Raises a ValueError if the directory exists."""
        if self.path.exists():
            raise ValueError(f"run directory {self.path} exists: choose another --name, or continue it with --resume")

    def create(self, record: RunRecord) -> None:
        """Makes the directory, with config.json from the start.

        Raises:
          ValueError: the directory exists.
          OSError: it cannot be made.
        """
        self.check_is_new()
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}.part")  # no other process has it
        try:
            save_json(beside / self.config.name, record)
            beside.rename(self.path)
        except OSError:
            self.check_is_new()  # another process was faster
            raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)  # if it is there still

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """While it is entered, no other process writes into the directory; see `writing.hold` for the errors."""
        return hold(self.path)

    def read_record(self) -> RunRecord:
        """Reads config.json.

        Raises:
          ValueError: there is no such file, it does not hold a `RunRecord`, it was altered, or a symbolic link leads
            out of the directory.
        """
        if not self.config.is_file():
            raise ValueError(f"{self.path} is not a run: it has no config.json")
        check_links(self.path)
        return load_json(self.config, RunRecord)

    def read_settings(self, record: RunRecord, config_class: type) -> Any:
        """The settings in a record as the algorithm's dataclass.

        Raises:
          ValueError: a setting is unknown or not allowed.
        """
        return read_json(f"{self.config}: config", json.dumps(record.config), config_class)

    def make_env(self, record: RunRecord, env_id: str | None = None) -> Environment:
        """The game of a record.

        Args:
          record: of this run.
          env_id: the id as the user wrote it. A game that is not registered ("module:Class") is imported only if the
            user named the same one.

        Raises:
          ValueError: the user named another game, the game is not registered and the user did not name it, or it cannot
            be made; the message names config.json.
        """
        if env_id is not None:
            require(env_id == record.env_id, "env", env_id, f"{self.path} is a run on {record.env_id}")
        try:
            return (make_registered if env_id is None else jaxdilemmas.make)(record.env_id, **record.env_kwargs)
        except (ValueError, TypeError) as error:
            hint = f"; name it with --env {record.env_id} if you trust it" if ":" in record.env_id else ""
            raise ValueError(f"{self.config}: {error}{hint}") from error


def save_parameters(path: Path, network_params: Any) -> None:
    """Writes a pytree of arrays as safetensors, each array by its path in the tree; see `writing.save_arrays`."""
    save_arrays(path, pack(network_params))


def load_parameters(path: Path, template: Any) -> Any:
    """Reads what `save_parameters` wrote.

    Args:
      path: a safetensors file.
      template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

    Raises:
      ValueError: the file is missing, truncated, altered, of another network, or holds numbers that are not finite; the
        message names the file and what is wrong.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: parameters are written when a run ends")
    network_params = load_tree(path, template)
    for name, array in pack(network_params).items():
        is_finite = not np.issubdtype(array.dtype, np.floating) or bool(np.isfinite(array).all())
        require(is_finite, f"{path}: {name}", array[~np.isfinite(array)][:1].tolist(), "numbers must be finite")
    return network_params


def load_tree(path: Path, template: Any) -> Any:
    """As `load_parameters`, of any pytree, whose numbers need not be finite."""
    arrays = load_arrays(path)
    try:
        return unpack(arrays, template)
    except ValueError as error:
        raise ValueError(f"{path} holds the parameters of another network: {error}") from error
