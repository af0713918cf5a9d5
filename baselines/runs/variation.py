"""Many settings in one program: `--vary learning_rate=1e-3,3e-4` trains each combination beside the others.

A combination is an ordinary run, with a directory of its own. Numbers that vary are arrays in the program, with an
entry for each combination and seed.
"""

import ast
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines.core.trainer import Trainer, Varied
from jaxdilemmas.arguments import is_number, require
from jaxdilemmas.environment import Environment

FORM = "name=number,number,..., each name once, of a setting that is a number or of a number in the rules of the game"

MOST_COMBINATIONS = 1000
"""Combinations of values; our choice."""


class Combination(NamedTuple):
    """One value for each name that varies.

    Attributes:
      values: by name.
      config: the settings of the learner.
      env_kwargs: keyword arguments of the game.
      env_params: numbers in the rules.
    """

    values: dict[str, float]
    config: Any
    env_kwargs: dict[str, Any]
    env_params: Any

    @property
    def label(self) -> str:
        """The name of its directory."""
        return label_of(self.values)


def label_of(values: Mapping[str, float]) -> str:
    """The name of the directory of a combination, such as discount_0.9-learning_rate_0.001."""
    return "-".join(f"{name}_{_plain(value)}" for name, value in sorted(values.items()))


def _plain(value: float) -> str:
    """A whole number without a decimal point, whether it is an int or a float."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def parse_combinations(texts: Sequence[str]) -> list[dict[str, float]]:
    """Reads what varies: all combinations of the values of each name.

    Raises:
      ValueError: a text is not of the form `FORM`, a name or a value comes twice, or there are too many.
    """
    values: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        numbers = [_number_from(number) for number in listed.split(",")]
        is_fit = bool(equals) and name.isidentifier() and name not in values and None not in numbers
        require(is_fit and len(set(numbers)) == len(numbers), "vary", text, f"{FORM}; each number once")
        values[name] = tuple(number for number in numbers if number is not None)
    combinations = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    require(len(combinations) <= MOST_COMBINATIONS, "vary", texts, f"at most {MOST_COMBINATIONS:,} combinations")
    return combinations


def _number_from(text: str) -> float | None:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if is_number(value) else None


def make_combination(
    values: Mapping[str, float], config: Any, env: Environment, env_kwargs: Mapping[str, Any], make: Callable[..., Any]
) -> Combination:
    """The settings and the rules with these values.

    Args:
      values: by name.
      config: the settings otherwise.
      env: the game otherwise.
      env_kwargs: its keyword arguments.
      make: keyword arguments -> the game.

    Raises:
      ValueError: a name is unknown, cannot vary, or is that of a setting and of a rule; or a value is not allowed.
    """
    settings = {name for name in vars(config) if isinstance(getattr(config, name), float)}
    fields = {field.name for field in dataclasses.fields(env.default_params)}
    for name, value in values.items():
        both = f"a name of one thing: it is a setting of the learner and a number in the rules of {type(env).__name__}"
        require(not (name in settings and name in fields), "vary", name, both)
        known = f"one of the settings {', '.join(sorted(settings))} or of the rules {', '.join(sorted(fields)) or '-'}"
        require(name in settings | fields, "vary", f"{name}={value!r}", known)
        needed = config.without_effect.get(name)
        require(needed is None, "vary", f"{name}={value!r}", f"a setting that something reads; {name} needs {needed}")
    config = dataclasses.replace(config, **{name: float(value) for name, value in values.items() if name in settings})
    kwargs = dict(env_kwargs) | {name: value for name, value in values.items() if name in fields}
    env_params = make(**kwargs).default_params if kwargs != env_kwargs else env.default_params
    return Combination(
        {name: float(v) if name in settings else v for name, v in values.items()}, config, kwargs, env_params
    )


def stack(combinations: Sequence[Combination], num_seeds: int) -> Varied:
    """What varies as arrays `[L]`, the seeds of one combination after another."""
    names = [name for name in combinations[0].values if name in vars(combinations[0].config)]
    settings = {name: [getattr(each.config, name) for each in combinations] for name in names}
    lanes: dict[str, Any] = {
        name: np.repeat(np.asarray(values, np.float32), num_seeds) for name, values in settings.items()
    }

    def join(*leaves: Any) -> np.ndarray:
        return np.repeat(np.stack([np.asarray(jnp.asarray(leaf)) for leaf in leaves]), num_seeds, axis=0)

    return Varied(lanes, jax.tree.map(join, *(each.env_params for each in combinations)))


def vary(make_trainer: Callable[[Any], Trainer], config: Any) -> Trainer:
    """A trainer that takes its numbers from a `Varied` in place of `env_params`.

    Args:
      make_trainer: settings -> the trainer.
      config: the settings that do not vary.
    """

    def with_values(varied: Varied) -> Trainer:
        return make_trainer(dataclasses.replace(config, **varied.settings))

    def init(key: jax.Array, varied: Varied) -> Any:
        return with_values(varied).init(key, varied.env_params)

    def update(train_state: Any, varied: Varied) -> tuple[Any, dict[str, jax.Array]]:
        return with_values(varied).update(train_state, varied.env_params)

    return Trainer(init, update)
