"""The engine of DeepMind's Lab2D and Melting Pot: beams that stop at their first target, cooldowns, removal and return.

Source: google-deepmind/lab2d @ 0947443 (clean_up) and google-deepmind/meltingpot @ 81ee2e7 (clean_up, commons_harvest);
the rules of Melting Pot are tested against recordings of the original, see tests/data/README.md. All beams of a step
see the board as it is after all moves.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_choice
from jaxdilemmas.batching import compute_if_any, compute_once
from jaxdilemmas.environment import check_counts, check_numbers
from jaxdilemmas.grid import beams, spawning
from jaxdilemmas.grid.movement import RULES
from jaxdilemmas.grid.views import Window

WINDOW = Window(ahead=9, behind=1, side=5)
"""The part of the board that agents see."""

NUM_RAYS = 3
"""Rays of a beam: one ahead and one on each side of it."""

SIDE_START = 0
"""The rays on both sides start beside the shooter."""

ReachOf = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""positions, headings and which agents fire -> `[N, rays]` int32; see `GridEnvironment.reach_of`."""

EPISODE_ENDINGS = ("clock", "stochastic")
"""Allowed values of the argument `episode_ending`."""

LONGEST_EPISODE = 5000
"""An episode with a stochastic ending is truncated after this many steps."""


class EndingParams(struct.PyTreeNode):
    """The numbers in the rules of every game of Melting Pot: when episodes end.

    With a stochastic ending the default of `max_steps` is 5000.

    Attributes:
      min_steps: smallest number of steps of an episode with a stochastic ending.
      ending_interval: after `min_steps` an episode with a stochastic ending may end in the step before each multiple of
        this number.
      ending_probability: probability that the episode ends in such a step.
      max_steps: length of an episode, in steps.
    """

    min_steps: Any = 1000
    ending_interval: Any = 100
    ending_probability: Any = 0.2
    max_steps: Any = 1000


class MeltingPotParams(EndingParams):
    """The numbers in the rules of games of Melting Pot that remove agents: `EndingParams` and the time out.

    Attributes:
      timeout_steps: steps in which an agent cannot act after a hit. Melting Pot's `framesTillRespawn` is one less.
    """

    timeout_steps: Any = 51


class BeamState(struct.PyTreeNode):
    """The fields of a state that a game with beams of Lab2D adds to `GridState`.

    Attributes:
      cooldowns: `[N, beams]` int32, steps in which each beam cannot be fired yet.
      rays: `[N, 3]` int32, cells that each ray of the beam fired in the last step covers, from left to right; 0 for
        agents that did not fire.
    """

    cooldowns: jax.Array
    rays: jax.Array


class EndingDraws(struct.PyTreeNode):
    """The random numbers of one step in all games of Melting Pot; float32 in [0, 1).

    Attributes:
      priorities: `[N]`; they decide which agent moves first or, with simultaneous movement, which of several agents
        gets a cell.
      episode_end: `[]`, whether the episode ends.
    """

    priorities: jax.Array
    episode_end: jax.Array


class MeltingPotDraws(EndingDraws):
    """The random numbers of one step in games of Melting Pot that remove agents: `EndingDraws` and their return.

    Attributes:
      respawns: `[N]`, where agents return: the first entry for the first agent that returns, and so on.
      respawn_headings: `[N]`, the heading of each agent if it returns.
    """

    respawns: jax.Array
    respawn_headings: jax.Array


def ready_beams(num_agents: int, num_beams: int) -> dict[str, jax.Array]:
    """The fields of `BeamState` at the start of an episode, `[N, beams]` and `[N, 3]` int32: every beam is ready."""
    return {
        "cooldowns": jnp.zeros((num_agents, num_beams), jnp.int32),
        "rays": jnp.zeros((num_agents, NUM_RAYS), jnp.int32),
    }


def trigger(
    cooldowns: jax.Array, is_present: jax.Array, wants: jax.Array, cooldown_steps: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Fires the beams that are ready and that agents on the board want to fire; the others cool down by one step.

    Args:
      cooldowns: `[N, beams, ...]` int32, steps in which each beam cannot be fired yet.
      is_present: `[N, ...]` bool, the agents on the board; the cooldowns of other agents do not change.
      wants: `[N, beams, ...]` bool, the beams that agents want to fire.
      cooldown_steps: `[beams, ...]` int32, steps after a shot in which the beam cannot be fired.

    Returns:
      The new cooldowns, `[N, beams, ...]` int32, and which beams are fired, `[N, beams, ...]` bool.
    """
    chex.assert_equal_shape([cooldowns, wants])
    chex.assert_equal_shape_prefix([cooldowns, is_present], 1)
    chex.assert_type([cooldowns, is_present, wants, cooldown_steps], [int, bool, bool, int])
    is_fired = wants & is_present[:, None] & (cooldowns == 0)
    cooled = jnp.maximum(cooldowns - is_present[:, None].astype(jnp.int32), 0)
    return jnp.where(is_fired, cooldown_steps[None], cooled).astype(jnp.int32), is_fired


def observe_beams(cooldowns: jax.Array, cooldown_steps: tuple[jax.Array, ...], timeouts: jax.Array) -> jax.Array:
    """What agents observe beside their view: how ready each of their beams is, and whether they are out.

    Melting Pot has the first as READY_TO_SHOOT; that agents observe whether they are out is our choice.

    Args:
      cooldowns: `[N, beams]` int32, steps in which each beam cannot be fired yet.
      cooldown_steps: of each beam, `[]` int32, steps after a shot in which it cannot be fired.
      timeouts: `[N]` int32, 0 for agents on the board.

    Returns:
      `[N, beams + 1]` float32: 1 for a beam that is ready, less while it cools down, 0 for agents that are out and for
      a longer delay; then 1 for agents that are out.
    """
    chex.assert_shape(cooldowns, (*timeouts.shape, len(cooldown_steps)))
    longest = jnp.maximum(jnp.stack([jnp.asarray(steps, jnp.float32) for steps in cooldown_steps]), 1)
    is_out = (timeouts > 0)[:, None]
    readiness = jnp.where(is_out, 0.0, jnp.maximum(1 - cooldowns.astype(jnp.float32) / longest[None], 0))
    return jnp.concatenate([readiness, is_out.astype(jnp.float32)], axis=1)


def find_zaps(
    positions: jax.Array, headings: jax.Array, reach: jax.Array, is_present: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which agents hit which others, if each ray stops at the first agent that it meets.

    Args:
      positions: `[N, 2, ...]` int32.
      headings: `[N, ...]` int32.
      reach: `[N, 3, ...]` int32, cells up to the next wall on each ray; 0 for agents that do not fire.
      is_present: `[N, ...]` bool, the agents that can be hit.

    Returns:
      `[N, N, ...]` bool, [i, j] is whether i hits j, and the cells that each ray covers before its target, `[N, 3,
      ...]` int32.
    """
    find = compute_once(partial(beams.find_hits, side_start=SIDE_START))
    return compute_once(beams.stop_at_targets)(find(positions, headings, reach, positions, is_present), reach)


def ending_params(movement: str, episode_ending: str) -> dict[str, int]:
    """Checks the arguments that every game of Melting Pot takes.

    Args:
      movement: "sequential", one agent after the other in random order as in Melting Pot, or "simultaneous", by the
        rule of the other games here.
      episode_ending: "clock", after `max_steps` = 1000, or "stochastic": the episode may end in the steps that `Params`
        describes, and is then `terminated`; `max_steps` is 5000.

    Returns:
      The params that the episode ending changes if the user does not set them.

    Raises:
      ValueError: an argument is not allowed.
    """
    check_choice("movement", movement, tuple(RULES))
    check_choice("episode_ending", episode_ending, EPISODE_ENDINGS)
    return {"max_steps": LONGEST_EPISODE} if episode_ending == "stochastic" else {}


def check_ending_params(params: Any) -> None:
    """Raises a ValueError if a number of `EndingParams` is outside its range."""
    check_counts(params, "min_steps", "ending_interval", "max_steps")
    check_numbers(params, 1, "ending_probability")


def check_meltingpot_params(params: Any) -> None:
    """Raises a ValueError if a number of `MeltingPotParams` is outside its range."""
    check_counts(params, "timeout_steps")
    check_ending_params(params)


def split_uniforms(uniforms: jax.Array, num_agents: int) -> tuple[dict[str, jax.Array], jax.Array]:
    """Splits `[3 N + 1 + rest]` uniforms into the fields of `MeltingPotDraws`, by name, and the rest."""
    priorities, respawns, respawn_headings = uniforms[: 3 * num_agents].reshape(3, num_agents)
    fields = {"priorities": priorities, "respawns": respawns, "respawn_headings": respawn_headings}
    return fields | {"episode_end": uniforms[3 * num_agents]}, uniforms[3 * num_agents + 1 :]


def remove_and_return(
    state: Any, is_hit: jax.Array, draws: MeltingPotDraws, timeout_steps: jax.Array, spawn_cells: np.ndarray
) -> Any:
    """Removes agents that are hit. Agents whose time is over return, see `come_back`.

    An agent that is hit in step t cannot act in the next `timeout_steps` steps. It returns at the end of the last of
    them.

    Args:
      state: a `GridState` after the beams.
      is_hit: `[N]` bool.
      draws: where agents return, and their headings.
      timeout_steps: `[]` int32.
      spawn_cells: `[P, 2]` int32.

    Returns:
      The state. An agent that is out keeps the position and the heading that it had when it was hit.
    """
    chex.assert_equal_shape([state.timeouts, is_hit])
    timeouts = jnp.where(is_hit, timeout_steps, jnp.maximum(state.timeouts - 1, 0)).astype(jnp.int32)
    return come_back(state, timeouts, draws, spawn_cells)


def come_back(state: Any, timeouts: jax.Array, draws: MeltingPotDraws, spawn_cells: np.ndarray) -> Any:
    """Puts agents whose time is over on free spawn cells, with new headings.

    A cell is free if no agent was on it before the hits of this step.

    Args:
      state: a `GridState` after the beams, with the timeouts before this step.
      timeouts: `[N]` int32, the timeouts after this step.
      draws: where agents return, and their headings.
      spawn_cells: `[P, 2]` int32.

    Returns:
      The state with the new timeouts.
    """
    chex.assert_equal_shape([state.timeouts, timeouts, draws.respawns, draws.respawn_headings])
    was_present = state.timeouts == 0
    is_back = ~was_present & (timeouts == 0)
    place = partial(spawning.place_agents, cells=spawn_cells)
    places = compute_if_any(place, is_back.any(), draws.respawns, is_back, state.positions, was_present)
    headings = spawning.choose_headings(draws.respawn_headings)
    return state.replace(
        timeouts=timeouts,
        positions=jnp.where(is_back[:, None], places, state.positions),
        headings=jnp.where(is_back, headings, state.headings),
    )


def may_end(draws: Any, step_count: jax.Array, params: Any) -> jax.Array:
    """Whether an episode with a stochastic ending ends in this step, `[]` bool.

    Args:
      draws: has `episode_end`.
      step_count: `[]` int32, steps of the episode, this step included.
      params: has `min_steps`, `ending_interval` and `ending_probability`.
    """
    is_asked = (step_count >= params.min_steps) & ((step_count + 1) % params.ending_interval == 0)
    return is_asked & (draws.episode_end < params.ending_probability)
