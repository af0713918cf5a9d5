"""The command that records demonstrations: `python -m baselines.demonstrate --policy greedy --episodes 100`.

It plays a game and writes what agents saw and did into one file; docs/demonstrations.md has the format. Interrupted, it
keeps the whole episodes that it has.
"""

import dataclasses
import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import tyro
from rich.console import Console

from baselines.demonstrations import (
    Header,
    Writer,
    describe,
    import_gems,
    join,
    load,
    play_blocks,
    save,
)
from baselines.disk.schema import Count, FilePath, Seed, check_fields
from baselines.disk.writing import check_is_free
from baselines.runs.interruption import Background, Interruption
from baselines.runs.options import default_name, parse_env_kwargs
from baselines.runs.terminal import INTERRUPTED, as_command
from baselines.runs.terminal import describe as describe_error
from baselines.trained.load import find_player
from jaxdilemmas.environment import require

SECONDS_BETWEEN_LINES = 2.0


@dataclasses.dataclass(frozen=True)
class Options:
    """What to record, and where to write it. One of policy, import_gems, partial and join is the source.

    Attributes:
      policy: who plays: a scripted policy of the game, or the directory of a run.
      env: id of the game, or module:Class of one of your own.
      env_kwargs: keyword arguments of the game as name=value, such as num_agents=4 map=large, or map=board.txt
        for a file with a board drawn as text.
      transitions: whole episodes are recorded until there are at least this many transitions.
      episodes: exactly this many episodes; one of the two is given.
      with_states: whether the states of the game are recorded as well.
      seed: of the episodes.
      import_gems: the recorded Gems expert data, an npz file, to be written as demonstrations.
      partial: a file of demonstrations that is cut off or damaged; its whole episodes are copied.
      join: files of demonstrations of the same game; their episodes are copied into one file, in this order.
      output: the new file; by default in runs/.

    Raises:
      ValueError: a value is not allowed.
    """

    policy: str | None = None
    env: str = "gathering"
    env_kwargs: tuple[str, ...] = ()
    transitions: Count | None = None
    episodes: Count | None = None
    with_states: bool = False
    seed: Seed = 0
    import_gems: FilePath | None = None
    partial: FilePath | None = None
    join: tuple[FilePath, ...] = ()
    output: FilePath | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        num_sources = sum(source is not None for source in (self.policy, self.import_gems, self.partial))
        num_sources += bool(self.join)
        allowed = "one of --policy, --import-gems, --partial and --join is needed, as in --policy random --episodes 100"
        require(num_sources == 1, "policy", self.policy, allowed)
        is_one = (self.transitions is None) != (self.episodes is None)
        require(is_one or self.policy is None, "episodes", self.episodes, "either it or transitions must be given")


class Progress:
    """A line now and then about how far the recording is.

    Args:
      console: where to.
      wanted: how many of `unit` there will be.
      unit: "episodes" or "transitions".
    """

    def __init__(self, console: Console, wanted: int, unit: str) -> None:
        self._console, self._wanted, self._unit = console, wanted, unit
        self._first: tuple[int, float] | None = None
        self._last = 0.0
        console.print("compiling")

    def update(self, header: Header) -> None:
        """So much is written."""
        done, now = getattr(header, f"num_{self._unit}"), time.monotonic()
        if self._first is None:
            self._first, self._last = (done, now), now
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            speed = (done - self._first[0]) / (now - self._first[1])
            left = datetime.timedelta(seconds=round(max(0, self._wanted - done) / speed))
            self._console.print(f"{done:,} of {self._wanted:,} {self._unit}, {speed:,.0f} a second, time left {left}")


def play(policy: str, options: Options, path: Path, console: Console) -> tuple[Header, bool]:
    """Plays episodes and writes them as they come, until it is done or interrupted.

    Returns:
      What the file holds, and whether it was interrupted.

    Raises:
      ValueError: the policy cannot be found or played, or something is at the path.
      SystemExit: the file cannot be written; the message gives the reason, and which part of the file is whole.
    """
    wanted, unit = (
        (options.episodes, "episodes") if options.transitions is None else (options.transitions, "transitions")
    )
    with Interruption(console, "block of episodes") as interruption:
        env_kwargs = parse_env_kwargs(options.env_kwargs)
        player = find_player(policy, options.env, env_kwargs)
        header = describe(player.env, options.env, env_kwargs, policy)
        key = jax.random.key(options.seed)
        blocks = play_blocks(player, key, header, options.transitions, options.episodes, options.with_states)
        writer = Writer(path, header)
        try:
            with writer:
                played = Background(blocks, interruption)
                progress = Progress(console, wanted or 0, unit)
                for block in played:
                    writer.write(block)
                    progress.update(writer.header)
        except OSError as error:
            sys.exit(f"error: {describe_error(error)}; {what_is_safe(path, writer)}")
        except KeyboardInterrupt:
            return writer.header, True
        if played.is_busy:
            conclude(writer.header, True, path, console)
            interruption.end_program()
        return writer.header, interruption.is_asked


def what_is_safe(path: Path, writer: Writer) -> str:
    """What there is of a file that could not be written to its end."""
    if not path.is_file() or not writer.header.num_episodes:
        return "no episode is kept"
    how = "loads" if writer.is_finished else f"lacks its end mark: copy them with --partial {path}"
    return f"the {writer.header.num_episodes:,} whole episodes before that are kept in {path}, which {how}"


def make(options: Options, path: Path, console: Console) -> tuple[Header, bool]:
    """Makes the file from the source in the options; returns and raises as `play`."""
    check_is_free(path)
    if options.policy is not None:
        return play(options.policy, options, path, console)
    if options.import_gems is not None:
        demonstrations = import_gems(options.import_gems)
    elif options.join:
        demonstrations = join([load(path) for path in options.join])
    else:
        demonstrations = load(str(options.partial), is_partial_allowed=True)
    save(path, demonstrations)
    return demonstrations.header, False


def conclude(header: Header, is_interrupted: bool, path: Path, console: Console) -> None:
    """Prints what the file holds, in one sentence."""
    if is_interrupted:
        console.print("interrupted: whole episodes are kept")
    if not header.num_episodes:
        console.print("no episode was recorded")
        return
    returns = " ".join(f"{value:.4g}" for value in header.returns)
    counts = f"{header.num_episodes:,} episodes, {header.num_transitions:,} transitions of {header.env_id}"
    console.print(f"{counts}, mean return per agent {returns}; in {path}", soft_wrap=True)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """The command `python -m baselines.demonstrate`."""
    options = tyro.cli(Options, prog="python -m baselines.demonstrate", description=__doc__, args=argv)
    console = Console(highlight=False, markup=False)
    path = options.output or Path("runs") / f"{default_name('demonstrations', options.env)}.demos"
    header, is_interrupted = make(options, path, console)
    conclude(header, is_interrupted, path, console)
    if is_interrupted:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
