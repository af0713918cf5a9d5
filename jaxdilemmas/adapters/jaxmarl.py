"""A game as a `MultiAgentEnv` of JaxMARL, for its wrappers and its training loops.

>>> env = LogWrapper(JaxMARLEnv(jaxdilemmas.make("gathering")))

The interface is that of JaxMARL 0.2. This module imports JaxMARL: `pip install -e ".[adapters]"`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxmarl.environments import spaces
from jaxmarl.environments.multi_agent_env import MultiAgentEnv

from jaxdilemmas.adapters.agents import by_agent, check_agents, check_ends, convert_space, observations_by_agent
from jaxdilemmas.arguments import check_flag, check_key
from jaxdilemmas.environment import Environment
from jaxdilemmas.spaces import Box, Discrete


class JaxMARLEnv(MultiAgentEnv):
    """A game as a `MultiAgentEnv`, with agents named `agent_0`, `agent_1`, ...

    `step(key, state, actions)` is inherited: it starts a new episode in the step that ends one. `step_env(key, state,
    actions)` does not reset. Both return obs, state, rewards, dones and infos. All agents are done when the episode
    ends, by `terminated` or by `truncated`. Infos contains these two, `[N]` bool each, and the game's own info, with
    leaves `[N, ...]`. Params are `env.default_params`.

    Args:
      env: the game, wrapped or not.
      flatten: whether to return observations as vectors. Learners with a joint state need this: `CTRolloutManager`
        joins all observations along their last axis.

    Raises:
      ValueError: `env` is not an environment or resets itself, `convert_space` refuses one of its spaces,
        `flatten` is not a bool, or observations that are not in a Box are to be flattened.
    """

    def __init__(self, env: Environment, flatten: bool = False) -> None:
        check_ends(env)
        check_flag("flatten", flatten)
        super().__init__(num_agents=env.num_agents)
        self.env = env
        self.flatten = flatten
        space = env.observation_space
        if flatten:
            if not isinstance(space, Box):
                raise ValueError(f"flatten={flatten} is not allowed: observations are in {space}, not in a Box")
            space = dataclasses.replace(space, shape=(math.prod(space.shape),))
        self.observation_spaces = dict.fromkeys(self.agents, convert_space(space, spaces))
        self.action_spaces = dict.fromkeys(self.agents, convert_space(env.action_space, spaces))

    @property
    def name(self) -> str:
        """The class of the game, or of the outermost wrapper around it."""
        return type(self.env).__name__

    @property
    def agent_classes(self) -> dict[str, list[str]]:
        """All agents are of one class."""
        return {"agent": self.agents}

    def reset(self, key: jax.Array) -> tuple[dict[str, jax.Array], Any]:
        """Starts an episode; returns one observation for each agent and the game's `State`.

        Raises:
          ValueError: `key` is not a PRNG key.
        """
        check_key(key)
        return self._reset(key)

    @functools.partial(jax.jit, static_argnums=0)
    def _reset(self, key: jax.Array) -> tuple[dict[str, jax.Array], Any]:
        obs, state = self.env.reset(key)
        return self._split(obs), state

    def step_env(self, key: jax.Array, state: Any, actions: dict[str, jax.Array]) -> tuple[Any, ...]:
        """Plays one joint action without a reset; the class explains the result.

        Args:
          key: a JAX PRNG key, used once.
          state: the game's `State`.
          actions: one action for each agent, of the shape and dtype of its action space. An axis of length 1 at the end
            is dropped, because JaxMARL's own IPPO for MPE adds it.

        Raises:
          ValueError: an agent is missing or unknown, or its action has a wrong shape or dtype.
        """
        check_agents(self.agents, actions)
        joint = jnp.stack([actions[agent] for agent in self.agents])
        shape = (self.num_agents, *self.env.action_space.shape)
        if joint.shape == (*shape, 1):
            joint = joint.reshape(shape)
        obs, state, rewards, terminated, truncated, info = self.env.step(key, state, joint)
        dones = dict.fromkeys([*self.agents, "__all__"], terminated | truncated)
        ends = {"terminated": terminated, "truncated": truncated}
        infos = info | {name: jnp.full(self.num_agents, end) for name, end in ends.items()}
        return self._split(obs), state, by_agent(self.agents, rewards), dones, infos

    def get_obs(self, state: Any) -> dict[str, jax.Array]:
        """Returns the observation of each agent."""
        return self._split(self.env.observe(state, self.env.default_params))

    def get_avail_actions(self, state: Any) -> dict[str, jax.Array]:
        """Returns the actions that each agent may take, `[num_actions]` bool: all of them, always.

        Raises:
          ValueError: the action space is not `Discrete`.
        """
        del state
        space = self.env.action_space
        if not isinstance(space, Discrete):
            raise ValueError(f"action_space={space} is not allowed: only Discrete actions can be listed")
        return dict.fromkeys(self.agents, jnp.ones(space.n, bool))

    def _split(self, obs: Any) -> dict[str, Any]:
        return observations_by_agent(self.agents, obs.reshape(self.num_agents, -1) if self.flatten else obs)
