"""Games in which agents are paid what was recovered from demonstrations, so that others can learn from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from baselines.analysis.events import event_feature
from baselines.core.trainer import Imitator, check_unreset_game
from baselines.disk.schema import MOST_FLOAT32
from baselines.imitation.imitator import RewardFunction
from baselines.trained.load import load_run
from jaxdilemmas.arguments import check_kind, numbers_from, refusal, require
from jaxdilemmas.environment import Environment, Observed, Transition
from jaxdilemmas.wrappers import Wrapper

OWN_REWARD = "own_reward"
"""The entry of info that holds the rewards of the game itself."""


class RememberedState(struct.PyTreeNode):
    """The inner state and what agents see in it, `[N, ...]`."""

    env_state: Any
    obs: Observed

    @property
    def step_count(self) -> jax.Array:
        """`[]` int32, the inner state's."""
        return self.env_state.step_count


class RecoveredRewards(Wrapper):
    """Replaces rewards by a function of observations and actions; `info["own_reward"]` `[N]` holds the game's own.

    Usable wherever a game is: `ippo.make_trainer(config, RecoveredRewards(env, reward_function))`. Statistics of
    episodes that learners report are then of the recovered rewards.

    Args:
      env: the game, without wrappers.
      reward_function: see `baselines.imitation.imitator.RewardFunction`.

    Raises:
      ValueError: `env` is no game, or resets itself, or `reward_function` is no function that returns `[M, N]`.
    """

    def __init__(self, env: Environment, reward_function: RewardFunction) -> None:
        check_unreset_game(env)
        super().__init__(env)
        allowed = "a function (obs, actions, next_obs, terminated) -> rewards [M, N]"
        require(callable(reward_function), "reward_function", reward_function, allowed)
        start, _ = jax.eval_shape(env.reset, jax.random.key(0))
        acts = jax.ShapeDtypeStruct((env.num_agents, *env.action_space.shape), env.action_space.dtype)
        seen, acts = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), (start, acts))
        found = jax.eval_shape(reward_function, seen, acts, seen, jax.ShapeDtypeStruct((1,), bool))
        shape = getattr(found, "shape", None)
        require(shape == (1, env.num_agents), "reward_function of shape", shape, f"{(1, env.num_agents)} for one step")
        self.reward_function = reward_function

    def initial_state(self, key: jax.Array, params: Any) -> RememberedState:
        """The inner initial state with what is seen in it."""
        env_state = self.env.initial_state(key, params)
        return RememberedState(env_state, self.env.observe(env_state, params))

    def inner_state(self, state: RememberedState) -> Any:
        """The inner environment's part of `state`."""
        return state.env_state

    def transition(self, draws: Any, state: RememberedState, actions: jax.Array, params: Any) -> Transition:
        """The inner transition, paid by the reward function; a time limit is no end to it."""
        env_state, own, terminated, info = self.env.transition(draws, state.env_state, actions, params)
        obs = self.env.observe(env_state, params)
        step = jax.tree.map(lambda leaf: leaf[None], (state.obs, actions, obs, terminated))
        rewards = self.reward_function(*step)[0]
        return RememberedState(env_state, obs), rewards.astype(jnp.float32), terminated, info | {OWN_REWARD: own}


class EventWeightedRewards(Wrapper):
    """Pays agents a weighted sum of the events in info, such as `analysis.successors` finds.

    Args:
      env: the game, without wrappers.
      weights: by name of the feature, as of `analysis.events.event_feature`: "event" for the agent's own,
        "event of others" for their sum, "event of all" for the least of all, "time" for every step; one number, or
        `[N]`, one for each agent.

    Raises:
      ValueError: `env` is no game, or resets itself, its info has no such event, or a weight is not finite or of
        another shape.
    """

    def __init__(self, env: Environment, weights: Mapping[str, Any]) -> None:
        check_unreset_game(env)
        super().__init__(env)
        check_kind("weights", weights, Mapping, "numbers by name of the feature")
        key, acts = jax.random.key(0), env.action_space
        actions = jax.ShapeDtypeStruct((env.num_agents, *acts.shape), acts.dtype)
        info = jax.eval_shape(env.step, key, jax.eval_shape(env.reset, key)[1], actions)[-1]
        for name, weight in weights.items():
            event_feature(name, {event: np.zeros(env.num_agents) for event in info})  # raises if there is none
            numbers = numbers_from(weight)
            is_fit = numbers is not None and numbers.shape in ((), (env.num_agents,))
            is_fit = is_fit and bool(np.all(np.abs(np.asarray(numbers)) <= MOST_FLOAT32))
            require(is_fit, "weights", {name: weight}, f"a finite number, or {env.num_agents} of them")
        self.weights = {name: np.asarray(weight, np.float32) for name, weight in weights.items()}

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Transition:
        """The inner transition, paid by events."""
        state, own, terminated, info = self.env.transition(draws, state, actions, params)
        events = {name: values.astype(jnp.float32) for name, values in info.items()}
        parts = [weight * event_feature(name, events) for name, weight in self.weights.items()]
        rewards = sum(parts, jnp.zeros(self.num_agents, jnp.float32))
        return state, rewards.astype(jnp.float32), terminated, info | {OWN_REWARD: own}


def load_rewards(path: Path, seed_index: int = 0, env_id: str | None = None) -> RecoveredRewards:
    """The game of a run, paid by what the run recovered.

    Args:
      path: the directory of a run of an algorithm that recovers rewards.
      seed_index: which of its seeds, from 0.
      env_id: the game, as of `baselines.trained.load.load_run`.

    Raises:
      ValueError: the directory holds no run, not that seed, one of an algorithm that recovers no rewards, or parameters
        that cannot be loaded.
    """
    run = load_run(path, seed_index, env_id)
    algorithm = run.algorithm
    if not isinstance(algorithm, Imitator):
        raise ValueError(refusal("path", str(path), "a run of an algorithm that recovers rewards"))
    return RecoveredRewards(run.env, algorithm.recovered_rewards(run.config, run.env, run.network_params))
