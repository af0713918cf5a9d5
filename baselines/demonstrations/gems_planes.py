"""Recorded planes of `gems` as what the game itself has: entities, states and info."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.environment import Info, require
from jaxdilemmas.envs.gems import NUM_ALIKE, NUM_PLAYERS, PLANES, SIZE, VIEWS, Draws, Gems, State


def entities_from_planes(planes: np.ndarray) -> np.ndarray:
    """What both players would see as "entities" where a recording has planes.

    Args:
      planes: `[..., 5, 15, 15]`, 0 and 1 or bool, as `draw_planes` makes them.

    Returns:
      `[..., 2, 11, 2]` int8.

    Raises:
      ValueError: another shape, or a plane that does not show one player, or one to three gems.
    """
    return _cells_of(planes).reshape(*planes.shape[:-3], -1, 2)[..., VIEWS, :].astype(np.int8)


def state_from_planes(planes: np.ndarray, hidden: int = 0) -> State:
    """A state that looks like this; rewards, gems taken and the clock, which planes do not show, are 0.

    Args:
      planes: `[..., 5, 15, 15]`, 0 and 1 or bool.
      hidden: where gems are that planes do not show: under the gem of their kind of this number in the order of
        reading, or under the last one. What happens in the next step does not depend on it, only what is left there.

    Returns:
      A `State` with the leading axes of `planes`.

    Raises:
      ValueError: another shape, or a plane that does not show one player, or one to three gems.
    """
    cells = _cells_of(planes)
    gems = cells[..., NUM_PLAYERS:, :].reshape(*planes.shape[:-3], 3, NUM_ALIKE, 2)
    is_seen = gems[..., :1] >= 0
    cover = np.minimum(hidden, is_seen.sum(axis=-2, keepdims=True) - 1)
    gems = np.where(is_seen, gems, np.take_along_axis(gems, cover, axis=-2))
    zeros = jnp.zeros(planes.shape[:-3], jnp.int32)
    return State(jnp.asarray(cells[..., :NUM_PLAYERS, :]), jnp.asarray(gems), zeros.astype(jnp.float32), zeros, zeros)


def recorded_events(planes: np.ndarray, actions: np.ndarray) -> dict[str, np.ndarray]:
    """The info of recorded steps, by our own `transition`. It does not depend on the end rule or on chance.

    Args:
      planes: `[M, 5, 15, 15]`, 0 and 1 or bool, before the step.
      actions: `[M, 2]`, any type of integer.

    Returns:
      `[M, 2]` float32 each, by name.

    Raises:
      ValueError: planes that `state_from_planes` refuses, or actions of another shape.
    """
    require(actions.shape == (len(planes), NUM_PLAYERS), "actions.shape", actions.shape, f"({len(planes)}, 2)")
    env = Gems()
    draws = Draws(jnp.zeros((NUM_PLAYERS, NUM_ALIKE, 2), jnp.float32), jnp.zeros((NUM_PLAYERS, 2), jnp.float32))

    def step(state: State, actions: jax.Array) -> Info:
        return env.transition(draws, state, actions, env.default_params)[3]

    events = jax.jit(jax.vmap(step))(state_from_planes(planes), actions.astype(np.int32))
    return {name: np.asarray(values) for name, values in events.items()}


def _cells_of(planes: np.ndarray) -> np.ndarray:
    """Players and visible gems, `[..., 11, 2]` int32 (row, col); within a kind (-1, -1) last for gems not seen."""
    require(planes.shape[-3:] == PLANES, "planes.shape", planes.shape, f"it must end in {PLANES}")
    flat = planes.reshape(*planes.shape[:-2], -1).astype(bool)
    counts = flat.sum(axis=-1)
    is_unfit = ((counts < 1) | (counts > [1] * NUM_PLAYERS + [NUM_ALIKE] * 3)).any(axis=-1)
    shown = counts[is_unfit][:1].tolist()
    require(not shown, "planes", shown, "each must show one player, or one to three gems")
    first = np.argsort(~flat, axis=-1, kind="stable")[..., :NUM_ALIKE]
    is_seen = np.take_along_axis(flat, first, axis=-1)
    cells = np.where(is_seen[..., None], np.stack([first // SIZE, first % SIZE], axis=-1), -1).astype(np.int32)
    gems = cells[..., NUM_PLAYERS:, :, :].reshape(*planes.shape[:-3], -1, 2)
    return np.concatenate([cells[..., :NUM_PLAYERS, 0, :], gems], axis=-2)
