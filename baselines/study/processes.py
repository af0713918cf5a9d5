"""Processes that work side by side, each on one core."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from functools import partial
from typing import Any

from baselines.study.models import are_teams_done, run_variant
from baselines.study.options import PROTOCOL_NAMES, Options, Variant

ONE_CORE = "--xla_cpu_multi_thread_eigen=false"
"""Small networks are faster on one core than on several, so the cores go to different models."""


def run_all(options: Options, poll_seconds: float = 1.0) -> Iterator[int]:
    """Does what of a study is not done yet, the slowest protocols first.

    Yields:
      How many pieces of work are done, of `count_work`, now and then.

    Raises:
      Exception: what stopped a process; the others are stopped too.
    """
    yield count_done(options)
    slowest_first = sorted(options.variants, key=lambda variant: -PROTOCOL_NAMES.index(variant.protocol))
    for _ in run_side_by_side(partial(run_variant, options), slowest_first, options.jobs, poll_seconds):
        yield count_done(options)


def run_side_by_side(
    work: Callable[[Any], None], pieces: Sequence[Any], jobs: int, poll_seconds: float = 1.0
) -> Iterator[None]:
    """Does pieces of work in their order.

    With one job the work is done here, else in processes of their own.

    Args:
      work: done with each of the pieces; both can be pickled.
      pieces: of work.
      jobs: at work at a time.
      poll_seconds: from one time to the next.

    Yields:
      Nothing, now and then.

    Raises:
      Exception: what stopped a process; the others are stopped too.
    """
    if jobs == 1:
        for piece in pieces:
            work(piece)
            yield
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _use_one_core) as pool:
        futures = [pool.submit(work, piece) for piece in pieces]
        try:
            yield from _watch(futures, poll_seconds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _watch(futures: list[Future[None]], poll_seconds: float) -> Iterator[None]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, poll_seconds, FIRST_EXCEPTION)
        for future in done:
            future.result()
        yield


def _use_one_core() -> None:
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}"


def count_work(options: Options) -> int:
    """Models to train, and variants to mix teams of."""
    return len(options.variants) * (len(options.models) + (options.teams > 0))


def count_done(options: Options) -> int:
    """How many of them are done."""
    return sum(_count_done(options, variant) for variant in options.variants)


def _count_done(options: Options, variant: Variant) -> int:
    num_models = sum(options.outcomes_file(variant, model).is_file() for model in options.models)
    return num_models + (options.teams > 0 and are_teams_done(options, variant))
