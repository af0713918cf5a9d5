"""Episodes of players as replays, and the files that show them: see `jaxdilemmas.rendering.replay`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from baselines.core.players import Episode, Player, check_memory, check_player, episode_outcome, play_episode
from baselines.disk.writing import write_file, written_beside
from jaxdilemmas.metrics import SOCIAL_METRICS
from jaxdilemmas.rendering import Frames, Replay, save_gif, save_mp4
from jaxdilemmas.rendering.replay import make_page

FRAMES_PER_SECOND = 20


def play_replay(player: Player, key: jax.Array, title: str) -> Replay:
    """Plays an episode to be watched. Two players with the same key meet the same draws in every step.

    Args:
      player: who plays.
      key: a JAX PRNG key.
      title: what is shown above.

    Raises:
      ValueError: as `play_episode`, or the episode is too long for memory.
    """
    check_player("player", player)
    check_memory(player.env, jax.eval_shape(partial(play_episode, player, num_steps=1), key))
    episode, outcome = jax.device_get(jax.jit(partial(_play, player))(key))
    return replay_of(player, episode, outcome, title)


def replay_of(player: Player, episode: Episode, outcome: dict[str, Any], title: str) -> Replay:
    """An episode that was played, and `episode_outcome` of it, as a replay."""
    length = int(episode.is_played.sum())
    sums = {name for name in episode.info if name.startswith("episode_")}
    states = jax.tree.map(
        lambda before, after: np.concatenate([before[:1], after[:length]]), episode.states, episode.next_states
    )
    return Replay(
        player.env,
        states,
        episode.actions[:length],
        episode.rewards[:length],
        {name: values[:length] for name, values in episode.info.items() if name not in sums},
        title,
        {name: float(outcome[name]) for name in ("collective_return", *SOCIAL_METRICS) if name in outcome},
    )


def _play(player: Player, key: jax.Array) -> tuple[Episode, dict[str, jax.Array]]:
    episode = play_episode(player, key)
    return episode, episode_outcome(episode)


def write_replays(replays: Sequence[Replay], page: Path, gif: bool, mp4: bool) -> list[Path]:
    """Writes a page of replays and, if asked for, the first of them as a GIF and as an MP4 beside it.

    Returns:
      The files.
    """
    write_file(page, make_page(replays))
    files = [page]
    for suffix, is_wanted, save in ((".gif", gif, save_gif), (".mp4", mp4, save_mp4)):
        if is_wanted:
            files.append(page.with_suffix(suffix))
            with written_beside(files[-1]) as beside:
                save(Frames(replays[0]), beside, FRAMES_PER_SECOND)
    return files
