"""Measures of an imitator: how it plays, how much it differs from the experts, and which rewards it recovered."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from baselines.analysis.rewards.events import EventRewards, event_feature
from baselines.analysis.rewards.recovery import behavioural_error, random_scores, reward_scores
from baselines.analysis.rewards.regression import Recovered, constrained_regression
from baselines.analysis.rewards.state_features import make_state_features
from baselines.analysis.rewards.successors import Play, successor_rewards
from baselines.core.players import Player, play_steps
from baselines.demonstrations import Demonstrations, record
from baselines.demonstrations.records import take
from baselines.studies.mamql.imitators import Imitator

AT_ONCE = 250
"""Episodes played side by side."""

EXPLORATION = 0.5
"""How often an agent acts at random where transitions are explored."""

NUM_STEPS = 8
"""Over which the regression sums demonstrated transitions; chosen once, on the recorded Gems data (docs/mamql.md)."""

Numbers = dict[str, Any]


def play(player: Player, key: jax.Array, num_episodes: int) -> dict[str, np.ndarray]:
    """Plays whole episodes.

    Returns:
      By name: `return` `[E, N]` float32; `length` `[E]` int32; `terminated` `[E]` bool, whether the rule of the game
      ended the episode, before or with the clock. On Gems that is a success; on Intersection it may be a crash.
    """

    def outcome(key: jax.Array) -> dict[str, jax.Array]:
        steps = play_steps(player, key)
        is_played = steps.is_played
        return {
            "return": (steps.rewards * is_played[:, None]).sum(0),
            "length": is_played.sum(),
            "terminated": (steps.terminated & is_played).any(),
        }

    play_many = jax.jit(jax.vmap(outcome))
    size = min(AT_ONCE, num_episodes)
    keys = jax.random.split(key, (-(-num_episodes // size), size))
    parts = [jax.device_get(play_many(some)) for some in keys]
    return {name: np.concatenate([part[name] for part in parts])[:num_episodes] for name in parts[0]}


def summarize_play(outcomes: dict[str, np.ndarray]) -> Numbers:
    """Means over episodes; `return` over agents as well, with its standard error."""
    returns = outcomes["return"]
    per_episode = returns.mean(1)
    return {
        "return": float(per_episode.mean()),
        "return_error": float(per_episode.std(ddof=1) / np.sqrt(len(per_episode))),
        **{f"return_{agent}": float(value) for agent, value in enumerate(returns.mean(0))},
        "terminated": float(outcomes["terminated"].mean()),
        "length": float(outcomes["length"].mean()),
    }


def learning_speed(
    history: dict[str, np.ndarray], expert_return: float, num_updates: int, share: float = 0.9
) -> Numbers:
    """How much an imitator played in training, and how soon it was good.

    Args:
      history: metrics of U updates, with `env_steps` `[U]` and `episode_return` `[U, N]`, NaN where no episode ended.
      expert_return: mean over agents.
      num_updates: the length of a window, see `updates_of_episodes`.
      share: of the expert's return.

    Returns:
      `env_steps`, 0 for those that learn from demonstrations alone; `env_steps_to_90`, the steps at the end of the
      first window of `num_updates` whose mean return is this share of the expert's, NaN if there is none;
      `train_seconds`.
    """
    played = np.asarray(history.get("env_steps", np.zeros(1))).ravel()
    returns = np.asarray(history.get("episode_return", np.full((1, 1), np.nan)))
    means = returns.reshape(len(returns), -1).mean(1)
    ends = range(num_updates, len(means) + 1) if played[-1] > 0 else ()
    windows = ((end, means[end - num_updates : end]) for end in ends)
    reached = [end for end, some in windows if not np.isnan(some).all() and np.nanmean(some) >= share * expert_return]
    return {
        "env_steps": float(played[-1]),
        "env_steps_to_90": float(played[reached[0] - 1]) if reached else float("nan"),
        "train_seconds": float(history.get("seconds", np.nan)),
    }


def updates_of_episodes(config: Any, max_steps: int, num_episodes: int = 100) -> int:
    """After how many updates at least so many episodes have ended, since none is longer than `max_steps`.

    Args:
      config: settings of an imitator; 1 where nothing is played.
      max_steps: of an episode.
      num_episodes: at least.
    """
    if not config.env_steps_per_update:
        return 1
    per_env = -(-num_episodes // config.num_envs)
    return int(-(-per_env * max_steps // config.rollout_steps))


def behaviour(imitator: Imitator, held_out: Demonstrations) -> Numbers:
    """The behavioural error on expert states that the imitator did not learn from; means over agents."""
    error = behavioural_error(imitator.log_probs(held_out.obs), held_out.actions)
    return {
        "cross_entropy": float(error.cross_entropy.mean()),
        "disagreement": float(error.disagreement.mean()),
        "joint_disagreement": error.joint_disagreement,
    }


def explore(imitator: Imitator, shown: np.ndarray, key: jax.Array, num_transitions: int) -> Demonstrations:
    """The imitator plays, but every agent acts at random in some steps.

    Args:
      imitator: who plays.
      shown: `[N, A]` bool, actions that the demonstrations show; only of these random ones are drawn.
      key: a JAX PRNG key, used once.
      num_transitions: at least so many, in whole episodes.
    """
    return record(_explorer(imitator, shown), key, num_transitions)


def _explorer(imitator: Imitator, shown: np.ndarray) -> Player:
    chances = jnp.log(jnp.asarray(shown, jnp.float32))
    return mix_in_random(imitator.player(), chances, jnp.full(len(shown), EXPLORATION, jnp.float32))


def mix_in_random(player: Player, logits: jax.Array, share: jax.Array) -> Player:
    """Agents some of whose actions are random.

    Args:
      player: what they do else.
      logits: `[N, A]`, of random actions.
      share: `[N]`, how often each acts so.
    """

    def act(obs: jax.Array, state: Any, memory: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        key_act, key_which, key_random = jax.random.split(key, 3)
        actions, memory = player.act(obs, state, memory, key_act)
        is_random = jax.random.uniform(key_which, share.shape, jnp.float32) < share
        drawn = jax.random.categorical(key_random, logits).astype(actions.dtype)
        return jnp.where(is_random, drawn, actions), memory

    return Player(player.env, act, player.initial_memory)


def shown_actions(demonstrations: Demonstrations) -> np.ndarray:
    """Which actions each agent takes at least once, `[N, A]` bool."""
    header = demonstrations.header
    numbers = np.arange(header.num_actions)
    return (demonstrations.actions[..., None] == numbers).any(0)


def regress(
    imitator: Imitator, demonstrations: Demonstrations, explored: Demonstrations, events: tuple[str, ...]
) -> EventRewards:
    """`constrained_regression` on explored transitions and as many demonstrated ones, or all if there are fewer.

    Args:
      imitator: whose rewards; its soft values of states, if it has any, are among the features.
      demonstrations: only the first are used, at most as many as there are explored ones.
      explored: see `explore`.
      events: names; all events that the game reports if there are none.
    """
    shown = take(demonstrations, slice(len(explored.obs)))
    parts, describe = (shown, explored), make_state_features(imitator.env)

    def features(obs: np.ndarray) -> np.ndarray:
        return np.concatenate([describe(obs), imitator.state_values(obs)], axis=-1)

    names = events or tuple(explored.events)
    alone = -1 - np.arange(len(explored.obs))  # steps of explored episodes do not go on as the demonstrators would
    recovered = Recovered(
        targets=np.concatenate([imitator.rewards(part) for part in parts]),
        events={name: np.concatenate([part.events[name] for part in parts]) for name in names},
        features=np.concatenate([features(part.obs) for part in parts]),
        next_features=np.concatenate([features(part.next_obs) for part in parts]),
        terminated=np.concatenate([part.terminated for part in parts]),
        episodes=np.concatenate([shown.episodes, alone]),
    )
    return constrained_regression(recovered, imitator.config.discount, NUM_STEPS)


def regress_successors(
    imitator: Imitator, shown: np.ndarray, key: jax.Array, names: tuple[str, ...], num_states: int, repetitions: int
) -> EventRewards:
    """`successor_rewards` of actions that the demonstrations show, each played on for as long as an episode takes.

    Args:
      imitator: whose rewards, and who plays.
      shown: `[N, A]` bool.
      key: a JAX PRNG key, used once.
      names: of events.
      num_states: number of states to start from. They come from `num_states / 8` explored episodes; if those are
        shorter, all their states are used.
      repetitions: how often each action is played.
    """

    def explore_once(key: jax.Array) -> tuple[Any, jax.Array]:
        steps = play_steps(_explorer(imitator, shown), key)
        return steps.states, steps.is_played

    key_explore, key_follow = jax.random.split(key)
    states, is_played = jax.jit(jax.vmap(explore_once))(jax.random.split(key_explore, -(-num_states // 8)))
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(is_played))[:num_states]
    states = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[chosen], states)
    num_steps = int(imitator.env.default_params.max_steps)
    play = Play(imitator.player(), imitator.reward_function, imitator.config.discount, num_steps, names)
    return successor_rewards(play, states, shown, key_follow, repetitions)


Weights = dict[str, dict[str, float]]
"""Weights of events, by a name for them."""


def recovery(
    imitator: Imitator, fits: dict[str, EventRewards], held_out: Demonstrations, fixed: Weights
) -> list[Numbers]:
    """Of each agent how well rewards match the game's own, on steps that were not learnt from.

    Args:
      imitator: whose raw rewards are looked at.
      fits: what they are as weights of the same events, by name.
      held_out: the steps.
      fixed: rewards that nobody recovered, to compare with.

    Returns:
      `reward_scores` with names that begin with raw, the name of the fit, or fixed and the name of the weights,
      `random_scores` of weights at random on the same features, and what each fit explained.
    """
    kinds = {"raw": imitator.rewards(held_out)} | {kind: fit.rewards(held_out.events) for kind, fit in fits.items()}
    for name, weights in fixed.items():
        parts = [weight * event_feature(event, held_out.events) for event, weight in weights.items()]
        kinds[f"fixed_{name}"] = np.sum(parts, axis=0)
    truth = held_out.rewards, held_out.terminated, held_out.episodes
    scores = {kind: reward_scores(rewards, *truth) for kind, rewards in kinds.items()}
    scores["random"] = random_scores(next(iter(fits.values())).names, held_out.events, *truth)
    return [
        {f"{kind}_{name}": value for kind, agents in scores.items() for name, value in agents[agent].items()}
        | {f"{kind}_explained": float(fit.explained[agent]) for kind, fit in fits.items()}
        for agent in range(held_out.rewards.shape[1])
    ]
