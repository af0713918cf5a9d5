"""Cleanup: apples grow only while some agents clean the river, and cleaning gives no reward.

The public goods game of Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social dilemmas"
(arXiv:1803.08884), by the rules that DeepMind published with Lab2D. docs/cleanup.md contains the rules, their sources
and our own choices. `cleanup_meltingpot` is the game by the rules of Melting Pot.
"""

from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp

from jaxdilemmas.batching import batched, compute_once, fold
from jaxdilemmas.environment import Transition
from jaxdilemmas.grid import beams, lab2d, river
from jaxdilemmas.grid.bits import pack_bits, unpack_bits
from jaxdilemmas.grid.environment import GridEnvironment, GridState, outcome
from jaxdilemmas.grid.maps import Board
from jaxdilemmas.grid.movement import goes_first, move_agents
from jaxdilemmas.grid.scene import Scene
from jaxdilemmas.grid.spawning import collect
from jaxdilemmas.uniforms import uniform

SYMBOLS = {
    "*": "wall",
    " ": "floor",
    "H": "river",
    "F": "waste",
    "S": "stream",
    "B": "apple",
    "P": "spawn",
}

MAPS = {
    "default": """
******************************
*HFFFHFFHFHFHFHFHFHFHHFHFFFHF*
*HFHFHFFHFHFHFHFHFHFHHFHFFFHF*
*HFFHFFHHFHFHFHFHFHFHHFHFFFHF*
*HFHFHFFHFHFHFHFHFHFHHFHFFFHF*
*HFFFFFFHFHFHFHFHFHFHHFHFFFHF*
*               HFHHHHHH     *
*   P    P          SSS      *
*     P     P   P   SS   P   *
*             P   PPSS       *
*   P    P          SS    P  *
*               P   SS P     *
*     P           P SS       *
*           P       SS  P    *
*  P             P PSS       *
* B B B B B B B B B SSB B B B*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
*BBBBBBBBBBBBBBBBBBBBBBBBBBBB*
******************************
"""
}
"""Source: google-deepmind/lab2d @ 0947443 (Apache-2.0)."""


class Params(river.BeamParams):
    """The numbers in the rules: those of `BeamParams`."""


class State(river.RiverState, lab2d.BeamState, GridState):
    """One moment of the game: `GridState` with the beams `river.FINE` and `river.CLEAN`, and with the river."""


class Draws(river.RiverDraws):
    """The random numbers of one step: `RiverDraws`, plus those of moves; float32 in [0, 1).

    Attributes:
      priorities: `[N]`; they decide which of several agents gets a cell, or the credit for waste that several agents
        clean.
    """

    priorities: jax.Array


class Cleanup(GridEnvironment):
    """See the module for the game and docs/cleanup.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      extras: whether agents observe the numbers `extra_names` beside their view, as an `Observation`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      river_cells: `[R, 2]` int32, row-major, the cells that may be under waste.
      river_rays: `[H * W, 4, 3, length]` int32, see `river.rays_over`.
      starts_dirty: `[R]` bool, the cells under waste at the start.
      rays_stop_at_waste: True; a ray of the cleaning beam removes only the first waste on it.
    """

    window = lab2d.WINDOW
    beam_side_start = lab2d.SIDE_START
    num_actions = 9
    extra_names = river.EXTRAS
    rays_stop_at_waste = True
    tiles = river.TILES
    colours = river.COLOURS
    policy_module = "jaxdilemmas.policies.cleanup"
    boards: tuple[Mapping[str, str], Mapping[str, str]] = (MAPS, SYMBOLS)
    beam_length = 5

    def __init__(
        self,
        num_agents: int = 5,
        observation: str = "tiles",
        map: Board = "default",
        extras: bool = False,
        **params: Any,
    ) -> None:
        board, layer, self.starts_dirty = river.read_river(map, *self.boards)
        super().__init__(board, num_agents, observation, [layer], extras)
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(self.beam_length, lab2d.NUM_RAYS // 2)
        self.river_cells = layer.cells
        self.river_rays = river.rays_over(layer.cells, self.walls.shape, self.beam_length)
        self.default_params = self.params_from(Params, params)
        river.check_beam_params(self.default_params)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, no apples, and the river of the map."""
        del params
        start = self.start(*self.random_spawns(key)) | lab2d.ready_beams(self.num_agents, num_beams=2)
        start["apples"] = jnp.zeros(len(self.apple_cells), bool)
        return State(**start, **river.start(self.starts_dirty, self.num_agents))

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        num_agents = self.num_agents
        uniforms = uniform(key, num_agents + 2 + len(self.apple_cells))
        return Draws(
            priorities=uniforms[:num_agents],
            waste_gate=uniforms[num_agents],
            waste_choice=uniforms[num_agents + 1],
            apple_growth=uniforms[num_agents + 2 :],
        )

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: waste, move, collect, fire, grow, collect. `Environment.transition` explains the result."""
        num_apples, num_river = len(self.apple_cells), len(self.river_cells)
        everybody = state.timeouts == 0
        apples, waste = compute_once(pack_bits)(state.apples), compute_once(pack_bits)(state.waste)
        chance = river.growth_probability(waste, num_river, params)
        waste = river.grow_waste(waste, num_river, draws, state.step_count, params)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        eaten, apples = collect(apples, self.apple_index_at, state.positions, everybody)
        on_ray = beams.look_along_rays(self.river_rays, state, self.walls.shape[1])
        state, shots = river.fire_beams(state, waste, actions, self.reach_of, on_ray, params)
        apples = apples | river.grow_apples(draws.apple_growth, chance)
        found, apples = collect(apples, self.apple_index_at, state.positions, everybody)
        cleaned = river.count_cleaned(credit_first(shots.waste_met, draws.priorities), waste)
        state = state.replace(
            apples=unpack_bits(apples, num_apples),
            waste=unpack_bits(waste & ~fold(jnp.bitwise_or, jnp.unstack(shots.waste_met, axis=1)), num_river),
            step_count=state.step_count + 1,
        )
        collected = eaten.astype(jnp.int32) + found.astype(jnp.int32)
        rewards = river.pay_for_fines(collected, shots.given, params)
        return outcome(state, collected, shots.given, rewards, cleaned=cleaned)

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The numbers `river.EXTRAS`, `[N, 3]` float32."""
        return river.observe_beams(state, params)

    def scene(self, state: State) -> Scene:
        """Paints apples and waste, and beams of both kinds up to the cells that they reached."""
        return river.paint(super().scene(state), state)


def credit_first(waste_met: jax.Array, priorities: jax.Array) -> jax.Array:
    """The cells that each agent is credited for.

    If several agents meet the same waste, the agent with the highest priority is credited.

    Args:
      waste_met: `[W, N, ...]` uint32, packed bits, see `river.Shots`.
      priorities: `[N, ...]` float32.

    Returns:
      `[W, N, ...]` uint32.

    Source: our choice; so the sum of `cleaned` is the amount of waste that was removed.
    """
    chex.assert_equal_shape_suffix([waste_met, priorities], priorities.ndim)
    is_earlier = goes_first(priorities)
    others = [jnp.where(is_earlier[:, k], waste_met[:, k, None], jnp.uint32(0)) for k in range(len(priorities))]
    return waste_met & ~fold(jnp.bitwise_or, others)
