"""The command that draws a Schelling diagram: `python -m baselines.schelling --cooperate greedy --defect exploitative`.

It plays every number of cooperators, prints what they and defectors get, whether that is a social dilemma and where
its pure equilibria are, and writes schelling.csv, schelling.json and schelling.png. What the words mean stands in
`baselines.analysis.schelling`.
"""

import csv
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from baselines.analysis.schelling import (
    Dilemma,
    Estimate,
    SchellingTable,
    Verdict,
    conditions,
    payoffs,
    pure_equilibria,
)
from baselines.playing import find_player
from baselines.training.options import default_name, parse_env_kwargs
from baselines.training.runs import describe_machine
from jaxdilemmas.environment import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIFFERENCES = ("R_c(N) - R_d(0)", "R_c(N) - R_c(1)", "fear, R_d(0) - R_c(1)", "greed, R_d(N - 1) - R_c(N)")
"""The differences of a `Dilemma`, in words."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Which diagram to draw.

    Attributes:
      cooperate: what cooperators follow: the name of a scripted policy of the game, or the directory of a run trained
        on it.
      defect: what defectors follow, likewise.
      env: id of the game, or module:name of one of your own.
      env_kwargs: keyword arguments of the game as name=value, such as num_agents=4 map=large.
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
    episodes: int = 100
    seed: int = 0
    output: Path | None = None

    def __post_init__(self) -> None:
        require(self.episodes >= 2, "episodes", self.episodes, "at least 2")
        require(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 to 2^31 - 1")
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
      equilibria: of each number of cooperators, whether it is a pure equilibrium.
    """

    env_version: str
    table: SchellingTable
    dilemma: Dilemma
    equilibria: list[Verdict]

    def rows(self) -> list[dict[str, Any]]:
        """For each number of cooperators k the payoffs, what defecting gains beside k others, and the equilibrium."""
        num_agents = self.table.num_agents
        nothing = Estimate(math.nan, math.nan, math.nan)
        return [
            {
                "cooperators": k,
                "cooperator": self.table.cooperator(k),
                "defector": self.table.defector(k),
                "gain_of_defecting": self.table.gain_of_defecting(k) if k < num_agents else nothing,
                "equilibrium": self.equilibria[k],
            }
            for k in range(num_agents + 1)
        ]


def analyse(options: Options) -> Result:
    """Plays the episodes.

    Raises:
      ValueError: a policy cannot be found or played, or the game has one agent.
    """
    env_kwargs = parse_env_kwargs(options.env_kwargs)
    cooperate, defect = (find_player(name, options.env, env_kwargs) for name in (options.cooperate, options.defect))
    table = payoffs(cooperate, defect, jax.random.key(options.seed), options.episodes)
    return Result(cooperate.env.version, table, conditions(table), pure_equilibria(table))


def conclude(options: Options, dilemma: Dilemma) -> str:
    """The sentence that says whether it is a dilemma."""
    if dilemma.verdict is Verdict.HOLDS:
        return f"{options.title}: is a dilemma"
    blocking = "; ".join(phrase for phrase, found in dilemma.conditions.items() if found is dilemma.verdict)
    if dilemma.verdict is Verdict.FAILS:
        return f"{options.title}: is not a dilemma; fails: {blocking}"
    return f"{options.title}: undecided whether it is a dilemma; open: {blocking}; more episodes narrow the intervals"


def list_equilibria(equilibria: list[Verdict]) -> str:
    """The sentence that says where the pure equilibria are."""
    by_verdict = {
        verdict: ", ".join(str(k) for k, found in enumerate(equilibria) if found is verdict) for verdict in Verdict
    }
    sentence = f"pure equilibria, by number of cooperators: {by_verdict[Verdict.HOLDS] or 'none for sure'}"
    open_ones = by_verdict[Verdict.UNDECIDED]
    return f"{sentence}; undecided: {open_ones}" if open_ones else sentence


def write_result(options: Options, result: Result, path: Path) -> None:
    """Writes schelling.csv, schelling.json and schelling.png into a new directory."""
    path.mkdir(parents=True)
    rows = [_flatten(row) for row in result.rows()]
    with (path / "schelling.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
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
    (path / "schelling.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    plot_diagram(result, path / "schelling.png", options.title)


def _flatten(row: dict[str, Any]) -> dict[str, Any]:
    """A row with a column for each number; None where there is none."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Estimate):
            numbers = {f"{name}_{part}": number for part, number in value._asdict().items()}
            flat |= {column: None if math.isnan(number) else number for column, number in numbers.items()}
        else:
            flat[name] = value
    return flat


def plot_diagram(result: Result, path: Path, title: str) -> None:
    """Draws the payoffs of an agent that cooperates and of one that defects over how many others cooperate.

    Bars are 95 % intervals. A ring is around what agents get in a pure equilibrium.
    """
    from matplotlib.figure import Figure

    table, others = result.table, range(result.table.num_agents)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    _plot_curve(axes, [table.cooperator(i + 1) for i in others], "cooperating", "tab:blue")
    _plot_curve(axes, [table.defector(i) for i in others], "defecting", "tab:red")
    equilibria = [k for k, found in enumerate(result.equilibria) if found is Verdict.HOLDS]
    rings = [(k - 1, table.cooperator(k).mean) for k in equilibria if k > 0]
    rings += [(k, table.defector(k).mean) for k in equilibria if k < table.num_agents]
    others_in, payoffs_in = np.reshape(rings, (-1, 2)).T
    axes.scatter(others_in, payoffs_in, s=160, facecolors="none", edgecolors="black", label="in equilibrium")
    axes.set_title(title)
    axes.set_xlabel("other agents that cooperate")
    axes.set_ylabel("return of an episode")
    axes.set_xticks(list(others))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def _plot_curve(axes: "Axes", estimates: list[Estimate], label: str, color: str) -> None:
    mean, low, high = np.transpose(estimates)
    bars = [mean - low, high - mean]
    axes.errorbar(range(len(mean)), mean, bars, label=label, color=color, marker="o", markersize=4, capsize=3)


def print_result(options: Options, result: Result, console: Console) -> None:
    """The payoffs, the conditions, and two sentences."""
    title = f"{options.title}: {options.episodes} episodes each, 95 % intervals"
    table = Table("k cooperators", "R_c(k)", "R_d(k)", "gain of defecting", "equilibrium", title=title)
    for row in result.rows():
        table.add_row(*(_format(value) for value in row.values()))
    console.print(table)
    for name, estimate in zip(DIFFERENCES, result.dilemma, strict=True):
        console.print(f"{name}: {_format(estimate)}")
    for phrase, verdict in result.dilemma.conditions.items():
        console.print(f"{phrase}: {verdict}")
    console.print(list_equilibria(result.equilibria))
    console.print(conclude(options, result.dilemma))


def _format(value: Any) -> str:
    if not isinstance(value, Estimate):
        return str(value)
    return "" if math.isnan(value.mean) else f"{value.mean:.4g} ± {value.high - value.mean:.2g}"


def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.schelling`."""
    options = tyro.cli(Options, prog="python -m baselines.schelling", description=__doc__, args=argv)
    console = Console(highlight=False, markup=False)
    try:
        result = analyse(options)
    except ValueError as error:
        sys.exit(f"error: {error}")
    path = options.output or Path("runs") / default_name("schelling", options.env)
    write_result(options, result, path)
    print_result(options, result, console)
    console.print(f"schelling.csv, schelling.json and schelling.png are in {path}", soft_wrap=True)


if __name__ == "__main__":
    main()
