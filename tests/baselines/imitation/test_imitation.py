"""Code of all imitators: settings, minibatches, play during training, the acting policy, and runs."""

import dataclasses
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import cloning, iq_learn, mamql
from baselines.core.players import scripted_player
from baselines.demonstrations import Demonstrations, describe, record, save
from baselines.imitation import imitator, replay, sources, training
from baselines.imitation.replay import Experience, Ring, Transitions
from baselines.runs.command import train_command
from baselines.runs.directory import RunDirectory
from baselines.trained.load import load_player
from jaxdilemmas.policies import scripted
from tests.baselines.runs.test_command import assert_same_run
from tests.probes import ENDLESS_REWARD, Params, Probe

pytestmark = pytest.mark.usefixtures("quick_compiling")
PROBE = "tests.probes:Probe"
SEES_CUE = Params(length=3, sees_cue=1.0, sees_step=1.0)
ENV = Probe(num_agents=2, params=SEES_CUE)
SMALL: dict[str, Any] = {"hidden_size": 4, "batch_size": 8, "gradient_steps": 12, "steps_per_update": 3}
ONLINE = mamql.Config(**SMALL, num_envs=4, rollout_steps=2, capacity=16)


def follow_the_cue(key: jax.Array, state: Any) -> jax.Array:
    """Action 1 after a cue of 1, 0 after one of -1."""
    del key
    return (state.cues > 0).astype(jnp.int32)


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    return record(scripted_player(ENV, follow_the_cue), jax.random.key(0), num_episodes=40)


def ring_of(capacity: int) -> Ring:
    obs = jnp.zeros((capacity, 1, 1))
    return Ring(Transitions(obs, jnp.zeros((capacity, 1), jnp.int32), obs, jnp.zeros(capacity, bool)), jnp.int32(0))


def rows_of(numbers: list[int]) -> Transitions:
    obs = jnp.array(numbers, jnp.float32)[:, None, None]
    return Transitions(obs, jnp.array(numbers)[:, None], obs + 1, jnp.array(numbers) % 2 == 0)


def test_the_newest_transitions_overwrite_the_oldest() -> None:
    ring = ring_of(5)
    for numbers in ([1, 2, 3], [4, 5, 6], [7]):
        ring = replay.write(ring, rows_of(numbers))
    np.testing.assert_array_equal(ring.transitions.actions[:, 0], [6, 7, 3, 4, 5])
    np.testing.assert_array_equal(ring.transitions.next_obs[:, 0, 0], [7, 8, 4, 5, 6])
    np.testing.assert_array_equal(ring.transitions.terminated, [True, False, False, True, False])
    assert ring.num_written == 7


def test_only_what_was_written_is_drawn_and_all_of_it() -> None:
    ring = replay.write(ring_of(8), rows_of([1, 2, 3]))
    for expected in ({1, 2, 3}, {2, 3, 4, 5, 6, 7, 8, 9}):
        drawn = replay.draw(ring, jax.random.uniform(jax.random.key(0), (200,)))
        assert set(np.asarray(drawn.actions).ravel().tolist()) == expected
        np.testing.assert_array_equal(drawn.next_obs, drawn.obs + 1)
        ring = replay.write(ring, rows_of([4, 5, 6, 7, 8, 9]))


def test_every_number_is_chosen_from_an_interval_of_its_own() -> None:
    chances = jnp.array([0.0, 0.24, 0.25, 0.76, 1 - 2.0**-24])
    np.testing.assert_array_equal(replay.choose(chances, 4), [0, 0, 1, 3, 3])
    assert replay.choose(chances, 20_000)[-1] == 19_999


def play(params: Params, num_steps: int) -> tuple[Transitions, dict[str, jax.Array]]:
    config = mamql.Config(num_envs=2, rollout_steps=num_steps, capacity=2 * num_steps, inverse_temperature=1.0)
    values = jnp.array([[[0.0, 50.0], [50.0, 0.0]]] * 2)

    def run(key: jax.Array) -> tuple[Experience, dict[str, jax.Array]]:
        start = replay.start(config, ENV, key, params)
        return replay.play(config, ENV, lambda obs: values, start, jax.random.key(1), params)

    after, metrics = jax.jit(run)(jax.random.key(0))
    return jax.tree.map(lambda leaf: leaf.reshape(num_steps, 2, *leaf.shape[1:]), after.ring.transitions), metrics


def test_what_is_played_is_kept_with_what_followed_before_any_reset() -> None:
    steps, metrics = play(SEES_CUE, 7)
    np.testing.assert_array_equal(steps.actions, np.broadcast_to([1, 0], (7, 2, 2)))
    np.testing.assert_array_equal(steps.terminated[:, 0], [False, False, True] * 2 + [False])
    np.testing.assert_array_equal(steps.next_obs[:, 0, 0, 0], [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(jnp.abs(steps.obs[:, 0, 0, 0]), [1, 1, 2, 1, 1, 2, 1])
    assert metrics["env_steps"] == 14


def test_the_clock_does_not_end_the_game() -> None:
    steps, metrics = play(ENDLESS_REWARD.__class__(**{**vars(ENDLESS_REWARD), "max_steps": 3, "sees_step": 1.0}), 7)
    assert not steps.terminated.any()
    np.testing.assert_array_equal(steps.next_obs[:, 0, 0, 0], [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(metrics["episode_return"], [3.0, 3.0])


def test_symmetries_turn_state_action_and_what_follows_alike() -> None:
    env = jaxdilemmas.make("gems")
    gems = record(scripted_player(env, scripted(env, "random")), jax.random.key(0), num_episodes=2)
    rows = Transitions(*(jnp.asarray(getattr(gems, name)) for name in Transitions._fields))
    turned = jax.jit(partial(training.turn, env))(jax.random.uniform(jax.random.key(1), rows.terminated.shape), rows)
    steps = np.array([(0, 1), (1, 0), (0, -1), (-1, 0), (0, 0)])[np.asarray(turned.actions)]
    before, after = np.asarray(turned.obs[:, :, 0], int), np.asarray(turned.next_obs[:, :, 0], int)
    np.testing.assert_array_equal(after, np.clip(before + steps, 0, 14))
    np.testing.assert_array_equal(turned.obs[:, 0, 0], turned.obs[:, 1, 1])
    assert np.mean(np.asarray(turned.actions) != np.asarray(rows.actions)) > 0.4
    np.testing.assert_array_equal(turned.terminated, rows.terminated)


def draw_batch(config: Any, demonstrations: Demonstrations) -> training.Batch:
    """The batch of the first gradient step, after one rollout if there are any."""
    learner = training.make_learner(config, ENV, mamql.make_method(ONLINE, ENV), demonstrations)

    def draw(key: jax.Array) -> training.Batch:
        played = None
        if config.plays:
            values = jnp.zeros((config.num_envs, 2, 2))
            start = replay.start(config, ENV, jax.random.key(2), SEES_CUE)
            played, _ = replay.play(config, ENV, lambda obs: values, start, jax.random.key(3), SEES_CUE)
        return training.draw_batch(learner, learner.sources(), played, key, SEES_CUE)

    return jax.jit(draw)(jax.random.key(0))


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_initial_observations_are_those_of_first_steps(mode: Any, demonstrations: Demonstrations) -> None:
    config = dataclasses.replace(ONLINE, mode=mode, value_samples="v0", reg_samples="expert", batch_size=64)
    batch = draw_batch(config, demonstrations)
    assert set(np.asarray(batch.initial_obs).ravel().tolist()) == {-1.0, 1.0}  # cues, which later steps do not show
    assert batch.initial_obs.shape == (64, 2, 1)
    assert set(np.asarray(batch.expert.obs).ravel().tolist()) == {-1.0, 1.0, 2.0}
    assert (batch.played is None) == (mode == "offline")


def test_minibatches_hold_what_the_demonstrations_hold(demonstrations: Demonstrations) -> None:
    batch = draw_batch(dataclasses.replace(ONLINE, batch_size=64), demonstrations)
    cued = np.abs(np.asarray(batch.expert.obs[..., 0])) == 1
    first = cued & (np.asarray(batch.expert.next_obs[..., 0]) == 1)
    assert first.sum() > 10 and np.asarray(batch.expert.terminated).any()
    np.testing.assert_array_equal(np.asarray(batch.expert.terminated), np.asarray(batch.expert.next_obs[:, 0, 0]) == 3)
    played, expert = (np.asarray(rows.actions).mean() for rows in (batch.played, batch.expert) if rows is not None)
    assert 0 < played < 1 and 0 < expert < 1


def test_so_many_env_steps_are_played_for_so_many_gradient_steps(demonstrations: Demonstrations) -> None:
    train_state, metrics = mamql.make_train(ONLINE, ENV, demonstrations)(jax.random.key(0), SEES_CUE)
    np.testing.assert_array_equal(metrics["env_steps"], [8.0, 16.0, 24.0, 32.0])
    assert train_state.opt_state[0].count == 12
    assert train_state.experience.ring.num_written == ONLINE.env_steps_per_update * ONLINE.num_updates
    assert metrics["episode_return"].shape == (4, 2)


@pytest.mark.slow
def test_iq_learn_of_own_actions_that_plays_is_mamql_with_sampled_marginals(demonstrations: Demonstrations) -> None:
    settings = {name: value for name, value in vars(ONLINE).items() if name != "marginalisation"}
    same = iq_learn.Config(**settings, critic="independent")
    offline = iq_learn.Config(**SMALL)
    of_mamql, of_same, of_offline = (
        jax.tree.leaves(make(config, ENV, demonstrations)(jax.random.key(0), SEES_CUE)[0].network_params)
        for make, config in ((mamql.make_train, ONLINE), (iq_learn.make_train, same), (iq_learn.make_train, offline))
    )
    assert len(of_mamql) == len(of_same) > 0
    assert all(np.array_equal(*pair) for pair in zip(of_mamql, of_same, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(of_mamql, of_offline, strict=True))


def test_some_of_the_demonstrations_may_be_used(demonstrations: Demonstrations) -> None:
    config = dataclasses.replace(ONLINE, num_transitions=7)
    assert len(sources.make_sources(config, ENV, demonstrations).expert.actions) == 7
    with pytest.raises(ValueError, match="num_transitions=121"):
        sources.make_sources(dataclasses.replace(ONLINE, num_transitions=121), ENV, demonstrations)


LEARNERS: dict[str, tuple[Any, Any]] = {
    "cloning": (cloning, cloning.Config(**SMALL)),
    "iq_learn": (iq_learn, iq_learn.Config(**SMALL)),
    "mamql": (mamql, ONLINE),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_imitator_learns_to_follow_the_cue(name: str, demonstrations: Demonstrations) -> None:
    algorithm, config = LEARNERS[name]
    config = dataclasses.replace(
        config, hidden_size=16, batch_size=32, gradient_steps=300, learning_rate=1e-2, discount=0.5
    )
    train_state, metrics = algorithm.make_train(config, ENV, demonstrations)(jax.random.key(0), SEES_CUE)
    policy = algorithm.make_policy(config, ENV, greedy=True)
    for cue in (-1.0, 1.0):
        obs = jnp.array([[cue], [-cue]])
        actions, _ = policy.act(train_state.network_params, obs, policy.initial_memory, jax.random.key(1))
        np.testing.assert_array_equal(actions, [cue > 0, cue < 0])
    assert np.all(metrics["cross_entropy"][-1] < metrics["cross_entropy"][0])
    rewards = algorithm.recovered_rewards(config, ENV, train_state.network_params)
    obs, follows = jnp.array([[[1.0], [1.0]]] * 2), jnp.ones((2, 2, 1))
    right, wrong = rewards(obs, jnp.array([[1, 1], [0, 0]]), follows, jnp.zeros(2, bool))
    assert np.all(right > wrong)


def test_agents_act_by_a_softmax_of_the_inverse_temperature_times_the_values() -> None:
    values = jnp.array([[0.0, 1.0], [0.5, 0.0]])
    method = cloning.make_method(cloning.Config(), ENV)._replace(action_values=lambda params, obs: values[None])
    config = dataclasses.replace(ONLINE, acting_inverse_temperature=3.0)
    policy = imitator.act_by(config, ENV, method.action_values)
    keys = jax.random.split(jax.random.key(0), 20_000)
    actions = jax.jit(jax.vmap(lambda key: policy.act(None, jnp.zeros((2, 1)), policy.initial_memory, key)[0]))(keys)
    assert actions.dtype == jnp.int32
    np.testing.assert_allclose(actions.mean(0), jax.nn.softmax(3.0 * values)[:, 1], atol=0.02)


@pytest.fixture(scope="module")
def recording(demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of demonstrations of the probe as the command makes it."""
    env = Probe(num_agents=2)
    played = record(scripted_player(env, follow_the_cue), jax.random.key(0), num_episodes=8)
    path = tmp_path_factory.mktemp("demonstrations") / "probe.demos"
    save(path, played._replace(header=dataclasses.replace(played.header, **vars(describe(env, PROBE)) | {})))
    return path


def command(name: str, path: Path, runs: Path, *options: str) -> None:
    algorithm, _ = LEARNERS[name]
    settings = [f"--{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
    game = ["--env", PROBE, "--env-kwargs", "num_agents=2", "--demonstrations", str(path)]
    train_command(algorithm.ALGORITHM, ["--runs-dir", str(runs), *game, *settings, *options])


def test_too_few_demonstrations_are_refused_before_anything_is_written(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"probe\.demos: num_transitions=10000 is not allowed: a whole number from 1 to"
    ):
        command("cloning", recording, tmp_path, "--name=a", "--num-transitions=10000")
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_mamql_is_resumed_bitwise_and_plays_without_its_demonstrations(recording: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(recording, tmp_path / "moved.demos"))
    play = ("--num-envs=4", "--rollout-steps=2", "--capacity=16")
    command("mamql", path, tmp_path, "--name=a", "--checkpoint-every=2", *play)
    whole = RunDirectory(tmp_path / "a")
    resumed = RunDirectory(shutil.copytree(whole.path, tmp_path / "b"))
    shutil.rmtree(resumed.checkpoints / "4")
    shutil.rmtree(resumed.path / "parameters")
    resume = ["--runs-dir", str(tmp_path), "--name=b", f"--env={PROBE}", "--resume"]
    train_command(mamql.ALGORITHM, resume)
    assert_same_run(whole, resumed)
    path.unlink()
    player = load_player(whole.path, env_id=PROBE)
    actions, _ = jax.jit(player.act)(jnp.zeros((2, 1)), None, player.initial_memory, jax.random.key(0))
    assert actions.shape == (2,)


def test_an_imitator_that_does_not_play_leaves_a_run(recording: Path, tmp_path: Path) -> None:
    command("cloning", recording, tmp_path, "--name=a")
    assert RunDirectory(tmp_path / "a").learning_curve.is_file()


def test_the_command_needs_demonstrations_of_the_game(recording: Path, tmp_path: Path) -> None:
    for path, message in (("", "--demonstrations is needed"), (tmp_path / "none", "none")):
        with pytest.raises(SystemExit, match=message):
            command("cloning", Path(path) if path else path, tmp_path, "--name=a")  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match="num_agents"):
        command("cloning", recording, tmp_path, "--name=a", "--env-kwargs", "num_agents=3")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_transitions": 0}, "num_transitions=0"),
        ({"demonstration_seed": -1}, "demonstration_seed=-1"),
        ({"network": "conv"}, "network='conv'"),
        ({"reads": "others"}, "reads='others'"),
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"gradient_steps": 0}, "gradient_steps=0"),
        ({"steps_per_update": 0}, "steps_per_update=0"),
        ({"steps_per_update": 30, "gradient_steps": 20}, "steps_per_update=30"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"final_learning_rate": -1.0}, "final_learning_rate=-1.0"),
        ({"l2": -1.0}, "l2=-1.0"),
        ({"discount": 1.5}, "discount=1.5"),
        ({"acting_inverse_temperature": 0.0}, "acting_inverse_temperature=0.0"),
    ],
)
def test_settings_that_are_not_allowed_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cloning.Config(**settings)
