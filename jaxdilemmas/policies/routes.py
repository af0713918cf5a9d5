"""Scripted policies of all games of apples and beams share these functions: ways, territories, and two simple policies.

A function that builds a policy returns `policy(key, state) -> actions`. A policy is a pure function of a PRNG key (used
once) and the game's own `State`. It acts for all N agents at once, `[N]` int32. It works under jit and under vmap over
states. To mix teams, choose for each agent between the actions of two policies. Policies see the whole state, not a
view of it. Agents that are out stand still. Ways are searched once, when the policy is built.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Policy, require
from jaxdilemmas.grid.beams import find_hits
from jaxdilemmas.grid.environment import GridEnvironment
from jaxdilemmas.grid.geometry import EAST, NORTH, SOUTH, STEPS, WEST, cell_index, same_cell
from jaxdilemmas.grid.movement import BACKWARD, BEAM, FORWARD, STAND, STEP_LEFT, STEP_RIGHT, TURN_LEFT, TURN_RIGHT

SEARCH_ORDER = np.array([NORTH, SOUTH, WEST, EAST], np.int32)
"""The headings of a first step in order of preference, used if several shortest ways exist.

Source: the order of the search in vicgalle/llm-policies-social-dilemmas @ f5c5b2b (`bfs_nearest_apple`).
"""

MOVES = np.array([FORWARD, STEP_RIGHT, BACKWARD, STEP_LEFT], np.int32)
"""The action that moves an agent along its own heading plus 0, 1, 2 or 3 quarter turns to the right."""

NEVER = np.iinfo(np.int32).max
"""The number that stands for "no way" and "no known time", the largest int32."""


def check_forage(env: Any, *needed: str) -> None:
    """Raises a ValueError unless `env` is a grid game with apples and with the other attributes that a policy needs."""
    names = ("walls", "apple_cells", *needed)
    require(all(hasattr(env, name) for name in names), "env", env, f"a grid game with {', '.join(names)}")


def greedy(env: GridEnvironment) -> Policy:
    """Every agent walks to the nearest live apple and stands still if there is none.

    Another agent may be nearer to the same apple; the policy does not consider that.

    Args:
      env: a game with apples.

    Returns:
      A deterministic `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not a grid game with apples.

    Source: `greedy_action` of vicgalle/llm-policies-social-dilemmas @ f5c5b2b, ties included.
    """
    check_forage(env)
    ways = find_ways(env.walls, env.apple_cells)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        return wait_out(state, _collect_nearest(ways, env, state))

    return policy


def exploitative(env: GridEnvironment) -> Policy:
    """Every agent fires at rivals in its beam, otherwise turns to a rival in line, and otherwise acts as `greedy`.

    A rival is in line if the beam would hit it after one turn; a left turn is tried first. While its beam cools down,
    or if beams are switched off, an agent acts as `greedy`.

    Args:
      env: a game with apples and beams.

    Returns:
      A deterministic `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not a grid game with apples and beams.

    Source: the first two rules and the last of `exploitative_action` of vicgalle/llm-policies-social-dilemmas @
    f5c5b2b, which also prefers, and chases, rivals with one hit.
    """
    check_forage(env, "beam_reach")
    if not getattr(env, "beam_enabled", True):
        return greedy(env)
    ways = find_ways(env.walls, env.apple_cells)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        return wait_out(state, beam_first(env, state, _collect_nearest(ways, env, state)))

    return policy


def beam_first(env: GridEnvironment, state: Any, otherwise: jax.Array) -> jax.Array:
    """Replaces actions by BEAM if the beam would hit a rival, and by a turn if it would hit one after this turn.

    Args:
      env: a game with apples and beams.
      state: the state of the game.
      otherwise: `[N]` int32, the actions of agents whose beam would hit no rival.

    Returns:
      `[N]` int32.
    """
    is_ahead, is_left, is_right = (_can_beam(env, state, (state.headings + turns) % 4) for turns in (0, 3, 1))
    return jnp.select([is_ahead, is_left, is_right], [BEAM, TURN_LEFT, TURN_RIGHT], otherwise)


def pair_agents(num_agents: int) -> np.ndarray:
    """The partner of each agent, `[N]`: 0 and 1, 2 and 3, ...; the last of an odd number has the one before it."""
    agent = np.arange(num_agents, dtype=np.int32)
    return np.where(agent ^ 1 < num_agents, agent ^ 1, num_agents - 2).astype(np.int32)


def find_ways(walls: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Searches the shortest way from every cell to each target cell, breadth first over floor cells.

    Args:
      walls: `[H, W]` bool.
      cells: `[A, 2]` int, the cells that the ways lead to.

    Returns:
      `[H * W, A]` int32, a code: 4 * steps to go + the first step, as an index into `SEARCH_ORDER`. The code is below 4
      at the target cell itself and `NEVER` where there is no way. The smallest code is the shortest way with the
      preferred first step.
    """
    is_floor = np.pad(~walls, 1)
    frontier = np.zeros((len(cells), *is_floor.shape), bool)
    frontier[np.arange(len(cells)), cells[:, 0] + 1, cells[:, 1] + 1] = True
    ways = np.where(frontier, 0, NEVER)
    steps_to_go = 0
    while frontier.any():
        steps_to_go += 1
        last, frontier = frontier, np.zeros_like(frontier)
        for order, heading in enumerate(SEARCH_ORDER):
            leads_on = np.roll(last, -STEPS[heading], (1, 2)) & is_floor & (ways == NEVER)
            ways[leads_on] = 4 * steps_to_go + order
            frontier |= leads_on
    return np.moveaxis(ways[:, 1:-1, 1:-1], 0, -1).reshape(walls.size, len(cells)).astype(np.int32)


def divide_cells(cells: np.ndarray, num_agents: int) -> np.ndarray:
    """Divides cells into compact territories whose sizes differ by at most about one cell.

    The cells are cut into halves across their longer side, and each half again.

    Args:
      cells: `[A, 2]` int.
      num_agents: N.

    Returns:
      `[A]` int32, the agent that owns each cell.
    """
    owners = np.zeros(len(cells), np.int32)
    parts = [(np.arange(len(cells)), 0, num_agents)]  # cells, their first owner, number of owners
    while parts:
        members, first, count = parts.pop()
        owners[members] = first
        if count > 1 and len(members):
            extent = np.ptp(cells[members], axis=0)
            axis = int(extent[1] >= extent[0])
            members = members[np.lexsort((cells[members, 1 - axis], cells[members, axis]))]
            half, cut = count // 2, round(len(members) * (count // 2) / count)
            parts += [(members[:cut], first, half), (members[cut:], first + half, count - half)]
    return owners


def first_step(ways: jax.Array, headings: jax.Array) -> jax.Array:
    """The action that starts a way: STAND on arrival and where there is no way.

    Args:
      ways: `[N]` int32, one code of `find_ways` for each agent.
      headings: `[N]` int32.

    Returns:
      `[N]` int32.
    """
    moves = jnp.asarray(MOVES)[(jnp.asarray(SEARCH_ORDER)[ways % 4] - headings) % 4]
    return jnp.where((ways >= 4) & (ways < NEVER), moves, STAND).astype(jnp.int32)


def sidestep(key: jax.Array, state: Any, actions: jax.Array) -> jax.Array:
    """Replaces a move into a taken cell, every second time, by a move in a random direction.

    Args:
      key: a JAX PRNG key, used once.
      state: has `positions`, `headings` and `timeouts`.
      actions: `[N]` int32.

    Returns:
      `[N]` int32.
    """
    is_move = actions[:, None] == MOVES[None]
    headings = (state.headings + jnp.argmax(is_move, axis=1).astype(jnp.int32)) % 4
    targets = state.positions + jnp.asarray(STEPS)[headings]
    is_taken = (same_cell(targets, state.positions) & (state.timeouts == 0)[None, :]).any(1)
    draws = jax.random.randint(key, actions.shape, 0, 8, jnp.int32)
    return jnp.where(is_taken & is_move.any(1) & (draws < 4), draws, actions)


def wait_out(state: Any, actions: jax.Array) -> jax.Array:
    """Replaces the actions `[N]` of agents that are out by STAND; returns `[N]` int32."""
    return jnp.where(state.timeouts > 0, STAND, actions).astype(jnp.int32)


def _collect_nearest(ways: np.ndarray, env: GridEnvironment, state: Any) -> jax.Array:
    """The first step to the nearest live apple, `[N]` int32."""
    own_ways = jnp.asarray(ways)[cell_index(state.positions, env.walls.shape[1])]
    return first_step(jnp.where(state.apples[None], own_ways, NEVER).min(1), state.headings)


def _can_beam(env: GridEnvironment, state: Any, headings: jax.Array) -> jax.Array:
    """Whether a beam in these headings would hit another agent and has cooled down, `[N]` bool."""
    reach = jnp.asarray(env.beam_reach)[cell_index(state.positions, env.walls.shape[1]), headings]
    is_present = state.timeouts == 0
    hits = find_hits(state.positions, headings, reach, state.positions, is_present, env.beam_side_start)
    is_ready = state.cooldowns[:, 0] == 0 if hasattr(state, "cooldowns") else True
    return hits.given.any(1) & is_ready
