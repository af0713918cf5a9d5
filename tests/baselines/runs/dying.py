"""A program that dies at one of its writes, as by SIGKILL, inside the process of the test."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

CALLS = ("write", "ftruncate", "fsync", "replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir")
"""Functions of `os` that change files; libraries reach the disk through them as well."""


class Killed(BaseException):
    """Nothing happens after it."""


class Life:
    """Counts calls that change files; the last one allowed, if it writes, writes half, and later ones do nothing.

    Args:
      num_calls: so many succeed; None for all.
    """

    def __init__(self, num_calls: int | None = None) -> None:
        self.num_calls = num_calls
        self.done = 0

    def guard(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`os.<name>`, as long as the program lives."""

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.num_calls is not None and self.done >= self.num_calls:
                if self.done == self.num_calls and name == "write":
                    call(args[0], bytes(args[1])[: len(args[1]) // 2])
                self.done += 1
                raise Killed(name)
            self.done += 1
            return call(*args, **kwargs)

        return guarded


@contextmanager
def life(num_calls: int | None = None) -> Iterator[Life]:
    """Inside of it only so many calls that change files succeed; it is left without an error when they are used up."""
    now = Life(num_calls)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, now.guard(name, getattr(os, name)))
        with suppress(Killed):
            yield now
