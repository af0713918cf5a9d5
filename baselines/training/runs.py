"""A run on disk: what was run, metrics, parameters and checkpoints.

Files in a run directory:
  config.json: what was run, on which device and versions; see `RunRecord`.
  metrics.csv: a row for each update and seed; see `table`.
  parameters/seed_0.safetensors, ...: what was learnt, a file for each seed.
  checkpoints/: the last two, to resume from.
  learning_curve.png: see `curves`.
"""

import dataclasses
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

import jaxdilemmas
from baselines.training.packing import pack, unpack

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
    """

    algorithm: str
    env_id: str
    env_kwargs: dict[str, Any]
    env_version: str
    config: dict[str, Any]
    seed: int
    num_seeds: int
    checkpoint_every: int
    about: dict[str, str] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def seeds(self) -> range:
        """The S seeds."""
        return range(self.seed, self.seed + self.num_seeds)

    @property
    def title(self) -> str:
        """For people."""
        seeds = f"seed {self.seed}" if self.num_seeds == 1 else f"seeds {self.seeds[0]} to {self.seeds[-1]}"
        return f"{self.algorithm} on {self.env_id}, {seeds}"

    def settings(self, config_class: type) -> Any:
        """`config` as the algorithm's dataclass.

        Raises:
          ValueError: a setting is unknown or not allowed.
        """
        try:
            return config_class(**self.config)
        except TypeError as error:
            raise ValueError(f"the run has settings that {self.algorithm} does not know: {error}") from error


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


def changes_since(record: RunRecord) -> str:
    """On which device and versions a result may depend that differ from those of a record; empty if none does."""
    now = describe_machine()
    names = ("device", "cores", "jaxdilemmas", *LIBRARIES)
    changed = {name: record.about.get(name) for name in names if record.about.get(name) != now[name]}
    return ", ".join(f"{name} was {then} and is {now[name]}" for name, then in changed.items())


class RunDirectory:
    """Where the files of a run are.

    Args:
      path: the directory; it need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.csv"
        self.checkpoints = self.path / "checkpoints"
        self.learning_curve = self.path / "learning_curve.png"

    def parameters(self, seed: int) -> Path:
        """The file of one seed's network parameters."""
        return self.path / "parameters" / f"seed_{seed}.safetensors"

    def check_is_new(self) -> None:
        """Raises a ValueError if the directory exists."""
        if self.path.exists():
            raise ValueError(f"run directory {self.path} exists: choose another --name, or continue it with --resume")

    def create(self, record: RunRecord) -> None:
        """Makes the directory and writes config.json.

        Raises:
          ValueError: the directory exists.
        """
        self.check_is_new()
        self.path.mkdir(parents=True)
        self.config.write_text(json.dumps(dataclasses.asdict(record), indent=2) + "\n", encoding="utf-8")

    def read_record(self) -> RunRecord:
        """What config.json says.

        Raises:
          ValueError: there is no such file, or it does not hold a `RunRecord`.
        """
        if not self.config.is_file():
            raise ValueError(f"{self.path} is not a run: it has no config.json")
        try:
            return RunRecord(**as_tuples(json.loads(self.config.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.config} does not describe a run: {error}") from error


def as_tuples(value: Any) -> Any:
    """JSON has no tuples; settings have no lists."""
    if isinstance(value, dict):
        return {name: as_tuples(item) for name, item in value.items()}
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value


def save_parameters(path: Path, network_params: Any) -> None:
    """Writes a pytree of arrays as safetensors, each array by its path in the tree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file({name: np.asarray(array) for name, array in pack(network_params).items()}, path)


def load_parameters(path: Path, template: Any) -> Any:
    """Reads what `save_parameters` wrote.

    Args:
      path: a safetensors file.
      template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

    Raises:
      ValueError: the file is missing, truncated, or of another network; the message names the file and what is wrong.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: parameters are written when a run ends")
    try:
        arrays = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is truncated or no safetensors file: {error}") from error
    try:
        return unpack(arrays, template)
    except ValueError as error:
        raise ValueError(f"{path} holds the parameters of another network: {error}") from error


class DamagedError(ValueError):
    """A checkpoint that cannot be read."""


class Checkpoints:
    """The last two train states of a run, kept by orbax.

    Args:
      path: the directory; made if need be.
    """

    def __init__(self, path: Path) -> None:
        import orbax.checkpoint as ocp

        self._path = path
        self._args = ocp.args
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(path.absolute(), options=options)

    def latest(self) -> int:
        """The number of updates after which the last one was saved; 0 if there is none."""
        return self._manager.latest_step() or 0

    def restore_latest(self, template: Any) -> tuple[int, Any]:
        """Reads the last train state that is whole: the one before where the last is damaged.

        Args:
          template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

        Returns:
          The number of updates after which it was saved, and the train state.

        Raises:
          ValueError: none can be read, or it is of another algorithm, network or game; the message names it.
        """
        error: DamagedError | None = None
        for update in sorted(self._manager.all_steps(), reverse=True):
            try:
                return update, self.restore(update, template)
            except DamagedError as damaged:
                error = error or damaged
        raise error or ValueError(f"{self._path} holds no checkpoint")

    def drop_after(self, update: int) -> None:
        """Deletes those of later updates than `update`."""
        for later in self._manager.all_steps():
            if later > update:
                self._manager.delete(later)

    def save(self, update: int, arrays: dict[str, np.ndarray]) -> None:
        """Saves a packed train state after `update` updates, unless that is done."""
        if update > self.latest():
            self._manager.save(update, args=self._args.StandardSave(arrays))

    def restore(self, update: int, template: Any) -> Any:
        """Reads the train state after `update` updates.

        Args:
          update: one that was saved.
          template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

        Raises:
          DamagedError: it cannot be read; the message names it.
          ValueError: it is of another algorithm, network or game; the message names it.
        """
        path = self._path / str(update)
        try:
            arrays = self._manager.restore(update, args=self._args.StandardRestore())
        except Exception as error:  # orbax and tensorstore raise many kinds
            raise DamagedError(f"checkpoint {path} cannot be read: {error}") from error
        try:
            return unpack(arrays, template)
        except ValueError as error:
            raise ValueError(f"checkpoint {path} is of another run: {error}") from error

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()
