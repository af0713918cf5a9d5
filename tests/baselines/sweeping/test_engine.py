"""Pieces of work in one process and in several, with Ray and with the standard library."""

import os
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from baselines.sweeping import engine
from baselines.sweeping.engine import check_address, ray_started, run_side_by_side
from tests.baselines.sweeping.pieces import die_once, fail_or_wait, note

WAYS = [pytest.param(True, id="ray", marks=pytest.mark.slow), pytest.param(False, id="processes")]


@pytest.fixture(params=WAYS)
def has_ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Ray does the work of several processes; the standard library does it where Ray is not installed."""
    monkeypatch.setattr(engine, "is_installed", lambda library: request.param)
    return request.param


def test_one_job_works_in_this_process_in_order() -> None:
    done: list[str] = []
    assert [*run_side_by_side(done.append, "abc", 1)] == done == [*"abc"]


def test_both_ways_leave_the_same_results(has_ray: bool, tmp_path: Path) -> None:
    assert sorted(run_side_by_side(partial(note, tmp_path), "abc", 2)) == [*"abc"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "97 True",
        "b": "98 True",
        "c": "99 True",
    }


def test_what_stops_a_piece_stops_the_others(has_ray: bool, tmp_path: Path) -> None:
    start_time = time.monotonic()
    with pytest.raises(ValueError, match=r"^nothing to learn$"):
        list(run_side_by_side(partial(fail_or_wait, tmp_path / "marker"), ["waits", "fails"], 2))
    assert time.monotonic() - start_time < 100
    process = int((tmp_path / "marker").read_text())
    for _ in range(1000):
        try:
            os.kill(process, 0)  # raises if there is no such process
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("a process is still at work")


@pytest.mark.slow
def test_ray_replaces_a_process_that_was_killed(tmp_path: Path) -> None:
    assert sorted(run_side_by_side(partial(die_once, tmp_path), "ab", 2)) == ["a", "b"]
    assert [(tmp_path / name).read_text() for name in "ab"] == ["done", "done"]


@pytest.mark.parametrize("address", ["", "auto", "host", ":1", "host:x", "host:0", "host:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"^address=.* is not allowed: host:port of a Ray cluster that runs"):
        check_address(address)


@pytest.fixture
def address() -> Iterator[tuple[socket.socket, str]]:
    """A socket that nobody else gets and that does not listen, and its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken, f"127.0.0.1:{taken.getsockname()[1]}"


def test_an_address_where_nobody_listens_is_refused_at_once(address: tuple[socket.socket, str]) -> None:
    with pytest.raises(ValueError, match=r"Ray cluster that runs; .*refused"):
        check_address(address[1])


def test_an_address_where_no_cluster_answers_is_refused(
    address: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SECONDS_TO_ANSWER", 0.5)
    address[0].listen()
    with pytest.raises(ValueError, match=r"Ray cluster that runs; what listens there does not answer as one"):
        check_address(address[1])


@pytest.mark.slow
def test_a_cluster_answers() -> None:
    with ray_started(1) as ray:
        check_address(ray.get_runtime_context().gcs_address)
