"""The command that makes a page to watch: `python -m baselines.watch runs/<name>`.

It writes one HTML file that needs nothing else: play, pause, seek, what an agent sees, returns and events. Several
players stand side by side and meet the same draws: `python -m baselines.watch greedy cooperative --env harvest`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from rich.console import Console

import jaxdilemmas
from baselines.core.players import seat
from baselines.core.replays import play_replay, write_replays
from baselines.demonstrations import Demonstrations, load
from baselines.disk.packing import unpack
from baselines.disk.schema import CountOrZero, FilePath, Seed, check_fields
from baselines.runs.options import parse_env_kwargs
from baselines.runs.terminal import as_command
from baselines.trained.load import find_game, find_player
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.rendering import Replay
from jaxdilemmas.rendering.picture import picture_of
from jaxdilemmas.rendering.replay import MOST_REPLAYS


@dataclasses.dataclass(frozen=True)
class Options:
    """What to watch, and where to write it.

    Attributes:
      players: one to four, side by side: run directories, scripted policies of the game, files of demonstrations with
        states, or a player for each agent, as in greedy,greedy,runs/mine.
      env: id of the game, or module:Class of one of your own; by default that of the first run or file.
      env_kwargs: keyword arguments of the game as name=value; by default those of the first run.
      seed: of the episode, the same for all players.
      episode: which episode of files of demonstrations, from 0.
      output: the page; by default replay.html in the directory of the first run, or in runs/.
      gif: whether the episode of the first player is written as a GIF as well, beside the page.
      mp4: whether it is written as an MP4 as well.

    Raises:
      ValueError: a value is not allowed.
    """

    players: tyro.conf.Positional[tuple[str, ...]]
    env: str | None = None
    env_kwargs: tuple[str, ...] = ()
    seed: Seed = 0
    episode: CountOrZero = 0
    output: FilePath | None = None
    gif: bool = False
    mp4: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        allowed = f"one to {MOST_REPLAYS}, such as runs/mine or greedy"
        require(1 <= len(self.players) <= MOST_REPLAYS, "players", self.players, allowed)
        is_file = self.output is None or not self.output.is_dir()
        require(is_file, "output", str(self.output), "a file, such as runs/replay.html, and not a directory")


def prepare(name: str, options: Options, env_id: str, env_kwargs: dict[str, Any]) -> Callable[[], Replay]:
    """Finds one of the players.

    Returns:
      A function that makes the episode; it compiles the game, if the player has to play.

    Raises:
      ValueError: the name stands for no player of the game, there are not as many as agents, or the game is not drawn.
    """
    if Path(name).is_file():
        env = jaxdilemmas.make(env_id, **env_kwargs)
        picture_of(env)
        return partial(replay_demonstrations, load(name, env), env, options.episode)
    player = seat([find_player(part, env_id, env_kwargs) for part in name.split(",")])
    picture_of(player.env)
    return partial(play_replay, player, jax.random.key(options.seed), name)


def replay_demonstrations(demonstrations: Demonstrations, env: Environment, episode: int) -> Replay:
    """A recorded episode; the state after its last step is not recorded, so the replay ends before.

    Args:
      demonstrations: of `env`, with states.
      env: the game.
      episode: which one, from 0.

    Raises:
      ValueError: there is no such episode, or no states.
    """
    header = demonstrations.header
    numbers = np.unique(demonstrations.episodes)
    header.require(episode < len(numbers), "episode", episode, f"there are {len(numbers)} episodes, from 0")
    header.require(
        bool(demonstrations.states), "states", "none", "to be watched, record with --with-states (or play by hand)"
    )
    those = np.flatnonzero(demonstrations.episodes == numbers[episode])
    start = jax.eval_shape(env.initial_state, jax.random.key(0), env.default_params)
    template = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((len(those), *leaf.shape), leaf.dtype), start)
    states = unpack({name: values[those] for name, values in demonstrations.states.items()}, template)
    steps = those[:-1]
    events = {name: values[steps] for name, values in demonstrations.events.items()}
    title = f"{Path(header.path).name}, episode {episode}: {header.policy}"
    return Replay(
        env, jax.device_get(states), demonstrations.actions[steps], demonstrations.rewards[steps], events, title
    )


def watch(options: Options) -> list[Path]:
    """Writes the page, and the GIF and the MP4 if they are asked for.

    Returns:
      The files.

    Raises:
      ValueError: a player is unknown or does not fit the game, or the game is not drawn.
    """
    env_id, env_kwargs = find_game(options.players, options.env, parse_env_kwargs(options.env_kwargs))
    prepared = [prepare(name, options, env_id, env_kwargs) for name in options.players]
    replays = [make() for make in prepared]
    first = Path(options.players[0])
    page = options.output or (first if first.is_dir() else Path("runs")) / "replay.html"
    return write_replays(replays, page, options.gif, options.mp4)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.watch`."""
    options = tyro.cli(Options, prog="python -m baselines.watch", description=__doc__, args=argv)
    files = watch(options)
    names = " and ".join(str(file) for file in files)
    Console(highlight=False, markup=False).print(f"open {names} in a browser", soft_wrap=True)


if __name__ == "__main__":
    main()
