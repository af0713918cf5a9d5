"""Each critic reads its own inputs with its own parameters; each agent counts joint actions."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdilemmas
from baselines import ippo
from baselines.cloning import Config
from baselines.core.entities import EntityTorso
from baselines.imitation import critics, joint_actions
from jaxdilemmas.spaces import Box, view_of
from tests.probes import Probe

pytestmark = pytest.mark.usefixtures("quick_compiling")
KINDS = (0, 1, 2, 2, 2, 3, 3)
SET = Config(network="set", hidden_size=8)


@pytest.fixture(scope="module")
def torso() -> tuple[Any, Any]:
    """A compiled network on sets and the places `[1, K, 2]` that it reads."""
    places = jax.random.randint(jax.random.key(0), (1, len(KINDS), 2), 0, 9).astype(jnp.float32)
    places = places.at[:, 4].set(-1.0).at[:, 6].set(-1.0)
    module = EntityTorso(KINDS, 16)
    params = jax.jit(module.init)(jax.random.key(1), places.reshape(1, -1))
    apply = jax.jit(module.apply)
    return lambda places: np.asarray(apply(params, places.reshape(1, -1))), places


def test_the_order_of_entities_of_a_kind_does_not_matter(torso: tuple[Any, Any]) -> None:
    read, places = torso
    np.testing.assert_allclose(read(places[:, np.array([0, 1, 4, 2, 3, 6, 5])]), read(places), atol=1e-6)
    assert np.abs(read(places[:, np.array([0, 1, 5, 3, 4, 2, 6])]) - read(places)).max() > 1e-3


def test_only_relative_places_count(torso: tuple[Any, Any]) -> None:
    read, places = torso
    moved = jnp.where(places < 0, places, places + jnp.array([2.0, 3.0]))
    np.testing.assert_allclose(read(moved), read(places), atol=1e-5)
    assert np.abs(read(places.at[:, 2, 0].add(1.0)) - read(places)).max() > 1e-3


def test_it_does_not_matter_where_an_absent_entity_is(torso: tuple[Any, Any]) -> None:
    read, places = torso
    np.testing.assert_array_equal(read(places.at[:, 4].set(-7.0)), read(places))
    assert np.isfinite(read(jnp.full_like(places, -1.0))).all()


class Crowd(Probe):
    """Three agents who see four entities each."""

    entity_kinds = np.array([0, 1, 2, 2])

    def __init__(self) -> None:
        super().__init__(num_agents=3)

    @property
    def observation_space(self) -> Box:
        return Box(-1, 9, (4, 2), np.int8)


def changes(config: Config, env: Any) -> np.ndarray:
    """Whether what agent j sees changes the values of agent i, `[i, j]`."""
    networks = critics.make_critics(config, env)
    params = jax.tree.map(lambda leaf: leaf + 0.1, jax.jit(networks.init)(jax.random.key(0)))
    space = env.observation_space
    obs = jnp.zeros((1, env.num_agents, *space.shape), space.dtype)
    apply = jax.jit(networks.apply)
    before = apply(params, obs)
    assert before.shape == (1, env.num_agents, 2) and before.dtype == jnp.float32
    others = [apply(params, obs.at[:, j, -1].add(1)) for j in range(env.num_agents)]
    return np.stack([np.asarray(after != before).any(axis=(0, 2)) for after in others], axis=1)


@pytest.mark.parametrize("env", [Crowd(), Probe(num_agents=3)], ids=["set", "mlp"])
def test_critics_read_their_own_observation_or_those_of_all(env: Any) -> None:
    config = dataclasses.replace(SET, network="set" if isinstance(env, Crowd) else "mlp")
    np.testing.assert_array_equal(changes(config, env), np.eye(3, dtype=bool))
    assert changes(dataclasses.replace(config, reads="all"), env).all()


def test_tile_ids_of_all_are_read_side_by_side() -> None:
    env = jaxdilemmas.make("gathering", num_agents=2)
    networks = critics.make_critics(Config(hidden_size=4, reads="all"), env)
    obs = jnp.zeros((5, 2, *view_of(env.observation_space).shape), jnp.uint8)
    q = jax.eval_shape(lambda key: networks.apply(networks.init(key), obs), jax.random.key(0))
    assert q.shape == (5, 2, 8)


def test_parameters_of_agents_are_their_own() -> None:
    networks = critics.make_critics(SET, Crowd())
    params = jax.jit(networks.init)(jax.random.key(0))
    assert {leaf.shape[0] for leaf in jax.tree.leaves(params)} == {3}
    kernel = params["params"]["EntityTorso_0"]["Dense_0"]["kernel"]
    assert np.abs(kernel[0] - kernel[1]).max() > 0.01


def test_joint_actions_are_counted_own_action_first() -> None:
    actions = jnp.array([[2, 0, 1]])
    np.testing.assert_array_equal(joint_actions.joint_index(actions, 3), [[2 * 9 + 0 + 1, 0 + 3 + 2, 9 + 2 * 3 + 0]])


def test_what_others_do_together_has_the_product_of_their_probabilities() -> None:
    policies = jnp.array([[[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]])
    others = joint_actions.others_probabilities(policies)
    np.testing.assert_allclose(others[0, 0], [0.18, 0.72, 0.02, 0.08], rtol=1e-6)
    np.testing.assert_allclose(others[0, 1], [0.1, 0.1, 0.4, 0.4], rtol=1e-6)  # of agents 2 and 0


def test_sets_are_refused_where_the_game_shows_none() -> None:
    message = "network='set' is not allowed: Probe shows no entities"
    with pytest.raises(ValueError, match=message):
        critics.make_critics(SET, Probe())
    with pytest.raises(ValueError, match=message):
        ippo.make_networks(ippo.Config(network="set"), Probe())


def test_ippo_reads_sets() -> None:
    code, networks = ippo.make_networks(ippo.Config(network="set", hidden_size=8), Crowd())
    obs = code.encode(jnp.zeros((4, 2, 3, 4, 2), jnp.int8))

    def read(key: jax.Array) -> Any:
        return networks.apply(networks.init(key), networks.initial_memory(2), obs, jnp.zeros((4, 2), bool))

    output = jax.eval_shape(read, jax.random.key(0))
    assert (output.logits.shape, output.values.shape) == ((4, 2, 3, 2), (4, 2, 3))


class Steering(Probe):
    """An action is a number."""

    @property
    def action_space(self) -> Box:
        return Box(-1, 1, (1,))


def test_critics_need_discrete_actions() -> None:
    with pytest.raises(ValueError, match="critics need a Discrete one"):
        critics.make_critics(Config(), Steering())
