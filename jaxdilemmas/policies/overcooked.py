"""Scripted policies of `overcooked`: a pair of greedy cooks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_kind
from jaxdilemmas.environment import Policy, require
from jaxdilemmas.envs.kitchens import COUNTER, DISHES, FLOOR, LAYERS, ONIONS, POT, POT_SIZE, SERVING
from jaxdilemmas.envs.overcooked import (
    ACTION_HEADINGS,
    DISH,
    INTERACT,
    NOT_COOKING,
    NOTHING,
    ONION,
    STAY,
    Overcooked,
    State,
)
from jaxdilemmas.grid.geometry import STEPS, cell_index
from jaxdilemmas.grid.maps import cells_of
from jaxdilemmas.policies.routes import NEVER, find_ways

NUM_HEADINGS = 4

MOST_CELLS = 400
"""The largest kitchen, in cells: the table of ways has a row for each pair of cells."""


class Plans:
    """Plans the next action of two greedy cooks and decides which of them gives way.

    A station is any cell that is not floor. A cell is named by its row-major index; C is the number of cells and A the
    number of stations.

    Attributes:
      stations: `[A]` int32, the cells of the stations.
      kinds: `[A]` int32, the kind of each station.
      slots: `[A]` int32, the number of the counter or pot at each station.
      steps: `[C + 1, C, A]` float32, steps from a cell (axis 1) to a station, if the other player stands on the cell of
        axis 0. Infinite where there is no way. In the last table the other player is not in the way.
      neighbours: `[C, 4]` int32, the cells that actions 0 to 3 lead to.
      is_floor: `[C]` bool.
    """

    def __init__(self, env: Overcooked) -> None:
        kinds = env.kitchen.kinds
        require(kinds.size <= MOST_CELLS, "env", env, f"greedy cooks plan for kitchens of at most {MOST_CELLS} cells")
        walls, cells = kinds != FLOOR, cells_of(kinds != FLOOR)
        self.num_cols = kinds.shape[1]
        self.stations = cells[:, 0] * self.num_cols + cells[:, 1]
        self.kinds, self.slots = kinds[walls], env.kitchen.slots[walls]
        around = [walls | (np.arange(kinds.size) == cell).reshape(kinds.shape) for cell in range(kinds.size)]
        ways = np.stack([find_ways(blocked, cells) for blocked in [*around, walls]])
        self.steps = np.where(ways == NEVER, np.inf, ways // 4).astype(np.float32)
        cells_by_axis = enumerate(np.indices(kinds.shape, np.int32))
        rows, cols = (axis.reshape(-1, 1) + STEPS[ACTION_HEADINGS, i] for i, axis in cells_by_axis)
        self.neighbours = rows.clip(0, kinds.shape[0] - 1) * self.num_cols + cols.clip(0, kinds.shape[1] - 1)
        self.is_floor = kinds.ravel() == FLOOR

    def check_reach(self, starts: np.ndarray) -> None:
        """Raises a ValueError unless every cook has a way from its start `[2, 2]` to each kind of station."""
        for player, cell in enumerate(starts @ [self.num_cols, 1]):
            can_reach = np.isfinite(self.steps[-1, cell])
            missing = [
                LAYERS[kind] for kind in (ONIONS, DISHES, POT, SERVING) if not can_reach[self.kinds == kind].any()
            ]
            allowed = (
                "greedy cooks need ways to onions, dishes, pots and serving; from the start of this one none leads to "
            )
            require(not missing, "env", f"player {player + 1}", allowed + ", ".join(missing))

    def wishes(self, state: State, cook_steps: Any) -> tuple[jax.Array, jax.Array]:
        """The stations that each player wants to use, `[2, A]` bool, and those that can be used now, `[A]` bool."""
        is_pot, is_counter = self.kinds == POT, self.kinds == COUNTER
        onions, ticks = state.onions[self.slots * is_pot], state.ticks[self.slots * is_pot]
        lying = jnp.where(is_counter, state.counters[self.slots * is_counter], -1)
        is_idle, is_started = is_pot & (ticks == NOT_COOKING), is_pot & (ticks != NOT_COOKING)
        is_full = is_idle & (onions == POT_SIZE)
        dishes = (self.kinds == DISHES) | (lying == DISH)
        with_free_hands = jnp.where(is_full.any(), is_full, (self.kinds == ONIONS) | (lying == ONION))
        held = state.held[:, None]
        needs_dish = is_started.any() & (held[::-1] != DISH)
        wanted = jnp.select(
            [held == NOTHING, held == ONION, held == DISH],
            [jnp.where(needs_dish, dishes[None], with_free_hands[None]), (is_idle & ~is_full)[None], is_started[None]],
            (self.kinds == SERVING)[None],
        )
        puts_down = ~wanted.any() & (held != NOTHING) & (lying == NOTHING)[None]
        return wanted | puts_down, ~is_started | (ticks >= cook_steps)

    def go_around(self, luck: jax.Array, cells: jax.Array, wanted: jax.Array) -> jax.Array:
        """Decides which player walks around the other if both are in each other's way.

        The player with the shorter detour walks around, so that only one of them turns.

        Args:
          luck: `[]` float32 in [0, 1), decides if both detours are equally long.
          cells: `[2]` int32, the cells of the players.
          wanted: `[2, A]` bool, the stations that each player wants.

        Returns:
          `[2]` bool; also True for a player whose way is free.
        """
        steps = jnp.asarray(self.steps)
        straight = jnp.where(wanted, steps[-1, cells], jnp.inf).min(-1)
        around = jnp.where(wanted, steps[cells[::-1], cells], jnp.inf).min(-1)
        detours = jnp.where(straight < jnp.inf, around - straight, 0.0)
        is_first = jnp.where(detours[0] == detours[1], luck < 0.5, detours[0] < detours[1])
        return (detours == 0) | jnp.stack([is_first, ~is_first])

    def plan(
        self,
        luck: jax.Array,
        cells: tuple[jax.Array, jax.Array],
        goes_around: jax.Array,
        heading: jax.Array,
        wanted: jax.Array,
        usable: Any,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Plans one player's action on its way to the nearest station that it wants.

        Args:
          luck: `[A + 4]` float32 in [0, 1), breaks ties between stations and between first steps.
          cells: two arrays, `[]` int32 each: the cell of the player and the cell of the other player.
          goes_around: `[]` bool, whether the player walks around the other one if there is such a way.
          heading: `[]` int32.
          wanted: `[A]` bool.
          usable: `[A]` bool; the player waits at other stations.

        Returns:
          The action, the cell where the player will be, and its claim to this cell: 0 if it has nothing to do, 1 if it
          is on its way, 2 if it has arrived. All are `[]` int32.
        """
        own, other = cells
        steps = jnp.asarray(self.steps)
        ways = jnp.where(wanted, steps[:, own], jnp.inf)
        has_way = ways.min(-1) < jnp.inf
        table = jnp.where(goes_around & has_way[other], other, len(steps) - 1)
        num_stations = len(self.stations)
        goal = jnp.argmin(ways[table] + luck[:num_stations]).astype(jnp.int32)
        nexts = jnp.asarray(self.neighbours)[own]
        action = jnp.argmin(steps[table, nexts, goal] + luck[num_stations:]).astype(jnp.int32)
        is_there = nexts[action] == jnp.asarray(self.stations)[goal]
        is_facing = is_there & (jnp.asarray(ACTION_HEADINGS)[action] == heading)
        at_goal = jnp.where(usable[goal], INTERACT, STAY)
        action = jnp.where(has_way[-1], jnp.where(is_facing, at_goal, action), STAY)
        target = jnp.where(has_way[-1] & ~is_there, nexts[action], own)
        return action, target, jnp.where(has_way[-1], 1 + is_there.astype(jnp.int32), 0)

    def give_way(
        self, luck: jax.Array, cells: jax.Array, actions: jax.Array, targets: jax.Array, claims: jax.Array
    ) -> jax.Array:
        """Makes one of two players give way if they would meet or change places.

        This player waits, or it leaves its cell if the other player needs that cell.

        Args:
          luck: `[5]` float32 in [0, 1), for the choice between equal claims and between ways out.
          cells: `[2]` int32, the cells of the players.
          actions: `[2]` int32.
          targets: `[2]` int32, the cells that these actions lead to.
          claims: `[2]` int32; the player with the smaller claim gives way.

        Returns:
          `[2]` int32, the actions.
        """
        meets = (targets[0] == targets[1]) | ((targets == cells[::-1]).all())
        loser = jnp.argmin(claims.astype(jnp.float32) + jnp.stack([luck[0], 1 - luck[0]])).astype(jnp.int32)
        ways_out = jnp.asarray(self.neighbours)[cells[loser]]
        is_free = jnp.asarray(self.is_floor)[ways_out] & (ways_out != cells[1 - loser])
        way_out = jnp.where(is_free.any(), jnp.argmax(jnp.where(is_free, 1 + luck[1:], 0)).astype(jnp.int32), STAY)
        is_needed = targets[1 - loser] == cells[loser]
        gives_way = meets & (jnp.arange(2, dtype=jnp.int32) == loser)
        return jnp.where(gives_way, jnp.where(is_needed, way_out, STAY), actions).astype(jnp.int32)


def greedy(env: Overcooked) -> Policy:
    """Both cooks do the most urgent task that fits what they hold, at the nearest station.

    A cook with free hands takes a dish if soup cooks or is done and the other cook has no dish. Otherwise it starts a
    pot that holds three onions. Otherwise it takes an onion. Cooks put onions into pots that accept them, use dishes at
    pots that cook, and bring soups to the serving station. If no cook has anything to do, a cook that holds something
    puts it down. A cook that waits for soup stands at its pot. If cooks are in each other's way, the one with the
    shorter detour walks around. If both need one cell, a cook that is at its station goes first.

    Args:
      env: the game for two players; `cook_steps` is that of its `default_params`.

    Returns:
      `policy(key, state) -> actions [2] int32`. Ties are broken at random.

    Raises:
      ValueError: `env` is not the game `overcooked`, the game is not for two players, the kitchen has too many cells,
        or one of the players cannot reach every kind of station. Greedy cooks never pass things to each other, so they
        would stand still in "forced_coordination".

    Source: the order of tasks is that of `GreedyHumanModel` in HumanCompatibleAI/overcooked_ai @ 83f5192
    (`agents/agent.py`). Going around each other and giving way are our choice: there both wait until they are stuck,
    and then move at random, which needs a memory of the step before.
    """
    check_kind("env", env, Overcooked, "the game `overcooked`")
    require(env.num_agents == 2, "env", f"{env.num_agents} players", "greedy cooks are two")
    plans = Plans(env)
    plans.check_reach(env.kitchen.starts)
    num_stations = len(plans.stations)

    def policy(key: jax.Array, state: State) -> jax.Array:
        luck = jax.random.uniform(key, (2 * (num_stations + NUM_HEADINGS) + NUM_HEADINGS + 2,), jnp.float32)
        ways, way_out = luck[: -NUM_HEADINGS - 2].reshape(2, -1), luck[-NUM_HEADINGS - 2 : -1]
        cells = cell_index(state.positions, plans.num_cols)
        wanted, usable = plans.wishes(state, env.default_params.cook_steps)
        goes_around = plans.go_around(luck[-1], cells, wanted)
        plan = jax.vmap(plans.plan, (0, 0, 0, 0, 0, None))
        actions, targets, claims = plan(ways, (cells, cells[::-1]), goes_around, state.headings, wanted, usable)
        return plans.give_way(way_out, cells, actions, targets, claims)

    return policy


POLICIES: dict[str, Callable[[Any], Policy]] = {"greedy": greedy}
"""Functions that build the policies, by name, for `jaxdilemmas.policies.scripted`."""
