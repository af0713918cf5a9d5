"""The options of a training run: read from the command line and checked before anything is compiled or written."""

import argparse
import ast
import dataclasses
import datetime
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tyro
from jax.sharding import Mesh

import jaxdilemmas
from baselines.core.devices import check_split
from baselines.core.trainer import Algorithm, Imitator, Trainer
from baselines.disk.schema import Count, CountOrZero, FilePath, NumSeeds, Seed, check_fields
from baselines.presets import preset
from baselines.runs import hints, hosts
from baselines.runs.directory import LIBRARIES, RunDirectory, RunRecord, check_seeds, describe_machine
from baselines.runs.display import WandbMode, check_tensorboard
from baselines.runs.variation import Combination, label_of, make_combination, parse_combinations, stack, vary
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.grid.maps import read_board_file


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What to run and where to write it.

    Attributes:
      env: id of the game, or module:Class of one of your own.
      env_kwargs: keyword arguments of the game as name=value, such as num_agents=4 map=large, or map=board.txt
        for a file with a board drawn as text.
      name: of the run; by default algorithm, game and time.
      runs_dir: directory that holds a directory for each run.
      seed: of the first training run; with several, the others follow it.
      num_seeds: training runs side by side that differ in their seed alone.
      checkpoint_every: updates between checkpoints.
      wandb: Weights & Biases; offline needs no account.
      tensorboard: whether the rows of metrics.csv are also written into the run directory for TensorBoard.
      vary: numbers that differ between runs side by side, as name=number,number; each combination of them is a run of
        its own, in a directory of its own below that of the name, with all seeds.
      resume: go on with the run of that name where it was interrupted; other options may be left out.
      devices: how many share the environments, on all hosts together; by default 1, with several hosts all they have.
      coordinator: for several hosts, each with a process of this command: host:port of process 0, or auto where SLURM
        or a cloud TPU has set who is there.
      num_processes: with host:port, how many processes there are.
      process_id: with host:port, the number of this process, from 0.

    Raises:
      ValueError: a value is not allowed.
    """

    env: str = "gathering"
    env_kwargs: tuple[str, ...] = ()
    name: str | None = None
    runs_dir: FilePath = Path("runs")
    seed: Seed = 0
    num_seeds: NumSeeds = 1
    checkpoint_every: Count = 50
    wandb: WandbMode = "disabled"
    tensorboard: bool = False
    vary: tuple[str, ...] = ()
    resume: bool = False
    devices: Count | None = None
    coordinator: str | None = None
    num_processes: Count | None = None
    process_id: CountOrZero | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_seeds(self.seed, self.num_seeds)
        is_name = self.name is None or (
            Path(self.name).name == self.name and self.name not in ("", "..") and self.name.isprintable()
        )
        require(is_name, "name", self.name, "the name of a directory, without a path")
        hosts.check_processes(self.coordinator, self.num_processes, self.process_id)


class Job(NamedTuple):
    """A run that passed all checks.

    Attributes:
      directory: where it goes.
      record: what is run.
      trainer: the algorithm, bound to its settings and the game.
      env_params: numbers in the rules.
      num_updates: of the whole run.
      env_steps_per_update: of one seed; 0 if nothing is played or the number differs.
      is_resumed: whether the directory holds the beginning of it.
      wandb: see `RunOptions`.
      tensorboard: see `RunOptions`.
      mesh: of the devices that share the work; None for one.
      members: with `vary`, the run of each combination; this job is all of them, and its directory holds theirs.
      vary: see `RunOptions`.
    """

    directory: RunDirectory
    record: RunRecord
    trainer: Trainer
    env_params: Any
    num_updates: int
    env_steps_per_update: int
    is_resumed: bool
    wandb: WandbMode
    tensorboard: bool
    mesh: Mesh | None = None
    members: tuple["Job", ...] = ()
    vary: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple["Job", ...]:
        """The runs with a directory and a record of their own: the members, or this one alone."""
        return self.members or (self,)

    @property
    def num_devices(self) -> int:
        """How many share the work."""
        return 1 if self.mesh is None else self.mesh.size


class Early(NamedTuple):
    """The options that the defaults of all others depend on: which game, None if it is not said, or which runs."""

    env: str | None
    name: str | None
    runs_dir: Path
    resume: bool
    vary: Sequence[str]


def prepare(algorithm: Algorithm, argv: Sequence[str]) -> Job:
    """Reads and checks the options.

    Args:
      algorithm: by which agents learn.
      argv: the options.

    Raises:
      ValueError: the message names the option, its value and what is allowed.
      SystemExit: from the parser, with a message on stderr; or help was asked for.
    """
    early = read_early(argv)
    if early.resume and early.name is None:
        raise ValueError(f"--resume needs --name: {hints.list_runs(early.runs_dir, algorithm.name)}")
    env_id = early.env or algorithm.default_env
    base = RunDirectory(early.runs_dir / (early.name or default_name(algorithm.name, env_id)))
    combinations = parse_combinations(early.vary) if early.vary else []
    directory = RunDirectory(base.path / label_of(combinations[0])) if combinations else base
    options, config, env = read_settings(algorithm, env_id, directory, early, argv)
    if options.tensorboard:
        check_tensorboard()
    check_has_demonstrations(algorithm, options, config, env)
    if not early.resume:
        check_has_effect(config)
        base.check_is_new()
    mesh = hosts.choose_devices(options.devices)
    check_split(config, 1 if mesh is None else mesh.size)
    single = Job(
        directory=base,
        record=make_record(algorithm.name, options, config, env, 1 if mesh is None else mesh.size),
        trainer=algorithm.bind(config, env),
        env_params=env.default_params,
        num_updates=config.num_updates,
        env_steps_per_update=config.env_steps_per_update,
        is_resumed=early.resume,
        wandb=options.wandb,
        tensorboard=options.tensorboard,
        mesh=mesh,
        vary=options.vary,
    )
    if not combinations:
        return checked(single)
    make = partial(jaxdilemmas.make, options.env)
    each = [make_combination(v, config, env, single.record.env_kwargs, make) for v in combinations]
    return side_by_side(single, each, vary(algorithm.bind_later(config, env), config))


def check_has_effect(config: Any) -> None:
    """Raises a ValueError if a setting that nothing reads is not the default."""
    for field in dataclasses.fields(config):
        needed, value = config.without_effect.get(field.name), getattr(config, field.name)
        require(needed is None or value == field.default, field.name, value, f"left out, or with {needed}")


def check_has_demonstrations(algorithm: Algorithm, options: RunOptions, config: Any, env: Environment) -> None:
    """Raises a ValueError if an imitator has none; the message has the command that records some."""
    if isinstance(algorithm, Imitator) and not config.demonstrations:
        command = hints.how_to_record(options.env, parse_env_kwargs(options.env_kwargs), env)
        raise ValueError(f"--demonstrations is needed, the path of a file of them; record one by: {command}")


def read_settings(
    algorithm: Algorithm, env_id: str, directory: RunDirectory, early: Early, argv: Sequence[str]
) -> tuple[RunOptions, Any, Environment]:
    """All options, the settings of the learner, and the game; those of a run to resume are the defaults."""
    if not early.resume:
        options, config = parse(algorithm.name, *new_options(algorithm.name, algorithm.config_class, env_id), argv)
        return options, config, jaxdilemmas.make(options.env, **parse_env_kwargs(options.env_kwargs))
    stored = directory.read_record()
    if stored.algorithm != algorithm.name:
        raise ValueError(f"{directory.path} is a run of {stored.algorithm!r}, not of {algorithm.name!r}")
    env = directory.make_env(stored, early.env)
    options, config = parse(algorithm.name, *stored_options(directory, stored, algorithm.config_class), argv)
    return options, config, env


def checked(job: Job) -> Job:
    """The job of a single run, with the record in its directory if it is resumed, which must be the same."""
    if not job.is_resumed:
        return job
    stored = job.directory.read_record()
    check_same(job.record, stored)
    return job._replace(record=stored)


def side_by_side(single: Job, combinations: Sequence[Combination], trainer: Trainer) -> Job:
    """The job of several runs that differ in numbers.

    Args:
      single: the job without numbers that vary.
      combinations: the numbers of each run.
      trainer: takes a `Varied`.
    """
    members: list[Job] = []
    for each in combinations:
        settings = dataclasses.asdict(each.config)
        record = dataclasses.replace(single.record, config=settings, env_kwargs=each.env_kwargs)
        directory = RunDirectory(single.directory.path / each.label)
        members.append(checked(single._replace(directory=directory, record=record, env_params=each.env_params)))
    env_params = stack(combinations, single.record.num_seeds)
    return single._replace(trainer=trainer, env_params=env_params, members=tuple(members))


def make_record(algorithm: str, options: RunOptions, config: Any, env: Environment, num_devices: int = 1) -> RunRecord:
    """The record of a run, as config.json holds it."""
    return RunRecord(
        algorithm=algorithm,
        env_id=options.env,
        env_kwargs=parse_env_kwargs(options.env_kwargs),
        env_version=env.version,
        config=dataclasses.asdict(config),
        seed=options.seed,
        num_seeds=options.num_seeds,
        checkpoint_every=options.checkpoint_every,
        about=describe_machine()
        | {"devices": str(num_devices), "started": datetime.datetime.now().isoformat(timespec="seconds")},
    )


def read_processes(argv: Sequence[str]) -> tuple[str | None, int | None, int | None]:
    """Reads who computes together, before all other options: the arguments of `hosts.joined`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--coordinator")
    parser.add_argument("--num-processes", "--num_processes")
    parser.add_argument("--process-id", "--process_id")
    found = vars(parser.parse_known_args(argv)[0])
    coordinator, *texts = found.values()
    count, number = (int(text) if text and text.isdecimal() else text for text in texts)
    options = RunOptions(coordinator=coordinator, num_processes=count, process_id=number)
    return options.coordinator, options.num_processes, options.process_id


def shared_settings(job: Job) -> dict[str, Any]:
    """What all hosts must have alike, by name."""
    record = dataclasses.asdict(job.record)
    about, config = record.pop("about"), record.pop("config")
    versions = {name: about.get(name) for name in ("jaxdilemmas", *LIBRARIES)}
    more = {"devices": job.num_devices, "resume": job.is_resumed, "vary": job.vary}
    return record | config | versions | more


def read_early(argv: Sequence[str]) -> Early:
    """Reads them from the command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--env")
    parser.add_argument("--name")
    parser.add_argument("--runs-dir", "--runs_dir", type=Path, default=RunOptions.runs_dir)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--vary", nargs="*", default=())
    early = Early(**vars(parser.parse_known_args(argv)[0]))
    RunOptions(name=early.name)  # raises if it is no name
    return early


def default_name(algorithm: str, env_id: str) -> str:
    """Algorithm, game (of "module:Class" the name) and time."""
    return f"{algorithm}-{env_id.rpartition(':')[2]}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


def new_options(algorithm: str, config_class: type, env_id: str) -> tuple[RunOptions, Any]:
    """What holds for a new run where nothing else is said: presets and then defaults."""
    return RunOptions(env=env_id), config_class(**preset(algorithm, env_id))


def stored_options(directory: RunDirectory, record: RunRecord, config_class: type) -> tuple[RunOptions, Any]:
    """What holds for a run to resume where nothing else is said: its own options."""
    options = RunOptions(
        env=record.env_id,
        env_kwargs=tuple(f"{name}={value!r}" for name, value in record.env_kwargs.items()),
        seed=record.seed,
        num_seeds=record.num_seeds,
        checkpoint_every=record.checkpoint_every,
    )
    return options, directory.read_settings(record, config_class)


def parse(algorithm: str, options: RunOptions, config: Any, argv: Sequence[str]) -> tuple[RunOptions, Any]:
    """All options, with those given as defaults."""
    fields: list[Any] = [("run", RunOptions, options), ("settings", type(config), config)]
    arguments: Any = tyro.cli(
        dataclasses.make_dataclass("Arguments", fields),
        prog=f"python -m baselines.{algorithm}",
        description=f"Trains by {algorithm} and writes a run directory. "
        f"{hints.origin_of_defaults(algorithm, options.env)}",
        args=list(argv),
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return arguments.run, arguments.settings


NO_KEYWORDS = ("self", "env_id")
"""What the makers of games call their own arguments."""


def parse_env_kwargs(texts: Sequence[str]) -> dict[str, Any]:
    """Reads name=value: numbers, True, False, None, tuples and lists as in Python, anything else as text.

    A map without quotes, of one line with a dot or a slash in it, is the path of a file. The text of the file is taken,
    so that a record holds the board itself. Text in quotes, as a record has it, is never a path.

    Raises:
      ValueError: a text is not of that form, a name comes twice, or there is no such file.
    """
    env_kwargs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        is_new = bool(equals) and name.isidentifier() and name not in {*env_kwargs, *NO_KEYWORDS}
        require(is_new, "env_kwargs", text, "name=value, each name once, with the name of a keyword argument of a game")
        env_kwargs[name] = _value_from(value, is_map=name == "map")
    return env_kwargs


def _value_from(text: str, is_map: bool) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = {"true": True, "false": False}.get(text, text)
    if is_map and value == text:
        return read_board_file(Path(text)) if "\n" not in text and re.search(r"[./\\]", text) else text
    return text if is_map and isinstance(value, dict) else value


def check_same(record: RunRecord, stored: RunRecord) -> None:
    """Raises a ValueError that names the first option in which a run would not be the stored one."""
    new, old = (dataclasses.asdict(r) | r.config for r in (record, stored))
    for name in new:
        if name not in ("about", "config"):
            require(new[name] == old.get(name), name, new[name], f"the run to resume has {old.get(name)!r}")
