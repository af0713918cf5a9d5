"""Teams of Cleanup that clean for different reasons: of their own accord, or for fear of a beam.

The last agent of either team is a warden, who walks to and fro between the river and the orchard and beams whom it
can. The others are of one kind. `willing` agents follow the cooperative policy wherever the warden is. `deterred` ones
do so while the warden is close, and else collect apples and never clean. All of it is our design.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from baselines.core.players import Player, make_team, scripted_player
from baselines.trained.load import find_player
from jaxdilemmas.environment import Policy
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.grid.movement import STAND
from jaxdilemmas.grid_environment import GridEnvironment
from jaxdilemmas.policies.routes import beam_first, find_ways, first_step, wait_out

PATROL_STEPS = 50
"""After so many steps a warden goes to the other place."""

CLOSE = 6
"""Steps along the longer axis within which deterred agents mind a warden: well inside what they see."""


def warden(env: GridEnvironment) -> Policy:
    """Every agent walks to and fro between the middle of the river and that of the orchard, and beams whom it can.

    Args:
      env: a game of Cleanup.

    Returns:
      A deterministic `policy(key, state) -> actions [N] int32`.
    """
    places = np.stack([_middle(env.river_cells), _middle(env.apple_cells)])
    ways = find_ways(env.walls, places)

    def policy(key: jax.Array, state: Any) -> jax.Array:
        del key
        here = cell_index(state.positions, env.walls.shape[1])
        goal = state.step_count // PATROL_STEPS % len(places)
        return wait_out(state, beam_first(env, state, first_step(jnp.asarray(ways)[here, goal], state.headings)))

    return policy


def idle(env: GridEnvironment) -> Policy:
    """Every agent stands."""
    return lambda key, state: jnp.full(env.num_agents, STAND, jnp.int32)


def is_watched(positions: jax.Array) -> jax.Array:
    """Whom the last agent is close to, `[N]` bool, from `[N, 2]` positions."""
    return jnp.abs(positions - positions[-1]).max(1) <= CLOSE


def beside(player: Player, make_last: Callable[[GridEnvironment], Policy]) -> Player:
    """A team whose last agent follows a scripted policy instead."""
    is_last = jnp.arange(player.env.num_agents) == player.env.num_agents - 1
    env: Any = player.env
    return make_team(scripted_player(env, make_last(env)), player, is_last)


def find_team(game: str, name: str) -> Player:
    """The team of `TEAMS` with that name."""
    return beside(TEAMS[name](game), warden)


def _willing(game: str) -> Player:
    return find_player("cooperative", game, {})


def _deterred(game: str) -> Player:
    good, selfish = _willing(game), find_player("greedy", game, {})

    def act(obs: jax.Array, state: Any, memory: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        is_good = is_watched(state.positions)
        return make_team(good, selfish, is_good).act(obs, state, memory, key)

    return Player(good.env, act, (None, None))


TEAMS: dict[str, Callable[[str], Player]] = {"willing": _willing, "deterred": _deterred}
"""Who the others than the warden are, by the name of the team."""


def _middle(cells: np.ndarray) -> np.ndarray:
    """The one of the cells that is closest to their mean."""
    found: np.ndarray = cells[np.abs(cells - cells.mean(0)).sum(1).argmin()]
    return found
