"""The study of common pools: a tiny one from end to end, and its conclusions from outcomes written by hand."""

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import jaxdilemmas
from baselines.analysis.dilemmas import conditions, pure_equilibria
from baselines.analysis.intervals import Verdict
from baselines.core.players import play_episode, scripted_player
from baselines.disk.schema import save_json
from baselines.disk.writing import load_arrays, save_arrays
from baselines.networking.assembly import assemble
from baselines.networking.protocols import PROTOCOLS
from baselines.studies import side_by_side
from baselines.studies.common_pool import __main__ as common_pool_study
from baselines.studies.common_pool import mixtures, restraint
from baselines.studies.common_pool.__main__ import STAGES
from baselines.studies.common_pool.laboratory import (
    EVALUATE,
    MIX,
    TRAIN,
    Laboratory,
    are_models_done,
    are_teams_done,
    episode_outcome,
    load_outcomes,
    load_teams,
    tag,
)
from baselines.studies.common_pool.options import Model, Options
from baselines.sweeping import engine
from jaxdilemmas import policies

TINY = [
    *("--protocols", "ia2c", "commnet", "--rates", "0.03", "0.1", "--seeds", "1", "--teams", "3"),
    *("--settings", "hidden_size=8", "total_env_steps=100", "--episodes", "3", "--steps", "20"),
    *("--defector-below", "0.5", "--cooperator-above", "0.5", "--env-kwargs", "max_steps=50"),
]
FILES = {
    *(f"{name}.csv" for name in ("models", "restraint", "schelling", "dilemmas", "rest_points", "gaps")),
    *(f"{name}.png" for name in ("heat_map", "restraint_of_seeds", "schelling", "phase")),
    *(".lock", "models", "teams", "study.json", "results.md"),
}
pytestmark = [pytest.mark.usefixtures("quick_compiling"), pytest.mark.slow]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the tiny study, made by two processes of the standard library."""
    path = tmp_path_factory.mktemp("runs") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "is_installed", lambda library: False)
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
        common_pool_study.main([*TINY, "--jobs", "2", "--output", str(path)])
    return path


def tiny(path: Path) -> Options:
    """The options of the tiny study."""
    training: dict[str, Any] = {"settings": ("hidden_size=8", "total_env_steps=100"), "env_kwargs": ("max_steps=50",)}
    evaluation: dict[str, Any] = {"episodes": 3, "steps": 20, "defector_below": 0.5, "cooperator_above": 0.5}
    names, rates = ("ia2c", "commnet"), (0.03, 0.1)
    return Options(protocols=names, rates=rates, seeds=1, teams=3, jobs=1, output=path, **training, **evaluation)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# From end to end


def test_a_tiny_study_writes_all_files(study: Path) -> None:
    assert {path.name for path in study.iterdir()} == FILES
    options = tiny(study)
    assert all(are_models_done(options, name) and are_teams_done(options, name) for name in options.protocols)
    for picture in study.glob("*.png"):
        with Image.open(picture) as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100
    stored = json.loads((study / "study.json").read_text())
    assert stored["training"]["config"]["hidden_size"] == 8
    assert stored["options"]["protocols"] == ["ia2c", "commnet"] and "jax" in stored["about"]


def test_tables_hold_the_numbers_of_the_models(study: Path) -> None:
    rows = read(study / "models.csv")
    assert [(row["protocol"], row["rate"]) for row in rows] == [
        *(("ia2c", "0.03"), ("ia2c", "0.1"), ("commnet", "0.03"), ("commnet", "0.1"))
    ]
    options = tiny(study)
    for row in rows:
        outcome = load_arrays(options.outcomes_file(row["protocol"], Model(float(row["rate"]), 100)))
        assert outcome["restraint"].shape == (3, 4) and outcome["length"].shape == (3,)
        assert float(row["restraint"]) == pytest.approx(outcome["restraint"].mean())
        assert float(row["restraint_2"]) == pytest.approx(outcome["restraint"][:, 2].mean())
        assert float(row["length"]) == pytest.approx(outcome["length"].mean())
    by_rate = read(study / "restraint.csv")
    assert [float(row["sustainable"]) for row in by_rate] == pytest.approx([0.7, 0.0, 0.7, 0.0])
    assert [float(row["published"]) for row in by_rate] == [0.34, 0.20, 0.49, 0.18]
    assert [row["restraint_low"] for row in by_rate] == [""] * 4  # one seed has no interval


def test_models_differ_in_what_they_learnt_and_play(study: Path) -> None:
    outcomes = [load_outcomes(tiny(study), name)["restraint"] for name in ("ia2c", "commnet")]
    rows = np.concatenate(outcomes).reshape(4, -1)
    assert len(np.unique(rows, axis=0)) == 4


def test_mixed_teams_have_tagged_agents_in_their_own_slots_and_luck_of_their_own(study: Path) -> None:
    options = tiny(study)
    played = 0
    for protocol in options.protocols:
        tags = tag(options, load_outcomes(options, protocol))
        teams, about = load_teams(options, protocol)
        for num_defectors in range(5):
            models, are_cooperators, returns = (
                teams[name][num_defectors] for name in ("model_of_agent", "is_cooperator", "returns")
            )
            if str(num_defectors) in about.gaps:
                assert (models == -1).all() and np.isnan(returns).all()
                continue
            assert (are_cooperators.sum(1) == 4 - num_defectors).all()
            slots = np.arange(4)
            for team, is_cooperator in zip(models, are_cooperators, strict=True):
                is_tagged = np.where(is_cooperator, tags.cooperators[team, slots], tags.defectors[team, slots])
                assert is_tagged.all()
            assert len(np.unique(returns, axis=0)) == len(returns)
            played += len(returns)
    assert played >= 6  # there are teams to look at


def test_a_team_of_one_model_plays_as_that_model(study: Path) -> None:
    laboratory = Laboratory(tiny(study), "commnet")
    models = laboratory.load_models()
    team = assemble(models, jnp.ones(4, jnp.int32), laboratory.edges)
    jax.tree.map(lambda part, leaves: np.testing.assert_array_equal(part, leaves[1]), team, models)


def test_the_report_names_every_gap_and_shows_every_picture(study: Path) -> None:
    report = (study / "results.md").read_text()
    for name in ("heat_map", "restraint_of_seeds", "schelling", "phase"):
        assert f"]({name}.png)" in report
    gaps = read(study / "gaps.csv")
    without_payoff = [row for row in read(study / "schelling.csv") if row["gap"]]
    assert [row["reason"] for row in gaps] == [row["gap"] for row in without_payoff]
    assert all(row["reason"] in report for row in gaps)
    verdicts = [row["equilibrium"] for row in read(study / "schelling.csv") if row["protocol"] == "ia2c"]
    assert f"| ia2c | {' | '.join(verdicts)} |" in report


# Going on


def test_what_is_done_is_not_trained_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(Laboratory, "make", lambda self, model: made.append(model))
    monkeypatch.setattr(Laboratory, "mix", lambda self: made.append(None))
    before = (study / "results.md").read_text()
    common_pool_study.main([*TINY, "--jobs", "1", "--output", str(study)])
    assert made == [] and (study / "results.md").read_text() == before


def test_only_what_is_missing_is_done_and_teams_follow_the_models(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(Laboratory, "make", lambda self, model: made.append((self.protocol, model)))
    monkeypatch.setattr(Laboratory, "mix", lambda self: made.append(self.protocol))
    monkeypatch.setattr(side_by_side, "conclude", lambda stages, options: None)
    more = list(TINY)
    more[more.index("--seeds") + 1] = "2"
    common_pool_study.main([*more, "--jobs", "1", "--output", str(study)])
    models = [(name, Model(rate, 101)) for name in ("commnet", "ia2c") for rate in (0.03, 0.1)]
    assert made == [*models, "commnet", "ia2c"]  # the slower protocol first


def forge(path: Path, **changes: np.ndarray | None) -> None:
    """Replaces arrays of a file, and leaves out those that are None; the checksum is right."""
    arrays = load_arrays(path) | changes
    save_arrays(path, {name: array for name, array in arrays.items() if array is not None})


def as_bytes(about: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(about).encode(), np.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"about": None}, "about is not JSON"),
        ({"about": as_bytes({"gaps": {}})}, "about: the field 'mixing' is missing"),
        ({"about": as_bytes({"mixing": {}, "gaps": {"0": 5}})}, "about: gaps="),
        ({"about": as_bytes({"mixing": {}, "gaps": {"none": "nobody"}})}, "gaps='none' is not allowed"),
        ({"about": as_bytes({"mixing": {}, "gaps": {"9": "nobody"}})}, "gaps='9' is not allowed"),
        ({"returns": np.zeros((5, 2, 3))}, "returns=.* is not allowed: numbers of shape"),
        ({"returns": None}, "names=.* is not allowed"),
    ],
)
def test_forged_teams_are_refused_with_the_name_of_the_file(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    options = by_hand(tmp_path, teams=2)
    path = options.teams_file(write_teams(options, {}))
    forge(path, **changes)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{message}"):
        mixtures.read_mixtures(options)


def test_damaged_or_forged_outcomes_are_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    options = by_hand(tmp_path)
    path = options.outcomes_file(options.protocols[0], options.models[0])
    whole = path.read_bytes()
    forge(path, length=np.ones(4))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: length=.* is not allowed: numbers of shape"):
        restraint.read_models(options)
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is damaged"):
        restraint.read_models(options)


@pytest.mark.slow
def test_the_study_made_by_ray_has_the_same_tables(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
    common_pool_study.main([*TINY, "--jobs", "2", "--output", str(tmp_path / "study")])
    tables = sorted(study.glob("*.csv"))
    assert tables
    assert [(tmp_path / "study" / path.name).read_bytes() for path in tables] == [path.read_bytes() for path in tables]


def test_what_stops_a_process_is_reported(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_installed", lambda library: False)
    options = tiny(study)
    lost = dataclasses.replace(options, jobs=2, protocols=("ia2c",), output=tmp_path)
    for model in lost.models:
        path = options.outcomes_file("ia2c", model)
        save_arrays(lost.outcomes_file("ia2c", model), load_arrays(path))
    with pytest.raises(ValueError, match=r"safetensors is missing"):
        side_by_side.work(STAGES, lost, Console(quiet=True))


# What is measured


def outcome_of(policy: str, rate: float, steps: int = 100) -> dict[str, np.ndarray]:
    env = jaxdilemmas.make("common_pool", regrowth_rate=rate)
    makers = {"take": policies.bernoulli(env, 1.0), "wait": policies.bernoulli(env, 0.0)}
    player = scripted_player(env, makers[policy])
    return jax.device_get(episode_outcome(play_episode(player, jax.random.key(0), num_steps=steps)))


def test_a_team_that_takes_everything_collapses_as_computed_by_hand() -> None:
    outcome = outcome_of("take", 0.03)
    # 0.5 - 0.1 k + 0.03 (k - 1) is not above 0 at k = 7, and the depleting step pays nothing
    assert outcome["length"] == 7 and outcome["is_depleted"]
    np.testing.assert_array_equal(outcome["restraint"], 0)
    np.testing.assert_allclose(outcome["return"], 6 * 0.025, rtol=1e-6)
    assert outcome["efficiency"] == pytest.approx(4 * 6 * 0.025 / 100)
    assert outcome["equality"] == pytest.approx(1)
    assert outcome["sustainability"] == pytest.approx(np.mean(range(6)))


def test_only_the_first_steps_of_an_episode_count() -> None:
    outcome = outcome_of("wait", 0.03, steps=30)
    assert outcome["length"] == 30 and not outcome["is_depleted"]
    np.testing.assert_array_equal(outcome["restraint"], 1)
    np.testing.assert_array_equal(outcome["return"], 0)


def by_hand(path: Path, **changes: Any) -> Options:
    """Two seeds at two rates whose outcomes are known: restraint, and whether each of five episodes ended early."""
    fields: dict[str, Any] = {
        "protocols": ("dial",),
        "rates": (0.03, 0.1),
        "seeds": 2,
        "teams": 0,
        "episodes": 5,
        "output": path,
    }
    options = Options(**fields | changes)
    known: dict[Any, tuple[float, ...]] = {
        (0.03, 100): (0.9, 0.6, 0.4, 0.3),
        (0.03, 101): (0.0, 0.1, 0.2, 0.3),
        (0.1, 100): (0.0,) * 4,
    }
    depleted: dict[Any, int] = {(0.03, 100): 2, (0.03, 101): 3}
    for protocol in options.protocols:
        for model in options.models:
            episodes = np.ones(5)
            arrays: dict[str, np.ndarray] = dict.fromkeys(restraint.SOCIAL, episodes)
            arrays["return"] = np.zeros((5, 4))
            arrays["restraint"] = np.tile(known.get(model, (1.0,) * 4), (5, 1))
            arrays["is_depleted"] = np.arange(5) < depleted.get(model, 0)
            save_arrays(options.outcomes_file(protocol, model), arrays)
    return options


def test_tags_restraint_and_collapses_are_those_computed_by_hand(tmp_path: Path) -> None:
    options = by_hand(tmp_path)
    side_by_side.conclude(STAGES, options)
    rows = read(tmp_path / "models.csv")
    tags = [[row[f"tag_{i}"] for i in range(4)] for row in rows]
    assert tags[0] == ["cooperator", "cooperator", "cooperator", "neither"]
    assert tags[1] == ["defector", "defector", "defector", "neither"]
    assert [float(row["restraint"]) for row in rows] == pytest.approx([0.55, 0.15, 0.0, 1.0])
    assert [row["is_collapsed"] for row in rows] == ["False", "True", "False", "False"]
    first, second = read(tmp_path / "restraint.csv")
    assert (first["collapsed_mean"], second["collapsed_mean"]) == ("0.5", "0.0")
    # Wilson's interval of 1 in 2, with z = 1.95996
    z = 1.959964
    margin = z / (1 + z**2 / 2) * np.sqrt(0.25 / 2 + z**2 / 16)
    assert [float(first[f"collapsed_{end}"]) for end in ("low", "high")] == pytest.approx([0.5 - margin, 0.5 + margin])
    assert float(first["restraint_mean"]) == pytest.approx(0.35)
    assert (first["cooperators"], first["defectors"]) == ("3", "3")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("models", "models.csv", "restraint.csv", "heat_map.png", "restraint_of_seeds.png", "results.md")
    }


def test_every_protocol_is_a_row_of_the_heat_map_and_a_column_of_dots(tmp_path: Path) -> None:
    options = by_hand(tmp_path, protocols=("dial", "commnet"))
    rows = restraint.read_models(options)
    ours, theirs = restraint.heat_map(options, rows).axes
    names = [label.get_text() for label in ours.get_yticklabels()]
    assert names == ["dial", "commnet", "1 - rate / take"]
    np.testing.assert_allclose(np.asarray(ours.images[0].get_array()), [[0.35, 0.5], [0.35, 0.5], [0.7, 0.0]])
    np.testing.assert_allclose(np.asarray(theirs.images[0].get_array())[:2], [[0.48, 0.17], [0.49, 0.18]])
    low, high = restraint.restraint_of_seeds(options, rows).axes
    assert [len(axes.collections) for axes in (low, high)] == [2, 2]
    dots = low.collections[0]
    np.testing.assert_allclose(np.asarray(dots.get_offsets())[:, 1], [0.55, 0.15])
    assert np.asarray(dots.get_facecolor())[:, 0].tolist() == pytest.approx([0x1F / 255, 1.0])  # blue, white
    assert [text.get_text() for text in low.texts] == ["50%", "50%"]


def write_teams(options: Options, gaps: dict[int, str]) -> str:
    """Two teams for each number of cooperators k: they get 10 k, defectors 10 k + 5; in the second team 1 more."""
    (protocol,) = options.protocols
    is_cooperator = np.zeros((5, 2, 4), bool)
    returns = np.full((5, 2, 4), np.nan)
    for num_defectors in set(range(5)) - gaps.keys():
        number = 4 - num_defectors
        is_cooperator[num_defectors, :, :number] = True
        group = np.where(is_cooperator[num_defectors], 10.0 * number, 10.0 * number + 5)
        returns[num_defectors] = group + np.arange(2)[:, None]
    about = np.frombuffer(json.dumps({"mixing": options.mixing(), "gaps": gaps}).encode(), np.uint8)
    arrays = {"model_of_agent": np.zeros((5, 2, 4), np.int32), "is_cooperator": is_cooperator, "returns": returns}
    save_arrays(options.teams_file(protocol), arrays | {"about": about})
    return protocol


def test_returns_of_teams_become_a_schelling_table(tmp_path: Path) -> None:
    options = by_hand(tmp_path, teams=2)
    write_teams(options, {})
    (mixture,) = mixtures.read_mixtures(options) or []
    np.testing.assert_array_equal(mixture.table.cooperators[1:].mean(1), [10.5, 20.5, 30.5, 40.5])
    np.testing.assert_array_equal(mixture.table.defectors[:4].mean(1), [5.5, 15.5, 25.5, 35.5])
    assert np.isnan(mixture.table.cooperators[0]).all() and np.isnan(mixture.table.defectors[4]).all()
    assert [row["share_of_cooperators"].mean for row in mixtures.point_rows(mixture)] == [0.0, 1.0]


def test_gaps_are_named_with_rates_and_leave_open_only_what_depends_on_them(tmp_path: Path) -> None:
    options = by_hand(tmp_path, teams=2)
    write_teams(options, {0: "nobody"})
    (mixture,) = mixtures.read_mixtures(options) or []
    assert mixture.gaps == {4: "nobody"} and mixtures.point_rows(mixture) == []
    assert pure_equilibria(mixture.table) == [Verdict.FAILS] * 3 + [Verdict.UNDECIDED] * 2
    dilemma = conditions(mixture.table)
    assert np.isnan(dilemma.greed).all() and dilemma.fear.high < 0
    (gap,) = mixtures.gap_rows(options, [mixture])
    assert (gap["protocol"], gap["cooperators"], gap["reason"]) == ("dial", 4, "nobody")
    assert (gap["rates_without_cooperators"], gap["rates_without_defectors"]) == ("", "")
    side_by_side.conclude(STAGES, options)
    assert [row["gap"] for row in read(tmp_path / "schelling.csv")] == ["", "", "", "", "nobody"]
    assert "nobody" in (tmp_path / "results.md").read_text()


def test_rates_without_a_class_are_named(tmp_path: Path) -> None:
    options = by_hand(tmp_path, teams=2, cooperator_above=0.95, defector_below=0.05)
    write_teams(options, {1: "nobody"})
    (gap,) = mixtures.gap_rows(options, mixtures.read_mixtures(options) or [])
    assert gap["rates_without_cooperators"] == "0.03"


# Keys and options


def test_every_use_of_chance_has_a_key_of_its_own() -> None:
    some = Options(protocols=("ia2c", "dial"), rates=(0.03, 0.1), seeds=2)
    keys = [
        some.key(p, purpose, model) for p in some.protocols for model in some.models for purpose in (TRAIN, EVALUATE)
    ]
    keys += [some.key(p, MIX) for p in some.protocols]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == len(keys) == 2 * (4 * 2 + 1)


def test_by_default_it_is_the_whole_study() -> None:
    options = Options()
    assert set(options.protocols) == set(PROTOCOLS)
    assert len(options.protocols) * len(options.models) == 7 * 7 * 5
    config = options.config(options.protocols[0])
    assert (config.total_env_steps, config.reward_sharing) == (50_000, 0.1)
    params = options.env().default_params
    assert (options.env().num_agents, params.max_steps, options.steps, options.episodes) == (4, 1000, 100, 20)
    assert (options.defector_below, options.cooperator_above, options.team_rate) == (0.25, 0.35, 0.055)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocols", "ia3c"], "protocol='ia3c' is not allowed"),
        (["--protocols", "ia2c", "ia2c"], "each once"),
        (["--rates", "0"], "rates=(0.0,) is not allowed"),
        (["--team-rate", "nan"], "team_rate=nan is not allowed: a finite number above 0"),
        (["--seeds", "0"], "seeds=0 is not allowed"),
        (["--teams", "1"], "teams=1 is not allowed: 0, or at least 2"),
        (["--reward-sharing", "-1"], "reward_sharing=-1.0 is not allowed"),
        (["--settings", "hidden=8"], "settings=['hidden'] is not allowed"),
        (["--settings", "protocol=ia2c"], "settings=['protocol'] is not allowed"),
        (["--env-kwargs", "regrowth_rate=0.1"], "regrowth_rate is set by rates and team_rate"),
        (["--env-kwargs", "capacity=-1"], "capacity=-1 is not allowed"),
        (["--steps", "2000"], "steps=2000 is not allowed: at most max_steps=1000"),
        (["--cooperator-above", "0.2"], "cooperator_above=0.2 is not allowed"),
        (["--jobs", "0"], "jobs=0 is not allowed"),
        (["--first-seed", "-1"], "first_seed=-1 is not allowed"),
    ],
)
def test_wrong_options_are_named_and_nothing_is_written(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        common_pool_study.main([*options, "--output", str(tmp_path / "a")])
    said = f"{exit_info.value.code} {capsys.readouterr().err}"
    assert message in " ".join(said.replace("│", " ").split())
    assert not (tmp_path / "a").exists()


def test_no_link_is_followed_out_of_a_study(tmp_path: Path) -> None:
    save_json(tmp_path / "study" / side_by_side.FILE, side_by_side.StudyRecord({}))
    assert side_by_side.read_training(tmp_path / "study") == {}
    (tmp_path / "study" / "models").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="study/models is a symbolic link out of the directory"):
        side_by_side.read_training(tmp_path / "study")


def test_a_study_of_other_settings_is_not_continued(study: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_info:
        common_pool_study.main([*TINY, "--output", str(study), "--reward-sharing", "0.5"])
    assert f"reward_sharing=0.5 is not allowed: the study in {study} has 0.1" in str(exit_info.value.code)
    with pytest.raises(SystemExit) as exit_info:
        common_pool_study.main([*TINY, "--output", str(tmp_path)])
    assert "a new directory, or one with a study" in str(exit_info.value.code)
