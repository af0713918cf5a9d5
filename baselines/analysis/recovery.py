"""How well rewards and behaviour are recovered from demonstrations.

Recovered rewards are the true ones at best up to scale and shaping (Ng et al. 1999: gamma Phi(s') - Phi(s) changes no
optimal policy), and per step Q(s, a) - gamma V(s') is mostly shaping. So numbers come in pairs: beside each error those
of predicting 0 and the mean, beside each correlation that with the other agents' reward; and `constrained_regression`
takes the shaping away.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdilemmas.environment import require

WHOSE = ("", "of others", "of all")
"""Whose event a feature counts: the agent's own, the sum of the others', or the least of all."""


# Rewards


def reward_scores(
    recovered: np.ndarray, rewards: np.ndarray, terminated: np.ndarray, episodes: np.ndarray
) -> list[dict[str, float]]:
    """How recovered rewards compare with the game's own, agent by agent.

    Args:
      recovered: `[M, N]`.
      rewards: `[M, N]`, the game's own.
      terminated: `[M]` bool, steps in which the game ended.
      episodes: `[M]`, the number of the episode.

    Returns:
      For each agent numbers by name, NaN where something is constant; other agents' reward is their mean:
        pearson, spearman: of the agent's reward, step by step;
        pearson_running, spearman_running: without the steps that ended the game, in which V(s') = 0;
        pearson_episodes, spearman_episodes: of sums over episodes;
        pearson_other: of the others' reward, step by step; pearson_rewards: of the two true rewards, which bounds it;
        pearson_alone, pearson_other_alone: of the agent's and the others' reward over steps in which not both are paid;
        mse, mse_affine: mean squared error as it is, and after the best scale and shift;
        mse_zero, mse_mean: of predicting 0, and the mean of the true reward.

    Raises:
      ValueError: the shapes do not fit.
    """
    require(recovered.shape == rewards.shape, "recovered", recovered.shape, f"the shape of rewards, {rewards.shape}")
    for name, array in {"terminated": terminated, "episodes": episodes}.items():
        require(array.shape == rewards.shape[:1], name, array.shape, f"{rewards.shape[:1]}")
    recovered, rewards = np.asarray(recovered, np.float64), np.asarray(rewards, np.float64)
    others = mean_of_others(rewards)
    columns = zip(recovered.T, rewards.T, others.T, strict=True)
    return [_score(*column, ~np.asarray(terminated, bool), episodes) for column in columns]


def _score(
    recovered: np.ndarray, own: np.ndarray, other: np.ndarray, is_running: np.ndarray, episodes: np.ndarray
) -> dict[str, float]:
    """The numbers of one agent, `[M]` each; see `reward_scores`."""
    sums = [_sums(values, episodes) for values in (recovered, own)]
    running = recovered[is_running], own[is_running]
    is_alone = (own == 0) | (other == 0)
    return {
        "pearson": pearson(recovered, own),
        "spearman": spearman(recovered, own),
        "pearson_running": pearson(*running),
        "spearman_running": spearman(*running),
        "pearson_episodes": pearson(*sums),
        "spearman_episodes": spearman(*sums),
        "pearson_other": pearson(recovered, other),
        "pearson_rewards": pearson(own, other),
        "pearson_alone": pearson(recovered[is_alone], own[is_alone]),
        "pearson_other_alone": pearson(recovered[is_alone], other[is_alone]),
        "mse": float(np.mean((recovered - own) ** 2)),
        "mse_affine": affine_error(recovered, own),
        "mse_zero": float(np.mean(own**2)),
        "mse_mean": float(own.var()),
    }


def mean_of_others(values: np.ndarray) -> np.ndarray:
    """Of each agent the mean over all others, `[M, N]` -> `[M, N]`; 0 where there is nobody else."""
    return (values.sum(1, keepdims=True) - values) / max(1, values.shape[1] - 1)


def _sums(values: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """Sums over episodes, `[E]`."""
    return np.bincount(np.unique(episodes, return_inverse=True)[1], values)


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of two columns `[M]`; NaN where one is constant or empty."""
    if not len(first) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of the ranks of two columns `[M]`, ties sharing their mean rank; NaN where one is constant."""
    from scipy.stats import rankdata

    return pearson(rankdata(first), rankdata(second))


def affine_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean squared error after the best scale and shift of `predicted` `[M]`, which may turn it round."""
    correlation = pearson(predicted, true)
    return float(true.var() * (1 - (0 if np.isnan(correlation) else correlation) ** 2))


# Behaviour


class BehaviouralError(NamedTuple):
    """How a policy differs from what experts did; the policy's own uncertainty counts as well.

    Attributes:
      cross_entropy: `[N]`, mean of -log pi_i(a_i | s), in nats.
      disagreement: `[N]`, how often the most likely action is another than the expert's.
      joint_disagreement: how often that is so for at least one agent.
    """

    cross_entropy: np.ndarray
    disagreement: np.ndarray
    joint_disagreement: float


def behavioural_error(log_probs: np.ndarray, actions: np.ndarray) -> BehaviouralError:
    """Compares a policy with experts.

    Args:
      log_probs: `[M, N, A]`, log-probabilities of all actions in what the experts saw.
      actions: `[M, N]` int, what they did.

    Raises:
      ValueError: the shapes do not fit.
    """
    require(log_probs.shape[:2] == actions.shape, "log_probs", log_probs.shape, f"{actions.shape} and an axis more")
    taken = np.take_along_axis(log_probs, actions[..., None], axis=-1)[..., 0]
    is_other = log_probs.argmax(-1) != actions
    return BehaviouralError(-taken.mean(0), is_other.mean(0), float(is_other.any(1).mean()))


# The constrained regression


class EventRewards(NamedTuple):
    """Rewards that are a weighted sum of events.

    Attributes:
      names: of the F features, "event" for the agent's own, "event of others", "event of all".
      weights: `[N, F]`, one row for each agent.
      explained: `[N]`, the share of the variance of the targets that rewards and shaping explain together.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    explained: np.ndarray

    def rewards(self, events: Mapping[str, np.ndarray]) -> np.ndarray:
        """The weighted sum, without shaping: events `[M, N]` each -> `[M, N]`.

        Raises:
          ValueError: an event that has a weight is not there.
        """
        return np.einsum("mnf,nf->mn", _columns(self.names, events), self.weights)


def event_names(events: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The features that events `[M, N]` give rise to: own, of others, of all.

    What repeats another or never varies is left out.
    """
    kept: list[str] = []
    seen: list[np.ndarray] = []
    for whose in WHOSE:
        for event in events:
            name = f"{event} {whose}".strip()
            column = event_feature(name, events)
            if np.ptp(column) > 0 and not any(np.array_equal(column, other) for other in seen):
                kept.append(name)
                seen.append(column)
    return tuple(kept)


def event_feature(name: str, events: Mapping[str, Any]) -> Any:
    """One feature of all agents: events `[..., N]` each, of NumPy or JAX -> `[..., N]`.

    Args:
      name: "event" for the agent's own, "event of others" for their sum, "event of all" for the least of all.
      events: by name.

    Raises:
      ValueError: there is no such event, or the name says something else of it.
    """
    event, _, whose = name.partition(" ")
    is_known = event in events and whose in WHOSE
    require(is_known, "event", name, f"one of {', '.join(sorted(events))}, alone, of others or of all")
    own = events[event] * 1.0
    if whose == "of others":
        return own.sum(-1, keepdims=True) - own
    return own.min(-1, keepdims=True) + 0 * own if whose == "of all" else own


def _columns(names: Sequence[str], events: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(event_feature(name, events), np.float64) for name in names], axis=-1)


class Recovered(NamedTuple):
    """Transitions with the rewards recovered for them, leading axis M, in the order in which they happened.

    Attributes:
      targets: `[M, N]`, such as Q - gamma V.
      events: `[M, N]` each, by name.
      features: `[M, N, K]`, of what agents saw.
      next_features: `[M, N, K]`, of what they saw then.
      terminated: `[M]` bool.
      episodes: `[M]`, numbers; transitions that follow each other and have the same one belong together.
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
    f are the events of the joint action (see `event_names`), Phi(s) = theta . features(s), and the constant b is a
    constant part of Phi, which also holds what all steps earn alike. Only w is kept.

    The targets Q(s, a) - gamma (1 - d) V(s') equal log pi(a | s) / lambda + V(s) - gamma (1 - d) V(s'), so V should be
    among the features. And w is told from shaping only if the same states are left by different actions: transitions
    should hold random actions beside those of the demonstrations, though none that the demonstrations never show, about
    which they say nothing. Discounted sums over several steps of the same players need Phi at their ends alone, and so
    suffer less from what Phi cannot express.

    Args:
      recovered: the transitions.
      discount: gamma.
      num_steps: both sides are summed over so many steps from each on, fewer where an episode of `recovered` ends.
      ridge: weight of the squares of standardised coefficients, per transition.

    Raises:
      ValueError: the shapes do not fit, a number is not finite, no event varies, or `num_steps` is below 1.

    Source: our form of the "constrained regression" of Haynam et al. 2025 (arXiv:2503.04679), whose own is not public.
    """
    _check_recovered(recovered)
    require(num_steps >= 1, "num_steps", num_steps, "at least 1")
    names = event_names(recovered.events)
    require(bool(names), "events", sorted(recovered.events), "at least one that varies")
    last = _last_steps(recovered, num_steps)
    constant = np.ones((*recovered.targets.shape, 1))
    columns = np.concatenate([recovered.targets[..., None], _columns(names, recovered.events), constant], axis=-1)
    sums = _discounted_sums(columns, last, discount)
    length = last - np.arange(len(last)) + 1
    goes_on = discount**length * (1 - recovered.terminated[last].astype(np.float64))
    shaping = goes_on[:, None, None] * recovered.next_features[last] - recovered.features
    design = np.concatenate([sums[..., 1:], shaping], axis=-1)
    solved = [_least_squares(design[:, i], sums[:, i, 0], ridge) for i in range(design.shape[1])]
    weights = np.stack([coefficients[: len(names)] for coefficients, _ in solved])
    return EventRewards(names, weights, np.array([explained for _, explained in solved]))


def _check_recovered(recovered: Recovered) -> None:
    shape = recovered.targets.shape
    require(len(shape) == 2 and shape[0] > 0, "targets", shape, "[M, N], M at least 1")
    for name in ("features", "next_features"):
        found = getattr(recovered, name).shape
        is_fit = found[:2] == shape and found == recovered.features.shape
        require(is_fit, name, found, f"{shape} and an axis more, the same for both")
    for name in ("terminated", "episodes"):
        require(getattr(recovered, name).shape == shape[:1], name, getattr(recovered, name).shape, f"{shape[:1]}")
    for name in ("targets", "features", "next_features"):
        require(bool(np.isfinite(getattr(recovered, name)).all()), name, "a number", "all must be finite")


def _last_steps(recovered: Recovered, num_steps: int) -> np.ndarray:
    """Of each transition the row in which its sum ends, `[M]`."""
    episodes, rows = recovered.episodes, np.arange(len(recovered.episodes))
    is_last = np.append(episodes[1:] != episodes[:-1], True) | recovered.terminated.astype(bool)
    ends = np.flatnonzero(is_last)
    return np.minimum(rows + num_steps - 1, ends[np.searchsorted(ends, rows)])


def _discounted_sums(columns: np.ndarray, last: np.ndarray, discount: float) -> np.ndarray:
    """Sums of `[M, N, C]` from each row to its last."""
    rows = np.arange(len(last))
    sums = np.zeros(columns.shape)
    for step in range(int((last - rows).max()) + 1):
        there = rows[rows + step <= last]
        sums[there] += discount**step * columns[there + step]
    return sums


def _least_squares(design: np.ndarray, target: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
    """Coefficients `[C]` and the share of the variance that they explain."""
    scale = np.sqrt((design**2).mean(0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = design / scale
    gram = scaled.T @ scaled / len(scaled) + ridge * np.eye(design.shape[1])
    coefficients = np.linalg.solve(gram, scaled.T @ target / len(scaled))
    residuals = target - scaled @ coefficients
    variance = float(np.var(target))
    return coefficients / scale, 1 - float(np.mean(residuals**2)) / variance if variance > 0 else float("nan")
