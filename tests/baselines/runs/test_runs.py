"""A run on disk: record, table, parameters, checkpoints, and the errors for damaged files."""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from baselines.disk.packing import pack, unpack
from baselines.disk.schema import save_json
from baselines.disk.writing import DamagedError
from baselines.runs import table
from baselines.runs.checkpoints import Checkpoints
from baselines.runs.curves import plot_learning_curve
from baselines.runs.directory import (
    RunDirectory,
    RunRecord,
    changes_since,
    describe_machine,
    load_parameters,
    save_parameters,
)

RECORD = RunRecord("fake", "gathering", {"num_agents": 3}, "1", {"sizes": (1, 2)}, 5, 2, 10, {"device": "cpu"})
ROWS = bytes(range(32))
TIMING = {"env_steps_per_second": 2.5, "wall_seconds": 0.25}
PARAMS = {"dense": {"kernel": jnp.arange(6, dtype=jnp.float32).reshape(2, 3), "bias": jnp.ones(3)}}


def metrics_of(update: int) -> dict[str, np.ndarray]:
    """Two seeds, two agents."""
    returns = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32) * update
    env_steps = np.full(2, 16_777_216.0 * update, np.float32)
    names = ("entropy", "efficiency", "equality", "sustainability", "peace")
    metrics = {name: np.full(2, update, np.float32) for name in names} | {"tagged_steps": 10 * returns}
    return metrics | {"other": np.array([1 / 3, 0.1], np.float32), "episode_return": returns, "env_steps": env_steps}


def open_table(path: Path, update: int = 0) -> table.MetricsTable:
    return table.MetricsTable(path, table.read_rows(path, range(5, 7)), update, range(5, 7))


def write_table(path: Path, updates: range) -> None:
    metrics_table = open_table(path, updates.start - 1)
    for update in updates:
        metrics_table.write(update, metrics_of(update), TIMING | {"wall_seconds": 0.25 * update})
    metrics_table.close()


def damage(checkpoint: Path) -> None:
    for path in (checkpoint / "default").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:3])


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "runs" / "a")
    directory.create(RECORD)
    assert directory.read_record() == RECORD
    assert directory.read_record().config == {"sizes": (1, 2)}
    assert list(RECORD.seeds) == [5, 6]


def test_a_directory_that_exists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exists: choose another --name, or continue it with --resume"):
        RunDirectory(tmp_path).create(RECORD)


def test_a_directory_without_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        RunDirectory(tmp_path).read_record()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", " is not JSON"),
        ("[]", r" holds \[\]: a JSON object with algorithm"),
        ('{"algorithm": "fake"}', ": the field 'env_id' is missing"),
    ],
)
def test_a_config_that_describes_no_run_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=rf"config\.json{message}"):
        RunDirectory(tmp_path).read_record()


WRONG_FIELDS: list[tuple[str, Any]] = [
    ("env_id", 5),
    ("env_id", None),
    ("env_kwargs", None),
    ("env_kwargs", [1]),
    ("seed", "a"),
    ("seed", -1),
    ("seed", True),
    ("num_seeds", "2"),
    ("num_seeds", 1.5),
    ("num_seeds", None),
    ("num_seeds", 10**9),
    ("checkpoint_every", 0),
    ("config", []),
    ("about", {"device": 5}),
]


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS)
def test_a_field_of_a_config_with_nonsense_is_named(tmp_path: Path, field: str, value: Any) -> None:
    content = dataclasses.asdict(RECORD) | {field: value}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"config\.json: {field}=.* is not allowed: ") as error:
        RunDirectory(tmp_path).read_record()
    assert repr(value) in str(error.value)


def test_a_setting_that_is_not_finite_is_named(tmp_path: Path) -> None:
    config = {"sizes": [1] * 200, "learning_rate": float("nan")}
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(RECORD) | {"config": config}))
    with pytest.raises(ValueError, match=r"config\.json: config\.learning_rate=nan is not allowed: an object of text"):
        RunDirectory(tmp_path).read_record()


def test_of_two_processes_that_begin_a_run_at_once_one_has_the_directory_with_its_own_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, other = RunDirectory(tmp_path / "a"), dataclasses.replace(RECORD, seed=7)

    def save_and_be_overtaken(path: Path, record: RunRecord) -> None:
        save_json(path, record)
        monkeypatch.undo()
        directory.create(other)

    monkeypatch.setattr("baselines.runs.directory.save_json", save_and_be_overtaken)
    with pytest.raises(ValueError, match=r"run directory .*a exists"):
        directory.create(RECORD)
    assert directory.read_record() == other
    assert list(tmp_path.iterdir()) == [directory.path]


def test_a_config_that_was_altered_is_refused_and_one_without_checksum_is_read_with_a_note(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "a")
    directory.create(RECORD)
    content = json.loads(directory.config.read_text())
    directory.config.write_text(json.dumps(content | {"seed": 6}))
    with pytest.raises(ValueError, match=r"config\.json was altered: its fields do not have the checksum"):
        directory.read_record()
    del content["sha256"]
    directory.config.write_text(json.dumps(content | {"seed": 6}))
    with pytest.warns(UserWarning, match=r"config\.json has no checksum"):
        assert directory.read_record().seed == 6


def test_links_out_of_a_run_are_refused(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "a")
    directory.create(RECORD)
    (directory.path / "metrics.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(ValueError, match=r"metrics\.csv is a symbolic link out of the directory"):
        directory.read_record()


def test_unknown_settings_in_a_config_are_named() -> None:
    with pytest.raises(ValueError, match=r"config\.json: config: the field 'sizes' is unknown: allowed are width"):
        RunDirectory("run").read_settings(RECORD, dataclasses.make_dataclass("Config", [("width", int)]))


def test_columns_are_in_the_order_people_read_them(tmp_path: Path) -> None:
    write_table(tmp_path / "metrics.csv", range(1, 2))
    header, first, second = (tmp_path / "metrics.csv").read_text().splitlines()
    assert header == (
        "seed,update,env_steps,return_collective,return_0,return_1,efficiency,equality,sustainability,peace,"
        "tagged_steps_0,tagged_steps_1,entropy,other,env_steps_per_second,wall_seconds"
    )
    assert first == "5,1,16777216,3,1,2,1,1,1,1,10,20,1,0.333333343,2.5,0.25"
    assert second == "6,1,16777216,,3,,1,1,1,1,30,,1,0.100000001,2.5,0.25"


def test_returns_of_ten_and_more_agents_are_in_order(tmp_path: Path) -> None:
    stored = table.read_rows(tmp_path / "metrics.csv", [0])
    metrics_table = table.MetricsTable(tmp_path / "metrics.csv", stored, 0, [0])
    row = metrics_table.write(1, {"episode_return": np.zeros((1, 12))}, TIMING)
    metrics_table.close()
    assert [name for name in row if name.startswith("return_")][1:] == [f"return_{i}" for i in range(12)]


def test_rows_are_on_disk_before_the_table_is_closed(tmp_path: Path) -> None:
    metrics_table = open_table(tmp_path / "metrics.csv")
    metrics_table.write(1, metrics_of(1), TIMING)
    assert len(table.read_metrics(tmp_path / "metrics.csv")["seed"]) == 2
    metrics_table.close()


def test_float32_values_survive_the_table(tmp_path: Path) -> None:
    write_table(tmp_path / "metrics.csv", range(1, 2))
    assert (
        table.read_metrics(tmp_path / "metrics.csv")["other"].astype(np.float32).tolist()
        == metrics_of(1)["other"].tolist()
    )


def test_rows_after_a_checkpoint_are_written_anew_and_the_file_never_gets_shorter(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write_table(path, range(1, 5))
    whole = path.read_text()
    metrics_table = open_table(path, 2)
    for update in (3, 4):
        assert path.read_text() == whole
        metrics_table.write(update, metrics_of(10 * update), TIMING)
    assert table.read_metrics(path)["efficiency"].tolist() == [1, 1, 2, 2, 30, 30, 40, 40]
    metrics_table.write(5, metrics_of(5), TIMING)
    metrics_table.close()
    assert table.read_rows(path, range(5, 7)).last_update == 5
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_by_hard_links_is_resumed_and_the_original_stays_as_it_is(tmp_path: Path) -> None:
    original, path = tmp_path / "original.csv", tmp_path / "metrics.csv"
    write_table(original, range(1, 3))
    before = original.read_bytes()
    path.hardlink_to(original)
    metrics_table = open_table(path, 2)
    metrics_table.write(3, metrics_of(3), TIMING)
    metrics_table.close()
    assert table.read_rows(path, range(5, 7)).last_update == 3
    assert original.read_bytes() == before


def test_a_run_that_stops_before_it_has_caught_up_keeps_the_later_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write_table(path, range(1, 5))
    metrics_table = open_table(path, 2)
    metrics_table.write(3, metrics_of(30), TIMING)
    metrics_table.settle()
    assert table.read_metrics(path)["efficiency"].tolist() == [1, 1, 2, 2, 30, 30, 4, 4]
    metrics_table.close()
    assert list(tmp_path.iterdir()) == [path]
    assert metrics_table.digest == hashlib.sha256(table.read_rows(path, range(5, 7)).content(3)).digest()


def test_a_row_or_an_update_cut_off_at_the_end_is_written_anew(tmp_path: Path) -> None:
    write_table(tmp_path / "all.csv", range(1, 4))
    content = (tmp_path / "all.csv").read_text()
    for end in (content.rindex(","), content.rindex("6,3,"), content.rindex("5,3,") + 3):
        path = tmp_path / f"cut_{end}.csv"
        path.write_text(content[:end])
        assert table.read_rows(path, range(5, 7)).wall_seconds(2) == 0.5
        write_table(path, range(3, 4))
        assert path.read_text() == content


def test_a_file_without_rows_is_as_none(tmp_path: Path) -> None:
    for name, content in (("none", None), ("empty", ""), ("torn", "seed,upd")):
        if content is not None:
            (tmp_path / name).write_text(content)
        assert table.read_rows(tmp_path / name, range(5, 7)) == table.StoredRows("", [], 2)
        write_table(tmp_path / name, range(1, 3))
        assert table.read_metrics(tmp_path / name)["update"].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [  # of the lines of the file
        (lambda lines: lines[:3] + lines[4:], r"line 4: it is of update 2 of seed 6, where update 2 of seed 5 is due"),
        (lambda lines: [*lines[:3], *lines[2:]], r"line 4: it is of update 1 of seed 6, where update 2 of seed 5"),
        (lambda lines: [*lines[:3], lines[3][:9], *lines[4:]], r"line 4: 3 cells under 16 columns"),
        (lambda lines: [*lines[:3], "x" + lines[3][1:], *lines[4:]], r"line 4: seed='x' is not allowed: a number"),
        (lambda lines: [*lines[:3], "\x1b" + lines[3], *lines[4:]], r"line 4: seed='\\x1b5' is not allowed"),
        (lambda lines: ["time,price", *lines[1:]], r"is no table of metrics: its header is 'time,price', without"),
        (
            lambda lines: [lines[0].replace("update", "date"), *lines[1:]],
            r"is no table of metrics: .* without 'update'",
        ),
    ],
)
def test_a_row_that_is_missing_double_or_no_row_is_named(
    tmp_path: Path, change: Callable[[list[str]], list[str]], message: str
) -> None:
    path = tmp_path / "metrics.csv"
    write_table(path, range(1, 4))
    lines = change(path.read_text().splitlines())
    path.write_text("\n".join([*lines, ""]))
    with pytest.raises(ValueError, match=rf"metrics\.csv(, | ){message}"):
        table.read_rows(path, range(5, 7))


def test_a_table_with_other_columns_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write_table(path, range(1, 3))
    content = path.read_text().replace("entropy", "energy")
    path.write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.csv has the columns .*energy.* which differ from seed,"):
        write_table(path, range(3, 4))
    assert path.read_text() == content


@pytest.mark.parametrize(("content", "message"), [("a,b\n", "holds no rows"), ("a,b\n1\n", "line 2: 1 cells under 2")])
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(ValueError, match=rf"metrics\.csv.*{message}"):
        table.read_metrics(tmp_path / "metrics.csv")
    with pytest.raises(ValueError, match=r"none\.csv is missing"):
        table.read_metrics(tmp_path / "none.csv")


@pytest.mark.parametrize(("column", "width"), [("tagged_steps", 1200), ("times_out", 960)])
def test_a_learning_curve_has_a_panel_for_each_metric_there_is(tmp_path: Path, column: str, width: int) -> None:
    write_table(tmp_path / "metrics.csv", range(1, 4))
    content = (tmp_path / "metrics.csv").read_text().replace("tagged_steps", column)
    (tmp_path / "metrics.csv").write_text(content)
    plot_learning_curve(tmp_path / "metrics.csv", tmp_path / "curve.png", "title")
    with Image.open(tmp_path / "curve.png") as image:
        assert (image.format, image.size) == ("PNG", (width, 720))


def test_parameters_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    save_parameters(tmp_path / "new" / "a.safetensors", PARAMS)
    loaded = load_parameters(tmp_path / "new" / "a.safetensors", jax.eval_shape(lambda: PARAMS))
    assert jax.tree.all(jax.tree.map(lambda a, b: a.dtype == b.dtype and bool((a == b).all()), loaded, PARAMS))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"dense": {"kernel": jnp.ones((2, 4)), "bias": jnp.ones(3)}}, r"'dense\.kernel' is float32 \(2, 3\) where"),
        (
            {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3, int)}},
            r"'dense\.bias' is float32 \(3,\) where int32",
        ),
        ({"dense": {"kernel": jnp.ones((2, 3))}}, r"'dense\.bias' does not belong there"),
        (PARAMS | {"head": jnp.ones(1)}, r"'head' is missing"),
    ],
)
def test_parameters_of_another_network_are_refused(tmp_path: Path, template: Any, message: str) -> None:
    save_parameters(tmp_path / "a.safetensors", PARAMS)
    with pytest.raises(ValueError, match=rf"a\.safetensors holds the parameters of another network: .*{message}"):
        load_parameters(tmp_path / "a.safetensors", template)


@pytest.mark.parametrize("num_bytes", [0, 4, 40, -1])
def test_a_truncated_parameter_file_is_named(tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "a.safetensors"
    save_parameters(path, PARAMS)
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=r"a\.safetensors is truncated"):
        load_parameters(path, PARAMS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    save_parameters(tmp_path / "a.safetensors", PARAMS | {"head": jnp.array([1.0, value])})
    with pytest.raises(ValueError, match=rf"a\.safetensors: head=\[{value}\] is not allowed: numbers must be finite"):
        load_parameters(tmp_path / "a.safetensors", PARAMS | {"head": jnp.ones(2)})


def test_a_missing_parameter_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.safetensors is missing"):
        load_parameters(tmp_path / "a.safetensors", PARAMS)


def test_packing_keeps_keys_and_arrays_that_hold_nothing() -> None:
    tree = {
        "key": jax.random.split(jax.random.key(1), 2),
        "nothing": jnp.zeros((3, 0)),
        "half": jnp.ones(2, jnp.bfloat16),
    }
    packed = pack(tree)
    assert sorted(packed) == ["half", "key"]
    back = unpack(jax.device_get(packed), jax.eval_shape(lambda: tree))
    assert back["nothing"].shape == (3, 0)
    assert back["half"].dtype == jnp.bfloat16
    assert (jax.random.key_data(back["key"]) == jax.random.key_data(tree["key"])).all()


def test_the_last_two_checkpoints_are_kept_and_restored_bitwise(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.latest() == 0
    for update in (2, 4, 6, 6):
        checkpoints.save(update, jax.device_get(pack({"x": PARAMS["dense"]["kernel"] / update})), ROWS)
    checkpoints.close()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["4", "6"]
    restored = Checkpoints(tmp_path / "checkpoints").restore(6, {"x": PARAMS["dense"]["kernel"]})
    assert (restored.update, restored.rows) == (6, ROWS)
    assert (restored.train_states["x"] == PARAMS["dense"]["kernel"] / 6).all()


def test_a_checkpoint_of_another_run_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for update in (2, 4):
        checkpoints.save(update, jax.device_get(pack(PARAMS)), ROWS)
    with pytest.raises(ValueError, match=r"checkpoints/4 is of another run: the array 'x' is missing"):
        checkpoints.restore_latest(PARAMS | {"x": jnp.ones(2)})


def test_the_checkpoint_before_a_damaged_one_is_restored_and_the_last_is_named_if_none_is_whole(
    tmp_path: Path,
) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for update in (2, 4):
        checkpoints.save(update, {"x": np.full(3, update, np.int32)}, ROWS)
    damage(tmp_path / "checkpoints" / "4")
    restored = checkpoints.restore_latest({"x": jnp.zeros(3, jnp.int32)})
    assert (restored.update, restored.train_states["x"].tolist()) == (2, [2, 2, 2])
    damage(tmp_path / "checkpoints" / "2")
    with pytest.raises(ValueError, match="checkpoints/4 cannot be read"):
        checkpoints.restore_latest({"x": jnp.zeros(3, jnp.int32)})


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '{"init_timestamp_nsecs": "x"}', '{"metrics": 3}'])
def test_a_checkpoint_whose_metadata_are_damaged_does_not_hide_the_one_before(content: str, tmp_path: Path) -> None:
    template = {"x": jnp.zeros(3, jnp.int32)}
    with contextlib.closing(Checkpoints(tmp_path)) as checkpoints:
        for update in (2, 4):
            checkpoints.save(update, {"x": np.full(3, update, np.int32)}, ROWS)
    (tmp_path / "4" / "_CHECKPOINT_METADATA").write_text(content)
    with contextlib.closing(Checkpoints(tmp_path)) as checkpoints:
        assert checkpoints.latest() == 4
        restored = checkpoints.restore_latest(template)
        assert restored.update in (2, 4)  # orbax reads the last one where the metadata are of no use to it
        assert restored.train_states["x"].tolist() == [restored.update] * 3
        checkpoints.drop_after(2)
        checkpoints.save(4, {"x": np.full(3, 4, np.int32)}, ROWS)
        assert checkpoints.restore_latest(template).update == 4


def test_no_flipped_bit_of_a_checkpoint_gives_other_values(tmp_path: Path) -> None:
    whole = Checkpoints(tmp_path / "whole")
    whole.save(2, jax.device_get(pack(PARAMS)), ROWS)
    whole.close()
    rng = np.random.default_rng(0)
    for i in range(40):
        copy = shutil.copytree(tmp_path / "whole", tmp_path / str(i))
        paths = sorted(path for path in copy.rglob("*") if path.is_file() and path.stat().st_size)
        path = paths[i % len(paths)]
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            found = Checkpoints(copy).restore(2, PARAMS).train_states
            assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), found, PARAMS)), path


def write_checkpoint(path: Path, content: Any) -> None:
    """Saves anything as a checkpoint after update 2."""
    import orbax.checkpoint as ocp

    with ocp.CheckpointManager(path / "checkpoints") as manager:
        manager.save(2, args=ocp.args.StandardSave(content))


def test_a_checkpoint_of_an_earlier_version_is_read_with_a_note(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, jax.device_get(pack(PARAMS)))
    with pytest.warns(UserWarning, match=r"checkpoints/2 has no checksum"):
        assert Checkpoints(tmp_path / "checkpoints").restore(2, PARAMS).rows == b""


@pytest.mark.parametrize("value", [{"b": np.zeros(3)}, 5, 1.5, [np.zeros(3)], None])
def test_a_checkpoint_with_something_else_than_arrays_is_damaged(value: Any, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, jax.device_get(pack(PARAMS)) | {"x": value})
    with pytest.raises(DamagedError, match=r"checkpoints/2 is damaged: 'x' is no array but "):
        Checkpoints(tmp_path / "checkpoints").restore(2, PARAMS | {"x": jnp.zeros(3)})


def test_a_checkpoint_that_would_unpack_to_much_more_than_the_train_state_is_not_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, jax.device_get(pack(PARAMS)) | {"x": np.zeros(2**20, np.float32)})
    with pytest.raises(DamagedError, match=r"checkpoints/2 cannot be read: bytes=\d+ is not allowed: at most"):
        Checkpoints(tmp_path / "checkpoints").restore(2, PARAMS | {"x": jnp.zeros(3)})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("_CHECKPOINT_METADATA", "[" * 100_000),
        ("default/_METADATA", "[" * 100_000),
        ("default/_METADATA", '{"\x1b[2J": 1}'),
        ("default/_METADATA", ""),
    ],
)
def test_a_checkpoint_that_orbax_cannot_read_is_refused_and_nothing_else_is_printed(
    name: str, content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path, jax.device_get(pack(PARAMS)))
    (tmp_path / "checkpoints" / "2" / name).write_text(content)
    with pytest.raises(DamagedError, match=r"checkpoints.* cannot be read: ") as error:
        Checkpoints(tmp_path / "checkpoints").restore_latest(PARAMS)
    assert str(error.value).isprintable()
    assert capfd.readouterr() == ("", "")


def test_changes_of_device_and_versions_are_told() -> None:
    now = describe_machine()
    assert changes_since(dataclasses.replace(RECORD, about=now)) == ""
    then = now | {"jax": "0.1", "device": "abacus", "machine": "another"}
    expected = f"device was abacus and is {now['device']}, jax was 0.1 and is {now['jax']}"
    assert changes_since(dataclasses.replace(RECORD, about=then)) == expected
