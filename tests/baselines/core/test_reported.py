"""Which events of a game are reported, and how."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines.core.reported import EVENTS, event_rates, event_sums


def test_every_event_of_the_table_is_one_of_a_game_and_is_reported() -> None:
    found: set[str] = set()
    for env_id in (
        "cleanup",
        "overcooked",
        "common_pool",
        "matrix_game",
        "coin_game",
        "coop_mining",
        "level_based_foraging",
        "externality_mushrooms",
        "gift_refinements",
        "in_the_matrix",
        "territory",
    ):
        env = jaxdilemmas.make(env_id)
        _, state = jax.eval_shape(env.reset, jax.random.key(0))
        actions = jax.eval_shape(env.action_space.sample, jax.random.key(0))
        actions = jax.ShapeDtypeStruct((env.num_agents, *actions.shape), actions.dtype)
        found |= jax.eval_shape(env.step, jax.random.key(0), state, actions)[-1].keys()
    assert set(EVENTS) <= found
    assert all(event.in_updates or event.in_episodes for event in EVENTS.values())
    assert all(event.in_updates for event in EVENTS.values() if event.label)


def test_rates_are_means_per_step_and_sums_are_of_the_steps_that_are_played() -> None:
    info = {"hits_given": jnp.array([[1, 0], [1, 2], [5, 5]]), "effort": jnp.array([[0.5, 1], [0.5, 0], [0, 0]])}
    info |= {"collected": info["hits_given"], "tagged": info["hits_given"] > 0}
    rates = event_rates({name: jnp.stack([values, 3 * values], axis=1) for name, values in info.items()})
    sums = event_sums(info, jnp.array([True, True, False]))
    assert list(rates) == ["collected", "effort"]
    np.testing.assert_allclose(rates["collected"], [14 / 3, 14 / 3])
    assert {name: total.tolist() for name, total in sums.items()} == {"collected": [2, 2], "hits_given": [2, 2]}
