"""Where a run shows its progress: a live table or plain lines; on request also Weights & Biases and TensorBoard."""

import datetime
import hashlib
import io
import math
import shlex
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from baselines.disk.writing import GrowingFile, make_directory
from baselines.runs.directory import RunRecord
from baselines.runs.terminal import describe
from jaxdilemmas.metrics import SOCIAL_METRICS

WandbMode = Literal["disabled", "offline", "online"]

EVENT_VERSION = "brain.Event:2"
"""Of the files of TensorBoard; the first event of a file names it."""

Row = Mapping[str, np.ndarray]
"""The row of an update: an `[S]` array for each column of metrics.csv."""


class Listener(Protocol):
    """Receives every update."""

    def update(self, row: Row) -> None:
        """An update is done."""

    def close(self) -> None:
        """No more will be done."""


class Display:
    """The progress of a run on a console: a table that changes in place on a terminal, else a line now and then.

    Numbers are means over seeds. A number that only the end of an episode gives, such as a return, stays until the next
    episode ends.

    Args:
      console: where to.
      title: stands above.
      num_updates: of the whole run.
      every_seconds: the least time between two lines; the last update always has a line.
    """

    def __init__(self, console: Console, title: str, num_updates: int, every_seconds: float = 5.0) -> None:
        self._console, self._title, self._num_updates = console, title, num_updates
        self._every_seconds, self._last_time = every_seconds, -math.inf
        self._values: dict[str, float] = {}
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)
            self._live.start()
        else:
            console.print(title)
            self._print_line()

    def update(self, row: Row) -> None:
        """Takes in an update; a table follows by itself, and a line is printed if it is time."""
        means = {name: float(column.mean()) for name, column in row.items()}
        self._values |= {name: mean for name, mean in means.items() if not math.isnan(mean)}
        self._values["env_steps_per_second"] = float(row["env_steps_per_second"].sum())
        is_due = self._num_done == self._num_updates or time.monotonic() - self._last_time >= self._every_seconds
        if self._live is None and is_due:
            self._last_time = time.monotonic()
            self._print_line()

    def close(self) -> None:
        """Leaves the last table on the screen."""
        if self._live is not None:
            self._live.stop()

    @property
    def _num_done(self) -> int:
        """Updates that are done."""
        return int(self._values.get("update", 0))

    def _cells(self) -> dict[str, str]:
        """What is shown, by title."""
        if not self._num_done:
            return {"": "compiling"}
        values, shown = self._values, defaultdict(lambda: "-", {n: f"{x:.4g}" for n, x in self._values.items()})
        returns = [name for name in values if name.startswith("return_") and name != "return_collective"]
        seconds = values["wall_seconds"] / self._num_done * (self._num_updates - self._num_done)  # by the mean speed
        return {
            "update": f"{self._num_done}/{self._num_updates}",
            "env steps": f"{values['env_steps']:,.0f}",
            "collective return": shown["return_collective"],
            "return per agent": " ".join(shown[name] for name in returns) or "-",
            **{name: shown[name] for name in SOCIAL_METRICS if name in values},
            "env steps/s": f"{values['env_steps_per_second']:,.0f}",
            "time left": str(datetime.timedelta(seconds=round(seconds))),
        }

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, title=self._title, title_justify="left")
        table.add_row("", ProgressBar(total=self._num_updates, completed=self._num_done, width=60))
        for title, cell in self._cells().items():
            table.add_row(title, cell)
        return table

    def _print_line(self) -> None:
        self._console.print(", ".join(f"{title} {cell}".strip() for title, cell in self._cells().items()))


class WandbSeries:
    """Weights & Biases: one series for each seed, grouped under the name of the run.

    Args:
      mode: "offline" writes files into the run directory and needs neither account nor network.
      path: the run directory.
      record: what is run.
      console: shows at the end how to send offline files.

    Raises:
      ValueError: Weights & Biases cannot begin, for example without an account; the message gives the reason.
    """

    def __init__(self, mode: Literal["offline", "online"], path: Path, record: RunRecord, console: Console) -> None:
        import wandb

        self._mode, self._path, self._console = mode, path, console
        settings = wandb.Settings(silent=True, console="off")
        try:
            self._series = [
                wandb.init(
                    project="jaxdilemmas",
                    group=path.name,
                    name=f"{path.name}, seed {seed}",
                    id=hashlib.sha256(f"{path.name} {record.about} {seed}".encode()).hexdigest()[:16],
                    resume="allow",
                    reinit="create_new",
                    mode=mode,
                    dir=path,
                    config=_wandb_config(record, seed),
                    settings=settings,
                )
                for seed in record.seeds
            ]
        except wandb.Error as error:
            raise ValueError(f"--wandb {mode} cannot begin: {error}") from error

    def update(self, row: Row) -> None:
        """Logs an update to each seed's series."""
        for i, series in enumerate(self._series):
            series.log(_values_of_seed(row, i), step=int(row["update"][i]))

    def close(self) -> None:
        """Waits until everything is written or sent."""
        for series in self._series:
            series.finish()
        if self._mode == "offline":
            folder = self._path / "wandb"
            sync = f"wandb sync {shlex.quote(str(folder))}/offline-run-*"
            self._console.print(f"files for Weights & Biases are in {folder}; send them, with an account, by: {sync}")


def _wandb_config(record: RunRecord, seed: int) -> dict[str, Any]:
    game = {"algorithm": record.algorithm, "env": record.env_id, "env_kwargs": record.env_kwargs}
    return game | {"seed": seed} | record.config


class TensorBoardSeries:
    """TensorBoard: one series for each seed, in files of events in the run directory.

    A row is an event. Its step is the env steps of the row, or the update in a run that plays nothing. A file begins
    with an event that makes TensorBoard forget the rows of earlier files from the first step of this file on. So a
    resumed run shows no row twice. If a file cannot be written, training continues without these files.

    Args:
      path: the run directory.
      record: what is run.
      console: shows how to open the files, or why they have no more rows.
    """

    def __init__(self, path: Path, record: RunRecord, console: Console) -> None:
        self._folder, self._seeds, self._console = path / "tensorboard", record.seeds, console
        self._files: list[GrowingFile] = []
        self._has_failed = False

    def update(self, row: Row) -> None:
        """Adds an update to each seed's file."""
        if self._has_failed:
            return
        try:
            self._write(row)
        except Exception as error:  # whatever it is, the run goes on
            self._has_failed = True
            reason = describe(error) if isinstance(error, OSError) else str(error)
            self._console.print(
                f"TensorBoard has no rows from update {row['update'][0]:.0f} on: {reason}; training continues, and "
                f"metrics.csv has every row"
            )

    def _write(self, row: Row) -> None:
        steps = [int(env_steps) or int(row["update"][i]) for i, env_steps in enumerate(row["env_steps"])]
        if not self._files:
            for seed, step in zip(self._seeds, steps, strict=True):
                self._files.append(_new_event_file(self._folder / f"seed_{seed}", step))
        for i, (file, step) in enumerate(zip(self._files, steps, strict=True)):
            values = [{"tag": name, "simple_value": value} for name, value in _values_of_seed(row, i).items()]
            file.append(_event(step=step, summary={"value": values}))

    def close(self) -> None:
        """Closes the files; rows are in them before that."""
        for file in self._files:
            file.close()
        if self._files:
            command = f"tensorboard --logdir {shlex.quote(str(self._folder))}"
            self._console.print(f"files for TensorBoard are in {self._folder}; open them by: {command}")


def check_tensorboard() -> None:
    """Raises a ValueError unless the library that encodes events for TensorBoard works."""
    try:
        _event(file_version=EVENT_VERSION)
    except Exception as error:  # of a library that is missing, or that does not fit its own libraries
        raise ValueError(
            f"--tensorboard needs the library tensorboard ({error}): install it with pip install -e '.[tensorboard]'"
        ) from error


def _new_event_file(folder: Path, step: int) -> GrowingFile:
    """A file of events in place of those of earlier files from a step on; TensorBoard reads files in order of name."""
    make_directory(folder)
    file = GrowingFile(folder / f"events.out.tfevents.{time.time_ns()}", is_new=True)
    file.append(_event(file_version=EVENT_VERSION) + _event(step=step, session_log={"status": "START"}))
    return file


def _event(**fields: Any) -> bytes:
    """An event as a file holds it: length, checksum, fields."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    content = io.BytesIO()
    RecordWriter(content).write(Event(wall_time=time.time(), **fields).SerializeToString())
    return content.getvalue()


def _values_of_seed(row: Row, index: int) -> dict[str, float]:
    """The numbers in a row, of the seed with an index; cells without a number are left out."""
    values = {name: float(column[index]) for name, column in row.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def make_listeners(
    console: Console, record: RunRecord, path: Path, num_updates: int, wandb_mode: WandbMode, has_tensorboard: bool
) -> list[Listener]:
    """The listeners of a run: Weights & Biases and TensorBoard on request, and a display that suits the console."""
    listeners: list[Listener] = []
    if wandb_mode != "disabled":
        listeners.append(WandbSeries(wandb_mode, path, record, console))
    if has_tensorboard:
        listeners.append(TensorBoardSeries(path, record, console))
    return [*listeners, Display(console, f"{record.title}, into {path}", num_updates)]
