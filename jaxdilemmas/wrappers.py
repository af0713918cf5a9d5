"""Environments around environments. A wrapper has the contract of `Environment`, and so has the environment inside.

The usual order is `AutoReset(AddBonus(TransformRewards(EpisodeStatistics(env), preference), signal, bonus))`. In this
order statistics use the game's own rewards, preferences do not share a bonus, and the reset is outside of everything.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.arguments import check_flag
from jaxdilemmas.batching import replace_if_any
from jaxdilemmas.bonuses import Bonus, Signal, check_weight
from jaxdilemmas.environment import Environment, Info, Observed, Step, Transition, check_game, require
from jaxdilemmas.preferences import Preference
from jaxdilemmas.spaces import Space, WithExtras
from jaxdilemmas.uniforms import split


class Wrapper(Environment):
    """Passes every call on to `env`; attributes of the inner environment are available.

    Args:
      env: the inner environment.

    Raises:
      ValueError: `env` is not an environment, or it is an `AutoReset`. `AutoReset` must be the outermost wrapper,
        because only its own `step` resets.
    """

    def __init__(self, env: Environment) -> None:
        check_game(env)
        is_outermost = not isinstance(env, AutoReset)
        require(
            is_outermost, "env", type(env).__name__, "an environment that does not reset itself; AutoReset goes outside"
        )
        self.env = env
        self.num_agents = env.num_agents
        self.version = env.version
        self.default_params = env.default_params

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # not set yet, for example during unpickling
            raise AttributeError(name)
        return getattr(self.env, name)

    @property
    def observation_space(self) -> Space | WithExtras:
        """The space of the inner environment."""
        return self.env.observation_space

    @property
    def action_space(self) -> Space:
        """The space of the inner environment."""
        return self.env.action_space

    def initial_state(self, key: jax.Array, params: Any) -> Any:
        """Returns the initial state of the inner environment."""
        return self.env.initial_state(key, params)

    def inner_state(self, state: Any) -> Any:
        """Returns the state of `env`: `state` itself, or its `env_state` if the wrapper has a state of its own."""
        return state

    def draw(self, key: jax.Array, state: Any, params: Any) -> Any:
        """Returns the draws of the inner environment."""
        return self.env.draw(key, self.inner_state(state), params)

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Transition:
        """Returns the transition of the inner environment."""
        return self.env.transition(draws, state, actions, params)

    def observe(self, state: Any, params: Any) -> Observed:
        """Returns the observation of the inner environment."""
        return self.env.observe(self.inner_state(state), params)


class AutoReset(Wrapper):
    """Starts a new episode, with a new key, in the step that ends one.

    In this step the observation and state that `step` returns belong to the new episode; rewards, `terminated`,
    `truncated` and info belong to the old one. Inside jit the observation is computed once, after the choice between
    the two states. A new episode is prepared only if an episode in the batch ends. No gradient flows into the start of
    an episode.

    Args:
      env: the environment whose episodes end.
      final_observation: whether info contains the observation before the reset, `[N, ...]`, at every step, as
        `info["final_obs"]`.

    Raises:
      ValueError: `env` is not an environment or resets itself, or `final_observation` is not a bool.
    """

    def __init__(self, env: Environment, final_observation: bool = False) -> None:
        super().__init__(env)
        check_flag("final_observation", final_observation)
        self.final_observation = final_observation

    def _step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any) -> Step:
        """Does the same as `Environment._step`, with the reset described above."""
        key_step, key_reset = split(key)
        final_obs, state, rewards, terminated, truncated, info = self.env.step(key_step, state, actions, params)
        ended = terminated | truncated
        is_last = self.env.is_batched_last
        state = replace_if_any(self.env.initial_state, ended, state, key_reset, params, is_batched_last=is_last)
        if self.final_observation:
            info = info | {"final_obs": final_obs}
        return self.env.observe(state, params), state, rewards, terminated, truncated, info


class OuterState(struct.PyTreeNode):
    """The state of a wrapper: the inner state, and in subclasses the wrapper's own fields."""

    env_state: Any

    @property
    def step_count(self) -> jax.Array:
        """`[]` int32, the step count of the inner state."""
        return self.env_state.step_count


class StatefulWrapper(Wrapper):
    """A wrapper whose state is an `OuterState`."""

    def inner_state(self, state: OuterState) -> Any:
        """Returns the inner environment's part of `state`."""
        return state.env_state


class TransformedState(OuterState):
    """The inner state and the carry of the preference."""

    carry: Any


class TransformRewards(StatefulWrapper):
    """Replaces the rewards of the game by the rewards that a preference computes from them.

    Args:
      env: the environment whose rewards are replaced.
      preference: see `jaxdilemmas.preferences`.

    Raises:
      ValueError: `env` is not an environment or resets itself, `preference` is not a preference, or it does not fit the
        number of agents.
    """

    def __init__(self, env: Environment, preference: Preference) -> None:
        super().__init__(env)
        is_rule = isinstance(preference, Preference) and callable(preference.init) and callable(preference.apply)
        require(is_rule, "preference", preference, "a Preference, such as jaxdilemmas.preferences.common()")
        preference.init(env.num_agents)  # raises if it does not fit the number of agents
        self.preference = preference

    def initial_state(self, key: jax.Array, params: Any) -> TransformedState:
        """Returns the inner initial state with a new carry of the preference."""
        return TransformedState(self.env.initial_state(key, params), self.preference.init(self.num_agents))

    def transition(self, draws: Any, state: TransformedState, actions: jax.Array, params: Any) -> Transition:
        """Returns the inner transition with transformed rewards."""
        env_state, rewards, terminated, info = self.env.transition(draws, state.env_state, actions, params)
        carry, rewards = self.preference.apply(state.carry, rewards)
        return TransformedState(env_state, carry), rewards, terminated, info


class BonusState(OuterState):
    """The inner state and the carry of the bonus."""

    carry: Any


class AddBonus(StatefulWrapper):
    """Adds a bonus for events to the rewards; `info["bonus"]`, `[N]` float32, is the bonus before the weight.

    Args:
      env: the environment whose rewards get a bonus.
      signal: see `jaxdilemmas.bonuses`; it reads the state and the info of `env`.
      bonus: turns signals into the bonus; see `jaxdilemmas.bonuses`.
      weight: factor of the bonus, a finite number. With 0 the rewards do not change; a learner can then weigh
        `info["bonus"]` itself.

    Raises:
      ValueError: `env` is not an environment or resets itself, `signal` or `bonus` is of another kind, `weight` is not
        a finite number, `signal` reads an event that `env` does not have, or the bonus is not one number for each
        agent.
    """

    def __init__(self, env: Environment, signal: Signal, bonus: Bonus, weight: float = 1.0) -> None:
        super().__init__(env)
        require(callable(signal), "signal", signal, "a function of state and info; see jaxdilemmas.bonuses")
        is_rule = isinstance(bonus, Bonus) and callable(bonus.init) and callable(bonus.apply)
        require(is_rule, "bonus", bonus, "a Bonus, such as jaxdilemmas.bonuses.wage()")
        check_weight("weight", weight)
        self.signal, self.bonus, self.weight = signal, bonus, float(weight)
        shape = jax.eval_shape(self._step_info)["bonus"].shape
        require(shape == (env.num_agents,), "bonus of shape", shape, f"({env.num_agents},), one for each agent")

    def initial_state(self, key: jax.Array, params: Any) -> BonusState:
        """Returns the inner initial state with a new carry of the bonus."""
        return BonusState(self.env.initial_state(key, params), self.bonus.init(self.num_agents))

    def transition(self, draws: Any, state: BonusState, actions: jax.Array, params: Any) -> Transition:
        """Returns the inner transition with the bonus added to the rewards and to info."""
        env_state, rewards, terminated, info = self.env.transition(draws, state.env_state, actions, params)
        carry, bonus = self.bonus.apply(state.carry, self.signal(env_state, info))
        return BonusState(env_state, carry), rewards + self.weight * bonus, terminated, info | {"bonus": bonus}

    def _step_info(self) -> Info:
        """The info of a first step, to read its shapes."""
        key, params = jax.random.key(0), self.default_params
        state = self.initial_state(key, params)
        actions = jnp.zeros((self.num_agents, *self.action_space.shape), self.action_space.dtype)
        return self.transition(self.draw(key, state, params), state, actions, params)[-1]


class StatisticsState(OuterState):
    """The inner state and sums over the episode so far, one for each agent; `EpisodeStatistics` describes them.

    Attributes:
      env_state: the inner state.
      returns: `[N]` float32.
      reward_steps: `[N]` int32.
      reward_time: `[N]` int32.
      tagged_steps: `[N]` int32.
    """

    returns: jax.Array
    reward_steps: jax.Array
    reward_time: jax.Array
    tagged_steps: jax.Array


class EpisodeStatistics(StatefulWrapper):
    """Adds sums over the episode, one for each agent, to info; `jaxdilemmas.metrics` computes metrics from them.

    After each step info contains these arrays, `[N]` each, which include this step:
      episode_return: float32, sum of rewards.
      episode_length: int32, steps so far, the same for every agent.
      episode_reward_steps: int32, number of steps with a positive reward.
      episode_reward_time: int32, sum of the times (the first step has time 0) of those steps; exact up to 65,536 steps.
      episode_tagged_steps: int32, number of steps after which `info["tagged"]` was True; only in games whose info has
        it.

    Args:
      env: the game or a wrapper around it.

    Raises:
      ValueError: `env` is not an environment or resets itself.
    """

    def initial_state(self, key: jax.Array, params: Any) -> StatisticsState:
        """Returns the inner initial state with all sums zero."""
        returns = jnp.zeros(self.num_agents, jnp.float32)
        counts = (jnp.zeros(self.num_agents, jnp.int32) for _ in range(3))  # donated states share no buffer
        return StatisticsState(self.env.initial_state(key, params), returns, *counts)

    def transition(self, draws: Any, state: StatisticsState, actions: jax.Array, params: Any) -> Transition:
        """Returns the inner transition with the sums added to info."""
        time = state.step_count
        env_state, rewards, terminated, info = self.env.transition(draws, state.env_state, actions, params)
        is_rewarded = rewards > 0
        state = StatisticsState(
            env_state=env_state,
            returns=state.returns + rewards,
            reward_steps=state.reward_steps + is_rewarded.astype(jnp.int32),
            reward_time=state.reward_time + jnp.where(is_rewarded, time, 0),
            tagged_steps=state.tagged_steps + info.get("tagged", jnp.zeros(self.num_agents, bool)).astype(jnp.int32),
        )
        info = info | {
            "episode_return": state.returns,
            "episode_length": jnp.full(self.num_agents, env_state.step_count),
            "episode_reward_steps": state.reward_steps,
            "episode_reward_time": state.reward_time,
        }
        if "tagged" in info:
            info["episode_tagged_steps"] = state.tagged_steps
        return state, rewards, terminated, info
