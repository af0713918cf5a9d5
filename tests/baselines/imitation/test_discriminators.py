"""Discriminators compute their equations, each for its own agent, and find the known optimum of a bandit."""

import dataclasses
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from baselines.imitation.critics import make_critics
from baselines.imitation.discriminators import Adversary, Discriminators, cross_entropy, make_discriminators
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import ImitationConfig
from tests import probes

pytestmark = pytest.mark.usefixtures("quick_compiling")

CONFIG = ImitationConfig(hidden_size=8, discount=0.9)
ENV = probes.Probe(num_agents=2)
M = 6
LOG_PROBS = jnp.log(jnp.linspace(0.1, 0.9, 2 * M).reshape(M, 2))


def random_parameters(discriminators: Discriminators) -> Any:
    """Drawn at random in all layers: the last one would start at zero, which would hide much."""
    generator = np.random.default_rng(0)
    shapes = jax.eval_shape(discriminators.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(generator.normal(size=leaf.shape), jnp.float32), shapes)


STEPS = Transitions(
    obs=jnp.linspace(-1, 1, 2 * M).reshape(M, 2, 1),
    actions=jnp.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [1, 1]]),
    next_obs=jnp.linspace(2, -1, 2 * M).reshape(M, 2, 1),
    terminated=jnp.arange(M) < 2,
)
AIRL, GAIL = (make_discriminators(CONFIG, ENV, method) for method in get_args(Adversary))
JUDGE_AIRL, JUDGE_GAIL = jax.jit(AIRL.judge), jax.jit(GAIL.judge)
AIRL_PARAMETERS, GAIL_PARAMETERS = (random_parameters(d) for d in (AIRL, GAIL))


def test_airl_weighs_score_and_shaping_against_the_policy() -> None:
    critics = make_critics(CONFIG, ENV, 3)
    outputs, following = (np.asarray(jax.jit(critics.apply)(AIRL_PARAMETERS, x)) for x in (STEPS.obs, STEPS.next_obs))
    judgement = JUDGE_AIRL(AIRL_PARAMETERS, STEPS, LOG_PROBS)
    for row in range(M):
        for agent in range(2):
            *scores, shaping = outputs[row, agent]
            score = scores[STEPS.actions[row, agent]]
            f = score - shaping + (0.9 * following[row, agent, 2] if row >= 2 else 0.0)
            odds = np.exp(f) / np.exp(LOG_PROBS[row, agent])
            np.testing.assert_allclose(judgement.scores[row, agent], score, rtol=1e-5)
            # D = exp f / (exp f + pi)
            np.testing.assert_allclose(jax.nn.sigmoid(judgement.logits)[row, agent], odds / (odds + 1), rtol=1e-3)


def test_what_follows_the_end_of_the_game_does_not_count() -> None:
    logits = JUDGE_AIRL(AIRL_PARAMETERS, STEPS, LOG_PROBS).logits
    elsewhere = JUDGE_AIRL(AIRL_PARAMETERS, STEPS._replace(next_obs=STEPS.next_obs + 1), LOG_PROBS).logits
    np.testing.assert_array_equal(logits[:2], elsewhere[:2])
    assert np.all(np.abs(logits[2:] - elsewhere[2:]) > 1e-4)


def test_gail_reads_neither_the_policy_nor_what_follows() -> None:
    judgement = JUDGE_GAIL(GAIL_PARAMETERS, STEPS, LOG_PROBS)
    np.testing.assert_array_equal(judgement.scores, judgement.logits)
    other = STEPS._replace(next_obs=STEPS.next_obs + 1, terminated=~STEPS.terminated)
    np.testing.assert_array_equal(JUDGE_GAIL(GAIL_PARAMETERS, other, LOG_PROBS - 1).logits, judgement.logits)


@pytest.mark.parametrize(("reads", "is_changed"), [("own", False), ("all", True)])
def test_what_the_other_agent_sees_and_does_counts_where_all_are_read(reads: Any, is_changed: bool) -> None:
    discriminators = make_discriminators(dataclasses.replace(CONFIG, reads=reads), ENV, "gail")
    parameters, judge = random_parameters(discriminators), jax.jit(discriminators.judge)
    logits = judge(parameters, STEPS, LOG_PROBS).logits[:, 0]
    for change in (
        {"actions": STEPS.actions.at[:, 1].set(1 - STEPS.actions[:, 1])},
        {"obs": STEPS.obs.at[:, 1].add(1)},
    ):
        changed = judge(parameters, STEPS._replace(**change), LOG_PROBS).logits[:, 0]
        assert np.any(changed != logits) == is_changed


def test_cross_entropy_is_that_of_the_two_classes() -> None:
    # D of demonstrations 3/4 and 1/2, of what was played 1/4 and 1/2; the second agent's is 1/2 throughout
    logits = jnp.array([[np.log(3), 0.0], [0.0, 0.0]])
    expected = [-np.log(3 / 4) - np.log(1 / 2), -2 * np.log(1 / 2)]
    np.testing.assert_allclose(cross_entropy(logits, -logits), expected, rtol=1e-6)


@pytest.mark.parametrize("agent", [0, 1])
def test_no_gradient_flows_into_the_discriminator_of_another_agent(agent: int) -> None:
    def loss(parameters: Any) -> jax.Array:
        logits = JUDGE_AIRL(parameters, STEPS, LOG_PROBS).logits
        return cross_entropy(logits[:3], logits[3:])[agent]

    for gradient in jax.tree.leaves(jax.jit(jax.grad(loss))(AIRL_PARAMETERS)):
        np.testing.assert_array_equal(gradient[1 - agent], 0.0)
        assert np.any(gradient[agent] != 0)


@pytest.fixture(scope="module", params=["airl", "gail"])
def bandit(request: pytest.FixtureRequest) -> tuple[Adversary, np.ndarray]:
    """Logits `[10, 2]` at the optimum: agents did action 1 in 5 of 10 cases, the experts in 8 and in 3."""
    rows = np.arange(10)[:, None]
    discriminators = make_discriminators(CONFIG, ENV, request.param)

    def transitions(count: list[int]) -> Transitions:
        nothing = jnp.zeros((10, 2, 1))
        return Transitions(nothing, jnp.asarray(rows < count, jnp.int32), nothing, jnp.ones(10, bool))

    expert, played, log_probs = transitions([8, 3]), transitions([5, 5]), jnp.full((10, 2), jnp.log(0.5))
    optimizer = optax.adam(0.03)

    def loss(parameters: Any) -> jax.Array:
        return cross_entropy(*(discriminators.judge(parameters, t, log_probs).logits for t in (expert, played))).sum()

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        updates, state = optimizer.update(jax.grad(loss)(carry[0]), carry[1])
        return (optax.apply_updates(carry[0], updates), state), None

    def find() -> jax.Array:
        parameters = discriminators.init(jax.random.key(0))
        (parameters, _), _ = jax.lax.scan(step, (parameters, optimizer.init(parameters)), length=400)
        return discriminators.judge(parameters, played, log_probs).logits

    return request.param, np.asarray(jax.jit(find)())


def test_discriminators_of_a_bandit_find_the_probabilities_of_the_expert(bandit: tuple[Adversary, np.ndarray]) -> None:
    method, logits = bandit
    # log D - log(1 - D) is log pi_E - log pi; by airl f is that and log pi, so that it is log pi_E with no constant
    expected = np.log([[0.8, 0.3], [0.2, 0.7]]) - np.log(0.5)
    np.testing.assert_allclose(logits[[0, 9]], expected, atol=1e-3, err_msg=method)
