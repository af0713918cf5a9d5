"""Every registered game keeps the contract, and an environment that breaks one sentence of it is told which."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jaxdilemmas
from jaxdilemmas import AutoReset, Box, Discrete, Environment, EpisodeStatistics, TransformRewards, preferences
from jaxdilemmas.environment import Info, Transition
from jaxdilemmas.spaces import Space
from jaxdilemmas.testing import check_environment


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
        savings = jax.random.uniform(key, (self.num_agents,))
        return PotState(savings, jnp.zeros(self.num_agents, jnp.int32), jnp.zeros((), jnp.int32))

    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return PotDraws(jax.random.uniform(key, (self.num_agents,)))

    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        rewards = params.prize * actions * (draws.luck < params.growth) + params.growth * state.savings
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


class ClockIsFloat(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(step_count=jnp.zeros(()))


class StateHoldsPythonNumbers(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(step_count=0)


class StateHoldsAKey(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(savings=key)

    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return PotDraws(jax.random.uniform(state.savings, (self.num_agents,)))

    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        return jnp.zeros((self.num_agents, 2))


class StateIsATuple(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return (jnp.zeros((), jnp.int32),)

    def observe(self, state: Any, params: PotParams) -> jax.Array:
        return jnp.zeros((self.num_agents, 2))


class ActionsAreForgottenAtReset(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(last=jnp.zeros(self.num_agents, jnp.uint8))


class RewardsAreOne(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        return state, rewards.sum(), terminated, info


class InfoHasNoAgentAxis(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"bets": (actions > 0).sum()}


class InfoKeysComeAndGo(Pot):
    calls = 0

    def info(self, actions: jax.Array) -> Info:
        self.calls += 1
        return {f"bet_{self.calls}": actions > 0}


class ObservationLeavesItsSpace(Pot):
    observation_space = Box(0.0, 1.0, (2,))


class ObservationHasAnotherShape(Pot):
    observation_space = Box(0.0, np.inf, (3,))


class ClockCountsTwice(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        return super().transition(draws, state.replace(step_count=state.step_count + 1), actions, params)


class ClockEndsLate(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        *rest, truncated, info = super().step(key, state, actions, params)
        return *rest, truncated & False, info


class LuckIsHidden(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        return super().transition(
            PotDraws(jnp.asarray(np.random.default_rng().random(self.num_agents))), state, actions, params
        )


class JitSeesMore(Pot):
    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        return super().observe(state, params) + isinstance(state.savings, jax.core.Tracer)


class BatchesDiffer(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        bonus = jax.custom_batching.custom_vmap(lambda x: x)
        bonus.def_vmap(lambda size, batched, x: (x + 1, batched[0]))
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        return state, bonus(rewards), terminated, info


class StepDrawsForItself(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        return super().step(jax.random.split(key)[0], state, actions, params)


class ParamsAreBranchedOn(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return super().draw(key, state, params) if params.growth > 0 else PotDraws(jnp.zeros(self.num_agents))


class ParamsAreMadeWhole(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        weight = jax.pure_callback(np.float32, jax.ShapeDtypeStruct((), jnp.float32), params.growth)
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        return state, rewards * weight, terminated, info


class AnyActionsAreTaken(Pot):
    def check_actions(self, actions: Any) -> jax.Array:
        return jnp.resize(jnp.asarray(actions), (self.num_agents,)).astype(jnp.int32)


class StateIsWrittenInPlace(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        state = super().initial_state(key, params)
        return state if isinstance(state.last, jax.core.Tracer) else state.replace(last=np.array(state.last))

    def draw(self, key: jax.Array, state: Any, params: PotParams) -> Any:
        if isinstance(state.last, np.ndarray):
            state.last[:] = 2
        return super().draw(key, state, params)


BROKEN: dict[type[Pot], str] = {
    ClockIsFloat: "step_count is .* float32, not",
    StateHoldsPythonNumbers: "step_count is a int, not an array",
    StateHoldsAKey: "savings is a PRNG key",
    StateIsATuple: "state is a tuple, not a flax.struct dataclass",
    ActionsAreForgottenAtReset: r"last changed from \[3\] uint8 to \[3\] int32",
    RewardsAreOne: r"rewards is \[\] float32",
    InfoHasNoAgentAxis: "bets'. is .* not the 3 agents",
    InfoKeysComeAndGo: "structure changed",
    ObservationLeavesItsSpace: "not in Box",
    ObservationHasAnotherShape: r"\[3, 2\] float32.* is not in Box",
    ClockCountsTwice: r"step_count was \[2",
    ClockEndsLate: "truncated was .* with max_steps=4",
    LuckIsHidden: "same key gives the same episode",
    JitSeesMore: "jit equals no jit",
    BatchesDiffer: "vmap equals a loop.*rewards",
    StepDrawsForItself: "step is draw and transition",
    ParamsAreBranchedOn: "TracerBoolConversionError",
    ParamsAreMadeWhole: "gradients with respect to params trace|params may be vmapped",
    AnyActionsAreTaken: r"actions \[3\] float32 were accepted",
    StateIsWrittenInPlace: "the state passed to step",
}


SMALL: dict[str, dict[str, Any]] = {
    "commons": {"num_agents": 3},
    "commons_gallego": {"num_agents": 3, "observation": "one_hot"},
    "gathering": {"num_agents": 3},
    "gathering_gallego": {"map": "small", "observation": "rgb"},
}
"""Keyword arguments that make a check quick; together they have every kind of observation."""


@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_every_registered_game_keeps_the_contract(env_id: str) -> None:
    check_environment(jaxdilemmas.make(env_id, **SMALL.get(env_id, {})), num_steps=3)


def test_a_wrapped_game_keeps_the_contract() -> None:
    env = TransformRewards(EpisodeStatistics(jaxdilemmas.make("gathering")), preferences.common())
    check_environment(AutoReset(env, final_observation=True), num_steps=3)


@pytest.mark.parametrize("env_class", [Pot, BoxPot])
def test_a_game_of_ones_own_that_keeps_the_contract_passes(env_class: type[Pot]) -> None:
    check_environment(env_class())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_environment_is_told_what_is_broken(broken: type[Pot]) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_environment(broken())


def test_an_episode_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="num_steps=0"):
        check_environment(Pot(), num_steps=0)
