"""The recorded expert data of Gems, of USC-Lira/ma-mql @ 7f3da20, as demonstrations."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np

import jaxdilemmas
from baselines.training.transitions import Demonstrations, Header, describe, from_arrays

POLICY = "recorded expert of USC-Lira/ma-mql @ 7f3da20"


def import_gems(path: str | Path) -> Demonstrations:
    """The recording as demonstrations of `gems`; an unfinished episode at its end is left out.

    An episode is `terminated` where both players together have more rewards than the rule of the game, and `truncated`
    where the clock alone ended it.

    Args:
      path: an npz file with `obs_bits` and `next_obs_bits` `[M, 141]` uint8, the bits of 5 planes of 15 x 15 cells,
        `actions` and `rewards` `[M, 2]`, and `done` `[M]` bool.

    Raises:
      ValueError: the file is missing or of another layout, no episode ends in it, or one ends where no rule says so, or
        goes on where one does. The message names the file and the field.
    """
    from jaxdilemmas.envs import gems

    env = jaxdilemmas.make("gems")
    header = dataclasses.replace(describe(env, "gems", {}, POLICY), path=str(path))
    recorded = read_recording(header)
    is_end = recorded["done"]
    header.require(bool(is_end.any()), "done", "False throughout", "at least one episode must end")
    recorded = {name: array[: int(np.flatnonzero(is_end)[-1]) + 1] for name, array in recorded.items()}
    planes, next_planes = (unpack(recorded[name]) for name in ("obs_bits", "next_obs_bits"))
    actions = recorded["actions"].astype(np.int32)
    arrays = {
        "obs": gems.entities_from_planes(planes),
        "actions": actions,
        "rewards": recorded["rewards"].astype(np.float32),
        "next_obs": gems.entities_from_planes(next_planes),
    }
    arrays |= {f"events.{name}": values for name, values in gems.recorded_events(planes, actions).items()}
    arrays |= find_ends(header, recorded["rewards"], recorded["done"])
    return from_arrays(header, arrays)


def read_recording(header: Header) -> dict[str, np.ndarray]:
    """The arrays of the npz file at `header.path`, checked for shape and dtype; see `import_gems`."""
    path = Path(header.path)
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    M, N = "M", header.num_agents
    layout = {"done": (M,), "obs_bits": (M, 141), "next_obs_bits": (M, 141), "actions": (M, N), "rewards": (M, N)}
    kinds = {"done": np.bool_, "obs_bits": np.uint8, "next_obs_bits": np.uint8, "actions": np.integer}
    try:
        with np.load(path, allow_pickle=False) as file:
            recorded = {name: file[name] for name in layout}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} does not hold a recording of Gems: {error}") from error
    for name, array in recorded.items():
        shape, kind = (len(recorded["done"]), *layout[name][1:]), kinds.get(name, np.floating)
        is_fit = array.shape == shape and np.issubdtype(array.dtype, kind)
        header.require(is_fit, name, f"{array.dtype} {array.shape}", f"{kind.__name__} {shape} is expected")
    return recorded


def find_ends(header: Header, rewards: np.ndarray, done: np.ndarray) -> dict[str, np.ndarray]:
    """What ended each episode.

    Args:
      header: of the game.
      rewards: `[M, 2]`.
      done: `[M]` bool, True in the last row.

    Returns:
      `episodes` `[M]` int32, `terminated` and `truncated` `[M]` bool, by name.

    Raises:
      ValueError: an episode ends where neither rule says so, or goes on where one does.
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
