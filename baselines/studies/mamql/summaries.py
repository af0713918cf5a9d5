"""Rows of tables from the rows of the study of MAMQL: a row of the study is one training, a row of a table a mean.

A row of the study is flat, see `pieces.read_rows`: the fields of its `Piece`, numbers, and scores as means over agents.
Where rewards were read it has `weights` and `successor_weights`, each a row for each agent and event.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from baselines.analysis.intervals import Estimate
from baselines.analysis.tables import Row, estimate, group_by

NAN = float("nan")

PUBLISHED: dict[tuple[str, str], dict[int, float]] = {
    ("gems", "mamql"): {1000: 8.54, 10_000: 12.75, 20_000: 13.06},
    ("gems", "iq_learn_joint"): {1000: 2.36, 10_000: 7.30, 20_000: 11.45},
    ("intersection", "mamql"): {5000: 1.49, 20_000: 1.60, 35_000: 1.68, 50_000: 1.67, 70_000: 1.71},
    ("intersection", "iq_learn_joint"): {5000: -2.02, 20_000: -1.90, 35_000: -1.65, 50_000: 0.06, 70_000: 0.31},
}
"""Mean reward by game, method and number of transitions, read off the README figures of USC-Lira/ma-mql @ 7f3da20 to
within 0.05. Its "IQL MA" corresponds to our IQ-Learn with joint actions. The unit of its rewards of Overcooked is not
known. Its Intersection is another game than ours with another reward, and its numbers do not carry over."""

FIRST = "mamql"
"""The method that others are compared with."""

GROUP = ("game", "expert", "method", "size")

NULLS: dict[str, str] = {
    "shared alone": "fixed_shared_{}",
    "own + shared, 1:1": "fixed_one_to_one_{}",
    "random weights, median |r|": "random_{}_median",
    "random weights, 95 % quantile of |r|": "random_{}_q95",
}
"""Rewards that nobody recovered, as tables name them among the methods, and the names of their scores."""

WEIGHTS = {"constrained": "weights", "successor": "successor_weights"}
"""The regressions of rewards on events, and the entries of a row with the weights that they found."""


def run_rows(rows: list[Row]) -> list[Row]:
    """One row for each training, with the same columns."""
    columns = dict.fromkeys(name for row in rows for name in row if name not in WEIGHTS.values())
    return [{name: row.get(name, NAN) for name in columns} for row in rows]


def weight_rows(rows: list[Row]) -> list[Row]:
    """One row for each training, regression, agent and event."""
    return [
        {name: row[name] for name in ("stage", *GROUP, "seed")} | {"regression": regression} | weight
        for row in rows
        for regression, place in WEIGHTS.items()
        for weight in row.get(place, [])
    ]


def gap_rows(rows: list[Row]) -> list[Row]:
    """One row for each training from which rewards cannot be read, and why."""
    return [{name: row[name] for name in ("stage", *GROUP, "seed", "gap")} for row in rows if "gap" in row]


def summary_rows(rows: list[Row], names: Iterable[str], skips_empty: bool = False) -> list[Row]:
    """One row for each game, expert, method and size: means over seeds.

    Args:
      rows: of one stage.
      names: of numbers.
      skips_empty: whether those are left out of which no seed has any of the numbers.

    Returns:
      The means, and `seeds`: the number of seeds of the mean that has the fewest, among those that have any.
    """
    names, table = tuple(names), []
    for group, members in group_by(rows, GROUP).items():
        if not skips_empty or any(name in row for row in members for name in names):
            counts = [sum(bool(np.isfinite(row.get(name, NAN))) for row in members) for name in names]
            row: Row = dict(zip(GROUP, group, strict=True)) | {"seeds": min(filter(None, counts), default=0)}
            table.append(row | {name: estimate(members, name) for name in names})
    return table


def retrain_rows(rows: list[Row]) -> list[Row]:
    """`summary_rows` of all returns."""
    return summary_rows(rows, dict.fromkeys(name for row in rows for name in row if name.startswith("return")))


def play_rows(rows: list[Row], names: tuple[str, ...], speed: str = "env_steps_to_90") -> list[Row]:
    """As `summary_rows`, and how soon imitators that play in training were good.

    Args:
      rows: of one stage.
      names: of numbers.
      speed: a number that a seed has if it became good. Added are `reached`, of how many seeds that is so, empty for
        methods that do not play, and the median, for which other seeds count as infinite; NaN if it is infinite.
    """
    table = summary_rows(rows, names)
    for row, members in zip(table, group_by(rows, GROUP).values(), strict=True):
        values = np.array([member.get(speed, NAN) for member in members], np.float64)
        median = float(np.median(np.where(np.isnan(values), np.inf, values)))
        is_playing = any(member.get("env_steps", 0) > 0 for member in members)
        row["reached"] = f"{int(np.isfinite(values).sum())} of {len(values)}" if is_playing else ""
        row[f"{speed}_median"] = median if np.isfinite(median) else NAN
    return table


def fitted_rows(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    """Correlations of fitted rewards by method, and after the methods of each expert and size those of `NULLS`."""
    table, fitted = [], [f"fitted_{name}" for name in names]
    scored = [row for row in rows if fitted[0] in row]
    for members in group_by(scored, ("game", "expert", "size")).values():
        table += summary_rows(members, fitted)
        first = [member for member in members if member["method"] == members[0]["method"]]
        for label, pattern in NULLS.items():  # their scores depend on the held-out steps alone, not on who learnt
            scores = [pattern.format(name) for name in names]
            (null,) = summary_rows(first, scores)
            if null["seeds"]:
                row = {name: null[name] for name in (*GROUP, "seeds")} | {"method": label}
                table.append(row | {name: null[score] for name, score in zip(fitted, scores, strict=True)})
    return table


def return_rows(rows: list[Row]) -> list[Row]:
    """Returns by method, a row for each game, expert and size, with the expert's return and the published numbers."""
    table = []
    for (game, expert, size), members in group_by(rows, ("game", "expert", "size")).items():
        row: Row = {"game": game, "expert": expert, "size": size, "expert return": members[0]["expert_return"]}
        for method in dict.fromkeys(row["method"] for row in rows):
            row[method] = estimate((member for member in members if member["method"] == method), "return")
        for column, method in {"published mamql": "mamql", "published iql-ma": "iq_learn_joint"}.items():
            row[column] = PUBLISHED.get((game, method), {}).get(size, NAN)
        table.append(row)
    return table


def difference_rows(rows: list[Row], name: str = "return") -> list[Row]:
    """How much more MAMQL has of a number than each other method, paired by seed, which draws the demonstrations.

    A verdict is "better" or "worse" if the 95 % interval of the difference leaves out 0, and else "undecided". Each
    verdict is for itself, without a correction for their number.

    Returns:
      For each game, expert, size and method `than`: `seeds`, those in which both have the number; means of MAMQL and of
      the other over them; the `gain` and its `verdict`.
    """
    table = []
    for (game, expert, size), members in group_by(rows, ("game", "expert", "size")).items():
        found = {(row["method"], row["seed"]): row[name] for row in members if np.isfinite(row.get(name, NAN))}
        for than in dict.fromkeys(row["method"] for row in members if row["method"] != FIRST):
            pairs = [
                (found[FIRST, seed], value)
                for (m, seed), value in found.items()
                if m == than and (FIRST, seed) in found
            ]
            both = [{FIRST: own, "other": other, "gain": own - other} for own, other in pairs]
            if both:
                row = {"game": game, "expert": expert, "size": size, "than": than, "seeds": len(both)}
                means = {column: estimate(both, column) for column in (FIRST, "other", "gain")}
                table.append(row | means | {"verdict": verdict(means["gain"])})
    return table


def verdict(gain: Estimate) -> str:
    """The words for the interval of a difference."""
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
    largest = {agent: max(abs(w["weight"]) for w in own) for (agent,), own in group_by(weights, ("agent",)).items()}
    return [row | {"weight": row["weight"] / (largest[row["agent"]] or 1.0)} for row in weights]


def team_weight_rows(rows: list[Row], place: str = "weights") -> list[Row]:
    """Weights of events by team, means over agents and then over seeds; `relative` to the largest of the team."""
    table = []
    for (game, expert, method, size), members in group_by(rows, GROUP).items():
        by_event = [group_by(row[place], ("event",)) for row in members if row.get(place)]
        means = [
            {name: float(np.mean([w["weight"] for w in own])) for (name,), own in some.items()} for some in by_event
        ]
        estimates = {name: estimate(means, name) for name in dict.fromkeys(name for some in means for name in some)}
        largest = max((abs(value.mean) for value in estimates.values()), default=NAN)
        for name, value in estimates.items():
            row: dict[str, Any] = {"game": game, "team": expert, "method": method, "size": size, "event": name}
            table.append(row | {"weight": value, "relative": value.mean / largest if largest else NAN})
    return table
