"""How arguments are checked: errors name the argument, its value and what is allowed, before anything is compiled."""

import math
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MOST_SHOWN = 200
"""Characters of a value that an error shows at most."""

MOST_ENTRIES = 16
"""Entries of an array that an error shows at most."""

MOST_COUNT = int(np.iinfo(np.int32).max)
"""Whole numbers in the rules are int32."""

MOST_NUMBER = float(np.finfo(np.float32).max)
"""Numbers in the rules are float32."""

MOST_AGENTS = 10_000
"""Our choice: games compare every agent with every other one."""


def show(value: Any) -> str:
    """A value as errors show it: its repr, without control characters, and cut off where it is long.

    Of a large array shape and dtype are shown.
    """
    try:
        if getattr(value, "size", 0) > MOST_ENTRIES and hasattr(value, "dtype"):
            return f"array of shape {value.shape} and dtype {value.dtype}"
        text = repr(value)
    except ValueError:  # a whole number with thousands of digits
        text = f"{type(value).__name__} that is too long to be shown"
    except Exception:  # the class of the value is wrong itself
        text = f"{type(value).__name__} that cannot be shown"
    text = printable(text)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def printable(text: str) -> str:
    """Text in one line, with control characters escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def refusal(argument: str, value: Any, allowed: str) -> str:
    """The sentence that names an argument, its value and what is allowed."""
    return f"{argument}={show(value)} is not allowed: {allowed}"


def require(condition: bool, argument: str, value: Any, allowed: str) -> None:
    """Raises a ValueError that names the argument, its value and what is allowed, unless `condition` holds."""
    if not condition:
        raise ValueError(refusal(argument, value, allowed))


def is_count(value: Any, least: int = 1, most: int = MOST_COUNT) -> bool:
    """Whether a value is a whole number from `least` to `most`; a bool is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and least <= int(value) <= most


def is_number(value: Any) -> bool:
    """Whether a value is a real number that the rules can hold: float32 and finite or, if it is whole, int32."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    if isinstance(value, int | np.integer):
        return -MOST_COUNT <= int(value) <= MOST_COUNT
    return math.isfinite(value) and abs(float(value)) <= MOST_NUMBER


def check_count(argument: str, value: Any, least: int = 1, most: int = MOST_COUNT) -> int:
    """Returns a whole number from `least` to `most` as one of Python; raises a ValueError for anything else."""
    require(is_count(value, least, most), argument, value, f"a whole number of at least {least} and at most {most}")
    return int(value)


def check_counts(params: Any, *names: str, least: int = 1) -> None:
    """Raises a ValueError if a field of params is not a whole number of at least `least` that fits int32."""
    for name in names:
        check_count(name, getattr(params, name), least)


def check_number(argument: str, value: Any, most: float = math.inf, is_zero_allowed: bool = True) -> None:
    """Raises a ValueError unless a value is a finite number from 0 to `most`, or is 0 where that is not allowed."""
    span = ("a number of at least 0", "a finite number above 0")
    if most < math.inf:
        span = (f"a number from 0 to {most}", f"a number above 0 and at most {most}")
    is_fit = is_number(value) and 0 <= value <= most and (value > 0 or is_zero_allowed)
    fits = "" if most < MOST_COUNT else "; whole numbers fit int32, others float32"
    require(is_fit, argument, value, (span[0] if is_zero_allowed else span[1]) + fits)


def check_numbers(params: Any, most: float, *names: str, is_zero_allowed: bool = True) -> None:
    """Raises a ValueError if a field of params is not a finite number from 0 to `most`, or is 0 where that is not."""
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
    """Returns a number of agents from 1 to `most`; raises a ValueError for anything else."""
    return check_count("num_agents", value, most=most)


def check_kind(argument: str, value: Any, kind: type | tuple[type, ...], allowed: str) -> None:
    """Raises a ValueError unless a value is an instance of a class, or of one of several."""
    require(isinstance(value, kind), argument, value, allowed)


def check_key(key: Any) -> None:
    """Raises a ValueError unless `key` is one JAX PRNG key: of `jax.random.key`, or of `jax.random.PRNGKey`."""
    is_key = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    is_legacy = isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32 and key.shape in ((2,), (4,))
    what = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array | np.ndarray) else key
    require(is_key or is_legacy, "key", what, "one JAX PRNG key, such as jax.random.key(0); a batch needs jax.vmap")


def numbers_from(value: Any) -> np.ndarray | None:
    """Anything that holds numbers, or bools, as an array of float64; None where it is ragged or holds anything else."""
    try:
        numbers = np.asarray(value)
    except Exception:  # ragged lists, traced arrays, keys: NumPy and JAX raise errors of many kinds
        return None
    return numbers.astype(np.float64) if numbers.dtype.kind in "biuf" else None
