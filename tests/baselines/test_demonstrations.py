"""Demonstrations: what is recorded, what files hold, what is refused, and how they are sampled."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from baselines import demonstrations as module
from baselines.demonstrations import (
    Demonstrations,
    Header,
    Writer,
    check_fits,
    describe,
    import_gems,
    load,
    play_blocks,
    record,
    save,
    split,
    subsample,
)
from baselines.playing import Player, find_player
from baselines.training import blocks
from baselines.training.packing import unpack
from baselines.training.transitions import check_header, episode_returns, from_arrays, to_arrays
from jaxdilemmas.environment import Environment

pytestmark = pytest.mark.usefixtures("quick_compiling")

GAME = {"num_agents": 2, "regrowth_rate": 0.01, "initial_stock": 0.3, "max_steps": 8}
"""Of `common_pool`, where random players end some episodes and the clock ends the others."""
NUM_EPISODES = 7


@pytest.fixture(scope="module")
def player() -> Player:
    return find_player("random", "common_pool", GAME)


@pytest.fixture(scope="module")
def env(player: Player) -> Environment:
    return player.env


@pytest.fixture(scope="module")
def header(env: Environment) -> Header:
    return describe(env, "common_pool", GAME, "random")


@pytest.fixture(scope="module")
def recorded(player: Player, header: Header) -> Demonstrations:
    """Seven episodes with states."""
    return record(player, jax.random.key(0), num_episodes=NUM_EPISODES, with_states=True, header=header)


def episodes_of(demonstrations: Demonstrations) -> list[Demonstrations]:
    ids = demonstrations.episodes
    arrays = to_arrays(demonstrations)
    return [from_arrays(demonstrations.header, {n: a[ids == i] for n, a in arrays.items()}) for i in np.unique(ids)]


def assert_same(found: Demonstrations, expected: Demonstrations) -> None:
    assert found.header == expected.header
    found_arrays, expected_arrays = to_arrays(found), to_arrays(expected)
    assert found_arrays.keys() == expected_arrays.keys()
    for name, array in expected_arrays.items():
        assert found_arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found_arrays[name], array, err_msg=name)


# Recording


def test_episodes_end_once_by_the_game_or_by_the_clock(recorded: Demonstrations) -> None:
    episodes = episodes_of(recorded)
    assert len(episodes) == recorded.header.num_episodes == NUM_EPISODES
    for episode in episodes:
        is_over = episode.terminated | episode.truncated
        np.testing.assert_array_equal(is_over, np.arange(len(is_over)) == len(is_over) - 1)
        assert episode.truncated[-1] == (len(is_over) == GAME["max_steps"])
    assert recorded.terminated.any() and recorded.truncated.any()


def test_what_agents_see_after_a_step_is_what_they_act_on_in_the_next(recorded: Demonstrations) -> None:
    for episode in episodes_of(recorded):
        np.testing.assert_array_equal(episode.next_obs[:-1], episode.obs[1:])


def test_the_last_observation_is_that_before_a_reset(recorded: Demonstrations) -> None:
    for episode in episodes_of(recorded):
        np.testing.assert_array_equal(episode.obs[0, :, 1], 0)
        taken = episode.next_obs[-1, :, 1]
        np.testing.assert_allclose(taken, episode.rewards.sum(axis=0), rtol=1e-6)
        assert taken.max() > 0


def test_the_returns_of_the_header_are_means_of_the_sums_of_rewards(recorded: Demonstrations) -> None:
    sums = [episode.rewards.sum(axis=0) for episode in episodes_of(recorded)]
    np.testing.assert_allclose(recorded.header.returns, np.mean(sums, axis=0), rtol=1e-6)
    assert recorded.header.num_transitions == len(recorded.obs) == len(recorded.rewards)


def test_a_recorded_step_is_replayed_from_its_state_and_actions(env: Any, recorded: Demonstrations) -> None:
    params = env.default_params
    template = jax.eval_shape(
        lambda: jax.vmap(lambda key: env.initial_state(key, params))(
            jax.random.split(jax.random.key(0), len(recorded.obs))
        )
    )
    states = unpack(recorded.states, template)
    draws = env.draw(jax.random.key(0), states, params)
    play = jax.vmap(lambda state, actions: env.transition(draws, state, actions, params))
    after, rewards, terminated, info = play(states, recorded.actions)
    np.testing.assert_allclose(rewards, recorded.rewards, atol=1e-6)
    np.testing.assert_array_equal(terminated, recorded.terminated)
    np.testing.assert_allclose(jax.vmap(lambda state: env.observe(state, params))(after), recorded.next_obs, atol=1e-6)
    assert info.keys() == recorded.events.keys()


def test_events_are_the_info_of_the_game_alone(recorded: Demonstrations) -> None:
    assert recorded.events.keys() == {"effort"}
    np.testing.assert_array_equal(recorded.events["effort"], recorded.actions)


def test_the_header_says_who_played_what(recorded: Demonstrations, env: Any) -> None:
    header = recorded.header
    assert (header.env_id, header.env_kwargs, header.policy) == ("common_pool", GAME, "random")
    assert (header.env_version, header.num_agents, header.num_actions) == (env.version, 2, 2)
    assert (header.obs_shape, header.obs_dtype) == ((2,), "float32")
    assert header.params["regrowth_rate"] == 0.01 and header.params["capacity"] == 1.0


def test_transitions_are_recorded_in_whole_episodes_until_there_are_enough(
    player: Player, header: Header, recorded: Demonstrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many episodes are played at once."""
    monkeypatch.setattr(module, "MOST_EPISODES_AT_ONCE", 2)
    lengths = np.bincount(recorded.episodes)
    wanted = int(lengths[:4].sum())
    parts = list(play_blocks(player, jax.random.key(0), header, num_transitions=wanted - 1))
    assert [part.header.num_episodes for part in parts] == [2, 2]
    arrays = {name: np.concatenate([to_arrays(part)[name] for part in parts]) for name in to_arrays(parts[0])}
    for name, array in arrays.items():
        np.testing.assert_allclose(array, to_arrays(recorded)[name][:wanted], atol=1e-6, err_msg=name)
    assert not any(name.startswith("states") for name in arrays)


def test_without_a_header_the_game_has_no_name(player: Player, env: Environment) -> None:
    found = record(player, jax.random.key(0), num_transitions=1)
    assert (found.header.env_id, found.header.policy, found.header.num_episodes) == ("", "", 1)
    check_fits(found, env)
    with pytest.raises(ValueError, match="demonstrations: env_id='' is not allowed: common_pool has 'common_pool'"):
        check_fits(found, env, "common_pool")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "num_episodes=None is not allowed: either it or num_transitions=None is given"),
        ({"num_episodes": 1, "num_transitions": 2}, "num_episodes=1 is not allowed: either it or num_transitions=2"),
        ({"num_episodes": 0}, "num_episodes=0 is not allowed: a whole number of at least 1"),
        ({"num_transitions": 1.5}, r"num_transitions=1\.5 is not allowed: a whole number of at least 1"),
    ],
    ids=["none", "both", "zero", "fraction"],
)
def test_a_recording_of_another_length_is_refused(player: Player, numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(player, jax.random.key(0), **numbers)


def test_games_whose_actions_are_not_numbered_are_refused() -> None:
    env = jaxdilemmas.make("common_pool_network", effort="continuous")
    with pytest.raises(ValueError, match="env=CommonPoolNetwork is not allowed: its actions are not numbered"):
        describe(env)


# Files


def test_what_is_written_is_loaded_bitwise(recorded: Demonstrations, env: Environment, tmp_path: Path) -> None:
    save(tmp_path / "new" / "a.demos", recorded)
    found = load(tmp_path / "new" / "a.demos", env, "common_pool")
    assert_same(found, recorded)
    assert found.header.path == str(tmp_path / "new" / "a.demos")
    assert {"stock", "taken", "step_count"} == found.states.keys()


@pytest.fixture
def path(recorded: Demonstrations, tmp_path: Path) -> Path:
    """A file of three blocks: two, one and four episodes."""
    path, parts = tmp_path / "a.demos", episodes_of(recorded)
    with Writer(path, recorded.header) as writer:
        for start, stop in ((0, 2), (2, 3), (3, 7)):
            arrays = [to_arrays(part) for part in parts[start:stop]]
            joined = {name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]}
            writer.write(from_arrays(recorded.header, joined))
        assert writer.header == recorded.header
    return path


EPISODES_BY_BLOCK = (0, 2, 3, 7)


def test_blocks_are_joined_when_they_are_loaded(path: Path, recorded: Demonstrations) -> None:
    assert len(blocks.read_contents(path).blocks) == 3
    assert_same(load(path), recorded)


def frame_ends(path: Path) -> list[int]:
    """The byte behind the header, and behind each block."""
    positions = [block.position for block in blocks.read_contents(path).blocks]
    content = path.read_bytes()
    return [*positions, content.rindex(blocks.END)]


def test_a_file_that_is_cut_off_is_refused_and_read_up_to_its_last_whole_block(
    path: Path, recorded: Demonstrations
) -> None:
    content, ends = path.read_bytes(), frame_ends(path)
    cuts = [*(end + offset for end in ends[1:] for offset in (-1, 0, 5)), len(content) - 1]
    for cut in cuts:
        path.write_bytes(content[:cut])
        num_episodes = EPISODES_BY_BLOCK[sum(cut >= end for end in ends[1:])]
        if not num_episodes:
            with pytest.raises(ValueError, match=r"a\.demos: num_episodes=0 .* cut off or damaged before its first"):
                load(path, is_partial_allowed=True)
            continue
        message = (
            rf"a\.demos is cut off or damaged: its first {num_episodes} whole episodes, .* is_partial_allowed=True"
        )
        with pytest.raises(ValueError, match=message):
            load(path)
        found = load(path, is_partial_allowed=True)
        assert found.header.num_episodes == num_episodes
        np.testing.assert_array_equal(found.obs, recorded.obs[recorded.episodes < num_episodes])


def test_a_file_that_is_cut_off_in_its_header_is_refused(path: Path) -> None:
    content, end = path.read_bytes(), frame_ends(path)[0]
    for cut in (0, 3, len(blocks.MAGIC), end - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"a\.demos is not a file of demonstrations, or cut off in its header"):
            load(path, is_partial_allowed=True)


@pytest.mark.parametrize("place", ["block", "length", "behind"])
def test_a_file_that_is_altered_is_refused(path: Path, place: str) -> None:
    content, ends = bytearray(path.read_bytes()), frame_ends(path)
    if place == "behind":
        content += b"x"
    else:
        content[ends[2] - 1 if place == "block" else ends[1] + 11] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.demos is cut off or damaged"):
        load(path)
    num_episodes = 7 if place == "behind" else 2
    assert load(path, is_partial_allowed=True).header.num_episodes == num_episodes


def test_what_a_killed_recording_wrote_can_be_read(recorded: Demonstrations, tmp_path: Path) -> None:
    first, second, *_ = episodes_of(recorded)
    writer = Writer(tmp_path / "a.demos", recorded.header)
    writer.write(first)
    writer.write(second)  # killed here: nothing closes the file
    with pytest.raises(ValueError, match=r"a\.demos is cut off or damaged: its first 2 whole episodes"):
        load(tmp_path / "a.demos")
    assert load(tmp_path / "a.demos", is_partial_allowed=True).header.num_episodes == 2


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_what_an_interrupted_recording_wrote_loads_plainly(
    recorded: Demonstrations, tmp_path: Path, interruption: type[BaseException]
) -> None:
    first = episodes_of(recorded)[0]

    def write_and_fail() -> None:
        with Writer(tmp_path / "a.demos", recorded.header) as writer:
            writer.write(first)
            raise interruption

    with pytest.raises(interruption):
        write_and_fail()
    assert_same(load(tmp_path / "a.demos"), first)


class HalfFile:
    """A file that is interrupted in the middle of what it writes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        raise KeyboardInterrupt


@pytest.mark.parametrize("num_whole", [0, 1])
def test_a_block_whose_writing_is_interrupted_is_dropped(
    recorded: Demonstrations, tmp_path: Path, num_whole: int
) -> None:
    path, arrays = tmp_path / "a.demos", {"numbers": np.arange(1000)}
    writer = blocks.BlockWriter(path, {})
    for _ in range(num_whole):
        writer.write(arrays)
    file = path.open("r+b" if num_whole else "xb")
    file.seek(0, 2)
    writer._file = HalfFile(file)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        writer.write(arrays)
    writer._file = file
    writer.close({"number": num_whole})
    assert path.exists() == bool(num_whole)
    if num_whole:
        contents = blocks.read_contents(path)
        assert contents.summary == {"number": 1}
        np.testing.assert_array_equal(blocks.read_arrays(contents)["numbers"], arrays["numbers"])


def test_arrays_are_written_in_their_own_order_whatever_their_layout(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "turned": np.arange(6).reshape(2, 3).T,
        "steps": np.arange(6, dtype=np.int8)[::2],
        "flags": np.ones(3, bool),
    }
    writer = blocks.BlockWriter(tmp_path / "a", {})
    writer.write(arrays)
    writer.close({})
    found = blocks.read_arrays(blocks.read_contents(tmp_path / "a"))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_no_file_is_overwritten_and_none_is_made_without_an_episode(recorded: Demonstrations, tmp_path: Path) -> None:
    path = tmp_path / "a.demos"
    with Writer(path, recorded.header) as writer:
        assert writer.header.num_episodes == 0
    assert not path.exists()
    save(path, recorded)
    with pytest.raises(ValueError, match=r"a\.demos exists: choose another name"):
        Writer(path, recorded.header)
    assert_same(load(path), recorded)


def test_only_whole_episodes_of_one_game_are_written(recorded: Demonstrations, header: Header, tmp_path: Path) -> None:
    cut = from_arrays(header, {name: array[:-1] for name, array in to_arrays(recorded).items()})
    with Writer(tmp_path / "a.demos", header) as writer:
        with pytest.raises(ValueError, match=r"episodes=\[6\] is not allowed: an episode is written whole or not at"):
            writer.write(cut)
        with pytest.raises(ValueError, match=r"header=.* is not allowed: the file is of"):
            writer.write(recorded._replace(header=describe(jaxdilemmas.make("common_pool", num_agents=2))))
    assert not (tmp_path / "a.demos").exists()


# What is refused


def write_by_hand(path: Path, header: Header, *arrays: dict[str, np.ndarray], **summary: Any) -> None:
    """Blocks without the checks of `Writer`."""
    content = {name: value for name, value in vars(header).items() if name not in ("path", *module.COUNTS)}
    writer = blocks.BlockWriter(path, content)
    for block in arrays:
        writer.write(block)
    writer.close(summary)


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
    content = path.read_bytes()
    path.write_bytes(content[: frame_ends(path)[0]] + content[frame_ends(path)[1] :])
    with pytest.raises(ValueError, match=r"a\.demos: num_episodes=0 is not allowed: at least 1: the file is empty"):
        load(path)
    path.unlink()
    write_by_hand(path, header, {name: array[:0] for name, array in to_arrays(recorded).items()})
    with pytest.raises(ValueError, match=r"a\.demos: num_transitions=0 is not allowed: at least 1: there are none"):
        load(path)


def test_files_with_less_than_is_asked_for_are_refused(path: Path, recorded: Demonstrations) -> None:
    M = len(recorded.obs)
    assert_same(load(path, least_episodes=7, least_transitions=M), recorded)
    with pytest.raises(ValueError, match=r"a\.demos: num_episodes=7 is not allowed: at least 8 are asked for"):
        load(path, least_episodes=8)
    with pytest.raises(ValueError, match=rf"a\.demos: num_transitions={M} is not allowed: at least {M + 1} are asked"):
        load(path, least_transitions=M + 1)


def test_an_end_mark_that_counts_otherwise_is_refused(recorded: Demonstrations, tmp_path: Path) -> None:
    write_by_hand(tmp_path / "a.demos", recorded.header, to_arrays(recorded), num_episodes=8)
    with pytest.raises(ValueError, match=r"a\.demos: num_episodes=7 is not allowed: the end mark says 8"):
        load(tmp_path / "a.demos")


def test_a_header_of_something_else_is_refused(recorded: Demonstrations, tmp_path: Path) -> None:
    writer = blocks.BlockWriter(tmp_path / "a.demos", {"colour": "red"})
    writer.write(to_arrays(recorded))
    writer.close({})
    with pytest.raises(ValueError, match=r"a\.demos: the header does not describe demonstrations: .*'colour'"):
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


# Parts


def test_a_subsample_is_whole_episodes_and_one_that_is_cut(recorded: Demonstrations) -> None:
    lengths = np.bincount(recorded.episodes)
    for seed in range(5):
        found = subsample(recorded, 20, seed)
        assert len(found.obs) == found.header.num_transitions == 20
        kept = np.bincount(found.episodes, minlength=len(lengths))
        assert sum((kept > 0) & (kept < lengths)) <= 1
        assert found.header.num_episodes == sum(kept > 0) < NUM_EPISODES
        for episode in episodes_of(found):
            whole = recorded.obs[recorded.episodes == episode.episodes[0]]
            np.testing.assert_array_equal(episode.obs, whole[: len(episode.obs)])


def test_a_smaller_subsample_is_a_part_of_a_larger_one(recorded: Demonstrations) -> None:
    chosen = []
    for number in (10, 25):
        found = subsample(recorded, number, seed=3)
        assert_same(found, subsample(recorded, number, seed=3))
        chosen.append({(i, *obs.ravel().tolist()) for i, obs in zip(found.episodes, found.obs, strict=True)})
    assert chosen[0] < chosen[1]


def test_seeds_choose_different_episodes(recorded: Demonstrations) -> None:
    assert len({tuple(np.unique(subsample(recorded, 10, seed).episodes)) for seed in range(10)}) > 3


def test_a_subsample_may_be_everything_but_not_more(recorded: Demonstrations) -> None:
    M = len(recorded.obs)
    assert_same(subsample(recorded, M), recorded)
    for number in (M + 1, 0):
        with pytest.raises(ValueError, match=f"num_transitions={number} is not allowed: .* from 1 to {M}, which are"):
            subsample(recorded, number)


def test_a_split_has_every_episode_once_and_whole(recorded: Demonstrations) -> None:
    for held_out, number in ((0.01, 1), (0.3, 2), (0.9, 6)):
        train, test = split(recorded, held_out, seed=1)
        assert (train.header.num_episodes, test.header.num_episodes) == (NUM_EPISODES - number, number)
        assert set(train.episodes) & set(test.episodes) == set()
        for part in (train, test):
            is_kept = np.isin(recorded.episodes, part.episodes)
            np.testing.assert_array_equal(part.next_obs, recorded.next_obs[is_kept])
            np.testing.assert_allclose(part.header.returns, episode_returns(part).mean(axis=0))
        assert len(train.obs) + len(test.obs) == len(recorded.obs)


def test_a_split_depends_on_its_seed_alone(recorded: Demonstrations) -> None:
    for first, second in zip(split(recorded, seed=2), split(recorded, seed=2), strict=True):
        assert_same(first, second)
    assert len({tuple(np.unique(split(recorded, 0.3, seed)[1].episodes)) for seed in range(10)}) > 3


def test_a_split_into_nothing_is_refused(recorded: Demonstrations) -> None:
    for held_out in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"held_out={held_out} is not allowed: a number above 0 and below 1"):
            split(recorded, held_out)
    with pytest.raises(ValueError, match="num_episodes=1 is not allowed: more than 1, to split them"):
        split(episodes_of(recorded)[0])


# Recorded Gems


LONG, SHORT, UNFINISHED = 45, 3, 4


@pytest.fixture(scope="module")
def gems_arrays() -> dict[str, np.ndarray]:
    """An episode that the rewards of the team end in its third step, one that the clock ends, and the start of one.

    Player 0 walks to the right over a gem of its own in the first step.
    """
    M = SHORT + LONG + UNFINISHED
    planes = np.zeros((M, 5, 15, 15), np.uint8)
    planes[:, 0, 2, 3] = planes[:, 1, 9, 9] = planes[:, 2, 2, 4] = planes[:, 2, 14, 0] = 1
    planes[:, 3, 0, 0] = planes[:, 4, 7, 7] = 1
    next_planes = planes.copy()
    next_planes[:, 0, 2, 3], next_planes[:, 0, 2, 4] = 0, 1
    actions, rewards, done = np.zeros((M, 2), np.int8), np.zeros((M, 2), np.float32), np.zeros(M, bool)
    actions[:, 1] = 4
    rewards[[0, 1, 2]] = [[7, 6], [6, 1], [0, 1]]
    done[[SHORT - 1, SHORT + LONG - 1]] = True
    bits = {n: np.packbits(p.reshape(M, -1), axis=1) for n, p in (("obs_bits", planes), ("next_obs_bits", next_planes))}
    return bits | {"actions": actions, "rewards": rewards, "done": done}


def write_gems(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


def test_recorded_gems_become_demonstrations(gems_arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    found = import_gems(write_gems(tmp_path / "gems.npz", gems_arrays))
    check_fits(found, jaxdilemmas.make("gems"), "gems")
    assert (found.header.num_episodes, found.header.num_transitions) == (2, SHORT + LONG)
    assert found.header.returns == (6.5, 4.0)
    np.testing.assert_array_equal(np.flatnonzero(found.terminated), [SHORT - 1])
    np.testing.assert_array_equal(np.flatnonzero(found.truncated), [SHORT + LONG - 1])
    np.testing.assert_array_equal(found.episodes, [0] * SHORT + [1] * LONG)
    absent = [[-1, -1]]
    mine = [[2, 3], [9, 9], [2, 4], [14, 0], *absent, [0, 0], *absent * 2, [7, 7], *absent * 2]
    np.testing.assert_array_equal(found.obs[0, 0], mine)
    np.testing.assert_array_equal(found.next_obs[0, :, :2], [[[2, 4], [9, 9]], [[9, 9], [2, 4]]])
    np.testing.assert_array_equal(found.events["own_gems"][0], [1, 0])
    save(tmp_path / "a.demos", found)
    assert_same(load(tmp_path / "a.demos"), found)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("done", np.zeros(52, bool), "done='False throughout' is not allowed: at least one episode must end"),
        ("done", np.arange(52) == 10, "done=.* rewards of a team above 20, or step 45, end an episode"),
        ("done", np.arange(52) == 1, "done=.* rewards of a team above 20, or step 45, end an episode"),
        ("actions", np.zeros((52, 3), np.int8), r"actions='int8 \(52, 3\)' is not allowed: integer \(52, 2\)"),
        ("rewards", np.zeros((52, 2), int), r"rewards='int64 \(52, 2\)' is not allowed: floating \(52, 2\)"),
        ("obs_bits", np.zeros((52, 9), np.uint8), r"obs_bits='uint8 \(52, 9\)' is not allowed: uint8 \(52, 141\)"),
        ("actions", np.full((52, 2), 5, np.int8), r"actions=\[5\] is not allowed: from 0 to 4"),
    ],
    ids=["no end", "end ignored", "end too early", "agents", "dtype", "bits", "action"],
)
def test_a_recording_that_is_not_of_gems_is_refused(
    gems_arrays: dict[str, np.ndarray], tmp_path: Path, name: str, value: np.ndarray, message: str
) -> None:
    path = write_gems(tmp_path / "gems.npz", gems_arrays | {name: value})
    with pytest.raises(ValueError, match=rf"gems\.npz: {message}"):
        import_gems(path)


def test_a_file_that_is_not_a_recording_is_refused(gems_arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "gems.npz"
    with pytest.raises(ValueError, match=r"gems\.npz is missing"):
        import_gems(path)
    for content in (b"", b"text", json.dumps([1]).encode()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"gems\.npz does not hold a recording of Gems: "):
            import_gems(path)
    write_gems(path, {name: array for name, array in gems_arrays.items() if name != "done"})
    with pytest.raises(ValueError, match=r"gems\.npz does not hold a recording of Gems: .*done"):
        import_gems(path)
    content = write_gems(path, gems_arrays).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"gems\.npz does not hold a recording of Gems: "):
        import_gems(path)
