"""Games whose rewards were recovered from demonstrations."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import cloning, ippo
from baselines.runs.directory import RunDirectory, RunRecord, save_parameters
from baselines.trained.rewards import OWN_REWARD, EventWeightedRewards, RecoveredRewards, load_rewards
from jaxdilemmas.wrappers import AutoReset, EpisodeStatistics

pytestmark = pytest.mark.usefixtures("quick_compiling")


def spied(obs: jax.Array, actions: jax.Array, next_obs: jax.Array, terminated: jax.Array) -> jax.Array:
    """What the function is told, as a number: rows before and after, the action and the end."""
    before, after = (o[:, :, 0, 0].astype(jnp.float32) for o in (obs, next_obs))
    return before + 100 * after + 10_000 * actions + 100_000 * terminated[:, None]


def play(env: jaxdilemmas.Environment, num_steps: int) -> list[tuple[np.ndarray, ...]]:
    """What agents see, do, see then, are paid and are paid by the game; and whether it ended."""
    step = jax.jit(env.step)
    obs, state = env.reset(jax.random.key(0))
    found = []
    for key in jax.random.split(jax.random.key(1), num_steps):
        actions = jax.random.randint(key, (2,), 0, 4, jnp.int32)
        after, state, rewards, terminated, _, info = step(key, state, actions)
        found.append(tuple(np.asarray(x) for x in (obs, actions, after, rewards, info[OWN_REWARD], terminated)))
        obs = after
    return found


def test_agents_are_paid_for_what_they_saw_did_and_saw_then() -> None:
    env = RecoveredRewards(jaxdilemmas.make("gems", most_team_reward=0.0), spied)
    obs, actions, after, rewards, own, terminated = (np.stack(values) for values in zip(*play(env, 300), strict=True))
    expected = spied(*(jnp.asarray(x) for x in (obs, actions, after, terminated)))
    np.testing.assert_array_equal(rewards, expected)
    assert terminated.any() and not terminated.all() and own.shape == (300, 2)


def test_a_learner_takes_the_game_as_any_other() -> None:
    env = RecoveredRewards(jaxdilemmas.make("gems", max_steps=4), spied)
    config = ippo.Config(total_env_steps=16, num_envs=2, rollout_steps=8, num_minibatches=1, hidden_size=8)
    train_state, metrics = ippo.make_train(config, env)(jax.random.key(0), env.default_params)
    assert np.isfinite(metrics["episode_return"]).all() and (np.abs(metrics["episode_return"]) > 100).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(train_state.network_params))


def test_a_new_episode_is_remembered_from_its_start() -> None:
    env = AutoReset(RecoveredRewards(EpisodeStatistics(jaxdilemmas.make("gems", max_steps=2)), spied))
    obs, state = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    for key in jax.random.split(jax.random.key(1), 4):
        np.testing.assert_array_equal(obs, state.obs)
        obs, state, _, _, truncated, info = step(key, state, jnp.zeros(2, jnp.int32))
        assert info["episode_length"][0] == (2 if truncated else 1)


def test_true_weights_of_events_pay_what_the_game_pays() -> None:
    env = EventWeightedRewards(jaxdilemmas.make("gems"), {"own_gems": 1.0, "shared": [6.0, 6.0]})
    steps = play(env, 300)
    paid, own = (np.stack([step[i] for step in steps]) for i in (3, 4))
    np.testing.assert_array_equal(paid, own)
    assert np.count_nonzero(own) > 3


def test_weights_of_others_and_of_all_are_paid_for_their_events() -> None:
    env = EventWeightedRewards(jaxdilemmas.make("gems"), {"own_gems of others": [2.0, 3.0], "shared of all": 0.5})
    steps = play(env, 300)
    paid, own = (np.stack([step[i] for step in steps]) for i in (3, 4))
    gems = own % 6
    np.testing.assert_allclose(paid, gems[:, ::-1] * [2, 3] + 0.5 * (own >= 6))
    assert np.count_nonzero(paid) > 3


def test_unknown_events_and_bad_weights_are_refused() -> None:
    env = jaxdilemmas.make("gems")
    with pytest.raises(ValueError, match="event='apples' is not allowed: one of on_shared, own_gems, shared"):
        EventWeightedRewards(env, {"apples": 1.0})
    for weight in ([1.0, 2.0, 3.0], float("nan")):
        with pytest.raises(ValueError, match="a finite number, or 2 of them"):
            EventWeightedRewards(env, {"shared": weight})


def save_run(path: Path, algorithm: str, config: object, network_params: object) -> Path:
    """A run on Gems without having trained."""
    record = RunRecord(algorithm, "gems", {}, jaxdilemmas.make("gems").version, vars(config), 0, 1, 1)
    directory = RunDirectory(path)
    directory.create(record)
    save_parameters(directory.parameters(0), network_params)
    return path


def test_rewards_of_a_run_are_loaded_from_its_directory(tmp_path: Path) -> None:
    env, config = jaxdilemmas.make("gems"), cloning.Config(hidden_size=8)
    network_params = cloning.make_method(config, env).init(jax.random.key(0))
    loaded = load_rewards(save_run(tmp_path / "run", "cloning", config, network_params))
    obs, state = loaded.reset(jax.random.key(1))
    actions = jnp.array([0, 1], jnp.int32)
    after, _, rewards, terminated, _, _ = loaded.step(jax.random.key(2), state, actions)
    function = cloning.recovered_rewards(config, env, network_params)
    np.testing.assert_allclose(rewards, function(obs[None], actions[None], after[None], terminated[None])[0], rtol=1e-5)
    with pytest.raises(ValueError, match="seed_index=1"):
        load_rewards(tmp_path / "run", seed_index=1)


def test_a_run_that_recovers_no_rewards_is_refused(tmp_path: Path) -> None:
    env, config = jaxdilemmas.make("gems"), ippo.Config(hidden_size=8)
    network_params = ippo.make_networks(config, env)[1].init(jax.random.key(0))
    path = save_run(tmp_path / "run", "ippo", config, network_params)
    with pytest.raises(ValueError, match="is not allowed: a run of an algorithm that recovers rewards"):
        load_rewards(path)
