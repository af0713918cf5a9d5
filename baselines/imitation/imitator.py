"""From a method of imitation to an algorithm: the functions that the file of every imitator declares."""

from collections.abc import Callable
from functools import partial
from typing import Any

import distrax
import jax
import jax.numpy as jnp

from baselines.core.rollout import sample_actions
from baselines.core.trainer import Imitator, Policy, Trainer, check_network_params
from baselines.demonstrations import Demonstrations
from baselines.imitation import training
from baselines.imitation.replay import Transitions
from baselines.imitation.settings import ImitationConfig
from baselines.imitation.sources import check_given, choose_demonstrations
from baselines.imitation.training import Method
from jaxdilemmas.arguments import check_flag
from jaxdilemmas.environment import Environment

RewardFunction = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
"""(obs `[M, N, ...]`, actions `[M, N]` int32, next_obs `[M, N, ...]`, terminated `[M]` bool) -> rewards `[M, N]`."""


make_imitator = partial(Imitator, default_env="gems", read_demonstrations=choose_demonstrations)
"""An algorithm that reads the demonstrations of its settings, and plays `gems` where no game is named."""


def declare(name: str, config_class: type, make_method: Callable[[Any, Environment], Method]) -> Imitator:
    """The algorithm of an imitator.

    Args:
      name: of its module in `baselines`.
      config_class: its settings.
      make_method: (config, env) -> `Method`.
    """

    def make_trainer(config: Any, env: Environment, demonstrations: Demonstrations | None = None) -> Trainer:
        check_given(demonstrations)  # before a network is built, as below
        return training.make_trainer(config, env, make_method(config, env), demonstrations)

    def make_policy(config: Any, env: Environment, greedy: bool = False) -> Policy:
        check_flag("greedy", greedy)
        return act_by(config, env, make_method(config, env).action_values, greedy)

    def recovered_rewards(config: Any, env: Environment, network_params: Any) -> RewardFunction:
        method = make_method(config, env)
        check_network_params(network_params, jax.eval_shape(method.init, jax.random.key(0)))

        def rewards(obs: jax.Array, actions: jax.Array, next_obs: jax.Array, terminated: jax.Array) -> jax.Array:
            return method.rewards(network_params, Transitions(obs, actions, next_obs, terminated))

        return rewards

    def action_values(config: Any, env: Environment, network_params: Any, obs: jax.Array) -> jax.Array:
        return make_method(config, env).action_values(network_params, obs)

    return make_imitator(
        name, config_class, make_trainer, make_policy, recovered_rewards=recovered_rewards, action_values=action_values
    )


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
        values = action_values(network_params, jax.tree.map(lambda leaf: leaf[None], obs))[0]
        if greedy:
            return jnp.argmax(values, axis=-1).astype(jnp.int32), memory
        policy = distrax.Categorical(logits=config.acting_inverse_temperature * values)
        return sample_actions(key, policy), memory

    return Policy(act, jnp.zeros((env.num_agents, 0), jnp.float32))
