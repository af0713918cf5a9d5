"""Overcooked: two cooks in a narrow kitchen cook onion soup and serve it, for a shared reward.

The game of Carroll et al. 2019 (arXiv:1910.05789), by the rules of HumanCompatibleAI/overcooked_ai @ 83f5192;
docs/overcooked.md contains the rules, their sources and our own choices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.environment import (
    Environment,
    Info,
    NoDraws,
    Transition,
    check_counts,
    check_numbers,
    is_count,
    require,
)
from jaxdilemmas.envs.kitchens import COUNTER, DISHES, FLOOR, ONIONS, POT, POT_SIZE, SERVING, Kitchen, read_kitchen
from jaxdilemmas.grid.geometry import EAST, NORTH, SOUTH, STEPS, WEST, same_cell
from jaxdilemmas.grid.maps import Board
from jaxdilemmas.spaces import Box, Discrete, Space

NOTHING, ONION, DISH, SOUP = range(4)
"""The things in hands and on counters; a soup of n onions is SOUP + n - 1."""

ORDERED_SOUP = SOUP + POT_SIZE - 1
NOT_COOKING = -1
"""The tick of a pot that does not cook."""

STAY, INTERACT = 4, 5
ACTION_HEADINGS = np.array([NORTH, SOUTH, EAST, WEST], np.int32)
"""The headings of actions 0 to 3."""


class Params(struct.PyTreeNode):
    """The numbers in the rules.

    Attributes:
      delivery_reward: reward of every player for each soup of three onions that is served, at least 0.
      cook_steps: steps from the start of the cooking, which counts as one, until the soup can be put on a dish; at
        least 1.
      max_steps: length of an episode, in steps.
    """

    delivery_reward: Any = 20.0
    cook_steps: Any = 20
    max_steps: Any = 400


class State(struct.PyTreeNode):
    """One moment of the game.

    Attributes:
      positions: `[N, 2]` int32 (row, col), pairwise distinct floor cells.
      headings: `[N]` int32, 0 north, 1 east, 2 south, 3 west.
      held: `[N]` int32, NOTHING, ONION, DISH or a soup.
      counters: `[K]` int32, the thing on each counter, with the same numbers as `held`.
      onions: `[P]` int32, onions in each pot, 0 to 3.
      ticks: `[P]` int32, steps since each pot was started, at most `cook_steps`; -1 if it is not started.
      step_count: `[]` int32, steps since the reset.
    """

    positions: jax.Array
    headings: jax.Array
    held: jax.Array
    counters: jax.Array
    onions: jax.Array
    ticks: jax.Array
    step_count: jax.Array


class Overcooked(Environment):
    """See the module for the game and docs/overcooked.md for its rules.

    Args:
      map: a name in `kitchens.MAPS`, a kitchen drawn as text, the text of a layout file of overcooked_ai, or the
        `pathlib.Path` of a file with either.
      num_agents: N, at most the number of starts in the map, which is the default; players 1 to N of the map play.
      **params: fields of `Params`; the numbers of a layout file are their defaults.

    Attributes:
      kitchen: the map as arrays.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    policy_module = "jaxdilemmas.policies.overcooked"
    picture_module = "jaxdilemmas.pictures.overcooked"

    def __init__(self, map: Board = "cramped_room", num_agents: int | None = None, **params: Any) -> None:
        self.kitchen, numbers = read_kitchen(map)
        most = len(self.kitchen.starts)
        is_fit = num_agents is None or (is_count(num_agents) and num_agents <= most)
        require(is_fit, "num_agents", num_agents, f"a whole number from 1 to {most}, the starts in the map, or None")
        self.num_agents = most if num_agents is None else int(num_agents)
        self.default_params = self.params_from(Params, numbers | params)
        check_numbers(self.default_params, np.inf, "delivery_reward")
        check_counts(self.default_params, "cook_steps", "max_steps")
        self.num_counters, self.num_pots = (int((self.kitchen.kinds == kind).sum()) for kind in (COUNTER, POT))

    @property
    def observation_space(self) -> Space:
        """Whole numbers of at least -1 as float32, 27 of them for two players in the cramped room; see `observe`."""
        size = 7 * self.num_agents + self.kitchen.stations.size + 3 * self.num_pots
        return Box(-1, np.inf, (size,))

    @property
    def action_space(self) -> Space:
        """0 north, 1 south, 2 east, 3 west, 4 stay, 5 interact; inside jit any other number acts as 4."""
        return Discrete(6)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """All players at their starts, facing north, with empty hands; counters and pots are empty."""
        del key, params
        nothing = jnp.zeros(self.num_agents, jnp.int32)
        return State(
            positions=jnp.asarray(self.kitchen.starts[: self.num_agents]),
            headings=jnp.full_like(nothing, NORTH),
            held=nothing,
            counters=jnp.zeros(self.num_counters, jnp.int32),
            onions=jnp.zeros(self.num_pots, jnp.int32),
            ticks=jnp.full(self.num_pots, NOT_COOKING, jnp.int32),
            step_count=jnp.zeros((), jnp.int32),
        )

    def transition(self, draws: NoDraws, state: State, actions: jax.Array, params: Params) -> Transition:
        """Players interact one after the other, then all move at once, then pots cook."""
        del draws
        is_partly_full = (state.onions > 0) & (state.onions < POT_SIZE)
        pots_in_use = jnp.sum((state.ticks != NOT_COOKING) | is_partly_full, dtype=jnp.int32)
        events = []
        for player in range(self.num_agents):  # the rules are a loop: the second player acts on the result of the first
            is_useful = needs_dish(state, pots_in_use)
            state, event = interact(self.kitchen, state, player, actions[player] == INTERACT, params)
            events.append(event | {"useful_dish_taken": event["dish_taken"] & is_useful})
        info: Info = jax.tree.map(lambda *happened: jnp.stack(happened).astype(jnp.int32), *events)
        positions, headings = move(self.kitchen, state.positions, state.headings, actions)
        is_cooking = (state.ticks != NOT_COOKING) & (state.ticks < params.cook_steps)
        state = state.replace(
            positions=positions,
            headings=headings,
            ticks=state.ticks + is_cooking.astype(jnp.int32),
            step_count=state.step_count + 1,
        )
        num_delivered = info["delivered"].sum(dtype=jnp.int32).astype(jnp.float32)
        rewards = jnp.broadcast_to(params.delivery_reward * num_delivered, (self.num_agents,))
        return state, rewards, jnp.zeros((), bool), info

    def observe(self, state: State, params: Params) -> jax.Array:
        """Each player's observation of the kitchen, the player itself first; counters are not part of it.

        Returns:
          `[N, 27]` float32 (7 N + 2 stations + 3 pots in other kitchens): positions (x, y) of all players; whether they
          hold an onion, a dish, a soup; (x, y) of onions, dishes, serving cells and pots; for each pot the number of
          onions in it, its tick (-1 if it does not cook, 0 if it is empty) and whether it cooks and is not done; (x, y)
          of one step along each player's heading. Players are in the order i, i + 1, ... modulo N.
        """
        hands = jnp.stack([state.held == ONION, state.held == DISH, state.held >= SOUP], axis=-1).astype(jnp.int32)
        is_cooking = ((state.ticks != NOT_COOKING) & (state.ticks < params.cook_steps)).astype(jnp.int32)
        pots = jnp.stack([state.onions, jnp.where(state.onions > 0, state.ticks, 0), is_cooking], axis=-1)
        steps = jnp.asarray(STEPS)[state.headings]
        own_first = (np.arange(self.num_agents)[:, None] + np.arange(self.num_agents)) % self.num_agents
        of_players = [part[own_first].reshape(self.num_agents, -1) for part in (state.positions[:, ::-1], hands)]
        of_kitchen = jnp.concatenate([self.kitchen.stations.ravel(), pots.ravel()])
        seen_by_all = jnp.broadcast_to(of_kitchen, (self.num_agents, of_kitchen.size))
        facing = steps[own_first, ::-1].reshape(self.num_agents, -1)
        return jnp.concatenate([*of_players, seen_by_all, facing], axis=1).astype(jnp.float32)


def interact(
    kitchen: Kitchen, state: State, player: int, is_interacting: jax.Array, params: Params
) -> tuple[State, dict[str, jax.Array]]:
    """One player uses the cell that it faces; nothing happens if this is floor or the thing in its hands does not fit.

    A counter takes the thing in the hands, or gives its thing to empty hands. Onions and dishes are taken with empty
    hands. A pot that does not cook takes up to three onions, and empty hands start it if there is an onion in it. A
    dish takes a soup that is done. A soup that is served is gone, and gives a reward only if it has three onions.

    Args:
      kitchen: the map.
      state: the state after the interactions of the players before this one.
      player: the index of the player.
      is_interacting: `[]` bool; if False, nothing happens.
      params: `cook_steps` is used.

    Returns:
      The state, and the events by name, `[]` bool each: "onion_taken" and "dish_taken" (from a cell with a supply
      without end, not from a counter), "potted", "cooking_started", "soup_taken" (from a pot), "delivered" (three
      onions).

    Source: `resolve_interacts` of `mdp/overcooked_mdp.py` in HumanCompatibleAI/overcooked_ai @ 83f5192, without
    `old_dynamics`, under which pots with three onions start by themselves.
    """
    row, col = state.positions[player] + jnp.asarray(STEPS)[state.headings[player]]
    kind = jnp.where(is_interacting, jnp.asarray(kitchen.kinds)[row, col], FLOOR)
    slot = jnp.asarray(kitchen.slots)[row, col]
    held, lying, onions, tick = state.held[player], state.counters[slot], state.onions[slot], state.ticks[slot]
    is_free, is_idle = held == NOTHING, tick == NOT_COOKING
    is_swapped = (kind == COUNTER) & (is_free != (lying == NOTHING))
    is_served = (kind == SERVING) & (held >= SOUP)
    events = {
        "onion_taken": (kind == ONIONS) & is_free,
        "dish_taken": (kind == DISHES) & is_free,
        "potted": (kind == POT) & (held == ONION) & is_idle & (onions < POT_SIZE),
        "cooking_started": (kind == POT) & is_free & is_idle & (onions > 0),
        "soup_taken": (kind == POT) & (held == DISH) & (tick >= params.cook_steps),
        "delivered": is_served & (held == ORDERED_SOUP),
    }
    conditions = [is_swapped, events["onion_taken"], events["dish_taken"], events["soup_taken"]]
    taken = jnp.select(conditions, [lying, ONION, DISH, SOUP - 1 + onions], held)
    is_counter = is_swapped & (jnp.arange(state.counters.size, dtype=jnp.int32) == slot)
    is_pot = jnp.arange(state.onions.size, dtype=jnp.int32) == slot
    is_emptied, is_started = is_pot & events["soup_taken"], is_pot & events["cooking_started"]
    state = state.replace(
        held=state.held.at[player].set(jnp.where(events["potted"] | is_served, NOTHING, taken).astype(jnp.int32)),
        counters=jnp.where(is_counter, held, state.counters),
        onions=jnp.where(is_emptied, 0, state.onions + (is_pot & events["potted"]).astype(jnp.int32)),
        ticks=jnp.select([is_emptied, is_started], [NOT_COOKING, 0], state.ticks),
    )
    return state, events


def needs_dish(state: State, pots_in_use: jax.Array) -> jax.Array:
    """Whether a dish that is taken now is useful: no dish is on a counter, and fewer are held than pots are in use.

    Args:
      state: the state after the interactions of the players before.
      pots_in_use: `[]` int32, the pots that held one or two onions, cooked or were done at the start of the step. A pot
        of three onions that no player has started does not count.

    Returns:
      `[]` bool.

    Source: `is_dish_pickup_useful` of `mdp/overcooked_mdp.py` in HumanCompatibleAI/overcooked_ai @ 83f5192, which
    decides there about shaped rewards; there no dish is useful unless two play.
    """
    is_any_lying = (state.counters == DISH).any()
    return ~is_any_lying & (jnp.sum(state.held == DISH, dtype=jnp.int32) < pots_in_use)


def move(
    kitchen: Kitchen, positions: jax.Array, headings: jax.Array, actions: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """All players turn to the direction of their move, and move if that cell is floor.

    If any two players would meet or change places, no player moves.

    Args:
      kitchen: the map.
      positions: `[N, 2]` int32 (row, col), pairwise distinct floor cells.
      headings: `[N]` int32.
      actions: `[N]` int32; only 0 to 3 turn and move.

    Returns:
      positions `[N, 2]` and headings `[N]` int32.

    Source: `compute_new_positions_and_orientations` of `mdp/overcooked_mdp.py` in HumanCompatibleAI/overcooked_ai @
    83f5192.
    """
    is_going = (actions >= 0) & (actions < STAY)
    headings = jnp.where(is_going, jnp.asarray(ACTION_HEADINGS)[actions], headings).astype(jnp.int32)
    targets = positions + jnp.asarray(STEPS)[headings]
    is_free = is_going & (jnp.asarray(kitchen.kinds)[targets[:, 0], targets[:, 1]] == FLOOR)
    targets = jnp.where(is_free[:, None], targets, positions)
    follows = same_cell(targets, positions)
    collides = (same_cell(targets, targets) | (follows & follows.T)) & ~np.eye(len(positions), dtype=bool)
    return jnp.where(collides.any(), positions, targets), headings
