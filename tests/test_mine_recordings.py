"""Coop mining and gift refinements replay recordings of the original, and return what it returns at random play."""

from typing import Any

import numpy as np
import pytest

import jaxdilemmas
from tests.reference.mining_recordings import GiftRecording, MiningRecording
from tests.reference.random_play import errors_between, play_at_random

GAMES: dict[str, tuple[Any, str]] = {
    "coop_mining": (MiningRecording, "ore_cells"),
    "gift_refinements": (GiftRecording, "token_cells"),
}
RECORDED = [(kind, path.stem) for kind, _ in GAMES.values() for path in sorted(kind.folder.glob("*.npz"))]

RANDOM_PLAY = {"coop_mining": (7.71, 0.44), "gift_refinements": (8.39, 0.43)}
"""Mean return of an agent and its standard error, 12 episodes of at most 1,000 steps of the original.

Source: google-deepmind/meltingpot @ 81ee2e7, run with actions that are equally likely.
"""


@pytest.mark.parametrize("game", GAMES)
def test_recordings_are_six_and_the_board_is_theirs(game: str) -> None:
    kind, cells = GAMES[game]
    names = sorted(path.stem for path in kind.folder.glob("*.npz"))
    assert len(names) == 6
    recording = kind.load(names[0], "sequential")
    for name, key in (("walls", "walls"), (cells, "item_cells"), ("spawn_cells", "spawn_cells")):
        np.testing.assert_array_equal(getattr(recording.env, name), recording.arrays[key])
    assert (len(getattr(recording.env, cells)), len(recording.env.spawn_cells)) == (538, 18)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), RECORDED)
def test_every_recorded_step_is_that_of_the_original(kind: Any, name: str) -> None:
    recording = kind.load(name, "sequential")
    assert recording.find_differences(recording.num_steps) == {}


@pytest.mark.slow
@pytest.mark.parametrize("game", RANDOM_PLAY)
def test_random_play_returns_what_it_returns_in_the_original(game: str) -> None:
    returns, _ = play_at_random(jaxdilemmas.make(game, extras=False), num_episodes=64).T
    assert errors_between(returns, *RANDOM_PLAY[game]) < 3
