"""Ctrl-C and SIGTERM: the first one ends the work in good order, the second one at once."""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

from rich.console import Console

from baselines.runs.terminal import INTERRUPTED

GRACE_SECONDS = 5.0
"""How long the work that was begun may go on after the first signal."""

T = TypeVar("T")


class Interruption:
    """While it is entered, the first Ctrl-C or SIGTERM asks for a stop, and the second one ends the program.

    Compiling cannot be stopped: whoever waits for it waits `GRACE_SECONDS` at most, see `is_due`.

    Args:
      console: shows that the work stops.
      work: what is ended first, as it is called there.
      stop: called by the first signal.
    """

    def __init__(self, console: Console, work: str, stop: Callable[[], None] = lambda: None) -> None:
        self._console = console
        self._work = work
        self._stop = stop
        self._time: float | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def is_asked(self) -> bool:
        """Whether a signal came."""
        return self._time is not None

    @property
    def is_due(self) -> bool:
        """Whether the work that was begun has taken too long since."""
        return self._time is not None and time.monotonic() - self._time > GRACE_SECONDS

    def enforce(self) -> None:
        """Ends the program if the work that was begun takes too long to wait for."""
        if self.is_due:
            self.end_program()

    def end_program(self) -> None:
        """Ends the program without waiting for other threads, whose work is lost."""
        self._console.show_cursor()
        with suppress(OSError, ValueError):
            self._console.file.flush()
        os._exit(INTERRUPTED)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.is_asked:
            self.end_program()
        self._time = time.monotonic()
        self._stop()
        with suppress(RuntimeError):  # the program was just printing
            self._console.print(f"interrupted: stopping after this {self._work}; once more to stop at once")


class Background(Iterator[T]):
    """Items that are made in threads, one after another, so that a signal is heard of while one is being made.

    It ends with the last item, or, after a signal, with the one that is being made if that comes in time.

    Args:
      items: where they come from. What it raises is raised again here.
      interruption: is asked whether to end.
    """

    def __init__(self, items: Iterator[T], interruption: Interruption) -> None:
        self._items = items
        self._interruption = interruption
        self._made: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        self.is_busy = False

    def __next__(self) -> T:
        """The next item; `is_busy` is True afterwards if one is still being made, which nobody waits for."""
        if self._interruption.is_asked or self.is_busy:
            raise StopIteration
        self.is_busy = True
        threading.Thread(target=self._make, daemon=True).start()
        while not self._interruption.is_due:
            with suppress(queue.Empty):
                item, error = self._made.get(timeout=0.1)
                self.is_busy = False
                if error is not None:
                    raise error
                return item  # type: ignore[return-value]
        raise StopIteration

    def _make(self) -> None:
        """The body of the thread of an item."""
        try:
            self._made.put((next(self._items), None))
        except BaseException as error:
            self._made.put((None, error))
