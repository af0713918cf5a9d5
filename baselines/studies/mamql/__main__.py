"""The command that studies MAMQL: `python -m baselines.studies.mamql --experts greedy --output runs/study`.

Imitators learn from demonstrations of a game and play it; the study measures how well they play and which rewards they
recovered. A row is on disk as soon as it is done: the same command continues a study that was interrupted, and adds
what more methods, sizes, experts or seeds ask for. In the end it writes tables, pictures and results.md. With --quick
it makes a part of the study, on a scripted expert; other options then change that part.
"""

import sys
from collections.abc import Sequence

import tyro
from rich.console import Console

from baselines.runs.terminal import as_command
from baselines.studies.mamql.options import Options, quick_options
from baselines.studies.mamql.stages import STAGES
from baselines.studies.side_by_side import conduct

QUICK = "--quick"
"""It replaces the default options, and so is no option of `Options`."""

GROWING = ("experts", "configs")
"""Entries of `Options.training` to which further commands may add parts."""


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.studies.mamql`."""
    options = read_options(sys.argv[1:] if argv is None else list(argv))
    conduct(STAGES, options, Console(soft_wrap=True, highlight=False, markup=False), GROWING)


def read_options(arguments: Sequence[str]) -> Options:
    """The options of the command line; --quick replaces the defaults of those that it does not name."""
    return tyro.cli(
        Options,
        prog="python -m baselines.studies.mamql",
        description=__doc__,
        args=[argument for argument in arguments if argument != QUICK],
        default=quick_options() if QUICK in arguments else tyro.MISSING_NONPROP,
    )


if __name__ == "__main__":
    main()
