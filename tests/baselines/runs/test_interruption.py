"""Ctrl-C and SIGTERM: a run ends its current work within a grace period; a second signal ends it at once."""

import io
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from baselines.runs import interruption as module
from baselines.runs.interruption import Background, Interruption
from baselines.runs.terminal import INTERRUPTED


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize("grace", [0.0, 60.0])
def test_work_that_does_not_end_is_not_waited_for(
    grace: float, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    stops: list[bool] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(module, "GRACE_SECONDS", grace)
    with Interruption(console, "update", lambda: stops.append(True)) as interruption:
        interruption.enforce()
        signal.raise_signal(signal.SIGTERM)
        assert interruption.is_asked and stops == [True]
        interruption.enforce()
        assert codes == [INTERRUPTED] * (grace == 0.0)
        signal.raise_signal(signal.SIGINT)
        assert codes[-1:] == [INTERRUPTED]


def test_handlers_are_put_back(console: Console) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption(console, "update"):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_items_from_the_background_come_in_order_and_end(console: Console) -> None:
    with Interruption(console, "item") as interruption:
        items = Background(iter(range(5)), interruption)
        assert list(items) == [0, 1, 2, 3, 4]
        assert not items.is_busy


def test_an_error_in_the_background_is_raised_where_items_are_taken(console: Console) -> None:
    def make() -> Iterator[int]:
        yield 1
        raise ValueError("wrong")

    with Interruption(console, "item") as interruption:
        items = Background(make(), interruption)
        assert next(items) == 1
        with pytest.raises(ValueError, match="wrong"):
            next(items)


def test_the_item_that_is_made_when_a_signal_comes_is_the_last(console: Console) -> None:
    def make() -> Iterator[int]:
        for number in range(5):
            if number == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            yield number

    with Interruption(console, "item") as interruption:
        assert list(Background(make(), interruption)) == [0, 1, 2]


def test_an_item_that_is_not_made_in_time_is_given_up(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.0)
    is_over = threading.Event()

    def make() -> Iterator[int]:
        yield 0
        os.kill(os.getpid(), signal.SIGINT)
        is_over.wait(60)
        yield 1

    with Interruption(console, "item") as interruption:
        items = Background(make(), interruption)
        assert list(items) == [0]
        assert items.is_busy
        is_over.set()
