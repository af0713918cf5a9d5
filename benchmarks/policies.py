"""Self-play of the scripted policies, in JAX and in the plain Python of `tests/reference/policies.py`.

By default the game of the published numbers: `gathering_gallego`, the large map, 10 agents, 1,000 steps. A row has the
four metrics at the end of an episode, the mean over episodes and its standard error.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxdilemmas
from benchmarks.reporting import compile_program, make_parser, name_of, print_header, rates, report, time_calls
from jaxdilemmas import EpisodeStatistics, metrics, policies
from jaxdilemmas.environment import Environment, Policy
from jaxdilemmas.envs import gathering_policies
from tests.reference import policies as reference
from tests.reference.gallego import Game

FACTORIES: dict[str, Callable[[Any], Policy]] = {
    "greedy": gathering_policies.greedy,
    "exploitative": gathering_policies.exploitative,
    "cooperative": gathering_policies.cooperative,
    "random": policies.random,
}

COLUMNS = ("game", "policy", "written_in", "episodes", "efficiency", "equality", "sustainability", "peace")


def play_episode(env: Environment, policy: Policy, key: jax.Array) -> dict[str, jax.Array]:
    """Plays one episode of `max_steps` steps of a game that the clock alone ends.

    Args:
      env: the game, without wrappers.
      policy: acts for all agents.
      key: a JAX PRNG key.

    Returns:
      The four metrics of the episode so far, after every step, `[max_steps]` float32 each.
    """
    key_reset, key_steps = jax.random.split(key)
    game = EpisodeStatistics(env)

    def step(state: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        key_act, key_step = jax.random.split(key)
        _, state, _, _, _, info = game.step(key_step, state, policy(key_act, state.env_state))
        return state, metrics.social_metrics(info)

    keys = jax.random.split(key_steps, env.default_params.max_steps)
    return jax.lax.scan(step, game.reset(key_reset)[1], keys)[1]


def play_reference_episode(env: Any, name: str, key: jax.Array) -> dict[str, float]:
    """Plays the episode that starts as `play_episode` does with this key, in plain Python, on Gallego's Gathering.

    Args:
      env: `gathering_gallego`; gives the map and the start.
      name: one of `FACTORIES`.
      key: a JAX PRNG key.

    Returns:
      The four metrics.
    """
    start = env.initial_state(jax.random.split(key)[0], env.default_params)
    fields = ("positions", "headings", "timeouts", "hits", "apples", "apple_timers")
    copies: dict[str, Any] = {field: np.array(getattr(start, field)) for field in fields}
    game = Game(env.walls, env.apple_cells, **copies)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    agents, num_steps = range(env.num_agents), env.default_params.max_steps
    rewards, tagged = np.zeros((num_steps, env.num_agents)), np.zeros((num_steps, env.num_agents), bool)
    for t in range(num_steps):
        draws = rng.integers(0, env.num_actions, env.num_agents)
        rewards[t], _, _ = game.step([reference.act(name, game, i, int(draws[i])) for i in agents])
        tagged[t] = game.timeouts > 0
    is_rewarded = rewards > 0
    sums = {
        "episode_return": rewards.sum(0),
        "episode_length": np.full(env.num_agents, num_steps),
        "episode_reward_steps": is_rewarded.sum(0),
        "episode_reward_time": (is_rewarded * np.arange(num_steps)[:, None]).sum(0),
        "episode_tagged_steps": tagged.sum(0),
    }
    return {metric: float(value) for metric, value in metrics.social_metrics(sums).items()}


def summarise(values: dict[str, Any]) -> dict[str, float]:
    """The mean over episodes of each metric and its standard error."""
    summary = {}
    for name, of_episodes in values.items():
        x = np.asarray(of_episodes, np.float64)
        summary[name] = round(float(x.mean()), 4)
        summary[f"{name}_standard_error"] = round(float(x.std(ddof=1) / np.sqrt(len(x))), 4)
    return summary


def measure(env: Any, name: str, keys: jax.Array, repeats: int) -> dict[str, Any]:
    """The JAX policy in self-play: the four metrics and the speed."""
    program = compile_program(jax.vmap(functools.partial(play_episode, env, FACTORIES[name](env))), keys)
    seconds = time_calls(program.call, [(keys,)] * repeats)
    values = {metric: of_steps[:, -1] for metric, of_steps in program.call(keys).items()}
    speed = rates(len(keys) * env.default_params.max_steps, seconds)
    return summarise(values) | {"env_steps_per_second": speed, "compile_seconds": program.compile_seconds}


def measure_reference(env: Any, name: str, keys: jax.Array) -> dict[str, Any]:
    """The Python policy in self-play from the same starts: the four metrics and the speed."""
    start = time.perf_counter()
    episodes = [play_reference_episode(env, name, key) for key in keys]
    speed = rates(len(keys) * env.default_params.max_steps, [time.perf_counter() - start])
    values = {metric: [episode[metric] for episode in episodes] for metric in episodes[0]}
    return summarise(values) | {"env_steps_per_second": speed, "compile_seconds": 0.0}


def main() -> None:
    """Reads the command line, measures and reports."""
    parser = make_parser("policies", __doc__)
    parser.add_argument("--num-keys", type=int, default=200, help="episodes in JAX, at least 2")
    parser.add_argument("--python-episodes", type=int, default=0, help="the first of them in Python too; at least 2")
    parser.add_argument("--num-agents", type=int, default=10)
    parser.add_argument("--map", default="large")
    arguments = parser.parse_args()
    env = jaxdilemmas.make("gathering_gallego", map=arguments.map, num_agents=arguments.num_agents)
    keys = jax.random.split(jax.random.key(0), arguments.num_keys)
    game = {"game": name_of("gathering_gallego", {"map": arguments.map}), "num_agents": arguments.num_agents}
    print_header(COLUMNS)
    for name in FACTORIES:
        row = game | {"policy": name, "written_in": "jax", "episodes": len(keys)}
        report(row | measure(env, name, keys, arguments.repeats), arguments.output, COLUMNS)
        if arguments.python_episodes:
            row |= {"written_in": "python", "episodes": arguments.python_episodes}
            result = measure_reference(env, name, keys[: arguments.python_episodes])
            report(row | result, arguments.output, COLUMNS)


if __name__ == "__main__":
    main()
