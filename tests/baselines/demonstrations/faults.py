"""Records with a fault at every call that changes a file.

`python -m tests.baselines.demonstrations.faults a.demos folder` records the episodes of a.demos, each time in a process
of its own, forked before JAX has threads. It copies the file in the same way. For each process it writes a line of
JSON: the fault and the call, the exit code, the text that the command wrote to stderr, and the remaining files.
"""

import errno
import gc
import json
import os
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from baselines import demonstrate
from baselines.demonstrations import Demonstrations, load
from baselines.demonstrations.records import take, to_arrays
from baselines.runs import interruption

CALLS = ("open", "write", "ftruncate", "fsync", "link", "unlink", "rename", "replace", "mkdir", "close")
"""Functions of `os` that change files."""

EXPECTED: list[Demonstrations] = []
"""What is recorded."""

Fault = Callable[[Path, Callable[[], Any], Callable[[], Any]], Any]
"""(output file, the call, half of the call) -> what the call returns."""


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_within(path: Path, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
    half()
    kill()


def killed_after(path: Path, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
    call()
    kill()


def stopped(path: Path, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
    os.kill(os.getpid(), signal.SIGTERM)
    return call()


def stopped_twice(path: Path, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return call()


def full(path: Path, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
    half()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def removed(path: Path, call: Callable[[], Any], half: Callable[[], Any]) -> Any:
    shutil.rmtree(path.parent)
    return call()


FAULTS: tuple[Fault, ...] = (killed_within, killed_after, stopped, stopped_twice, full, removed)


def reached_file(path: Path) -> Path:
    """It is there if a fault happened."""
    return path.parent.parent / "reached"


def inject(fault: Fault, number: int, path: Path) -> None:
    """Lets the call of this number, counted from 1, fail."""
    count = 0

    def replaced(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            is_ours = name != "write" or args[0] > 2
            count += is_ours
            if not is_ours or count != number:
                return function(*args, **kwargs)
            reached_file(path).touch()
            half = (lambda: function(args[0], args[1][: len(args[1]) // 2])) if name == "write" else lambda: None
            return fault(path, lambda: function(*args, **kwargs), half)

        return call

    for name in CALLS:
        setattr(os, name, replaced(name, getattr(os, name)))


RECORD = ("--policy", "random", "--episodes", "7")


def run(path: Path, prepare: Callable[[], None], options: tuple[str, ...] = RECORD) -> tuple[int, str]:
    """Runs the command in a process of its own; returns its exit code, -9 if it was killed, and its errors."""
    errors = path.parent.parent / "stderr"
    path.parent.mkdir(exist_ok=True)
    child = os.fork()
    if not child:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        code: Any = 70
        try:
            prepare()
            demonstrate.main([*options, "--output", str(path)])
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
            sys.stderr.write(f"{error.code}\n")
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), errors.read_text()


def episodes_in(path: Path) -> tuple[int, bool]:
    """How many whole episodes a file has, all of them as they were recorded, and whether it loads as any other."""
    if not path.exists():
        return 0, False
    found = load(path, is_partial_allowed=True)
    for name, array in to_arrays(found).items():
        recorded = np.concatenate([to_arrays(block)[name] for block in EXPECTED])
        np.testing.assert_array_equal(array, recorded[: len(array)], strict=True)
    try:
        load(path)
    except ValueError:
        return found.header.num_episodes, False
    return found.header.num_episodes, True


def report(path: Path, fault: str, number: int, code: int, errors: str) -> None:
    """Prints what happened, and records once more where nothing is in the way."""
    num_episodes, is_whole = episodes_in(path)
    is_killed = fault == killed_within.__name__ and not path.exists()  # what it leaves must not be in the way
    again = run(path, lambda: None)[0] if is_killed else 0
    line = {"fault": fault, "number": number, "code": code, "errors": errors, "num_episodes": num_episodes}
    sys.stdout.write(json.dumps(line | {"is_whole": is_whole, "again": again}) + "\n")
    sys.stdout.flush()
    shutil.rmtree(path.parent, ignore_errors=True)


def main(source: Path, folder: Path) -> None:
    """Tries every fault at every call."""
    warnings.simplefilter("ignore")
    whole = load(source)
    EXPECTED.extend(take(whole, np.isin(whole.episodes, episodes)) for episodes in ([0, 1], [2], [3, 4, 5, 6]))
    for name, value in {"find_player": Nobody, "describe": whole.header, "play_blocks": None}.items():
        setattr(demonstrate, name, played if value is None else partial(answer, value))
    setattr(demonstrate.jax.random, "key", int)  # noqa: B010
    path = folder / "out" / "a.demos"
    with redirect_stdout(sys.stderr):  # what the command imports is shared by all processes
        demonstrate.main([*RECORD, "--output", str(folder / "first.demos")])
    gc.freeze()
    for fault in FAULTS:
        try_everywhere(fault, path, fault.__name__, RECORD)
    try_everywhere(killed_within, path, "killed_copy", ("--partial", str(source)))
    for limit in np.linspace(400, source.stat().st_size - 100, 10).astype(int).tolist():
        code, errors = run(path, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)))
        report(path, "limited", limit, code, errors)


def try_everywhere(fault: Fault, path: Path, name: str, options: tuple[str, ...]) -> None:
    """Runs the command again and again, until a fault is at a call that it does not make."""
    for number in range(1, 1000):
        code, errors = run(path, partial(inject, fault, number, path), options)
        if not reached_file(path).exists():
            shutil.rmtree(path.parent)
            return
        reached_file(path).unlink()
        report(path, name, number, code, errors)


class Nobody:
    """A player of no game."""

    env = None


def answer(value: Any, *_: Any) -> Any:
    return value


def played(*_: Any) -> Iterator[Demonstrations]:
    """The blocks that are recorded."""
    interruption.GRACE_SECONDS = 60.0
    yield from EXPECTED


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
