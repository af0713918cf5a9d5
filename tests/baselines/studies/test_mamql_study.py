"""The study of MAMQL: a tiny one from end to end, each other stage once, and conclusions from rows by hand."""

import csv
import json
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
from baselines import presets
from baselines.analysis.rewards import successors
from baselines.analysis.rewards.events import EventRewards
from baselines.core.players import mix_in_random, scripted_player
from baselines.demonstrations import load, record
from baselines.studies import side_by_side
from baselines.studies.mamql import __main__ as mamql_study
from baselines.studies.mamql import measures, methods, pieces, stages, summaries
from baselines.studies.mamql.options import Options, quick_options
from baselines.studies.mamql.pieces import DEMONSTRATIONS, Piece, Result, key_of, read_rows
from baselines.studies.mamql.stages import STAGES
from baselines.trained.imitators import in_parts
from jaxdilemmas import policies

TINY_SETTINGS = ("gradient_steps=4", "hidden_size=8", "steps_per_update=2", "network=mlp", "batch_size=8", "num_envs=2")
TINY = [
    *("--experts", "cooperative", "--methods", "mamql", "cloning", "--sizes", "30", "--seeds", "1"),
    *("--settings", *TINY_SETTINGS, "--episodes", "4", "--explored", "100", "--jobs", "1"),
    *("--retrain-env-steps", "16"),
]
TINY_IPPO = {
    "network": "mlp",
    "hidden_size": 4,
    "num_envs": 2,
    "rollout_steps": 4,
    "num_epochs": 1,
    "num_minibatches": 1,
}
pytestmark = pytest.mark.usefixtures("quick_compiling")


def tiny(path: Path, **changes: Any) -> Options:
    """The options of the tiny study."""
    own: dict[str, Any] = {"settings": TINY_SETTINGS, "episodes": 4, "explored": 100, "retrain_env_steps": 16}
    some: dict[str, Any] = {"methods": ("mamql", "cloning"), "sizes": (30,), "seeds": 1, "experts": ("cooperative",)}
    return Options(**(own | some | {"output": path, "jobs": 1} | changes))


def tiny_preset(algorithm: str, env_id: str) -> dict[str, Any]:
    """The tuned settings, but small ones of IPPO."""
    return TINY_IPPO if algorithm == "ippo" else presets.preset(algorithm, env_id)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the tiny study."""
    path = tmp_path_factory.mktemp("runs") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "NUM_RECORDED", 200)
        mamql_study.main([*TINY, "--output", str(path)])
    return path


def make(chosen: Options) -> None:
    """Does every piece of the chosen stages."""
    side_by_side.begin(chosen, mamql_study.GROWING)
    side_by_side.work((DEMONSTRATIONS, *STAGES), chosen, Console(quiet=True))


def tables_of(chosen: Options) -> dict[str, list[dict[str, Any]]]:
    """The tables of the chosen stages."""
    some = [(stage, stage.find(chosen)) for stage in (stages.OVERVIEW, *STAGES)]
    return {name: t.make(chosen, rows) for stage, rows in some if rows for name, t in stage.tables.items()}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# From end to end


def test_a_tiny_study_writes_rows_tables_pictures_and_a_page(study: Path) -> None:
    rows = read(study / "runs.csv")
    assert [(row["method"], row["size"], row["seed"]) for row in rows] == [
        ("mamql", "30", "100"),
        ("cloning", "30", "100"),
    ]
    for row in rows:
        assert np.isfinite(
            [float(row[name]) for name in ("return", "success", "length", "cross_entropy", "raw_mse")]
        ).all()
        assert 0 < float(row["length"]) <= 45 and row["transitions"] == "30"
        assert (float(row["env_steps"]) > 0) == (row["method"] == "mamql")
    assert {row["event"] for row in read(study / "weights.csv")} >= {"own_gems", "shared"}
    page = (study / "results.md").read_text()
    assert "### Recovery" in page and page.index("### Budgets") < page.index("### Recovery")
    for name in ("returns_cooperative", "behaviour_cooperative", "recovery_cooperative"):
        assert f"]({name}.png)" in page
        with Image.open(study / f"{name}.png") as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100


def test_what_is_done_is_not_done_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.glob("rows/**/*.json")}
    monkeypatch.setattr(measures, "make_task", lambda *_: pytest.fail("a row was made again"))
    monkeypatch.setattr(pieces, "make_demonstrations", lambda *_: pytest.fail("demonstrations were made again"))
    mamql_study.main([*TINY, "--output", str(study)])
    assert {path: path.stat().st_mtime_ns for path in study.glob("rows/**/*.json")} == before and len(before) == 2


def test_a_row_that_is_lost_comes_back_the_same_from_the_trained_parameters(study: Path) -> None:
    chosen = tiny(study)
    piece = next(piece for piece in chosen.pieces if piece.method == "cloning")
    path = chosen.row_file(piece)
    before = path.read_text()
    path.unlink()
    STAGES[0].work(chosen, piece)
    assert json.loads(path.read_text()) == json.loads(before)


def test_what_was_just_learnt_plays_a_game_of_tiles_as_what_was_loaded(tmp_path: Path) -> None:
    env = jaxdilemmas.make("commons", num_agents=2)
    shown = record(scripted_player(env, policies.random(env)), jax.random.key(0), num_transitions=20)
    piece = Piece("dilemmas", "commons", "random", "cloning", 20, 0)
    task = measures.Task(tiny(tmp_path), piece, shown, None, 0.0, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxdilemmas, "make", lambda game: env)
        new, loaded = measures.take(task), measures.take(task)
    outcomes = [measures.play(imitator.player(), jax.random.key(1), 2) for imitator in (new, loaded)]
    np.testing.assert_array_equal(outcomes[0]["return"], outcomes[1]["return"])


def test_rows_of_other_options_do_not_get_mixed(study: Path) -> None:
    for change in ({"episodes": 5}, {"settings": ()}, {"explored": 101}):
        with pytest.raises(ValueError, match=next(iter(change))):
            side_by_side.begin(tiny(study, **change), mamql_study.GROWING)
    with pytest.raises(ValueError, match="a new directory, or one with a study"):
        side_by_side.begin(tiny(study.parent))
    with pytest.raises(ValueError, match=r"sizes=9999 is not allowed: .* has 2\d\d transitions"):
        make(tiny(study, sizes=(9999,)))


def test_held_out_episodes_are_learnt_from_only_where_all_are_asked_for(study: Path) -> None:
    chosen = tiny(study)
    everything = load(chosen.demonstrations_file("gems", "cooperative"))
    piece = chosen.pieces[0]
    some, whole = (measures.make_task(chosen, piece._replace(size=size)) for size in (150, 20_000))
    assert some.held_out is not None and set(some.train.episodes).isdisjoint(some.held_out.episodes)
    assert whole.held_out is None and whole.train.header.num_transitions == everything.header.num_transitions
    other = measures.make_task(chosen, piece._replace(seed=101, size=50))
    assert set(other.train.episodes) != set(measures.make_task(chosen, piece._replace(size=50)).train.episodes)


@pytest.mark.slow
def test_retraining_makes_a_row_of_each_method_and_of_the_true_reward(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "preset", tiny_preset)
    monkeypatch.setattr(successors, "LEAST_TOLD", -np.inf)  # a hundred states tell little
    chosen = tiny(study, stages=("retrain",), methods=("cloning",), seeds=1, retrain_size=30)
    asked = {(piece.stage, piece.method) for piece in chosen.pieces}
    assert asked == {(s, "cloning") for s in chosen.stages} | {("retrain", "true_reward")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "NUM_RECORDED", 200)
        make(chosen)
    numbers = {row["method"]: {n: x for n, x in row.items() if n.startswith("return")} for row in read_rows(chosen)}
    assert numbers["cloning"].keys() == {"return_raw", "return_fitted", "return_successor"}
    assert numbers["true_reward"].keys() == {"return"}
    tables = tables_of(chosen)
    assert tables["retrain"][0]["return_raw"].mean == pytest.approx(numbers["cloning"]["return_raw"])
    assert {row["regression"] for row in tables["weights"]} == {"constrained", "successor"}
    assert [row["event"] for row in tables["retrain_weights"] if row["regression"] == "successor"] == [
        row["event"] for row in tables["retrain_weights"] if row["regression"] == "constrained"
    ]
    (scores,) = tables["retrain_scores"]
    assert np.isfinite([scores["successor_pearson"].mean, scores["fitted_pearson"].mean]).all()
    assert scores["successor_pearson"].mean != scores["fitted_pearson"].mean and "successor_explained" in scores


def test_weights_that_play_does_not_tell_are_a_gap(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "preset", tiny_preset)
    chosen = tiny(study, stages=("retrain",), methods=("cloning",), retrain_size=30)
    task = measures.make_task(chosen, chosen.pieces[0])
    imitator = measures.take(task)
    untold = EventRewards(("shared",), np.array([[1.0], [np.nan]]), np.ones(2))
    monkeypatch.setattr(measures, "successor_rewards", lambda *_: untold)
    assert measures.fit_successors(task, imitator, ("shared",)) is None
    still = task._replace(train=task.train._replace(actions=task.train.actions * [0, 1]))
    monkeypatch.setattr(measures, "successor_rewards", lambda *_: pytest.fail("there is nothing to compare"))
    assert measures.fit_successors(still, imitator, ("shared",)) is None
    monkeypatch.setattr(measures, "fit_successors", lambda *_: None)
    monkeypatch.setattr(measures, "learn_anew", lambda *_: 1.0)
    row = measures.retrain(task)
    assert row["numbers"].keys() == {"return_raw", "return_fitted"} and "weights of events" in row["gap"]
    assert "successor_weights" not in row


def test_rewards_are_paid_at_the_same_scale_to_each_agent() -> None:
    rewards = np.array([[300.0, 0.0, 0.1], [-400.0, 0.0, 0.0]])
    scaled = rewards * measures.unit_scale(rewards)
    np.testing.assert_allclose(np.sqrt((scaled**2).mean(0)), [1, 0, 1], rtol=1e-6)
    env = jaxdilemmas.make("gems")
    found = EventRewards(("own_gems",), np.array([[2.0], [3.0]]), np.ones(2))
    paid = measures.event_rewards(env, found, np.array([10.0, 100.0], np.float32))
    state = env.reset(jax.random.key(0))[1]
    state = state.replace(gems=state.gems.at[:2].set(state.positions[:, None]))
    np.testing.assert_array_equal(paid.step(jax.random.key(1), state, jnp.array([4, 4]))[2], [20, 300])


def test_other_games_and_dilemmas_each_make_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "GAMES", {"intersection": ("cautious", (40,))})
    monkeypatch.setattr(stages, "DILEMMAS", {"common_pool": ("cooperative", "exploitative")})
    chosen = tiny(tmp_path / "s", stages=("games", "dilemmas"), methods=("cloning",), seeds=1, dilemma_size=40)
    make(chosen)
    games, dilemma, gap = read_rows(chosen)
    assert games["game"] == "intersection" and "weights" not in games and "return_3" in games
    assert games["return_greedy"] != games["return"]
    assert {weight["agent"] for weight in dilemma["weights"]} == {0, 1, 2, 3}
    assert "weights" not in gap and "always the same" in gap["gap"]
    tables = tables_of(chosen)
    assert [(row["game"], row["expert"]) for row in tables["gaps"]] == [("common_pool", "exploitative")]
    assert [row["team"] for row in tables["dilemmas"]] == ["cooperative"] * len(tables["dilemmas"])
    assert max(abs(row["relative"]) for row in tables["dilemmas"]) == 1


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


def test_all_stages_have_their_games_methods_sizes_and_seeds(tmp_path: Path) -> None:
    recording = tmp_path / "gems.npz"
    recording.touch()
    names = tuple(stage.name for stage in STAGES)
    chosen = Options(stages=names, recording=recording, experts=("recorded", "runs/mine"))
    by_stage = {stage: [piece for piece in chosen.pieces if piece.stage == stage] for stage in names}
    assert len(by_stage["table"]) == 5 * 2 * 6 * 6 and len(set(chosen.pieces)) == len(chosen.pieces)
    assert {piece.size for piece in by_stage["games"]} == {500, 1000, 2000, 5000, 20_000, 35_000, 50_000, 70_000}
    teams = {(piece.game, piece.expert) for piece in by_stage["dilemmas"]}
    assert len(teams) == 8 and ("cleanup", "exploitative") in teams
    assert len({chosen.row_file(piece) for piece in chosen.pieces}) == len(chosen.pieces)


WRONG: dict[str, dict[str, Any]] = {
    "stages": {"stages": ("tables",)},
    "methods": {"methods": ("mamql", "mamql")},
    "sizes": {"sizes": (1,)},
    "seeds": {"seeds": 0},
    "episodes": {"episodes": 1},
    "first_seed": {"first_seed": -1},
    "experts": {"experts": ("runs/a", "others/a")},
    "recording": {"experts": ("recorded",)},
    "settings": {"settings": ("speed=3",)},
    "hidden_size": {"settings": ("hidden_size=0",)},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{name}="):
        tiny(tmp_path, **WRONG[name])


def test_quick_options_are_changed_by_those_that_are_given() -> None:
    chosen = mamql_study.read_options(["--quick", "--seeds", "3"])
    assert chosen == replace(quick_options(), seeds=3)
    assert mamql_study.read_options(["--experts", "cooperative"]) == Options(experts=("cooperative",))


def test_a_wrong_option_ends_the_command_with_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        mamql_study.main(["--output", str(tmp_path / "study")])
    assert ended.value.code == 2 and "recording=None is not allowed" in capsys.readouterr().err
    (tmp_path / "study").mkdir()
    with pytest.raises(SystemExit, match=r"error: output=.* is not allowed: a new directory, or one with a study"):
        mamql_study.main([*TINY, "--output", str(tmp_path / "study")])


def test_keys_differ_by_name_and_purpose() -> None:
    keys = [jax.random.key_data(key_of(*names)).tolist() for names in (("a", 0), ("a", 1), ("b", 0))]
    assert len({tuple(key) for key in keys}) == 3


# Measures


def test_play_counts_success_by_the_rule_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "AT_ONCE", 8)
    env = jaxdilemmas.make("gems", most_team_reward=0.0, max_steps=20)
    outcomes = measures.play(scripted_player(env, policies.scripted(env, "cooperative")), jax.random.key(0), 20)
    assert outcomes["return"].shape == (20, 2) and outcomes["length"].shape == (20,)
    is_paid = outcomes["return"].sum(1) > 0
    np.testing.assert_array_equal(outcomes["terminated"], is_paid)
    assert (outcomes["length"][~is_paid] == 20).all() and len(np.unique(outcomes["return"], axis=0)) > 1
    numbers = measures.summarize_play(outcomes)
    assert numbers["return"] == pytest.approx(outcomes["return"].mean())
    assert numbers["return_1"] == pytest.approx(outcomes["return"][:, 1].mean())


def test_random_actions_are_mixed_in_as_often_as_asked_and_only_allowed_ones() -> None:
    env = jaxdilemmas.make("gems")
    always_stay = scripted_player(env, lambda key, state: jnp.full(2, 4, jnp.int32))
    logits = jnp.log(jnp.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], jnp.float32))
    player = mix_in_random(always_stay, logits, jnp.array([0.0, 0.5]))
    keys = jax.random.split(jax.random.key(0), 400)
    actions = np.asarray(jax.vmap(lambda key: player.act(jnp.zeros(()), None, None, key)[0])(keys))
    assert (actions[:, 0] == 4).all()
    assert set(actions[:, 1].tolist()) == {0, 1, 2, 4} and 0.4 < (actions[:, 1] != 4).mean() < 0.6


def test_parts_that_overlap_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.trained.imitators.AT_ONCE", 4)
    values = np.arange(10.0)
    np.testing.assert_array_equal(in_parts(lambda x, y: x + y, values, values), 2 * values)
    np.testing.assert_array_equal(in_parts(lambda x: x, values[:3]), values[:3])


# Findings


def row(method: str, size: int, seed: int, value: float, **more: Any) -> dict[str, Any]:
    """A row by hand."""
    piece = Piece("table", "gems", "recorded", method, size, seed)._asdict()
    return piece | {"expert_return": 13.0, "return": value} | more


def test_gains_are_paired_by_seed_and_judged_by_their_interval() -> None:
    rows = [row("mamql", 1000, seed, 10 + seed) for seed in range(5)]
    rows += [row("cloning", 1000, seed, 9 + seed + 0.01 * (seed % 2)) for seed in range(5)]
    rows += [row("iq_learn", 1000, seed, 14 - seed) for seed in range(5)] + [row("airl", 1000, 0, 30.0)]
    gains = {found["than"]: found for found in summaries.difference_rows(rows)}
    assert gains["cloning"]["gain"].mean == pytest.approx(1 - 0.004)
    verdicts = [gains[name]["verdict"] for name in ("cloning", "iq_learn", "airl")]
    assert verdicts == ["better", "undecided", "undecided"] and gains["airl"]["seeds"] == 1
    worse = summaries.difference_rows([found | {"method": "mamql"} for found in rows[5:10]] + rows[10:15])
    assert worse[0]["verdict"] == "undecided"


def test_published_numbers_stand_beside_ours() -> None:
    rows = [row(method, size, 0, 12.0) for method in ("mamql", "cloning") for size in (300, 1000)]
    small, large = summaries.return_rows(rows)
    assert np.isnan(small["published mamql"]) and large["published mamql"] == 8.54
    assert large["published iql-ma"] == 2.36 and large["mamql"].mean == 12 and large["expert return"] == 13


def test_scores_are_means_over_agents_and_then_over_seeds() -> None:
    rows = [
        Result(
            **Piece("table", "gems", "recorded", "mamql", 300, seed)._asdict(),
            expert_return=13.0,
            numbers={"return": 12.0},
            agents=tuple({"raw_pearson": score + seed} for score in (0.1, 0.3)),
        ).flat()
        for seed in (0, 1)
    ]
    (found,) = summaries.summary_rows(rows, ("raw_pearson", "other"), skips_empty=True)
    assert found["raw_pearson"].mean == pytest.approx(0.7) and found["seeds"] == 2 and np.isnan(found["other"].mean)
    assert summaries.summary_rows([row("mamql", 300, 0, 1.0)], ("raw_pearson",), skips_empty=True) == []


def test_weights_of_a_team_are_compared_with_its_largest() -> None:
    weights = [{"agent": agent, "event": "a", "weight": -2.0 - agent} for agent in (0, 1)]
    weights += [{"agent": 0, "event": "b", "weight": 1.0}]
    a, b = summaries.team_weight_rows([row("mamql", 300, 0, 1.0, weights=weights)])
    assert (a["event"], a["weight"].mean, a["relative"]) == ("a", -2.5, -1) and b["relative"] == pytest.approx(0.4)


def test_weights_of_both_regressions_are_relative_to_the_largest_of_each_agent() -> None:
    def found(scales: tuple[float, float]) -> list[dict[str, Any]]:
        return [
            {"agent": agent, "event": event, "weight": scale * weight}
            for agent, scale in enumerate(scales)
            for event, weight in {"own": 1.0, "shared": -4.0}.items()
        ]

    some = row("mamql", 300, 0, 1.0, weights=found((1.0, 3.0)), successor_weights=found((50.0, 0.5)))
    table = summaries.regression_rows([some, row("true_reward", 300, 0, 1.0)])
    assert [(line["regression"], line["event"], line["weight"].mean) for line in table] == [
        (regression, event, weight)
        for regression in ("constrained", "successor")
        for event, weight in {"own": 0.25, "shared": -1.0}.items()
    ]
