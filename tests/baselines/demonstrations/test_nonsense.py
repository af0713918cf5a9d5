"""Files with nonsense values are refused in one line that names the file, or read correctly."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import jaxdilemmas
from baselines.demonstrations import Demonstrations, Writer, check_fits, describe, load, save
from baselines.demonstrations.block_format import DATA, END, HEAD, MOST_FRAME_BYTES
from baselines.demonstrations.records import from_arrays, to_arrays
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.by_hand import (
    Frame,
    assert_same,
    change_json,
    read_frames,
    with_field,
    write_by_hand,
    write_frames,
)

pytestmark = pytest.mark.usefixtures("quick_compiling")

WRONG_FIELDS: list[tuple[str, list[Any], str]] = [
    ("env_id", [None, 5, [], {}, "a b", "a/b", "\x1b[31m", "a\n"], "the id of a game, module:Class, or empty"),
    ("env_kwargs", [None, 5, [], "x", {"a": float("nan")}, {"a": [float("inf")]}], "an object of text, finite"),
    ("env_version", [None, 5, [], True], "text"),
    (
        "params",
        [None, [], {"a": {"b": float("nan")}}, {"\x1b" * 500: float("nan")}, 1.5],
        "an object of text, finite numbers",
    ),
    ("policy", [None, 5, {}], "text"),
    (
        "num_agents",
        [None, "2", 2.0, True, 0, -1, 10**9, 10**5000, [2], float("nan")],
        "a whole number from 1 to 10,000",
    ),
    ("num_actions", [None, "2", 2.5, False, 0, -2, 2**31, {}], r"a whole number from 1 to 2\^31 - 1"),
    ("obs_shape", [None, 2, "2", [0], [-1], [10**9], [1.5], [[2]], [1] * 9, [True]], "at most 8 whole numbers from 1"),
    ("obs_dtype", [None, 5, "F8", "object", "O", "|V8", "complex64", "float32\n", "f4", ""], "bool, int8 to uint64"),
]


def with_digits(field: str, value: int, content: dict[str, Any]) -> bytes:
    """A whole number that Python does not turn into text."""
    return json.dumps(content | {field: 0}).replace(f'"{field}": 0', f'"{field}": {"1" * 5000}').encode()


@pytest.mark.parametrize(("field", "values", "allowed"), WRONG_FIELDS, ids=[field for field, *_ in WRONG_FIELDS])
def test_a_field_of_the_header_is_refused_by_name(path: Path, field: str, values: list[Any], allowed: str) -> None:
    whole = path.read_bytes()
    for value in values:
        path.write_bytes(whole)
        digits = isinstance(value, int) and value > 10**4000
        change_json(path, HEAD, partial(with_digits if digits else with_field, field, value))
        message = "header is not JSON: number out of range" if digits else rf"header: {field}[^=]*=.*{allowed}"
        with pytest.raises(ValueError, match=rf"a\.demos: {message}") as error:
            load(path, is_partial_allowed=True)
        assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 600


@pytest.mark.parametrize("kind", [HEAD, END])
@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"5", b"null", b'"text"', b"{", b'{"a": 1', b"[" * 100_000, b'{"a":' * 10_000, b"\xff\xfe", b"NaN"],
)
def test_a_header_and_an_end_mark_are_json_objects(path: Path, kind: bytes, content: bytes) -> None:
    change_json(path, kind, lambda _: content)
    part = "header" if kind == HEAD else "end mark"
    with pytest.raises(ValueError, match=rf"a\.demos: {part} (is not JSON: |holds .*: a JSON object with )"):
        load(path)


@pytest.mark.parametrize("kind", [HEAD, END])
def test_every_field_of_a_header_and_of_an_end_mark_is_needed_and_no_other_is_known(path: Path, kind: bytes) -> None:
    whole = path.read_bytes()
    content = json.loads(dict(read_frames(path))[kind])
    for name in content.keys() - {"sha256", "obs_extras"}:
        path.write_bytes(whole)
        change_json(path, kind, lambda content, name=name: {n: v for n, v in content.items() if n != name})  # type: ignore[misc]
        with pytest.raises(ValueError, match=rf"a\.demos: .*: the field '{name}' is missing"):
            load(path)
    path.write_bytes(whole)
    change_json(path, kind, lambda content: content | {"colour\x1b": "red"})
    with pytest.raises(ValueError, match=r"a\.demos: .*: the field 'colour\\x1b' is unknown: allowed are "):
        load(path)
    path.write_bytes(whole)
    change_json(path, kind, lambda content: {})
    with pytest.raises(ValueError, match=r"a\.demos: .*: the field '\w+' is missing"):
        load(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_episodes", 5, "num_episodes=7 is not allowed: the end mark says 5"),
        ("num_transitions", 5, "num_transitions=49 is not allowed: the end mark says 5"),
        ("returns", [0.0, 0.0], "returns=.* is not allowed: the end mark says "),
        ("returns", [0.5], "returns=.* is not allowed: the end mark says "),
        ("num_episodes", 7.0, "end mark: num_episodes=7.0 is not allowed: a whole number"),
        ("num_episodes", None, "end mark: num_episodes=None is not allowed"),
        ("returns", 5, "end mark: returns=5 is not allowed: a finite number for each agent"),
        ("returns", [float("nan")] * 2, "end mark: returns=.* is not allowed: a finite number for each agent"),
    ],
)
def test_an_end_mark_says_what_is_there(path: Path, field: str, value: Any, message: str) -> None:
    change_json(path, END, partial(with_field, field, value), is_checksum_right=False)
    for is_partial_allowed in (False, True):
        with pytest.raises(ValueError, match=rf"a\.demos:? {message}"):
            load(path, is_partial_allowed=is_partial_allowed)


@pytest.mark.parametrize("value", [5, None, "0" * 64, []])
def test_an_end_mark_of_other_blocks_is_none(path: Path, value: Any) -> None:
    change_json(path, END, partial(with_field, "sha256", value), is_checksum_right=False)
    if value is None:
        with pytest.warns(UserWarning, match=r"a\.demos has no checksum"):
            load(path)
        return
    with pytest.raises(ValueError, match=r"a\.demos is cut off or damaged: .* do not have the checksum"):
        load(path)
    assert load(path, is_partial_allowed=True).header.num_episodes == 3


def test_a_block_that_is_altered_with_the_right_crc_is_not_read(path: Path, recorded: Demonstrations) -> None:
    frames = read_frames(path)
    for number, num_episodes in ((1, 0), (2, 2), (3, 3)):
        arrays = safetensors.numpy.load(frames[number][1])
        with_reward = arrays | {"rewards": arrays["rewards"] + np.float32(1)}
        altered = [*frames[:number], (DATA, safetensors.numpy.save(with_reward)), *frames[number + 1 :]]
        write_frames(path, altered, is_checksum_right=False)
        with pytest.raises(ValueError, match=r"a\.demos.* the frames before do not have the checksum"):
            load(path)
        if num_episodes:
            found = load(path, is_partial_allowed=True)
            np.testing.assert_array_equal(found.rewards, recorded.rewards[recorded.episodes < num_episodes])


def test_a_file_of_an_earlier_version_is_read_with_a_note(path: Path, recorded: Demonstrations) -> None:
    change_json(path, END, lambda content: {name: content[name] for name in content if name != "sha256"})
    with pytest.warns(UserWarning, match=r"a\.demos has no checksum, as files of earlier versions"):
        assert_same(load(path), recorded)


# Frames


FRAMES: dict[str, tuple[Callable[[list[Frame]], list[Frame]], int]] = {
    "block left out": (lambda f: [*f[:2], *f[3:]], 0),
    "last block left out": (lambda f: [*f[:3], *f[4:]], 2),
    "blocks swapped": (lambda f: [f[0], f[2], f[1], *f[3:]], 0),
    "block twice": (lambda f: [*f[:3], f[2], *f[3:]], 2),
    "unknown kind": (lambda f: [*f[:2], (b"DATB", f[2][1]), *f[3:]], 2),
    "kind of zeros": (lambda f: [*f[:2], (bytes(4), b""), *f[2:]], 2),
    "second header": (lambda f: [*f[:3], f[0], *f[3:]], 3),
    "end mark twice": (lambda f: [*f, f[-1]], 7),
    "block behind the end": (lambda f: [*f, f[1]], 7),
    "end mark first": (lambda f: [f[0], f[-1], *f[1:-1]], 0),
    "no end mark": (lambda f: f[:-1], 7),
    "no block": (lambda f: [f[0], f[-1]], 0),
    "header alone": (lambda f: f[:1], 0),
}


@pytest.mark.parametrize(("change", "num_episodes"), FRAMES.values(), ids=FRAMES)
def test_frames_in_another_order_are_refused_and_read_up_to_there(
    path: Path, recorded: Demonstrations, change: Callable[[list[Frame]], list[Frame]], num_episodes: int
) -> None:
    write_frames(path, change(read_frames(path)), is_checksum_right=False)
    with pytest.raises(ValueError, match=r"a\.demos"):
        load(path)
    if num_episodes:
        found = load(path, is_partial_allowed=True)
        assert found.header.num_episodes == num_episodes
        np.testing.assert_array_equal(found.obs, recorded.obs[: len(found.obs)])
    else:
        with pytest.raises(ValueError, match=r"a\.demos"):
            load(path, is_partial_allowed=True)


def test_a_header_elsewhere_is_no_file_of_demonstrations(path: Path) -> None:
    head, *others = read_frames(path)
    for frames in ([], others, [others[0], head, *others[1:]]):
        write_frames(path, frames)
        with pytest.raises(ValueError, match=r"a\.demos is not a file of demonstrations, or cut off in its header"):
            load(path, is_partial_allowed=True)


@pytest.mark.parametrize("kind", [HEAD, DATA, END])
def test_frames_that_announce_too_much_are_not_read(path: Path, kind: bytes) -> None:
    content = bytearray(path.read_bytes())
    start = content.index(kind)
    for length in (len(content), MOST_FRAME_BYTES[kind] + 1, 2**63, 2**64 - 1):
        content[start + 4 : start + 12] = length.to_bytes(8, "little")
        path.write_bytes(content)
        with path.open("r+b") as file:
            file.truncate(2**40)  # sparse: it takes no room
        with pytest.raises(ValueError, match=r"a\.demos"):
            load(path)


def test_what_is_no_file_is_refused(tmp_path: Path, env: Environment) -> None:
    (tmp_path / "folder").mkdir()
    for name, message in (("folder", "is not a file"), ("none", "is missing"), ("a\0b", "is missing|null")):
        with pytest.raises(ValueError, match=message):
            load(tmp_path / name, env)


# Blocks


def tensors(layout: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(layout).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype: str, shape: list[int], stop: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, stop]}


BLOCKS = {
    "empty": (b"", "is no block of arrays"),
    "short": (b"\x01", "is no block of arrays"),
    "huge index": ((2**62).to_bytes(8, "little"), "is no block of arrays"),
    "no array": (tensors({}), r"has arrays of the shapes \{\}: one or more"),
    "metadata alone": (tensors({"__metadata__": {"a": "b"}}), r"has arrays of the shapes \{\}: one or more"),
    "scalar": (tensors({"obs": tensor("U8", [], 1)}, b"a"), r"has arrays of the shapes \{'obs': \(\)\}"),
    "another length": (
        tensors({"a": tensor("U8", [2], 2), "b": tensor("U8", [3], 3) | {"data_offsets": [2, 5]}}, b"aaaaa"),
        r"has arrays of the shapes .*: one or more, with the same leading axis",
    ),
    "F8": (tensors({"obs": tensor("F8", [1], 1)}, b"a"), "is no block of arrays"),
    "F8_E4M3": (tensors({"obs": tensor("F8_E4M3", [1], 1)}, b"a"), "dtype 'F8_E4M3', which NumPy lacks"),
    "BF16": (tensors({"obs": tensor("BF16", [1], 2)}, b"aa"), "dtype 'BF16', which NumPy lacks"),
    "not covered": (tensors({"obs": tensor("U8", [1], 1)}, b"aaa"), "is no block of arrays"),
    "too long": (tensors({"obs": tensor("U8", [9], 9)}, b"aaa"), "is no block of arrays"),
    "negative": (tensors({"obs": tensor("U8", [-1], 1)}, b"a"), "is no block of arrays"),
    "nothing of much": (tensors({"obs": tensor("U8", [10**15, 0], 0)}), "arrays="),
    "deep": (tensors({})[:8] + b"[" * 100_000, "is no block of arrays"),
    "name": (tensors({"\x1b[31m": tensor("U8", [1], 1)}, b"a"), r"arrays=\['\\x1b\[31m'\] is not allowed"),
    "unknown name": (tensors({"extra": tensor("U8", [1], 1)}, b"a"), r"arrays=\['extra'\] is not allowed: allowed are"),
    "pickle": (b"\x80\x04\x95", "is no block of arrays"),
}


@pytest.mark.parametrize(("content", "message"), BLOCKS.values(), ids=BLOCKS)
def test_what_is_no_block_of_demonstrations_is_refused(path: Path, content: bytes, message: str) -> None:
    head, *_, end = read_frames(path)
    write_frames(path, [head, (DATA, content), end])
    for is_partial_allowed in (False, True):
        with pytest.raises(ValueError, match=rf"a\.demos: .*{message}") as error:
            load(path, is_partial_allowed=is_partial_allowed)
        assert str(error.value).isprintable() and len(str(error.value)) < 600


def test_a_comment_in_a_block_changes_nothing(path: Path, recorded: Demonstrations) -> None:
    frames = [
        (kind, safetensors.numpy.save(safetensors.numpy.load(content), {"a": "b"}) if kind == DATA else content)
        for kind, content in read_frames(path)
    ]
    write_frames(path, frames)
    assert_same(load(path), recorded)


def change_bytes(path: Path, name: str, value: int) -> None:
    """Sets the first byte of an array in the first block."""
    frames = read_frames(path)
    kind, content = frames[1]
    size = 8 + int.from_bytes(content[:8], "little")
    start = size + json.loads(content[8:size])[name]["data_offsets"][0]
    frames[1] = kind, content[:start] + bytes([value]) + content[start + 1 :]
    write_frames(path, frames)


@pytest.mark.parametrize("value", [2, 128, 255])
@pytest.mark.parametrize("name", ["terminated", "truncated"])
def test_bytes_of_bools_are_0_or_1(path: Path, name: str, value: int) -> None:
    change_bytes(path, name, value)
    with pytest.raises(ValueError, match=rf"a\.demos: {name}={value} is not allowed: the bytes of a bool are 0 and 1"):
        load(path)


# What a game cannot be like


@pytest.fixture(scope="module")
def of_tiles() -> Demonstrations:
    """One step of Gathering, by hand."""
    env = jaxdilemmas.make("gathering", num_agents=2, max_steps=1)
    header = describe(env, "gathering", {"max_steps": 1}, "nobody")
    obs = np.zeros((1, 2, *header.obs_shape), header.obs_dtype)
    numbers = {"actions": np.zeros((1, 2), np.int32), "rewards": np.zeros((1, 2), np.float32)}
    flags = {"terminated": np.zeros(1, bool), "truncated": np.ones(1, bool), "episodes": np.zeros(1, np.int32)}
    return from_arrays(header, {"obs": obs, "next_obs": obs} | numbers | flags)


@pytest.mark.parametrize("name", ["obs", "next_obs"])
def test_observations_that_the_game_cannot_show_are_refused(
    of_tiles: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("baselines.demonstrations.records.BYTES_AT_ONCE", 1)
    env = jaxdilemmas.make("gathering", num_agents=2, max_steps=1)
    save(tmp_path / "a.demos", of_tiles)
    assert_same(load(tmp_path / "a.demos", env), of_tiles)
    arrays = to_arrays(of_tiles)
    arrays[name] = arrays[name].copy()
    arrays[name][0, 1, 2, 3] = 255
    save(tmp_path / "b.demos", from_arrays(of_tiles.header, arrays))
    load(tmp_path / "b.demos")  # without a game nothing is known of tiles
    message = rf"b\.demos: {name}=\[0, 255\] is not allowed: in row 0: members of Box"
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "b.demos", env)
    with pytest.raises(ValueError, match=rf"demonstrations: {name}=\[0, 255\]"):
        check_fits(from_arrays(of_tiles.header, arrays), env)


def test_an_episode_that_never_ends_is_read_only_in_part(recorded: Demonstrations, tmp_path: Path) -> None:
    path, arrays = tmp_path / "a.demos", to_arrays(recorded)
    write_by_hand(path, recorded.header, {name: array[:-1] for name, array in arrays.items()})
    with pytest.raises(
        ValueError, match=r"a\.demos: episodes=\[6\] is not allowed: an episode is written whole or not"
    ):
        load(path)
    found = load(path, is_partial_allowed=True)
    assert found.header.num_episodes == 6
    np.testing.assert_array_equal(found.obs, recorded.obs[recorded.episodes < 6])


def test_an_episode_with_more_steps_than_the_clock_allows_is_read_only_up_to_it(
    recorded: Demonstrations, tmp_path: Path
) -> None:
    path, arrays = tmp_path / "a.demos", to_arrays(recorded)
    lengths = np.bincount(recorded.episodes)
    first = int(np.flatnonzero(lengths == 8)[0])
    header = dataclasses.replace(recorded.header, params=recorded.header.params | {"max_steps": 7})
    write_by_hand(path, header, arrays)
    allowed = "an episode has at most max_steps=7 transitions, and it has 8"
    with pytest.raises(ValueError, match=rf"a\.demos: episodes=\[{first}\] is not allowed: {allowed}"):
        load(path)
    found = load(path, is_partial_allowed=True)
    assert found.header.num_episodes == first > 0


def test_every_registered_game_is_described_in_words_that_a_file_takes(tmp_path: Path) -> None:
    for env_id in jaxdilemmas.registered_envs():
        header = describe(jaxdilemmas.make(env_id), env_id)
        with Writer(tmp_path / env_id, header) as writer:
            assert (writer.header.env_id, writer.header.params) == (env_id, header.params)
        assert not (tmp_path / env_id).exists(), "without an episode there is no file"
