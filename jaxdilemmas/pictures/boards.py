"""How games on boards look: the board, what lies on it, beams and agents."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.grid import beams
from jaxdilemmas.grid.environment import GridEnvironment
from jaxdilemmas.grid.maps import cells_of
from jaxdilemmas.grid.scene import Owned
from jaxdilemmas.rendering.glyphs import GLYPHS, tile
from jaxdilemmas.rendering.picture import Brush, Marks, Picture, degrees, join

MEANINGS = {
    "apple": "apple",
    "coin": "coin, in the colour of an agent",
    "waste": "waste",
    "partial_gold": "gold that waits for a second miner",
    "red": "rewards who eats it",
    "green": "rewards everyone",
    "blue": "rewards everyone else",
    "orange": "costs everyone",
    "beam": "beam that hits agents",
    "clean_beam": "beam that cleans",
    "claim_beam": "beam that claims",
    "resource": "wall that nobody has claimed",
    "claimed": "wall in the colour of its owner",
    "paying": "the same after its first payment",
    "damaged": "wall that is damaged",
    "out": "out of the game",
    "frozen": "tagged, cannot act",
    "hit": "was hit",
    "marked": "has a mark",
}
"""What the legend says about signs on boards."""

OWNED = {"coin_own": "coin", "coin_other": "coin", "other_wet": "claimed", "other_dry": "paying"}
"""Signs of tiles that depend on the viewer; a sign has the colour of its owner, or of the agent whose kind it is."""

DAMAGED = "damaged_"
"""Begin of the names of tiles that have the sign "damaged" over another one."""

ACTIONS = ("forward", "backward", "step left", "step right", "turn left", "turn right", "beam", "stand", "clean")
"""The numbers that all games on boards share, see `grid.movement`."""


def picture(env: GridEnvironment) -> Picture:
    """How a game on a board looks; what its `scene` lists is drawn.

    Args:
      env: the game. Tiles without a sign of their own are squares in the colours of its observations.
    """
    names = {sign for layer in env.painter.layers for name in layer.tiles_by_kind[0] for sign in _signs_of(name)}
    names |= {env.tiles[code] for code in np.unique(env.painter.codes) if code < len(env.tiles)}
    beam_names, stays_if_tagged, has_marks = _kinds_of(env)
    names |= {*beam_names}
    signs = ["agent", "timer", "hit", "apple_cell", "frozen" if stays_if_tagged else "out", *["marked"] * has_marks]
    unknown = {name: tile(env.colours[name], name) for name in sorted(names - set(GLYPHS))}
    brush = Brush(*sorted((names & set(GLYPHS)) | {*signs, "floor"}), **unknown)
    height, width = env.painter.shape

    def marks(state: Any, params: Any) -> Marks:
        return join([*_things(env, brush, state), *_beams(env, brush, state), *_agents(env, brush, state, params)])

    return brush.picture(
        (width, height),
        _ground(env, brush),
        marks,
        legend={name: MEANINGS.get(name, name) for name in brush.glyphs if name in MEANINGS or name in unknown},
        num_agents=env.num_agents,
        actions=(*ACTIONS[:-1], env.second_action)[: env.num_actions],
        status=lambda state, params: {"tagged" if stays_if_tagged else "out": state.timeouts > 0},
    )


def _signs_of(name: str) -> list[str]:
    """The signs of a tile."""
    plain = name.removeprefix(DAMAGED)
    return [OWNED.get(plain, plain), *["damaged"] * (plain != name)]


def _kinds_of(env: GridEnvironment) -> tuple[list[str], bool, bool]:
    """The tiles of its beams, whether agents that are tagged stay on the board, and whether agents may have a mark."""
    scenes: list[Any] = []
    jax.eval_shape(lambda key: scenes.append(env.scene(env.initial_state(key, env.default_params))), jax.random.key(0))
    beam_names = [name for shot in scenes[0].beams for name in shot.tiles]
    return beam_names, scenes[0].is_tagged is not None, scenes[0].is_marked is not None


def _ground(env: GridEnvironment, brush: Brush) -> list[Marks]:
    """What never changes: floor, walls, and the cells on which things come and go without these."""
    height, width = env.painter.shape
    parts = [brush("floor", width / 2, height / 2, width=width, height=height)]
    for code, name in enumerate(env.tiles):
        cells = cells_of(env.painter.codes == code)
        if len(cells) and name != "floor":
            parts.append(brush.at(name, cells))
    for layer in env.painter.layers:
        if len(layer.cells):
            parts.append(
                brush.at("apple_cell" if layer.tile_not_there == "floor" else layer.tile_not_there, layer.cells)
            )
    return parts


def _things(env: GridEnvironment, brush: Brush, state: Any) -> list[Marks]:
    """The things of all layers that are there."""
    parts = []
    for layer, things in zip(env.painter.layers, env.scene(state).things, strict=True):
        kinds = things.kinds if isinstance(things, Owned) else things.astype(jnp.int8)
        for kind, name in enumerate(layer.tiles_by_kind[0][1:], start=1) if len(layer.cells) else ():
            owner: dict[str, Any] = {"agent": kind - 1} if name in OWNED else {}
            owner = {"agent": things.owners.astype(jnp.int32)} if isinstance(things, Owned) else owner
            parts += [brush.at(sign, layer.cells, where=kinds == kind, **owner) for sign in _signs_of(name)]
    return parts


def _beams(env: GridEnvironment, brush: Brush, state: Any) -> list[Marks]:
    """Each ray as one long sign, cut off at the edge of the board; on a torus the rest is at the other side."""
    parts = []
    height, width = env.painter.shape
    most = np.array([[height, width]], np.int32) - 1
    around = [(0, 0), *[(height, 0), (-height, 0), (0, width), (0, -width)] * env.is_torus]
    shots = [(name, shot.rays_of(kind)) for shot in env.scene(state).beams for kind, name in enumerate(shot.tiles)]
    for (name, rays), shift in itertools.product(shots, np.array(around, np.int32)[:, None]):
        first, last = beams.ray_segments(state.positions, state.headings, rays, env.beam_side_start)
        first, last = jnp.maximum(first + shift, 0), jnp.minimum(last + shift, most)
        is_there = (rays.reshape(-1) > 0) & (last >= first).all(1)
        is_across = jnp.repeat(state.headings % 2 == 1, rays.shape[1])
        middle, sides = (first + last + 1).astype(jnp.float32) / 2, (last - first + 1).astype(jnp.float32)
        along = jnp.where(is_across, sides[:, 1], sides[:, 0])
        turn = jnp.where(is_across, 90.0, 0.0)
        parts.append(brush(name, middle[:, 1], middle[:, 0], turn, 1.0, along, where=is_there))
    return parts


def _agents(env: GridEnvironment, brush: Brush, state: Any, params: Any) -> list[Marks]:
    """Agents where they stand or were, who has been hit, and how long agents are out or cannot act."""
    scene = env.scene(state)
    number = np.arange(env.num_agents)
    turn = degrees(scene.headings)
    is_waiting = state.timeouts > 0
    most = jnp.maximum(jnp.asarray(getattr(params, "timeout_steps", 1), jnp.float32), 1.0)
    left = jnp.minimum(state.timeouts.astype(jnp.float32) / most, 1.0)
    row, col = scene.positions.astype(jnp.float32).T + 0.5
    parts = [brush.at("agent", scene.positions, turn=turn, agent=number, where=scene.is_drawn)]
    if scene.is_tagged is None:
        parts.insert(0, brush.at("out", scene.positions, agent=number, where=~scene.is_drawn))
    else:
        parts.append(brush.at("frozen", scene.positions, agent=number, where=scene.is_tagged))
    if scene.is_marked is not None:
        is_marked = scene.is_drawn & scene.is_marked
        parts.append(brush("marked", col - 0.32, row - 0.3, 0.0, 0.45, 0.45, where=is_marked))
    parts.append(brush("hit", col + 0.32, row - 0.3, 0.0, 0.45, 0.45, where=(state.hits > 0) & ~is_waiting))
    parts.append(brush("timer", col, row + 0.42, 0.0, 0.8 * left, 0.14, where=is_waiting))
    return parts
