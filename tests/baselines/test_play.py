"""The command that lets people play: what it refuses, and whole episodes through killed tabs and a killed server."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from baselines import play
from baselines.demonstrations import load
from baselines.runs.directory import RunDirectory
from jaxdilemmas.envs.gems import Gems
from tests.baselines.playing.play_server import HOST, Process, started

__all__ = ["started"]

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")

POOL = ["--env", "common_pool", "--env-kwargs", "max_steps=30"]


def refusal(*options: str) -> str:
    with pytest.raises(SystemExit) as ended:
        play.main(list(options))
    assert isinstance(ended.value.code, str)  # a message, and so exit code 1
    assert "\n" not in ended.value.code
    return ended.value.code


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([*POOL, "--others", "greedy"], "policy='greedy' is not allowed: one of random"),
        ([*POOL, "--others", "random,random"], "others=2 is not allowed: one player, or one for each of the 3"),
        ([*POOL, "--human", "4"], "human=4 is not allowed: agents from 0 to 3"),
        ([*POOL, "--human", "0", "0"], "each once"),
        ([*POOL, "--stand", "2"], "stand=2 is not allowed"),
        ([*POOL, "--host", "no.such.host.invalid"], "host='no.such.host.invalid'"),
        (["--env", "no_game"], "no_game"),
        ([], "--env is needed"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(options: list[str], sentence: str) -> None:
    assert sentence in refusal(*options)


def test_a_game_that_is_not_drawn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gems, "picture_module", None)
    assert "this game is not drawn" in refusal("--env", "gems")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port={port} is not allowed: Address already in use" in refusal(*POOL, "--port", str(port))


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "some.demos"
    path.write_text("something")
    assert "some.demos" in refusal(*POOL, "--output", str(path))
    assert path.read_text() == "something"


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "LIBRARIES", ("no_such_library",))
    assert 'no_such_library\'] is not allowed: playing needs them: pip install -e ".[baselines,play]"' in refusal(*POOL)


def test_the_game_is_that_of_a_run(trained: RunDirectory, tmp_path: Path) -> None:
    options = play.Options(others=str(trained.path), output=tmp_path / "some.demos")
    session, _, title = play.make_session(options)
    assert session.env.num_agents == 2
    assert title.startswith("gathering, ")
    session.tick()
    assert session.steps[0].actions[0] == 7


def test_each_other_agent_has_a_player_of_its_own(tmp_path: Path) -> None:
    others = "cooperative,exploitative"
    options = play.Options(
        env="common_pool", human=(0, 2), others=others, env_kwargs=("max_steps=30",), output=tmp_path / "some.demos"
    )
    session, _, _ = play.make_session(options)
    while not session.is_over:
        session.act(0, 1)
        session.tick()
    actions = np.array([step.actions for step in session.steps])
    assert actions[:, 0].all() and not actions[:, 2].any()
    assert actions[:, 3].mean() > actions[:, 1].mean()


KILLED_TAB = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], origin=sys.argv[2]) as connection:
    connection.recv()
    print("ready", flush=True)
    sys.stdin.read()
"""


def killed_tab(address: str) -> None:
    """A page of somebody else's process, which is killed without a goodbye."""
    own = address.replace("http:", "ws:").replace("/?", "/ws?")
    tab = subprocess.Popen(
        [sys.executable, "-c", KILLED_TAB, own, address.split("/?")[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tab.stdout is not None and tab.stdout.readline() == "ready\n"
    tab.kill()
    tab.communicate()


@pytest.mark.slow
def test_whole_episodes_are_kept_through_a_killed_tab_a_reload_and_a_killed_server(
    tmp_path: Path, started: Callable[..., Process]
) -> None:
    path = tmp_path / "played.demos"
    process = started(*POOL, "--human", "0", "2", "--others", "cooperative", "--output", str(path))
    killed_tab(process.addresses[1])
    one = process.person(0)
    one.send("act", action=1)
    assert one.wait_for(num_steps=1)["away"] == [2]
    two = process.person(1)
    one.send("pace", rate=30)
    assert one.wait_for(is_over=True)["num_episodes"] == 1
    two.connection.close()
    two = process.person(1)  # a reload
    assert two.frame["is_over"]
    two.send("restart")
    assert one.wait_for(is_over=True, num_episodes=2)["away"] == []
    one.send("restart")
    one.wait_for(num_steps=10)
    _, code = process.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    with pytest.raises(ValueError, match="its first 2 whole episodes, 60 transitions, can be read"):
        load(path)
    demonstrations = load(path, is_partial_allowed=True)
    assert demonstrations.header.policy == "human"
    assert demonstrations.actions[0].tolist()[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_with_a_file_that_loads(
    number: int, tmp_path: Path, started: Callable[..., Process]
) -> None:
    path = tmp_path / "played.demos"
    process = started(*POOL, "--output", str(path))
    one = process.person(0)
    one.send("pace", rate=30)
    one.wait_for(is_over=True)
    one.send("restart")
    one.wait_for(num_steps=3)
    text, code = process.end(number)
    assert code == 130
    assert re.search(rf"1 whole episodes are in {path}; the episode at step \d+ is not over and not in it", text)
    assert load(path).header.num_transitions == 30
