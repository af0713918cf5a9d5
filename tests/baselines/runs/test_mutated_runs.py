"""Runs whose files a seeded generator altered are refused in a line that names the file, or read unchanged."""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.table import TIMING_COLUMNS, read_metrics
from baselines.trained.load import load_run
from tests.baselines import fake_algorithm as fake

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")

NONSENSE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**9, 2**31, 10**30, float("nan"), float("inf"), "", "a", "\x1b[31m"),
    *([], [1, "a"], {}, {"a": {"b": [None]}}),
)

Mutate = Callable[[RunDirectory, np.random.Generator], Path]
"""Alters a file of a run, and returns its path."""


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def cut(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def any_file(folder: Path, rng: np.random.Generator) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return files[rng.integers(len(files))]


def flip_or_cut(path: Path, rng: np.random.Generator) -> Path:
    (flip if rng.random() < 0.7 else cut)(path, rng)
    return path


def change_field(run: RunDirectory, rng: np.random.Generator) -> Path:
    """One field, or one of its settings or keyword arguments, is nonsense, with the checksum of before."""
    content = json.loads(run.config.read_text())
    place = content
    if rng.random() < 0.4:
        place = content[("config", "env_kwargs")[rng.integers(2)]]
    place[sorted(place)[rng.integers(len(place))]] = NONSENSE[rng.integers(len(NONSENSE))]
    run.config.write_text(json.dumps(content))
    return run.config


def remove_or_add_field(run: RunDirectory, rng: np.random.Generator) -> Path:
    content = json.loads(run.config.read_text())
    content.pop(sorted(content)[rng.integers(len(content))])
    if rng.random() < 0.5:
        content["unknown"] = 1
    run.config.write_text(json.dumps(content))
    return run.config


def change_arrays(run: RunDirectory, rng: np.random.Generator) -> Path:
    """Another dtype, shape, name or value that is not finite, without a checksum."""
    path = run.parameters(0)
    (name, array), *_ = load_file(path).items()
    wrong = (array.astype(np.float64), array[:1], array + np.float32(np.nan), array * np.float32(np.inf))
    i = int(rng.integers(5))
    save_file({name: wrong[i]} if i < 4 else {"other": array}, path)
    return path


def change_rows(run: RunDirectory, rng: np.random.Generator) -> Path:
    """A row is missing, double, torn, in another place, or has another digit."""
    lines = run.metrics.read_text().splitlines(keepends=True)
    i, j = (int(number) for number in rng.integers(1, len(lines), 2))
    digits = [at for at, char in enumerate(lines[i]) if char.isdigit()]
    at = digits[rng.integers(len(digits))]
    another = lines[i][:at] + str((int(lines[i][at]) + 1) % 10) + lines[i][at + 1 :]
    swapped = list(lines)
    swapped[i], swapped[j] = lines[j], lines[i]
    changed = (
        lines[:i] + lines[i + 1 :],
        lines[: i + 1] + lines[i:],
        [*lines[:i], lines[i][: len(lines[i]) // 2] + "\n", *lines[i + 1 :]],
        [*lines[:i], another, *lines[i + 1 :]],
        swapped,
        ["x" + lines[0], *lines[1:]],
    )
    run.metrics.write_text("".join(changed[rng.integers(len(changed))]))
    return run.metrics


MUTATIONS: dict[str, Mutate] = {
    "config: a bit or the end": lambda run, rng: flip_or_cut(run.config, rng),
    "config: a field": change_field,
    "config: more and fewer fields": remove_or_add_field,
    "parameters: a bit or the end": lambda run, rng: flip_or_cut(run.parameters(0), rng),
    "parameters: arrays": change_arrays,
    "checkpoint: a bit or the end": lambda run, rng: flip_or_cut(any_file(run.checkpoints, rng), rng),
    "table: a bit or the end": lambda run, rng: flip_or_cut(run.metrics, rng),
    "table: rows": change_rows,
}


@pytest.fixture(scope="module")
def unfinished(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The fixture run after its first four updates, with two checkpoints, and parameters as of its end."""
    path = tmp_path_factory.mktemp("unfinished")
    config = json.loads(trained.config.read_text())
    options = ["--runs-dir", str(path), "--name", "a", "--checkpoint-every", "2", "--num-seeds", "2"]
    options += ["--env-kwargs", f"max_steps={config['env_kwargs']['max_steps']}"]
    train_command(fake.ALGORITHM, options)
    shutil.rmtree(path / "a" / "checkpoints" / "6")
    return RunDirectory(path / "a")


def try_all(run: RunDirectory, whole: RunDirectory) -> Iterator[str]:
    """Loads the run, then resumes it: yields what refuses it, and asserts that what is read is as it was."""
    for seed_index in range(2):
        try:
            found, expected = (load_run(directory.path, seed_index) for directory in (run, whole))
        except ValueError as error:
            yield str(error)
        else:
            assert (found.config, found.env.num_agents) == (expected.config, expected.env.num_agents)
            np.testing.assert_array_equal(found.network_params["weights"], expected.network_params["weights"])
    try:
        options = ["--runs-dir", str(run.path.parent), "--name", run.path.name, "--resume"]
        train_command(fake.ALGORITHM, options)
    except SystemExit as error:
        yield str(error)
    else:
        found_rows, rows = (read_metrics(directory.metrics) for directory in (run, whole))
        for name in rows.keys() - set(TIMING_COLUMNS):
            np.testing.assert_array_equal(found_rows[name], rows[name], err_msg=name)
        for seed in (0, 1):
            assert run.parameters(seed).read_bytes() == whole.parameters(seed).read_bytes()


def check_mutations(unfinished: RunDirectory, tmp_path: Path, numbers: range) -> None:
    whole = RunDirectory(shutil.copytree(unfinished.path, tmp_path / "whole"))
    train_command(fake.ALGORITHM, ["--runs-dir", str(tmp_path), "--name=whole", "--resume"])
    names, num_refused = list(MUTATIONS), 0
    for number in numbers:
        run = RunDirectory(shutil.copytree(unfinished.path, tmp_path / f"run_{number}"))
        path = MUTATIONS[names[number % len(names)]](run, np.random.default_rng(number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            messages = list(try_all(run, whole))
        num_refused += bool(messages)
        for message in messages:
            assert str(run.path) in message and "\n" not in message and message.isprintable(), (number, path, message)
        shutil.rmtree(run.path)
    assert num_refused > len(numbers) / 2


@pytest.mark.slow
def test_altered_runs_are_refused_in_a_line_or_read_as_they_were(unfinished: RunDirectory, tmp_path: Path) -> None:
    check_mutations(unfinished, tmp_path, range(24))


@pytest.mark.slow
def test_300_altered_runs_are_refused_in_a_line_or_read_as_they_were(unfinished: RunDirectory, tmp_path: Path) -> None:
    check_mutations(unfinished, tmp_path, range(24, 324))
