"""What all grid games share beside mechanics: actions, static layers, observation kinds and how they are drawn."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_choice, check_count, check_num_agents, numbers_from
from jaxdilemmas.batching import compute_if_any
from jaxdilemmas.environment import Environment, Transition, require
from jaxdilemmas.grid import beams, movement, spawning, views
from jaxdilemmas.grid.bits import WORD_BITS, look_up_bits, pack_bits, unpack_bits
from jaxdilemmas.grid.geometry import cell_index, relative_coordinates
from jaxdilemmas.grid.maps import cells_of, index_of_cells
from jaxdilemmas.grid.views import NOWHERE, Frame, Window
from jaxdilemmas.spaces import Box, Discrete, Space

MOST_CHANGING = 4096
"""Cells of a board on which things come and go: they are bits that are looked up in one word after the other."""

OBSERVATION_KINDS = ("tiles", "one_hot", "rgb")

OTHERS = ("other_same_heading", "other_facing_right", "other_facing_viewer", "other_facing_left")
"""Tiles of other agents by their heading relative to the viewer's."""

TILES = ("void", "floor", "apple", "wall", "beam", *OTHERS, "self")
"""Names of tile ids in draw order."""

RIVER_TILES = ("void", "floor", "apple", "river", "waste", "stream", "wall", "clean_beam", "beam", *OTHERS, "self")
"""Names of tile ids in draw order, in games with a river."""

PALETTE = {
    "void": (40, 40, 40),
    "floor": (0, 0, 0),
    "apple": (0, 200, 0),
    "river": (100, 180, 255),
    "waste": (139, 90, 43),
    "stream": (0, 180, 200),
    "wall": (127, 127, 127),
    "clean_beam": (100, 255, 255),
    "beam": (255, 255, 60),
    "self": (50, 100, 255),
    "tagged": (100, 100, 100),
} | dict.fromkeys(OTHERS, (220, 50, 50))
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


def check_regrowth_probabilities(params: Any) -> None:
    """Raises a ValueError if the regrowth table does not hold four probabilities."""
    table = params.regrowth_probabilities
    numbers = numbers_from(table)
    is_table = numbers is not None and numbers.shape == (4,) and bool(np.all((numbers >= 0) & (numbers <= 1)))
    require(is_table, "regrowth_probabilities", table, "four numbers in [0, 1]")


class GridEnvironment(Environment):
    """A game of agents that turn, move, fire beams and collect apples on a board with walls, and perhaps a river.

    Attributes:
      walls: `[H, W]` bool.
      apple_cells: `[A, 2]` int32, row-major; index a of every apple array is the cell `apple_cells[a]`.
      river_cells: `[R, 2]` int32, row-major, where waste may lie; R = 0 in games without a river.
      spawn_cells: `[P, 2]` int32, where agents start.
      apple_index_at: `[H, W]` int32, the inverse of `apple_cells`, A where no apple grows.
      beam_reach: `[H * W, 4, rays]` int32, see `beams.open_reach`.
      beam_side_start: where the rays beside the middle one start, see `beams`.
      movement: how moves are decided, a name in `grid.movement.RULES`.
      tiles: names of the tile ids, in draw order.
      palette: `[len(tiles), 3]` uint8.
      window: what an agent sees.

    The State of such a game is a `GridState` with what else the game needs.
    """

    window: Window
    outside: str = "void"
    num_actions: int = 8
    movement: str = "simultaneous"
    tiles: tuple[str, ...] = TILES
    beam_reach: np.ndarray
    beam_side_start: int = 1

    def __init__(self, layers: dict[str, np.ndarray], num_agents: int, observation: str) -> None:
        check_choice("observation", observation, OBSERVATION_KINDS)
        width = self.window.shape[1]
        require(width <= WORD_BITS, "window", self.window, f"at most {WORD_BITS} columns; it has {width}")
        self.num_agents = check_num_agents(num_agents)
        self.observation = observation
        self.walls = layers["wall"]
        self.apple_cells = cells_of(layers["apple"])
        self.river_cells = cells_of(layers.get("river", np.zeros_like(self.walls)))
        self.spawn_cells = cells_of(layers["spawn"])
        changing = np.concatenate([self.apple_cells, self.river_cells])
        allowed = f"apples grow or waste may lie on at most {MOST_CHANGING} cells, here on {len(changing)}"
        require(len(changing) <= MOST_CHANGING, "map", f"{self.walls.shape} cells", allowed)
        self.apple_index_at = index_of_cells(self.apple_cells, self.walls.shape)
        self.palette = np.array([PALETTE[name] for name in self.tiles], np.uint8)
        # What never changes, as one number a cell: the tile or, where apples grow or waste may lie, what comes after
        # the tiles: first the apples by number, then the cells of the river.
        self._codes = np.where(self.walls, self.tile_id("wall"), self.tile_id("floor")).astype(np.int32)
        if "stream" in layers:
            self._codes[layers["stream"]] = self.tile_id("stream")
        self._codes[tuple(changing.T)] = len(self.tiles) + np.arange(len(changing))
        # The smallest rectangle that holds all open cells; beams are drawn there.
        open_cells = cells_of(~self.walls)
        self._open_from = open_cells.min(0)
        self._open_shape = tuple(open_cells.max(0) - self._open_from + 1)
        self._code_table = views.window_table(self._codes, self.window, int(self.tile_id(self.outside)))

    def tile_id(self, name: str) -> np.uint8:
        """The id of a tile by its name."""
        return np.uint8(self.tiles.index(name))

    def check_num_agents(self, most: int) -> None:
        """Raises a ValueError if there are more agents than can spawn."""
        require(self.num_agents <= most, "num_agents", self.num_agents, f"at most {most} agents can spawn on this map")

    def set_beam(self, length: int, half_width: int = 0, is_blocked: bool = True) -> None:
        """Says how far beams reach: each ray up to the first wall or, if nothing blocks them, `length` cells always."""
        length = check_count("beam_length", length)
        self._is_beam_blocked = is_blocked
        if is_blocked:
            length = min(length, max(self.walls.shape))
            self.beam_reach = beams.open_reach(self.walls, length, half_width, self.beam_side_start)
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
        return {
            "positions": positions,
            "headings": headings,
            "timeouts": jnp.zeros(self.num_agents, jnp.int32),
            "hits": jnp.zeros(self.num_agents, jnp.int32),
            "fired": jnp.zeros(self.num_agents, bool),
            "apples": jnp.ones(len(self.apple_cells), bool),
            "step_count": jnp.zeros((), jnp.int32),
        }

    def random_headings(self, key: jax.Array) -> jax.Array:
        """Uniform headings, `[N]` int32."""
        return spawning.choose_headings(jax.random.uniform(key, (self.num_agents,), jnp.float32))

    def random_spawns(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distinct spawn cells, every ordered choice equally likely, `[N, 2]`, and uniform headings `[N]`, int32."""
        uniforms = jax.random.uniform(key, (2 * self.num_agents,), jnp.float32)
        chosen = spawning.choose_distinct(uniforms[: self.num_agents], len(self.spawn_cells))
        return jnp.asarray(self.spawn_cells)[chosen], spawning.choose_headings(uniforms[self.num_agents :])

    def move_agents(self, state: Any, priorities: jax.Array, actions: jax.Array) -> Any:
        """Agents on the board turn or move; at most one stands on a cell. See `movement` for the rules."""
        is_present = state.timeouts == 0
        actions = jnp.where(is_present, actions, movement.STAND)
        targets = movement.propose_moves(state.positions, state.headings, actions, jnp.asarray(self.walls))
        return state.replace(
            positions=movement.RULES[self.movement](priorities, state.positions, targets, is_present),
            headings=movement.turn(state.headings, actions),
        )

    def fire_beams(self, state: Any, is_firing: jax.Array, homes: jax.Array, params: Any) -> tuple[Any, jax.Array]:
        """Beams of all agents at once; who has been hit often enough leaves the board.

        Args:
          state: a `GridState`.
          is_firing: `[N]` bool; agents that are out do not fire.
          homes: `[N, 2]` int32, where a tagged agent is put and will return.
          params: has `hits_to_tag` and `timeout_steps`.

        Returns:
          The state and how many agents each agent hit, `[N]` int32. The beam of an agent that is tagged is not seen.
        """
        is_present = state.timeouts == 0
        state = state.replace(fired=is_firing & is_present)
        reach, start = self.reach_of(state), self.beam_side_start
        given = beams.find_hits(state.positions, state.headings, reach, state.positions, is_present, start).given
        hits, is_tagged = beams.count_hits(state.hits, given.sum(0, dtype=jnp.int32), params.hits_to_tag)
        state = state.replace(
            hits=hits,
            timeouts=jnp.where(is_tagged, params.timeout_steps, state.timeouts).astype(jnp.int32),
            positions=jnp.where(is_tagged[:, None], homes, state.positions),
            fired=state.fired & ~is_tagged,
        )
        return state, given.sum(1, dtype=jnp.int32)

    def collect_apples(self, state: Any) -> tuple[Any, jax.Array]:
        """Agents on the board take the apples they stand on: the state and who collected, `[N]` bool."""
        state, collected = self.collect_packed(state.replace(apples=pack_bits(state.apples)))
        return state.replace(apples=unpack_bits(state.apples, len(self.apple_cells))), collected

    def collect_packed(self, state: Any) -> tuple[Any, jax.Array]:
        """As `collect_apples`, while `state.apples` holds packed bits."""
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
        table = self.palette if self.observation == "rgb" else np.eye(len(self.tiles), dtype=np.uint8)
        return jnp.asarray(table)[tiles]

    def view_tiles(self, state: Any) -> jax.Array:
        """The tile ids in every agent's window, `[N, rows, cols]` uint8."""
        forward, right = relative_coordinates(state.positions, state.headings, state.positions)
        frame = views.window_frame(forward, right, state.headings, self.window)
        cells = cell_index(state.positions, self.walls.shape[1])
        tiles = self._draw_codes(state, jnp.asarray(self._code_table)[cells * 4 + state.headings])
        for name, is_beam in self._beams_in_view(state).items():
            tiles = self._draw_beam(tiles, is_beam, name)
        tiles = self._draw_agents(state, tiles, frame, self.window.shape, jnp.eye(self.num_agents, dtype=bool))
        return jnp.where(self.can_see(state)[:, None, None], tiles, self.tile_id("void"))

    def draw_board(self, state: Any) -> jax.Array:
        """The tile ids of the whole board, north up, `[H, W]` uint8; agents appear by their absolute heading."""
        tiles = self._draw_codes(state, jnp.asarray(self._codes.reshape(1, -1)))
        margins = np.stack([self._open_from, self.walls.shape - self._open_from - self._open_shape], 1)
        for name, rows in self._beams_on_board(state, lambda lines, *_: lines.north.T).items():
            tiles = self._draw_beam(tiles, jnp.pad(views.show_bits(rows, self._open_shape[1]), margins), name)
        frame = views.board_frame(state.positions, state.headings)
        return self._draw_agents(state, tiles, frame, self.walls.shape, jnp.zeros((1, self.num_agents), bool))[0]

    def can_see(self, state: Any) -> jax.Array:
        """Who sees anything, `[N]` bool: by default agents that are on the board."""
        return state.timeouts == 0

    def is_drawn(self, state: Any) -> jax.Array:
        """Who is to be seen, `[N]` bool: by default agents that are on the board."""
        return state.timeouts == 0

    def agent_tiles(self, state: Any, headings: jax.Array, is_self: jax.Array) -> jax.Array:
        """How agent j looks in drawing i, `[F, N]` uint8, given its heading there and whether it is the viewer."""
        del state
        others = self.tile_id(OTHERS[0]) + headings.astype(jnp.uint8)
        return jnp.where(is_self, self.tile_id("self"), others)

    def reach_of(self, state: Any) -> jax.Array:
        """Cells that each ray of each agent covers, `[N, rays]` int32; 0 for agents that did not fire."""
        cells = cell_index(state.positions, self.walls.shape[1])
        return jnp.where(state.fired[:, None], jnp.asarray(self.beam_reach)[cells, state.headings], 0)

    def changing_things(self, state: Any) -> jax.Array:
        """What is there of the apples and, in games with a river, of the waste, `[A + R]` bool."""
        return jnp.concatenate([state.apples, state.waste]) if len(self.river_cells) else state.apples

    def rays_of(self, state: Any) -> jax.Array:
        """Cells that each ray of the beam to be seen covers, `[N, rays]` int32."""
        return self.reach_of(state)

    def drawn_beams(self, state: Any) -> dict[str, jax.Array]:
        """Which beams are to be seen, later ones over earlier: name of the tile -> who fired one, `[N]` bool."""
        beam: dict[str, jax.Array] = {"beam": state.fired}
        return {"clean_beam": state.cleaned_at} | beam if len(self.river_cells) else beam

    def _beam_segments(self, state: Any) -> tuple[tuple[jax.Array, jax.Array], dict[str, jax.Array]]:
        """The ends of all rays, see `beams.ray_segments`, and which are to be seen by the name of the tile, `[S]`."""
        rays = self.rays_of(state)
        ends = beams.ray_segments(state.positions, state.headings, rays, self.beam_side_start)
        fired_by_name = self.drawn_beams(state)
        return ends, {name: ((rays > 0) & fired[:, None]).reshape(-1) for name, fired in fired_by_name.items()}

    def _beams_in_view(self, state: Any) -> dict[str, jax.Array]:
        """The cells of each kind of beam in every agent's window, `[N, rows * cols]` bool, by the name of the tile."""
        ends, is_there = self._beam_segments(state)
        if views.are_few(len(ends[0]), self.window):
            viewers = state.positions, state.headings
            return {name: views.view_segments(*ends, those, viewers, self.window) for name, those in is_there.items()}
        words = self._beams_on_board(state, partial(views.cut_lines, window=self.window))
        return {name: views.show_window(rows, self.window.shape[1]) for name, rows in words.items()}

    def _beams_on_board(self, state: Any, cut: Callable[..., jax.Array]) -> dict[str, jax.Array]:
        """What `cut(lines, positions, headings)` makes of the cells of each kind of beam, by the name of the tile.

        Beams are searched for only if there are any.
        """
        (first, last), is_there = self._beam_segments(state)

        def search(cells: tuple[jax.Array, ...], headings: jax.Array, is_there: dict[str, jax.Array]) -> Any:
            first, last, positions = (part - self._open_from[None] for part in cells)
            lines = {
                name: views.mark_segments(first, last, those, self._open_shape) for name, those in is_there.items()
            }
            return {name: cut(lines[name], positions, headings) for name in lines}

        cells = (first, last, state.positions)
        is_any = jnp.stack(list(is_there.values())).any()
        words = compute_if_any(search, is_any, cells, state.headings, is_there)
        return {name: words[name] for name in is_there}  # in the order of drawing, which a pytree forgets

    def _draw_beam(self, tiles: jax.Array, is_beam: jax.Array, name: str) -> jax.Array:
        """Draws a beam, but never over walls, which beams may pass, nor off the board, `[F, rows * cols]` uint8."""
        is_beam = is_beam.reshape(tiles.shape)
        if not self._is_beam_blocked:
            is_beam &= (tiles != self.tile_id("void")) & (tiles != self.tile_id("wall"))
        return jnp.where(is_beam, self.tile_id(name), tiles)

    def _draw_agents(
        self, state: Any, tiles: jax.Array, frame: Frame, shape: tuple[int, int], is_self: jax.Array
    ) -> jax.Array:
        """Draws agents on tiles `[F, rows * cols]`, `[F, rows, cols]` uint8."""
        rows = jnp.where(self.is_drawn(state)[None, :], frame.rows, NOWHERE)
        agents = self.agent_tiles(state, frame.headings, is_self)
        return views.paint_agents(tiles, frame._replace(rows=rows), agents, shape).reshape(-1, *shape)

    def _draw_codes(self, state: Any, codes: jax.Array) -> jax.Array:
        """The tiles of codes: what never changes, apples and waste."""
        number = codes.astype(jnp.int16) - len(self.tiles)
        words = pack_bits(self.changing_things(state))
        is_there = look_up_bits(words, jnp.maximum(number, 0))
        tiles = jnp.where(is_there, self.tile_id("apple"), self.tile_id("floor"))
        if len(self.river_cells):
            river = jnp.where(is_there, self.tile_id("waste"), self.tile_id("river"))
            tiles = jnp.where(number >= len(self.apple_cells), river, tiles)
        return jnp.where(number >= 0, tiles, codes.astype(jnp.uint8))
