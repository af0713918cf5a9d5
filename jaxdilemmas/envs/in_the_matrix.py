"""In the Matrix: agents collect resources, and their inventories are the mixed strategies of a matrix game.

The substrates `*_in_the_matrix` of Melting Pot (google-deepmind/meltingpot @ 81ee2e7), whose recordings this game
replays step by step; docs/in_the_matrix.md contains the rules. `matrices` contains payoffs and boards.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_choice
from jaxdilemmas.batching import batched, compute_once, fold
from jaxdilemmas.environment import Transition, check_counts, check_numbers
from jaxdilemmas.envs.matrices import GAMES, check_payoffs, choose_rules, parse, pay
from jaxdilemmas.grid import barriers, beams, lab2d
from jaxdilemmas.grid.bits import look_up_bits, mark_bits, pack_bits, unpack_bits
from jaxdilemmas.grid.environment import GridEnvironment, GridState, outcome
from jaxdilemmas.grid.geometry import any_other
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells, read_board
from jaxdilemmas.grid.movement import BEAM, STAND, move_agents
from jaxdilemmas.grid.scene import MARKED_OTHERS, OTHERS, PALETTE, KindLayer, Scene, one_kind
from jaxdilemmas.grid.spawning import collect
from jaxdilemmas.uniforms import uniform

COLOURS = ((0, 200, 0), (200, 60, 60), (60, 90, 220), (220, 200, 0), (0, 190, 190), (190, 0, 190))
"""RGB of classes; class 7 has the colour of class 1, and so on. Our choice."""

BEAM_LENGTH = 3
"""Cells of each ray."""


class Params(lab2d.MeltingPotParams):
    """The numbers in the rules: those of `lab2d.MeltingPotParams` and of resources, beams and interactions.

    The default of `timeout_steps` and of the last two depends on the rules.

    Attributes:
      timeout_steps: steps in which agents are off the board after an interaction.
      zap_cooldown: steps after a shot in which no beam can be fired.
      freeze_steps: steps in which agents cannot act after the step in which they met; in the last one they are rewarded
        and leave the board.
      regrowth_probability: probability that a missing resource appears in a step.
      regrowth_delay: steps after a resource went in which it cannot appear.
    """

    zap_cooldown: Any = 2
    freeze_steps: Any = 17
    regrowth_probability: Any = 0.02
    regrowth_delay: Any = 10


class State(lab2d.BeamState, GridState):
    """One moment of the game: `GridState` (there are no apples) with a beam, resources and inventories.

    Attributes:
      classes: `[A]` int8, the class of each resource, from 1 on, which stays the same in an episode.
      resources: `[A]` bool, whether each resource is there.
      missing_for: `[A]` int32, steps since each resource went; 0 if it is there.
      health: `[A]` int8, hits that destroy each resource.
      inventories: `[N, K]` int32, how much of each class an agent has.
      partners: `[N, K]` int32, the inventory of the agent that an agent met last; 0 before the first one.
      frozen: `[N]` int32, steps in which an agent cannot act yet because it met another one.
      pending_rewards: `[N]` float32, the reward of an agent that is frozen.
    """

    classes: jax.Array
    resources: jax.Array
    missing_for: jax.Array
    health: jax.Array
    inventories: jax.Array
    partners: jax.Array
    frozen: jax.Array
    pending_rewards: jax.Array


class Draws(lab2d.MeltingPotDraws):
    """The random numbers of one step: `MeltingPotDraws`, and which resources appear; float32 in [0, 1).

    `priorities` also decide whose beam is fired first.

    Attributes:
      resource_growth: `[A]`.
    """

    resource_growth: jax.Array


class InTheMatrix(GridEnvironment):
    """See the module for the game and docs/in_the_matrix.md for its rules.

    Args:
      game: the name of a matrix game in `matrices.GAMES`.
      map: "repeated", "arena" or "one_shot" (see `matrices.GAMES` for the boards of each game), a board drawn as text,
        or the `pathlib.Path` of a file; see docs/boards.md.
      num_agents: N; agents start on distinct random spawn cells. None means the number of the rules.
      observation: "tiles", "one_hot" or "rgb".
      payoffs: `[2, K, K]`, the matrices of the row and the column player, by class of the row and of the column. None
        means those of the game.
      rules: the name of the numbers in `matrices.RULES`. None means those of the map, and "arena" for your own board.
      episode_ending, movement: see `lab2d.ending_params`; the largest number of steps is that of the rules.
      extras: whether agents observe numbers beside their view; see `observe_extras`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      num_classes: K.
      payoffs: `[2, K, K]` float32.
      resource_cells: `[A, 2]` int32, row-major; index a of every array of resources is the cell `resource_cells[a]`.
      fixed_classes: `[A]` int8, the class of each resource, 0 if it is drawn at the start of each episode.
      has_roles: whether `is_row` decides who is the row player; else it is the agent that fires.
      is_row: `[N]` bool, the first half of the agents.
      when_empty: the consequence if nobody is on the board, see `matrices.Rules`.
      ends_by_chance: whether the episode ending is stochastic.
    """

    beam_side_start = lab2d.SIDE_START
    policy_module = "jaxdilemmas.policies.in_the_matrix"

    def __init__(
        self,
        game: str = "prisoners_dilemma",
        map: Board = "repeated",
        num_agents: int | None = None,
        observation: str = "tiles",
        payoffs: Any = None,
        rules: str | None = None,
        episode_ending: str = "clock",
        movement: str = "sequential",
        extras: bool = True,
        **params: Any,
    ) -> None:
        check_choice("game", game, GAMES)
        lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        self.payoffs = check_payoffs(GAMES[game].payoffs if payoffs is None else payoffs)
        self.num_classes = len(self.payoffs[0])
        self._kinds, maps = range(1, self.num_classes + 1), GAMES[game].maps
        board, self.fixed_classes = read_board(map, maps, partial(parse, num_classes=self.num_classes))
        chosen, own = choose_rules(game, map, rules)
        self.window, self.when_empty = chosen.window, chosen.when_empty
        resources = tuple(f"resource_{k}" for k in self._kinds)
        self.tiles = ("void", "floor", *resources, "wall", "beam", *OTHERS, "self", *MARKED_OTHERS)
        self.colours = PALETTE | {tile: COLOURS[k % len(COLOURS)] for k, tile in enumerate(resources)}
        self.resource_cells = cells_of(board["resource"])
        self.has_roles = GAMES[game].has_roles
        layer = KindLayer([resources], "floor", self.resource_cells)
        agents = chosen.num_agents if num_agents is None else num_agents
        self.extra_names = self._name_extras()
        super().__init__(board, agents, observation, [layer], extras)
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(BEAM_LENGTH, lab2d.NUM_RAYS // 2)
        self.is_row = np.arange(self.num_agents) < (self.num_agents + 1) // 2
        self._index_at = index_of_cells(self.resource_cells, self.walls.shape)
        self._on_rays = beams.ray_table(
            self._index_at, len(self.resource_cells), BEAM_LENGTH, lab2d.NUM_RAYS // 2, lab2d.SIDE_START
        )
        numbers = own if self.ends_by_chance else own | {"max_steps": Params.max_steps}
        self.default_params = self.params_from(Params, numbers | params)
        check_params(self.default_params)

    def _name_extras(self) -> tuple[str, ...]:
        """Names of the numbers of `observe_extras`."""
        names = (*(f"inventory_{k}" for k in self._kinds), *(f"partner_{k}" for k in self._kinds))
        names = (*names, "ready_to_zap", "is_out")
        return (*names, "is_frozen", "is_row") if self.has_roles else (*names, "is_frozen")

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, with one of each class; every resource there."""
        del params
        key_spawn, key_classes = jax.random.split(key)
        start = self.start(*self.random_spawns(key_spawn)) | lab2d.ready_beams(self.num_agents, 1)
        num_resources, shape = len(self.resource_cells), (self.num_agents, self.num_classes)
        drawn = 1 + jnp.floor(uniform(key_classes, num_resources) * self.num_classes).astype(jnp.int8)
        return State(
            **start,
            classes=jnp.where(self.fixed_classes > 0, self.fixed_classes, drawn),
            resources=jnp.ones(num_resources, bool),
            missing_for=jnp.zeros(num_resources, jnp.int32),
            health=jnp.full(num_resources, barriers.FULL_HEALTH, jnp.int8),
            inventories=jnp.ones(shape, jnp.int32),
            partners=jnp.zeros(shape, jnp.int32),
            frozen=jnp.zeros(self.num_agents, jnp.int32),
            pending_rewards=jnp.zeros(self.num_agents, jnp.float32),
        )

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = uniform(key, 3 * self.num_agents + 1 + len(self.resource_cells))
        shared, resource_growth = lab2d.split_uniforms(uniforms, self.num_agents)
        return Draws(**shared, resource_growth=resource_growth)

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: look, move, collect, fire, settle, appear, return. `Environment.transition` explains the result."""
        is_present, is_empty = state.timeouts == 0, fold(jnp.logical_and, state.timeouts > 0)
        has_met = fold(jnp.logical_or, state.timeouts > 0)
        actions = jnp.where(can_act(state), actions, STAND)
        there = compute_once(pack_bits)(state.resources)
        appears = self._look_at_resources(draws, state, there, is_empty, params)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        found = self._find_classes(state)
        taken, left = collect(there, self._index_at, state.positions, is_present)
        state = state.replace(inventories=state.inventories + (taken[:, None] & found).astype(jnp.int32))
        order = barriers.rank(draws.priorities)
        state, struck = self._fire(state, actions, order, there, params)
        met = choose_meetings(struck, state, order, self.is_row if self.has_roles else None)
        played = find_played(state.inventories, met)
        state, rewards, is_over = settle(state, met, self.payoffs, params)
        grown, left_grown = collect(appears, self._index_at, state.positions, is_present)
        state = lab2d.remove_and_return(state, is_over, draws, params.timeout_steps, self.spawn_cells)
        resources = unpack_bits((left & ~struck.destroyed) | left_grown, len(self.resource_cells))
        got = ((taken | grown)[:, None] & found).astype(jnp.int32)
        state = state.replace(
            resources=resources,
            missing_for=jnp.where(resources, 0, state.missing_for + 1),
            inventories=state.inventories + (grown[:, None] & found).astype(jnp.int32),
            step_count=state.step_count + 1,
        )
        ends = lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance
        ends |= has_met & (self.when_empty == "end")
        events = {f"collected_{k + 1}": got[:, k] for k in range(self.num_classes)}
        events |= {f"played_{k + 1}": played[:, k] for k in range(self.num_classes)}
        interactions = fold(jnp.add, jnp.unstack(played, axis=1))
        collected = (taken | grown).astype(jnp.int32)
        return outcome(state, collected, struck.given, rewards, ends, interactions=interactions, **events)

    def _look_up(self, positions: jax.Array) -> jax.Array:
        """The index of the resource on each agent's cell, `[N]` int32, A if there is none."""
        return compute_once(lambda cells: jnp.asarray(self._index_at)[cells[:, 0], cells[:, 1]])(positions)

    def _look_at_resources(
        self, draws: Draws, state: State, there: jax.Array, is_empty: jax.Array, params: Params
    ) -> jax.Array:
        """The resources that will appear at the end of the step, packed bits `[W]` uint32.

        They are missing for more than `regrowth_delay` steps, chance decides, and no agent stands on the cell. If
        nobody is on the board and the rules restore resources, all that are missing appear.
        """
        is_grown = (state.missing_for > params.regrowth_delay) & (draws.resource_growth < params.regrowth_probability)
        if self.when_empty == "restore":
            is_grown |= is_empty[None]
        below = mark_bits(self._look_up(state.positions), len(there))
        stood_on = [jnp.where(state.timeouts[i] == 0, below[:, i], 0) for i in range(self.num_agents)]
        return compute_once(pack_bits)(is_grown) & ~there & ~fold(jnp.bitwise_or, stood_on)

    def _find_classes(self, state: State) -> jax.Array:
        """Which class the resource on each agent's cell has, whether it is there or not, `[N, K]` bool."""
        bits = range(self.num_classes.bit_length())
        packed = compute_once(lambda kinds: [pack_bits((kinds >> np.int8(bit)) & 1 != 0) for bit in bits])(
            state.classes
        )
        index = self._look_up(state.positions)
        found = [look_up_bits(words, index) for words in packed]
        kinds = [fold(jnp.logical_and, [bit == bool(k >> b & 1) for b, bit in enumerate(found)]) for k in self._kinds]
        return jnp.stack(kinds, 1)

    def _fire(
        self, state: State, actions: jax.Array, order: jax.Array, there: jax.Array, params: Params
    ) -> tuple[State, barriers.Struck]:
        """Fires the beams of agents that want to and can; see `barriers.fire`."""
        wants, steps = (actions == BEAM)[:, None], jnp.asarray(params.zap_cooldown, jnp.int32)[None]
        cooldowns, is_fired = lab2d.trigger(state.cooldowns, can_act(state), wants, steps)
        reach = self.reach_of(state.positions, state.headings, is_fired[:, 0])
        on_ray = beams.look_along_rays(self._on_rays, state, self.walls.shape[1])
        shots = barriers.Ahead(reach, on_ray, there, barriers.pack_health(state.health))
        struck = barriers.fire(state, shots, order, self.beam_side_start)
        health = barriers.unpack_health(struck.health, len(self.resource_cells))
        return state.replace(cooldowns=cooldowns, fired=is_fired[:, 0], rays=struck.rays, health=health), struck

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """What agents observe beside their view, `[N, 2 K + 3]` float32, `[N, 2 K + 4]` in games with roles.

        The own inventory, that of the agent that it met last (0 before the first one), whether its beam is ready (less
        while it cools down), whether it is out, whether it is frozen and, with roles, whether it is the row player.
        """
        numbers = [state.inventories, state.partners]
        numbers += [lab2d.observe_beams(state.cooldowns, (params.zap_cooldown,), state.timeouts)]
        numbers += [(state.frozen > 0)[:, None]]
        numbers += [jnp.asarray(self.is_row)[:, None]] if self.has_roles else []
        return jnp.concatenate([part.astype(jnp.float32) for part in numbers], axis=1)

    def scene(self, state: State) -> Scene:
        """Paints resources by class, beams up to the cells that they reached, and which agents are ready."""
        kinds = jnp.where(state.resources, state.classes, jnp.int8(0))
        is_marked = is_ready(state) & (state.frozen == 0)
        beams_of_agents = [one_kind("beam", state.rays)]
        return super().scene(state)._replace(things=[kinds], beams=beams_of_agents, is_marked=is_marked)


def check_params(params: Params) -> None:
    """Raises a ValueError if a number is outside its range."""
    lab2d.check_meltingpot_params(params)
    check_counts(params, "zap_cooldown", "regrowth_delay", least=0)
    check_counts(params, "freeze_steps")
    check_numbers(params, 1, "regrowth_probability")


def can_act(state: State) -> jax.Array:
    """The agents that are on the board and not frozen, `[N]` bool."""
    return (state.timeouts == 0) & (state.frozen == 0)


def is_ready(state: State) -> jax.Array:
    """The agents that have taken a resource since they started with one of each class, `[N]` bool."""
    return fold(jnp.add, jnp.unstack(state.inventories, axis=1)) > state.inventories.shape[1]


def choose_meetings(struck: barriers.Struck, state: State, order: jax.Array, is_row: np.ndarray | None) -> jax.Array:
    """Decides which hits start an interaction.

    A hit counts if it is a first one, see `barriers.find_first_hits`. It starts an interaction if both agents are
    ready, the one that is hit is not frozen and, with roles, the roles differ.

    Args:
      struck: the hits.
      state: after the moves.
      order: `[N]` int32, the number of agents that fire before each agent.
      is_row: `[N]` bool, the agents that are always the row player; None if it is the agent that fires.

    Returns:
      `[N, N]` bool: [i, j] is whether i, as the row player, meets j.
    """
    counts = barriers.find_first_hits(struck, order)
    meets = counts & (is_ready(state) & can_act(state))[None] & is_ready(state)[:, None]
    if is_row is None:
        return meets
    shooter, target = is_row[:, None, *[None] * (order.ndim - 1)], is_row[None, :, *[None] * (order.ndim - 1)]
    meets &= shooter != target
    return (meets & shooter) | (meets & target).swapaxes(0, 1)


def find_played(inventories: jax.Array, met: jax.Array) -> jax.Array:
    """The class of which each agent that meets another has most (equal: the lower class), `[N, K]` int32, 0 or 1."""
    held = jnp.unstack(inventories, axis=1)
    most = fold(jnp.maximum, held)
    is_free, played = any_other(met | met.swapaxes(0, 1)), []
    for count in held:
        played.append(is_free & (count == most))
        is_free &= ~played[-1]
    return jnp.stack(played, 1).astype(jnp.int32)


def settle(state: State, met: jax.Array, payoffs: np.ndarray, params: Params) -> tuple[State, jax.Array, jax.Array]:
    """Rewards agents at the end of their interaction, and freezes those that meet.

    Args:
      state: after the beams.
      met: `[N, N]` bool, see `choose_meetings`.
      payoffs: `[2, K, K]` float32.
      params: has `freeze_steps`.

    Returns:
      The state, the rewards of the step, `[N]` float32, and the agents whose interaction is over, `[N]` bool. They have
      one of each class again.
    """
    is_pair = met | met.swapaxes(0, 1)
    is_met, is_over = any_other(is_pair), state.frozen == 1
    agents = range(len(is_met))
    others = fold(jnp.add, [jnp.where(is_pair[:, j, None], state.inventories[j][None], 0) for j in agents])
    due = pay(state.inventories, others, any_other(met), payoffs)
    pending = jnp.where(is_met, due, jnp.where(is_over, jnp.float32(0), state.pending_rewards))
    frozen = jnp.where(is_met, params.freeze_steps, jnp.maximum(state.frozen - 1, 0)).astype(jnp.int32)
    rewards = jnp.where(is_over, state.pending_rewards, jnp.float32(0))
    state = state.replace(
        inventories=jnp.where(is_over[:, None], 1, state.inventories),
        partners=jnp.where(is_met[:, None], others, state.partners),
        frozen=frozen,
        pending_rewards=pending,
    )
    return state, rewards, is_over
