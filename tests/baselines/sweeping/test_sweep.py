"""The command that tunes: what it refuses, what it writes, and whole sweeps whose best settings are known."""

import ast
import csv
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import ippo, presets, sweep
from baselines.disk.writing import hold
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.table import read_metrics
from baselines.sweeping.plan import Sweep, TrialRecord
from baselines.sweeping.report import as_preset, draw_trials, write_report
from baselines.sweeping.tuning import Proposals, ended, share_of_gpus
from baselines.trained.load import load_run
from tests.wrong_calls import no_compiling

ROOT = Path(__file__).parents[3]
GAME = "tests.baselines.sweeping.paid_action:PaidAction"
TINY = """
[settings]
total_env_steps = 20_000
num_envs = 32
rollout_steps = 16
hidden_size = 8
"""
GRID = f"""
[space]
learning_rate = [1e-9, 1e-8, 1e-7, 3e-2]
value_coefficient = [0.25, 0.5, 0.75, 1.0]
{TINY}"""
EARLY = f"""
[space]
learning_rate = [1e-9, 3e-2]
reward_scale = [1.0, 3e38]
{TINY}"""
SEED = "79"
"""By which the first two trials learn, the third one learns nothing, and numbers of the last one are not finite."""

RANGES = f"""
[space]
learning_rate = {{log_uniform = [1e-9, 1e-1]}}
parameters = ["shared", "separate"]
{TINY}"""


def options(folder: Path, text: str = RANGES, **changes: Any) -> sweep.Options:
    """Those of a sweep below a folder."""
    path = folder / "space.toml"
    path.write_text(text)
    given: dict[str, Any] = {"env": GAME, "name": "tuned", "runs_dir": folder / "runs"}
    return sweep.Options(path, **(given | changes))


def prepared(folder: Path, *trials: TrialRecord, **changes: Any) -> Sweep:
    """A sweep with these trials in sweep.json."""
    found = sweep.prepare(options(folder, **changes))
    found.begin()
    for number, trial in enumerate(trials):
        found.write(number, trial)
    return found


def done(score: float | None, rate: float = 0.01, **changes: Any) -> TrialRecord:
    return TrialRecord({"learning_rate": rate, "parameters": "shared"}, **({"state": "done", "score": score} | changes))


# Refused before anything is compiled or written


REFUSED = {
    "[space]\nlearnin_rate = [0.1]": "the field 'learnin_rate' is unknown: allowed are .*learning_rate",
    "[space]\nlearning_rate = [0.1, -1]": "learning_rate=-1 is not allowed: a finite number above 0",
    "[space]\nlearning_rate = {uniform = [-1, 1]}": r"learning_rate=-1\.0 is not allowed: a finite number above 0",
    "[space]\nnum_epochs = {integers = [0, 4]}": "num_epochs=0 is not allowed: a whole number from 1",
    "[space]\nnum_epochs = {uniform = [1, 4]}": r"num_epochs=1\.0 is not allowed: a whole number from 1",
    "[space]\nnetwork = ['mlp', 'mpl']": "network='mpl' is not allowed: one of",
    "[space]\nnetwork = ['mlp', 'conv']": "network",
    "[space]\nnum_epochs = [1]\n[settings]\nhidden_sise = 8": "the field 'hidden_sise' is unknown",
    "space.envy = [1.0, 5.0]": "envy=1.0 is not allowed: left out, or with reward='inequity_averse'",
    "space.discount = [0.9]\nsettings.envy = 5.0": "envy=5.0 is not allowed: left out, or with reward",
    "[space]\nnum_envs = [1, 64]\nnum_minibatches = [1, 100]\n[settings]\nrollout_steps = 1": "num_minibatches=100",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_space_that_the_algorithm_does_not_allow_is_refused(text: str, tmp_path: Path) -> None:
    where = f"^{tmp_path / 'space.toml'}"
    with no_compiling(text), pytest.raises(ValueError, match=f"{where}.*{REFUSED[text]}") as caught:
        sweep.prepare(options(tmp_path, text))
    assert "\n" not in str(caught.value) and not (tmp_path / "runs").exists()


def test_a_setting_that_has_an_effect_at_some_points_may_vary(tmp_path: Path) -> None:
    text = "space.reward = ['individual', 'inequity_averse']\nspace.envy = [1.0, 5.0]"
    assert len(sweep.prepare(options(tmp_path, text, search="grid")).todo) == 4
    names = ("num_epochs", "hidden_size", "num_envs", "discount", "gae_lambda", "clip_range", "value_coefficient",
             "entropy_coefficient", "max_gradient_norm", "learning_rate")  # fmt: skip
    values = ([1, 2], [8, 16], [32, 64], *[[0.5, 0.25]] * 7)
    many = "".join(f"\nspace.{name} = {two}" for name, two in zip(names, values, strict=True))
    assert len(sweep.prepare(options(tmp_path, text + many, trials=2)).todo) == 2  # of 4,096 combinations


WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"seed": 100}, "seed=100 is not allowed: a whole number from 0 to 99"),
    ({"seed": 98, "num_seeds": 3}, "num_seeds=3 is not allowed: at most 2: settings are tuned on seeds below 100"),
    ({"algorithm": "ppo"}, "algorithm='ppo' is not allowed: one of .*ippo"),
    ({"env": "gatherin"}, "gatherin"),
    ({"name": "a/b"}, "name='a/b' is not allowed"),
    ({"name": None, "resume": True}, "resume=True is not allowed: together with --name"),
    ({"search": "grid"}, "a grid needs a list of values"),
    ({"search": "grid", "text": GRID, "trials": 5}, "trials=5 is not allowed: 16, all of the grid"),
    ({"metric": "return_collectiv"}, "metric='return_collectiv' is not allowed: one of .*return_collective"),
    ({"confirm": 20_000}, "confirm=20000 is not allowed: a whole number from 0 to 10,000"),
    ({"trials": 2_000_000_000}, "trials=2000000000 is not allowed: a whole number from 1 to 100,000"),
    ({"confirm": 0, "address": "nowhere"}, "address='nowhere' is not allowed: host:port"),
    ({"algorithm": "mamql", "env": "gems", "text": "[space]\nlearning_rate = [1e-3]"}, "--demonstrations is needed"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_OPTIONS)
def test_a_wrong_option_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with no_compiling(message), pytest.raises(ValueError, match=message):
        sweep.prepare(options(tmp_path, **changes))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("missing", "search"), [("ray", "random"), ("optuna", "optuna")])
def test_an_engine_that_is_not_installed_is_refused_and_what_ran_is_kept(
    missing: str, search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = (prepared(tmp_path, done(1.0)).path / "sweep.json").read_bytes()
    monkeypatch.setitem(sys.modules, missing, None)
    command = [str(tmp_path / "space.toml"), "--env", GAME, "--name", "tuned", "--runs-dir", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as caught:
        sweep.main([*command, "--resume", "--search", search])
    assert str(caught.value.code).startswith(f"error: import of {missing} halted")
    assert str(caught.value.code).endswith(f": install {missing} with pip install -e '.[sweep]'")
    assert (tmp_path / "runs" / "tuned" / "sweep.json").read_bytes() == kept


def test_only_the_same_sweep_is_resumed(tmp_path: Path) -> None:
    prepared(tmp_path, done(1.0))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"text": RANGES.replace("1e-1", "1e-2")}, "space="),
        ({"text": RANGES.replace("= 8", "= 16")}, "hidden_size=16 is not allowed: the run to resume has 8"),
        ({"seed": 1}, "seed=1 is not allowed: the run to resume has 0"),
        ({"search": "asha"}, "search='asha' is not allowed: the sweep to resume has 'random'"),
        ({"minimize": True}, "minimize=True is not allowed: the sweep to resume has False"),
    ]
    for changes, message in refused:
        with pytest.raises(ValueError, match=re.escape(message)):
            sweep.prepare(options(tmp_path, **changes)).read()
    with pytest.raises(ValueError, match=r"tuned'.* is not allowed: a new directory; .*--resume"):
        sweep.prepare(options(tmp_path)).begin()
    with pytest.raises(ValueError, match=r"other'.* is not allowed: the directory of a sweep, with sweep\.json"):
        sweep.prepare(options(tmp_path, name="other")).check_there()


def test_a_directory_without_a_sweep_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "runs" / "tuned").mkdir(parents=True)
    (tmp_path / "space.toml").write_text(RANGES)
    with pytest.raises(SystemExit) as caught:
        sweep.main([str(tmp_path / "space.toml"), *command(tmp_path), "--resume"])
    assert "the directory of a sweep, with sweep.json" in str(caught.value.code)
    assert not list((tmp_path / "runs" / "tuned").iterdir())


@pytest.mark.parametrize(
    "values", [{}, {"learning_rate": 0.01}, {"learning_rate": 2.0, "parameters": "shared"}, {"x": 1, "y": 2},
               {"learning_rate": 0.01, "parameters": "mine"}]
)  # fmt: skip
def test_values_of_a_trial_that_are_not_in_the_space_are_refused(values: dict[str, Any], tmp_path: Path) -> None:
    prepared(tmp_path, TrialRecord(values, "done", 1.0))
    with pytest.raises(ValueError, match=r"sweep\.json: the values of trial 0=.* those of the space"):
        sweep.prepare(options(tmp_path)).read()


def test_a_sweep_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    with hold(prepared(tmp_path, done(1.0)).path), pytest.raises(SystemExit) as caught:
        sweep.main([str(tmp_path / "space.toml"), *command(tmp_path), "--resume"])
    assert "is in use by process" in str(caught.value.code)


def command(folder: Path) -> list[str]:
    return ["--env", GAME, "--name", "tuned", "--runs-dir", str(folder / "runs")]


# From the trials to the report, without Ray


def test_trials_that_have_begun_or_failed_come_first_and_then_new_ones(tmp_path: Path) -> None:
    trials = [done(1.0), done(None, state="begun"), done(0.5, state="stopped early"), done(None, state="failed")]
    found = prepared(tmp_path, *trials, trials=6)
    assert found.todo == [1, 3, 4, 5]
    again = sweep.prepare(options(tmp_path, trials=5))
    again.read()
    assert again.record == found.record and again.todo == [1, 3, 4]
    assert again.values_of(1) == trials[1].values
    assert again.values_of(4) == found.space.random_point(0, 4)


@pytest.mark.parametrize(("minimize", "best"), [(False, 3), (True, 1)])
def test_the_best_trial_is_done_and_has_a_score(minimize: bool, best: int, tmp_path: Path) -> None:
    stopped = done(9.0, state="stopped early"), done(-9.0, state="stopped early")
    found = prepared(tmp_path, done(2.0), done(1.0), done(None), done(3.0), *stopped, minimize=minimize)
    assert found.best == best


def test_the_table_has_a_row_for_each_trial(tmp_path: Path) -> None:
    found = prepared(tmp_path, done(1.5), done(None, 0.02, state="failed", error="loss not finite"))
    write_report(found)
    with (found.path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shared = {"parameters": "shared"}
    assert rows == [
        {"trial": "0", "state": "done", "score": "1.5", "learning_rate": "0.01", **shared, "error": ""},
        {"trial": "1", "state": "failed", "score": "", "learning_rate": "0.02", **shared, "error": "loss not finite"},
    ]
    assert (found.path / "trials.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_panel_for_each_setting_and_a_point_for_each_score(tmp_path: Path) -> None:
    trials = [done(1.0, 1e-3), done(2.0, 1e-2), done(0.5, 1e-1, state="stopped early"), done(None)]
    rate, parameters = draw_trials(prepared(tmp_path, *trials)).axes
    points = [tuple(map(float, np.asarray(dots.get_offsets())[0])) for dots in rate.collections]
    assert points == [(1e-3, 1.0), (1e-2, 2.0), (1e-1, 0.5)]
    sizes = [dots.properties()["sizes"][0] for dots in rate.collections]
    assert sizes[1] > sizes[0] == sizes[2]  # the best one is a star
    assert rate.get_xscale() == "log"
    assert [tick.get_text() for tick in parameters.get_xticklabels()] == ["shared", "separate"]


def test_the_preset_is_an_entry_that_gives_the_settings_of_the_trial(tmp_path: Path) -> None:
    tuned = TrialRecord({"learning_rate": 0.02, "parameters": "separate"}, "done", 1.0)
    found = prepared(tmp_path, tuned, env="common_pool", env_kwargs=("num_agents=3", "max_steps=99"))
    text = as_preset(found, 0)
    assert text.splitlines()[:2] == ["    # tuned with num_agents=3, max_steps=99", '    ("ippo", "common_pool"): {']
    entry = ast.literal_eval(f"{{{text}\n}}")[("ippo", "common_pool")]
    settings = presets.preset("ippo", "common_pool") | found.space.settings | tuned.values
    assert ippo.Config(**entry) == ippo.Config(**settings)
    assert not any(entry[name] == value for name, value in dataclasses.asdict(ippo.Config()).items() if name in entry)


def test_a_trial_ends_by_its_last_report() -> None:
    report: dict[str, Any] = {"score": 1.5, "error": "", "is_whole": True}
    assert ended({}, report) == TrialRecord({}, "done", 1.5)
    assert ended({}, report | {"is_whole": False}) == TrialRecord({}, "stopped early", 1.5)
    assert ended({}, report | {"error": "loss not finite"}) == TrialRecord({}, "failed", None, "loss not finite")
    assert ended({}, None).state == "failed"
    nothing = ended({}, report | {"score": float("nan")})
    assert (nothing.state, nothing.score) == ("done", None) and "no episode ended" in nothing.error


def test_proposals_are_written_down_and_proposed_again_after_a_kill(tmp_path: Path) -> None:
    lines: list[str] = []
    found = prepared(tmp_path, trials=4, search="optuna")
    proposals = Proposals(found, lines.append)
    first = [proposals.suggest(name)["trial"] for name in "ab"]
    proposals.on_trial_complete("a", {"score": 2.0, "error": "", "is_whole": True})
    assert lines == ["trial_000: done, score 2.0"]
    again = sweep.prepare(options(tmp_path, trials=4, search="optuna"))
    again.read()  # as if the program had been killed
    assert [trial.state for trial in again.record.trials] == ["done", "begun"]
    proposals = Proposals(again, lines.append)
    continued = proposals.suggest("x")["trial"]
    assert continued.directory.path == first[1].directory.path == found.path / "trial_001"
    assert continued.record == first[1].record
    assert [proposals.suggest(name) == Proposals.FINISHED for name in "yzw"] == [False, False, True]
    assert [trial.state for trial in again.record.trials] == ["done", "begun", "begun", "begun"]
    rates = [trial.values["learning_rate"] for trial in again.record.trials]
    assert len(set(rates)) == 4 and all(1e-9 <= rate <= 1e-1 for rate in rates)


@pytest.mark.parametrize(("num_gpus", "workers", "share"), [(0, 2, 0), (1, 2, 0.5), (4, 2, 2), (3, 2, 1), (1, 1, 1)])
def test_gpus_are_shared_in_parts_or_as_a_whole(num_gpus: float, workers: int, share: float) -> None:
    assert share_of_gpus(num_gpus, workers) == share


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_a_point_that_is_not_allowed_is_a_failed_trial_and_the_next_one_follows(search: Any, tmp_path: Path) -> None:
    text = f"space.num_minibatches = {{integers = [1, 4]}}\n{TINY}"  # 3 is no divisor
    lines: list[str] = []
    found = sweep.prepare(options(tmp_path, text, trials=30, search=search))
    found.begin()
    proposals = Proposals(found, lines.append)
    for number in range(31):
        if proposals.suggest(str(number)) == Proposals.FINISHED:
            break
    failed = [trial for trial in found.record.trials if trial.state == "failed"]
    assert len(found.record.trials) == 30 and 0 < len(failed) == len(lines) < 30
    assert all(trial.values == {"num_minibatches": 3} and "a divisor of" in trial.error for trial in failed)
    assert {trial.values["num_minibatches"] for trial in found.record.trials if trial.state == "begun"} == {1, 2, 4}


def test_a_trial_is_recorded_with_its_settings_and_nine_checkpoints(tmp_path: Path) -> None:
    run = prepared(tmp_path, seed=7, num_seeds=2).trial("trial_000", {"learning_rate": 0.5, "parameters": "separate"})
    assert (run.record.seeds, run.record.checkpoint_every, run.num_updates) == (range(7, 9), 5, 39)
    assert (run.record.config["learning_rate"], run.record.config["parameters"]) == (0.5, "separate")


# Whole sweeps


def run_sweep(folder: Path, text: str, *more: str) -> "subprocess.Popen[str]":
    """Starts the command."""
    (folder / "space.toml").write_text(text)
    program = [sys.executable, "-m", "baselines.sweep", str(folder / "space.toml"), *command(folder), *more]
    env = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}
    return subprocess.Popen(program, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.is_file() and path.read_text():
            return
        time.sleep(0.1)
    pytest.fail(f"{path} is missing")


def parent_of(process: int) -> int:
    """The process that has started this one."""
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(process)], capture_output=True, check=True).stdout)


def rows_of(path: Path) -> list[dict[str, str]]:
    with (path / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_sixteen_trials_of_which_a_worker_is_killed_find_the_known_answer(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "tuned"
    process = run_sweep(tmp_path, GRID, "--search", "grid", "--workers", "2", "--confirm", "2")
    lock = path / "trial_000" / ".lock"
    wait_for(lock)
    holder = lock.read_text()
    match = re.match(r"process (\d+) ", holder)
    assert match
    os.kill(parent_of(int(match[1])), signal.SIGKILL)  # the worker of Ray that waits for the trial
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert lock.read_text() != holder  # the trial was tried again, by another process
    rows = rows_of(path)
    assert [row["state"] for row in rows] == ["done"] * 16
    best = max(rows, key=lambda row: float(row["score"]))
    assert float(best["learning_rate"]) == 0.03 and float(best["score"]) > 1.9  # each of two agents gets 1
    assert all(abs(float(row["score"])) < 0.5 for row in rows if row["learning_rate"] != "0.03")  # nothing is learnt
    for number in range(16):
        run = load_run(path / f"trial_{number:03}", 0, GAME)
        assert run.config.learning_rate == float(rows[number]["learning_rate"])
    assert '"learning_rate": 0.03,' in printed and f"trial_{int(best['trial']):03} has the best settings" in printed
    last = printed.strip().splitlines()[-1]
    assert re.search(r"collective return of ippo on .*, seeds 100 to 101: (1\.9|2)", last), last
    confirmed = RunDirectory(path / f"confirmed_trial_{int(best['trial']):03}_2_seeds")
    assert [*confirmed.read_record().seeds] == [100, 101]
    resumed = ["--name", "trial_000", "--runs-dir", str(path), "--env", GAME, "--resume"]
    train_command(ippo.ALGORITHM, resumed)  # an ordinary run
    assert read_metrics(path / "trial_000" / "metrics.csv")["update"][-1] == 39


@pytest.mark.slow
def test_a_sweep_that_stops_trials_early_is_interrupted_and_resumed(tmp_path: Path) -> None:
    path, how = tmp_path / "runs" / "tuned", ("--search", "asha", "--workers", "1", "--trials", "4", "--seed", SEED)
    process = run_sweep(tmp_path, EARLY, *how)
    wait_for(path / "trial_001" / ".lock")
    process.send_signal(signal.SIGINT)
    assert "interrupted" in process.communicate()[0]
    assert process.returncode == 130
    process = run_sweep(tmp_path, EARLY, *how, "--resume")
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert "trial_000: " not in printed  # it was done
    rows = rows_of(path)
    assert [row["state"] for row in rows] == ["done", "done", "stopped early", "failed"], rows
    assert "not finite after update" in rows[3]["error"]
    for number, least in enumerate((39, 39, 5)):
        directory = path / f"trial_{number:03}"
        updates = read_metrics(directory / "metrics.csv")["update"][-1]
        assert least <= updates <= 39
        load_run(directory, 0, GAME)  # a trial that was stopped early has parameters too
