"""The command that plays a trained run: `python -m baselines.evaluate runs/<name>`.

It prints returns and metrics beside those of random play, and writes evaluation.json and replay.html into the run
directory: an episode of the run beside one of random play, under the same draws.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import tyro
from rich.console import Console
from rich.table import Table

from baselines.core.players import play_many, scripted_player, summarize
from baselines.core.replays import play_replay, write_replays
from baselines.disk.schema import CountOrZero, FilePath, NumEpisodes, Seed, check_fields
from baselines.disk.writing import write_file
from baselines.runs.terminal import as_command
from baselines.trained.load import load_player
from jaxdilemmas import policies

CLEAR = 2.0
"""A difference of more standard errors than this is reported as a difference."""

Summary = dict[str, Any]
"""`mean` and `standard_error` of an outcome; see `players.summarize`."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to play.

    Attributes:
      run: the run directory.
      episodes: played by the run and by random play each.
      seed: of the episodes.
      seed_index: which of the run's seeds plays, from 0.
      greedy: whether agents take their most likely action instead of a sampled one.
      env: the game of the run, which only a run on a game of your own (module:Class) needs.
      gif: whether the episode is written as replay.gif as well.
      mp4: whether it is written as replay.mp4 as well.

    Raises:
      ValueError: a value is not allowed.
    """

    run: tyro.conf.Positional[FilePath]
    episodes: NumEpisodes = 100
    seed: Seed = 0
    seed_index: CountOrZero = 0
    greedy: bool = False
    env: str | None = None
    gif: bool = False
    mp4: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


def evaluate(options: Options) -> tuple[dict[str, Any], list[Path]]:
    """Plays a run and random play, and writes evaluation.json and replay.html into the run directory.

    Returns:
      The content of evaluation.json: what `players.summarize` returns, of `trained` and `random`, and the `difference`
      of their collective returns. And the files that are written.

    Raises:
      ValueError: the run cannot be loaded.
    """
    player = load_player(options.run, options.seed_index, options.greedy, options.env)
    random_player = scripted_player(player.env, policies.random(player.env))
    key_trained, key_random, key_replay = jax.random.split(jax.random.key(options.seed), 3)
    result: dict[str, Any] = {
        "episodes": options.episodes,
        "seed": options.seed,
        "seed_index": options.seed_index,
        "greedy": options.greedy,
        "trained": summarize(play_many(player, key_trained, options.episodes)),
        "random": summarize(play_many(random_player, key_random, options.episodes)),
    }
    result["difference"] = compare(*(result[name]["collective_return"] for name in ("trained", "random")))
    files = [options.run / "evaluation.json"]
    write_file(files[0], json.dumps(result, indent=2) + "\n")
    if player.env.picture_module:
        players = {options.run.name: player, "random": random_player}
        replays = [play_replay(those, key_replay, name) for name, those in players.items()]
        files += write_replays(replays, options.run / "replay.html", options.gif, options.mp4)
    return result, files


def compare(trained: Summary, random: Summary) -> Summary:
    """How much larger the mean of the trained agents is than that of random play, with its standard error."""
    error = math.hypot(trained["standard_error"], random["standard_error"])
    return {"mean": trained["mean"] - random["mean"], "standard_error": error}


def conclude(result: dict[str, Any]) -> str:
    """The sentence that compares the collective return with that of random play.

    A ratio is added where random play has a return that is clearly positive, and the trained agents have more.
    """
    difference, random = result["difference"], result["random"]["collective_return"]
    mean, error = difference["mean"], difference["standard_error"]
    if abs(mean) <= CLEAR * error:
        return f"the collective return does not differ clearly from that of random play: by {_format(difference)}"
    direction = "above" if mean > 0 else "below"
    size = _format(difference | {"mean": abs(mean)})
    sentence = f"the collective return is {size} {direction} that of random play"
    if mean > 0 and random["mean"] > CLEAR * random["standard_error"]:
        return f"{sentence}, {(random['mean'] + mean) / random['mean']:.1f} times as high"
    return sentence


def print_result(result: dict[str, Any], console: Console) -> None:
    """Two tables: what agents have together, and what each has; and what they have more than random play."""
    trained, random = result["trained"], result["random"]
    table = Table("", "trained", "random", title=f"means and standard errors of {result['episodes']} episodes")
    for name, summary in trained.items():
        if not isinstance(summary["mean"], list):
            table.add_row(name.replace("_", " "), _format(summary), _format(random[name]))
    console.print(table)
    for player, summaries in (("trained", trained), ("random", random)):
        if "undefined" in summaries["equality"]:
            counts = f"{summaries['equality']['undefined']} of {result['episodes']} episodes"
            reason = "as returns differ and do not sum to more than 0"
            console.print(f"equality, {player}: {counts} have none, {reason}", soft_wrap=True)
    per_agent = sorted(
        (name for name in trained if isinstance(trained[name]["mean"], list)), key=lambda n: n != "return"
    )
    table = Table("agent", *(name.replace("_", " ") for name in per_agent), title="trained, per agent")
    for i in range(len(trained["return"]["mean"])):
        of_agent = ({name: values[i] for name, values in trained[column].items()} for column in per_agent)
        table.add_row(str(i), *map(_format, of_agent))
    console.print(table)
    console.print(conclude(result), soft_wrap=True)


def _format(summary: Summary) -> str:
    """Mean and standard error, as far as there are any."""
    mean, error = summary["mean"], summary["standard_error"]
    if mean is None:
        return "-"
    return f"{mean:.4g}" if error is None else f"{mean:.4g} ± {error:.2g}"


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.evaluate`."""
    options = tyro.cli(Options, prog="python -m baselines.evaluate", description=__doc__, args=argv)
    console = Console(highlight=False, markup=False)
    result, files = evaluate(options)
    print_result(result, console)
    console.print(f"in {options.run}: {', '.join(file.name for file in files)}", soft_wrap=True)


if __name__ == "__main__":
    main()
