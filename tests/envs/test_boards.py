"""Boards drawn as text: the same text gives the same game, and errors name the fault of a board."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.envs import cleanup, cleanup_gallego, cleanup_meltingpot, commons, gallego, gathering, harvest, mines
from jaxdilemmas.envs import mushrooms as meadows
from jaxdilemmas.grid.environment import GridEnvironment

pytestmark = pytest.mark.usefixtures("quick_compiling")
NAMED = {
    "coop_mining": mines.MAPS,
    "externality_mushrooms": meadows.MAPS,
    "gift_refinements": mines.MAPS,
    "gathering": gathering.MAPS,
    "commons": commons.MAPS,
    "harvest": harvest.MAPS,
    "cleanup": cleanup.MAPS,
    "cleanup_meltingpot": cleanup_meltingpot.MAPS,
    "gathering_gallego": gallego.MAPS,
    "commons_gallego": commons.MAPS,
    "cleanup_gallego": cleanup_gallego.MAPS,
}
APPLES = "@@@@@@@\n@P.AA.@\n@.@A@P@\n@..P..A"
"""Not square, open at one corner."""

PATCHES = APPLES.replace("@", "W").replace(".", " ")
OWN = {
    "coop_mining": PATCHES,
    "externality_mushrooms": PATCHES.replace("A", "B"),
    "gift_refinements": PATCHES,
    "gathering": APPLES,
    "commons": APPLES,
    "harvest": PATCHES,
    "cleanup": "*******\n*HFSBB*\n*FH PB*\n*H P P ",
    "cleanup_meltingpot": "WWWWWWW\nWHFsTBW\nWFH~PBW\nWH P P ",
    "gathering_gallego": APPLES,
    "commons_gallego": APPLES,
    "cleanup_gallego": "@@@@@@@\n@RHSAA@\n@HR PA@\n@R P P ",
}
"""A small board for each game."""

OTHERS = {"coins", "in_the_matrix", "territory"}
"""The first takes no board of one's own. The tests of the others have their boards, of classes and of resources."""

ITEM_CELLS = {"coop_mining": "ore_cells", "externality_mushrooms": "mushroom_cells", "gift_refinements": "token_cells"}
"""The attribute with the cells on which things grow, of games without apples."""

ALSO_GROWS = {"externality_mushrooms": " P"}
"""The cells without a thing at the start on which things grow."""

RARE = {"coop_mining": {"iron_growth": 0.05}, "gift_refinements": {"token_growth": 0.05}}
"""Arguments of games in which rewards are rare."""


def assert_same_game(first: Any, second: Any) -> None:
    """Every attribute is equal, of the params too."""
    jax.tree.map(np.testing.assert_array_equal, parts(first), parts(second))


def parts(env: Any) -> dict[str, Any]:
    """All that a game is made of, by name."""
    return {name: vars(value) if name in ("default_params", "painter") else value for name, value in vars(env).items()}


@pytest.mark.parametrize(("env_id", "name"), [(env_id, name) for env_id, boards in NAMED.items() for name in boards])
def test_the_text_of_a_board_is_the_game_with_that_board(env_id: str, name: str, tmp_path: Path) -> None:
    named, text = jaxdilemmas.make(env_id, map=name), NAMED[env_id][name]
    (tmp_path / "board.txt").write_text(text)
    for board in (text, "\r\n" + text.strip("\n").replace("\n", "\r\n"), tmp_path / "board.txt"):
        assert_same_game(named, jaxdilemmas.make(env_id, map=board))


def test_every_grid_game_has_a_board_here() -> None:
    grid_games = {
        env_id
        for env_id in jaxdilemmas.registered_envs()
        if issubclass(jaxdilemmas.registration.registered_class(env_id), GridEnvironment)  # type: ignore[arg-type]
    }
    assert grid_games - OTHERS == set(OWN) == set(NAMED)


@pytest.mark.parametrize("env_id", OWN)
def test_a_board_of_ones_own_is_played_by_every_scripted_policy(env_id: str) -> None:
    env: Any = jaxdilemmas.make(env_id, map=OWN[env_id], num_agents=3, **RARE.get(env_id, {}))
    assert env.walls.shape == (4, 7)
    cells = getattr(env, ITEM_CELLS.get(env_id, "apple_cells"))
    assert len(cells) == sum(OWN[env_id].count(letter) for letter in "ABT" + ALSO_GROWS.get(env_id, ""))
    by_name = policies.scripted_policies(env)
    assert {"greedy", "cooperative"} <= set(by_name)
    assert "exploitative" in by_name or len(env.apple_cells) == 0
    players = [make(env) for make in by_name.values()]

    @jax.jit
    def play(key: jax.Array) -> Any:
        def body(state: Any, key: jax.Array) -> Any:
            numbers = jax.random.randint(key, (3,), 0, len(players))
            actions = jax.numpy.stack([player(key, state) for player in players])[numbers, jax.numpy.arange(3)]
            _, state, rewards, *_ = env.step(key, state, actions)
            return state, (state.positions, rewards)

        state = env.initial_state(key, env.default_params)
        return state.positions, jax.lax.scan(body, state, jax.random.split(key, 60))[1]

    start, (positions, rewards) = play(jax.random.key(0))
    assert {tuple(cell) for cell in start.tolist()} <= {tuple(cell) for cell in env.spawn_cells.tolist()}
    assert not env.walls[tuple(np.moveaxis(np.asarray(positions), -1, 0))].any()
    assert (np.asarray(rewards) > 0).any() or env_id.startswith("cleanup")


WRONG = [
    ("unknown map symbol '\\?' at row 1, col 2", lambda text: text[:10] + "?" + text[11:]),
    ("map row 2 has 6 columns: every row needs 7", lambda text: text[:22] + text[23:]),
    ("it has no spawn cell, which is drawn as 'P'", lambda text: text.replace("P", text[-1])),
    (
        "it has no ((apple|ore|token) cell, which is drawn as '[AB]'|mushroom, which is drawn as 'R', 'G')",
        lambda text: text.translate(str.maketrans("ABT", "PPP")),
    ),
    ("num_agents=3 is not allowed: at most 1", lambda text: text.replace("P", text[0], text.count("P") - 1)),
    ("at most 100 rows and columns, this one has 404 x 7", lambda text: text + ("\n" + text) * 100),
    (
        "map=.* is not allowed: one of .*, a board drawn as text, several lines, or the pathlib.Path",
        lambda text: text[:7],
    ),
]


@pytest.mark.parametrize("env_id", OWN)
@pytest.mark.parametrize(("message", "spoil"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_with_a_board_is_said(env_id: str, message: str, spoil: Any) -> None:
    text = spoil(OWN[env_id])
    places_anybody = env_id == "gathering" or env_id.endswith("gallego")
    if message.startswith("num_agents") and places_anybody:  # who exceeds the spawn cells starts somewhere else
        assert jaxdilemmas.make(env_id, map=text, num_agents=3).num_agents == 3
        return
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make(env_id, map=text, num_agents=3)


@pytest.mark.parametrize("env_id", ["cleanup", "cleanup_meltingpot", "cleanup_gallego"])
def test_a_game_of_cleanup_needs_a_river(env_id: str) -> None:
    dry = OWN[env_id].translate(str.maketrans("HFR", "PPP"))
    with pytest.raises(ValueError, match=r"it has no cell of a river, which is drawn as '[HR]' or '[FH]'"):
        jaxdilemmas.make(env_id, map=dry)


@pytest.mark.parametrize("board", [None, 5, True, ["@@", "P."], b"@@\nP.", "", "small\r"])
def test_what_is_no_board_is_refused(board: Any) -> None:
    with pytest.raises(ValueError, match=r"map=.* is not allowed: one of default, a board drawn as text"):
        jaxdilemmas.make("commons", map=board)


def test_apples_and_waste_are_counted_against_their_limit() -> None:
    with pytest.raises(ValueError, match="things come and go on at most 4096 cells, here on 9999"):
        jaxdilemmas.make("gathering", map="P" + "\n".join(["A" * 100] * 100)[1:])


def test_boards_of_harvest_have_numbers_of_their_own() -> None:
    own: Any = jaxdilemmas.make("harvest", map=PATCHES, num_agents=3)
    opened, closed = (jaxdilemmas.make("harvest", map=name) for name in ("open", "closed"))
    assert own.default_params == opened.default_params != closed.default_params
    assert own.beam_reach.max() == 3
    assert jaxdilemmas.make("harvest", map="open", beam_length=5).beam_reach.max() == 5  # type: ignore[attr-defined]


def test_agents_start_inside_where_a_board_of_harvest_has_cells_for_it() -> None:
    text = "WWWWWWW\nWQ AA W\nW P P W\nWWWWWWW"
    env: Any = jaxdilemmas.make("harvest", map=text, num_agents=2)
    states = jax.jit(jax.vmap(env.initial_state, (0, None)))(
        jax.random.split(jax.random.key(0), 20), env.default_params
    )
    assert (states.positions[:, 0] == jax.numpy.array([1, 1])).all()
    assert {tuple(cell) for cell in states.positions[:, 1].tolist()} == {(2, 2), (2, 4)}


def test_cleaners_need_a_place_from_which_a_beam_reaches_the_river() -> None:
    env = jaxdilemmas.make("cleanup", map="*******\n*H**BB*\n**** P*\n*******", num_agents=1)
    policies.scripted(env, "greedy")
    with pytest.raises(ValueError, match=r"env=.*Cleanup.* is not allowed: no cleaning beam reaches the river"):
        policies.scripted(env, "cooperative")
