"""Compares the speed of a game with a floor: a game without rules that draws, reads and writes the same amounts.

    python -m benchmarks.floor --game cleanup_meltingpot

The floor draws the same number of random numbers in a step. Its state and observations have the same size, and each
byte of them is written anew in every step. It runs in the same loop as `benchmarks.throughput`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

import jaxdilemmas
from baselines.runs.terminal import as_command
from benchmarks.reporting import count_from, make_parser, print_header, report
from benchmarks.rollout import Playable, measure, own_game
from jaxdilemmas.batching import batch_last, compute_once, fold
from jaxdilemmas.environment import Environment
from jaxdilemmas.uniforms import uniform

COLUMNS = ("game", "random_words", "state_bytes", "observation_bytes", "env_steps_per_second", "times_slower")


def sizes_of(env: Environment) -> dict[str, int]:
    """Random words of a step, bytes of a state and bytes of the observations of all agents."""
    key = jax.random.key(0)
    obs, state = jax.eval_shape(env.reset, key)
    draws = jax.eval_shape(env.draw, key, state, env.default_params)
    return {
        "random_words": sum(leaf.size for leaf in jax.tree.leaves(draws)),
        "state_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)),
        "observation_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(obs)),
    }


def floor_game(env: Environment, random_words: int, state_bytes: int, observation_bytes: int) -> Playable:
    """Builds a game without rules that draws and writes these amounts; with 0 random words it only writes bytes."""

    def start(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = jax.random.bits(key, (state_bytes,), jnp.uint8)
        return jnp.zeros(observation_bytes, jnp.uint8), state

    def step(key: jax.Array, state: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array, Any]:
        chance = sum_of_uniforms(key, random_words) if random_words else key_word(key)
        state = state + (chance + actions.sum().astype(jnp.uint32)).astype(jnp.uint8)
        return state[0] + jnp.arange(observation_bytes).astype(jnp.uint8), state, chance

    return Playable(start, step, env.num_agents, getattr(env.action_space, "n", 2))


def sum_of_uniforms(key: jax.Array, count: int) -> jax.Array:
    """Draws numbers as the games do and combines them, `[]` uint32."""
    words = jax.lax.bitcast_convert_type(uniform(key, count), jnp.uint32)
    return batch_last(compute_once(lambda words: fold(jnp.add, words)))(words)


def key_word(key: jax.Array) -> jax.Array:
    """A number that is different in each step and costs no time, `[]` uint32."""
    return jax.random.key_data(key)[0]


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.floor`."""
    parser = make_parser("floor", __doc__)
    parser.add_argument("--game", default="cleanup_meltingpot", help="id of the game")
    parser.add_argument("--num-envs", type=count_from(1), default=1024, help="environments in parallel")
    parser.add_argument(
        "--num-steps", type=count_from(1), default=256, help="steps of each environment in one timed call"
    )
    options = parser.parse_args(argv)
    env = jaxdilemmas.make(options.game)
    sizes = sizes_of(env)
    games = {
        "floor, bytes": floor_game(env, **sizes | {"random_words": 0}),
        "floor, bytes and random bits": floor_game(env, **sizes),
        options.game: own_game(env),
    }
    rows = [
        {"game": name} | sizes | measure(game, options.num_envs, options.num_steps, options.repeats)
        for name, game in games.items()
    ]
    print_header(COLUMNS)
    own_speed = rows[-1]["env_steps_per_second"]["median"]
    for row in rows:
        row["times_slower"] = round(row["env_steps_per_second"]["median"] / own_speed, 2)
        report(row, options.output, COLUMNS)


if __name__ == "__main__":
    main()
