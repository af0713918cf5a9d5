"""Arguments and actions that games refuse, and the errors that they raise."""

from typing import Any

import jax
import numpy as np
import pytest

import jaxdilemmas
from jaxdilemmas import policies
from tests.reference.rollouts import start

NOT_ALLOWED: list[tuple[str, dict[str, Any], str]] = [
    ("gathering", {"num_agents": 0}, "num_agents=0 is not allowed"),
    ("gathering", {"num_agents": True}, "num_agents=True is not allowed"),
    ("gathering", {"beam_enabled": "no"}, "beam_enabled='no' is not allowed"),
    ("gathering", {"hits_to_tag": 1.5}, r"hits_to_tag=1\.5 is not allowed"),
    ("gathering", {"timeout_steps": "5"}, "timeout_steps='5' is not allowed"),
    ("commons", {"regrowth_probabilities": ("a", "b", "c", "d")}, "regrowth_probabilities="),
    ("gathering_gallego", {"map": ["small"]}, "map="),
    ("gathering", {"num_agents": 2.5}, r"num_agents=2\.5 is not allowed"),
    ("gathering", {"num_agents": 329}, "num_agents=329 is not allowed: at most 328"),
    ("gathering", {"observation": "pixels"}, "observation='pixels' is not allowed: one of tiles, one_hot, rgb"),
    ("gathering", {"beam_length": 0}, "beam_length=0 is not allowed"),
    ("gathering", {"apple_respawn_steps": 0}, "apple_respawn_steps=0 is not allowed"),
    ("gathering", {"timeout_steps": -1}, "timeout_steps=-1 is not allowed"),
    ("gathering", {"hits_to_tag": 0}, "hits_to_tag=0 is not allowed"),
    ("gathering", {"max_steps": 0}, "max_steps=0 is not allowed"),
    ("gathering", {"respawn": 3}, "unknown keyword 'respawn' with value 3 for Gathering: allowed are num_agents, "),
    ("commons", {"num_agents": 89}, "num_agents=89 is not allowed: at most 88"),
    ("commons", {"num_agents": 0}, "num_agents=0 is not allowed"),
    ("commons", {"observation": "RGB"}, "observation='RGB' is not allowed"),
    ("commons", {"regrowth_probabilities": (0.0, 0.1, 0.2)}, "regrowth_probabilities="),
    ("commons", {"regrowth_probabilities": (0.0, 0.1, 0.2, 1.01)}, "regrowth_probabilities="),
    ("commons", {"regrowth_probabilities": (-0.01, 0.1, 0.2, 1.0)}, "regrowth_probabilities="),
    ("commons", {"regrowth_probabilities": 0.5}, "regrowth_probabilities="),
    ("commons", {"timeout_steps": 0}, "timeout_steps=0 is not allowed"),
    ("commons", {"apple_respawn_steps": 25}, "unknown keyword 'apple_respawn_steps' with value 25 for Commons"),
    ("commons_gallego", {"regrowth_probabilities": (0.0, 0.1, 1.5, 0.1)}, "regrowth_probabilities="),
    ("commons_gallego", {"regrowth_probabilities": (0.0, 0.1, float("nan"), 0.1)}, "regrowth_probabilities="),
    ("gathering_gallego", {"map": "huge"}, "map='huge' is not allowed: one of small, default, large"),
    ("gathering_gallego", {"num_agents": -1}, "num_agents=-1 is not allowed"),
    (
        "gathering_gallego",
        {"beam_length": 3},
        "unknown keyword 'beam_length' with value 3 for GatheringGallego: allowed are map",
    ),
    ("cleanup_gallego", {"map": "large"}, "map='large' is not allowed: one of small, full"),
    ("cleanup_gallego", {"map": 3}, "map=3 is not allowed"),
    ("cleanup_gallego", {"num_agents": 0}, "num_agents=0 is not allowed"),
    ("cleanup_gallego", {"observation": "pixels"}, "observation='pixels' is not allowed"),
    ("cleanup_gallego", {"clean_cost": -1}, "clean_cost=-1 is not allowed: a number of at least 0"),
    ("cleanup_gallego", {"fine_penalty": "50"}, "fine_penalty='50' is not allowed"),
    ("cleanup_gallego", {"waste_probability": 1.5}, r"waste_probability=1\.5 is not allowed: a number from 0 to 1"),
    (
        "cleanup_gallego",
        {"restoration_threshold": 0.4},
        r"restoration_threshold=0\.4 is not allowed: less than",
    ),
    ("cleanup_gallego", {"timeout_steps": 0}, "timeout_steps=0 is not allowed"),
    ("cleanup_gallego", {"hits_to_tag": 0}, "hits_to_tag=0 is not allowed"),
    ("cleanup_gallego", {"max_steps": 0}, "max_steps=0 is not allowed"),
    (
        "cleanup_gallego",
        {"beam_length": 3},
        "unknown keyword 'beam_length' with value 3 for CleanupGallego: allowed are map, num_agents",
    ),
    ("coins", {"width": 9}, "width=9 is not allowed: a whole number of at least 10 and at most 15"),
    ("coins", {"height": 16}, "height=16 is not allowed: a whole number of at least 10 and at most 15"),
    ("coins", {"num_agents": 3}, "num_agents=3 is not allowed: 2, one for each colour"),
    ("coins", {"observation": "pixels"}, "observation='pixels' is not allowed"),
    ("coins", {"movement": "jump"}, "movement='jump' is not allowed: one of sequential, simultaneous"),
    ("coins", {"episode_ending": "never"}, "episode_ending='never' is not allowed: one of clock, stochastic"),
    ("coins", {"coin_growth": 1.5}, r"coin_growth=1\.5 is not allowed: a number from 0 to 1"),
    ("coins", {"coin_growth": -0.1}, r"coin_growth=-0\.1 is not allowed: a number from 0 to 1"),
    ("coins", {"mismatch_cost": -2.0}, r"mismatch_cost=-2\.0 is not allowed: a number of at least 0"),
    ("coins", {"ending_probability": 2}, "ending_probability=2 is not allowed: a number from 0 to 1"),
    ("coins", {"min_steps": 0}, "min_steps=0 is not allowed"),
    (
        "coins",
        {"timeout_steps": 5},
        "unknown keyword 'timeout_steps' with value 5 for Coins: allowed are width, height",
    ),
    ("gems", {"end_rule": "never"}, "end_rule='never' is not allowed: one of team_reward, gem_count"),
    ("gems", {"observation": "tiles"}, "observation='tiles' is not allowed: one of entities, planes"),
    ("gems", {"num_agents": 3}, "num_agents=3 is not allowed: 2"),
    ("gems", {"num_agents": 2.0}, r"num_agents=2\.0 is not allowed: 2"),
    ("gems", {"own_reward": -1}, "own_reward=-1 is not allowed: a number of at least 0"),
    ("gems", {"shared_reward": float("nan")}, "shared_reward=nan is not allowed"),
    ("gems", {"most_team_reward": "20"}, "most_team_reward='20' is not allowed"),
    ("gems", {"most_gems": 1.5}, r"most_gems=1\.5 is not allowed: a whole number of at least 0"),
    ("gems", {"max_steps": 0}, "max_steps=0 is not allowed"),
    ("gems", {"gems": 3}, "unknown keyword 'gems' with value 3 for Gems: allowed are end_rule, observation, num"),
    ("intersection", {"num_agents": 5}, "num_agents=5 is not allowed: a whole number of at least 1 and at most 4"),
    ("intersection", {"num_agents": 0}, "num_agents=0 is not allowed"),
    ("intersection", {"crash_cost": -4.0}, r"crash_cost=-4\.0 is not allowed"),
    ("intersection", {"arrival_reward": float("nan")}, "arrival_reward=nan is not allowed"),
    ("intersection", {"max_steps": 0}, "max_steps=0 is not allowed"),
    (
        "intersection",
        {"duration": 13},
        "unknown keyword 'duration' with value 13 for Intersection: allowed are num_agents, crash_cost",
    ),
]


@pytest.mark.parametrize(("env_id", "bad", "message"), NOT_ALLOWED)
def test_argument_that_is_not_allowed_is_named(env_id: str, bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jaxdilemmas.make(env_id, **bad)


@pytest.mark.parametrize(
    "actions",
    [
        np.zeros(3, np.int32),
        np.zeros((2, 1), np.int32),
        np.int32(0),
        np.zeros(2, np.float32),
        np.zeros(2, np.int8),
        np.zeros(2, np.uint32),
        np.zeros(2, bool),
    ],
)
def test_actions_of_wrong_shape_or_dtype_are_refused(actions: Any) -> None:
    env = jaxdilemmas.make("gathering")
    with pytest.raises(ValueError, match=r"actions of shape .* takes shape \(2,\) and dtype int32"):
        env.step(jax.random.key(0), None, actions)


def test_actions_for_another_number_of_agents_are_refused_inside_jit() -> None:
    env: Any = jaxdilemmas.make("commons", num_agents=3)
    with pytest.raises(ValueError, match=r"actions of shape \(12,\) and dtype int32 are not allowed: Commons with 3"):
        jax.jit(env.step)(jax.random.key(0), start(env), np.zeros(12, np.int32))


@pytest.fixture(scope="module")
def small() -> Any:
    return jaxdilemmas.make("gathering", map="@@@@@@\n@PP.A@\n@@@@@@")


def step_of(env: Any) -> dict[str, Any]:
    """The arguments of a right step."""
    return {"key": jax.random.key(0), "state": start(env), "actions": np.zeros(2, np.int32)}


OTHER_STATES = {
    "a wrapper's": lambda env: start(jaxdilemmas.EpisodeStatistics(env)),
    "another game's": lambda env: start(jaxdilemmas.make("commons", map="@@@@@@\n@PP.A@\n@@@@@@", num_agents=2)),
    "an observation": lambda env: np.zeros((2, 16, 21), np.uint8),
    "of other agents": lambda env: start(jaxdilemmas.make("gathering", map="@@@@@@\n@PP.A@\n@@@@@@", num_agents=3)),
    "a batch": lambda env: jax.tree.map(lambda leaf: np.stack([leaf, leaf]), start(env)),
}


@pytest.mark.parametrize("which", OTHER_STATES)
def test_a_state_that_is_none_of_the_game_is_refused_in_every_method(which: str, small: Any) -> None:
    state, right = OTHER_STATES[which](small), step_of(small)
    params = small.default_params
    calls: list[Any] = [
        lambda: small.step(right["key"], state, right["actions"]),
        lambda: jax.jit(small.step)(right["key"], state, right["actions"]),
        lambda: small.observe(state, params),
        lambda: small.draw(right["key"], state=state, params=params),
        lambda: small.transition(small.draw(right["key"], right["state"], params), state, right["actions"], params),
        lambda: policies.scripted(small, "greedy")(right["key"], state),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^state.* is not allowed: "):
            call()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_steps", 2**31, "params.max_steps=2147483648 is not allowed"),
        ("timeout_steps", None, "params.timeout_steps=None is not allowed"),
        ("hits_to_tag", "2", "params.hits_to_tag='2' is not allowed"),
        ("hits_to_tag", float("nan"), "params.hits_to_tag=nan is not allowed"),
        (
            "max_steps",
            np.arange(3),
            r"params.max_steps of shape=\(3,\) is not allowed: \(\); batches go through jax.vmap",
        ),
    ],
)
def test_params_that_hold_no_numbers_of_the_game_are_refused(field: str, value: Any, message: str, small: Any) -> None:
    params = small.default_params.replace(**{field: value})
    with pytest.raises(ValueError, match=message):
        small.step(**step_of(small), params=params)
    with pytest.raises(ValueError, match=message):
        small.reset(jax.random.key(0), params)


def test_a_state_with_numbers_of_another_kind_is_refused_by_step(small: Any) -> None:
    right = step_of(small)
    state = right["state"].replace(hits=np.zeros(2, np.float32))
    with pytest.raises(ValueError, match=r"state\.hits of dtype='float32' is not allowed: int32"):
        small.step(**right | {"state": state})


def test_traced_and_batched_params_are_taken(small: Any) -> None:
    right = step_of(small)
    batch = jax.tree.map(lambda number: np.stack([number, number]), small.default_params.replace(max_steps=1))
    truncated = jax.jit(jax.vmap(lambda params: small.step(**right, params=params)[4]))(batch)
    assert truncated.tolist() == [True, True]


def test_actions_of_python_numbers_and_traced_numbers_are_taken(small: Any) -> None:
    right = step_of(small)
    for actions in ([4, 5], (4, 5), np.array([4, 5], np.int32)):
        state = small.step(right["key"], right["state"], actions)[1]
        assert (state.headings != right["state"].headings).all()
    state = jax.jit(lambda turn: small.step(right["key"], right["state"], [turn, turn])[1])(np.int32(4))
    assert (state.headings != right["state"].headings).all()


def test_numbers_of_numpy_are_taken_as_those_of_python() -> None:
    board = "@@@@@@\n@PP.A@\n@@@@@@"
    own: Any = jaxdilemmas.make(
        "gathering", map=board, num_agents=np.uint8(2), beam_length=np.uint8(3), max_steps=np.uint8(9)
    )
    assert (type(own.num_agents), type(own.default_params.max_steps)) == (int, int)
    assert own.beam_reach.max() == 3
    ring = jaxdilemmas.make("common_pool_network", num_agents=np.int64(3), price=np.float32(2.0))
    assert type(ring.default_params.price) is float
