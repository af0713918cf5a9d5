"""A game of two actions with given payoffs by number of cooperators, for tests of the analyses."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.environment import Environment, Policy, Transition
from jaxdilemmas.policies import bernoulli
from jaxdilemmas.spaces import Box, Discrete, Space

MAX_STEPS = 2

PUBLIC_GOODS = ((0.0, -0.5, 0.0, 0.5, 1.0), (0.0, 0.5, 1.0, 1.5, 0.0))
"""Payoffs of a cooperator and of a defector in a step, by the number of cooperators: four agents, each unit given comes
back doubled and shared."""


class Params(struct.PyTreeNode):
    """`max_steps`."""

    max_steps: Any = MAX_STEPS


class State(struct.PyTreeNode):
    """`step_count` `[]` int32."""

    step_count: jax.Array


class ChoiceGame(Environment):
    """Action 1 cooperates, 0 defects.

    Args:
      cooperator: what a cooperator is paid, by the number of cooperators; N + 1 numbers.
      defector: what a defector is paid.
      noise: standard deviation of what is added to every payment.
    """

    policy_module = __name__

    def __init__(
        self,
        cooperator: tuple[float, ...] = PUBLIC_GOODS[0],
        defector: tuple[float, ...] = PUBLIC_GOODS[1],
        noise: float = 0.0,
    ) -> None:
        self.num_agents = len(cooperator) - 1
        self.payments = np.array([defector, cooperator], np.float32)
        self.noise = noise
        self.default_params = Params()

    @property
    def observation_space(self) -> Space:
        return Box(0, 1, (1,), np.float32)

    @property
    def action_space(self) -> Space:
        return Discrete(2)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        return State(jnp.zeros((), jnp.int32))

    def draw(self, key: jax.Array, state: State, params: Params) -> jax.Array:
        return jax.random.normal(key, (self.num_agents,))

    def transition(self, draws: jax.Array, state: State, actions: jax.Array, params: Params) -> Transition:
        rewards = jnp.asarray(self.payments)[actions, actions.sum()] + self.noise * draws
        return State(state.step_count + 1), rewards, jnp.zeros((), bool), {}

    def observe(self, state: State, params: Params) -> jax.Array:
        return jnp.zeros((self.num_agents, 1))


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "give": lambda env: bernoulli(env, 1.0),
    "keep": lambda env: bernoulli(env, 0.0),
}
