"""The loop that all imitators share: gradient steps on minibatches of demonstrations and of what was played meanwhile.

An imitator is a `Method`: a loss on minibatches of transitions, values of actions to act by, and the rewards that its
networks hold. `imitation.imitator.declare` makes an algorithm of it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from baselines.core import devices
from baselines.core.trainer import Trainer, check_arguments
from baselines.demonstrations import Demonstrations
from baselines.imitation import replay
from baselines.imitation.replay import Experience, Transitions, choose, take_rows
from baselines.imitation.settings import GradientConfig
from baselines.imitation.sources import Sources, check_given, make_sources
from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Environment, check_key

Metrics = dict[str, jax.Array]


class Batch(NamedTuple):
    """The minibatch that a loss reads.

    Attributes:
      expert: transitions of demonstrations, drawn uniformly.
      played: as many transitions that the learners played; None for imitators that do not play.
      initial_obs: `[M, N, ...]`, observations at the start of episodes.
    """

    expert: Transitions
    played: Transitions | None
    initial_obs: jax.Array


class Method(NamedTuple):
    """The functions that make an imitator.

    Attributes:
      init: key -> network_params.
      loss: (network_params, `Batch`) -> (losses `[N]`, metrics); without the penalty on the size of parameters.
      action_values: (network_params, obs `[M, N, ...]`) -> values of actions, or logits, `[M, N, A]`.
      rewards: (network_params, `Transitions`) -> `[M, N]`.
    """

    init: Callable[[jax.Array], Any]
    loss: Callable[[Any, Batch], tuple[jax.Array, Metrics]]
    action_values: Callable[[Any, jax.Array], jax.Array]
    rewards: Callable[[Any, Transitions], jax.Array]


class TrainState(struct.PyTreeNode):
    """Everything that training goes on from.

    Attributes:
      network_params: leading axis N.
      opt_state: of Adam.
      update_index: `[]` int32, updates done.
      key: a JAX PRNG key.
      experience: what was played; None for imitators that do not play.
    """

    network_params: Any
    opt_state: Any
    update_index: jax.Array
    key: jax.Array
    experience: Experience | None


class Learner(NamedTuple):
    """The fixed parts of a run; `sources` is called when training is traced."""

    config: Any
    env: Environment
    method: Method
    sources: Callable[[], Sources]


def make_trainer(
    config: GradientConfig, env: Environment, method: Method, demonstrations: Demonstrations | None = None
) -> Trainer:
    """Training as two pure functions.

    Args:
      config: the settings.
      env: a game as `jaxdilemmas.make` returns it, without wrappers.
      method: the imitator.
      demonstrations: to learn from; read from `config.demonstrations` when an update is traced, if left out.

    Returns:
      See `trainer.Trainer`. Metrics of an update: those of `method`, means over gradient steps; `env_steps`,
      the means of `rollout.episode_metrics`.
    """
    learner = make_learner(config, env, method, demonstrations)
    return Trainer(init=partial(_init, learner), update=partial(_update, learner))


def make_learner(
    config: GradientConfig, env: Environment, method: Method, demonstrations: Demonstrations | None
) -> Learner:
    """The fixed parts of a run, see `make_trainer`."""
    check_arguments(config, GradientConfig, env)
    check_kind("method", method, Method, "a Method, as mamql.make_method(config, env) returns it")
    check_given(demonstrations)
    return Learner(config, env, method, partial(make_sources, config, env, demonstrations))


def _update(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Metrics]:
    """Plays if the learners play, then takes gradient steps on minibatches."""
    config, sources = learner.config, learner.sources()
    key, key_play, key_learn = jax.random.split(train_state.key, 3)
    played, outcomes = train_state.experience, replay.no_outcomes(learner.env.num_agents)
    if played is not None:
        values = partial(learner.method.action_values, train_state.network_params)
        played, outcomes = replay.play(config, learner.env, values, played, key_play, env_params)

    def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], Metrics]:
        return descend(learner, carry, draw_batch(learner, sources, played, key, env_params))

    start = (train_state.network_params, train_state.opt_state)
    keys = jax.random.split(key_learn, config.steps_per_update)
    (network_params, opt_state), metrics = jax.lax.scan(step, start, keys)
    train_state = TrainState(network_params, opt_state, train_state.update_index + 1, key, played)
    return train_state, outcomes | jax.tree.map(partial(jnp.mean, axis=0), metrics)


def _init(learner: Learner, key: jax.Array, env_params: Any) -> TrainState:
    """Fresh networks and environments."""
    check_key(key)
    key, key_networks, key_play = jax.random.split(key, 3)
    network_params, config = learner.method.init(key_networks), learner.config
    return TrainState(
        network_params=network_params,
        opt_state=make_optimizer(config).init(network_params),
        update_index=jnp.zeros((), jnp.int32),
        key=key,
        experience=replay.start(config, learner.env, key_play, env_params) if config.plays else None,
    )


def descend(learner: Learner, carry: tuple[Any, Any], batch: Batch) -> tuple[tuple[Any, Any], Metrics]:
    """One gradient step, from and to (network_params, opt_state)."""
    network_params, opt_state = carry

    def loss(network_params: Any) -> tuple[jax.Array, Metrics]:
        losses, metrics = learner.method.loss(network_params, batch)
        penalty = learner.config.l2 * optax.tree.norm(network_params, squared=True)
        return losses.sum() + penalty, metrics | {"loss": losses}

    gradients, metrics = jax.grad(loss, has_aux=True)(network_params)
    updates, opt_state = make_optimizer(learner.config).update(gradients, opt_state)
    return (optax.apply_updates(network_params, updates), opt_state), metrics


def make_optimizer(config: GradientConfig) -> optax.GradientTransformation:
    """Adam with a learning rate that runs in a straight line."""
    num_steps = config.num_updates * config.steps_per_update
    return optax.adam(optax.linear_schedule(config.learning_rate, config.final_learning_rate, num_steps))


def draw_batch(learner: Learner, sources: Sources, played: Experience | None, key: jax.Array, env_params: Any) -> Batch:
    """Rows drawn uniformly, with replacement, each turned by a symmetry of its own where `config.augment`."""
    config, env, recorded_rows = learner.config, learner.env, sources.expert
    key_rows, key_reset = jax.random.split(key)
    chances = jax.random.uniform(key_rows, (6, config.batch_size), jnp.float32)  # one call: each takes long to compile
    expert = take_rows(recorded_rows, choose(chances[0], len(recorded_rows.actions)))
    if played is None:
        met = None
        first_rows = sources.starts[choose(chances[1], len(sources.starts))]
        initial_obs = jax.tree.map(lambda leaf: leaf[first_rows], recorded_rows.obs)
    else:
        met = replay.draw(played.ring, chances[2])
        keys = jax.random.split(key_reset, config.batch_size)
        initial_obs = jax.vmap(lambda key: env.reset(key, env_params)[0])(keys)
    if config.augment and hasattr(env, "num_symmetries"):
        expert = turn(env, chances[3], expert)
        met = None if met is None else turn(env, chances[4], met)
        initial_obs = turn(env, chances[5], expert._replace(obs=initial_obs)).obs
    return devices.split(Batch(expert, met, initial_obs))


def turn(env: Any, chances: jax.Array, transitions: Transitions) -> Transitions:
    """Each row as it would look under a symmetry of the board, by its own number in [0, 1) and the same for all."""
    indices = choose(chances, env.num_symmetries)
    transform = jax.vmap(env.transform)
    obs, actions = transform(indices, transitions.obs, transitions.actions)
    next_obs, _ = transform(indices, transitions.next_obs, transitions.actions)
    return transitions._replace(obs=obs, actions=actions, next_obs=next_obs)
