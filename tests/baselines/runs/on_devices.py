"""Trains on several CPU devices, in a process of its own: `python -m tests.baselines.runs.on_devices 1,2,8 ippo ...`.

A process has one CPU device by default. Every number of devices has a run directory of its own, named by it.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import numpy as np

from baselines.disk.packing import pack
from baselines.runs.checkpoints import Checkpoints
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.loop import fresh_train_states
from baselines.runs.options import prepare
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from tests.reference.compiling import QUICK_FLAGS


def environment(num_devices: int) -> dict[str, str]:
    """Variables of a process that has several CPU devices."""
    flags = f"{QUICK_FLAGS} --xla_force_host_platform_device_count={num_devices}"
    return os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def train_on_devices(numbers: Sequence[int], algorithm: str, *options: str) -> None:
    """Trains once for each number of devices, in one process."""
    command = [sys.executable, "-m", "tests.baselines.runs.on_devices", ",".join(map(str, numbers)), algorithm]
    run = subprocess.run([*command, *options], env=environment(8), capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr


def claim_same(directory: RunDirectory, other: RunDirectory, within: float = 1e-5) -> None:
    """Raises an AssertionError unless two runs played the same steps, bitwise, and learnt the same but for rounding."""
    rows, others = read_metrics(directory.metrics), read_metrics(other.metrics)
    assert rows.keys() == others.keys()
    for name in rows.keys() - set(TIMING_COLUMNS):
        is_played = name.startswith(("return", "env_steps", "seed", "update"))
        np.testing.assert_allclose(rows[name], others[name], rtol=0 if is_played else 1e-4, atol=1e-5, err_msg=name)
    states = [np.load(d.path / "train_states.npz") for d in (directory, other)]
    for name in states[0]:
        if "env_state" in name:
            np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)
        if "params" in name or "discriminators" in name:
            np.testing.assert_allclose(states[0][name], states[1][name], rtol=0, atol=within, err_msg=name)


def write_train_states(algorithm: Any, options: Sequence[str]) -> None:
    """Writes the last train states of each run of a job as arrays by name into its directory."""
    for run in prepare(algorithm, [*options, "--resume"]).runs:
        template = jax.eval_shape(lambda run=run: fresh_train_states(run.trainer, run.record.seeds, run.env_params))
        with closing(Checkpoints(run.directory.checkpoints)) as checkpoints:
            arrays: dict[str, Any] = jax.device_get(pack(checkpoints.restore_latest(template).train_states))
        np.savez(run.directory.path / "train_states.npz", **arrays)


def main() -> None:
    """Trains as the command line says."""
    numbers, name, *options = sys.argv[1:]
    algorithm = importlib.import_module(name).ALGORITHM
    for number in numbers.split(","):
        where = [*options, "--name", number]
        train_command(algorithm, [*where, "--devices", number])
        write_train_states(algorithm, where)


def directory_of(path: Path, number: int) -> RunDirectory:
    """The run of a number of devices."""
    return RunDirectory(path / str(number))


if __name__ == "__main__":
    main()
