"""The command that trains: `python -m baselines.<algorithm> --env gathering --num-seeds 4`.

An algorithm's module ends with a `main` that calls `train_command`. Whatever can be wrong with the options is found
before anything is compiled or written.
"""

import sys
from collections.abc import Sequence

from rich.console import Console

from baselines.runs.options import MakeTrainer, RunOptions, prepare
from baselines.runs.recording import StoppedError, begin, train
from baselines.runs.terminal import INTERRUPTED, as_command


@as_command
def train_command(
    algorithm: str,
    config_class: type,
    make_trainer: MakeTrainer,
    argv: Sequence[str] | None = None,
    default_env: str = RunOptions.env,
) -> None:
    """Reads the command line, trains, and writes a run directory.

    Args:
      algorithm: name of the module in `baselines`.
      config_class: the algorithm's settings; see `prepare`.
      make_trainer: (config, env) -> `Trainer`.
      argv: the options; those of the program when left out.
      default_env: id of the game that is played where the options name none.

    Raises:
      SystemExit: with a message and code 1 or 2 if an option is wrong; with code `INTERRUPTED` if the run was.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    job = prepare(algorithm, config_class, make_trainer, sys.argv[1:] if argv is None else argv, default_env)
    if not job.is_resumed:
        job.directory.create(job.record)
    with job.directory.hold():
        try:
            is_done = train(job, begin(job), console)
        except StoppedError as error:
            sys.exit(f"error: {error}")
    if not is_done:
        sys.exit(INTERRUPTED)
