"""Episodes of JaxMARL's coin game with the places that it drew; `python -m tests.reference.jaxmarl_coins` stores them.

Needs JaxMARL.
"""

from typing import Any

import jax
import numpy as np

from tests.reference.recordings import DATA

NUM_STEPS = 300
FILE = DATA / "coin_game_jaxmarl.npz"


def record() -> dict[str, np.ndarray]:
    """One episode of 30 rounds of random actions; the keys are in tests/data/README.md."""
    from jaxmarl.environments.coin_game.coin_game import CoinGame

    envs: dict[str, Any] = {
        "obs": CoinGame(num_outer_steps=30),
        "ego_obs": CoinGame(num_outer_steps=30, egocentric=True),
    }
    env, step = envs["obs"], jax.jit(envs["obs"].step_env)
    _, state = env.reset(jax.random.key(0))
    actions = np.random.default_rng(0).integers(0, 5, (NUM_STEPS, 2), np.int32)
    rows = [places(state) | seen(envs, state)]
    steps = []
    for t, key in enumerate(jax.random.split(jax.random.key(1), NUM_STEPS)):
        _, state, rewards, _, info = step(key, state, {"0": actions[t, 0], "1": actions[t, 1]})
        steps.append({"rewards": list(rewards.values()), "inner_end": info["inner_episode_done"]} | draws_of(key))
        rows.append(places(state) | seen(envs, state))
    arrays = {name: np.array([row[name] for row in part]) for part in (rows, steps) for name in part[0]}
    return {"actions": actions} | arrays


def places(state: Any) -> dict[str, Any]:
    """Positions and coins, `[2, 2]` (row, col)."""
    return {
        "positions": np.array([state.red_pos, state.blue_pos]),
        "coins": np.array([state.red_coin_pos, state.blue_coin_pos]),
    }


def seen(envs: dict[str, Any], state: Any) -> dict[str, Any]:
    """The observations of both agents, of the board and of the board around oneself."""
    return {name: np.array(list(env.get_obs(state).values())) for name, env in envs.items()}


def draws_of(key: jax.Array) -> dict[str, Any]:
    """The places that a step draws: those of coins and those of a new round."""
    key, key_coins = jax.random.split(key)
    _, key_restart = jax.random.split(key)
    draw = jax.random.randint
    return {"new_coins": draw(key_coins, (2, 2), 0, 3), "restart": draw(key_restart, (4, 2), 0, 3)}


if __name__ == "__main__":
    arrays: dict[str, Any] = {name: array.astype(np.int8) for name, array in record().items()}
    np.savez_compressed(FILE, **arrays)
