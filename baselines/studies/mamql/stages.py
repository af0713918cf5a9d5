"""The stages of the study of MAMQL, each one object: which rows it has, how a row is made, and the tables that follow.

A new stage is one more `RowStage` in `STAGES`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from baselines.analysis.figures import draw_curves
from baselines.analysis.tables import Row, spread
from baselines.studies.mamql import measures, summaries
from baselines.studies.mamql.methods import METHODS, TRUE_REWARD, budget
from baselines.studies.mamql.pieces import Piece, read_rows
from baselines.studies.side_by_side import Stage, Table, read_training

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowStage(Stage):
    """A stage whose pieces each write a row, and whose tables are made from its rows.

    Attributes:
      learners: options -> game, expert, method and size of each row that a seed has.
      measure: a task -> the rest of the row; a function of a module.
      phases: the largest number of phases that `measure` reports.
    """

    learners: "Callable[[Options], Iterable[tuple[str, str, str, int]]]"
    measure: Callable[[measures.Task], Row]
    phases: int

    def __post_init__(self) -> None:
        own: dict[str, Any] = {
            "pieces": lambda options: [piece for piece in options.pieces if piece.stage == self.name],
            "is_done": lambda options, piece: options.row_file(piece).is_file(),
            "work": partial(measures.write_row, self.measure),
            "num_phases": lambda options, piece: self.phases,
            "find": lambda options: read_rows(options, self.name) or None,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def asked(self, options: "Options") -> list[Piece]:
        """All rows, also those that cannot be made, seed by seed, so that there are some of each early."""
        return [Piece(self.name, *learner, seed) for seed in options.all_seeds for learner in self.learners(options)]


def of_rows(make: Callable[..., list[Row]], text: str = "", *arguments: Any, show: Any = list) -> Table:
    """A table that a function makes from rows and these arguments."""
    return Table(lambda options, rows: make(rows, *arguments), text, show)


def across(column: str, value: str, *index: str) -> Callable[[list[Row]], list[Row]]:
    """Rows of a file as rows of the page, with a column for each entry of `column`."""
    return partial(spread, index=index, across=column, value=value)


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
MEANS = ("mse", "mse_affine", "mse_zero", "mse_mean", "mse_affine_running", "mse_zero_running", "mse_mean_running")
ERRORS = tuple(f"{kind}_{name}" for kind in ("raw", "fitted") for name in (*MEANS, "mse_affine_other"))
FIT_SCORES = tuple(f"{fit}_{name}" for fit in ("fitted", "successor") for name in (*SCORES[:4], "explained"))

GAINS = across("than", "gain", "game", "expert", "size")

OVERVIEW = Stage(
    name="overview",
    find=read_rows,
    tables={
        "budgets": Table(budget_rows, "What one training of each method may spend, from its settings."),
        "runs": of_rows(summaries.run_rows),
        "weights": of_rows(summaries.weight_rows),
        "gaps": of_rows(summaries.gap_rows, "Demonstrations from which rewards cannot be read, and why."),
    },
)
"""Tables of all rows of all stages."""

TABLES = {
    "returns": of_rows(summaries.return_rows, "Mean return per agent."),
    "gains": of_rows(
        summaries.difference_rows, "How much more MAMQL returns than each other method, paired by seed.", show=GAINS
    ),
    "play": of_rows(
        summaries.play_rows,
        "How agents play; reached: of how many seeds the return in training reached 90 % of the expert's.",
        PLAY,
    ),
    "behaviour": of_rows(
        summaries.summary_rows,
        "On expert states that nobody learnt from: cross-entropy in nats, and how often the most likely action differs "
        "from the expert's, for an agent and for any agent.",
        BEHAVIOUR,
    ),
    "gems_weights": of_rows(
        summaries.team_weight_rows,
        "Weights of events by the constrained regression; the true ones are 1 for own gems, 6 for shared ones and 0 "
        "for others' gems.",
        show=across("method", "weight", "team", "size", "event"),
    ),
    "fitted": of_rows(
        summaries.fitted_rows,
        "Correlations of the weighted events with the true reward on steps that nobody learnt from; below the methods "
        "those of weights that nobody recovered. A score that is no better than theirs shows no recovery.",
        SCORES,
    ),
    "recovery": of_rows(summaries.summary_rows, "The same correlations of raw rewards Q - gamma V.", RECOVERY, True),
    "errors": of_rows(
        summaries.summary_rows,
        "Mean squared errors of raw and fitted rewards, and those of predicting 0 and the mean.",
        ERRORS,
        True,
    ),
}

CURVES: dict[str, tuple[str, tuple[str, ...]]] = {
    "returns": ("play", ("return", "success", "length")),
    "behaviour": ("behaviour", ("cross_entropy", "joint_disagreement")),
    "recovery": ("recovery", ("raw_pearson_alone", "raw_pearson", "raw_pearson_running")),
    "fitted": ("fitted", ("fitted_pearson_alone", "fitted_pearson_other_alone", "fitted_pearson")),
}
"""Pictures of each expert on Gems: the table that they show, and its columns."""


def draw(options: "Options", rows: list[Row]) -> "dict[str, Figure]":
    """The pictures of `CURVES`, one of each for every expert; the expert's return is a line in that of returns."""
    figures = {}
    for expert, level in {row["expert"]: row["expert_return"] for row in rows}.items():
        for name, (source, columns) in CURVES.items():
            own = [row for row in TABLES[source].make(options, rows) if row["expert"] == expert]
            if own:
                levels = {"expert": level} if name == "returns" else {}
                figure = draw_curves(own, columns, "size", "method", "transitions of demonstrations", levels)
                figure.suptitle(f"Gems, expert: {expert}")
                figures[f"{name}_{expert}"] = figure
    return figures


STAGES = (
    RowStage(
        name="table",
        learners=lambda o: (("gems", e, m, size) for e, size, m in product(o.experts, o.sizes, o.methods)),
        measure=measures.table,
        phases=3,
        tables=TABLES,
        figures=draw,
    ),
    RowStage(
        name="retrain",
        learners=lambda o: (("gems", e, m, o.retrain_size) for e, m in product(o.experts, (*o.methods, TRUE_REWARD))),
        measure=measures.retrain,
        phases=6,
        tables={
            "retrain": of_rows(
                summaries.retrain_rows,
                "Return in the game itself of agents that IPPO trained on recovered rewards and on the true ones.",
            ),
            "retrain_weights": of_rows(
                summaries.regression_rows,
                "Weights of events by both regressions, each agent's relative to its largest; the true ones are 0.167 "
                "for own gems, 1 for shared ones and 0 for others' gems.",
                show=across("event", "weight", "team", "size", "regression", "method"),
            ),
            "retrain_scores": of_rows(
                summaries.summary_rows,
                "Correlations of both weighted sums with the true reward, as in stage table.",
                FIT_SCORES,
                True,
            ),
        },
    ),
    RowStage(
        name="games",
        learners=lambda o: (
            (game, e, m, size) for game, (e, sizes) in GAMES.items() for size, m in product(sizes, o.methods)
        ),
        measure=measures.games,
        phases=2,
        tables={
            "games": of_rows(
                summaries.return_rows,
                "Mean return per agent on the other games. The published numbers of Intersection are of another game.",
            ),
            "games_gains": of_rows(
                summaries.difference_rows,
                "How much more MAMQL returns there than each other method, paired by seed.",
                show=GAINS,
            ),
            "games_greedy_gains": of_rows(
                summaries.difference_rows, "The same if all take their best action.", "return_greedy", show=GAINS
            ),
            "games_play": of_rows(
                summaries.play_rows,
                "How agents play there; an episode of Intersection terminates by arrivals or by a crash.",
                PLAY_ELSEWHERE,
            ),
        },
    ),
    RowStage(
        name="dilemmas",
        learners=lambda o: (
            (game, e, m, o.dilemma_size) for game, teams in DILEMMAS.items() for e, m in product(teams, o.methods)
        ),
        measure=measures.dilemmas,
        phases=3,
        tables={"dilemmas": of_rows(summaries.team_weight_rows, "Weights of events by team.")},
    ),
)
"""The stages that `--stages` names."""
