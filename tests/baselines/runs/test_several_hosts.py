"""A run of two processes over loopback: as on one device; one writes; the loss of one ends it in one line."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from baselines import networked
from baselines.runs import hosts
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.runs.table import read_metrics
from tests.baselines.runs.on_devices import claim_same, environment, write_train_states

PLAY = ("--num-envs", "8", "--rollout-steps", "10", "--total-env-steps", "1600", "--hidden-size", "16")
POOL = (*PLAY, "--env", "common_pool", "--env-kwargs", "max_steps=25")


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("localhost", 0))
        return made.getsockname()[1]


@contextlib.contextmanager
def two_hosts(
    *options: str, second: tuple[str, ...] = (), by_slurm: bool = False
) -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes of the command, with one device each; `second` are options of the second alone."""
    port, processes = free_port(), []
    for number, more in enumerate(((), second)):
        slurm = {"SLURM_JOB_ID": str(port), "SLURM_NTASKS": "2", "SLURM_PROCID": str(number), "SLURM_LOCALID": "0"}
        variables = environment(1) | (slurm | {"SLURM_STEP_NODELIST": "localhost"} if by_slurm else {})
        address = f"localhost:{port}", "--num-processes", "2", "--process-id", str(number)
        joined = ("--coordinator", "auto") if by_slurm else ("--coordinator", *address)
        command, pipe = [sys.executable, "-m", "baselines.networked", *options, *more, *joined], subprocess.PIPE
        processes.append(subprocess.Popen(command, env=variables, text=True, stdout=pipe, stderr=pipe))
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ends_of(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """By process: how it ended, and its last line on stderr."""
    texts = [process.communicate(timeout=300)[1].strip().splitlines() for process in processes]
    return [(process.returncode, (lines or [""])[-1]) for process, lines in zip(processes, texts, strict=True)]


@pytest.mark.slow
def test_two_hosts_play_and_learn_as_one_device_and_go_on(tmp_path: Path) -> None:
    where = ("--runs-dir", str(tmp_path), "--checkpoint-every", "8")
    train_command(networked.ALGORITHM, [*POOL, *where, "--name", "one"])
    with two_hosts(*POOL, *where, "--name", "two") as processes:
        ended = ends_of(processes)
    assert [code for code, _ in ended] == [0, 0], ended
    one, two = RunDirectory(tmp_path / "one"), RunDirectory(tmp_path / "two")
    for directory in (one, two):
        write_train_states(networked.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", directory.path.name])
    claim_same(one, two)
    assert two.read_record().about["devices"] == "2"

    shutil.rmtree(two.checkpoints / "20")
    with two_hosts(*where, "--name", "two", "--resume", by_slurm=True) as processes:
        ended = ends_of(processes)
    assert [code for code, _ in ended] == [0, 0], ended
    write_train_states(networked.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", "two"])
    claim_same(one, two)


@pytest.mark.slow
def test_hosts_that_disagree_are_told_before_anything_is_compiled_or_written(tmp_path: Path) -> None:
    where = ("--runs-dir", str(tmp_path))
    with two_hosts(*POOL, *where, second=("--learning-rate", "0.5")) as processes:
        ended = ends_of(processes)
    assert ended == [(1, "error: hosts disagree: learning_rate is 0.001 on process 0 and 0.5 on process 1")] * 2
    for wrong, message in (
        (("--learning-rate", "-1"), "its options cannot be read, and it printed why"),
        (("--devices", "3"), "devices=3 is not allowed: here are 2 of cpu"),
        (("--env-kwargs", "num_agents=0"), "num_agents=0 is not allowed"),
    ):
        with two_hosts(*POOL, *where, second=wrong) as processes:
            ended = ends_of(processes)
        assert [code for code, _ in ended] == [1, 1]
        assert all(line.startswith(f"error: process 1 of 2: {message}") for _, line in ended), ended
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_host_ends_the_run_and_what_was_written_is_kept(lost: int, tmp_path: Path) -> None:
    where = ("--runs-dir", str(tmp_path), "--name", "a", "--checkpoint-every", "4", "--total-env-steps", "80000000")
    directory = RunDirectory(tmp_path / "a")
    with two_hosts(*POOL, *where) as processes:
        while not (directory.checkpoints / "8").is_dir():
            assert [process.poll() for process in processes] == [None, None]
            time.sleep(0.2)
        processes[lost].kill()
        code, line = ends_of(processes)[1 - lost]
    if lost == 1:
        assert code == 1
        assert line.startswith("error: another host was lost: ")
        assert "the last checkpoint is after update" in line
    else:  # XLA aborts a process that misses the first one, unless the line comes sooner
        assert code in (1, -signal.SIGABRT)
    assert len(read_metrics(directory.metrics)["update"]) >= 8
    write_train_states(networked.ALGORITHM, ["--runs-dir", str(tmp_path), "--name", "a"])


@pytest.mark.slow
def test_a_signal_to_the_hosts_ends_the_run_with_a_checkpoint_on_all(tmp_path: Path) -> None:
    where = ("--runs-dir", str(tmp_path), "--name", "a", "--total-env-steps", "80000000")
    directory = RunDirectory(tmp_path / "a")
    with two_hosts(*POOL, *where) as processes:
        while not (directory.metrics.is_file() and directory.metrics.stat().st_size):
            assert [process.poll() for process in processes] == [None, None]
            time.sleep(0.2)
        for process in processes:
            process.terminate()
        ended = ends_of(processes)
    assert [code for code, _ in ended] == [130, 130], ended
    last = int(read_metrics(directory.metrics)["update"][-1])
    assert (directory.checkpoints / str(last)).is_dir()


def test_wrong_processes_are_refused(tmp_path: Path) -> None:
    address = "localhost:1234"
    for options, message in (
        (("--num-processes", "2"), "num_processes=2 is not allowed: left out, or with --coordinator host:port"),
        (("--coordinator", "auto", "--process-id", "1"), "process_id=1 is not allowed: left out, or with --coor"),
        (("--coordinator", "localhost"), "coordinator='localhost' is not allowed: host:port of process 0, or auto"),
        (("--coordinator", address), "num_processes=None is not allowed: needed with --coordinator host:port"),
        (("--coordinator", address, "--num-processes", "2"), "process_id=None is not allowed: another on each host"),
        (("--coordinator", address, "--num-processes", "x"), "num_processes='x' is not allowed: a whole number"),
        (
            ("--coordinator", address, "--num-processes", "2", "--process-id", "2"),
            "process_id=2 is not allowed: another on each host, from 0 to 1",
        ),
    ):
        with pytest.raises(SystemExit, match=message.replace("(", r"\(")):
            train_command(networked.ALGORITHM, ["--runs-dir", str(tmp_path), *options])
    assert not list(tmp_path.iterdir())


def test_alone_a_process_agrees_with_itself() -> None:
    assert hosts.is_first()
    assert hosts.agree(lambda: 3, lambda number: {"number": number}) == 3
    assert hosts.from_first(3) == 3
