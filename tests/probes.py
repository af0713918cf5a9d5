"""Tiny games with known answers. Each of them tests one part of a learner: a wrong answer shows that it is broken.

The idea and the first five are from Andy Jones, "Debugging RL, without the agonizing pain" (2021).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.environment import Environment, NoDraws, Transition
from jaxdilemmas.spaces import Box, Discrete, Space


class Params(struct.PyTreeNode):
    """Which probe it is. All weights are 0 by default; c is the agent's cue, s the number of the step.

    Attributes:
      length: steps until the game ends.
      max_steps: the time limit.
      sees_cue: what is seen, in the first step: sees_cue * c.
      sees_step: is added to it in every step: sees_step * s.
      pays_from: the first step that pays anything.
      constant: paid whatever is done.
      cue: times c, paid whatever is done.
      action: paid for action 1, taken for action 0.
      action_cue: times c, likewise.
      action_role: likewise for odd agents, with the opposite sign for even agents.
    """

    length: Any = 1
    max_steps: Any = 1000
    sees_cue: Any = 0.0
    sees_step: Any = 0.0
    pays_from: Any = 0
    constant: Any = 0.0
    cue: Any = 0.0
    action: Any = 0.0
    action_cue: Any = 0.0
    action_role: Any = 0.0


CONSTANT_REWARD = Params(constant=1.0)
"""The value is 1, whatever is done."""
REWARD_FROM_OBSERVATION = Params(sees_cue=1.0, cue=1.0)
"""The value is the observation, -1 or 1."""
DELAYED_REWARD = Params(length=2, sees_step=1.0, pays_from=1, constant=1.0)
"""The second of two steps pays 1: the values of observations 0 and 1 are the discount and 1."""
ACTION_MATTERS = Params(action=1.0)
"""Action 1 pays 1, action 0 costs 1."""
ACTION_FROM_OBSERVATION = Params(sees_cue=1.0, action_cue=1.0)
"""Action 1 pays after a cue of 1, action 0 after a cue of -1."""
ACTION_FROM_MEMORY = Params(length=2, sees_cue=1.0, pays_from=1, action_cue=1.0)
"""The same, but it is the second action that counts, when the cue is no longer seen."""
ACTION_FROM_ROLE = Params(action_role=1.0)
"""All see the same; odd agents are paid for action 1, even ones for action 0."""
ENDLESS_REWARD = Params(length=np.iinfo(np.int32).max, max_steps=8, constant=1.0)
"""Pays 1 for ever and only the clock ends it: the value is 1 / (1 - discount) at every time limit."""


class State(struct.PyTreeNode):
    """`cues` `[N]` float32, -1 or 1, drawn anew in each episode; `step_count` `[]` int32."""

    cues: jax.Array
    step_count: jax.Array


class Probe(Environment):
    """One number to see, two actions, and a reward that is linear in what `Params` names.

    Args:
      num_agents: N.
      params: which probe it is by default.
    """

    def __init__(self, num_agents: int = 1, params: Params = CONSTANT_REWARD) -> None:
        self.num_agents = num_agents
        self.default_params = params

    @property
    def observation_space(self) -> Space:
        """One number of at least -1: a cue, or the step."""
        return Box(-1, np.inf, (1,), np.float32)

    @property
    def action_space(self) -> Space:
        """0 or 1."""
        return Discrete(2)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Fresh cues."""
        del params
        return State(jax.random.rademacher(key, (self.num_agents,), jnp.float32), jnp.zeros((), jnp.int32))

    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Pays, and ends after `length` steps."""
        del draws
        roles = 2.0 * (jnp.arange(self.num_agents, dtype=jnp.float32) % 2) - 1.0
        action_weights = params.action + params.action_cue * state.cues + params.action_role * roles
        rewards = params.constant + params.cue * state.cues + (2.0 * actions.astype(jnp.float32) - 1.0) * action_weights
        rewards = jnp.where(state.step_count >= params.pays_from, rewards, 0.0).astype(jnp.float32)
        state = state.replace(step_count=state.step_count + 1)
        return state, rewards, state.step_count >= params.length, {}

    def observe(self, state: State, params: Params) -> jax.Array:
        """The cue in the first step, and the step if it is to be seen, `[N, 1]` float32."""
        cues = jnp.where(state.step_count == 0, params.sees_cue * state.cues, 0.0)
        return (cues + params.sees_step * state.step_count.astype(jnp.float32)).astype(jnp.float32)[:, None]
