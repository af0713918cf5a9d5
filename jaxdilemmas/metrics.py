"""The social outcome metrics of the field, as functions of sums over an episode, one sum for each agent.

`jaxdilemmas.EpisodeStatistics` computes the sums and writes them to info; read them at the step that ends an episode.
Every function takes arrays whose last axis is the agents, with any leading axes. It reduces the last axis and works
under jit and vmap.

With N agents, T steps, rewards r_t^i and returns R_i = sum_t r_t^i the metrics are those of Perolat et al. 2017, "A
multi-agent reinforcement learning model of common-pool resource appropriation" (arXiv:1707.06600), as quoted in public
implementations that follow it; the text of the paper was not at hand. If the paper leaves a case open or differs, the
default is the definition of vicgalle/llm-policies-social-dilemmas @ f5c5b2b (`compute_metrics`), and the other
definition is an option. Published numbers on these maps were computed by this code. There is one exception: if the sum
of the returns is not positive, equality has no value unless all returns are equal.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_choice, check_flag, numbers_from, require

SOCIAL_METRICS = ("efficiency", "equality", "sustainability", "peace")
"""The names of the four metrics; games without tagging have no `peace`."""

Negative = Literal["undefined", "one", "raw", "clip"]
"""The names of the definitions of equality for negative returns."""


def efficiency(returns: jax.Array, lengths: jax.Array, per_step: bool = True) -> jax.Array:
    """The reward that all agents obtain together.

    Args:
      returns: `[..., N]`, R_i.
      lengths: `[..., N]`, T, the same for every agent.
      per_step: if True, U = sum_i R_i / T, a rate; the mean return is U * T / N. If False, the total sum_i R_i, "the
        sum total of all rewards obtained by all agents" (Perolat et al. 2017, see above).

    Returns:
      `[...]` float32; 0 before the first step.

    Raises:
      ValueError: an argument has a wrong type, or the shapes of the two arrays differ.
    """
    check_flag("per_step", per_step)
    returns, lengths = _sums_of_agents(returns=returns, lengths=lengths)
    total = jnp.sum(returns, axis=-1, dtype=jnp.float32)
    return total / _steps(lengths) if per_step else total


def equality(returns: jax.Array, negative: Negative = "undefined") -> jax.Array:
    """One minus the Gini coefficient of the returns: E = 1 - sum_ij |R_i - R_j| / (2 N sum_i R_i).

    E is 1 if all returns are equal and 1 / N if one agent has everything. The Gini coefficient is defined for returns
    that are not negative. With some negative returns the formula can be below 0 without bound. The formula compares
    shares of the total, and a total that is not positive has no shares.

    Args:
      returns: `[..., N]`, R_i.
      negative: the treatment of negative returns. "undefined" (our choice): the formula, but NaN if the total is not
        positive. "one" (vicgalle/llm-policies-social-dilemmas): the formula, but 1 if the total is not positive.
        "clip": negative returns count as 0, so that E is in [0, 1]. "raw" (Perolat et al. 2017): always the formula; a
        negative total gives values above 1, a total of 0 gives minus infinity.

    Returns:
      `[...]` float32. Equal returns give 1, also if all returns are 0.

    Raises:
      ValueError: `negative` is unknown, or `returns` is not such an array.
    """
    check_choice("negative", negative, get_args(Negative))
    returns = _sums_of_agents(returns=returns)[0]
    if negative == "clip":
        returns = jnp.maximum(returns, 0.0)
    total = returns.sum(axis=-1)
    gap = jnp.abs(returns[..., :, None] - returns[..., None, :]).sum(axis=(-2, -1))
    is_one = (total <= 0) if negative == "one" else (gap == 0)
    shares = jnp.where(is_one, 1.0, 1.0 - gap / jnp.where(is_one, 1.0, 2.0 * returns.shape[-1] * total))
    return jnp.where((total <= 0) & ~is_one, jnp.nan, shares) if negative == "undefined" else shares


def sustainability(reward_steps: jax.Array, reward_time: jax.Array, all_agents: bool = False) -> jax.Array:
    """The average time at which rewards are collected: t_i = mean {t : r_t^i > 0}, then the mean over agents.

    Times count from 0, so rewards that are spread evenly over 1,000 steps give about 499.5. A step without a positive
    reward does not count, for example if a cost cancels an apple.

    Args:
      reward_steps: `[..., N]`, number of steps with a positive reward.
      reward_time: `[..., N]`, sum of the times of those steps.
      all_agents: if True, S = (1 / N) sum_i t_i with t_i = 0 for an agent without rewards, as in Perolat et al. 2017.
        If False, the mean over the agents that were rewarded at least once.

    Returns:
      `[...]` float32; 0 if no agent was rewarded.

    Raises:
      ValueError: an argument has a wrong type, or the shapes of the two arrays differ.
    """
    check_flag("all_agents", all_agents)
    reward_steps, reward_time = _sums_of_agents(reward_steps=reward_steps, reward_time=reward_time)
    mean_times = reward_time / jnp.maximum(reward_steps, 1)
    num_rewarded = jnp.sum(reward_steps > 0, axis=-1, dtype=jnp.float32)
    return mean_times.sum(axis=-1) / (mean_times.shape[-1] if all_agents else jnp.maximum(num_rewarded, 1))


def peace(tagged_steps: jax.Array, lengths: jax.Array) -> jax.Array:
    """The average number of agents that are not tagged: P = (N T - sum_i tagged steps of i) / T (Perolat et al. 2017).

    Args:
      tagged_steps: `[..., N]`, number of steps after which the agent was timed out.
      lengths: `[..., N]`, T, the same for every agent.

    Returns:
      `[...]` float32 from 0 (all agents always out) to N (no agent ever tagged); N before the first step.

    Raises:
      ValueError: an argument has a wrong type, or the shapes of the two arrays differ.
    """
    tagged_steps, lengths = _sums_of_agents(tagged_steps=tagged_steps, lengths=lengths)
    return tagged_steps.shape[-1] - tagged_steps.sum(axis=-1) / _steps(lengths)


def restraint(efforts: jax.Array, lengths: jax.Array) -> jax.Array:
    """The share of its effort that each agent holds back: 1 - sum_t e_t / T, with 0 <= e_t <= 1.

    If an agent either takes or waits, this is the fraction of steps in which it waits, as in the tables of
    instadeepai/EGTA-NMARL @ 544b2e0 (`evaluation_metrics.py`). Unlike the other metrics it does not reduce the axis of
    agents.

    Args:
      efforts: `[..., N]`, sum over steps of `info["effort"]`, which games of common pools have.
      lengths: `[..., N]`, T, the same for every agent.

    Returns:
      `[..., N]` float32 from 0 to 1; 0 before the first step.

    Raises:
      ValueError: an argument has a wrong type, or the shapes of the two arrays differ.
    """
    efforts, lengths = _sums_of_agents(efforts=efforts, lengths=lengths)
    return (lengths - efforts) / jnp.maximum(lengths, 1)


def social_metrics(info: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """The four metrics by their default definitions, from the info of `jaxdilemmas.EpisodeStatistics`.

    Args:
      info: `episode_return`, `episode_length`, `episode_reward_steps`, `episode_reward_time` and, for games with
        tagging, `episode_tagged_steps`, each `[..., N]`; other keys are ignored.

    Returns:
      `efficiency`, `equality`, `sustainability` and, for games with tagging, `peace`, each `[...]` float32. Equality is
      NaN where it is not defined.

    Raises:
      ValueError: `info` is not a mapping, does not contain one of these names, or contains arrays of another kind or of
        different shapes.
    """
    require(isinstance(info, Mapping), "info", info, "the info of EpisodeStatistics, arrays by name")
    needed = ("episode_return", "episode_length", "episode_reward_steps", "episode_reward_time")
    missing = [name for name in needed if name not in info]
    require(not missing, "info", sorted(info), f"the info of EpisodeStatistics; {', '.join(missing)} are missing")
    metrics = {
        "efficiency": efficiency(info["episode_return"], info["episode_length"]),
        "equality": equality(info["episode_return"]),
        "sustainability": sustainability(info["episode_reward_steps"], info["episode_reward_time"]),
    }
    if "episode_tagged_steps" in info:
        metrics["peace"] = peace(info["episode_tagged_steps"], info["episode_length"])
    return metrics


def _sums_of_agents(**sums: Any) -> list[jax.Array]:
    """Arrays `[..., N]` float32 of one shape; raises a ValueError that names the first array that is not allowed."""
    shapes = []
    for name, values in sums.items():
        is_array = isinstance(values, jax.Array) or numbers_from(values) is not None
        is_fit = is_array and np.shape(values)[-1:] not in ((), (0,))
        require(is_fit, name, values, "an array of numbers [..., N], the agents on its last axis")
        shapes.append(np.shape(values))
        require(shapes[-1] == shapes[0], f"{name} of shape", shapes[-1], f"that of {next(iter(sums))}, {shapes[0]}")
    return [jnp.asarray(values, jnp.float32) for values in sums.values()]


def _steps(lengths: jax.Array) -> jax.Array:
    """T as a divisor: `[..., N]` -> `[...]` float32, at least 1."""
    return jnp.maximum(lengths[..., 0], 1)
