"""Rows of tables from the rows of the study of MAMQL: a row of the study is one training, a row of a table a mean.

A row of the study has the fields of its `Piece`, `numbers` by name, and where rewards were read `agents`, scores by
name for each agent, and `weights`, a row for each agent and event.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.analysis.intervals import Estimate, mean_over_seeds
from baselines.analysis.tables import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def groups(rows: Iterable[Row], names: tuple[str, ...] = GROUP) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by their values of these columns, in order of appearance."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def estimate(sources: Iterable[Row], name: str) -> Estimate:
    """The mean over seeds of a number and its interval; seeds that lack the number are left out."""
    values = np.array([source.get(name, NAN) for source in sources], np.float64)
    values = values[np.isfinite(values)]
    return mean_over_seeds(values) if len(values) else Estimate(NAN, NAN, NAN)


def agent_means(row: Row) -> dict[str, float]:
    """The scores of a row, means over agents."""
    agents = row.get("agents", [])
    return {name: float(np.mean([agent[name] for agent in agents])) for name in (agents[0] if agents else {})}


def run_rows(rows: list[Row]) -> list[Row]:
    """One row for each training, with the same columns: numbers, and scores as means over agents."""
    flat = []
    for row in rows:
        plain = {name: value for name, value in row.items() if not isinstance(value, dict | list)}
        flat.append(plain | row["numbers"] | agent_means(row))
    columns = dict.fromkeys(name for row in flat for name in row)
    return [{name: row.get(name, NAN) for name in columns} for row in flat]


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


def summary_rows(rows: list[Row], names: tuple[str, ...] = (), part: str = "numbers") -> list[Row]:
    """One row for each game, expert, method and size: means over seeds.

    Args:
      rows: of one stage.
      names: of numbers; all but standard errors if there are none.
      part: "numbers", or "agents" for scores, means over agents.

    Returns:
      The means, and `seeds`: the number of seeds of the mean that has the fewest, among those that have any.
    """
    names = names or tuple(dict.fromkeys(name for row in rows for name in row[part] if not name.endswith("_error")))
    table = []
    for group, members in groups(rows).items():
        sources = [agent_means(row) if part == "agents" else row["numbers"] for row in members]
        if any(sources):
            counts = [sum(bool(np.isfinite(source.get(name, NAN))) for source in sources) for name in names]
            row: Row = dict(zip(GROUP, group, strict=True)) | {"seeds": min(filter(None, counts), default=0)}
            table.append(row | {name: estimate(sources, name) for name in names})
    return table


def play_rows(rows: list[Row], names: tuple[str, ...], speed: str = "env_steps_to_90") -> list[Row]:
    """As `summary_rows`, and how soon imitators that play in training were good.

    Args:
      rows: of one stage.
      names: of numbers.
      speed: a number that a seed has if it became good. Added are `reached`, of how many seeds that is so, empty for
        methods that do not play, and the median, for which other seeds count as infinite; NaN if it is infinite.
    """
    table = summary_rows(rows, names)
    for row, members in zip(table, groups(rows).values(), strict=True):
        values = np.array([member["numbers"].get(speed, NAN) for member in members], np.float64)
        median = float(np.median(np.where(np.isnan(values), np.inf, values)))
        is_playing = any(member["numbers"].get("env_steps", 0) > 0 for member in members)
        row["reached"] = f"{int(np.isfinite(values).sum())} of {len(values)}" if is_playing else ""
        row[f"{speed}_median"] = median if np.isfinite(median) else NAN
    return table


def fitted_rows(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    """Correlations of fitted rewards by method, and after the methods of each expert and size those of `NULLS`."""
    table = []
    for members in groups((row for row in rows if row.get("agents")), ("game", "expert", "size")).values():
        table += summary_rows(members, tuple(f"fitted_{name}" for name in names), "agents")
        first = [member for member in members if member["method"] == members[0]["method"]]
        for label, pattern in NULLS.items():  # their scores depend on the held-out steps alone, not on who learnt
            (null,) = summary_rows(first, tuple(pattern.format(name) for name in names), "agents")
            if null["seeds"]:
                scores = {f"fitted_{name}": null[pattern.format(name)] for name in names}
                table.append({name: null[name] for name in (*GROUP, "seeds")} | {"method": label} | scores)
    return table


def return_rows(rows: list[Row]) -> list[Row]:
    """Returns by method, a row for each game, expert and size, with the expert's return and the published numbers."""
    table = []
    methods = dict.fromkeys(row["method"] for row in rows)
    for (game, expert, size), members in groups(rows, ("game", "expert", "size")).items():
        row: Row = {"game": game, "expert": expert, "size": size, "expert return": float(members[0]["expert_return"])}
        for method in methods:
            row[method] = estimate((m["numbers"] for m in members if m["method"] == method), "return")
        row["published mamql"] = PUBLISHED.get((game, "mamql"), {}).get(size, NAN)
        table.append(row | {"published iql-ma": PUBLISHED.get((game, "iq_learn_joint"), {}).get(size, NAN)})
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
    for (game, expert, size), members in groups(rows, ("game", "expert", "size")).items():
        by_method = {(row["method"], row["seed"]): row["numbers"].get(name, NAN) for row in members}
        for other in dict.fromkeys(row["method"] for row in members if row["method"] != FIRST):
            pairs = [(by_method.get((FIRST, seed), NAN), value) for (m, seed), value in by_method.items() if m == other]
            both = [
                {FIRST: own, "other": theirs, "gain": own - theirs}
                for own, theirs in pairs
                if np.isfinite([own, theirs]).all()
            ]
            if both:
                row = {"game": game, "expert": expert, "size": size, "than": other, "seeds": len(both)}
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
    largest = {agent: max(abs(w["weight"]) for w in own) for (agent,), own in groups(weights, ("agent",)).items()}
    return [row | {"weight": row["weight"] / (largest[row["agent"]] or 1.0)} for row in weights]


def team_weight_rows(rows: list[Row], place: str = "weights") -> list[Row]:
    """Weights of events by team, means over agents and then over seeds; `relative` to the largest of the team."""
    table = []
    for (game, expert, method, size), members in groups(rows).items():
        by_event = [groups(row[place], ("event",)) for row in members if row.get(place)]
        means = [
            {name: float(np.mean([w["weight"] for w in own])) for (name,), own in some.items()} for some in by_event
        ]
        estimates = {name: estimate(means, name) for name in dict.fromkeys(name for some in means for name in some)}
        largest = max((abs(value.mean) for value in estimates.values()), default=NAN)
        for name, value in estimates.items():
            row = {"game": game, "team": expert, "method": method, "size": size, "event": name, "weight": value}
            table.append(row | {"relative": value.mean / largest if largest else NAN})
    return table


def curves(rows: list[Row], names: tuple[str, ...], title: str, level: float | None = None) -> "Figure":
    """Means over the number of demonstrations: a panel for each number, a line for each method, bands of 95 %.

    Args:
      rows: of `summary_rows`, of one game and one expert.
      names: of their estimates.
      title: of the figure.
      level: the expert's return, a dotted line in the first panel.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    all_sizes = [row["size"] for row in rows]
    for axes, name in zip(panels, names, strict=True):
        for (method,), own in groups(sorted(rows, key=lambda row: row["size"]), ("method",)).items():
            sizes, (mean, low, high) = [row["size"] for row in own], np.array([row[name] for row in own], np.float64).T
            (line,) = axes.plot(sizes, mean, marker="o", markersize=3, label=method)
            axes.fill_between(sizes, low, high, alpha=0.2, color=line.get_color(), linewidth=0)
        axes.set_xscale("log")
        axes.set_xlim(min(all_sizes) / 1.2, max(all_sizes) * 1.2)  # also of a panel without a number
        axes.set_xlabel("transitions of demonstrations")
        axes.set_title(name.replace("_", " "), fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    if level is not None:
        panels[0].axhline(level, color="black", linestyle=":", linewidth=1)
        panels[0].annotate("expert", (0, level), (2, 2), ("axes fraction", "data"), "offset points", fontsize="small")
    panels[0].legend(frameon=False, fontsize="small")
    figure.suptitle(title)
    return figure
