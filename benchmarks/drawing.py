"""Measures how fast games are drawn, and how large the pages of replays are.

    python -m benchmarks.drawing

For each game: milliseconds of the host for one frame of 800 pixels (the median over the frames of an episode that
random agents play), seconds for the whole episode as a GIF of 640 pixels, and the size of the episode as a page. The
frames before the first measured one draw the signs, which are kept.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxdilemmas
from baselines.runs.terminal import as_command
from benchmarks.reporting import count_from, make_parser, name_of, print_header, report
from jaxdilemmas import policies
from jaxdilemmas.rendering import Frames, record, render_rgb, save_gif, save_replay

COLUMNS = ("game", "steps", "frame_ms", "gif_seconds", "page_kilobytes")
LARGE: tuple[tuple[str, dict[str, Any]], ...] = (("gathering_gallego", {"map": "large", "num_agents": 10}),)
WARM_FRAMES = 5


def measure(env_id: str, env_kwargs: dict[str, Any], num_steps: int | None) -> dict[str, Any]:
    """Draws one episode of random play in every way."""
    env = jaxdilemmas.make(env_id, **env_kwargs)
    replay = record(env, policies.random(env), jax.random.key(0), num_steps)
    times = []
    for step in range(min(len(replay.rewards), 100)):
        state = jax.tree.map(lambda leaf, step=step: leaf[step], replay.states)
        start = time.perf_counter()
        render_rgb(env, state, 800)
        times.append(time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        save_gif(Frames(replay), Path(folder) / "episode.gif", 20)
        gif_seconds = time.perf_counter() - start
        save_replay([replay], Path(folder) / "page.html")
        size = (Path(folder) / "page.html").stat().st_size
    return {
        "game": name_of(env_id, env_kwargs),
        "steps": len(replay.rewards),
        "frame_ms": round(1000 * float(np.median(times[min(WARM_FRAMES, len(times) - 1) :])), 3),
        "gif_seconds": round(gif_seconds, 2),
        "page_kilobytes": round(size / 1000, 1),
    }


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.drawing`."""
    parser = make_parser("drawing", __doc__)
    parser.add_argument("--games", nargs="+", help="ids of games; by default all, and a large board")
    parser.add_argument("--steps", type=count_from(1), help="of an episode; by default as many as it takes")
    options = parser.parse_args(argv)
    games: list[tuple[str, dict[str, Any]]] = [
        (env_id, {}) for env_id in options.games or jaxdilemmas.registered_envs()
    ]
    print_header(COLUMNS)
    for env_id, env_kwargs in [*games, *(() if options.games else LARGE)]:
        report(measure(env_id, env_kwargs, options.steps), options.output, COLUMNS)


if __name__ == "__main__":
    main()
