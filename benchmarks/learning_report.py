"""Writes the table and draws the pictures of `benchmarks.learning`, from its rows and its runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.analysis.tables import format_value, markdown_table
from baselines.compare import choose_columns, draw_comparison
from baselines.disk.writing import save_figure
from baselines.runs.curves import curves_of_seeds, plot_learning_curve
from baselines.runs.directory import RunDirectory
from baselines.runs.table import read_metrics
from benchmarks.learning_cases import EXPERIMENTS
from jaxdilemmas.environment import require

BEGIN, END = "<!-- learning: begin, written by benchmarks.learning -->", "<!-- learning: end -->"
"""The lines around the part of the page that is written."""


def write_table(rows_path: Path, page: Path) -> None:
    """Writes the last row of every experiment into the table of the page, between `BEGIN` and `END`.

    Raises:
      ValueError: one of the two lines is not in the page.
    """
    lines = rows_path.read_text(encoding="utf-8").splitlines() if rows_path.is_file() else []
    rows = {row["game"]: row for row in map(json.loads, lines) if "before" in row and row["game"] in EXPERIMENTS}
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    require(bool(begin and end), "page", str(page), f"it must have the lines {BEGIN} and {END}")
    last = [rows[name] for name in EXPERIMENTS if name in rows]
    notes = [f"- `{row['game']}`: {note}\n" for row in last if (note := EXPERIMENTS[row["game"]].note)]
    parts = [before, BEGIN, "\n", markdown_table([table_row(row) for row in last]), "\n", *notes, END, after]
    page.write_text("".join(parts), encoding="utf-8")


def table_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turns a row of results into a row of the table."""
    half = "" if row["low"] is None else f" ± {(row['high'] - row['low']) / 2:.3g}"
    seeds = row["seeds"]
    each = ", ".join(f"{value:.4g}" for value in row["each"]["collective_return"])
    return {
        "experiment": f"`{row['game']}`",
        "random": row["random"],
        "best selfish script": _scripted(row, "selfish"),
        "cooperative script": _scripted(row, "cooperative"),
        "IPPO before": row["before"],
        "IPPO after": f"**{row['collective_return']:.4g}{half}** ({each})",
        "above both": verdict(row),
        "env steps": f"{row['env_steps'] / 1e6:.3g}M",
        "seeds": f"{seeds[0]} to {seeds[-1]}",
        "seconds, all seeds": f"{row['seconds']:.0f}",
    }


def verdict(row: Mapping[str, Any]) -> str:
    """Whether the return of trained agents is above those of random play and of the best selfish scripted policy."""
    bar = max(row["random"], row["random"] if row["selfish"] is None else row["selfish"])
    if row["low"] is not None and row["low"] > bar:
        return "yes"
    return "the mean" if row["collective_return"] > bar else "no"


def _scripted(row: Mapping[str, Any], kind: str) -> str:
    """The return of a scripted policy and its name."""
    names = [name for name, value in row["scripted"].items() if value == row[kind] and name != "random"]
    return f"{format_value(row[kind])} ({names[0]})" if names else ""


def draw(experiments: Mapping[str, RunDirectory], path: Path) -> None:
    """Draws the returns and metrics of one experiment, all seeds, or compares several (`draw_comparison`)."""
    if len(experiments) > 1:
        curves = {name: curves_of_seeds(read_metrics(directory.metrics)) for name, directory in experiments.items()}
        names = choose_columns([curve for seeds in curves.values() for curve in seeds])
        save_figure(path, draw_comparison(curves, names))
        return
    ((experiment, directory),) = experiments.items()
    plot_learning_curve(directory.metrics, path, experiment.replace("_", " "))
