"""Episodes of jumanji's `LevelBasedForaging`; `python -m tests.reference.jumanji_foraging` stores them.

Needs jumanji 1.1.2. Its penalty is not recorded, since it is another one.
"""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.reference.lbforaging_recordings import FOLDER, LOAD

GAMES: dict[str, dict[str, Any]] = {
    "jumanji_8x8-2p-2f-coop": {"force_coop": True},
    "jumanji_10x10-4p-4f-3s": {"size": 10, "num_agents": 4, "num_food": 4, "sight": 3, "normalize_reward": False},
    "jumanji_6x6-3p-2f": {"size": 6, "num_agents": 3, "num_food": 2},
}
"""Arguments of our game by the name of the file."""

NUM_EPISODES, NUM_STEPS = 10, 50


def make(kwargs: dict[str, Any], is_grid: bool) -> Any:
    """The game of jumanji for arguments of ours."""
    from jumanji.environments.routing.lbf.env import LevelBasedForaging
    from jumanji.environments.routing.lbf.generator import RandomGenerator

    size = kwargs.get("size", 8)
    generator = RandomGenerator(
        grid_size=size,
        num_agents=kwargs.get("num_agents", 2),
        num_food=kwargs.get("num_food", 2),
        fov=kwargs.get("sight", size),
        force_coop=kwargs.get("force_coop", False),
    )
    normalize = kwargs.get("normalize_reward", True)
    return LevelBasedForaging(generator, time_limit=NUM_STEPS, grid_observation=is_grid, normalize_reward=normalize)


def choose(state: Any, rng: np.random.Generator) -> np.ndarray:
    """Actions of agents that walk to the first food and load it; a quarter of the actions is random."""
    left = np.flatnonzero(~np.asarray(state.food_items.eaten))
    goal = np.asarray(state.food_items.position)[left[0]] if len(left) else np.zeros(2, int)
    rows, cols = (goal - np.asarray(state.agents.position)).T
    is_row = (cols == 0) | ((rows != 0) & (rng.random(len(rows)) < 0.5))
    actions = np.where(is_row, np.where(rows < 0, 1, 2), np.where(cols < 0, 3, 4))
    actions = np.where(abs(rows) + abs(cols) == 1, LOAD, actions)
    return np.where(rng.random(len(rows)) < 0.25, rng.integers(0, 6, len(rows)), actions)


def compiled(kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The functions `reset` and `step`, and one that paints the planes of a state."""
    env, painter = (make(kwargs, is_grid) for is_grid in (False, True))
    return jax.jit(env.reset), jax.jit(env.step), jax.jit(painter._observer.state_to_observation)


def play(game: tuple[Any, Any, Any], seed: int) -> dict[str, np.ndarray]:
    """One episode; the keys are in tests/data/README.md."""
    (reset, step, paint), rng = game, np.random.default_rng(seed)
    state, timestep = reset(jax.random.key(seed))
    order = np.lexsort(np.asarray(state.food_items.position).T[::-1])
    actions, moments, rewards, length = [], [], [], NUM_STEPS

    def note() -> None:
        moments.append(
            {
                "positions": state.agents.position,
                "is_left": ~np.asarray(state.food_items.eaten)[order],
                "entities": timestep.observation.agents_view,
                "planes": paint(state).agents_view,
            }
        )

    note()
    for moment in range(NUM_STEPS):
        actions.append(choose(state, rng))
        state, timestep = step(state, jnp.asarray(actions[-1], jnp.int32))
        rewards.append(np.asarray(timestep.reward, np.float32))
        note()
        if state.food_items.eaten.all():
            length = min(length, moment + 1)
    arrays = {key: np.array([moment[key] for moment in moments], np.int8) for key in moments[0]}
    start = {"levels": state.agents.level, "foods": state.food_items.position[order]}
    start |= {"food_levels": state.food_items.level[order], "length": length, "actions": np.array(actions)}
    return (
        arrays
        | {key: np.asarray(value).astype(np.int8) for key, value in start.items()}
        | {"rewards": np.array(rewards)}
    )


def record(name: str) -> dict[str, np.ndarray]:
    """The arrays of a recording."""
    game = compiled(GAMES[name])
    episodes = [play(game, seed) for seed in range(NUM_EPISODES)]
    arrays = {key: np.array([episode[key] for episode in episodes]) for key in episodes[0]}
    return arrays | {"config": np.array(json.dumps(GAMES[name]))}


if __name__ == "__main__":
    for file_name in GAMES:
        found: dict[str, Any] = record(file_name)
        np.savez_compressed(FOLDER / f"{file_name}.npz", **found)
