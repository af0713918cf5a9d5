"""Scripted policies of `territory`; `jaxdilemmas.policies.routes` explains how these policies are called."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Policy
from jaxdilemmas.envs.territory import CLAIM, Territory
from jaxdilemmas.grid import beams, items
from jaxdilemmas.grid.geometry import STEPS
from jaxdilemmas.grid.movement import BEAM, STAND, TURN_LEFT, TURN_RIGHT
from jaxdilemmas.policies import routes

FAR = 100_000
"""The cost of a way that does not exist."""

DIGGING_STEPS = 12
"""Steps that a way through a resource takes: it is zapped twice."""

CLAIMING_STEPS = 60
"""Steps in which the greedy claim what they can reach."""


def cooperative(env: Territory) -> Policy:
    """Every agent claims the resources of its home, one after the other, and fires no beam.

    A room in which one agent can start is the home of the agent in it; a wall between two rooms is in one of the homes.
    The resources around a larger part of the board are divided among all agents. An agent takes back what others
    claimed in its home.

    Args:
      env: the game.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not the game `territory`.

    Source: our rule.
    """
    check_kind("env", env, Territory, "the game `territory`")
    part_at, homes = _find_homes(env)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        agent = jnp.arange(env.num_agents, dtype=jnp.int32)
        part = jnp.asarray(part_at)[state.positions[:, 0], state.positions[:, 1]]
        wanted = jnp.asarray(homes)[part, agent] & _is_foreign(state)
        actions = _approach(env, state, _mark(env, env.resource_cells, wanted), FAR)
        return routes.wait_out(state, routes.sidestep(key, state, actions))

    return policy


def greedy(env: Territory) -> Policy:
    """Every agent claims what it can reach, and then hunts the others, through walls, to have their resources as well.

    It fires at agents in its beam. Otherwise it walks to the nearest resource that it does not own. From step
    `CLAIMING_STEPS` on it walks to the nearest agent as long as there is one, and digs through walls. While it stands,
    it fires the claim beam at a resource two cells ahead that it does not own. It is called as `cooperative`.
    """
    check_kind("env", env, Territory, "the game `territory`")

    def policy(key: jax.Array, state: Any) -> jax.Array:
        wanted, is_present = _is_foreign(state), state.timeouts == 0
        hunted = ~jnp.eye(env.num_agents, dtype=bool) & is_present[None]
        reach = env.reach_of(state.positions, state.headings, is_present)
        on_ray = beams.look_along_rays(env.resources_on_rays, state, env.walls.shape[1])
        is_hunting = state.step_count >= CLAIMING_STEPS
        hunts = (is_hunting & hunted.any(1))[:, None, None]
        goals = jnp.where(hunts, _mark(env, state.positions, hunted), _mark(env, env.resource_cells, wanted))
        actions = _approach(env, state, goals, jnp.where(is_hunting, DIGGING_STEPS, FAR))
        actions = routes.sidestep(key, state, actions)
        is_far = (reach[:, 1] > 1) & (on_ray[:, 1, 1] < wanted.shape[1])
        can_claim = is_far & jnp.take_along_axis(wanted, on_ray[:, 1, 1:], axis=1, mode="clip")[:, 0]
        actions = jnp.where(can_claim & (actions == STAND), CLAIM, actions)
        return routes.wait_out(state, jnp.where(_can_hit(env, state, reach, on_ray), BEAM, actions))

    return policy


def _can_hit(env: Territory, state: Any, reach: jax.Array, on_ray: jax.Array) -> jax.Array:
    """Whether a beam would hit an agent, and no resource before it, and has cooled down, `[N]` bool."""
    is_there = items.take(state.health, on_ray.reshape(-1)).reshape(on_ray.shape) > 0
    _, reach = beams.stop_at_marks(is_there, reach)
    is_present, side = state.timeouts == 0, env.beam_side_start
    hits = beams.find_hits(state.positions, state.headings, reach, state.positions, is_present, side, env.painter.torus)
    return hits.given.any(1) & (state.cooldowns[:, 0] == 0)


def _mark(env: Territory, cells: Any, is_marked: jax.Array) -> jax.Array:
    """Boards on which the cells `[n, 2]` of marked things are True, `[N, H, W]` bool for `[N, n]` bool."""
    nothing = jnp.zeros((env.num_agents, *env.walls.shape), bool)
    return nothing.at[:, cells[:, 0], cells[:, 1]].max(is_marked)


def _is_foreign(state: Any) -> jax.Array:
    """Whether each resource is there and agent i does not own it, `[N, R]` bool."""
    agent = jnp.arange(len(state.headings), dtype=jnp.int8)[:, None]
    return (state.health > 0)[None] & (state.owners[None] != agent)


def _find_homes(env: Territory) -> tuple[np.ndarray, np.ndarray]:
    """The parts of the board that resources and walls divide, and whose home each resource of a part is.

    Returns:
      The part of each cell, `[H, W]` int32, and `[parts, N, R]` bool. Part 0 is that of walls and resources and has no
      homes.
    """
    is_floor = ~env.walls
    is_floor[tuple(env.resource_cells.T)] = False
    part_at = np.zeros(env.walls.shape, np.int32)
    homes = [np.zeros((env.num_agents, len(env.resource_cells)), bool)]
    while (is_floor & (part_at == 0)).any():
        reached = np.zeros_like(is_floor)
        reached[tuple(np.argwhere(is_floor & (part_at == 0))[0])] = True
        size = 0
        while reached.sum() > size:
            size = reached.sum()
            reached |= _spread(reached, env.is_torus) & is_floor
        part_at[reached] = len(homes)
        is_around = _spread(reached, env.is_torus)[tuple(env.resource_cells.T)]
        around = np.flatnonzero(is_around & ~np.logical_or.reduce([home.any(0) for home in homes]))
        home = np.zeros_like(homes[0])
        if reached[tuple(env.spawn_cells.T)].sum() == 1:
            home[:, around] = True
        else:
            home[routes.divide_cells(env.resource_cells[around], env.num_agents), around] = True
        homes.append(home)
    return part_at, np.stack(homes)


def _spread(cells: np.ndarray, is_torus: bool) -> np.ndarray:
    """The cells beside these ones, `[H, W]` bool."""
    return np.logical_or.reduce([np.asarray(_look(cells, heading, False, is_torus, np)) for heading in range(4)])


def _look(cells: Any, heading: int, outside: Any, is_torus: bool, module: Any = jnp) -> Any:
    """What each cell has beside it in this heading, for arrays `[..., H, W]`."""
    none = [(0, 0)] * (cells.ndim - 2)
    padded = cells if is_torus else module.pad(cells, [*none, (1, 1), (1, 1)], constant_values=outside)
    seen = module.roll(padded, tuple(-STEPS[heading]), (-2, -1))
    return seen if is_torus else seen[..., 1:-1, 1:-1]


def _approach(env: Territory, state: Any, is_goal: jax.Array, wall_steps: jax.Array | int) -> jax.Array:
    """Agents walk to the nearest goal and face it; they zap walls in their way.

    Args:
      env: the game.
      state: its state.
      is_goal: `[N, H, W]` bool.
      wall_steps: `[]` int32, cost of a way through a resource, in steps; `FAR` if there is no such way.

    Returns:
      `[N]` int32, STAND if there is no way to a goal.
    """
    rows, cols = env.resource_cells.T
    is_wall = jnp.zeros(env.walls.shape, bool).at[rows, cols].set(state.health > 0)
    entering = jnp.where(jnp.asarray(env.walls), FAR, jnp.where(is_wall, wall_steps, 1))
    entering = jnp.where(is_goal, 1, entering[None])

    def look_around(steps: jax.Array) -> jax.Array:
        costs = jnp.minimum(steps + entering, FAR)
        return jnp.stack([_look(costs, heading, FAR, env.is_torus) for heading in range(4)])

    def relax(_: jax.Array, steps: jax.Array) -> jax.Array:
        return jnp.where(is_goal, 0, look_around(steps).min(0))

    steps = jax.lax.fori_loop(0, sum(env.walls.shape), relax, jnp.where(is_goal, 0, FAR).astype(jnp.int32))
    agent = jnp.arange(env.num_agents, dtype=jnp.int32)
    here = look_around(steps)[:, agent, state.positions[:, 0], state.positions[:, 1]]
    heading = jnp.argmin(here, axis=0).astype(jnp.int32)
    ahead = state.positions + jnp.asarray(STEPS)[heading]
    ahead = ahead % jnp.array(env.walls.shape, jnp.int32)[None]
    turns, (row, col) = (heading - state.headings) % 4, ahead.T
    has_arrived = is_goal[agent, row, col]
    zaps = (state.cooldowns[:, 0] == 0) & ~has_arrived
    facing = jnp.select([turns == 3, turns > 0, zaps], [TURN_LEFT, TURN_RIGHT, BEAM], STAND)
    actions = jnp.where(is_wall[row, col] | has_arrived, facing, jnp.asarray(routes.MOVES)[turns])
    return jnp.where(here.min(0) < FAR, actions, STAND).astype(jnp.int32)


POLICIES: dict[str, Callable[[Any], Policy]] = {"cooperative": cooperative, "greedy": greedy}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
