"""Allowed values of fields of settings and of files, and the errors for other values."""

import dataclasses
import json
from typing import Any, Literal

import pytest

from baselines.disk.schema import (
    Count,
    Fraction,
    Line,
    Lines,
    NonNegative,
    Plain,
    Positive,
    Seed,
    check_fields,
    read_json,
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    width: Count = 3
    seed: Seed = 0
    rate: Positive = 1e-3
    limit: Positive | None = None
    weight: NonNegative = 0.0
    share: Fraction = 0.5
    kind: Literal["a", "b"] = "a"
    is_on: bool = False
    sizes: tuple[int, ...] = (1,)
    others: Plain = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width == 7:
            raise ValueError("width=7 does not fit")


WRONG: list[tuple[str, Any, str]] = [
    ("width", True, "True is not allowed: a whole number from 1 to"),
    ("width", 1.5, r"1\.5 is not allowed"),
    ("width", "8", "'8' is not allowed"),
    ("width", [8], r"\[8\] is not allowed"),
    ("width", None, "None is not allowed"),
    ("width", 2**31, "2147483648 is not allowed"),
    ("seed", -1, "-1 is not allowed: a whole number from 0"),
    ("rate", float("inf"), "inf is not allowed: a finite number above 0"),
    ("rate", float("nan"), "nan is not allowed"),
    ("rate", 10**400, r"1000+\.\.\. is not allowed"),
    ("rate", 10**5000, "int that is too long to be shown is not allowed"),
    ("rate", 1e39, r"1e\+39 is not allowed"),
    ("rate", 1e-50, "1e-50 is not allowed"),
    ("limit", 0, "0 is not allowed: a finite number above 0 or None"),
    ("weight", -0.1, r"-0\.1 is not allowed: a finite number of at least 0"),
    ("share", 1.1, r"1\.1 is not allowed: a number between 0 and 1"),
    ("kind", "c", "'c' is not allowed: one of a, b"),
    ("is_on", "x", "'x' is not allowed: True or False"),
    ("is_on", 1, "1 is not allowed"),
    ("sizes", (1, 2.5), r"\(1, 2\.5\) is not allowed"),
    ("others.a", {"a": float("nan")}, "nan is not allowed: an object of text"),
    ("others.b.1.c", {"a": 1, "b": (2, {"c": float("inf")})}, "inf is not allowed: an object of text"),
    ("others", {1: 2}, r"\{1: 2\} is not allowed"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_value_is_refused_by_field_and_value(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}={message}"):
        Settings(**{name.partition(".")[0]: value})


def test_a_whole_number_in_a_field_of_floats_becomes_a_float() -> None:
    settings = Settings(rate=1, limit=2)
    assert isinstance(settings.rate, float)
    assert isinstance(settings.limit, float)


def test_a_file_is_read_as_the_dataclass_and_lists_become_tuples() -> None:
    found = read_json("f.json", '{"width": 4, "rate": 1, "sizes": [1, 2], "others": {"a": [1, [2]]}}', Settings)
    assert found == Settings(4, rate=1.0, sizes=(1, 2), others={"a": (1, (2,))})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"width": true}', "f.json: width=True is not allowed: a whole number from 1"),
        ('{"width": 2.0}', r"f.json: width=2\.0 is not allowed"),
        ('{"rate": NaN}', "f.json: rate=nan is not allowed"),
        ('{"rate": 1e999}', "f.json: rate=inf is not allowed"),
        ('{"sizes": [1, "a"]}', r"f.json: sizes=\[1, 'a'\] is not allowed"),
        ('{"others": {"a": Infinity}}', "f.json: others.a=inf is not allowed"),
        ('{"others": 5}', "f.json: others=5 is not allowed"),
        ('{"width": 7}', "f.json: width=7 does not fit"),
        ('{"\\u001b[31m": 1}', r"f.json: the field '\\x1b\[31m' is unknown: allowed are width, seed"),
        ("[]", r"f.json holds \[\]: a JSON object with width"),
        ("{", "f.json is not JSON"),
        ("", "f.json is not JSON"),
        ("[" * 100_000, "f.json is not JSON: recursion limit"),
        ('{"width": 1' + "0" * 5000 + "}", "f.json is not JSON: number out of range"),
    ],
    ids=range(14),
)
def test_a_file_with_nonsense_is_refused_by_file_field_and_value(content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_json("f.json", content, Settings)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of a file."""

    name: Line
    width: Count


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows, numbers by name, and lines, whose type has words of its own."""

    rows: tuple[Entry, ...] = ()
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    lines: Lines = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"rows": [{"name": "a", "width": 1}, {"name": "b", "width": 0}]},
            r"rows\.1\.width=0 is not allowed: a whole",
        ),
        ({"rows": [{"name": "a"}]}, r"the field 'rows\.0\.width' is missing"),
        ({"rows": [5]}, r"rows=\[5\] is not allowed: any number of entries"),
        ({"numbers": {"a": 1.0, "b": "x"}}, r"numbers\.b='x' is not allowed: a number"),
        ({"numbers": {"\x1b[31m": "x"}}, r"numbers\.\\x1b\[31m='x' is not allowed"),
        ({"lines": {"a": 5}}, r"lines=\{'a': 5\} is not allowed: an object of text without control characters"),
    ],
)
def test_a_value_inside_a_field_is_named_by_its_place(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^f\.json: {message}"):
        read_json("f.json", json.dumps(content), Rows)


def test_a_missing_field_is_named() -> None:
    @dataclasses.dataclass(frozen=True)
    class Needed:
        name: str

    with pytest.raises(ValueError, match="the field 'name' is missing"):
        read_json("f.json", "{}", Needed)
