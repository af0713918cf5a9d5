"""Recorded steps of the original `*_in_the_matrix` and statistics of its random play, compared with our game."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from tests.reference.compiling import USUAL_OPTIONS
from tests.reference.matrix_recordings import DATA, NAMES, MatrixRecording

SHORT = {
    "prisoners_dilemma_in_the_matrix__repeated_duel_s2": 500,
    "prisoners_dilemma_in_the_matrix__repeated_scripted_s1": 600,
}
"""Steps of recordings in which much happens, all of one game."""

RANDOM_PLAY = {
    "prisoners_dilemma": (1.28, 0.43),
    "stag_hunt": (1.76, 0.57),
    "chicken": (1.80, 0.46),
    "pure_coordination": (0.13, 0.06),
    "bach_or_stravinsky": (1.16, 0.31),
}
"""Mean return of an agent and its standard error, 12 episodes of at most 1,000 steps of the original on "repeated".

Source: google-deepmind/meltingpot @ 81ee2e7, run with actions that are equally likely.
"""

INTERACTIONS = {
    "prisoners_dilemma": 0.67,
    "stag_hunt": 1.0,
    "chicken": 0.83,
    "pure_coordination": 0.5,
    "bach_or_stravinsky": 0.92,
}
"""Interactions of an agent in these episodes."""

NUM_EPISODES = 256


def test_all_recordings_are_there_and_small() -> None:
    assert len(NAMES) == 24
    assert set(SHORT) < set(NAMES)
    assert max(path.stat().st_size for path in DATA.iterdir()) < 40_000


def replay(name: str, num_steps: int) -> None:
    recording = MatrixRecording.load(name, "sequential")
    env, arrays = recording.env, recording.arrays
    for ours, theirs in (("walls", "walls"), ("spawn_cells", "spawn_cells"), ("resource_cells", "item_cells")):
        np.testing.assert_array_equal(getattr(env, ours), arrays[theirs])
    assert ((env.fixed_classes == 0) | (env.fixed_classes == arrays["item_class"])).all()
    assert recording.find_differences(num_steps) == {}


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.slow
def test_every_step_of_the_repeated_dilemma_is_that_of_the_original(name: str) -> None:
    replay(name, SHORT[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_that_of_the_original(name: str) -> None:
    replay(name, len(MatrixRecording.load(name, "sequential").arrays["actions"]))


@pytest.mark.slow
@pytest.mark.parametrize("game", RANDOM_PLAY)
def test_random_play_gives_what_it_gives_in_the_original(game: str) -> None:
    env = jaxdilemmas.make("in_the_matrix", game=game)

    def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        key_act, key_step = jax.random.split(key)
        actions = jax.random.randint(key_act, (env.num_agents,), 0, 8, jnp.int32)
        draws = env.draw(key_step, state, env.default_params)
        state, rewards, _, info = env.transition(draws, state, actions, env.default_params)
        return state, jnp.stack([rewards.mean(), info["interactions"].astype(jnp.float32).mean()])

    def play(key: jax.Array) -> jax.Array:
        start = env.initial_state(key, env.default_params)
        return jax.lax.scan(step, start, jax.random.split(jax.random.fold_in(key, 1), 1000))[1].sum(0)

    keys = jax.random.split(jax.random.key(100), NUM_EPISODES)
    returns, interactions = np.asarray(jax.jit(jax.vmap(play), compiler_options=USUAL_OPTIONS)(keys)).T
    mean, error = RANDOM_PLAY[game]
    ours, our_error = returns.mean(), returns.std(ddof=1) / NUM_EPISODES**0.5
    assert abs(ours - mean) < 3 * np.hypot(error, our_error), f"{ours} +- {our_error}, not {mean} +- {error}"
    assert 0.4 < interactions.mean() / INTERACTIONS[game] < 2.5  # 24 episodes of the original have 12 to 24 of them
