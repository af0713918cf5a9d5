"""The keys that stand for the actions of a game, and the action of a person who presses none."""

from typing import Any, NamedTuple

from jaxdilemmas.arguments import require
from jaxdilemmas.environment import Environment
from jaxdilemmas.rendering.picture import picture_of
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


FOUR_WAYS = {"right": "ArrowRight d", "down": "ArrowDown s", "left": "ArrowLeft a", "up": "ArrowUp w", "stay": "."}

FAMILIES = {
    "boards": {
        "forward": "ArrowUp w",
        "backward": "ArrowDown s",
        "step left": "a",
        "step right": "d",
        "turn left": "ArrowLeft q",
        "turn right": "ArrowRight e",
        "beam": "Space",
        "stand": ".",
        "clean": "c",
        "consume": "c",
        "claim": "c",
    },
    "gems": FOUR_WAYS,
    "coin_game": FOUR_WAYS,
    "level_based_foraging": {
        "none": ".",
        "north": "ArrowUp w",
        "south": "ArrowDown s",
        "west": "ArrowLeft a",
        "east": "ArrowRight d",
        "load": "Space",
    },
    "overcooked": {
        "north": "ArrowUp w",
        "south": "ArrowDown s",
        "east": "ArrowRight d",
        "west": "ArrowLeft a",
        "stay": ".",
        "interact": "Space",
    },
    "intersection": {"slower": "ArrowDown s", "idle": ".", "faster": "ArrowUp w"},
    "common_pool": {"wait": ".", "take": "Space"},
    "matrix_game": {"cooperate": "c", "defect": "d"},
}
"""Keys by the last name of `picture_module` and the name of the action; other actions are on the digits."""

STANDING = {"stand", "stay", "idle", "wait", "none"}
"""What the action is called that does nothing."""


def keyboard_of(env: Environment, stand: int | None = None) -> Keyboard:
    """The keys of a game.

    Args:
      env: the game.
      stand: the action of somebody who presses no key; when left out the one that is called so, or 0.

    Raises:
      ValueError: the game is not drawn, its actions are not numbered, or `stand` is none of them.
    """
    space: Any = env.action_space
    require(isinstance(space, Discrete), "env", type(env).__name__, f"to be played, actions are numbered: {space}")
    keys = FAMILIES.get(str(env.picture_module).rpartition(".")[2], {})
    named = picture_of(env).actions[: space.n]
    names = [*named, *(f"action {number}" for number in range(len(named), space.n))]
    actions = [Keys(name, tuple(keys.get(name, DIGITS[k : k + 1]).split())) for k, name in enumerate(names)]
    if stand is None:
        stand = next((number for number, name in enumerate(names) if name in STANDING), 0)
    require(0 <= stand < space.n, "stand", stand, f"an action from 0 to {space.n - 1}")
    return Keyboard(tuple(actions), stand)
