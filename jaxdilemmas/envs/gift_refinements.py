"""Gift refinements: a token that is given away becomes five better ones, if the other agent gives some of them back.

Gift Refinements of Melting Pot (google-deepmind/meltingpot @ 81ee2e7); docs/gift_refinements.md contains the rules,
their sources and our own choices.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from jaxdilemmas.batching import batched, compute_once, fold
from jaxdilemmas.environment import Transition, check_counts, check_numbers
from jaxdilemmas.envs.mines import read_mine
from jaxdilemmas.grid import items, lab2d
from jaxdilemmas.grid.environment import GridEnvironment, GridState
from jaxdilemmas.grid.geometry import count_others
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells
from jaxdilemmas.grid.movement import BEAM, goes_first, move_agents
from jaxdilemmas.grid.scene import OTHERS, PALETTE, Layer, Scene, one_kind
from jaxdilemmas.uniforms import uniform

CONSUME = 8
"""The number of the action that eats all tokens of an agent."""

RAW, REFINED, FINAL = range(3)
"""Kinds of token."""


class Params(lab2d.EndingParams):
    """The numbers in the rules: those of `EndingParams`, and of tokens and gifts.

    Attributes:
      token_growth: probability that a token grows on an empty cell in a step.
      gift_multiplier: tokens that a given raw or refined token becomes.
      capacity: largest number of tokens of each kind that an agent holds.
      gift_cooldown: steps after a shot in which no beam can be fired. Melting Pot's number is one more.
    """

    token_growth: Any = 0.0002
    gift_multiplier: Any = 5
    capacity: Any = 15
    gift_cooldown: Any = 2


class State(GridState):
    """One moment of the game: `GridState`, the beams, and tokens on the board and of agents.

    Attributes:
      cooldowns: `[N, 1]` int32, steps in which the beam cannot be fired yet.
      rays: `[N, 1]` int32, cells that the beam fired in the last step covers; 0 for agents that did not fire.
      tokens: `[A]` bool, whether each token is there.
      inventories: `[N, 3]` int32, raw, refined and final tokens of each agent.
    """

    cooldowns: jax.Array
    rays: jax.Array
    tokens: jax.Array
    inventories: jax.Array


class Draws(lab2d.EndingDraws):
    """The random numbers of one step: those of `EndingDraws`, and those of gifts and tokens; float32 in [0, 1).

    Attributes:
      gift_priorities: `[N]`, the agent with the highest one gives first.
      token_growth: `[A]`, compared with the probability that a token grows.
    """

    gift_priorities: jax.Array
    token_growth: jax.Array


class GiftRefinements(GridEnvironment):
    """See the module for the game and docs/gift_refinements.md for its rules.

    Args:
      num_agents: N; agents start on distinct random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      episode_ending, movement: see `lab2d.ending_params`.
      map: "default", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      beam_length: cells of the beam.
      extras: whether agents observe the numbers `extra_names` beside their view, as an `Observation`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      token_cells: `[A, 2]` int32, row-major, the cells on which tokens grow.
      token_index_at: `[H, W]` int32, the inverse of `token_cells`, A where no token grows.
      ends_by_chance: whether the episode ending is stochastic.
    """

    window = lab2d.WINDOW
    num_actions = 9
    second_action = "consume"
    tiles = ("void", "floor", "token", "wall", "beam", *OTHERS, "self")
    colours = PALETTE | {"token": (240, 200, 40)}
    policy_module = "jaxdilemmas.policies.gift_refinements"
    extra_names = ("ready_to_gift", "raw", "refined", "final")

    def __init__(
        self,
        num_agents: int = 6,
        observation: str = "tiles",
        episode_ending: str = "clock",
        map: Board = "default",
        beam_length: int = 5,
        movement: str = "sequential",
        extras: bool = True,
        **params: Any,
    ) -> None:
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        board = read_mine(map, "token")
        layer = Layer("token", "floor", cells_of(board["token"]))
        super().__init__(board, num_agents, observation, [layer], extras)
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(beam_length)
        self.token_cells, self.token_index_at = layer.cells, index_of_cells(layer.cells, self.walls.shape)
        self.default_params = self.params_from(Params, numbers | params)
        lab2d.check_ending_params(self.default_params)
        check_numbers(self.default_params, 1, "token_growth")
        check_counts(self.default_params, "gift_multiplier", "capacity")
        check_counts(self.default_params, "gift_cooldown", least=0)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random spawn cells with random headings, and no tokens."""
        del params
        return State(
            **self.start(*self.random_spawns(key)),
            cooldowns=jnp.zeros((self.num_agents, 1), jnp.int32),
            rays=jnp.zeros((self.num_agents, 1), jnp.int32),
            tokens=jnp.zeros(len(self.token_cells), bool),
            inventories=jnp.zeros((self.num_agents, 3), jnp.int32),
        )

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        n = self.num_agents
        uniforms = uniform(key, 2 * n + 1 + len(self.token_cells))
        return Draws(
            priorities=uniforms[:n],
            gift_priorities=uniforms[n : 2 * n],
            episode_end=uniforms[2 * n],
            token_growth=uniforms[2 * n + 1 :],
        )

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: consume, grow, move, collect, give. `Environment.transition` explains the result."""
        consumed, inventories = consume(state.inventories, actions)
        tokens = state.tokens.astype(jnp.int8)
        index_at = self.token_index_at
        tokens |= items.grow_apart(tokens, draws.token_growth, (params.token_growth,), index_at, state.positions)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        taken, tokens = items.collect(tokens, index_at, state.positions, state.timeouts == 0)
        collected = taken.astype(jnp.int32)
        raw = jnp.minimum(inventories[:, RAW] + collected, jnp.asarray(params.capacity, jnp.int32))
        inventories = jnp.concatenate([raw[:, None], inventories[:, REFINED:]], axis=1)
        state = state.replace(inventories=inventories, tokens=tokens > 0, step_count=state.step_count + 1)
        state, given = give(state, draws.gift_priorities, actions, self.reach_of, params)
        info = {
            "collected": collected,
            "consumed": consumed,
            "gifts_given": count_others(given),
            "gifts_received": count_others(given, axis=0),
        }
        is_over = lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance
        return state, consumed.astype(jnp.float32), is_over, info

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The numbers `extra_names`, `[N, 4]` float32."""
        ready = lab2d.observe_beams(state.cooldowns, (params.gift_cooldown,), state.timeouts)[:, :1]
        return jnp.concatenate([ready, state.inventories.astype(jnp.float32)], axis=1)

    def scene(self, state: State) -> Scene:
        """Paints tokens, and beams up to the cells that they reached."""
        return super().scene(state)._replace(things=[state.tokens], beams=[one_kind("beam", state.rays)])


def consume(inventories: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Agents eat all of their tokens.

    Args:
      inventories: `[N, 3]` int32.
      actions: `[N]` int32.

    Returns:
      How many tokens each agent eats, `[N]` int32, and the inventories.
    """
    eats = actions == CONSUME
    total = fold(jnp.add, jnp.unstack(inventories, axis=1))
    return jnp.where(eats, total, 0), jnp.where(eats[:, None], 0, inventories)


def give(
    state: State, priorities: jax.Array, actions: jax.Array, reach_of: lab2d.ReachOf, params: Params
) -> tuple[State, jax.Array]:
    """Fires the beams of all agents; each stops at a wall or at the first agent, which gets a gift.

    Args:
      state: after the moves.
      priorities: `[N]` float32, the order in which agents give.
      actions: `[N]` int32.
      reach_of: see `GridEnvironment.reach_of`.
      params: has the cooldown, the multiplier and the capacity.

    Returns:
      The state, and `[N, N]` bool, [i, j] is whether i gives a token to j.
    """
    is_present = state.timeouts == 0
    cooldown_steps = jnp.asarray(params.gift_cooldown, jnp.int32)[None]
    cooldowns, is_fired = lab2d.trigger(state.cooldowns, is_present, (actions == BEAM)[:, None], cooldown_steps)
    reach = reach_of(state.positions, state.headings, is_fired[:, 0])
    hits, rays = lab2d.find_zaps(state.positions, state.headings, reach, is_present)
    numbers = (jnp.asarray(number, jnp.int32) for number in (params.gift_multiplier, params.capacity))
    inventories, given = compute_once(give_in_turn)(state.inventories, hits, priorities, *numbers)
    return state.replace(cooldowns=cooldowns, fired=is_fired[:, 0], rays=rays, inventories=inventories), given


def give_in_turn(
    inventories: jax.Array, hits: jax.Array, priorities: jax.Array, multiplier: jax.Array, capacity: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Agents give one after the other a token of their highest kind, which becomes several of the next kind.

    A final token stays one final token. Tokens above the capacity are lost.

    Args:
      inventories: `[N, 3]` int32.
      hits: `[N, N]` bool, [i, j] is whether the beam of i hits j.
      priorities: `[N]` float32, the highest one gives first.
      multiplier: `[]` int32.
      capacity: `[]` int32.

    Returns:
      The inventories, and `[N, N]` bool, [i, j] is whether i gives a token to j.
    """
    chex.assert_equal_shape_prefix([inventories, hits, priorities], 1)
    place = count_others(goes_first(priorities))
    given = jnp.zeros(hits.shape, bool)
    for turn in range(len(place)):
        is_turn = place == turn
        has = inventories > 0
        highest = jnp.stack(
            [has[:, RAW] & ~has[:, REFINED] & ~has[:, FINAL], has[:, REFINED] & ~has[:, FINAL], has[:, FINAL]]
        )
        gives = hits & (is_turn & fold(jnp.logical_or, highest))[:, None]
        lost = (highest & (is_turn & fold(jnp.logical_or, jnp.unstack(gives, axis=1)))[None]).astype(jnp.int32)
        receives = fold(jnp.logical_or, list(gives)).astype(jnp.int32)
        raw, refined, final = (fold(jnp.add, list(kind)) for kind in lost)
        gained = jnp.stack([jnp.zeros_like(raw), multiplier * raw, multiplier * refined + final])
        inventories = jnp.minimum(inventories - lost.swapaxes(0, 1) + receives[:, None] * gained[None], capacity)
        given = given | gives
    return inventories, given
