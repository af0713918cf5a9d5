"""Who plays a game and what comes of it: trained runs, scripted policies and teams of both, episode by episode."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from baselines.core import trainer
from baselines.core.reported import event_sums
from baselines.core.trainer import check_unreset_game
from baselines.disk.schema import MOST_EPISODES
from jaxdilemmas.arguments import check_count, check_kind, require
from jaxdilemmas.environment import Environment, Policy, check_key
from jaxdilemmas.metrics import restraint, social_metrics
from jaxdilemmas.wrappers import EpisodeStatistics

MOST_BYTES = 2**31
"""Memory for what is kept of an episode."""

Act = Callable[[jax.Array, Any, Any, jax.Array], tuple[jax.Array, Any]]
"""(obs `[N, ...]`, state of the game, memory, key) -> (actions `[N]`, memory)."""


class Player(NamedTuple):
    """Who plays a game.

    Attributes:
      env: the game, without wrappers.
      act: what all agents do.
      initial_memory: at the start of an episode.
    """

    env: Environment
    act: Act
    initial_memory: Any


def check_player(argument: str, player: Any) -> None:
    """Raises a ValueError unless this is a `Player` of a game that does not reset itself."""
    check_kind(argument, player, Player, "a Player, as baselines.trained.load.find_player returns it")
    check_unreset_game(player.env)


def check_memory(env: Environment, kept: Any) -> None:
    """Raises a ValueError if an episode is too long to be kept in memory.

    Args:
      env: the game.
      kept: what is kept of one step, arrays or their shapes.
    """
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))
    num_steps, most = int(env.default_params.max_steps), MOST_BYTES // max(num_bytes, 1)
    require(num_steps <= most, "max_steps", num_steps, f"at most {most:,} fit into memory, {num_bytes:,} bytes a step")


class Episode(NamedTuple):
    """An episode step by step, leading axis T = the most steps it can take.

    Attributes:
      obs: `[T, N, ...]`, observations that agents acted on.
      states: of the game, in which they acted.
      actions: `[T, N]`.
      rewards: `[T, N]` float32, the game's own.
      next_obs: `[T, N, ...]`, observations after the step.
      next_states: of the game after the step.
      terminated: `[T]` bool, the game ended.
      truncated: `[T]` bool, the clock ended it.
      info: a dict of `[T, N]` arrays.
      is_played: `[T]` bool, False after the episode ended.
    """

    obs: jax.Array
    states: Any
    actions: jax.Array
    rewards: jax.Array
    next_obs: jax.Array
    next_states: Any
    terminated: jax.Array
    truncated: jax.Array
    info: dict[str, jax.Array]
    is_played: jax.Array


def trained_player(env: Environment, policy: trainer.Policy, network_params: Any) -> Player:
    """Agents that act by a trained policy.

    Raises:
      ValueError: `env` is no game, or resets itself, or `policy` is of another kind.
    """
    check_unreset_game(env)
    check_kind("policy", policy, trainer.Policy, "a Policy, as ippo.make_policy(config, env) returns it")

    def act(obs: jax.Array, state: Any, memory: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del state
        return policy.act(network_params, obs, memory, key)

    return Player(env, act, policy.initial_memory)


def scripted_player(env: Environment, policy: Policy) -> Player:
    """Agents that all follow a policy without memory.

    Raises:
      ValueError: `env` is no game, or resets itself, or `policy` is no function.
    """
    check_unreset_game(env)
    require(
        callable(policy), "policy", policy, "a function policy(key, state), as jaxdilemmas.policies.scripted returns"
    )
    return Player(env, lambda obs, state, memory, key: (policy(key, state), memory), None)


def make_team(first: Player, second: Player, is_first: jax.Array | np.ndarray) -> Player:
    """Agents of whom some follow one player and some another.

    Both act for all agents, each with a memory and a key of its own, on what they see; every agent takes the action of
    the player that it follows.

    Args:
      first: plays the same game as `second`.
      second: plays the same game as `first`.
      is_first: `[N]` bool, who follows `first`.

    Raises:
      ValueError: a player is none, they play different games, or `is_first` is of another kind.
    """
    check_player("first", first)
    check_player("second", second)
    names = [type(player.env).__name__ for player in (first, second)]
    require(names[0] == names[1], "second", names[1], f"a player of {names[0]}, as first")
    needed = (first.env.num_agents,), np.dtype(bool)
    found = getattr(is_first, "shape", None), getattr(is_first, "dtype", None)
    require(found == needed, "is_first", is_first if None in found else found, f"an array of shape and dtype {needed}")

    def act(obs: jax.Array, state: Any, memory: tuple[Any, Any], key: jax.Array) -> tuple[jax.Array, tuple[Any, Any]]:
        key_first, key_second = jax.random.split(key)
        actions, memory_first = first.act(obs, state, memory[0], key_first)
        others, memory_second = second.act(obs, state, memory[1], key_second)
        is_chosen = is_first.reshape(-1, *[1] * (actions.ndim - 1))
        return jnp.where(is_chosen, actions, others), (memory_first, memory_second)

    return Player(first.env, act, (first.initial_memory, second.initial_memory))


def seat(players: Sequence[Player]) -> Player:
    """One player for all agents, or the team in which each agent follows a player of its own; see `make_team`.

    Args:
      players: one, or one for each agent, in the order of the agents.

    Raises:
      ValueError: there are none, or more than one but not as many as agents, or as `make_team`.
    """
    is_list = isinstance(players, list | tuple) and not isinstance(players, Player) and len(players) > 0
    is_list = is_list and all(isinstance(player, Player) for player in players)
    require(is_list, "players", players, "a list of at least one Player")
    num_agents = players[0].env.num_agents
    allowed = f"one player, or one for each of {num_agents} agents"
    require(len(players) in (1, num_agents), "players", len(players), allowed)
    team = players[0]
    for agent, player in enumerate(players[1:], 1):
        team = make_team(team, player, np.arange(num_agents) < agent)
    return team


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


def play_steps(
    player: Player, key: jax.Array, params: Any = None, num_steps: int | None = None, state: Any = None
) -> Episode:
    """Plays one episode and keeps all of it.

    Args:
      player: who plays what.
      key: a JAX PRNG key, used once.
      params: numbers in the rules; the game's default when left out.
      num_steps: T; as many as an episode of the default length has when left out.
      state: of the game, to go on from; a new episode when left out.

    Raises:
      ValueError: `player` is no `Player`, `key` no key, or `num_steps` no whole number of at least 1.
    """
    check_player("player", player)
    check_key(key)
    if num_steps is not None:
        check_count("num_steps", num_steps)
    env = player.env
    params = env.default_params if params is None else params
    num_steps = int(env.default_params.max_steps) if num_steps is None else num_steps
    key, key_reset = jax.random.split(key)
    obs, state = env.reset(key_reset, params) if state is None else (env.observe(state, params), state)

    def step(carry: tuple[Any, ...], key: jax.Array) -> tuple[tuple[Any, ...], Episode]:
        obs, state, memory, is_playing = carry
        key_act, key_step = jax.random.split(key)
        actions, memory = player.act(obs, state, memory, key_act)
        next_obs, next_state, rewards, terminated, truncated, info = env.step(key_step, state, actions, params)
        happened = Episode(obs, state, actions, rewards, next_obs, next_state, terminated, truncated, info, is_playing)
        return (next_obs, next_state, memory, is_playing & ~(terminated | truncated)), happened

    start = (obs, state, player.initial_memory, jnp.bool_(True))
    return jax.lax.scan(step, start, jax.random.split(key, num_steps))[1]


def play_episode(player: Player, key: jax.Array, params: Any = None, num_steps: int | None = None) -> Episode:
    """As `play_steps`, with the sums of `EpisodeStatistics` in info."""
    check_player("player", player)

    def act(obs: jax.Array, state: Any, memory: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        return player.act(obs, state.env_state, memory, key)

    steps = play_steps(Player(EpisodeStatistics(player.env), act, player.initial_memory), key, params, num_steps)
    return steps._replace(states=steps.states.env_state, next_states=steps.next_states.env_state)


def episode_outcome(episode: Episode) -> dict[str, jax.Array]:
    """Numbers of an episode, `[N]`: `return`, sums of events, `restraint`, `tagged_steps`; and social metrics `[]`.

    Events are those of `reported.EVENTS` that a game has in info.

    Raises:
      ValueError: this is no `Episode`.
    """
    check_kind("episode", episode, Episode, "an Episode, as play_episode(...) returns it")
    last = episode.is_played.sum() - 1
    info = {name: values[last] for name, values in episode.info.items()}
    outcome = {"return": info["episode_return"], "collective_return": info["episode_return"].sum()}
    outcome |= event_sums(episode.info, episode.is_played)
    if "effort" in episode.info:
        efforts = (episode.info["effort"] * episode.is_played[:, None]).sum(0)
        outcome["restraint"] = restraint(efforts, info["episode_length"])
    if "episode_tagged_steps" in info:
        outcome["tagged_steps"] = info["episode_tagged_steps"]
    return outcome | social_metrics(info)


def play_many(player: Player, key: jax.Array, num_episodes: int) -> dict[str, np.ndarray]:
    """Outcomes of many episodes, `[E, N]` or `[E]` each; see `episode_outcome`.

    Args:
      player: who plays what.
      key: a JAX PRNG key, used once.
      num_episodes: E, played side by side.

    Raises:
      ValueError: `player` is no `Player`, `key` no key, or E not from 1 to `MOST_EPISODES`.
    """
    check_player("player", player)
    check_key(key)
    check_count("num_episodes", num_episodes, 1, MOST_EPISODES)

    def outcome(key: jax.Array) -> dict[str, jax.Array]:
        return episode_outcome(play_episode(player, key))

    with jax.debug_nans(False):  # what is not defined is NaN by design
        return jax.device_get(jax.jit(jax.vmap(outcome))(jax.random.split(key, num_episodes)))


def summarize(outcomes: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Statistics over episodes of each outcome, per agent where it has an agent axis.

    Returns:
      By outcome: `mean` and `standard_error` over the episodes in which it is defined, None where these are too few;
      `undefined`, the number of the others, if there are any.

    Raises:
      ValueError: these are no arrays by name.
    """
    check_kind("outcomes", outcomes, dict, "arrays by name, as play_many(...) returns them")
    return {name: _summary(np.ma.masked_where(np.isnan(values), values)) for name, values in outcomes.items()}


def _summary(values: np.ma.MaskedArray) -> dict[str, Any]:
    """As `summarize`, of `[E]` or `[E, N]`, masked where it is not defined."""
    counts = values.count(0)
    summary = {
        "mean": values.mean(0).tolist(),
        "standard_error": (values.std(0, ddof=1) / np.sqrt(np.maximum(counts, 1))).tolist(),
    }
    missing = len(values) - counts
    return summary | ({"undefined": missing.tolist()} if missing.any() else {})
