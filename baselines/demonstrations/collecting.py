"""Episodes that players play, collected as demonstrations."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from baselines.core.players import Player, check_player, play_steps
from baselines.demonstrations.files import BLOCK_BYTES
from baselines.demonstrations.headers import Header, check_header, describe
from baselines.demonstrations.records import ARRAYS, OBSERVED, Demonstrations, from_arrays, split_observed, to_arrays
from baselines.disk.packing import pack
from jaxdilemmas.arguments import check_flag, check_kind, is_count, require
from jaxdilemmas.environment import check_key

MOST_EPISODES_AT_ONCE = 256


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
      num_transitions: whole episodes are played until there are at least this many transitions.
      num_episodes: exactly this many episodes; one of the two numbers is given.
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
    least = wanted if unit == "num_episodes" else -(-wanted // len(is_played))  # the least number of episodes
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
    arrays = {name: getattr(steps, name) for name in ARRAYS if name not in (*OBSERVED, "episodes")}
    arrays |= split_observed("obs", steps.obs) | split_observed("next_obs", steps.next_obs)
    arrays |= {f"events.{name}": values.astype(jnp.float32) for name, values in steps.info.items()}
    if with_states:
        arrays |= {f"states.{name}": values for name, values in pack(steps.states).items()}
    return arrays, steps.is_played
