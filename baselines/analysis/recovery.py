"""How well rewards and behaviour are recovered from demonstrations.

Recovered rewards are the true ones at best up to scale and shaping (Ng et al. 1999: gamma Phi(s') - Phi(s) changes no
optimal policy), and per step Q(s, a) - gamma V(s') is mostly shaping. So numbers come in pairs: beside each error those
of predicting 0 and the mean, beside each correlation that with the other agents' reward; and `constrained_regression`
takes the shaping away.
"""

from collections.abc import Callable, Mapping, Sequence
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
        mse_zero, mse_mean: of predicting 0, and the mean of the true reward;
        mse_affine_running, mse_zero_running, mse_mean_running: the same without the steps that ended the game;
        mse_affine_other: of the others' reward.

    Raises:
      ValueError: the shapes do not fit.
    """
    require(recovered.shape == rewards.shape, "recovered", recovered.shape, f"the shape of rewards, {rewards.shape}")
    sights = _sights(rewards, terminated, episodes)
    return [_score(column, sight) for column, sight in zip(np.asarray(recovered, np.float64).T, sights, strict=True)]


class Sight(NamedTuple):
    """What a recovered reward of an agent may be compared with.

    Attributes:
      own: `[M]`, the agent's true reward.
      other: `[M]`, the mean of the others'.
      is_running: `[M]` bool, steps that did not end the game.
      is_alone: `[M]` bool, steps in which not both are paid.
      episodes: `[M]`, numbers.
    """

    own: np.ndarray
    other: np.ndarray
    is_running: np.ndarray
    is_alone: np.ndarray
    episodes: np.ndarray

    def pairs(self) -> dict[str, tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]]:
        """By name of the correlation: what becomes of a recovered reward `[M, ...]`, and what it is compared with."""
        return {
            "pearson": (lambda x: x, self.own),
            "pearson_running": (lambda x: x[self.is_running], self.own[self.is_running]),
            "pearson_episodes": (self.sums, self.sums(self.own)),
            "pearson_other": (lambda x: x, self.other),
            "pearson_alone": (lambda x: x[self.is_alone], self.own[self.is_alone]),
            "pearson_other_alone": (lambda x: x[self.is_alone], self.other[self.is_alone]),
        }

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over episodes, `[M, ...]` -> `[E, ...]`."""
        return (np.unique(self.episodes)[:, None] == self.episodes).astype(np.float64) @ values


def _sights(rewards: np.ndarray, terminated: np.ndarray, episodes: np.ndarray) -> list[Sight]:
    """Of each agent; see `reward_scores`."""
    for name, array in {"terminated": terminated, "episodes": episodes}.items():
        require(array.shape == rewards.shape[:1], name, array.shape, f"{rewards.shape[:1]}")
    rewards, is_running = np.asarray(rewards, np.float64), ~np.asarray(terminated, bool)
    pairs = zip(rewards.T, mean_of_others(rewards).T, strict=True)
    return [Sight(own, other, is_running, (own == 0) | (other == 0), episodes) for own, other in pairs]


def _score(recovered: np.ndarray, sight: Sight) -> dict[str, float]:
    """The numbers of one agent, recovered `[M]`; see `reward_scores`."""
    own, running = sight.own, sight.is_running
    return {name: pearson(see(recovered), true) for name, (see, true) in sight.pairs().items()} | {
        "pearson_rewards": pearson(own, sight.other),
        "spearman": spearman(recovered, own),
        "spearman_running": spearman(recovered[running], own[running]),
        "spearman_episodes": spearman(sight.sums(recovered), sight.sums(own)),
        "mse": _mean((recovered - own) ** 2),
        "mse_affine": affine_error(recovered, own),
        "mse_zero": _mean(own**2),
        "mse_mean": affine_error(0 * own, own),
        "mse_affine_running": affine_error(recovered[running], own[running]),
        "mse_zero_running": _mean(own[running] ** 2),
        "mse_mean_running": affine_error(0 * own[running], own[running]),
        "mse_affine_other": affine_error(recovered, sight.other),
    }


def mean_of_others(values: np.ndarray) -> np.ndarray:
    """Of each agent the mean over all others, `[M, N]` -> `[M, N]`; 0 where there is nobody else."""
    return (values.sum(1, keepdims=True) - values) / max(1, values.shape[1] - 1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


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
    """Mean squared error after the best scale and shift of `predicted` `[M]`, which may turn it round; NaN of none."""
    correlation = pearson(predicted, true)
    return _mean((true - _mean(true)) ** 2) * (1 - (0 if np.isnan(correlation) else correlation) ** 2)


def random_scores(
    names: Sequence[str],
    events: Mapping[str, np.ndarray],
    rewards: np.ndarray,
    terminated: np.ndarray,
    episodes: np.ndarray,
    num_draws: int = 1000,
) -> list[dict[str, float]]:
    """How rewards compare with the game's own that weigh events at random: what a fitted score must be held against.

    Args:
      names: of the features, see `event_names`.
      events: `[M, N]` each, by name.
      rewards: `[M, N]`, the game's own.
      terminated: `[M]` bool.
      episodes: `[M]`, numbers.
      num_draws: vectors of weights, independent standard normal ones, always the same.

    Returns:
      For each agent median and 95 % quantile of the absolute value of each Pearson correlation of `reward_scores`, as
      `<name>_median` and `<name>_q95`; a constant prediction counts as 0, and NaN stands where the truth is constant.

    Raises:
      ValueError: the shapes do not fit.
    """
    weights = np.random.default_rng(0).normal(size=(len(names), num_draws))
    drawn = np.moveaxis(_columns(names, events), 1, 0) @ weights  # [N, M, draws]
    return [
        {
            f"{name}_{part}": float(np.quantile(np.abs(_correlations(see(values), true)), level))
            for name, (see, true) in sight.pairs().items()
            for part, level in {"median": 0.5, "q95": 0.95}.items()
        }
        for values, sight in zip(drawn, _sights(rewards, terminated, episodes), strict=True)
    ]


def _correlations(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of each column of `[M, D]` with `[M]`; 0 of a constant column, NaN where `true` is constant or empty."""
    if not len(true) or np.ptp(true) == 0:
        return np.full(predicted.shape[1], np.nan)
    centred, true = predicted - predicted.mean(0), true - true.mean()
    sizes = np.linalg.norm(centred, axis=0) * np.linalg.norm(true)
    is_constant = np.ptp(predicted, axis=0) == 0
    return np.where(is_constant, 0.0, true @ centred / np.where(is_constant, 1.0, sizes))


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
    f are the events of the joint action (see `event_names`) and Phi(s) = theta . features(s) + c. Both constants are
    needed: b is what all steps earn alike, while c gives (gamma - 1) c where the game goes on and -c where it ends, so
    that without it the offset of V would be put down to events that end the game. Only w is kept.

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
    ones = np.ones((*recovered.targets.shape, 1))
    columns = np.concatenate([recovered.targets[..., None], _columns(names, recovered.events), ones], axis=-1)
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
        values = getattr(recovered, name)
        for value in values[~np.isfinite(values)][:1]:
            require(False, name, float(value), "all must be finite")


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
    """Coefficients `[C]`, the smallest where columns repeat each other, and the share of the variance they explain."""
    scale = np.sqrt((design**2).mean(0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = design / scale
    gram = scaled.T @ scaled / len(scaled) + ridge * np.eye(design.shape[1])
    coefficients = np.linalg.lstsq(gram, scaled.T @ target / len(scaled))[0]
    residuals = target - scaled @ coefficients
    variance = float(np.var(target))
    return coefficients / scale, 1 - float(np.mean(residuals**2)) / variance if variance > 0 else float("nan")
