"""Gathering: two players, a few apples that return, and a beam that removes the rival for some steps.

The game of Leibo et al. 2017, "Multi-agent Reinforcement Learning in Sequential Social Dilemmas" (arXiv:1702.03037), as
far as it is known; docs/gathering.md lists the questions that the paper leaves open and our own choices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_flag
from jaxdilemmas.batching import batched, compute_once
from jaxdilemmas.environment import Transition
from jaxdilemmas.grid import spawning
from jaxdilemmas.grid.beams import find_hits, tag_agents
from jaxdilemmas.grid.environment import GridEnvironment, GridState, TimerParams, check_timer_params, outcome
from jaxdilemmas.grid.geometry import with_trailing_axes
from jaxdilemmas.grid.maps import SYMBOLS, Board, read_layers
from jaxdilemmas.grid.movement import BEAM, move_agents
from jaxdilemmas.grid.views import Window
from jaxdilemmas.uniforms import uniform

MAPS = {
    "default": """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@...............................@
@...............................@
@...............................@
@...............A...............@
@..............AAA..............@
@P............AAAAA............P@
@..............AAA..............@
@...............A...............@
@...............................@
@...............................@
@...............................@
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
"""
}


class Params(TimerParams):
    """The numbers in the rules: those of `TimerParams`."""


class State(GridState):
    """One moment of the game: `GridState` with timers.

    The position of an agent that is out is the cell where it will return.

    Attributes:
      apple_timers: `[A]` int32, steps until each collected apple is back.
    """

    apple_timers: jax.Array


class Draws(struct.PyTreeNode):
    """The random numbers of one step.

    Attributes:
      priorities: `[N]` float32 in [0, 1); they decide which of several agents gets a cell.
    """

    priorities: jax.Array


class Gathering(GridEnvironment):
    """See the module for the game and docs/gathering.md for its rules.

    Args:
      num_agents: N; on the default board agents 0 and 1 start at opposite ends.
      observation: "tiles", "one_hot" or "rgb".
      beam_enabled: if False, action 6 does nothing and no agent is ever tagged.
      beam_length: cells that the beam covers if no wall is in the way.
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md. Agents 0, 1, ... start
        on its spawn cells, row by row. If there are too few, the other agents start on the nearest free cells.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    window = Window(ahead=15, behind=0, side=10)
    policy_module = "jaxdilemmas.policies.gathering"

    def __init__(
        self,
        num_agents: int = 2,
        observation: str = "tiles",
        beam_enabled: bool = True,
        beam_length: int = 20,
        map: Board = "default",
        **params: Any,
    ) -> None:
        super().__init__(read_layers(map, MAPS, SYMBOLS), num_agents, observation)
        self.default_params = self.params_from(Params, params)
        check_timer_params(self.default_params)
        self.spawn_cells = order_spawn_cells(self.spawn_cells, self.walls, self.apple_cells)
        self.check_num_agents(len(self.spawn_cells))
        check_flag("beam_enabled", beam_enabled)
        self.beam_enabled = beam_enabled
        self.set_beam(beam_length)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on their spawn cells with random headings, and every apple there."""
        del params
        positions = jnp.asarray(self.spawn_cells[: self.num_agents])
        no_wait = jnp.zeros(len(self.apple_cells), jnp.int32)
        return State(**self.start(positions, self.random_headings(key)), apple_timers=no_wait)

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the priorities of one step."""
        del state, params
        return Draws(uniform(key, self.num_agents))

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: return, move, beam, grow, collect. `Environment.transition` explains the result."""
        homes = with_trailing_axes(jnp.asarray(self.spawn_cells[: self.num_agents]), state.positions.ndim)
        homes = jnp.broadcast_to(homes, state.positions.shape)
        timeouts = spawning.return_agents(state.timeouts, homes, state.positions)
        state = state.replace(timeouts=timeouts, step_count=state.step_count + 1)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        is_present = state.timeouts == 0
        is_firing = (actions == BEAM) & is_present & self.beam_enabled
        reach = self.reach_of(state.positions, state.headings, is_firing)
        given = compute_once(find_hits)(state.positions, state.headings, reach, state.positions, is_present).given
        state = tag_agents(state.replace(fired=is_firing), given, homes, params)
        apples, apple_timers = spawning.count_down(state.apples, state.apple_timers)
        is_left = state.timeouts == 0
        collected, apples = spawning.collect_alive(apples, self.apple_index_at, state.positions, is_left)
        apple_timers = spawning.start_timers(apples, apple_timers, params.apple_respawn_steps)
        return outcome(state.replace(apples=apples, apple_timers=apple_timers), collected, given)


def order_spawn_cells(spawn_cells: np.ndarray, walls: np.ndarray, apple_cells: np.ndarray) -> np.ndarray:
    """The spawn cells of the map, then all other free cells by their distance to the nearest spawn cell.

    Cells with apples are left out. Equal distances are ordered by row, then by column.

    Args:
      spawn_cells: `[S, 2]` int32.
      walls: `[H, W]` bool.
      apple_cells: `[A, 2]` int32.

    Returns:
      `[P, 2]` int32.

    Source: our choice.
    """
    is_free = ~walls
    is_free[tuple(apple_cells.T)] = False
    cells = np.argwhere(is_free).astype(np.int32)
    distance = np.abs(cells[:, None, :] - spawn_cells[None, :, :]).sum(-1).min(1)
    return cells[np.argsort(distance, kind="stable")]
