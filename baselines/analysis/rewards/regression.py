"""Recovered rewards as weights of events, by a regression that takes shaping away.

`successors.py` has another one, which needs no guess of what the shaping is, but a game to play.
"""

from collections.abc import Mapping
from typing import NamedTuple

import chex
import numpy as np

from baselines.analysis.arrays import check_array, require_finite
from baselines.analysis.rewards.events import EventRewards, check_events, event_columns, event_names
from jaxdilemmas.arguments import check_count, check_kind, check_number, require


class Recovered(NamedTuple):
    """Transitions with the rewards recovered for them, leading axis M, in the order in which they happened.

    Attributes:
      targets: `[M, N]` float, such as Q - gamma V.
      events: `[M, N]` numbers each, by name.
      features: `[M, N, K]` float, of what agents saw.
      next_features: `[M, N, K]` float, of what agents saw after the step.
      terminated: `[M]` bool.
      episodes: `[M]` int, numbers; transitions that follow each other and have the same one belong together.
    """

    targets: np.ndarray
    events: Mapping[str, np.ndarray]
    features: np.ndarray
    next_features: np.ndarray
    terminated: np.ndarray
    episodes: np.ndarray


def constrained_regression(
    recovered: Recovered, discount: float, num_steps: int = 1, ridge: float = 1e-6
) -> EventRewards:
    """Recovered rewards as weights of events, shaping taken away.

    For each agent i, least squares of r_i(s, a) = w . f(s, a) + gamma (1 - d) Phi(s') - Phi(s) + b on the targets:
    f are the events of the joint action (see `event_names`) and Phi(s) = theta . features(s) + c. Both constants are
    needed: b is what all steps earn alike, while c gives (gamma - 1) c where the game goes on and -c where it ends, so
    that without it the offset of V would be put down to events that end the game. Only w is kept.

    The targets Q(s, a) - gamma (1 - d) V(s') equal log pi(a | s) / lambda + V(s) - gamma (1 - d) V(s'), so V should be
    among the features. The regression can separate w from shaping only if different actions leave the same states:
    transitions should hold random actions as well as those of the demonstrations, but no action that the demonstrations
    never show, since they say nothing about it. Discounted sums over several steps of the same players need Phi at
    their ends alone, and so suffer less from what Phi cannot express.

    Args:
      recovered: the transitions.
      discount: gamma.
      num_steps: both sides are summed over so many steps from each on, fewer where an episode of `recovered` ends.
      ridge: weight of the squares of standardised coefficients, per transition.

    Raises:
      ValueError: the shapes do not fit, a number is not finite, no event varies, or `num_steps` is below 1.

    Source: our form of the "constrained regression" of Haynam et al. 2025 (arXiv:2503.04679), whose own is not public.
    """
    recovered = _checked(recovered)
    check_number("discount", discount, 1)
    check_count("num_steps", num_steps)
    check_number("ridge", ridge)
    names = event_names(recovered.events)
    require(bool(names), "events", sorted(recovered.events), "at least one that varies")
    last = _last_steps(recovered, num_steps)
    ones = np.ones((*recovered.targets.shape, 1))
    columns = np.concatenate([recovered.targets[..., None], event_columns(names, recovered.events), ones], axis=-1)
    sums = _discounted_sums(columns, last, discount)
    length = last - np.arange(len(last)) + 1
    goes_on = discount**length * (1 - recovered.terminated[last].astype(np.float64))
    features, next_features = (
        np.concatenate([values, ones], axis=-1) for values in (recovered.features, recovered.next_features[last])
    )
    design = np.concatenate([sums[..., 1:], goes_on[:, None, None] * next_features - features], axis=-1)
    solved = [_least_squares(design[:, i], sums[:, i, 0], ridge) for i in range(design.shape[1])]
    weights = np.stack([coefficients[: len(names)] for coefficients, _ in solved])
    return EventRewards(names, weights, np.array([explained for _, explained in solved]))


def _checked(recovered: Recovered) -> Recovered:
    """The transitions as arrays of NumPy."""
    check_kind("recovered", recovered, Recovered, "a Recovered")
    targets = check_array("targets", recovered.targets, "M", "N")
    num_rows = len(targets)
    require(num_rows > 0, "targets", targets.shape, "[M, N], M at least 1")
    features = check_array("features", recovered.features, *targets.shape, "K")
    next_features = check_array("next_features", recovered.next_features, *features.shape)
    check_events(recovered.events, *targets.shape)
    for name, values in {"targets": targets, "features": features, "next_features": next_features}.items():
        require_finite(name, values)
    terminated = check_array("terminated", recovered.terminated, num_rows, is_whole=True)
    episodes = check_array("episodes", recovered.episodes, num_rows, is_whole=True)
    return Recovered(targets, recovered.events, features, next_features, terminated, episodes)


def _last_steps(recovered: Recovered, num_steps: int) -> np.ndarray:
    """Of each transition the row in which its sum ends, `[M]` int64."""
    episodes, rows = recovered.episodes, np.arange(len(recovered.episodes))
    is_last = np.append(episodes[1:] != episodes[:-1], True) | recovered.terminated.astype(bool)
    ends = np.flatnonzero(is_last)
    return np.minimum(rows + num_steps - 1, ends[np.searchsorted(ends, rows)])


def _discounted_sums(columns: np.ndarray, last: np.ndarray, discount: float) -> np.ndarray:
    """Discounted sums of `[M, N, C]` float64 from each row to its last, `[M]` int64 -> `[M, N, C]` float64."""
    chex.assert_rank([columns, last], [3, 1])
    chex.assert_equal_shape_prefix([columns, last], 1)
    rows = np.arange(len(last))
    sums = np.zeros(columns.shape)
    for step in range(int((last - rows).max()) + 1):
        there = rows[rows + step <= last]
        sums[there] += discount**step * columns[there + step]
    return sums


def _least_squares(design: np.ndarray, target: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
    """Least squares of `[M, C]` on `[M]`, float64 each.

    Returns:
      Coefficients `[C]` float64, the smallest where columns repeat each other, and the share of the variance that they
      explain.
    """
    chex.assert_rank([design, target], [2, 1])
    chex.assert_equal_shape_prefix([design, target], 1)
    scale = np.sqrt((design**2).mean(0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = design / scale
    gram = scaled.T @ scaled / len(scaled) + ridge * np.eye(design.shape[1])
    coefficients = np.linalg.lstsq(gram, scaled.T @ target / len(scaled))[0]
    residuals = target - scaled @ coefficients
    variance = float(np.var(target))
    return coefficients / scale, 1 - float(np.mean(residuals**2)) / variance if variance > 0 else float("nan")
