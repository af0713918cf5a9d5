"""Every field of every class of settings and options refuses values that its declared type does not allow.

The classes are found, not listed: a new class is checked in the same way.
"""

import dataclasses
import importlib
import pkgutil
import typing
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal

import annotated_types
import numpy as np
import pytest

import baselines
from baselines import ippo
from baselines.disk.schema import check_fields
from tests.wrong_calls import (
    INF,
    NO_FINITE_NUMBER,
    NO_FLAG,
    NO_LIST,
    NO_TEXT,
    NO_WHOLE_NUMBER,
    assert_refused,
    wrong_calls,
)


def name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def find_settings() -> list[type]:
    """Every dataclass in `baselines` whose name ends in Config or Options."""
    names = [module.name for module in pkgutil.walk_packages(baselines.__path__, "baselines.")]
    found = [item for name in names for item in vars(importlib.import_module(name)).values() if isinstance(item, type)]
    classes = [
        item for item in found if dataclasses.is_dataclass(item) and item.__name__.endswith(("Config", "Options"))
    ]
    return sorted(set(classes), key=lambda item: (item.__module__, item.__name__))


SETTINGS = find_settings()
NEEDED: dict[str, dict[str, Any]] = {
    "baselines.compare": {"runs": ("run",)},
    "baselines.demonstrate": {"policy": "random", "episodes": 1},
    "baselines.evaluate": {"run": Path("run")},
    "baselines.schelling": {"cooperate": "random", "defect": "random"},
    "baselines.sweep": {"space": Path("space.toml")},
    "baselines.watch": {"players": ("random",)},
    "baselines.studies.mamql.options": {"experts": ("cooperative",)},
}
"""By module: what `Options` need."""

BY_KIND: dict[Any, tuple[Any, ...]] = {
    int: NO_WHOLE_NUMBER,
    float: NO_FINITE_NUMBER,
    bool: NO_FLAG,
    str: NO_TEXT,
    Path: (None, 5, True, b"x", ["x"], "a\0b"),
    NoneType: (),
}


def hints_of(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def bounds_of(hint: Any) -> dict[type, float]:
    """The limits of an annotated number, by kind of limit."""
    limits: dict[type, float] = {}
    for part in typing.get_args(hint)[1:]:
        for limit in getattr(part, "metadata", [part]):
            if isinstance(limit, annotated_types.Ge | annotated_types.Gt | annotated_types.Le | annotated_types.Lt):
                limits[type(limit)] = next(iter(dataclasses.asdict(limit).values()))
    return limits


def beyond(hint: Any) -> list[Any]:
    """Numbers just outside the limits of a type."""
    kind = int if typing.get_args(hint)[0] is int else float
    steps = {annotated_types.Ge: -1, annotated_types.Gt: 0, annotated_types.Le: 1, annotated_types.Lt: 0}
    found: list[Any] = []
    for limit, value in bounds_of(hint).items():
        if kind is int:
            found.append(int(value) + steps[limit])
        else:
            found.append(float(np.nextafter(value, INF * steps[limit])) if steps[limit] else float(value))
    return found


def is_optional(hint: Any) -> bool:
    return typing.get_origin(hint) in (UnionType, typing.Union) and NoneType in typing.get_args(hint)


def wrong_values(hint: Any) -> list[Any]:
    """What a field of this type must refuse."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if is_optional(hint):
        inner = next(part for part in parts if part is not NoneType)
        return [value for value in wrong_values(inner) if value is not None]
    if origin is Literal:
        return [*NO_TEXT, "no such choice", parts[0] + " "]
    if origin is tuple:
        return [*NO_LIST, *((value,) for value in wrong_values(parts[0]))]
    if origin is Annotated:
        return [*wrong_values(parts[0]), *beyond(hint)]
    return list(BY_KIND[hint])


def test_the_classes_are_found() -> None:
    names = {name_of(cls) for cls in SETTINGS}
    assert {f"baselines.{name}.Config" for name in ("ippo", "networked", "mamql", "iq_learn", "cloning")} <= names
    assert {f"baselines.{name}.Options" for name in ("evaluate", "demonstrate", "studies.common_pool.options")} <= names
    assert "baselines.runs.options.RunOptions" in names


@pytest.mark.parametrize("cls", SETTINGS, ids=name_of)
def test_a_wrong_value_of_any_field_is_refused(cls: type) -> None:
    wrong = {name: tuple(wrong_values(hint)) for name, hint in hints_of(cls).items()}
    for call in wrong_calls(cls, NEEDED.get(cls.__module__, {}), wrong):
        assert_refused(call)


@pytest.mark.parametrize("cls", SETTINGS, ids=name_of)
def test_every_number_declares_its_limits(cls: type) -> None:
    for name, hint in hints_of(cls).items():
        parts = [hint, *typing.get_args(hint)]
        parts += [inner for part in parts for inner in typing.get_args(part)]
        is_number = any(part in (int, float) for part in parts)
        assert not is_number or any(len(bounds_of(part)) == 2 for part in parts), name


@pytest.mark.parametrize("cls", SETTINGS, ids=name_of)
def test_defaults_of_numpy_are_stored_as_those_of_python(cls: type) -> None:
    settings: Any = object.__new__(cls)
    for field in dataclasses.fields(cls):
        default = field.default if field.default is not dataclasses.MISSING else None
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else default
        default = NEEDED.get(cls.__module__, {}).get(field.name, default)
        as_numpy = np.array(default)[()] if isinstance(default, int | float) else default
        object.__setattr__(settings, field.name, list(as_numpy) if isinstance(as_numpy, tuple) else as_numpy)
    check_fields(settings)
    for field in dataclasses.fields(cls):
        assert not isinstance(getattr(settings, field.name), np.generic | list), field.name


def test_a_sweep_over_arrays_of_numpy_is_taken() -> None:
    for num_envs in 8 * np.arange(1, 3):
        for rate in np.linspace(1e-3, 1e-2, 3, dtype=np.float32):
            swept: dict[str, Any] = {"num_envs": num_envs, "rollout_steps": np.int32(10), "learning_rate": rate}
            config = ippo.Config(**swept)
            assert (type(config.num_envs), type(config.learning_rate)) == (int, float)
            assert config == ippo.Config(num_envs=int(num_envs), rollout_steps=10, learning_rate=float(rate))
