"""`GridEnvironment`, the base class of all grid games: static layers, kinds of observation and how they are painted."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxdilemmas.arguments import check_choice, check_count, check_flag, check_num_agents, numbers_from
from jaxdilemmas.batching import batch_last, compute_once
from jaxdilemmas.environment import Environment, Observed, Transition, check_counts, require
from jaxdilemmas.grid import beams, spawning
from jaxdilemmas.grid.geometry import cell_index, count_others
from jaxdilemmas.grid.maps import cells_of, index_of_cells
from jaxdilemmas.grid.painting import Painter
from jaxdilemmas.grid.scene import PALETTE, TILES, AnyLayer, Layer, Scene, one_kind
from jaxdilemmas.grid.views import Window
from jaxdilemmas.spaces import Box, Discrete, Observation, Space, WithExtras
from jaxdilemmas.uniforms import uniform

OBSERVATION_KINDS = ("tiles", "one_hot", "rgb")
"""Allowed values of the argument `observation`."""


class GridParams(struct.PyTreeNode):
    """The numbers in the rules of every game with tagging beams.

    Attributes:
      timeout_steps: steps in which a tagged agent is out or cannot act.
      hits_to_tag: beam hits that tag an agent.
      max_steps: length of an episode, in steps.
    """

    timeout_steps: Any = 25
    hits_to_tag: Any = 2
    max_steps: Any = 1000


class TimerParams(GridParams):
    """The numbers in the rules of games with timers of apples: `GridParams` and the time until apples grow back.

    Attributes:
      apple_respawn_steps: steps from the collection of an apple to the step in which it can be collected again.
    """

    apple_respawn_steps: Any = 25


class DensityParams(GridParams):
    """The numbers in the rules of games with growth by density: `GridParams`, one hit to tag, and the growth of apples.

    Attributes:
      regrowth_probabilities: probabilities that an apple grows back in a step with no, 1-2, 3-4 and more live
        neighbours.
    """

    hits_to_tag: Any = 1
    regrowth_probabilities: Any = (0.0, 0.01, 0.05, 0.1)


class GridState(struct.PyTreeNode):
    """The fields of the state of every grid game.

    Attributes:
      positions: `[N, 2]` int32 (row, col).
      headings: `[N]` int32, 0 north, 1 east, 2 south, 3 west.
      timeouts: `[N]` int32, steps in which an agent is still out or cannot act; 0 for agents that play.
      hits: `[N]` int32, beam hits since the agent was last tagged.
      fired: `[N]` bool, the agents whose beam is drawn.
      apples: `[A]` bool, whether each apple is there.
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
    """Raises a ValueError unless the regrowth table is four probabilities."""
    table = params.regrowth_probabilities
    numbers = numbers_from(table)
    is_table = numbers is not None and numbers.shape == (4,) and bool(np.all((numbers >= 0) & (numbers <= 1)))
    require(is_table, "regrowth_probabilities", table, "four numbers in [0, 1]")


def check_timer_params(params: TimerParams) -> None:
    """Raises a ValueError if a number is outside its range."""
    check_counts(params, "apple_respawn_steps", "timeout_steps", "hits_to_tag", "max_steps")


def check_density_params(params: DensityParams) -> None:
    """Raises a ValueError if a number is outside its range."""
    check_counts(params, "timeout_steps", "hits_to_tag", "max_steps")
    check_regrowth_probabilities(params)


def outcome(
    state: Any,
    collected: jax.Array,
    given: jax.Array,
    rewards: jax.Array | None = None,
    terminated: jax.Array | None = None,
    **events: jax.Array,
) -> Transition:
    """Builds the result of `transition` in grid games.

    Args:
      state: the state after the step.
      collected: `[N, ...]` int32, apples that each agent collected.
      given: `[N, N, ...]` bool, [i, j] is whether the beam of i hit j.
      rewards: `[N, ...]` float32; None means one for each apple.
      terminated: `[...]` bool; None means that only the clock ends the game.
      **events: `[N, ...]` each, other entries of the game's info.

    Returns:
      state, rewards, terminated and info, which contains `collected`, `hits_given`, `hits_received` `[N, ...]` int32
      and `tagged` `[N, ...]` bool.
    """
    chex.assert_shape(given, (len(collected), len(collected), *collected.shape[1:]))
    info = {
        "collected": collected,
        "hits_given": count_others(given),
        "hits_received": count_others(given, axis=0),
        "tagged": state.timeouts > 0,
    }
    rewards = collected.astype(jnp.float32) if rewards is None else rewards
    return state, rewards, jnp.zeros((), bool) if terminated is None else terminated, info | events


class GridEnvironment(Environment):
    """A game of agents that turn, move, fire beams and collect apples on a board with walls.

    The State of such a game is a `GridState` with more fields if the game needs them. If other things than apples come
    and go, the game gives their `Layer`s to the constructor, and its `scene` contains which of them are there.

    Args:
      board: masks `[H, W]` bool by name, with "wall", "spawn" and, in games with the tile "apple", "apple"; see
        `Painter` for other masks.
      num_agents: N.
      observation: "tiles", "one_hot" or "rgb".
      layers: things other than apples that come and go.
      extras: whether agents observe the numbers `extra_names` beside their view.

    Raises:
      ValueError: `observation`, `num_agents` or `extras` is not allowed; see `Painter` for the board.

    Attributes:
      walls: `[H, W]` bool.
      apple_cells: `[A, 2]` int32, row-major; index a of every apple array is the cell `apple_cells[a]`.
      spawn_cells: `[P, 2]` int32, the cells where agents start.
      apple_index_at: `[H, W]` int32, the inverse of `apple_cells`, A where no apple grows.
      beam_reach: `[H * W, 4, rays]` int32, see `beams.open_reach`.
      beam_side_start: where the rays beside the middle one start, see `beams`.
      is_beam_blocked: whether walls block beams.
      is_torus: whether opposite edges of the board meet: moves, beams and windows go on at the other side.
      second_action: the name of action 8, in games that have it.
      movement: how moves are decided, a name in `grid.movement.RULES`.
      tiles: names of the tile ids, in draw order.
      colours: RGB of each tile by its name.
      palette: `[len(tiles), 3]` uint8.
      window: the part of the board that an agent sees.
      outside: name of the tile of cells off the board.
      extra_names: names of the numbers that agents may observe beside their view; `observe_extras` computes them.
      has_extras: whether they observe them.
      painter: paints observations and boards.
    """

    picture_module = "jaxdilemmas.pictures.boards"
    is_batched_last = True
    window: Window
    outside: str = "void"
    num_actions: int = 8
    extra_names: tuple[str, ...] = ()
    second_action: str = "clean"
    movement: str = "simultaneous"
    tiles: tuple[str, ...] = TILES
    colours: Mapping[str, tuple[int, int, int]] = PALETTE
    beam_reach: np.ndarray
    beam_side_start: int = 1
    is_beam_blocked: bool = True
    is_torus: bool = False

    def __init__(
        self,
        board: Mapping[str, np.ndarray],
        num_agents: int,
        observation: str,
        layers: Sequence[AnyLayer] = (),
        extras: bool = False,
    ) -> None:
        check_choice("observation", observation, OBSERVATION_KINDS)
        self.num_agents = check_num_agents(num_agents)
        self.observation = observation
        check_flag("extras", extras)
        self.has_extras = bool(extras)
        self.walls = board["wall"]
        has_apples = "apple" in self.tiles
        self.apple_cells = cells_of(board["apple"] if has_apples else np.zeros_like(self.walls))
        self.spawn_cells = cells_of(board["spawn"])
        self.apple_index_at = index_of_cells(self.apple_cells, self.walls.shape)
        self.palette = np.array([self.colours[name] for name in self.tiles], np.uint8)
        all_layers = [*[Layer("apple", "floor", self.apple_cells)] * has_apples, *layers]
        self.painter = Painter(
            board,
            all_layers,
            self.tiles,
            self.window,
            self.outside,
            self.beam_side_start,
            self.is_beam_blocked,
            self.is_torus,
        )

    def tile_id(self, name: str) -> np.uint8:
        """The id of a tile by its name."""
        return self.painter.tile_id(name)

    def check_num_agents(self, most: int) -> None:
        """Raises a ValueError if there are more agents than can spawn."""
        require(self.num_agents <= most, "num_agents", self.num_agents, f"at most {most} agents can spawn on this map")

    def set_beam(self, length: int, half_width: int = 0) -> None:
        """Sets the length of beams: a ray ends at the first wall or, if walls do not block it, after `length` cells.

        Raises:
          ValueError: `length` is not a whole number of at least 1.
        """
        length = check_count("beam_length", length)
        if self.is_beam_blocked:
            length = min(length, max(self.walls.shape))
            self.beam_reach = beams.open_reach(self.walls, length, half_width, self.beam_side_start, self.is_torus)
        else:
            self.beam_reach = np.full((self.walls.size, 4, 2 * half_width + 1), length, np.int32)

    @property
    def action_space(self) -> Space:
        """Discrete: see `jaxdilemmas.grid.movement` for the numbers."""
        return Discrete(self.num_actions)

    @property
    def observation_space(self) -> Space | WithExtras:
        """Box of uint8: tile ids `[h, w]`, one-hot `[h, w, tiles]` or RGB `[h, w, 3]`; with extras a `WithExtras`."""
        return WithExtras(self.view_space, self.extra_names) if self.has_extras else self.view_space

    @property
    def view_space(self) -> Space:
        """The space of what an agent sees of the board."""
        if self.observation == "tiles":
            return Box(0, len(self.tiles) - 1, self.window.shape, np.uint8)
        if self.observation == "one_hot":
            return Box(0, 1, (*self.window.shape, len(self.tiles)), np.uint8)
        return Box(0, 255, (*self.window.shape, 3), np.uint8)

    def start(self, positions: jax.Array, headings: jax.Array) -> dict[str, jax.Array]:
        """The fields of `GridState` at the start of an episode: all agents are on the board, and all apples are there.

        Args:
          positions: `[N, 2]` int32.
          headings: `[N]` int32.
        """
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
        return spawning.choose_headings(uniform(key, self.num_agents))

    def random_spawns(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Distinct spawn cells `[N, 2]`, every ordered choice equally likely, and uniform headings `[N]`, all int32."""
        uniforms = uniform(key, 2 * self.num_agents)
        choose = compute_once(partial(spawning.choose_distinct, population=len(self.spawn_cells)))
        chosen = batch_last(choose)(uniforms[: self.num_agents])
        return jnp.asarray(self.spawn_cells)[chosen], spawning.choose_headings(uniforms[self.num_agents :])

    def reach_of(self, positions: jax.Array, headings: jax.Array, is_firing: jax.Array) -> jax.Array:
        """Cells that each ray of each agent covers if only walls stop it.

        Args:
          positions: `[N, 2, ...]` int32.
          headings: `[N, ...]` int32.
          is_firing: `[N, ...]` bool.

        Returns:
          `[N, rays, ...]` int32; 0 for agents that do not fire.
        """
        chex.assert_equal_shape([headings, is_firing])
        return compute_once(self._look_up_reach)(positions, headings, is_firing)

    def _look_up_reach(self, positions: jax.Array, headings: jax.Array, is_firing: jax.Array) -> jax.Array:
        """See `reach_of`."""
        cells = cell_index(positions, self.walls.shape[1])
        rays = [jnp.asarray(self.beam_reach[..., ray])[cells, headings] for ray in range(self.beam_reach.shape[-1])]
        return jnp.where(is_firing[:, None], jnp.stack(rays, 1), 0)

    def scene(self, state: Any) -> Scene:
        """The things to paint: by default apples, agents on the board, and the beams of agents that fired.

        Agents that are out are not drawn, and they see nothing.
        """
        is_present = state.timeouts == 0
        reach = self.reach_of(state.positions, state.headings, state.fired)
        return Scene(state.positions, state.headings, is_present, is_present, [state.apples], [one_kind("beam", reach)])

    def observe_extras(self, state: Any, params: Any) -> jax.Array:
        """The numbers beside the views, `[N, k]` float32; a game whose agents observe such numbers defines them."""
        raise NotImplementedError

    def observe(self, state: Any, params: Any) -> Observed:
        """Each agent's view, in the kind that the game was made with, `[N, ...]` uint8; with extras beside it."""
        view = self.view(state)
        return Observation(view, self.observe_extras(state, params)) if self.has_extras else view

    def view(self, state: Any) -> jax.Array:
        """What each agent sees of the board, `[N, ...]` uint8."""
        tiles = self.painter.paint_views(self.scene(state))
        if self.observation == "tiles":
            return tiles
        table = self.palette if self.observation == "rgb" else np.eye(len(self.tiles), dtype=np.uint8)
        return jnp.asarray(table)[tiles]

    def draw_board(self, state: Any) -> jax.Array:
        """The tile ids of the whole board, north at the top, `[H, W]` uint8; agents show their absolute heading."""
        return self.painter.paint_board(self.scene(state))
