"""Environments around environments. Each has the contract of `Environment`, inside as outside.

The usual order is `AutoReset(AddBonus(TransformRewards(EpisodeStatistics(env), preference), signal, bonus))`:
statistics see the game's own rewards, no preference shares a bonus, and what ends is reset outside of everything.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.arguments import check_flag
from jaxdilemmas.batching import compute_if_any
from jaxdilemmas.bonuses import Bonus, Signal, check_weight
from jaxdilemmas.environment import Environment, Info, Step, Transition, check_game, require
from jaxdilemmas.preferences import Preference
from jaxdilemmas.spaces import Space


class Wrapper(Environment):
    """Passes everything on to `env`; attributes of the inner environment are found through it.

    Raises:
      ValueError: `env` is no environment, or it is an `AutoReset`, which must be the outermost wrapper: its resets are
        part of its `step` alone.
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
        if name == "env":  # not yet set, as while unpickling
            raise AttributeError(name)
        return getattr(self.env, name)

    @property
    def observation_space(self) -> Space:
        """The inner environment's."""
        return self.env.observation_space

    @property
    def action_space(self) -> Space:
        """The inner environment's."""
        return self.env.action_space

    def initial_state(self, key: jax.Array, params: Any) -> Any:
        """The inner environment's initial state."""
        return self.env.initial_state(key, params)

    def inner_state(self, state: Any) -> Any:
        """The state that `env` works on: `state` itself, or the `env_state` in it where the wrapper has its own."""
        return state

    def draw(self, key: jax.Array, state: Any, params: Any) -> Any:
        """The inner environment's draws."""
        return self.env.draw(key, self.inner_state(state), params)

    def transition(self, draws: Any, state: Any, actions: jax.Array, params: Any) -> Transition:
        """The inner environment's transition."""
        return self.env.transition(draws, state, actions, params)

    def observe(self, state: Any, params: Any) -> jax.Array:
        """The inner environment's observation."""
        return self.env.observe(self.inner_state(state), params)


class AutoReset(Wrapper):
    """Starts a new episode, with a fresh key, in the step that ends one.

    The observation and state that `step` returns then belong to the new episode; rewards, `terminated`, `truncated` and
    info to the old. Inside jit the observation of the step is computed once, after the choice between the two states,
    and no new episode is prepared unless one in the batch ends. No gradient flows into the start of an episode.

    Args:
      env: the environment that ends.
      final_observation: puts the observation before the reset, `[N, ...]`, in `info["final_obs"]` at every step.
    """

    def __init__(self, env: Environment, final_observation: bool = False) -> None:
        super().__init__(env)
        check_flag("final_observation", final_observation)
        self.final_observation = final_observation

    def _step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any) -> Step:
        """As `Environment._step`, with the reset described above."""
        key_step, key_reset = jax.random.split(key)
        final_obs, state, rewards, terminated, truncated, info = self.env.step(key_step, state, actions, params)
        ended = terminated | truncated
        start = compute_if_any(self.env.initial_state, ended, key_reset, jax.lax.stop_gradient(params))
        state = jax.tree.map(lambda new, old: jnp.where(ended, new, old), start, state)
        if self.final_observation:
            info = info | {"final_obs": final_obs}
        return self.env.observe(state, params), state, rewards, terminated, truncated, info


class TransformedState(struct.PyTreeNode):
    """The inner state and what the preference carries."""

    env_state: Any
    carry: Any

    @property
    def step_count(self) -> jax.Array:
        """`[]` int32, the inner state's."""
        return self.env_state.step_count


class TransformRewards(Wrapper):
    """Replaces the rewards by what agents care about.

    Args:
      env: the environment whose rewards are replaced.
      preference: see `jaxdilemmas.preferences`.

    Raises:
      ValueError: `preference` is no preference, or does not fit the number of agents.
    """

    def __init__(self, env: Environment, preference: Preference) -> None:
        super().__init__(env)
        is_rule = isinstance(preference, Preference) and callable(preference.init) and callable(preference.apply)
        require(is_rule, "preference", preference, "a Preference, such as jaxdilemmas.preferences.common()")
        preference.init(env.num_agents)  # raises if it does not fit
        self.preference = preference

    def initial_state(self, key: jax.Array, params: Any) -> TransformedState:
        """The inner initial state with the preference's fresh carry."""
        return TransformedState(self.env.initial_state(key, params), self.preference.init(self.num_agents))

    def inner_state(self, state: TransformedState) -> Any:
        """The inner environment's part of `state`."""
        return state.env_state

    def transition(self, draws: Any, state: TransformedState, actions: jax.Array, params: Any) -> Transition:
        """The inner transition with transformed rewards."""
        env_state, rewards, terminated, info = self.env.transition(draws, state.env_state, actions, params)
        carry, rewards = self.preference.apply(state.carry, rewards)
        return TransformedState(env_state, carry), rewards, terminated, info


class BonusState(struct.PyTreeNode):
    """The inner state and what the bonus carries."""

    env_state: Any
    carry: Any

    @property
    def step_count(self) -> jax.Array:
        """`[]` int32, the inner state's."""
        return self.env_state.step_count


class AddBonus(Wrapper):
    """Adds a bonus for events to the rewards, and reports it in `info["bonus"]`, `[N]` float32, before the weight.

    Args:
      env: the environment whose rewards are added to.
      signal: see `jaxdilemmas.bonuses`; it reads the state and the info of `env`.
      bonus: what signals pay; see `jaxdilemmas.bonuses`.
      weight: factor on the bonus, a finite number. With 0 the rewards stay as they are, for a learner that weighs
        `info["bonus"]` itself.

    Raises:
      ValueError: `weight` is not a finite number, `signal` reads an event that `env` does not have, or there is not one
        number for each agent.
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
        """The inner initial state with the bonus's fresh carry."""
        return BonusState(self.env.initial_state(key, params), self.bonus.init(self.num_agents))

    def inner_state(self, state: BonusState) -> Any:
        """The inner environment's part of `state`."""
        return state.env_state

    def transition(self, draws: Any, state: BonusState, actions: jax.Array, params: Any) -> Transition:
        """The inner transition with the bonus added to the rewards and to info."""
        env_state, rewards, terminated, info = self.env.transition(draws, state.env_state, actions, params)
        carry, bonus = self.bonus.apply(state.carry, self.signal(env_state, info))
        return BonusState(env_state, carry), rewards + self.weight * bonus, terminated, info | {"bonus": bonus}

    def _step_info(self) -> Info:
        """The info of a first step, for its shapes."""
        key, params = jax.random.key(0), self.default_params
        state = self.initial_state(key, params)
        actions = jnp.zeros((self.num_agents, *self.action_space.shape), self.action_space.dtype)
        return self.transition(self.draw(key, state, params), state, actions, params)[-1]


class StatisticsState(struct.PyTreeNode):
    """The inner state and per-agent sums over the episode so far; see `EpisodeStatistics` for the sums."""

    env_state: Any
    returns: jax.Array
    reward_steps: jax.Array
    reward_time: jax.Array
    tagged_steps: jax.Array

    @property
    def step_count(self) -> jax.Array:
        """`[]` int32, the inner state's."""
        return self.env_state.step_count


class EpisodeStatistics(Wrapper):
    """Adds per-agent sums over the episode to info; `jaxdilemmas.metrics` turns them into the field's metrics.

    After each step info holds, `[N]` each and up to and including that step:
      episode_return: float32, sum of rewards.
      episode_length: int32, steps so far, the same for every agent.
      episode_reward_steps: int32, number of steps with a positive reward.
      episode_reward_time: int32, sum of the times (first step is 0) of those steps; exact up to 65,536 steps.
      episode_tagged_steps: int32, number of steps after which `info["tagged"]` held; only in games whose info has it.
    """

    def initial_state(self, key: jax.Array, params: Any) -> StatisticsState:
        """The inner initial state with all sums zero."""
        returns = jnp.zeros(self.num_agents, jnp.float32)
        counts = (jnp.zeros(self.num_agents, jnp.int32) for _ in range(3))  # donated states share no buffer
        return StatisticsState(self.env.initial_state(key, params), returns, *counts)

    def inner_state(self, state: StatisticsState) -> Any:
        """The inner environment's part of `state`."""
        return state.env_state

    def transition(self, draws: Any, state: StatisticsState, actions: jax.Array, params: Any) -> Transition:
        """The inner transition with the sums added to info."""
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
