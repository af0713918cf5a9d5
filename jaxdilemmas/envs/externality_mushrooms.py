"""Externality mushrooms: what an agent eats rewards itself, everyone, or everyone else, and decides what grows next.

Externality Mushrooms of Melting Pot (google-deepmind/meltingpot @ 81ee2e7), whose recordings this game replays step by
step; docs/externality_mushrooms.md contains the rules, their sources and our own choices.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import batched, compute_once, fold
from jaxdilemmas.environment import Transition
from jaxdilemmas.envs import mushrooms
from jaxdilemmas.envs.mushrooms import KINDS, MOST_SPORES, ORANGE, RED
from jaxdilemmas.grid import beams, items, lab2d, sanctions
from jaxdilemmas.grid.bits import pack_bits, unpack_bits
from jaxdilemmas.grid.environment import GridEnvironment, GridState, outcome
from jaxdilemmas.grid.geometry import count_others
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells
from jaxdilemmas.grid.movement import BEAM, goes_first, move_agents
from jaxdilemmas.grid.scene import MARKED_OTHERS, OTHERS, PALETTE, KindLayer, Scene, one_kind
from jaxdilemmas.uniforms import uniform

BEAM_LENGTH = 3
"""Cells of each ray."""


class Params(sanctions.SanctionParams, lab2d.MeltingPotParams):
    """The numbers in the rules: those of `SanctionParams`, `MeltingPotParams` and of mushrooms.

    Numbers of four entries are for red, green, blue and orange mushrooms.

    Attributes:
      timeout_steps: steps in which an agent is off the board after a second hit. Melting Pot's `framesTillRespawn` is
        two less.
      mushroom_rewards: `[4]`, what a mushroom returns in all: red to the eater, green and orange to all agents in equal
        shares, blue to all agents but the eater.
      spore_counts: `[4]`, how many spores a mushroom releases, at most 3.
      spore_growth: `[4, 4]`, by the kind that is eaten and the kind that grows the probability that a spore grows one.
      digestion_steps: `[4]`, steps in which the eater cannot turn or move. Melting Pot's numbers are one more, or 0.
      perish_steps: `[4]`, steps after which a mushroom perishes.
      red_destruction: probability that a red mushroom goes when an orange one is eaten.
    """

    timeout_steps: Any = 52
    mushroom_rewards: Any = (1.0, 2.0, 3.0, -1.0)
    spore_counts: Any = (3, 3, 3, 1)
    spore_growth: Any = ((0.25, 0.0, 0.0, 0.0), (0.25, 0.4, 0.0, 0.0), (0.25, 0.4, 0.6, 0.0), (0.0, 0.0, 0.0, 1.0))
    digestion_steps: Any = (0, 9, 14, 14)
    perish_steps: Any = (200, 100, 75, 10_000_000)
    red_destruction: Any = 0.25


class State(sanctions.SanctionState, lab2d.BeamState, GridState):
    """One moment of the game: `GridState` (there are no apples) with a beam, sanctions and mushrooms.

    Attributes:
      mushrooms: `[A]` int8, the kind of mushroom on each cell, 0 for none.
      ages: `[A]` int32, steps since each mushroom grew, 0 for all other cells; those of the start are 1 then.
    """

    mushrooms: jax.Array
    ages: jax.Array


class Draws(lab2d.MeltingPotDraws):
    """The random numbers of one step: those of `MeltingPotDraws`, and of mushrooms; float32 in [0, 1).

    Attributes:
      spore_gates: `[N, 3, 4]`, by eater, spore and kind: compared with the probability that a mushroom grows.
      spore_cells: `[N, 3, 4]`, on which of the empty cells it grows.
      red_destruction: `[A]`, compared with the probability that the red mushroom on the cell goes.
    """

    spore_gates: jax.Array
    spore_cells: jax.Array
    red_destruction: jax.Array


class ExternalityMushrooms(GridEnvironment):
    """See the module for the game and docs/externality_mushrooms.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending, movement: see `lab2d.ending_params`.
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      extras: whether agents observe the number `extra_names` beside their view, as an `Observation`: 1 if the beam is
        ready, less while it cools down.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      mushroom_cells: `[A, 2]` int32, row-major, the cells that are not walls; mushrooms grow on all of them.
      mushroom_index_at: `[H, W]` int32, the inverse of `mushroom_cells`, A on walls.
      mushrooms_at_start: `[A]` int8, the kind of mushroom on each cell, 0 for none.
      ends_by_chance: whether the episode ending is stochastic.
    """

    window = lab2d.WINDOW
    beam_side_start = lab2d.SIDE_START
    tiles = ("void", "floor", *KINDS, "wall", "beam", *OTHERS, "self", *MARKED_OTHERS)
    colours = PALETTE | {"red": (230, 40, 90), "green": (0, 200, 0), "blue": (60, 130, 255), "orange": (255, 150, 0)}
    policy_module = "jaxdilemmas.policies.externality_mushrooms"
    extra_names = ("ready_to_zap",)

    def __init__(
        self,
        num_agents: int = 5,
        observation: str = "tiles",
        episode_ending: str = "clock",
        map: Board = "default",
        movement: str = "sequential",
        extras: bool = True,
        **params: Any,
    ) -> None:
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        board, kinds = mushrooms.read_meadow(map)
        self.mushroom_cells = cells_of(~board["wall"])
        self.mushrooms_at_start = kinds[tuple(self.mushroom_cells.T)]
        layer = KindLayer([KINDS], "floor", self.mushroom_cells)
        super().__init__(board, num_agents, observation, [layer], extras)
        self.check_num_agents(len(self.spawn_cells))
        half_width = lab2d.NUM_RAYS // 2
        self.set_beam(BEAM_LENGTH, half_width)
        self.mushroom_index_at = index_of_cells(self.mushroom_cells, self.walls.shape)
        self._on_rays = beams.ray_table(
            self.mushroom_index_at, len(self.mushroom_cells), BEAM_LENGTH, half_width, lab2d.SIDE_START
        )
        self.default_params = self.params_from(Params, numbers | params)
        check_params(self.default_params)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, and the mushrooms of the board."""
        del params
        start = self.start(*self.random_spawns(key)) | lab2d.ready_beams(self.num_agents, 1)
        kinds, free = jnp.asarray(self.mushrooms_at_start), sanctions.free_agents(self.num_agents)
        return State(**start, **free, mushrooms=kinds, ages=(kinds > 0).astype(jnp.int32))

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        n, num_cells, shape = self.num_agents, len(self.mushroom_cells), (self.num_agents, MOST_SPORES, len(KINDS))
        shared, rest = lab2d.split_uniforms(uniform(key, 3 * n + 1 + num_cells + 2 * int(np.prod(shape))), n)
        gates, cells = rest[num_cells:].reshape(2, *shape)
        return Draws(**shared, spore_gates=gates, spore_cells=cells, red_destruction=rest[:num_cells])

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: move, leave, zap, return, eat, grow, perish. `Environment.transition` explains the result."""
        before, state, held = state.positions, *sanctions.hold(state, actions)
        state = move_agents(state, draws.priorities, held, self.walls, self.movement)
        state = sanctions.begin(state, params.timeout_steps)
        was_out = state.timeouts > 0
        before = self._stand_on(before, was_out)
        state, given, shot = self._zap(state, actions, params)
        state = lab2d.come_back(state, jnp.maximum(state.timeouts - 1, 0), draws, self.spawn_cells)
        after = self._stand_on(state.positions, state.timeouts > 0)
        is_back = was_out & (state.timeouts == 0)
        goes = goes_first(draws.priorities - is_back.astype(jnp.float32))
        empty = compute_once(pack_bits)(state.mushrooms == 0)
        spores = compute_once(mushrooms.choose_cells)(empty, draws.spore_gates, draws.spore_cells)
        numbers = params.spore_counts, params.spore_growth
        meals = mushrooms.eat(state.mushrooms, before, after, goes, spores, numbers)
        state = digest(state, meals.entered, params)
        state = sanctions.sanction(state, count_others(given, axis=0), params)
        state = digest(state, meals.below, params)
        state = renew(state, shot, meals, draws.red_destruction, params)
        state = state.replace(step_count=state.step_count + 1)
        eaten = {f"ate_{name}": (meals.kinds == k).astype(jnp.int32) for k, name in enumerate(KINDS, start=1)}
        rewards = mushrooms.reward(meals, len(self.mushroom_cells), params.mushroom_rewards)
        is_over = lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance
        return outcome(state, (meals.kinds > 0).astype(jnp.int32), given, rewards, is_over, **eaten)

    def _stand_on(self, positions: jax.Array, is_out: jax.Array) -> jax.Array:
        """The index of the cell of each agent, `[N]` int32, A for agents off the board."""
        look_up = compute_once(lambda cells: jnp.asarray(self.mushroom_index_at)[cells[:, 0], cells[:, 1]])
        return jnp.where(is_out, np.int32(len(self.mushroom_cells)), look_up(positions))

    def _zap(self, state: State, actions: jax.Array, params: Params) -> tuple[State, jax.Array, jax.Array]:
        """Fires the beams of all agents; each ray ends at a wall or the first agent, and destroys mushrooms on its way.

        Returns:
          The state; `[N, N]` bool, [i, j] is whether i hits j; and packed bits of the cells that rays cover, `[W]`.
        """
        is_present, wants = state.timeouts == 0, (actions == BEAM)[:, None]
        cooldown_steps = jnp.asarray(params.zap_cooldown, jnp.int32)[None]
        cooldowns, is_fired = lab2d.trigger(state.cooldowns, is_present, wants, cooldown_steps)
        reach = self.reach_of(state.positions, state.headings, is_fired[:, 0])
        given, rays = lab2d.find_zaps(state.positions, state.headings, reach, is_present)
        on_rays = beams.look_along_rays(self._on_rays, state, self.walls.shape[1])
        shot = compute_once(partial(items.mark_covered, count=len(self.mushroom_cells)))(on_rays, rays)
        return state.replace(cooldowns=cooldowns, fired=is_fired[:, 0], rays=rays), given, shot

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The number `extra_names`, `[N, 1]` float32."""
        return lab2d.observe_beams(state.cooldowns, (params.zap_cooldown,), state.timeouts)[:, :1]

    def scene(self, state: State) -> Scene:
        """Paints mushrooms, beams up to the cells that they reached, and which agents are marked."""
        rays, is_marked = [one_kind("beam", state.rays)], sanctions.shows_mark(state)
        return super().scene(state)._replace(things=[state.mushrooms], beams=rays, is_marked=is_marked)


def check_params(params: Params) -> None:
    """Raises a ValueError if a number is outside its range."""
    lab2d.check_meltingpot_params(params)
    sanctions.check_sanction_params(params)
    mushrooms.check_mushroom_params(params)


def digest(state: State, kinds: jax.Array, params: Params) -> State:
    """Agents that eat cannot turn or move for a while; `kinds` `[N]` int8 is what they eat, 0 for nothing."""
    steps = mushrooms.by_kind(kinds, params.digestion_steps, jnp.int32)
    return state.replace(frozen=jnp.where(steps > 0, steps, state.frozen))


def renew(state: State, shot: jax.Array, meals: mushrooms.Meals, luck: jax.Array, params: Params) -> State:
    """Removes mushrooms that are eaten, shot, destroyed or too old, and adds those that grew.

    Args:
      state: has the mushrooms before the step.
      shot: `[W]` uint32, packed bits of cells on which beams destroy mushrooms.
      meals: which mushrooms are eaten, and which grow.
      luck: `[A]` float32, which red mushrooms an orange one destroys.
      params: has the probability of that, and the steps after which mushrooms perish.
    """
    num_cells, chance = len(state.mushrooms), jnp.asarray(params.red_destruction, jnp.float32)
    survival = fold(jnp.multiply, [jnp.where(kind == ORANGE, 1 - chance, jnp.float32(1)) for kind in meals.kinds])
    is_destroyed = (state.mushrooms == RED) & (luck < 1 - survival)
    is_old = state.ages >= mushrooms.by_kind(state.mushrooms, params.perish_steps, jnp.int32)
    is_gone = is_destroyed | is_old | unpack_bits(shot | meals.emptied, num_cells)
    kinds = jnp.where(is_gone, jnp.int8(0), state.mushrooms)
    ages = jnp.where(kinds > 0, state.ages + 1, 0)
    for kind, words in enumerate(meals.words, start=1):
        kinds = jnp.where(unpack_bits(words & ~meals.emptied, num_cells), jnp.int8(kind), kinds)
    return state.replace(mushrooms=kinds, ages=ages)
