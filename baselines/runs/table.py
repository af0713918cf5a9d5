"""metrics.csv: one row for each update and seed, on disk as soon as the update is done.

Columns: seed, update (from 1), env_steps (of this seed so far), return_collective (the sum over agents), return_0, ...
of each agent, the four social metrics, tagged_steps_0, ... (steps of an episode after which each agent was timed out),
the losses, whatever else the algorithm reports, env_steps_per_second (of this seed) and wall_seconds (of training so
far, compiling apart). A cell is empty where a value is not a number, such as a return in an update in which no episode
ended.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from baselines.disk.writing import GrowingFile, has_other_names, write_file
from jaxdilemmas.arguments import show
from jaxdilemmas.metrics import SOCIAL_METRICS

TIMING_COLUMNS = ("env_steps_per_second", "wall_seconds")
"""The only columns in which two runs of one seed on one device differ."""

_NEEDED = {"seed", "update", "env_steps", "return_collective", "wall_seconds"}
"""Columns of every table."""

_NUMBER = re.compile(r"-?(\d+\.?\d*(e[+-]?\d+)?|inf)")
"""What `_cell` writes."""

_INTEGER_COLUMNS = ("seed", "update", "env_steps")
_LEADING_COLUMNS = (
    *_INTEGER_COLUMNS,
    "return_collective",
    "return",
    *SOCIAL_METRICS,
    "tagged_steps",
    "policy_loss",
    "value_loss",
    "entropy",
)


class StoredRows(NamedTuple):
    """What a metrics.csv holds: whole updates alone.

    Attributes:
      header: names of the columns; empty if there is no row.
      lines: a row each, in the order of updates and seeds.
      num_seeds: S, rows of an update.
    """

    header: str
    lines: list[str]
    num_seeds: int

    @property
    def last_update(self) -> int:
        """The number of the last update; 0 without rows."""
        return len(self.lines) // self.num_seeds

    def content(self, update: int) -> bytes:
        """The file up to an update."""
        lines = [self.header, *self.lines[: update * self.num_seeds]] if self.header and update else []
        return "".join(f"{line}\n" for line in lines).encode()

    def wall_seconds(self, update: int) -> float:
        """Of training, up to an update."""
        if not update:
            return 0.0
        cells = self.lines[update * self.num_seeds - 1].split(",")
        return float(cells[self.header.split(",").index("wall_seconds")] or 0.0)


class MetricsTable:
    """Adds rows to metrics.csv, each update as a whole or not at all.

    The file never gets shorter. Where rows are written anew, after a checkpoint that is older than the last row, they
    go to a file beside it, which replaces metrics.csv as soon as it holds as many rows. The same is done where
    metrics.csv has another name, as in a copy by hard links, so that the file of that name stays as it is.

    Args:
      path: the file.
      stored: its rows; see `read_rows`.
      update: rows after it are written anew.
      seeds: the S seeds that run side by side.

    Raises:
      OSError: it cannot be written.
    """

    def __init__(self, path: Path, stored: StoredRows, update: int, seeds: Sequence[int]) -> None:
        self._path, self._stored, self._update = path, stored, update
        self._seeds = np.array(seeds)
        self._content = hashlib.sha256(stored.content(update))
        self._header = stored.header if update else ""
        if path.is_file() and path.stat().st_size == len(stored.content(update)) and not has_other_names(path):
            self._file = GrowingFile(path, is_new=False)
            return
        beside = path.with_name(f".{path.stem}.again{path.suffix}")
        beside.unlink(missing_ok=True)
        self._file = GrowingFile(beside, is_new=True)
        self._append(stored.content(update), update)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all rows so far, 32 bytes."""
        return self._content.digest()

    def settle(self) -> None:
        """Puts what is written so far on the disk, with rows that are still to be written anew behind it."""
        if self._file.path != self._path:
            rest = self._stored.lines[self._update * self._stored.num_seeds :]
            write_file(self._path, self._file.path.read_bytes() + "".join(f"{line}\n" for line in rest).encode())

    def _append(self, content: bytes, update: int) -> None:
        self._file.append(content)
        self._update = update
        if self._file.path != self._path and update >= self._stored.last_update:
            self._file.rename(self._path)

    def write(
        self, update: int, metrics: Mapping[str, np.ndarray], timing: Mapping[str, float]
    ) -> dict[str, np.ndarray]:
        """Adds a row for each seed.

        Args:
          update: the number of the update, from 1.
          metrics: `[S]` or `[S, N]` arrays.
          timing: the timing columns, the same for all seeds.

        Returns:
          What was written, `[S]` arrays by column, in the order of the columns.

        Raises:
          ValueError: the file has other columns.
        """
        same_for_all = {"update": update, **timing}
        values = flatten_metrics(metrics) | {"seed": self._seeds}
        values |= {name: np.full(len(self._seeds), value) for name, value in same_for_all.items()}
        values = {name: values[name] for name in sorted(values, key=_rank)}
        header = ",".join(values)
        lines = [] if self._header else [header]
        self._header = self._header or header
        if header != self._header:
            raise ValueError(f"{self._path} has the columns {self._header}, which differ from {header}")
        for i in range(len(self._seeds)):
            lines.append(",".join(_cell(name, column[i]) for name, column in values.items()))
        content = "".join(f"{line}\n" for line in lines).encode()
        self._append(content, update)
        self._content.update(content)
        return values

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        if self._file.path != self._path:
            self._file.path.unlink(missing_ok=True)


def flatten_metrics(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One `[S]` array a column: `[S, N]` arrays become N of them, numbered.

    `episode_return` becomes return_0, ..., and return_collective, their sum.
    """
    columns: dict[str, np.ndarray] = {}
    for name, value in metrics.items():
        if name == "episode_return":
            columns["return_collective"] = value.sum(axis=1)
        prefix = "return" if name == "episode_return" else name
        if value.ndim == 1:
            columns[prefix] = value
        else:
            columns |= {f"{prefix}_{i}": value[:, i] for i in range(value.shape[1])}
    return columns


def read_metrics(path: Path) -> dict[str, np.ndarray]:
    """The columns of metrics.csv as float64 arrays; empty cells are NaN.

    Raises:
      ValueError: the file is missing, holds no rows, or a row that is not as it should be; the message names it.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    header, *lines = _whole_lines(path) or [""]
    if not lines:
        raise ValueError(f"{path} holds no rows")
    names = header.split(",")
    rows = [_numbers(path, number, line, names) for number, line in enumerate(lines, start=2)]
    _check_header(path, header)
    return dict(zip(names, np.array(rows).T, strict=True))


def read_rows(path: Path, seeds: Sequence[int]) -> StoredRows:
    """The rows of a metrics.csv that may be cut off in its last update; without a file there are none.

    Args:
      path: the file.
      seeds: the S seeds whose rows it holds.

    Raises:
      ValueError: it is no table of metrics, or a row is missing, double or not as it should be; the message names the
        file and the line.
    """
    header, *lines = (_whole_lines(path) if path.is_file() else []) or [""]
    if header:
        _check_header(path, header)
    names = header.split(",")
    for i, line in enumerate(lines):
        numbers = dict(zip(names, _numbers(path, i + 2, line, names), strict=True))
        update, seed = i // len(seeds) + 1, seeds[i % len(seeds)]
        if (numbers["update"], numbers["seed"]) != (update, seed):
            found = f"update {numbers['update']:g} of seed {numbers['seed']:g}"
            raise ValueError(f"{path}, line {i + 2}: it is of {found}, where update {update} of seed {seed} is due")
    return StoredRows(header if lines else "", lines[: len(lines) // len(seeds) * len(seeds)], len(seeds))


def _whole_lines(path: Path) -> list[str]:
    """All lines but one at the end that is cut off."""
    return path.read_bytes().decode("utf-8", "replace").split("\n")[:-1]


def _numbers(path: Path, number: int, line: str, names: list[str]) -> list[float]:
    cells = line.split(",")
    if len(cells) != len(names):
        raise ValueError(f"{path}, line {number}: {len(cells)} cells under {len(names)} columns")
    for name, cell in zip(names, cells, strict=True):
        if cell and not _NUMBER.fullmatch(cell):
            raise ValueError(f"{path}, line {number}: {name}={show(cell)} is not allowed: a number, or nothing")
    return [float(cell or "nan") for cell in cells]


def _check_header(path: Path, header: str) -> None:
    missing = sorted(_NEEDED - set(header.split(",")))
    if missing:
        raise ValueError(f"{path} is no table of metrics: its header is {show(header)}, without {missing[0]!r}")


def _rank(name: str) -> tuple[int, str, int]:
    """Well-known columns first, then what else the algorithm reports by name, timing last."""
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", name)
    assert match
    stem, number = match.groups()
    order = [*_LEADING_COLUMNS, "", *TIMING_COLUMNS]
    return order.index(stem if stem in order else ""), stem, int(number or 0)


def _cell(name: str, value: Any) -> str:
    if name in _INTEGER_COLUMNS:
        return str(round(float(value)))
    return "" if math.isnan(value) else f"{float(value):.9g}"
