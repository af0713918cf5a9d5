"""The trials of a sweep on Ray Tune, which need not be installed: this module is imported when a sweep is run."""

import math
import tempfile
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from baselines.sweeping.engine import ray_started
from baselines.sweeping.plan import State, Sweep, TrialRecord
from baselines.sweeping.space import Dimension

NUM_REPORTS = 9
"""Times at which a trial reports its score, evenly over its updates."""

REDUCTION = 3
"""With "asha" a trial goes on after its reports 1 and 3 if it is among the best of this share; our choice."""

MOST_RETRIES = 3
"""Times that a trial is tried again after one of its processes was lost; our choice."""


class TrialOnRay(tune.Trainable):
    """A trial as Ray Tune trains it; its config is what `Proposals.suggest` returns."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begins nothing yet."""
        self._trial, self._metric = config["trial"], config["metric"]

    def step(self) -> dict[str, Any]:
        """Waits for the next report."""
        number = self.iteration + 1
        update = math.ceil(self._trial.num_updates * number / NUM_REPORTS)
        error = self._trial.reach(update)
        score = math.nan if error else self._trial.score(self._metric, update).mean
        return {
            "score": score,
            "error": error,
            "is_whole": number == NUM_REPORTS,
            "done": bool(error) or number == NUM_REPORTS,
        }

    def cleanup(self) -> None:
        """Ends the process of a trial that Ray Tune stops."""
        self._trial.stop()


class Proposals(Searcher):
    """Proposes the trials of a sweep in their order, and writes down how each ends.

    Args:
      sweep: whose trials are trained.
      report: receives a line about each trial that has ended.
    """

    def __init__(self, sweep: Sweep, report: Callable[[str], None]) -> None:
        super().__init__(metric="score", mode=mode_of(sweep))
        self._sweep, self._report = sweep, report
        self._todo = sweep.todo
        self._numbers: dict[str, int] = {}
        self._optuna = make_optuna(sweep) if sweep.record.search == "optuna" else None

    def suggest(self, trial_id: str) -> Any:
        """The next trial whose settings are allowed; a trial with others has failed."""
        while self._todo:
            number = self._numbers[trial_id] = self._todo.pop(0)
            values = self._propose(number)
            try:
                trial = self._sweep.trial(f"trial_{number:03}", values)
            except ValueError as error:
                self._write(trial_id, TrialRecord(values, "failed", None, str(error)))
                continue
            self._sweep.write(number, TrialRecord(values))
            return {"trial": trial, "metric": self._sweep.record.metric}
        return Searcher.FINISHED

    def _propose(self, number: int) -> dict[str, Any]:
        """The values of a trial."""
        proposed = self._optuna.suggest(str(number)) if self._optuna else {}
        dimensions = self._sweep.space.dimensions
        values = {name: _from_optuna(dimensions[name], value) for name, value in proposed.items()}
        is_known = number < len(self._sweep.record.trials)
        return self._sweep.values_of(number) if is_known or not values else values

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Scores before the end are for "asha"."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial has ended: it is done, was stopped early, or failed."""
        values = self._sweep.record.trials[self._numbers[trial_id]].values
        self._write(trial_id, ended(values, result))

    def _write(self, trial_id: str, trial: TrialRecord) -> None:
        """Writes down how a trial has ended."""
        number = self._numbers[trial_id]
        self._sweep.write(number, trial)
        if self._optuna:
            is_done = trial.state == "done" and trial.score is not None
            self._optuna.on_trial_complete(str(number), {"score": trial.score} if is_done else None, error=not is_done)
        self._report(f"trial_{number:03}: {trial.state}, score {trial.score}{trial.error and f', {trial.error}'}")

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: all that a sweep needs is in sweep.json."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing."""


def ended(values: dict[str, Any], result: dict[str, Any] | None) -> TrialRecord:
    """The record of a trial that has ended with this last report, or none if its processes were lost too often."""
    if result is None:
        return TrialRecord(values, "failed", None, "its process was lost again and again")
    if result["error"]:
        return TrialRecord(values, "failed", None, result["error"])
    state: State = "done" if result["is_whole"] else "stopped early"
    if math.isfinite(result["score"]):
        return TrialRecord(values, state, float(result["score"]))
    return TrialRecord(values, state, None, "the score has no value, as where no episode ended")


def mode_of(sweep: Sweep) -> str:
    """Which scores are better, in the words of Ray Tune."""
    return "min" if sweep.record.minimize else "max"


def make_optuna(sweep: Sweep) -> Any:
    """The search of Optuna: it knows the trials that are done, and proposes those again first that have begun."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    known = sweep.record.trials
    points = [
        {name: _to_optuna(sweep.space.dimensions[name], value) for name, value in trial.values.items()}
        for trial in known
    ]
    search = OptunaSearch(
        {name: _distribution(dimension) for name, dimension in sweep.space.dimensions.items()},
        metric="score",
        mode=mode_of(sweep),
        sampler=optuna.samplers.TPESampler(seed=sweep.record.run.seed + len(known)),
        points_to_evaluate=[points[number] for number in sweep.todo if number < len(known)],
    )
    for point, trial in zip(points, known, strict=True):
        if trial.state == "done" and trial.score is not None:
            search.add_evaluated_point(point, trial.score)
    return search


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.kind == "choices":
        return CategoricalDistribution(range(len(dimension.values)))
    if dimension.kind == "integers":
        return IntDistribution(*dimension.values)
    return FloatDistribution(*dimension.values, log=dimension.kind == "log_uniform")


def _to_optuna(dimension: Dimension, value: Any) -> Any:
    return dimension.values.index(value) if dimension.kind == "choices" else value


def _from_optuna(dimension: Dimension, value: Any) -> Any:
    if dimension.kind == "choices":
        return dimension.values[value]
    return value if dimension.kind == "integers" else dimension.rounded(value)


def train_all(sweep: Sweep, workers: int, address: str | None, report: Callable[[str], None]) -> None:
    """Trains the trials of a sweep that are left to do.

    Args:
      sweep: its directory is there.
      workers: trials at work at a time.
      address: of a cluster; see `engine.ray_started`.
      report: receives a line about each trial that has ended.
    """
    scheduler = ASHAScheduler(max_t=NUM_REPORTS, grace_period=1, reduction_factor=REDUCTION)
    with ray_started(workers, address) as ray, tempfile.TemporaryDirectory() as folder:
        gpus = share_of_gpus(ray.cluster_resources().get("GPU", 0), workers)
        tune.run(
            TrialOnRay,
            metric="score",
            mode=mode_of(sweep),
            search_alg=Proposals(sweep, report),
            scheduler=scheduler if sweep.record.search == "asha" else None,
            num_samples=len(sweep.todo),
            max_concurrent_trials=workers,
            resources_per_trial={"cpu": 1, "gpu": gpus},
            max_failures=MOST_RETRIES,
            raise_on_failed_trial=False,
            storage_path=folder,
            trial_dirname_creator=lambda trial: trial.trial_id,
            verbose=0,
        )


def share_of_gpus(num_gpus: float, workers: int) -> float:
    """GPUs of each of several workers: a part of one, or whole ones."""
    share = num_gpus / workers
    return share if share < 1 else math.floor(share)
