"""The benchmarks run and write complete rows; their measurements are in `benchmarks/results`."""

import json
import os
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from baselines import presets
from baselines.runs.directory import RunDirectory
from benchmarks import (
    accelerator,
    compile_time,
    drawing,
    floor,
    growth,
    learning,
    learning_cases,
    learning_report,
    memory,
    networked,
    policies,
    reporting,
    rollout,
    roofline,
    throughput,
    training,
)
from benchmarks.throughput import CASES
from jaxdilemmas import batching, registration
from jaxdilemmas.spaces import Discrete
from tests.probes import Probe

MEASURED_ON = {"device", "python", "jax", "jaxdilemmas", "cores", "load_average", "commit", "time"}


@pytest.fixture(autouse=True)
def _probe_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "_FACTORIES", dict(registration._FACTORIES))
    jaxdilemmas.register("probe", lambda observation="tiles", num_agents=2: Probe(num_agents=num_agents))
    monkeypatch.setitem(training.GAMES, "probe", ("probe", {}))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_is_rate(rate: dict[str, int], repeats: int) -> None:
    assert 0 < rate["min"] <= rate["median"] <= rate["max"]
    assert rate["repeats"] == repeats


def test_throughput_adds_a_row_per_game_observation_and_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "throughput.jsonl"
    sizes = ["--num-envs", "2", "3", "--num-steps", "4", "--repeats", "2"]
    throughput.main(["--games", "probe", "--observations", "tiles", *sizes, "--output", str(output)])
    found = rows(output)
    assert [row["num_envs"] for row in found] == [2, 3]
    assert_is_rate(found[0]["env_steps_per_second"], repeats=2)
    assert found[0]["compile_seconds"] > 0
    assert found[0]["peak_memory_mb"] > 0
    assert found[0].keys() >= MEASURED_ON
    assert "probe" in capsys.readouterr().out


def test_a_rollout_uses_what_it_sees_and_resets_what_ends() -> None:
    env = Probe(num_agents=2).default_params.replace(constant=1.0, sees_step=1.0, length=3)
    game = Probe(num_agents=2, params=env)
    start, play = rollout.make_rollout(rollout.own_game(game), num_envs=2, num_steps=30)
    carry = start(jax.random.key(0))
    carry = carry._replace(state=carry.state.replace(step_count=np.zeros(2, np.int32)))
    carry = jax.jit(play)(carry)
    assert carry.state.step_count.tolist() == [0, 0]
    obs, outcomes = carry.seen
    assert obs.sum() == 2 * 2 * (30 // 3) * (1 + 2)
    assert sum(float(part.sum()) for part in jax.tree.leaves(outcomes)) == 2 * 2 * 30 + 2 * (30 // 3)


def test_training_adds_a_row_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "training.jsonl"
    small = {"num_envs": 4, "rollout_steps": 4, "num_minibatches": 2, "hidden_size": 8}
    monkeypatch.setattr(training, "preset", lambda algorithm, env_id: small)
    training.main(["--games", "probe", "--num-updates", "2", "--repeats", "2", "--output", str(output)])
    (row,) = rows(output)
    assert row["total_env_steps"] == 2 * 16
    assert_is_rate(row["env_steps_per_second"], repeats=2)
    assert row.keys() >= MEASURED_ON | {"network", "num_epochs", "compile_seconds"}


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_devices_are_measured_on_as_many_cores(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "training.jsonl"
    options = ["--devices", "1", "2", "--num-updates", "1", "--repeats", "1", "--turns", "2", "--output", str(output)]
    training.main(["--games", "gathering", *options])
    kinds = [(row["measured"], row["num_devices"], row["num_envs"]) for row in rows(output)]
    expected = [("environment", 1, 1024), ("training", 1, 128), ("environment", 2, 1024), ("training", 2, 128)]
    assert kinds == expected * 2
    printed = capfd.readouterr().out
    assert "training gathering mlp, 1 devices: 1.00 times in the median of 2 turns" in printed
    assert "training gathering mlp, 2 devices: " in printed


def test_more_devices_than_cores_are_not_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="devices=4000 is not allowed: at most the cores of this machine"):
        training.main(["--devices", "1", "4000", "--output", str(tmp_path / "training.jsonl")])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_networked_adds_a_row_for_each_number_of_agents(tmp_path: Path) -> None:
    output = tmp_path / "networked.jsonl"
    small = ["--num-agents", "3", "4", "--num-envs", "2", "--hidden-size", "4", "--repeats", "2"]
    networked.main([*small, "--protocols", "ia2c", "--output", str(output)])
    assert [row["num_agents"] for row in rows(output)] == [3, 4]
    for row in rows(output):
        assert_is_rate(row["agent_steps_per_second"], repeats=2)
        assert row["nanoseconds_per_agent_step"] > 0
        assert row.keys() >= MEASURED_ON | {"protocol", "graph", "compile_seconds", "peak_memory_mb"}


@pytest.mark.slow
def test_compile_times_are_positive_and_of_training_and_step() -> None:
    assert compile_time.compile_step("probe", num_envs=2) > 0
    assert compile_time.compile_training("probe") > 0


def test_drawing_measures_a_frame_a_gif_and_a_page(tmp_path: Path) -> None:
    output = tmp_path / "drawing.jsonl"
    drawing.main(["--games", "common_pool", "--steps", "4", "--output", str(output)])
    (row,) = rows(output)
    assert (row["game"], row["steps"]) == ("common_pool", 4)
    assert min(row["frame_ms"], row["gif_seconds"], row["page_kilobytes"]) > 0


def test_memory_is_that_of_a_program_and_of_its_process(tmp_path: Path) -> None:
    output = tmp_path / "memory.jsonl"
    memory.main(["--game", "probe", "--num-envs", "1000", "--num-steps", "2", "--output", str(output)])
    (row,) = rows(output)
    assert row["planned_memory_mb"] == row["peak_memory_mb"] > 0
    assert 10 < row["resident_before_mb"] <= row["peak_resident_mb"]


@pytest.fixture
def accelerators_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a benchmark changes for its own process is undone after a test."""
    for name in throughput.KEPT.values():
        monkeypatch.setattr(batching, name, getattr(batching, name))


@pytest.mark.usefixtures("accelerators_are_as_before")
def test_an_accelerator_keeps_branches_and_calls_where_it_is_asked_for(tmp_path: Path) -> None:
    def program() -> str:
        def function(x: jax.Array) -> jax.Array:
            return batching.compute_once(lambda x: x + 1)(batching.compute_if_any(lambda x: x, x > 1, x))

        return jax.export.export(jax.jit(function), platforms=["cuda"])(1.0).mlir_module()

    assert ("stablehlo.compare" in program(), 'inlineable = "false"' in program()) == (False, False)
    output = tmp_path / "throughput.jsonl"
    sizes = ["--num-envs", "2", "--num-steps", "2", "--repeats", "1", "--output", str(output)]
    throughput.main(["--games", "probe", "--observations", "tiles", "--keep", "branches", "calls", *sizes])
    assert rows(output)[0]["keep"] == ["branches", "calls"]
    assert ("stablehlo.compare" in program(), 'inlineable = "false"' in program()) == (True, True)


@pytest.mark.usefixtures("accelerators_are_as_before")
def test_a_roofline_is_on_paper(tmp_path: Path) -> None:
    output = tmp_path / "roofline.jsonl"
    roofline.main(["--games", "common_pool", "--output", str(output)])
    (row,) = rows(output)
    state, read, seen, rewards, ends, info = 24, 4 * 4, 32, 4 * 4, 2, 4 * 4
    assert row["bytes_per_step"] == 2 * state + read + seen + rewards + ends + info
    assert row["operations_per_step"] > 0
    assert row["is_measured"] is False


def test_the_lower_of_two_bounds_counts() -> None:
    found = roofline.bounds({"bytes_per_step": 4800, "operations_per_step": 197_000})
    assert found["H200"] == {"median": round(67e12 / 197_000), "limit": "operations"}
    assert found["TPU v5e"] == {"median": round(819e9 / 4800), "limit": "bytes"}


TINY = ("--num-envs", "2", "--num-steps", "2")


def test_an_accelerator_is_measured_case_by_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [("throughput", "--games", name, *TINY) for name in ("nothing_like_it", "common_pool")]
    monkeypatch.setattr(accelerator, "commands", lambda games, sizes: cases)
    output = tmp_path / "accelerator.jsonl"
    accelerator.main(["--repeats", "2", "--output", str(output)])
    assert_is_rate(rows(output)[0]["env_steps_per_second"], repeats=2)
    (row,) = rows(output)
    table = output.with_suffix(".md").read_text()
    assert table.startswith(f"Device: {row['device']}\n\n| measured | game |")
    assert f"| {row['env_steps_per_second']['median']:,} |" in table
    printed = capsys.readouterr().out
    assert "nothing_like_it --num-envs 2 --num-steps 2 --repeats 2: exit code 1" in printed
    assert printed.endswith(table)


def test_a_measurement_ends_with_its_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accelerator.measure(("throughput", *TINY), tmp_path / "rows.jsonl", seconds=0.01) == []
    assert "not finished in 0 seconds" in capsys.readouterr().out


def test_an_accelerator_is_measured_as_long_as_there_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, given = [0.0], []

    def measure(command: Sequence[str], output: Path, seconds: float) -> list[dict[str, Any]]:
        given.append(seconds)
        clock[0] += 50
        return [{"game": "gems", "num_envs": 1, "peak_memory_mb": 1, "device": "none"}]

    monkeypatch.setattr(accelerator, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(accelerator, "measure", measure)
    accelerator.main(["--minutes", "2", "--output", str(tmp_path / "rows.jsonl")])
    assert given == [30, 30, 20]


def test_rows_and_the_table_of_an_accelerator_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"output='.*rows\.md' is not allowed: a file of rows"):
        accelerator.main(["--output", str(tmp_path / "rows.md")])
    assert not list(tmp_path.iterdir())


def test_unknown_games_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="'harvests' is not allowed: it is unknown; did you mean 'harvest'"):
        accelerator.main(["--games", "gems", "harvests", "--output", str(tmp_path / "rows.jsonl")])
    assert not list(tmp_path.iterdir())


def test_every_game_is_measured_on_an_accelerator() -> None:
    assert sorted(accelerator.GAMES) == sorted(set(jaxdilemmas.registered_envs()) - {"probe"})
    found = accelerator.commands(accelerator.GAMES, accelerator.FULL)
    assert {command[2] for command in found} == set(accelerator.GAMES)
    assert {command[2] for command in found[:7]} == {accelerator.GAMES[0]}


@pytest.mark.slow
def test_an_accelerator_is_measured_quickly_in_every_way(tmp_path: Path) -> None:
    output = tmp_path / "accelerator.jsonl"
    accelerator.main(["--quick", "--minutes", "60", "--games", "common_pool", "gathering", "--output", str(output)])
    lines = output.with_suffix(".md").read_text().splitlines()[4:]
    kinds = {line.split("|")[1].strip() for line in lines}
    assert kinds == {"throughput", "throughput branches", "throughput calls", "training", "floor", "memory"}


@pytest.mark.slow
def test_growth_adds_a_row_for_each_size_and_draws_them(tmp_path: Path) -> None:
    output, image = tmp_path / "growth.jsonl", tmp_path / "growth.png"
    sizes = ["--agents", "2", "3", "--num-envs", "2", "4", "--num-steps", "16", "--repeats", "1"]
    growth.main(["--game", "probe", *sizes, "--output", str(output), "--image", str(image)])
    found = [(row["num_agents"], row["num_envs"]) for row in rows(output)]
    assert found == [(2, 1024), (3, 1024), (7, 2), (7, 4)]
    for row in rows(output):
        speed, agent_speed = row["env_steps_per_second"]["median"], row["agent_steps_per_second"]["median"]
        assert agent_speed == row["num_agents"] * speed > 0
    assert image.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_floor_makes_and_moves_as_much_as_the_game(tmp_path: Path) -> None:
    output = tmp_path / "floor.jsonl"
    floor.main(
        ["--game", "gathering", "--num-envs", "2", "--num-steps", "4", "--repeats", "1", "--output", str(output)]
    )
    least, with_chance, game = rows(output)
    assert game["game"] == "gathering"
    assert game["random_words"] == 2
    assert game["observation_bytes"] == 2 * 16 * 21
    assert game["state_bytes"] == 4 * (4 + 2 + 2 + 2) + 2 + 13 + 4 + 4 * 13
    assert game["times_slower"] == 1
    assert least["env_steps_per_second"]["median"] > 0
    assert with_chance["state_bytes"] == game["state_bytes"]


def test_rates_are_per_second() -> None:
    assert reporting.rates(100, [1.0, 2.0, 4.0]) == {"median": 50, "min": 25, "max": 100, "repeats": 3}


def test_games_are_named_with_their_keywords() -> None:
    assert reporting.name_of("gathering", {}) == "gathering"
    assert reporting.name_of("gathering_gallego", {"map": "large"}) == "gathering_gallego(map=large)"


def test_a_metric_that_is_not_defined_leaves_a_gap_in_a_row() -> None:
    some, none = {"mean": 0.12345, "standard_error": 0.1}, {"mean": None, "standard_error": None, "undefined": 5}
    row = policies.flatten({metric: none if metric == "equality" else some for metric in policies.METRICS})
    assert (row["equality"], row["equality_standard_error"], row["efficiency"]) == (None, None, 0.1235)
    assert learning.mean_of_defined([None, 1.0, 2.0]) == 1.5
    assert learning.mean_of_defined([None]) is None


def test_peak_memory_is_what_the_device_counted_or_else_what_xla_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    program = reporting.compile_program(lambda x: x + 1, np.zeros(1000, np.float32))
    assert program.peak_memory_mb() == program.planned_memory_mb >= 2 * 4000 / 1e6
    device = types.SimpleNamespace(memory_stats=lambda: {"peak_bytes_in_use": 3_000_000})
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert program.peak_memory_mb() == 3.0


def test_planned_memory_is_at_least_arguments_outputs_and_temporaries() -> None:
    sizes = {"argument": 4, "output": 3, "temp": 2, "alias": 1}
    plan = types.SimpleNamespace(**{f"{name}_size_in_bytes": size for name, size in sizes.items()})
    assert reporting._planned_bytes(plan) == 8
    plan.peak_memory_in_bytes = 5
    assert reporting._planned_bytes(plan) == 8
    plan.peak_memory_in_bytes = 11
    assert reporting._planned_bytes(plan) == 11


def test_by_default_the_sizes_of_the_project_are_measured() -> None:
    cases = {(env_id, case.num_envs, *sorted(case.env_kwargs.items())) for env_id in CASES for case in CASES[env_id]}
    assert ("gathering", 1024, ("num_agents", 2)) in cases
    assert ("gathering_gallego", 1024, ("map", "large"), ("num_agents", 10)) in cases
    assert ("commons", 256, ("num_agents", 12)) in cases
    assert ("commons_gallego", 256, ("num_agents", 12)) in cases
    assert CASES["gathering"][0].observations == ("tiles", "one_hot", "rgb")
    assert set(CASES) == set(jaxdilemmas.registered_envs()) - {"probe"}


def test_scripted_policies_leave_rows_in_jax_and_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "policies.jsonl"
    monkeypatch.setitem(policies.GAMES, "gathering_gallego", {"map": "small", "num_agents": 2})
    game = ["--max-steps", "30", "--policies", "greedy"]
    policies.main([*game, "--num-keys", "2", "--python-episodes", "2", "--repeats", "1", "--output", str(output)])
    in_jax, in_python = rows(output)
    assert (in_jax["written_in"], in_python["written_in"]) == ("jax", "python")
    for row in (in_jax, in_python):
        assert row["efficiency"] > 0
        assert row["peace"] == 2
        assert row.keys() >= MEASURED_ON | {"efficiency_standard_error", "env_kwargs"}


PROBE = "--env tests.probes:Probe --total-env-steps 128 --num-envs 4 --rollout-steps 16 --num-epochs 1 --hidden-size 4"


def learning_options(folder: Path, *options: str) -> list[str]:
    """Options that keep everything within a folder; its page has a table."""
    page = folder / "page.md"
    if not page.exists():
        page.write_text(f"before\n{learning_report.BEGIN}\nold\n{learning_report.END}\nafter\n")
    where = ["--runs-dir", str(folder / "runs"), "--output", str(folder / "learning.jsonl"), "--page", str(page)]
    return [*options, *where, "--episodes", "2"]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an experiment with two seeds."""
    folder = tmp_path_factory.mktemp("learning")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_cases, "EXPERIMENTS", learning.EXPERIMENTS)
        patch.setitem(learning.EXPERIMENTS, "tiny", learning_cases.Experiment(PROBE, "what to know"))
        patch.setattr(learning, "IMAGES", folder / "images")
        learning.main(learning_options(folder, "tiny", "--seeds", "2", "--picture", "tiny"))
        yield folder


def test_learning_trains_seeds_from_100_on_and_leaves_a_row_and_a_picture(learnt: Path) -> None:
    (row,) = rows(learnt / "learning.jsonl")
    assert (row["seeds"], row["env_steps"], row["episodes"]) == ([100, 101], 128, 2)
    assert row["collective_return"] == pytest.approx(np.mean(row["each"]["collective_return"]))
    assert row["low"] <= row["collective_return"] <= row["high"]
    assert (row["random"], row["selfish"], row["cooperative"]) == (row["scripted"]["random"], None, None)
    assert row.keys() >= MEASURED_ON | {"before", "command", "env_version", "lowest"}
    assert row["seconds"] > 0
    assert (learnt / "images" / "tiny.png").stat().st_size > 0


def test_the_table_is_written_between_its_marks(learnt: Path) -> None:
    text = (learnt / "page.md").read_text()
    assert text.startswith(f"before\n{learning_report.BEGIN}\n| experiment | random |")
    assert text.endswith(f"- `tiny`: what to know\n{learning_report.END}\nafter\n")
    assert "old" not in text
    assert "| 100 to 101 |" in text


def test_a_page_without_the_marks_is_refused(learnt: Path, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("no table\n")
    with pytest.raises(ValueError, match=r"page=.*page.md.* is not allowed: it must have the lines"):
        learning_report.write_table(learnt / "learning.jsonl", tmp_path / "page.md")


def test_finished_seeds_are_not_trained_again(learnt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning.subprocess, "run", lambda *command, **options: pytest.fail("trained again"))
    assert learning.train("tiny", range(100, 102), learnt / "runs").metrics.exists()


def test_runs_with_other_settings_are_not_taken_for_those_of_an_experiment(
    learnt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(learning.EXPERIMENTS, "tiny", learning_cases.Experiment(f"{PROBE} --discount 0.5"))
    with pytest.raises(ValueError, match=r"runs_dir=.*tiny_100_to_101.* is not allowed: another directory"):
        learning.train("tiny", range(100, 102), learnt / "runs")


def test_experiments_are_chosen_by_name_or_by_game(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(learning, "train", lambda name, seeds, runs_dir: chosen.append(f"{name} {seeds[0]}"))
    monkeypatch.setattr(learning, "measure", lambda name, directory, episodes: dict.fromkeys(learning.COLUMNS[1:], 0))
    monkeypatch.setattr(learning, "write_table", lambda rows, page: None)
    options = learning_options(tmp_path, "--games", "gems", "overcooked", "--seeds", "1", "--first-seed", "3")
    learning.main(options)
    learning.main(learning_options(tmp_path, "gems", "--seeds", "1"))
    assert chosen == ["overcooked 3", "gems 3", "gems 100"]
    with pytest.raises(SystemExit, match=r"experiment='gem' is not allowed: one of gathering, "):
        learning.main(learning_options(tmp_path, "gem"))


def test_every_game_with_discrete_actions_is_trained_with_a_preset() -> None:
    games = {name for name in jaxdilemmas.registered_envs() if name != "probe"}
    discrete = {name for name in games if isinstance(jaxdilemmas.make(name).action_space, Discrete)}
    assert {game for game in discrete if presets.preset("ippo", game)} == discrete
    assert {learning.game_of(name) for name in learning.EXPERIMENTS} >= discrete


@pytest.mark.parametrize(
    ("low", "mean", "verdict"),
    [(11.0, 12.0, "yes"), (9.0, 12.0, "the mean"), (8.0, 9.0, "no"), (None, 12.0, "the mean")],
)
def test_the_verdict_is_about_random_play_and_the_best_selfish_script(low: Any, mean: float, verdict: str) -> None:
    assert learning_report.verdict({"random": 1.0, "selfish": 10.0, "low": low, "collective_return": mean}) == verdict


def write_metrics(path: Path, *apples: float) -> RunDirectory:
    """Two rounds of episodes of each seed, two updates each, in which agent 1 collects as much more as rounds go on."""
    path.mkdir(parents=True)
    lines = ["seed,update,env_steps,return_collective,efficiency,peace,wall_seconds,collected_0,collected_1"]
    for i in range(4):
        for seed, apple in enumerate(apples):
            ends = f"{i},{i},2" if i % 2 else ",,"
            lines.append(f"{seed},{i + 1},{10 * (i + 1)},{ends},{i},{apple},{i}")
    (path / "metrics.csv").write_text("\n".join(lines) + "\n")
    return RunDirectory(path)


def test_experiments_may_share_one_picture_with_bands_over_seeds(tmp_path: Path) -> None:
    learning_report.draw({name: write_metrics(tmp_path / name, 1.0, 2.0) for name in ("a", "b")}, tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("benchmark", "options", "message"),
    [
        (throughput, ["--num-envs", "0"], "--num-envs: '0' is not allowed: a whole number of at least 1"),
        (throughput, ["--num-steps", "1.5"], r"--num-steps: '1\.5' is not allowed"),
        (growth, ["--repeats", "-1"], "--repeats: '-1' is not allowed"),
        (policies, ["--num-keys", "1"], "--num-keys: '1' is not allowed: a whole number of at least 2"),
        (learning, ["gathering", "--seeds", "9" * 30], "--seeds: '9+' is not allowed"),
        (
            learning,
            ["gathering", "--first-seed", "x"],
            "--first-seed: 'x' is not allowed: a whole number of",
        ),
    ],
)
def test_wrong_numbers_of_the_command_line_are_refused(
    benchmark: Any, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(options)
    assert re.search(message, capsys.readouterr().err)
