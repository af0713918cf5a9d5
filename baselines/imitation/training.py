"""What all imitators share: the loop of gradient steps on demonstrations, and the policy they act by.

An imitator is a `Method`: a loss on minibatches of transitions, values of actions to act by, and rewards that it reads
out of its network. It may play meanwhile, and learn from what it met (`training.experience`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from baselines import demonstrations as recorded
from baselines.core.rollout import sample_actions
from baselines.core.trainer import Policy, Train, Trainer, as_function, check_arguments, check_network_params
from baselines.demonstrations import Demonstrations
from baselines.demonstrations.records import check_demonstrations
from baselines.imitation import replay
from baselines.imitation.replay import Experience, Transitions, choose, take_rows
from baselines.imitation.settings import GradientConfig, ImitationConfig
from jaxdilemmas.arguments import check_flag, check_kind, require
from jaxdilemmas.environment import Environment, check_key

Metrics = dict[str, jax.Array]

RewardFunction = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""(obs `[M, N, ...]`, actions `[M, N]` int32, next_obs `[M, N, ...]`, terminated `[M]` bool) -> rewards `[M, N]`."""


class Batch(NamedTuple):
    """What a loss reads.

    Attributes:
      expert: transitions of demonstrations, drawn uniformly.
      played: as many transitions of the learners' own; None for imitators that do not play.
      initial_obs: `[M, N, ...]`, observations at the start of episodes.
    """

    expert: Transitions
    played: Transitions | None
    initial_obs: jax.Array


class Method(NamedTuple):
    """What makes an imitator.

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


class Sources(NamedTuple):
    """Where minibatches come from: demonstrations, leading axis M, and rows in which episodes begin, `[E]` int32."""

    expert: Transitions
    starts: jax.Array


class Learner(NamedTuple):
    """The fixed parts of a run; `sources` is called when training is traced."""

    config: GradientConfig
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
      demonstrations: what to learn from; read from `config.demonstrations` when an update is traced, if left out.

    Returns:
      See `trainer.Trainer`. Metrics of an update: those of `method`, means over gradient steps; `env_steps`,
      the means of `rollout.episode_metrics`.
    """
    learner = make_learner(config, env, method, demonstrations)
    return Trainer(init=partial(_init, learner), update=partial(_update, learner))


def make_train(
    config: GradientConfig, env: Environment, method: Method, demonstrations: Demonstrations | None = None
) -> Train:
    """The whole run as one function, (key, env_params) -> (train_state, metrics `[num_updates, ...]`)."""
    return as_function(make_trainer(config, env, method, demonstrations), config.num_updates)


def act_by(
    config: ImitationConfig,
    env: Environment,
    action_values: Callable[[Any, jax.Array], jax.Array],
    greedy: bool = False,
) -> Policy:
    """Actions drawn from a softmax of scaled values or logits, or the best ones when `greedy`; see `Method`.

    Raises:
      ValueError: `greedy` is no bool.
    """
    check_flag("greedy", greedy)

    def act(network_params: Any, obs: jax.Array, memory: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = action_values(network_params, obs[None])[0]
        if greedy:
            return jnp.argmax(values, axis=-1).astype(jnp.int32), memory
        policy = distrax.Categorical(logits=config.acting_inverse_temperature * values)
        return sample_actions(key, policy), memory

    return Policy(act, jnp.zeros((env.num_agents, 0), jnp.float32))


def make_reward_function(method: Method, network_params: Any) -> RewardFunction:
    """The rewards that a trained network holds.

    Raises:
      ValueError: the parameters are of another network.
    """
    check_network_params(network_params, jax.eval_shape(method.init, jax.random.key(0)))

    def rewards(obs: jax.Array, actions: jax.Array, next_obs: jax.Array, terminated: jax.Array) -> jax.Array:
        return method.rewards(network_params, Transitions(obs, actions, next_obs, terminated))

    return rewards


class Functions(NamedTuple):
    """What the module of an imitator offers, as other algorithms do: see `functions_of`."""

    make_trainer: Callable[..., Trainer]
    make_train: Callable[..., Train]
    make_policy: Callable[..., Policy]
    recovered_rewards: Callable[[Any, Environment, Any], RewardFunction]


def functions_of(make_imitator: Callable[[Any, Environment], Method]) -> Functions:
    """The functions of an imitator's module.

    Args:
      make_imitator: (config, env) -> `Method`.

    Returns:
      make_trainer and make_train, (config, env, demonstrations=None): those of this module for the imitator;
      make_policy, (config, env, greedy=False): what a trained run plays, see `act_by`; recovered_rewards, (config, env,
      network_params): the rewards that a trained network holds.
    """

    def trainer(config: Any, env: Environment, demonstrations: Demonstrations | None = None) -> Trainer:
        check_given(demonstrations)
        return make_trainer(config, env, make_imitator(config, env), demonstrations)

    def train(config: Any, env: Environment, demonstrations: Demonstrations | None = None) -> Train:
        check_given(demonstrations)
        return make_train(config, env, make_imitator(config, env), demonstrations)

    def policy(config: Any, env: Environment, greedy: bool = False) -> Policy:
        check_flag("greedy", greedy)
        return act_by(config, env, make_imitator(config, env).action_values, greedy)

    def rewards(config: Any, env: Environment, network_params: Any) -> RewardFunction:
        return make_reward_function(make_imitator(config, env), network_params)

    return Functions(trainer, train, policy, rewards)


def make_learner(
    config: GradientConfig, env: Environment, method: Method, demonstrations: Demonstrations | None
) -> Learner:
    """What is fixed in a run, see `make_trainer`."""
    check_arguments(config, GradientConfig, env)
    check_kind("method", method, Method, "a Method, as mamql.make_method(config, env) returns it")
    check_given(demonstrations)
    return Learner(config, env, method, partial(make_sources, config, env, demonstrations))


def check_given(demonstrations: Any) -> None:
    """Raises a ValueError unless these are demonstrations, or None where the settings name a file."""
    if demonstrations is not None:
        check_demonstrations(demonstrations)


def choose_demonstrations(
    config: ImitationConfig, env: Environment, demonstrations: Demonstrations | None = None
) -> Demonstrations:
    """As many demonstrations as the settings say, of those given or in the file that they name.

    Raises:
      ValueError: they name no file, it does not hold demonstrations of this game, or fewer than asked for.
    """
    if demonstrations is None:
        require(bool(config.demonstrations), "demonstrations", config.demonstrations, "the path of a file of them")
        demonstrations = recorded.load(config.demonstrations, env)
    else:
        recorded.check_fits(demonstrations, env)
    if config.num_transitions is None:
        return demonstrations
    return recorded.subsample(demonstrations, config.num_transitions, config.demonstration_seed)


def make_sources(config: ImitationConfig, env: Environment, demonstrations: Demonstrations | None) -> Sources:
    """What to learn from, see `choose_demonstrations`."""
    demonstrations = choose_demonstrations(config, env, demonstrations)
    expert = Transitions(*(jnp.asarray(getattr(demonstrations, name)) for name in Transitions._fields))
    starts = np.flatnonzero(np.diff(demonstrations.episodes, prepend=demonstrations.episodes[0] - 1))
    return Sources(expert, jnp.asarray(starts))


def with_demonstrations(
    make_trainer: Callable[[Any, Environment, Demonstrations], Trainer],
) -> Callable[[Any, Environment], Trainer]:
    """What a command calls: demonstrations are read and checked first, before anything is compiled or written."""

    def make(config: Any, env: Environment) -> Trainer:
        return make_trainer(config, env, choose_demonstrations(config, env))

    return make


def _init(learner: Learner, key: jax.Array, env_params: Any) -> TrainState:
    """Fresh networks and environments."""
    check_key(key)
    key, key_networks, key_play = jax.random.split(key, 3)
    network_params = learner.method.init(key_networks)
    playing = learner.config.playing
    return TrainState(
        network_params=network_params,
        opt_state=make_optimizer(learner.config).init(network_params),
        update_index=jnp.zeros((), jnp.int32),
        key=key,
        experience=None if playing is None else replay.start(playing, learner.env, key_play, env_params),
    )


def make_optimizer(config: GradientConfig) -> optax.GradientTransformation:
    """Adam with a learning rate that runs in a straight line."""
    num_steps = config.num_updates * config.steps_per_update
    return optax.adam(optax.linear_schedule(config.learning_rate, config.final_learning_rate, num_steps))


def _update(learner: Learner, train_state: TrainState, env_params: Any) -> tuple[TrainState, Metrics]:
    """Plays, if it plays, learns from minibatches, and says how it went."""
    config, sources = learner.config, learner.sources()
    key, key_play, key_learn = jax.random.split(train_state.key, 3)
    played, outcomes = train_state.experience, replay.no_outcomes(learner.env.num_agents)
    if config.playing is not None and played is not None:
        values = partial(learner.method.action_values, train_state.network_params)
        played, outcomes = replay.play(config.playing, learner.env, values, played, key_play, env_params)

    def step(carry: tuple[Any, Any], key: jax.Array) -> tuple[tuple[Any, Any], Metrics]:
        batch = draw_batch(learner, sources, played, key, env_params)
        return descend(learner, carry, batch)

    start = (train_state.network_params, train_state.opt_state)
    keys = jax.random.split(key_learn, config.steps_per_update)
    (network_params, opt_state), metrics = jax.lax.scan(step, start, keys)
    train_state = TrainState(network_params, opt_state, train_state.update_index + 1, key, played)
    return train_state, outcomes | jax.tree.map(partial(jnp.mean, axis=0), metrics)


def descend(learner: Learner, carry: tuple[Any, Any], batch: Batch) -> tuple[tuple[Any, Any], Metrics]:
    """One gradient step, from and to (network_params, opt_state)."""
    network_params, opt_state = carry

    def loss(network_params: Any) -> tuple[jax.Array, Metrics]:
        losses, metrics = learner.method.loss(network_params, batch)
        return losses.sum() + learner.config.l2 * optax.tree.norm(network_params, squared=True), metrics | {
            "loss": losses
        }

    gradients, metrics = jax.grad(loss, has_aux=True)(network_params)
    updates, opt_state = make_optimizer(learner.config).update(gradients, opt_state)
    return (optax.apply_updates(network_params, updates), opt_state), metrics


def draw_batch(learner: Learner, sources: Sources, played: Experience | None, key: jax.Array, env_params: Any) -> Batch:
    """Rows drawn uniformly, with replacement, each turned by a symmetry of its own where `config.augment`."""
    config, env, recorded_rows = learner.config, learner.env, sources.expert
    key_rows, key_reset = jax.random.split(key)
    chances = jax.random.uniform(key_rows, (6, config.batch_size), jnp.float32)  # one call: each takes long to compile
    expert = take_rows(recorded_rows, choose(chances[0], len(recorded_rows.actions)))
    if played is None:
        met = None
        initial_obs = recorded_rows.obs[sources.starts[choose(chances[1], len(sources.starts))]]
    else:
        met = replay.draw(played.ring, chances[2])
        keys = jax.random.split(key_reset, config.batch_size)
        initial_obs = jax.vmap(lambda key: env.reset(key, env_params)[0])(keys)
    if config.augment and hasattr(env, "num_symmetries"):
        expert = turn(env, chances[3], expert)
        met = None if met is None else turn(env, chances[4], met)
        initial_obs = turn(env, chances[5], expert._replace(obs=initial_obs)).obs
    return Batch(expert, met, initial_obs)


def turn(env: Any, chances: jax.Array, transitions: Transitions) -> Transitions:
    """Each row as it would look under a symmetry of the board, by its own number in [0, 1) and the same for all."""
    indices = choose(chances, env.num_symmetries)
    transform = jax.vmap(env.transform)
    obs, actions = transform(indices, transitions.obs, transitions.actions)
    next_obs, _ = transform(indices, transitions.next_obs, transitions.actions)
    return transitions._replace(obs=obs, actions=actions, next_obs=next_obs)
