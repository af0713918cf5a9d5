"""The space of a sweep: a TOML file that lists the values of settings.

    [space]
    learning_rate = {log_uniform = [1e-4, 1e-2]}
    value_coefficient = {uniform = [0.25, 1.0]}
    num_epochs = {integers = [1, 4]}
    entropy_coefficient = [0.0, 0.01]

    [settings]
    total_env_steps = 100000

A list contains the values to choose from; of a range both ends belong to it. `[settings]` are the same in all trials.
"""

import itertools
import json
import math
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from baselines.disk.schema import as_tuples, parts_not_plain, read_json
from baselines.disk.writing import read_file
from jaxdilemmas.arguments import is_number, require

MOST_POINTS = 1000
"""Of a grid, and of the combinations of values and ends that are checked; our choice."""

KINDS = ("uniform", "log_uniform", "integers")
"""Of ranges."""

ENTRY = "a list of different values, or one range {uniform = [low, high]}, {log_uniform = ...} or {integers = ...}"

DIGITS = 3
"""Of a number from a range that is not whole."""


class Dimension(NamedTuple):
    """The values of one setting: of the kind "choices" these values, of a range from the first to the last of two."""

    kind: str
    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at a share of the way, from 0 to 1 without 1."""
        if self.kind == "choices":
            return self.values[int(share * len(self.values))]
        low, high = self.values
        if self.kind == "integers":
            return low + int(share * (high - low + 1))
        return self.rounded(low * (high / low) ** share if self.kind == "log_uniform" else low + (high - low) * share)

    def has(self, value: Any) -> bool:
        """Whether a value is among those of the choices, or in the range."""
        if self.kind == "choices":
            return value in self.values
        return is_number(value) and self.values[0] <= value <= self.values[1]

    def rounded(self, value: float) -> float:
        """A number of the range with few digits."""
        return min(max(float(f"{value:.{DIGITS}g}"), self.values[0]), self.values[1])


class Space(NamedTuple):
    """What a file of a space contains.

    Attributes:
      path: the file, which errors name.
      dimensions: what varies, by the name of the setting.
      settings: the same in all trials, by name.
    """

    path: Path
    dimensions: dict[str, Dimension]
    settings: dict[str, Any]

    @property
    def grid(self) -> list[dict[str, Any]]:
        """All combinations; raises a ValueError if there is a range, or if there are too many."""
        for name, dimension in self.dimensions.items():
            require(
                dimension.kind == "choices", f"{self.path}: {name}", dimension.kind, "a grid needs a list of values"
            )
        size = math.prod(len(dimension.values) for dimension in self.dimensions.values())
        require(size <= MOST_POINTS, f"{self.path}: the size of the grid", size, f"at most {MOST_POINTS:,}")
        return self.combinations

    def random_point(self, seed: int, number: int) -> dict[str, Any]:
        """The point of a trial in a random search."""
        shares = np.random.default_rng((seed, number)).random(len(self.dimensions))
        return {name: each.at(share) for (name, each), share in zip(self.dimensions.items(), shares, strict=True)}

    @property
    def single_points(self) -> list[dict[str, Any]]:
        """Each value with the first ones of the other settings; of a range both ends."""
        first = {name: dimension.values[0] for name, dimension in self.dimensions.items()}
        return [first | {name: value} for name, dimension in self.dimensions.items() for value in dimension.values]

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """All combinations of values and ends; if there are more than `MOST_POINTS`, so many that are drawn."""
        values = [dimension.values for dimension in self.dimensions.values()]
        sizes = [len(each) for each in values]
        if math.prod(sizes) <= MOST_POINTS:
            return [dict(zip(self.dimensions, each, strict=True)) for each in itertools.product(*values)]
        drawn = np.random.default_rng(0).integers(sizes, size=(MOST_POINTS, len(sizes)))
        return [{name: each[i] for name, each, i in zip(self.dimensions, values, row, strict=True)} for row in drawn]

    def config_at(self, point: dict[str, Any], base: dict[str, Any], config_class: type) -> Any:
        """The settings of a learner at a point.

        Args:
          point: values by name.
          base: settings that hold where the file has none.
          config_class: of the learner.

        Raises:
          ValueError: a name is unknown or a value is not allowed; the message names the file.
        """
        return read_json(self.path, json.dumps(base | self.settings | point), config_class)


def read_space(path: Path) -> Space:
    """Reads a file; it is data alone.

    Raises:
      ValueError: it is no TOML, or an entry is not as it should be; the message names the file and the entry.
      OSError: it cannot be read.
    """
    content = read_file(path)
    try:
        found = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or too deep
        raise ValueError(f"{path} is not TOML: {error}") from None
    for name, table in found.items():
        require(name in ("space", "settings"), f"{path}: table", name, "space or settings")
        require(isinstance(table, dict), f"{path}: {name}", table, "a table of settings by name")
        for part, value in parts_not_plain(name, table):
            require(False, f"{path}: {part}", value, "text, a finite number, true, false, or a list of these")
    require(bool(found.get("space")), f"{path}: space", found.get("space"), "a table with at least one setting")
    both = sorted(found["space"].keys() & found.get("settings", {}).keys())
    require(not both, f"{path}: settings", both, "settings that are not in the space")
    dimensions = {name: _dimension(f"{path}: {name}", entry) for name, entry in found["space"].items()}
    return Space(path, dimensions, found.get("settings", {}))


def _dimension(name: str, entry: Any) -> Dimension:
    if isinstance(entry, list):
        values = as_tuples(entry)
        require(len(set(map(repr, values))) == len(values) > 0, name, entry, ENTRY)
        return Dimension("choices", values)
    is_range = isinstance(entry, dict) and len(entry) == 1 and set(entry) <= set(KINDS)
    require(is_range, name, entry, ENTRY)
    ((kind, ends),) = entry.items()
    is_pair = isinstance(ends, list) and len(ends) == 2 and all(is_number(end) for end in ends) and ends[0] < ends[1]
    require(is_pair, f"{name}.{kind}", ends, "two numbers, the smaller one first")
    is_whole = all(isinstance(end, int) for end in ends)
    require(kind != "integers" or is_whole, f"{name}.{kind}", ends, "two whole numbers")
    require(kind != "log_uniform" or ends[0] > 0, f"{name}.{kind}", ends, "two numbers above 0")
    return Dimension(kind, tuple(ends if kind == "integers" else map(float, ends)))
