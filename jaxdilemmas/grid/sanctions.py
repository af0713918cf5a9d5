"""Graduated sanctions of Melting Pot: the first hit marks and freezes an agent, the second one removes it.

Source: google-deepmind/meltingpot @ 81ee2e7, the substrates `externality_mushrooms` and `territory`, and its
recordings. A step of a game calls these functions in this order: `hold` before the moves, `begin` after the moves,
`sanction` after the beams, and `lab2d.come_back` at the end if agents return. In steps relative to a hit in step t:

* First hit: the agent does not turn or move in t + 1, ..., t + `freeze_steps`. After these steps and one more its beam
  cools down as after a shot, so it fires again in t + `freeze_steps` + `zap_cooldown` + 2 at the earliest. The agent is
  marked until step t + `mark_steps` begins.
* Second hit while it is marked: the agent is still on the board at the end of step t. In step t + 1 it does nothing and
  leaves the board, but its cell is not free for the moves of that step. It is no longer marked.
* Several hits in one step count one after the other.

The agents are on the first axis. Arrays may have extra axes behind the named ones; these axes are the same for all
arguments.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import MOST_COUNT, check_count
from jaxdilemmas.environment import check_counts
from jaxdilemmas.grid.movement import BEAM, STAND

FOREVER = np.iinfo(np.int32).max
"""The time out of agents that never return."""


class SanctionParams(struct.PyTreeNode):
    """The numbers in the rules of sanctions.

    Attributes:
      zap_cooldown: steps after a shot in which no beam can be fired.
      freeze_steps: steps in which an agent cannot turn or move after a first hit. Melting Pot's number is one more.
      mark_steps: steps from a first hit to the step from which the agent is no longer marked.
    """

    zap_cooldown: Any = 3
    freeze_steps: Any = 24
    mark_steps: Any = 50


class SanctionState(struct.PyTreeNode):
    """The fields of a state that a game with sanctions adds to `GridState` and `lab2d.BeamState`.

    Attributes:
      frozen: `[N]` int32, steps in which an agent cannot turn or move yet.
      marked_for: `[N]` int32, steps until an agent is no longer marked, 0 if it is not marked.
      leaves: `[N]` bool, the agents that leave the board in the next step.
    """

    frozen: jax.Array
    marked_for: jax.Array
    leaves: jax.Array


def free_agents(num_agents: int) -> dict[str, jax.Array]:
    """The fields of `SanctionState` at the start of an episode, `[N]` each: nobody is frozen, marked or leaves."""
    return {
        "frozen": jnp.zeros(num_agents, jnp.int32),
        "marked_for": jnp.zeros(num_agents, jnp.int32),
        "leaves": jnp.zeros(num_agents, bool),
    }


def check_sanction_params(params: Any) -> None:
    """Raises a ValueError if a number of `SanctionParams` is outside its range."""
    check_counts(params, "zap_cooldown", least=0)
    check_count("freeze_steps", params.freeze_steps, most=MOST_COUNT - 1 - params.zap_cooldown)
    check_counts(params, "mark_steps")


def begin(state: Any, timeout_steps: jax.Array | int) -> Any:
    """Removes agents that leave in this step, after the moves and before anything else; marks get one step older.

    The mark of an agent that is off the board does not get older.

    Args:
      state: a `GridState` and `SanctionState`.
      timeout_steps: `[]` int32, steps in which the agent is off the board, this step included; it returns at the end of
        the last of them. FOREVER if it never returns.

    Returns:
      The state.
    """
    chex.assert_equal_shape([state.timeouts, state.marked_for, state.leaves])
    timeouts = jnp.where(state.leaves, timeout_steps, state.timeouts).astype(jnp.int32)
    is_older = (state.marked_for > 0) & (timeouts == 0)
    return state.replace(
        timeouts=timeouts,
        marked_for=state.marked_for - is_older.astype(jnp.int32),
        leaves=jnp.zeros_like(state.leaves),
    )


def hold(state: Any, actions: jax.Array) -> tuple[Any, jax.Array]:
    """Agents that are frozen or leave do not turn or move. Frozen agents are frozen for one step less afterwards.

    So the cell of an agent that leaves is not free if a game calls `begin` after the moves. Other actions stay the
    same; `sanction` delays the next shot of an agent that was hit.

    Args:
      state: a `SanctionState`.
      actions: `[N, ...]` int32.

    Returns:
      The state and the actions, `[N, ...]` int32.
    """
    chex.assert_equal_shape([state.frozen, actions])
    is_held = ((state.frozen > 0) | state.leaves) & (actions < BEAM)
    return state.replace(frozen=jnp.maximum(state.frozen - 1, 0)), jnp.where(is_held, STAND, actions)


def sanction(state: Any, received: jax.Array, params: Any) -> Any:
    """Marks and freezes agents that are hit, or removes them if they are marked.

    Args:
      state: a `SanctionState` and `lab2d.BeamState` after the beams; its only cooldown is that of the beam.
      received: `[N, ...]` int32, how many beams hit each agent in this step.
      params: has the fields of `SanctionParams`.

    Returns:
      The state. An agent that leaves has the cooldown of a shot when it returns.
    """
    chex.assert_equal_shape([state.frozen, state.marked_for, state.leaves, received])
    chex.assert_shape(state.cooldowns, (len(received), 1, *received.shape[1:]))
    chex.assert_type(received, jnp.int32)
    is_hit = received > 0
    count = received + (state.marked_for > 0).astype(jnp.int32)
    is_marked = count % 2 == 1

    def after_hit(marked: Any, removed: Any, before: jax.Array) -> jax.Array:
        return jnp.where(is_hit, jnp.where(is_marked, marked, removed), before).astype(jnp.int32)

    cooldown = after_hit(params.freeze_steps + 1 + params.zap_cooldown, params.zap_cooldown, state.cooldowns[:, 0])
    return state.replace(
        frozen=after_hit(params.freeze_steps, 0, state.frozen),
        marked_for=after_hit(params.mark_steps, 0, state.marked_for),
        leaves=state.leaves | (is_hit & (count >= 2)),
        cooldowns=cooldown[:, None],
    )


def shows_mark(state: Any) -> jax.Array:
    """The agents that others see marked, `[N, ...]` bool: those marked, and those that leave."""
    return (state.marked_for > 0) | state.leaves
