"""The stages of the study of MAMQL, each one object: which rows it has, how a row is made, and the tables that follow.

A new stage is one more `row_stage` in `STAGES`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from baselines.analysis.tables import Row, spread
from baselines.studies.mamql import summaries
from baselines.studies.mamql.methods import METHODS, TRUE_REWARD, budget
from baselines.studies.mamql.tasks import (
    Task,
    dilemmas,
    games,
    read_rows,
    retrain,
    table,
    write_row,
)
from baselines.studies.side_by_side import Stage, Table, nothing, read_training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from baselines.studies.mamql.options import Options

GAMES: dict[str, tuple[str, tuple[int, ...]]] = {
    "overcooked": ("greedy", (500, 1000, 2000)),
    "intersection": ("cautious", (5000, 20_000, 35_000, 50_000, 70_000)),
}
"""Games of stage games: the scripted expert and the published numbers of demonstrations (USC-Lira/ma-mql @ 7f3da20,
README figures). The published Intersection is another game with another reward."""

DILEMMAS: dict[str, tuple[str, ...]] = {
    "gathering": ("cooperative", "greedy", "exploitative"),
    "cleanup": ("cooperative", "greedy", "exploitative"),
    "common_pool": ("cooperative", "exploitative"),
}
"""Games of stage dilemmas, and the teams whose demonstrations are read."""

Learners = Iterable[tuple[str, str, str, int, int]]
"""Game, expert, method, size and seed of each row of a stage; see `Piece`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowStage(Stage):
    """A stage whose pieces each write a row.

    Attributes:
      learners: options -> which rows it has.
    """

    learners: "Callable[[Options], Learners]"


def row_stage(
    name: str,
    learners: "Callable[[Options], Learners]",
    measure: Callable[[Task], Row],
    num_phases: int,
    tables: dict[str, Table],
    figures: "Callable[[Any, list[Row]], dict[str, Figure] | None]" = nothing,
) -> RowStage:
    """A stage.

    Args:
      name: of the stage.
      learners: options -> which rows it has.
      measure: a task -> the rest of its row; a function of a module.
      num_phases: the largest number of phases that it reports.
      tables: by the name of the file, made from the rows of the stage.
      figures: by the name of the file, drawn from the rows of the stage.
    """
    return RowStage(
        name=name,
        learners=learners,
        pieces=lambda options: [piece for piece in options.pieces if piece.stage == name],
        is_done=lambda options, piece: options.row_file(piece).is_file(),
        work=partial(write_row, measure),
        num_phases=lambda options, piece: num_phases,
        find=lambda options: read_rows(options, name) or None,
        tables=tables,
        figures=figures,
    )


def of_rows(make: Callable[..., list[Row]], *arguments: Any) -> Callable[[Any, list[Row]], list[Row]]:
    """A function of rows and these arguments as `Table.make`."""
    return lambda options, rows: make(rows, *arguments)


def budget_rows(options: "Options", rows: list[Row]) -> list[Row]:
    """One row for each method and game, of all settings that the study has used."""
    del rows
    made = []
    for learner, settings in read_training(options.output).get("configs", {}).items():
        method, _, game = learner.partition(" on ")
        config = METHODS[method].algorithm.config_class(**settings)
        explored = {"explored_steps": 0 if game in GAMES else options.explored}
        made.append({"game": game, "method": method} | budget(config) | explored)
    return sorted(made, key=lambda row: row["game"])


PLAY = ("return", "success", "length", "env_steps", "train_seconds")
PLAY_ELSEWHERE = ("return", "return_greedy", "terminated", "length", "env_steps", "train_seconds")
BEHAVIOUR = ("cross_entropy", "disagreement", "joint_disagreement")
SCORES = ("pearson_alone", "pearson_other_alone", "pearson", "pearson_running", "pearson_other", "pearson_episodes")
RECOVERY = (*(f"raw_{name}" for name in SCORES), "fitted_explained")
ERRORS = tuple(
    f"{kind}_{name}"
    for kind in ("raw", "fitted")
    for name in (
        *("mse", "mse_affine", "mse_zero", "mse_mean", "mse_affine_running", "mse_zero_running", "mse_mean_running"),
        "mse_affine_other",
    )
)
FIT_SCORES = tuple(f"{fit}_{name}" for fit in ("fitted", "successor") for name in (*SCORES[:4], "explained"))


def _gains(text: str, *arguments: Any) -> Table:
    """`difference_rows`, a column for each other method on the page."""
    shown = partial(spread, index=("game", "expert", "size"), across="than", value="gain")
    return Table(of_rows(summaries.difference_rows, *arguments), text, shown)


OVERVIEW = Stage(
    name="overview",
    find=read_rows,
    tables={
        "budgets": Table(budget_rows, "What one training of each method may spend, from its settings."),
        "runs": Table(of_rows(summaries.run_rows)),
        "weights": Table(of_rows(summaries.weight_rows)),
        "gaps": Table(of_rows(summaries.gap_rows), "Demonstrations from which rewards cannot be read, and why."),
    },
)
"""Tables of all rows of all stages."""

TABLES = {
    "returns": Table(of_rows(summaries.return_rows), "Mean return per agent."),
    "gains": _gains("How much more MAMQL returns than each other method, paired by seed."),
    "play": Table(
        of_rows(summaries.play_rows, PLAY),
        "How agents play; reached: of how many seeds the return in training reached 90 % of the expert's.",
    ),
    "behaviour": Table(
        of_rows(summaries.summary_rows, BEHAVIOUR),
        "On expert states that nobody learnt from: cross-entropy in nats, and how often the most likely action differs "
        "from the expert's, for an agent and for any agent.",
    ),
    "gems_weights": Table(
        of_rows(summaries.team_weight_rows),
        "Weights of events by the constrained regression; the true ones are 1 for own gems, 6 for shared ones and 0 "
        "for others' gems.",
        partial(spread, index=("team", "size", "event"), across="method", value="weight"),
    ),
    "fitted": Table(
        of_rows(summaries.fitted_rows, SCORES),
        "Correlations of the weighted events with the true reward on steps that nobody learnt from; below the methods "
        "those of weights that nobody recovered. A score that is no better than theirs shows no recovery.",
    ),
    "recovery": Table(
        of_rows(summaries.summary_rows, RECOVERY, "agents"), "The same correlations of raw rewards Q - gamma V."
    ),
    "errors": Table(
        of_rows(summaries.summary_rows, ERRORS, "agents"),
        "Mean squared errors of raw and fitted rewards, and those of predicting 0 and the mean.",
    ),
}

CURVES: dict[str, tuple[str, tuple[str, ...]]] = {
    "returns": ("play", ("return", "success", "length")),
    "behaviour": ("behaviour", ("cross_entropy", "joint_disagreement")),
    "recovery": ("recovery", ("raw_pearson_alone", "raw_pearson", "raw_pearson_running")),
    "fitted": ("fitted", ("fitted_pearson_alone", "fitted_pearson_other_alone", "fitted_pearson")),
}
"""Pictures of each expert on Gems: the table that they show, and its columns."""


def draw_curves(options: "Options", rows: list[Row]) -> "dict[str, Figure]":
    """The pictures of `CURVES`, one of each for every expert."""
    figures = {}
    for expert, level in {row["expert"]: row["expert_return"] for row in rows}.items():
        for name, (source, columns) in CURVES.items():
            own = [row for row in TABLES[source].make(options, rows) if row["expert"] == expert]
            if own:
                title, level_of_returns = f"Gems, expert: {expert}", level if name == "returns" else None
                figures[f"{name}_{expert}"] = summaries.curves(own, columns, title, level_of_returns)
    return figures


STAGES = (
    row_stage(
        "table",
        lambda options: (
            ("gems", expert, method, size, seed)
            for seed, expert, size, method in itertools.product(
                options.all_seeds, options.experts, options.sizes, options.methods
            )
        ),
        table,
        3,
        TABLES,
        draw_curves,
    ),
    row_stage(
        "retrain",
        lambda options: (
            ("gems", expert, method, options.retrain_size, seed)
            for seed, expert, method in itertools.product(
                options.all_seeds, options.experts, (*options.methods, TRUE_REWARD)
            )
        ),
        retrain,
        6,
        {
            "retrain": Table(
                of_rows(summaries.summary_rows),
                "Return in the game itself of agents that IPPO trained on recovered rewards and on the true ones.",
            ),
            "retrain_weights": Table(
                of_rows(summaries.regression_rows),
                "Weights of events by both regressions, each agent's relative to its largest; the true ones are 0.167 "
                "for own gems, 1 for shared ones and 0 for others' gems.",
                partial(spread, index=("team", "size", "regression", "method"), across="event", value="weight"),
            ),
            "retrain_scores": Table(
                of_rows(summaries.summary_rows, FIT_SCORES, "agents"),
                "Correlations of both weighted sums with the true reward, as in stage table.",
            ),
        },
    ),
    row_stage(
        "games",
        lambda options: (
            (game, expert, method, size, seed)
            for seed in options.all_seeds
            for game, (expert, sizes) in GAMES.items()
            for size, method in itertools.product(sizes, options.methods)
        ),
        games,
        2,
        {
            "games": Table(
                of_rows(summaries.return_rows),
                "Mean return per agent on the other games. The published numbers of Intersection are of another game.",
            ),
            "games_gains": _gains("How much more MAMQL returns there than each other method, paired by seed."),
            "games_greedy_gains": _gains("The same if all take their best action.", "return_greedy"),
            "games_play": Table(
                of_rows(summaries.play_rows, PLAY_ELSEWHERE),
                "How agents play there; an episode of Intersection terminates by arrivals or by a crash.",
            ),
        },
    ),
    row_stage(
        "dilemmas",
        lambda options: (
            (game, expert, method, options.dilemma_size, seed)
            for seed in options.all_seeds
            for game, experts in DILEMMAS.items()
            for expert, method in itertools.product(experts, options.methods)
        ),
        dilemmas,
        3,
        {"dilemmas": Table(of_rows(summaries.team_weight_rows), "Weights of events by team.")},
    ),
)
"""The stages that `--stages` names."""
