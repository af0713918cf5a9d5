"""Learners read the numbers beside a view: the game can only be learnt from them."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines import adversarial, cloning, demonstrations, ippo, mamql, networked
from baselines.core.observations import ObservationCode
from baselines.core.players import trained_player
from baselines.demonstrations import Demonstrations, describe, load, record
from baselines.demonstrations.records import from_arrays, to_arrays
from jaxdilemmas import Box, Observation
from tests.cue_beside import TILES, CueBeside, best_actions

pytestmark = pytest.mark.usefixtures("quick_compiling")

VIEWS = {
    "tiles": TILES,
    "one-hot": Box(0, 1, (3, 2, 4), np.uint8),
    "floats": Box(-np.inf, np.inf, (3,), np.float32),
}


@pytest.mark.parametrize("in_windows", [False, True])
@pytest.mark.parametrize("kind", VIEWS)
def test_what_is_stored_has_every_bit_of_the_extras(kind: str, in_windows: bool) -> None:
    if in_windows and kind == "floats":
        pytest.skip("a vector has no cells")
    env = CueBeside(view=VIEWS[kind])
    code = ObservationCode.of(env.observation_space, in_windows)
    extras = jnp.array([[0.1, np.inf], [-0.0, 3e-39], [np.nan, 7.0]], jnp.float32)
    views = jax.vmap(VIEWS[kind].sample)(jax.random.split(jax.random.key(0), 3))
    stored = code.encode(Observation(views, extras))
    assert stored.ndim == 2
    found, beside = code.split(stored)
    np.testing.assert_array_equal(found, ObservationCode.of(VIEWS[kind], in_windows).encode(views))
    np.testing.assert_array_equal(np.asarray(beside).view(np.uint32), np.asarray(extras).view(np.uint32))


PPO = ippo.Config(
    total_env_steps=40 * 64, num_envs=64, rollout_steps=1, num_epochs=4, num_minibatches=1, hidden_size=16,
    learning_rate=1e-2, entropy_coefficient=0.0, discount=0.5,
)  # fmt: skip


@pytest.mark.parametrize("network", ["mlp", "conv", "gru"])
def test_ippo_learns_what_only_the_extras_show(network: Any) -> None:
    env = CueBeside()
    _, metrics = ippo.make_train(dataclasses.replace(PPO, network=network), env)(jax.random.key(0), env.default_params)
    assert np.mean(metrics["episode_return"][-5:]) > 0.9  # 0 without the cue


@pytest.fixture(scope="module")
def recorded() -> Demonstrations:
    """One-step episodes in which agents do what pays."""
    env = CueBeside()
    obs, _ = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 64))
    views, extras = np.asarray(obs.view), np.asarray(obs.extras)
    ones = np.ones(64, bool)
    arrays = {
        "obs": views, "obs_extras": extras, "actions": best_actions(extras), "rewards": np.ones((64, 2), np.float32),
        "next_obs": views, "next_obs_extras": extras, "terminated": ones, "truncated": ~ones,
        "episodes": np.arange(64, dtype=np.int32),
    }  # fmt: skip
    return from_arrays(describe(env), arrays)


def test_demonstrations_are_saved_and_read_with_their_extras(recorded: Demonstrations, tmp_path: Path) -> None:
    path = tmp_path / "a.demos"
    demonstrations.save(path, recorded)
    read = load(path, CueBeside())
    assert read.header.obs_extras == ("cue", "step")
    for name, array in to_arrays(recorded).items():
        np.testing.assert_array_equal(to_arrays(read)[name], array)
    assert isinstance(read.next_obs, Observation)


def test_demonstrations_with_and_without_extras_are_of_different_games(recorded: Demonstrations) -> None:
    class Renamed(CueBeside):
        @property
        def observation_space(self) -> Any:
            return dataclasses.replace(super().observation_space, names=("cue", "time"))

    header = dataclasses.replace(recorded.header, env_id="")
    with pytest.raises(ValueError, match=r"obs_extras=\('cue', 'step'\) is not allowed: Renamed has \('cue', 'time'\)"):
        demonstrations.check_fits(recorded._replace(header=header), Renamed())


@pytest.mark.parametrize("missing", ["obs_extras", "next_obs_extras"])
def test_extras_that_are_missing_are_named(recorded: Demonstrations, missing: str) -> None:
    arrays = {name: array for name, array in to_arrays(recorded).items() if name != missing}
    with pytest.raises(ValueError, match=missing):
        from_arrays(recorded.header, arrays)


def test_extras_that_are_not_expected_are_refused(recorded: Demonstrations) -> None:
    header = dataclasses.replace(recorded.header, obs_extras=())
    with pytest.raises(ValueError, match="obs_extras"):
        from_arrays(header, to_arrays(recorded))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda extras: extras.astype(np.float64), r"float64 \(64, 2, 2\)"),
        (lambda extras: extras[..., :1], r"float32 \(64, 2, 1\)"),
        (lambda extras: np.where(extras > 0, np.nan, extras), "numbers must be finite"),
    ],
)
def test_wrong_extras_are_refused(recorded: Demonstrations, change: Any, message: str) -> None:
    arrays = to_arrays(recorded)
    with pytest.raises(ValueError, match=f"next_obs_extras.*{message}"):
        from_arrays(recorded.header, arrays | {"next_obs_extras": change(arrays["next_obs_extras"])})


def test_recorded_play_has_the_extras_that_agents_acted_on(recorded: Demonstrations) -> None:
    env = CueBeside()
    config = dataclasses.replace(PPO, total_env_steps=64)
    networks = ippo.make_trainer(config, env).init(jax.random.key(0), env.default_params).network_params
    player = trained_player(env, ippo.make_policy(config, env), networks)
    played = record(player, jax.random.key(1), num_episodes=3)
    assert set(np.unique(played.obs.extras[..., 0])) == {-1.0, 1.0}
    np.testing.assert_array_equal(played.next_obs.extras[..., 1], 1.0)


IMITATION: dict[str, Any] = {"hidden_size": 16, "batch_size": 64, "learning_rate": 1e-2, "discount": 0.5}


@pytest.mark.parametrize("reads", ["own", "all"])
def test_cloning_learns_from_extras(recorded: Demonstrations, reads: Any) -> None:
    env = CueBeside()
    config = cloning.Config(**IMITATION, gradient_steps=100, l2=0.0, reads=reads)
    train_state, _ = cloning.ALGORITHM.make_train(config, env, recorded)(jax.random.key(0), env.default_params)
    assert_does_what_pays(cloning.ALGORITHM, config, env, train_state.network_params, recorded)


def test_mamql_learns_from_extras(recorded: Demonstrations) -> None:
    env = CueBeside()
    config = mamql.Config(**IMITATION, gradient_steps=200, num_envs=16, rollout_steps=1, capacity=256)
    train_state, _ = mamql.ALGORITHM.make_train(config, env, recorded)(jax.random.key(0), env.default_params)
    assert_does_what_pays(mamql.ALGORITHM, config, env, train_state.network_params, recorded)


def test_adversarial_imitation_reads_extras(recorded: Demonstrations) -> None:
    env = CueBeside()
    config = adversarial.Config(
        **IMITATION, total_env_steps=4 * 64, num_envs=64, rollout_steps=1, num_minibatches=1, gradient_steps=4
    )
    _, metrics = adversarial.ALGORITHM.make_train(config, env, recorded)(jax.random.key(0), env.default_params)
    assert all(np.isfinite(metrics["episode_return"]).ravel())


def test_networked_agents_refuse_them() -> None:
    with pytest.raises(ValueError, match=r"observation_space=WithExtras.* is not allowed: a vector of floats"):
        networked.make_trainer(networked.Config(), CueBeside())


def assert_does_what_pays(algorithm: Any, config: Any, env: Any, network_params: Any, recorded: Demonstrations) -> None:
    values = algorithm.action_values(config, env, network_params, jax.tree.map(jnp.asarray, recorded.obs))
    np.testing.assert_array_equal(np.argmax(values, axis=-1), recorded.actions)
