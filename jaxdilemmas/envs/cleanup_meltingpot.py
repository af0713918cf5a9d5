"""Cleanup as in Melting Pot: the beam removes an agent from the board and costs nothing; another order of events.

Source: google-deepmind/meltingpot @ 81ee2e7, substrate `clean_up`, whose recordings this game replays step by step;
docs/cleanup.md contains the rules. `cleanup` is the game by the rules of Lab2D.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.batching import batched, compute_once, fold
from jaxdilemmas.environment import Transition
from jaxdilemmas.grid import beams, lab2d, river
from jaxdilemmas.grid.bits import pack_bits, unpack_bits
from jaxdilemmas.grid.environment import GridEnvironment, GridState, outcome
from jaxdilemmas.grid.maps import Board
from jaxdilemmas.grid.movement import is_move, move_agents
from jaxdilemmas.grid.scene import Scene
from jaxdilemmas.grid.spawning import collect
from jaxdilemmas.uniforms import uniform

SYMBOLS = (
    {"W": "wall", "H": "river", "F": "waste", "B": "apple", "T": "apple", "P": "spawn"}
    | dict.fromkeys("S~s", "stream")
    | dict.fromkeys(" =+f;,^><", "floor")
)
"""Sand of all shades is floor."""

MAPS = {
    "default": """
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
WHFFFHFFHFHFHFHFHFHFHHFHFFFHFW
WHFHFHFFHFHFHFHFHFHFHHFHFFFHFW
WHFFHFFHHFHFHFHFHFHFHHFHFFFHFW
WHFHFHFFHFHFHFHFHFHFHHFHFFFHFW
WHFFFFFFHFHFHFHFHFHFHHFHFFFHFW
W==============+~FHHHHHHf====W
W   P    P      ===+~SSf     W
W     P     P   P  <~Sf  P   W
W             P   P<~S>      W
W   P    P         <~S>   P  W
W               P  <~S>P     W
W     P           P<~S>      W
W           P      <~S> P    W
W  P             P <~S>      W
W^T^T^T^T^T^T^T^T^T;~S,^T^T^TW
WBBBBBBBBBBBBBBBBBBBssBBBBBBBW
WBBBBBBBBBBBBBBBBBBBBBBBBBBBBW
WBBBBBBBBBBBBBBBBBBBBBBBBBBBBW
WBBBBBBBBBBBBBBBBBBBBBBBBBBBBW
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
"""
}
"""Source: google-deepmind/meltingpot @ 81ee2e7 (Apache-2.0)."""


class Params(lab2d.MeltingPotParams, river.BeamParams):
    """The numbers in the rules: those of both classes; fines cost nothing."""

    waste_start_steps: Any = 49
    fine_cost: Any = 0.0
    fine_penalty: Any = 0.0


class State(river.RiverState, lab2d.BeamState, GridState):
    """One moment of the game: `GridState` with the beams `river.FINE` and `river.CLEAN`, and with the river."""


class Draws(river.RiverDraws, lab2d.MeltingPotDraws):
    """The random numbers of one step: those of both classes; float32 in [0, 1)."""


class CleanupMeltingPot(GridEnvironment):
    """See the module for the game and docs/cleanup.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending, movement: see `lab2d.ending_params`.
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
      ends_by_chance: whether the episode ending is stochastic.
    """

    version = "2"
    window = lab2d.WINDOW
    beam_side_start = lab2d.SIDE_START
    num_actions = 9
    extra_names = river.EXTRAS
    rays_stop_at_waste = True
    tiles = river.TILES
    colours = river.COLOURS
    policy_module = "jaxdilemmas.policies.cleanup"
    boards: tuple[Mapping[str, str], Mapping[str, str]] = (MAPS, SYMBOLS)
    beam_length = 3

    def __init__(
        self,
        num_agents: int = 7,
        observation: str = "tiles",
        episode_ending: str = "clock",
        map: Board = "default",
        movement: str = "sequential",
        extras: bool = False,
        **params: Any,
    ) -> None:
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        board, layer, self.starts_dirty = river.read_river(map, *self.boards)
        super().__init__(board, num_agents, observation, [layer], extras)
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(self.beam_length, lab2d.NUM_RAYS // 2)
        self.river_cells = layer.cells
        self.river_rays = river.rays_over(layer.cells, self.walls.shape, self.beam_length)
        self.default_params = self.params_from(Params, numbers | params)
        river.check_beam_params(self.default_params)
        lab2d.check_meltingpot_params(self.default_params)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, no apples, and the river of the map."""
        del params
        start = self.start(*self.random_spawns(key)) | lab2d.ready_beams(self.num_agents, num_beams=2)
        start["apples"] = jnp.zeros(len(self.apple_cells), bool)
        return State(**start, **river.start(self.starts_dirty, self.num_agents))

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = uniform(key, 3 * self.num_agents + 3 + len(self.apple_cells))
        shared, own = lab2d.split_uniforms(uniforms, self.num_agents)
        return Draws(waste_gate=own[0], waste_choice=own[1], apple_growth=own[2:], **shared)

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: grow, collect, waste, move, collect, fire, return. `Environment.transition` explains the result."""
        num_apples, num_river = len(self.apple_cells), len(self.river_cells)
        is_present = state.timeouts == 0
        apples, waste = compute_once(pack_bits)(state.apples), compute_once(pack_bits)(state.waste)
        chance = river.growth_probability(waste, num_river, params)
        apples = apples | river.grow_apples(draws.apple_growth, chance)
        waste = river.grow_waste(waste, num_river, draws, state.step_count, params)
        found, left = collect(apples, self.apple_index_at, state.positions, is_present)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        entered, left_after = collect(apples, self.apple_index_at, state.positions, is_present & is_move(actions))
        on_ray = beams.look_along_rays(self.river_rays, state, self.walls.shape[1])
        state, shots = river.fire_beams(state, waste, actions, self.reach_of, on_ray, params)
        state = lab2d.remove_and_return(
            state, fold(jnp.logical_or, shots.given), draws, params.timeout_steps, self.spawn_cells
        )
        state = state.replace(
            apples=unpack_bits(left & left_after, num_apples),
            waste=unpack_bits(waste & ~fold(jnp.bitwise_or, jnp.unstack(shots.waste_met, axis=1)), num_river),
            step_count=state.step_count + 1,
        )
        collected = found.astype(jnp.int32) + entered.astype(jnp.int32)
        rewards = river.pay_for_fines(collected, shots.given, params)
        is_over = lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance
        cleaned = river.count_cleaned(shots.waste_met, waste)
        return outcome(state, collected, shots.given, rewards, is_over, cleaned=cleaned)

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The numbers `river.EXTRAS`, `[N, 3]` float32."""
        return river.observe_beams(state, params)

    def scene(self, state: State) -> Scene:
        """Paints apples and waste, and beams of both kinds up to the cells that they reached."""
        return river.paint(super().scene(state), state)
