"""Harvest: apples grow back faster if more apples are left nearby, and a patch without apples stays empty.

Commons Harvest of Melting Pot (google-deepmind/meltingpot @ 81ee2e7), after Perolat et al. 2017 (arXiv:1707.06600);
docs/harvest.md contains the rules, their sources and our own choices.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.batching import batched, fold
from jaxdilemmas.environment import Transition, check_counts
from jaxdilemmas.grid import lab2d, spawning
from jaxdilemmas.grid.environment import GridEnvironment, GridState, check_regrowth_probabilities, outcome
from jaxdilemmas.grid.maps import Board, cells_of, parse_map, read_board
from jaxdilemmas.grid.movement import BEAM, move_agents
from jaxdilemmas.grid.scene import Scene, one_kind
from jaxdilemmas.uniforms import uniform

SYMBOLS = {"W": "wall", " ": "floor", "I": "floor", "A": "apple", "P": "spawn", "Q": "inside"}
"""`I` is floor. It matters only for roles that the source gives to no agent by default."""

MAPS = {
    "open": """
WWWWWWWWWWWWWWWWWWWWWWWW
WAAA    A      A    AAAW
WAA    AAA    AAA    AAW
WA    AAAAA  AAAAA    AW
W      AAA    AAA      W
W       A      A       W
W  A                A  W
W AAA  Q        Q  AAA W
WAAAAA            AAAAAW
W AAA              AAA W
W  A                A  W
W                      W
W                      W
W                      W
W  PPPPPPPPPPPPPPPPPP  W
W PPPPPPPPPPPPPPPPPPPP W
WPPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWW
""",
    "closed": """
WWWWWWWWWWWWWWWWWWWWWWWW
WAAA    A  WW  A    AAAW
WAA    AAA WW AAA    AAW
WA    AAAAAWWAAAAA    AW
W      AAA WW AAA      W
W       A  WW  A       W
W  A       WW       A  W
W AAA  Q   WW   Q  AAA W
WAAAAA     WW     AAAAAW
W AAA  WWWWWWWWWW  AAA W
W  A       WW       A  W
WWWWWWWWWW WW WWWWWWWWWW
W          WW          W
W  WWWWWWWWWWWWWWWWWW  W
W  PPPPPPPPPPPPPPPPPP  W
W PPPPPPPPPPPPPPPPPPPP W
WPPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWW
""",
    "partnership": """
WWWWWWWWWWWWWWWWWWWWWWWW
WAAA    A  II  A    AAAW
WAA    AAA II AAA    AAW
WA    AAAAAIIAAAAA    AW
W      AAA II AAA      W
W       A  II  A       W
W  A       II       A  W
W AAA  Q   WW   Q  AAA W
WAAAAA     II     AAAAAW
W AAA  WWWWWWWWWW  AAA W
W  A       WW       A  W
WWWWWWWWWW WW WWWWWWWWWW
W          WW          W
W  WWWWWWWWWWWWWWWWWW  W
W  PPPPPPPPPPPPPPPPPP  W
W PPPPPPPPPPPPPPPPPPPP W
WPPPPPPPPPPPPPPPPPPPPPPW
WWWWWWWWWWWWWWWWWWWWWWWW
""",
}
"""Source: google-deepmind/meltingpot @ 81ee2e7 (Apache-2.0)."""

NUM_INSIDE = 2
"""Number of agents that start close to the apples."""


class Variant(NamedTuple):
    """The numbers that depend on the map: cells of the beam, steps in which it cools down, steps out after a hit."""

    beam_length: int
    cooldown: int
    timeout_steps: int


VARIANTS = {"open": Variant(3, 2, 5), "closed": Variant(4, 1, 101), "partnership": Variant(4, 1, 101)}

MAY_NOT_GROW = -1
"""Stands in `live_neighbours` for an apple that may not grow."""


def parse_variant(text: str) -> tuple[Variant, dict[str, np.ndarray]]:
    """Reads a board: the numbers that depend on the map, and the layers of the board, `[H, W]` bool each.

    A board that is not one of Melting Pot has the numbers of "open".
    """
    names = [name for name, known in MAPS.items() if known.strip("\n") == text.strip("\n")]
    return VARIANTS[names[0] if names else "open"], parse_map(text, SYMBOLS, needed=("apple", "spawn"))


class Params(lab2d.MeltingPotParams):
    """The numbers in the rules: those of `MeltingPotParams` and of the beam; two defaults depend on the map.

    Attributes:
      timeout_steps: steps in which an agent cannot act after a hit; the default depends on the map.
      regrowth_probabilities: probabilities that an apple grows back in a step with no, one, two and more live
        neighbours.
      zap_cooldown: steps after a shot in which no beam can be fired; the default depends on the map.
    """

    regrowth_probabilities: Any = (0.0, 0.0025, 0.005, 0.025)
    zap_cooldown: Any = 2
    timeout_steps: Any = 5
    ending_probability: Any = 0.15


class State(lab2d.BeamState, GridState):
    """One moment of the game: `GridState` with the beam and the apples that may grow in the next step.

    Attributes:
      live_neighbours: `[A]` int8, the number of live neighbours by which a missing apple may grow; -1 if it may not
        grow.
    """

    live_neighbours: jax.Array


class Draws(lab2d.MeltingPotDraws):
    """The random numbers of one step: `MeltingPotDraws`, plus those of apples; float32 in [0, 1).

    Attributes:
      apple_growth: `[A]`, compared with each apple's probability to grow back.
    """

    apple_growth: jax.Array


class Harvest(GridEnvironment):
    """See the module for the game and docs/harvest.md for its rules.

    Args:
      map: "open", "closed", "partnership", a board drawn as text, or the `pathlib.Path` of a file; see docs/boards.md.
      num_agents: N; agents 0 and 1 start close to the apples if the board has cells for this, the others on distinct
        random spawn cells.
      observation: "tiles", "one_hot" or "rgb".
      beam_length: cells of each ray of the beam; by default that of the map, 3 on your own board.
      episode_ending, movement: see `lab2d.ending_params`.
      extras: whether agents observe the numbers `extra_names` beside their view, as an `Observation`.
      **params: fields of `Params`.

    Raises:
      ValueError: an argument is unknown or not allowed.

    Attributes:
      regrowth_counts: smallest numbers of live neighbours for the second, third and fourth probability of regrowth.
    """

    version = "2"
    window = lab2d.WINDOW
    beam_side_start = lab2d.SIDE_START
    policy_module = "jaxdilemmas.policies.gathering"
    extra_names = ("ready_to_zap", "is_out")
    regrowth_counts = (1, 2, 3)

    def __init__(
        self,
        map: Board = "open",
        num_agents: int = 7,
        observation: str = "tiles",
        beam_length: int | None = None,
        episode_ending: str = "clock",
        movement: str = "sequential",
        extras: bool = False,
        **params: Any,
    ) -> None:
        numbers = lab2d.ending_params(movement, episode_ending)
        self.movement, self.ends_by_chance = movement, episode_ending == "stochastic"
        variant, board = read_board(map, MAPS, parse_variant)
        super().__init__(board, num_agents, observation, extras=extras)
        self.inside_cells = cells_of(board["inside"])
        self.check_num_agents(len(self.spawn_cells))
        self.set_beam(variant.beam_length if beam_length is None else beam_length, lab2d.NUM_RAYS // 2)
        numbers |= {"zap_cooldown": variant.cooldown, "timeout_steps": variant.timeout_steps}
        self.default_params = self.params_from(Params, numbers | params)
        lab2d.check_meltingpot_params(self.default_params)
        check_counts(self.default_params, "zap_cooldown", least=0)
        check_regrowth_probabilities(self.default_params)
        self.neighbours = spawning.neighbours_within(self.apple_cells, radius=2, norm=2)

    def initial_state(self, key: jax.Array, params: Params) -> State:
        """Agents on distinct random cells of their spawn groups with random headings, and every apple there."""
        del params
        key_inside, key_spawn, key_headings = jax.random.split(key, 3)
        num_inside = min(self.num_agents, NUM_INSIDE, len(self.inside_cells))
        inside = spawning.sample_distinct(key_inside, len(self.inside_cells), num_inside)
        outside = spawning.sample_distinct(key_spawn, len(self.spawn_cells), self.num_agents - num_inside)
        cells = jnp.asarray(np.concatenate([self.inside_cells, self.spawn_cells]))
        positions = cells[jnp.concatenate([inside, len(self.inside_cells) + outside])]
        live_neighbours = jnp.full(len(self.apple_cells), MAY_NOT_GROW, jnp.int8)
        start = self.start(positions, self.random_headings(key_headings)) | lab2d.ready_beams(self.num_agents, 1)
        return State(**start, live_neighbours=live_neighbours)

    def draw(self, key: jax.Array, state: State, params: Params) -> Draws:
        """Draws the uniforms of one step, in one call."""
        del state, params
        uniforms = uniform(key, 3 * self.num_agents + 1 + len(self.apple_cells))
        shared, apple_growth = lab2d.split_uniforms(uniforms, self.num_agents)
        return Draws(**shared, apple_growth=apple_growth)

    @batched
    def transition(self, draws: Draws, state: State, actions: jax.Array, params: Params) -> Transition:
        """One step: move, zap, grow, collect, return. `Environment.transition` explains the result."""
        is_present = state.timeouts == 0
        state, is_grown = look_at_apples(draws, state, params, self.neighbours, self.regrowth_counts)
        state = move_agents(state, draws.priorities, actions, self.walls, self.movement)
        state, given = fire(state, actions, self.reach_of, params)
        collected, apples = spawning.collect_alive(
            state.apples | is_grown, self.apple_index_at, state.positions, is_present
        )
        state = state.replace(apples=apples, step_count=state.step_count + 1)
        state = lab2d.remove_and_return(
            state, fold(jnp.logical_or, given), draws, params.timeout_steps, self.spawn_cells
        )
        is_over = lab2d.may_end(draws, state.step_count, params) & self.ends_by_chance
        return outcome(state, collected, given, terminated=is_over)

    def observe_extras(self, state: State, params: Params) -> jax.Array:
        """The numbers `extra_names`, `[N, 2]` float32."""
        return lab2d.observe_beams(state.cooldowns, (params.zap_cooldown,), state.timeouts)

    def scene(self, state: State) -> Scene:
        """Paints beams up to the cells that they reached."""
        return super().scene(state)._replace(beams=[one_kind("beam", state.rays)])


def look_at_apples(
    draws: Draws, state: State, params: Params, neighbours: np.ndarray, fewest: tuple[int, int, int]
) -> tuple[State, jax.Array]:
    """Finds the apples that grow in this step, by their live neighbours a step ago.

    It also finds the apples that may grow in the next step: they are missing now and do not grow in this step.

    Args:
      draws: has `apple_growth`.
      state: before the step.
      params: has `regrowth_probabilities`.
      neighbours: `[A, A]` bool, which apples are neighbours.
      fewest: smallest numbers of live neighbours for the second, third and fourth probability.

    Returns:
      The state and which apples grow, `[A]` bool.
    """
    chex.assert_equal_shape([draws.apple_growth, state.live_neighbours, state.apples])
    probabilities = spawning.density_probability(state.live_neighbours, params.regrowth_probabilities, fewest)
    is_grown = (state.live_neighbours != MAY_NOT_GROW) & (draws.apple_growth < probabilities)
    counts = spawning.count_live_neighbours(state.apples, neighbours).astype(jnp.int8)
    live_neighbours = jnp.where(state.apples | is_grown, MAY_NOT_GROW, counts).astype(jnp.int8)
    return state.replace(live_neighbours=live_neighbours), is_grown


def fire(state: State, actions: jax.Array, reach_of: lab2d.ReachOf, params: Params) -> tuple[State, jax.Array]:
    """Fires the beams of all agents, all at once.

    Args:
      state: after the moves.
      actions: `[N]` int32.
      reach_of: see `GridEnvironment.reach_of`.
      params: has `zap_cooldown`.

    Returns:
      The state, and `[N, N]` bool, [i, j] is whether i hits j.
    """
    is_present = state.timeouts == 0
    wants, cooldown_steps = (actions == BEAM)[:, None], jnp.asarray(params.zap_cooldown, jnp.int32)[None]
    cooldowns, is_fired = lab2d.trigger(state.cooldowns, is_present, wants, cooldown_steps)
    reach = reach_of(state.positions, state.headings, is_fired[:, 0])
    given, rays = lab2d.find_zaps(state.positions, state.headings, reach, is_present)
    return state.replace(cooldowns=cooldowns, fired=is_fired[:, 0], rays=rays), given
