"""Boards of Gems: given by tests, and random crowded boards where gems meet and cover each other."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas.envs.gems import DOWN, LEFT, RIGHT, STAY, UP, Draws, Gems, State, draw_planes

FAR = [[14, 14], [14, 13], [14, 12]]
"""Where gems lie that a test does not need."""


def board(players: Any, own: Any = FAR, others: Any = FAR, purple: Any = FAR, **counts: float) -> State:
    """A state with players, gems of player 0, of player 1 and purple ones at these cells."""
    cells = [jnp.array(part, jnp.int32) for part in (players, (own, others, purple))]
    numbers = {"team_reward": jnp.float32(0), "gems_taken": jnp.int32(0), "step_count": jnp.int32(0)}
    return State(*cells, **numbers | {name: numbers[name] + value for name, value in counts.items()})


def crowded(rng: np.random.Generator, length: int) -> tuple[State, dict[str, np.ndarray], np.ndarray]:
    """A start, draws and actions mostly in one corner of the board, where much is met, covered and shared."""
    cells = rng.integers(0, 4, (11, 2))
    shapes = {"own": (length, 2, 3, 2), "purple": (length, 2, 2)}
    draws = {name: rng.random(shape) * rng.choice([0.2, 1.0], shape, p=[0.99, 0.01]) for name, shape in shapes.items()}
    actions = rng.choice([RIGHT, DOWN, LEFT, UP, STAY, -1, 7], (length, 2), p=[0.2, 0.2, 0.26, 0.26, 0.04, 0.02, 0.02])
    return board(cells[:2], *cells[2:].reshape(3, 3, 2)), draws, actions


class Steps(NamedTuple):
    """Many steps in a crowd, leading axis M; gems come back where the board has all its symmetries."""

    draws: Draws
    states: State
    actions: Any
    next_states: State
    rewards: Any
    terminated: Any
    info: dict[str, Any]
    entities: Any
    planes: Any


def crowded_steps(env: Gems) -> Steps:
    """400 steps from random states in the middle of the board."""
    rng, M = np.random.default_rng(5), 400
    cells = rng.integers(4, 8, (M, 11, 2)).astype(np.int32)
    zeros = np.zeros(M, np.int32)
    parts: list[Any] = [cells[:, :2], cells[:, 2:].reshape(M, 3, 3, 2), zeros.astype(np.float32), zeros, zeros]
    states = State(*parts)
    uniforms: list[Any] = [(rng.integers(1, 14, (M, *shape)) - 0.5) / 14 for shape in ((2, 3, 2), (2, 2))]
    draws = Draws(*(part.astype(np.float32) for part in uniforms))
    actions = rng.integers(0, 5, (M, 2)).astype(np.int32)

    def play(draws: Draws, state: State, actions: jax.Array) -> Steps:
        results = env.transition(draws, state, actions, env.default_params)
        return Steps(draws, state, actions, *results, env.observe(state, env.default_params), draw_planes(state))

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(play))(draws, states, actions))
