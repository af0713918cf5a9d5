"""The registered games as parameters of tests that compile each of them."""

import pytest

import jaxdilemmas

SLOW_TO_COMPILE = (
    "cleanup",
    "cleanup_gallego",
    "cleanup_meltingpot",
    "coins",
    "commons",
    "commons_gallego",
    "coop_mining",
    "externality_mushrooms",
    "gathering",
    "gathering_gallego",
    "gift_refinements",
    "harvest",
    "in_the_matrix",
    "intersection",
    "territory",
)
"""Games with many agents or things: one test is slow. The README's test command leaves it out; .ci/run does not."""

EVERY_GAME = [
    pytest.param(env_id, marks=pytest.mark.slow if env_id in SLOW_TO_COMPILE else ())
    for env_id in jaxdilemmas.registered_envs()
]
"""Ids for `pytest.mark.parametrize`."""
