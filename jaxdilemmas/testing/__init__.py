"""Checks the contract of `Environment`: call `check_environment` on your own game before you train on it."""

import time
from typing import Any

from jaxdilemmas.arguments import check_count
from jaxdilemmas.environment import Environment, check_game
from jaxdilemmas.testing import episodes, modes, parts
from jaxdilemmas.testing.probe import Check, Probe

CHECKS: tuple[Check, ...] = (*parts.CHECKS, *episodes.CHECKS, *modes.CHECKS)
"""One short function for each sentence of the contract, in the order in which they are checked."""


def check_environment(
    env: Environment, params: Any = None, num_steps: int = 4, seed: int = 0, verbose: bool = True
) -> None:
    """Checks each sentence of the contract: what each method returns, and then a few short episodes.

    The episodes have `max_steps=num_steps`, so that the last step is truncated (and `AutoReset` resets). Integers and
    booleans must be equal bitwise, floats within 1e-6; in 64-bit mode floats must be equal bitwise as well. If there
    are two or more devices, two of them play one episode each. If there is one device, the game is only traced for
    `jax.shard_map`.

    Args:
      env: the game, wrapped or not.
      params: numbers in the rules; None stands for `default_params`.
      num_steps: length of the episodes in steps, at least 1. One episode is played without jit, which is slow.
      seed: seed of the episodes and of their random actions, at least 0.
      verbose: whether to print a line for each sentence that the game keeps.

    Raises:
      ValueError: an argument has a wrong type or value.
      AssertionError: the environment breaks the contract; the message names the sentence and the cause.
    """
    check_game(env)
    if params is not None:
        env.check_params(params)
    check_count("num_steps", num_steps)
    check_count("seed", seed, least=0)
    probe = Probe(env, params, num_steps, seed)
    start = time.perf_counter()
    for check in CHECKS:
        run_check(check, probe)
        if verbose:
            print(f"passed: {sentence_of(check)}", flush=True)
    if verbose:
        seconds = time.perf_counter() - start
        print(f"{type(env).__name__} keeps the contract ({len(CHECKS)} sentences in {seconds:.1f} s)", flush=True)


def sentence_of(check: Check) -> str:
    """Returns the sentence of the contract that a check stands for: the name of the function as words."""
    return check.__name__.replace("_", " ")


def run_check(check: Check, probe: Probe) -> None:
    """Runs one of `CHECKS`; every error in it becomes an AssertionError that names the sentence of the contract."""
    sentence = f"{type(probe.env).__name__} breaks the contract ({sentence_of(check)})"
    try:
        check(probe)
    except AssertionError as error:
        raise AssertionError(f"{sentence}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{sentence}: it raised {type(error).__name__}: {error}") from error
