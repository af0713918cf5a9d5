"""The recorded expert data of Gems as demonstrations."""

import json
from pathlib import Path

import numpy as np
import pytest

import jaxdilemmas
from baselines.demonstrations import check_fits, import_gems, load, save
from tests.baselines.demonstrations.by_hand import assert_same

pytestmark = pytest.mark.usefixtures("quick_compiling")


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
        ("actions", np.zeros((52, 2), "m8[s]"), r"actions='timedelta64\[s\] \(52, 2\)' is not allowed: integer"),
    ],
    ids=["no end", "end ignored", "end too early", "agents", "dtype", "bits", "action", "time spans"],
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
