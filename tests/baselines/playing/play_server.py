"""Servers of the page on which people play, in a thread or a process, and people who write to them."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

import jaxdilemmas
from baselines import ippo
from baselines.core.players import scripted_player
from baselines.demonstrations import describe
from baselines.playing.episode_files import EpisodeFiles
from baselines.playing.keyboard import keyboard_of
from baselines.playing.room import Room
from baselines.playing.server import make_server
from baselines.playing.session import Session
from baselines.runs.command import train_command
from jaxdilemmas import policies

TOKEN = "a-token"
HOST = "127.0.0.1"
SECONDS_BETWEEN_CHOICES = 0.012
"""So that a person does not send more messages than a page may."""


def train_briefly(path: Path, env_id: str, *options: str) -> Path:
    """A run of IPPO in a directory, short and with small networks; of a kind that acts as one that was trained long."""
    short = ["--num-envs", "2", "--rollout-steps", "50", "--total-env-steps", "200", "--hidden-size", "8"]
    short += ["--num-minibatches", "2", "--num-epochs", "1"]
    train_command(ippo.ALGORITHM, ["--env", env_id, "--runs-dir", str(path), "--name", "a", *short, *options])
    return path / "a"


class Served:
    """A room, and where it is served."""

    def __init__(self, room: Room, port: int) -> None:
        self.room, self.port = room, port
        self.origin = f"http://{HOST}:{port}"

    def page(self, seat: int = 0) -> str:
        return f"{self.origin}/?token={TOKEN}&seat={seat}"

    def socket(self, seat: int | str = 0, token: str = TOKEN, **options: Any) -> ClientConnection:
        address = f"ws://{HOST}:{self.port}/ws?token={token}&seat={seat}"
        return connect(address, close_timeout=1, **{"origin": self.origin, **options})

    @contextlib.contextmanager
    def person(self, seat: int = 0) -> Iterator["Person"]:
        with self.socket(seat) as connection:
            yield Person(connection)


class Person:
    """Somebody at a page, after its first two messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.hello = self.receive("hello")
        self.frame = self.receive("frame")

    def choose(self, action: int) -> None:
        """Chooses an action, not too soon after the one before."""
        time.sleep(SECONDS_BETWEEN_CHOICES)
        self.send("act", action=action)

    def send(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **fields}))

    def receive(self, kind: str, seconds: float = 30) -> dict[str, Any]:
        """The next message of a kind; others are dropped."""
        until = time.monotonic() + seconds
        while True:
            message = json.loads(self.connection.recv(timeout=max(until - time.monotonic(), 0.01)))
            if message["type"] == kind:
                return message

    def wait_for(self, **fields: Any) -> dict[str, Any]:
        """The next frame with these values."""
        while True:
            message = self.receive("frame")
            if all(message[name] == value for name, value in fields.items()):
                return message


@contextlib.contextmanager
def serving(path: Path, env_id: str, env_kwargs: dict[str, Any], seats: tuple[int, ...]) -> Iterator[Served]:
    """A session with random others on a free port."""
    env = jaxdilemmas.make(env_id, **env_kwargs)
    files = EpisodeFiles(path, describe(env, env_id, env_kwargs, "human"))
    keyboard = keyboard_of(env)
    session = Session(scripted_player(env, policies.scripted(env, "random")), seats, keyboard.stand, files)
    with socket.create_server((HOST, 0)) as listening:
        room = Room(session, keyboard, env_id)
        server = make_server(room, TOKEN, HOST)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Served(room, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def _heed_interrupts() -> None:
    """A process of tests in the background of a shell inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Process:
    """The command in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-u", "-m", "baselines.play", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=_heed_interrupts
        )
        self.addresses: list[str] = []
        self.connections = contextlib.ExitStack()

    def wait(self) -> None:
        """Until the addresses of all people are printed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while not line.startswith("ready"):
            assert line, "the command ended"
            self.addresses += re.findall(r"open (http://\S+)", line)
            line = self.process.stdout.readline()

    def person(self, seat: int) -> Person:
        address = self.addresses[seat]
        origin = Origin(address.split("/?")[0])
        own = connect(address.replace("http:", "ws:").replace("/?", "/ws?"), origin=origin)
        return Person(self.connections.enter_context(own))

    def end(self, number: int) -> tuple[str, int]:
        """Sends a signal; returns what was printed since, and the exit code."""
        self.process.send_signal(number)
        text, _ = self.process.communicate(timeout=60)
        return text, self.process.returncode

    def kill(self) -> None:
        """Ends it, whatever state it is in."""
        self.process.kill()
        self.process.communicate()
        with contextlib.suppress(ConnectionClosed):
            self.connections.close()


@pytest.fixture
def started() -> Iterator[Callable[..., Process]]:
    """Starts the command with options, and waits for its addresses."""
    processes: list[Process] = []

    def start(*options: str) -> Process:
        processes.append(Process(*options))
        processes[-1].wait()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
