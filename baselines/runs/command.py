"""The command that trains: `python -m baselines.<algorithm> --env gathering --num-seeds 4`.

The file of an algorithm calls `train_command(ALGORITHM)` where it is the program. All options are checked before
anything is compiled or written.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from rich.console import Console

from baselines.core.trainer import Algorithm
from baselines.runs import hosts
from baselines.runs.hosts import LostHostError
from baselines.runs.options import Job, prepare, read_processes, shared_settings
from baselines.runs.recording import StoppedError, begin_together, follow, train
from baselines.runs.terminal import INTERRUPTED, as_command
from jaxdilemmas.arguments import printable


@as_command
def train_command(algorithm: Algorithm, argv: Sequence[str] | None = None) -> None:
    """Reads the command line, trains, and writes a run directory.

    Args:
      algorithm: by which agents learn.
      argv: the options; those of the program when left out.

    Raises:
      SystemExit: with a message and code 1 or 2 if an option is wrong; with code `INTERRUPTED` if the run was.
    """
    argv = sys.argv[1:] if argv is None else argv
    with hosts.joined(*read_processes(argv)):
        try:
            is_done = train_together(hosts.agree(lambda: prepare(algorithm, argv), shared_settings))
        except StoppedError as error:
            sys.exit(f"error: {error}")
        except LostHostError as error:
            end_alone(error)
    if not is_done:
        sys.exit(INTERRUPTED)


def end_alone(error: LostHostError) -> None:
    """Ends the program with one line: its usual end would wait for the host that was lost."""
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"error: {printable(str(error))}")
    sys.stdout.flush()
    os._exit(1)


def train_together(job: Job) -> bool:
    """Trains on all hosts, of which the first one writes the run directory; returns whether all updates are done."""
    console = Console(soft_wrap=True, highlight=False, markup=False, quiet=not hosts.is_first())
    with ExitStack() as stack:

        def hold() -> None:
            if hosts.is_first():
                for run in job.runs:
                    if not job.is_resumed:
                        run.directory.create(run.record)
                    stack.enter_context(run.directory.hold())

        hosts.agree(hold)
        return (train if hosts.is_first() else follow)(job, begin_together(job), console)
