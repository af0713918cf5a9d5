"""The mushrooms of `externality_mushrooms`: the board, who eats them, who is rewarded, and what their spores grow.

Source: google-deepmind/meltingpot @ 81ee2e7, `externality_mushrooms`, and its recordings. A kind of mushroom is a
number from 1 on, in the order of `KINDS`; 0 is none. Agents, mushrooms and words of packed bits are on the first axis.
Arrays may have extra axes behind the named ones; these axes are the same for all arguments.
"""

from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import MOST_COUNT, is_count, is_number, numbers_from, require
from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.environment import check_numbers
from jaxdilemmas.grid import items
from jaxdilemmas.grid.bits import WORD_BITS, count_bits, mark_bits, nth_set_bit
from jaxdilemmas.grid.geometry import count_others, with_trailing_axes
from jaxdilemmas.grid.maps import Board, parse_map, read_board

KINDS = ("red", "green", "blue", "orange")
RED, GREEN, BLUE, ORANGE = range(1, 5)

MOST_SPORES = 3
"""The most spores that a mushroom releases."""

NOWHERE = -1
"""The cell of a mushroom that does not grow; among packed bits it has none."""

MAPS = {
    "default": """
WWWWWWWWWWWWWWWWWWWWWWW
WWWWWWWWWWWWWWWWWWWWWWW
WPPPPPPPPPPPPPPPPPPPPPW
WPRPPPPPPPPPPPPPGPPPPPW
WPPPPPPPPRPPPPPPPPPPPPW
WPPPPPPPPPPPPPPPPPPPPPW
WPPPPPPPPPPPGPPPPPPPPPW
WPPPBPPPPPOPPPPPPPPPPPW
WPPPPPPPPPPPPPPPPPPBPPW
WPPPPPPPPRPPPPPPPPPPPPW
WPPPPPPPPPPPPPPPPPPPPPW
WPPPPBPPPPPPPPGPPPPPPPW
WPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWW
"""
}
"""Source: `externality_mushrooms__dense`; mushrooms grow on all cells but walls."""

SYMBOLS = {"W": "wall", " ": "floor", "P": "spawn", "R": "red", "G": "green", "B": "blue", "O": "orange"}
"""The layer of each character; the letters of kinds are mushrooms at the start of an episode."""


def read_meadow(board: Board) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads a board.

    Args:
      board: the argument `map` of the game.

    Returns:
      Its layers, `[H, W]` bool each, and the kinds of mushroom at the start of an episode, `[H, W]` int8.

    Raises:
      ValueError: the board has no mushroom; see also `maps.read_board` and `maps.parse_map`.
    """

    def parse(text: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        layers = parse_map(text, SYMBOLS, needed=("spawn",))
        kinds = np.zeros(layers["wall"].shape, np.int8)
        for kind, name in enumerate(KINDS, start=1):
            kinds[layers[name]] = kind
        require(bool(kinds.any()), "map", text, "it has no mushroom, which is drawn as 'R', 'G', 'B' or 'O'")
        return layers, kinds

    return read_board(board, MAPS, parse)


def by_kind(kinds: jax.Array, values: Any, dtype: Any) -> jax.Array:
    """The value of each kind, `[n, ...]`, for kinds `[n, ...]` int8 and four values `[...]`; 0 for no mushroom."""
    found = jnp.zeros(kinds.shape, dtype)
    for kind in range(1, len(KINDS) + 1):
        found = jnp.where(kinds == kind, jnp.asarray(values[kind - 1], dtype), found)
    return found


class Spores(NamedTuple):
    """The luck of the spores that each agent releases if it eats a mushroom in this step.

    Attributes:
      gates: `[N, MOST_SPORES, 4, ...]` float32, compared with the probability that a mushroom of each kind grows.
      cells: `[N, MOST_SPORES, 4, ...]` int32, the cells on which they grow, empty before the step; else NOWHERE.
    """

    gates: jax.Array
    cells: jax.Array


def choose_cells(empty: jax.Array, gates: jax.Array, choices: jax.Array) -> Spores:
    """Chooses a cell for each mushroom that may grow, every empty one equally likely; several may have the same.

    Args:
      empty: `[W, ...]` uint32, packed bits of the cells without a mushroom.
      gates: `[N, MOST_SPORES, 4, ...]` float32.
      choices: `[N, MOST_SPORES, 4, ...]` float32 in [0, 1).
    """
    chex.assert_equal_shape([gates, choices])
    count = count_bits(empty)
    place = jnp.floor(choices * count.astype(jnp.float32)).astype(jnp.int32)
    return Spores(gates, jnp.where(count > 0, nth_set_bit(empty, place), NOWHERE))


def grow(spores: Spores, eaten: jax.Array, others: jax.Array, numbers: tuple[Any, Any]) -> jax.Array:
    """Grows mushrooms from the spores of those that are eaten, but not on cells of agents.

    Args:
      spores: their luck.
      eaten: `[N, ...]` int8, the kind that each agent eats, 0 for none.
      others: `[N, N, ...]` int32, [i, j] is the cell of agent j in the moment in which i eats.
      numbers: how many spores each kind releases, and the table of growth; see `Params`.

    Returns:
      `[N * MOST_SPORES, 4, ...]` int32, the cells on which mushrooms of each kind grow, else NOWHERE. Of several on one
      cell that of the last kind stays there.
    """
    chex.assert_equal_shape_prefix([eaten, others, spores.cells], 1)
    counts, table = numbers
    columns = [by_kind(eaten, [row[kind] for row in table], jnp.float32) for kind in range(len(KINDS))]
    released = by_kind(eaten, counts, jnp.int32)[:, None]
    is_released = with_trailing_axes(np.arange(MOST_SPORES, dtype=np.int32)[None], released.ndim) < released
    is_taken = fold(jnp.logical_or, [spores.cells == other[:, None, None] for other in jnp.unstack(others, axis=1)])
    is_grown = is_released[:, :, None] & (spores.gates < jnp.stack(columns, 1)[:, None]) & ~is_taken
    return jnp.where(is_grown, spores.cells, NOWHERE).reshape(-1, *spores.cells.shape[2:])


def find_below(cells: jax.Array, grown: jax.Array) -> jax.Array:
    """The kind of the mushroom that grows on each cell `[N, ...]` int32, see `grow`; `[N, ...]` int8, 0 for none."""
    is_below = fold(jnp.logical_or, [places[:, None] == cells[None] for places in grown])
    return fold(jnp.maximum, [jnp.where(is_kind, jnp.int8(k), jnp.int8(0)) for k, is_kind in enumerate(is_below, 1)])


def mark(grown: jax.Array, num_words: int) -> jax.Array:
    """For each kind packed bits of the cells on which it grows, see `grow`, `[4, W, ...]` uint32."""
    return fold(jnp.bitwise_or, [mark_bits(places, num_words) for places in grown]).swapaxes(0, 1)


class Meals(NamedTuple):
    """What agents eat in a step.

    Attributes:
      entered: `[N, ...]` int8, the kind of the mushroom on a cell that an agent entered, 0 if there was none.
      below: `[N, ...]` int8, the kind of the mushroom that grew below an agent, 0 if none did.
      others: `[N, N, ...]` int32, [i, j] is the cell of j in the moment in which i eats, A if it is not on the board.
      words: `[4, W, ...]` uint32, for each kind packed bits of the cells on which a mushroom grows.
      emptied: `[W, ...]` uint32, packed bits of the cells on which a mushroom is eaten, new ones as well.
    """

    entered: jax.Array
    below: jax.Array
    others: jax.Array
    words: jax.Array
    emptied: jax.Array

    @property
    def kinds(self) -> jax.Array:
        """The kind that each agent eats, `[N, ...]` int8, 0 for none."""
        return self.entered + self.below


def eat(
    mushrooms: jax.Array, before: jax.Array, after: jax.Array, goes: jax.Array, spores: Spores, numbers: tuple[Any, Any]
) -> Meals:
    """Agents eat the mushrooms on the cells that they enter, one agent after the other.

    A mushroom that grows where an agent arrives later in the step is eaten by that agent at once.

    Args:
      mushrooms: `[A, ...]` int8, before the step.
      before: `[N, ...]` int32, the cell of each agent before its move, A if it was not on the board.
      after: `[N, ...]` int32, its cell after that, A if it is not on the board.
      goes: `[N, N, ...]` bool, [i, j] is whether j moves or returns before i.
      spores: their luck.
      numbers: see `grow`.
    """
    chex.assert_equal_shape([before, after])
    chex.assert_rank(mushrooms, before.ndim)
    agent = with_trailing_axes(np.arange(len(before), dtype=np.int32), before.ndim)
    arrived = jnp.broadcast_to(after[None], goes.shape)
    others = jnp.where(goes | (agent[:, None] == agent[None]), arrived, before[None])
    entered = jnp.where(after == before, jnp.int8(0), items.take(mushrooms, after))
    num_words = len(mushrooms) // WORD_BITS + 1
    first = compute_once(grow)(spores, entered, others, numbers)
    below = compute_once(find_below)(after, first)
    others = jnp.where((below > 0)[:, None], arrived, others)
    eaten = entered + below
    words = compute_once(partial(mark, num_words=num_words))(compute_once(grow)(spores, eaten, others, numbers))
    marks = jnp.where(eaten > 0, mark_bits(after, num_words), jnp.uint32(0))
    return Meals(entered, below, others, words, fold(jnp.bitwise_or, jnp.unstack(marks, axis=1)))


def reward(meals: Meals, num_cells: int, totals: Any) -> jax.Array:
    """The rewards of all agents on the board, `[N, ...]` float32.

    Args:
      meals: what agents eat.
      num_cells: A.
      totals: four numbers; of the red one the eater gets all, of the green and the orange one all agents get the same
        share, of the blue one all but the eater.
    """
    n, (red, green, blue, orange) = len(meals.entered), (jnp.asarray(total, jnp.float32) for total in totals)
    is_paid = meals.others != num_cells
    agent = with_trailing_axes(np.arange(n, dtype=np.int32), meals.entered.ndim)

    def count(kind: int, is_shared: jax.Array) -> jax.Array:
        return count_others((meals.kinds == kind)[:, None] & is_shared, axis=0).astype(jnp.float32)

    alone = red * (meals.kinds == RED).astype(jnp.float32)
    helped = count(BLUE, is_paid & (agent[:, None] != agent[None])) * (blue / max(n - 1, 1))
    return alone + count(GREEN, is_paid) * (green / n) + helped + count(ORANGE, is_paid) * (orange / n)


def check_mushroom_params(params: Any) -> None:
    """Raises a ValueError if a number of mushrooms is outside its range; see `externality_mushrooms.Params`."""
    check_four("mushroom_rewards", params.mushroom_rewards)
    check_four("spore_counts", params.spore_counts, 0, MOST_SPORES)
    check_table("spore_growth", params.spore_growth)
    check_four("digestion_steps", params.digestion_steps, 0, MOST_COUNT)
    check_four("perish_steps", params.perish_steps, 1, MOST_COUNT)
    check_numbers(params, 1, "red_destruction")


def check_four(name: str, values: Any, least: int | None = None, most: int = MOST_COUNT) -> None:
    """Raises a ValueError unless a value is four finite numbers or, with `least`, four whole numbers up to `most`."""
    numbers = numbers_from(values)
    is_fit = numbers is not None and numbers.shape == (len(KINDS),)
    is_fit = is_fit and all(
        is_number(value) if least is None else is_count(value, least, most) for value in np.asarray(values)
    )
    span = "finite numbers" if least is None else f"whole numbers from {least} to {most}"
    require(is_fit, name, values, f"four {span}, for {', '.join(KINDS)} mushrooms")


def check_table(name: str, table: Any) -> None:
    """Raises a ValueError unless a value is a table of probabilities, with a row and a column for each kind."""
    numbers, shape = numbers_from(table), (len(KINDS), len(KINDS))
    is_fit = numbers is not None and numbers.shape == shape and bool(np.all((numbers >= 0) & (numbers <= 1)))
    require(is_fit, name, table, "four rows of four probabilities, by the kind that is eaten and the kind that grows")
