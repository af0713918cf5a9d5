"""Payoffs, boards and numbers of the substrates `*_in_the_matrix` of Melting Pot.

Source: google-deepmind/meltingpot @ 81ee2e7 (Apache-2.0).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_choice, numbers_from, require
from jaxdilemmas.batching import fold
from jaxdilemmas.grid.lab2d import LONGEST_EPISODE
from jaxdilemmas.grid.maps import parse_map
from jaxdilemmas.grid.views import Window

MOST_PAYOFF = 1e30
"""The largest payoff: products with numbers of resources are finite in float32. Our choice."""

MOST_CLASSES = 9
"""The largest number of classes: a board has one digit for each."""

SYMBOLS = {"W": "wall", ".": "floor", "P": "spawn", "a": "any_class"}
"""Cells without a class of their own; a digit stands for a resource of that class."""

REPEATED_TWO = """
WWWWWWWWWWWWWWWWWWWWWWW
WP.........P.........PW
W...WWW.W..W..W.WW....W
W....W.11a.W.a22.W....W
WP..WW.11a.W.a22.WW..PW
W......11a...a22......W
W.....................W
WP.WW..WW..P.WW..WWW.PW
W.....................W
W......22a.W.a11......W
WP...W.22a.W.a11.W...PW
W....W.22a.W.a11.WW...W
W..WWWW.W..W..W.WWW...W
WP.........P.........PW
WWWWWWWWWWWWWWWWWWWWWWW
"""

REPEATED_STAG_HUNT = """
WWWWWWWWWWWWWWWWWWWWWWW
WP.........P.........PW
W..2WWW.W..W..W.WW2...W
W....W.11a.W.222.W....W
WP..WW.11a.W.a22.WW..PW
W......1aa.2.a22......W
W..2...............2..W
WP.WW..WW2.P.WW..WWW.PW
W...2............2....W
W......22a.2.aa1......W
WP...W.22a.W.a11.W...PW
W...2W.222.W.a11.WW...W
W..WWWW.W..W..W.WWW2..W
WP.........P.........PW
WWWWWWWWWWWWWWWWWWWWWWW
"""

REPEATED_THREE = """
WWWWWWWWWWWWWWWWWWWWWWW
WP.........P.........PW
W...WWW.W.....W.WW....W
W....W.11a...a22.W....W
WP..WW.11a...a22.WW..PW
W......11a...a22......W
W.....................W
WP.WW......P.........PW
W.............WWWW....W
W......33a.W..........W
WP...W.33a.W.aaa.W...PW
W....W.33a.W.aaa.WW...W
W..WWWW.W..W..W.WWW...W
WP.........P.........PW
WWWWWWWWWWWWWWWWWWWWWWW
"""

ONE_SHOT = """
WWWWWWWWWWWWWWWWWWWWWWW
WP.1..1..a...a..2..2.PW
W.....................W
WP.1..1..a...a..2..2.PW
W.....................W
WP.1..1..a...a..2..2.PW
W.....................W
W.....P....P....P.....W
W.....................W
WP.3..3..a...a..a..a.PW
W.....................W
WP.3..3..a...a..a..a.PW
W.....................W
WP.3..3..a...a..a..a.PW
WWWWWWWWWWWWWWWWWWWWWWW
"""

ARENA_TWO = """
WWWWWWWWWWWWWWWWWWWWWWWWW
WPPPP......W.W......PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
W.......................W
W........11.............W
W........11.............W
W........aa.............W
W....WW.....W..222......W
WW....1a....W..222......W
WWW...1a..WWWWWWWWW.....W
W.....1a....111.......WWW
W...........111.........W
W.......aa.W............W
W.......22.W...WW.......W
W.......22.....Waaa.....W
W...............222.....W
W.......................W
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP.........W.....PPPPW
WWWWWWWWWWWWWWWWWWWWWWWWW
"""

ARENA_STAG_HUNT = """
WWWWWWWWWWWWWWWWWWWWWWWWW
WPPPPPPP...W.W...PPPPPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP.......2222....PPPPW
WP.....................PW
WP.....222222...222....PW
WP.2.....11....11......PW
W..2.....11..a.....222..W
W....WW.....W1.11a......W
WW....21.11.W..11a..2...W
WWW...21..WWWWWWWWW.2...W
W...2.aa....111..1a...WWW
W...2.......111..1a.....W
W.......aa.W........22..W
W..22...2a.Waa.WW.......W
WP......22.....W222....PW
WP..............222....PW
WP.........222.........PW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPPPPP......W..PPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWWW
"""

ARENA_THREE = """
WWWWWWWWWWWWWWWWWWWWWWWWW
WPPPP......W.W......PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
W.............aa........W
W........11...aa........W
W........11.............W
W........11.............W
W....WW.....W..222......W
WW....33....W..222......W
WWW...33..WWWWWWWWW.....W
W.....33....111.......WWW
W...........111.........W
W.......22.W............W
W.......22.W...WW.......W
W.......22.....W333.....W
W...............333.....W
W..........aa...........W
WPPPP......aa.......PPPPW
WPPPP...............PPPPW
WPPPP...............PPPPW
WPPPP.........W.....PPPPW
WWWWWWWWWWWWWWWWWWWWWWWWW
"""


class Rules(NamedTuple):
    """The numbers that depend on how agents meet.

    Attributes:
      num_agents: N by default.
      window: the part of the board that an agent sees.
      timeout_steps: steps in which agents are off the board after an interaction.
      regrowth_probability: probability that a missing resource appears in a step.
      regrowth_delay: steps after a resource went in which it cannot appear.
      ending_probability: probability that an episode with a stochastic ending ends in a step in which it may.
      when_empty: the consequence if nobody is on the board: "nothing" or "restore" all resources; or "end", the episode
        ends after the first interaction.
      max_steps: length of an episode with a stochastic ending.
    """

    num_agents: int
    window: Window
    timeout_steps: int
    regrowth_probability: float
    regrowth_delay: int
    ending_probability: float
    when_empty: str
    max_steps: int = LONGEST_EPISODE


NEAR, FAR = Window(ahead=3, behind=1, side=2), Window(ahead=9, behind=1, side=5)

RULES = {
    "repeated": Rules(2, NEAR, 6, 0.02, 10, 0.1, "restore"),
    "arena": Rules(8, FAR, 51, 0.04, 10, 0.2, "nothing"),
    "one_shot": Rules(2, NEAR, 101, 0.0, 10, 0.0, "end", 1000),
}


class Game(NamedTuple):
    """A matrix game.

    Attributes:
      payoffs: the matrix of the row player and that of the column player, by class of the row and class of the column.
      maps: its boards by name.
      changes: by name of a board, the numbers that differ from `RULES`.
      has_roles: whether the role of an agent decides who is the row player, and not who fires.
    """

    payoffs: tuple[tuple[tuple[float, ...], ...], ...]
    maps: Mapping[str, str]
    changes: Mapping[str, Mapping[str, float]]
    has_roles: bool = False


def _symmetric(*rows: tuple[float, ...]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """The payoffs of a game that is the same for both players, from the matrix of the row player."""
    return rows, tuple(zip(*rows, strict=True))


TWO, THREE = ({"repeated": REPEATED_TWO, "arena": ARENA_TWO}, {"repeated": REPEATED_THREE, "arena": ARENA_THREE})

GAMES = {
    "prisoners_dilemma": Game(_symmetric((3, 0), (5, 1)), TWO, {"arena": {"ending_probability": 0.15}}),
    "stag_hunt": Game(
        _symmetric((4, 0), (2, 2)),
        {"repeated": REPEATED_STAG_HUNT, "arena": ARENA_STAG_HUNT},
        {"arena": {"ending_probability": 0.1}, "repeated": {"max_steps": 2500}},
    ),
    "chicken": Game(_symmetric((3, 2), (5, 0)), TWO, {}),
    "bach_or_stravinsky": Game((((3, 0), (0, 2)), ((2, 0), (0, 3))), TWO, {}, has_roles=True),
    "pure_coordination": Game(_symmetric((1, 0, 0), (0, 1, 0), (0, 0, 1)), THREE, {}),
    "rationalizable_coordination": Game(_symmetric((1, 0, 0), (0, 2, 0), (0, 0, 3)), THREE, {}),
    "running_with_scissors": Game(
        _symmetric((0, -10, 10), (10, 0, -10), (-10, 10, 0)),
        THREE | {"one_shot": ONE_SHOT},
        {"repeated": {"regrowth_delay": 15, "ending_probability": 0.2}},
    ),
}
"""Classes are in the order of the original: cooperation and defection; stag and hare; dove and hawk; Bach and
Stravinsky; rock, paper and scissors."""


def choose_rules(game: str, board: Any, rules: Any) -> tuple[Rules, dict[str, Any]]:
    """The rules by the name of the board, or by their own name, and the numbers of `Params` that they contain.

    Their `max_steps` is for a stochastic ending.

    Args:
      game: a name in `GAMES`.
      board: the argument `map`; other boards than those of the game have the rules "arena".
      rules: a name in `RULES`; None means the rules of the board.

    Raises:
      ValueError: `rules` is another value.
    """
    is_named = isinstance(board, str) and board in GAMES[game].maps
    name = rules if rules is not None else str(board) if is_named else "arena"
    check_choice("rules", name, RULES)
    changes = GAMES[game].changes.get(name, {}) if is_named and name == board else {}
    fields = ("timeout_steps", "regrowth_probability", "regrowth_delay", "ending_probability", "max_steps")
    return RULES[name], {field: getattr(RULES[name], field) for field in fields} | dict(changes)


def check_payoffs(payoffs: Any) -> np.ndarray:
    """Returns the matrices of both players, `[2, K, K]` float32.

    Raises:
      ValueError: they are not two square matrices of one size, of finite numbers.
    """
    found = numbers_from(payoffs)
    numbers = np.zeros(0) if found is None else found
    is_pair = numbers.ndim == 3 and len(numbers) == 2
    is_pair = is_pair and numbers.shape[1] == numbers.shape[2] and 1 <= numbers.shape[1] <= MOST_CLASSES
    allowed = f"two matrices of one size K x K, of the row and of the column player, K from 1 to {MOST_CLASSES}"
    is_finite = is_pair and bool(np.all(np.abs(numbers) <= MOST_PAYOFF))
    require(is_finite, "payoffs", payoffs, f"{allowed}, of numbers from -{MOST_PAYOFF:g} to {MOST_PAYOFF:g}")
    return numbers.astype(np.float32)


def parse(text: str, num_classes: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Reads a board drawn as text.

    Returns:
      Masks by name, `[H, W]` bool, with "wall", "spawn" and "resource"; and the class of each resource, `[A]` int8, 0
      if it is drawn at the start of each episode.

    Raises:
      ValueError: a symbol is unknown, there is no spawn cell, or there is a class without a resource.
    """
    digits = {str(k): f"class_{k}" for k in range(1, num_classes + 1)}
    masks = parse_map(text, SYMBOLS | digits, needed=("spawn",))
    classes = np.zeros(masks["wall"].shape, np.int8)
    for k, name in enumerate(digits.values(), start=1):
        classes[masks[name]] = k
    resource = masks["any_class"] | (classes > 0)
    has_all = masks["any_class"].any() or len(np.unique(classes[resource])) == num_classes
    every = f"it needs a resource of every class, drawn as 'a' or as {' and '.join(map(repr, digits))}"
    require(bool(has_all), "map", text, every)
    return masks | {"resource": resource}, classes[resource]


def pay(own: jax.Array, others: jax.Array, is_row: jax.Array, payoffs: np.ndarray) -> jax.Array:
    """The payoff of each agent, p M q, with the shares p and q of the classes in both inventories, `[N]` float32.

    Args:
      own: `[N, K]` int32.
      others: `[N, K]` int32, the inventories of the other players.
      is_row: `[N]` bool, whether an agent is the row player.
      payoffs: `[2, K, K]` float32.
    """
    row, column = payoffs[0], payoffs[1].T  # by own class and class of the other
    products = []
    for k, j in np.ndindex(row.shape):
        value = row[k, j] if row[k, j] == column[k, j] else jnp.where(is_row, row[k, j], column[k, j])
        products.append((own[:, k] * others[:, j]).astype(jnp.float32) * value)
    sums = [fold(jnp.add, jnp.unstack(inventories, axis=1)) for inventories in (own, others)]
    return fold(jnp.add, products) / jnp.maximum(sums[0] * sums[1], 1).astype(jnp.float32)
