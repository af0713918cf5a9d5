"""What the games of Melting Pot share beside Lab2D's beams: how agents move, leave and return, and how episodes end.

Source: google-deepmind/meltingpot @ 81ee2e7 and its engine, google-deepmind/lab2d @ 0947443; the rules are held against
recordings of the original, see tests/data/README.md.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxdilemmas.arguments import check_choice
from jaxdilemmas.batching import compute_if_any
from jaxdilemmas.environment import check_counts, check_numbers
from jaxdilemmas.grid import spawning
from jaxdilemmas.grid.movement import RULES
from jaxdilemmas.lab2d_environment import Lab2DEnvironment

EPISODE_ENDINGS = ("clock", "stochastic")

LONGEST_EPISODE = 5000
"""Steps after which an episode with a stochastic ending is truncated."""


class MeltingPotParams(struct.PyTreeNode):
    """The numbers that the rules of every game of Melting Pot hold.

    Attributes:
      timeout_steps: steps that an agent cannot act in after a hit. Melting Pot's `framesTillRespawn` is one less.
      min_steps: least number of steps of an episode with a stochastic ending.
      ending_interval: from then on the episode may end in the step before each multiple of this number.
      ending_probability: chance that it then ends.
      max_steps: length of an episode.
    """

    timeout_steps: Any = 51
    min_steps: Any = 1000
    ending_interval: Any = 100
    ending_probability: Any = 0.2
    max_steps: Any = 1000


class MeltingPotDraws(struct.PyTreeNode):
    """The chance of one step that these games share; float32 in [0, 1).

    Attributes:
      priorities: `[N]`, who moves first or, with simultaneous movement, who of several agents gets a cell.
      respawns: `[N]`, where agents come back: the first entry for the first that returns, and so on.
      respawn_headings: `[N]`, the heading of each agent if it comes back.
      episode_end: `[]`, whether the episode ends.
    """

    priorities: jax.Array
    respawns: jax.Array
    respawn_headings: jax.Array
    episode_end: jax.Array


class MeltingPotEnvironment(Lab2DEnvironment):
    """A game with Lab2D's beam whose agents are out for a while after a hit.

    Attributes:
      ends_by_chance: whether the episode ending is stochastic.
    """

    def set_meltingpot_rules(self, movement: str, episode_ending: str) -> dict[str, int]:
        """Sets how agents move and how episodes end.

        Returns:
          The params that the episode ending sets unless the user does.

        Raises:
          ValueError: an argument is not allowed.
        """
        check_choice("movement", movement, tuple(RULES))
        check_choice("episode_ending", episode_ending, EPISODE_ENDINGS)
        self.movement = movement
        self.ends_by_chance = episode_ending == "stochastic"
        return {"max_steps": LONGEST_EPISODE} if self.ends_by_chance else {}

    def check_meltingpot_params(self) -> None:
        """Raises a ValueError if a number of `MeltingPotParams` is outside its range."""
        check_counts(self.default_params, "timeout_steps", "min_steps", "ending_interval", "max_steps")
        check_numbers(self.default_params, 1, "ending_probability")

    def split_uniforms(self, uniforms: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        """Divides `[3 N + 1 + rest]` uniforms into the fields of `MeltingPotDraws` by name, and the rest."""
        num_agents = self.num_agents
        priorities, respawns, respawn_headings = uniforms[: 3 * num_agents].reshape(3, num_agents)
        fields = {"priorities": priorities, "respawns": respawns, "respawn_headings": respawn_headings}
        return fields | {"episode_end": uniforms[3 * num_agents]}, uniforms[3 * num_agents + 1 :]

    def remove_and_return(self, state: Any, is_hit: jax.Array, draws: MeltingPotDraws, params: Any) -> Any:
        """Agents that are hit go out. Those whose time is up come back on free spawn cells with new headings.

        An agent that is hit in step t cannot act in the `timeout_steps` steps that follow. It is back at the end of the
        last of them. A cell is free if no agent was on it before the hits of this step.

        Args:
          state: after the beams.
          is_hit: `[N]` bool.
          draws: where agents come back, and their headings.
          params: has `timeout_steps`.

        Returns:
          The state. An agent that is out keeps the position and the heading that it had when it was hit.
        """
        was_present = state.timeouts == 0
        timeouts = jnp.where(is_hit, params.timeout_steps, jnp.maximum(state.timeouts - 1, 0)).astype(jnp.int32)
        is_back = ~was_present & (timeouts == 0)
        places = compute_if_any(
            partial(spawning.place_agents, cells=self.spawn_cells),
            is_back.any(),
            draws.respawns,
            is_back,
            state.positions,
            was_present,
        )
        headings = spawning.choose_headings(draws.respawn_headings)
        return state.replace(
            timeouts=timeouts,
            positions=jnp.where(is_back[:, None], places, state.positions),
            headings=jnp.where(is_back, headings, state.headings),
        )

    def may_end(self, draws: MeltingPotDraws, state: Any, params: Any) -> jax.Array:
        """Whether the episode ends by chance in this step, `[]` bool; `state` counts the step already."""
        is_asked = (state.step_count >= params.min_steps) & ((state.step_count + 1) % params.ending_interval == 0)
        return is_asked & (draws.episode_end < params.ending_probability) & self.ends_by_chance
