"""Scripted policies of `matrix_game`: constant ones, and those that remember the last round (memory one)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_kind, numbers_from, require
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs.matrix_game import COOPERATE, DEFECT, MatrixGame
from jaxdilemmas.payoff_environment import RoundState, in_cyclic_order
from jaxdilemmas.spaces import Discrete
from jaxdilemmas.uniforms import uniform


def act_by_memory(key: jax.Array, state: RoundState, chances: jax.Array, first: jax.Array) -> jax.Array:
    """Actions of agents whose chance to cooperate depends on the last round.

    Args:
      key: a JAX PRNG key, used once.
      state: of a game with two actions.
      chances: `[N, 2**N]` float32 in [0, 1], the chances to cooperate by the last actions, one's own first, then those
        of agents i + 1, i + 2, ...; of two agents after CC, CD, DC and DD.
      first: `[N]` float32, the chances in the first round.

    Returns:
      `[N]` int32.
    """
    N = len(state.last_choices)
    places = np.int32(2) ** np.arange(N - 1, -1, -1, dtype=np.int32)
    row = (in_cyclic_order(state.last_choices) * places[None]).sum(1, dtype=jnp.int32)
    chance = jnp.where(state.step_count == 0, first, chances[np.arange(N), row])
    return jnp.where(uniform(key, N) < chance, COOPERATE, DEFECT).astype(jnp.int32)


def memory_one(env: Environment, chances: Any, first: Any = 1.0) -> Policy:
    """Builds a policy whose chance to cooperate depends on the actions of the last round.

    Args:
      env: the game, with two actions.
      chances: `[2**N]` or, one row for each agent, `[N, 2**N]`; see `act_by_memory`.
      first: the chance in the first round, one number or `[N]`.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game with two actions, or chances are outside [0, 1] or of another shape.
    """
    check_kind("env", env, MatrixGame, "the game `matrix_game`")
    require(env.action_space == Discrete(2), "env", env, "the game must have two actions")
    N = env.num_agents
    table, start = check_chances("chances", chances, N, 2**N), check_chances("first", first, N)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        return act_by_memory(key, state, jnp.asarray(table), jnp.asarray(start))

    return policy


def check_chances(argument: str, value: Any, num_agents: int, *axes: int) -> np.ndarray:
    """Returns chances as an array `[num_agents, *axes]` float32; those of all agents may have no axis of agents.

    Raises:
      ValueError: the numbers have another shape, or one is outside [0, 1].
    """
    numbers = numbers_from(value)
    is_fit = numbers is not None and numbers.shape in (axes, (num_agents, *axes))
    is_within = numbers is not None and bool(np.all((numbers >= 0) & (numbers <= 1)))
    require(is_fit and is_within, argument, value, f"numbers in [0, 1] of shape {list(axes)} or {[num_agents, *axes]}")
    return np.broadcast_to(np.asarray(numbers, np.float32), (num_agents, *axes))


def _joint_actions(num_agents: int) -> np.ndarray:
    """The rows of `chances`: whether each agent cooperates, `[2**N, N]` bool."""
    return np.indices((2,) * num_agents).reshape(num_agents, -1).T == COOPERATE


def tit_for_tat(env: Environment) -> Policy:
    """Cooperates first, then exactly if all others cooperated: (1, 0, 1, 0) for two agents."""
    return memory_one(env, _joint_actions(env.num_agents)[:, 1:].all(1))


def win_stay_lose_shift(env: Environment) -> Policy:
    """Cooperates first, then exactly if all agents did the same: (1, 0, 0, 1) for two agents."""
    cooperates = _joint_actions(env.num_agents)
    return memory_one(env, cooperates.all(1) | ~cooperates.any(1))


def grim(env: Environment) -> Policy:
    """Cooperates first, then exactly if all agents cooperated: (1, 0, 0, 0) for two agents."""
    return memory_one(env, _joint_actions(env.num_agents).all(1))


def constant(action: int) -> Callable[[Environment], Policy]:
    """Builds policies in which every agent always plays this action."""

    def make(env: Environment) -> Policy:
        check_kind("env", env, MatrixGame, "the game `matrix_game`")
        return lambda key, state: jnp.full(env.num_agents, action, jnp.int32)

    return make


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "exploitative": constant(DEFECT),
    "cooperative": constant(COOPERATE),
    "tit_for_tat": tit_for_tat,
    "win_stay_lose_shift": win_stay_lose_shift,
    "grim": grim,
}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
