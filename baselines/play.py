"""The command that lets people play: `python -m baselines.play --env gems --human 0 --others greedy`.

It serves a page for a browser on this machine. What is played becomes a file of demonstrations, episode by episode.
"""

import dataclasses
import importlib.util
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field
from rich.console import Console

from baselines.core.players import Player, seat
from baselines.demonstrations import describe
from baselines.disk.schema import Allowed, CountOrZero, FilePath, Seed, check_fields
from baselines.playing.episode_files import EpisodeFiles
from baselines.playing.keyboard import Keyboard, keyboard_of
from baselines.playing.session import Session
from baselines.runs.options import default_name, parse_env_kwargs
from baselines.runs.terminal import as_command
from baselines.trained.load import find_game, find_player
from jaxdilemmas.environment import require

LIBRARIES = ("starlette", "uvicorn", "websockets")

Port = Annotated[int, Field(ge=0, le=65535), Allowed("a whole number from 0 to 65535")]


@dataclasses.dataclass(frozen=True)
class Options:
    """Who plays what, and where the episodes go.

    Attributes:
      env: id of the game, or module:Class of one of your own; by default that of the run in others.
      env_kwargs: keyword arguments of the game as name=value; by default those of the run in others.
      human: the agents that people play, each in a tab of its own.
      others: who plays the other agents: a scripted policy of the game, the directory of a run, or one for each other
        agent with commas between them.
      stand: the action of a person who pressed no key in time; by default the one of the game that does nothing.
      seed: of all draws.
      output: the new file of demonstrations; by default in runs/.
      port: of the page; by default one that is free.
      host: the address of this machine on which the page is served; any other than 127.0.0.1 lets other machines in.

    Raises:
      ValueError: a value is not allowed.
    """

    env: str | None = None
    env_kwargs: tuple[str, ...] = ()
    human: tuple[CountOrZero, ...] = (0,)
    others: str = "random"
    stand: CountOrZero | None = None
    seed: Seed = 0
    output: FilePath | None = None
    port: Port = 0
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        check_fields(self)


def make_session(options: Options) -> tuple[Session, Keyboard, str]:
    """The session, the keys of its game, and a title.

    Raises:
      ValueError: a player does not fit the game, a seat is none, the game is not drawn or has actions without numbers,
        or something is at the path of the file.
    """
    env_id, env_kwargs = find_game([options.others], options.env, parse_env_kwargs(options.env_kwargs))
    player = find_others(options.others, options.human, env_id, env_kwargs)
    keyboard = keyboard_of(player.env, options.stand)
    path = options.output or Path("runs") / f"{default_name('human', env_id)}.demos"
    files = EpisodeFiles(path, describe(player.env, env_id, env_kwargs, "human"))
    return Session(player, options.human, keyboard.stand, files, options.seed), keyboard, f"{env_id}, {options.others}"


def find_others(names: str, human: Sequence[int], env_id: str, env_kwargs: dict[str, Any]) -> Player:
    """The player of all agents but those of people, whose part of it is not used.

    Raises:
      ValueError: a name stands for no player of the game, or there are not as many as other agents.
    """
    players = [find_player(name, env_id, env_kwargs) for name in names.split(",")]
    others = [agent for agent in range(players[0].env.num_agents) if agent not in human]
    allowed = f"one player, or one for each of the {len(others)} other agents"
    require(len(players) in (1, len(others)), "others", len(players), allowed)
    if len(players) == 1:
        return players[0]
    by_agent = dict(zip(others, players, strict=True))
    return seat([by_agent.get(agent, players[0]) for agent in range(players[0].env.num_agents)])


def listen(host: str, port: int) -> socket.socket:
    """A socket on which the page is served.

    Raises:
      ValueError: the port is taken, or the host is none of this machine.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise ValueError(f"host={host!r} port={port} is not allowed: {error.strerror or error}") from error


def play(options: Options, console: Console) -> None:
    """Serves the page until Ctrl-C or SIGTERM; whole episodes are in the file by then.

    Raises:
      ValueError: a library is missing, the port is taken, or as `make_session`.
    """
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    require(not missing, "libraries", missing, 'playing needs them: pip install -e ".[baselines,play]"')
    from baselines.playing.room import Room
    from baselines.playing.server import make_server

    with listen(options.host, options.port) as listening:
        session, keyboard, title = make_session(options)
        console.print("compiling")
        room = Room(session, keyboard, title)
        token = secrets.token_urlsafe(24)
        address = f"http://{options.host}:{listening.getsockname()[1]}/?token={token}"
        for agent in session.seats:
            console.print(f"agent {agent}: open {address}&seat={agent}", soft_wrap=True)
        console.print("ready: Ctrl-C ends it, and closes the file")
        console.file.flush()
        try:
            make_server(room, token, options.host).run(sockets=[listening])
        finally:
            console.print(f"{session.save()}; {room.num_errors} messages were refused", soft_wrap=True)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.play`."""
    options = tyro.cli(Options, prog="python -m baselines.play", description=__doc__, args=argv)
    play(options, Console(highlight=False, markup=False))


if __name__ == "__main__":
    main()
