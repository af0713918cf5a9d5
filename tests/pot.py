"""A small game that keeps the contract, for tests of the code around games."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas import Box, Discrete, Environment
from jaxdilemmas.environment import Info, Transition
from jaxdilemmas.spaces import Space


class PotParams(struct.PyTreeNode):
    """Numbers of `Pot`."""

    growth: float = 0.5
    prize: int = 1
    max_steps: int = 1000


class PotState(struct.PyTreeNode):
    """Savings per agent `[N]` float32, the last joint action `[N]` int32 and the clock."""

    savings: jax.Array
    last: jax.Array
    step_count: jax.Array


class TwinState(PotState):
    """`PotState` and once more the savings."""

    twin: jax.Array


class PotDraws(struct.PyTreeNode):
    """One uniform per agent, `[N]` float32."""

    luck: jax.Array


class Pot(Environment):
    """A small game that keeps the contract: who bets gets a prize with luck, and savings grow."""

    observation_space: Space = Box(0.0, np.inf, (2,))
    action_space: Space = Discrete(3)

    def __init__(self, num_agents: int = 3) -> None:
        self.num_agents = num_agents
        self.default_params = PotParams()

    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        savings = jax.random.uniform(key, (self.num_agents,), jnp.float32)
        return PotState(savings, jnp.zeros(self.num_agents, jnp.int32), jnp.zeros((), jnp.int32))

    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return PotDraws(jax.random.uniform(key, (self.num_agents,), jnp.float32))

    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        prizes = jnp.where(draws.luck < params.growth, params.prize * actions, 0).astype(jnp.float32)
        rewards = prizes + params.growth * state.savings
        next_state = PotState(state.savings + params.growth * draws.luck, actions, state.step_count + 1)
        return next_state, rewards, jnp.zeros((), bool), self.info(actions)

    def info(self, actions: jax.Array) -> Info:
        return {"bet": actions > 0}

    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        return jnp.stack([state.savings, state.last.astype(jnp.float32)], axis=-1)


class BoxPot(Pot):
    """`Pot` with real-valued actions."""

    action_space = Box(-1.0, 1.0, (2,))

    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        return super().transition(draws, state, (actions.sum(-1) > 0).astype(jnp.int32), params)


class OutcomeIsChanged(Pot):
    """What `transition` returns, with one thing of it changed."""

    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        raise NotImplementedError

    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        return self.change(*super().transition(draws, state, actions, params))


class ActionsAreBytes(Pot):
    action_space = Box(0, 1, (), np.uint8)
