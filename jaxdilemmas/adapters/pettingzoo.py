"""A game as a `ParallelEnv` of PettingZoo: one environment with NumPy arrays, whose step is compiled once.

>>> env = PettingZooEnv(jaxdilemmas.make("gathering"))
>>> obs, infos = env.reset(seed=0)

This module imports PettingZoo and Gymnasium: `pip install -e ".[adapters]"`.
"""

import functools
from typing import Any

import jax
import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from jaxdilemmas.adapters.agents import agent_names, by_agent, check_agents, check_ends, convert_space
from jaxdilemmas.arguments import check_choice, is_count, require
from jaxdilemmas.environment import Environment
from jaxdilemmas.rendering import render_rgb

ByAgent = dict[str, Any]

NUM_SEEDS = 2**32
"""Seeds are below this number."""


class PettingZooEnv(ParallelEnv):
    """A game as a `ParallelEnv`, with agents named `agent_0`, `agent_1`, ...

    The episode ends for all agents at once; `agents` is then empty. Params are `env.default_params`. Two adapters of
    the same game object share the compiled functions.

    Args:
      env: the game, wrapped or not.
      render_mode: None, or "rgb_array" for `render`, which needs a grid game.

    Raises:
      ValueError: `env` is not an environment or resets itself, one of its spaces is neither `Discrete` nor `Box`, or
        the render mode is unknown.
    """

    def __init__(self, env: Environment, render_mode: str | None = None) -> None:
        check_ends(env)
        self.metadata = {"name": type(env).__name__, "render_modes": ["rgb_array"], "render_fps": 10}
        is_mode = render_mode is None or (isinstance(render_mode, str) and render_mode == "rgb_array")
        require(is_mode, "render_mode", render_mode, "None or 'rgb_array'")
        self.env = env
        self.render_mode = render_mode
        self.possible_agents = agent_names(env)
        self.agents: list[str] = []
        self.observation_spaces = {name: convert_space(env.observation_space, spaces) for name in self.possible_agents}
        self.action_spaces = {name: convert_space(env.action_space, spaces) for name in self.possible_agents}
        self._key = jax.random.key(np.random.SeedSequence().generate_state(1)[0])
        self._state: Any = None

    def observation_space(self, agent: str) -> spaces.Space:
        """The space of the agent's observations.

        Raises:
          ValueError: there is no such agent.
        """
        check_choice("agent", agent, self.possible_agents)
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """The space of the agent's actions.

        Raises:
          ValueError: there is no such agent.
        """
        check_choice("agent", agent, self.possible_agents)
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[ByAgent, ByAgent]:
        """Starts an episode.

        Args:
          seed: determines this episode and all later episodes that have no seed. The first episode has a random seed if
            none is given.
          options: not used.

        Returns:
          Observations by agent, and an empty info for each agent.

        Raises:
          ValueError: the seed is not a whole number in [0, 2^32).
        """
        del options
        if seed is not None:
            require(is_count(seed, least=0, most=NUM_SEEDS - 1), "seed", seed, "a whole number in [0, 2^32)")
            self._key = jax.random.key(int(seed))
        self._key, self._state, obs = _reset(self.env, self._key)
        self.agents = self.possible_agents[:]
        return by_agent(self.agents, np.array(obs)), {agent: {} for agent in self.agents}

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """Plays one joint action.

        Args:
          actions: for each agent one member of its action space.

        Returns:
          Five dicts by agent: observations, rewards (float), terminations (the game ended), truncations (the clock
          ended the episode) and infos (each agent's entries of the game's info).

        Raises:
          ValueError: no episode is running, an agent is missing or unknown, or an action is not in its space.
        """
        agents = self.agents
        require(bool(agents), "actions", actions, "no episode is running, call reset first")
        self._key, self._state, outcome = _step(self.env, self._key, self._state, self._join(actions))
        obs, rewards, terminated, truncated, info = jax.tree.map(np.array, outcome)
        if terminated or truncated:
            self.agents = []
        return (
            by_agent(agents, obs),
            by_agent(agents, rewards.tolist()),
            dict.fromkeys(agents, bool(terminated)),
            dict.fromkeys(agents, bool(truncated)),
            {agent: {name: values[i] for name, values in info.items()} for i, agent in enumerate(agents)},
        )

    def render(self) -> np.ndarray:
        """Draws the whole board, `[height, width, 3]` uint8.

        Raises:
          ValueError: the render mode is None, no episode was started, or the game has no board.
        """
        require(self.render_mode is not None, "render_mode", self.render_mode, "'rgb_array' draws, None does not")
        require(self._state is not None, "state", self._state, "no episode was started, call reset first")
        return render_rgb(self.env, self._state)

    def _join(self, actions: ByAgent) -> np.ndarray:
        """Actions as one array `[N, ...]` of the dtype that the game needs."""
        check_agents(self.agents, actions)
        for agent in self.agents:
            space, action = self.action_spaces[agent], np.asarray(actions[agent])
            require(space.contains(action), f"actions[{agent!r}]", actions[agent], f"a member of {space}")
        return np.stack([actions[agent] for agent in self.agents]).astype(self.env.action_space.dtype)


@functools.partial(jax.jit, static_argnames="env")
def _reset(env: Environment, key: jax.Array) -> tuple[jax.Array, Any, jax.Array]:
    key, key_reset = jax.random.split(key)
    obs, state = env.reset(key_reset)
    return key, state, obs


@functools.partial(jax.jit, static_argnames="env")
def _step(env: Environment, key: jax.Array, state: Any, actions: jax.Array) -> tuple[jax.Array, Any, tuple[Any, ...]]:
    key, key_step = jax.random.split(key)
    obs, state, *others = env.step(key_step, state, actions)
    return key, state, (obs, *others)
