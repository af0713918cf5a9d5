"""The stages of the study of MAMQL: the demonstrations, and the imitators that learn from them, play and want."""

from functools import partial
from typing import TYPE_CHECKING

from baselines.analysis.figures import draw_curves
from baselines.analysis.tables import Row, spread
from baselines.studies.mamql.measures import EVENTS, write_row
from baselines.studies.mamql.pieces import has_demonstrations, make_demonstrations, read_rows, sources
from baselines.studies.mamql.summaries import SAMPLE, gain_rows, return_rows, run_rows, summary_rows
from baselines.studies.side_by_side import Stage, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from baselines.studies.mamql.options import Options

PLAY = ("return", "terminated", "length", "return_greedy", "terminated_greedy", "train_seconds")
BEHAVIOUR = ("cross_entropy", "disagreement", "joint_disagreement")
WEIGHTS = tuple(f"weight of {name}" for name in EVENTS["gems"])

CURVES = {"returns": PLAY[:3], "behaviour": (BEHAVIOUR[0], BEHAVIOUR[2])}
"""Pictures of each game and expert, and the numbers that they show over the size of the demonstrations."""


def draw(options: "Options", rows: list[Row]) -> "dict[str, Figure]":
    """The pictures of `CURVES`, one of each for every game and expert; the expert's return is a line in `returns`."""
    del options
    figures = {}
    for (game, expert), level in {(row["game"], row["expert"]): row["expert_return"] for row in rows}.items():
        for name, columns in CURVES.items():
            own = [row for row in summary_rows(rows, columns) if (row["game"], row["expert"]) == (game, expert)]
            if own:
                levels = {"expert": level} if name == "returns" else {}
                figure = draw_curves(own, columns, "size", "method", "transitions of demonstrations", levels)
                figure.suptitle(f"{game}, expert: {expert}")
                figures[f"{name}_{game}_{expert}"] = figure
    return figures


DEMONSTRATIONS = Stage(name="demonstrations", pieces=sources, is_done=has_demonstrations, work=make_demonstrations)
"""The demonstrations that imitators learn from."""

IMITATORS = Stage(
    name="imitators",
    pieces=lambda options: options.pieces,
    is_done=lambda options, piece: options.row_file(piece).is_file(),
    work=write_row,
    find=lambda options: read_rows(options) or None,
    tables={
        "runs": Table(lambda options, rows: run_rows(rows)),
        "returns": Table(lambda options, rows: return_rows(rows), "Mean return per agent."),
        "gains": Table(
            lambda options, rows: gain_rows(rows),
            "How much more MAMQL returns than each other method, paired by seed.",
            partial(spread, index=SAMPLE, across="than", value="gain"),
        ),
        "play": Table(
            lambda options, rows: summary_rows(rows, PLAY),
            "How agents play, by a softmax and by their best action; terminated: the rule of the game ended it.",
        ),
        "behaviour": Table(
            lambda options, rows: summary_rows(rows, BEHAVIOUR),
            "On expert states that nobody learnt from: cross-entropy in nats, and how often the most likely action "
            "differs from the expert's, for an agent and for any agent.",
        ),
        "weights": Table(
            lambda options, rows: summary_rows(rows, WEIGHTS),
            "Weights of events by recovered rewards, relative to the largest; the true ones on Gems are 1 / 6 for own "
            "gems, 1 for shared ones and 0 for others' gems.",
        ),
    },
    figures=draw,
)
"""Each piece trains one imitator, plays, and measures what it does and wants."""

STAGES = (DEMONSTRATIONS, IMITATORS)
