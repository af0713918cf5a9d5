"""A game as a `ParallelEnv` of PettingZoo: one environment, NumPy in and out, its step compiled once.

>>> env = PettingZooEnv(jaxdilemmas.make("gathering"))
>>> obs, infos = env.reset(seed=0)

Importing this module imports PettingZoo and Gymnasium: `pip install -e ".[adapters]"`.
"""

import functools
from typing import Any

import jax
import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from jaxdilemmas.adapters.agents import (
    agent_names,
    by_agent,
    check_agents,
    check_ends,
    convert_space,
    observations_by_agent,
)
from jaxdilemmas.arguments import check_choice, is_count, require
from jaxdilemmas.environment import Environment
from jaxdilemmas.rendering import render_rgb

ByAgent = dict[str, Any]

NUM_SEEDS = 2**32
"""Seeds are below this number."""


class PettingZooEnv(ParallelEnv):
    """Agents have names, `agent_0`, `agent_1`, ...; the episode ends for all at once, and `agents` is then empty.

    Params are `env.default_params`. Adapters of one and the same game share what is compiled.

    Observations with extras are in a `Dict` space, with the entries "view" and "extras".

    Args:
      env: the game, wrapped or not.
      render_mode: None, or "rgb_array" for `render`, which needs a grid game.

    Raises:
      ValueError: `env` resets itself or has a space that `convert_space` refuses, or the render mode is unknown.
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
        """Where the agent's observations lie.

        Raises:
          ValueError: there is no such agent.
        """
        check_choice("agent", agent, self.possible_agents)
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """What the agent may do.

        Raises:
          ValueError: there is no such agent.
        """
        check_choice("agent", agent, self.possible_agents)
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[ByAgent, ByAgent]:
        """Starts an episode.

        Args:
          seed: fixes this episode and those that follow without a seed; the first seed is random if none is given.
          options: not used.

        Returns:
          Observations and empty infos by agent.

        Raises:
          ValueError: the seed is not a whole number in [0, 2^32).
        """
        del options
        if seed is not None:
            require(is_count(seed, least=0, most=NUM_SEEDS - 1), "seed", seed, "a whole number in [0, 2^32)")
            self._key = jax.random.key(int(seed))
        self._key, self._state, obs = _reset(self.env, self._key)
        self.agents = self.possible_agents[:]
        return observations_by_agent(self.agents, jax.tree.map(np.array, obs)), {agent: {} for agent in self.agents}

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """Plays one joint action.

        Args:
          actions: one member of its action space for each agent.

        Returns:
          By agent: observations, rewards (float), terminations (the game ended), truncations (the clock ended it) and
          infos, each agent's entries of the game's info.

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
            observations_by_agent(agents, obs),
            by_agent(agents, rewards.tolist()),
            dict.fromkeys(agents, bool(terminated)),
            dict.fromkeys(agents, bool(truncated)),
            {agent: {name: values[i] for name, values in info.items()} for i, agent in enumerate(agents)},
        )

    def render(self) -> np.ndarray:
        """The game as `jaxdilemmas.rendering.render_rgb` draws it, `[height, width, 3]` uint8. Needs Pillow.

        Raises:
          ValueError: the render mode is None, no episode was started, or the game cannot be drawn.
        """
        require(self.render_mode is not None, "render_mode", self.render_mode, "'rgb_array' draws, None does not")
        require(self._state is not None, "state", self._state, "no episode was started, call reset first")
        return render_rgb(self.env, self._state)

    def _join(self, actions: ByAgent) -> np.ndarray:
        """Actions as one array `[N, ...]` of the dtype that the game takes."""
        check_agents(self.agents, actions)
        for agent in self.agents:
            space, action = self.action_spaces[agent], np.asarray(actions[agent])
            require(space.contains(action), f"actions[{agent!r}]", actions[agent], f"a member of {space}")
        return np.stack([actions[agent] for agent in self.agents]).astype(self.env.action_space.dtype)


@functools.partial(jax.jit, static_argnames="env")
def _reset(env: Environment, key: jax.Array) -> tuple[jax.Array, Any, Any]:
    key, key_reset = jax.random.split(key)
    obs, state = env.reset(key_reset)
    return key, state, obs


@functools.partial(jax.jit, static_argnames="env")
def _step(env: Environment, key: jax.Array, state: Any, actions: jax.Array) -> tuple[jax.Array, Any, tuple[Any, ...]]:
    key, key_step = jax.random.split(key)
    obs, state, *others = env.step(key_step, state, actions)
    return key, state, (obs, *others)
