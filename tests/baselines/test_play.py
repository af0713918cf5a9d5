"""The command that lets people play: what it refuses, and whole episodes through killed tabs and a killed server."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from baselines import demonstrate, play
from baselines.demonstrations import Demonstrations, load
from baselines.runs.directory import RunDirectory
from jaxdilemmas.envs.gems import Gems
from tests.baselines.playing.play_server import HOST, Person, Process, started, train_briefly

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


MOST_STEPS = 500
RIVER = ["--env-kwargs", f"max_steps={MOST_STEPS}"]


@pytest.fixture(scope="module")
def five_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of IPPO on a game of seven agents, of whom people will play two."""
    return train_briefly(tmp_path_factory.mktemp("runs"), "cleanup_meltingpot", *RIVER)


def play_by_turns(one: Person, two: Person, num_steps: int) -> None:
    """Both walk about from the start of an episode."""
    for step in range(num_steps):
        for person in (one, two):
            person.choose(step % 6)
        for person in (one, two):
            person.wait_for(num_steps=step + 1)


@pytest.mark.slow
def test_two_people_and_five_trained_agents_keep_whole_episodes_through_kills_and_a_reload(
    tmp_path: Path, five_trained: Path, started: Callable[..., Process]
) -> None:
    path = tmp_path / "played.demos"
    options = ["--human", "0", "3", "--others", str(five_trained), "--output", str(path)]
    process = started(*options)
    killed_tab(process.addresses[1])
    one = process.person(0)
    one.send("pace", rate=30)
    assert one.wait_for(num_steps=100)["away"] == [3]  # whose tab was killed; the game goes on
    one.connection.close()
    one = process.person(0)  # a reload
    assert 100 <= one.frame["num_steps"] < MOST_STEPS
    two = process.person(1)
    reading = threading.Thread(target=two.wait_for, kwargs={"is_over": True})  # who does not read counts as gone
    reading.start()
    assert one.wait_for(is_over=True, num_episodes=1)["away"] == []
    reading.join()
    one.send("pace", rate=0)
    one.send("restart")
    one.wait_for(num_steps=0, rate=0)
    play_by_turns(one, two, MOST_STEPS)
    one.send("restart")
    one.wait_for(num_steps=0)
    play_by_turns(one, two, 20)
    _, code = process.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    with pytest.raises(ValueError, match="its first 2 whole episodes, 1000 transitions, can be read"):
        load(path)
    demonstrate.main(["--partial", str(path), "--output", str(tmp_path / "whole.demos")])
    kept = load(tmp_path / "whole.demos")
    assert (kept.header.policy, kept.header.num_agents, kept.header.num_transitions) == ("human", 7, 1000)
    np.testing.assert_array_equal(kept.actions[MOST_STEPS:, 0], np.arange(MOST_STEPS) % 6)
    assert_others_acted_as_trained(kept, play.Options(human=(0, 3), others=str(five_trained)), MOST_STEPS, 100)


def assert_others_acted_as_trained(kept: Demonstrations, options: play.Options, start: int, num_steps: int) -> None:
    """The second episode of a new session, in which people choose the same, is the one that was kept."""
    session, _, _ = play.make_session(options)
    session.restart()
    for actions in kept.actions[start : start + num_steps]:
        for seat in options.human:
            session.act(seat, int(actions[seat]))
        session.tick()
    actions = np.array([step.actions for step in session.steps])
    np.testing.assert_array_equal(actions, kept.actions[start : start + num_steps])
    assert (actions[:, 1] != actions[:, 2]).any()


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
