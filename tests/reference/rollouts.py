"""Episodes of the fast games in one compiled scan, and the comparison with the slow ones step by step."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdilemmas import Environment
from jaxdilemmas.grid.movement import STAND
from tests.reference.compiling import USUAL_OPTIONS
from tests.reference.gathering import Gathering
from tests.reference.gems import Gems
from tests.reference.lab2d import Lab2D
from tests.reference.views import Cell


class Rollout(NamedTuple):
    """What each of T steps gave as NumPy arrays, leading axis T; `states` and `obs` are those after the step."""

    states: Any
    obs: Any
    rewards: Any
    terminated: Any
    info: dict[str, Any]


def as_cells(positions: Any) -> list[Cell]:
    """Positions `[N, 2]` as the slow games hold them."""
    return [(row, col) for row, col in np.asarray(positions).tolist()]


@functools.cache
def compiled(env: Environment, method: str) -> Any:
    """A method of `env`, jitted once per environment."""
    return jax.jit(getattr(env, method))


def start(env: Environment, seed: int = 0) -> Any:
    """The state after a reset, compiled in one piece."""
    return compiled(env, "initial_state")(jax.random.key(seed), env.default_params)


def put(env: Environment, positions: list[list[int]], headings: list[int], **fields: Any) -> Any:
    """A state with agents where a test wants them."""
    state = start(env).replace(positions=jnp.array(positions, jnp.int32), headings=jnp.array(headings, jnp.int32))
    return state.replace(**{name: jnp.asarray(values) for name, values in fields.items()})


@functools.cache
def draw_shapes(env: Environment) -> Any:
    """The draws of `env` with shapes in the place of arrays."""
    return jax.eval_shape(env.draw, jax.random.key(0), start(env), env.default_params)


def as_draws(env: Environment, draws: dict[str, Any]) -> Any:
    """The draws of `env` from all their parts by name."""
    assert set(vars(draw_shapes(env))) == set(draws)
    return draw_shapes(env).replace(**{name: np.asarray(values, np.float32) for name, values in draws.items()})


def play_quietly(
    env: Environment, state: Any, *actions: int, **draws: Any
) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """One step in which agent 0 goes first, agents without an action stand, and chance does nothing.

    Nothing grows and the game goes on, but for `draws`, by name.
    """
    n = env.num_agents

    def quiet(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name.endswith("priorities"):
            return np.arange(n, 0, -1) / (n + 1)
        return np.full(shape, 0.0 if name.startswith("respawn") else 0.9)

    usual = {name: quiet(name, part.shape) for name, part in vars(draw_shapes(env)).items()}
    return act(env, state, [*actions, *[STAND] * (n - len(actions))], as_draws(env, usual | draws))


def random_draws(env: Environment, rng: np.random.Generator, steps: int) -> dict[str, np.ndarray]:
    """Uniforms for all draws of many steps, by name, with some ties among the priorities."""
    shapes = vars(draw_shapes(env))
    draws = {name: rng.random((steps, *part.shape)).astype(np.float32) for name, part in shapes.items()}
    return draws | {"priorities": np.floor(draws["priorities"] * 20) / 20}


def observe(env: Environment, state: Any) -> np.ndarray:
    """The observations in a state, compiled in one piece."""
    return np.asarray(compiled(env, "observe")(state, env.default_params))


@functools.cache
def compiled_replay(env: Environment) -> Any:
    """A scan of `env.transition` and `env.observe`, jitted once per environment.

    With the emitters that users have, not those of `tests/conftest.py`: recordings are compared bit by bit.
    """

    def run(state: Any, draws: Any, actions: jax.Array, params: Any) -> Rollout:
        def step(state: Any, inputs: Any) -> tuple[Any, Rollout]:
            state, rewards, terminated, info = env.transition(inputs[0], state, inputs[1], params)
            return state, Rollout(state, env.observe(state, params), rewards, terminated, info)

        return jax.lax.scan(step, state, (draws, actions))[1]

    return jax.jit(run, compiler_options=USUAL_OPTIONS)


def replay(env: Environment, state: Any, draws: Any, actions: np.ndarray, params: Any = None) -> Rollout:
    """Plays given actions `[T, N]` under given draws (leading axis T), from a given state."""
    params = env.default_params if params is None else params
    return jax.tree.map(np.asarray, compiled_replay(env)(state, draws, np.asarray(actions, np.int32), params))


def replay_like(
    slow: Gathering | Gems | Lab2D,
    env: Environment,
    state: Any,
    draws: dict[str, np.ndarray],
    actions: np.ndarray,
    params: Any = None,
) -> Rollout:
    """As `replay`, of draws by name; the slow game must play every step like it, see `assert_plays_like`."""
    rollout = replay(env, state, as_draws(env, draws), actions, params)
    assert_plays_like(slow, rollout, actions, draws)
    return rollout


def act(env: Environment, state: Any, actions: list[int], draws: Any) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """One step with the default params: the state, rewards and info."""
    step = compiled(env, "transition")
    state, rewards, _, info = step(draws, state, np.array(actions, np.int32), env.default_params)
    return state, np.asarray(rewards), jax.tree.map(np.asarray, info)


def random_actions(
    rng: np.random.Generator, shape: tuple[int, ...], beams: float = 0.3, cleans: float = 0.0
) -> np.ndarray:
    """Uniform actions with extra shares of beams, and half of the rest forward so that agents get about."""
    actions = rng.integers(0, 8, shape)
    actions[rng.random(shape) < 0.4] = 0
    actions[rng.random(shape) < beams] = 6
    if cleans:
        actions[rng.random(shape) < cleans] = 8
    return actions.astype(np.int32)


def assert_plays_like(
    game: Gathering | Gems | Lab2D, rollout: Rollout, actions: np.ndarray, draws: dict[str, np.ndarray]
) -> None:
    """Every field, reward, info and observation of every step is that of the slow game."""
    for t in range(len(actions)):
        rewards, info = game.step(actions[t], {name: values[t] for name, values in draws.items()})
        for name in game.state_names:
            values = getattr(game, name)
            np.testing.assert_array_equal(getattr(rollout.states, name)[t], values, err_msg=f"{name} after step {t}")
        np.testing.assert_array_equal(rollout.rewards[t], rewards, err_msg=f"rewards of step {t}")
        assert bool(rollout.terminated[t]) == game.terminated, f"end of step {t}"
        assert set(rollout.info) == set(info)
        for name, values in info.items():
            np.testing.assert_array_equal(rollout.info[name][t], values, err_msg=f"{name} of step {t}")
        np.testing.assert_array_equal(rollout.obs[t], game.observe(), err_msg=f"observation after step {t}")
