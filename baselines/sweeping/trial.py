"""A trial of a sweep: an ordinary run in a process of its own. As a program this module is that process.

The program reads one line from stdin: the path of the run and its record, as JSON. It makes the run directory unless it
is there, and then does what `python -m baselines.<algorithm> --resume` does. It ends when stdin is closed, so
that it does not outlive the process that began it.
"""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from baselines.analysis.intervals import Estimate
from baselines.compare import final_value
from baselines.disk.schema import read_json
from baselines.runs.command import train_command
from baselines.runs.curves import curves_of_seeds
from baselines.runs.directory import RunDirectory, RunRecord, describe_machine
from baselines.runs.table import read_metrics, read_rows
from baselines.sweeping.engine import use_one_core
from baselines.trained.algorithms import find_algorithm
from jaxdilemmas.arguments import printable

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_STOP = 60


class Trial:
    """Trains a run, or continues it, in a process that begins when it is needed.

    Args:
      path: the run directory; `<name>.log` beside it holds what the process prints.
      record: of the run.
      num_updates: of the run.
    """

    def __init__(self, path: Path, record: RunRecord, num_updates: int) -> None:
        self.directory = RunDirectory(path)
        self.record = record
        self.num_updates = num_updates
        self.log = path.with_name(f"{path.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def reach(self, update: int) -> str:
        """Waits until the rows of an update are there, or, of the last one, until the run has ended.

        Returns:
          The line with which a run ended that cannot go on; empty if all is well.

        Raises:
          ChildProcessError: the process was killed.
          ValueError: metrics.csv is not as it should be.
        """
        while update == self.num_updates or self._last_update() < update:
            self._process = self._process or self._start()
            code = self._process.poll()
            if code == 0:
                return ""
            if code in (1, 2):
                lines = self.log.read_text("utf-8", "replace").strip().splitlines()
                return printable(lines[-1] if lines else "no message")
            if code is not None:
                raise ChildProcessError(f"{self.directory.path}: the process ended with exit code {code}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return ""

    def score(self, metric: str, update: int) -> Estimate:
        """The mean over seeds of a column at the end of the updates so far; see `compare.final_value`."""
        columns = read_metrics(self.directory.metrics)
        is_past = columns["update"] <= update
        return final_value(curves_of_seeds({name: column[is_past] for name, column in columns.items()}), metric)

    def stop(self) -> None:
        """Ends the process in good order, as SIGTERM does: with a checkpoint and parameters."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS_TO_STOP)
            self._process.kill()
            self._process.wait()

    def _last_update(self) -> int:
        return read_rows(self.directory.metrics, self.record.seeds).last_update

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "baselines.sweeping.trial"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the trial in good order
            )
        assert process.stdin is not None
        task = {"path": str(self.directory.path), "record": dataclasses.asdict(self.record)}
        process.stdin.write(f"{json.dumps(task)}\n".encode())
        process.stdin.flush()
        return process


def main() -> None:
    """The process of a trial."""
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_stdin, daemon=True).start()
    use_one_core()
    record = read_json("stdin", json.dumps(task["record"]), RunRecord)
    directory = RunDirectory(task["path"])
    if not directory.path.exists():
        directory.create(dataclasses.replace(record, about=record.about | describe_machine()))
    options = ["--runs-dir", str(directory.path.parent), "--name", directory.path.name, "--resume"]
    options += ["--env", record.env_id] if ":" in record.env_id else []
    train_command(find_algorithm(record.algorithm), options)


def end_with_stdin() -> None:
    """Ends the program as soon as stdin is closed; the run continues from its last checkpoint."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
