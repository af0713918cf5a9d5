"""The keys that stand for the actions of a game, and the action of a person who presses none."""

from typing import Any, NamedTuple

from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment
from jaxdilemmas.spaces import Discrete

DIGITS = "0123456789"


class Keys(NamedTuple):
    """What one action is called, and which keys choose it.

    Attributes:
      name: of the action.
      keys: as `KeyboardEvent.key` names them in a browser, and "Space".
    """

    name: str
    keys: tuple[str, ...]


class Keyboard(NamedTuple):
    """The keys of a game.

    Attributes:
      actions: one for each action, in the order of their numbers.
      stand: the action of somebody who presses no key in time.
    """

    actions: tuple[Keys, ...]
    stand: int


def _keyboard(stand: int, /, **keys: str) -> Keyboard:
    """Actions by name, in the order of their numbers, with their keys between blanks."""
    return Keyboard(tuple(Keys(name.replace("_", " "), tuple(text.split())) for name, text in keys.items()), stand)


BOARD = _keyboard(
    7,
    forward="ArrowUp w",
    backward="ArrowDown s",
    step_left="a",
    step_right="d",
    turn_left="ArrowLeft q",
    turn_right="ArrowRight e",
    beam="Space",
    stand=".",
    clean="c",
)
FAMILIES = {
    "boards": BOARD,
    "gems": _keyboard(4, right="ArrowRight d", down="ArrowDown s", left="ArrowLeft a", up="ArrowUp w", stay="."),
    "overcooked": _keyboard(
        4, north="ArrowUp w", south="ArrowDown s", east="ArrowRight d", west="ArrowLeft a", stay=".", interact="Space"
    ),
    "intersection": _keyboard(1, slower="ArrowDown s", idle=".", faster="ArrowUp w"),
    "common_pool": _keyboard(0, wait=".", take="Space"),
}
"""Keyboards by the last name of `picture_module`; the actions of other games are on the digits."""


def keyboard_of(env: Environment, stand: int | None = None) -> Keyboard:
    """The keys of a game.

    Args:
      env: the game.
      stand: the action of somebody who presses no key; that of the family when left out, 0 in other games.

    Raises:
      ValueError: the actions of the game are not numbered, or `stand` is none of them.
    """
    space: Any = env.action_space
    require(isinstance(space, Discrete), "env", type(env).__name__, f"to be played, actions are numbered: {space}")
    family = FAMILIES.get(str(env.picture_module).rpartition(".")[2])
    if family is None:
        names = ((f"action {k}", (DIGITS[k],) if k < len(DIGITS) else ()) for k in range(space.n))
        family = Keyboard(tuple(Keys(*pair) for pair in names), 0)
    family = Keyboard(family.actions[: space.n], family.stand if stand is None else stand)
    require(0 <= family.stand < space.n, "stand", stand, f"an action from 0 to {space.n - 1}")
    return family
