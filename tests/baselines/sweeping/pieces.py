"""Pieces of work that other processes can import."""

import os
import signal
import time
from pathlib import Path

from baselines.sweeping import engine


def note(folder: Path, name: str) -> None:
    """A piece of work: leaves a file with what it computes and the flags of XLA."""
    (folder / name).write_text(f"{sum(map(ord, name))} {engine.ONE_CORE in os.environ['XLA_FLAGS']}")


def fail_or_wait(marker: Path, name: str) -> None:
    """A piece of work that fails, or one that would last for minutes; it leaves its process id."""
    if name == "fails":
        while not marker.exists():
            time.sleep(0.01)
        raise ValueError("nothing to learn")
    marker.write_text(str(os.getpid()))
    time.sleep(300)


def die_once(folder: Path, name: str) -> None:
    """A piece of work whose process is killed the first time."""
    if not (folder / name).exists():
        (folder / name).write_text("begun")
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / name).write_text("done")
