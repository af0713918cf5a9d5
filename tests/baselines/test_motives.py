"""Teams that clean for different reasons: what a warden does, and what the others do when it is close or gone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines.core.players import play_many, play_steps, scripted_player
from baselines.studies.mamql import motives
from jaxdilemmas.policies import scripted_policies

pytestmark = pytest.mark.usefixtures("quick_compiling")


@pytest.fixture(scope="module")
def cleaned() -> dict[str, dict[str, np.ndarray]]:
    """Waste that the others clean, `[E]` means over them, by team and by who is last."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, make in motives.TEAMS.items():
        for make_last in (motives.warden, motives.idle):
            outcome = play_many(motives.beside(make("cleanup"), make_last), jax.random.key(0), 8)
            found.setdefault(name, {})[make_last.__name__] = outcome["cleaned"][:, :-1].mean(1)
    return found


def test_deterred_agents_clean_for_fear_and_willing_ones_anyway(cleaned: dict[str, dict[str, np.ndarray]]) -> None:
    willing, deterred = cleaned["willing"], cleaned["deterred"]
    assert willing["idle"].mean() > 0.9 * willing["warden"].mean() > 100
    assert deterred["warden"].mean() > 4 * deterred["idle"].mean()


def test_who_is_watched_follows_from_the_longer_axis() -> None:
    positions = jnp.array([[0, 0], [3, 4], [9, 4], [3, 13], [3, 10]])
    assert motives.is_watched(positions).tolist() == [False, True, True, True, True]
    assert motives.is_watched(positions + jnp.array([[0, 0], [0, 0], [1, 0], [0, 4], [0, 0]])).tolist() == [
        *(False, True, False, False, True)
    ]


def test_deterred_agents_collect_apples_where_the_warden_is_not_close() -> None:
    env = jaxdilemmas.make("cleanup")
    team = motives.find_team("cleanup", "deterred")
    steps = jax.jit(lambda key: play_steps(team, key, num_steps=80))(jax.random.key(1))
    greedy = scripted_policies(env)["greedy"](env)
    collecting = jax.jit(jax.vmap(lambda state: greedy(jax.random.key(0), state)))(steps.states)[:, :-1]
    is_far = ~jax.vmap(motives.is_watched)(steps.states.positions)[:, :-1]
    np.testing.assert_array_equal(steps.actions[:, :-1][is_far], collecting[is_far])
    assert (steps.actions[:, :-1] != collecting)[~is_far].any()


def test_a_warden_goes_to_both_places_and_fines_who_is_in_line() -> None:
    env: Any = jaxdilemmas.make("cleanup")
    team = scripted_player(env, motives.warden(env))
    steps = jax.jit(lambda key: play_steps(team, key, num_steps=2 * motives.PATROL_STEPS))(jax.random.key(2))
    rows = np.asarray(steps.states.positions)[:, :, 0]
    river, orchard = (np.asarray(cells)[:, 0] for cells in (env.river_cells, env.apple_cells))
    assert rows[motives.PATROL_STEPS - 1].min() <= river.max() and rows[-1].max() >= orchard.min()
    assert steps.info["hits_given"].sum() > 0
