"""Public functions of the baselines refuse wrong arguments by name and value, and compile nothing."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from baselines import adversarial, cloning, demonstrations, ippo, iq_learn, mamql, networked
from baselines.analysis import dilemmas, events, intervals, metagame, successors, tables, teams
from baselines.core import players
from baselines.presets import preset
from baselines.trained import load, rewards
from jaxdilemmas import AutoReset, preferences
from jaxdilemmas.policies import scripted
from jaxdilemmas.spaces import Box
from tests.baselines.choice_game import ChoiceGame
from tests.probes import Probe
from tests.wrong_calls import (
    INF,
    NAN,
    NO_FINITE_NUMBER,
    NO_FLAG,
    NO_GAME,
    NO_KEY,
    NO_TEXT,
    NO_WHOLE_NUMBER,
    Values,
    WrongCall,
    assert_refused,
    wrong_calls,
)


class Continuous(Probe):
    """A probe whose actions are numbers."""

    @property
    def action_space(self) -> Box:
        return Box(-1, 1, ())


ENV = Probe(num_agents=2)
KEY = jax.random.key(0)
WRONG_GAMES = (*NO_GAME, Probe, AutoReset(ENV))
ALGORITHMS = {module: module.Config() for module in (adversarial, cloning, ippo, iq_learn, mamql, networked)}
IMITATORS = (adversarial, cloning, iq_learn, mamql)


def wrong_configs(module: Any) -> tuple[Any, ...]:
    """What is no settings of an algorithm: those of another one, its class, a dict."""
    other = cloning.Config() if module is not cloning else ippo.Config()
    return (None, 5, module.Config, dataclasses.asdict(module.Config()), other)


def of_algorithms() -> list[WrongCall]:
    found = []
    for module, config in ALGORITHMS.items():
        wrong = {"config": wrong_configs(module), "env": WRONG_GAMES}
        for make in (module.make_trainer, module.make_train):
            found += wrong_calls(make, {"config": config, "env": ENV}, wrong)
        policy = {"config": config, "env": ENV, "greedy": True}
        found += wrong_calls(module.make_policy, policy, wrong | {"greedy": NO_FLAG})
    no_demonstrations: Values = (5, "a.demos", [], object())
    for module in IMITATORS:
        right = {"config": ALGORITHMS[module], "env": ENV, "network_params": {}}
        wrong = {"config": wrong_configs(module), "env": WRONG_GAMES}
        found += wrong_calls(module.recovered_rewards, right, wrong)
        for make in (module.make_trainer, module.make_train):
            found += wrong_calls(make, {"config": right["config"], "env": ENV}, {"demonstrations": no_demonstrations})
    for make in (ippo.make_trainer, ippo.make_train):
        no_preference = (5, "common", preferences.common, object())
        found += wrong_calls(make, {"config": ippo.Config(), "env": ENV}, {"preference": no_preference})
        graphs = (5, "ring", np.zeros((2, 3)), np.eye(2), object())
        make = getattr(networked, make.__name__)
        found += wrong_calls(make, {"config": networked.Config(), "env": ENV}, {"adjacency": graphs})
    return found


def of_training() -> list[WrongCall]:
    """Functions of a key that the algorithms return."""
    found = []
    for module, config in ALGORITHMS.items():
        for function in (module.make_trainer(config, ENV).init, module.make_train(config, ENV)):
            found += wrong_calls(function, {"key": KEY, "env_params": ENV.default_params}, {"key": NO_KEY})
    return found


def keeps(env: Any) -> players.Player:
    return players.scripted_player(env, scripted(env, "keep"))


GAME = ChoiceGame()
PLAYER = keeps(GAME)
OTHER = keeps(ChoiceGame((0.0,) * 3, (0.0,) * 3))
PROBED = players.scripted_player(ENV, scripted(ENV, "random"))
NO_PLAYER = (None, 5, "keep", GAME, scripted(GAME, "keep"), tuple(PLAYER), object())
NO_COUNT = (*NO_WHOLE_NUMBER, 0, -1)


def of_playing() -> list[WrongCall]:
    player = {"player": NO_PLAYER, "key": NO_KEY}
    right = {"player": PLAYER, "key": KEY}
    no_count = tuple(value for value in NO_COUNT if value is not None)
    first = np.ones(4, bool)
    return [
        *wrong_calls(players.play_many, right | {"num_episodes": 2}, player | {"num_episodes": (*NO_COUNT, 10**7)}),
        *wrong_calls(players.summarize, {}, {"outcomes": (None, 5, "return", [])}),
        *wrong_calls(players.episode_outcome, {}, {"episode": (None, 5, "episode", PLAYER)}),
        *wrong_calls(players.play_steps, right, player | {"num_steps": no_count}),
        *wrong_calls(players.play_episode, right, player | {"num_steps": no_count}),
        *wrong_calls(
            players.scripted_player,
            {"env": GAME, "policy": scripted(GAME, "keep")},
            {"env": WRONG_GAMES, "policy": (None, "keep", 5)},
        ),
        *wrong_calls(
            players.trained_player,
            {"env": ENV, "policy": ippo.make_policy(ippo.Config(), ENV), "network_params": {}},
            {"env": WRONG_GAMES, "policy": (None, "keep", scripted(GAME, "keep"))},
        ),
        *wrong_calls(players.seat, {}, {"players": (None, 5, "keep", [], [None], [PLAYER, *[None] * 3], PLAYER)}),
        *wrong_calls(
            players.make_team,
            {"first": PLAYER, "second": PLAYER, "is_first": first},
            {
                "first": NO_PLAYER,
                "second": NO_PLAYER,
                "is_first": (None, 5, [True] * 4, np.ones(3, bool), np.ones(4), np.ones((4, 1), bool)),
            },
        ),
    ]


def of_names() -> list[WrongCall]:
    no_run = (None, 5, True, b"x", ["x"], object())
    return [
        *wrong_calls(preset, {"algorithm": "ippo", "env_id": "gems"}, {"algorithm": NO_TEXT, "env_id": NO_TEXT}),
        *wrong_calls(
            load.find_player,
            {"name": "random", "env_id": "gathering"},
            {"env_kwargs": (None, 5, "num_agents=2", ["num_agents"])},
        ),
        *wrong_calls(
            load.find_game,
            {"players": ["random"], "env": "gathering", "env_kwargs": {}},
            {"players": (None, 5, "random", [5]), "env": (5, ["gathering"]), "env_kwargs": (None, 5, ["num_agents"])},
        ),
        *wrong_calls(load.load_player, {}, {"path": no_run}),
        *wrong_calls(load.load_run, {}, {"path": no_run}),
        *wrong_calls(rewards.load_rewards, {}, {"path": no_run}),
    ]


def pays_nothing(obs: Any, actions: Any, next_obs: Any, terminated: Any) -> Any:
    return jax.numpy.zeros(actions.shape)


def of_rewards() -> list[WrongCall]:
    pool = jaxdilemmas.make("common_pool")
    weights = {"env": pool, "weights": {}}
    no_weights = (None, 5, "time", ["time"], {"time": "x"}, {"time": NAN}, {"effort": 1e39}, {"effort": [1.0, 2.0]})
    no_function: Values = (None, 5, "pays", {}, object())
    return [
        *wrong_calls(rewards.EventWeightedRewards, weights, {"env": WRONG_GAMES, "weights": no_weights}),
        *wrong_calls(
            rewards.RecoveredRewards,
            {"env": GAME, "reward_function": pays_nothing},
            {"env": WRONG_GAMES, "reward_function": no_function},
        ),
    ]


TABLE = dilemmas.SchellingTable(np.arange(10.0).reshape(5, 2), np.ones((5, 2)))
NO_TABLE: Values = (None, 5, "table", {}, np.zeros((5, 2)), object())
RAGGED = [[1.0], [1.0, 2.0]]


def no_array(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """What is no array of numbers, and arrays of wrong shapes."""
    return (None, "x", object(), ["a"], RAGGED, KEY, *(np.zeros(shape) for shape in shapes))


def of_schelling() -> list[WrongCall]:
    right = {"cooperate": PLAYER, "defect": PLAYER, "key": KEY, "num_episodes": 2}
    wrong = {"cooperate": NO_PLAYER, "defect": NO_PLAYER, "key": NO_KEY, "num_episodes": (*NO_COUNT, 1, 10**7)}
    parts = {"cooperators": np.zeros((3, 2)), "defectors": np.zeros((3, 2))}
    estimate = intervals.Estimate(1.0, 0.0, 2.0)
    no_estimate = (None, 5, (1.0, 0.0, 2.0), object())
    return [
        *wrong_calls(dilemmas.payoffs, right, wrong),
        *wrong_calls(
            dilemmas.SchellingTable,
            parts,
            {"cooperators": no_array((3,), (1, 2), (3, 1)), "defectors": no_array((3,), (3, 3), (2, 2))},
        ),
        *wrong_calls(TABLE.cooperator, {}, {"num_cooperators": (*NO_WHOLE_NUMBER, -1, 5)}),
        *wrong_calls(TABLE.defector, {}, {"num_cooperators": (*NO_WHOLE_NUMBER, -1, 5)}),
        *wrong_calls(TABLE.gain_of_defecting, {}, {"num_others": (*NO_WHOLE_NUMBER, -1, 4)}),
        *wrong_calls(TABLE.gain_of_cooperating, {}, {"num_others": (*NO_WHOLE_NUMBER, -1, 4)}),
        *wrong_calls(
            dilemmas.draw_cooperators,
            {"key": KEY, "num_agents": 4, "num_cooperators": 2},
            {"key": NO_KEY, "num_agents": NO_COUNT, "num_cooperators": (*NO_WHOLE_NUMBER, -1, 5)},
        ),
        *wrong_calls(dilemmas.conditions, {}, {"table": NO_TABLE}),
        *wrong_calls(dilemmas.pure_equilibria, {}, {"table": NO_TABLE}),
        *wrong_calls(dilemmas.payoff_rows, {}, {"table": NO_TABLE}),
        *wrong_calls(dilemmas.list_equilibria, {}, {"table": NO_TABLE}),
        *wrong_calls(intervals.is_positive, {"estimate": estimate}, {"estimate": no_estimate}),
        *wrong_calls(
            dilemmas.group_means,
            {"is_cooperator": np.zeros((3, 2), bool), "returns": np.zeros((3, 2))},
            {"is_cooperator": no_array((3,), (3, 3)), "returns": no_array((3,), (3, 3), (3, 2, 1))[:6]},
        ),
        *wrong_calls(intervals.estimate_mean, {}, {"values": (*no_array((3, 2), ()), [], [1.0])}),
        *wrong_calls(
            intervals.estimate_difference,
            {"first": np.zeros(3), "second": np.zeros(3)},
            {"first": (*no_array((3, 2), ()), [1.0]), "second": (*no_array((3, 2), ()), [1.0])},
        ),
    ]


MATRIX = np.array([[0.0, 1.0], [2.0, 0.0]])
CHOICE = metagame.Choice(np.zeros(3), np.ones(3))
NO_CHOICE = (None, 5, "game", MATRIX, GAME, object())


def of_metagames() -> list[WrongCall]:
    return [
        *wrong_calls(
            metagame.Choice,
            {"cooperating": np.zeros(3), "defecting": np.ones(3)},
            {
                "cooperating": (*no_array((3, 1), (), (1,)), [NAN, 0.0, 0.0]),
                "defecting": (*no_array((2,), (3, 1), ()), [INF] * 3),
            },
        ),
        *wrong_calls(metagame.table_game, {}, {"table": NO_TABLE}),
        *wrong_calls(metagame.gain_of_cooperating, {"game": CHOICE, "share": 0.5}, {"game": NO_CHOICE}),
        *wrong_calls(metagame.rest_points, {}, {"game": NO_CHOICE}),
        *wrong_calls(
            metagame.estimate_rest_points,
            {"table": TABLE},
            {"table": NO_TABLE, "seed": (*NO_WHOLE_NUMBER, -1), "num_resamples": NO_COUNT},
        ),
    ]


RESTRAINT = np.array([[0.1, 0.9], [0.5, 0.2]])
TAGS = teams.tag_agents(RESTRAINT, 0.25, 0.35)


def of_teams() -> list[WrongCall]:
    right = {"restraint": RESTRAINT, "defector_below": 0.2, "cooperator_above": 0.4}
    wrong = {
        "restraint": no_array((2,)),
        "defector_below": (*NO_FINITE_NUMBER, -0.1, 1.1),
        "cooperator_above": (*NO_FINITE_NUMBER, -0.1, 1.1, 0.1),
    }
    rng = np.random.default_rng(0)
    return [
        *wrong_calls(teams.tag_agents, right, wrong),
        *wrong_calls(
            teams.draw_team,
            {"tags": TAGS, "num_defectors": 1, "rng": rng},
            {
                "tags": (None, 5, RESTRAINT, tuple(TAGS)),
                "num_defectors": (*NO_WHOLE_NUMBER, -1, 3),
                "rng": (None, 0, KEY, "rng"),
            },
        ),
    ]


ZEROS = np.zeros((4, 2))


def of_successors() -> list[WrongCall]:
    play = successors.Play(PROBED, pays_nothing, 0.9, 3, ("taken",))
    states = jax.eval_shape(jax.vmap(ENV.reset), jax.random.split(KEY, 3))[1]
    right: dict[str, Any] = {"play": play, "states": states, "is_tried": np.ones((2, 2), bool), "key": KEY}
    found = wrong_calls(
        successors.successor_regression,
        {"rewards": np.zeros((2, 3, 4)), "events": np.zeros((2, 3, 4, 1))},
        {"rewards": no_array((2, 3), (1, 3, 4)), "events": no_array((2, 3, 4), (2, 3, 3, 1))},
    )
    found += wrong_calls(
        successors.successor_rewards,
        right,
        {
            "play": (None, 5, tuple(play), object()),
            "states": (None, 5, {}, "states"),
            "is_tried": no_array((2,), (2, 3)),
            "key": NO_KEY,
            "num_repetitions": (*NO_COUNT, 1),
        },
    )
    wrong: dict[str, Values] = {"num_steps": NO_COUNT, "discount": (*NO_FINITE_NUMBER, 1.1)}
    wrong |= {"names": (None, 5, "taken", ())}
    wrong |= {"player": NO_PLAYER, "reward_function": (None, 5, "pays")}
    changes = wrong_calls(play._replace, {}, wrong)
    fit = successors.successor_rewards
    return found + [change._replace(call=partial(fit, **right | {"play": change.call()})) for change in changes]


ROWS = [{"a": 1, "b": 2.0}, {"a": 2, "b": 3.0}]


def of_tables() -> list[WrongCall]:
    no_rows = (None, 5, "rows", ROWS[0], object())
    return [
        *wrong_calls(tables.flatten, {}, {"row": (None, 5, "row", ROWS)}),
        *wrong_calls(tables.write_csv, {"path": Path("never.csv")}, {"rows": no_rows}),
        *wrong_calls(tables.markdown_table, {}, {"rows": no_rows}),
        *wrong_calls(
            tables.spread,
            {"rows": ROWS, "index": ("a",), "across": "a", "value": "b"},
            {"rows": no_rows, "index": (None, 5, "a"), "across": (None, "c"), "value": (None, "c")},
        ),
        *wrong_calls(
            events.event_feature,
            {"name": "taken", "events": {"taken": ZEROS}},
            {"events": (None, 5, ZEROS, "taken")},
        ),
    ]


def of_events() -> list[WrongCall]:
    """Names of events, which errors call that."""
    calls = wrong_calls(events.event_feature, {"events": {"taken": ZEROS}}, {"name": (*NO_TEXT, "given")})
    return [call._replace(argument="event") for call in calls]


def of_demonstrations() -> list[WrongCall]:
    shown = random_demonstrations()
    no_demonstrations: Values = (None, 5, "a.demos", tuple(shown), object())
    recorded = {"player": PROBED, "key": KEY, "header": shown.header, "num_episodes": 1}
    wrong: dict[str, Values] = {"player": NO_PLAYER, "key": NO_KEY, "header": (5, "header", {}, object())}
    wrong |= {"num_episodes": tuple(value for value in NO_COUNT if value is not None), "with_states": NO_FLAG}
    no_path: Values = (None, 5, True, b"x", ["x"], object())
    return [
        *wrong_calls(
            demonstrations.check_fits,
            {"demonstrations": shown, "env": ENV},
            {"demonstrations": no_demonstrations, "env": WRONG_GAMES},
        ),
        *wrong_calls(
            demonstrations.subsample,
            {"demonstrations": shown, "num_transitions": 1},
            {
                "demonstrations": no_demonstrations,
                "num_transitions": (*NO_COUNT, 10**6),
                "seed": (*NO_WHOLE_NUMBER, -1),
            },
        ),
        *wrong_calls(
            demonstrations.split,
            {"demonstrations": shown},
            {
                "demonstrations": no_demonstrations,
                "held_out": (*NO_FINITE_NUMBER, 0.0, 1.0),
                "seed": (*NO_WHOLE_NUMBER, -1),
            },
        ),
        *wrong_calls(demonstrations.join, {}, {"parts": (None, 5, "parts", [], [None], shown, [shown, "a.demos"])}),
        *wrong_calls(demonstrations.load_header, {}, {"path": no_path}),
        *wrong_calls(demonstrations.play_blocks, recorded, wrong),
        *wrong_calls(demonstrations.record, recorded, wrong),
        *wrong_calls(demonstrations.save, {"path": "a.demos"}, {"demonstrations": no_demonstrations}),
        *wrong_calls(demonstrations.save, {"demonstrations": shown}, {"path": no_path}),
        *wrong_calls(
            demonstrations.load,
            {"path": "a.demos"},
            {
                "path": no_path,
                "env": WRONG_GAMES[1:],
                "is_partial_allowed": NO_FLAG,
            },
        ),
        *wrong_calls(
            demonstrations.Writer,
            {"path": "a.demos", "header": shown.header},
            {"path": no_path, "header": (None, 5, {}, "header"), "is_streamed": NO_FLAG},
        ),
    ]


def random_demonstrations() -> demonstrations.Demonstrations:
    """Two episodes of one step each."""
    rows: Any = np.zeros((2, 2), np.float32)
    obs: Any = np.zeros((2, 2, 1), np.float32)
    ended = np.ones(2, bool)
    counts: dict[str, Any] = {"num_episodes": 2, "num_transitions": 2, "returns": (0.0, 0.0)}
    header = dataclasses.replace(demonstrations.describe(ENV), **counts)
    return demonstrations.Demonstrations(
        header, obs, rows.astype(np.int32), rows, obs, ended, ~ended, np.arange(2, dtype=np.int32), {}, {}
    )


OF_ALL: list[Callable[[], list[WrongCall]]] = [
    *(of_algorithms, of_training, of_playing, of_names, of_rewards, of_schelling, of_metagames, of_teams),
    *(of_successors, of_tables, of_events, of_demonstrations),
]


@pytest.mark.parametrize("make_calls", OF_ALL, ids=lambda function: function.__name__)
def test_wrong_calls_are_refused_and_write_nothing(
    make_calls: Callable[[], list[WrongCall]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = make_calls()
    monkeypatch.chdir(tmp_path)
    for call in calls:
        assert_refused(call)
    assert not list(tmp_path.iterdir())


def test_wrong_calls_are_many() -> None:
    assert sum(len(make_calls()) for make_calls in OF_ALL) > 1000


def test_games_that_do_not_fit_an_algorithm_are_refused() -> None:
    for module, config in ALGORITHMS.items():
        with pytest.raises(ValueError, match=r"action_space=Box\(.*is not allowed: .*Discrete"):
            module.make_trainer(config, Continuous(2))
    with pytest.raises(ValueError, match="network='conv' is not allowed: mlp or gru"):
        ippo.make_trainer(ippo.Config(network="conv"), ENV)
    with pytest.raises(ValueError, match=r"observation_space=.* is not allowed: a vector of floats"):
        networked.make_trainer(networked.Config(), jaxdilemmas.make("gathering"))


def test_players_of_another_game_are_refused() -> None:
    with pytest.raises(ValueError, match="second='Probe' is not allowed: a player of ChoiceGame"):
        players.make_team(PLAYER, PROBED, np.ones(4, bool))
    with pytest.raises(ValueError, match="num_agents=2 is not allowed: 4 cooperate"):
        dilemmas.payoffs(PLAYER, OTHER, KEY, 2)


def test_parameters_of_another_network_are_refused() -> None:
    for module in IMITATORS:
        config = ALGORITHMS[module]
        with pytest.raises(ValueError, match=r"network_params\[.*\] of shape=.* is not allowed"):
            module.recovered_rewards(config, ENV, {"params": {"Dense_0": {"bias": np.zeros(3)}}})


def test_legacy_keys_are_keys() -> None:
    run = jax.eval_shape(lambda key: players.play_steps(PLAYER, key, num_steps=2), jax.random.PRNGKey(0))
    assert run.rewards.shape == (2, 4)


def test_lists_of_numbers_are_arrays() -> None:
    assert intervals.estimate_mean([1, 3]).mean == 2  # type: ignore[arg-type]
