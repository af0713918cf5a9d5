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

from jaxdilemmas.environment import Transition, check_counts
from jaxdilemmas.envs.maps import (
    CLEANUP,
    CLEANUP_SYMBOLS,
    MELTINGPOT_CLEANUP,
    MELTINGPOT_CLEANUP_SYMBOLS,
    read_river_layers,
)
from jaxdilemmas.envs.river import RiverParams, check_river_params, growth_probability, new_waste
from jaxdilemmas.grid import beams, movement, spawning
from jaxdilemmas.grid.bits import bitwise_or, look_up_bits, mark_bits, pack_bits, unpack_bits
from jaxdilemmas.grid.geometry import cell_index
from jaxdilemmas.grid.maps import Board, index_of_cells
from jaxdilemmas.grid_environment import RIVER_TILES
from jaxdilemmas.lab2d_environment import Lab2DEnvironment, Lab2DState
from jaxdilemmas.meltingpot_environment import MeltingPotDraws, MeltingPotEnvironment, MeltingPotParams

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


class CleanupMeltingPotParams(MeltingPotParams, Params):
    """The numbers in the rules of `CleanupMeltingPot`: those of both classes; fines cost nothing."""

    waste_start_steps: Any = 49
    fine_cost: Any = 0.0
    fine_penalty: Any = 0.0


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


class CleanupMeltingPotDraws(Draws, MeltingPotDraws):
    """The chance of one step of `CleanupMeltingPot`: the fields of both classes."""


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
    policy_module = "jaxdilemmas.policies.cleanup"
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
        uniforms = jax.random.uniform(key, (num_agents + 2 + len(self.apple_cells),), jnp.float32)
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
        collected = eaten.astype(jnp.int32) + found.astype(jnp.int32)
        return self.settle(self.unpack(state), collected, given, cleaned, params)

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
        cooldowns = params.fine_cooldown, params.clean_cooldown
        cooldown_steps = jnp.stack([jnp.asarray(steps, jnp.int32) for steps in cooldowns])
        state, is_fired = self.trigger(state, wants, cooldown_steps)
        given, fine_rays = self.find_zaps(state, is_fired[:, FINE])
        waste, cleaned, clean_rays = self.clean(state, is_fired[:, CLEAN], draws.priorities)
        rays = jnp.where(is_fired[:, CLEAN, None], clean_rays, fine_rays)
        state = state.replace(fired=is_fired[:, FINE], cleaned_at=is_fired[:, CLEAN], rays=rays, waste=waste)
        return state, given, cleaned

    def clean(self, state: State, is_firing: jax.Array, priorities: jax.Array) -> tuple[jax.Array, ...]:
        """Each ray cleans the first waste it meets; `credit` chooses among agents whose rays meet the same waste.

        Returns:
          waste as packed bits, cells credited to each agent `[N]` int32, and cells that each ray covers, `[N, 3]`.
        """
        cells = cell_index(state.positions, self.walls.shape[1])
        on_ray = jnp.asarray(self.river_rays)[cells, state.headings]
        is_waste = look_up_bits(state.waste, on_ray)
        is_first, rays = beams.stop_at_marks(is_waste, self.aim(state, is_firing))
        met = jnp.where(is_first, on_ray, len(self.river_cells)).min(-1)  # [N, rays]
        cells_met = bitwise_or(mark_bits(met, len(state.waste)), 1)  # [N, words], a bit a cell
        credited = self.credit(cells_met, priorities) & state.waste[None]
        cleaned = jax.lax.population_count(credited).sum(1, dtype=jnp.int32)
        return state.waste & ~bitwise_or(cells_met, 0), cleaned, rays

    def credit(self, cells_met: jax.Array, priorities: jax.Array) -> jax.Array:
        """The cells that each agent is credited for, of those its rays met: the first in line gets each of them.

        Args:
          cells_met: `[N, words]` uint32, packed bits.
          priorities: `[N]` float32.

        Returns:
          `[N, words]` uint32.
        """
        is_later = movement.goes_first(priorities)[:, :, None]
        taken = bitwise_or(jnp.where(is_later, cells_met[None, :, :], jnp.uint32(0)), 1)  # by those who go first
        return cells_met & ~taken

    def settle(
        self, state: State, collected: jax.Array, given: jax.Array, cleaned: jax.Array, params: Params
    ) -> Transition:
        """What `transition` returns: rewards for apples, costs of fines given and received, and info."""
        info = self.hit_info(state, collected, given) | {"cleaned": cleaned}
        apples, hits, fines = (count.astype(jnp.float32) for count in (collected, info["hits_given"], info["fined"]))
        rewards = apples - params.fine_cost * hits - params.fine_penalty * fines
        return state, rewards, jnp.zeros((), bool), info


class CleanupMeltingPot(MeltingPotEnvironment, Cleanup):
    """Cleanup as in Melting Pot: shorter beams, fines that cost nothing but take an agent out, another order of events.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending: "clock", after `max_steps` = 1000, or "stochastic": the episode may end, and is then `terminated`,
        in the steps that `CleanupMeltingPotParams` says; the clock stands at 5000.
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      movement: "sequential", one agent after the other in random order as in Melting Pot, or "simultaneous", by the
        rule of the other games here.
      **params: fields of `CleanupMeltingPotParams`.

    Raises:
      ValueError: an argument is unknown or not allowed.
    """

    version = "2"
    boards = (MELTINGPOT_CLEANUP, MELTINGPOT_CLEANUP_SYMBOLS)
    beam_length = 3
    params_class = CleanupMeltingPotParams

    def __init__(
        self,
        num_agents: int = 7,
        observation: str = "tiles",
        episode_ending: str = "clock",
        map: Board = "default",
        movement: str = "sequential",
        **params: Any,
    ) -> None:
        super().__init__(num_agents, observation, map, **self.set_meltingpot_rules(movement, episode_ending) | params)
        self.check_meltingpot_params()

    def draw(self, key: jax.Array, state: State, params: Any) -> CleanupMeltingPotDraws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = jax.random.uniform(key, (3 * self.num_agents + 3 + len(self.apple_cells),), jnp.float32)
        shared, own = self.split_uniforms(uniforms)
        return CleanupMeltingPotDraws(waste_gate=own[0], waste_choice=own[1], apple_growth=own[2:], **shared)

    def transition(self, draws: Any, state: State, actions: jax.Array, params: Any) -> Transition:
        """One step: grow, collect, waste, move, collect, fire, return. `Environment.transition` says what comes out."""
        state = self.pack(state)
        growth = growth_probability(state.waste, len(self.river_cells), params)
        state = self.grow_waste(draws, self.grow_apples(draws, state, growth), params)
        state, collected = self.move_and_collect(state, draws.priorities, actions)
        state, given, cleaned = self.fire(draws, state, actions, params)
        state = self.remove_and_return(state, given.any(0), draws, params)
        state, rewards, _, info = self.settle(self.unpack(state), collected, given, cleaned, params)
        return state, rewards, self.may_end(draws, state, params), info

    def move_and_collect(self, state: State, priorities: jax.Array, actions: jax.Array) -> tuple[State, jax.Array]:
        """Agents collect what has grown under them, move, and collect where their move leads them.

        Apples that are taken go when all have moved. So an apple that grew under an agent is paid again to an agent
        that enters its cell in the same step, and to the agent itself if it tries to move and cannot.

        Returns:
          The state and apples paid to each agent, `[N]` int32.
        """
        is_present = state.timeouts == 0
        apples, cells = state.apples, self.apple_index_at
        found, left = spawning.collect(apples, cells, state.positions, is_present)
        state = self.move_agents(state, priorities, actions)
        is_entering = is_present & movement.is_move(actions)
        entered, left_after = spawning.collect(apples, cells, state.positions, is_entering)
        return state.replace(apples=left & left_after), found.astype(jnp.int32) + entered.astype(jnp.int32)

    def credit(self, cells_met: jax.Array, priorities: jax.Array) -> jax.Array:
        """Each agent is credited for all waste that its rays met, also if others met it in the same step."""
        del priorities
        return cells_met
