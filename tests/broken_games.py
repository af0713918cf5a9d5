"""Games that each break one sentence of the contract, and the expected error messages."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas import Box
from jaxdilemmas.environment import Info, Transition
from jaxdilemmas.testing import episodes, modes, parts
from jaxdilemmas.testing.probe import Check
from tests.pot import ActionsAreBytes, OutcomeIsChanged, Pot, PotDraws, PotParams, PotState, TwinState


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


class ClockStartsAtOne(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(step_count=jnp.ones((), jnp.int32))


class ObservationShrinks(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        obs, *rest = super().step(key, state, actions, params)
        return obs.astype(jnp.float16), *rest


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


class AgentsAreNotCounted(Pot):
    def __init__(self) -> None:
        super().__init__()
        self.num_agents = 3.0  # type: ignore[assignment]


class ActionSpaceIsANumber(Pot):
    action_space = 3  # type: ignore[assignment]


class ParamsAreMissing(Pot):
    def __init__(self) -> None:
        self.num_agents = 3


class ParamsAreADict(Pot):
    def __init__(self) -> None:
        super().__init__()
        self.default_params = {"max_steps": 1000}


class ParamsHoldText(Pot):
    def __init__(self) -> None:
        super().__init__()
        self.default_params = PotParams(growth="much")  # type: ignore[arg-type]


class StateIsNoPytree(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        @dataclasses.dataclass
        class Plain:
            step_count: Any

            def replace(self, **changes: Any) -> Any:
                return dataclasses.replace(self, **changes)

        return Plain(jnp.zeros((), jnp.int32))


class StateHasNoClock(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return PotDraws(jnp.zeros(self.num_agents, jnp.float32))


class StateIsNothing(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return None


class StateHasSixtyFourBits(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(last=np.zeros(self.num_agents, np.int64))


class DrawsAreAnArray(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return jax.random.uniform(key, (self.num_agents,), jnp.float32)


class OutcomeIsShort(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, info


class StateIsForgotten(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return None, rewards, terminated, info


class RewardsAreAList(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, [0.0] * self.num_agents, terminated, info


class RewardsAreWhole(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards.astype(jnp.int32), terminated, info


class TerminatedIsFalse(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, False, info


class TerminatedIsForEachAgent(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, rewards > 0, info


class InfoIsAList(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, terminated, [rewards]


class InfoHoldsANumber(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, terminated, {"bets": 1}


class ObservationIsAList(Pot):
    def observe(self, state: PotState, params: PotParams) -> Any:
        return list(super().observe(state, params))


class ObservationHasNoAgentAxis(Pot):
    def observe(self, state: PotState, params: PotParams) -> Any:
        return super().observe(state, params).sum(0)


class StepReturnsFive(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        return super().step(key, state, actions, params)[:5]


class ResetReturnsStateAlone(Pot):
    def reset(self, key: jax.Array, params: Any = None) -> Any:
        return super().reset(key, params)[1]


class NanIsHidden(Pot):
    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        shares = state.savings / jnp.zeros(self.num_agents, jnp.float32) * 0.0
        return super().observe(state, params) + jnp.where(jnp.isnan(shares), 0.0, shares)[:, None]


class RanksArePromoted(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"bet": (actions[:, None] == actions).any(1)}


class DtypesArePromoted(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"bet": actions * 0.5}


class OnlyNewKeysAreTaken(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return super().draw(key.reshape(()), state, params)


class OneArrayIsTwoFields(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        state = super().initial_state(key, params)
        return TwinState(state.savings, state.last, state.step_count, state.savings)


class LuckIsWide(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return PotDraws(jax.random.uniform(key, (self.num_agents,)).astype(jnp.float32))


class BranchesDifferByDevice(Pot):
    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        seen = super().observe(state, params)
        return jax.lax.cond(state.step_count >= 0, lambda: seen, lambda: jnp.zeros(seen.shape, jnp.float32))


BROKEN: dict[type[Pot], tuple[Check, str]] = {
    AgentsAreNotCounted: (parts.the_environment_has_agents_and_spaces, "num_agents is a float, 3.0, not a whole"),
    ActionSpaceIsANumber: (parts.the_environment_has_agents_and_spaces, "action_space is a int, 3, without shape"),
    ActionsAreBytes: (parts.the_environment_has_agents_and_spaces, "actions are uint8, neither int32 nor float32"),
    ParamsAreMissing: (parts.params_are_a_dataclass_of_numbers, "default_params is missing"),
    ParamsAreADict: (parts.params_are_a_dataclass_of_numbers, "params is a dict, .* not a flax.struct dataclass"),
    ParamsHoldText: (parts.params_are_a_dataclass_of_numbers, "params.growth is a str, 'much', not a number"),
    ClockIsFloat: (parts.initial_state_returns_a_dataclass_of_arrays, r"step_count is \[\] float32, not \[\] int32"),
    StateHoldsPythonNumbers: (parts.initial_state_returns_a_dataclass_of_arrays, "step_count is a int, 0, not an"),
    StateHoldsAKey: (parts.initial_state_returns_a_dataclass_of_arrays, "savings is a PRNG key"),
    StateIsATuple: (parts.initial_state_returns_a_dataclass_of_arrays, "state is a tuple, .* not a flax.struct"),
    StateIsNothing: (parts.initial_state_returns_a_dataclass_of_arrays, "state is a NoneType, None, not a flax"),
    StateIsNoPytree: (parts.initial_state_returns_a_dataclass_of_arrays, "state is not a pytree: Plain must be"),
    StateHasNoClock: (parts.initial_state_returns_a_dataclass_of_arrays, "state has no field step_count"),
    StateHasSixtyFourBits: (parts.initial_state_returns_a_dataclass_of_arrays, "last is .* int64, more than 32 bits"),
    DrawsAreAnArray: (parts.draw_returns_a_dataclass_of_arrays, "draws is .* not a flax.struct dataclass"),
    OutcomeIsShort: (parts.transition_returns_state_rewards_terminated_and_info, "transition returns a tuple, .* not"),
    StateIsForgotten: (parts.transition_returns_state_rewards_terminated_and_info, "state is a NoneType, None, not a"),
    ActionsAreForgottenAtReset: (
        parts.transition_returns_state_rewards_terminated_and_info,
        r"last changed from \[3\] uint8 to",
    ),
    RewardsAreOne: (parts.rewards_are_one_float32_for_each_agent, r"rewards is \[\] float32, not \[3\] float32"),
    RewardsAreAList: (parts.rewards_are_one_float32_for_each_agent, r"rewards is a list, \[0.0, 0.0, 0.0\], not an"),
    RewardsAreWhole: (parts.rewards_are_one_float32_for_each_agent, r"rewards is \[3\] int32, not \[3\] float32"),
    TerminatedIsFalse: (parts.terminated_is_one_bool, r"terminated is a bool, False, not an array \[\] bool"),
    TerminatedIsForEachAgent: (parts.terminated_is_one_bool, r"terminated is \[3\] bool, not \[\] bool"),
    InfoIsAList: (parts.info_has_fixed_keys_and_an_agent_axis, "info is a list, .* not a dict"),
    InfoHoldsANumber: (parts.info_has_fixed_keys_and_an_agent_axis, "bets'. is a int, 1, not an array"),
    InfoHasNoAgentAxis: (parts.info_has_fixed_keys_and_an_agent_axis, "bets'. is .* must be the 3 agents"),
    InfoKeysComeAndGo: (parts.info_has_fixed_keys_and_an_agent_axis, "structure changed"),
    ObservationIsAList: (parts.observe_returns_one_observation_for_each_agent, "obs is a list, .* not an array"),
    ObservationHasNoAgentAxis: (
        parts.observe_returns_one_observation_for_each_agent,
        r"obs is \[2\] float32; its",
    ),
    StepReturnsFive: (parts.reset_and_step_return_what_the_contract_says, "step returns a tuple, .* truncated, info"),
    ResetReturnsStateAlone: (parts.reset_and_step_return_what_the_contract_says, "reset returns a PotState, .* not"),
    ObservationShrinks: (
        parts.shapes_and_dtypes_never_change,
        r"obs.* changed from .* to \[3, 2\] float16",
    ),
    AnyActionsAreTaken: (parts.wrong_actions_are_refused, r"actions \[3\] float32 were accepted"),
    ObservationLeavesItsSpace: (episodes.spaces_contain_what_comes_out, "not in Box"),
    LastObservationLeavesItsSpace: (episodes.spaces_contain_what_comes_out, r"info\['final_obs'\].* is not in Box"),
    ObservationHasAnotherShape: (episodes.spaces_contain_what_comes_out, r"\[3, 2\] float32.* is not in Box"),
    ClockCountsTwice: (episodes.the_clock_counts_steps_and_truncates, r"step_count was \[2"),
    ClockStartsAtOne: (episodes.the_clock_counts_steps_and_truncates, "step_count is 1 after reset"),
    ClockEndsLate: (episodes.the_clock_counts_steps_and_truncates, "truncated was .* with max_steps=2"),
    LuckIsHidden: (episodes.same_key_gives_the_same_episode, "step: .* differs"),
    LuckIsHiddenInsideJit: (episodes.same_key_gives_the_same_episode, "(reset|episode): .* differs"),
    StateIsWrittenInPlace: (episodes.same_key_gives_the_same_episode, "the state passed to step"),
    NanIsHidden: (episodes.no_operation_returns_nan, "an operation returned NaN"),
    JitSeesMore: (episodes.jit_equals_no_jit, "obs.* differs"),
    BatchesDiffer: (episodes.vmap_equals_a_loop, "rewards.* differs"),
    StepDrawsForItself: (episodes.step_is_draw_and_transition_and_clock_and_observe, "episode: .* differs"),
    ParamsAreBranchedOn: (episodes.params_may_be_vmapped, "it raised TracerBoolConversionError"),
    ParamsAreMadeWhole: (episodes.gradients_with_respect_to_params_trace, "it raised"),
    RanksArePromoted: (modes.strict_promotion_is_no_error, "it raised ValueError: .*numpy_rank_promotion"),
    DtypesArePromoted: (modes.strict_promotion_is_no_error, "it raised TypePromotionError"),
    OnlyNewKeysAreTaken: (modes.keys_of_both_kinds_are_taken, "it raised"),
    OneArrayIsTwoFields: (
        modes.fields_of_a_state_share_no_buffer,
        r"savings and \.twin of the state of initial",
    ),
    LuckIsWide: (modes.sixty_four_bit_mode_gives_the_same_episode, "in 64-bit mode: .* differs"),
    BranchesDifferByDevice: (modes.shard_map_gives_the_same_episodes, "it raised TypeError: .*cond"),
}
"""Each environment, the check that must reject it, and what the message must say."""
