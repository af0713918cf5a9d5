"""What agents care about, applied around any game by `jaxdilemmas.TransformRewards`.

A preference turns the game's own rewards r `[N]` into the rewards u `[N]` that agents learn from. It may carry state
within an episode; the carry starts afresh with each episode. Settings are one number for all agents or one for each,
`[]` or `[N]`; in a matrix row i says what agent i cares about. An agent alone has nobody to compare itself with.
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
    """Each agent cares about its own reward: rewards pass unchanged."""
    return _linear(np.eye)


def common() -> Preference:
    """Each agent cares about the group: every agent receives the sum of all rewards."""
    return _linear(lambda num_agents: np.ones((num_agents, num_agents)))


def neighbour_weighted(graph: ArrayLike, alpha: ArrayLike) -> Preference:
    """Each agent cares about itself and its neighbours: u_i = r_i + alpha_i * sum_j graph_ij r_j.

    Args:
      graph: `[N, N]`, finite and at least 0, the diagonal 0: how much agent i minds agent j. It need not be symmetric.
      alpha: finite, at least 0: how much neighbours count beside oneself.

    Raises:
      ValueError: `graph` or `alpha` is not of that kind; from `init`, it does not fit the number of agents.
    """
    neighbours, strength = _square("graph", graph), _per_agent("alpha", alpha, low=0)
    require(bool((neighbours >= 0).all()), "graph", graph, "weights of at least 0; `mixing` takes negative ones")
    require(not neighbours.diagonal().any(), "graph", graph, "0 on the diagonal: nobody is its own neighbour")

    def weights_for(num_agents: int) -> np.ndarray:
        _check_fit(num_agents, graph=neighbours, alpha=strength)
        return np.eye(num_agents) + strength[..., None] * neighbours

    return _linear(weights_for)


def mixing(matrix: ArrayLike) -> Preference:
    """Any linear preference: u = W r.

    Args:
      matrix: W `[N, N]`, finite. W_ij is what agent i gains from a reward of 1 to agent j; negative is spite.

    Raises:
      ValueError: `matrix` is not of that kind; from `init`, it does not fit the number of agents.
    """
    weights = _square("matrix", matrix)

    def weights_for(num_agents: int) -> np.ndarray:
        _check_fit(num_agents, matrix=weights)
        return weights

    return _linear(weights_for)


def social_value_orientation(*, angle: ArrayLike, weight: ArrayLike) -> Preference:
    """Each agent wants a certain balance between its own reward and that of the others.

    With m_i the mean reward of the others, the reward angle is the direction of the point (r_i, m_i): 0 degrees if only
    agent i is rewarded, 45 if all are alike, 90 if only the others are. u_i = r_i - weight * d_i, where d_i is the way
    from the reward angle to `angle` in radians, the shorter way round. Where r_i = m_i = 0 there is no reward angle and
    no cost, nor has an agent alone one.

    Source: McKee et al. 2020, "Social diversity and social preferences in mixed-motive reinforcement learning"
    (arXiv:2002.02325), as quoted in public implementations; the text of the paper was not at hand. Steps without
    rewards, angles beyond [0, 90] and radians as the unit of the cost are our choice.

    Args:
      angle: degrees from -180 to 180: 0 selfish, 45 prosocial, 90 altruistic, below 0 competitive.
      weight: finite, at least 0: the cost of a radian between the two angles in a step.

    Raises:
      ValueError: `angle` or `weight` is not of that kind; from `init`, it does not fit the number of agents.
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
    """Each agent minds that others fare better (envy) or worse (guilt) than itself of late.

    Traces of the rewards, 0 at the start of an episode, say how agents fare: e_i <- discount * decay * e_i + r_i. Then
    u_i = r_i - envy / (N - 1) * sum_j max(e_j - e_i, 0) - guilt / (N - 1) * sum_j max(e_i - e_j, 0): both are costs,
    and r_i is the reward of the step, not the trace.

    Source: Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social dilemmas"
    (arXiv:1803.08884), alpha there is envy, beta guilt, lambda decay and gamma discount. The text of the paper was not
    at hand: the rule and the defaults are those quoted in public implementations and are unchecked. These quote agents
    with either envy or guilt, the other being 0; and agents that see the traces, which ours do not.

    Args:
      envy: `[]`, finite, at least 0.
      guilt: `[]`, finite, at least 0.
      decay: `[]`, from 0 to 1.
      discount: `[]`, from 0 to 1.

    Raises:
      ValueError: a setting is not of that kind; from `init`, it does not fit the number of agents.
    """
    costs = {"envy": _per_agent("envy", envy, low=0), "guilt": _per_agent("guilt", guilt, low=0)}
    rates = {"decay": _per_agent("decay", decay, 0, 1), "discount": _per_agent("discount", discount, 0, 1)}

    def init(num_agents: int) -> jax.Array:
        _check_fit(num_agents, **costs, **rates)
        return jnp.zeros(num_agents, jnp.float32)

    def apply(traces: jax.Array, rewards: jax.Array) -> tuple[jax.Array, jax.Array]:
        _check_rewards(rewards)
        traces = rates["discount"] * rates["decay"] * traces + rewards
        lead = traces[None, :] - traces[:, None]  # row i: by how much each other agent is ahead of agent i
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
    """Raises a ValueError unless `rewards` is an array with a number for each agent."""
    is_array = isinstance(rewards, jax.Array | np.ndarray) and rewards.ndim == 1 and rewards.dtype.kind == "f"
    require(is_array, "rewards", rewards, "an array [N] of floats, one for each agent")


def _mix(weights: np.ndarray, rewards: jax.Array) -> jax.Array:
    """W r, `[N]`; not a matrix product, which some devices round to fewer digits."""
    return jnp.sum(jnp.asarray(weights, rewards.dtype) * rewards[None], axis=-1)


def _floats(value: ArrayLike) -> np.ndarray:
    """`value` as float32; not a number where it has none, and infinite where it is beyond float32."""
    numbers = None if isinstance(value, bool) else numbers_from(value)
    with np.errstate(over="ignore"):
        return np.array(np.nan if numbers is None else numbers, np.float32)


def _square(argument: str, value: ArrayLike) -> np.ndarray:
    """`value` as a square float32 matrix of finite numbers, or a ValueError."""
    numbers = _floats(value)
    is_square = numbers.ndim == 2 and numbers.shape[0] == numbers.shape[1]
    require(is_square and bool(np.isfinite(numbers).all()), argument, value, "a square matrix of finite numbers")
    return numbers


def _per_agent(argument: str, value: ArrayLike, low: float, high: float = np.inf) -> np.ndarray:
    """`value` as float32 `[]` or `[N]`, each number finite and from `low` to `high`, or a ValueError."""
    numbers = _floats(value)
    is_allowed = numbers.ndim < 2 and np.all(np.isfinite(numbers) & (low <= numbers) & (numbers <= high))
    span = f"at least {low}" if high == np.inf else f"from {low} to {high}"
    require(bool(is_allowed), argument, value, f"a finite number, {span}, or one for each agent")
    return numbers


def _check_fit(num_agents: int, **settings: np.ndarray) -> None:
    """Raises a ValueError that names the first setting that is neither one number nor has one entry for each agent."""
    check_num_agents(num_agents)
    for argument, numbers in settings.items():
        fits = set(numbers.shape) <= {num_agents}
        require(fits, f"{argument} of shape", numbers.shape, f"each axis has one entry per agent, {num_agents}")
