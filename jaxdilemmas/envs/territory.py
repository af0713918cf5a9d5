"""Territory: agents claim walls that pay them from time to time, and may take over or destroy the walls of others.

Territory of Melting Pot (google-deepmind/meltingpot @ 81ee2e7); docs/territory.md contains the rules, their sources and
our own choices. `territories` contains the boards.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.arguments import check_count, check_flag
from jaxdilemmas.batching import batched, compute_once
from jaxdilemmas.environment import Transition, check_numbers
from jaxdilemmas.envs.territories import DAMAGED, INTACT, MOST_AGENTS, NUM_AGENTS, kinds_of, read_land
from jaxdilemmas.grid import barriers, beams, claims, lab2d, sanctions
from jaxdilemmas.grid.bits import count_bits, look_up_bits, nth_set_bit, pack_bits
from jaxdilemmas.grid.environment import GridEnvironment, GridState
from jaxdilemmas.grid.geometry import count_others
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells
from jaxdilemmas.grid.movement import BEAM, Obstacles, move_agents
from jaxdilemmas.grid.scene import MARKED_OTHERS, OTHERS, PALETTE, Beams, Owned, OwnedLayer, Scene
from jaxdilemmas.grid.spawning import MOST_STEPS, choose_distinct, choose_headings
from jaxdilemmas.uniforms import uniform

CLAIM = 8
"""The number of the action that fires the claim beam."""

BEAM_LENGTH, FULL_HEALTH = 2, 2
"""Cells of each ray of both beams; the health of a resource that is not damaged (0: it is not there)."""


class Params(lab2d.EndingParams, sanctions.SanctionParams):
    """The numbers in the rules: those of `EndingParams` and `SanctionParams`, and those of resources.

    Attributes:
      reward: reward of a payment.
      payment_probability: probability that a claimed resource pays its owner in a step.
      payment_delay: steps after a claim in which the resource does not pay.
      repair_probability: probability that a damaged resource is repaired in a step.
      repair_delay: steps after a hit in which a resource is not repaired.
    """

    zap_cooldown: Any = 4
    reward: Any = 1.0
    payment_probability: Any = 0.01
    payment_delay: Any = 25
    repair_probability: Any = 0.1
    repair_delay: Any = 15


class State(sanctions.SanctionState, lab2d.BeamState, claims.ClaimState, barriers.BarrierState, GridState):
    """One moment of the game: `GridState` without apples, beams, sanctions, and claims and health of resources.

    Attributes:
      claimed_at: `[N]` bool, the agents whose claim beam is drawn.
    """

    claimed_at: jax.Array


class Draws(lab2d.EndingDraws):
    """The random numbers of one step: `EndingDraws`, whose priorities also order beams, and more; float32 in [0, 1).

    Attributes:
      claim_priorities: `[N]`, the order of claims; the last claim of a resource counts.
      payments: `[R]`, whether each resource pays.
      repairs: `[R]`, whether each resource is repaired.
    """

    claim_priorities: jax.Array
    payments: jax.Array
    repairs: jax.Array


class Territory(GridEnvironment):
    """See the module for the game and docs/territory.md for its rules.

    Args:
      map: "open", "rooms" (whose opposite edges meet) or "inside_out" (whose walls are drawn at the start of each
        episode), a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      num_agents: N; agents start on distinct random spawn cells. None means 9, and 5 on "inside_out".
      observation: "tiles", "one_hot" or "rgb".
      episode_ending, movement: see `lab2d.ending_params`.
      torus: whether opposite edges of the board meet. None means that of the map, and False for your own board.
      extras: whether agents observe the numbers `extra_names` beside their view, as an `Observation`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      resource_cells: `[R, 2]` int32, row-major; index r of every array of resources is the cell `resource_cells[r]`.
      resource_index_at: `[H, W]` int32, the inverse of `resource_cells`, R where there is no resource.
      resource_chances: `[R]` float32, the probability that each resource is there at the start of an episode.
      spawn_chances: `[P]` float32, the probability that agents may start on each spawn cell.
      ends_by_chance: whether the episode ending is stochastic.
    """

    beam_side_start = lab2d.SIDE_START
    window = lab2d.WINDOW
    num_actions = 9
    second_action = "claim"
    tiles = ("void", "floor", *INTACT, *DAMAGED, "wall", "beam", "claim_beam", *OTHERS, "self", *MARKED_OTHERS)
    colours = PALETTE | INTACT | DAMAGED | {"claim_beam": (255, 255, 200)}
    policy_module = "jaxdilemmas.policies.territory"
    extra_names = ("ready_to_zap", "is_out", "is_frozen")

    def __init__(
        self,
        map: Board = "open",
        num_agents: int | None = None,
        observation: str = "tiles",
        episode_ending: str = "clock",
        torus: bool | None = None,
        movement: str = "sequential",
        extras: bool = True,
        **params: Any,
    ) -> None:
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        check_flag("torus", torus is None or torus)
        self.is_torus = map == "rooms" if torus is None else bool(torus)
        board, self.resource_chances, self.spawn_chances = read_land(map)
        layer = OwnedLayer(kinds_of("own"), kinds_of("other"), "floor", cells_of(board["resource"]))
        agents = NUM_AGENTS.get(str(map), MOST_AGENTS) if num_agents is None else num_agents
        super().__init__(board, agents, observation, [layer], extras)
        self.check_num_agents(min(claims.MOST_OWNERS, int((self.spawn_chances == 1).sum())))
        self.set_beam(BEAM_LENGTH, lab2d.NUM_RAYS // 2)
        self.resource_cells, self.resource_index_at = layer.cells, index_of_cells(layer.cells, self.walls.shape)
        rays = BEAM_LENGTH, lab2d.NUM_RAYS // 2, lab2d.SIDE_START, self.is_torus
        self.resources_on_rays = beams.ray_table(self.resource_index_at, len(layer.cells), *rays)
        self.default_params = self.params_from(Params, numbers | params)
        check_params(self.default_params)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings; each has claimed the resource ahead of it."""
        del params
        n, num_resources = self.num_agents, len(self.resource_cells)
        uniforms = uniform(key, 3 * n + num_resources + len(self.spawn_cells))
        for_agents, for_resources, for_spawns = jnp.split(uniforms, [3 * n, 3 * n + num_resources])
        can_spawn = pack_bits(for_spawns < self.spawn_chances)
        chosen = nth_set_bit(can_spawn, choose_distinct(for_agents[:n], count_bits(can_spawn)))
        state = State(
            **self.start(jnp.asarray(self.spawn_cells)[chosen], choose_headings(for_agents[n : 2 * n])),
            **lab2d.ready_beams(n, 1),
            **sanctions.free_agents(n),
            **claims.no_claims(num_resources),
            claimed_at=jnp.zeros(n, bool),
            health=jnp.where(for_resources < self.resource_chances, FULL_HEALTH, 0).astype(jnp.int8),
            unhit_for=jnp.zeros(num_resources, jnp.int8),
        )
        ahead = self._look(state, barriers.pack_health(state.health))
        return self._claim(state, ahead, state.fired, for_agents[2 * n :])[0]

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        n, num_resources = self.num_agents, len(self.resource_cells)
        ends = np.cumsum([n, 1, n, num_resources])
        priorities, episode_end, *others = jnp.split(uniform(key, ends[-1] + num_resources), ends)
        return Draws(priorities, episode_end[0], *others)

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: pay, release, repair, move, zap, claim, mark. `Environment.transition` explains the result."""
        state, payments = claims.begin(state, draws.payments, params)
        state = barriers.repair(state, draws.repairs, FULL_HEALTH, params)
        state, actions = sanctions.hold(state, actions)
        health = barriers.pack_health(state.health)
        obstacles = Obstacles(health.low | health.high, self.resource_index_at)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement, self.is_torus, obstacles)
        state = sanctions.begin(state, sanctions.FOREVER)
        ahead = self._look(state, health)
        state, struck = self._zap(state, ahead, actions == BEAM, draws.priorities, params)
        ahead = ahead._replace(there=ahead.there & ~struck.destroyed)
        state, claimed = self._claim(state, ahead, actions == CLAIM, draws.claim_priorities)
        received = count_others(struck.given, axis=0)
        state = sanctions.sanction(state, received, params).replace(step_count=state.step_count + 1)
        info = {
            "claimed": claimed,
            "destroyed": compute_once(count_bits)(struck.destroyed_by.swapaxes(0, 1)),
            "hits_given": count_others(struck.given),
            "hits_received": received,
            "tagged": state.timeouts > 0,
        }
        is_over = lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance
        return state, params.reward * payments.astype(jnp.float32), is_over, info

    def _look(self, state: State, health: barriers.Health) -> barriers.Ahead:
        """What is ahead of agents, for the packed health of resources."""
        reach = self.reach_of(state.positions, state.headings, state.timeouts == 0)
        on_ray = beams.look_along_rays(self.resources_on_rays, state, self.walls.shape[1])
        return barriers.Ahead(reach, on_ray, health.low | health.high, health)

    def _zap(
        self, state: State, ahead: barriers.Ahead, wants: jax.Array, priorities: jax.Array, params: Params
    ) -> tuple[State, barriers.Struck]:
        """Fires the beams of agents that want to and can; see `barriers.fire`."""
        steps = jnp.asarray(params.zap_cooldown, jnp.int32)[None]
        cooldowns, is_fired = lab2d.trigger(state.cooldowns, state.timeouts == 0, wants[:, None], steps)
        shots = ahead._replace(reach=jnp.where(is_fired, ahead.reach, 0))
        struck = barriers.fire(
            state, shots, barriers.rank(priorities), lab2d.SIDE_START, FULL_HEALTH, self.painter.torus
        )
        state, is_gone = barriers.wear_down(state, struck)
        state = state.replace(cooldowns=cooldowns, fired=is_fired[:, 0], rays=struck.rays)
        return claims.drop(state, is_gone), struck

    def _claim(
        self, state: State, ahead: barriers.Ahead, wants: jax.Array, priorities: jax.Array
    ) -> tuple[State, jax.Array]:
        """Agents claim the resource ahead and, with a beam, the one behind it up to a wall; see `claims.claim`."""
        is_beam, none = wants & (state.timeouts == 0), np.int32(len(self.resource_cells))
        reach, on_ray = ahead.reach[:, 1], ahead.on_ray[:, 1].swapaxes(0, 1)
        can_claim = look_up_bits(ahead.there, on_ray) & jnp.stack([reach > 0, is_beam & (reach == BEAM_LENGTH)])
        near, far = jnp.where(can_claim, on_ray, none)
        state, claimed = claims.claim(state, near, far, is_beam, priorities)
        ray, nothing = jnp.where(is_beam, reach, 0), jnp.zeros_like(reach)
        return state.replace(claimed_at=is_beam, rays=state.rays + jnp.stack([nothing, ray, nothing], 1)), claimed

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The numbers `extra_names`, `[N, 3]` float32: readiness of the beam, 1 for agents that are out or frozen."""
        ready = lab2d.observe_beams(state.cooldowns, (params.zap_cooldown,), state.timeouts)
        return jnp.concatenate([ready, (state.frozen > 0)[:, None].astype(jnp.float32)], axis=1)

    def scene(self, state: State) -> Scene:
        """Paints resources by owner, both beams up to the cells that they reached, and which agents are marked."""
        kinds = 1 + (state.owners >= 0).astype(jnp.int8) + state.dry.astype(jnp.int8)
        kinds = kinds + np.int8(3) * (state.health < FULL_HEALTH).astype(jnp.int8)
        kinds = jnp.where(state.health > 0, kinds, np.int8(0))
        shots = Beams(("beam", "claim_beam"), state.claimed_at.astype(jnp.int32), state.rays)
        things = [Owned(kinds, state.owners)]
        return super().scene(state)._replace(things=things, beams=[shots], is_marked=sanctions.shows_mark(state))


def check_params(params: Params) -> None:
    """Raises a ValueError if a number is outside its range."""
    lab2d.check_ending_params(params)
    sanctions.check_sanction_params(params)
    check_numbers(params, float("inf"), "reward")
    check_numbers(params, 1, "payment_probability", "repair_probability")
    for name in ("payment_delay", "repair_delay"):
        check_count(name, getattr(params, name), least=0, most=MOST_STEPS)
