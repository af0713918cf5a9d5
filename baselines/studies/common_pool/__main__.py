"""The command that studies common pools: `python -m baselines.studies.common_pool --seeds 3 --output runs/study`.

It trains every protocol at every regrowth rate, evaluates the models, labels their agents as cooperators and defectors,
mixes teams of them, and writes tables, pictures and results.md. Every model is saved as soon as it is evaluated: the
same command continues a study that was interrupted, and adds what more protocols, rates or seeds ask for.
"""

from collections.abc import Sequence

import tyro
from rich.console import Console

from baselines.runs.terminal import as_command
from baselines.studies.common_pool.mixtures import TEAMS
from baselines.studies.common_pool.options import Options
from baselines.studies.common_pool.restraint import MODELS
from baselines.studies.side_by_side import conduct

STAGES = (MODELS, TEAMS)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.studies.common_pool`."""
    options = tyro.cli(Options, prog="python -m baselines.studies.common_pool", description=__doc__, args=argv)
    conduct(STAGES, options, Console(soft_wrap=True, highlight=False, markup=False))


if __name__ == "__main__":
    main()
