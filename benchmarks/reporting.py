"""Functions of all benchmarks: they time compiling and running apart, and write rows that name device and commit."""

import argparse
import json
import math
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from baselines.runs.directory import describe_machine
from jaxdilemmas.arguments import MOST_COUNT, is_count, show

RESULTS = Path(__file__).parent / "results"
"""The folder of the results."""


class Program(NamedTuple):
    """A compiled function.

    Attributes:
      call: takes arguments of the shapes it was compiled for.
      compile_seconds: seconds of tracing, lowering and compiling.
      planned_memory_mb: megabytes that XLA plans for its peak.
    """

    call: Callable[..., Any]
    compile_seconds: float
    planned_memory_mb: float

    def peak_memory_mb(self) -> float:
        """Megabytes at the peak: the count of the device, or the plan of XLA if the device (a CPU) counts nothing.

        A device counts from the start of the process, so measure only one program in each process there.
        """
        counted = jax.devices()[0].memory_stats() or {}
        peak_bytes = counted.get("peak_bytes_in_use")
        return self.planned_memory_mb if peak_bytes is None else peak_bytes / 1e6


def compile_program(
    function: Callable[..., Any], *arguments: Any, num_devices: int = 1, donated: tuple[int, ...] = ()
) -> Program:
    """Compiles `function` for arguments like these, without calling it.

    If there are several devices, each device runs the function on its own part of the arguments' first axis. The memory
    of arguments whose numbers are `donated` is used for results.
    """
    start = time.perf_counter()
    transform = jax.jit if num_devices == 1 else jax.pmap
    compiled = transform(function, donate_argnums=donated).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    return Program(compiled, round(seconds, 3), _planned_bytes(compiled.memory_analysis()) / 1e6)


def _planned_bytes(plan: Any) -> int:
    """The peak memory of a program by XLA's analysis.

    Some versions of jaxlib do not report this number. On a CPU jaxlib 0.10 counts constants but not temporaries. So the
    result is at least the sum of arguments, outputs and temporaries.
    """
    sizes = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return max(getattr(plan, "peak_memory_in_bytes", 0), sizes - plan.alias_size_in_bytes)


def memory_mb() -> float:
    """Megabytes that the device has for programs; those of the machine if the device (a CPU) does not report them."""
    limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    return (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if limit is None else limit) / 1e6


def time_calls(call: Callable[..., Any], inputs: Iterable[tuple[Any, ...]]) -> list[float]:
    """Seconds of one call for each tuple of arguments, until the results are ready."""
    seconds = []
    for arguments in inputs:
        jax.block_until_ready(arguments)
        start = time.perf_counter()
        jax.block_until_ready(call(*arguments))
        seconds.append(time.perf_counter() - start)
    return seconds


def rates(amount: int, seconds: Sequence[float]) -> dict[str, int]:
    """Median, minimum and maximum of `amount` per second, and the number of calls."""
    each = [amount / second for second in seconds]
    found = {"median": statistics.median(each), "min": min(each), "max": max(each), "repeats": len(each)}
    return {name: round(value) for name, value in found.items()}


def measure_program(
    name: str, amount: int, function: Callable[..., Any], inputs: Sequence[tuple[Any, ...]]
) -> dict[str, Any]:
    """Compiles a function, calls it once to warm up, and times the calls that follow.

    Args:
      name: column of the rates.
      amount: what one call computes, such as the number of its env steps.
      function: what to compile.
      inputs: the arguments of each call; the first call is not timed.

    Returns:
      The rates of `amount` as `name`, `compile_seconds` and `peak_memory_mb`.
    """
    program = compile_program(function, *inputs[0])
    jax.block_until_ready(program.call(*inputs[0]))
    speed = rates(amount, time_calls(program.call, inputs[1:]))
    return {name: speed, "compile_seconds": program.compile_seconds, "peak_memory_mb": program.peak_memory_mb()}


def describe_measurement() -> dict[str, Any]:
    """Device, versions, commit, time, and the one-minute load average of the machine, which includes this process."""
    return describe_machine() | {
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "commit": commit_of(RESULTS.parent),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit_of(folder: Path) -> str:
    """The commit of the git checkout around `folder`, or "unknown" if there is no checkout.

    It ends in `-dirty` if there are changed files on which a measurement may depend: all files except results and docs.
    """
    commands = [
        ["git", "rev-parse", "--short", "HEAD"],
        ["git", "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)docs", f":!{RESULTS.name}"],
    ]
    try:
        commit, changes = (
            subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changes else commit


def count_from(least: int) -> Callable[[str], int]:
    """Builds a function that reads a whole number from `least` to 2^31 - 1 for a parser; its error names the option."""

    def count(text: str) -> int:
        is_fit = text.isdecimal() and len(text) < 20 and is_count(int(text), least)
        allowed = f"a whole number of at least {least} and at most {MOST_COUNT}"
        if not is_fit:
            raise argparse.ArgumentTypeError(f"{show(text)} is not allowed: {allowed}")
        return int(text)

    return count


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Builds a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--repeats", type=count_from(1), default=5, help="number of timed calls; the median counts")
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}.jsonl", help="rows are added to this file")
    return parser


def rounded(value: float | None) -> float | None:
    """Rounds to four digits after the decimal point; None if there is no value, as for an undefined metric."""
    return None if value is None or math.isnan(value) else round(value, 4)


def report(row: Mapping[str, Any], output: Path, columns: Sequence[str]) -> None:
    """Adds a row to a file of JSON lines, with a description of the measurement, and prints some of its columns."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("a") as file:
        file.write(json.dumps(dict(row) | describe_measurement()) + "\n")
    print("  ".join(f"{_show(row[column]):>{width(column)}}" for column in columns), flush=True)


def print_header(columns: Sequence[str]) -> None:
    """Prints the names of the columns that `report` fills."""
    print("  ".join(f"{column:>{width(column)}}" for column in columns), flush=True)


def width(column: str) -> int:
    """Characters of a printed column."""
    return max(len(column), 30 if column == "game" else 10)


def _show(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value["median"]
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def name_of(env_id: str, env_kwargs: Mapping[str, Any]) -> str:
    """A game and its keyword arguments in one word, such as gathering_gallego(map=large)."""
    arguments = ", ".join(f"{name}={value}" for name, value in env_kwargs.items())
    return f"{env_id}({arguments})" if arguments else env_id
