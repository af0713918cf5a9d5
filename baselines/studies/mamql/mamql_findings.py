"""What follows from the rows of the study of MAMQL, as rows of tables."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from baselines.analysis.dilemmas import Estimate
from baselines.analysis.tables import Row
from baselines.disk.schema import load_object
from baselines.studies.common_pool.findings import mean_over_seeds
from baselines.studies.mamql.options import Options, Stage

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
within 0.05; its "IQL MA" stands beside our IQ-Learn with joint actions. Its unit for Overcooked cannot be told; its
Intersection is another game than ours with another reward, and its numbers do not carry over."""

FIRST = "mamql"
"""The method that others are compared with."""

GROUP = ("game", "expert", "method", "size")


def read_rows(options: Options) -> list[Row]:
    """All rows of the chosen stages that are done, in the order of the pieces."""
    files = [options.row_file(piece) for piece in options.pieces]
    return [load_object(file) for file in files if file.is_file()]


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


WEIGHTS = {"constrained": "weights", "successor": "successor_weights"}
"""Regressions of rewards on events, and where rows have what they found."""


def weight_rows(rows: list[Row]) -> list[Row]:
    """One row for each piece, regression, agent and event."""
    plain = ("stage", *GROUP, "seed")
    return [
        {name: row[name] for name in plain} | {"regression": regression} | weight
        for row in rows
        for regression, place in WEIGHTS.items()
        for weight in row.get(place, [])
    ]


def gap_rows(rows: list[Row]) -> list[Row]:
    """One row for each piece whose demonstrations do not let rewards be told, and why."""
    return [{name: row[name] for name in ("stage", *GROUP, "seed", "gap")} for row in rows if "gap" in row]


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

    Returns:
      Beside the means `seeds`, how many the one of the fewest is of; numbers that no seed has do not count.
    """
    table = []
    for group, members in groups(rows).items():
        sources = [agent_means(row) if part == "agents" else row["numbers"] for row in members]
        if any(sources):
            estimates = {name: estimate(sources, lambda s, n=name: s.get(n, NAN)) for name in names}  # type: ignore[misc]
            row: Row = dict(zip(GROUP, group, strict=True)) | {"seeds": _least_count(sources, names)}
            table.append(row | estimates)
    return table


def _least_count(sources: list[Row], names: tuple[str, ...]) -> int:
    counts = [sum(bool(np.isfinite(source.get(name, NAN))) for source in sources) for name in names]
    return min((count for count in counts if count), default=0)


def play_rows(rows: list[Row], names: tuple[str, ...], speed: str = "env_steps_to_90") -> list[Row]:
    """As `summary_rows`, and how soon agents that play in training were good.

    Args:
      rows: of one stage.
      names: of numbers.
      speed: a number that seeds have if they got so far: `reached`, of how many that is so, nothing for
        methods that do not play, and the median, for which the others count as infinite; NaN where it is one of them.
    """
    table = summary_rows(rows, names)
    for row, members in zip(table, groups(rows).values(), strict=True):
        values = np.array([member["numbers"].get(speed, NAN) for member in members], np.float64)
        median = float(np.median(np.where(np.isnan(values), np.inf, values)))
        is_playing = any(member["numbers"].get("env_steps", 0) > 0 for member in members)
        row["reached"] = f"{int(np.isfinite(values).sum())} of {len(values)}" if is_playing else ""
        row[f"{speed}_median"] = median if np.isfinite(median) else NAN
    return table


NULLS: dict[str, Callable[[str], str]] = {
    "shared alone": lambda name: f"fixed_shared_{name}",
    "own + shared, 1:1": lambda name: f"fixed_one_to_one_{name}",
    "random weights, median |r|": lambda name: f"random_{name}_median",
    "random weights, 95 % quantile of |r|": lambda name: f"random_{name}_q95",
}
"""Rewards that nobody recovered, as they stand among the methods, and where their scores are found."""


def fitted_rows(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    """Correlations of fitted rewards by method, and after the methods of each expert and size those of `NULLS`."""
    found = [row for row in rows if row.get("agents")]
    table = []
    for members in groups(found, ("game", "expert", "size")).values():
        table += summary_rows(members, tuple(f"fitted_{name}" for name in names), "agents")
        first = members[0]["method"]  # their scores are those of the held-out steps, whoever learnt
        for label, place in NULLS.items():
            own = [member | {"method": label} for member in members if member["method"] == first]
            (null,) = summary_rows(own, tuple(place(name) for name in names), "agents")
            if null["seeds"]:
                table.append({new: null[old] for new, old in _renamed(null, names, place)})
    return table


def _renamed(null: Row, names: tuple[str, ...], place: Callable[[str], str]) -> list[tuple[str, str]]:
    new_names = {place(name): f"fitted_{name}" for name in names}
    return [(new_names.get(name, name), name) for name in null]


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


def difference_rows(rows: list[Row], name: str = "return") -> list[Row]:
    """What MAMQL has more than each other method, paired by seed, which draws the demonstrations.

    A verdict is "better" or "worse" if the 95 % interval of the difference leaves out 0, and else "undecided"; each for
    itself, without a correction for how many there are.

    Args:
      rows: of one stage.
      name: of the number.

    Returns:
      For each game, expert, size and method `than`: `seeds`, those in which both have the number; means of MAMQL and of
      the other over them; the `gain` and its `verdict`.
    """
    table = []
    for (game, expert, size), members in groups(rows, ("game", "expert", "size")).items():
        by_method = {(row["method"], row["seed"]): row["numbers"].get(name, NAN) for row in members}
        for other in dict.fromkeys(row["method"] for row in members if row["method"] != FIRST):
            pairs = [(by_method.get((FIRST, seed), NAN), value) for (m, seed), value in by_method.items() if m == other]
            both = [{"own": own, "other": theirs} for own, theirs in pairs if np.isfinite([own, theirs]).all()]
            if both:
                gain = estimate(both, lambda pair: pair["own"] - pair["other"])
                means = {FIRST: estimate(both, lambda p: p["own"]), "other": estimate(both, lambda p: p["other"])}
                row = {"game": game, "expert": expert, "size": size, "than": other, "seeds": len(both)}
                table.append(row | means | {"gain": gain, "verdict": verdict(gain)})
    return table


def verdict(gain: Estimate) -> str:
    """What an interval of a difference says."""
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "undecided"


def regression_rows(rows: list[Row]) -> list[Row]:
    """`team_weight_rows` of each regression, every agent's weights relative to its largest: they have no scale."""
    table = []
    for regression, place in WEIGHTS.items():
        scaled = [row | {place: _relative(row[place])} for row in rows if row.get(place)]
        table += [{"regression": regression} | row for row in team_weight_rows(scaled, place)]
    return table


def _relative(weights: list[Row]) -> list[Row]:
    largest: dict[int, float] = {}
    for row in weights:
        largest[row["agent"]] = max(largest.get(row["agent"], 0.0), abs(row["weight"]))
    return [row | {"weight": row["weight"] / (largest[row["agent"]] or 1.0)} for row in weights]


def team_weight_rows(rows: list[Row], place: str = "weights") -> list[Row]:
    """Weights of events by team, means over agents and then over seeds; relative to the largest of the team as well."""
    table = []
    for (game, expert, method, size), members in groups(rows).items():
        means = [_mean_weights(row[place]) for row in members if row.get(place)]
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
