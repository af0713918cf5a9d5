"""What the fields of settings and of files may hold: declared once, by type, and checked by pydantic.

A dataclass of settings declares `learning_rate: Positive = 1e-3` and calls `check_fields(self)` in `__post_init__`. A
file that holds such a dataclass as JSON is read by `read_json`. Both use the same declarations, and both name the
field, its value and what is allowed.
"""

import dataclasses
import functools
import hashlib
import json
import os
import typing
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar

import jax
import numpy as np
import pydantic_core
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from baselines.disk.writing import CHECKSUM, DamagedError, note_without_checksum, read_file, write_file
from jaxdilemmas.arguments import refusal, show

MOST_INT32 = 2**31 - 1
MOST_FLOAT32 = 3.4e38
LEAST_FLOAT32 = 1.2e-38
"""The smallest normal float32; a smaller number is 0 where denormal numbers are flushed."""

MOST_SEEDS = 10_000
"""Training runs side by side; our choice."""

MOST_EPISODES = 1_000_000
"""Episodes that are played side by side; our choice."""

MOST_WIDTH = 2**14
"""Units of a layer: the four square kernels of an LSTM fit 2^31 numbers."""

T = TypeVar("T")


WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text", NoneType: "None"}
"""For what a type takes that declares no words of its own."""


@dataclasses.dataclass(frozen=True)
class Allowed:
    """The words of an error for what a declared type takes; {} stands for the words of the type inside."""

    text: str


Count = Annotated[int, Field(ge=1, le=MOST_INT32), Allowed("a whole number from 1 to 2^31 - 1")]
CountOrZero = Annotated[int, Field(ge=0, le=MOST_INT32), Allowed("a whole number from 0 to 2^31 - 1")]
Seed = CountOrZero
CountFromTwo = Annotated[int, Field(ge=2, le=MOST_INT32), Allowed("a whole number from 2 to 2^31 - 1")]
NumSeeds = Annotated[int, Field(ge=1, le=MOST_SEEDS), Allowed(f"a whole number from 1 to {MOST_SEEDS:,}")]
NumEpisodes = Annotated[int, Field(ge=2, le=MOST_EPISODES), Allowed(f"a whole number from 2 to {MOST_EPISODES:,}")]
Width = Annotated[int, Field(ge=1, le=MOST_WIDTH), Allowed(f"a whole number from 1 to {MOST_WIDTH:,}")]
EvenWidth = Annotated[
    int, Field(ge=2, le=MOST_WIDTH, multiple_of=2), Allowed(f"an even number from 2 to {MOST_WIDTH:,}")
]
Finite = Annotated[float, Field(ge=-MOST_FLOAT32, le=MOST_FLOAT32), Allowed("a finite number")]
Positive = Annotated[float, Field(ge=LEAST_FLOAT32, le=MOST_FLOAT32), Allowed("a finite number above 0")]
NonNegative = Annotated[float, Field(ge=0, le=MOST_FLOAT32), Allowed("a finite number of at least 0")]
Fraction = Annotated[float, Field(ge=0, le=1), Allowed("a number between 0 and 1")]


def _only(is_fit: Callable[[Any], bool]) -> AfterValidator:
    """What a type takes beside its own kind."""

    def check(value: Any) -> Any:
        if not is_fit(value):
            raise ValueError("not fit")
        return value

    return AfterValidator(check)


Line = Annotated[str, _only(str.isprintable), Allowed("text without control characters")]
"""Text that may be shown on a terminal, whoever wrote it."""

Lines = Annotated[dict[str, Line], Allowed("an object of text without control characters")]

FilePath = Annotated[
    Path,
    BeforeValidator(lambda value: Path(value) if isinstance(value, str) else value),
    _only(lambda path: "\0" not in str(path)),
    Allowed("a path"),
]

OnceEach = Annotated[
    tuple[T, ...],
    _only(lambda values: 0 < len(values) == len(set(values))),
    Allowed("at least one, each once, each {}"),
]
"""One or more values, none of them twice."""


def parts_not_plain(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The names, as config.sizes.0, and values of what is no text, None, bool, finite number, or collection of these.

    A collection is a tuple, a list, or a dict with text as keys.
    """
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, item in value.items():
            yield from parts_not_plain(f"{name}.{key}", item)
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from parts_not_plain(f"{name}.{i}", item)
    elif not (value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value))):
        yield name, value


def as_tuples(value: Any) -> Any:
    """Lists become tuples: JSON has no tuples, and settings have no lists. Scalars of NumPy become those of Python."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {name: as_tuples(item) for name, item in value.items()}
    return tuple(as_tuples(item) for item in value) if isinstance(value, list | tuple) else value


Plain = Annotated[
    dict[str, Any],
    _only(lambda value: not any(parts_not_plain("", value))),
    AfterValidator(as_tuples),
    Allowed("an object of text, finite numbers, true, false, null, and lists and objects of these"),
]


def check_fields(settings: Any) -> None:
    """Raises a ValueError that names the first field of a dataclass whose value its declared type does not take.

    A value of the right kind is stored as the declared type: the whole number 1 in a field of floats as 1.0, a scalar
    of NumPy as that of Python, a list as a tuple.
    """
    cls: Any = type(settings)
    for name, (adapter, allowed) in _fields_of(cls).items():
        value = getattr(settings, name)
        if isinstance(value, jax.core.Tracer):  # its values were checked before they became an array
            continue
        try:
            checked = adapter.validate_python(as_tuples(value), strict=True)
        except ValidationError as error:
            raise ValueError(_refusal(name, value, allowed or _explain(error))) from None
        object.__setattr__(settings, name, checked)


def read_json(path: str | os.PathLike[str], content: bytes | str, cls: type[T]) -> T:
    """Reads a dataclass that a file holds as JSON.

    Args:
      path: the file, which errors name.
      content: JSON, an object with the fields of `cls`.
      cls: a dataclass.

    Raises:
      ValueError: the content is no JSON object, or a field is missing, unknown or not allowed. The message names the
        file, the field, its value and what is allowed.
    """
    kind: Any = cls
    fields, found = _fields_of(kind), _parse(path, content, kind)
    for name in found:
        if name not in fields:
            raise ValueError(f"{path}: the field {show(name)} is unknown: allowed are {', '.join(fields)}")
    try:
        return _adapter_of(kind).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # what the dataclass itself refuses
            raise ValueError(f"{path}: {_explain(error)}") from None
        name, value, allowed = _innermost(kind, first["loc"], found)
        if first["type"] == "missing":
            raise ValueError(f"{path}: the field {name!r} is missing") from None
        raise ValueError(f"{path}: {_refusal(name, value, allowed or _explain(error))}") from None


def save_json(path: Path, value: Any) -> None:
    """Writes a dataclass as JSON with a checksum of its fields; see `writing.write_file`."""
    content = dataclasses.asdict(value)
    write_file(path, json.dumps(content | {CHECKSUM: _checksum(content)}, indent=2) + "\n")


def load_json(path: Path, cls: type[T]) -> T:
    """Reads what `save_json` wrote.

    Raises:
      ValueError: the file is missing, or not as `read_json` asks.
      DamagedError: it was altered.
    """
    content = read_file(path)
    found = _parse(path, content, cls)
    stored = found.pop(CHECKSUM, None)
    value = read_json(path, json.dumps(found), cls)
    if stored is None:
        note_without_checksum(path)
    elif stored != _checksum(found):
        raise DamagedError(
            f"{path} was altered: its fields do not have the checksum that was written with them; without the field "
            f"{CHECKSUM!r} it is read unchecked"
        )
    return value


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _parse(path: str | os.PathLike[str], content: bytes | str, cls: Any) -> dict[str, Any]:
    """A JSON object as a dict, or a ValueError that names the file and the fields of the dataclass."""
    try:
        found = pydantic_core.from_json(content)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds {show(found)}: a JSON object with {', '.join(_fields_of(cls))} is needed")
    return found


def _refusal(name: str, value: Any, allowed: str) -> str:
    """The sentence that names a field, or the part of an object in it that is not allowed."""
    if isinstance(value, dict):
        name, value = next(parts_not_plain(name, value), (name, value))
    return refusal(show(name)[1:-1], value, allowed)


def _innermost(hint: Any, loc: tuple[int | str, ...], value: Any) -> tuple[str, Any, str]:
    """The field that an error of pydantic is about, as weights.1.event, its value, and what is allowed there.

    A field with words of its own is named as a whole, and so is a list of values.
    """
    while isinstance(loc[-1], int):
        loc = loc[:-1]
    name = ""
    for part in loc:
        if name and any(isinstance(word, Allowed) for word in typing.get_args(hint)):
            break
        name += f".{part}"
        value = value.get(part) if isinstance(value, dict) else value[part]
        if dataclasses.is_dataclass(hint):
            hint = typing.get_type_hints(hint, include_extras=True)[str(part)]
        else:
            hint = [inner for inner in typing.get_args(hint) if inner is not ...][-1]
    return name.removeprefix("."), value, _allowed(hint)


def _explain(error: ValidationError) -> str:
    """The error of pydantic for a value, in the words of this project."""
    text = str(error.errors()[0]["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return text.replace("Input should be", "it must be")


@functools.cache
def _adapter_of(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


@functools.cache
def _fields_of(cls: Any) -> dict[str, tuple[TypeAdapter[Any], str]]:
    """By field: what checks its values, and the words for what is allowed; no words where the type has none."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {
        field.name: (TypeAdapter(hints[field.name]), _allowed(hints[field.name])) for field in dataclasses.fields(cls)
    }


def _allowed(hint: Any) -> str:
    """The words for what a type takes, also of `x | None`; empty where pydantic's own words must do."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is Annotated:
        words = [part.text for part in parts if isinstance(part, Allowed)]
        return words[0].format(_allowed(parts[0])) if words else _allowed(parts[0])
    if origin is tuple:
        return f"any number of entries, each {_allowed(parts[0])}"
    return " or ".join(filter(None, map(_allowed, parts))) or WORDS.get(hint, "")
