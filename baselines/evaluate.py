"""The command that plays a trained run: `python -m baselines.evaluate runs/<name>`.

It prints returns and metrics beside those of random play, and writes evaluation.json and episode.gif into the run
directory.
"""

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import tyro
from rich.console import Console
from rich.table import Table

from baselines.playing import Player, load_player, play_episode, play_many, scripted_player, summarize
from baselines.training.schema import CountOrZero, FilePath, NumEpisodes, Seed, check_fields
from baselines.training.terminal import as_command
from jaxdilemmas import policies, rendering

GIF_STEPS = 300
FRAMES_PER_SECOND = 20


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

    run: tyro.conf.Positional[FilePath]
    episodes: NumEpisodes = 100
    seed: Seed = 0
    seed_index: CountOrZero = 0
    greedy: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


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
    random_player = scripted_player(player.env, policies.random(player.env))
    key_trained, key_random, key_gif = jax.random.split(jax.random.key(options.seed), 3)
    result = {
        "episodes": options.episodes,
        "seed": options.seed,
        "seed_index": options.seed_index,
        "greedy": options.greedy,
        "trained": summarize(play_many(player, key_trained, options.episodes)),
        "random": summarize(play_many(random_player, key_random, options.episodes)),
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


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.evaluate`."""
    options = tyro.cli(Options, prog="python -m baselines.evaluate", description=__doc__, args=argv)
    console = Console(highlight=False, markup=False)
    print_result(evaluate(options), console)
    written = [name for name in ("evaluation.json", "episode.gif") if (options.run / name).is_file()]
    console.print(f"in {options.run}: {' and '.join(written)}", soft_wrap=True)


if __name__ == "__main__":
    main()
