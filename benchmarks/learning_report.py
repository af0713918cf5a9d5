"""Writes the table and draws the pictures of `benchmarks.learning`, from its rows and its runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.analysis.intervals import estimate_mean
from baselines.analysis.tables import format_value, markdown_table
from baselines.core.reported import EVENTS
from baselines.runs.curves import plot_learning_curve
from baselines.runs.directory import RunDirectory
from baselines.runs.table import read_metrics
from benchmarks.learning_cases import EXPERIMENTS
from jaxdilemmas.environment import require
from jaxdilemmas.metrics import SOCIAL_METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEGIN, END = "<!-- learning: begin, written by benchmarks.learning -->", "<!-- learning: end -->"
"""The lines around the part of the page that is written."""

PANELS = {name: event.label for name, event in EVENTS.items() if event.label} | {name: name for name in SOCIAL_METRICS}
"""The panels of the picture of several experiments, with titles: rates, summed over agents, and the four metrics."""


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
    """Draws the returns and metrics of one experiment, all seeds, or compares several experiments (`compare`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(experiments) > 1:
        compare(experiments, path)
        return
    ((experiment, directory),) = experiments.items()
    plot_learning_curve(directory.metrics, path, experiment.replace("_", " "))


def compare(experiments: Mapping[str, RunDirectory], path: Path) -> None:
    """Draws the curves of several experiments into one picture: means over seeds with 95 % confidence bands."""
    from matplotlib.figure import Figure

    curves = {experiment: read_curves(directory.metrics) for experiment, directory in experiments.items()}
    names = [name for name in PANELS if all(name in curve for seeds in curves.values() for curve in seeds)]
    figure = Figure(figsize=(12, 6), layout="constrained")
    grid = figure.subplots(2, -(-len(names) // 2)).flat
    for name, panel in zip(names, grid, strict=False):
        for experiment, seeds in curves.items():
            draw_band(panel, seeds[0]["env_steps"] / 1e6, np.array([curve[name] for curve in seeds]), experiment)
        panel.set_title(PANELS[name], fontsize="medium")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
    for panel in list(grid):
        panel.axis("off")
    figure.supxlabel("million env steps")
    figure.axes[0].legend()
    figure.savefig(path, dpi=100)


def read_curves(metrics_path: Path) -> list[dict[str, np.ndarray]]:
    """The panels of each seed and `env_steps`, one number for each round of episodes; all environments end together.

    Rates are sums over agents and means over the updates of the round. The metrics are those of the round's last
    update.
    """
    table = read_metrics(metrics_path)
    seeds = [table["seed"] == seed for seed in np.unique(table["seed"])]
    return [_read_curve({name: column[is_own] for name, column in table.items()}) for is_own in seeds]


def _read_curve(table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    is_end = ~np.isnan(table["efficiency"])
    updates = int(is_end.argmax()) + 1
    rounds = len(is_end) // updates
    curves = {}
    for name in ("env_steps", *PANELS):
        agents = [column for key, column in table.items() if key.rpartition("_")[0] == name]
        if agents or name in table:
            values = np.sum(agents, axis=0) if agents else table[name]
            values = values[: rounds * updates].reshape(rounds, updates)
            curves[name] = values.mean(1) if agents else values[:, -1]
    return curves


def draw_band(panel: "Axes", env_steps: np.ndarray, values: np.ndarray, label: str) -> None:
    """Draws the mean over seeds of `values` `[S, T]` and, if there are several seeds, its 95 % confidence interval."""
    (line,) = panel.plot(env_steps, values.mean(0), label=label)
    if len(values) > 1:
        _, low, high = np.transpose([estimate_mean(column) for column in values.T])
        panel.fill_between(env_steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
