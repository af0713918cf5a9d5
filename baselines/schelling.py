"""The command that draws a Schelling diagram: `python -m baselines.schelling --cooperate greedy --defect exploitative`.

It plays every number of cooperators, prints what they and defectors get, whether that is a social dilemma and where
its pure equilibria are, and writes schelling.csv, schelling.json and schelling.png. What the words mean stands in
`baselines.analysis.dilemmas`.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import tyro
from rich.console import Console
from rich.table import Table

from baselines.analysis.dilemmas import (
    Dilemma,
    SchellingTable,
    conditions,
    list_equilibria,
    payoff_rows,
    payoffs,
)
from baselines.analysis.figures import draw_diagram
from baselines.analysis.intervals import Verdict
from baselines.analysis.tables import flatten, format_value, write_csv
from baselines.disk.schema import FilePath, NumEpisodes, Seed, check_fields
from baselines.disk.writing import save_figure, write_file
from baselines.runs.directory import describe_machine
from baselines.runs.options import default_name, parse_env_kwargs
from baselines.runs.terminal import as_command
from baselines.trained.load import find_player
from jaxdilemmas.environment import require

DIFFERENCES = ("R_c(N) - R_d(0)", "R_c(N) - R_c(1)", "fear, R_d(0) - R_c(1)", "greed, R_d(N - 1) - R_c(N)")
"""The differences of a `Dilemma`, in words."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Which diagram to draw.

    Attributes:
      cooperate: what cooperators follow: the name of a scripted policy of the game, or the directory of a run trained
        on it.
      defect: the policy of defectors, a name as for `cooperate`.
      env: id of the game, or module:Class of one of your own.
      env_kwargs: keyword arguments of the game as name=value, such as num_agents=4 map=large, or map=board.txt
        for a file with a board drawn as text.
      episodes: for each number of cooperators.
      seed: of the episodes.
      output: directory to make; by default one in runs, named by game and time.

    Raises:
      ValueError: a value is not allowed.
    """

    cooperate: str
    defect: str
    env: str = "gathering"
    env_kwargs: tuple[str, ...] = ()
    episodes: NumEpisodes = 100
    seed: Seed = 0
    output: FilePath | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        is_new = self.output is None or not self.output.exists()
        require(is_new, "output", str(self.output), "a directory that does not exist yet")

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.env}, {self.cooperate} against {self.defect}"


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found.

    Attributes:
      env_version: of the game's rules.
      table: payoffs by number of cooperators.
      dilemma: its three conditions.
    """

    env_version: str
    table: SchellingTable
    dilemma: Dilemma


def analyse(options: Options) -> Result:
    """Plays the episodes.

    Raises:
      ValueError: a policy cannot be found or played, or the game has one agent.
    """
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    cooperate, defect = (find_player(name, options.env, env_kwargs) for name in (options.cooperate, options.defect))
    table = payoffs(cooperate, defect, jax.random.key(options.seed), options.episodes)
    return Result(cooperate.env.version, table, conditions(table))


def conclude(options: Options, dilemma: Dilemma) -> str:
    """The sentence that reports whether the game is a dilemma."""
    if dilemma.verdict is Verdict.HOLDS:
        return f"{options.title}: is a dilemma"
    blocking = "; ".join(phrase for phrase, found in dilemma.conditions.items() if found is dilemma.verdict)
    if dilemma.verdict is Verdict.FAILS:
        return f"{options.title}: is not a dilemma; fails: {blocking}"
    return f"{options.title}: undecided whether it is a dilemma; open: {blocking}; more episodes narrow the intervals"


def write_result(options: Options, result: Result, path: Path) -> None:
    """Writes schelling.csv, schelling.json and schelling.png into a new directory."""
    from matplotlib.figure import Figure

    path.mkdir(parents=True)
    rows = [flatten(row) for row in payoff_rows(result.table)]
    write_csv(path / "schelling.csv", rows)
    dilemma = result.dilemma
    content = dataclasses.asdict(options) | {
        "env_kwargs": parse_env_kwargs(options.env_kwargs),
        "env_version": result.env_version,
        "output": str(path),
        "payoffs": rows,
        "differences": {name: estimate._asdict() for name, estimate in dilemma._asdict().items()},
        "conditions": dilemma.conditions,
        "dilemma": dilemma.verdict,
        "about": describe_machine(),
    }
    write_file(path / "schelling.json", json.dumps(content, indent=2) + "\n")
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    draw_diagram(axes, result.table, options.title)
    axes.legend(frameon=False)
    save_figure(path / "schelling.png", figure)


def print_result(options: Options, result: Result, console: Console) -> None:
    """The payoffs, the conditions, and two sentences."""
    title = f"{options.title}: {options.episodes} episodes each, 95 % intervals"
    table = Table("k cooperators", "R_c(k)", "R_d(k)", "gain of defecting", "equilibrium", title=title)
    for row in payoff_rows(result.table):
        table.add_row(*(format_value(value) for value in row.values()))
    console.print(table)
    for name, estimate in zip(DIFFERENCES, result.dilemma, strict=True):
        console.print(f"{name}: {format_value(estimate)}")
    for phrase, verdict in result.dilemma.conditions.items():
        console.print(f"{phrase}: {verdict}")
    console.print(list_equilibria(result.table))
    console.print(conclude(options, result.dilemma))


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.schelling`."""
    options = tyro.cli(Options, prog="python -m baselines.schelling", description=__doc__, args=argv)
    console = Console(highlight=False, markup=False)
    result = analyse(options)
    path = options.output or Path("runs") / default_name("schelling", options.env)
    write_result(options, result, path)
    print_result(options, result, console)
    console.print(f"schelling.csv, schelling.json and schelling.png are in {path}", soft_wrap=True)


if __name__ == "__main__":
    main()
