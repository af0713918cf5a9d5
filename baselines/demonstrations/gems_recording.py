"""The recorded expert data of Gems, of USC-Lira/ma-mql @ 7f3da20, as demonstrations."""

import dataclasses
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import jaxdilemmas
from baselines.demonstrations.headers import Header, describe
from baselines.demonstrations.records import Demonstrations, from_arrays
from jaxdilemmas.arguments import show

POLICY = "recorded expert of USC-Lira/ma-mql @ 7f3da20"

MOST_BYTES = 2**26
"""Of the arrays of a recording, ten times those of the published one: a small file may unpack to any number."""

ROWS_AT_ONCE = 20_000
"""So many are turned from planes to entities at a time."""

LAYOUT: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "done": (np.bool_, ()),
    "obs_bits": (np.uint8, (141,)),
    "next_obs_bits": (np.uint8, (141,)),
    "actions": (np.integer, (2,)),
    "rewards": (np.floating, (2,)),
}
"""Kind and shape of the arrays of a recording, without the leading axis M."""


def import_gems(path: str | Path) -> Demonstrations:
    """The recording as demonstrations of `gems`; an unfinished episode at its end is left out.

    An episode is `terminated` where both players together have more rewards than the rule of the game, and `truncated`
    where the clock alone ended it.

    Args:
      path: an npz file with `obs_bits` and `next_obs_bits` `[M, 141]` uint8, the bits of 5 planes of 15 x 15 cells,
        `actions` and `rewards` `[M, 2]`, and `done` `[M]` bool; together at most `MOST_BYTES`, which is checked
        before anything is unpacked.

    Raises:
      ValueError: the file is missing or of another layout, no episode ends in it, or one ends where no rule ends it, or
        goes on where one does. The message names the file and the field.
    """
    env = jaxdilemmas.make("gems")
    header = dataclasses.replace(describe(env, "gems", {}, POLICY), path=str(path))
    recorded = read_recording(header)
    is_end = recorded["done"]
    header.require(bool(is_end.any()), "done", "False throughout", "at least one episode must end")
    recorded = {name: array[: int(np.flatnonzero(is_end)[-1]) + 1] for name, array in recorded.items()}
    arrays = {"actions": recorded["actions"].astype(np.int32), "rewards": recorded["rewards"].astype(np.float32)}
    with reading(Path(path)):
        arrays |= what_is_shown(recorded)
    arrays |= find_ends(header, recorded["rewards"], recorded["done"])
    return from_arrays(header, arrays)


def what_is_shown(recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Observations and events of a recording, by name.

    Raises:
      ValueError: planes do not show what planes of Gems show.
    """
    from baselines.demonstrations.gems_planes import entities_from_planes, recorded_events

    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(recorded["done"]), ROWS_AT_ONCE):
        rows = {name: array[start : start + ROWS_AT_ONCE] for name, array in recorded.items()}
        planes, next_planes = unpack(rows["obs_bits"]), unpack(rows["next_obs_bits"])
        shown = {"obs": entities_from_planes(planes), "next_obs": entities_from_planes(next_planes)}
        events = recorded_events(planes, rows["actions"])
        for name, array in (shown | {f"events.{name}": values for name, values in events.items()}).items():
            parts.setdefault(name, []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def read_recording(header: Header) -> dict[str, np.ndarray]:
    """The arrays of the npz file at `header.path`, checked for size, shape, dtype and values; see `import_gems`."""
    path = Path(header.path)
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    with reading(path), zipfile.ZipFile(path) as archive:
        num_bytes = sum(archive.getinfo(f"{name}.npy").file_size for name in LAYOUT)
    header.require(num_bytes <= MOST_BYTES, "size", f"{num_bytes:,} bytes", f"at most {MOST_BYTES:,} are read")
    with reading(path), zipfile.ZipFile(path) as archive:
        members = {name: archive.open(f"{name}.npy") for name in LAYOUT}
        recorded = {name: np.lib.format.read_array(file, allow_pickle=False) for name, file in members.items()}
    num_rows = recorded["done"].shape[:1]
    for name, (kind, shape) in LAYOUT.items():
        array, expected = recorded[name], (*num_rows, *shape)
        is_number = np.issubdtype(array.dtype, kind) and array.dtype.kind != "m"  # to NumPy a time span is a number
        is_fit = array.shape == expected and len(num_rows) == 1 and is_number
        header.require(is_fit, name, f"{array.dtype} {array.shape}", f"{kind.__name__} {expected} is expected")
    check_values(header, recorded)
    return recorded


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Makes a ValueError that names the file of whatever is wrong with it."""
    try:
        yield
    except Exception as error:  # zipfile, its codecs and numpy raise many kinds
        raise ValueError(f"{path} does not hold a recording of Gems: {show(str(error))[1:-1]}") from error


def check_values(header: Header, recorded: dict[str, np.ndarray]) -> None:
    """Raises a ValueError that names the first array with values that are not allowed."""
    actions, rewards = recorded["actions"], recorded["rewards"]
    outside = actions[(actions < 0) | (actions >= header.num_actions)]
    header.require(not outside.size, "actions", outside[:1].tolist(), f"from 0 to {header.num_actions - 1}")
    bad = rewards[~(np.abs(rewards) <= np.finfo(np.float32).max)]
    header.require(not bad.size, "rewards", bad[:1].tolist(), "numbers must be finite, as float32")
    most = recorded["done"].view(np.uint8).max(initial=0)
    header.require(most <= 1, "done", most.item(), "the bytes of a bool are 0 and 1")


def find_ends(header: Header, rewards: np.ndarray, done: np.ndarray) -> dict[str, np.ndarray]:
    """What ended each episode.

    Args:
      header: of the game.
      rewards: `[M, 2]`.
      done: `[M]` bool, True in the last row.

    Returns:
      `episodes` `[M]` int32, `terminated` and `truncated` `[M]` bool, by name.

    Raises:
      ValueError: an episode ends where neither rule ends it, or goes on where one does.
    """
    rules = header.params
    episodes = (np.cumsum(done) - done).astype(np.int32)
    first = np.append(0, np.flatnonzero(done)[:-1] + 1)[episodes]  # of the episode of each row
    steps = np.arange(len(done)) - first + 1
    team = np.cumsum(rewards.sum(axis=1, dtype=np.float64))
    before = np.append(0, team)[first]
    terminated = team - before > rules["most_team_reward"]
    truncated = steps >= rules["max_steps"]
    wrong = np.flatnonzero((terminated | truncated) != done)
    rule = f"rewards of a team above {rules['most_team_reward']:g}, or step {rules['max_steps']}, end an episode"
    header.require(not wrong.size, "done", f"{done[wrong[:1]]} at row {wrong[:1]}", rule)
    return {"episodes": episodes, "terminated": terminated, "truncated": truncated}


def unpack(bits: np.ndarray) -> np.ndarray:
    """`[M, 141]` bytes as planes `[M, 5, 15, 15]`."""
    return np.unpackbits(bits, axis=1, count=5 * 15 * 15).reshape(-1, 5, 15, 15)
