"""Rows of tables from the rows of the study of MAMQL: a row of the study is one training, a row of a table a mean."""

from collections.abc import Iterable

from baselines.analysis.intervals import Verdict, is_positive
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

SAMPLE = ("game", "expert", "size")
GROUP = ("game", "expert", "method", "size")

WORDS = {Verdict.HOLDS: "better", Verdict.FAILS: "worse", Verdict.UNDECIDED: "undecided"}


def run_rows(rows: list[Row]) -> list[Row]:
    """One row for each training, with the same columns."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, NAN) for name in columns} for row in rows]


def summary_rows(rows: list[Row], names: Iterable[str]) -> list[Row]:
    """One row for each game, expert, method and size that has any of the numbers: their means over seeds."""
    names = tuple(names)
    return [
        dict(zip(GROUP, group, strict=True)) | {name: estimate(members, name) for name in names}
        for group, members in group_by(rows, GROUP).items()
        if any(name in row for row in members for name in names)
    ]


def return_rows(rows: list[Row]) -> list[Row]:
    """Returns by method, a row for each game, expert and size, with the expert's return and the published numbers."""
    table = []
    for (game, expert, size), members in group_by(rows, SAMPLE).items():
        row: Row = {"game": game, "expert": expert, "size": size, "expert return": members[0]["expert_return"]}
        for method in dict.fromkeys(row["method"] for row in rows):
            row[method] = estimate((member for member in members if member["method"] == method), "return")
        for column, method in {"published mamql": "mamql", "published iql-ma": "iq_learn_joint"}.items():
            row[column] = PUBLISHED.get((game, method), {}).get(size, NAN)
        table.append(row)
    return table


def gain_rows(rows: list[Row]) -> list[Row]:
    """How much more MAMQL returns than each other method, paired by seed, which draws the demonstrations.

    A verdict is "better" or "worse" if the 95 % interval of the difference leaves out 0, and else "undecided". Each
    verdict is for itself, without a correction for their number.

    Returns:
      For each game, expert, size and method `than`: `seeds`, those that have both; the mean `gain` and
      its `verdict`.
    """
    table = []
    for group, members in group_by(rows, SAMPLE).items():
        found = {(row["method"], row["seed"]): row["return"] for row in members}
        for than in dict.fromkeys(row["method"] for row in members if row["method"] != FIRST):
            pairs = [((FIRST, seed), value) for (method, seed), value in found.items() if method == than]
            gains = [{"gain": found[own] - value} for own, value in pairs if own in found]
            if gains:
                row = dict(zip(SAMPLE, group, strict=True)) | {"than": than, "seeds": len(gains)}
                gain = estimate(gains, "gain")
                table.append(row | {"gain": gain, "verdict": WORDS[is_positive(gain)]})
    return table
