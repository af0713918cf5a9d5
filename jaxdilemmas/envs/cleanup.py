"""Cleanup: apples grow only while somebody cleans the river, and nobody is paid for that.

The public goods game of Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social dilemmas"
(arXiv:1803.08884), by the rules that DeepMind published with Lab2D and with Melting Pot; docs/cleanup.md has the rules,
their sources and what is our choice.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.arguments import check_choice
from jaxdilemmas.environment import Transition, check_counts, check_numbers
from jaxdilemmas.envs.maps import (
    CLEANUP,
    CLEANUP_SYMBOLS,
    MELTINGPOT_CLEANUP,
    MELTINGPOT_CLEANUP_SYMBOLS,
    read_river_layers,
)
from jaxdilemmas.envs.river import RiverParams, check_river_params, growth_probability, new_waste
from jaxdilemmas.grid import beams, movement
from jaxdilemmas.grid.bits import bitwise_or, look_up_bits, mark_bits, pack_bits, unpack_bits
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.grid.maps import Board, index_of_cells
from jaxdilemmas.grid_environment import RIVER_TILES
from jaxdilemmas.lab2d_environment import Lab2DEnvironment, Lab2DState

FINE, CLEAN = range(2)


class Params(RiverParams):
    """The numbers in the rules of `Cleanup`: those of `RiverParams` and more.

    Attributes:
      waste_start_steps: steps without new waste are this many and one more.
      fine_cooldown: steps after a shot in which no fine can be fired.
      clean_cooldown: steps after a shot in which no cleaning beam can be fired.
    """

    waste_start_steps: Any = 50
    fine_cooldown: Any = 10
    clean_cooldown: Any = 2


class MeltingPotParams(Params):
    """The numbers in the rules of `CleanupMeltingPot`: those of `Params`, with nothing to pay, and more.

    Attributes:
      timeout_steps: steps that an agent is out after a hit.
      min_steps: steps that an episode with a stochastic ending has at least.
      ending_interval: from then on it may end every so many steps.
      ending_probability: chance that it then ends.
    """

    waste_start_steps: Any = 49
    fine_cost: Any = 0.0
    fine_penalty: Any = 0.0
    timeout_steps: Any = 50
    min_steps: Any = 1000
    ending_interval: Any = 100
    ending_probability: Any = 0.2


class State(Lab2DState):
    """One moment of the game: beside `Lab2DState`, with cooldowns of (fine, clean), the river.

    Attributes:
      waste: `[R]` bool, where waste lies in the river.
      cleaned_at: `[N]` bool, whose beam to be seen is a cleaning beam.
    """

    waste: jax.Array
    cleaned_at: jax.Array


class Draws(struct.PyTreeNode):
    """The chance of one step; float32 in [0, 1).

    Attributes:
      priorities: `[N]`, who of several agents gets a cell, or the credit for waste that several clean.
      waste_gate: `[]`, whether new waste comes.
      waste_choice: `[]`, where.
      apple_growth: `[A]`, compared with the chance of an apple to grow.
    """

    priorities: jax.Array
    waste_gate: jax.Array
    waste_choice: jax.Array
    apple_growth: jax.Array


class MeltingPotDraws(Draws):
    """Beside `Draws`: `respawns` `[N]`, where agents come back, and `episode_end` `[]`, whether the episode ends."""

    respawns: jax.Array
    episode_end: jax.Array


class Cleanup(Lab2DEnvironment):
    """See the module for the game and docs/cleanup.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    num_actions = 9
    tiles = RIVER_TILES
    policy_module = "jaxdilemmas.envs.cleanup_policies"
    num_beams = 2
    boards: tuple[Mapping[str, str], Mapping[str, str]] = (CLEANUP, CLEANUP_SYMBOLS)
    beam_length = 5
    params_class: type = Params

    def __init__(self, num_agents: int = 5, observation: str = "tiles", map: Board = "default", **params: Any) -> None:
        layers = read_river_layers(map, *self.boards)
        super().__init__(layers, num_agents, observation)
        self.check_num_agents(len(self.spawn_cells))
        self.set_lab2d_beam(self.beam_length)
        self.starts_dirty = layers["waste"][tuple(self.river_cells.T)]
        river_index = index_of_cells(self.river_cells, self.walls.shape)
        nowhere = len(self.river_cells)
        half_width = self.beam_reach.shape[-1] // 2
        self.river_rays = beams.ray_table(river_index, nowhere, self.beam_length, half_width, self.beam_side_start)
        self.default_params = self.params_from(self.params_class, params)
        check_river_params(self.default_params)
        check_counts(self.default_params, "waste_start_steps", "fine_cooldown", "clean_cooldown", least=0)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, no apples, the river as the map has it."""
        del params
        start = self.start_lab2d(*self.random_spawns(key))
        start["apples"] = jnp.zeros(len(self.apple_cells), bool)
        nobody = jnp.zeros(self.num_agents, bool)
        return State(**start, waste=jnp.asarray(self.starts_dirty), cleaned_at=nobody)

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        num_agents = self.num_agents
        uniforms = jax.random.uniform(key, (num_agents + 2 + len(self.apple_cells),))
        return Draws(uniforms[:num_agents], uniforms[num_agents], uniforms[num_agents + 1], uniforms[num_agents + 2 :])

    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: waste, move, collect, fire, grow, collect. `Environment.transition` says what comes out."""
        state = self.pack(state)
        growth = growth_probability(state.waste, len(self.river_cells), params)
        state = self.grow_waste(draws, state, params)
        state = self.move_agents(state, draws.priorities, actions)
        state, eaten = self.collect_packed(state)
        state, given, cleaned = self.fire(draws, state, actions, params)
        state, found = self.collect_packed(self.grow_apples(draws, state, growth))
        return self.settle(self.unpack(state), eaten.astype(jnp.int32) + found, given, cleaned, params)

    def pack(self, state: State) -> State:
        """The next step begins: while it is played apples and waste are packed bits."""
        return state.replace(
            apples=pack_bits(state.apples), waste=pack_bits(state.waste), step_count=state.step_count + 1
        )

    def unpack(self, state: State) -> State:
        """The step is over."""
        apples = unpack_bits(state.apples, len(self.apple_cells))
        return state.replace(apples=apples, waste=unpack_bits(state.waste, len(self.river_cells)))

    def grow_waste(self, draws: Draws, state: State, params: Params) -> State:
        """After the first steps one clean cell of the river, each equally likely, may get waste."""
        is_late = state.step_count - 1 > params.waste_start_steps
        whole_river = pack_bits(jnp.ones(len(self.river_cells), bool))
        fresh = new_waste(draws, ~state.waste & whole_river, params)
        return state.replace(waste=jnp.where(is_late, state.waste | fresh, state.waste))

    def grow_apples(self, draws: Draws, state: State, probability: jax.Array) -> State:
        """Each apple that is not there grows by chance."""
        return state.replace(apples=state.apples | pack_bits(draws.apple_growth < probability))

    def fire(
        self, draws: Draws, state: State, actions: jax.Array, params: Params
    ) -> tuple[State, jax.Array, jax.Array]:
        """Fines and cleaning beams: the state, who hit whom `[N, N]` bool, and cells cleaned by each `[N]` int32."""
        wants = jnp.stack([actions == movement.BEAM, actions == movement.CLEAN], 1)
        cooldown_steps = jnp.stack([jnp.asarray(params.fine_cooldown), jnp.asarray(params.clean_cooldown)])
        state, is_fired = self.trigger(state, wants, cooldown_steps)
        given, fine_rays = self.find_zaps(state, is_fired[:, FINE])
        waste, cleaned, clean_rays = self.clean(state, is_fired[:, CLEAN], draws.priorities)
        rays = jnp.where(is_fired[:, CLEAN, None], clean_rays, fine_rays)
        state = state.replace(fired=is_fired[:, FINE], cleaned_at=is_fired[:, CLEAN], rays=rays, waste=waste)
        return state, given, cleaned

    def clean(self, state: State, is_firing: jax.Array, priorities: jax.Array) -> tuple[jax.Array, ...]:
        """Each ray cleans the first waste it meets; of several agents that meet the same the first in line is credited.

        Returns:
          waste as packed bits, cells credited to each agent `[N]` int32, and cells that each ray covers, `[N, 3]`.
        """
        cells = cell_index(state.positions, self.walls.shape[1])
        on_ray = jnp.asarray(self.river_rays)[cells, state.headings]
        is_waste = look_up_bits(state.waste, on_ray)
        is_first, rays = beams.stop_at_marks(is_waste, self.aim(state, is_firing))
        met = jnp.where(is_first, on_ray, len(self.river_cells)).min(-1)  # [N, rays]
        cells_met = bitwise_or(mark_bits(met, len(state.waste)), 1)  # [N, words], a bit a cell
        is_later = movement.goes_first(priorities)[:, :, None]
        taken = bitwise_or(jnp.where(is_later, cells_met[None, :, :], jnp.uint32(0)), 1)  # by those who go first
        cleaned = jax.lax.population_count(cells_met & ~taken & state.waste).sum(1, dtype=jnp.int32)
        return state.waste & ~bitwise_or(cells_met, 0), cleaned, rays

    def settle(
        self, state: State, collected: jax.Array, given: jax.Array, cleaned: jax.Array, params: Params
    ) -> Transition:
        """What `transition` returns: rewards for apples, costs of fines given and received, and info."""
        info = self.hit_info(state, collected, given) | {"cleaned": cleaned}
        rewards = collected - params.fine_cost * info["hits_given"] - params.fine_penalty * info["fined"]
        return state, rewards.astype(jnp.float32), jnp.zeros((), bool), info

    def remove_and_return(self, state: State, is_hit: jax.Array, respawns: jax.Array, params: Any) -> State:
        """As `Lab2DEnvironment.remove_and_return`; cleaning beams of agents that are hit are not seen either."""
        state = super().remove_and_return(state, is_hit, respawns, params)
        return state.replace(cleaned_at=state.cleaned_at & ~is_hit)


class CleanupMeltingPot(Cleanup):
    """Cleanup as in Melting Pot: shorter beams, fines that cost nothing but take an agent out, another order of events.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending: "clock", after `max_steps` = 1000, or "stochastic": the episode may end, and is then `terminated`,
        every `ending_interval` steps after `min_steps`; the clock stands at 5000.
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      **params: fields of `MeltingPotParams`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    boards = (MELTINGPOT_CLEANUP, MELTINGPOT_CLEANUP_SYMBOLS)
    beam_length = 3
    params_class = MeltingPotParams

    def __init__(
        self,
        num_agents: int = 7,
        observation: str = "tiles",
        episode_ending: str = "clock",
        map: Board = "default",
        **params: Any,
    ) -> None:
        check_choice("episode_ending", episode_ending, ("clock", "stochastic"))
        self.ends_by_chance = episode_ending == "stochastic"
        super().__init__(num_agents, observation, map, **({"max_steps": 5000} if self.ends_by_chance else {}) | params)
        check_counts(self.default_params, "timeout_steps", "min_steps", "ending_interval")
        check_numbers(self.default_params, 1, "ending_probability")

    def draw(self, key: jax.Array, state: State, params: Any) -> MeltingPotDraws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        num_agents = self.num_agents
        uniforms = jax.random.uniform(key, (2 * num_agents + 3 + len(self.apple_cells),))
        return MeltingPotDraws(
            priorities=uniforms[:num_agents],
            respawns=uniforms[num_agents : 2 * num_agents],
            waste_gate=uniforms[2 * num_agents],
            waste_choice=uniforms[2 * num_agents + 1],
            episode_end=uniforms[2 * num_agents + 2],
            apple_growth=uniforms[2 * num_agents + 3 :],
        )

    def transition(self, draws: Any, state: State, actions: jax.Array, params: Any) -> Transition:
        """One step: grow, collect, waste, move, collect, fire, return. `Environment.transition` says what comes out."""
        state = self.pack(state)
        growth = growth_probability(state.waste, len(self.river_cells), params)
        state, found = self.collect_packed(self.grow_apples(draws, state, growth))
        state = self.move_agents(self.grow_waste(draws, state, params), draws.priorities, actions)
        state, eaten = self.collect_packed(state)
        state, given, cleaned = self.fire(draws, state, actions, params)
        state = self.remove_and_return(state, given.any(0), draws.respawns, params)
        collected = eaten.astype(jnp.int32) + found
        state, rewards, _, info = self.settle(self.unpack(state), collected, given, cleaned, params)
        return state, rewards, self.may_end(draws, state, params), info

    def may_end(self, draws: MeltingPotDraws, state: State, params: MeltingPotParams) -> jax.Array:
        """Whether the episode ends by chance in this step, `[]` bool."""
        over_time = state.step_count - params.min_steps
        is_asked: jax.Array = (over_time > 0) & (over_time % params.ending_interval == 0)
        return is_asked & (draws.episode_end < params.ending_probability) & self.ends_by_chance
