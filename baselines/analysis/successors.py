"""Recovered rewards as weights of events, read off what follows from each action.

Rewards can be known up to shaping alone, gamma Phi(s') - Phi(s) (Ng et al. 1999). Over all that follows from a step,
shaping adds up to -Phi(s), which is the same whatever the agent did first. So discounted sums of recovered rewards and
of events (successor features, Barreto et al. 2017, arXiv:1606.05312) are compared between actions in the same state.
This needs no features of states and no guess of Phi. It needs play: every action of an agent is tried in every state,
and everybody goes on as they act. (Klein et al. 2012, "Inverse reinforcement
learning through structured classification", weigh expected events by the actions of experts; here it is by recovered
rewards.)

Where play is cut after T steps, gamma^T Phi(s_T) of the games that go on is left of the shaping. So this is for games
that have mostly ended by then, or for gamma^T near 0.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines.analysis.arrays import check_array, require_finite
from baselines.analysis.events import event_feature
from baselines.core.players import Player, check_player, play_steps
from baselines.imitation.imitator import RewardFunction
from jaxdilemmas.arguments import check_count, check_kind, check_number, require
from jaxdilemmas.environment import check_key

AT_ONCE = 250
"""States from which is played side by side."""

ENDLESS = 2**30
"""Steps of an episode where its clock shall not end it."""

LEAST_TOLD = 1e-6
"""The least eigenvalue of the products of events, at unit size, with which play determines the weights of events."""

ROUNDING = 1e-6
"""Differences between actions so small, relative to the largest sums, are those of float32."""


class EventRewards(NamedTuple):
    """Rewards that are a weighted sum of events.

    Attributes:
      names: of the F features, see `baselines.analysis.events.event_feature`.
      weights: `[N, F]` float64, one row for each agent.
      explained: `[N]` float64, the share of the variance of expected sums of rewards that events explain.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    explained: np.ndarray


class Play(NamedTuple):
    """What is played from each state on.

    Attributes:
      player: how all go on; it has no part in the first action of one of them, and begins with its initial memory.
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


def draw_states(player: Player, key: jax.Array, num_episodes: int, num_states: int) -> Any:
    """States of a game that has not ended, leading axis M: drawn from episodes, or all of them if these are fewer.

    Args:
      player: who plays the episodes, best so that actions vary.
      key: a JAX PRNG key, used once.
      num_episodes: that are played.
      num_states: M at most.
    """

    def play(key: jax.Array) -> tuple[Any, jax.Array]:
        steps = play_steps(player, key)
        return steps.states, steps.is_played

    states, is_played = jax.jit(jax.vmap(play))(jax.random.split(key, num_episodes))
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(is_played))[:num_states]
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], states)


Sample = Callable[[Any, int, Sequence[int] | np.ndarray, jax.Array], np.ndarray]


def successor_rewards(
    play: Play, states: Any, is_tried: np.ndarray, key: jax.Array, num_repetitions: int = 3
) -> EventRewards:
    """The weights of events that explain the recovered rewards of all that follows from actions.

    Args:
      play: what is played.
      states: of the game that has not ended, leading axis M; best of play in which actions vary.
      is_tried: `[N, A]` bool, the actions of each agent that are compared, at least two: recovered rewards say nothing
        of those that demonstrations never show.
      key: a JAX PRNG key. All actions of an agent in a state have the same luck by design.
      num_repetitions: R, how often each is played.

    Returns:
      Weights `[N, F]` float64, see `successor_regression`.

    Raises:
      ValueError: a number or shape is not allowed, or an agent has fewer than two actions.
    """
    is_tried = _check(play, states, is_tried)
    check_key(key)
    check_count("num_repetitions", num_repetitions, 2)
    sample, fits = make_sample(play), []
    for agent, tried in enumerate(is_tried):
        keys = jax.random.split(jax.random.fold_in(key, agent), num_repetitions)
        sums = np.stack([sample(states, agent, np.flatnonzero(tried), key) for key in keys])
        fits.append(successor_regression(sums[..., 0], sums[..., 1:]))
    return EventRewards(play.names, np.stack([fit[0] for fit in fits]), np.array([fit[1] for fit in fits]))


def _check(play: Play, states: Any, is_tried: Any) -> np.ndarray:
    """Raises a ValueError if an argument is not allowed; returns `is_tried` as an array."""
    check_kind("play", play, Play, "a Play")
    check_player("player", play.player)
    require(callable(play.reward_function), "reward_function", play.reward_function, "a RewardFunction")
    env = play.player.env
    num_actions = getattr(env.action_space, "n", None)
    require(num_actions is not None, "player", env.action_space, "a game of discrete actions")
    check_count("num_steps", play.num_steps, 1, ENDLESS)
    check_number("discount", play.discount, 1)
    is_some = isinstance(play.names, list | tuple) and len(set(play.names)) == len(play.names) > 0
    require(is_some, "names", play.names, "at least one, each once")
    leaves = jax.tree.leaves(states)
    are_arrays = len(leaves) > 0 and all(hasattr(leaf, "shape") for leaf in leaves)
    require(are_arrays, "states", states, "states of the game with a leading axis")
    sizes = {leaf.shape[:1] for leaf in leaves}
    require(len(sizes) == 1 and sizes.isdisjoint({(), (0,)}), "states", sizes, "one leading axis, at least 1 long")
    is_tried = check_array("is_tried", is_tried, "N", "A", is_whole=True)
    is_fit = is_tried.dtype == bool and is_tried.shape == (env.num_agents, num_actions)
    require(is_fit, "is_tried", (is_tried.dtype, is_tried.shape), f"bool ({env.num_agents}, {num_actions})")
    is_enough = bool((is_tried.sum(1) > 1).all())
    require(is_enough, "is_tried", is_tried.tolist(), "two actions or more of each agent")
    return is_tried


def make_sample(play: Play) -> Sample:
    """Builds what plays on once after each action.

    Returns:
      (states with a leading axis M, the agent whose first action and sums it is, K of its actions, a JAX PRNG key, used
      once for each state) -> `[M, K, 1 + F]` float64, discounted sums of recovered rewards and of events.
    """

    def follow(state: Any, agent: jax.Array, action: jax.Array, key: jax.Array) -> jax.Array:
        env = play.player.env
        params = env.default_params.replace(max_steps=ENDLESS)
        steps = play_steps(begin_with(play.player, agent, action), key, params, play.num_steps, state)
        rewards = play.reward_function(steps.obs, steps.actions, steps.next_obs, steps.terminated)
        columns = [rewards, *(event_feature(name, steps.info) for name in play.names)]
        discounts = play.discount ** jnp.arange(play.num_steps, dtype=jnp.float32) * steps.is_played
        return jnp.stack([discounts @ column[:, agent] for column in columns])

    follow_all = jax.jit(jax.vmap(jax.vmap(follow, (None, None, 0, None)), (0, None, None, 0)))

    def sample(states: Any, agent: int, actions: Sequence[int] | np.ndarray, key: jax.Array) -> np.ndarray:
        total = len(jax.tree.leaves(states)[0])
        keys, chosen = jax.random.split(key, total), jnp.asarray(actions)
        parts = []
        for first in range(0, total, AT_ONCE):
            rows = np.arange(first, first + min(AT_ONCE, total)) % total  # the last part is filled with the first rows
            some = jax.tree.map(lambda leaf, rows=rows: leaf[rows], states)
            parts.append(np.asarray(follow_all(some, jnp.int32(agent), chosen, keys[rows])))
        return np.concatenate(parts)[:total].astype(np.float64)

    return sample


def begin_with(player: Player, agent: jax.Array, action: jax.Array) -> Player:
    """The same player, but the first action of one agent, `[]` int32, is `action`, `[]` int32."""

    def act(obs: jax.Array, state: Any, memory: tuple[Any, jax.Array], key: jax.Array) -> tuple[jax.Array, Any]:
        actions, inner = player.act(obs, state, memory[0], key)
        is_given = memory[1] & (jnp.arange(len(actions), dtype=jnp.int32) == agent)
        return jnp.where(is_given, action.astype(actions.dtype), actions), (inner, jnp.bool_(False))

    return Player(player.env, act, (player.initial_memory, jnp.bool_(True)))


def successor_regression(rewards: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares of expected sums of rewards on those of events, by their differences between actions of a state.

    The chance in what was played is an error in both, which would pull all weights towards 0. So only products of
    different repetitions are added up, whose errors have nothing to do with each other.

    Args:
      rewards: `[R, M, K]` float64, sums by repetition, state and action.
      events: `[R, M, K, F]` float64, sums of events, in the same order.

    Returns:
      Weights `[F]` float64: 0 of events that no action changes, NaN of all others where play is too short of
      repetitions or states to determine them. And the share of the variance of expected sums of rewards that they
      explain, NaN where that variance cannot be distinguished from 0; chance can make it more than 1 or below 0.

    Raises:
      ValueError: the shapes do not fit, there is one repetition alone, or a number is not finite.
    """
    rewards = check_array("rewards", rewards, "R", "M", "K")
    require(len(rewards) > 1, "rewards", rewards.shape, "[R, M, K], R at least 2")
    events = check_array("events", events, *rewards.shape, "F")
    require_finite("rewards", rewards)
    require_finite("events", events)
    columns = _differences(np.concatenate([events, rewards[..., None]], axis=-1))
    sizes = np.linalg.norm(columns, axis=(0, 1))
    is_changed, sizes = sizes > 0, np.where(sizes > 0, sizes, 1)
    total = columns.sum(0)
    products = (total.T @ total - np.einsum("rmf,rmg->fg", columns, columns)) / np.outer(sizes, sizes)
    gram, moments, variance = products[:-1, :-1], products[:-1, -1], products[-1, -1]
    changed = np.flatnonzero(is_changed[:-1])
    weights = np.zeros(len(gram))
    if len(changed):
        told = gram[np.ix_(changed, changed)]
        is_told = np.linalg.eigvalsh(told)[0] > LEAST_TOLD
        weights[changed] = np.linalg.solve(told, moments[changed]) if is_told else np.nan
    explained = float(weights @ moments / variance) if variance > LEAST_TOLD else float("nan")
    return weights * sizes[-1] / sizes[:-1], explained


def _differences(columns: np.ndarray) -> np.ndarray:
    """From the mean over actions, `[R, M, K, C]` -> `[R, M * K, C]`; 0 of what they do not change but for rounding."""
    differences = columns - columns.mean(axis=2, keepdims=True)
    is_rounding = np.abs(differences).max((0, 1, 2)) <= ROUNDING * np.abs(columns).max((0, 1, 2))
    return np.where(is_rounding, 0.0, differences).reshape(len(columns), -1, columns.shape[-1])
