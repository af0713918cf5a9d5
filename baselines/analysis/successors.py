"""Recovered rewards as weights of events, read off what follows from each action.

Rewards can be known up to shaping alone, gamma Phi(s') - Phi(s) (Ng et al. 1999). Over all that follows from a step,
shaping adds up to -Phi(s), which is the same whatever the agent did first. So discounted sums of recovered rewards and
of events (successor features, Barreto et al. 2017, arXiv:1606.05312) are compared between actions in the same state: it
takes no features of states and no guess of Phi, as `constrained_regression` does. It takes play instead: every action
of an agent is tried in every state, and everybody goes on as they act. (Klein et al. 2012, "Inverse reinforcement
learning through structured classification", weigh expected events by the actions of experts; here it is by recovered
rewards.)
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines.analysis.events import EventRewards, event_feature
from baselines.playing import Player, play_steps
from baselines.training.imitation import RewardFunction
from jaxdilemmas.environment import require

AT_ONCE = 250
"""States from which is played side by side."""

ENDLESS = 2**30
"""Steps of an episode where its clock shall not end it."""


class Play(NamedTuple):
    """What is played from each state on.

    Attributes:
      player: how all go on; it has no part in the first action of one of them.
      reward_function: whose rewards are summed.
      discount: gamma.
      num_steps: T, after which play is cut; the clock of the game does not end it.
      names: of the F events, see `baselines.analysis.events.event_feature`.
    """

    player: Player
    reward_function: RewardFunction
    discount: float
    num_steps: int
    names: tuple[str, ...]


def successor_rewards(
    play: Play, states: Any, is_tried: np.ndarray, key: jax.Array, num_repetitions: int = 3
) -> EventRewards:
    """The weights of events that explain the recovered rewards of all that follows from actions.

    Args:
      play: what is played.
      states: of the game, leading axis M; best of play in which actions vary.
      is_tried: `[N, A]` bool, the actions of each agent that are compared, at least two: recovered rewards say nothing
        of those that demonstrations never show.
      key: a JAX PRNG key. All actions of an agent in a state have the same luck by design.
      num_repetitions: R, how often each is played.

    Returns:
      Weights `[N, F]`; what they explain is the share of the variance of expected sums, as far as play tells it.

    Raises:
      ValueError: a number or shape is not allowed, or an agent has fewer than two actions.
    """
    num_agents = play.player.env.num_agents
    require(num_repetitions >= 2, "num_repetitions", num_repetitions, "at least 2")
    require(play.num_steps >= 1, "num_steps", play.num_steps, "at least 1")
    is_fit = is_tried.ndim == 2 and len(is_tried) == num_agents and bool((is_tried.sum(1) > 1).all())
    require(is_fit, "is_tried", is_tried.tolist(), f"two actions or more of each of {num_agents} agents")
    fits = []
    for agent, tried in enumerate(is_tried):
        keys = jax.random.split(jax.random.fold_in(key, agent), num_repetitions)
        sums = np.stack([sample_successors(play, states, agent, np.flatnonzero(tried), k) for k in keys])
        fits.append(successor_regression(sums[..., 0], sums[..., 1:]))
    return EventRewards(play.names, np.stack([fit[0] for fit in fits]), np.array([fit[1] for fit in fits]))


def sample_successors(
    play: Play, states: Any, agent: int, actions: Sequence[int] | np.ndarray, key: jax.Array
) -> np.ndarray:
    """Plays on once after each action.

    Args:
      play: what is played.
      states: leading axis M.
      agent: whose first action it is, and whose sums.
      actions: K of its actions.
      key: a JAX PRNG key, used once for each state.

    Returns:
      `[M, K, 1 + F]` float64, discounted sums of recovered rewards and of events.
    """
    follow = partial(_follow, play, agent)
    follow_all = jax.jit(jax.vmap(jax.vmap(follow, (None, 0, None)), (0, None, 0)))
    total = len(jax.tree.leaves(states)[0])
    keys, chosen = jax.random.split(key, total), jnp.asarray(actions)
    parts = []
    for first in range(0, total, AT_ONCE):
        rows = np.arange(first, first + min(AT_ONCE, total)) % total  # the last part is filled with the first rows
        parts.append(np.asarray(follow_all(jax.tree.map(lambda leaf, r=rows: leaf[r], states), chosen, keys[rows])))
    return np.concatenate(parts)[:total].astype(np.float64)


def _follow(play: Play, agent: int, state: Any, action: jax.Array, key: jax.Array) -> jax.Array:
    """The sums `[1 + F]` of one agent after its action in a state."""
    env = play.player.env
    params = env.default_params.replace(max_steps=ENDLESS)
    steps = play_steps(begin_with(play.player, agent, action), key, params, play.num_steps, state)
    rewards = play.reward_function(steps.obs, steps.actions, steps.next_obs, steps.terminated)
    columns = [rewards, *(event_feature(name, steps.info) for name in play.names)]
    discounts = play.discount ** jnp.arange(play.num_steps) * steps.is_played
    return jnp.stack([discounts @ column[:, agent] for column in columns])


def begin_with(player: Player, agent: int, action: jax.Array) -> Player:
    """All play as they do, but one agent's first action is `action`."""

    def act(obs: jax.Array, state: Any, memory: tuple[Any, jax.Array], key: jax.Array) -> tuple[jax.Array, Any]:
        actions, inner = player.act(obs, state, memory[0], key)
        is_given = memory[1] & (jnp.arange(len(actions)) == agent)
        return jnp.where(is_given, action.astype(actions.dtype), actions), (inner, jnp.bool_(False))

    return Player(player.env, act, (player.initial_memory, jnp.bool_(True)))


def successor_regression(rewards: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares of expected sums of rewards on those of events, by their differences between actions of a state.

    The chance in what was played is an error in both, which would pull all weights towards 0. So only products of
    different repetitions are added up, whose errors have nothing to do with each other.

    Args:
      rewards: `[R, M, K]`, sums by repetition, state and action.
      events: `[R, M, K, F]`, likewise.

    Returns:
      Weights `[F]`, and the share of the variance of expected sums of rewards that they explain, NaN where play does
      not tell that variance from 0.

    Raises:
      ValueError: the shapes do not fit, there is one repetition alone, or a number is not finite.
    """
    require(rewards.ndim == 3 and len(rewards) > 1, "rewards", rewards.shape, "[R, M, K], R at least 2")
    is_fit = events.ndim == 4 and events.shape[:3] == rewards.shape
    require(is_fit, "events", events.shape, f"{rewards.shape} and an axis more")
    for name, values in {"rewards": rewards, "events": events}.items():
        for value in values[~np.isfinite(values)][:1]:
            require(False, name, float(value), "all must be finite")
    columns = np.concatenate([events, rewards[..., None]], axis=-1)
    columns = (columns - columns.mean(axis=2, keepdims=True)).reshape(len(columns), -1, columns.shape[-1])
    total = columns.sum(0)
    products = total.T @ total - np.einsum("rmf,rmg->fg", columns, columns)
    weights = np.linalg.lstsq(products[:-1, :-1], products[:-1, -1])[0]
    variance = products[-1, -1]
    return weights, float(weights @ products[:-1, -1] / variance) if variance > 0 else float("nan")
