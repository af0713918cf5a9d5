"""The command that studies common pools: `python -m baselines.studies.common_pool --seeds 3 --output runs/study`.

It trains every protocol at every regrowth rate, evaluates the models, labels their agents as cooperators and defectors,
mixes teams of them, and writes tables, pictures and report.md. What is done is saved at once: the same command goes on
where it was interrupted, and adds what more protocols, rates or seeds ask for.
"""

import time
from collections.abc import Sequence

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from baselines.analysis.tables import write_csv
from baselines.disk.writing import hold, save_figure, write_file
from baselines.runs.directory import describe_machine
from baselines.runs.terminal import as_command
from baselines.studies.common_pool import findings, pictures
from baselines.studies.common_pool.options import Options
from baselines.studies.common_pool.report import make_tables, write_report
from baselines.studies.processes import count_done, count_work, run_all
from baselines.studies.progress import time_left
from baselines.studies.record import as_stored, read_training, write_record
from jaxdilemmas.environment import require

PLAIN_SECONDS = 10
"""From one line to the next where the progress goes into a file."""


def begin(options: Options) -> None:
    """Makes the directory, or checks that the models in it are of the same kind.

    Raises:
      ValueError: the directory holds something else, or models of other settings.
    """
    training, stored = as_stored(options.training()), read_training(options.output)
    for name, value in (training | training["config"]).items() if stored else ():
        old = (stored | stored.get("config", {})).get(name)
        require(name == "config" or value == old, name, value, f"the study in {options.output} has {old!r}")
    write_record(options.output, training, options)


def work(options: Options, console: Console) -> None:
    """Trains, evaluates and mixes what is not there yet, and shows how far it is."""
    total, first = count_work(options), count_done(options)
    began, last_time = time.monotonic(), -float("inf")
    columns = TextColumn("models and teams"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)

        def show(num_done: int) -> None:
            nonlocal last_time
            left = time_left(began, (num_done - first) / max(1, total - first))
            progress.update(task, completed=num_done, description=left)
            if not console.is_terminal and (time.monotonic() - last_time > PLAIN_SECONDS or num_done == total):
                last_time = time.monotonic()
                console.print(f"{num_done}/{total} models and teams, {left}")

        run_all(options, show)


def conclude(options: Options) -> None:
    """Writes the tables, the pictures and the report."""
    seeds = findings.read_seeds(options)
    mixtures = [findings.read_mixture(options, variant) for variant in options.variants if options.teams]
    tables = make_tables(options, seeds, mixtures)
    for name, rows in tables.items():
        write_csv(options.output / f"{name}.csv", rows)
    figures = {
        "heat_map": pictures.heat_map(options, seeds),
        "restraint_of_seeds": pictures.restraint_of_seeds(options, seeds),
    }
    if mixtures:
        figures["schelling"] = pictures.schelling_diagrams(options, mixtures)
        figures["phase"] = pictures.phase_lines(options, mixtures)
    for name, figure in figures.items():
        save_figure(options.output / f"{name}.png", figure)
    report = write_report(options, tables, mixtures, describe_machine())
    write_file(options.output / "report.md", report)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.studies.common_pool`."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    start_time = time.monotonic()
    options = tyro.cli(Options, prog="python -m baselines.studies.common_pool", description=__doc__, args=argv)
    begin(options)
    with hold(options.output):
        work(options, console)
        conclude(options)
    seconds = time.monotonic() - start_time
    console.print(f"report.md, tables and pictures are in {options.output}, after {seconds:.0f} s")


if __name__ == "__main__":
    main()
