"""The compiled loop that measures throughput; it is the same for games of this project and of other libraries."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdilemmas
from benchmarks.reporting import compile_program, memory_mb, rates, time_calls
from jaxdilemmas.environment import Environment


class Playable(NamedTuple):
    """One game without a batch, in the form that the loop needs.

    Attributes:
      start: key -> observations and a state at a random time of an episode.
      step: key, state, actions `[N]` int32 -> observations, next state and a pytree of all other outputs. If an episode
        ends, a new one starts in the same step.
      num_agents: N.
      num_actions: number of actions of an agent.
    """

    start: Callable[[jax.Array], tuple[Any, Any]]
    step: Callable[[jax.Array, Any, jax.Array], tuple[Any, Any, Any]]
    num_agents: int
    num_actions: int


def own_game(env: Environment) -> Playable:
    """Prepares a game of `make` for the loop, with `AutoReset`.

    Raises:
      ValueError: the actions of `env` are not discrete.
    """
    space = env.action_space
    if not isinstance(space, jaxdilemmas.Discrete):
        raise ValueError(f"env={type(env).__name__} is not allowed: its actions must be Discrete, not {space}")
    env = jaxdilemmas.AutoReset(env)

    def start(key: jax.Array) -> tuple[jax.Array, Any]:
        key_reset, key_clock = jax.random.split(key)
        obs, state = env.reset(key_reset)
        return obs, state.replace(step_count=jax.random.randint(key_clock, (), 0, env.default_params.max_steps))

    def step(key: jax.Array, state: Any, actions: jax.Array) -> tuple[jax.Array, Any, Any]:
        obs, state, *outcomes = env.step(key, state, actions)
        return obs, state, outcomes

    return Playable(start, step, env.num_agents, space.n)


class Carry(NamedTuple):
    """The values that pass from one step to the next.

    Attributes:
      state: the states of the B environments.
      seen: sums over steps of the observations and of all other outputs (rewards, ends, info) of the B environments.
        Each number is summed in its own type (small integers overflow). A learner that stores its observations reads
        the same amount.
      key: a JAX PRNG key.
    """

    state: Any
    seen: Any
    key: jax.Array


def _as_numbers(array: jax.Array) -> jax.Array:
    """Flattens the cells of a view, as a learner reads them: `[B, N, rows, cols, ...]` -> `[B, N, cells, ...]`."""
    numbers = array.astype(jnp.uint8) if array.dtype == bool else array
    return numbers.reshape(*numbers.shape[:2], -1, *numbers.shape[4:]) if numbers.ndim > 3 else numbers


def make_rollout(
    game: Playable, num_envs: int, num_steps: int
) -> tuple[Callable[[jax.Array], Carry], Callable[[Carry], Carry]]:
    """Builds the two programs that are measured.

    Args:
      game: the game to play.
      num_envs: B.
      num_steps: steps in each environment.

    Returns:
      start: key -> `Carry`, and rollout: `Carry` -> `Carry` after `num_steps` steps.
    """

    def start(key: jax.Array) -> Carry:
        key, key_start = jax.random.split(key)
        _, state = jax.vmap(game.start)(jax.random.split(key_start, num_envs))
        seen = jax.eval_shape(play, key, state)[1]
        return Carry(state, jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), seen), key)

    def play(key: jax.Array, state: Any) -> tuple[Any, Any]:
        key_act, key_step = jax.random.split(key)
        uniforms = jax.random.uniform(key_act, (num_envs, game.num_agents))
        actions = jnp.floor(uniforms * game.num_actions).astype(jnp.int32)
        keys = jax.random.split(key_step, num_envs)  # costs nothing if the game does not use them
        obs, state, outcomes = jax.vmap(game.step)(keys, state, actions)
        return state, jax.tree.map(_as_numbers, (obs, outcomes))

    def step(carry: Carry, _: None) -> tuple[Carry, None]:
        key, key_play = jax.random.split(carry.key)
        state, happened = play(key_play, carry.state)
        return Carry(state, jax.tree.map(jnp.add, carry.seen, happened), key), None

    return start, lambda carry: jax.lax.scan(step, carry, length=num_steps)[0]


def measure(game: Playable, num_envs: int, num_steps: int, repeats: int) -> dict[str, Any]:
    """Speed (env steps per second), compile time and peak memory of `make_rollout`, as part of a row.

    Environments are divided among the devices; XLA_FLAGS=--xla_force_host_platform_device_count=2 makes two devices of
    a CPU.

    Raises:
      MemoryError: the program needs more memory than there is; it was not run.
    """
    num_devices = jax.local_device_count() if num_envs % jax.local_device_count() == 0 else 1
    start, rollout = make_rollout(game, num_envs // num_devices, num_steps)
    keys = jax.random.split(jax.random.key(0), (repeats + 1, num_devices))
    carries = [jax.jit(start)(key[0]) if num_devices == 1 else jax.pmap(start)(key) for key in keys]
    program = compile_program(rollout, carries[0], num_devices=num_devices)
    if num_devices * program.planned_memory_mb > memory_mb():
        raise MemoryError(f"{num_envs} environments need {program.planned_memory_mb} of {memory_mb()} megabytes")
    jax.block_until_ready(program.call(carries[0]))
    seconds = time_calls(program.call, [(carry,) for carry in carries[1:]])
    return {
        "num_envs": num_envs,
        "num_steps": num_steps,
        "num_devices": num_devices,
        "env_steps_per_second": rates(num_envs * num_steps, seconds),
        "compile_seconds": program.compile_seconds,
        "peak_memory_mb": program.peak_memory_mb(),
    }


def measure_what_fits(game: Playable, num_envs: int, num_steps: int, repeats: int) -> dict[str, Any]:
    """Does the same as `measure`, and halves the number of environments until they fit into memory."""
    try:
        return measure(game, num_envs, num_steps, repeats)
    except MemoryError:
        if num_envs == 1:
            raise
    return measure_what_fits(game, num_envs // 2, num_steps, repeats)


def describe_observation(game: Playable) -> dict[str, Any]:
    """Dtype, shape (such as 11x11x19) and bytes of one agent's observation, as part of a row."""
    obs, _ = jax.eval_shape(game.start, jax.random.key(0))
    parts = jax.tree.leaves(obs)  # one array with an axis of agents, or one array for each agent
    return {
        "observation_dtype": str(parts[0].dtype),
        "observation_shape": "x".join(map(str, parts[0].shape[len(parts) == 1 :])),
        "observation_bytes": sum(part.size * part.dtype.itemsize for part in parts) // game.num_agents,
    }
