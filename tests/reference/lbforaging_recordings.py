"""Episodes and starts of lb-foraging; `python -m tests.reference.lbforaging_recordings` stores them.

Needs lbforaging 2.0.0.
"""

import dataclasses
import json
from typing import Any

import numpy as np

from tests.reference.recordings import DATA

FOLDER = DATA / "level_based_foraging"
LOAD = 5


@dataclasses.dataclass(frozen=True)
class Recorded:
    """How a recording is made: arguments of our game, whether agents are scripted, the numbers of episodes and starts.

    The names of the arguments are those of `LevelBasedForaging`; `of_lbforaging` translates them.
    """

    env_kwargs: dict[str, Any]
    is_scripted: bool = False
    num_episodes: int = 12
    num_starts: int = 0

    def of_lbforaging(self) -> dict[str, Any]:
        """The arguments of `ForagingEnv`."""
        kwargs = self.env_kwargs
        size = kwargs.get("size", 8)
        return {
            "players": kwargs.get("num_agents", 2),
            "min_player_level": kwargs.get("min_agent_level", 1),
            "max_player_level": kwargs.get("max_agent_level", 2),
            "min_food_level": kwargs.get("min_food_level", 1),
            "max_food_level": kwargs.get("max_food_level", 0) or None,
            "field_size": (size, size),
            "max_num_food": kwargs.get("num_food", 2),
            "sight": kwargs.get("sight", size),
            "max_episode_steps": kwargs.get("max_steps", 50),
            "force_coop": kwargs.get("force_coop", False),
            "normalize_reward": kwargs.get("normalize_reward", True),
            "penalty": kwargs.get("penalty", 0.0),
        }


RECORDINGS = {
    "8x8-2p-2f_random": Recorded({}, num_starts=20_000),
    "8x8-2p-2f-coop_scripted": Recorded({"force_coop": True}, is_scripted=True, num_episodes=20, num_starts=20_000),
    "10x10-3p-3f-2s-pen_scripted": Recorded(
        {"size": 10, "num_agents": 3, "num_food": 3, "sight": 2, "penalty": 0.1}, is_scripted=True
    ),
    "5x5-4p-2f-pen_random": Recorded(
        {"size": 5, "num_agents": 4, "sight": 3, "penalty": 0.25, "normalize_reward": False},
        num_starts=20_000,
    ),
    "6x6-5p-4f-1s-coop_scripted": Recorded(
        {
            "size": 6,
            "num_agents": 5,
            "num_food": 4,
            "sight": 1,
            "force_coop": True,
            "max_agent_level": 3,
            "penalty": 0.1,
        },
        is_scripted=True,
        num_starts=20_000,
    ),
    "7x7-3p-3f-ind_scripted": Recorded(
        {"size": 7, "num_agents": 3, "num_food": 3, "max_food_level": 1}, is_scripted=True
    ),
}
"""By the name of the file, after the ids of lb-foraging."""


def make(recorded: Recorded) -> tuple[Any, Any]:
    """The game of lb-foraging with the vector as observation, and one with the grid, of which the state is set.

    `grid_observation=True` is refused by gymnasium 1.4.0, since the shape of its space is not that of its bounds.
    """
    from gymnasium.spaces import Box
    from lbforaging.foraging.environment import ForagingEnv

    env, painter = (ForagingEnv(**recorded.of_lbforaging()) for _ in range(2))
    painter._grid_observation = True
    width = 2 * env.sight + 1
    painter.observation_space = [Box(0, 127, (3, width, width))] * env.n_agents
    return env, painter


def play(recorded: Recorded, seed: int) -> dict[str, np.ndarray]:
    """One episode; the keys are in tests/data/README.md. Steps after its end are 0."""
    (env, painter), rng = make(recorded), np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    steps, num_agents, num_food = env._max_episode_steps, env.n_agents, env.max_num_food
    foods = np.argwhere(env.field)
    width = 2 * env.sight + 1
    arrays: dict[str, Any] = {
        "positions": np.zeros((steps + 1, num_agents, 2), np.int8),
        "levels": np.array([player.level for player in env.players], np.int8),
        "foods": np.array([*foods.tolist(), *[(env.rows, 0)] * (num_food - len(foods))], np.int8),
        "food_levels": np.array([*env.field[tuple(foods.T)], *[0] * (num_food - len(foods))], np.int8),
        "is_left": np.zeros((steps + 1, num_food), bool),
        "actions": np.zeros((steps, num_agents), np.int8),
        "rewards": np.zeros((steps, num_agents)),
        "length": np.int8(0),
        "entities": np.zeros((steps + 1, num_agents, 3 * (num_food + num_agents)), np.int8),
        "planes": np.zeros((steps + 1, num_agents, 3, width, width), np.int8),
    }
    note(arrays, 0, env, painter, obs)
    is_over = False
    for step in range(steps):
        if is_over:
            break
        actions = choose(env, rng) if recorded.is_scripted else rng.integers(0, 6, num_agents)
        obs, rewards, is_over, _, _ = env.step(actions.tolist())
        arrays["actions"][step], arrays["rewards"][step], arrays["length"] = actions, rewards, np.int8(step + 1)
        note(arrays, step + 1, env, painter, obs)
    return arrays


def note(arrays: dict[str, np.ndarray], moment: int, env: Any, painter: Any, obs: Any) -> None:
    """Writes down one moment of an episode."""
    arrays["positions"][moment] = [player.position for player in env.players]
    arrays["is_left"][moment] = [row < env.rows and env.field[row, col] > 0 for row, col in arrays["foods"].tolist()]
    arrays["entities"][moment] = obs
    painter.field, painter.players, painter._valid_actions = env.field, env.players, env._valid_actions
    painter.current_step, painter._game_over = env.current_step, env.game_over
    arrays["planes"][moment] = painter.test_make_gym_obs()


def choose(env: Any, rng: np.random.Generator) -> np.ndarray:
    """Actions of agents that walk to the food nearest to agent 0 and load it; a tenth of the actions is random."""
    foods = np.argwhere(env.field)
    goal = min(foods.tolist(), key=lambda food: np.abs(np.subtract(food, env.players[0].position)).sum())
    actions = []
    for player in env.players:
        rows, cols = np.subtract(goal, player.position)
        ways = [*[1 if rows < 0 else 2] * abs(rows), *[3 if cols < 0 else 4] * abs(cols)]
        actions.append(LOAD if abs(rows) + abs(cols) == 1 else rng.choice(ways or [0]))
    return np.where(rng.random(len(actions)) < 0.1, rng.integers(0, 6, len(actions)), actions)


def starts(recorded: Recorded) -> dict[str, np.ndarray]:
    """How often what happens at starts of lb-foraging, see `count_starts`."""
    env, _ = make(recorded)
    env._make_gym_obs = lambda: None
    env.reset(seed=1)
    found = []
    for _ in range(recorded.num_starts):
        env.reset()
        found.append(([player.position for player in env.players], [player.level for player in env.players], env.field))
    return count_starts(*(np.array(part) for part in zip(*found, strict=True)))


def count_starts(positions: np.ndarray, levels: np.ndarray, fields: np.ndarray) -> dict[str, np.ndarray]:
    """Counts over S starts.

    Args:
      positions: `[S, N, 2]`.
      levels: `[S, N]`.
      fields: `[S, size, size]`, the level of food on each cell.

    Returns:
      How often agents and food stand on each cell, how much food there is, levels of agents, the sum of the three
      lowest ones with the level of the first food in the order of reading, and (rows, columns) between the first two.
    """
    size = fields.shape[1]
    cells = [np.argwhere(field) for field in fields]
    with_food, with_two = ([at for at, food in enumerate(cells) if len(food) >= least] for least in (1, 2))
    weakest = np.sort(levels, 1)[:, :3].sum(1)
    first = np.array([fields[at][tuple(cells[at][0])] for at in with_food])
    gaps = np.array([cells[at][1] - cells[at][0] + (0, size) for at in with_two])
    return {
        "agent_cells": np.bincount((positions @ [size, 1]).ravel(), minlength=size**2),
        "food_cells": (fields > 0).sum(0).ravel(),
        "num_food": np.bincount([len(food) for food in cells], minlength=5),
        "levels": np.bincount(levels.ravel(), minlength=4),
        "food_levels": np.bincount(10 * weakest[with_food] + first, minlength=100),
        "gaps": np.bincount(gaps @ [2 * size, 1], minlength=2 * size**2),
    }


def record(name: str) -> dict[str, np.ndarray]:
    """The arrays of a recording."""
    recorded = RECORDINGS[name]
    episodes = [play(recorded, seed) for seed in range(recorded.num_episodes)]
    arrays = {key: np.array([episode[key] for episode in episodes]) for key in episodes[0]}
    counts = {f"starts_{key}": value for key, value in starts(recorded).items()} if recorded.num_starts else {}
    return arrays | counts | {"config": np.array(json.dumps(recorded.env_kwargs))}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name in RECORDINGS:
        arrays: dict[str, Any] = record(file_name)
        np.savez_compressed(FOLDER / f"{file_name}.npz", **arrays)
