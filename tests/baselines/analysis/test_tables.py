"""Rows of results as text and files."""

from pathlib import Path

import pytest

from baselines.analysis.intervals import Estimate
from baselines.analysis.tables import markdown_table, spread, write_csv

GAINS = [
    {"game": "gems", "size": 30, "than": "cloning", "gain": Estimate(-3.25, -5.75, -0.75), "verdict": "worse"},
    {"game": "gems", "size": 30, "than": "iq_learn", "gain": Estimate(1.0, -1.0, 4.0), "verdict": "undecided"},
    {"game": "gems", "size": 100, "than": "iq_learn", "gain": Estimate(0.5, 0.5, 0.5), "verdict": "better"},
]


def test_a_long_table_becomes_wide_with_holes_where_a_combination_is_missing() -> None:
    wide = spread(GAINS, ("game", "size"), "than", "gain")
    assert markdown_table(wide).splitlines() == [
        "| game | size | cloning | iq_learn |",
        "| --- | --- | --- | --- |",
        "| gems | 30 | -3.25 ± 2.5 | 1 [-1, 4] |",
        "| gems | 100 |  | 0.5 ± 0 |",
    ]


def test_a_combination_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rows=\[\(30, 'cloning'\)\]"):
        spread([*GAINS, GAINS[0]], ("size",), "than", "gain")


def test_files_have_a_column_for_each_number(tmp_path: Path) -> None:
    write_csv(tmp_path / "gains.csv", spread(GAINS, ("size",), "than", "gain")[:1])
    assert (tmp_path / "gains.csv").read_text().splitlines() == [
        "size,cloning_mean,cloning_low,cloning_high,iq_learn_mean,iq_learn_low,iq_learn_high",
        "30,-3.25,-5.75,-0.75,1.0,-1.0,4.0",
    ]
