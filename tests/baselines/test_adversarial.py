"""Adversarial imitators learn the expert's action frequencies, and only discriminators reward them."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import adversarial
from baselines.demonstrations import Demonstrations
from baselines.demonstrations.headers import describe
from baselines.demonstrations.records import from_arrays
from baselines.imitation.replay import Transitions
from tests import probes

pytestmark = pytest.mark.usefixtures("quick_compiling")

ENV = probes.Probe(num_agents=2, params=probes.Params(sees_cue=1.0, action=1.0, action_role=-2.0))
"""Pays agent 0 for action 1 and agent 1 for action 0, whatever they see."""

FREQUENCIES = np.array([[0.8, 0.3], [0.2, 0.6]])
"""How often the experts do action 1: a row for each cue (1, -1), a column for each agent. The game pays for others."""

SMALL = adversarial.Config(
    hidden_size=16,
    batch_size=64,
    gradient_steps=1600,
    learning_rate=1e-2,
    l2=0.0,
    discount=0.5,
    total_env_steps=80 * 64,
    num_envs=64,
    rollout_steps=1,
    num_epochs=2,
    num_minibatches=1,
    policy_learning_rate=3e-3,
    acting_inverse_temperature=1.0,
)


def demonstrate() -> Demonstrations:
    """Twenty one-step episodes in which the frequencies are exact."""
    rows = np.arange(20)
    cues = np.where(rows < 10, 1.0, -1.0).astype(np.float32)
    obs = np.broadcast_to(cues[:, None, None], (20, 2, 1)).copy()
    arrays = {
        "obs": obs,
        "actions": (rows[:, None] % 10 < 10 * np.repeat(FREQUENCIES, 10, axis=0) - 0.5).astype(np.int32),
        "rewards": np.zeros((20, 2), np.float32),
        "next_obs": np.zeros_like(obs),
        "terminated": np.ones(20, bool),
        "truncated": np.zeros(20, bool),
        "episodes": rows.astype(np.int32),
    }
    return from_arrays(describe(ENV), arrays)


def compile_quickly(function: Any, *args: Any) -> Any:
    """Compiles for few and small runs."""
    return jax.jit(function).lower(*args).compile(compiler_options={"xla_backend_optimization_level": "0"})


EXPERT = demonstrate()
CUES = jnp.broadcast_to(jnp.array([1.0, -1.0])[:, None, None], (2, 2, 1))


def frequencies(config: adversarial.Config, network_params: Any) -> np.ndarray:
    """Probabilities of action 1 after the two cues, `[2, N]`."""
    logits = adversarial.action_logits(adversarial.make_players(config, ENV), network_params["policies"], CUES)
    return np.asarray(jax.nn.softmax(logits)[..., 1])


@pytest.fixture(scope="module", params=["airl", "gail"])
def trained(request: pytest.FixtureRequest) -> tuple[adversarial.Config, Any, dict[str, np.ndarray]]:
    """Settings, parameters and metrics of a run."""
    config = dataclasses.replace(SMALL, method=request.param)
    arguments = jax.random.key(0), ENV.default_params
    train_state, metrics = compile_quickly(adversarial.make_train(config, ENV, EXPERT), *arguments)(*arguments)
    return config, train_state.network_params, jax.tree.map(np.asarray, metrics)


def test_agents_act_as_often_as_the_expert_whatever_the_game_pays(trained: Any) -> None:
    config, network_params, _ = trained
    np.testing.assert_allclose(frequencies(config, network_params), FREQUENCIES, atol=0.08)


def test_the_reported_return_is_the_games_own(trained: Any) -> None:
    config, network_params, metrics = trained
    expected = (2 * frequencies(config, network_params).mean(axis=0) - 1) * [3.0, -1.0]
    np.testing.assert_allclose(metrics["episode_return"][-20:].mean(axis=0), expected, atol=0.4)


def test_recovered_rewards_are_the_scores_of_the_discriminators(trained: Any) -> None:
    config, network_params, _ = trained
    rewards = adversarial.recovered_rewards(config, ENV, network_params)
    steps = Transitions(CUES, jnp.ones((2, 2), jnp.int32), CUES, jnp.ones(2, bool))
    paid = np.array([rewards(*steps._replace(actions=jnp.full((2, 2), action))) for action in (0, 1)])
    learner = adversarial.make_learner(config, ENV)
    judgement = learner.discriminators.judge(network_params["discriminators"], steps, jnp.zeros((2, 2)))
    np.testing.assert_array_equal(paid[1], judgement.scores)
    assert paid.shape == (2, 2, 2)
    if config.method == "airl":  # to agent 0 what the expert does more often after either cue is worth more
        assert np.all(np.sign(paid[1] - paid[0])[:, 0] == [1, -1])


def test_demonstrations_are_told_apart_at_first_and_in_the_end_no_better_than_by_chance(trained: Any) -> None:
    _, _, metrics = trained
    for name in ("discriminator_loss", "expert_logits", "played_logits", "learnt_reward"):
        assert metrics[name].shape == (SMALL.num_updates, 2)
    losses, chance = metrics["discriminator_loss"], 2 * np.log(2)
    assert np.all(losses[:10].min(axis=0) < chance - 0.02)
    np.testing.assert_allclose(losses[-10:].mean(axis=0), chance, atol=0.01)


def test_observations_are_kept_from_before_the_reset() -> None:
    env = adversarial.make_players(SMALL, ENV).env
    params = dataclasses.replace(probes.DELAYED_REWARD, length=2)
    obs, state = env.reset(jax.random.key(0), params)
    seen = []
    for index in range(3):
        before = obs
        obs, state, *_, info = env.step(jax.random.key(index), state, jnp.zeros(2, jnp.int32), params)
        np.testing.assert_array_equal(info["obs"], before)
        seen.append((float(info["obs"][0, 0]), float(info["next_obs"][0, 0]), float(obs[0, 0])))
    assert seen == [(0, 1, 1), (1, 2, 0), (0, 1, 1)]


def test_agents_are_cloned_before_the_first_update_alone() -> None:
    config = dataclasses.replace(SMALL, cloning_steps=300)
    learner = adversarial.make_learner(config, ENV, EXPERT)
    init = jax.jit(adversarial.make_trainer(config, ENV, EXPERT).init)
    fresh = init(jax.random.key(0), ENV.default_params).generator
    clone = jax.jit(lambda generator: adversarial.clone(learner, generator, learner.expert(), jax.random.key(1)))
    cloned = clone(fresh).network_params
    np.testing.assert_allclose(frequencies(config, {"policies": cloned}), FREQUENCIES, atol=0.05)
    later = clone(fresh.replace(update_index=jnp.int32(1))).network_params
    jax.tree.map(np.testing.assert_array_equal, later, fresh.network_params)


def test_rewards_are_logits_or_scores() -> None:
    steps = {"obs": jnp.ones((3, 4, 2, 1)), "next_obs": jnp.ones((3, 4, 2, 1))}
    nothing: Any = jnp.zeros((3, 4, 2))
    trajectory = adversarial.Trajectory(*[nothing] * len(adversarial.Trajectory._fields))._replace(
        actions=jnp.zeros((3, 4, 2), jnp.int32),
        log_probs=jnp.log(jnp.linspace(0.1, 0.9, 24)).reshape(3, 4, 2),
        terminated=jnp.ones((3, 4), bool),
        info=steps,
    )
    choices: dict[Any, jax.Array] = {"logits": -trajectory.log_probs, "scores": jnp.zeros((3, 4, 2))}
    for policy_reward, expected in choices.items():
        learner = adversarial.make_learner(dataclasses.replace(SMALL, policy_reward=policy_reward), ENV)
        fresh = jax.jit(learner.discriminators.init)(jax.random.key(0))  # f = 0
        rewards = jax.jit(partial(adversarial.learnt_rewards, learner))(fresh, trajectory)
        np.testing.assert_allclose(rewards, expected, rtol=1e-6)


@pytest.mark.parametrize(("inverse_temperature", "expected"), [(1.0, 0.75), (2.0, 0.9)])
def test_agents_act_by_a_softmax_of_scaled_logits(inverse_temperature: float, expected: float) -> None:
    config = dataclasses.replace(SMALL, acting_inverse_temperature=inverse_temperature)
    policies = jax.jit(adversarial.make_players(config, ENV).networks.init)(jax.random.key(0))
    policies["params"]["Dense_1"]["bias"] = jnp.broadcast_to(jnp.array([0.0, np.log(3)]), (2, 2))
    keys = jax.random.split(jax.random.key(1), 2000)
    for is_greedy, frequency in ((False, expected), (True, 1.0)):
        policy = adversarial.make_policy(config, ENV, greedy=is_greedy)
        act = jax.jit(jax.vmap(partial(policy.act, {"policies": policies}, CUES[0], policy.initial_memory)))
        np.testing.assert_allclose(act(keys)[0].mean(axis=0), frequency, atol=0.03 * (not is_greedy))


@pytest.mark.parametrize(("augment", "expected"), [(False, 1), (True, 8)])
def test_minibatches_show_the_board_under_its_symmetries(augment: bool, expected: int) -> None:
    gems = jaxdilemmas.make("gems")
    config = dataclasses.replace(SMALL, network="set", augment=augment)
    obs, _ = gems.reset(jax.random.key(0))
    step = Transitions(obs[None], jnp.array([[0, 1]]), obs[None], jnp.zeros(1, bool))
    batch = jax.jit(partial(adversarial.draw, adversarial.make_learner(config, gems)))(step, jax.random.key(1))
    assert len(np.unique(batch.obs.reshape(config.batch_size, -1), axis=0)) == expected
    assert len(np.unique(np.concatenate([batch.obs[:, 0, 0], batch.actions], axis=1), axis=0)) == expected


def test_demonstrations_are_not_needed_to_load_a_run_and_asked_for_when_training() -> None:
    trainer = adversarial.make_trainer(SMALL, ENV)
    train_state = jax.eval_shape(trainer.init, jax.random.key(0), ENV.default_params)
    assert set(train_state.network_params) == {"policies", "discriminators"}
    with pytest.raises(ValueError, match="demonstrations='' is not allowed"):
        jax.eval_shape(trainer.update, train_state, ENV.default_params)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"method": "dagger"}, "method"),
        ({"policy_reward": "rewards"}, "policy_reward"),
        ({"cloning_steps": -1}, "cloning_steps"),
        ({"policy_learning_rate": float("inf")}, "policy_learning_rate"),
        ({"gradient_steps": SMALL.num_updates - 1}, "gradient_steps"),
        ({"total_env_steps": 63}, "total_env_steps"),
        ({"gae_lambda": 1.5}, "gae_lambda"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}=.* is not allowed"):
        dataclasses.replace(SMALL, **settings)
