"""metrics.csv: one row for each update and seed, on disk as soon as the update is done.

Columns: seed, update (from 1), env_steps (of this seed so far), return_collective (the sum over agents), return_0, ...
of each agent, the four social metrics, tagged_steps_0, ... (steps of an episode after which each agent was timed out),
the losses, whatever else the algorithm reports, env_steps_per_second (of this seed) and wall_seconds (of training so
far, compiling apart). A cell is empty where a value is not a number, such as a return in an update in which no episode
ended.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

TIMING_COLUMNS = ("env_steps_per_second", "wall_seconds")
"""The only columns in which two runs of one seed on one device differ."""

_INTEGER_COLUMNS = ("seed", "update", "env_steps")
_LEADING_COLUMNS = (
    *_INTEGER_COLUMNS,
    "return_collective",
    "return",
    "efficiency",
    "equality",
    "sustainability",
    "peace",
    "tagged_steps",
    "policy_loss",
    "value_loss",
    "entropy",
)


class MetricsTable:
    """Adds rows to metrics.csv.

    Args:
      path: the file; it is continued if it exists.
      seeds: the S seeds that run side by side.
    """

    def __init__(self, path: Path, seeds: Sequence[int]) -> None:
        self._seeds = np.array(seeds)
        self._path = path
        self._header = path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else ""
        self._file = path.open("a", encoding="utf-8", newline="")

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
        self._file.write("\n".join(lines) + "\n")
        self._file.flush()
        return values

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


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
      ValueError: the file is missing, holds no rows, or one that is cut off.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    if not rows:
        raise ValueError(f"{path} holds no rows")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise ValueError(f"{path}, line {number}: {len(row)} cells under {len(names)} columns")
    cells = np.array([[cell or "nan" for cell in row] for row in rows], float)
    return dict(zip(names, cells.T, strict=True))


def drop_rows_after(path: Path, update: int) -> float:
    """Removes the rows of later updates than `update`, and a line that is cut off, from metrics.csv.

    Returns:
      wall_seconds of the last row that is kept; 0 if there is none.

    Raises:
      ValueError: the file lacks the rows up to `update`, or its header is not that of a metrics.csv.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    header, *lines = [line for line in lines if line.endswith("\n")] or [""]
    names = header.strip().split(",")
    if header and not {"seed", "update", "wall_seconds"} <= set(names):
        raise ValueError(f"{path} is no table of metrics: its header is {header.strip()!r}")
    rows = [dict(zip(names, line.strip().split(","), strict=False)) for line in lines]
    kept = [row for row in rows if int(row["update"]) <= update]
    if update and (not kept or int(kept[-1]["update"]) < update):
        raise ValueError(f"{path} is missing, or lacks the rows up to the checkpoint after update {update}")
    path.write_text("".join([header, *lines[: len(kept)]]) if kept else "", encoding="utf-8")
    return float(kept[-1]["wall_seconds"]) if kept else 0.0


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
