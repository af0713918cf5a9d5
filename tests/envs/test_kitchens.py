"""Kitchens by name, from text and from the layout files of overcooked_ai; refused kitchens."""

import ast
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from jaxdilemmas.environment import NoDraws
from jaxdilemmas.envs import kitchens
from jaxdilemmas.envs.kitchens import MAPS, parse_layout
from jaxdilemmas.envs.overcooked import Overcooked
from tests.reference.overcooked import Overcooked as SlowOvercooked
from tests.reference.rollouts import replay, start

pytestmark = pytest.mark.usefixtures("quick_compiling")

LAYOUT = """{
    "grid":  \"\"\"XXPXX
                O  2O
                X1  X
                XDXSX\"\"\",
    "start_bonus_orders": [],
    "start_all_orders" : [
        { "ingredients" : ["onion", "onion", "onion"]}
    ],
    "rew_shaping_params": None
}
"""
"""The file `cramped_room.layout` of HumanCompatibleAI/overcooked_ai @ 83f5192."""

FOUR = "XXSPDXX\nX  1  X\nO3   4O\nX  2  X\nXXXXXXX"


def assert_same_kitchen(env: Overcooked, other: Overcooked) -> None:
    for field, values in env.kitchen._asdict().items():
        np.testing.assert_array_equal(values, getattr(other.kitchen, field), err_msg=field, strict=True)
    assert env.default_params == other.default_params
    assert env.num_agents == other.num_agents


@pytest.mark.parametrize("name", MAPS)
def test_the_text_of_a_named_kitchen_is_that_kitchen(name: str) -> None:
    assert_same_kitchen(Overcooked(map=MAPS[name]), Overcooked(map=name))


@pytest.mark.parametrize("name", MAPS)
def test_random_play_in_a_named_kitchen_is_that_of_the_slow_version(name: str) -> None:
    env, slow = Overcooked(map=name), SlowOvercooked(MAPS[name])
    actions = np.random.default_rng(0).choice(6, (400, 2), p=[0.12, 0.12, 0.12, 0.12, 0.02, 0.5])
    rollout = replay(env, start(env), NoDraws(), actions)
    for t, joint in enumerate(actions):
        slow.step(joint.tolist())
        np.testing.assert_array_equal(rollout.obs[t], slow.observe(), err_msg=f"observation after step {t}")


@pytest.mark.parametrize(
    ("name", "shape", "stations", "starts"),
    [
        ("cramped_room", (4, 5), (2, 1, 1, 1), [[2, 1], [1, 3]]),
        ("asymmetric_advantages", (5, 9), (2, 2, 2, 2), [[2, 6], [3, 1]]),
        ("coordination_ring", (5, 5), (2, 1, 1, 2), [[1, 2], [2, 1]]),
        ("forced_coordination", (5, 5), (2, 1, 1, 2), [[1, 3], [2, 1]]),
        ("counter_circuit", (5, 8), (2, 1, 1, 2), [[3, 3], [1, 3]]),
    ],
)
def test_named_kitchens_have_the_stations_and_starts_of_the_paper(
    name: str, shape: tuple[int, int], stations: tuple[int, ...], starts: list[list[int]]
) -> None:
    kitchen = Overcooked(map=name).kitchen
    kinds = (kitchens.ONIONS, kitchens.DISHES, kitchens.SERVING, kitchens.POT)
    assert kitchen.kinds.shape == shape
    assert tuple(int((kitchen.kinds == kind).sum()) for kind in kinds) == stations
    assert kitchen.starts.tolist() == starts


def test_carriage_returns_and_empty_lines_around_a_kitchen_are_ignored() -> None:
    text = "\r\n" + MAPS["cramped_room"].strip("\n").replace("\n", "\r\n") + "\r\n\r\n"
    assert_same_kitchen(Overcooked(map=text), Overcooked())


@pytest.mark.parametrize("text", [LAYOUT, LAYOUT.replace("\n", "\r\n"), MAPS["cramped_room"]])
def test_a_kitchen_may_come_from_a_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kitchen.layout"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert_same_kitchen(Overcooked(map=path), Overcooked())


def test_a_string_never_names_a_file(tmp_path: Path) -> None:
    path = tmp_path / "kitchen.layout"
    path.write_text(LAYOUT)
    with pytest.raises(ValueError, match=r"map='.*kitchen\.layout' is not allowed: one of cramped_room.*pathlib\.Path"):
        Overcooked(map=str(path))


def test_the_text_of_a_layout_file_is_a_kitchen() -> None:
    assert_same_kitchen(Overcooked(map=LAYOUT), Overcooked())
    assert_same_kitchen(Overcooked(map=repr(ast.literal_eval(LAYOUT))), Overcooked())


def test_all_players_of_a_kitchen_play_unless_fewer_are_asked_for() -> None:
    assert Overcooked(map=FOUR).num_agents == 4
    assert Overcooked(map=FOUR, num_agents=3).num_agents == 3
    assert Overcooked(map="XPX\nO1D\nXSX").num_agents == 1
    obs, _ = Overcooked(map=FOUR).reset(jax.random.key(0))
    assert obs.shape == (4, 7 * 4 + 2 * 5 + 3)
    with pytest.raises(ValueError, match="num_agents=5 is not allowed: a whole number from 1 to 4"):
        Overcooked(map=FOUR, num_agents=5)


@pytest.mark.parametrize(
    ("entries", "numbers"),
    [
        ("'recipe_values': [7], 'recipe_times': [5]", {"delivery_reward": 7, "cook_steps": 5}),
        (
            "'onion_value': 21, 'tomato_value': 13, 'onion_time': 15, 'tomato_time': 7",
            {"delivery_reward": 63, "cook_steps": 45},
        ),
        ("'delivery_reward': 3, 'cook_time': 9", {"delivery_reward": 3, "cook_steps": 9}),
        ("'onion_value': 21, 'cook_time': None", {}),
    ],
)
def test_a_layout_may_say_what_a_soup_is_worth_and_how_long_it_takes(entries: str, numbers: dict[str, Any]) -> None:
    layout = LAYOUT.replace("'rew_shaping_params'", entries).replace('"rew_shaping_params": None', entries)
    assert parse_layout(layout)[1] == numbers
    assert vars(Overcooked(map=layout).default_params) == vars(Overcooked(**numbers).default_params)
    assert Overcooked(map=layout, cook_steps=2).default_params.cook_steps == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("XPX\nO1D\nXS", "map row 2 has 2 columns"),
        ("XPX\nO?D\nXSX", "unknown map symbol '\\?' at row 1, col 1"),
        ("XPX\nT1D\nXSX", "unknown map symbol 'T' at row 1, col 0"),
        ("XPX\nO D\nXSX", "players are numbered"),
        ("XPXX\nO12D\nXS2X", "players are numbered.*player 2 is at: row 1, col 2, row 2, col 2"),
        ("XPXX\nO13D\nXSXX", "players are numbered.*player 2 is at: -"),
        ("XXX\nO1D\nXSX", "no pot cell, which is drawn as 'P'"),
        ("OPO\nO1D\nOSO", "no counter cell, which is drawn as 'X'"),
        ("XPX\nO1D\nXS ", r"no floor at the edge, but there is at \(row, col\) \[\[2, 2\]\]"),
        ("XPX\nO1D\nXS2", r"no floor at the edge, but there is at \(row, col\) \[\[2, 2\]\]"),
        ("\n", "no counter cell"),
        ("X" * 101 + "\n" + "\n".join(["X" * 101] * 100), "at most 100 rows and columns, this one has 101 x 101"),
        ("{\n", "a layout is a dict of literals"),
        ("{}\n", "a layout is a dict with the kitchen as text in 'grid'"),
        ("{\n'grid': 5}", "a layout is a dict with the kitchen as text in 'grid'"),
        ("{'grid': 'XPX'}\n", "a layout needs its orders"),
        ("{'grid': __import__('os').getcwd()}\n", "a layout is a dict of literals"),
        ("{" * 5000 + "\n", "a layout is a dict of literals"),
        (LAYOUT.replace('"onion"]', '"tomato"]'), r"map\['start_all_orders'\]=.*tomato.* is not allowed"),
        (LAYOUT.replace("O  2O", "O  2T"), "unknown map symbol 'T' at row 1, col 4"),
        (LAYOUT.replace("rew_shaping_params", "old_dynamics").replace("None", "True"), r"map\['old_dynamics'\]=True"),
        (LAYOUT.replace("rew_shaping_params", "wind"), "map='wind' is not allowed: the entries of a layout"),
        (LAYOUT.replace('"rew_shaping_params": None', "'recipe_times': 5"), r"map\['recipe_times'\]=5 is not allowed"),
        (LAYOUT.replace('"rew_shaping_params": None', "'cook_time': 'x'"), "cook_steps='x' is not allowed"),
    ],
)
def test_kitchens_that_cannot_be_played_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make("overcooked", map=text)


def test_files_that_hold_no_kitchen_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_text("X" * 70_000)
    for name, message in {"none": "no such file", "bytes": "cannot be read", "large": "at most 65536 bytes"}.items():
        with pytest.raises(ValueError, match=f"map='.*{name}' is not allowed: .*{message}"):
            Overcooked(map=tmp_path / name)
    with pytest.raises(ValueError, match="there is no such file"):
        Overcooked(map=tmp_path)
    with pytest.raises(ValueError, match="the file cannot be read"):
        Overcooked(map=tmp_path / ("x" * 5000))


def test_what_is_wrong_with_a_kitchen_in_a_file_is_said_with_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "kitchen").write_text("XPX\nO?D\nXSX")
    with pytest.raises(ValueError, match=r"^'.*kitchen': unknown map symbol '\?' at row 1, col 1"):
        Overcooked(map=tmp_path / "kitchen")


def test_greedy_cooks_refuse_kitchens_in_which_one_of_them_cannot_reach_everything() -> None:
    with pytest.raises(ValueError, match=r"env='player 1' is not allowed: .*none leads to onions, dishes"):
        policies.scripted(Overcooked(map="forced_coordination"), "greedy")
    with pytest.raises(ValueError, match="greedy cooks are two"):
        policies.scripted(Overcooked(map=FOUR), "greedy")


@pytest.mark.parametrize(
    ("name", "least"), [("asymmetric_advantages", 12), ("coordination_ring", 7), ("counter_circuit", 7)]
)
def test_greedy_cooks_never_get_stuck_in_a_named_kitchen(name: str, least: int) -> None:
    env = Overcooked(map=name)
    greedy = policies.scripted(env, "greedy")

    def play(key: jax.Array) -> jax.Array:
        def body(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            state, _, _, info = env.transition(NoDraws(), state, greedy(key, state), env.default_params)
            return state, info["delivered"].sum()

        return jax.lax.scan(body, env.initial_state(key, env.default_params), jax.random.split(key, 400))[1].sum()

    assert jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(0), 16)).min() >= least


def test_greedy_cooks_refuse_kitchens_too_large_to_plan_for() -> None:
    rows = ["X" * 21, "O1" + " " * 18 + "P", "D" + " " * 18 + "2S", *["X" * 21] * 17]
    with pytest.raises(ValueError, match="greedy cooks plan for kitchens of at most 400 cells"):
        policies.scripted(Overcooked(map="\n".join(rows)), "greedy")
