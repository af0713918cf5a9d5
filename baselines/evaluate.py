"""The command that plays a trained run: `python -m baselines.evaluate runs/<name>`.

It prints returns and metrics beside those of random play, and writes evaluation.json and episode.gif into the run
directory.
"""

import dataclasses
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import jaxdilemmas
from baselines.training.runs import RunDirectory, load_parameters
from jaxdilemmas import policies, rendering
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.metrics import social_metrics
from jaxdilemmas.wrappers import EpisodeStatistics

GIF_STEPS = 300
FRAMES_PER_SECOND = 20

Act = Callable[[jax.Array, Any, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""(obs `[N, ...]`, state of the game, memory, key) -> (actions `[N]`, memory)."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to play.

    Attributes:
      run: the run directory.
      episodes: played by the run and by random play each.
      seed: of the episodes.
      seed_index: which of the run's seeds plays, from 0.
      greedy: whether agents take their most likely action instead of a sampled one.

    Raises:
      ValueError: a value is not allowed.
    """

    run: tyro.conf.Positional[Path]
    episodes: int = 100
    seed: int = 0
    seed_index: int = 0
    greedy: bool = False

    def __post_init__(self) -> None:
        require(self.episodes >= 2, "episodes", self.episodes, "at least 2")
        require(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 to 2^31 - 1")


class Player(NamedTuple):
    """Who plays a game.

    Attributes:
      env: the game, without wrappers.
      act: what all agents do.
      initial_memory: at the start of an episode.
    """

    env: Environment
    act: Act
    initial_memory: jax.Array


class Episode(NamedTuple):
    """What happened, leading axis T = the most steps an episode can take.

    Attributes:
      states: of the game, after each step.
      info: a dict of `[T, N]` arrays, with those of `EpisodeStatistics`.
      is_played: `[T]` bool, False after the episode ended.
    """

    states: Any
    info: dict[str, jax.Array]
    is_played: jax.Array


def load_player(path: Path, seed_index: int = 0, greedy: bool = False) -> Player:
    """The agents of a run and the game they were trained in.

    Args:
      path: the run directory.
      seed_index: which of its seeds, from 0.
      greedy: whether they take their most likely action instead of a sampled one.

    Raises:
      ValueError: the directory holds no run, not that seed, a run under other rules of the game, or parameters that
        cannot be loaded.
    """
    directory = RunDirectory(path)
    record = directory.read_record()
    require(
        0 <= seed_index < record.num_seeds, "seed_index", seed_index, f"{path} has {record.num_seeds} seeds, from 0"
    )
    try:
        algorithm = importlib.import_module(f"baselines.{record.algorithm}")
    except ModuleNotFoundError as error:
        raise ValueError(f"{directory.config} names the algorithm {record.algorithm!r}, which is unknown") from error
    env = jaxdilemmas.make(record.env_id, **record.env_kwargs)
    require(
        record.env_version == env.version,
        "env_version",
        record.env_version,
        f"{path} was trained under rules of {record.env_id} that have changed since, to version {env.version!r}",
    )
    config = record.settings(algorithm.Config)
    init = algorithm.make_trainer(config, env).init
    template = jax.eval_shape(init, jax.random.key(0), env.default_params).network_params
    network_params = load_parameters(directory.parameters(record.seeds[seed_index]), template)
    policy = algorithm.make_policy(config, env, greedy=greedy)

    def act(obs: jax.Array, state: Any, memory: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del state
        return policy.act(network_params, obs, memory, key)

    return Player(env, act, policy.initial_memory)


def random_player(env: Environment) -> Player:
    """Agents that act uniformly at random."""
    choose = policies.random(env)
    return Player(env, lambda obs, state, memory, key: (choose(key, state), memory), jnp.zeros(()))


def play_episode(player: Player, key: jax.Array) -> Episode:
    """Plays one episode."""
    env, params = EpisodeStatistics(player.env), player.env.default_params
    key, key_reset = jax.random.split(key)
    obs, state = env.reset(key_reset, params)

    def step(carry: tuple[Any, ...], key: jax.Array) -> tuple[tuple[Any, ...], Episode]:
        obs, state, memory, is_playing = carry
        key_act, key_step = jax.random.split(key)
        actions, memory = player.act(obs, state.env_state, memory, key_act)
        obs, state, _, terminated, truncated, info = env.step(key_step, state, actions, params)
        happened = Episode(state.env_state, info, is_playing)
        return (obs, state, memory, is_playing & ~(terminated | truncated)), happened

    start = (obs, state, player.initial_memory, jnp.bool_(True))
    return jax.lax.scan(step, start, jax.random.split(key, int(params.max_steps)))[1]


def episode_outcome(episode: Episode) -> dict[str, jax.Array]:
    """Numbers of an episode: `return`, `collected`, `tagged_steps`, `hits_given` `[N]`, and the four metrics `[]`.

    What a game does not tell in info is left out.
    """
    last = episode.is_played.sum() - 1
    info = {name: values[last] for name, values in episode.info.items()}
    outcome = {"return": info["episode_return"], "collective_return": info["episode_return"].sum()}
    for name in ("collected", "hits_given"):
        if name in episode.info:
            outcome[name] = (episode.info[name] * episode.is_played[:, None]).sum(0)
    return outcome | {"tagged_steps": info["episode_tagged_steps"]} | social_metrics(info)


def play_many(player: Player, key: jax.Array, num_episodes: int) -> dict[str, np.ndarray]:
    """Outcomes of many episodes, `[E, N]` or `[E]` each; see `episode_outcome`."""

    def outcome(key: jax.Array) -> dict[str, jax.Array]:
        return episode_outcome(play_episode(player, key))

    return jax.device_get(jax.jit(jax.vmap(outcome))(jax.random.split(key, num_episodes)))


def summarize(outcomes: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Mean and standard error over episodes of each outcome, per agent where it has an agent axis."""
    return {
        name: {
            "mean": values.mean(0).tolist(),
            "standard_error": (values.std(0, ddof=1) / np.sqrt(len(values))).tolist(),
        }
        for name, values in outcomes.items()
    }


def record_gif(player: Player, key: jax.Array, path: Path) -> None:
    """Writes the first steps of one episode as a GIF; games without a board have none."""
    if not hasattr(player.env, "draw_board"):
        return
    episode = jax.jit(partial(play_episode, player))(key)
    num_frames = min(GIF_STEPS, int(episode.is_played.sum()))
    states = jax.tree.map(lambda leaf: leaf[:num_frames], episode.states)
    rendering.save_gif(list(rendering.render_rgb(player.env, states)), path, FRAMES_PER_SECOND)


def evaluate(options: Options) -> dict[str, Any]:
    """Plays a run and random play, and writes evaluation.json and episode.gif into the run directory.

    Returns:
      The content of evaluation.json: means and standard errors of `trained` and `random`.

    Raises:
      ValueError: the run cannot be loaded.
    """
    player = load_player(options.run, options.seed_index, options.greedy)
    key_trained, key_random, key_gif = jax.random.split(jax.random.key(options.seed), 3)
    result = {
        "episodes": options.episodes,
        "seed": options.seed,
        "seed_index": options.seed_index,
        "greedy": options.greedy,
        "trained": summarize(play_many(player, key_trained, options.episodes)),
        "random": summarize(play_many(random_player(player.env), key_random, options.episodes)),
    }
    (options.run / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    record_gif(player, key_gif, options.run / "episode.gif")
    return result


def print_result(result: dict[str, Any], console: Console) -> None:
    """Two tables: what agents have together, and what each has."""
    trained, random = result["trained"], result["random"]
    table = Table("", "trained", "random", title=f"means and standard errors of {result['episodes']} episodes")
    for name, summary in trained.items():
        if not isinstance(summary["mean"], list):
            table.add_row(
                name.replace("_", " "),
                *(_format(s[name]["mean"], s[name]["standard_error"]) for s in (trained, random)),
            )
    console.print(table)
    per_agent = sorted(
        (name for name in trained if isinstance(trained[name]["mean"], list)), key=lambda n: n != "return"
    )
    table = Table("agent", *(name.replace("_", " ") for name in per_agent), title="trained, per agent")
    for i in range(len(trained["return"]["mean"])):
        cells = (_format(trained[name]["mean"][i], trained[name]["standard_error"][i]) for name in per_agent)
        table.add_row(str(i), *cells)
    console.print(table)
    if random["collective_return"]["mean"] > 0:
        ratio = trained["collective_return"]["mean"] / random["collective_return"]["mean"]
        console.print(f"the collective return is {ratio:.1f} times that of random play")


def _format(mean: float, standard_error: float) -> str:
    return f"{mean:.4g} ± {standard_error:.2g}"


def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.evaluate`."""
    options = tyro.cli(Options, prog="python -m baselines.evaluate", description=__doc__, args=argv)
    console = Console(highlight=False)
    try:
        result = evaluate(options)
    except ValueError as error:
        sys.exit(f"error: {error}")
    print_result(result, console)
    console.print(f"evaluation.json and episode.gif are in {options.run}", soft_wrap=True)


if __name__ == "__main__":
    main()
