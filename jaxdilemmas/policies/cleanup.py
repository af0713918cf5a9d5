"""Scripted policies of the games of Cleanup: `cleanup`, `cleanup_meltingpot` and `cleanup_gallego`.

`jaxdilemmas.policies.routes` explains how these policies are called. It also contains `greedy` and `exploitative`, the
two policies that never clean.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Policy, require
from jaxdilemmas.envs.cleanup import Cleanup
from jaxdilemmas.envs.cleanup_gallego import CleanupGallego
from jaxdilemmas.envs.cleanup_meltingpot import CleanupMeltingPot
from jaxdilemmas.grid.beams import ray_table
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.grid.maps import index_of_cells
from jaxdilemmas.grid.movement import CLEAN, STAND, TURN_LEFT, TURN_RIGHT, goes_first
from jaxdilemmas.policies import routes

CleanupGame = Cleanup | CleanupGallego | CleanupMeltingPot

AGENTS_PER_CLEANER = 5
"""One agent cleans for every so many other agents, even if there is little waste. Our choice."""

PATIENCE = 4
"""A shot in s steps is worth as much as a shot in 2 s + PATIENCE steps that cleans twice as much waste. Our choice."""

LAST_RESORT = 1e-3
"""Weight of another cleaner's post: so small that a cleaner goes there only if it has no waste of its own."""


class Posts(NamedTuple):
    """Cells from which a cleaning beam reaches the river; P is their number and R the number of river cells.

    Attributes:
      cells: `[P, 2]` int32.
      is_in_beam: `[P, 4, rays, R]` float32, 1 for the river cells that each ray covers, by heading.
      most_per_ray: the largest number of waste cells that one ray cleans in one shot.
    """

    cells: np.ndarray
    is_in_beam: np.ndarray
    most_per_ray: int


def cooperative(env: CleanupGame) -> Policy:
    """A team of cleaners and collectors: the amount of waste decides how many agents clean, and no agent fines.

    `choose_cleaners` decides who cleans. A cleaner owns the posts to which no other cleaner is closer. It goes to the
    post from which it cleans most in relation to the time that this takes, and fires there. The apples are divided into
    territories, one for each collector. A collector goes to the nearest live apple of its territory. Cleaners and
    collectors stand still if they have nothing to do. An agent that meets another agent in its way sometimes sidesteps,
    see `routes.sidestep`.

    Some agents can follow this policy in a team with agents that follow another one. Roles depend only on the positions
    of all agents and on the numbers of waste and apples. While there is more waste than apples, a cleaner without waste
    of its own goes to the posts of other cleaners, because these may not clean.

    Args:
      env: a game of Cleanup.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: `env` is not a game of Cleanup, or no cleaning beam reaches the river of the board.

    Source: our rule.
    """
    routes.check_forage(env, "river_cells")
    posts = find_posts(env)
    require(len(posts.cells) > 0, "env", env, "no cleaning beam reaches the river from any cell")
    ways_to_posts, ways_to_apples = (routes.find_ways(env.walls, cells) for cells in (posts.cells, env.apple_cells))
    steps_to_river = routes.find_ways(env.walls, env.river_cells).min(1) // 4
    owners = np.stack([routes.divide_cells(env.apple_cells, count) for count in range(1, env.num_agents + 1)])

    def policy(key: jax.Array, state: Any) -> jax.Array:
        here = cell_index(state.positions, env.walls.shape[1])
        is_cleaner = choose_cleaners(state, jnp.asarray(steps_to_river)[here])
        to_posts = jnp.asarray(ways_to_posts)[here]
        others_count = jnp.where(_count(state.waste) > _count(state.apples), jnp.float32(LAST_RESORT), 0.0)
        clean = clean_best(posts, state, to_posts, jnp.where(find_closest(to_posts, is_cleaner), 1.0, others_count))
        is_own = find_territories(owners, ~is_cleaner & (state.timeouts == 0))
        ways = jnp.where(is_own & state.apples[None], jnp.asarray(ways_to_apples)[here], routes.NEVER)
        actions = jnp.where(is_cleaner, clean, routes.first_step(ways.min(1), state.headings))
        return routes.wait_out(state, routes.sidestep(key, state, actions))

    return policy


def find_posts(env: CleanupGame) -> Posts:
    """The posts of a game.

    A ray of a shot cleans at most the first waste that it meets, or all waste that it covers; the game decides.
    """
    num_cells = len(env.river_cells)
    length, num_rays = int(env.beam_reach.max()), env.beam_reach.shape[-1]
    river_index = index_of_cells(env.river_cells, env.walls.shape)
    on_ray = ray_table(river_index, num_cells, length, num_rays // 2, env.beam_side_start)
    on_ray = np.where(np.arange(length) < env.beam_reach[..., None], on_ray, num_cells)
    is_post = (on_ray < num_cells).any((1, 2, 3)) & ~env.walls.ravel()
    is_in_beam = (on_ray[is_post][..., None] == np.arange(num_cells)).any(-2)
    cells = np.argwhere(is_post.reshape(env.walls.shape)).astype(np.int32)
    return Posts(cells, is_in_beam.astype(np.float32), 1 if getattr(env, "rays_stop_at_waste", False) else length)


def choose_cleaners(state: Any, steps_to_river: jax.Array) -> jax.Array:
    """Chooses as cleaners the agents on the board that are closest to the river.

    One agent cleans for every `AGENTS_PER_CLEANER` others. The k-th closest agent cleans as well if there is more than
    k times as much waste as apples. Of equally close agents the one with the smallest index comes first.

    Args:
      state: has `timeouts`, `waste` and `apples`.
      steps_to_river: `[N]` int32, steps of each agent to the nearest cell of the river.

    Returns:
      `[N]` bool.
    """
    is_present = state.timeouts == 0
    closeness = jnp.where(is_present, -steps_to_river, -routes.NEVER).astype(jnp.float32)
    rank = goes_first(closeness).sum(1, dtype=jnp.int32)
    num_regular = -(-(len(steps_to_river) - 1) // AGENTS_PER_CLEANER)
    is_needed = (rank + 1) * _count(state.apples) < _count(state.waste)
    return is_present & ((rank < num_regular) | is_needed)


def find_closest(ways: jax.Array, is_member: jax.Array) -> jax.Array:
    """The cells to which no other member is closer, `[N, P]` bool; of equally close members the first one has the cell.

    Args:
      ways: `[N, P]` int32, codes of `find_ways`.
      is_member: `[N]` bool.
    """
    steps = jnp.where(is_member[:, None], ways // 4, routes.NEVER)
    closest = steps.argmin(0).astype(jnp.int32)
    return is_member[:, None] & (closest[None, :] == jnp.arange(len(ways), dtype=jnp.int32)[:, None])


def clean_best(posts: Posts, state: Any, ways: jax.Array, weights: jax.Array) -> jax.Array:
    """The action of each agent on its way to its best shot, `[N]` int32.

    The value of a shot is: weight of the post * waste cleaned / (steps until the agent fires + `PATIENCE`). The steps
    contain the way, the turns, and the time until the beam is ready.

    Args:
      posts: P of them.
      state: has `headings`, `waste` and perhaps `cooldowns`.
      ways: `[N, P]` int32, codes of `find_ways`.
      weights: `[N, P]` float32; 0 for posts that an agent must not go to.
    """
    waste_on_ray = jnp.asarray(posts.is_in_beam) @ state.waste.astype(jnp.float32)
    cleaned = jnp.minimum(waste_on_ray, posts.most_per_ray).sum(-1)  # [P, 4]
    turns = (jnp.arange(4, dtype=jnp.int32)[None, :] - state.headings[:, None]) % 4
    steps = ways[:, :, None] // 4 + jnp.minimum(turns, 4 - turns)[:, None, :]
    if hasattr(state, "cooldowns"):
        steps = jnp.maximum(steps, state.cooldowns[:, -1, None, None])
    weights = jnp.where(ways < routes.NEVER, weights, 0)
    worth = (weights[:, :, None] * (cleaned[None] / (steps + PATIENCE).astype(jnp.float32))).reshape(len(ways), -1)
    best = worth.argmax(1).astype(jnp.int32)
    way = jnp.take_along_axis(ways, best[:, None] // 4, axis=1)[:, 0]
    turns_to_best = jnp.take_along_axis(turns, best[:, None] % 4, axis=1)[:, 0]
    on_post = jnp.select([turns_to_best == 0, turns_to_best == 3], [CLEAN, TURN_LEFT], TURN_RIGHT)
    actions = jnp.where(way >= 4, routes.first_step(way, state.headings), on_post)
    return jnp.where(worth.max(1) > 0, actions, STAND).astype(jnp.int32)


def find_territories(owners: np.ndarray, is_member: jax.Array) -> jax.Array:
    """The cells of each member if all cells are divided among the members, `[N, A]` bool.

    Args:
      owners: `[N, A]` int32; row n - 1 contains the owner of each cell if there are n members.
      is_member: `[N]` bool.
    """
    num_members = is_member.sum(dtype=jnp.int32)
    owner = jnp.asarray(owners)[jnp.maximum(num_members - 1, 0)]
    number = jnp.cumsum(is_member, dtype=jnp.int32) - 1
    return is_member[:, None] & (owner[None, :] == number[:, None])


def _count(resources: jax.Array) -> jax.Array:
    """The number of True entries, `[]` int32."""
    return resources.sum(dtype=jnp.int32)


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "greedy": routes.greedy,
    "exploitative": routes.exploitative,
    "cooperative": cooperative,
}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
