"""The study of MAMQL: a tiny one from end to end, its options and files, and conclusions from rows by hand."""

import csv
import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import jaxdilemmas
from baselines.analysis.successors import EventRewards
from baselines.core.players import mix_in_random, scripted_player
from baselines.demonstrations import load
from baselines.disk.schema import save_json
from baselines.studies import side_by_side
from baselines.studies.mamql import __main__ as mamql_study
from baselines.studies.mamql import measures, methods, pieces, stages, summaries
from baselines.studies.mamql.__main__ import GROWING
from baselines.studies.mamql.options import Options, quick_options
from baselines.studies.mamql.pieces import Piece, Source, key_of, read_rows
from baselines.studies.side_by_side import read_training
from jaxdilemmas import policies

TINY_SETTINGS = ("gradient_steps=4", "hidden_size=8", "steps_per_update=2", "network=mlp", "batch_size=8", "num_envs=2")
TINY = [
    *("--experts", "cooperative", "--methods", "mamql", "cloning", "--sizes", "150", "--seeds", "1"),
    *("--settings", *TINY_SETTINGS, "--episodes", "4", "--states", "16", "--jobs", "1"),
]
pytestmark = [pytest.mark.usefixtures("quick_compiling"), pytest.mark.slow]


def tiny(path: Path, **changes: Any) -> Options:
    """The options of the tiny study."""
    own: dict[str, Any] = {"settings": TINY_SETTINGS, "episodes": 4, "states": 16, "seeds": 1, "sizes": (150,)}
    some: dict[str, Any] = {"methods": ("mamql", "cloning"), "experts": ("cooperative",)}
    return Options(**(own | some | {"output": path, "jobs": 1} | changes))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the tiny study."""
    path = tmp_path_factory.mktemp("runs") / "study"
    mamql_study.main([*TINY, "--output", str(path)])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# From end to end


def test_a_tiny_study_writes_rows_tables_pictures_and_a_page(study: Path) -> None:
    rows = read(study / "runs.csv")
    assert [(row["method"], row["size"], row["seed"]) for row in rows] == [
        ("mamql", "150", "100"),
        ("cloning", "150", "100"),
    ]
    for row in rows:
        assert np.isfinite([float(row[name]) for name in (*stages.PLAY, *stages.BEHAVIOUR)]).all()
        assert 0 < float(row["length"]) <= 45 and row["transitions"] == "150"
    assert {"weight of own_gems", "weight of shared", "weight of own_gems of others"} <= rows[0].keys()
    page = (study / "results.md").read_text()
    assert page.index("### Returns") < page.index("### Weights")
    for name in ("returns_gems_cooperative", "behaviour_gems_cooperative"):
        assert f"]({name}.png)" in page
        with Image.open(study / f"{name}.png") as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100


def test_what_is_done_is_not_done_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.glob("rows/*.json")}
    monkeypatch.setattr(measures, "learn", lambda *_: pytest.fail("a row was made again"))
    monkeypatch.setattr(pieces, "record", lambda *_: pytest.fail("demonstrations were made again"))
    mamql_study.main([*TINY, "--output", str(study)])
    assert {path: path.stat().st_mtime_ns for path in study.glob("rows/*.json")} == before and len(before) == 2


def test_a_row_that_is_lost_comes_back_the_same(study: Path) -> None:
    chosen = tiny(study)
    path = chosen.row_file(chosen.pieces[1])
    before = json.loads(path.read_text())
    path.unlink()
    stages.IMITATORS.work(chosen, chosen.pieces[1])
    after = json.loads(path.read_text())
    for row in (before, after):
        row["numbers"].pop("train_seconds")
    np.testing.assert_equal(after, before)


def test_rows_of_other_options_do_not_get_mixed(study: Path) -> None:
    for change in ({"episodes": 5}, {"settings": ()}, {"states": 17}):
        with pytest.raises(ValueError, match=next(iter(change))):
            side_by_side.begin(tiny(study, **change), GROWING)
    with pytest.raises(ValueError, match="a new directory, or one with a study"):
        side_by_side.begin(tiny(study.parent))
    with pytest.raises(ValueError, match=r"sizes=\(9999,\) is not allowed: .* has \d\d\d transitions"):
        pieces.has_demonstrations(tiny(study, sizes=(9999,)), Source("gems", "cooperative"))


def test_held_out_episodes_are_learnt_from_only_where_all_are_asked_for(study: Path) -> None:
    chosen = tiny(study)
    everything = load(chosen.demonstrations_file(Source("gems", "cooperative")))
    piece = chosen.pieces[0]
    some, whole = (measures.make_task(chosen, piece._replace(size=size), everything) for size in (150, 20_000))
    assert some.held_out is not None and set(some.train.episodes).isdisjoint(some.held_out.episodes)
    assert whole.held_out is None and whole.train.header.num_transitions == everything.header.num_transitions
    assert measures.behaviour(whole) == {}
    first, other = (measures.make_task(chosen, piece._replace(size=50, seed=seed), everything) for seed in (100, 101))
    assert set(other.train.episodes) != set(first.train.episodes)


def test_another_game_is_learnt_and_played_without_weights(tmp_path: Path) -> None:
    path, games = tmp_path / "study", ["--game", "common_pool", "--experts", "cooperative", "--methods", "cloning"]
    mamql_study.main([*TINY, *games, "--sizes", "40", "--output", str(path)])
    (row,) = read(path / "runs.csv")
    assert row["game"] == "common_pool" and row["return_greedy"] != row["return"]
    assert not any(name.startswith("weight") for name in row) and read(path / "weights.csv") == []


# Weights of events


def test_weights_are_relative_to_the_largest_of_each_agent(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tiny(study)
    everything = load(chosen.demonstrations_file(Source("gems", "cooperative")))
    task, _ = measures.learn(measures.make_task(chosen, chosen.pieces[1], everything))
    weights = np.array([[1.0, -4.0, 0.0], [30.0, 40.0, 0.0]])
    found = EventRewards(measures.EVENTS["gems"], weights, np.ones(2))
    monkeypatch.setattr(measures, "successor_rewards", lambda *_: found)
    expected = {"weight of own_gems": 0.5, "weight of shared": 0.0, "weight of own_gems of others": 0.0}
    assert measures.weights(task) == expected
    assert measures.weights(task._replace(options=tiny(study, states=0))) == {}
    still = task._replace(train=task.train._replace(actions=task.train.actions * [0, 1]))
    monkeypatch.setattr(measures, "successor_rewards", lambda *_: pytest.fail("there is nothing to compare"))
    assert measures.weights(still).keys() == expected.keys() and np.isnan(list(measures.weights(still).values())).all()


# Options


def test_every_method_gets_the_same_network_augmentation_budget_and_acting(monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = {"network": "set", "hidden_size": 24, "augment": True, "gradient_steps": 10_000, "alpha": 7.0}
    monkeypatch.setattr(methods, "preset", lambda algorithm, env: tuned if algorithm == "mamql" else {"batch_size": 9})
    chosen = quick_options()
    configs = {method: chosen.config(method, "gems") for method in methods.METHODS}
    for config in configs.values():
        assert (config.network, config.hidden_size, config.augment, config.gradient_steps) == ("set", 24, True, 10_000)
        assert config.acting_inverse_temperature == 2
    assert configs["mamql"].alpha == 7 and configs["iq_learn"].alpha != 7
    assert configs["iq_learn_joint"].critic == "joint" and configs["gail"].method == "gail"


def test_the_study_has_its_methods_sizes_experts_and_seeds(tmp_path: Path) -> None:
    chosen = Options(experts=("greedy", "runs/mine"))
    assert len(chosen.pieces) == 5 * 2 * 6 * 6 == len(set(map(chosen.row_file, chosen.pieces)))
    assert {piece.seed for piece in chosen.pieces} == set(range(100, 105))


def test_the_ablation_is_sampled_mamql_where_both_read_the_same(tmp_path: Path) -> None:
    study = tiny(tmp_path, settings=())
    own, ablation = (study.config(method, "gems") for method in ("mamql", "iq_learn_online"))
    assert own == ablation
    own, ablation = (study.config(method, "overcooked") for method in ("mamql", "iq_learn_online"))
    assert own != ablation and dataclasses.replace(own, reads="own") == ablation
    reads = {m: study.config(m, "overcooked").reads for m in methods.METHODS}
    assert {m for m, value in reads.items() if value == "all"} == {"mamql", "iq_learn_joint"}
    assert {study.config(m, "gems").reads for m in methods.METHODS} == {"own"}


WRONG: dict[str, dict[str, Any]] = {
    "methods": {"methods": ("mamql", "mamql")},
    "sizes": {"sizes": (1,)},
    "seeds": {"seeds": 0},
    "episodes": {"episodes": 1},
    "states": {"states": -1},
    "first_seed": {"first_seed": -1},
    "experts": {"experts": ("runs/a", "others/a")},
    "env_id": {"game": "gem"},
    "settings": {"settings": ("speed=3",)},
    "hidden_size": {"settings": ("hidden_size=0",)},
    "network": {"game": "intersection", "settings": ("network=set",)},
    "number of joint actions": {"game": "cleanup", "methods": ("iq_learn_joint",), "settings": ()},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{name}="):
        tiny(tmp_path, **WRONG[name])


def test_quick_options_are_changed_by_those_that_are_given() -> None:
    chosen = mamql_study.read_options(["--quick", "--seeds", "3"])
    assert chosen == replace(quick_options(), seeds=3)
    assert mamql_study.read_options(["--experts", "greedy"]).sizes == (30, 100, 300, 1000, 10_000, 20_000)


def test_mistakes_end_the_command_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        mamql_study.main(["--methods", "bc", "--output", str(tmp_path / "study")])
    assert ended.value.code == 2 and "methods=['bc'] is not allowed" in capsys.readouterr().err
    (tmp_path / "study").mkdir()
    with pytest.raises(SystemExit, match=r"error: output=.* is not allowed: a new directory, or one with a study"):
        mamql_study.main([*TINY, "--output", str(tmp_path / "study")])


def test_keys_differ_by_name_and_purpose() -> None:
    keys = [jax.random.key_data(key_of(*names)).tolist() for names in (("a", 0), ("a", 1), ("b", 0))]
    assert len({tuple(key) for key in keys}) == 3


# Measures


def test_play_counts_success_by_the_rule_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    env = jaxdilemmas.make("gems", most_team_reward=0.0, max_steps=5)
    player = scripted_player(env, policies.scripted(env, "cooperative"))
    found = []
    for at_once in (8, 20):  # with and without a rest
        monkeypatch.setattr(measures, "AT_ONCE", at_once)
        found.append(measures.outcomes(player, jax.random.key(0), 20))
    assert found[0] == pytest.approx(found[1])
    assert 0 < found[0]["terminated"] < 1 and 0 < found[0]["length"] < 5
    endless = scripted_player(env, lambda key, state: jnp.full(2, 4, jnp.int32))
    assert measures.outcomes(endless, jax.random.key(0), 3) == {"return": 0, "length": 5, "terminated": 0}


def test_random_actions_are_mixed_in_as_often_as_asked_and_only_allowed_ones() -> None:
    env = jaxdilemmas.make("gems")
    always_stay = scripted_player(env, lambda key, state: jnp.full(2, 4, jnp.int32))
    logits = jnp.log(jnp.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], jnp.float32))
    player = mix_in_random(always_stay, logits, jnp.array([0.0, 0.5]))
    keys = jax.random.split(jax.random.key(0), 400)
    actions = np.asarray(jax.vmap(lambda key: player.act(jnp.zeros(()), None, None, key)[0])(keys))
    assert (actions[:, 0] == 4).all()
    assert set(actions[:, 1].tolist()) == {0, 1, 2, 4} and 0.4 < (actions[:, 1] != 4).mean() < 0.6


# Tables


def row(method: str, size: int, seed: int, value: float, **more: Any) -> dict[str, Any]:
    """A row by hand."""
    piece = Piece("gems", "recorded", method, size, seed)._asdict()
    return piece | {"expert_return": 13.0, "return": value} | more


def test_gains_are_paired_by_seed_and_judged_by_their_interval() -> None:
    rows = [row("mamql", 1000, seed, 10 + seed) for seed in range(5)]
    rows += [row("cloning", 1000, seed, 9 + seed + 0.01 * (seed % 2)) for seed in range(5)]
    rows += [row("gail", 1000, seed, 11 + seed + 0.01 * (seed % 2)) for seed in range(5)]
    rows += [row("iq_learn", 1000, seed, 14 - seed) for seed in range(5)] + [row("airl", 1000, 0, 30.0)]
    gains = {found["than"]: found for found in summaries.gain_rows(rows)}
    assert gains["cloning"]["gain"].mean == pytest.approx(1 - 0.004)
    verdicts = [gains[name]["verdict"] for name in ("cloning", "gail", "iq_learn", "airl")]
    assert verdicts == ["better", "worse", "undecided", "undecided"] and gains["airl"]["seeds"] == 1


def test_published_numbers_stand_beside_ours() -> None:
    rows = [row(method, size, 0, 12.0) for method in ("mamql", "cloning") for size in (300, 1000)]
    small, large = summaries.return_rows(rows)
    assert np.isnan(small["published mamql"]) and large["published mamql"] == 8.54
    assert large["published iql-ma"] == 2.36 and large["mamql"].mean == 12 and large["expert return"] == 13


def test_means_are_over_the_seeds_that_have_a_number() -> None:
    rows = [row("mamql", 300, seed, value) for seed, value in enumerate((1.0, 3.0, np.nan))]
    (found,) = summaries.summary_rows(rows, ("return", "other"))
    assert found["return"].mean == 2 and np.isnan(found["other"].mean)
    assert summaries.summary_rows(rows, ("other",)) == []


# What a directory may hold


def write_rows(study: Options) -> Path:
    """Rows by hand for all pieces; returns the file of the first."""
    for piece in study.pieces:
        path = study.row_file(piece)
        path.parent.mkdir(parents=True, exist_ok=True)
        measured = {"transitions": 150, "expert_return": 12.0, "numbers": {"return": 9.0}}
        path.write_text(json.dumps(piece._asdict() | measured))
    return study.row_file(study.pieces[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "100"}, "seed='100' is not allowed: a whole number from 0"),
        ({"numbers": {"return": "high"}}, r"numbers\.return='high' is not allowed: a number"),
        ({"numbers": [1.0]}, r"numbers=\[1\.0\] is not allowed: "),
        ({"expert_return": None}, "expert_return=None is not allowed: a finite number"),
        ({"reward": 1.0}, "the field 'reward' is unknown"),
        ({"method": "airl"}, "method='airl' is not allowed: 'mamql'"),
        ({"size": 31}, "size=31 is not allowed: 150"),
    ],
)
def test_a_damaged_row_is_refused_by_file_row_and_field(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    study = tiny(tmp_path)
    path = write_rows(study)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: {message}"):
        read_rows(study)


def test_half_a_row_is_refused_by_file(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    path = write_rows(study)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is not JSON"):
        read_rows(study)


def test_settings_that_changed_since_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tiny(tmp_path / "study")
    side_by_side.begin(study, GROWING)
    before = read_training(study.output)
    side_by_side.begin(tiny(tmp_path / "study", methods=("iq_learn",)), GROWING)
    assert read_training(study.output)["configs"].keys() == before["configs"].keys() | {"iq_learn on gems"}
    tuned = methods.preset("mamql", "gems")
    monkeypatch.setattr(methods, "preset", lambda *_: tuned | {"l2": 0.5})
    with pytest.raises(ValueError, match=r"configs: mamql on gems, l2=0.5 is not allowed: the study in .* has 1e-05"):
        side_by_side.begin(study, GROWING)


def test_a_file_of_demonstrations_is_an_expert_and_another_in_its_place_is_refused(study: Path, tmp_path: Path) -> None:
    path, output = tmp_path / "mine.demos", tmp_path / "study"
    path.write_bytes(tiny(study).demonstrations_file(Source("gems", "cooperative")).read_bytes())
    mine = tiny(output, experts=(str(path),), methods=("cloning",), states=0)
    assert mine.demonstrations_file(Source("gems", str(path))) == path
    side_by_side.begin(mine, GROWING)
    side_by_side.work(stages.STAGES, mine, Console(quiet=True))
    (row,) = read_rows(mine)
    assert row["expert"] == "mine.demos" and not (output / "demonstrations").exists()
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"experts: mine\.demos='[0-9a-f]{64}' is not allowed: the study in .* has '"):
        side_by_side.begin(mine, GROWING)


def test_a_study_without_settings_is_refused(tmp_path: Path) -> None:
    study = tiny(tmp_path / "study")
    side_by_side.begin(study, GROWING)
    old = {name: read_training(study.output)[name] for name in ("settings", "episodes", "experts")}
    save_json(study.output / "study.json", side_by_side.StudyRecord(old))
    with pytest.raises(ValueError, match=r"a study of this version; its study\.json lacks states"):
        side_by_side.begin(study, GROWING)
