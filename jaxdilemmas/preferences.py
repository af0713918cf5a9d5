"""Preferences of agents, which `jaxdilemmas.TransformRewards` applies around any game.

A preference turns the game's own rewards r `[N]` into the rewards u `[N]` that agents learn from. A preference may
carry state within an episode; each episode starts with a new carry. A setting is one number for all agents or one
number for each agent, `[]` or `[N]`. In a matrix row i contains the preferences of agent i. A single agent cannot
compare itself with others.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxdilemmas.arguments import check_num_agents, numbers_from, require


class Preference(NamedTuple):
    """A rule for the rewards that agents learn from.

    Attributes:
      init: num_agents -> carry at the start of an episode, any pytree of arrays; raises a ValueError if the preference
        does not fit that number of agents.
      apply: (carry, rewards `[N]` float32) -> (carry, rewards `[N]` float32).
    """

    init: Callable[[int], Any]
    apply: Callable[[Any, jax.Array], tuple[Any, jax.Array]]


def individual() -> Preference:
    """Each agent cares about its own reward: rewards do not change."""
    return _linear(np.eye)


def common() -> Preference:
    """Each agent cares about the group: every agent receives the sum of all rewards."""
    return _linear(lambda num_agents: np.ones((num_agents, num_agents)))


def neighbour_weighted(graph: ArrayLike, alpha: ArrayLike) -> Preference:
    """Each agent cares about itself and its neighbours: u_i = r_i + alpha_i * sum_j graph_ij r_j.

    Args:
      graph: `[N, N]`, finite and at least 0, with a diagonal of 0: how much agent i cares about agent j. It need not be
        symmetric.
      alpha: `[]` or `[N]`, finite, at least 0: the weight of the neighbours' rewards; an agent's own reward has weight
        1.

    Raises:
      ValueError: `graph` or `alpha` has a wrong shape or value. `init` raises it if they do not fit the number of
        agents.
    """
    neighbours, strength = _square("graph", graph), _per_agent("alpha", alpha, low=0)
    require(bool((neighbours >= 0).all()), "graph", graph, "weights of at least 0; `mixing` accepts negative weights")
    require(not neighbours.diagonal().any(), "graph", graph, "0 on the diagonal: no agent is its own neighbour")

    def weights_for(num_agents: int) -> np.ndarray:
        _check_fit(num_agents, graph=neighbours, alpha=strength)
        return np.eye(num_agents) + strength[..., None] * neighbours

    return _linear(weights_for)


def mixing(matrix: ArrayLike) -> Preference:
    """Each agent cares about a linear combination of all rewards: u = W r.

    Args:
      matrix: W `[N, N]`, finite. W_ij is the gain of agent i from a reward of 1 to agent j; a negative W_ij is spite.

    Raises:
      ValueError: `matrix` is not a square matrix of finite numbers. `init` raises it if it does not fit the number of
        agents.
    """
    weights = _square("matrix", matrix)

    def weights_for(num_agents: int) -> np.ndarray:
        _check_fit(num_agents, matrix=weights)
        return weights

    return _linear(weights_for)


def social_value_orientation(*, angle: ArrayLike, weight: ArrayLike) -> Preference:
    """Each agent wants a certain balance between its own reward and the rewards of the others.

    Let m_i be the mean reward of the others. The reward angle is the direction of the point (r_i, m_i): 0 degrees if
    only agent i is rewarded, 45 degrees if all have the same reward, 90 degrees if only the others are rewarded. u_i =
    r_i - weight * d_i, where d_i is the distance between the reward angle and `angle` in radians, at most pi. If r_i =
    m_i = 0 there is no reward angle and no cost. A single agent has no cost either.

    Source: McKee et al. 2020, "Social diversity and social preferences in mixed-motive reinforcement learning"
    (arXiv:2002.02325), as quoted in public implementations; the text of the paper was not at hand. Steps without
    rewards, angles beyond [0, 90] and radians as the unit of the cost are our choice.

    Args:
      angle: `[]` or `[N]`, degrees from -180 to 180: 0 selfish, 45 prosocial, 90 altruistic, below 0 competitive.
      weight: `[]` or `[N]`, finite, at least 0: the cost in a step of one radian between the two angles.

    Raises:
      ValueError: `angle` or `weight` has a wrong shape or value. `init` raises it if they do not fit the number of
        agents.
    """
    settings = {"angle": _per_agent("angle", angle, low=-180, high=180), "weight": _per_agent("weight", weight, low=0)}
    target = np.deg2rad(settings["angle"])

    def init(num_agents: int) -> tuple[()]:
        _check_fit(num_agents, **settings)
        return ()

    def apply(carry: tuple[()], rewards: jax.Array) -> tuple[tuple[()], jax.Array]:
        _check_rewards(rewards)
        num_agents = len(rewards)
        others = _mix(1 - np.eye(num_agents), rewards) / max(num_agents - 1, 1)
        has_angle = ((rewards != 0) | (others != 0)) & (num_agents > 1)
        gap = jnp.abs(jnp.arctan2(others, rewards) - target)
        distance = jnp.where(has_angle, jnp.minimum(gap, 2 * np.pi - gap), 0.0)
        return carry, rewards - settings["weight"] * distance

    return Preference(init, apply)


def inequity_averse(
    *, envy: ArrayLike = 5.0, guilt: ArrayLike = 0.05, decay: ArrayLike = 0.975, discount: ArrayLike = 0.99
) -> Preference:
    """Each agent has a cost if others have recently received more (envy) or less (guilt) than itself.

    Each agent has a trace e_i of its rewards, 0 at the start of an episode: e_i <- discount * decay * e_i + r_i. Then
    u_i = r_i - envy / (N - 1) * sum_j max(e_j - e_i, 0) - guilt / (N - 1) * sum_j max(e_i - e_j, 0). Both terms are
    costs. r_i is the reward of the step, not the trace.

    Source: Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social dilemmas"
    (arXiv:1803.08884); alpha there is envy, beta guilt, lambda decay and gamma discount. The text of the paper was not
    at hand: the rule and the defaults are those quoted in public implementations and are unchecked. These quote agents
    with either envy or guilt, the other being 0. They also quote agents that see the traces; our agents do not see
    them.

    Args:
      envy: `[]` or `[N]`, finite, at least 0.
      guilt: `[]` or `[N]`, finite, at least 0.
      decay: `[]` or `[N]`, from 0 to 1.
      discount: `[]` or `[N]`, from 0 to 1.

    Raises:
      ValueError: a setting has a wrong shape or value. `init` raises it if a setting does not fit the number of agents.
    """
    costs = {"envy": _per_agent("envy", envy, low=0), "guilt": _per_agent("guilt", guilt, low=0)}
    rates = {"decay": _per_agent("decay", decay, 0, 1), "discount": _per_agent("discount", discount, 0, 1)}

    def init(num_agents: int) -> jax.Array:
        _check_fit(num_agents, **costs, **rates)
        return jnp.zeros(num_agents, jnp.float32)

    def apply(traces: jax.Array, rewards: jax.Array) -> tuple[jax.Array, jax.Array]:
        _check_rewards(rewards)
        traces = rates["discount"] * rates["decay"] * traces + rewards
        lead = traces[None, :] - traces[:, None]  # row i: the lead of each other agent over agent i
        behind, ahead = jnp.maximum(lead, 0).sum(axis=-1), jnp.maximum(-lead, 0).sum(axis=-1)
        return traces, rewards - (costs["envy"] * behind + costs["guilt"] * ahead) / max(len(rewards) - 1, 1)

    return Preference(init, apply)


def _linear(weights_for: Callable[[int], np.ndarray]) -> Preference:
    """The rule u = W r, without a carry; `weights_for` returns W `[N, N]` for N agents."""

    def init(num_agents: int) -> tuple[()]:
        check_num_agents(num_agents)
        weights_for(num_agents)
        return ()

    def apply(carry: tuple[()], rewards: jax.Array) -> tuple[tuple[()], jax.Array]:
        _check_rewards(rewards)
        return carry, _mix(weights_for(len(rewards)), rewards)

    return Preference(init, apply)


def _check_rewards(rewards: Any) -> None:
    """Raises a ValueError unless `rewards` is an array with one float for each agent."""
    is_array = isinstance(rewards, jax.Array | np.ndarray) and rewards.ndim == 1 and rewards.dtype.kind == "f"
    require(is_array, "rewards", rewards, "an array [N] of floats, one for each agent")


def _mix(weights: np.ndarray, rewards: jax.Array) -> jax.Array:
    """W r, `[N]`. This is a sum and no matrix product, because some devices round matrix products to fewer digits."""
    return jnp.sum(jnp.asarray(weights, rewards.dtype) * rewards[None], axis=-1)


def _floats(value: ArrayLike) -> np.ndarray:
    """`value` as float32: NaN if it contains no numbers, and infinite if it is beyond float32."""
    numbers = None if isinstance(value, bool) else numbers_from(value)
    with np.errstate(over="ignore"):
        return np.array(np.nan if numbers is None else numbers, np.float32)


def _square(argument: str, value: ArrayLike) -> np.ndarray:
    """`value` as a square float32 matrix of finite numbers; raises a ValueError for any other value."""
    numbers = _floats(value)
    is_square = numbers.ndim == 2 and numbers.shape[0] == numbers.shape[1]
    require(is_square and bool(np.isfinite(numbers).all()), argument, value, "a square matrix of finite numbers")
    return numbers


def _per_agent(argument: str, value: ArrayLike, low: float, high: float = np.inf) -> np.ndarray:
    """`value` as float32 `[]` or `[N]`, finite and from `low` to `high`; raises a ValueError for any other value.

    Of an array that is traced inside jit only the shape is checked.
    """
    if isinstance(value, jax.core.Tracer) and value.ndim < 2 and value.dtype == jnp.float32:
        return value  # type: ignore[return-value]
    numbers = _floats(value)
    is_allowed = numbers.ndim < 2 and np.all(np.isfinite(numbers) & (low <= numbers) & (numbers <= high))
    span = f"at least {low}" if high == np.inf else f"from {low} to {high}"
    require(bool(is_allowed), argument, value, f"a finite number, {span}, or one for each agent")
    return numbers


def _check_fit(num_agents: int, **settings: np.ndarray) -> None:
    """Raises a ValueError that names the first setting that is neither one number nor one number for each agent."""
    check_num_agents(num_agents)
    for argument, numbers in settings.items():
        fits = set(numbers.shape) <= {num_agents}
        require(fits, f"{argument} of shape", numbers.shape, f"each axis has one entry per agent, {num_agents}")
