"""What a sweep consists of: its space, its trials, and what is known of them, which sweep.json contains."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from baselines.core.trainer import Algorithm
from baselines.disk.schema import Finite, Line, Plain, check_fields, load_json, save_json
from baselines.disk.writing import check_links
from baselines.runs.directory import RunRecord
from baselines.runs.options import check_same
from baselines.sweeping.space import Space
from baselines.sweeping.trial import Trial
from jaxdilemmas.arguments import require

FILE = "sweep.json"

CHECKPOINTS = 9
"""Of a trial; what is lost after one is trained again."""

Search = Literal["random", "grid", "asha", "optuna"]
"""Which points are tried: drawn; all combinations; drawn, but stopped early if they are behind; proposed by Optuna."""

State = Literal["begun", "done", "stopped early", "failed"]
"""How a trial stands."""


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """A trial of a sweep.

    Attributes:
      values: of the settings that vary, by name.
      state: see `State`.
      score: at its end, on the seeds for tuning; None if there is none.
      error: the line with which it failed.
    """

    values: Plain
    state: State = "begun"
    score: Finite | None = None
    error: Line = ""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclasses.dataclass(frozen=True)
class SweepRecord:
    """The content of sweep.json.

    Attributes:
      space: the values of each setting that varies.
      run: what is trained, with the first value of each setting.
      search: see `Search`.
      metric: the column of metrics.csv that is the score.
      minimize: whether lower scores are better.
      trials: those that have begun, by number.
    """

    space: Plain
    run: RunRecord
    search: Search
    metric: Line
    minimize: bool
    trials: tuple[TrialRecord, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)


@dataclasses.dataclass
class Sweep:
    """A sweep that passed all checks.

    Attributes:
      path: its directory.
      space: what varies.
      base: settings of the learner where the space has none.
      algorithm: by which agents learn.
      record: what is known, as sweep.json has it.
      num_trials: how many there are when it is done.
    """

    path: Path
    space: Space
    base: dict[str, Any]
    algorithm: Algorithm
    record: SweepRecord
    num_trials: int

    @property
    def todo(self) -> list[int]:
        """The numbers of the trials that are to be trained: first those that have begun or failed."""
        known = self.record.trials
        begun = [number for number, trial in enumerate(known) if trial.state in ("begun", "failed")]
        return [*begun, *range(len(known), self.num_trials)]

    @property
    def best(self) -> int | None:
        """The number of the trial with the best score among those that are done; None if there is none."""
        sign = -1 if self.record.minimize else 1
        scores = {
            n: sign * t.score for n, t in enumerate(self.record.trials) if t.state == "done" and t.score is not None
        }
        return max(scores, key=scores.__getitem__, default=None)

    def values_of(self, number: int) -> dict[str, Any]:
        """The values of a trial that has begun, or else those of a grid or a random search."""
        if number < len(self.record.trials):
            return self.record.trials[number].values
        if self.record.search == "grid":
            return self.space.grid[number]
        return self.space.random_point(self.record.run.seed, number)

    def trial(self, name: str, values: dict[str, Any], **changes: Any) -> Trial:
        """The run with these values in the directory of this name; `changes` are of the record of the run."""
        config = self.space.config_at(values, self.base, self.algorithm.config_class)
        every = -(-config.num_updates // CHECKPOINTS)
        settings = dataclasses.asdict(config)
        record = dataclasses.replace(self.record.run, config=settings, checkpoint_every=every, **changes)
        return Trial((self.path / name).absolute(), record, config.num_updates)  # workers may have other directories

    def write(self, number: int, trial: TrialRecord) -> None:
        """Writes into sweep.json how a trial stands."""
        trials = [*self.record.trials[:number], trial, *self.record.trials[number + 1 :]]
        self.record = dataclasses.replace(self.record, trials=tuple(trials))
        save_json(self.path / FILE, self.record)

    def begin(self) -> None:
        """Makes the directory, with sweep.json; raises a ValueError if it exists."""
        new = "a new directory; choose another --name, or continue the sweep in it with --resume"
        require(not self.path.exists(), "name", str(self.path), new)
        save_json(self.path / FILE, self.record)

    def check_there(self) -> None:
        """Raises a ValueError if the directory holds no sweep; writes nothing."""
        require((self.path / FILE).is_file(), "name", str(self.path), f"the directory of a sweep, with {FILE}")

    def read(self) -> None:
        """Reads what is known of the sweep.

        Raises:
          ValueError: the directory holds another sweep, or values that are not in the space.
        """
        check_links(self.path)
        stored = load_json(self.path / FILE, SweepRecord)
        check_same(self.record.run, stored.run)
        for name in ("space", "search", "metric", "minimize"):
            new, old = getattr(self.record, name), getattr(stored, name)
            require(new == old, name, new, f"the sweep to resume has {old!r}")
        for number, trial in enumerate(stored.trials):
            is_fit = trial.values.keys() == self.space.dimensions.keys()
            is_fit = is_fit and all(self.space.dimensions[name].has(value) for name, value in trial.values.items())
            require(is_fit, f"{self.path / FILE}: the values of trial {number}", trial.values, "those of the space")
        self.record = stored
