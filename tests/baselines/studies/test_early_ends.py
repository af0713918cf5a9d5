"""Rollouts that stop where an episode ends: what is learnt from them, what is skipped, and who shares rewards."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines import networked
from baselines.networking.protocols import PROTOCOLS
from baselines.studies.common_pool.early_ends import ALGORITHM, Config, make_trainer
from tests.baselines.test_ippo import compile_quickly
from tests.baselines.test_networked import CUES, ENV, PROBES, SMALL, solve
from tests.probes import Params

pytestmark = pytest.mark.usefixtures("quick_compiling")


def with_ends(early_ends: Any, **changes: Any) -> Config:
    """The small settings of networked agents with a form of early ends."""
    return Config(**dataclasses.asdict(SMALL) | {"early_ends": early_ends} | changes)


@pytest.fixture(scope="module")
def ragged() -> dict[str, np.ndarray]:
    """Agents who read and share nothing, and whose rollouts stop where an episode ends."""
    return solve(PROBES, with_ends("ragged", protocol="ia2c"), ALGORITHM)


def test_values_are_those_of_the_games(ragged: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(ragged["values"][0, 0], 1.0, atol=0.1)
    np.testing.assert_allclose(ragged["values"][1, 0], SMALL.discount, atol=0.1)
    np.testing.assert_allclose(ragged["values"][4, 0], 1 / (1 - SMALL.discount), atol=0.15)  # past the time limit


def test_the_action_that_pays_is_chosen_by_who_sees_the_cue(ragged: dict[str, np.ndarray]) -> None:
    assert ragged["probabilities"][2, 0].min() > 0.95
    probabilities = ragged["probabilities"][3]
    assert CUES[1, 0] == CUES[2, 0]  # agent 1 sees the cue of agent 0, which it does not need
    np.testing.assert_array_equal(probabilities[1, 0], probabilities[3, 0])
    assert abs(ragged["episode_return"][3, -20:].mean()) < 0.2


def test_an_update_of_ragged_rollouts_plays_the_env_steps_that_are_due(ragged: dict[str, np.ndarray]) -> None:
    one_step, two_steps, endless = (ragged["env_steps"][probe] for probe in (0, 1, 4))
    per_update = 16 * 5
    due = per_update * np.arange(1, 301)
    np.testing.assert_array_equal(one_step, due)  # five rollouts of one step in 16 environments
    np.testing.assert_array_equal(two_steps[:3], [96, 160, 256])  # three rollouts of 32 steps, then two, then three
    np.testing.assert_array_equal(endless[:3], [80, 128 + 80, 256])  # of five steps, and the three left of an episode
    assert np.all((endless >= due) & (endless < due + per_update))


def test_independent_agents_share_rewards_if_they_are_told_to() -> None:
    """Both read nothing; one pays the other half of its reward, which is 1 in every step."""
    params = Params(constant=1.0)
    for does_share, value in ((False, 1.0), (True, 1.5)):
        config = with_ends("packed", protocol="ia2c", independent_share_rewards=does_share)
        found = solve([params], config, ALGORITHM)
        np.testing.assert_allclose(found["values"][0, 0], value, atol=0.1)


def test_packed_rollouts_are_those_of_the_learner() -> None:
    config = with_ends("packed", total_env_steps=16 * 5)
    found = [solve(PROBES[:1], config, algorithm) for algorithm in (ALGORITHM, networked.ALGORITHM)]
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


@pytest.fixture(scope="module")
def skipping() -> Any:
    """A compiled update that skips short rollouts, for episodes of 3 steps and of 5, and the states to begin with."""
    trainer = make_trainer(with_ends("skipped"), ENV)
    params = Params(length=jnp.array([3, 5]), constant=jnp.array([1.0, 1.0]))
    axes = Params(**{field.name: None for field in dataclasses.fields(Params)}).replace(length=0, constant=0)
    key = jax.random.key(0)

    def run(key: jax.Array, params: Params) -> tuple[Any, Any, Any]:
        start = trainer.init(key, params)
        return start, *trainer.update(start, params)

    run_both = jax.vmap(run, in_axes=(None, axes))
    return compile_quickly(run_both, key, params)(key, params)


def test_rollouts_that_end_early_are_skipped(skipping: Any) -> None:
    before, after, metrics = skipping
    for old, new in zip(jax.tree.leaves(before.network_params), jax.tree.leaves(after.network_params), strict=True):
        np.testing.assert_array_equal(old[0], new[0])
    assert np.all(
        before.network_params["agents"]["critic"]["bias"][1] != after.network_params["agents"]["critic"]["bias"][1]
    )
    np.testing.assert_array_equal(metrics["env_steps"], [2 * 3 * 16, 5 * 16])
    np.testing.assert_array_equal(after.opt_state.count, [0, 1])


def test_protocols_without_a_joint_loss_pack_where_others_skip() -> None:
    skips = {name for name in PROTOCOLS if with_ends("skipped", protocol=name).skips_short}
    assert skips == {"consenet", "dial", "commnet", "neurcomm"}
    assert not with_ends("skipped", protocol="na2c").stops_early


def test_settings_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match=r"^early_ends='cut' is not allowed"):
        with_ends("cut")
    with pytest.raises(ValueError, match=r"^total_env_steps=2147483647 is not allowed: at most 2147483567"):
        with_ends("ragged", total_env_steps=2**31 - 1)
    assert with_ends("packed", total_env_steps=2**31 - 1).num_updates == (2**31 - 1) // 80
