"""Harvest: apples grow back the faster the more of them are left nearby, and a patch without any never does.

Commons Harvest of Melting Pot (google-deepmind/meltingpot @ 81ee2e7), after Perolat et al. 2017 (arXiv:1707.06600);
docs/harvest.md has the rules, their sources and what is our choice.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.environment import Transition, check_counts
from jaxdilemmas.envs.maps import HARVEST, HARVEST_SYMBOLS
from jaxdilemmas.grid import movement, spawning
from jaxdilemmas.grid.maps import Board, cells_of, parse_map, read_board
from jaxdilemmas.grid_environment import check_regrowth_probabilities
from jaxdilemmas.lab2d_environment import Lab2DEnvironment, Lab2DState

NUM_INSIDE = 2
"""Agents that start close to the apples."""


class Variant(NamedTuple):
    """What depends on the map: cells of the beam, steps in which it cools down, steps out after a hit."""

    beam_length: int
    cooldown: int
    timeout_steps: int


VARIANTS = {"open": Variant(3, 2, 4), "closed": Variant(4, 1, 100), "partnership": Variant(4, 1, 100)}


def parse_variant(text: str) -> tuple[Variant, dict[str, np.ndarray]]:
    """What depends on the map, as for "open" where the text is no board of Melting Pot, and the layers of the board."""
    names = [name for name, known in HARVEST.items() if known.strip("\n") == text.strip("\n")]
    return VARIANTS[names[0] if names else "open"], parse_map(text, HARVEST_SYMBOLS, needed=("apple", "spawn"))


class Params(struct.PyTreeNode):
    """The numbers in the rules; `zap_cooldown` and `timeout_steps` are by default those of the map.

    Attributes:
      regrowth_probabilities: chance of an apple to come back in a step with no, one, two and more live neighbours.
      zap_cooldown: steps after a shot in which no beam can be fired.
      timeout_steps: steps that an agent is out after a hit.
      max_steps: length of an episode.
    """

    regrowth_probabilities: Any = (0.0, 0.0025, 0.005, 0.025)
    zap_cooldown: Any = 2
    timeout_steps: Any = 4
    max_steps: Any = 1000


class Draws(struct.PyTreeNode):
    """The chance of one step; float32 in [0, 1).

    Attributes:
      priorities: `[N]`, who of several agents gets a cell.
      respawns: `[N]`, where agents come back.
      apple_growth: `[A]`, compared with each apple's chance to come back.
    """

    priorities: jax.Array
    respawns: jax.Array
    apple_growth: jax.Array


class Harvest(Lab2DEnvironment):
    """See the module for the game and docs/harvest.md for its rules.

    Args:
      map: "open", "closed", "partnership", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      num_agents: N; agents 0 and 1 start close to the apples, where the board has cells for it, the others on distinct
        random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      beam_length: cells of each ray of the beam; by default that of the map, 3 on a board of your own.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      regrowth_counts: live neighbours from which on the second, third and fourth probability of regrowth hold.
    """

    policy_module = "jaxdilemmas.envs.gathering_policies"
    regrowth_counts = (1, 2, 3)

    def __init__(
        self,
        map: Board = "open",
        num_agents: int = 7,
        observation: str = "tiles",
        beam_length: int | None = None,
        **params: Any,
    ) -> None:
        variant, layers = read_board(map, HARVEST, parse_variant)
        super().__init__(layers, num_agents, observation)
        self.inside_cells = cells_of(layers["inside"])
        self.check_num_agents(len(self.spawn_cells))
        self.set_lab2d_beam(variant.beam_length if beam_length is None else beam_length)
        numbers = {"zap_cooldown": variant.cooldown, "timeout_steps": variant.timeout_steps}
        self.default_params = self.params_from(Params, numbers | params)
        check_counts(self.default_params, "timeout_steps", "max_steps")
        check_counts(self.default_params, "zap_cooldown", least=0)
        check_regrowth_probabilities(self.default_params)
        self.neighbours = spawning.neighbours_within(self.apple_cells, radius=2, norm=2)

    def initial_state(self, key: jax.Array, params: Params) -> Lab2DState:
        """Agents on distinct random cells of their spawn groups with random headings, every apple there."""
        del params
        key_inside, key_spawn, key_headings = jax.random.split(key, 3)
        num_inside = min(self.num_agents, NUM_INSIDE, len(self.inside_cells))
        inside = spawning.sample_distinct(key_inside, len(self.inside_cells), num_inside)
        outside = spawning.sample_distinct(key_spawn, len(self.spawn_cells), self.num_agents - num_inside)
        cells = jnp.asarray(np.concatenate([self.inside_cells, self.spawn_cells]))
        positions = cells[jnp.concatenate([inside, len(self.inside_cells) + outside])]
        return Lab2DState(**self.start_lab2d(positions, self.random_headings(key_headings)))

    def draw(self, key: jax.Array, state: Lab2DState, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        num_agents = self.num_agents
        uniforms = jax.random.uniform(key, (2 * num_agents + len(self.apple_cells),))
        return Draws(uniforms[:num_agents], uniforms[num_agents : 2 * num_agents], uniforms[2 * num_agents :])

    def transition(self, draws: Draws, state: Lab2DState, actions: jax.Array, params: Params) -> Transition:
        """One step: move, collect, zap, return, grow, collect. `Environment.transition` says what comes out."""
        regrown = spawning.regrow_by_density(
            state.apples, self.neighbours, params.regrowth_probabilities, draws.apple_growth, self.regrowth_counts
        )
        sprouts = regrown & ~state.apples
        state = self.move_agents(state.replace(step_count=state.step_count + 1), draws.priorities, actions)
        state, eaten = self.collect_apples(state)
        state, is_fired = self.trigger(
            state, (actions == movement.BEAM)[:, None], jnp.asarray(params.zap_cooldown)[None]
        )
        given, rays = self.find_zaps(state, is_fired[:, 0])
        state = state.replace(fired=is_fired[:, 0], rays=rays)
        state = self.remove_and_return(state, given.any(0), draws.respawns, params)
        state, found = self.collect_apples(state.replace(apples=state.apples | sprouts))
        collected = eaten.astype(jnp.int32) + found
        info = self.hit_info(state, collected, given)
        return state, collected.astype(jnp.float32), jnp.zeros((), bool), info
