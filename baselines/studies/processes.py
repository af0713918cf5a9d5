"""Processes that work side by side, each on one core."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from functools import partial
from typing import Any

from baselines.studies.common_pool.models import are_teams_done, run_variant
from baselines.studies.common_pool.options import PROTOCOL_NAMES, Options, Variant
from baselines.studies.progress import Board, Hear, send_reports_to

ONE_CORE = "--xla_cpu_multi_thread_eigen=false"
"""Small networks are faster on one core than on several, so the cores go to different models."""


def run_all(options: Options, hear: Callable[[int], None], poll_seconds: float = 1.0) -> None:
    """Does what of a study is not done yet, the slowest protocols first.

    Args:
      options: the study.
      hear: is told now and then how many pieces of work are done, of `count_work`.
      poll_seconds: from one time to the next.

    Raises:
      Exception: what stopped a process; the others are stopped too.
    """
    hear(count_done(options))
    slowest_first = sorted(options.variants, key=lambda variant: -PROTOCOL_NAMES.index(variant.protocol))
    board = Board([variant.label for variant in slowest_first], [1] * len(slowest_first))
    count = partial(_hear_count, options, hear)
    run_side_by_side(partial(run_variant, options), slowest_first, options.jobs, board, count, poll_seconds)


def _hear_count(options: Options, hear: Callable[[int], None], board: Board) -> None:
    del board
    hear(count_done(options))


def run_side_by_side(
    work: Callable[[Any], None], pieces: Sequence[Any], jobs: int, board: Board, hear: Hear, poll_seconds: float = 1.0
) -> None:
    """Does pieces of work in their order.

    With one job the work is done here, else in processes of their own.

    Args:
      work: done with each of the pieces, may call `progress.report`; both can be pickled.
      pieces: of work.
      jobs: at work at a time.
      board: of these pieces.
      hear: is told of the board now and then, and when a piece is done.
      poll_seconds: from one time to the next; with one job it is told of every report.

    Raises:
      Exception: what stopped a process; the others are stopped too.
    """
    if jobs == 1:
        _run_here(work, pieces, board, hear)
        return
    context = multiprocessing.get_context("spawn")
    reports = context.SimpleQueue()
    with ProcessPoolExecutor(jobs, context, _start_process, (reports,)) as pool:
        futures = [pool.submit(_run_piece, work, i, piece) for i, piece in enumerate(pieces)]
        try:
            _watch(futures, reports, board, hear, poll_seconds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()


def _run_here(work: Callable[[Any], None], pieces: Sequence[Any], board: Board, hear: Hear) -> None:
    for i, piece in enumerate(pieces):

        def enter(phase: str, i: int = i) -> None:
            board.enter(i, phase)
            hear(board)

        send_reports_to(enter)
        board.begin(i)
        try:
            work(piece)
        finally:
            send_reports_to(None)
        board.end(i)
        hear(board)


def _watch(futures: list[Future[None]], reports: Any, board: Board, hear: Hear, poll_seconds: float) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, poll_seconds, FIRST_EXCEPTION)
        while not reports.empty():
            action, *arguments = reports.get()
            getattr(board, action)(*arguments)
        for future in done:
            future.result()
        hear(board)


_reports: Any = None
"""In a process of a pool, where it says how far it is: calls of methods of `Board`."""


def _start_process(reports: Any) -> None:
    """The first thing that a process does."""
    global _reports
    _reports = reports
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}"


def _run_piece(work: Callable[[Any], None], index: int, piece: Any) -> None:
    """Does a piece of work in a process of a pool."""
    send_reports_to(lambda phase: _reports.put(("enter", index, phase)))
    _reports.put(("begin", index))
    work(piece)
    _reports.put(("end", index))


def count_work(options: Options) -> int:
    """Models to train, and variants to mix teams of."""
    return len(options.variants) * (len(options.models) + (options.teams > 0))


def count_done(options: Options) -> int:
    """How many of them are done."""
    return sum(_count_done(options, variant) for variant in options.variants)


def _count_done(options: Options, variant: Variant) -> int:
    num_models = sum(options.outcomes_file(variant, model).is_file() for model in options.models)
    return num_models + (options.teams > 0 and are_teams_done(options, variant))
