"""A run on disk: record, table, parameters, checkpoints, and what is said of a file that is not what it should be."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from baselines.training import table
from baselines.training.curves import plot_learning_curve
from baselines.training.packing import pack, unpack
from baselines.training.runs import (
    Checkpoints,
    RunDirectory,
    RunRecord,
    changes_since,
    describe_machine,
    load_parameters,
    save_parameters,
)

RECORD = RunRecord("fake", "gathering", {"num_agents": 3}, "1", {"sizes": (1, 2)}, 5, 2, 10, {"device": "cpu"})
TIMING = {"env_steps_per_second": 2.5, "wall_seconds": 0.25}
PARAMS = {"dense": {"kernel": jnp.arange(6, dtype=jnp.float32).reshape(2, 3), "bias": jnp.ones(3)}}


def metrics_of(update: int) -> dict[str, np.ndarray]:
    """Two seeds, two agents."""
    returns = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32) * update
    env_steps = np.full(2, 16_777_216.0 * update, np.float32)
    names = ("entropy", "efficiency", "equality", "sustainability", "peace")
    metrics = {name: np.full(2, update, np.float32) for name in names} | {"tagged_steps": 10 * returns}
    return metrics | {"other": np.array([1 / 3, 0.1], np.float32), "episode_return": returns, "env_steps": env_steps}


def write_table(path: Path, updates: range) -> None:
    metrics_table = table.MetricsTable(path, range(5, 7))
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


@pytest.mark.parametrize("content", ["{", "[]", '{"algorithm": "fake"}'])
def test_a_config_that_describes_no_run_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json does not describe a run"):
        RunDirectory(tmp_path).read_record()


def test_unknown_settings_in_a_config_are_named() -> None:
    with pytest.raises(ValueError, match=r"settings that fake does not know: .*'sizes'"):
        RECORD.settings(dataclasses.make_dataclass("Config", ["width"]))


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
    metrics_table = table.MetricsTable(tmp_path / "metrics.csv", [0])
    row = metrics_table.write(1, {"episode_return": np.zeros((1, 12))}, TIMING)
    metrics_table.close()
    assert [name for name in row if name.startswith("return_")][1:] == [f"return_{i}" for i in range(12)]


def test_rows_are_on_disk_before_the_table_is_closed(tmp_path: Path) -> None:
    metrics_table = table.MetricsTable(tmp_path / "metrics.csv", range(5, 7))
    metrics_table.write(1, metrics_of(1), TIMING)
    assert len(table.read_metrics(tmp_path / "metrics.csv")["seed"]) == 2
    metrics_table.close()


def test_float32_values_survive_the_table(tmp_path: Path) -> None:
    write_table(tmp_path / "metrics.csv", range(1, 2))
    assert (
        table.read_metrics(tmp_path / "metrics.csv")["other"].astype(np.float32).tolist()
        == metrics_of(1)["other"].tolist()
    )


def test_rows_after_a_checkpoint_and_a_row_cut_off_are_dropped(tmp_path: Path) -> None:
    write_table(tmp_path / "all.csv", range(1, 4))
    content = (tmp_path / "all.csv").read_text()
    (tmp_path / "cut.csv").write_text(content[: content.rindex(",")])
    assert table.drop_rows_after(tmp_path / "cut.csv", 2) == 0.5
    write_table(tmp_path / "cut.csv", range(3, 4))
    assert (tmp_path / "cut.csv").read_text() == content


def test_dropping_all_rows_starts_the_table_afresh(tmp_path: Path) -> None:
    write_table(tmp_path / "metrics.csv", range(1, 3))
    assert table.drop_rows_after(tmp_path / "metrics.csv", 0) == 0.0
    assert table.drop_rows_after(tmp_path / "none.csv", 0) == 0.0
    write_table(tmp_path / "metrics.csv", range(1, 3))
    assert table.read_metrics(tmp_path / "metrics.csv")["update"].tolist() == [1, 1, 2, 2]


def test_rows_up_to_a_checkpoint_are_not_done_without(tmp_path: Path) -> None:
    for name, last in (("none", None), ("empty", 0), ("short", 2)):
        if last is not None:
            write_table(tmp_path / name, range(1, last + 1))
        with pytest.raises(ValueError, match=f"{name} is missing, or lacks the rows up to .* update 3"):
            table.drop_rows_after(tmp_path / name, 3)


def test_a_foreign_table_is_neither_cut_nor_continued(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("time,price\n1,2\n")
    with pytest.raises(ValueError, match=r"metrics\.csv is no table of metrics: its header is 'time,price'"):
        table.drop_rows_after(path, 0)
    with pytest.raises(ValueError, match=r"metrics\.csv has the columns time,price, which differ from seed,"):
        write_table(path, range(1, 2))
    assert path.read_text() == "time,price\n1,2\n"


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
        checkpoints.save(update, jax.device_get(pack({"x": PARAMS["dense"]["kernel"] / update})))
    checkpoints.close()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["4", "6"]
    restored = Checkpoints(tmp_path / "checkpoints").restore(6, {"x": PARAMS["dense"]["kernel"]})
    assert (restored["x"] == PARAMS["dense"]["kernel"] / 6).all()


def test_a_checkpoint_of_another_run_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for update in (2, 4):
        checkpoints.save(update, jax.device_get(pack(PARAMS)))
    with pytest.raises(ValueError, match=r"checkpoints/4 is of another run: the array 'x' is missing"):
        checkpoints.restore_latest(PARAMS | {"x": jnp.ones(2)})


def test_the_checkpoint_before_a_damaged_one_is_restored_and_the_last_is_named_if_none_is_whole(
    tmp_path: Path,
) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for update in (2, 4):
        checkpoints.save(update, {"x": np.full(3, update, np.int32)})
    damage(tmp_path / "checkpoints" / "4")
    update, tree = checkpoints.restore_latest({"x": jnp.zeros(3, jnp.int32)})
    assert (update, tree["x"].tolist()) == (2, [2, 2, 2])
    damage(tmp_path / "checkpoints" / "2")
    with pytest.raises(ValueError, match="checkpoints/4 cannot be read"):
        checkpoints.restore_latest({"x": jnp.zeros(3, jnp.int32)})


def test_changes_of_device_and_versions_are_told() -> None:
    now = describe_machine()
    assert changes_since(dataclasses.replace(RECORD, about=now)) == ""
    then = now | {"jax": "0.1", "device": "abacus", "machine": "another"}
    expected = f"device was abacus and is {now['device']}, jax was 0.1 and is {now['jax']}"
    assert changes_since(dataclasses.replace(RECORD, about=then)) == expected
