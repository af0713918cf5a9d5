"""The command that trains: `python -m baselines.<algorithm> --env gathering --num-seeds 4`.

The file of an algorithm calls `train_command(ALGORITHM)` where it is the program. All options are checked before
anything is compiled or written.
"""

import sys
from collections.abc import Sequence

from rich.console import Console

from baselines.core.trainer import Algorithm
from baselines.runs.options import prepare
from baselines.runs.recording import StoppedError, begin, train
from baselines.runs.terminal import INTERRUPTED, as_command


@as_command
def train_command(algorithm: Algorithm, argv: Sequence[str] | None = None) -> None:
    """Reads the command line, trains, and writes a run directory.

    Args:
      algorithm: by which agents learn.
      argv: the options; those of the program when left out.

    Raises:
      SystemExit: with a message and code 1 or 2 if an option is wrong; with code `INTERRUPTED` if the run was.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    job = prepare(algorithm, sys.argv[1:] if argv is None else argv)
    if not job.is_resumed:
        job.directory.create(job.record)
    with job.directory.hold():
        try:
            is_done = train(job, begin(job), console)
        except StoppedError as error:
            sys.exit(f"error: {error}")
    if not is_done:
        sys.exit(INTERRUPTED)
