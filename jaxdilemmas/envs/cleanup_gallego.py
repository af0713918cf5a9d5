"""Cleanup exactly as in the policy synthesis work of Gallego 2026 (arXiv:2603.19453).

Source of every rule: vicgalle/llm-policies-social-dilemmas @ f5c5b2b, whose recorded episodes this game replays step by
step. Who cleans pays for it, a cleaning beam takes all the waste in its rectangle, and all apples are there at the
start. docs/gallego.md has the rules; `cleanup` is the game by the rules of DeepMind.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.environment import Transition, check_counts, check_numbers
from jaxdilemmas.envs.maps import read_river_layers
from jaxdilemmas.envs.river import RiverParams, check_river_params, growth_probability, new_waste, waste_fraction
from jaxdilemmas.gallego_environment import GallegoEnvironment
from jaxdilemmas.grid import beams, movement
from jaxdilemmas.grid.bits import pack_bits, unpack_bits
from jaxdilemmas.grid.geometry import same_cell
from jaxdilemmas.grid.maps import Board
from jaxdilemmas.grid.views import Window
from jaxdilemmas.grid_environment import RIVER_TILES, GridParams, GridState

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


class Params(RiverParams, GridParams):
    """The numbers in the rules: those of `RiverParams` and of `GridParams`, one hit to tag, and what cleaning costs.

    Attributes:
      hits_to_tag: beam hits that tag an agent.
      clean_cost: what a cleaning beam costs who fires it.
    """

    hits_to_tag: Any = 1
    clean_cost: Any = 1.0


class State(GridState):
    """One moment of the game: beside `GridState`, the river.

    Attributes:
      waste: `[R]` bool, where waste lies in the river.
      cleaned_at: `[N]` bool, whose cleaning beam is to be seen.
    """

    waste: jax.Array
    cleaned_at: jax.Array


class Draws(struct.PyTreeNode):
    """The chance of one step; float32 in [0, 1).

    Attributes:
      waste_gate: `[]`, whether new waste comes.
      waste_choice: `[]`, where.
      apple_growth: `[A]`, compared with the chance of an apple to grow.
    """

    waste_gate: jax.Array
    waste_choice: jax.Array
    apple_growth: jax.Array


class CleanupGallego(GallegoEnvironment):
    """See the module for the game and docs/gallego.md for its rules.

    Args:
      map: "small" (24 river cells, 45 apples), "full" (119 and 103), a board drawn as text, or the `pathlib.Path` of a
        file; see docs/boards.md.
      num_agents: N.
      observation: "tiles", "one_hot" or "rgb".
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    num_actions = 9
    tiles = (*RIVER_TILES, "tagged")
    policy_module = "jaxdilemmas.policies.cleanup"
    window = Window(ahead=7, behind=0, side=7)

    def __init__(self, map: Board = "full", num_agents: int = 5, observation: str = "tiles", **params: Any) -> None:
        layers = read_river_layers(map, MAPS, SYMBOLS)
        super().__init__(layers, num_agents, observation)
        self.set_beam(length=5, half_width=1, is_blocked=False)
        self.starts_dirty = layers["waste"][tuple(self.river_cells.T)]
        self.default_params = self.params_from(Params, params)
        check_river_params(self.default_params)
        check_counts(self.default_params, "timeout_steps", "hits_to_tag")
        check_numbers(self.default_params, float("inf"), "clean_cost")

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents placed at random, every apple there, the river as the map has it."""
        del params
        nobody = jnp.zeros(self.num_agents, bool)
        return State(**self.random_start(key), waste=jnp.asarray(self.starts_dirty), cleaned_at=nobody)

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = jax.random.uniform(key, (2 + len(self.apple_cells),), jnp.float32)
        return Draws(uniforms[0], uniforms[1], uniforms[2:])

    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: act in order, clean, waste, grow, collect. `Environment.transition` says what comes out."""
        state, done, given = self.act_in_order(state, actions, params)
        state, cleaned = self.clean(state.replace(cleaned_at=done == movement.CLEAN))
        state = self.grow(draws, state, params)
        state, collected = self.collect_apples(state)
        state, rewards, terminated, info = self.outcome(state, collected, given.sum(1, dtype=jnp.int32))
        info |= {"cleaned": cleaned, "fined": given.sum(0, dtype=jnp.int32)}
        fired, cleaned_at, fined = (did.astype(jnp.float32) for did in (state.fired, state.cleaned_at, info["fined"]))
        costs = params.fine_cost * fired + params.clean_cost * cleaned_at
        return state, rewards - costs - params.fine_penalty * fined, terminated, info

    def clean(self, state: State) -> tuple[State, jax.Array]:
        """All waste in cleaning beams goes: the state and how much each agent was the first to reach, `[N]` int32.

        That agents clean one after the other shows only there: waste is in nobody's way, and who fires does not move.
        """
        river, rays = jnp.asarray(self.river_cells), self.reach_of(state.replace(fired=state.cleaned_at))
        reached = beams.find_hits(state.positions, state.headings, rays, river, state.waste).given
        first = reached.argmax(0).astype(jnp.int32)
        is_cleaned = reached.any(0)
        agents = jnp.arange(self.num_agents, dtype=jnp.int32)
        cleaned = ((first[None, :] == agents[:, None]) & is_cleaned[None, :]).sum(1, dtype=jnp.int32)
        return state.replace(waste=state.waste & ~is_cleaned), cleaned

    def grow(self, draws: Draws, state: State, params: Params) -> State:
        """Waste comes to the river unless there is too much, then apples by what there is; neither where agents are."""
        is_free = ~same_cell(jnp.asarray(self.river_cells), state.positions).any(1)
        num_cells = len(self.river_cells)
        waste = pack_bits(state.waste)
        is_open = waste_fraction(waste, num_cells) < params.depletion_threshold
        waste |= new_waste(draws, pack_bits(~state.waste & is_free & is_open), params)
        has_space = ~same_cell(jnp.asarray(self.apple_cells), state.positions).any(1)
        is_growing = (draws.apple_growth < growth_probability(waste, num_cells, params)) & has_space
        return state.replace(waste=unpack_bits(waste, num_cells), apples=state.apples | is_growing)

    def rays_of(self, state: State) -> jax.Array:
        """Beams of both kinds reach all the way."""
        return self.reach_of(state.replace(fired=state.fired | state.cleaned_at))
