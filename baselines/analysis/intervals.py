"""Means of independent cases with their confidence intervals, and what an interval says about a claim."""

import enum
from typing import Any, NamedTuple

import numpy as np

from baselines.analysis.arrays import check_array
from jaxdilemmas.arguments import check_kind, require

CONFIDENCE = 0.95
"""Of every interval; each is for itself, without a correction for how many there are."""


class Estimate(NamedTuple):
    """A mean and its confidence interval; all are NaN where there is nothing to estimate."""

    mean: float
    low: float
    high: float


def estimate_mean(values: np.ndarray) -> Estimate:
    """The mean of independent values and its interval, by Student's t.

    Raises:
      ValueError: there are not at least two numbers `[E]`.
    """
    values = _check_sample("values", values)
    return _estimate(values.mean(), [values])


def estimate_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """The difference between the means of two independent samples and its interval, by Welch's t.

    Raises:
      ValueError: there are not at least two numbers `[E]` in each.
    """
    first, second = _check_sample("first", first), _check_sample("second", second)
    return _estimate(first.mean() - second.mean(), [first, second])


def _check_sample(argument: str, values: Any) -> np.ndarray:
    """Values as float64 `[E]`, E at least 2."""
    values = check_array(argument, values, "E").astype(np.float64)
    require(len(values) >= 2, argument, values.tolist(), "at least two numbers")
    return values


def _estimate(mean: float, samples: list[np.ndarray]) -> Estimate:
    """An interval around a sum or difference of the means of samples; degrees of freedom after Welch 1947."""
    from scipy.special import stdtrit

    squares = [sample.var(ddof=1) / len(sample) for sample in samples]  # squared standard errors
    square = sum(squares)
    if square == 0:
        return Estimate(float(mean), float(mean), float(mean))
    freedom = square**2 / sum(part**2 / (len(sample) - 1) for part, sample in zip(squares, samples, strict=True))
    margin = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * np.sqrt(square)
    return Estimate(float(mean), float(mean - margin), float(mean + margin))


def mean_over_seeds(values: np.ndarray) -> Estimate:
    """As `estimate_mean` of `[S]` values, but a single value has no interval."""
    return estimate_mean(values) if len(values) > 1 else Estimate(float(values[0]), float("nan"), float("nan"))


def share_of(is_member: np.ndarray) -> Estimate:
    """The share of independent cases `[S]` bool and its interval after Wilson 1927."""
    from scipy.stats import binomtest

    result = binomtest(int(is_member.sum()), len(is_member))
    interval = result.proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(float(result.statistic), float(interval.low), float(interval.high))


class Verdict(enum.StrEnum):
    """What an interval says about a claim, from false to true."""

    FAILS = "fails"
    UNDECIDED = "undecided"
    HOLDS = "holds"


def is_positive(estimate: Estimate) -> Verdict:
    """Whether a quantity is above zero: undecided while its interval has zero inside.

    Raises:
      ValueError: this is no `Estimate`.
    """
    check_kind("estimate", estimate, Estimate, "an Estimate")
    if estimate.low > 0:
        return Verdict.HOLDS
    return Verdict.FAILS if estimate.high <= 0 else Verdict.UNDECIDED
