"""Wrong calls of every public function and every game: each is refused before anything is compiled.

The functions are found, not listed: a new function without a right call here fails the first test.
"""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import bonuses, graphs, metrics, policies, preferences, registration, rendering, testing
from jaxdilemmas.environment import Environment
from tests.wrong_calls import (
    INF,
    NAN,
    NO_FINITE_NUMBER,
    NO_FLAG,
    NO_GAME,
    NO_KEY,
    NO_TEXT,
    NO_WHOLE_NUMBER,
    WrongCall,
    assert_refused,
    wrong_calls,
)

BOARD = "@@@@@@\n@PP.A@\n@PP.A@\n@@@@@@"
KEY = jax.random.key(0)

COUNT = (*NO_WHOLE_NUMBER, 2**31, 0, -1)
COUNT_OR_NONE = tuple(value for value in COUNT if value is not None)
COUNT_FROM_0 = (*NO_WHOLE_NUMBER, 2**31, -1)
NUMBER = (*NO_FINITE_NUMBER, 10**30, -(2**31) - 1)
POSITIVE_NUMBER = (*NUMBER, -0.5)
CHOICE = (*NO_TEXT, "no such name", "")
TEXT = NO_TEXT
FLAG = NO_FLAG
MAP = (None, 5, True, b"@\n@", ["@@", "P."], "no_such_map", "../map.txt", object())
TABLE = (None, 5, "abcd", [0.1] * 3, (0, 0, 0, NAN), (0, 0, 0, 2), [[0, 0, 0, 0]], (0, 0, 0, "1"), [0, [0], 0, 0], INF)
FOUR: tuple[Any, ...] = (
    None,
    5,
    "abcd",
    [0.1] * 3,
    (0, 0, 0, NAN),
    (0, 0, 0, INF),
    [[0, 0, 0, 0]],
    (0, 0, 0, "1"),
    [0, [0], 0, 0],
    {},
)
FOUR_COUNTS = (*FOUR, (0, 0, 0, -1), (0, 0, 0, 0.5), (0, 0, 0, 2**31))
GAME = NO_GAME
ACTIONS = (None, "left", [None, 0], ["left", "left"], [[0], [0, 1]], object(), {"a": 0})
FUNCTION = (None, 5, "max", object())
PATH = (None, 5, ["a.gif"], object())
SUMS: tuple[Any, ...] = (
    None,
    5,
    1.5,
    "ab",
    b"ab",
    [],
    ["a", "b"],
    [[1.0], [1.0, 2.0]],
    {"a": 1},
    object(),
    np.zeros((2, 0)),
    np.array(["a"]),
)
OTHER_SUMS = (*SUMS, np.zeros(3), np.zeros((2, 2)), np.zeros((1, 2)))
MATRIX: tuple[Any, ...] = (
    None,
    5,
    "ab",
    [1, 2],
    [[1.0], [1.0, 2.0]],
    [[NAN, 0], [0, 0]],
    [["a", "b"], ["c", "d"]],
    np.zeros((2, 3)),
    {},
)
SETTING: tuple[Any, ...] = (None, "x", NAN, INF, 1e39, 10**400, [[1.0]], [1.0, NAN], True, {}, object(), -1)


class Case(NamedTuple):
    """A function, a right call of it, and what is wrong for each argument."""

    function: Callable[..., Any]
    right: dict[str, Any]
    wrong: dict[str, tuple[Any, ...]]


def state_of(env: Environment) -> Any:
    """A state with shapes in the place of arrays: no wrong call gets as far as to use it."""
    return jax.eval_shape(env.reset, KEY)[1]


GATHERING: Any = jaxdilemmas.make("gathering", map=BOARD)
COMMONS: Any = jaxdilemmas.make("commons", map=BOARD, num_agents=2)
COMMON_POOL = jaxdilemmas.make("common_pool", num_agents=2)
WRAPPED = jaxdilemmas.EpisodeStatistics(GATHERING)
OBSERVATION = np.zeros((2, *GATHERING.observation_space.shape), np.uint8)
RIGHT_STATE = state_of(GATHERING)
WRONG_STATES = (None, 5, "state", OBSERVATION, {"apples": 1}, object())
WRONG_PARAMS = (5, "params", {"max_steps": 5}, object())
STEP = {"key": KEY, "state": RIGHT_STATE, "actions": np.zeros(2, np.int32)}
PICTURE = np.zeros((2, 3, 3), np.uint8)
ZEROS = np.zeros(2)


def of_wrappers() -> list[Case]:
    return [
        Case(jaxdilemmas.AutoReset, {"env": GATHERING}, {"env": GAME, "final_observation": FLAG}),
        Case(jaxdilemmas.EpisodeStatistics, {"env": GATHERING}, {"env": GAME}),
        Case(
            jaxdilemmas.TransformRewards,
            {"env": GATHERING, "preference": preferences.common()},
            {"env": GAME, "preference": (*FUNCTION, max, preferences.common, preferences.Preference(5, 5))},  # type: ignore[arg-type]
        ),
        Case(
            jaxdilemmas.AddBonus,
            {"env": GATHERING, "signal": bonuses.weighted_events({"collected": 1.0}), "bonus": bonuses.wage()},
            {"env": GAME, "signal": FUNCTION, "bonus": (*FUNCTION, max, bonuses.wage), "weight": NUMBER},
        ),
    ]


def of_environments() -> list[Case]:
    cases = []
    for env, state in ((GATHERING, RIGHT_STATE), (WRAPPED, state_of(WRAPPED))):
        right = STEP | {"state": state}
        wrong = {"key": NO_KEY, "state": WRONG_STATES, "actions": ACTIONS, "params": WRONG_PARAMS}
        cases += [
            Case(env.reset, {"key": KEY}, {"key": NO_KEY, "params": WRONG_PARAMS}),
            Case(env.step, right, wrong),
            Case(env.observe, {"state": state, "params": None}, {"state": WRONG_STATES}),
            Case(env.check_actions, {"actions": right["actions"]}, {"actions": ACTIONS}),
        ]
    return cases


def of_spaces() -> list[Case]:
    bound = (None, "0", True, NAN, [0], 10**400, 1e300, 1j, np.zeros(3), object())
    shape = (None, 5, "x", [2], (1.5,), (-1,), (True,), (2**31,), object())
    box: dict[str, Any] = {"low": 0.0, "high": 1.0, "shape": (2,)}
    dtype = ("x", 5, bool, str, complex, object())
    extras: dict[str, Any] = {"view": jaxdilemmas.Box(**box), "names": ("a", "b")}
    return [
        Case(jaxdilemmas.Discrete, {"n": 3}, {"n": COUNT}),
        Case(jaxdilemmas.Box, box, {"low": bound, "high": bound, "shape": shape, "dtype": dtype}),
        Case(jaxdilemmas.Discrete(3).sample, {"key": KEY}, {"key": NO_KEY}),
        Case(jaxdilemmas.Box(**box).sample, {"key": KEY}, {"key": NO_KEY}),
        Case(jaxdilemmas.WithExtras, extras, {"view": (*GAME, 3), "names": ((), ("a", "a"), "a", (3,), ["a"], None)}),
        Case(jaxdilemmas.WithExtras(**extras).sample, {"key": KEY}, {"key": NO_KEY}),
    ]


def of_registration() -> list[Case]:
    env_id = (None, 5, True, ["gathering"], b"gathering", object(), "os:system", "a:b:c")
    right = {"env_id": "mine", "factory": registration.registered_class("gathering")}
    wrong_id = (*env_id, "", "a b", "gathering")
    return [
        Case(jaxdilemmas.make, {"env_id": "gathering"}, {"env_id": env_id}),
        Case(registration.make_registered, {"env_id": "gathering"}, {"env_id": env_id[:-2]}),
        Case(registration.registered_class, {"env_id": "gathering"}, {"env_id": env_id[:-2]}),
        Case(
            jaxdilemmas.register, right, {"env_id": wrong_id, "factory": (None, 5, "max", int, Environment, object())}
        ),
    ]


def of_graphs() -> list[Case]:
    probability, count = (*NUMBER, -0.1, 1.1), COUNT_FROM_0
    weights: tuple[Any, ...] = (*MATRIX, [[0, 1], [1, 0], [0, 0]])
    return [
        Case(graphs.make_graph, {"name": "ring", "num_agents": 4}, {"name": CHOICE, "num_agents": (*COUNT, 10**6)}),
        Case(
            graphs.make_graph,
            {"name": "erdos_renyi", "num_agents": 4},
            {"probability": probability, "seed": count, "wind": (1,)},
        ),
        Case(graphs.make_graph, {"name": "small_world", "num_agents": 6}, {"neighbours": (*count, 3, 6)}),
        Case(
            graphs.check_adjacency,
            {"argument_name": "value", "value": np.zeros((2, 2))},
            {"argument_name": TEXT, "value": weights[:5] + weights[6:], "num_agents": COUNT_OR_NONE},
        ),
        Case(graphs.edges_of, {"adjacency": np.zeros((2, 2))}, {"adjacency": (*MATRIX[:-2], {}, [[-1.0]])}),
    ]


def of_metrics() -> list[Case]:
    both = {"returns": ZEROS, "lengths": ZEROS}
    info = (None, 5, "info", [1], object())
    return [
        Case(metrics.efficiency, both, {"returns": SUMS, "lengths": OTHER_SUMS, "per_step": FLAG}),
        Case(metrics.equality, {"returns": ZEROS}, {"returns": SUMS, "negative": CHOICE}),
        Case(
            metrics.sustainability,
            {"reward_steps": ZEROS, "reward_time": ZEROS},
            {"reward_steps": SUMS, "reward_time": OTHER_SUMS, "all_agents": FLAG},
        ),
        Case(metrics.peace, {"tagged_steps": ZEROS, "lengths": ZEROS}, {"tagged_steps": SUMS, "lengths": OTHER_SUMS}),
        Case(metrics.restraint, {"efforts": ZEROS, "lengths": ZEROS}, {"efforts": SUMS, "lengths": OTHER_SUMS}),
        Case(metrics.social_metrics, {"info": {}}, {"info": info}),
    ]


def of_policies() -> list[Case]:
    probability: tuple[Any, ...] = (None, "x", NAN, -0.1, 1.1, [0.5] * 3, [[0.5, 0.5]], {}, object(), True)
    right = {"env": COMMON_POOL, "probability": 0.5}
    play = {"key": KEY, "state": RIGHT_STATE}
    return [
        Case(policies.random, {"env": GATHERING}, {"env": GAME}),
        Case(policies.bernoulli, right, {"env": (*GAME, GATHERING), "probability": probability}),
        Case(policies.scripted_policies, {"env": GATHERING}, {"env": GAME}),
        Case(policies.scripted, {"env": GATHERING, "name": "greedy"}, {"env": GAME, "name": CHOICE}),
        Case(policies.scripted(GATHERING, "greedy"), play, {"key": NO_KEY, "state": WRONG_STATES}),
    ]


def of_preferences() -> list[Case]:
    averse = {"envy": SETTING, "guilt": SETTING, "decay": (*SETTING, 2), "discount": (*SETTING, 2)}
    orientation = {"angle": 45, "weight": 1}
    rewards = (None, 5, "ab", [1.0, 2.0], np.zeros((2, 2)), np.zeros(2, np.int32), object())
    built = [
        (preferences.individual(), ()),
        (preferences.mixing(np.eye(2)), ()),
        (preferences.social_value_orientation(**orientation), ()),
        (preferences.inequity_averse(), np.zeros(2, np.float32)),
    ]
    agents = tuple(value for value in COUNT if value not in (2,))
    return [
        Case(preferences.individual, {}, {}),
        Case(preferences.common, {}, {}),
        Case(
            preferences.neighbour_weighted, {"graph": np.zeros((2, 2)), "alpha": 1}, {"graph": MATRIX, "alpha": SETTING}
        ),
        Case(preferences.mixing, {"matrix": np.eye(2)}, {"matrix": MATRIX}),
        Case(preferences.social_value_orientation, orientation, {"angle": (*SETTING[:-1], 181), "weight": SETTING}),
        Case(preferences.inequity_averse, {}, averse),
        *(Case(preference.init, {"num_agents": 2}, {"num_agents": agents}) for preference, _ in built),
        *(
            Case(
                rule.apply,
                {next(iter(inspect.signature(rule.apply).parameters)): carry, "rewards": ZEROS},
                {"rewards": rewards},
            )
            for rule, carry in built
        ),
    ]


def of_bonuses() -> list[Case]:
    weights: tuple[Any, ...] = (None, 5, "x", {}, [1.0], object(), {"a": "x"}, {"a": NAN})
    return [
        Case(bonuses.wage, {}, {}),
        Case(bonuses.weighted_events, {"weights": {"a": 1.0}}, {"weights": weights[:-2]}),
        Case(bonuses.check_weight, {"argument": "value", "value": 1.0}, {"value": NUMBER}),
    ]


def of_pictures() -> list[Case]:
    right = {"env": GATHERING, "state": RIGHT_STATE}
    drawing = {"env": GAME, "state": WRONG_STATES}
    tally = {"tally": (5, "x", [1.0, 2.0], object())}
    other = [[PICTURE, PICTURE[:1]], [PICTURE.astype(float)], [[PICTURE.tolist()]]]
    frames: tuple[Any, ...] = (None, 5, "ab", [], [None], [ZEROS], *other)
    gif = {"frames": [PICTURE], "path": "never_written.gif"}
    return [
        Case(rendering.render_text, right, drawing | tally),
        Case(rendering.show, right, drawing | tally),
        Case(rendering.draw_tiles, right, drawing | {"env": (*GAME, COMMON_POOL)}),
        Case(rendering.render_svg, right, drawing | tally | {"width": (*COUNT, 63, 4097)}),
        Case(rendering.render_rgb, right, drawing | tally | {"width": (*COUNT, 63, 4097)}),
        Case(rendering.save_gif, gif, {"frames": frames, "path": PATH, "frames_per_second": (*NUMBER, 0, -1, 101)}),
        Case(rendering.save_mp4, gif, {"frames": frames, "path": PATH, "frames_per_second": (*NUMBER, 0, -1, 101)}),
    ]


def of_testing() -> list[Case]:
    wrong = {"env": GAME, "params": WRONG_PARAMS, "num_steps": COUNT, "seed": COUNT_FROM_0}
    return [Case(testing.check_environment, {"env": GATHERING}, wrong)]


def of_adapters() -> list[Case]:
    for library in ("jaxmarl", "pettingzoo"):
        pytest.importorskip(library, reason='needs pip install -e ".[adapters]"')
    jaxmarl = importlib.import_module("jaxdilemmas.adapters.jaxmarl").JaxMARLEnv
    pettingzoo = importlib.import_module("jaxdilemmas.adapters.pettingzoo").PettingZooEnv
    ours, theirs = jaxmarl(GATHERING), pettingzoo(GATHERING)
    agents = {"agent_0": np.int32(0), "agent_1": np.int32(0)}
    actions: tuple[Any, ...] = (None, 5, [0, 1], {}, {"agent_0": 0}, agents | {"agent_2": 0})
    resets = (*GAME, jaxdilemmas.AutoReset(GATHERING))
    return [
        Case(jaxmarl, {"env": GATHERING}, {"env": resets, "flatten": FLAG}),
        Case(ours.reset, {"key": KEY}, {"key": NO_KEY}),
        Case(ours.step_env, STEP | {"actions": agents}, {"actions": actions}),
        Case(pettingzoo, {"env": GATHERING}, {"env": resets, "render_mode": ("human", 5, ["rgb_array"], b"rgb_array")}),
        Case(theirs.reset, {}, {"seed": (*(value for value in NO_WHOLE_NUMBER if value is not None), -1, 2**32)}),
        Case(theirs.observation_space, {"agent": "agent_0"}, {"agent": CHOICE}),
        Case(theirs.action_space, {"agent": "agent_0"}, {"agent": CHOICE}),
    ]


BY_NAME: dict[str, tuple[Any, ...]] = {
    "num_agents": (*COUNT_OR_NONE, 10**6),
    "observation": CHOICE,
    "map": MAP,
    "rules": CHOICE[1:],
    "episode_ending": CHOICE,
    "end_rule": CHOICE,
    "movement": CHOICE,
    "effort": CHOICE,
    "harvest": CHOICE,
    "regrowth": CHOICE,
    "width": (*COUNT, 9, 16),
    "height": (*COUNT, 9, 16),
    "beam_enabled": FLAG,
    "torus": tuple(value for value in FLAG if value is not None),
    "egocentric": FLAG,
    "coins": CHOICE,
    "extras": FLAG,
    "beam_length": COUNT_OR_NONE,
    "graph": (*MATRIX[:3], "no such graph"),
    "num_nodes": (*COUNT_OR_NONE, 10**6),
    "game": (None, 5, "no such game", [1.0, [2.0]], np.zeros((2, 3, 2)), np.full((2, 2, 2), NAN), {}),
    "payoffs": (5, "ab", [1.0, [2.0]], np.zeros((3, 3, 2)), np.full((2, 2, 2), INF), {}),
    "access": (5, "ab", [[1.0], [1.0, 2.0]], np.zeros((4, 4)), np.full((4, 4), 2), np.ones((1, 4)), {}),
    "most_gems": COUNT_FROM_0,
    "size": (*COUNT, 2, 51),
    "num_food": (*COUNT, 10),
    "sight": (*COUNT_OR_NONE, 9),
    "force_coop": FLAG,
    "normalize_reward": FLAG,
    "can_follow": FLAG,
    "max_food_level": COUNT_FROM_0,
    "zap_cooldown": COUNT_FROM_0,
    "mining_cooldown": COUNT_FROM_0,
    "regrowth_delay": COUNT_FROM_0,
    "gift_cooldown": COUNT_FROM_0,
    "mushroom_rewards": (*FOUR, (0, 0, 0, 10**30)),
    "spore_counts": (*FOUR_COUNTS, (0, 0, 0, 4)),
    "digestion_steps": FOUR_COUNTS,
    "perish_steps": (*FOUR_COUNTS, (1, 1, 1, 0)),
    "payment_delay": COUNT_FROM_0,
    "repair_delay": COUNT_FROM_0,
    "waste_start_steps": COUNT_FROM_0,
    "fine_cooldown": COUNT_FROM_0,
    "clean_cooldown": COUNT_FROM_0,
}
"""What is wrong for an argument of a game; those not named here are numbers by their default."""


def of_game(env_id: str) -> list[Case]:
    """The constructor of a game, with every argument and every field of its params."""
    game: Any = registration.registered_class(env_id)
    env = jaxdilemmas.make(env_id)
    names = [
        name
        for name, parameter in inspect.signature(game).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    fields = {field.name: getattr(env.default_params, field.name) for field in dataclasses.fields(env.default_params)}
    by_kind = {int: COUNT, float: POSITIVE_NUMBER, tuple: TABLE}
    wrong = {name: BY_NAME[name] for name in names} | {
        name: BY_NAME[name] if name in BY_NAME else by_kind[type(value)] for name, value in fields.items()
    }
    return [Case(game, {}, wrong)]


PARTS: dict[str, Callable[[], list[Case]]] = {
    "wrappers": of_wrappers,
    "environments": of_environments,
    "spaces": of_spaces,
    "registration": of_registration,
    "graphs": of_graphs,
    "metrics": of_metrics,
    "policies": of_policies,
    "preferences": of_preferences,
    "bonuses": of_bonuses,
    "pictures": of_pictures,
    "testing": of_testing,
    "adapters": of_adapters,
} | {env_id: functools.partial(of_game, env_id) for env_id in jaxdilemmas.registered_envs()}


@functools.cache
def calls_of(part: str) -> list[WrongCall]:
    return [call for case in PARTS[part]() for call in wrong_calls(case.function, case.right, case.wrong)]


def public_functions() -> set[Any]:
    """The names of the package and the functions of its modules that users call."""
    modules = [getattr(jaxdilemmas, name) for name in jaxdilemmas._MODULES if name != "testing"] + [registration]
    functions = [item for module in modules for item in vars(module).values() if inspect.isfunction(item)]
    names = {module.__name__ for module in modules}
    found = [item for item in functions if item.__module__ in names and not item.__name__.startswith("_")]
    return {*found, *(getattr(jaxdilemmas, name) for name in jaxdilemmas.__all__), testing.check_environment}


def test_every_public_function_has_a_case() -> None:
    without_arguments = {jaxdilemmas.registered_envs}
    abstract = {Environment}
    functions = {case.function for name, part in PARTS.items() if name != "adapters" for case in part()}
    records = {jaxdilemmas.Observation}
    assert public_functions() - functions == without_arguments | abstract | records


def test_there_are_at_least_500_wrong_calls() -> None:
    assert sum(len(calls_of(part)) for part in PARTS if part != "adapters") >= 500


@pytest.mark.parametrize("part", PARTS)
def test_every_wrong_call_is_refused_and_writes_nothing(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in calls_of(part):
        assert_refused(call)
    assert not list(tmp_path.iterdir())
