"""From the first update to the last: trains a checked job and writes its directory."""

import hashlib
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from baselines.disk.packing import pack, unpack
from baselines.runs import hints, hosts
from baselines.runs.checkpoints import Checkpoints, Restored
from baselines.runs.curves import plot_learning_curve
from baselines.runs.directory import changes_since, save_parameters
from baselines.runs.display import Listener, make_listeners
from baselines.runs.hosts import LostHostError
from baselines.runs.interruption import Interruption
from baselines.runs.loop import Checkpoint, Compiled, Event, Finished, TrainingStream, Update, fresh_train_states
from baselines.runs.options import Job
from baselines.runs.table import MetricsTable, StoredRows, read_metrics, read_rows
from baselines.runs.terminal import describe


class StoppedError(Exception):
    """A run that cannot go on; the message gives the reason, and which files are whole."""


class Start(NamedTuple):
    """Where training begins.

    Attributes:
      update: updates that are done.
      wall_seconds: they took.
      make_train_states: returns the train states of all seeds.
      rows: of metrics.csv.
      notes: lines that the user should read.
    """

    update: int
    wall_seconds: float
    make_train_states: Callable[[], Any]
    rows: StoredRows
    notes: tuple[str, ...] = ()


def begin(job: Job) -> Start:
    """Where a new run begins, or, of one to resume, where its last whole checkpoint is.

    Args:
      job: a single run.

    Raises:
      ValueError: no checkpoint can be read, or checkpoints or rows are missing, altered or not as they should be.
    """
    rows = read_rows(job.directory.metrics, job.record.seeds)
    make_fresh = partial(fresh_train_states, job.trainer, job.record.seeds, job.env_params)
    if not job.is_resumed:
        return Start(0, 0.0, make_fresh, rows)
    changes = changes_since(job.record, job.num_devices)
    notes = [f"not promised to equal an uninterrupted run bitwise: {changes}"] if changes else []
    if not job.directory.has_checkpoints():
        check_is_young(job, rows)
        return Start(0, 0.0, make_fresh, rows, tuple(notes))
    with closing(Checkpoints(job.directory.checkpoints)) as checkpoints:
        latest = checkpoints.latest()
        restored = checkpoints.restore_latest(jax.eval_shape(make_fresh))
        check_rows(job.directory.metrics, rows, restored)
        checkpoints.drop_after(restored.update)
    if restored.update < latest:
        notes.append(
            f"the checkpoint after update {latest} is damaged: going on from the one after update {restored.update}"
        )
    wall_seconds = rows.wall_seconds(restored.update)
    return Start(restored.update, wall_seconds, lambda: restored.train_states, rows, tuple(notes))


def begin_together(job: Job) -> list[Start]:
    """As `begin` for each run of a job, on every host: the others read no file, and begin where process 0 does."""
    seeds = [seed for run in job.runs for seed in run.record.seeds]
    make_fresh = partial(fresh_train_states, job.trainer, seeds, job.env_params)
    nothing = Start(0, 0.0, make_fresh, StoredRows("", [], job.record.num_seeds))
    starts = hosts.agree(lambda: begin_all(job) if hosts.is_first() else [nothing])
    update = int(hosts.from_first(np.int32(starts[0].update)))
    if not update:
        return [start._replace(make_train_states=make_fresh) for start in starts]
    if jax.process_count() == 1:
        return starts
    template = jax.eval_shape(make_fresh)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(pack, template))
    arrays = jax.device_get(pack(starts[0].make_train_states())) if hosts.is_first() else zeros
    train_states = unpack(hosts.from_first(arrays), template)
    return [start._replace(update=update, make_train_states=lambda: train_states) for start in starts]


def begin_all(job: Job) -> list[Start]:
    """Where each of several runs begins, all after the same update; `make_train_states` of each is of all of them.

    Raises:
      ValueError: as `begin`, or the runs have no checkpoint after the same update.
    """
    if job.is_resumed and job.members:
        drop_ahead(job)
    starts = [begin(run) for run in job.runs]
    updates = {run.directory.path.name: start.update for run, start in zip(job.runs, starts, strict=True)}
    if len(set(updates.values())) > 1:
        raise ValueError(f"{job.directory.path}: the last whole checkpoints are of different updates, {updates}")

    def make_all() -> Any:
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(start.make_train_states() for start in starts))

    return [start._replace(make_train_states=make_all) for start in starts] if job.members else starts


def drop_ahead(job: Job) -> None:
    """Deletes the checkpoints of runs that were written when the others' were not yet."""
    with ExitStack() as stack:
        each = [stack.enter_context(closing(Checkpoints(run.directory.checkpoints))) for run in job.members]
        least = min(checkpoints.latest() for checkpoints in each)
        for checkpoints in each if least else ():
            checkpoints.drop_after(least)


def check_is_young(job: Job, rows: StoredRows) -> None:
    """Raises a ValueError if a run without checkpoints is so old that it must have had one."""
    directory = job.directory
    is_young = rows.last_update <= job.record.checkpoint_every and not directory.parameters(job.record.seed).exists()
    if not is_young:
        raise ValueError(
            f"{directory.checkpoints} is missing or empty, and the run has {rows.last_update} updates: it cannot be "
            f"resumed without them. What it learnt, as far as it is there, stays as it is"
        )


def check_rows(path: Path, rows: StoredRows, restored: Restored) -> None:
    """Raises a ValueError unless metrics.csv has the rows up to a checkpoint, as they were when it was saved."""
    update = restored.update
    if rows.last_update < update:
        raise ValueError(f"{path} is missing, or lacks the rows up to the checkpoint after update {update}")
    if restored.rows and hashlib.sha256(rows.content(update)).digest() != restored.rows:
        raise ValueError(
            f"{path} was altered: its rows up to update {update} do not have the checksum in the checkpoint after it"
        )


def train(job: Job, starts: Sequence[Start], console: Console) -> bool:
    """Trains to the end or until interrupted, and writes everything as it happens.

    Args:
      job: what is run.
      starts: where each of its runs begins; the first has the train states of all.
      console: shows the progress.

    Returns:
      Whether all updates are done.

    Raises:
      StoppedError: a file could not be written, or numbers stopped being finite.
      LostHostError: another host was lost.
    """
    for note in dict.fromkeys(note for start in starts for note in start.notes):
        console.print(note)
    stream = make_stream(job)
    recorders = [Recorder(run, start) for run, start in zip(job.runs, starts, strict=True)]
    try:
        with ExitStack() as stack:
            for recorder in recorders:
                stack.enter_context(closing(recorder))
                recorder.listen(console, stack, is_alone=not job.members)
            interruption = stack.enter_context(Interruption(console, "update", stream.stop))
            stack.enter_context(stream)
            stream.start(starts[0].make_train_states, starts[0].update)
            stack.enter_context(hosts.naming_lost_hosts())
            for event in stream:
                if event is None:
                    interruption.enforce()
                    continue
                for i, recorder in enumerate(recorders):
                    recorder.handle(part_of(event, i, job.record.num_seeds) if job.members else event)
    except OSError as error:
        raise StoppedError(f"{describe(error)}; {recorders[-1].what_is_safe}") from error
    except LostHostError as error:
        raise LostHostError(f"{error}; {recorders[-1].what_is_safe}") from error
    for run, recorder in zip(job.runs, recorders, strict=True):
        tell_result(run, recorder, console)
    return recorders[-1].update == job.num_updates


def part_of(event: Event, index: int, num_seeds: int) -> Event:
    """The event of one of several runs side by side, of S seeds each."""

    def cut(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[index * num_seeds : (index + 1) * num_seeds], tree)

    match event:
        case Update():
            return event._replace(metrics=cut(event.metrics), is_finite=cut(event.is_finite))
        case Checkpoint():
            return event._replace(arrays=cut(event.arrays))
        case Finished():
            return event._replace(train_states=cut(event.train_states))
    return event


def follow(job: Job, starts: Sequence[Start], console: Console) -> bool:
    """Computes what process 0 trains and writes, to the end or until process 0 is interrupted.

    Returns:
      Whether all updates are done.

    Raises:
      LostHostError: another host was lost.
    """
    start, update = starts[0], starts[0].update
    with ExitStack() as stack:
        stack.enter_context(Interruption(console, "run"))
        stream = stack.enter_context(make_stream(job))
        stream.start(start.make_train_states, start.update)
        with hosts.naming_lost_hosts():
            for event in stream:
                update = event.update if isinstance(event, Finished) else update
    return update == job.num_updates


def make_stream(job: Job) -> TrainingStream:
    """The training of a job, not started."""
    return TrainingStream(job.trainer, job.env_params, job.num_updates, job.record.checkpoint_every, job.mesh)


class Recorder:
    """Writes what happens into the run directory.

    Args:
      job: what is run.
      start: where it begins.

    Attributes:
      listeners: receive every update.
      update: the number of updates that have a row.
      checkpoint: the number of updates after which the last checkpoint was saved.
      compile_seconds: it took.
    """

    def __init__(self, job: Job, start: Start) -> None:
        self.listeners: list[Listener] = []
        self.update = self.checkpoint = start.update
        self.compile_seconds = 0.0
        self._job = job
        self._wall_seconds = start.wall_seconds
        self._last_time = 0.0
        self._table = MetricsTable(job.directory.metrics, start.rows, start.update, job.record.seeds)
        self._checkpoints = Checkpoints(job.directory.checkpoints)

    @property
    def what_is_safe(self) -> str:
        """What of the run is whole, and how to go on."""
        rows = f"metrics.csv was written up to update {self.update}"
        return f"{rows}; {self._last_checkpoint} Go on with: {resume_command(self._job)}"

    @property
    def _last_checkpoint(self) -> str:
        return (
            f"the last checkpoint is after update {self.checkpoint}." if self.checkpoint else "there is no checkpoint."
        )

    def listen(self, console: Console, stack: ExitStack, is_alone: bool) -> None:
        """Lets listeners receive every update until the stack is left; of runs side by side each prints lines."""
        job = self._job
        if not is_alone:
            console = Console(force_terminal=False, soft_wrap=True, highlight=False, markup=False)
        shown = (job.record, job.directory.path, job.num_updates, job.wandb, job.tensorboard)
        for listener in make_listeners(console, *shown):
            self.listeners.append(listener)
            stack.enter_context(closing(listener))

    def handle(self, event: Event) -> None:
        """Writes one event."""
        match event:
            case Compiled():
                self.compile_seconds, self._last_time = event
            case Update():
                self._write_row(event)
                self._check_is_finite(event)
            case Checkpoint():
                self._save(event.update, event.arrays)
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
        metrics = dict(event.metrics)
        if self._job.env_steps_per_update:  # exact, which float32 is not beyond 2^24
            metrics["env_steps"] = np.full(self._job.record.num_seeds, event.update * self._job.env_steps_per_update)
        env_steps = float(metrics["env_steps"][0]) / event.update
        timing = {"env_steps_per_second": env_steps / seconds, "wall_seconds": self._wall_seconds}
        row = self._table.write(event.update, metrics, timing)
        self.update = event.update
        for listener in self.listeners:
            listener.update(row)

    def _check_is_finite(self, event: Update) -> None:
        """Raises a StoppedError if parameters or losses of a seed are not finite."""
        seeds = [str(seed) for seed, is_fit in zip(self._job.record.seeds, event.is_finite, strict=True) if not is_fit]
        losses = [name for name, values in event.metrics.items() if "loss" in name and not np.isfinite(values).all()]
        if seeds:
            what, when = ", ".join(losses) or "parameters", f"after update {event.update} (seed {', '.join(seeds)})"
            advice = "A smaller learning rate often helps"
            raise StoppedError(f"{what} not finite {when}. The run stopped; {self._last_checkpoint} {advice}")

    def _save(self, update: int, arrays: dict[str, np.ndarray]) -> None:
        """A checkpoint; the rows before it are on the disk first."""
        self._table.settle()
        self._checkpoints.save(update, arrays, self._table.digest)
        self.checkpoint = update

    def _finish(self, event: Finished) -> None:
        """A checkpoint of the very end, parameters and the picture."""
        directory, record = self._job.directory, self._job.record
        self._save(event.update, jax.device_get(pack(event.train_states)))
        for i, seed in enumerate(record.seeds):
            network_params = jax.tree.map(lambda leaf, i=i: leaf[i], event.train_states.network_params)
            save_parameters(directory.parameters(seed), network_params)
        if event.update:
            plot_learning_curve(directory.metrics, directory.learning_curve, record.title)


def tell_result(job: Job, recorder: Recorder, console: Console) -> None:
    """Prints where the results are and how the return changed, or how to go on with an interrupted run."""
    if recorder.update < job.num_updates:
        console.print(f"interrupted after update {recorder.update} of {job.num_updates}; go on with")
        console.print(f"  {resume_command(job)}")
        return
    columns = read_metrics(job.directory.metrics)
    seconds = f"{columns['wall_seconds'][-1]:.1f} s of training, {recorder.compile_seconds:.1f} s of compiling"
    console.print(seconds)
    updates, returns = columns["update"], columns["return_collective"]
    ended = np.unique(updates[~np.isnan(returns)])
    if len(ended):
        first, last = (np.nanmean(returns[updates == update]) for update in (ended[0], ended[-1]))
        console.print(f"collective return, mean over seeds: {first:.1f} in the first episodes, {last:.1f} in the last")
    elif columns["env_steps"][-1]:
        console.print(hints.no_episode_ended(job.record.config, job.num_updates, int(job.env_params.max_steps)))
    path = job.directory.path
    console.print(f"results are in {path}; compare with random play: python -m baselines.evaluate {path}")


def resume_command(job: Job) -> str:
    """The command that goes on with a run."""
    path, record = job.directory.path, job.record
    path = path.parent if job.vary else path  # of a run side by side with others
    options = f" --env {record.env_id}" if ":" in record.env_id else ""  # the word that such a game needs
    options += f" --wandb {job.wandb}" if job.wandb != "disabled" else ""
    options += " --tensorboard" if job.tensorboard else ""
    options += f" --vary {shlex.join(job.vary)}" if job.vary else ""
    return f"python -m baselines.{record.algorithm} --runs-dir {path.parent} --name {path.name}{options} --resume"
