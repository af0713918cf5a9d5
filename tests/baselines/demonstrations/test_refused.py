"""Demonstrations that are damaged or of another kind are refused."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from baselines.demonstrations import (
    Demonstrations,
    Header,
    check_fits,
    describe,
    load,
)
from baselines.demonstrations.headers import check_header
from baselines.demonstrations.records import to_arrays
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.by_hand import (
    read_frames,
    write_by_hand,
    write_frames,
)

pytestmark = pytest.mark.usefixtures("quick_compiling")


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "field"),
    [
        ("gathering", {}, "env_id='common_pool' is not allowed: gathering has 'gathering'"),
        ("common_pool", {"num_agents": 3}, "num_agents=2 is not allowed: common_pool has 3"),
        (None, {"num_agents": 3}, "num_agents=2 is not allowed: CommonPool has 3"),
    ],
    ids=["game", "agents", "without id"],
)
def test_demonstrations_of_another_game_are_refused(
    path: Path, env_id: str | None, env_kwargs: dict[str, Any], field: str
) -> None:
    env = jaxdilemmas.make(env_id or "common_pool", **env_kwargs)
    with pytest.raises(ValueError, match=rf"a\.demos: {field}"):
        load(path, env, env_id)
    with pytest.raises(ValueError, match=rf"a\.demos: {field}"):
        check_fits(load(path), env, env_id)


def test_demonstrations_of_a_game_that_looks_alike_are_refused_without_its_id() -> None:
    header = describe(jaxdilemmas.make("gathering"), "gathering", {})
    check_header(header, jaxdilemmas.make("gathering", max_steps=7))
    alike = dataclasses.replace(header, env_id="commons", env_kwargs={"num_agents": 2})
    with pytest.raises(ValueError, match=r"env_id='commons' is not allowed: demonstrations of Gathering are needed"):
        check_header(alike, jaxdilemmas.make("gathering"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("env_version", "0.1"), ("num_actions", 3), ("obs_shape", (3,)), ("obs_dtype", "int8")],
)
def test_demonstrations_under_other_rules_are_refused(
    recorded: Demonstrations, env: Environment, tmp_path: Path, field: str, value: Any
) -> None:
    content = vars(recorded.header) | {field: value}
    write_by_hand(tmp_path / "a.demos", Header(**content), to_arrays(recorded))
    with pytest.raises(ValueError, match=rf"a\.demos: {field}=.* is not allowed: CommonPool has "):
        load(tmp_path / "a.demos", env)


def put(name: str, row: int, value: Any) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][row] = value

    return change


def cast(name: str, dtype: Any) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda arrays: arrays.update({name: arrays[name].astype(dtype)})


CHANGES = {
    "reward": (put("rewards", 3, np.nan), r"rewards=\[nan\] is not allowed: numbers must be finite"),
    "observation": (put("obs", 0, -np.inf), r"obs=\[-inf\]"),
    "next observation": (put("next_obs", -1, np.nan), r"next_obs=\[nan\]"),
    "event": (put("events.effort", 0, np.inf), r"events\.effort=\[inf\]"),
    "state": (put("states.stock", 0, np.nan), r"states\.stock=\[nan\]"),
    "action": (put("actions", 1, 2), r"actions=\[2\] is not allowed: from 0 to 1"),
    "negative action": (put("actions", 1, -1), r"actions=\[-1\] is not allowed: from 0 to 1"),
    "episode": (put("episodes", -1, 0), "episodes=.*numbers must never fall"),
    "end": (put("terminated", 0, True), "terminated=1 is not allowed: no transition may follow the end"),
    "dtype": (cast("actions", np.int64), r"actions='int64 \(\d+, 2\)' is not allowed: int32 \(\d+, 2\) is expected"),
    "type of flags": (cast("truncated", np.uint8), r"truncated='uint8 "),
    "shape": (lambda a: a.update(obs=a["obs"][..., :1]), r"obs='float32 \(\d+, 2, 1\)' .* float32 \(\d+, 2, 2\)"),
    "agents": (lambda a: a.update(rewards=a["rewards"][:, :1]), r"rewards='float32 \(\d+, 1\)'"),
    "missing": (lambda a: a.pop("next_obs"), "arrays=.* is not allowed: next_obs must be among them"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_unsound_demonstrations_are_refused(
    recorded: Demonstrations,
    tmp_path: Path,
    change: Callable[[dict[str, np.ndarray]], None],
    message: str,
) -> None:
    arrays = to_arrays(recorded)
    change(arrays)
    write_by_hand(tmp_path / "a.demos", recorded.header, arrays)
    with pytest.raises(ValueError, match=rf"a\.demos: {message}"):
        load(tmp_path / "a.demos")


def test_unsound_demonstrations_in_memory_do_not_fit(recorded: Demonstrations, env: Environment) -> None:
    check_fits(recorded, env, "common_pool")
    with pytest.raises(ValueError, match=r"demonstrations: rewards=\[nan\] is not allowed: numbers must be finite"):
        check_fits(recorded._replace(rewards=recorded.rewards * np.float32(np.nan)), env)


def test_files_without_an_episode_are_refused(header: Header, recorded: Demonstrations, tmp_path: Path) -> None:
    path = tmp_path / "a.demos"
    with pytest.raises(ValueError, match=r"a\.demos is missing"):
        load(path)
    write_by_hand(path, header, to_arrays(recorded))
    head, _, end = read_frames(path)
    write_frames(path, [head, end])
    with pytest.raises(ValueError, match=r"a\.demos: num_episodes=0 is not allowed: at least 1: the file is empty"):
        load(path)
    path.unlink()
    write_by_hand(path, header, {name: array[:0] for name, array in to_arrays(recorded).items()})
    with pytest.raises(ValueError, match=r"a\.demos: num_transitions=0 is not allowed: at least 1: there are none"):
        load(path)


def test_an_end_mark_that_counts_otherwise_is_refused(recorded: Demonstrations, tmp_path: Path) -> None:
    write_by_hand(tmp_path / "a.demos", recorded.header, to_arrays(recorded), num_episodes=8)
    with pytest.raises(ValueError, match=r"a\.demos: num_episodes=7 is not allowed: the end mark says 8"):
        load(tmp_path / "a.demos")


def test_blocks_of_different_arrays_are_refused(recorded: Demonstrations, tmp_path: Path) -> None:
    arrays = to_arrays(recorded)
    without_states = {name: array for name, array in arrays.items() if name != "states.stock"}
    other_dtype = arrays | {"rewards": arrays["rewards"].astype(np.float64)}
    more = arrays | {"events.extra": arrays["rewards"]}
    changes = {"states.stock": without_states, "rewards": other_dtype, "events.extra": more}
    for i, (name, changed) in enumerate(changes.items()):
        write_by_hand(tmp_path / f"{i}.demos", recorded.header, arrays, changed)
        with pytest.raises(ValueError, match=rf"{i}\.demos: the array '{name}' is not the same in all blocks"):
            load(tmp_path / f"{i}.demos")
