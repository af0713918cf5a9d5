"""Recorded steps of the original `*_in_the_matrix` and statistics of its random play, compared with our game."""

import numpy as np
import pytest

import jaxdilemmas
from tests.reference.matrix_recordings import DATA, NAMES, MatrixRecording
from tests.reference.random_play import errors_between, play_at_random

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


@pytest.mark.parametrize("name", NAMES)
def test_the_board_is_that_of_the_original(name: str) -> None:
    recording = MatrixRecording.load(name, "sequential")
    env, arrays = recording.env, recording.arrays
    for ours, theirs in (("walls", "walls"), ("spawn_cells", "spawn_cells"), ("resource_cells", "item_cells")):
        np.testing.assert_array_equal(getattr(env, ours), arrays[theirs])
    assert ((env.fixed_classes == 0) | (env.fixed_classes == arrays["item_class"])).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_every_step_of_the_repeated_dilemma_is_that_of_the_original(name: str) -> None:
    assert MatrixRecording.load(name, "sequential").find_differences(SHORT[name]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_that_of_the_original(name: str) -> None:
    recording = MatrixRecording.load(name, "sequential")
    assert recording.find_differences(len(recording.arrays["actions"])) == {}


@pytest.mark.slow
@pytest.mark.parametrize("game", RANDOM_PLAY)
def test_random_play_gives_what_it_gives_in_the_original(game: str) -> None:
    env = jaxdilemmas.make("in_the_matrix", game=game)
    returns, interactions = play_at_random(env, NUM_EPISODES, "interactions").T
    assert errors_between(returns, *RANDOM_PLAY[game]) < 3
    assert 0.4 < interactions.mean() / INTERACTIONS[game] < 2.5  # the original's 12 episodes have 6 to 12 an agent
