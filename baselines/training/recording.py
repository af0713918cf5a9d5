"""From the first update to the last: trains a checked job and writes its directory."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console

from baselines.training.curves import plot_learning_curve
from baselines.training.display import Listener, make_listeners
from baselines.training.interruption import Interruption
from baselines.training.options import Job
from baselines.training.packing import pack
from baselines.training.runs import Checkpoints, changes_since, save_parameters
from baselines.training.streaming import Checkpoint, Compiled, Event, Finished, TrainingStream, Update
from baselines.training.table import MetricsTable, drop_rows_after, read_metrics


class Start(NamedTuple):
    """Where training begins.

    Attributes:
      update: updates that are done.
      wall_seconds: they took.
      make_train_states: returns the train states of all seeds.
      notes: lines that the user should read.
    """

    update: int
    wall_seconds: float
    make_train_states: Callable[[], Any]
    notes: tuple[str, ...] = ()


def begin(job: Job) -> Start:
    """Makes the run directory, or returns to the last whole checkpoint and drops what came after it.

    Raises:
      ValueError: the directory exists, no checkpoint can be read, or the rows up to it are missing.
    """
    if not job.is_resumed:
        job.directory.create(job.record)
        return Start(0, 0.0, job.make_train_states)
    changes = changes_since(job.record)
    notes = [f"not promised to equal an uninterrupted run bitwise: {changes}"] if changes else []
    with closing(Checkpoints(job.directory.checkpoints)) as checkpoints:
        latest = checkpoints.latest()
        if not latest:
            return Start(0, drop_rows_after(job.directory.metrics, 0), job.make_train_states, tuple(notes))
        update, train_states = checkpoints.restore_latest(jax.eval_shape(job.make_train_states))
        wall_seconds = drop_rows_after(job.directory.metrics, update)
        checkpoints.drop_after(update)
    if update < latest:
        notes.append(f"the checkpoint after update {latest} is damaged: going on from the one after update {update}")
    return Start(update, wall_seconds, lambda: train_states, tuple(notes))


def train(job: Job, start: Start, console: Console) -> bool:
    """Trains to the end or until interrupted, and writes everything as it happens.

    Returns:
      Whether all updates are done.
    """
    for note in start.notes:
        console.print(note)
    stream = TrainingStream(job.trainer, job.env_params, job.num_updates, job.record.checkpoint_every)
    with ExitStack() as stack:
        listeners = make_listeners(console, job.record, job.directory.path, job.num_updates, job.wandb)
        for listener in listeners:
            stack.enter_context(closing(listener))
        interruption = stack.enter_context(Interruption(console, "update", stream.stop))
        stack.enter_context(stream)
        stream.start(start.make_train_states, start.update)
        recorder = stack.enter_context(closing(Recorder(job, start, listeners)))
        for event in stream:
            if event is not None:
                recorder.handle(event)
            interruption.enforce()
    tell_result(job, recorder, console)
    return recorder.update == job.num_updates


class Recorder:
    """Writes what happens into the run directory.

    Args:
      job: what is run.
      start: where it begins.
      listeners: told of every update.
    """

    def __init__(self, job: Job, start: Start, listeners: Sequence[Listener]) -> None:
        self.update = start.update
        self.compile_seconds = 0.0
        self._job = job
        self._listeners = listeners
        self._wall_seconds = start.wall_seconds
        self._last_time = 0.0
        self._table = MetricsTable(job.directory.metrics, job.record.seeds)
        self._checkpoints = Checkpoints(job.directory.checkpoints)

    def handle(self, event: Event) -> None:
        """Writes one event."""
        match event:
            case Compiled():
                self.compile_seconds, self._last_time = event
            case Update():
                self._write_row(event)
            case Checkpoint():
                self._checkpoints.save(event.update, event.arrays)
            case Finished():
                self._finish(event)

    def close(self) -> None:
        """Closes the files; rows are on disk before that."""
        self._table.close()
        self._checkpoints.close()

    def _write_row(self, event: Update) -> None:
        seconds = event.time - self._last_time
        self._last_time = event.time
        self._wall_seconds += seconds
        self.update = event.update
        metrics = dict(event.metrics)
        if self._job.env_steps_per_update:  # exact, which float32 is not beyond 2^24
            metrics["env_steps"] = np.full(self._job.record.num_seeds, event.update * self._job.env_steps_per_update)
        env_steps = float(metrics["env_steps"][0]) / event.update
        timing = {"env_steps_per_second": env_steps / seconds, "wall_seconds": self._wall_seconds}
        row = self._table.write(event.update, metrics, timing)
        for listener in self._listeners:
            listener.update(row)

    def _finish(self, event: Finished) -> None:
        """A checkpoint of the very end, parameters and the picture."""
        directory, record = self._job.directory, self._job.record
        self._checkpoints.save(event.update, jax.device_get(pack(event.train_states)))
        for i, seed in enumerate(record.seeds):
            network_params = jax.tree.map(lambda leaf, i=i: leaf[i], event.train_states.network_params)
            save_parameters(directory.parameters(seed), network_params)
        if event.update:
            plot_learning_curve(directory.metrics, directory.learning_curve, record.title)


def tell_result(job: Job, recorder: Recorder, console: Console) -> None:
    """Prints where the results are and how the return changed, or how to go on with an interrupted run."""
    path, algorithm = job.directory.path, job.record.algorithm
    if recorder.update < job.num_updates:
        where = f"--runs-dir {path.parent} --name {path.name}"
        console.print(f"interrupted after update {recorder.update} of {job.num_updates}; go on with")
        console.print(f"  python -m baselines.{algorithm} {where} --resume")
        return
    columns = read_metrics(job.directory.metrics)
    seconds = f"{columns['wall_seconds'][-1]:.1f} s of training, {recorder.compile_seconds:.1f} s of compiling"
    console.print(seconds)
    updates, returns = columns["update"], columns["return_collective"]
    ended = np.unique(updates[~np.isnan(returns)])
    if len(ended):
        first, last = (np.nanmean(returns[updates == update]) for update in (ended[0], ended[-1]))
        console.print(f"collective return, mean over seeds: {first:.1f} in the first episodes, {last:.1f} in the last")
    console.print(f"results are in {path}; compare with random play: python -m baselines.evaluate {path}")
