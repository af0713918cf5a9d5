"""Cleanup as in Gallego 2026 (arXiv:2603.19453): each shot costs the shooter 1, and a shot cleans a whole rectangle.

Source of every rule: vicgalle/llm-policies-social-dilemmas @ f5c5b2b, whose recorded episodes this game replays step by
step. Cleaning costs the agent that cleans. A cleaning beam removes all the waste in its rectangle. All apples are there
at the start. docs/gallego.md contains the rules; `cleanup` is the game by the rules of DeepMind.
"""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import batched, compute_once
from jaxdilemmas.environment import Transition, check_counts, check_numbers
from jaxdilemmas.grid import one_by_one, river
from jaxdilemmas.grid.beams import find_hits
from jaxdilemmas.grid.bits import count_bits, pack_bits, unpack_bits
from jaxdilemmas.grid.environment import GridEnvironment, GridParams, GridState, outcome
from jaxdilemmas.grid.geometry import any_other, count_others, same_cell, with_trailing_axes
from jaxdilemmas.grid.maps import Board, cells_of
from jaxdilemmas.grid.movement import CLEAN
from jaxdilemmas.grid.scene import Scene, one_kind
from jaxdilemmas.grid.spawning import collect_alive
from jaxdilemmas.grid.views import Window
from jaxdilemmas.uniforms import uniform

SYMBOLS = {"@": "wall", " ": "floor", "A": "apple", "P": "spawn", "R": "river", "H": "waste", "S": "stream"}

MAPS = {
    "small": """
@@@@@@@@@@@@@
@RRR   AAAAA@
@HHH   AAAAA@
@RRRSS AAAAA@
@RR  P AAAAA@
@HH  P AAAAA@
@RR  P AAAAA@
@RRRSS AAAAA@
@HHH   AAAAA@
@RRR   AAAAA@
@@@@@@@@@@@@@
""",
    "full": """
@@@@@@@@@@@@@@@@@@
@RRRRRR     AAAAA@
@HHHHHH      AAAA@
@RRRRRR     AAAAA@
@RRRRR  P    AAAA@
@RRRRR    P AAAAA@
@HHHHH       AAAA@
@RRRRR      AAAAA@
@HHHHHHSSSSSSAAAA@
@HHHHHHSSSSSSAAAA@
@RRRRR   P P AAAA@
@HHHHH   P  AAAAA@
@RRRRRR    P AAAA@
@HHHHHH P   AAAAA@
@RRRRR       AAAA@
@HHHH    P  AAAAA@
@RRRRR       AAAA@
@HHHHH  P P AAAAA@
@RRRRR       AAAA@
@HHHH       AAAAA@
@RRRRR       AAAA@
@HHHHH      AAAAA@
@RRRRR       AAAA@
@HHHH       AAAAA@
@@@@@@@@@@@@@@@@@@
""",
}


class Params(river.RiverParams, GridParams):
    """The numbers in the rules: those of `RiverParams` and `GridParams`, with one hit to tag, and the cost of cleaning.

    Attributes:
      clean_cost: cost of a cleaning beam to the agent that fires it.
    """

    hits_to_tag: Any = 1
    clean_cost: Any = 1.0


class State(river.RiverState, GridState):
    """One moment of the game: `GridState` with the river."""


class Draws(river.RiverDraws):
    """The random numbers of one step: those of `RiverDraws`."""


class CleanupGallego(GridEnvironment):
    """See the module for the game and docs/gallego.md for its rules.

    Args:
      map: "small" (24 river cells, 45 apples), "full" (119 and 103), a board drawn as text, or the `pathlib.Path` of a
        file; see docs/boards.md.
      num_agents: N.
      observation: "tiles", "one_hot" or "rgb".
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      river_cells: `[R, 2]` int32, row-major, the cells that may be under waste.
      starts_dirty: `[R]` bool, the cells under waste at the start.
      open_cells: `[., 2]` int32, cells without apples and river; agents start here if there are too few spawn cells.
    """

    num_actions = 9
    tiles = (*river.TILES, "tagged")
    colours = river.COLOURS
    outside = "wall"
    is_beam_blocked = False
    policy_module = "jaxdilemmas.policies.cleanup"
    window = Window(ahead=7, behind=0, side=7)

    def __init__(self, map: Board = "full", num_agents: int = 5, observation: str = "tiles", **params: Any) -> None:
        board, layer, self.starts_dirty = river.read_river(map, MAPS, SYMBOLS)
        super().__init__(board, num_agents, observation, [layer])
        self.open_cells = cells_of(board["floor"] | board["spawn"])
        self.set_beam(length=5, half_width=1)
        self.river_cells = layer.cells
        self.default_params = self.params_from(Params, params)
        river.check_river_params(self.default_params)
        check_counts(self.default_params, "timeout_steps", "hits_to_tag")
        check_numbers(self.default_params, float("inf"), "clean_cost")

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents at random places, every apple there, and the river of the map."""
        del params
        places = one_by_one.random_places(key, self.num_agents, self.spawn_cells, self.open_cells)
        return State(**self.start(*places), **river.start(self.starts_dirty, self.num_agents))

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = uniform(key, 2 + len(self.apple_cells))
        return Draws(uniforms[0], uniforms[1], uniforms[2:])

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: act in order, clean, waste, grow, collect. `Environment.transition` explains the result."""
        state, done, given = one_by_one.act_in_order(state, actions, self.walls, self.beam_reach, params)
        state = state.replace(cleaned_at=done == CLEAN, step_count=state.step_count + 1)
        rays = self.reach_of(state.positions, state.headings, state.cleaned_at)
        cleaned, waste = clean(state, self.river_cells, rays)
        state = state.replace(waste=waste)
        waste, apples = grow(draws, state, params, self.river_cells, self.apple_cells)
        is_present = state.timeouts == 0
        collected, apples = collect_alive(apples, self.apple_index_at, state.positions, is_present)
        rewards = pay(collected, state, given, params)
        return outcome(state.replace(apples=apples, waste=waste), collected, given, rewards, cleaned=cleaned)

    def scene(self, state: State) -> Scene:
        """Paints beams of both kinds in full length, and tagged agents as well."""
        scene = one_by_one.all_on_the_board(super().scene(state), state.timeouts)
        clean_rays = self.reach_of(state.positions, state.headings, state.cleaned_at)
        return scene._replace(
            things=[state.apples, state.waste], beams=[one_kind("clean_beam", clean_rays), *scene.beams]
        )


def clean(state: State, river_cells: np.ndarray, rays: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Removes all waste in cleaning beams; of several agents whose beams reach it, the first is credited.

    The order of the agents matters only for this credit: waste blocks no agent, and an agent that fires does not move.

    Args:
      state: has the waste before the beams.
      river_cells: `[R, 2]` int32.
      rays: `[N, rays, ...]` int32, cells that each ray covers; 0 for agents that do not clean.

    Returns:
      The number of cells that each agent was the first to reach, `[N, ...]` int32, and the remaining waste, `[R, ...]`
      bool.
    """
    chex.assert_shape(river_cells, (len(state.waste), 2))

    def reach(positions: jax.Array, headings: jax.Array, rays: jax.Array, waste: jax.Array) -> jax.Array:
        cells = jnp.broadcast_to(with_trailing_axes(river_cells, positions.ndim), (len(waste), *positions.shape[1:]))
        reached = find_hits(positions, headings, rays, cells, waste).given  # [N, R, ...]
        return jnp.stack([pack_bits(cells) for cells in reached])

    reached = compute_once(reach)(state.positions, state.headings, rays, state.waste)
    cleaned, earlier = [], jnp.zeros_like(reached[0])
    for cells in reached:
        cleaned.append(count_bits(cells & ~earlier))
        earlier |= cells
    return jnp.stack(cleaned), state.waste & ~unpack_bits(earlier, len(state.waste))


def grow(
    draws: Draws, state: State, params: Params, river_cells: np.ndarray, apple_cells: np.ndarray
) -> tuple[jax.Array, jax.Array]:
    """Waste appears in the river unless there is too much; then apples grow. Neither appears on a cell with an agent.

    The amount of waste decides the growth of apples.

    Args:
      draws: the random numbers of the step.
      state: after the beams.
      params: has the rate and the thresholds.
      river_cells: `[R, 2]` int32.
      apple_cells: `[A, 2]` int32.

    Returns:
      waste `[R, ...]` bool and apples `[A, ...]` bool.
    """

    def find_space(cells: np.ndarray, positions: jax.Array) -> jax.Array:
        return ~any_other(same_cell(with_trailing_axes(cells, positions.ndim), positions))

    is_free, has_space = (
        compute_once(partial(find_space, cells))(state.positions) for cells in (river_cells, apple_cells)
    )
    num_cells = len(river_cells)
    words = compute_once(pack_bits)(state.waste)
    is_open = river.waste_fraction(words, num_cells) < params.depletion_threshold
    candidates = compute_once(lambda *masks: pack_bits(~masks[0] & masks[1] & masks[2]))(state.waste, is_free, is_open)
    words |= river.new_waste(draws, candidates, params)
    is_growing = (draws.apple_growth < river.growth_probability(words, num_cells, params)) & has_space
    return unpack_bits(words, num_cells), state.apples | is_growing


def pay(collected: jax.Array, state: State, given: jax.Array, params: Params) -> jax.Array:
    """Rewards: one for each apple, minus the costs of shots of both kinds to the shooter and of fines to the agent hit.

    Args:
      collected: `[N, ...]` int32.
      state: has `fired` and `cleaned_at` `[N, ...]` bool.
      given: `[N, N, ...]` bool, [i, j] is whether i hits j.
      params: has the costs.

    Returns:
      `[N, ...]` float32.
    """
    chex.assert_equal_shape([collected, state.fired, state.cleaned_at])
    chex.assert_equal_shape_suffix([given, collected], collected.ndim)
    counts = collected, state.fired, state.cleaned_at, count_others(given, axis=0)
    apples, fired, cleaned_at, received = (count.astype(jnp.float32) for count in counts)
    costs = params.fine_cost * fired + params.clean_cost * cleaned_at
    return apples - costs - params.fine_penalty * received
