"""Pieces of work in processes of their own: by Ray where it is installed, else by the standard library."""

import importlib
import importlib.util
import multiprocessing
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

from baselines.runs.terminal import sigterm_as_ctrl_c
from jaxdilemmas.arguments import require

ONE_CORE = "--xla_cpu_multi_thread_eigen=false"
"""A flag of XLA. Small networks are faster on one core than on several, so each process uses one core."""

RAY_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anyone
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # work that asks for no GPU sees all, as without Ray
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths mean the same in every process
    "RAY_AIR_NEW_OUTPUT": "0",  # the commands print the progress themselves
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several processes may share the memory of a GPU
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}

OBJECT_STORE_BYTES = 2**28
"""Memory that Ray sets aside for values that pass between processes; results pass by the disk. Our choice."""

SECONDS_TO_CONNECT = 10
SECONDS_TO_ANSWER = 30


def is_installed(library: str) -> bool:
    """Whether a library is there, so that it should be used."""
    return importlib.util.find_spec(library) is not None


def load(library: str) -> Any:
    """Imports a library that need not be installed, or raises a ValueError with the way to install it."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ValueError(f"{error}: install {library} with pip install -e '.[sweep]'") from None


def check_address(address: str) -> None:
    """Raises a ValueError unless a Ray cluster answers at host:port; Ray itself looks for a cluster for minutes."""
    host, _, port = address.rpartition(":")
    allowed = "host:port of a Ray cluster that runs"
    require(bool(host) and port.isdecimal() and 0 < int(port) < 2**16, "address", address, allowed)
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
    except OSError as error:
        require(False, "address", address, f"{allowed}; {error}")
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        is_cluster = not subprocess.run(command, capture_output=True, timeout=SECONDS_TO_ANSWER).returncode
    except subprocess.TimeoutExpired:
        is_cluster = False
    require(is_cluster, "address", address, f"{allowed}; what listens there does not answer as one")


@contextmanager
def ray_started(workers: int, address: str | None = None) -> Iterator[Any]:
    """Ray as a module that can be used until the context is left.

    Args:
      workers: processes at work at a time; each takes one CPU of Ray.
      address: of a cluster; see `check_address`. Without it Ray is started on this machine and ends with the context.
    """
    os.environ.update(RAY_VARIABLES)
    ray = load("ray")
    own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)  # the fork becomes another program at once
        ray.init(address or "local", log_to_driver=False, logging_level="critical", **({} if address else own))
    try:
        with sigterm_as_ctrl_c():  # in place of the handler that Ray has set
            yield ray
    finally:
        ray.shutdown()


def run_side_by_side(work: Callable[[Any], None], pieces: Sequence[Any], jobs: int) -> Iterator[Any]:
    """Does pieces of work in their order, and yields each that is done.

    With one job the work is done in this process, else in processes of their own, which Ray replaces if they are lost.

    Args:
      work: does a piece; it and the pieces can be pickled.
      pieces: what is to be done.
      jobs: the number of pieces at work at a time.

    Raises:
      Exception: what stopped a process; the other processes are stopped too.
    """
    if jobs > 1 and pieces:
        yield from (_run_by_ray if is_installed("ray") else _run_by_processes)(work, pieces, min(jobs, len(pieces)))
        return
    for piece in pieces:
        work(piece)
        yield piece


def _run_by_ray(work: Callable[[Any], None], pieces: Sequence[Any], jobs: int) -> Iterator[Any]:
    with ray_started(jobs) as ray:
        remote = ray.remote(_work_on_one_core)
        running = {remote.remote(work, piece): piece for piece in pieces}
        while running:
            (done,), _ = ray.wait(list(running))
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            yield running.pop(done)


def _run_by_processes(work: Callable[[Any], None], pieces: Sequence[Any], jobs: int) -> Iterator[Any]:
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), use_one_core) as pool:
        futures = {pool.submit(work, piece): piece for piece in pieces}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _work_on_one_core(work: Callable[[Any], None], piece: Any) -> None:
    use_one_core()
    work(piece)


def use_one_core() -> None:
    """The first call in a process that computes beside others."""
    if ONE_CORE not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}"
