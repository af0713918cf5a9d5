"""Rows of results as CSV files and as text: a row is a dict of text, numbers and `Estimate`s by column."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.analysis.intervals import Estimate, mean_over_seeds
from baselines.disk.writing import write_file
from jaxdilemmas.arguments import check_kind, require

Row = dict[str, Any]


def group_by(rows: Iterable[Row], names: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by their values of these columns, in order of appearance."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def estimate(rows: Iterable[Row], name: str) -> Estimate:
    """The mean of a column over the rows that have a number there; a single number has no interval."""
    values = np.array([row[name] for row in rows if math.isfinite(row.get(name, math.nan))], np.float64)
    return mean_over_seeds(values) if len(values) else Estimate(math.nan, math.nan, math.nan)


def flatten(row: Row) -> Row:
    """A row with a column for each number: an `Estimate` x has x_mean, x_low and x_high. None stands for no number.

    Raises:
      ValueError: this is no row.
    """
    check_kind("row", row, Mapping, "a dict of values by column")
    flat: Row = {}
    for name, value in row.items():
        numbers = {name: value}
        if isinstance(value, Estimate):
            numbers = {f"{name}_{part}": number for part, number in value._asdict().items()}
        flat |= {column: None if _is_nan(number) else number for column, number in numbers.items()}
    return flat


def check_rows(rows: Any) -> None:
    """Raises a ValueError unless these are rows that all have the same columns."""
    check_kind("rows", rows, (list, tuple), "a list of rows")
    for index, row in enumerate(rows):
        check_kind(f"rows[{index}]", row, Mapping, "a dict of values by column")
        is_alike = list(row) == list(rows[0])
        require(is_alike, f"columns of rows[{index}]", list(row), f"those of the first row, {list(rows[0])}")


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Writes flattened rows, all with the same columns; cells are empty where there is no number.

    Raises:
      ValueError: these are no such rows.
    """
    check_kind("rows", rows, (list, tuple), "a list of rows")
    flat = [flatten(row) for row in rows]
    check_rows(flat)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, flat[0] if flat else [])
    writer.writeheader()
    writer.writerows(flat)
    write_file(path, text.getvalue())


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows, all with the same columns, as a table in Markdown.

    Raises:
      ValueError: these are no such rows.
    """
    check_rows(rows)
    if not rows:
        return "none\n"
    cells = [list(rows[0]), ["---"] * len(rows[0])]
    cells += [[format_value(value) for value in row.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def spread(rows: Sequence[Row], index: Sequence[str], across: str, value: str) -> list[Row]:
    """A long table as a wide one.

    Args:
      rows: at most one for each combination of `index` and `across`.
      index: columns that are kept, a row for each combination.
      across: a column whose entries become columns, in order of appearance.
      value: what stands in them; NaN where a combination is missing.

    Raises:
      ValueError: a combination is there twice, or a column is unknown.
    """
    check_kind("rows", rows, (list, tuple), "a list of rows")
    check_kind("index", index, (list, tuple), "names of columns")
    for row in rows:
        check_kind("rows", row, Mapping, "a list of dicts of values by column")
        for argument, name in [*(("index", name) for name in index), ("across", across), ("value", value)]:
            require(name in list(row), argument, name, f"a column of every row, which are {', '.join(map(str, row))}")
    combinations = [tuple(row[name] for name in (*index, across)) for row in rows]
    twice = [found for found in combinations if combinations.count(found) > 1]
    require(not twice, "rows", twice[:1], "each combination of index and across at most once")
    holes = dict.fromkeys((str(row[across]) for row in rows), float("nan"))
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        kept = {name: row[name] for name in index}
        found.setdefault(tuple(kept.values()), kept | holes)[str(row[across])] = row[value]
    return list(found.values())


def format_value(value: Any) -> str:
    """A number with four digits, an `Estimate` with its interval, nothing for what is not a number."""
    if isinstance(value, Estimate):
        return f"{format_value(value.mean)}{_format_interval(value)}"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _format_interval(estimate: Estimate) -> str:
    """Half of it where it is symmetric, else both ends."""
    mean, low, high = estimate
    if math.isnan(low):
        return ""
    is_symmetric = math.isclose(high - mean, mean - low, rel_tol=1e-6)
    half = float(f"{high - mean:.2g}")  # two digits, but 200 in place of 2e+02
    return f" ± {half:.4g}" if is_symmetric else f" [{low:.3g}, {high:.3g}]"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
