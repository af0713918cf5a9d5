"""Checks of arguments. Errors name the argument, its value and the allowed values, before anything is compiled."""

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MOST_SHOWN = 200
"""The largest number of characters of a value that an error shows."""

MOST_ENTRIES = 16
"""Errors show arrays with at most this many entries in full."""

MOST_COUNT = int(np.iinfo(np.int32).max)
"""The largest whole number: whole numbers in the rules are int32."""

MOST_NUMBER = float(np.finfo(np.float32).max)
"""The largest number: numbers in the rules are float32."""

MOST_AGENTS = 10_000
"""The largest number of agents. Our choice, because games compare every agent with every other agent."""


def show(value: Any) -> str:
    """Returns the text of a value for errors: its repr without control characters, cut off if it is long.

    For a large array the text contains shape and dtype only.
    """
    try:
        if getattr(value, "size", 0) > MOST_ENTRIES and hasattr(value, "dtype"):
            return f"array of shape {value.shape} and dtype {value.dtype}"
        text = repr(value)
    except ValueError:  # a whole number with thousands of digits
        text = f"{type(value).__name__} that is too long to be shown"
    except Exception:  # the class of the value is broken
        text = f"{type(value).__name__} that cannot be shown"
    text = printable(text)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def printable(text: str) -> str:
    """Returns a text as one line, with control characters escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def refusal(argument: str, value: Any, allowed: str) -> str:
    """Returns the sentence that names an argument, its value and the allowed values."""
    return f"{argument}={show(value)} is not allowed: {allowed}"


def require(condition: bool, argument: str, value: Any, allowed: str) -> None:
    """Raises a ValueError that names the argument, its value and the allowed values, unless `condition` is True."""
    if not condition:
        raise ValueError(refusal(argument, value, allowed))


def is_count(value: Any, least: int = 1, most: int = MOST_COUNT) -> bool:
    """Whether a value is a whole number from `least` to `most`; a bool is not a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and least <= int(value) <= most


def is_number(value: Any) -> bool:
    """Whether a value is a real number that the rules can use: a finite float32 or, if it is whole, an int32."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    if isinstance(value, int | np.integer):
        return -MOST_COUNT <= int(value) <= MOST_COUNT
    return math.isfinite(value) and abs(float(value)) <= MOST_NUMBER


def check_count(argument: str, value: Any, least: int = 1, most: int = MOST_COUNT) -> int:
    """Returns a whole number from `least` to `most` as a Python int; raises a ValueError for any other value."""
    require(is_count(value, least, most), argument, value, f"a whole number of at least {least} and at most {most}")
    return int(value)


def check_counts(params: Any, *names: str, least: int = 1) -> None:
    """Raises a ValueError if a named field of params is not a whole number of at least `least` that fits int32."""
    for name in names:
        check_count(name, getattr(params, name), least)


def check_number(argument: str, value: Any, most: float = math.inf, is_zero_allowed: bool = True) -> None:
    """Raises a ValueError unless a value is a finite number from 0 to `most`, and not 0 unless this is allowed."""
    span = ("a number of at least 0", "a finite number above 0")
    if most < math.inf:
        span = (f"a number from 0 to {most}", f"a number above 0 and at most {most}")
    is_fit = is_number(value) and 0 <= value <= most and (value > 0 or is_zero_allowed)
    fits = "" if most < MOST_COUNT else "; whole numbers fit int32, others float32"
    require(is_fit, argument, value, (span[0] if is_zero_allowed else span[1]) + fits)


def check_numbers(params: Any, most: float, *names: str, is_zero_allowed: bool = True) -> None:
    """Raises a ValueError if `check_number` refuses a named field of params."""
    for name in names:
        check_number(name, getattr(params, name), most, is_zero_allowed)


def check_choice(argument: str, value: Any, choices: Iterable[str]) -> None:
    """Raises a ValueError unless a value is one of the strings."""
    choices = tuple(choices)
    require(isinstance(value, str) and value in choices, argument, value, f"one of {', '.join(choices)}")


def check_flag(argument: str, value: Any) -> None:
    """Raises a ValueError unless a value is True or False."""
    require(isinstance(value, bool | np.bool_), argument, value, "True or False")


def check_num_agents(value: Any, most: int = MOST_AGENTS) -> int:
    """Returns a number of agents from 1 to `most`; raises a ValueError for any other value."""
    return check_count("num_agents", value, most=most)


def check_kind(argument: str, value: Any, kind: type | tuple[type, ...], allowed: str) -> None:
    """Raises a ValueError unless a value is an instance of this class, or of one of these classes."""
    require(isinstance(value, kind), argument, value, allowed)


def check_key(key: Any) -> None:
    """Raises a ValueError unless `key` is one JAX PRNG key, made by `jax.random.key` or by `jax.random.PRNGKey`."""
    is_key = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    is_legacy = isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32 and key.shape in ((2,), (4,))
    what = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array | np.ndarray) else key
    require(is_key or is_legacy, "key", what, "one JAX PRNG key, such as jax.random.key(0); a batch needs jax.vmap")


def numbers_from(value: Any) -> np.ndarray | None:
    """Returns numbers or bools as a float64 array, and None for a ragged list and for any other value."""
    try:
        numbers = np.asarray(value)
    except Exception:  # ragged lists, traced arrays, keys: NumPy and JAX raise errors of many kinds
        return None
    return numbers.astype(np.float64) if numbers.dtype.kind in "biuf" else None
