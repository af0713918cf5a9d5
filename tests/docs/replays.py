"""The replays of the pages of games: the start of an episode of random, scripted and trained agents, side by side.

`python -m tests.docs.replays --runs-dir runs` writes the episodes into docs/replays, and the site makes pages of them.
The agents of a game are trained if a run of `baselines.ippo` on the game, with the keyword arguments below, is in the
directory of runs.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

import jaxdilemmas
from baselines.core.replays import play_replay
from baselines.runs.directory import RunDirectory
from baselines.trained.load import find_player
from jaxdilemmas.rendering import Replay
from jaxdilemmas.rendering.replay import pack
from tests.docs.pages import ROOT
from tests.docs.pictures import PICTURES

REPLAYS = ROOT / "docs/replays"
MOST_STEPS = 200

SCRIPTED: dict[str, tuple[dict[str, Any], str]] = {
    env_id: ({}, "cooperative") for env_id in jaxdilemmas.registered_envs()
}
SCRIPTED |= {env_id: picture[:2] for env_id, picture in PICTURES.items()} | {"intersection": ({}, "cautious")}
SCRIPTED |= {"coins": ({}, "cooperative"), "coin_game": ({}, "cooperative")}
SCRIPTED |= {"level_based_foraging": ({}, "cooperative")}
SCRIPTED |= {"matrix_game": ({"trembles": 0.05}, "tit_for_tat")}
"""Keyword arguments and scripted policy by the id of a game."""


def find_run(env_id: str, runs: Path) -> Path | None:
    """The first finished run of IPPO on the game of the replay, by name."""
    env_kwargs, _ = SCRIPTED[env_id]
    for path in sorted(path.parent for path in runs.glob("*/config.json")):
        record = RunDirectory(path).read_record()
        is_finished = RunDirectory(path).parameters(record.seeds[0]).exists()
        if is_finished and (record.algorithm, record.env_id, record.env_kwargs) == ("ippo", env_id, env_kwargs):
            return path
    return None


def start_of(replay: Replay, num_steps: int) -> Replay:
    """The first steps of an episode; its metrics are of the whole episode, so they are left out."""
    states = jax.tree.map(lambda leaf: leaf[: num_steps + 1], replay.states)
    events = {name: values[:num_steps] for name, values in replay.events.items()}
    return Replay(replay.env, states, replay.actions[:num_steps], replay.rewards[:num_steps], events, replay.title)


def game_replays(env_id: str, runs: Path | None = None) -> Iterator[Replay]:
    """Trained agents if there is a run of the game, then scripted and random agents; all meet the same draws."""
    env_kwargs, policy = SCRIPTED[env_id]
    run = find_run(env_id, runs) if runs else None
    titles = {policy: policy, "random": "random"}
    if run:
        config = RunDirectory(run).read_record().config
        titles = {str(run): f"IPPO, {config['reward']} reward, {config['total_env_steps']:,} env steps"} | titles
    for name, title in titles.items():
        replay = play_replay(find_player(name, env_id, env_kwargs), jax.random.key(0), title)
        yield start_of(replay, MOST_STEPS)


def main() -> None:
    """The command `python -m tests.docs.replays`."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.replays", description=__doc__)
    parser.add_argument("--runs-dir", type=Path, help="the directory of runs with the trained agents")
    parser.add_argument("games", nargs="*", default=jaxdilemmas.registered_envs(), help="ids of games; by default all")
    arguments = parser.parse_args()
    REPLAYS.mkdir(exist_ok=True)
    for env_id in arguments.games:
        (REPLAYS / f"{env_id}.replay").write_text(pack(list(game_replays(env_id, arguments.runs_dir))) + "\n")


if __name__ == "__main__":
    main()
