"""Common pool: all agents take from one stock that grows back; if they take too fast, the stock is gone for all.

The "tragedy" game of Pretorius et al. 2020 (arXiv:2010.07777), by the code of instadeepai/EGTA-NMARL @ 544b2e0
(`egta/envs/tragedy/env.py`); docs/common_pool.md contains the rules, their sources and our own choices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_num_agents
from jaxdilemmas.environment import Environment, NoDraws, Transition, check_counts, check_numbers
from jaxdilemmas.spaces import Box, Discrete, Space

WAIT, TAKE = range(2)


class Params(struct.PyTreeNode):
    """The numbers in the rules, in units of the stock.

    Attributes:
      regrowth_rate: growth of the stock per step, above 0 and at most 1.
      initial_stock: stock at the start of an episode, above 0; the part above the capacity is lost in the first step.
      capacity: largest stock after a step, above 0.
      take_fraction: sum of all takes in a step in which every agent takes, above 0.
      max_steps: length of an episode, in steps.
    """

    regrowth_rate: Any = 0.055
    initial_stock: Any = 0.5
    capacity: Any = 1.0
    take_fraction: Any = 0.1
    max_steps: Any = 1000


class State(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      stock: `[]` float32, 0 or less when it is depleted.
      taken: `[N]` float32, the sum of each agent's takes, which is its return so far.
      step_count: `[]` int32, steps since the reset.
    """

    stock: jax.Array
    taken: jax.Array
    step_count: jax.Array


class CommonPool(Environment):
    """See the module for the game and docs/common_pool.md for its rules.

    Args:
      num_agents: N.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    policy_module = "jaxdilemmas.policies.common_pool"
    picture_module = "jaxdilemmas.pictures.common_pool"

    def __init__(self, num_agents: int = 4, **params: Any) -> None:
        self.num_agents = check_num_agents(num_agents)
        self.default_params = self.params_from(Params, params)
        check_numbers(self.default_params, 1, "regrowth_rate", is_zero_allowed=False)
        check_numbers(self.default_params, np.inf, "initial_stock", "capacity", "take_fraction", is_zero_allowed=False)
        check_counts(self.default_params, "max_steps")

    @property
    def observation_space(self) -> Space:
        """The stock and the sum of the agent's own takes, `[2]` float32."""
        return Box(-np.inf, np.inf, (2,))

    @property
    def action_space(self) -> Space:
        """0 wait, 1 take; inside jit any other number acts as 0."""
        return Discrete(2)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """The initial stock; no agent has taken anything."""
        del key
        stock = jnp.asarray(params.initial_stock, jnp.float32)
        return State(stock, jnp.zeros(self.num_agents, jnp.float32), jnp.zeros((), jnp.int32))

    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Agents take, then the rest of the stock grows. If the takes deplete the stock, no agent gets anything."""
        del draws
        is_taking = actions == TAKE
        num_agents = jax.lax.optimization_barrier(jnp.float32(self.num_agents))  # XLA rounds x / 5 as x * 0.2
        takes = jnp.where(is_taking, params.take_fraction / num_agents, 0.0)
        left = state.stock - takes.sum()
        is_depleted = left <= 0
        rewards = jnp.where(is_depleted, 0.0, takes)
        grown = jnp.where(is_depleted, left, left + params.regrowth_rate)
        stock = jnp.minimum(grown, params.capacity).astype(jnp.float32)
        state = State(stock, state.taken + rewards, state.step_count + 1)
        return state, rewards, is_depleted, {"effort": is_taking.astype(jnp.float32)}

    def observe(self, state: State, params: Params) -> jax.Array:
        """The stock and the sum of the agent's own takes, `[N, 2]` float32; neither is scaled."""
        del params
        return jnp.stack([jnp.broadcast_to(state.stock, state.taken.shape), state.taken], axis=-1)
