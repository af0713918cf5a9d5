"""Episodes in which every action is equally likely, as numbers to compare with the original's."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.reference.compiling import USUAL_OPTIONS

NUM_STEPS = 1000


def play_at_random(env: Any, num_episodes: int, event: str | None = None) -> np.ndarray:
    """Returns of episodes of 1,000 steps, and how often an event happened (else 0), both per agent, `[E, 2]`."""

    def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        key_act, key_step = jax.random.split(key)
        actions = jax.random.randint(key_act, (env.num_agents,), 0, env.action_space.n, jnp.int32)
        draws = env.draw(key_step, state, env.default_params)
        state, rewards, _, info = env.transition(draws, state, actions, env.default_params)
        counted = info[event].astype(jnp.float32).mean() if event else jnp.float32(0)
        return state, jnp.stack([rewards.mean(), counted])

    def play(key: jax.Array) -> jax.Array:
        start = env.initial_state(key, env.default_params)
        return jax.lax.scan(step, start, jax.random.split(jax.random.fold_in(key, 1), NUM_STEPS))[1].sum(0)

    keys = jax.random.split(jax.random.key(100), num_episodes)
    return np.asarray(jax.jit(jax.vmap(play), compiler_options=USUAL_OPTIONS)(keys))


def errors_between(values: np.ndarray, mean: float, error: float) -> float:
    """The distance of a mean of episodes `[E]` from the original's, in standard errors of the difference."""
    return float(abs(values.mean() - mean) / np.hypot(error, values.std(ddof=1) / len(values) ** 0.5))
