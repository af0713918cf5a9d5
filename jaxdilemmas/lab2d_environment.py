"""What the games of DeepMind's Lab2D and Melting Pot share: beams that stop at what they hit, and cooldowns.

Source: google-deepmind/lab2d @ 0947443 (clean_up) and google-deepmind/meltingpot @ 81ee2e7 (clean_up, commons_harvest).
All beams of a step see the board as it is after all moves.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.environment import Info
from jaxdilemmas.grid import beams
from jaxdilemmas.grid.views import Window
from jaxdilemmas.grid_environment import GridEnvironment, GridState

NUM_RAYS = 3


class Lab2DState(GridState):
    """What the state of these games holds beside `GridState`.

    Attributes:
      cooldowns: `[N, beams]` int32, steps in which each beam cannot be fired yet.
      rays: `[N, 3]` int32, cells that each ray of the beam fired in the last step covers, from left to right; 0 for who
        fired none.
    """

    cooldowns: jax.Array
    rays: jax.Array


class Lab2DEnvironment(GridEnvironment):
    """A grid game with Lab2D's beam: a ray ahead and one on each side of it that starts beside the shooter.

    Attributes:
      num_beams: kinds of beam, each with a cooldown of its own.
    """

    window = Window(ahead=9, behind=1, side=5)
    beam_side_start = 0
    num_beams: int = 1

    def set_lab2d_beam(self, length: int) -> None:
        """Three rays of so many cells each, stopped by walls."""
        self.set_beam(length, half_width=NUM_RAYS // 2)

    def start_lab2d(self, positions: jax.Array, headings: jax.Array) -> dict[str, jax.Array]:
        """The fields of `Lab2DState` at the start of an episode: all beams ready, all apples there."""
        return self.start(positions, headings) | {
            "cooldowns": jnp.zeros((self.num_agents, self.num_beams), jnp.int32),
            "rays": jnp.zeros((self.num_agents, NUM_RAYS), jnp.int32),
        }

    def trigger(self, state: Any, wants: jax.Array, cooldown_steps: jax.Array) -> tuple[Any, jax.Array]:
        """Beams that cool down do so by one step; of the others those are fired that agents on the board want to fire.

        Args:
          state: has `cooldowns`.
          wants: `[N, beams]` bool.
          cooldown_steps: `[beams]` int32, steps after a shot in which the beam cannot be fired.

        Returns:
          The state and which beams are fired, `[N, beams]` bool.
        """
        is_present = (state.timeouts == 0)[:, None]
        is_fired = wants & is_present & (state.cooldowns == 0)
        cooled = jnp.maximum(state.cooldowns - is_present.astype(jnp.int32), 0)
        return state.replace(cooldowns=jnp.where(is_fired, cooldown_steps[None], cooled).astype(jnp.int32)), is_fired

    def aim(self, state: Any, is_firing: jax.Array) -> jax.Array:
        """Cells up to the next wall on each ray of the agents that fire, `[N, 3]` int32; 0 for the others."""
        return self.reach_of(state.replace(fired=is_firing))

    def find_zaps(self, state: Any, is_firing: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Who hits whom, `[N, N]` bool, and the cells that each ray covers before, `[N, 3]` int32."""
        reach = self.aim(state, is_firing)
        is_present = state.timeouts == 0
        hits = beams.find_hits(
            state.positions, state.headings, reach, state.positions, is_present, self.beam_side_start
        )
        return beams.stop_at_targets(hits, reach)

    def rays_of(self, state: Any) -> jax.Array:
        """The beam of the last step, as far as it got."""
        rays: jax.Array = state.rays
        return rays

    def hit_info(self, state: Any, collected: jax.Array, given: jax.Array) -> Info:
        """The info that all these games have, `[N]` each: apples, hits received and given, and whether one is out."""
        return {
            "collected": collected,
            "fined": given.sum(0, dtype=jnp.int32),
            "hits_given": given.sum(1, dtype=jnp.int32),
            "tagged": state.timeouts > 0,
        }
