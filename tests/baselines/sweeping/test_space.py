"""The file of a space: what it may contain, and which points a search draws from it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.ippo import Config
from baselines.presets import preset
from baselines.sweeping.space import KINDS, Dimension, Space, read_space
from tests.docs.pages import ROOT

TEXT = """
[space]
learning_rate = {log_uniform = [1e-4, 1e-2]}
value_coefficient = {uniform = [0.25, 1]}
num_epochs = {integers = [1, 3]}
parameters = ["shared", "separate"]

[settings]
hidden_size = 8
"""


def read(folder: Path, text: str) -> Space:
    path = folder / "space.toml"
    path.write_text(text)
    return read_space(path)


def test_a_file_contains_ranges_choices_and_settings(tmp_path: Path) -> None:
    space = read(tmp_path, TEXT)
    assert space.dimensions == {
        "learning_rate": Dimension("log_uniform", (1e-4, 1e-2)),
        "value_coefficient": Dimension("uniform", (0.25, 1.0)),
        "num_epochs": Dimension("integers", (1, 3)),
        "parameters": Dimension("choices", ("shared", "separate")),
    }
    assert space.settings == {"hidden_size": 8}


def test_random_points_cover_the_space_and_follow_from_seed_and_number(tmp_path: Path) -> None:
    space = read(tmp_path, TEXT)
    points = [space.random_point(3, number) for number in range(400)]
    assert points == [space.random_point(3, number) for number in range(400)]
    assert points != [space.random_point(4, number) for number in range(400)]
    rates = np.array([point["learning_rate"] for point in points])
    assert rates.min() >= 1e-4 and rates.max() <= 1e-2
    assert abs(np.log10(rates).mean() + 3) < 0.1  # the middle of the exponents
    values = np.array([point["value_coefficient"] for point in points])
    assert values.min() >= 0.25 and values.max() <= 1 and abs(values.mean() - 0.625) < 0.05
    choices: dict[str, list[Any]] = {"num_epochs": [1, 2, 3], "parameters": ["shared", "separate"]}
    for name, possible in choices.items():
        counts = [sum(point[name] == value for point in points) for value in possible]
        assert sum(counts) == 400 and min(counts) > 100


def test_numbers_from_ranges_have_three_digits_within_the_range() -> None:
    assert Dimension("uniform", (0.0, 1.0)).at(1 / 3) == 0.333
    assert Dimension("log_uniform", (1.23456e-4, 1e-2)).at(0.0) == 1.23456e-4
    assert Dimension("uniform", (0.0, 1.23456)).at(1 - 1e-9) == 1.23


def test_a_grid_is_all_combinations(tmp_path: Path) -> None:
    space = read(tmp_path, "[space]\nnum_epochs = [1, 2]\ngamma = [true, false]")
    pairs = [(point["num_epochs"], point["gamma"]) for point in space.grid]
    assert pairs == [(1, True), (1, False), (2, True), (2, False)]


def test_each_value_and_both_ends_are_checked_before_combinations(tmp_path: Path) -> None:
    space = read(tmp_path, TEXT)
    assert [point["num_epochs"] for point in space.single_points[4:6]] == [1, 3]
    assert len(space.single_points) == 8 and len(space.combinations) == 16


def test_settings_at_a_point_have_the_values_of_the_point_and_of_the_file(tmp_path: Path) -> None:
    space = read(tmp_path, TEXT)
    point = space.random_point(0, 0)
    config = space.config_at(point, {"discount": 0.5, "hidden_size": 16}, Config)
    assert {name: getattr(config, name) for name in point} == point
    assert (config.discount, config.hidden_size, config.num_envs) == (0.5, 8, Config.num_envs)


def test_the_space_of_the_page_is_one_of_ippo(tmp_path: Path) -> None:
    lines = re.findall(r"`((?:space|settings)\.\w+ = .*?)`", (ROOT / "docs/runs.md").read_text(encoding="utf-8"))
    space = read(tmp_path, "\n".join(lines))
    assert {dimension.kind for dimension in space.dimensions.values()} == {*KINDS, "choices"}
    for point in space.combinations:
        assert space.config_at(point, preset("ippo", "common_pool"), Config).total_env_steps == 200_000


RANGE = "a list of different values, or one range"
REFUSED = {
    "[space": "is not TOML",
    "\xff": "is not TOML",
    "": "space=None is not allowed: a table with at least one setting",
    "space = 5": "space=5 is not allowed: a table",
    "[spaces]\na = [1]": "table='spaces' is not allowed: space or settings",
    "[space]\na = 1": f"a=1 is not allowed: {RANGE}",
    "[space]\na = []": f"a=.* is not allowed: {RANGE}",
    "[space]\na = [1, 1]": f"a=.* is not allowed: {RANGE}",
    "[space]\na = {normal = [0, 1]}": f"a=.* is not allowed: {RANGE}",
    "[space]\na = {uniform = [0, 1], integers = [0, 1]}": f"a=.* is not allowed: {RANGE}",
    "[space]\na = {uniform = [1, 0]}": "a.uniform=.* is not allowed: two numbers, the smaller one first",
    "[space]\na = {uniform = [0, 1, 2]}": "a.uniform=.* is not allowed: two numbers",
    "[space]\na = {uniform = [false, true]}": "a.uniform=.* is not allowed: two numbers",
    "[space]\na = {uniform = [0, 1e39]}": "a.uniform=.* is not allowed: two numbers",
    "[space]\na = {uniform = [0, inf]}": "space.a.uniform.1=inf is not allowed",
    "[space]\na = [2026-12-01]": "space.a.0=.* is not allowed: text, a finite number",
    "[space]\na = {integers = [1, 2.5]}": "a.integers=.* is not allowed: two whole numbers",
    "[space]\na = {log_uniform = [0, 1]}": "a.log_uniform=.* is not allowed: two numbers above 0",
    "[space]\na = [1]\n[settings]\na = 2": r"settings=\['a'\] is not allowed: settings that are not in the space",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_file_that_is_no_space_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=f"{path}.*{REFUSED[text]}") as caught:
        read_space(path)
    assert "\n" not in str(caught.value)


def test_a_grid_takes_no_range_and_is_not_too_large(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="learning_rate='log_uniform' is not allowed: a grid needs a list of values"):
        _ = read(tmp_path, TEXT).grid
    large = "\n".join(f"a{i} = {[*range(11)]}" for i in range(3))
    with pytest.raises(ValueError, match="the size of the grid=1331 is not allowed: at most 1,000"):
        _ = read(tmp_path, f"[space]\n{large}").grid
