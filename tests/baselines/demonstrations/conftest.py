"""Demonstrations of a small game, and a file of them."""

from pathlib import Path

import jax
import numpy as np
import pytest

from baselines.core.players import Player
from baselines.demonstrations import (
    Demonstrations,
    Header,
    Writer,
    describe,
    record,
)
from baselines.demonstrations.records import from_arrays, to_arrays
from baselines.trained.load import find_player
from jaxdilemmas.environment import Environment
from tests.baselines.demonstrations.by_hand import GAME, NUM_EPISODES, episodes_of


@pytest.fixture(scope="module")
def player() -> Player:
    return find_player("random", "common_pool", GAME)


@pytest.fixture(scope="module")
def env(player: Player) -> Environment:
    return player.env


@pytest.fixture(scope="module")
def header(env: Environment) -> Header:
    return describe(env, "common_pool", GAME, "random")


@pytest.fixture(scope="module")
def recorded(player: Player, header: Header) -> Demonstrations:
    """Seven episodes with states."""
    return record(player, jax.random.key(0), num_episodes=NUM_EPISODES, with_states=True, header=header)


@pytest.fixture
def path(recorded: Demonstrations, tmp_path: Path) -> Path:
    """A file of three blocks: two, one and four episodes."""
    path, parts = tmp_path / "a.demos", episodes_of(recorded)
    with Writer(path, recorded.header) as writer:
        for start, stop in ((0, 2), (2, 3), (3, 7)):
            arrays = [to_arrays(part) for part in parts[start:stop]]
            joined = {name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]}
            writer.write(from_arrays(recorded.header, joined))
        assert writer.header == recorded.header
    return path
