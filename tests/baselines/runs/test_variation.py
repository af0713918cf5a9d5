"""Many settings in one program: each combination is an ordinary run, as if it had been trained alone."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import ippo, networked
from baselines.core.trainer import Algorithm, Varied
from baselines.demonstrate import main as demonstrate
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.options import prepare
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from baselines.runs.variation import label_of, parse_combinations, vary
from baselines.trained.algorithms import ALGORITHMS
from tests.baselines import fake_algorithm as fake

POOL = ("--env", "common_pool", "--env-kwargs", "max_steps=25", "--num-seeds", "2")
SMALL = ("--num-envs", "2", "--rollout-steps", "10", "--total-env-steps", "160", "--hidden-size", "4")
VARY = ("--vary", "learning_rate=1e-2,1e-3", "regrowth_rate=0.05,0.3")
LABELS = [f"learning_rate_{rate}-regrowth_rate_{growth}" for rate in (0.01, 0.001) for growth in (0.05, 0.3)]


def rows_of(directory: RunDirectory) -> dict[str, np.ndarray]:
    return {name: column for name, column in read_metrics(directory.metrics).items() if name not in TIMING_COLUMNS}


@pytest.fixture(scope="module", autouse=True)
def compiled_in_a_hurry() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs of two seeds each, with checkpoints after updates 4 and 8."""
    path = tmp_path_factory.mktemp("runs")
    options = ["--runs-dir", str(path), "--name", "s", "--checkpoint-every", "4"]
    train_command(networked.ALGORITHM, [*POOL, *SMALL, *options, *VARY])
    return path / "s"


def test_each_combination_is_a_run_with_its_own_settings_and_rules(together: Path) -> None:
    assert sorted(path.name for path in together.iterdir()) == sorted(LABELS)
    for label in LABELS:
        record = RunDirectory(together / label).read_record()
        found = {"learning_rate": record.config["learning_rate"], "regrowth_rate": record.env_kwargs["regrowth_rate"]}
        assert label_of(found) == label
        assert record.env_kwargs["max_steps"] == 25
        assert record.seeds == range(2)


@pytest.mark.parametrize("label", [LABELS[1], LABELS[2]])
def test_a_combination_learns_as_if_it_was_alone(label: str, together: Path, tmp_path: Path) -> None:
    record = RunDirectory(together / label).read_record()
    kwargs = ("--env-kwargs", *(f"{name}={value}" for name, value in record.env_kwargs.items()))
    rate = ("--learning-rate", str(record.config["learning_rate"]))
    train_command(networked.ALGORITHM, [*POOL, *SMALL, *kwargs, *rate, "--runs-dir", str(tmp_path), "--name", "alone"])
    alone, beside = rows_of(RunDirectory(tmp_path / "alone")), rows_of(RunDirectory(together / label))
    assert alone.keys() == beside.keys()
    for name, column in alone.items():
        np.testing.assert_allclose(beside[name], column, rtol=1e-4, atol=1e-5, err_msg=name)


def test_combinations_are_resumed_together_from_the_last_checkpoint_that_all_have(
    together: Path, tmp_path: Path
) -> None:
    again = Path(shutil.copytree(together, tmp_path / "s"))
    for label in LABELS:
        shutil.rmtree(again / label / "checkpoints" / "8")
        shutil.rmtree(again / label / "parameters")
    shutil.copytree(together / LABELS[2] / "checkpoints" / "8", again / LABELS[2] / "checkpoints" / "8")
    train_command(networked.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", "s", "--resume", *VARY])
    for label in LABELS:
        first, second = rows_of(RunDirectory(together / label)), rows_of(RunDirectory(again / label))
        for name, column in first.items():
            np.testing.assert_array_equal(second[name], column, err_msg=name)
        assert RunDirectory(again / label).parameters(1).is_file()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["learning_rate"], "vary='learning_rate' is not allowed: name=number,number"),
        (["learning_rate=1e-3,1e-3"], "each number once"),
        (["learning_rate=1e-3,fast"], "vary='learning_rate=1e-3,fast' is not allowed"),
        (["learning_rate=1e-3", "learning_rate=1e-4"], "each name once"),
        (["learning_rate=-1,1"], "learning_rate=-1.0 is not allowed: a finite number above 0"),
        (["num_envs=4,8"], "vary='num_envs=4' is not allowed: one of the settings clip_range"),
        (["max_steps=0,8"], "max_steps=0 is not allowed"),
        (["apples=1,2"], "vary='apples=1' is not allowed: one of the settings"),
        (["envy=1,2"], "vary='envy=1' is not allowed: .* envy needs reward='inequity_averse'"),
        (["guilt=0,2"], "vary='guilt=0' is not allowed: .* guilt needs reward='inequity_averse'"),
    ],
)
def test_what_cannot_vary_is_refused(texts: list[str], message: str, tmp_path: Path) -> None:
    options = ["--env", "gathering", "--runs-dir", str(tmp_path), "--vary", *texts]
    with pytest.raises(SystemExit, match=message):
        train_command(ippo.ALGORITHM, options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("algorithm", "options", "with_effect"),
    [
        (ippo.ALGORITHM, ("--envy", "2.0"), ("--reward", "inequity_averse")),
        (ippo.ALGORITHM, ("--guilt", "2.0"), ("--reward", "inequity_averse")),
        (networked.ALGORITHM, ("--reward-sharing", "0.3"), ("--protocol", "na2c")),
        (networked.ALGORITHM, ("--vary", "reward_sharing=0,1"), ("--protocol", "na2c")),
    ],
)
def test_settings_that_nothing_reads_are_refused(
    algorithm: Algorithm, options: tuple[str, ...], with_effect: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("--env", "common_pool", "--runs-dir", str(tmp_path), *options)
    with pytest.raises(ValueError, match=f"is not allowed: .*{with_effect[0][2:]}"):
        prepare(algorithm, options)
    assert not list(tmp_path.iterdir())
    assert prepare(algorithm, [*options, *with_effect]).num_updates >= 1


def test_names_of_a_setting_and_of_a_rule_are_refused(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Config(fake.Config):
        max_steps: float = 2.0

    algorithm = dataclasses.replace(fake.ALGORITHM, config_class=Config)
    with pytest.raises(ValueError, match="vary='max_steps' is not allowed: a name of one thing"):
        prepare(algorithm, ["--runs-dir", str(tmp_path), "--vary", "max_steps=3,4"])


def test_combinations_are_of_all_values() -> None:
    assert parse_combinations(["a=1,2", "b=0.5"]) == [{"a": 1, "b": 0.5}, {"a": 2, "b": 0.5}]
    assert label_of({"b": 1.0, "a": 1e-3}) == "a_0.001-b_1"
    with pytest.raises(ValueError, match="at most 1,000 combinations"):
        parse_combinations([f"{name}={','.join(map(str, range(11)))}" for name in "abc"])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_setting_of_every_learner_that_is_a_number_may_vary(name: str, tmp_path: Path) -> None:
    algorithm, source = ALGORITHMS[name], tmp_path / "gems.demos"
    more: dict[str, Any] = {"ippo": {"reward": "inequity_averse", "value_clip_range": 0.2, "num_envs": 8}}.get(name, {})
    env = jaxdilemmas.make("gems" if name not in ("ippo", "networked") else "common_pool")
    if name not in ("ippo", "networked"):
        demonstrate(["--env", "gems", "--policy", "greedy", "--transitions", "20", "--output", str(source)])
        more = {"demonstrations": str(source), "hidden_size": 4, "batch_size": 4}
    config = algorithm.config_class(**more)
    numbers = {key: jnp.float32(v) for key, v in vars(config).items() if isinstance(v, float)}
    assert len(numbers) >= 4
    trainer = vary(algorithm.bind_later(config, env), config)
    varied = Varied(numbers, env.default_params)
    state = jax.eval_shape(trainer.init, jax.random.key(0), varied)
    after, metrics = jax.eval_shape(trainer.update, state, varied)
    shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (state, after)]
    assert shapes[0] == shapes[1]
    assert metrics
