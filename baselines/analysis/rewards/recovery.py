"""How well rewards and behaviour are recovered from demonstrations.

Recovered rewards are the true ones at best up to scale and shaping (Ng et al. 1999: gamma Phi(s') - Phi(s) changes no
optimal policy), and per step Q(s, a) - gamma V(s') is mostly shaping. So numbers come in pairs: with each error those
of predicting 0 and the mean, with each correlation that with the other agents' reward.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import chex
import numpy as np

from baselines.analysis.arrays import check_array
from baselines.analysis.rewards.events import check_events, event_columns
from jaxdilemmas.arguments import check_count, require

MOST_DRAWS = 100_000
"""Vectors of weights; our choice."""

# Rewards


def reward_scores(
    recovered: np.ndarray, rewards: np.ndarray, terminated: np.ndarray, episodes: np.ndarray
) -> list[dict[str, float]]:
    """How recovered rewards compare with the game's own, agent by agent.

    Args:
      recovered: `[M, N]` float.
      rewards: `[M, N]` float, the game's own.
      terminated: `[M]` bool, steps in which the game ended.
      episodes: `[M]` int, the number of the episode.

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
    rewards = check_array("rewards", rewards, "M", "N")
    recovered = check_array("recovered", recovered, *rewards.shape)
    sights = _sights(rewards, terminated, episodes)
    return [_score(column, sight) for column, sight in zip(np.asarray(recovered, np.float64).T, sights, strict=True)]


class Sight(NamedTuple):
    """What a recovered reward of an agent may be compared with.

    Attributes:
      own: `[M]` float64, the agent's true reward.
      other: `[M]` float64, the mean of the others'.
      is_running: `[M]` bool, steps that did not end the game.
      is_alone: `[M]` bool, steps in which not both are paid.
      episodes: `[M]` int, numbers of episodes.
    """

    own: np.ndarray
    other: np.ndarray
    is_running: np.ndarray
    is_alone: np.ndarray
    episodes: np.ndarray

    def pairs(self) -> dict[str, tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]]:
        """By name of the correlation: a function of a recovered reward `[M, ...]`, and what to compare with it."""
        return {
            "pearson": (lambda x: x, self.own),
            "pearson_running": (lambda x: x[self.is_running], self.own[self.is_running]),
            "pearson_episodes": (self.sums, self.sums(self.own)),
            "pearson_other": (lambda x: x, self.other),
            "pearson_alone": (lambda x: x[self.is_alone], self.own[self.is_alone]),
            "pearson_other_alone": (lambda x: x[self.is_alone], self.other[self.is_alone]),
        }

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over episodes, `[M, ...]` -> `[E, ...]` float64."""
        return (np.unique(self.episodes)[:, None] == self.episodes).astype(np.float64) @ values


def _sights(rewards: np.ndarray, terminated: np.ndarray, episodes: np.ndarray) -> list[Sight]:
    """Of each agent; see `reward_scores`."""
    terminated = check_array("terminated", terminated, len(rewards), is_whole=True)
    episodes = check_array("episodes", episodes, len(rewards), is_whole=True)
    rewards, is_running = rewards.astype(np.float64), ~terminated.astype(bool)
    pairs = zip(rewards.T, mean_of_others(rewards).T, strict=True)
    return [Sight(own, other, is_running, (own == 0) | (other == 0), episodes) for own, other in pairs]


def _score(recovered: np.ndarray, sight: Sight) -> dict[str, float]:
    """The numbers of one agent, recovered `[M]` float64; see `reward_scores`."""
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
    """Of each agent the mean over all others, `[M, N]` -> `[M, N]` float; 0 where there is nobody else.

    Raises:
      ValueError: these are no numbers of that shape.
    """
    values = check_array("values", values, "M", "N")
    return (values.sum(1, keepdims=True) - values) / max(1, values.shape[1] - 1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of two columns `[M]`; NaN where one is constant or empty.

    Raises:
      ValueError: these are no columns of numbers of the same length.
    """
    first = check_array("first", first, "M")
    second = check_array("second", second, len(first))
    if not len(first) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of the ranks of two columns `[M]`, ties sharing their mean rank; NaN where one is constant.

    Raises:
      ValueError: as `pearson`.
    """
    from scipy.stats import rankdata

    first = check_array("first", first, "M")
    second = check_array("second", second, len(first))
    return pearson(rankdata(first), rankdata(second))


def affine_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean squared error after the best scale and shift of `predicted` `[M]`, which may turn it round; NaN of none.

    Raises:
      ValueError: these are no columns of numbers of the same length.
    """
    true = check_array("true", true, "M")
    predicted = check_array("predicted", predicted, len(true))
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
      events: `[M, N]` numbers each, by name.
      rewards: `[M, N]` float, the game's own.
      terminated: `[M]` bool.
      episodes: `[M]` int, numbers of episodes.
      num_draws: vectors of weights, independent standard normal ones, always the same.

    Returns:
      For each agent median and 95 % quantile of the absolute value of each Pearson correlation of `reward_scores`, as
      `<name>_median` and `<name>_q95`; a constant prediction counts as 0, and NaN stands where the truth is constant.

    Raises:
      ValueError: the shapes do not fit, or `num_draws` is below 1.
    """
    check_count("num_draws", num_draws, 1, MOST_DRAWS)
    rewards = check_array("rewards", rewards, "M", "N")
    check_events(events, *rewards.shape)
    is_some = isinstance(names, list | tuple) and len(names) > 0
    require(is_some, "names", names, "a tuple or list of at least one feature")
    weights = np.random.default_rng(0).normal(size=(len(names), num_draws))
    drawn = np.moveaxis(event_columns(names, events), 1, 0) @ weights  # [N, M, draws]
    return [
        {
            f"{name}_{part}": float(np.quantile(np.abs(_correlations(see(values), true)), level))
            for name, (see, true) in sight.pairs().items()
            for part, level in {"median": 0.5, "q95": 0.95}.items()
        }
        for values, sight in zip(drawn, _sights(rewards, terminated, episodes), strict=True)
    ]


def _correlations(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of each column of `[M, D]` with `[M]`; `[D]`, 0 of a constant column, NaN if `true` is constant or empty."""
    chex.assert_rank([predicted, true], [2, 1])
    chex.assert_equal_shape_prefix([predicted, true], 1)
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
      cross_entropy: `[N]` float, mean of -log pi_i(a_i | s), in nats.
      disagreement: `[N]` float64, how often the most likely action differs from the expert's.
      joint_disagreement: how often that is so for at least one agent.
    """

    cross_entropy: np.ndarray
    disagreement: np.ndarray
    joint_disagreement: float


def behavioural_error(log_probs: np.ndarray, actions: np.ndarray) -> BehaviouralError:
    """Compares a policy with experts.

    Args:
      log_probs: `[M, N, A]` float, log-probabilities of all actions in what the experts saw.
      actions: `[M, N]` int, what they did.

    Raises:
      ValueError: the shapes do not fit, or an action is not from 0 to A - 1.
    """
    actions = check_array("actions", actions, "M", "N", is_whole=True)
    log_probs = check_array("log_probs", log_probs, *actions.shape, "A")
    num_actions = log_probs.shape[-1]
    for wrong in actions[(actions < 0) | (actions >= num_actions)][:1]:
        require(False, "actions", int(wrong), f"whole numbers from 0 to {num_actions - 1}")
    taken = np.take_along_axis(log_probs, actions[..., None], axis=-1)[..., 0]
    is_other = log_probs.argmax(-1) != actions
    return BehaviouralError(-taken.mean(0), is_other.mean(0), float(is_other.any(1).mean()))
