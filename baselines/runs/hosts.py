"""The devices that share a run, on one host or on several: a process on each, joined by `jax.distributed`.

All processes compute the same program. The first one, process 0, alone writes files and prints.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from baselines.core.devices import make_mesh
from jaxdilemmas.arguments import require

AUTO = "auto"
"""As the address of the coordinator: SLURM, Open MPI or a cloud TPU has set who is there."""

WAITING_SECONDS = 300
"""How long a process waits for the others to start."""

LEAVING_SECONDS = 2.0
"""How long process 0 stays after all processes were asked to leave: one that is left behind would be aborted."""

T = TypeVar("T")


class LostHostError(Exception):
    """Another host ended, or cannot be reached, while this one was computing."""


def choose_devices(num_devices: int | None) -> Mesh | None:
    """The devices that share a run, as many on every host; None for a single one.

    Args:
      num_devices: on all hosts; None for one, or for all that several hosts have.

    Raises:
      ValueError: there are not as many, or the hosts cannot share them evenly.
    """
    num_hosts = jax.process_count()
    if num_devices is None:
        num_devices = 1 if num_hosts == 1 else jax.device_count()
    on_cpu = "; on a CPU XLA_FLAGS=--xla_force_host_platform_device_count=8 makes 8 of them"
    where = f"here are {jax.device_count()} of {jax.default_backend()}"
    where += on_cpu if jax.default_backend() == "cpu" else ""
    require(num_devices <= jax.device_count(), "devices", num_devices, where)
    require(num_devices % num_hosts == 0, "devices", num_devices, f"a multiple of the number of hosts, {num_hosts}")
    by_host: dict[int, list[jax.Device]] = {}
    for device in jax.devices():
        by_host.setdefault(device.process_index, []).append(device)
    share = num_devices // num_hosts
    fewest = min(len(devices) for devices in by_host.values())
    require(share <= fewest, "devices", num_devices, f"at most {fewest} on each host, as the smallest has")
    return make_mesh([device for host in sorted(by_host) for device in by_host[host][:share]])


@contextlib.contextmanager
def joined(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Iterator[None]:
    """Until it is left, this process is one of several that compute together; without a coordinator it is alone.

    Args:
      coordinator: host:port of process 0, the same on all hosts, or `AUTO`.
      num_processes: how many there are, with host:port.
      process_id: the number of this one, from 0.

    Raises:
      ValueError: the processes do not find each other.
    """
    if coordinator is None:
        yield
        return
    found: dict[str, Any] = {} if coordinator == AUTO else {"coordinator_address": coordinator}
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_recoverability", True)  # a host that is lost does not kill the others
    try:
        jax.distributed.initialize(
            **found,
            num_processes=num_processes,
            process_id=process_id,
            initialization_timeout=WAITING_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"coordinator={coordinator!r}: the processes did not find each other: {reason}") from error
    try:
        yield
    except KeyboardInterrupt:  # of this process alone: nobody waits for it
        raise
    except BaseException:
        _leave()
        raise
    else:
        _leave()


def _leave() -> None:
    """Ends the connection once all processes are here; process 0, which holds it, is the last."""
    multihost_utils.sync_global_devices("the end")
    if is_first():
        time.sleep(LEAVING_SECONDS)
    jax.distributed.shutdown()


def check_processes(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Raises a ValueError unless the three go together."""
    if coordinator in (None, AUTO):
        needed = "left out, or with --coordinator host:port"
        require(num_processes is None, "num_processes", num_processes, needed)
        require(process_id is None, "process_id", process_id, needed)
        return
    host, colon, port = str(coordinator).rpartition(":")
    is_address = bool(host and colon) and port.isascii() and port.isdigit() and 0 < int(port) < 2**16
    require(is_address, "coordinator", coordinator, f"host:port of process 0, or {AUTO}")
    require(num_processes is not None, "num_processes", None, "needed with --coordinator host:port")
    assert num_processes is not None
    is_one = process_id is not None and process_id < num_processes
    require(is_one, "process_id", process_id, f"another on each host, from 0 to {num_processes - 1}")


def is_first() -> bool:
    """Whether this process writes and prints."""
    return jax.process_index() == 0


def agree(make: Callable[[], T], settings_of: Callable[[T], dict[str, Any]] = lambda _: {}) -> T:
    """Makes something on every host, and goes on only if all hosts made it of the same settings.

    Args:
      make: raises a ValueError or an OSError, or SystemExit as a parser does, where it cannot.
      settings_of: the settings that hosts must share, by name.

    Raises:
      ValueError: a host could not make it, or two differ; the message names the host, and what differs.
    """
    if jax.process_count() == 1:
        return make()
    made: list[T] = []
    said = {"error": ""}
    try:
        made.append(make())
        said |= {name: repr(value) for name, value in settings_of(made[0]).items()}
    except SystemExit:
        said["error"] = "its options cannot be read, and it printed why"
    except (ValueError, OSError) as error:
        said["error"] = str(error) or type(error).__name__
    hosts = _say_to_all(said)
    for number, host in enumerate(hosts):
        if host["error"]:
            raise ValueError(f"process {number} of {len(hosts)}: {host['error']}")
    for number, host in enumerate(hosts):
        for name in sorted(host.keys() | hosts[0].keys()):
            values = [found.get(name, "nothing") for found in (hosts[0], host)]
            if values[0] != values[1]:
                both = f"{values[0]} on process 0 and {values[1]} on process {number}"
                raise ValueError(f"hosts disagree: {name} is {both}")
    return made[0]


@contextlib.contextmanager
def naming_lost_hosts() -> Iterator[None]:
    """Turns the error of a computation that another host left into a `LostHostError`."""
    try:
        yield
    except RuntimeError as error:
        if jax.process_count() == 1 or not isinstance(error.__cause__, jax.errors.JaxRuntimeError):
            raise
        reason = str(error.__cause__).strip().splitlines()[0]
        raise LostHostError(f"another host was lost: {reason}") from error


def _say_to_all(said: dict[str, str]) -> list[dict[str, str]]:
    """What every process says, by its number."""
    text = json.dumps(said).encode()
    size = int(multihost_utils.process_allgather(np.int32(len(text))).max())
    texts = multihost_utils.process_allgather(np.frombuffer(text.ljust(size), np.uint8))
    return [json.loads(row.tobytes()) for row in texts]


def from_first(tree: Any) -> Any:
    """The NumPy arrays that process 0 has, on all processes; the others give arrays of the same shapes."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)
