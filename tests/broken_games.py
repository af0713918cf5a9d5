"""Games that each break one sentence of the contract, and the expected error messages."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas import Box
from jaxdilemmas.environment import Info, Transition
from jaxdilemmas.testing import episodes, modes, parts
from jaxdilemmas.testing.probe import Check
from tests.pot import ActionsAreBytes, OutcomeIsChanged, Pot, PotDraws, PotParams, PotState, TwinState

BROKEN: dict[type[Pot], tuple[Check, str]] = {}
"""Each environment, the check that must reject it, and what the message must say."""


def breaks(check: Check, message: str) -> Callable[[type[Pot]], type[Pot]]:
    """The decorated environment breaks the sentence of a check, which must reject it with this message."""

    def note(game: type[Pot]) -> type[Pot]:
        BROKEN[game] = (check, message)
        return game

    return note


breaks(parts.the_environment_has_agents_and_spaces, "actions are uint8, neither int32 nor float32")(ActionsAreBytes)


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, r"step_count is \[\] float32, not \[\] int32")
class ClockIsFloat(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(step_count=jnp.zeros(()))


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "step_count is a int, 0, not an")
class StateHoldsPythonNumbers(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(step_count=0)


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "savings is a PRNG key")
class StateHoldsAKey(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(savings=key)

    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return PotDraws(jax.random.uniform(state.savings, (self.num_agents,)))

    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        return jnp.zeros((self.num_agents, 2))


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "state is a tuple, .* not a flax.struct")
class StateIsATuple(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return (jnp.zeros((), jnp.int32),)

    def observe(self, state: Any, params: PotParams) -> jax.Array:
        return jnp.zeros((self.num_agents, 2))


@breaks(episodes.the_clock_counts_steps_and_truncates, "step_count is 1 after reset")
class ClockStartsAtOne(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(step_count=jnp.ones((), jnp.int32))


@breaks(parts.shapes_and_dtypes_never_change, r"obs.* changed from .* to \[3, 2\] float16")
class ObservationShrinks(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        obs, *rest = super().step(key, state, actions, params)
        return obs.astype(jnp.float16), *rest


@breaks(parts.transition_returns_state_rewards_terminated_and_info, r"last changed from \[3\] uint8 to")
class ActionsAreForgottenAtReset(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(last=jnp.zeros(self.num_agents, jnp.uint8))


@breaks(parts.rewards_are_one_float32_for_each_agent, r"rewards is \[\] float32, not \[3\] float32")
class RewardsAreOne(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        return state, rewards.sum(), terminated, info


@breaks(parts.info_has_fixed_keys_and_an_agent_axis, "bets'. is .* must be the 3 agents")
class InfoHasNoAgentAxis(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"bets": (actions > 0).sum()}


@breaks(parts.info_has_fixed_keys_and_an_agent_axis, "structure changed")
class InfoKeysComeAndGo(Pot):
    calls = 0

    def info(self, actions: jax.Array) -> Info:
        self.calls += 1
        return {f"bet_{self.calls}": actions > 0}


@breaks(episodes.spaces_contain_what_comes_out, "not in Box")
class ObservationLeavesItsSpace(Pot):
    observation_space = Box(0.0, 1.0, (2,))


@breaks(episodes.spaces_contain_what_comes_out, r"\[3, 2\] float32.* is not in Box")
class ObservationHasAnotherShape(Pot):
    observation_space = Box(0.0, np.inf, (3,))


@breaks(episodes.spaces_contain_what_comes_out, r"info\['final_obs'\].* is not in Box")
class LastObservationLeavesItsSpace(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"final_obs": -jnp.ones((self.num_agents, 2))}


@breaks(episodes.the_clock_counts_steps_and_truncates, r"step_count was \[2")
class ClockCountsTwice(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        return super().transition(draws, state.replace(step_count=state.step_count + 1), actions, params)


@breaks(episodes.the_clock_counts_steps_and_truncates, "truncated was .* with max_steps=2")
class ClockEndsLate(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        *rest, truncated, info = super().step(key, state, actions, params)
        return *rest, truncated & False, info


@breaks(episodes.same_key_gives_the_same_episode, "step: .* differs")
class LuckIsHidden(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        return super().transition(
            PotDraws(jnp.asarray(np.random.default_rng().random(self.num_agents))), state, actions, params
        )


@breaks(episodes.jit_equals_no_jit, "obs.* differs")
class JitSeesMore(Pot):
    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        return super().observe(state, params) + isinstance(state.savings, jax.core.Tracer)


@breaks(episodes.vmap_equals_a_loop, "rewards.* differs")
class BatchesDiffer(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        bonus = jax.custom_batching.custom_vmap(lambda x: x)
        bonus.def_vmap(lambda size, batched, x: (x + 1, batched[0]))
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        return state, bonus(rewards), terminated, info


@breaks(episodes.step_is_draw_and_transition_and_clock_and_observe, "episode: .* differs")
class StepDrawsForItself(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        return super().step(jax.random.split(key)[0], state, actions, params)


@breaks(episodes.params_may_be_vmapped, "it raised TracerBoolConversionError")
class ParamsAreBranchedOn(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return super().draw(key, state, params) if params.growth > 0 else PotDraws(jnp.zeros(self.num_agents))


@breaks(episodes.gradients_with_respect_to_params_trace, "it raised")
class ParamsAreMadeWhole(Pot):
    def transition(self, draws: PotDraws, state: PotState, actions: jax.Array, params: PotParams) -> Transition:
        weight = jax.pure_callback(np.float32, jax.ShapeDtypeStruct((), jnp.float32), params.growth)
        state, rewards, terminated, info = super().transition(draws, state, actions, params)
        return state, rewards * weight, terminated, info


@breaks(parts.wrong_actions_are_refused, r"actions \[3\] float32 were accepted")
class AnyActionsAreTaken(Pot):
    def check_actions(self, actions: Any) -> jax.Array:
        return jnp.resize(jnp.asarray(actions), (self.num_agents,)).astype(jnp.int32)


@breaks(episodes.same_key_gives_the_same_episode, "(reset|episode): .* differs")
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


@breaks(episodes.same_key_gives_the_same_episode, "the state passed to step")
class StateIsWrittenInPlace(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        state = super().initial_state(key, params)
        return state if isinstance(state.last, jax.core.Tracer) else state.replace(last=np.array(state.last))

    def draw(self, key: jax.Array, state: Any, params: PotParams) -> Any:
        if isinstance(state.last, np.ndarray):
            state.last[:] = 2
        return super().draw(key, state, params)


@breaks(parts.the_environment_has_agents_and_spaces, "num_agents is a float, 3.0, not a whole")
class AgentsAreNotCounted(Pot):
    def __init__(self) -> None:
        super().__init__()
        self.num_agents = 3.0  # type: ignore[assignment]


@breaks(parts.the_environment_has_agents_and_spaces, "action_space is a int, 3, without shape")
class ActionSpaceIsANumber(Pot):
    action_space = 3  # type: ignore[assignment]


@breaks(parts.params_are_a_dataclass_of_numbers, "default_params is missing")
class ParamsAreMissing(Pot):
    def __init__(self) -> None:
        self.num_agents = 3


@breaks(parts.params_are_a_dataclass_of_numbers, "params is a dict, .* not a flax.struct dataclass")
class ParamsAreADict(Pot):
    def __init__(self) -> None:
        super().__init__()
        self.default_params = {"max_steps": 1000}


@breaks(parts.params_are_a_dataclass_of_numbers, "params.growth is a str, 'much', not a number")
class ParamsHoldText(Pot):
    def __init__(self) -> None:
        super().__init__()
        self.default_params = PotParams(growth="much")  # type: ignore[arg-type]


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "state is not a pytree: Plain must be")
class StateIsNoPytree(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        @dataclasses.dataclass
        class Plain:
            step_count: Any

            def replace(self, **changes: Any) -> Any:
                return dataclasses.replace(self, **changes)

        return Plain(jnp.zeros((), jnp.int32))


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "state has no field step_count")
class StateHasNoClock(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return PotDraws(jnp.zeros(self.num_agents, jnp.float32))


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "state is a NoneType, None, not a flax")
class StateIsNothing(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return None


@breaks(parts.initial_state_returns_a_dataclass_of_arrays, "last is .* int64, more than 32 bits")
class StateHasSixtyFourBits(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        return super().initial_state(key, params).replace(last=np.zeros(self.num_agents, np.int64))


@breaks(parts.draw_returns_a_dataclass_of_arrays, "draws is .* not a flax.struct dataclass")
class DrawsAreAnArray(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return jax.random.uniform(key, (self.num_agents,), jnp.float32)


@breaks(parts.transition_returns_state_rewards_terminated_and_info, "transition returns a tuple, .* not")
class OutcomeIsShort(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, info


@breaks(parts.transition_returns_state_rewards_terminated_and_info, "state is a NoneType, None, not a")
class StateIsForgotten(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return None, rewards, terminated, info


@breaks(parts.rewards_are_one_float32_for_each_agent, r"rewards is a list, \[0.0, 0.0, 0.0\], not an")
class RewardsAreAList(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, [0.0] * self.num_agents, terminated, info


@breaks(parts.rewards_are_one_float32_for_each_agent, r"rewards is \[3\] int32, not \[3\] float32")
class RewardsAreWhole(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards.astype(jnp.int32), terminated, info


@breaks(parts.terminated_is_one_bool, r"terminated is a bool, False, not an array \[\] bool")
class TerminatedIsFalse(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, False, info


@breaks(parts.terminated_is_one_bool, r"terminated is \[3\] bool, not \[\] bool")
class TerminatedIsForEachAgent(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, rewards > 0, info


@breaks(parts.info_has_fixed_keys_and_an_agent_axis, "info is a list, .* not a dict")
class InfoIsAList(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, terminated, [rewards]


@breaks(parts.info_has_fixed_keys_and_an_agent_axis, "bets'. is a int, 1, not an array")
class InfoHoldsANumber(OutcomeIsChanged):
    def change(self, state: Any, rewards: Any, terminated: Any, info: Any) -> Any:
        return state, rewards, terminated, {"bets": 1}


@breaks(parts.observe_returns_one_observation_for_each_agent, "obs is a list, .* not an array")
class ObservationIsAList(Pot):
    def observe(self, state: PotState, params: PotParams) -> Any:
        return list(super().observe(state, params))


@breaks(parts.observe_returns_one_observation_for_each_agent, r"obs is \[2\] float32; its")
class ObservationHasNoAgentAxis(Pot):
    def observe(self, state: PotState, params: PotParams) -> Any:
        return super().observe(state, params).sum(0)


@breaks(parts.reset_and_step_return_what_the_contract_says, "step returns a tuple, .* truncated, info")
class StepReturnsFive(Pot):
    def step(self, key: jax.Array, state: Any, actions: jax.Array, params: Any = None) -> Any:
        return super().step(key, state, actions, params)[:5]


@breaks(parts.reset_and_step_return_what_the_contract_says, "reset returns a PotState, .* not")
class ResetReturnsStateAlone(Pot):
    def reset(self, key: jax.Array, params: Any = None) -> Any:
        return super().reset(key, params)[1]


@breaks(episodes.no_operation_returns_nan, "an operation returned NaN")
class NanIsHidden(Pot):
    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        shares = state.savings / jnp.zeros(self.num_agents, jnp.float32) * 0.0
        return super().observe(state, params) + jnp.where(jnp.isnan(shares), 0.0, shares)[:, None]


@breaks(modes.strict_promotion_is_no_error, "it raised ValueError: .*numpy_rank_promotion")
class RanksArePromoted(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"bet": (actions[:, None] == actions).any(1)}


@breaks(modes.strict_promotion_is_no_error, "it raised TypePromotionError")
class DtypesArePromoted(Pot):
    def info(self, actions: jax.Array) -> Info:
        return {"bet": actions * 0.5}


@breaks(modes.keys_of_both_kinds_are_taken, "it raised")
class OnlyNewKeysAreTaken(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return super().draw(key.reshape(()), state, params)


@breaks(modes.fields_of_a_state_share_no_buffer, r"savings and \.twin of the state of initial")
class OneArrayIsTwoFields(Pot):
    def initial_state(self, key: jax.Array, params: PotParams) -> Any:
        state = super().initial_state(key, params)
        return TwinState(state.savings, state.last, state.step_count, state.savings)


@breaks(modes.sixty_four_bit_mode_gives_the_same_episode, "in 64-bit mode: .* differs")
class LuckIsWide(Pot):
    def draw(self, key: jax.Array, state: PotState, params: PotParams) -> Any:
        return PotDraws(jax.random.uniform(key, (self.num_agents,)).astype(jnp.float32))


@breaks(modes.shard_map_gives_the_same_episodes, "it raised TypeError: .*cond")
class BranchesDifferByDevice(Pot):
    def observe(self, state: PotState, params: PotParams) -> jax.Array:
        seen = super().observe(state, params)
        return jax.lax.cond(state.step_count >= 0, lambda: seen, lambda: jnp.zeros(seen.shape, jnp.float32))
