"""Gathering and Commons exactly as in the policy synthesis work of Gallego 2026 (arXiv:2603.19453).

Source of every rule: vicgalle/llm-policies-social-dilemmas @ f5c5b2b, whose recorded episodes these games replay step
by step. Agents act one after the other in the order of their index and walk through each other. A tagged agent stays
where it is. Beams pass through walls. docs/gallego.md contains the rules; `gathering` and `commons` are our own games.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.batching import batched
from jaxdilemmas.environment import NoDraws, Transition
from jaxdilemmas.envs.commons import MAPS as COMMONS_MAPS
from jaxdilemmas.grid import one_by_one, spawning
from jaxdilemmas.grid.environment import (
    DensityParams,
    GridEnvironment,
    GridState,
    TimerParams,
    check_density_params,
    check_timer_params,
    outcome,
)
from jaxdilemmas.grid.maps import SYMBOLS, Board, cells_of, read_layers
from jaxdilemmas.grid.scene import Scene
from jaxdilemmas.grid.views import Window
from jaxdilemmas.uniforms import uniform

MAPS = {
    "small": """
@@@@@@@@@@@@@@@@@@
@P.....A.A.....P@.
@......A.A......@.
@......A.A......@.
@......A.A......@.
@......A.A......@.
@......A.A......@.
@......A.A......@.
@................@
@@@@@@@@@@@@@@@@@@
""",
    "default": """
@@@@@@@@@@@@@@@@@@@@@@@@@....
@P.........AAA.........@.....
@..........AAA.........@.....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@...........................@
@...........................@
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA..........@....
@..........AAA.........P@....
@@@@@@@@@@@@@@@@@@@@@@@@@....
""",
    "large": """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@.P...P......A....P.AAAAA....P..A.P.@.
@..P.....A.P.AA....P....AAA....A..A.@.
@.....A.AAA..AAA....A....A.AA.AAAA..@.
@.A..AAA.A....A..A.AAA..A..A...A.A..@.
@AAA..A.A....A..AAA.A..AAA........A.P@
@.A.A..AAA..AAA..A.A....A.AA...AA.AA@.
@..A.A..AAA....A.A..AAA....AAA..A...@.
@...AAA..A......AAA..A....AAAA......@.
@.P..A.......A..A.AAA....A..A......P@.
@A..AAA..A..A..AAA.A....AAAA.....P..@.
@....A.A...AAA..A.A......A.AA...A.P.@.
@.....AAA...A.A..AAA......AA...AAA.P@.
@.A....A.....AAA..A..P..........A...@.
@.......P.....A.........P..P.P.....P@.
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
""",
}
"""In the reference the rows have different lengths. They are filled up with floor on the right."""


class GatheringParams(TimerParams):
    """The numbers in the rules of `GatheringGallego`: those of `TimerParams`."""


class CommonsParams(DensityParams):
    """The numbers in the rules of `CommonsGallego`: those of `DensityParams`."""


class GatheringState(GridState):
    """A moment of `GatheringGallego`: `GridState` with timers.

    Attributes:
      apple_timers: `[A]` int32, steps until each apple is back.
    """

    apple_timers: jax.Array


class CommonsDraws(struct.PyTreeNode):
    """The random numbers of one step of `CommonsGallego`: `apple_growth` `[A]` float32 in [0, 1)."""

    apple_growth: jax.Array


class GatheringGallego(GridEnvironment):
    """Gathering as in Gallego 2026: agents act one after the other, and beams pass through walls and agents.

    Args:
      map: "small" (14 apples), "default" (51), "large" (155), a board drawn as text, or the `pathlib.Path` of a file;
        see docs/boards.md.
      num_agents: N.
      observation: "tiles", "one_hot" or "rgb".
      **params: fields of `GatheringParams`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      open_cells: `[., 2]` int32, cells without apples; agents start here if there are too few spawn cells.
    """

    version = "2"
    policy_module = "jaxdilemmas.policies.gathering"
    outside = "wall"
    tiles = one_by_one.TILES
    is_beam_blocked = False
    window = Window(ahead=15, behind=0, side=10)

    def __init__(self, map: Board = "default", num_agents: int = 2, observation: str = "tiles", **params: Any) -> None:
        board = read_layers(map, MAPS, SYMBOLS)
        super().__init__(board, num_agents, observation)
        self.open_cells = cells_of(board["floor"] | board["spawn"])
        self.set_beam(length=20)
        self.default_params = self.params_from(GatheringParams, params)
        check_timer_params(self.default_params)

    def initial_state(self, key: jax.Array, params: GatheringParams) -> GatheringState:
        """Agents at random places, and every apple there."""
        del params
        places = one_by_one.random_places(key, self.num_agents, self.spawn_cells, self.open_cells)
        return GatheringState(**self.start(*places), apple_timers=jnp.zeros(len(self.apple_cells), jnp.int32))

    @batched
    def transition(
        self, draws: NoDraws, state: GatheringState, actions: jax.Array, params: GatheringParams
    ) -> Transition:
        """One step: act in order, grow, collect. `Environment.transition` explains the result."""
        del draws
        state, _, given = one_by_one.act_in_order(state, actions, self.walls, self.beam_reach, params)
        apples, apple_timers = spawning.count_down(state.apples, state.apple_timers)
        is_present = state.timeouts == 0
        collected, apples = spawning.collect_alive(apples, self.apple_index_at, state.positions, is_present)
        apple_timers = spawning.start_timers(apples, apple_timers, params.apple_respawn_steps)
        state = state.replace(apples=apples, apple_timers=apple_timers, step_count=state.step_count + 1)
        return outcome(state, collected, given)

    def scene(self, state: GridState) -> Scene:
        """Paints tagged agents as well."""
        return one_by_one.all_on_the_board(super().scene(state), state.timeouts)


class CommonsGallego(GridEnvironment):
    """Commons as in Gallego 2026: agents act one after the other, and apples grow one after the other.

    Args:
      num_agents: N.
      observation: "tiles", "one_hot" or "rgb".
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      **params: fields of `CommonsParams`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      open_cells: `[., 2]` int32, cells without apples; agents start here if there are too few spawn cells.
    """

    version = "2"
    policy_module = "jaxdilemmas.policies.gathering"
    outside = "wall"
    tiles = one_by_one.TILES
    is_beam_blocked = False
    window = Window(ahead=20, behind=0, side=10)

    def __init__(self, num_agents: int = 12, observation: str = "tiles", map: Board = "default", **params: Any) -> None:
        board = read_layers(map, COMMONS_MAPS, SYMBOLS)
        super().__init__(board, num_agents, observation)
        self.open_cells = cells_of(board["floor"] | board["spawn"])
        self.set_beam(length=20, half_width=2)
        self.default_params = self.params_from(CommonsParams, params)
        check_density_params(self.default_params)
        self.neighbours = spawning.neighbours_within(self.apple_cells, radius=2)

    def initial_state(self, key: jax.Array, params: CommonsParams) -> GridState:
        """Agents at random places, and every apple there."""
        del params
        places = one_by_one.random_places(key, self.num_agents, self.spawn_cells, self.open_cells)
        return GridState(**self.start(*places))

    def draw(self, key: jax.Array, state: GridState, params: CommonsParams) -> CommonsDraws:
        """Draws the uniforms of one step."""
        del state, params
        return CommonsDraws(uniform(key, len(self.apple_cells)))

    @batched
    def transition(
        self, draws: CommonsDraws, state: GridState, actions: jax.Array, params: CommonsParams
    ) -> Transition:
        """One step: act in order, grow, collect. `Environment.transition` explains the result."""
        state, _, given = one_by_one.act_in_order(state, actions, self.walls, self.beam_reach, params)
        apples = spawning.regrow_by_density_in_order(
            state.apples, self.neighbours, params.regrowth_probabilities, draws.apple_growth
        )
        is_present = state.timeouts == 0
        collected, apples = spawning.collect_alive(apples, self.apple_index_at, state.positions, is_present)
        return outcome(state.replace(apples=apples, step_count=state.step_count + 1), collected, given)

    def scene(self, state: GridState) -> Scene:
        """Paints tagged agents as well."""
        return one_by_one.all_on_the_board(super().scene(state), state.timeouts)
