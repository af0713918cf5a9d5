"""A river: waste appears at random, apples grow more slowly the more waste there is, and beams remove waste.

Source of the rule that binds apples to waste: Hughes et al. 2018 (arXiv:1803.08884), as in google-deepmind/lab2d @
0947443 and in vicgalle/llm-policies-social-dilemmas @ f5c5b2b.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.batching import compute_once, fold
from jaxdilemmas.environment import check_counts, check_numbers, require
from jaxdilemmas.grid import beams, lab2d, movement
from jaxdilemmas.grid.bits import WORD_BITS, count_bits, look_up_bits, mark_bits, nth_set_bit, pack_bits
from jaxdilemmas.grid.geometry import count_others, with_trailing_axes
from jaxdilemmas.grid.maps import Board, cells_of, index_of_cells, read_river_layers
from jaxdilemmas.grid.scene import OTHERS, PALETTE, Beams, Layer, Scene

TILES = ("void", "floor", "apple", "river", "waste", "stream", "wall", "clean_beam", "beam", *OTHERS, "self")
"""Names of tile ids in draw order, in games with a river."""

COLOURS = PALETTE | {
    "river": (100, 180, 255),
    "waste": (139, 90, 43),
    "stream": (0, 180, 200),
    "clean_beam": (100, 255, 255),
}
"""RGB by tile name, of the same source as `scene.PALETTE`."""

FINE, CLEAN = range(2)
"""The beams of `fire_beams`."""


EXTRAS = ("ready_to_fine", "ready_to_clean", "is_out")
"""The numbers that agents may observe beside their view; see `observe_beams`."""


def observe_beams(state: Any, params: Any) -> jax.Array:
    """The numbers `EXTRAS`, `[N, 3]` float32; see `lab2d.observe_beams`.

    Args:
      state: has `cooldowns` `[N, 2]` int32 and `timeouts` `[N]` int32.
      params: has the cooldowns of both beams.
    """
    return lab2d.observe_beams(state.cooldowns, (params.fine_cooldown, params.clean_cooldown), state.timeouts)


def read_river(
    board: Board, boards: Mapping[str, str], symbols: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], Layer, np.ndarray]:
    """Reads a board that has a river.

    Args:
      board: the argument `map` of a game.
      boards: its own boards by name.
      symbols: the layer of each character.

    Returns:
      The masks of the board by name, `[H, W]` bool each; the layer of the river's cells, with the tiles "waste" and
      "river"; and the cells of it that are under waste, `[R]` bool.

    Raises:
      ValueError: see `maps.read_river_layers`.
    """
    masks = read_river_layers(board, boards, symbols)
    layer = Layer("waste", "river", cells_of(masks["river"]))
    return masks, layer, masks["waste"][tuple(layer.cells.T)]


def rays_over(cells: np.ndarray, shape: tuple[int, int], length: int) -> np.ndarray:
    """The river cell on each cell of every possible ray of a beam of Lab2D.

    Args:
      cells: `[R, 2]` int32, the cells of the river.
      shape: (H, W) of the board.
      length: cells of each ray.

    Returns:
      `[H * W, 4, 3, length]` int32, see `beams.ray_table`; R where there is no river.
    """
    index_at = index_of_cells(cells, shape)
    return beams.ray_table(index_at, len(cells), length, lab2d.NUM_RAYS // 2, lab2d.SIDE_START)


class RiverParams(struct.PyTreeNode):
    """The numbers in the rules of every game of Cleanup.

    Attributes:
      apple_growth_rate: p, the probability that an apple grows in a step if f, the fraction of the river under waste,
        is `restoration_threshold` or less.
      depletion_threshold: no apple grows if f is this or more.
      restoration_threshold: between this and `depletion_threshold` the probability is linear in f; it must be below
        `depletion_threshold`.
      waste_probability: probability of a new cell of waste in a step.
      fine_cost: cost of a fine to the shooter, for each agent hit; in `cleanup_gallego` for each shot.
      fine_penalty: cost of a fine to each agent hit.
      max_steps: length of an episode, in steps.
    """

    apple_growth_rate: Any = 0.05
    depletion_threshold: Any = 0.4
    restoration_threshold: Any = 0.0
    waste_probability: Any = 0.5
    fine_cost: Any = 1.0
    fine_penalty: Any = 50.0
    max_steps: Any = 1000


class RiverState(struct.PyTreeNode):
    """The fields of a state that a game with a river adds to `GridState`.

    Attributes:
      waste: `[R]` bool, whether each cell of the river is under waste.
      cleaned_at: `[N]` bool, the agents whose cleaning beam is drawn.
    """

    waste: jax.Array
    cleaned_at: jax.Array


class RiverDraws(struct.PyTreeNode):
    """The random numbers of one step in all games with a river; float32 in [0, 1).

    Attributes:
      waste_gate: `[]`, whether new waste appears.
      waste_choice: `[]`, where it appears.
      apple_growth: `[A]`, compared with the probability that an apple grows.
    """

    waste_gate: jax.Array
    waste_choice: jax.Array
    apple_growth: jax.Array


def start(starts_dirty: np.ndarray, num_agents: int) -> dict[str, jax.Array]:
    """The fields of `RiverState` at the start of an episode: the waste of the map `[R]` bool, and `[N]` bool, False."""
    return {"waste": jnp.asarray(starts_dirty), "cleaned_at": jnp.zeros(num_agents, bool)}


class BeamParams(RiverParams):
    """The numbers in the rules of games with a river and the beams of Lab2D.

    Attributes:
      waste_start_steps: no waste appears during the first `waste_start_steps + 1` steps.
      fine_cooldown: steps after a shot in which no fine can be fired.
      clean_cooldown: steps after a shot in which no cleaning beam can be fired.
    """

    waste_start_steps: Any = 50
    fine_cooldown: Any = 10
    clean_cooldown: Any = 2


def waste_fraction(waste: jax.Array, num_cells: int) -> jax.Array:
    """The fraction of a river of `num_cells` cells under waste, `[...]` float32 for packed bits `[W, ...]` uint32."""
    return _divide(count_bits(waste).astype(jnp.float32), num_cells)


def growth_probability(waste: jax.Array, num_cells: int, params: RiverParams) -> jax.Array:
    """The probability that an apple grows in a step, `[]` float32; zero or less means that none grows.

    Args:
      waste: `[W]` uint32, packed bits of the waste at the time of growth.
      num_cells: number of cells of the river.
      params: has the rate and the thresholds.
    """
    depleted_at = jnp.asarray(params.depletion_threshold, jnp.float32)
    restored_at = jnp.asarray(params.restoration_threshold, jnp.float32)
    share = _divide(waste_fraction(waste, num_cells) - depleted_at, restored_at - depleted_at)
    return params.apple_growth_rate * jnp.minimum(share, 1.0)


def _divide(dividend: jax.Array, divisor: jax.Array | int) -> jax.Array:
    """Divides a float32 with one rounding in every compiled program.

    If a batch shares the divisor, XLA multiplies by the reciprocal, which is not bitwise the same. XLA cannot recognise
    that this divisor is shared.
    """
    return dividend / jnp.clip(dividend, divisor, divisor)


def new_waste(draws: Any, candidates: jax.Array, params: RiverParams) -> jax.Array:
    """At random one of the candidates, each equally likely, gets waste.

    Args:
      draws: has `waste_gate`, whether waste appears, and `waste_choice`, where: `[]` float32 in [0, 1) each.
      candidates: `[W]` uint32, cells of the river as packed bits; there may be none.
      params: has `waste_probability`.

    Returns:
      `[W]` uint32, that cell or none.
    """
    number = jnp.floor(draws.waste_choice * count_bits(candidates).astype(jnp.float32)).astype(jnp.int32)
    is_coming = draws.waste_gate < params.waste_probability
    marked = mark_bits(nth_set_bit(candidates, number), len(candidates))
    return jnp.where(is_coming, marked & candidates, jnp.uint32(0))


def grow_apples(uniforms: jax.Array, chance: jax.Array) -> jax.Array:
    """The apples that grow, `[W, ...]` uint32 of packed bits, for `[A, ...]` and `[...]` float32."""
    return compute_once(lambda uniforms, chance: pack_bits(uniforms < chance))(uniforms, chance)


def grow_waste(waste: jax.Array, num_cells: int, draws: Any, num_steps: jax.Array, params: BeamParams) -> jax.Array:
    """After the first steps one clean cell of the river, each equally likely, may get waste.

    Args:
      waste: `[W]` uint32, packed bits.
      num_cells: number of cells of the river.
      draws: see `new_waste`.
      num_steps: `[]` int32, steps before this one.
      params: has `waste_probability` and `waste_start_steps`.

    Returns:
      `[W]` uint32.
    """
    words = [
        (1 << min(max(num_cells - start, 0), WORD_BITS)) - 1 for start in range(0, len(waste) * WORD_BITS, WORD_BITS)
    ]
    whole_river = with_trailing_axes(np.array(words, np.uint32), waste.ndim)
    fresh = new_waste(draws, ~waste & whole_river, params)
    return jnp.where(num_steps > params.waste_start_steps, waste | fresh, waste)


class Shots(NamedTuple):
    """The targets that the beams of one step meet.

    Attributes:
      given: `[N, N]` bool, [i, j] is whether the fine of i hits j.
      waste_met: `[W, N, ...]` uint32, packed bits of the cells whose waste the cleaning beam of each agent meets.
    """

    given: jax.Array
    waste_met: jax.Array


def fire_beams(
    state: Any,
    waste: jax.Array,
    actions: jax.Array,
    reach_of: lab2d.ReachOf,
    on_ray: jax.Array,
    params: BeamParams,
) -> tuple[Any, Shots]:
    """Agents fire fines and cleaning beams, all at once.

    Args:
      state: a `GridState` with `cooldowns` `[N, 2]`, `rays` `[N, 3]` and `cleaned_at` `[N]`.
      waste: `[W]` uint32, packed bits.
      actions: `[N]` int32.
      reach_of: positions, headings and which agents fire -> `[N, 3]` int32, see `GridEnvironment.reach_of`.
      on_ray: `[N, 3, length]` int32, the river cells on each ray, see `beams.look_along_rays`.
      params: has the cooldowns.

    Returns:
      The state, with the beams to draw, and the targets that they meet.
    """
    chex.assert_equal_shape_prefix([actions, on_ray], 1)
    chex.assert_rank([waste, on_ray], [actions.ndim, actions.ndim + 2])
    is_present = state.timeouts == 0
    wants = jnp.stack([actions == movement.BEAM, actions == movement.CLEAN], 1)
    longest = params.fine_cooldown, params.clean_cooldown
    cooldown_steps = jnp.stack([jnp.broadcast_to(jnp.asarray(steps, jnp.int32), wants.shape[2:]) for steps in longest])
    cooldowns, is_fired = lab2d.trigger(state.cooldowns, is_present, wants, cooldown_steps)
    fine_reach, clean_reach = (reach_of(state.positions, state.headings, is_fired[:, k]) for k in (FINE, CLEAN))
    given, fine_rays = lab2d.find_zaps(state.positions, state.headings, fine_reach, is_present)
    waste_met, clean_rays = meet_waste(waste, on_ray, clean_reach)
    state = state.replace(
        cooldowns=cooldowns,
        fired=is_fired[:, FINE],
        cleaned_at=is_fired[:, CLEAN],
        rays=jnp.where(is_fired[:, CLEAN, None], clean_rays, fine_rays),
    )
    return state, Shots(given, waste_met)


def paint(scene: Scene, state: Any) -> Scene:
    """The scene of a board with apples, plus the river and the beams up to the cells that they reached.

    Args:
      scene: the scene of `GridEnvironment`.
      state: a `GridState` with `waste` `[R]`, `rays` `[N, 3]` and `cleaned_at` `[N]`.
    """
    rays = jnp.where((state.fired | state.cleaned_at)[:, None], state.rays, 0)
    beams = Beams(("clean_beam", "beam"), state.fired.astype(jnp.int32), rays)
    return scene._replace(things=[state.apples, state.waste], beams=[beams])


def meet_waste(waste: jax.Array, on_ray: jax.Array, reach: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each ray ends at the first waste that it meets.

    Args:
      waste: `[W]` uint32, packed bits.
      on_ray: `[N, rays, length]` int32, see `fire_beams`.
      reach: `[N, rays]` int32, the most cells that each ray covers; 0 for agents that do not clean.

    Returns:
      The cells whose waste the rays of each agent meet, `[W, N, ...]` uint32 of packed bits, and the cells that each
      ray covers before it, `[N, rays, ...]` int32.
    """
    chex.assert_rank([waste, on_ray, reach], [reach.ndim - 1, reach.ndim + 1, reach.ndim])
    is_first, rays = compute_once(beams.stop_at_marks)(compute_once(look_up_bits)(waste, on_ray), reach)
    nowhere = WORD_BITS * len(waste)  # no bit of any word

    def mark(is_first: jax.Array, on_ray: jax.Array) -> jax.Array:
        met = fold(jnp.minimum, jnp.unstack(jnp.where(is_first, on_ray, nowhere), axis=2))  # [N, rays, ...]
        return fold(jnp.bitwise_or, [mark_bits(cells, len(waste)) for cells in jnp.unstack(met, axis=1)])

    return compute_once(mark)(is_first, on_ray), rays


def count_cleaned(credited: jax.Array, waste: jax.Array) -> jax.Array:
    """Cells of waste that each agent is credited for, `[N, ...]` int32.

    Args:
      credited: `[W, N, ...]` uint32, packed bits.
      waste: `[W, ...]` uint32, before the beams.
    """
    chex.assert_equal_shape_prefix([credited, waste], 1)
    return count_bits(credited & waste[:, None])


def pay_for_fines(collected: jax.Array, given: jax.Array, params: RiverParams) -> jax.Array:
    """Rewards: one for each apple, minus the costs of fines to the shooters and to the agents that they hit.

    Args:
      collected: `[N]` int32.
      given: `[N, N]` bool, [i, j] is whether the fine of i hits j.
      params: has `fine_cost`, for each agent hit, and `fine_penalty`, for each beam that hits.

    Returns:
      `[N]` float32.
    """
    chex.assert_shape(given, (len(collected), len(collected), *collected.shape[1:]))
    sums = collected, count_others(given), count_others(given, axis=0)
    apples, hits_given, hits_received = (counts.astype(jnp.float32) for counts in sums)
    return apples - params.fine_cost * hits_given - params.fine_penalty * hits_received


def check_river_params(params: RiverParams) -> None:
    """Raises a ValueError if a number of `RiverParams` is outside its range."""
    check_counts(params, "max_steps")
    check_numbers(params, 1, "apple_growth_rate", "waste_probability", "depletion_threshold", "restoration_threshold")
    check_numbers(params, float("inf"), "fine_cost", "fine_penalty")
    below = f"less than depletion_threshold={params.depletion_threshold}"
    is_below = params.restoration_threshold < params.depletion_threshold
    require(is_below, "restoration_threshold", params.restoration_threshold, below)


def check_beam_params(params: BeamParams) -> None:
    """Raises a ValueError if a number of `BeamParams` is outside its range."""
    check_river_params(params)
    check_counts(params, "waste_start_steps", "fine_cooldown", "clean_cooldown", least=0)
