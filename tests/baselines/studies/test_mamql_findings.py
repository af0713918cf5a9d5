"""The rows that the study of MAMQL may mix, its budget, and its conclusions, from rows and settings by hand."""

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.analysis.learning import learning_speed, updates_of_episodes
from baselines.demonstrations import Demonstrations
from baselines.disk.schema import save_json
from baselines.studies import side_by_side
from baselines.studies.mamql import measures, methods, summaries
from baselines.studies.mamql.__main__ import GROWING
from baselines.studies.mamql.methods import budget
from baselines.studies.mamql.options import Options, quick_options
from baselines.studies.mamql.pieces import Piece, read_rows
from baselines.studies.side_by_side import read_training
from baselines.trained.imitators import Imitator

SETTINGS = ("gradient_steps=4", "hidden_size=8", "steps_per_update=2", "network=mlp", "batch_size=8", "num_envs=2")


def chosen(path: Path, **changes: Any) -> Options:
    """Options of a study of which nothing is trained."""
    own: dict[str, Any] = {"settings": SETTINGS, "methods": ("mamql", "cloning"), "sizes": (30,), "seeds": 2, "jobs": 1}
    return Options(**(own | {"experts": ("cooperative",), "output": path / "study"} | changes))


def write_rows(study: Options, **more: Any) -> None:
    """Rows by hand for all pieces: MAMQL returns 2 more than the others."""
    for piece in study.pieces:
        gain = piece.method == "mamql"
        numbers = {"return": 9 + 2.0 * gain + piece.seed}
        path = study.row_file(piece)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(piece._asdict() | {"expert_return": 12.0, "numbers": numbers} | more))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# Tables


def test_fitted_scores_stand_above_those_of_weights_that_nobody_recovered(tmp_path: Path) -> None:
    study = chosen(tmp_path)
    scores = {"raw_pearson": 0.1, "fitted_pearson": 0.9, "fixed_shared_pearson": 0.97, "fixed_one_to_one_pearson": 0.98}
    write_rows(study, agents=[scores | {"random_pearson_median": 0.8, "random_pearson_q95": 0.99}] * 2)
    table = summaries.fitted_rows(read_rows(study), ("pearson",))
    found = {row["method"]: row["fitted_pearson"].mean for row in table}
    assert list(found.values()) == pytest.approx([0.9, 0.9, 0.97, 0.98, 0.8, 0.99])
    assert list(found)[:2] == ["mamql", "cloning"] and len({tuple(row) for row in table}) == 1
    write_rows(study, agents=[{"fitted_pearson": 0.9}])
    assert len(summaries.fitted_rows(read_rows(study), ("pearson",))) == 2


def test_seeds_are_those_that_have_the_numbers(tmp_path: Path) -> None:
    study = chosen(tmp_path, methods=("mamql",), seeds=3)
    rows = [
        piece._asdict() | {"return": value, "env_steps": 500.0, "env_steps_to_90": steps}
        for piece, value, steps in zip(study.pieces, (1.0, 3.0, np.nan), (400.0, 200.0, np.nan), strict=True)
    ]
    (found,) = summaries.play_rows(rows, ("return", "never"))
    assert found["return"].mean == 2 and found["seeds"] == 2 and np.isnan(found["never"].mean)
    assert found["reached"] == "2 of 3" and found["env_steps_to_90_median"] == 400
    assert summaries.play_rows([row | {"env_steps": 0.0} for row in rows], ("return",))[0]["reached"] == ""
    rows[0]["env_steps_to_90"] = np.nan
    (found,) = summaries.play_rows(rows, ("return",))
    assert found["reached"] == "1 of 3" and np.isnan(found["env_steps_to_90_median"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "100"}, "seed='100' is not allowed: a whole number from 0"),
        ({"numbers": {"return": "high"}}, r"numbers\.return='high' is not allowed: a number"),
        ({"numbers": [1.0]}, r"numbers=\[1\.0\] is not allowed: "),
        ({"agents": [{"raw_mse": 1.0}, {"raw_mse": None}]}, r"agents\.1\.raw_mse=None is not allowed"),
        (
            {"weights": [{"agent": 0, "event": "shared", "weight": [2.0]}]},
            r"weights\.0\.weight=\[2\.0\] is not allowed: a number",
        ),
        ({"weights": [{"agent": 0, "event": "shared"}]}, r"the field 'weights\.0\.weight' is missing"),
        ({"expert_return": None}, "expert_return=None is not allowed: a finite number"),
        ({"reward": 1.0}, "the field 'reward' is unknown"),
        ({"method": "airl"}, "method='airl' is not allowed: 'mamql'"),
        ({"size": 31}, "size=31 is not allowed: 30"),
    ],
)
def test_a_damaged_row_is_refused_by_file_row_and_field(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    study = chosen(tmp_path)
    write_rows(study)
    path = study.row_file(study.pieces[0])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: {message}"):
        read_rows(study)


def test_half_a_row_is_refused_by_file(tmp_path: Path) -> None:
    study = chosen(tmp_path)
    write_rows(study)
    path = study.row_file(study.pieces[0])
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is not JSON"):
        read_rows(study)


# Measures


def test_speed_is_read_where_a_window_of_updates_was_good_enough() -> None:
    returns = np.array([[np.nan, np.nan], [20.0, 20.0], [2.0, 2.0], [9.0, 10.0], [9.0, 9.0]])
    history = {"env_steps": 10.0 * np.arange(1, 6), "episode_return": returns, "seconds": np.array(3.0)}
    by_window = {n: learning_speed(history, 10.0, n)["env_steps_to_90"] for n in (1, 2, 3, 4, 6)}
    assert by_window[1] == by_window[2] == 20 and by_window[3] == 30 and by_window[4] == 40 and np.isnan(by_window[6])
    assert np.isnan(learning_speed(history, 100.0, 1)["env_steps_to_90"])


def test_a_window_holds_a_hundred_episodes_even_if_all_are_of_full_length() -> None:
    config = quick_options().config("mamql", "gems")
    num_updates = updates_of_episodes(config, max_steps=45)
    episodes = config.num_envs * (num_updates * config.rollout_steps // 45)
    fewer = config.num_envs * ((num_updates - 1) * config.rollout_steps // 45)
    assert fewer < 100 <= episodes
    assert updates_of_episodes(quick_options().config("cloning", "gems"), 45) == 1


def test_values_of_states_are_soft_maxima_at_the_temperature_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    import baselines.adversarial
    import baselines.mamql
    from baselines.mamql import Config

    q = np.array([[[1.0, 2.0, 4.0]]], np.float32)
    monkeypatch.setattr(Imitator, "action_values", lambda *_: q)
    cold, warm = (Imitator(None, baselines.mamql.ALGORITHM, Config(inverse_temperature=t), {}, {}) for t in (8.0, 1.0))  # type: ignore[arg-type]
    expected = [np.log(np.exp(t * q[0, 0]).sum()) / t for t in (8.0, 1.0)]
    np.testing.assert_allclose([who.state_values(q)[0, 0, 0] for who in (cold, warm)], expected, rtol=1e-6)
    logits = Imitator(None, baselines.adversarial.ALGORITHM, baselines.adversarial.Config(), {}, {})  # type: ignore[arg-type]
    assert logits.state_values(q).shape == (1, 1, 0)


def test_rewards_that_nobody_recovered_are_measured_on_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.analysis.rewards.events import EventRewards

    events = {"own_gems": np.array([[1.0, 0], [0, 1], [0, 0], [0, 0]]), "shared": np.array([[0.0, 0]] * 3 + [[1, 1]])}
    rewards = events["own_gems"] + 6 * events["shared"]
    held_out = Demonstrations(None, None, None, rewards, None, np.zeros(4, bool), None, np.arange(4), events, {})  # type: ignore[arg-type]
    monkeypatch.setattr(Imitator, "rewards", lambda *_: rewards)
    fitted = EventRewards(("own_gems", "shared"), np.array([[1.0, 6], [1, 6]]), np.ones(2))
    task = measures.Task(None, Piece("table", "gems", "recorded", "mamql", 30, 0), None, held_out, 0.0, 1)  # type: ignore[arg-type]
    for agent in measures.score(task, Imitator(*[None] * 5), {"fitted": fitted})["agents"]:  # type: ignore[arg-type]
        assert agent["raw_pearson"] == pytest.approx(1) == agent["fitted_pearson"]
        assert 0.9 < agent["fixed_shared_pearson"] < 1 and 0.5 < agent["fixed_one_to_one_pearson"] < 1
        assert {"random_pearson_median", "random_pearson_alone_q95", "fitted_explained"} <= agent.keys()


# Options and budgets


def test_the_ablation_is_sampled_mamql_where_both_read_the_same(tmp_path: Path) -> None:
    study = chosen(tmp_path, settings=())
    own, ablation = (study.config(method, "gems") for method in ("mamql", "iq_learn_online"))
    assert own == ablation
    own, ablation = (study.config(method, "overcooked") for method in ("mamql", "iq_learn_online"))
    assert own != ablation and dataclasses.replace(own, reads="own") == ablation
    reads = {m: study.config(m, "overcooked").reads for m in methods.METHODS}
    assert {m for m, value in reads.items() if value == "all"} == {"mamql", "iq_learn_joint"}
    assert {study.config(m, "gems").reads for m in methods.METHODS} == {"own"}


def test_critics_of_joint_actions_are_left_out_where_these_are_too_many(tmp_path: Path) -> None:
    study = chosen(tmp_path, stages=("dilemmas",), methods=("iq_learn_joint", "iq_learn"))
    learners = {(piece.game, piece.method) for piece in study.pieces}
    assert ("cleanup", "iq_learn") in learners and ("gathering", "iq_learn_joint") in learners
    assert ("cleanup", "iq_learn_joint") not in learners
    assert study.left_out == ["iq_learn_joint on cleanup: 59,049 joint actions, critics have at most 4,096"]


def test_a_method_that_a_game_has_no_network_for_is_found_with_the_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="network='set' is not allowed"):
        chosen(tmp_path, stages=("games",), settings=("network=set",))


def test_budgets_are_those_of_the_settings(tmp_path: Path) -> None:
    study = chosen(tmp_path, settings=())
    mamql, cloning, airl = (budget(study.config(method, "gems")) for method in ("mamql", "cloning", "airl"))
    assert (mamql["gradient_steps"], mamql["env_steps"], mamql["cloning_steps"]) == (1400, 17_920, 0)
    assert mamql["steps_per_env_step"] == 1400 / 17_920 and mamql["transitions_per_env_step"] == 2 * 128 * 1400 / 17_920
    assert (cloning["gradient_steps"], cloning["env_steps"], cloning["transitions_per_env_step"]) == (1400, 0, 0)
    assert (airl["gradient_steps"], airl["cloning_steps"], airl["env_steps"]) == (480, 2000, 34_560)
    assert airl["policy_steps"] == 24 * 2 * 2
    assert airl["transitions_per_env_step"] == pytest.approx((480 * 256 + 2 * 34_560) / 34_560)


# What a directory may mix


def test_settings_that_changed_since_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = chosen(tmp_path)
    side_by_side.begin(study, GROWING)
    before = read_training(study.output)
    side_by_side.begin(chosen(tmp_path, methods=("iq_learn",)), GROWING)
    assert read_training(study.output)["configs"].keys() == before["configs"].keys() | {"iq_learn on gems"}
    tuned = methods.preset("mamql", "gems")
    monkeypatch.setattr(methods, "preset", lambda *_: tuned | {"l2": 0.5})
    with pytest.raises(ValueError, match=r"configs: mamql on gems, l2=0.5 is not allowed: the study in .* has 1e-05"):
        side_by_side.begin(study, GROWING)


def test_another_recording_is_refused_and_none_is_not(tmp_path: Path) -> None:
    recording = tmp_path / "gems.npz"
    recording.write_bytes(b"one")
    study = chosen(tmp_path, experts=("recorded",), recording=recording)
    side_by_side.begin(study, GROWING)
    checksum = read_training(study.output)["recording"]
    side_by_side.begin(chosen(tmp_path), GROWING)
    assert read_training(study.output)["recording"] == checksum
    recording.write_bytes(b"two")
    with pytest.raises(
        ValueError, match=f"recording='[0-9a-f]{{64}}' is not allowed: the study in .* has '{checksum}'"
    ):
        side_by_side.begin(study, GROWING)


def test_a_study_without_settings_is_refused(tmp_path: Path) -> None:
    study = chosen(tmp_path)
    side_by_side.begin(study, GROWING)
    old = {name: read_training(study.output)[name] for name in ("settings", "episodes", "explored", "experts")}
    save_json(study.output / "study.json", side_by_side.StudyRecord(old))
    with pytest.raises(ValueError, match=r"a study of this version; its study\.json lacks retrain_env_steps"):
        side_by_side.begin(study, GROWING)
