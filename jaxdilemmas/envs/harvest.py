"""Harvest: apples grow back the faster the more of them are left nearby, and a patch without any never does.

Commons Harvest of Melting Pot (google-deepmind/meltingpot @ 81ee2e7), after Perolat et al. 2017 (arXiv:1707.06600);
docs/harvest.md has the rules, their sources and what is our choice.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Transition, check_counts
from jaxdilemmas.envs.maps import HARVEST, HARVEST_SYMBOLS
from jaxdilemmas.grid import movement, spawning
from jaxdilemmas.grid.maps import Board, cells_of, parse_map, read_board
from jaxdilemmas.grid_environment import check_regrowth_probabilities
from jaxdilemmas.lab2d_environment import Lab2DState
from jaxdilemmas.meltingpot_environment import MeltingPotDraws, MeltingPotEnvironment, MeltingPotParams

NUM_INSIDE = 2
"""Agents that start close to the apples."""


class Variant(NamedTuple):
    """What depends on the map: cells of the beam, steps in which it cools down, steps out after a hit."""

    beam_length: int
    cooldown: int
    timeout_steps: int


VARIANTS = {"open": Variant(3, 2, 5), "closed": Variant(4, 1, 101), "partnership": Variant(4, 1, 101)}

MAY_NOT_GROW = -1


def parse_variant(text: str) -> tuple[Variant, dict[str, np.ndarray]]:
    """What depends on the map, as for "open" where the text is no board of Melting Pot, and the layers of the board."""
    names = [name for name, known in HARVEST.items() if known.strip("\n") == text.strip("\n")]
    return VARIANTS[names[0] if names else "open"], parse_map(text, HARVEST_SYMBOLS, needed=("apple", "spawn"))


class Params(MeltingPotParams):
    """The numbers in the rules: those of `MeltingPotParams` and more; some are by default those of the map.

    Attributes:
      regrowth_probabilities: chance of an apple to come back in a step with no, one, two and more live neighbours.
      zap_cooldown: steps after a shot in which no beam can be fired.
    """

    regrowth_probabilities: Any = (0.0, 0.0025, 0.005, 0.025)
    zap_cooldown: Any = 2
    timeout_steps: Any = 5
    ending_probability: Any = 0.15


class State(Lab2DState):
    """One moment of the game: beside `Lab2DState`, which apples may grow in the next step.

    Attributes:
      live_neighbours: `[A]` int8, by how many live neighbours a missing apple may grow; -1 where none may.
    """

    live_neighbours: jax.Array


class Draws(MeltingPotDraws):
    """The chance of one step: beside `MeltingPotDraws`, that of apples.

    Attributes:
      apple_growth: `[A]`, compared with each apple's chance to come back.
    """

    apple_growth: jax.Array


class Harvest(MeltingPotEnvironment):
    """See the module for the game and docs/harvest.md for its rules.

    Args:
      map: "open", "closed", "partnership", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      num_agents: N; agents 0 and 1 start close to the apples, where the board has cells for it, the others on distinct
        random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      beam_length: cells of each ray of the beam; by default that of the map, 3 on a board of your own.
      episode_ending: "clock", after `max_steps` = 1000, or "stochastic": the episode may end, and is then `terminated`,
        in the steps that `Params` says; the clock stands at 5000.
      movement: "sequential", one agent after the other in random order as in Melting Pot, or "simultaneous", by the
        rule of the other games here.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      regrowth_counts: live neighbours from which on the second, third and fourth probability of regrowth hold.
    """

    version = "2"
    policy_module = "jaxdilemmas.policies.gathering"
    regrowth_counts = (1, 2, 3)

    def __init__(
        self,
        map: Board = "open",
        num_agents: int = 7,
        observation: str = "tiles",
        beam_length: int | None = None,
        episode_ending: str = "clock",
        movement: str = "sequential",
        **params: Any,
    ) -> None:
        variant, layers = read_board(map, HARVEST, parse_variant)
        super().__init__(layers, num_agents, observation)
        self.inside_cells = cells_of(layers["inside"])
        self.check_num_agents(len(self.spawn_cells))
        self.set_lab2d_beam(variant.beam_length if beam_length is None else beam_length)
        numbers = {"zap_cooldown": variant.cooldown, "timeout_steps": variant.timeout_steps}
        numbers |= self.set_meltingpot_rules(movement, episode_ending)
        self.default_params = self.params_from(Params, numbers | params)
        self.check_meltingpot_params()
        check_counts(self.default_params, "zap_cooldown", least=0)
        check_regrowth_probabilities(self.default_params)
        self.neighbours = spawning.neighbours_within(self.apple_cells, radius=2, norm=2)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random cells of their spawn groups with random headings, every apple there."""
        del params
        key_inside, key_spawn, key_headings = jax.random.split(key, 3)
        num_inside = min(self.num_agents, NUM_INSIDE, len(self.inside_cells))
        inside = spawning.sample_distinct(key_inside, len(self.inside_cells), num_inside)
        outside = spawning.sample_distinct(key_spawn, len(self.spawn_cells), self.num_agents - num_inside)
        cells = jnp.asarray(np.concatenate([self.inside_cells, self.spawn_cells]))
        positions = cells[jnp.concatenate([inside, len(self.inside_cells) + outside])]
        live_neighbours = jnp.full(len(self.apple_cells), MAY_NOT_GROW, jnp.int8)
        start = self.start_lab2d(positions, self.random_headings(key_headings))
        return State(**start, live_neighbours=live_neighbours)

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = jax.random.uniform(key, (3 * self.num_agents + 1 + len(self.apple_cells),), jnp.float32)
        shared, apple_growth = self.split_uniforms(uniforms)
        return Draws(**shared, apple_growth=apple_growth)

    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: move, zap, grow, collect, return. `Environment.transition` says what comes out."""
        state, is_grown = self.look_at_apples(draws, state, params)
        state = self.move_agents(state.replace(step_count=state.step_count + 1), draws.priorities, actions)
        state, is_fired = self.trigger(
            state, (actions == movement.BEAM)[:, None], jnp.asarray(params.zap_cooldown, jnp.int32)[None]
        )
        given, rays = self.find_zaps(state, is_fired[:, 0])
        state = state.replace(fired=is_fired[:, 0], rays=rays, apples=state.apples | is_grown)
        state, is_collecting = self.collect_apples(state)
        state = self.remove_and_return(state, given.any(0), draws, params)
        collected = is_collecting.astype(jnp.int32)
        info = self.hit_info(state, collected, given)
        return state, collected.astype(jnp.float32), self.may_end(draws, state, params), info

    def look_at_apples(self, draws: Draws, state: State, params: Params) -> tuple[State, jax.Array]:
        """Which apples grow in this step, by their live neighbours a step ago, and which may grow in the next.

        An apple may grow in the next step if it is missing now and does not grow in this step.

        Returns:
          The state and which apples grow, `[A]` bool.
        """
        probabilities = spawning.density_probability(
            state.live_neighbours, params.regrowth_probabilities, self.regrowth_counts
        )
        is_grown = (state.live_neighbours != MAY_NOT_GROW) & (draws.apple_growth < probabilities)
        counts = spawning.count_live_neighbours(state.apples, self.neighbours).astype(jnp.int8)
        live_neighbours = jnp.where(state.apples | is_grown, MAY_NOT_GROW, counts).astype(jnp.int8)
        return state.replace(live_neighbours=live_neighbours), is_grown
