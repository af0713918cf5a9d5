"""What all grid games share beside mechanics: actions, static layers, observation kinds and how they are drawn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.environment import Environment, Transition, require
from jaxdilemmas.grid import beams, movement, spawning, views
from jaxdilemmas.grid.geometry import cell_index, relative_coordinates
from jaxdilemmas.grid.maps import cells_of, index_of_cells
from jaxdilemmas.grid.views import NOWHERE, Frame, Window
from jaxdilemmas.spaces import Box, Discrete, Space

OBSERVATION_KINDS = ("tiles", "one_hot", "rgb")

TILES = (
    "void",
    "floor",
    "apple",
    "wall",
    "beam",
    "other_same_heading",
    "other_facing_right",
    "other_facing_viewer",
    "other_facing_left",
    "self",
    "tagged",
)
"""Names of tile ids in draw order; headings of other agents are relative to the viewer's."""

VOID, FLOOR, APPLE, WALL, BEAM_TILE, OTHER, _, _, _, SELF, TAGGED = range(len(TILES))

PALETTE = {
    "void": (40, 40, 40),
    "floor": (0, 0, 0),
    "apple": (0, 200, 0),
    "wall": (127, 127, 127),
    "beam": (255, 255, 60),
    "self": (50, 100, 255),
    "tagged": (100, 100, 100),
} | {name: (220, 50, 50) for name in TILES if name.startswith("other")}
"""RGB by tile name. Source: vicgalle/llm-policies-social-dilemmas @ f5c5b2b; void is our choice."""


class GridParams(struct.PyTreeNode):
    """The numbers that the rules of every game with beams hold.

    Attributes:
      timeout_steps: steps that a tagged agent is out, or cannot act.
      hits_to_tag: beam hits that tag an agent.
      max_steps: length of an episode.
    """

    timeout_steps: Any = 25
    hits_to_tag: Any = 2
    max_steps: Any = 1000


class GridState(struct.PyTreeNode):
    """What the state of every grid game holds.

    Attributes:
      positions: `[N, 2]` int32 (row, col).
      headings: `[N]` int32, 0 north, 1 east, 2 south, 3 west.
      timeouts: `[N]` int32, how long an agent is still out or cannot act; 0 for those who play.
      hits: `[N]` int32, beam hits since the agent was last tagged.
      fired: `[N]` bool, whose beam is to be seen.
      apples: `[A]` bool, which apples are there.
      step_count: `[]` int32, steps since the reset.
    """

    positions: jax.Array
    headings: jax.Array
    timeouts: jax.Array
    hits: jax.Array
    fired: jax.Array
    apples: jax.Array
    step_count: jax.Array


def is_count(value: Any) -> bool:
    """Whether a value is a whole number of at least one."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


def check_counts(params: Any, *names: str) -> None:
    """Raises a ValueError if a field of params is not a whole number of at least one."""
    for name in names:
        value = getattr(params, name)
        require(is_count(value), name, value, "a whole number of at least 1")


def check_regrowth_probabilities(params: Any) -> None:
    """Raises a ValueError if the regrowth table does not hold four probabilities."""
    table = params.regrowth_probabilities
    is_table = np.shape(table) == (4,) and np.issubdtype(np.asarray(table).dtype, np.number)
    is_table = is_table and all(0 <= probability <= 1 for probability in table)
    require(is_table, "regrowth_probabilities", table, "four numbers in [0, 1]")


class GridEnvironment(Environment):
    """A game of agents that turn, move, fire beams and collect apples on a board with walls.

    Attributes:
      walls: `[H, W]` bool.
      apple_cells: `[A, 2]` int32, row-major; index a of every apple array is the cell `apple_cells[a]`.
      spawn_cells: `[P, 2]` int32, where agents start.
      apple_index_at: `[H, W]` int32, the inverse of `apple_cells`, A where no apple grows.
      beam_reach: `[H * W, 4, rays]` int32, see `beams.open_reach`.
      tiles: names of the tile ids, in draw order.
      palette: `[len(tiles), 3]` uint8.
      window: what an agent sees.

    The State of such a game is a `GridState` with what else the game needs.
    """

    window: Window
    outside: int = VOID
    num_actions: int = 8
    tiles: tuple[str, ...] = TILES
    beam_reach: np.ndarray

    def __init__(self, layers: dict[str, np.ndarray], num_agents: int, observation: str) -> None:
        require(observation in OBSERVATION_KINDS, "observation", observation, f"one of {', '.join(OBSERVATION_KINDS)}")
        require(is_count(num_agents), "num_agents", num_agents, "a whole number of at least 1")
        self.num_agents = num_agents
        self.observation = observation
        self.walls = layers["wall"]
        self.apple_cells = cells_of(layers["apple"])
        self.spawn_cells = cells_of(layers["spawn"])
        self.apple_index_at = index_of_cells(self.apple_cells, self.walls.shape)
        self.palette = np.array([PALETTE[name] for name in self.tiles], np.uint8)
        # What never changes, as one number a cell: the tile, or where apples grow the apple's number + len(tiles).
        self._codes = np.where(self.walls, WALL, FLOOR)
        self._codes[tuple(self.apple_cells.T)] = len(self.tiles) + np.arange(len(self.apple_cells))
        self._code_table = views.window_table(self._codes, self.window, self.outside)

    def check_num_agents(self, most: int) -> None:
        """Raises a ValueError if there are more agents than can spawn."""
        require(self.num_agents <= most, "num_agents", self.num_agents, f"at most {most} agents can spawn on this map")

    def set_beam(self, length: int, half_width: int = 0, is_blocked: bool = True) -> None:
        """Says how far beams reach: each ray up to the first wall or, if nothing blocks them, `length` cells always."""
        require(is_count(length), "beam_length", length, "a whole number of at least 1")
        if is_blocked:
            self.beam_reach = beams.open_reach(self.walls, length, half_width)
        else:
            self.beam_reach = np.full((self.walls.size, 4, 2 * half_width + 1), length, np.int32)

    @property
    def action_space(self) -> Space:
        """Discrete: see `jaxdilemmas.grid.movement` for the numbers."""
        return Discrete(self.num_actions)

    @property
    def observation_space(self) -> Space:
        """Box of uint8: tile ids `[h, w]`, one-hot `[h, w, tiles]` or RGB `[h, w, 3]`."""
        if self.observation == "tiles":
            return Box(0, len(self.tiles) - 1, self.window.shape, np.uint8)
        if self.observation == "one_hot":
            return Box(0, 1, (*self.window.shape, len(self.tiles)), np.uint8)
        return Box(0, 255, (*self.window.shape, 3), np.uint8)

    def start(self, positions: jax.Array, headings: jax.Array) -> dict[str, jax.Array]:
        """The fields of `GridState` at the start of an episode: all agents on the board, all apples there."""
        zeros = jnp.zeros(self.num_agents, jnp.int32)
        return {
            "positions": positions,
            "headings": headings,
            "timeouts": zeros,
            "hits": zeros,
            "fired": jnp.zeros(self.num_agents, bool),
            "apples": jnp.ones(len(self.apple_cells), bool),
            "step_count": jnp.zeros((), jnp.int32),
        }

    def random_headings(self, key: jax.Array) -> jax.Array:
        """Uniform headings, `[N]` int32."""
        return jnp.floor(jax.random.uniform(key, (self.num_agents,)) * 4).astype(jnp.int32)

    def move_agents(self, state: Any, priorities: jax.Array, actions: jax.Array) -> Any:
        """Agents on the board turn or move; at most one stands on a cell. See `movement` for the rules."""
        is_present = state.timeouts == 0
        actions = jnp.where(is_present, actions, movement.STAND)
        targets = movement.propose_moves(state.positions, state.headings, actions, jnp.asarray(self.walls))
        return state.replace(
            positions=movement.resolve_moves(priorities, state.positions, targets, is_present),
            headings=movement.turn(state.headings, actions),
        )

    def fire_beams(self, state: Any, is_firing: jax.Array, homes: jax.Array, params: Any) -> tuple[Any, jax.Array]:
        """Beams of all agents at once; who has been hit often enough leaves the board.

        Args:
          state: has `hits` beside the fields named above.
          is_firing: `[N]` bool; agents that are out do not fire.
          homes: `[N, 2]` int32, where a tagged agent is put and will return.
          params: has `hits_to_tag` and `timeout_steps`.

        Returns:
          The state and how many agents each agent hit, `[N]` int32. The beam of an agent that is tagged is not seen.
        """
        is_present = state.timeouts == 0
        state = state.replace(fired=is_firing & is_present)
        given = beams.find_hits(
            state.positions, state.headings, self.reach_of(state), state.positions, is_present
        ).given
        hits, is_tagged = beams.count_hits(state.hits, given.sum(0), params.hits_to_tag)
        state = state.replace(
            hits=hits,
            timeouts=jnp.where(is_tagged, params.timeout_steps, state.timeouts).astype(jnp.int32),
            positions=jnp.where(is_tagged[:, None], homes, state.positions),
            fired=state.fired & ~is_tagged,
        )
        return state, given.sum(1)

    def collect_apples(self, state: Any) -> tuple[Any, jax.Array]:
        """Agents on the board take the apples they stand on: the state and who collected, `[N]` bool."""
        collected, apples = spawning.collect(state.apples, self.apple_index_at, state.positions, state.timeouts == 0)
        return state.replace(apples=apples), collected

    def outcome(self, state: Any, collected: jax.Array, hits_given: jax.Array) -> Transition:
        """What `transition` returns in games where an apple is worth one and only the clock ends the game."""
        info = {"collected": collected.astype(jnp.int32), "tagged": state.timeouts > 0, "hits_given": hits_given}
        return state, collected.astype(jnp.float32), jnp.zeros((), bool), info

    def observe(self, state: Any, params: Any) -> jax.Array:
        """What each agent sees, in the kind of observation that the game was made with."""
        del params
        tiles = self.view_tiles(state)
        if self.observation == "tiles":
            return tiles
        if self.observation == "one_hot":
            return (tiles[..., None] == jnp.arange(len(self.tiles), dtype=jnp.uint8)).astype(jnp.uint8)
        return jnp.asarray(self.palette)[tiles]

    def view_tiles(self, state: Any) -> jax.Array:
        """The tile ids in every agent's window, `[N, rows, cols]` uint8."""
        forward, right = relative_coordinates(state.positions, state.headings, state.positions)
        frame = views.window_frame(forward, right, state.headings, self.window)
        cells = cell_index(state.positions, self.walls.shape[1])
        codes = jnp.asarray(self._code_table)[cells * 4 + state.headings]
        tiles = self._draw(state, codes, frame, self.window.shape, jnp.eye(self.num_agents, dtype=bool))
        return jnp.where(self.can_see(state)[:, None, None], tiles, VOID)

    def draw_board(self, state: Any) -> jax.Array:
        """The tile ids of the whole board, north up, `[H, W]` uint8; agents appear by their absolute heading."""
        frame = views.board_frame(state.positions, state.headings)
        codes = jnp.asarray(self._codes.reshape(1, -1))
        return self._draw(state, codes, frame, self.walls.shape, jnp.zeros((1, self.num_agents), bool))[0]

    def can_see(self, state: Any) -> jax.Array:
        """Who sees anything, `[N]` bool: by default agents that are on the board."""
        return state.timeouts == 0

    def is_drawn(self, state: Any) -> jax.Array:
        """Who is to be seen, `[N]` bool: by default agents that are on the board."""
        return state.timeouts == 0

    def agent_tiles(self, state: Any, headings: jax.Array, is_self: jax.Array) -> jax.Array:
        """How agent j looks in drawing i, `[F, N]` uint8, given its heading there and whether it is the viewer."""
        del state
        return jnp.where(is_self, SELF, OTHER + headings).astype(jnp.uint8)

    def reach_of(self, state: Any) -> jax.Array:
        """Cells that each ray of each agent covers, `[N, rays]` int32; 0 for agents that did not fire."""
        cells = cell_index(state.positions, self.walls.shape[1])
        return jnp.asarray(self.beam_reach)[cells, state.headings] * state.fired[:, None]

    def _draw(
        self, state: Any, codes: jax.Array, frame: Frame, shape: tuple[int, int], is_self: jax.Array
    ) -> jax.Array:
        """Draws codes `[F, rows * cols]`, then apples, beams and agents, `[F, rows, cols]` uint8."""
        is_apple = codes >= len(self.tiles)
        is_alive = views.look_up_bits(state.apples, jnp.where(is_apple, codes - len(self.tiles), 0))
        tiles = jnp.where(is_apple, jnp.where(is_alive, APPLE, FLOOR), codes).astype(jnp.uint8)
        tiles = jax.lax.optimization_barrier(tiles)  # one loop for all that follows is twice as slow on a CPU
        is_open = (tiles == FLOOR) | (tiles == APPLE)
        is_beam = views.beam_cells(frame, self.reach_of(state), shape).reshape(tiles.shape)
        tiles = jnp.where(is_beam & is_open, BEAM_TILE, tiles).astype(jnp.uint8)
        rows = jnp.where(self.is_drawn(state)[None, :], frame.rows, NOWHERE)
        agents = self.agent_tiles(state, frame.headings, is_self)
        tiles = views.paint_agents(tiles, frame._replace(rows=rows), agents, shape)
        return tiles.reshape(-1, *shape)
