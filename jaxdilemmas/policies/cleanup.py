"""Scripted policies of the games of Cleanup: `cleanup`, `cleanup_meltingpot` and `cleanup_gallego`.

`jaxdilemmas.policies.routes` says what a policy is and has the two that never clean.
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
from jaxdilemmas.policies.routes import (
    NEVER,
    check_forage,
    divide_cells,
    exploitative,
    find_ways,
    first_step,
    greedy,
    sidestep,
    wait_out,
)

CleanupGame = Cleanup | CleanupGallego | CleanupMeltingPot

AGENTS_PER_CLEANER = 5
"""For so many others one agent cleans even if there is little waste, for the next so many another. Our choice."""

PATIENCE = 4
"""A shot in s steps is worth as much as one in 2 s + PATIENCE steps that cleans twice as much. Our choice."""

LAST_RESORT = 1e-3
"""What cleaning from a post that is another's counts: so little that only who has no waste of its own goes there."""


class Posts(NamedTuple):
    """Cells from which a cleaning beam reaches the river.

    Attributes:
      cells: `[P, 2]` int32.
      is_in_beam: `[P, 4, rays, R]` float32, 1 for river cells that each ray covers, by heading.
      most_per_ray: waste that a ray takes in one shot at most.
    """

    cells: np.ndarray
    is_in_beam: np.ndarray
    most_per_ray: int


def cooperative(env: CleanupGame) -> Policy:
    """A team of as many cleaners as the waste needs and of collectors of the apples that then grow; nobody fines.

    Who cleans says `choose_cleaners`. A cleaner goes to the post, of those that no other cleaner is closer to, from
    which it cleans most in the time it takes, and fires there. Apples are divided into as many territories as there are
    collectors, and a collector goes to the nearest live apple of its own. Both stand if there is nothing to do. Who
    meets somebody in its way sidesteps at times, see `routes.sidestep`.

    Some agents can follow this policy in a team with others who do as they like: roles depend only on where all agents
    stand and on what there is to do, and while there is more waste than apples a cleaner that has nothing to clean goes
    to the posts of others, who may not clean.

    Args:
      env: a game of Cleanup.

    Returns:
      `policy(key, state) -> actions [N] int32`.

    Raises:
      ValueError: no cleaning beam reaches the river of the board.

    Source: our rule.
    """
    check_forage(env, "river_cells")
    posts = find_posts(env)
    require(len(posts.cells) > 0, "env", env, "no cleaning beam reaches the river from anywhere")
    ways_to_posts, ways_to_apples = (find_ways(env.walls, cells) for cells in (posts.cells, env.apple_cells))
    steps_to_river = find_ways(env.walls, env.river_cells).min(1) // 4
    owners = np.stack([divide_cells(env.apple_cells, count) for count in range(1, env.num_agents + 1)])

    def policy(key: jax.Array, state: Any) -> jax.Array:
        here = cell_index(state.positions, env.walls.shape[1])
        is_cleaner = choose_cleaners(state, jnp.asarray(steps_to_river)[here])
        to_posts = jnp.asarray(ways_to_posts)[here]
        others_count = jnp.where(_count(state.waste) > _count(state.apples), jnp.float32(LAST_RESORT), 0.0)
        clean = clean_best(posts, state, to_posts, jnp.where(find_closest(to_posts, is_cleaner), 1.0, others_count))
        is_own = find_territories(owners, ~is_cleaner & (state.timeouts == 0))
        ways = jnp.where(is_own & state.apples[None], jnp.asarray(ways_to_apples)[here], NEVER)
        actions = jnp.where(is_cleaner, clean, first_step(ways.min(1), state.headings))
        return wait_out(state, sidestep(key, state, actions))

    return policy


def find_posts(env: CleanupGame) -> Posts:
    """The posts of a game: where a shot cleans at most the first waste of each ray, or all, as the game has it."""
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
    """Who cleans: of the agents on the board those closest to the river, the first in line where several are.

    One agent cleans for every `AGENTS_PER_CLEANER` others, and the k-th as well if there is more than k times as much
    waste as apples.

    Args:
      state: has `timeouts`, `waste` and `apples`.
      steps_to_river: `[N]` int32, the way of each agent to the nearest cell of the river.

    Returns:
      `[N]` bool.
    """
    is_present = state.timeouts == 0
    closeness = jnp.where(is_present, -steps_to_river, -NEVER).astype(jnp.float32)
    rank = goes_first(closeness).sum(1, dtype=jnp.int32)
    num_regular = -(-(len(steps_to_river) - 1) // AGENTS_PER_CLEANER)
    is_needed = (rank + 1) * _count(state.apples) < _count(state.waste)
    return is_present & ((rank < num_regular) | is_needed)


def find_closest(ways: jax.Array, is_member: jax.Array) -> jax.Array:
    """Which cells no other member is closer to, `[N, P]` bool; the first in line has those between two.

    Args:
      ways: `[N, P]` int32, of `find_ways`.
      is_member: `[N]` bool.
    """
    steps = jnp.where(is_member[:, None], ways // 4, NEVER)
    closest = steps.argmin(0).astype(jnp.int32)
    return is_member[:, None] & (closest[None, :] == jnp.arange(len(ways), dtype=jnp.int32)[:, None])


def clean_best(posts: Posts, state: Any, ways: jax.Array, weights: jax.Array) -> jax.Array:
    """The action of each agent on its way to the shot that cleans most in the time it takes, `[N]` int32.

    Shots are compared by the weight of the post times waste cleaned over steps until fired (the way, turns, and the
    time until the beam is ready) plus `PATIENCE`.

    Args:
      posts: P of them.
      state: has `headings`, `waste` and perhaps `cooldowns`.
      ways: `[N, P]` int32, of `find_ways`.
      weights: `[N, P]` float32; 0 for posts where an agent is not to go.
    """
    waste_on_ray = jnp.asarray(posts.is_in_beam) @ state.waste.astype(jnp.float32)
    cleaned = jnp.minimum(waste_on_ray, posts.most_per_ray).sum(-1)  # [P, 4]
    turns = (jnp.arange(4, dtype=jnp.int32)[None, :] - state.headings[:, None]) % 4
    steps = ways[:, :, None] // 4 + jnp.minimum(turns, 4 - turns)[:, None, :]
    if hasattr(state, "cooldowns"):
        steps = jnp.maximum(steps, state.cooldowns[:, -1, None, None])
    weights = jnp.where(ways < NEVER, weights, 0)
    worth = (weights[:, :, None] * (cleaned[None] / (steps + PATIENCE).astype(jnp.float32))).reshape(len(ways), -1)
    best = worth.argmax(1).astype(jnp.int32)
    way = jnp.take_along_axis(ways, best[:, None] // 4, axis=1)[:, 0]
    turns_to_best = jnp.take_along_axis(turns, best[:, None] % 4, axis=1)[:, 0]
    on_post = jnp.select([turns_to_best == 0, turns_to_best == 3], [CLEAN, TURN_LEFT], TURN_RIGHT)
    actions = jnp.where(way >= 4, first_step(way, state.headings), on_post)
    return jnp.where(worth.max(1) > 0, actions, STAND).astype(jnp.int32)


def find_territories(owners: np.ndarray, is_member: jax.Array) -> jax.Array:
    """Which cells are whose if they are divided among the members, `[N, A]` bool.

    Args:
      owners: `[N, A]` int32, in row n - 1 who of n members owns each cell.
      is_member: `[N]` bool.
    """
    num_members = is_member.sum(dtype=jnp.int32)
    owner = jnp.asarray(owners)[jnp.maximum(num_members - 1, 0)]
    number = jnp.cumsum(is_member, dtype=jnp.int32) - 1
    return is_member[:, None] & (owner[None, :] == number[:, None])


def _count(resources: jax.Array) -> jax.Array:
    """How many are there, `[]` int32."""
    return resources.sum(dtype=jnp.int32)


POLICIES: dict[str, Callable[[Any], Policy]] = {
    "greedy": greedy,
    "exploitative": exploitative,
    "cooperative": cooperative,
}
"""By name, for `jaxdilemmas.policies.scripted`."""
