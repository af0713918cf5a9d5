"""How far a study is: which pieces of work are done, in which phase the others are, and how long the rest will take."""

import datetime
import time
from collections.abc import Callable
from typing import NamedTuple

SHOWN = 4
"""A line names at most so many pieces that are at work."""

Hear = Callable[["Board"], None]
"""What is told, now and then, how far the work is."""

_send: Callable[[str], None] | None = None


def report(phase: str) -> None:
    """Says, from within a piece of work, which phase of it begins; nobody need listen."""
    if _send is not None:
        _send(phase)


def send_reports_to(send: Callable[[str], None] | None) -> None:
    """Chooses where `report` goes in this process; None for nowhere."""
    global _send
    _send = send


def time_left(began: float, share_done: float) -> str:
    """In words, by the mean speed so far.

    Args:
      began: when the work did, by `time.monotonic`.
      share_done: of the work, since then.
    """
    if not share_done:
        return "time left -"
    seconds = (time.monotonic() - began) / share_done * (1 - share_done)
    return f"time left about {datetime.timedelta(seconds=round(seconds))}"


class Phase(NamedTuple):
    """What a piece is doing.

    Attributes:
      name: as reported; empty at the start.
      began: when the piece was begun, by `time.monotonic`.
      number: phases that are behind it.
    """

    name: str
    began: float
    number: int


class Board:
    """What is known of pieces of work by their index.

    Args:
      names: of all pieces, for people.
      num_phases: that each has.
    """

    def __init__(self, names: list[str], num_phases: list[int]) -> None:
        self._names = names
        self._num_phases = num_phases
        self._began = time.monotonic()
        self._at_work: dict[int, Phase] = {}
        self._seconds: list[float] = []

    def begin(self, index: int) -> None:
        """A piece was begun."""
        self._at_work[index] = Phase("", time.monotonic(), -1)

    def enter(self, index: int, name: str) -> None:
        """A piece that was begun enters a phase."""
        before = self._at_work[index]
        self._at_work[index] = Phase(name, before.began, before.number + 1)

    def end(self, index: int) -> None:
        """A piece is done."""
        self._seconds.append(time.monotonic() - self._at_work.pop(index).began)

    @property
    def share_done(self) -> float:
        """Of all the work: pieces that are done, and parts of those at work.

        A part is the time since the piece was begun over the mean time of a piece, or before any is done, the phases
        that are behind it and half of the one that it is in, over all of them.
        """
        return (len(self._seconds) + sum(map(self._part_done, self._at_work))) / max(1, len(self._names))

    def _part_done(self, index: int) -> float:
        phase = self._at_work[index]
        if not self._seconds:
            return 0.0 if phase.number < 0 else (phase.number + 0.5) / self._num_phases[index]
        mean = sum(self._seconds) / len(self._seconds)
        return min(0.95, (time.monotonic() - phase.began) / max(mean, 1e-9))

    def describe(self) -> str:
        """Time left and what is at work, in words."""
        words = [time_left(self._began, self.share_done)]
        for index in list(self._at_work)[:SHOWN]:
            phase = self._at_work[index]
            seconds = f"{time.monotonic() - phase.began:.0f} s"
            words.append(f"{self._names[index]}: {phase.name or 'starting'}, {seconds}")
        rest = len(self._at_work) - SHOWN
        return "; ".join([*words, f"and {rest} more"] if rest > 0 else words)
