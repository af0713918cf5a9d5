"""What follows from the rows of the study of MAMQL, as rows of tables."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from baselines.analysis.schelling import Estimate
from baselines.analysis.tables import Row
from baselines.study.findings import mean_over_seeds
from baselines.study.mamql.options import Options, Stage

NAN = float("nan")

PUBLISHED: dict[tuple[str, str, int], float] = {
    **{("gems", "mamql", size): value for size, value in ((1000, 8.54), (10_000, 12.75), (20_000, 13.06))},
    **{("gems", "iq_learn_joint", size): value for size, value in ((1000, 2.36), (10_000, 7.30), (20_000, 11.45))},
    **{
        ("intersection", "mamql", size): value
        for size, value in ((5000, 1.49), (20_000, 1.60), (35_000, 1.68), (50_000, 1.67), (70_000, 1.71))
    },
    **{
        ("intersection", "iq_learn_joint", size): value
        for size, value in ((5000, -2.02), (20_000, -1.90), (35_000, -1.65), (50_000, 0.06), (70_000, 0.31))
    },
}
"""Policy average reward by game, method and transitions, read off the README figures of USC-Lira/ma-mql @ 7f3da20 to
within 0.05; its "IQL MA" stands beside our IQ-Learn with joint actions. Its unit for Overcooked cannot be told."""

GROUP = ("game", "expert", "method", "size")


def read_rows(options: Options) -> list[Row]:
    """All rows of the chosen stages that are done, in the order of the pieces."""
    files = [options.row_file(piece) for piece in options.pieces]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]


def of_stage(rows: Iterable[Row], stage: Stage) -> list[Row]:
    """Those of one stage."""
    return [row for row in rows if row["stage"] == stage]


def run_rows(rows: list[Row]) -> list[Row]:
    """One row for each piece, with the same columns: numbers, and means over agents of what is told per agent."""
    flat = []
    for row in rows:
        plain = {name: value for name, value in row.items() if not isinstance(value, dict | list)}
        flat.append(plain | row["numbers"] | agent_means(row))
    columns = dict.fromkeys(name for row in flat for name in row)
    return [{name: row.get(name, NAN) for name in columns} for row in flat]


def agent_means(row: Row) -> dict[str, float]:
    """Recovery scores of a piece, means over agents."""
    agents = row.get("agents", [])
    return {name: float(np.mean([agent[name] for agent in agents])) for name in (agents[0] if agents else {})}


def weight_rows(rows: list[Row]) -> list[Row]:
    """One row for each piece, agent and event."""
    plain = ("stage", *GROUP, "seed")
    return [{name: row[name] for name in plain} | weight for row in rows for weight in row.get("weights", [])]


def groups(rows: list[Row], names: tuple[str, ...] = GROUP) -> dict[tuple[Any, ...], list[Row]]:
    """Rows that differ in their seed alone, in order of appearance."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def estimate(rows: list[Row], read: Callable[[Row], float]) -> Estimate:
    """The mean over seeds of a number and its interval; seeds that lack it are left out."""
    values = np.array([read(row) for row in rows], np.float64)
    values = values[np.isfinite(values)]
    return mean_over_seeds(values) if len(values) else Estimate(NAN, NAN, NAN)


def summary_rows(rows: list[Row], names: tuple[str, ...], part: str = "numbers") -> list[Row]:
    """One row for each game, expert, method and size: means over seeds.

    Args:
      rows: of one stage.
      names: of numbers, or with `part` "agents" of recovery scores, means over agents.
      part: where they are found.
    """
    table = []
    for group, members in groups(rows).items():
        sources = [agent_means(row) if part == "agents" else row["numbers"] for row in members]
        if any(sources):
            row: Row = dict(zip(GROUP, group, strict=True)) | {"seeds": len(members)}
            table.append(row | {name: estimate(sources, lambda s, n=name: s.get(n, NAN)) for name in names})  # type: ignore[misc]
    return table


def return_rows(rows: list[Row]) -> list[Row]:
    """Returns by method, a row for each game, expert and size, beside the expert's and the published ones."""
    table = []
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for (game, expert, size), members in groups(rows, ("game", "expert", "size")).items():
        row: Row = {"game": game, "expert": expert, "size": size, "expert return": float(members[0]["expert_return"])}
        for method in methods:
            own = [member for member in members if member["method"] == method]
            row[method] = estimate(own, lambda r: r["numbers"]["return"])
        row["published mamql"] = PUBLISHED.get((game, "mamql", size), NAN)
        table.append(row | {"published iql-ma": PUBLISHED.get((game, "iq_learn_joint", size), NAN)})
    return table


def difference_rows(rows: list[Row], name: str = "return", first: str = "mamql") -> list[Row]:
    """What a method has more than each other, paired by seed, which draws the demonstrations.

    A verdict is "better" or "worse" if the 95 % interval of the difference leaves out 0, and else "undecided"; each for
    itself, without a correction for how many there are.
    """
    table = []
    for (game, expert, size), members in groups(rows, ("game", "expert", "size")).items():
        by_method = {(row["method"], row["seed"]): row["numbers"].get(name, NAN) for row in members}
        for other in dict.fromkeys(row["method"] for row in members):
            seeds = [seed for method, seed in by_method if method == other and (first, seed) in by_method]
            if other == first or not seeds:
                continue
            values = [{"gain": by_method[first, seed] - by_method[other, seed]} for seed in seeds]
            gain = estimate(values, lambda row: row["gain"])
            row = {"game": game, "expert": expert, "size": size, "than": other, "seeds": len(seeds)}
            table.append(row | {f"gain in {name}": gain, "verdict": verdict(gain)})
    return table


def verdict(gain: Estimate) -> str:
    """What an interval of a difference says."""
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "undecided"


def team_weight_rows(rows: list[Row]) -> list[Row]:
    """Weights of events by team, means over agents and then over seeds; relative to the largest of the team as well."""
    table = []
    for (game, expert, method, size), members in groups(rows).items():
        means = [_mean_weights(row["weights"]) for row in members if row.get("weights")]
        names = dict.fromkeys(name for weights in means for name in weights)
        estimates = {name: estimate(means, lambda w, n=name: w.get(n, NAN)) for name in names}  # type: ignore[misc]
        largest = max((abs(value.mean) for value in estimates.values()), default=NAN)
        for name, value in estimates.items():
            row = {"game": game, "team": expert, "method": method, "size": size, "event": name, "weight": value}
            table.append(row | {"relative": value.mean / largest if largest else NAN})
    return table


def _mean_weights(weights: list[Row]) -> dict[str, float]:
    by_event: dict[str, list[float]] = {}
    for row in weights:
        by_event.setdefault(row["event"], []).append(row["weight"])
    return {event: float(np.mean(values)) for event, values in by_event.items()}
