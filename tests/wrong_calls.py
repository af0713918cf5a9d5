"""Functions for tests of wrong calls: values of wrong kinds, and the required content of an error."""

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from jaxdilemmas.arguments import show

NAN, INF = float("nan"), float("inf")
Values = tuple[Any, ...]

NO_TEXT: Values = (None, 5, True, b"x", ["x"], object())
NO_FLAG: Values = (None, 0, 1, "yes", [True], object())
NO_WHOLE_NUMBER: Values = (None, True, 1.5, NAN, INF, "8", b"8", [8], {}, 1j, object(), 10**400)
NO_FINITE_NUMBER: Values = (None, True, NAN, INF, -INF, 1e39, 10**400, "0.5", [0.5], {}, 1j, object())
NO_LIST: Values = (None, 5, True, "abc", {"a": 1}, object())
NO_KEY: Values = (None, 0, 1.5, "key", np.array([1, 2, 3], np.uint32), jax.random.split(jax.random.key(0)), object())
NO_GAME: Values = (None, 5, "gathering", object())
"""Values that are wrong for every argument of a kind. Further ones follow from what the argument is."""


class WrongCall(NamedTuple):
    """A call that must be refused.

    Attributes:
      call: takes nothing.
      argument: the name that the error must say.
      value: what is wrong; the error must show it.
      label: names the case among those of a test.
    """

    call: Callable[[], Any]
    argument: str
    value: Any
    label: str


def wrong_calls(
    function: Callable[..., Any], right: dict[str, Any], wrong: dict[str, tuple[Any, ...]]
) -> list[WrongCall]:
    """Calls of a function with one wrong argument each.

    Args:
      function: what is called.
      right: keyword arguments that it takes.
      wrong: for each argument the values that it must refuse.
    """
    module = getattr(function, "__module__", "").removeprefix("jaxdilemmas.").removeprefix("baselines.")
    name = f"{module}.{getattr(function, '__qualname__', type(function).__name__)}"
    return [
        WrongCall(functools.partial(function, **right | {argument: value}), argument, value, _label(name, argument, i))
        for argument, values in wrong.items()
        for i, value in enumerate(values)
    ]


def _label(name: str, argument: str, index: int) -> str:
    return re.sub(r"[^\w.]", "_", f"{name}-{argument}-{index}")


def assert_refused(wrong: WrongCall) -> None:
    """The call raises an error that says argument, value and what is allowed, and compiles nothing before.

    Of an array the error may say shape or dtype in place of the value, of what holds others the part that is wrong.
    """
    text = _refusal_of(wrong)
    said = f"{wrong.label}: {text}"
    assert re.search(rf"\b{re.escape(wrong.argument)}\b", text), said
    assert any(part in text for part in _shown(wrong.value)), said
    allowed = text.rpartition("is not allowed: ")[2]
    assert "is not allowed: " in text and allowed.strip(), said


def _shown(value: Any) -> list[str]:
    """What an error may show of a value."""
    shown = [show(value)]
    if hasattr(value, "shape"):
        shown += [str(value.shape), str(value.dtype)]
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return shown + [part for inner in value for part in _shown(inner)] if isinstance(value, list | tuple) else shown


def _refusal_of(wrong: WrongCall) -> str:
    with no_compiling(wrong.label):
        try:
            wrong.call()
        except (ValueError, TypeError) as error:
            return str(error)
    pytest.fail(f"{wrong.label} took {show(wrong.value)}")


COMPILED: list[str] = []
"""Programs that XLA compiled since this module was imported."""


def _note(event: str, duration_secs: float, **_: str | int) -> None:
    del duration_secs
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(event)


jax.monitoring.register_event_duration_secs_listener(_note)


@contextmanager
def no_compiling(label: str) -> Iterator[None]:
    """Fails if anything is compiled inside."""
    before = len(COMPILED)
    yield
    assert len(COMPILED) == before, f"{label} compiled something before it was refused"
