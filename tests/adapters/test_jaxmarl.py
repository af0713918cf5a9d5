"""Every registered game runs in JaxMARL: its wrappers, and a training loop around them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("jaxmarl", reason='needs pip install -e ".[adapters]"')
from jaxmarl.environments import spaces
from jaxmarl.environments.multi_agent_env import MultiAgentEnv
from jaxmarl.wrappers.baselines import CTRolloutManager, LogWrapper

import jaxdilemmas
from jaxdilemmas import AutoReset, Environment, WithExtras
from jaxdilemmas.adapters.jaxmarl import JaxMARLEnv
from tests import probes
from tests.adapters.real_actions import RealActions
from tests.games import EVERY_GAME

pytestmark = pytest.mark.usefixtures("quick_compiling")

NUM_STEPS = 3
"""Steps in an episode of the games below."""


@pytest.fixture(scope="module")
def game() -> Environment:
    return jaxdilemmas.make("gathering", max_steps=NUM_STEPS)


@pytest.fixture(scope="module")
def env(game: Environment) -> JaxMARLEnv:
    return JaxMARLEnv(game)


class Words(probes.Probe):
    """A probe whose observations are in a space that other libraries lack."""

    observation_space: Any = "words"


def gain(weights: jax.Array, steps: dict[str, jax.Array]) -> jax.Array:
    """What is to be maximised: log-probabilities of what was done, weighted with the rewards of the same step."""
    log_policy = jax.nn.log_softmax(steps["obs"] @ weights)
    chosen = (log_policy * jax.nn.one_hot(steps["actions"], weights.shape[1])).sum(-1)
    return jnp.mean(chosen * steps["rewards"])


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def train(env: JaxMARLEnv, num_updates: int, num_steps: int) -> tuple[jax.Array, dict[str, Any]]:
    """The policy gradient of one layer, inside JaxMARL's wrappers.

    Returns the weights `[features, actions]` and obs, actions, rewards `[num_updates, num_steps, 4, N, ...]`, and the
    wrappers' team reward, dones and infos.
    """
    manager = CTRolloutManager(LogWrapper(env), batch_size=4)

    def step(carry: Any, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        by_agent, state, weights = carry
        key_act, key_step = jax.random.split(key)
        obs = jnp.stack([by_agent[agent] for agent in env.agents], axis=1)
        actions = jax.random.categorical(key_act, obs @ weights)
        named_actions = {agent: actions[:, i] for i, agent in enumerate(env.agents)}
        by_agent, state, rewards, dones, infos = manager.batch_step(key_step, state, named_actions)
        joint_rewards = jnp.stack([rewards[agent] for agent in env.agents], axis=1)
        now = {"obs": obs, "actions": actions, "rewards": joint_rewards}
        return (by_agent, state, weights), now | {"team": rewards["__all__"], "dones": dones, "infos": infos}

    def update(carry: Any, keys: jax.Array) -> tuple[Any, dict[str, Any]]:
        (obs, state, weights), steps = jax.lax.scan(step, carry, keys)
        return (obs, state, weights + jax.grad(gain)(weights, steps)), steps

    key_reset, key_steps = jax.random.split(jax.random.PRNGKey(0))
    weights = jnp.zeros((manager.obs_size, manager.max_action_space))
    keys = jax.random.split(key_steps, (num_updates, num_steps))
    (_, _, weights), steps = jax.lax.scan(update, (*manager.batch_reset(key_reset), weights), keys)
    return weights, steps


@pytest.mark.parametrize("env_id", EVERY_GAME)
def test_a_training_loop_within_jaxmarls_wrappers_runs_on_every_game(env_id: str) -> None:
    game = jaxdilemmas.make(env_id, num_agents=2, max_steps=NUM_STEPS)
    if isinstance(game.observation_space, WithExtras):  # is no vector
        game = jaxdilemmas.make(env_id, num_agents=2, max_steps=NUM_STEPS, extras=False)
    env = JaxMARLEnv(game, flatten=True)
    weights, steps = train(env, 2, NUM_STEPS)
    rewards, infos = steps["rewards"], steps["infos"]
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(steps["team"], rewards.sum(-1), rtol=1e-6)
    assert set(steps["dones"]) == {*env.agents, "__all__"}
    if not infos["terminated"].any():  # a game that ends by chance has episodes of other lengths
        is_last = np.arange(NUM_STEPS) == NUM_STEPS - 1
        assert (infos["returned_episode"] == is_last[:, None, None]).all()
        np.testing.assert_allclose(infos["returned_episode_returns"][:, -1], rewards.sum(1), rtol=1e-5)
        assert (infos["returned_episode_lengths"][:, -1] == NUM_STEPS).all()


def test_the_training_loop_learns_who_is_paid_for_which_action() -> None:
    game = probes.Probe(num_agents=3, params=probes.ACTION_FROM_ROLE.replace(length=4))
    weights, _ = train(JaxMARLEnv(game), 10, 16)
    prefers_one = weights[1:, 1] - weights[1:, 0]  # the wrapper adds which agent it is to the one number seen
    assert prefers_one.shape == (3,)
    assert (jnp.sign(prefers_one) == jnp.array([-1, 1, -1])).all()
    assert (jnp.abs(prefers_one) > 0.5).all()


def test_a_step_is_that_of_the_game_under_the_names_of_the_agents(game: Environment, env: JaxMARLEnv) -> None:
    @jax.jit
    def play_both() -> tuple[Any, Any]:
        key_reset, key_step = jax.random.split(jax.random.key(0))
        start, own_start = env.reset(key_reset), game.reset(key_reset)
        actions = {"agent_1": jnp.int32(4), "agent_0": jnp.int32(0)}
        own = game.step(key_step, own_start[1], jnp.array([0, 4]))
        return (start, env.step_env(key_step, start[1], actions)), (own_start, own)

    played, (own_start, (obs, state, rewards, terminated, truncated, info)) = play_both()
    dones = dict.fromkeys(("agent_0", "agent_1", "__all__"), terminated | truncated)
    infos = info | {"terminated": jnp.tile(terminated, 2), "truncated": jnp.tile(truncated, 2)}
    expected = ((named(own_start[0]), own_start[1]), (named(obs), state, named(rewards), dones, infos))
    assert str(jax.tree.structure(played)) == str(jax.tree.structure(expected))
    assert jax.tree.all(jax.tree.map(np.array_equal, played, expected))


def named(values: jax.Array) -> dict[str, jax.Array]:
    return {"agent_0": values[0], "agent_1": values[1]}


def test_the_step_that_ends_an_episode_says_why_and_starts_the_next(env: JaxMARLEnv) -> None:
    actions = dict.fromkeys(env.agents, jnp.int32(7))
    _, state = env.reset(jax.random.key(0))
    start = jax.random.key(5)
    for step in range(NUM_STEPS):
        _, state, _, dones, infos = env.step(start, state, actions)
        assert all(done == (step == NUM_STEPS - 1) for done in dones.values())
    assert infos["truncated"].tolist() == [True, True]
    assert infos["terminated"].tolist() == [False, False]
    assert state.step_count == 0


def test_an_episode_may_start_from_a_given_state(env: JaxMARLEnv) -> None:
    actions = dict.fromkeys(env.agents, jnp.int32(7))
    given_obs, given = env.reset(jax.random.key(3))
    _, state = env.reset(jax.random.key(0))
    obs, state, *_ = env.step(jax.random.key(1), state.replace(step_count=jnp.int32(NUM_STEPS - 1)), actions, given)
    assert (state.positions == given.positions).all()
    assert all((obs[agent] == given_obs[agent]).all() for agent in env.agents)


def test_the_game_s_own_end_is_terminated() -> None:
    env = JaxMARLEnv(probes.Probe(num_agents=2))
    _, state = env.reset(jax.random.key(0))
    _, _, _, dones, infos = env.step(jax.random.key(1), state, dict.fromkeys(env.agents, jnp.int32(0)))
    assert dones["__all__"]
    assert infos["terminated"].tolist() == [True, True]
    assert infos["truncated"].tolist() == [False, False]


def test_spaces_and_names_are_jaxmarls(game: Any, env: JaxMARLEnv) -> None:
    assert isinstance(env, MultiAgentEnv)
    assert (env.name, env.num_agents, env.agents) == ("Gathering", 2, ["agent_0", "agent_1"])
    assert env.agent_classes == {"agent": ["agent_0", "agent_1"]}
    for agent in env.agents:
        seen, acts = env.observation_space(agent), env.action_space(agent)
        assert isinstance(seen, spaces.Box) and isinstance(acts, spaces.Discrete)
        assert (seen.low, seen.high, seen.shape, seen.dtype, acts.n) == (0, len(game.tiles) - 1, (16, 21), np.uint8, 8)
    _, state = env.reset(jax.random.key(0))
    available = env.get_avail_actions(state)
    assert list(available) == env.agents
    assert available["agent_1"].tolist() == [True] * 8


def test_flat_observations_make_a_joint_state_of_all_of_them(game: Environment, env: JaxMARLEnv) -> None:
    flat = JaxMARLEnv(game, flatten=True)
    assert flat.observation_space("agent_0").shape == (16 * 21,)
    obs, _ = env.reset(jax.random.key(0))
    flat_obs, _ = flat.reset(jax.random.key(0))
    assert all((flat_obs[agent] == obs[agent].reshape(-1)).all() for agent in env.agents)
    joint = jax.eval_shape(CTRolloutManager(flat, batch_size=3).batch_reset, jax.random.key(0))[0]["__all__"]
    assert joint.shape == (3, 2 * 16 * 21)


def test_real_valued_actions_are_passed_on() -> None:
    env = JaxMARLEnv(RealActions(num_agents=2, params=probes.ACTION_MATTERS))
    acts = env.action_space("agent_1")
    assert (acts.low, acts.high, acts.shape, acts.dtype) == (-1.0, 1.0, (2,), np.float32)
    _, state = env.reset(jax.random.key(0))
    actions = {"agent_0": jnp.array([0.75, 0]), "agent_1": jnp.array([0.25, 0])}
    assert env.step(jax.random.key(1), state, actions)[2] == {"agent_0": 0.5, "agent_1": -0.5}
    with pytest.raises(ValueError, match="only Discrete actions can be listed"):
        env.get_avail_actions(state)


def test_an_action_may_have_an_axis_of_length_one_more() -> None:
    env = JaxMARLEnv(probes.Probe(num_agents=2, params=probes.ACTION_FROM_ROLE))
    _, state = env.reset(jax.random.key(0))
    actions = {"agent_0": jnp.array([0]), "agent_1": jnp.array([0])}
    assert env.step(jax.random.key(1), state, actions)[2] == {"agent_0": 1.0, "agent_1": -1.0}


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"agent_0": 1}, r"missing: \['agent_1'\], unknown: \[\]"),
        ({"agent_0": 1, "agent_1": 1, "agent_2": 1}, r"missing: \[\], unknown: \['agent_2'\]"),
        ({"agent_0": [1, 1], "agent_1": [1, 1]}, r"takes shape \(2,\)"),
        ({"agent_0": 1.0, "agent_1": 1.0}, "dtype int32"),
    ],
)
def test_wrong_actions_are_refused(env: JaxMARLEnv, actions: dict[str, Any], message: str) -> None:
    _, state = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        env.step(jax.random.key(1), state, jax.tree.map(jnp.asarray, actions, is_leaf=lambda x: isinstance(x, list)))


def test_a_game_that_cannot_be_adapted_is_refused(game: Environment) -> None:
    with pytest.raises(ValueError, match=r"AutoReset.*does not reset itself"):
        JaxMARLEnv(AutoReset(game))
    with pytest.raises(ValueError, match=r"space='words' .* Discrete, Box and WithExtras"):
        JaxMARLEnv(Words())
    with pytest.raises(ValueError, match=r"flatten=True .* Box"):
        JaxMARLEnv(Words(), flatten=True)
