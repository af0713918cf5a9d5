"""Coop mining: iron is mined alone, gold is worth more and takes two miners within three steps.

Coop Mining of Melting Pot (google-deepmind/meltingpot @ 81ee2e7); docs/coop_mining.md contains the rules, their sources
and our own choices.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_count, require
from jaxdilemmas.batching import batched, compute_once
from jaxdilemmas.environment import Transition, check_counts, check_numbers
from jaxdilemmas.envs.mines import read_mine
from jaxdilemmas.grid import beams, items, lab2d
from jaxdilemmas.grid.environment import GridEnvironment, GridState
from jaxdilemmas.grid.geometry import any_other, count_others, with_trailing_axes
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells
from jaxdilemmas.grid.movement import BEAM, goes_first, move_agents
from jaxdilemmas.grid.scene import OTHERS, PALETTE, KindLayer, Scene, one_kind
from jaxdilemmas.uniforms import uniform

IRON, GOLD, PARTIAL = 1, 2, 3
"""Kinds of ore; 0 is none. Partial gold was hit by one agent and waits for another."""

NOBODY = -1
"""Stands in `miners` for ore that waits for nobody."""

MOST_PARTIAL_STEPS = 127
"""The largest int8."""


class Params(lab2d.EndingParams):
    """The numbers in the rules: those of `EndingParams` and of the ore.

    Attributes:
      iron_growth: probability that iron grows on an empty cell in a step.
      gold_growth: probability that gold grows there; the sum of both is at most 1.
      mining_cooldown: steps after a shot in which no beam can be fired. Melting Pot's number is one more.
      partial_steps: steps from the hit of the first miner in which a second one can mine the gold, the step of the hit
        included.
      iron_reward: reward of each agent that mines iron.
      gold_reward: reward of both agents that mine gold.
    """

    iron_growth: Any = 0.0002
    gold_growth: Any = 0.00008
    mining_cooldown: Any = 2
    partial_steps: Any = 3
    iron_reward: Any = 1.0
    gold_reward: Any = 8.0


class State(GridState):
    """One moment of the game: `GridState`, the beams and the ore.

    Attributes:
      cooldowns: `[N, 1]` int32, steps in which the beam cannot be fired yet.
      rays: `[N, 1]` int32, cells that the beam fired in the last step covers; 0 for agents that did not fire.
      ore: `[A]` int8, the kind of ore on each cell, 0 for none.
      miners: `[A]` int16, the agent whose partial gold it is, -1 for all other cells.
      windows: `[A]` int8, for partial gold the number of steps until it is gold again, 0 for all other cells.
    """

    cooldowns: jax.Array
    rays: jax.Array
    ore: jax.Array
    miners: jax.Array
    windows: jax.Array


class Draws(lab2d.EndingDraws):
    """The random numbers of one step: those of `EndingDraws`, and those of the ore; float32 in [0, 1).

    Attributes:
      mining_priorities: `[N]`; of several agents that hit one ore, the hit of the highest priority counts first.
      ore_growth: `[A]`, decides whether ore grows on each cell, and which.
    """

    mining_priorities: jax.Array
    ore_growth: jax.Array


class CoopMining(GridEnvironment):
    """See the module for the game and docs/coop_mining.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending, movement: see `lab2d.ending_params`.
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      beam_length: cells of the beam.
      extras: whether agents observe the number `extra_names` beside their view, as an `Observation`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      ore_cells: `[A, 2]` int32, row-major, the cells on which ore grows.
      ore_index_at: `[H, W]` int32, the inverse of `ore_cells`, A where no ore grows.
      ends_by_chance: whether the episode ending is stochastic.
    """

    window = lab2d.WINDOW
    tiles = ("void", "floor", "iron", "gold", "partial_gold", "wall", "beam", *OTHERS, "self")
    colours = PALETTE | {"iron": (160, 130, 120), "gold": (240, 200, 40), "partial_gold": (170, 120, 20)}
    policy_module = "jaxdilemmas.policies.coop_mining"
    extra_names = ("ready_to_mine",)

    def __init__(
        self,
        num_agents: int = 6,
        observation: str = "tiles",
        episode_ending: str = "clock",
        map: Board = "default",
        beam_length: int = 3,
        movement: str = "sequential",
        extras: bool = True,
        **params: Any,
    ) -> None:
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        board = read_mine(map, "ore")
        layer = KindLayer([["iron", "gold", "partial_gold"]], "floor", cells_of(board["ore"]))
        super().__init__(board, num_agents, observation, [layer], extras)
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(beam_length)
        self.ore_cells, self.ore_index_at = layer.cells, index_of_cells(layer.cells, self.walls.shape)
        length = int(self.beam_reach.max(initial=1))
        self.ore_on_rays = beams.ray_table(self.ore_index_at, len(layer.cells), length)
        self.default_params = self.params_from(Params, numbers | params)
        check_params(self.default_params)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, and no ore."""
        del params
        num_cells = len(self.ore_cells)
        return State(
            **self.start(*self.random_spawns(key)),
            cooldowns=jnp.zeros((self.num_agents, 1), jnp.int32),
            rays=jnp.zeros((self.num_agents, 1), jnp.int32),
            ore=jnp.zeros(num_cells, jnp.int8),
            miners=jnp.full(num_cells, NOBODY, jnp.int16),
            windows=jnp.zeros(num_cells, jnp.int8),
        )

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        n = self.num_agents
        uniforms = uniform(key, 2 * n + 1 + len(self.ore_cells))
        return Draws(
            priorities=uniforms[:n],
            mining_priorities=uniforms[n : 2 * n],
            episode_end=uniforms[2 * n],
            ore_growth=uniforms[2 * n + 1 :],
        )

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: revert, mine, grow, move. `Environment.transition` explains the result."""
        on_rays = beams.look_along_rays(self.ore_on_rays, state, self.walls.shape[1])
        chances = params.iron_growth, params.gold_growth
        grown = items.grow_apart(state.ore, draws.ore_growth, chances, self.ore_index_at, state.positions)
        state = revert_gold(state)
        state, mined = mine(state, draws.mining_priorities, actions, self.reach_of, on_rays, params)
        state = state.replace(ore=jnp.where(grown > 0, grown, state.ore), step_count=state.step_count + 1)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        rewards = params.iron_reward * mined["iron"].astype(jnp.float32)
        rewards = rewards + params.gold_reward * mined["gold"].astype(jnp.float32)
        return state, rewards, lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance, mined

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The number `extra_names`, `[N, 1]` float32."""
        return lab2d.observe_beams(state.cooldowns, (params.mining_cooldown,), state.timeouts)[:, :1]

    def scene(self, state: State) -> Scene:
        """Paints ore, and beams up to the cells that they reached."""
        return super().scene(state)._replace(things=[state.ore], beams=[one_kind("beam", state.rays)])


def check_params(params: Params) -> None:
    """Raises a ValueError if a number is outside its range."""
    lab2d.check_ending_params(params)
    check_numbers(params, 1, "iron_growth", "gold_growth")
    most = f"at most 1 - iron_growth={params.iron_growth}"
    require(params.iron_growth + params.gold_growth <= 1, "gold_growth", params.gold_growth, most)
    check_counts(params, "mining_cooldown", least=0)
    check_count("partial_steps", params.partial_steps, most=MOST_PARTIAL_STEPS)
    check_numbers(params, float("inf"), "iron_reward", "gold_reward")


def revert_gold(state: State) -> State:
    """The windows of partial gold count down; at 0 it is gold that waits for nobody."""
    windows = jnp.maximum(state.windows - 1, 0).astype(jnp.int8)
    is_over = (state.ore == PARTIAL) & (windows == 0)
    return state.replace(
        windows=windows,
        ore=jnp.where(is_over, jnp.int8(GOLD), state.ore),
        miners=jnp.where(is_over, jnp.int16(NOBODY), state.miners),
    )


def mine(
    state: State,
    priorities: jax.Array,
    actions: jax.Array,
    reach_of: lab2d.ReachOf,
    on_rays: jax.Array,
    params: Params,
) -> tuple[State, dict[str, jax.Array]]:
    """Fires the beams of all agents; each stops at a wall or at the first ore, and passes agents.

    Every second miner of a gold ore completes a pair. If one is left over, the gold stays, partial, for that agent.

    Args:
      state: before the moves, with partial gold whose time is over reverted.
      priorities: `[N]` float32, the order of the hits.
      actions: `[N]` int32.
      reach_of: see `GridEnvironment.reach_of`.
      on_rays: `[N, 1, length]` int32, the ore cells on each ray, see `beams.look_along_rays`.
      params: has the cooldown and the steps of partial gold.

    Returns:
      The state, and by name what each agent did, `[N]` int32: `mined`, ore that its beam hit, `iron` and `gold`, ore
      that it is rewarded for.
    """
    cooldown_steps = jnp.asarray(params.mining_cooldown, jnp.int32)[None]
    wants = (actions == BEAM)[:, None]
    cooldowns, is_fired = lab2d.trigger(state.cooldowns, state.timeouts == 0, wants, cooldown_steps)
    reach = reach_of(state.positions, state.headings, is_fired[:, 0])
    target, rays = compute_once(items.first_on_rays)(state.ore, on_rays, reach)
    kind, place, count, helps = compute_once(count_miners)(state.ore, state.miners, target, priorities)
    is_gold = kind >= GOLD
    is_paired = is_gold & ((place % 2 == 1) | (place + 1 < count))
    stays = is_gold & (count % 2 == 1)
    agent = with_trailing_axes(np.arange(len(actions), dtype=np.int32), actions.ndim)
    last = jnp.where(place + 1 == count, target, np.int32(len(state.ore)))
    put = compute_once(items.put)
    state = state.replace(
        cooldowns=cooldowns,
        fired=is_fired[:, 0],
        rays=rays,
        ore=put(state.ore, last, jnp.where(stays, jnp.int8(PARTIAL), jnp.int8(0))),
        miners=put(state.miners, last, jnp.where(stays, agent, NOBODY).astype(jnp.int16)),
        windows=put(state.windows, last, jnp.where(stays, params.partial_steps, 0).astype(jnp.int8)),
    )
    iron, mined = (those.astype(jnp.int32) for those in (kind == IRON, kind > 0))
    gold = is_paired.astype(jnp.int32) + count_others(helps, axis=0)
    return state, {"mined": mined, "iron": iron, "gold": gold}


def count_miners(
    ore: jax.Array, miners: jax.Array, target: jax.Array, priorities: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Counts the miners of each ore, in the order in which they hit it.

    The agent whose partial gold it was is counted as the first one, unless it hits the ore first in this step.

    Args:
      ore: `[A]` int8.
      miners: `[A]` int16.
      target: `[N]` int32, the ore that the beam of each agent hits, A if none.
      priorities: `[N]` float32.

    Returns:
      Of the ore that each agent hits: its kind, `[N]` int8, 0 if none; the number of its miners before the agent and
      the number of all, `[N]` int32 each; and whether agent i is the first that hits the partial gold of j, `[N, N]`
      bool.
    """
    chex.assert_equal_shape([ore, miners])
    chex.assert_equal_shape([target, priorities])
    agent = with_trailing_axes(np.arange(len(target), dtype=np.int32), target.ndim)
    kind, owner = items.take(ore, target), items.take(miners, target).astype(jnp.int32)
    is_same = (target[:, None] == target[None]) & (kind > 0)[:, None]
    place = count_others(is_same & goes_first(priorities))
    is_owner_first = any_other(is_same & (place == 0)[None] & (agent[None] == owner[:, None]))
    has_waited = (kind == PARTIAL) & ~is_owner_first
    helps = (has_waited & (place == 0))[:, None] & (agent[None] == owner[:, None])
    extra = has_waited.astype(jnp.int32)
    return kind, place + extra, count_others(is_same) + extra, helps
