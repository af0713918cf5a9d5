"""Recorded steps of the original Melting Pot and statistics of its random play, compared with our games."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.reference.compiling import USUAL_OPTIONS
from tests.reference.meltingpot_recordings import DATA, NAMES, Recording, make

SHORT = {
    "clean_up_crowd_s3": 100,
    "clean_up_scrum-surely_s9": 200,
    "commons_harvest__open_duel_s5": 100,
    "commons_harvest__open_scrum-surely_s9": 200,
    "commons_harvest__closed_crowd_s3": 200,
}
"""Steps of recordings in which much happens early."""

ACTIONS = [7, 0, 1, 2, 3, 4, 5, 6, 8]
"""Our number of each action of Melting Pot."""

PLAY = json.loads((DATA / "random_play.json").read_text())
NUM_EPISODES = 64


def test_all_recordings_are_there_and_small() -> None:
    assert len(NAMES) == 36
    assert set(SHORT) < set(NAMES)
    assert max(path.stat().st_size for path in DATA.iterdir()) < 200_000


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.slow
def test_every_step_of_the_first_ones_is_that_of_the_original(name: str) -> None:
    recording = Recording.load(name, "sequential")
    for key in ("walls", "apple_cells", *["river_cells"] * recording.has_river):
        np.testing.assert_array_equal(getattr(recording.env, key), recording.arrays[key])
    assert recording.find_differences(SHORT[name]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_that_of_the_original(name: str) -> None:
    recording = Recording.load(name, "sequential")
    assert recording.find_differences(recording.num_steps) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_step_without_a_contest_is_that_of_the_original_if_all_move_at_once(name: str) -> None:
    recording = Recording.load(name, "simultaneous")
    wrong = {t for steps in recording.find_differences(recording.num_steps).values() for t in steps}
    assert all(recording.is_contested(t) for t in wrong)


def play_at_random(env: Any, weights: np.ndarray, key: jax.Array) -> dict[str, jax.Array]:
    """What comes of an episode of 1,000 steps whose actions are drawn with weights, named as in the anchors."""

    def step(state: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        key_act, key_step = jax.random.split(key)
        chosen = jax.random.categorical(key_act, jnp.log(weights), shape=(env.num_agents,))
        draws = env.draw(key_step, state, env.default_params)
        actions = jnp.asarray(ACTIONS, jnp.int32)[chosen]
        state, rewards, _, info = env.transition(draws, state, actions, env.default_params)
        seen = {"return": rewards.mean(), "zaps": info["hits_received"].sum(), "out": info["tagged"].mean() / 1000}
        seen["apples"] = state.apples.sum() / 1000
        river = {"cleaned": info["cleaned"].sum(), "waste": state.waste.sum() / 1000} if "cleaned" in info else {}
        return state, seen | river

    key_start, key_steps = jax.random.split(key)
    start = env.initial_state(key_start, env.default_params)
    return jax.tree.map(lambda values: values.sum(0), jax.lax.scan(step, start, jax.random.split(key_steps, 1000))[1])


@pytest.mark.slow
@pytest.mark.parametrize("anchor", PLAY["anchors"], ids=lambda anchor: f"{anchor['substrate']}-{anchor['actions']}")
def test_random_play_gives_what_it_gives_in_the_original(anchor: dict[str, Any]) -> None:
    env = make(anchor["substrate"], "sequential")
    weights = PLAY["weights_in_meltingpot_numbering"][anchor["actions"]]
    weights = np.ones(env.action_space.n) if weights == "equal" else np.array(weights)
    keys = jax.random.split(jax.random.key(100), NUM_EPISODES)
    play = jax.jit(jax.vmap(lambda key: play_at_random(env, weights, key)), compiler_options=USUAL_OPTIONS)
    episodes = play(keys)
    assert set(episodes) == set(anchor) - {"substrate", "actions", "episodes"}
    for name, values in episodes.items():
        mean, error = anchor[name]
        ours, our_error = np.mean(values), np.std(values, ddof=1) / NUM_EPISODES**0.5
        assert abs(ours - mean) < 3 * np.hypot(error, our_error), (
            f"{name}: {ours} +- {our_error}, not {mean} +- {error}"
        )
