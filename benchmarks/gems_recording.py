"""Checks for each transition whether our rules of `gems` explain the expert data of USC-Lira/ma-mql @ 7f3da20.

    python -m benchmarks.gems_recording --recording gems_expert.npz

A transition is explained if our own `transition` leads from the recorded state before it to the recorded positions,
rewards, end and gems. New gems may appear on any cell that the rules allow. Two gems of a kind on one cell look like
one gem. So gems that the planes do not show are tried on every cell where they can be, and at least one such placement
must stay possible through the episode.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from baselines.demonstrations.gems_planes import state_from_planes
from baselines.demonstrations.gems_recording import read_recording, unpack
from baselines.demonstrations.headers import describe
from baselines.runs.terminal import as_command
from benchmarks.reporting import RESULTS, print_header, report
from jaxdilemmas.envs.gems import NUM_ALIKE, NUM_PLAYERS, PURPLE, SIZE, Draws, Gems, State

PARTS = ("start", "positions", "rewards", "done", "gems")
"""The parts of a transition that the rules must explain."""

COLUMNS = ("recording", "transitions", "episodes", *PARTS, "explained", "terminated", "with_hidden_gems")
ENV = Gems()
HIDDEN = range(NUM_ALIKE - 1)
"""The visible gems under which gems that are not shown may lie; see `state_from_planes`."""


def explain(recorded: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Checks which parts of which transitions our rules explain.

    Args:
      recorded: `planes` and `next_planes` `[M, 5, 15, 15]`, `actions` and `rewards` `[M, 2]`, `done` `[M]` bool; the
        first transition starts an episode.

    Returns:
      `[M]` bool for each of `PARTS`: "start" (the transition starts an episode or starts where the previous one ended),
      "positions", "rewards", "done" (by the rule or by the clock) and "gems" (of all kinds). Also `terminated` `[M]`
      bool (by the rule) and `with_hidden_gems` `[M]` bool, whether the planes before the transition show too few gems.
    """
    done, planes, next_planes = recorded["done"], recorded["planes"], recorded["next_planes"]
    is_first = np.append(True, done[:-1])
    befores = [start(recorded, is_first, hidden) for hidden in HIDDEN]
    afters = [state_from_planes(next_planes, hidden) for hidden in HIDDEN]
    actions = jnp.asarray(recorded["actions"], jnp.int32)
    draws = possible_draws(afters[0].gems)
    results = [play(before, actions, draws) for before in befores]
    state, rewards, terminated = jax.tree.map(lambda leaf: np.asarray(leaf[:, 0]), results[0])
    possible = np.array([[is_like(result[0].gems, after.gems) for after in afters] for result in results])
    return {
        "start": is_first | np.append(True, (planes[1:] == next_planes[:-1]).all(axis=(1, 2, 3))),
        "positions": (state.positions == np.asarray(afters[0].positions)).all(axis=(1, 2)),
        "rewards": (rewards == recorded["rewards"]).all(axis=1),
        "done": (terminated | (state.step_count >= ENV.default_params.max_steps)) == done,
        "gems": follow(possible, is_first).all(axis=1),
        "terminated": terminated,
        "with_hidden_gems": planes[:, -3:].sum(axis=(1, 2, 3)) < 3 * NUM_ALIKE,
    }


@jax.jit
def play(befores: State, actions: jax.Array, draws: Draws) -> tuple[State, jax.Array, jax.Array]:
    """States, rewards and ends of the game, `[M, D, ...]`, after steps `[M]`, each step under D draws."""
    under_draws = jax.vmap(ENV.transition, in_axes=(0, None, None, None))
    return jax.vmap(under_draws, in_axes=(0, 0, 0, None))(draws, befores, actions, ENV.default_params)[:3]


def start(recorded: Mapping[str, np.ndarray], is_first: np.ndarray, hidden: int) -> State:
    """States `[M]` before the transitions, with the values that planes do not show: rewards so far and the clock."""
    first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    team = np.cumsum(recorded["rewards"].sum(axis=1)) - recorded["rewards"].sum(axis=1)
    team_reward = jnp.asarray(team - team[first], jnp.float32)
    step_count = jnp.asarray(np.arange(len(first)) - first, jnp.int32)
    return state_from_planes(recorded["planes"], hidden).replace(team_reward=team_reward, step_count=step_count)


def possible_draws(gems: jax.Array) -> Draws:
    """Draws that send gems to visible gems of their kind, or as near to them as gems may appear.

    Args:
      gems: `[M, 3, 3, 2]` (row, col), as in `State`.

    Returns:
      `[M, 27, ...]`: all triples of the three cells for the gems of a player's own colour. Each triple also gives two
      cells for the purple gems that two players may take.
    """
    uniforms = jnp.clip((gems - 0.5) / (SIZE - 1), 0, np.nextafter(np.float32(1), np.float32(0)))
    choices = np.array(list(itertools.product(range(NUM_ALIKE), repeat=NUM_ALIKE)))
    own = uniforms[:, :PURPLE, choices].swapaxes(1, 2)
    return Draws(own, uniforms[:, PURPLE, choices[:, :NUM_PLAYERS]])


def is_like(found: jax.Array, recorded: jax.Array) -> np.ndarray:
    """Whether gems of each kind, `[M, 3]`, are as recorded, `[M, 3, 3, 2]`, under some draws, `[M, D, 3, 3, 2]`."""
    found_cells, cells = (np.sort(np.asarray(gems @ jnp.array([SIZE, 1]))) for gems in (found, recorded))
    return (found_cells == cells[:, None]).all(axis=-1).any(axis=1)


def follow(possible: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """Follows the placements of hidden gems that are possible, given all transitions before in the episode.

    Args:
      possible: `[before, after, M, kinds]` bool, whether a step leads from gems hidden at `before` to gems hidden at
        `after`.
      is_first: `[M]` bool, where an episode starts. There gems may be hidden anywhere, and also after a step that is
        not explained.

    Returns:
      `[M, kinds]` bool, whether the step leads from a possible placement to any placement.
    """
    explained = np.zeros(possible.shape[2:], bool)
    can_be = np.ones(possible.shape[::3], bool)
    for t in range(len(is_first)):
        can_be |= is_first[t]
        can_be = (can_be[:, None] & possible[:, :, t]).any(axis=0)
        explained[t] = can_be.any(axis=0)
        can_be |= ~explained[t]
    return explained


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads a recording for `explain`; see `read_recording` for the file and the errors."""
    recorded = read_recording(dataclasses.replace(describe(ENV, "gems"), path=str(path)))
    planes = {"planes": unpack(recorded["obs_bits"]), "next_planes": unpack(recorded["next_obs_bits"])}
    return planes | {name: recorded[name] for name in ("actions", "rewards", "done")}


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.gems_recording`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gems_recording", description=__doc__)
    parser.add_argument(
        "--recording", type=Path, help="the npz file; no part of this project, as it has no free licence"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "gems_recording.jsonl", help="the row is added here")
    options = parser.parse_args(argv)
    if options.recording is None or not options.recording.is_file():
        print(f"nothing to check: --recording={options.recording} is not a file")
        return
    recorded = read(options.recording)
    found = explain(recorded)
    is_explained = np.all([found[part] for part in PARTS], axis=0)
    sums = {"episodes": recorded["done"], "explained": is_explained} | found
    row = {"recording": options.recording.name, "transitions": len(is_explained)}
    print_header(COLUMNS)
    report(row | {name: int(values.sum()) for name, values in sums.items()}, options.output, COLUMNS)
    for t in np.flatnonzero(~is_explained):
        print(f"transition {t} is not explained: {', '.join(part for part in PARTS if not found[part][t])}")


if __name__ == "__main__":
    main()
