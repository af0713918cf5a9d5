"""The command that compares runs: its numbers, its picture, its notes, and its errors."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import t

from baselines import compare
from baselines.runs.curves import Curve
from baselines.runs.directory import RunDirectory, RunRecord

NAN = float("nan")


def make_run(path: Path, *returns: list[float], seed: int = 0, steps: int = 10, **fields: Any) -> str:
    """A run with a row for each update and each seed, from the returns of each seed."""
    record = {"algorithm": "ippo", "env_id": "gathering", "env_kwargs": {}, "env_version": "1", "config": {}} | fields
    RunDirectory(path).create(RunRecord(seed=seed, num_seeds=len(returns), checkpoint_every=1, **record))
    lines = ["seed,update,env_steps,return_collective,efficiency,collected_0,collected_1,loss,wall_seconds"]
    for i in range(len(returns[0])):
        for j, own in enumerate(returns):
            cells = [seed + j, i + 1, steps * (i + 1), own[i], own[i] / 10, 1 + i, 2 + i, -2 - i, i]
            lines.append(",".join("" if math.isnan(cell) else f"{cell:g}" for cell in cells))
    (path / "metrics.csv").write_text("\n".join(lines) + "\n")
    return str(path)


def table_of(shown: str) -> dict[str, list[str]]:
    """The cells of the printed table, by the first one of each line."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    return {first: cells for first, *cells in lines}


def test_final_values_are_means_over_seeds_with_half_of_the_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_run(tmp_path / "a", [0, 1, 2], [0, 1, 4], [0, 1, 6], seed=5)
    second = make_run(tmp_path / "b", [0, 0, 9], seed=0, env_id="cleanup", algorithm="networked")
    compare.main([first, second])
    found = table_of(capsys.readouterr().out)
    half = t.ppf(0.975, 2) * np.std([2, 4, 6], ddof=1) / math.sqrt(3)
    assert found["algorithm"] == ["ippo", "networked"]
    assert found["game"] == ["gathering", "cleanup"]
    assert found["seeds"] == ["5 to 7", "0"]
    assert found["env steps"] == ["30", "30"]
    assert found["collective return"] == [f"4 ± {half:.2g}", "9"]
    assert found["efficiency"] == [f"0.4 ± {half / 10:.2g}", "0.9"]
    assert found["apples per step"] == ["7 ± 0", "7"]  # the sum over agents
    assert set(found) == {
        "algorithm",
        "game",
        "seeds",
        "env steps",
        "collective return",
        "efficiency",
        "apples per step",
    }


def test_final_values_are_means_over_the_last_tenth_of_the_env_steps() -> None:
    points = np.arange(1.0, 21.0)
    curves: list[Curve] = [{"env_steps": points, "return_collective": points + shift} for shift in (0.0, 2.0)]
    mean, low, high = compare.final_value(curves, "return_collective")
    assert mean == 20  # of 18, 19, 20 and of 20, 21, 22
    assert high - mean == pytest.approx(mean - low) == pytest.approx(t.ppf(0.975, 1))


def test_seeds_are_compared_as_far_as_all_have_come_and_at_the_points_of_all() -> None:
    curves: list[Curve] = [
        {"env_steps": np.array([10.0, 20.0, 40.0]), "value": np.array([1.0, 2.0, 4.0])},
        {"env_steps": np.array([10.0, 30.0, 50.0]), "value": np.array([0.0, 20.0, 99.0])},
    ]
    points, values = compare.align(curves, "value")
    np.testing.assert_array_equal(points, [10, 20, 30, 40])
    np.testing.assert_array_equal(values, [[1, 2, 3, 4], [0, 10, 20, 59.5]])


def test_a_column_without_a_value_in_a_seed_has_no_points() -> None:
    curves: list[Curve] = [{"env_steps": np.arange(1.0, 3.0), "value": np.full(2, value)} for value in (1.0, NAN)]
    points, values = compare.align(curves, "value")
    assert (points.shape, values.shape) == ((0,), (2, 0))
    assert all(math.isnan(number) for number in compare.final_value(curves, "value"))
    assert compare.align(curves, "other")[0].shape == (0,)


def test_the_picture_has_means_and_bands_of_each_run() -> None:
    env_steps = np.array([100.0, 200.0])
    first: list[Curve] = [{"env_steps": env_steps, "return_collective": np.array([v, 2 * v])} for v in (1.0, 3.0)]
    second: list[Curve] = [{"env_steps": 2 * env_steps, "return_collective": np.array([5.0, 6.0])}]
    figure = compare.draw_comparison({"a": first, "b": second}, ["return_collective"])
    (panel,) = figure.axes
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in panel.lines}
    assert lines == {"a": [[100, 2], [200, 4]], "b": [[200, 5], [400, 6]]}
    (band,) = panel.collections
    half = t.ppf(0.975, 1)
    corners = np.asarray(band.get_paths()[0].vertices)
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((4 - 2 * half, 4 + 2 * half))
    assert (panel.get_title(), panel.get_xlabel()) == ("collective return", "env steps")
    legend = panel.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_by_default_the_picture_is_beside_the_first_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.main([make_run(tmp_path / "a", [1, 2])])
    assert capsys.readouterr().out.endswith(f"the picture is {tmp_path / 'compare.png'}\n")
    with Image.open(tmp_path / "compare.png") as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert (np.abs(pixels - (31, 119, 180)).sum(-1) < 12).sum() > 100  # a line in tab:blue
    compare.main([str(tmp_path / "a"), "--output", str(tmp_path / "new" / "a.svg")])
    assert (tmp_path / "new" / "a.svg").read_text().startswith("<?xml")


def test_directories_with_different_seeds_are_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [make_run(tmp_path / str(seed), [0, value], seed=seed) for seed, value in ((0, 2.0), (1, 4.0), (5, 6.0))]
    compare.main([f"mine={','.join(paths)}"])
    shown = capsys.readouterr().out
    half = t.ppf(0.975, 2) * 2 / math.sqrt(3)
    assert "mine" in shown
    assert table_of(shown)["seeds"] == ["0, 1, 5"]
    assert table_of(shown)["collective return"] == [f"4 ± {half:.2g}"]


def test_what_a_reader_should_know_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"learning_rate": 0.1}
    parts = [make_run(tmp_path / "0", [1, 2, 3], config=config)]
    parts.append(make_run(tmp_path / "1", [1, 2], seed=1, config={"learning_rate": 0.2}))
    other = make_run(tmp_path / "c", [NAN, NAN], env_id="cleanup", env_version="2")
    compare.main([f"a={','.join(parts)}", other])
    assert capsys.readouterr().out.splitlines()[-6:-1] == [
        "the runs differ in env_id, env_version: their returns may be on different scales",
        "a: its directories differ in learning_rate",
        "a: its seeds differ in env steps: it is shown up to 20",
        "c: one seed has no interval",
        "c: no episode ended, so there is no return",
    ]


def test_runs_of_different_lengths_are_compared_at_their_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare.main([make_run(tmp_path / "a", [1, 2], [1, 2]), make_run(tmp_path / "b", [3, 4], [3, 4], steps=1000)])
    shown = capsys.readouterr().out
    assert "the runs differ in env steps (a 20, b 2,000): final values are those at the end of each run" in shown
    assert table_of(shown)["collective return"] == ["2 ± 0", "4 ± 0"]


def test_runs_that_play_nothing_are_compared_over_updates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.main([make_run(tmp_path / "a", [NAN, NAN], steps=0), "--metrics", "loss"])
    found = table_of(capsys.readouterr().out)
    assert (found["env steps"], found["loss"]) == (["0"], ["-3"])
    assert "collective return" not in found
    curves: list[Curve] = [{"env_steps": np.zeros(2), "update": np.array([1.0, 2.0]), "loss": np.array([5.0, 6.0])}]
    (panel,) = compare.draw_comparison({"a": curves}, ["loss"]).axes
    assert np.asarray(panel.lines[0].get_xydata()).tolist() == [[1, 5], [2, 6]]
    assert panel.get_xlabel() == "updates"


def test_metrics_are_chosen_by_their_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.main([make_run(tmp_path / "a", [1, 2]), "--metrics", "loss"])
    found = table_of(capsys.readouterr().out)
    assert list(found)[-2:] == ["collective return", "loss"]
    assert found["loss"] == ["-3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{0}/none"], "none is not a run: it has no config.json"),
        (
            ["{0}/a", "--metrics", "los"],
            "metrics='los' is not allowed: a column of {0}/a/metrics.csv: return_collective,",
        ),
        (["x="], "runs='x=' is not allowed: runs/a, or label=runs/a,runs/b"),
        (["={0}/a"], "is not allowed: runs/a, or label=runs/a,runs/b"),
        (["x={0}/a", "x={0}/b"], "another run has the label x; label=runs/a gives another one"),
        (["x={0}/a,{0}/again"], "runs='x' is not allowed: each seed once, but {0}/again has seed 0 again"),
        (["x={0}/a,{0}/b"], "directories with the same env_id, but theirs are 'cleanup' and 'gathering'"),
        (["{0}/a", "--output", "a.txt"], "output='a.txt' is not allowed: a file that ends in .png, .pdf, .svg"),
        (["{0}/empty"], "empty/metrics.csv holds no rows"),
        (["{0}/gone"], "gone/metrics.csv is missing"),
        (["{0}/cut"], "cut/metrics.csv is no table of metrics: its header is"),
        (["{0}/swapped"], "swapped/metrics.csv, line 2: it is of update 2 of seed 0, where update 1 of seed 0 is due"),
        (["{0}/stepless"], "stepless/metrics.csv: env_steps=None is not allowed: a number in every row"),
        (["{0}/blank"], "the metrics.csv of the runs have no value in a column that can be compared"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_compared_is_refused_in_a_line_that_names_it(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("a", "again", "empty", "gone", "cut", "swapped", "stepless")
    runs = {name: Path(make_run(tmp_path / name, [1, 2])) / "metrics.csv" for name in names}
    make_run(tmp_path / "b", [1, 2], seed=1, env_id="cleanup")
    header, first, second = runs["a"].read_text().splitlines()
    runs["empty"].write_text(f"{header}\n")
    runs["gone"].unlink()
    runs["cut"].write_text(f"{header.replace('return_collective', 'other')}\n{first}\n")
    runs["swapped"].write_text(f"{header}\n{second}\n{first}\n")
    runs["stepless"].write_text(f"{header}\n{first}\n{second.replace(',20,', ',,')}\n")
    make_run(tmp_path / "blank", [1])
    (tmp_path / "blank" / "metrics.csv").write_text("seed,update,env_steps,return_collective,wall_seconds\n0,1,10,,1\n")
    with pytest.raises(SystemExit) as exit_info:
        compare.main([option.format(tmp_path) for option in options])
    said = f"{exit_info.value.code} {capsys.readouterr().err}"
    assert message.format(tmp_path) in " ".join(said.replace("│", " ").split())
    assert not list(tmp_path.glob("*.png"))


def test_a_directory_whose_name_has_an_equals_sign_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("lr=1,n=2"), [1, 2])
    assert compare.parse_runs(["lr=1,n=2", "x=lr=1"]) == {"lr=1,n=2": [Path("lr=1,n=2")], "x": [Path("lr=1")]}
