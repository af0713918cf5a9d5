"""Commons: many agents harvest apples that grow back faster if more apples are left nearby.

The game of Perolat et al. 2017, "A multi-agent reinforcement learning model of common-pool resource appropriation"
(arXiv:1707.06600), as far as it is known; docs/commons.md lists our own choices.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.batching import batched, compute_once
from jaxdilemmas.environment import Transition
from jaxdilemmas.grid import spawning
from jaxdilemmas.grid.beams import find_hits, tag_agents
from jaxdilemmas.grid.environment import (
    DensityParams,
    GridEnvironment,
    GridState,
    check_density_params,
    outcome,
)
from jaxdilemmas.grid.maps import SYMBOLS, Board, read_layers
from jaxdilemmas.grid.movement import BEAM, move_agents
from jaxdilemmas.grid.views import Window
from jaxdilemmas.uniforms import uniform

MAPS = {
    "default": """
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@PPPPPPPPPPPPPPPPPPPPPPPPPPPP@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..........................P@
@P..........................P@
@P.......AAAAAA.............P@
@P.......AAAAAA.............P@
@P.......AAAAAA.............P@
@P.......AAAAAA.............P@
@P..........................P@
@P..........................P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@P..AAAA.......AAAA.........P@
@PPPPPPPPPPPPPPPPPPPPPPPPPPPP@
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
"""
}
"""The floor cells along the wall are spawn cells. Source: vicgalle/llm-policies-social-dilemmas @ f5c5b2b (MIT)."""


class Params(DensityParams):
    """The numbers in the rules: those of `DensityParams`."""


class State(GridState):
    """One moment of the game: `GridState` with the cells where agents return.

    The position of an agent that is out is the cell where it will return.

    Attributes:
      spawns: `[N, 2]` int32 (row, col), where each agent started and returns.
    """

    spawns: jax.Array


class Draws(struct.PyTreeNode):
    """The random numbers of one step.

    Attributes:
      priorities: `[N]` float32 in [0, 1); they decide which of several agents gets a cell.
      apple_growth: `[A]` float32 in [0, 1), compared with each apple's probability to grow back.
    """

    priorities: jax.Array
    apple_growth: jax.Array


class Commons(GridEnvironment):
    """See the module for the game and docs/commons.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells, by default those along the wall.
      observation: "tiles", "one_hot" or "rgb".
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    window = Window(ahead=20, behind=0, side=10)
    policy_module = "jaxdilemmas.policies.gathering"

    def __init__(self, num_agents: int = 12, observation: str = "tiles", map: Board = "default", **params: Any) -> None:
        super().__init__(read_layers(map, MAPS, SYMBOLS), num_agents, observation)
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(length=20, half_width=2)
        self.default_params = self.params_from(Params, params)
        check_density_params(self.default_params)
        self.neighbours = spawning.neighbours_within(self.apple_cells, radius=2)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, and every apple there."""
        del params
        spawns, headings = self.random_spawns(key)
        return State(**self.start(spawns, headings), spawns=jnp.array(spawns))  # donated states share no buffer

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = uniform(key, self.num_agents + len(self.apple_cells))
        return Draws(uniforms[: self.num_agents], uniforms[self.num_agents :])

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: return, move, beam, grow, collect. `Environment.transition` explains the result."""
        timeouts = spawning.return_agents(state.timeouts, state.spawns, state.positions)
        state = state.replace(timeouts=timeouts, step_count=state.step_count + 1)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        is_present = state.timeouts == 0
        is_firing = (actions == BEAM) & is_present
        reach = self.reach_of(state.positions, state.headings, is_firing)
        given = compute_once(find_hits)(state.positions, state.headings, reach, state.positions, is_present).given
        state = tag_agents(state.replace(fired=is_firing), given, state.spawns, params)
        apples = spawning.regrow_by_density(
            state.apples, self.neighbours, params.regrowth_probabilities, draws.apple_growth
        )
        is_left = state.timeouts == 0
        collected, apples = spawning.collect_alive(apples, self.apple_index_at, state.positions, is_left)
        return outcome(state.replace(apples=apples), collected, given)
