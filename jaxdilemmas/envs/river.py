"""The river of the games of Cleanup: waste comes to it by chance, and apples grow the less the more of it there is.

Source of the rule that binds apples to waste: Hughes et al. 2018 (arXiv:1803.08884), as in google-deepmind/lab2d
@ 0947443 and in vicgalle/llm-policies-social-dilemmas @ f5c5b2b.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.environment import check_counts, check_numbers, require
from jaxdilemmas.grid.bits import mark_bits, nth_set_bit


class RiverParams(struct.PyTreeNode):
    """The numbers that the rules of every game of Cleanup hold.

    Attributes:
      apple_growth_rate: chance of an apple to grow in a step when the river is clean.
      depletion_threshold: fraction of the river under waste from which on no apples grow.
      restoration_threshold: fraction below which they grow at the full rate; linear in between.
      waste_probability: chance of a new cell of waste in a step.
      fine_cost: what a fine costs the shooter: each agent hit, or in `cleanup_gallego` each shot.
      fine_penalty: what it costs the agent that is hit.
      max_steps: length of an episode.
    """

    apple_growth_rate: Any = 0.05
    depletion_threshold: Any = 0.4
    restoration_threshold: Any = 0.0
    waste_probability: Any = 0.5
    fine_cost: Any = 1.0
    fine_penalty: Any = 50.0
    max_steps: Any = 1000


def waste_fraction(waste: jax.Array, num_cells: int) -> jax.Array:
    """The fraction of a river of so many cells that is under waste, `[]` float32 for `[W]` uint32 of packed bits."""
    return _divide(jax.lax.population_count(waste).sum(dtype=jnp.int32).astype(jnp.float32), num_cells)


def growth_probability(waste: jax.Array, num_cells: int, params: RiverParams) -> jax.Array:
    """Chance of an apple to grow in a step, `[]` float32; zero or less where none grow.

    Args:
      waste: `[W]` uint32, packed bits of where waste lies when the game looks at it.
      num_cells: of the river.
      params: has the rate and the thresholds.
    """
    depleted_at = jnp.asarray(params.depletion_threshold, jnp.float32)
    restored_at = jnp.asarray(params.restoration_threshold, jnp.float32)
    share = _divide(waste_fraction(waste, num_cells) - depleted_at, restored_at - depleted_at)
    return params.apple_growth_rate * jnp.minimum(share, 1.0)


def _divide(dividend: jax.Array, divisor: jax.Array | int) -> jax.Array:
    """Divides a float32 with one rounding however it is compiled.

    XLA multiplies by the reciprocal where a batch shares the divisor, which is not the same bitwise; it does not see
    that this one is shared.
    """
    return dividend / jnp.clip(dividend, divisor, divisor)


def new_waste(draws: Any, candidates: jax.Array, params: RiverParams) -> jax.Array:
    """By chance one of the candidates, each equally likely, gets waste.

    Args:
      draws: has `waste_gate`, whether waste comes, and `waste_choice`, where: `[]` float32 in [0, 1) each.
      candidates: `[W]` uint32, cells of the river as packed bits; perhaps none.
      params: has `waste_probability`.

    Returns:
      `[W]` uint32, that cell or none.
    """
    count = jax.lax.population_count(candidates).sum(dtype=jnp.int32)
    chosen = nth_set_bit(candidates, jnp.floor(draws.waste_choice * count.astype(jnp.float32)).astype(jnp.int32))
    is_coming = draws.waste_gate < params.waste_probability
    return jnp.where(is_coming, mark_bits(chosen[None], len(candidates))[0] & candidates, jnp.uint32(0))


def check_river_params(params: RiverParams) -> None:
    """Raises a ValueError if a number is outside its range."""
    check_counts(params, "max_steps")
    check_numbers(params, 1, "apple_growth_rate", "waste_probability", "depletion_threshold", "restoration_threshold")
    check_numbers(params, float("inf"), "fine_cost", "fine_penalty")
    below = f"less than depletion_threshold={params.depletion_threshold}"
    is_below = params.restoration_threshold < params.depletion_threshold
    require(is_below, "restoration_threshold", params.restoration_threshold, below)
