"""The contract of `Environment` as a function: run `check_environment` on a game of your own before you train on it."""

import time
from typing import Any

from jaxdilemmas.arguments import check_count
from jaxdilemmas.environment import Environment, check_game
from jaxdilemmas.testing import episodes, modes, parts
from jaxdilemmas.testing.probe import Check, Probe

CHECKS: tuple[Check, ...] = (*parts.CHECKS, *episodes.CHECKS, *modes.CHECKS)
"""One short function for each sentence of the contract, in the order in which they are held."""


def check_environment(
    env: Environment, params: Any = None, num_steps: int = 4, seed: int = 0, verbose: bool = True
) -> None:
    """Checks the contract sentence by sentence: looks at what each method returns, then plays a few short episodes.

    The clock is set to `max_steps=num_steps`, so that the last step is truncated (and `AutoReset` resets). Integers and
    booleans are compared bitwise, floats within 1e-6; in 64-bit mode floats are compared bitwise as well. With two
    devices or more an episode is played on each of two; with one device the game is traced for `jax.shard_map` alone.

    Args:
      env: the game, wrapped or not.
      params: numbers in the rules; `default_params` when left out.
      num_steps: length of the episodes, at least 1. One of them is played without jit, which is slow.
      seed: of the random actions and of the episodes, at least 0.
      verbose: prints a line for each sentence that the game keeps.

    Raises:
      ValueError: an argument is not of that kind.
      AssertionError: the environment breaks the contract; the message names the sentence and what broke it.
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
    """The sentence of the contract that a check stands for; it is the name of the function."""
    return check.__name__.replace("_", " ")


def run_check(check: Check, probe: Probe) -> None:
    """Runs one of `CHECKS`; whatever goes wrong in it is an AssertionError that names the sentence it stands for."""
    sentence = f"{type(probe.env).__name__} breaks the contract ({sentence_of(check)})"
    try:
        check(probe)
    except AssertionError as error:
        raise AssertionError(f"{sentence}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{sentence}: it raised {type(error).__name__}: {error}") from error
