"""Every registered game keeps the contract, and an environment that breaks one sentence of it is told which."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jaxdilemmas
from jaxdilemmas import AutoReset, Box, Discrete, Environment, EpisodeStatistics, TransformRewards, preferences, testing
from jaxdilemmas.environment import Info, Transition
from jaxdilemmas.spaces import Space
from jaxdilemmas.testing import Probe, check_environment, run_check

pytestmark = pytest.mark.usefixtures("quick_compiling")


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


class LastObservationLeavesItsSpace(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"final_obs": -jnp.ones((self.num_agents, 2))}


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


class LuckIsHiddenInsideJit(Pot):
    throws = 0

    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        if isinstance(rewards, jax.core.Tracer):
            rewards += jax.pure_callback(self.throw, jax.ShapeDtypeStruct((), jnp.float32))
        return state, rewards, terminated, info

    def throw(self) -> np.float32:
        self.throws += 1
        return np.float32(self.throws)


class StateIsWrittenInPlace(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        state = super().initial_state(key, params)
        return state if isinstance(state.last, jax.core.Tracer) else state.replace(last=np.array(state.last))

    def draw(self, key: jax.Array, state: Any, params: PotParams) -> Any:
        if isinstance(state.last, np.ndarray):
            state.last[:] = 2
        return super().draw(key, state, params)


BROKEN: dict[type[Pot], tuple[Callable[[Probe], None], str]] = {
    ClockIsFloat: (testing.params_state_and_draws_are_dataclasses_of_arrays, "step_count is .* float32, not"),
    StateHoldsPythonNumbers: (testing.params_state_and_draws_are_dataclasses_of_arrays, "step_count is a int, not an"),
    StateHoldsAKey: (testing.params_state_and_draws_are_dataclasses_of_arrays, "savings is a PRNG key"),
    StateIsATuple: (testing.params_state_and_draws_are_dataclasses_of_arrays, "state is a tuple, not a flax.struct"),
    ActionsAreForgottenAtReset: (
        testing.shapes_and_dtypes_never_change,
        r"last changed from \[3\] uint8 to",
    ),
    RewardsAreOne: (testing.what_a_step_returns_has_the_shapes_of_the_contract, r"rewards is \[\] float32"),
    InfoHasNoAgentAxis: (testing.what_a_step_returns_has_the_shapes_of_the_contract, "bets'. is .* not the 3 agents"),
    InfoKeysComeAndGo: (testing.what_a_step_returns_has_the_shapes_of_the_contract, "structure changed"),
    AnyActionsAreTaken: (testing.wrong_actions_are_refused, r"actions \[3\] float32 were accepted"),
    ObservationLeavesItsSpace: (testing.spaces_contain_what_comes_out, "not in Box"),
    LastObservationLeavesItsSpace: (testing.spaces_contain_what_comes_out, r"info\['final_obs'\].* is not in Box"),
    ObservationHasAnotherShape: (testing.spaces_contain_what_comes_out, r"\[3, 2\] float32.* is not in Box"),
    ClockCountsTwice: (testing.the_clock_counts_steps_and_truncates, r"step_count was \[2"),
    ClockEndsLate: (testing.the_clock_counts_steps_and_truncates, "truncated was .* with max_steps=2"),
    LuckIsHidden: (testing.same_key_gives_the_same_episode, "step: .* differs"),
    LuckIsHiddenInsideJit: (testing.same_key_gives_the_same_episode, "episode: .*rewards.* differs"),
    StateIsWrittenInPlace: (testing.same_key_gives_the_same_episode, "the state passed to step"),
    JitSeesMore: (testing.jit_equals_no_jit, "obs.* differs"),
    BatchesDiffer: (testing.vmap_equals_a_loop, "rewards.* differs"),
    StepDrawsForItself: (testing.step_is_draw_and_transition_and_clock_and_observe, "episode: .* differs"),
    ParamsAreBranchedOn: (testing.params_may_be_vmapped, "it raised TracerBoolConversionError"),
    ParamsAreMadeWhole: (testing.gradients_with_respect_to_params_trace, "it raised"),
}
"""Each environment, the check that must reject it, and what the message must say."""


TWO: dict[str, Any] = {"num_agents": 2}
"""As many agents in every game, so that steps without jit compile their operations once."""

BUSY: dict[str, Any] = TWO | {"timeout_steps": 1, "hits_to_tag": 1}
"""Much happens in few steps."""

KEYWORDS: dict[str, dict[str, Any]] = {
    "cleanup": TWO,
    "cleanup_gallego": BUSY | {"map": "small", "observation": "rgb"},
    "cleanup_meltingpot": TWO | {"timeout_steps": 1},
    "commons": BUSY,
    "commons_gallego": BUSY | {"observation": "one_hot"},
    "gathering": BUSY | {"apple_respawn_steps": 1},
    "gathering_gallego": BUSY | {"apple_respawn_steps": 1, "map": "small", "observation": "rgb"},
    "harvest": TWO | {"timeout_steps": 1},
}
"""How games are made for the check; together they have every kind of observation."""


@pytest.mark.parametrize("env_id", jaxdilemmas.registered_envs())
def test_every_registered_game_keeps_the_contract(env_id: str) -> None:
    check_environment(jaxdilemmas.make(env_id, **KEYWORDS.get(env_id, {})), num_steps=2)


def test_a_wrapped_game_keeps_the_contract() -> None:
    env = EpisodeStatistics(jaxdilemmas.make("gathering", **KEYWORDS["gathering"]))
    check_environment(AutoReset(TransformRewards(env, preferences.common()), final_observation=True), num_steps=2)


@pytest.mark.parametrize("env_class", [Pot, BoxPot])
def test_a_game_of_ones_own_that_keeps_the_contract_passes(env_class: type[Pot]) -> None:
    check_environment(env_class())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_environment_is_told_what_is_broken(broken: type[Pot]) -> None:
    check, message = BROKEN[broken]
    env = broken()
    with pytest.raises(AssertionError, match=f"{broken.__name__} breaks the contract .*{message}"):
        run_check(check, Probe(env, env.default_params, num_steps=2, seed=0))


def test_every_check_rejects_some_environment_and_is_run() -> None:
    assert {check for check, _ in BROKEN.values()} == set(testing.CHECKS)
    with pytest.raises(AssertionError, match="rewards is"):
        check_environment(RewardsAreOne())


def test_an_episode_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="num_steps=0"):
        check_environment(Pot(), num_steps=0)
