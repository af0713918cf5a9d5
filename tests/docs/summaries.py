"""Facts about games that the tables of the pages show and that no class holds as data."""

from typing import NamedTuple


class Summary(NamedTuple):
    """What a table says about a game in words.

    Attributes:
      page: the page of the game, from the root of the project.
      rewards: which events an agent is rewarded for, with the default params.
      actions: the names of the actions, in the order of their numbers.
      ends: how the game ends before the clock does; empty if it never does.
      board: where the game is played, for games without walls.
    """

    page: str
    rewards: str
    actions: tuple[str, ...]
    ends: str = ""
    board: str = ""


MOVES = ("forward", "backward", "step left", "step right", "turn left", "turn right")

SUMMARIES = {
    "gathering": Summary("docs/gathering.md", "1 for each apple", (*MOVES, "beam", "stand")),
    "commons": Summary("docs/commons.md", "1 for each apple", (*MOVES, "beam", "stand")),
    "cleanup": Summary(
        "docs/cleanup.md",
        "1 for each apple; -1 to the shooter and -50 to the target for each fine",
        (*MOVES, "fine", "stand", "clean"),
    ),
    "cleanup_meltingpot": Summary(
        "docs/cleanup.md",
        "1 for each apple",
        (*MOVES, "zap", "stand", "clean"),
        ends='by chance with `episode_ending="stochastic"`, after 5,000 steps at the latest',
    ),
    "harvest": Summary(
        "docs/harvest.md",
        "1 for each apple",
        (*MOVES, "zap", "stand"),
        ends='by chance with `episode_ending="stochastic"`, after 5,000 steps at the latest',
    ),
    "common_pool": Summary(
        "docs/common_pool.md",
        "the share of the stock that the agent takes; 0 to all in the step that depletes the stock",
        ("wait", "take"),
        ends="earlier if the stock is depleted",
        board="none",
    ),
    "common_pool_network": Summary(
        "docs/common_pool.md",
        "price times harvest, less cost times effort",
        ("wait", "harvest at the first node", "at the second", "at the third"),
        ends="earlier if the stocks of all nodes are depleted",
        board="a graph",
    ),
    "gems": Summary(
        "docs/gems.md",
        "1 for a gem of one's own colour; 6 to both players for purple gems",
        ("right", "down", "left", "up", "stay"),
        ends="earlier if both players together have more than 20",
        board="15 x 15, 9 gems",
    ),
    "overcooked": Summary(
        "docs/overcooked.md",
        "20 to every player for each soup of three onions that is served",
        ("north", "south", "east", "west", "stay", "interact"),
        board="five kitchens, the default 4 x 5",
    ),
    "intersection": Summary(
        "docs/intersection.md",
        "2 to a car that arrives, -4 to a car that crashes",
        ("slower", "idle", "faster"),
        ends="earlier if a car crashes or all cars have arrived",
        board="four roads",
    ),
    "gathering_gallego": Summary("docs/gallego.md", "1 for each apple", (*MOVES, "beam", "stand")),
    "commons_gallego": Summary("docs/gallego.md", "1 for each apple", (*MOVES, "beam", "stand")),
    "cleanup_gallego": Summary(
        "docs/gallego.md",
        "1 for each apple; -1 to the shooter for each shot of either beam; -50 for each fine received",
        (*MOVES, "fine", "stand", "clean"),
    ),
}
"""Facts by id, in the order in which pages show the games that they share."""
