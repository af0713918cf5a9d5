"""Measures the memory that many environments need while they play.

    python -m benchmarks.memory --game cleanup_meltingpot --num-envs 262144

The program is the loop of `benchmarks.throughput`; the states of before are donated. `planned_memory_mb` is the peak
that XLA plans for it. The process is new and plays some steps; `peak_resident_mb` is the most memory that it ever had,
with Python, JAX and compiling. `resident_before_mb` is the most that it had before the first environment existed.
"""

import resource
import sys
from collections.abc import Sequence
from typing import Any

import jax

import jaxdilemmas
from baselines.runs.terminal import as_command
from benchmarks.reporting import compile_program, count_from, make_parser, print_header, report
from benchmarks.rollout import make_rollout, own_game

COLUMNS = ("game", "num_envs", "num_steps", "planned_memory_mb", "resident_before_mb", "peak_resident_mb")


def peak_resident_mb() -> float:
    """Megabytes of the machine's memory that this process had at most, since it began."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def measure(env_id: str, num_envs: int, num_steps: int) -> dict[str, Any]:
    """Plays `num_steps` steps in every environment, once, and returns the memory as part of a row."""
    start, rollout = make_rollout(own_game(jaxdilemmas.make(env_id)), num_envs, num_steps)
    key = jax.random.key(0)
    first = compile_program(start, key)
    program = compile_program(rollout, jax.eval_shape(start, key), donated=(0,))
    before = peak_resident_mb()
    jax.block_until_ready(program.call(first.call(key)))
    return {
        "num_envs": num_envs,
        "num_steps": num_steps,
        "planned_memory_mb": program.planned_memory_mb,
        "peak_memory_mb": program.peak_memory_mb(),
        "resident_before_mb": before,
        "peak_resident_mb": peak_resident_mb(),
    }


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.memory`."""
    parser = make_parser("memory", __doc__)
    parser.add_argument("--game", default="cleanup_meltingpot", help="id of the game")
    parser.add_argument("--num-envs", type=count_from(1), default=262_144, help="environments in parallel")
    parser.add_argument("--num-steps", type=count_from(1), default=8, help="steps of each environment")
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    row = {"game": options.game} | measure(options.game, options.num_envs, options.num_steps)
    report(row, options.output, COLUMNS)


if __name__ == "__main__":
    main()
