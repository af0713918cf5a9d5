"""Demonstrations: recorded, written, loaded, checked and sampled.

docs/demonstrations.md has the format; `python -m baselines.demonstrate` is the command that records.
"""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from baselines.gems_recording import import_gems
from baselines.playing import Player, check_player, play_steps
from baselines.training.demonstration_files import BLOCK_BYTES, Writer, load, save
from baselines.training.headers import Header, check_header, describe
from baselines.training.packing import pack
from baselines.training.trainer import check_unreset_game
from baselines.training.transitions import (
    ARRAYS,
    Demonstrations,
    check_contents,
    check_demonstrations,
    check_observations,
    ends,
    from_arrays,
    take,
    to_arrays,
)
from jaxdilemmas.arguments import check_flag, check_kind, is_count, is_number, require
from jaxdilemmas.environment import Environment, check_key

__all__ = [
    "Demonstrations",
    "Header",
    "Writer",
    "check_fits",
    "describe",
    "import_gems",
    "load",
    "play_blocks",
    "record",
    "save",
    "split",
    "subsample",
]

MOST_EPISODES_AT_ONCE = 256


def check_fits(demonstrations: Demonstrations, env: Environment, env_id: str | None = None) -> None:
    """Raises a ValueError unless the demonstrations are sound and of this game.

    Args:
      demonstrations: to learn from.
      env: the game.
      env_id: its id; without it the class of the game is compared. Its keyword arguments and params may be others than
        those of the demonstrations, as long as agents, actions and observations are the same.

    Raises:
      ValueError: they are of another game, version, number of agents or actions, or observation, or break a rule of
        `from_arrays`. The message names the file, if there is one, and the field.
    """
    check_demonstrations(demonstrations)
    check_unreset_game(env)
    check_header(demonstrations.header, env, env_id)
    check_contents(demonstrations)
    check_observations(demonstrations, env)


# Parts


def subsample(demonstrations: Demonstrations, num_transitions: int, seed: int = 0) -> Demonstrations:
    """Some of the transitions: whole episodes in random order, the last one cut where the number is reached.

    Chosen transitions stay in the order in which they were recorded and keep the number of their episode. What a seed
    chooses for a smaller number is a part of what it chooses for a larger one.

    Args:
      demonstrations: to choose from.
      num_transitions: how many.
      seed: of the order.

    Raises:
      ValueError: so many are not there, or an argument is of another kind.
    """
    check_demonstrations(demonstrations)
    header = demonstrations.header
    most = header.num_transitions
    is_fit = is_count(num_transitions) and num_transitions <= most
    header.require(is_fit, "num_transitions", num_transitions, f"a whole number from 1 to {most}, which are there")
    require(is_count(seed, 0), "seed", seed, "a whole number of at least 0")
    last = ends(demonstrations)
    first = np.append(0, last[:-1] + 1)
    order = np.random.default_rng(seed).permutation(len(last))
    rows = np.concatenate([np.arange(first[i], last[i] + 1) for i in order])
    return take(demonstrations, np.sort(rows[:num_transitions]))


def split(
    demonstrations: Demonstrations, held_out: float = 0.1, seed: int = 0
) -> tuple[Demonstrations, Demonstrations]:
    """Two parts without a common episode, in recorded order.

    Args:
      demonstrations: of two episodes or more.
      held_out: the fraction of the episodes in the second part, rounded, and at least one.
      seed: of the choice.

    Returns:
      What to learn from, and what to measure on.

    Raises:
      ValueError: `held_out` is not between 0 and 1, a part would be empty, or an argument is of another kind.
    """
    check_demonstrations(demonstrations)
    require(is_number(held_out) and 0 < held_out < 1, "held_out", held_out, "a number above 0 and below 1")
    require(is_count(seed, 0), "seed", seed, "a whole number of at least 0")
    ids = np.unique(demonstrations.episodes)
    num_held_out = max(1, round(held_out * len(ids)))
    is_enough = num_held_out < len(ids)
    demonstrations.header.require(is_enough, "num_episodes", len(ids), f"more than {num_held_out}, to split them")
    chosen = np.random.default_rng(seed).permutation(ids)[:num_held_out]
    is_held_out = np.isin(demonstrations.episodes, chosen)
    return take(demonstrations, ~is_held_out), take(demonstrations, is_held_out)


# Recording


def play_blocks(
    player: Player,
    key: jax.Array,
    header: Header,
    num_transitions: int | None = None,
    num_episodes: int | None = None,
    with_states: bool = False,
) -> Iterator[Demonstrations]:
    """Plays episodes, many side by side, and hands them over block by block.

    Every episode is played to its end, and those that are wanted are the first in the order of their keys, whatever
    their length; so short ones are not preferred.

    Args:
      player: who plays what.
      key: a JAX PRNG key, used once.
      header: what the demonstrations are of; see `describe`.
      num_transitions: whole episodes until there are at least so many.
      num_episodes: or just so many; one of the two numbers.
      with_states: whether states are recorded.

    Returns:
      Demonstrations of whole episodes, which are numbered from 0 through all blocks.

    Raises:
      ValueError: the header is of another game, or not one of the two numbers is given, or not as a whole number of at
        least 1; or an argument is of another kind.
    """
    check_player("player", player)
    check_key(key)
    check_flag("with_states", with_states)
    check_kind("header", header, Header, "a Header, as describe(env) returns it")
    check_header(header, player.env)
    numbers = {"num_transitions": num_transitions, "num_episodes": num_episodes}
    given = {name: number for name, number in numbers.items() if number is not None}
    require(len(given) == 1, "num_episodes", num_episodes, f"either it or num_transitions={num_transitions} is given")
    unit, wanted = given.popitem()
    require(is_count(wanted), unit, wanted, "a whole number of at least 1")
    return _play_blocks(player, key, header, unit, wanted, with_states)


def record(
    player: Player,
    key: jax.Array,
    num_transitions: int | None = None,
    num_episodes: int | None = None,
    with_states: bool = False,
    header: Header | None = None,
) -> Demonstrations:
    """What `play_blocks` plays, in memory; the header is that of a game without a name when left out."""
    check_player("player", player)
    header = describe(player.env) if header is None else header
    blocks = list(play_blocks(player, key, header, num_transitions, num_episodes, with_states))
    parts = [to_arrays(block) for block in blocks]
    return from_arrays(header, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _play_blocks(
    player: Player, key: jax.Array, header: Header, unit: str, wanted: int, with_states: bool
) -> Iterator[Demonstrations]:
    play = partial(_play_arrays, player, with_states)
    shapes, is_played = jax.eval_shape(play, key)
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in shapes.values())
    least = wanted if unit == "num_episodes" else -(-wanted // len(is_played))  # so many are needed at least
    E = min(MOST_EPISODES_AT_ONCE, max(1, BLOCK_BYTES // num_bytes), least)
    play_many = jax.jit(jax.vmap(play))
    first, done = 0, 0
    while done < wanted:
        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(first, first + E, dtype=jnp.int32))
        arrays, is_played = jax.device_get(play_many(keys))
        amounts = is_played.sum(axis=1) if unit == "num_transitions" else np.ones(E, int)
        before = done + np.cumsum(amounts) - amounts
        is_kept = is_played & (before < wanted)[:, None]
        arrays["episodes"] = np.broadcast_to(np.arange(first, first + E, dtype=np.int32)[:, None], is_played.shape)
        yield from_arrays(header, {name: array[is_kept] for name, array in arrays.items()})
        first, done = first + E, done + int(amounts.sum())


def _play_arrays(player: Player, with_states: bool, key: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
    """An episode as arrays `[T, ...]` by name, without the number of the episode; and which steps were played."""
    steps = play_steps(player, key)
    arrays = {name: getattr(steps, name) for name in ARRAYS if name != "episodes"}
    arrays |= {f"events.{name}": values.astype(jnp.float32) for name, values in steps.info.items()}
    if with_states:
        arrays |= {f"states.{name}": values for name, values in pack(steps.states).items()}
    return arrays, steps.is_played
