"""What a sweep found: a table of its trials, a picture of them, and the best settings as a preset."""

import dataclasses
import json
import math
from typing import TYPE_CHECKING

from baselines.analysis.figures import make_panels
from baselines.analysis.tables import Row, write_csv
from baselines.disk.writing import save_figure
from baselines.runs.curves import title_of
from baselines.sweeping.plan import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 4
"""Panels of the picture beside each other."""


def rows_of(sweep: Sweep) -> list[Row]:
    """A row for each trial: its number, how it stands, its score and its values."""
    return [
        {"trial": number, "state": trial.state, "score": math.nan if trial.score is None else trial.score}
        | trial.values
        | {"error": trial.error}
        for number, trial in enumerate(sweep.record.trials)
    ]


def write_report(sweep: Sweep) -> None:
    """Writes trials.csv and trials.png."""
    write_csv(sweep.path / "trials.csv", rows_of(sweep))
    save_figure(sweep.path / "trials.png", draw_trials(sweep))


def draw_trials(sweep: Sweep) -> "Figure":
    """Draws the scores over the values of each setting: filled points are trials that are done, a star is the best."""
    dimensions, best = sweep.space.dimensions, sweep.best
    figure, panels = make_panels(len(dimensions), (3.2, 3.0), MOST_COLUMNS, sharey=True)
    rows = [row for row in rows_of(sweep) if math.isfinite(row["score"])]
    for axes, (name, dimension) in zip(panels, dimensions.items(), strict=True):
        is_choice = dimension.kind == "choices"
        for row in rows:
            x = dimension.values.index(row[name]) if is_choice else row[name]
            marker, color = ("*", "tab:orange") if row["trial"] == best else ("o", "tab:blue")
            face = color if row["state"] == "done" else "white"
            size = 120 if row["trial"] == best else 25
            axes.scatter(x, row["score"], s=size, marker=marker, edgecolors=color, facecolors=face, zorder=3)
        if is_choice:
            axes.set_xticks(range(len(dimension.values)), map(str, dimension.values))
        elif dimension.kind == "log_uniform":
            axes.set_xscale("log")
        axes.set_xlabel(name)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(title_of(sweep.record.metric))
    figure.suptitle(sweep.record.run.title, fontsize="medium")
    return figure


def as_preset(sweep: Sweep, number: int) -> str:
    """The settings of a trial as an entry of `presets.PRESETS`: those that are not the defaults of the algorithm."""
    run = sweep.record.run
    config = sweep.trial("", sweep.record.trials[number].values).record.config
    defaults = dataclasses.asdict(sweep.algorithm.config_class())
    tuned = {name: value for name, value in config.items() if value != defaults[name] and name != "demonstrations"}
    kwargs = ", ".join(f"{name}={value!r}" for name, value in run.env_kwargs.items())
    lines = [f"    # tuned with {kwargs}"] if kwargs else []
    lines += [f'    ("{run.algorithm}", "{run.env_id}"): {{']
    shown = {name: json.dumps(value) if isinstance(value, str) else repr(value) for name, value in tuned.items()}
    lines += [f'        "{name}": {text},' for name, text in shown.items()]
    return "\n".join([*lines, "    },"])
