"""The server of people who play: who is let in, what is refused, and that the game of others goes on."""

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from baselines.playing.messages import MOST_BYTES, NUMBERS, parse
from baselines.playing.room import MOST_A_SECOND
from tests.baselines.playing.play_server import HOST, TOKEN, Served, serving

pytestmark = pytest.mark.usefixtures("quick_compiling")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("played") / "some.demos"
    with serving(path, "common_pool", {"num_agents": 3, "max_steps": 200}, (0, 1)) as served:
        yield served


@pytest.fixture(autouse=True)
def everybody_has_left(served: Served) -> Iterator[None]:
    yield
    until = time.monotonic() + 20
    while served.room.tabs and time.monotonic() < until:
        time.sleep(0.01)
    assert not served.room.tabs
    served.room.session.rate = 0
    served.room.session.is_paused = False
    served.room.session.restart()


def answer(address: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method=method)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_needs_the_token(served: Served) -> None:
    status, text = answer(served.page())
    assert status == 200 and "play.js" in text
    for address in (f"{served.origin}/", f"{served.origin}/?token=another", f"{served.origin}/?token=%ff"):
        status, text = answer(address)
        assert status == 403 and "token" in text
    assert answer(f"{served.origin}/../play.py")[0] == 404
    assert answer(served.page(), "POST")[0] == 405


def test_the_page_may_load_nothing_from_elsewhere(served: Served) -> None:
    with urllib.request.urlopen(served.page()) as response:
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe" not in policy


@pytest.mark.parametrize(
    "wrong",
    [{"token": "another"}, {"token": ""}, {"origin": "http://example.org"}, {"origin": None}, {"origin": "null"}],
)
def test_a_stranger_is_refused(served: Served, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        served.socket(**wrong)


def test_another_name_of_this_machine_is_refused(served: Served) -> None:
    elsewhere = f"example.org:{served.port}"
    own = socket.create_connection((HOST, served.port))
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{elsewhere}/ws?token={TOKEN}", sock=own, origin=Origin(f"http://{elsewhere}"))


@pytest.mark.parametrize("seat", ["2", "x", "-1", "9" * 500, "%F0%9F"])
def test_a_seat_that_nobody_plays_is_refused_with_a_sentence(served: Served, seat: str) -> None:
    with served.socket(seat) as connection:
        assert "people play 0, 1" in json.loads(connection.recv())["message"]
        with pytest.raises(ConnectionClosed, match="4404"):
            connection.recv()


def test_a_second_tab_for_a_seat_is_refused_until_the_first_is_gone(served: Served) -> None:
    with served.person(0) as first:
        with served.socket(0) as second:
            assert json.loads(second.recv())["message"] == "agent 0 is played in another tab already"
        first.send("act", action=1)
        first.wait_for(num_steps=1)
    with served.person(0) as reloaded:
        assert reloaded.frame["num_steps"] == 1


def test_two_people_play_by_turns_and_who_leaves_stands(served: Served) -> None:
    with served.person(0) as one:
        with served.person(1) as two:
            one.send("act", action=1)
            assert one.wait_for(waiting_for=[1])["num_steps"] == 0
            two.send("act", action=1)
            for person in (one, two):
                assert person.wait_for(num_steps=1)["actions"][:2] == [1, 1]
            one.send("act", action=1)
            assert one.wait_for(waiting_for=[1])["away"] == []
        frame = one.wait_for(num_steps=2)  # for the other left
        assert frame["actions"][:2] == [1, 0]
        assert frame["away"] == [1]


def test_frames_hold_differences_that_sum_up_to_the_marks(served: Served) -> None:
    with served.person() as person:
        marks = np.array(person.frame["marks"]).reshape(-1, 7)
        for step in range(1, 4):
            person.send("act", action=1)
            frame = person.wait_for(num_steps=step)
            assert frame["marks"] is None
            for change in np.array(frame["changes"]).reshape(-1, 8):
                marks[change[0]] = change[1:]
        np.testing.assert_array_equal(marks, served.room.scene.marks)


def test_pause_back_restart_pace_and_save(served: Served) -> None:
    with served.person() as person:
        person.send("act", action=1)
        person.wait_for(num_steps=1)
        person.send("pause", is_paused=1)
        person.wait_for(is_paused=True)
        person.send("act", action=1)
        assert "paused" in person.receive("error")["message"]
        person.send("back", steps=1)
        person.wait_for(num_steps=0)
        person.send("pause", is_paused=0)
        person.send("pace", rate=30)
        person.wait_for(num_steps=5)
        person.send("restart")
        person.wait_for(num_steps=0)
        person.send("save")
        assert "no episode has ended" in person.receive("said")["message"]


WRONG: list[str | bytes] = [
    "",
    "x",
    "[]",
    "null",
    "[" * MOST_BYTES,
    '{"a":' * 500,
    '{"type":"act"}',
    '{"type":"act","action":9}',
    '{"type":"act","action":-1}',
    '{"type":"act","action":NaN}',
    '{"type":"act","action":1e400}',
    '{"type":"act","action":1.0}',
    '{"type":"act","action":true}',
    '{"type":"act","action":"1"}',
    '{"type":"act","action":[1]}',
    '{"type":"act","action":' + "9" * 4000 + "}",
    '{"type":"act","action":1,"seat":1}',
    '{"type":"back","steps":0}',
    '{"type":"pace","rate":31}',
    '{"type":"pause","is_paused":2}',
    '{"type":"restart","action":1}',
    '{"type":"hello"}',
    '{"type":["act"]}',
    '{"type":"\\ud800"}',
    b"\x00\xff",
]


def test_a_wrong_message_is_answered_and_counted_and_changes_nothing(served: Served) -> None:
    with served.person() as person:
        for message in WRONG:
            before = served.room.num_errors
            person.connection.send(message)
            assert person.receive("error")["message"], message
            assert served.room.num_errors == before + 1
        person.send("act", action=1)
        person.wait_for(num_steps=1)


def test_a_message_of_ten_megabytes_ends_its_connection_alone(served: Served) -> None:
    with served.person(0) as one, served.socket(1) as big:
        with contextlib.suppress(ConnectionClosed):
            big.send("x" * 10_000_000)
        with pytest.raises(ConnectionClosed):
            list(big)
        one.send("act", action=1)
        one.wait_for(num_steps=1)


def test_beyond_the_rate_messages_are_answered_and_dropped(served: Served) -> None:
    with served.person(0) as one, served.person(1) as fast:
        for _ in range(1000):
            fast.connection.send('{"type":"back","steps":1}')
        assert all("too fast" in fast.receive("error")["message"] for _ in range(500))
        fast.connection.close()
        one.wait_for(away=[1])
        one.send("act", action=1)  # not before: to go back takes a choice away
        assert one.wait_for(num_steps=1)["away"] == [1]


def mutated(random: np.random.Generator) -> str | bytes:
    """A right message, with characters changed, left out, doubled or cut off."""
    kind = str(random.choice(list(NUMBERS)))
    number = NUMBERS[kind]
    message = {"type": kind} | ({number[0]: 1} if number else {})
    letters = list(json.dumps(message))
    for _ in range(random.integers(1, 6)):
        at = int(random.integers(len(letters)))
        letters[at : at + int(random.integers(3))] = [
            chr(c) for c in random.integers(0, 0x2FF, random.integers(3))
        ] or [""]
    text = "".join(letters)
    return text.encode() if random.random() < 0.1 else text


def test_mutated_messages_do_not_disturb_others(served: Served) -> None:
    random = np.random.default_rng(0)
    with served.person(0) as one, served.person(1) as two:
        wrong = 0
        for step in range(200):
            message = mutated(random)
            try:
                parse(message)
            except ValueError:
                two.connection.send(message)
                two.receive("error")
                wrong += 1
            if step % 20 == 0:
                before = len(served.room.session.steps)
                two.send("act", action=0)
                one.send("act", action=1)
                one.wait_for(num_steps=before + 1)
            time.sleep(1 / MOST_A_SECOND)
        assert wrong > 150


def test_an_episode_that_cannot_be_written_does_not_end_the_game(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(arrays: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(served.room.session.files, "add", fail)
    with served.person() as person:
        person.send("pace", rate=30)
        person.send("act", action=1)
        assert person.receive("error")["message"] == "the episode is not kept: no space left on device"
        person.send("restart")
        person.wait_for(num_steps=0)
