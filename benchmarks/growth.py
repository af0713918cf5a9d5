"""Measures how the speed of a game changes with the numbers of agents and environments.

    python -m benchmarks.growth --game cleanup_meltingpot

Writes a row for each size, measured as in `benchmarks.throughput`, and draws the rows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jaxdilemmas
from baselines.runs.terminal import as_command
from benchmarks.reporting import RESULTS, count_from, make_parser, print_header, report
from benchmarks.rollout import measure, own_game

COLUMNS = ("game", "num_agents", "num_envs", "env_steps_per_second", "agent_steps_per_second", "peak_memory_mb")
IMAGES = RESULTS.parents[1] / "docs" / "images"


def measure_size(env_id: str, num_agents: int, num_envs: int, num_steps: int, repeats: int) -> dict[str, Any]:
    """Measures one number of agents and of environments; it plays fewer steps if there are many environments."""
    game = own_game(jaxdilemmas.make(env_id, num_agents=num_agents))
    row: dict[str, Any] = {"game": env_id, "num_agents": num_agents}
    row |= measure(game, num_envs, max(16, num_steps * 1024 // max(num_envs, 1024)), repeats)
    rates = row["env_steps_per_second"]
    agent_rates = {name: num_agents * rates[name] for name in ("median", "min", "max")}
    return row | {"agent_steps_per_second": agent_rates | {"repeats": repeats}}


def draw(by_agents: Sequence[dict[str, Any]], by_envs: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws agent steps per second over the number of agents and over the number of environments."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    parts = zip(figure.subplots(1, 2, sharey=True), (by_agents, by_envs), ("agents", "envs"), strict=True)
    for axes, rows, name in parts:
        rates = [row["agent_steps_per_second"] for row in rows]
        sizes = [row[f"num_{name}"] for row in rows]
        spread = [[rate["median"] - rate["min"] for rate in rates], [rate["max"] - rate["median"] for rate in rates]]
        axes.errorbar(sizes, [rate["median"] for rate in rates], spread, marker="o", capsize=3)
        axes.set(xscale="log", xlabel={"agents": "agents", "envs": "environments"}[name], ylim=(0, None))
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("agent steps per second")
    figure.suptitle(by_agents[0]["game"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.growth`."""
    parser = make_parser("growth", __doc__)
    parser.add_argument("--game", default="cleanup_meltingpot", help="id of the game")
    parser.add_argument(
        "--agents",
        type=count_from(1),
        nargs="+",
        default=[2, 4, 7, 11, 16],
        help="with 1,024 environments each",
    )
    parser.add_argument(
        "--num-envs",
        type=count_from(1),
        nargs="+",
        default=[256, 1024, 4096, 16384],
        help="with 7 agents each",
    )
    parser.add_argument(
        "--num-steps", type=count_from(1), default=128, help="steps of each environment in one timed call"
    )
    parser.add_argument("--image", type=Path, default=IMAGES / "growth.png", help="file of the picture")
    options = parser.parse_args(argv)
    print_header(COLUMNS)

    def measure_all(sizes: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        rows = [measure_size(options.game, *size, options.num_steps, options.repeats) for size in sizes]
        for row in rows:
            report(row, options.output, COLUMNS)
        return rows

    by_agents = measure_all([(num_agents, 1024) for num_agents in options.agents])
    draw(by_agents, measure_all([(7, num_envs) for num_envs in options.num_envs]), options.image)


if __name__ == "__main__":
    main()
