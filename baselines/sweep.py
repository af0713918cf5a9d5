"""The command that tunes settings: `python -m baselines.sweep space.toml --env common_pool --trials 16`.

Every trial is an ordinary run in the directory of the sweep. Trials are trained side by side by Ray Tune, on this
machine or on a cluster, with seeds below 100. `--confirm 5` trains the best settings on seeds 100 to 104; only these
are results. `baselines.sweeping.space` describes the file. The same command with `--resume` continues a sweep.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro
from pydantic import Field
from rich.console import Console

import jaxdilemmas
from baselines.analysis.tables import format_value
from baselines.core.trainer import Algorithm, Trainer
from baselines.disk.schema import MOST_SEEDS, Allowed, Count, FilePath, Line, NumSeeds, check_fields
from baselines.disk.writing import hold
from baselines.presets import FIRST_REPORTED_SEED, preset
from baselines.runs.curves import COUNTS, over_agents, title_of
from baselines.runs.options import (
    RunOptions,
    check_has_demonstrations,
    default_name,
    make_record,
    parse_env_kwargs,
)
from baselines.runs.table import flatten_metrics
from baselines.runs.terminal import as_command
from baselines.sweeping.engine import check_address, load
from baselines.sweeping.plan import Search, Sweep, SweepRecord
from baselines.sweeping.report import as_preset, write_report
from baselines.sweeping.space import Space, read_space
from baselines.trained.algorithms import find_algorithm
from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment

NUM_TRIALS = 16
"""Unless the options have another number; a grid has as many as there are combinations."""

TuningSeed = Annotated[
    int, Field(ge=0, lt=FIRST_REPORTED_SEED), Allowed(f"a whole number from 0 to {FIRST_REPORTED_SEED - 1}")
]

MOST_TRIALS = 100_000
NumTrials = Annotated[int, Field(ge=1, le=MOST_TRIALS), Allowed(f"a whole number from 1 to {MOST_TRIALS:,}")]
ConfirmingSeeds = Annotated[int, Field(ge=0, le=MOST_SEEDS), Allowed(f"a whole number from 0 to {MOST_SEEDS:,}")]


@dataclasses.dataclass(frozen=True)
class Options:
    """What to tune.

    Attributes:
      space: a TOML file with the values of each setting; `baselines.sweeping.space` describes it.
      algorithm: by which agents learn.
      env: id of the game, or module:Class of one of your own.
      env_kwargs: keyword arguments of the game as name=value, such as num_agents=4 map=large, or map=board.txt
        for a file with a board drawn as text.
      name: of the sweep; by default made of algorithm, game and time.
      runs_dir: directory that holds a directory for each sweep.
      search: which values are tried: random ones, all of a grid, random ones of which trials that are behind are
        stopped early (asha), or those that Optuna proposes.
      trials: how many; by default 16, of a grid all.
      seed: of the first training run of each trial, and of the search.
      num_seeds: training runs of each trial; its score is their mean. All are below 100.
      metric: the column of metrics.csv that is the score, at the end of a run.
      minimize: whether lower scores are better.
      workers: trials at work at a time; by default one for each core.
      address: host:port of a Ray cluster, whose hosts have the same files; without it this machine is enough.
      confirm: number of seeds, from 100 on, on which the best settings are trained at the end.
      resume: go on with the sweep of that name.

    Raises:
      ValueError: a value is not allowed.
    """

    space: tyro.conf.Positional[FilePath]
    algorithm: str = "ippo"
    env: str = "gathering"
    env_kwargs: tuple[str, ...] = ()
    name: str | None = None
    runs_dir: FilePath = Path("runs")
    search: Search = "random"
    trials: NumTrials | None = None
    seed: TuningSeed = 0
    num_seeds: NumSeeds = 1
    metric: Line = "return_collective"
    minimize: bool = False
    workers: Count = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    address: Line | None = None
    confirm: ConfirmingSeeds = 0
    resume: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        find_algorithm(self.algorithm)
        most = FIRST_REPORTED_SEED - self.seed
        tuning = f"at most {most}: settings are tuned on seeds below {FIRST_REPORTED_SEED}"
        require(self.num_seeds <= most, "num_seeds", self.num_seeds, tuning)
        require(not self.resume or self.name is not None, "resume", self.resume, "together with --name")
        _ = self.of_a_run

    @property
    def of_a_run(self) -> RunOptions:
        """The options that a trial has as any run."""
        return RunOptions(self.env, self.env_kwargs, self.name, self.runs_dir, seed=self.seed, num_seeds=self.num_seeds)


def prepare(options: Options) -> Sweep:
    """Checks everything before anything is compiled or written.

    Raises:
      ValueError: an engine cannot be imported, no cluster is there, or a value is not allowed; the message names it.
    """
    for library in ("ray", *(["optuna"] if options.search == "optuna" else [])):
        load(library)
    if options.address is not None:
        check_address(options.address)
    algorithm, space = find_algorithm(options.algorithm), read_space(options.space)
    num_trials = options.trials or NUM_TRIALS
    if options.search == "grid":
        num_trials = len(space.grid)
        require(options.trials in (None, num_trials), "trials", options.trials, f"{num_trials}, all of the grid")
    env = jaxdilemmas.make(options.env, **parse_env_kwargs(options.env_kwargs))
    base = preset(algorithm.name, options.env)
    run = make_record(algorithm.name, options.of_a_run, check_points(options, algorithm, space, base, env), env)
    values = {name: dimension._asdict() for name, dimension in space.dimensions.items()}
    record = SweepRecord(values, run, options.search, options.metric, options.minimize)
    name = options.name or f"sweep-{default_name(algorithm.name, options.env)}"
    return Sweep(options.runs_dir / name, space, base, algorithm, record, num_trials)


def check_points(options: Options, algorithm: Algorithm, space: Space, base: dict[str, Any], env: Environment) -> Any:
    """Raises a ValueError that names the file if a point of the space is not allowed; returns the first settings."""
    singles = [space.config_at(point, base, algorithm.config_class) for point in space.single_points]
    configs = [space.config_at(point, base, algorithm.config_class) for point in space.combinations]
    for name in (*space.dimensions, *space.settings):
        needed = [config.without_effect.get(name) for config in configs]
        require(None in needed, f"{space.path}: {name}", getattr(configs[0], name), f"left out, or with {needed[0]}")
    try:
        for config in singles:
            check_has_demonstrations(algorithm, options.of_a_run, config, env)
            trainer = algorithm.bind(config, env)
    except ValueError as error:
        raise ValueError(f"{space.path}: {error}") from None
    names = list_metrics(trainer, env)
    require(options.metric in names, "metric", options.metric, f"one of {', '.join(names)}")
    return singles[0]


def list_metrics(trainer: Trainer, env: Environment) -> list[str]:
    """The columns of metrics.csv that can be a score; those of agents are one. Nothing is compiled."""

    def report() -> dict[str, jax.Array]:
        return trainer.update(trainer.init(jax.random.key(0), env.default_params), env.default_params)[1]

    shapes = jax.eval_shape(report)
    columns = flatten_metrics({name: np.zeros((1, *shape.shape)) for name, shape in shapes.items()})
    return [name for name in over_agents(columns) if name not in COUNTS]


def confirm(sweep: Sweep, number: int, num_seeds: int) -> str:
    """Trains the settings of a trial on seeds that were not used before; returns the line of their result.

    Raises:
      ValueError: the run cannot go on.
      ChildProcessError: its process was killed.
    """
    run = sweep.trial(
        f"confirmed_trial_{number:03}_{num_seeds}_seeds",
        sweep.record.trials[number].values,
        seed=FIRST_REPORTED_SEED,
        num_seeds=num_seeds,
    )
    try:
        error = run.reach(run.num_updates)
    finally:
        run.stop()
    if error:
        raise ValueError(f"{run.directory.path}: {error}")
    result = format_value(run.score(sweep.record.metric, run.num_updates))
    return f"{title_of(sweep.record.metric)} of {run.record.title}: {result}; the run is {run.directory.path}"


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.sweep`."""
    jax.config.update("jax_platforms", "cpu")  # devices are for the processes of trials
    options = tyro.cli(Options, prog="python -m baselines.sweep", description=__doc__, args=argv)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    sweep = prepare(options)
    if options.resume:
        sweep.check_there()
    else:
        sweep.begin()
    with hold(sweep.path):
        sweep.read()
        console.print(f"{sweep.path}: the same command with --name {sweep.path.name} --resume continues this sweep")
        if sweep.todo:
            from baselines.sweeping.tuning import train_all

            train_all(sweep, options.workers, options.address, console.print)
        write_report(sweep)
        best = sweep.best
        if best is None:
            raise ValueError(f"{sweep.path}: no trial has a score; trials.csv has the reasons")
        console.print(f"trial_{best:03} has the best settings; as an entry of baselines/presets.py:")
        console.print(as_preset(sweep, best))
        if options.confirm:
            console.print(confirm(sweep, best, options.confirm))
        else:
            console.print("they have no result yet: --resume --confirm 5 trains them on five seeds from 100 on")


if __name__ == "__main__":
    main()
